/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs_identify() on real processes, and on files written for it. Links -lelf.
 * objects: collect/procfs.o collect/podlog.o collect/exefile.o
 * objects: core/cgroup.o core/procparse.o core/podname.o core/identity.o core/buildid.o
 * objects: core/holder_info.o core/site_info.o core/text.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gobuild.h"
#include "mutate.h"
#include "../../user/collect/exefile.h"
#include "../../user/collect/podlog.h"
#include "../../user/collect/procfs.h"
#include "../../user/core/procparse.h"

#define PYTHON "/usr/bin/python3"
#define ID     "73051af271105c07e1f493b34856a77e665e3b0b4fc72f76c807dfbffeb881bd"
#define UID    "8712f785-1a3e-41ec-a00b-e2dcc77431cb"

struct child {
	pid_t pid;
	int in; /* closing it ends the child */
};

static char *in_dir(const char *dir, const char *name)
{
	char *path = malloc(strlen(dir) + strlen(name) + 2);

	assert_non_null(path);
	sprintf(path, "%s/%s", dir, name);
	return path;
}

static void write_file(const char *path, const void *bytes, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int make_dir(void **state)
{
	char path[] = "/tmp/connleak-test-XXXXXX";

	if (!mkdtemp(path))
		return -1;
	*state = strdup(path);
	return *state ? 0 : -1;
}

static int remove_dir(void **state)
{
	nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(*state);
	return 0;
}

/* Returns once the child runs @argv[0]; it then waits on its standard input. */
static struct child start(char *const argv[], char *const env[])
{
	int in[2], done[2];
	struct child c;
	char byte;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		dup2(in[0], 0);
		execve(argv[0], argv, env);
		_exit(write(done[1], "x", 1) == 1 ? 126 : 127);
	}
	close(in[0]);
	close(done[1]);
	/* the end closes with the exec */
	if (read(done[0], &byte, 1) != 0)
		fail_msg("cannot start %s", argv[0]);
	close(done[0]);
	c.in = in[1];
	return c;
}

static void stop(struct child *c)
{
	close(c->in);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

static int64_t start_ns_of(pid_t pid)
{
	char path[64], buf[4096];
	int64_t ns = -1;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	assert_int_equal(procparse_start_ns(buf, n, sysconf(_SC_CLK_TCK), &ns), 0);
	return ns;
}

static struct holder_info holder_of(pid_t pid)
{
	return (struct holder_info){
		.pid = (uint32_t)pid, .start_ns = start_ns_of(pid), .uid = -1, .comm = "comm"};
}

static char *link_of(const char *path)
{
	char buf[4096];
	ssize_t n = readlink(path, buf, sizeof(buf));

	assert_true(n > 0);
	return strndup(buf, (size_t)n);
}

static void own_process_is_identified(void **state)
{
	struct holder_info h = holder_of(getpid());
	char *exe = link_of("/proc/self/exe");

	(void)state;
	assert_int_equal(procfs_identify(&h), 0);
	assert_string_equal(h.exe, exe);
	assert_non_null(h.cgroup);
	assert_non_null(h.group);
	assert_null(h.script);
	assert_null(h.namespace);
	assert_string_equal(h.comm, "comm");
	assert_int_equal(h.uid, getuid());
	free(exe);
	holder_info_release(&h);
}

static void start_time_within_a_tick_is_the_same_process(void **state)
{
	int64_t tick_ns = 1000000000 / sysconf(_SC_CLK_TCK);
	struct holder_info h = holder_of(getpid());

	(void)state;
	h.start_ns += tick_ns - 1;
	assert_int_equal(procfs_identify(&h), 0);
	holder_info_release(&h);
}

static void reused_pid_leaves_the_holder_as_it_was(void **state)
{
	int64_t tick_ns = 1000000000 / sysconf(_SC_CLK_TCK);
	struct holder_info h = holder_of(getpid());

	(void)state;
	h.start_ns -= 2 * tick_ns;
	assert_int_equal(procfs_identify(&h), -ESRCH);
	assert_null(h.exe);
	assert_null(h.cgroup);
	assert_string_equal(h.group, "comm");
	holder_info_release(&h);
}

static void ended_process_still_has_a_group(void **state)
{
	char *const argv[] = {"/bin/cat", NULL}, *const env[] = {NULL};
	struct child c = start(argv, env);
	struct holder_info h = holder_of(c.pid);

	(void)state;
	stop(&c);
	h.exe = strdup("/known/before");
	assert_int_equal(procfs_identify(&h), -ESRCH);
	assert_string_equal(h.exe, "/known/before");
	assert_string_equal(h.group, "/known/before");
	holder_info_release(&h);
	h = (struct holder_info){.pid = UINT32_MAX, .comm = "x"};
	assert_int_equal(procfs_identify(&h), -ESRCH);
	assert_string_equal(h.group, "x");
	holder_info_release(&h);
}

static void identify(char *const argv[], char *const env[], struct holder_info *ret)
{
	struct child c = start(argv, env);

	*ret = holder_of(c.pid);
	assert_int_equal(procfs_identify(ret), 0);
	stop(&c);
}

static void scripts_of_one_interpreter_are_told_apart(void **state)
{
	static const char code[] = "import sys\nsys.stdin.read()\n";
	char *const env[] = {"SECRET=hunter2", NULL};
	char *a_py = in_dir(*state, "a.py"), *b_py = in_dir(*state, "b.py");
	char *const a_argv[] = {PYTHON, "-u", a_py, "--password=hunter2", NULL};
	char *const b_argv[] = {PYTHON, b_py, NULL};
	char *const m_argv[] = {PYTHON, "-m", "code", NULL};
	char *const c_argv[] = {PYTHON, "-c", "import sys; sys.stdin.read() # hunter2", NULL};
	struct holder_info a, b, m, c;

	write_file(a_py, code, sizeof(code) - 1, 0644);
	write_file(b_py, code, sizeof(code) - 1, 0644);
	identify(a_argv, env, &a);
	identify(b_argv, env, &b);
	identify(m_argv, env, &m);
	identify(c_argv, env, &c);
	assert_string_equal(a.script, a_py);
	assert_string_equal(b.script, b_py);
	assert_string_equal(m.script, "code");
	assert_null(c.script);
	assert_string_equal(a.exe, b.exe);
	assert_null(strstr(a.group, "hunter2"));
	assert_null(strstr(c.group, "hunter2"));
	if (!a.unit) /* within a service the service is the group */
		assert_string_not_equal(a.group, b.group);
	holder_info_release(&a);
	holder_info_release(&b);
	holder_info_release(&m);
	holder_info_release(&c);
	free(a_py);
	free(b_py);
}

static size_t read_all(const char *path, unsigned char **ret)
{
	FILE *f = fopen(path, "r");
	unsigned char *buf = malloc(1 << 20);
	size_t n;

	assert_non_null(f);
	assert_non_null(buf);
	n = fread(buf, 1, 1 << 20, f);
	fclose(f);
	*ret = buf;
	return n;
}

static void deleted_executable_keeps_name_and_build_id(void **state)
{
	char *cat = in_dir(*state, "cat"), *const argv[] = {cat, NULL}, *const env[] = {NULL};
	struct holder_info before, after;
	unsigned char *bytes;
	size_t n = read_all("/bin/cat", &bytes);
	struct child c;

	write_file(cat, bytes, n, 0755);
	free(bytes);
	c = start(argv, env);
	before = holder_of(c.pid);
	assert_int_equal(procfs_identify(&before), 0);
	unlink(cat);
	after = holder_of(c.pid);
	assert_int_equal(procfs_identify(&after), 0);
	stop(&c);
	assert_string_equal(after.exe, cat);
	assert_non_null(before.build_id);
	assert_string_equal(after.build_id, before.build_id);
	assert_string_equal(after.group, before.group);
	holder_info_release(&before);
	holder_info_release(&after);
	free(cat);
}

static void version_comes_from_the_environment(void **state)
{
	static char huge[300] = "DD_VERSION=";
	static const struct {
		char *env[3];
		const char *version;
	} cases[] = {
		{{"DD_VERSION=v2.3.9", "OTEL_RESOURCE_ATTRIBUTES=service.version=1"}, "v2.3.9"},
		{{"OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.version=1.4"}, "1.4"},
		{{"DD_VERSION=", "OTEL_RESOURCE_ATTRIBUTES=service.version=1"}, "1"},
		{{"DD_VERSION=\x1b[31m"}, "\\x1B[31m"},
		{{huge}, NULL},
		{{NULL}, NULL},
	};
	char *const argv[] = {"/bin/cat", NULL};

	(void)state;
	memset(huge + 11, 'x', sizeof(huge) - 12);
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct holder_info h;

		identify(argv, cases[i].env, &h);
		if (cases[i].version)
			assert_string_equal(h.version, cases[i].version);
		else
			assert_null(h.version);
		holder_info_release(&h);
	}
}

static void identity_is_refreshed_without_loss(void **state)
{
	struct holder_info h = holder_of(getpid());
	char *group;

	(void)state;
	assert_int_equal(procfs_identify(&h), 0);
	group = strdup(h.group);
	assert_int_equal(procfs_identify(&h), 0);
	assert_string_equal(h.group, group);
	free(group);
	holder_info_release(&h);
}

static void pod_names_come_from_log_names(void **state)
{
	static const char *const folders[] = {"containers", "pods", "pods/shop_orders-0_" UID,
					      "pods/shop_orders-0_" UID "/app",
					      "pods/x_y_8712f785-1a3e-41ec-a00b-000000000000"};
	struct podname p;
	char *path;

	assert_int_equal(podlog_find(*state, ID, UID, &p), -ENOENT);
	for (size_t i = 0; i < T_COUNT(folders); i++) {
		path = in_dir(*state, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
		free(path);
	}
	assert_int_equal(podlog_find(*state, ID, UID, &p), 0);
	assert_string_equal(p.namespace, "shop");
	assert_string_equal(p.pod, "orders-0");
	assert_string_equal(p.container, "app");
	podname_release(&p);

	path = in_dir(*state, "pods/shop_orders-0_" UID "/sidecar");
	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
	assert_int_equal(podlog_find(*state, ID, UID, &p), 0);
	assert_null(p.container);
	podname_release(&p);

	path = in_dir(*state, "containers/orders-0_shop_sidecar-" ID ".log");
	assert_int_equal(symlink("/nowhere", path), 0);
	free(path);
	assert_int_equal(podlog_find(*state, ID, UID, &p), 0);
	assert_string_equal(p.container, "sidecar");
	podname_release(&p);
	assert_int_equal(podlog_find(*state, NULL, NULL, &p), -ENOENT);
	assert_int_equal(podlog_find("/nonexistent", ID, UID, &p), -ENOENT);
}

/* An ELF file of header, notes, data and (for @sections) a section named .go.buildinfo. */
struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	Elf64_Shdr sh[3];
	char names[32];
	struct {
		Elf64_Nhdr h;
		char name[4];
		unsigned char id[20];
	} note;
	unsigned char data[2048] __attribute__((aligned(16)));
};

static void fill_image(struct image *im, bool sections)
{
	*im = (struct image){.names = "\0.go.buildinfo\0.shstrtab"};
	memcpy(im->eh.e_ident, ELFMAG, SELFMAG);
	im->eh.e_ident[EI_CLASS] = ELFCLASS64;
	im->eh.e_ident[EI_DATA] =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	im->eh.e_ident[EI_VERSION] = EV_CURRENT;
	im->eh.e_type = ET_EXEC;
	im->eh.e_version = EV_CURRENT;
	im->eh.e_ehsize = sizeof(im->eh);
	im->eh.e_phoff = offsetof(struct image, ph);
	im->eh.e_phentsize = sizeof(im->ph[0]);
	im->eh.e_phnum = 2;
	im->ph[0] = (Elf64_Phdr){.p_type = PT_NOTE,
				 .p_offset = offsetof(struct image, note),
				 .p_filesz = sizeof(im->note),
				 .p_align = 4};
	im->ph[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				 .p_flags = PF_R | PF_W,
				 .p_offset = offsetof(struct image, data),
				 .p_filesz = sizeof(im->data)};
	im->note.h = (Elf64_Nhdr){4, 20, NT_GNU_BUILD_ID};
	memcpy(im->note.name, "GNU", 4);
	memset(im->note.id, 0xab, sizeof(im->note.id));
	gobuild_blob(im->data, "path\tx\nmod\tx\tv2.3.9\t\n");
	if (!sections)
		return;
	im->ph[1].p_filesz = 0;
	im->eh.e_shoff = offsetof(struct image, sh);
	im->eh.e_shentsize = sizeof(im->sh[0]);
	im->eh.e_shnum = 3;
	im->eh.e_shstrndx = 2;
	im->sh[1] = (Elf64_Shdr){.sh_name = 1,
				 .sh_type = SHT_PROGBITS,
				 .sh_offset = offsetof(struct image, data),
				 .sh_size = sizeof(im->data)};
	im->sh[2] = (Elf64_Shdr){.sh_name = 15,
				 .sh_type = SHT_STRTAB,
				 .sh_offset = offsetof(struct image, names),
				 .sh_size = sizeof(im->names)};
}

static int read_image(const char *dir, const void *bytes, size_t n, char **id, char **version)
{
	char *path = in_dir(dir, "image");
	int fd, err;

	write_file(path, bytes, n, 0644);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = exefile_read(fd, id, version);
	close(fd);
	free(path);
	return err;
}

static void build_id_and_go_version_are_read_with_and_without_sections(void **state)
{
	for (int sections = 0; sections < 2; sections++) {
		char *id = NULL, *version = NULL;
		struct image im;

		fill_image(&im, sections);
		assert_int_equal(read_image(*state, &im, sizeof(im), &id, &version), 0);
		assert_string_equal(id, "abababababababababababababababababababab");
		assert_string_equal(version, "v2.3.9");
		free(id);
		free(version);
	}
}

static void what_is_no_sane_elf_file_is_refused(void **state)
{
	char *id = NULL, *version = NULL;
	struct image im;
	int fds[2];

	assert_int_equal(read_image(*state, "#!/bin/sh\n", 10, &id, &version), -EINVAL);
	assert_int_equal(read_image(*state, "", 0, &id, &version), -EINVAL);
	fill_image(&im, true);
	im.eh.e_phnum = PN_XNUM;
	assert_int_equal(read_image(*state, &im, sizeof(im), &id, &version), -EINVAL);
	fill_image(&im, true);
	im.eh.e_shnum = 0;
	im.sh[0].sh_size = UINT32_MAX;
	assert_int_equal(read_image(*state, &im, sizeof(im), &id, &version), -EINVAL);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(exefile_read(fds[0], &id, &version), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	assert_null(id);
	assert_null(version);
}

static void damaged_elf_file_is_survived(void **state)
{
	uint64_t seed = 13;
	struct image im;

	fill_image(&im, true);
	for (int i = 0; i < MUTATE_ROUNDS; i++) {
		/* every other round in the headers only: the data is most of the file */
		size_t head = i & 1 ? offsetof(struct image, data) : sizeof(im), n;
		unsigned char *bad = mutate(&seed, &im, head, &n);
		char *id = NULL, *version = NULL;

		read_image(*state, bad, n, &id, &version);
		free(id);
		free(version);
		free(bad);
	}
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_process_is_identified),
		cmocka_unit_test(start_time_within_a_tick_is_the_same_process),
		cmocka_unit_test(reused_pid_leaves_the_holder_as_it_was),
		cmocka_unit_test(ended_process_still_has_a_group),
		WITH_DIR(scripts_of_one_interpreter_are_told_apart),
		WITH_DIR(deleted_executable_keeps_name_and_build_id),
		cmocka_unit_test(version_comes_from_the_environment),
		cmocka_unit_test(identity_is_refreshed_without_loss),
		WITH_DIR(pod_names_come_from_log_names),
		WITH_DIR(build_id_and_go_version_are_read_with_and_without_sections),
		WITH_DIR(what_is_no_sane_elf_file_is_refused),
		WITH_DIR(damaged_elf_file_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
