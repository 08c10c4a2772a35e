/* SPDX-License-Identifier: Apache-2.0 */
#include "exefile.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/buildid.h"

#define PART_MAX      (64 * 1024)
#define SECTIONS_MAX  1024
#define SEGMENTS_MAX  256
#define BUILD_ID_SIZE (2 * 64 + 1)
#define GO_SECTION    ".go.buildinfo"

/*
 * libelf allocates by the counts in the header; the extended ones, kept in section 0, have 32 bits
 * and no executable needs them.
 */
static bool has_sane_counts(int fd)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} h = {0};
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	if (pread(fd, &h, sizeof(h), 0) < (ssize_t)sizeof(h.e32) ||
	    memcmp(h.ident, ELFMAG, SELFMAG) != 0)
		return false;
	if (h.ident[EI_CLASS] == ELFCLASS32)
		return h.e32.e_phnum != PN_XNUM && (h.e32.e_shnum || !h.e32.e_shoff);
	return h.e64.e_phnum != PN_XNUM && (h.e64.e_shnum || !h.e64.e_shoff);
}

/* At most PART_MAX bytes of the file, owned by @elf; NULL: they are not there. */
static const unsigned char *part(Elf *elf, uint64_t offset, uint64_t size, size_t *ret_n)
{
	size_t n = size < PART_MAX ? (size_t)size : PART_MAX;
	Elf_Data *data;

	if (n == 0 || offset > INT64_MAX)
		return NULL;
	data = elf_getdata_rawchunk(elf, (int64_t)offset, n, ELF_T_BYTE);
	if (!data || !data->d_buf)
		return NULL;
	*ret_n = data->d_size;
	return data->d_buf;
}

static int read_build_id(Elf *elf, const GElf_Phdr *ph, char **ret)
{
	char hex[BUILD_ID_SIZE];
	const unsigned char *notes;
	size_t n;

	if (ph->p_type != PT_NOTE || *ret)
		return 0;
	notes = part(elf, ph->p_offset, ph->p_filesz, &n);
	if (!notes || buildid_from_notes(notes, n, ph->p_align == 8 ? 8 : 4, hex, sizeof(hex)))
		return 0;
	*ret = strdup(hex);
	return *ret ? 0 : -ENOMEM;
}

static int read_version(Elf *elf, uint64_t offset, uint64_t size, char **ret)
{
	const unsigned char *data;
	size_t n;
	int err;

	data = part(elf, offset, size, &n);
	err = data ? gobuildinfo_version(data, n, ret) : -ENOENT;
	return err == -ENOENT ? 0 : err;
}

/* The name is read as a small part: the whole table of names could be the whole file. */
static bool is_go_section(Elf *elf, const GElf_Shdr *sh, const GElf_Shdr *names)
{
	const unsigned char *name;
	size_t n;

	if (sh->sh_type != SHT_PROGBITS || sh->sh_name >= names->sh_size)
		return false;
	name = part(elf, names->sh_offset + sh->sh_name, sizeof(GO_SECTION), &n);
	return name && n == sizeof(GO_SECTION) && memcmp(name, GO_SECTION, n) == 0;
}

/* Returns 1 if the section is there. */
static int version_by_section(Elf *elf, char **ret)
{
	size_t count = 0, names_at = 0;
	GElf_Shdr names, sh;

	if (elf_getshdrnum(elf, &count) || elf_getshdrstrndx(elf, &names_at) ||
	    !gelf_getshdr(elf_getscn(elf, names_at), &names))
		return 0;
	for (size_t i = 1; i < count && i < SECTIONS_MAX; i++) {
		int err;

		if (!gelf_getshdr(elf_getscn(elf, i), &sh) || !is_go_section(elf, &sh, &names))
			continue;
		err = read_version(elf, sh.sh_offset, sh.sh_size, ret);
		return err ? err : 1;
	}
	return 0;
}

static int read_segments(Elf *elf, bool want_version, char **build_id, char **version)
{
	size_t count = 0;
	GElf_Phdr ph;
	int err = 0;

	if (elf_getphdrnum(elf, &count))
		return 0;
	for (size_t i = 0; !err && i < count && i < SEGMENTS_MAX; i++) {
		if (!gelf_getphdr(elf, (int)i, &ph))
			break;
		err = read_build_id(elf, &ph, build_id);
		/* without section names: where Go's linker puts it, the first data segment's start
		 */
		if (!err && want_version && ph.p_type == PT_LOAD && (ph.p_flags & PF_W)) {
			want_version = false;
			err = read_version(elf, ph.p_offset, ph.p_filesz, version);
		}
	}
	return err;
}

int exefile_read(int fd, char **ret_build_id, char **ret_version)
{
	char *build_id = NULL, *version = NULL;
	Elf *elf = NULL;
	int err = -EINVAL;

	if (elf_version(EV_CURRENT) == EV_NONE || !has_sane_counts(fd))
		return -EINVAL;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_kind(elf) != ELF_K_ELF)
		goto out;
	err = version_by_section(elf, &version);
	if (err >= 0)
		err = read_segments(elf, err == 0, &build_id, &version);
	if (err)
		goto out;
	if (build_id)
		*ret_build_id = build_id;
	if (version)
		*ret_version = version;
	build_id = version = NULL;
out:
	free(build_id);
	free(version);
	elf_end(elf);
	return err;
}
