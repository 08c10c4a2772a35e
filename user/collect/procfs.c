/* SPDX-License-Identifier: Apache-2.0 */
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../core/cgroup.h"
#include "../core/identity.h"
#include "../core/procparse.h"
#include "../core/text.h"
#include "exefile.h"
#include "podlog.h"

#define STAT_MAX    4096
#define CGROUP_MAX  (64 * 1024)
#define CMDLINE_MAX (64 * 1024)
#define ENVIRON_MAX                                                                                \
	(1024 * 1024)	/* Kubernetes gives a variable or more to each of its services             \
			 */
#define VERSION_MAX 200 /* what Datadog takes for a tag */

static const char deleted[] = " (deleted)";

struct bytes {
	char *p;
	size_t n;
};

/* The content may be a secret: it is wiped, not only given back. */
static void bytes_release(struct bytes *b)
{
	if (b->p)
		explicit_bzero(b->p, b->n);
	free(b->p);
	*b = (struct bytes){0};
}

/* Of what cannot be had only the lack of privilege or memory is worth telling. */
static int worth_telling(int err)
{
	if (err == -EPERM)
		return -EACCES;
	return err == -EACCES || err == -ENOMEM ? err : 0;
}

/* At most @max bytes of a file of the process. */
static int read_file(int proc, const char *name, size_t max, struct bytes *ret)
{
	int fd = openat(proc, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW), err = 0;
	struct bytes b = {0};

	if (fd < 0)
		return -errno;
	b.p = malloc(max);
	if (!b.p)
		err = -ENOMEM;
	while (!err && b.n < max) {
		ssize_t got = read(fd, b.p + b.n, max - b.n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = -errno;
		if (got <= 0)
			break;
		b.n += (size_t)got;
	}
	close(fd);
	if (err)
		bytes_release(&b);
	else
		*ret = b;
	return err;
}

/* 0 if the process is the one that started at @start_ns, to a clock tick. */
static int check_start(int proc, int64_t start_ns)
{
	long ticks_per_s = sysconf(_SC_CLK_TCK);
	struct bytes stat = {0};
	int64_t ns = 0, tick_ns;
	int err;

	err = read_file(proc, "stat", STAT_MAX, &stat);
	if (!err)
		err = procparse_start_ns(stat.p, stat.n, ticks_per_s, &ns);
	bytes_release(&stat);
	if (err)
		return worth_telling(err) ? worth_telling(err) : -ESRCH;
	tick_ns = 1000000000 / ticks_per_s;
	return ns - start_ns > tick_ns || start_ns - ns > tick_ns ? -ESRCH : 0;
}

static int read_exe_path(int proc, char **ret)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(proc, "exe", path, sizeof(path));
	size_t cut = sizeof(deleted) - 1;

	if (n < 0)
		return worth_telling(-errno);
	if (n == 0 || n == sizeof(path))
		return 0;
	if ((size_t)n > cut && memcmp(path + n - cut, deleted, cut) == 0)
		n -= (ssize_t)cut;
	*ret = text_clean_dup(path, (size_t)n);
	return *ret ? 0 : -ENOMEM;
}

static void drop_unlikely_version(char **version)
{
	if (!*version || strlen(*version) <= VERSION_MAX)
		return;
	free(*version);
	*version = NULL;
}

static int read_exe(int proc, struct holder_info *h)
{
	char *version = NULL;
	int fd, err;

	err = read_exe_path(proc, &h->exe);
	if (err)
		return err;
	/* opening the link reaches the file in its container, and one that was deleted */
	fd = openat(proc, "exe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return worth_telling(-errno);
	err = exefile_read(fd, &h->build_id, &version);
	close(fd);
	drop_unlikely_version(&version);
	if (h->version)
		free(version);
	else
		h->version = version;
	return worth_telling(err);
}

static int read_cmdline(int proc, struct holder_info *h)
{
	struct bytes b = {0};
	int err;

	if (!h->exe)
		return 0;
	err = read_file(proc, "cmdline", CMDLINE_MAX, &b);
	if (!err)
		err = procparse_script(h->exe, b.p, b.n, &h->script);
	bytes_release(&b);
	return worth_telling(err);
}

static int read_environ(int proc, struct holder_info *h)
{
	struct bytes b = {0};
	char *otel = NULL;
	int err;

	err = read_file(proc, "environ", ENVIRON_MAX, &b);
	if (err)
		return worth_telling(err);
	err = procparse_env(b.p, b.n, "DD_VERSION", &h->version);
	if (err == -ENOENT)
		err = procparse_env(b.p, b.n, "OTEL_RESOURCE_ATTRIBUTES", &otel);
	if (otel)
		err = procparse_otel_version(otel, &h->version);
	free(otel);
	bytes_release(&b);
	drop_unlikely_version(&h->version);
	return worth_telling(err);
}

static int read_kubernetes(struct holder_info *h)
{
	struct podname p = {0};
	int err;

	if (!h->container && !h->pod_uid)
		return 0;
	err = podlog_find(PODLOG_ROOT, h->container, h->pod_uid, &p);
	if (err)
		return worth_telling(err);
	h->namespace = p.namespace;
	h->pod = p.pod;
	h->container_name = p.container;
	h->workload = identity_workload(h->pod);
	return h->workload ? 0 : -ENOMEM;
}

static int read_cgroup(int proc, struct holder_info *h)
{
	struct cgroup_names c = {0};
	struct bytes b = {0};
	int err;

	err = read_file(proc, "cgroup", CGROUP_MAX, &b);
	if (!err)
		err = cgroup_parse(b.p, b.n, &c);
	bytes_release(&b);
	if (err)
		return worth_telling(err);
	h->cgroup = c.path;
	h->container = c.container;
	h->pod_uid = c.pod_uid;
	h->unit = c.unit;
	return read_kubernetes(h);
}

/* Goes on where a privilege is missing, and says so at the end. */
static int read_all(int proc, struct holder_info *h)
{
	/* environ before exe: what the deployment says of its version wins */
	static int (*const readers[])(int, struct holder_info *) = {read_environ, read_exe,
								    read_cmdline, read_cgroup};
	int ret = 0;

	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		int err = readers[i](proc, h);

		if (err == -ENOMEM)
			return err;
		if (err)
			ret = err;
	}
	return ret;
}

/* An adopted connection's holder did not connect under our eyes: the owner of its folder is. */
static void read_uid(int proc, struct holder_info *h)
{
	struct stat st;

	if (!fstat(proc, &st))
		h->uid = st.st_uid;
}

/* Every later read is through the open folder, which never becomes another process's. */
static int read_process(uint32_t pid, int64_t start_ns, struct holder_info *h)
{
	char path[32];
	int proc, err, again;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return worth_telling(-errno) ? worth_telling(-errno) : -ESRCH;
	err = check_start(proc, start_ns);
	if (!err) {
		read_uid(proc, h);
		err = read_all(proc, h);
		again = check_start(proc, start_ns);
		if (again)
			err = again;
	}
	close(proc);
	return err;
}

int procfs_look(struct holder_info *h)
{
	char path[32];
	int proc, err;
	struct bytes stat = {0}, comm = {0};
	int64_t start_ns;

	snprintf(path, sizeof(path), "/proc/%u", h->pid);
	proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return -ESRCH;
	err = read_file(proc, "stat", STAT_MAX, &stat);
	if (!err)
		err = procparse_start_ns(stat.p, stat.n, sysconf(_SC_CLK_TCK), &start_ns);
	if (!err)
		err = read_file(proc, "comm", STAT_MAX, &comm);
	close(proc);
	if (!err) {
		h->start_ns = start_ns;
		text_clean(h->comm, sizeof(h->comm), comm.p, comm.n ? comm.n - 1 : 0);
	}
	bytes_release(&stat);
	bytes_release(&comm);
	return err ? -ESRCH : 0;
}

static void move(char **from, char **to)
{
	if (!*from)
		return;
	free(*to);
	*to = *from;
	*from = NULL;
}

static void move_all(struct holder_info *from, struct holder_info *to)
{
	move(&from->exe, &to->exe);
	move(&from->script, &to->script);
	move(&from->build_id, &to->build_id);
	move(&from->cgroup, &to->cgroup);
	move(&from->container, &to->container);
	move(&from->container_name, &to->container_name);
	move(&from->namespace, &to->namespace);
	move(&from->pod, &to->pod);
	move(&from->pod_uid, &to->pod_uid);
	move(&from->workload, &to->workload);
	move(&from->unit, &to->unit);
	move(&from->version, &to->version);
}

int procfs_identify(struct holder_info *h)
{
	struct holder_info found = {.uid = -1};
	int err, group_err;

	err = read_process(h->pid, h->start_ns, &found);
	if (err == 0 || err == -EACCES) {
		move_all(&found, h);
		if (h->uid < 0)
			h->uid = found.uid;
	}
	holder_info_release(&found);
	group_err = identity_group(h);
	return group_err ? group_err : err;
}
