/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "connleak.skel.h"
#include "iter_conn.skel.h"
#include "iter_file.skel.h"

#define BTF_PATH       "/sys/kernel/btf/vmlinux"
#define HOST_PID_INODE 0xEFFFFFFCu /* PROC_PID_INIT_INO: fixed in the kernel's interface */

enum {
	BIT_DAC_READ_SEARCH = 2,
	BIT_SYS_PTRACE = 19,
	BIT_SYS_ADMIN = 21,
	BIT_PERFMON = 38,
	BIT_BPF = 39
};

/*
 * libbpf takes one callback for the whole process and gives it no context, so what it said last
 * has to live here.
 */
static char last_words[200];

static uint64_t effective_caps(void)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	fclose(f);
	return caps;
}

static bool has_cap(uint64_t caps, int bit)
{
	return caps >> bit & 1;
}

static bool can_trace(uint64_t caps)
{
	return has_cap(caps, BIT_SYS_ADMIN) ||
	       (has_cap(caps, BIT_BPF) && has_cap(caps, BIT_PERFMON));
}

static bool sees_host_pids(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) || st.st_ino == HOST_PID_INODE;
}

int kernel_probe_basics(char *why, size_t size)
{
	if (!can_trace(effective_caps())) {
		snprintf(why, size,
			 "cannot load kernel programs: this needs CAP_BPF and CAP_PERFMON "
			 "(run as root, or see connleak doctor)");
		return -EPERM;
	}
	if (access(BTF_PATH, R_OK)) {
		snprintf(why, size,
			 "this kernel describes no types (%s): it needs CONFIG_DEBUG_INFO_BTF, "
			 "which Debian's kernels have",
			 BTF_PATH);
		return -ENOSYS;
	}
	if (!sees_host_pids()) {
		snprintf(why, size,
			 "this is not the host's pid namespace, so no process would be seen "
			 "(set hostPID: true, or run on the host)");
		return -EXDEV;
	}
	return 0;
}

__attribute__((format(printf, 2, 0))) static int keep_words(enum libbpf_print_level level,
							    const char *fmt, va_list args)
{
	char *newline;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(last_words, sizeof(last_words), fmt, args);
	newline = strchr(last_words, '\n');
	if (newline)
		*newline = 0;
	return 0;
}

void kernel_probe_listen(void)
{
	last_words[0] = 0;
	libbpf_set_print(keep_words);
}

void kernel_probe_explain(int err, char *why, size_t size)
{
	snprintf(why, size, "cannot load kernel programs: %s%s%s (see connleak doctor)",
		 strerror(-err), *last_words ? "; " : "", last_words);
}

static struct check *add_check(struct doctor_report *r, const char *name, const char *code)
{
	struct check *c = &r->checks[r->n_checks++];

	*c = (struct check){.name = name, .code = code, .status = CHECK_OK};
	return c;
}

static void fail_check(struct check *c, const char *detail, const char *remedy)
{
	c->status = CHECK_MISSING;
	snprintf(c->detail, sizeof(c->detail), "%s", detail);
	snprintf(c->remedy, sizeof(c->remedy), "%s", remedy);
}

static void check_btf(struct doctor_report *r)
{
	struct check *c = add_check(r, "kernel BTF", "btf");
	struct stat st;

	if (access(BTF_PATH, R_OK) || stat(BTF_PATH, &st)) {
		fail_check(c, BTF_PATH " cannot be read",
			   "use a kernel with CONFIG_DEBUG_INFO_BTF, as Debian's are");
		return;
	}
	snprintf(c->detail, sizeof(c->detail), "%s, %.1f MB", BTF_PATH, st.st_size / 1e6);
}

static void check_privileges(struct doctor_report *r, uint64_t caps)
{
	struct check *c = add_check(r, "privileges", "privileges");

	if (can_trace(caps)) {
		snprintf(c->detail, sizeof(c->detail), "%s",
			 has_cap(caps, BIT_SYS_ADMIN) ? "CAP_SYS_ADMIN" : "CAP_BPF, CAP_PERFMON");
		return;
	}
	fail_check(c,
		   has_cap(caps, BIT_BPF)	? "no CAP_PERFMON"
		   : has_cap(caps, BIT_PERFMON) ? "no CAP_BPF"
						: "no CAP_BPF, no CAP_PERFMON",
		   "run it as root, or give it CAP_BPF and CAP_PERFMON");
}

static void check_pid_namespace(struct doctor_report *r)
{
	struct check *c = add_check(r, "pid namespace", "pid_namespace");

	if (sees_host_pids())
		snprintf(c->detail, sizeof(c->detail), "the host's");
	else
		fail_check(c, "a container's: no process would be seen",
			   "set hostPID: true, or run on the host");
}

/* Loads one program of an object alone, and attaches it. */
static int try_in(struct bpf_object *obj, const char *name)
{
	struct bpf_program *prog;
	struct bpf_link *link;
	int err;

	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	err = bpf_object__load(obj);
	if (err)
		return err;
	link = bpf_program__attach(bpf_object__find_program_by_name(obj, name));
	err = link ? 0 : -errno;
	bpf_link__destroy(link);
	return err;
}

static int try_live(const char *name)
{
	struct connleak_bpf *skel = connleak_bpf__open();
	int err = skel ? try_in(skel->obj, name) : -errno;

	connleak_bpf__destroy(skel);
	return err;
}

static int try_walk(const char *name)
{
	struct iter_file_bpf *skel = iter_file_bpf__open();
	int err = skel ? try_in(skel->obj, name) : -errno;

	iter_file_bpf__destroy(skel);
	return err;
}

static int try_pass(const char *name)
{
	struct iter_conn_bpf *skel = iter_conn_bpf__open();
	union bpf_iter_link_info info = {0};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link = NULL;
	int err;

	(void)name; /* the object has but one */
	if (!skel)
		return -errno;
	err = iter_conn_bpf__load(skel);
	if (!err) {
		info.map.map_fd = bpf_map__fd(skel->maps.conns);
		link = bpf_program__attach_iter(skel->progs.walk_conns, &opts);
		err = link ? 0 : -errno;
	}
	bpf_link__destroy(link);
	iter_conn_bpf__destroy(skel);
	return err;
}

/* Each program that the live commands cannot do without, and what it is for. */
static const struct probe {
	int (*attempt)(const char *program);
	const char *program;
	const char *name, *code; /* of the check */
	const char *what;
} probes[] = {
	{try_live, "conn_state", "socket state events", "socket_state",
	 "tp_btf/inet_sock_set_state, with state in the socket"},
	{try_live, "conn_attempt", "owner at connect", "owner",
	 "tp_btf/inet_sock_set_state in the connecting thread"},
	{try_live, "conn_destroy", "descriptor's end", "descriptor", "tp_btf/tcp_destroy_sock"},
	{try_live, "task_exit", "process exit", "process_exit", "tp_btf/sched_process_exit"},
	{try_walk, "walk_files", "sockets already open", "adoption",
	 "task_file iterator, every network namespace"},
	{try_pass, "walk_conns", "snapshots", "snapshot", "bpf_sk_storage_map iterator"},
};

static void check_program(struct doctor_report *r, const struct probe *p)
{
	struct check *c = add_check(r, p->name, p->code);
	int err;

	if (!r->is_ready) {
		c->status = CHECK_UNKNOWN;
		snprintf(c->detail, sizeof(c->detail), "not tried, see above");
		return;
	}
	kernel_probe_listen();
	err = p->attempt(p->program);
	if (!err) {
		snprintf(c->detail, sizeof(c->detail), "%s", p->what);
		return;
	}
	c->status = CHECK_MISSING;
	snprintf(c->detail, sizeof(c->detail), "%s: %s%s%s", p->what, strerror(-err),
		 *last_words ? "; " : "", last_words);
	snprintf(c->remedy, sizeof(c->remedy), "a kernel from 5.15 on should have it");
}

static void check_names(struct doctor_report *r, uint64_t caps)
{
	struct check *c = add_check(r, "names of processes", "names");

	if (has_cap(caps, BIT_SYS_PTRACE) && has_cap(caps, BIT_DAC_READ_SEARCH)) {
		snprintf(c->detail, sizeof(c->detail), "executable, container and version of all");
		return;
	}
	c->status = CHECK_PART;
	snprintf(c->detail, sizeof(c->detail),
		 "no %s: executable and version of other users' processes are unknown",
		 has_cap(caps, BIT_SYS_PTRACE) ? "CAP_DAC_READ_SEARCH" : "CAP_SYS_PTRACE");
	snprintf(c->remedy, sizeof(c->remedy), "run it as root");
}

static void check_stacks(struct doctor_report *r)
{
	struct check *c = add_check(r, "user stacks", "stacks");

	c->status = CHECK_PART;
	snprintf(c->detail, sizeof(c->detail), "not taken in this version: no call sites");
}

static void summarise(struct doctor_report *r)
{
	const char *missing = NULL;
	bool has_names = true;

	for (size_t i = 0; i < r->n_checks; i++) {
		const struct check *c = &r->checks[i];

		if (c->status == CHECK_MISSING && !missing)
			missing = c->name;
		if (c->status != CHECK_OK && !strcmp(c->code, "names"))
			has_names = false;
	}
	r->is_ready = !missing;
	if (missing)
		snprintf(r->summary, sizeof(r->summary), "no: %s", missing);
	else
		snprintf(r->summary, sizeof(r->summary), "%s",
			 has_names ? "yes" : "yes, without names for other users' processes");
}

void kernel_probe_report(struct doctor_report *ret)
{
	uint64_t caps = effective_caps();
	struct utsname u;

	memset(ret, 0, sizeof(*ret));
	if (!uname(&u)) {
		snprintf(ret->kernel, sizeof(ret->kernel), "%s", u.release);
		snprintf(ret->machine, sizeof(ret->machine), "%s", u.machine);
	}
	check_btf(ret);
	check_privileges(ret, caps);
	check_pid_namespace(ret);
	summarise(ret);
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		check_program(ret, &probes[i]);
	check_stacks(ret);
	check_names(ret, caps);
	summarise(ret);
}
