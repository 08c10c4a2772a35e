/* SPDX-License-Identifier: Apache-2.0 */
#include "buildid.h"

#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "text.h"

#define GO_MAGIC      "\xff Go buildinf:"
#define GO_MAGIC_LEN  14
#define GO_ALIGN      16
#define GO_HEADER_LEN 32 /* magic, pointer size, flags, room for the pointers of older formats */
#define GO_FLAGS_AT   15
#define GO_INLINE     2
/* The module text, whole lines, stands between two marks of 16 bytes. */
#define GO_MARK_LEN   16
#define GO_COMMIT_LEN 12

struct bytes {
	const char *p;
	size_t n;
};

static void put_hex(const unsigned char *id, size_t n, char *ret, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < n && at + 2 < size; i++) {
		ret[at++] = digits[id[i] >> 4];
		ret[at++] = digits[id[i] & 15];
	}
	ret[at] = '\0';
}

int buildid_from_notes(const unsigned char *notes, size_t n, unsigned align, char *ret, size_t size)
{
	uint64_t mask = align == 8 ? 7 : 3, at = 0;

	if (size < 2 * 20 + 1)
		return -EINVAL;
	while (n - at >= sizeof(Elf32_Nhdr)) {
		Elf32_Nhdr h; /* the same in 64-bit files */
		uint64_t name = at + sizeof(h), desc;

		memcpy(&h, notes + at, sizeof(h));
		desc = (name + h.n_namesz + mask) & ~mask;
		if (desc > n || h.n_descsz > n - desc)
			return -EINVAL;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 && h.n_descsz) {
			put_hex(notes + desc, h.n_descsz, ret, size);
			return 0;
		}
		at = (desc + h.n_descsz + mask) & ~mask;
		if (at > n)
			break;
	}
	return -ENOENT;
}

/* A string after its length in base 128, little end first. One that is cut is taken as it is. */
static int take_string(struct bytes *data, struct bytes *ret)
{
	uint64_t len = 0;
	size_t i = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		unsigned char c;

		if (i == data->n)
			return -EINVAL;
		c = (unsigned char)data->p[i++];
		len |= (uint64_t)(c & 0x7f) << shift;
		if (c & 0x80)
			continue;
		if (len > data->n - i)
			len = data->n - i;
		*ret = (struct bytes){data->p + i, (size_t)len};
		data->p += i + len;
		data->n -= i + len;
		return 0;
	}
	return -EINVAL;
}

static struct bytes take_until(struct bytes *rest, char sep)
{
	const char *end = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	struct bytes s = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
	size_t used = end ? s.n + 1 : s.n;

	rest->p += used;
	rest->n -= used;
	return s;
}

static int is(struct bytes b, const char *text)
{
	return b.n == strlen(text) && memcmp(b.p, text, b.n) == 0;
}

/* Lines "mod PATH VERSION SUM" and "build vcs.revision=COMMIT", with tabs between. */
static struct bytes module_version(struct bytes text)
{
	static const char revision[] = "vcs.revision=";
	struct bytes commit = {0};

	while (text.n) {
		struct bytes line = take_until(&text, '\n');
		struct bytes word = take_until(&line, '\t');

		if (is(word, "mod")) {
			struct bytes version;

			take_until(&line, '\t');
			version = take_until(&line, '\t');
			if (version.n && !is(version, "(devel)"))
				return version;
		} else if (is(word, "build") && line.n > sizeof(revision) - 1 &&
			   memcmp(line.p, revision, sizeof(revision) - 1) == 0) {
			take_until(&line, '=');
			commit = line;
			if (commit.n > GO_COMMIT_LEN)
				commit.n = GO_COMMIT_LEN;
		}
	}
	return commit;
}

static struct bytes blob_version(struct bytes blob)
{
	struct bytes go, module;
	const char *end;

	blob.p += GO_HEADER_LEN;
	blob.n -= GO_HEADER_LEN;
	if (take_string(&blob, &go) || take_string(&blob, &module) || module.n <= GO_MARK_LEN)
		return (struct bytes){0};
	module.p += GO_MARK_LEN;
	module.n -= GO_MARK_LEN;
	end = memrchr(module.p, '\n', module.n);
	module.n = end ? (size_t)(end - module.p) : 0;
	return module_version(module);
}

int gobuildinfo_version(const unsigned char *data, size_t n, char **ret)
{
	for (size_t at = 0; at + GO_HEADER_LEN <= n; at += GO_ALIGN) {
		struct bytes version;
		char *s;

		if (memcmp(data + at, GO_MAGIC, GO_MAGIC_LEN) != 0 ||
		    !(data[at + GO_FLAGS_AT] & GO_INLINE))
			continue;
		version = blob_version((struct bytes){(const char *)data + at, n - at});
		if (version.n == 0)
			return -ENOENT;
		s = text_clean_dup(version.p, version.n);
		if (!s)
			return -ENOMEM;
		*ret = s;
		return 0;
	}
	return -ENOENT;
}
