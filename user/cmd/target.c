/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../collect/procfs.h"
#include "../core/text.h"

#define MIN_CONTAINER_PREFIX 4

static const char *const kind_names[TARGET_KINDS] = {
	[TARGET_PID] = "pid",	[TARGET_COMM] = "comm",	    [TARGET_EXE] = "exe",
	[TARGET_UNIT] = "unit", [TARGET_CGROUP] = "cgroup", [TARGET_CONTAINER] = "container",
	[TARGET_POD] = "pod",
};

const char *target_kind_name(enum target_kind kind)
{
	return kind_names[kind];
}

static int parse_pid(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long pid;

	errno = 0;
	pid = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || !pid || pid > INT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)pid;
	return 0;
}

int target_add(struct target *t, enum target_kind kind, const char *text)
{
	struct target_value v = {.kind = kind, .start_ns = -1};

	char *resolved = NULL;

	if (!*text || (kind == TARGET_PID && parse_pid(text, &v.pid)))
		return -EINVAL;
	if (t->n == TARGET_MAX)
		return -E2BIG;
	if (kind == TARGET_EXE)
		resolved = realpath(text, NULL);
	if (resolved)
		text = resolved;
	/* what it is compared with was cleaned, too */
	v.text = text_clean_dup(text, strlen(text));
	free(resolved);
	if (!v.text)
		return -ENOMEM;
	t->values[t->n++] = v;
	return 0;
}

void target_release(struct target *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->values[i].text);
	t->n = 0;
}

static bool equal(const char *a, const char *b)
{
	return a && !strcmp(a, b);
}

static bool matches_unit(const char *unit, const char *want)
{
	size_t n = strlen(want);

	return equal(unit, want) ||
	       (unit && !strncmp(unit, want, n) && !strcmp(unit + n, ".service"));
}

/* The path itself or anything below it. */
static bool matches_cgroup(const char *path, const char *want)
{
	size_t n = strlen(want);

	while (n > 1 && want[n - 1] == '/')
		n--;
	return path && !strncmp(path, want, n) && (!path[n] || path[n] == '/' || n == 1);
}

static bool matches_container(const struct holder_info *h, const char *want)
{
	size_t n = strlen(want);

	if (equal(h->container_name, want))
		return true;
	return h->container && n >= MIN_CONTAINER_PREFIX && !strncmp(h->container, want, n);
}

static bool matches_pod(const struct holder_info *h, const char *want)
{
	const char *slash = strchr(want, '/');
	size_t n;

	if (!slash)
		return equal(h->pod, want);
	n = slash - want;
	return equal(h->pod, slash + 1) && h->namespace && strlen(h->namespace) == n &&
	       !strncmp(h->namespace, want, n);
}

static bool matches_value(const struct target_value *v, const struct holder_info *h)
{
	/* /proc tells start times to a clock tick only */
	int64_t apart_ns = h->start_ns - v->start_ns;

	switch (v->kind) {
	case TARGET_PID:
		return h->pid == v->pid &&
		       (v->start_ns < 0 || (apart_ns > -20000000 && apart_ns < 20000000));
	case TARGET_COMM:
		return equal(h->comm, v->text);
	case TARGET_EXE:
		return equal(h->exe, v->text);
	case TARGET_UNIT:
		return matches_unit(h->unit, v->text);
	case TARGET_CGROUP:
		return matches_cgroup(h->cgroup, v->text);
	case TARGET_CONTAINER:
		return matches_container(h, v->text);
	case TARGET_POD:
		return matches_pod(h, v->text);
	default:
		return false;
	}
}

bool target_matches(const struct target *t, const struct holder_info *h)
{
	bool is_asked[TARGET_KINDS] = {0}, is_met[TARGET_KINDS] = {0};

	if (t->is_descendants && !h->is_descendant)
		return false;
	for (size_t i = 0; i < t->n; i++) {
		is_asked[t->values[i].kind] = true;
		if (matches_value(&t->values[i], h))
			is_met[t->values[i].kind] = true;
	}
	for (int kind = 0; kind < TARGET_KINDS; kind++)
		if (is_asked[kind] && !is_met[kind])
			return false;
	return true;
}

/* Whether @h is one of the pids asked for; notes its start time. */
static void note_start(struct target *t, const struct holder_info *h)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->values[i].kind == TARGET_PID && t->values[i].pid == h->pid &&
		    t->values[i].start_ns < 0)
			t->values[i].start_ns = h->start_ns;
}

/* Can it match, by what costs little to read? Identifying a process takes many files. */
static bool may_match(const struct target *t, const struct holder_info *h)
{
	bool is_asked = false;

	for (size_t i = 0; i < t->n; i++) {
		const struct target_value *v = &t->values[i];

		if (v->kind != TARGET_PID && v->kind != TARGET_COMM)
			continue;
		is_asked = true;
		if (matches_value(v, h))
			return true;
	}
	return !is_asked;
}

static bool is_match(struct target *t, uint32_t pid)
{
	struct holder_info h = {.pid = pid, .uid = -1};
	bool found = false;

	if (procfs_look(&h) || !may_match(t, &h))
		return false;
	if (procfs_identify(&h) != -ESRCH && target_matches(t, &h)) {
		found = true;
		note_start(t, &h);
	}
	holder_info_release(&h);
	return found;
}

int target_find(struct target *t, uint32_t *ret_pid)
{
	uint32_t pid, self = getpid();
	struct dirent *entry;
	int err = -ESRCH;
	DIR *proc;

	proc = opendir("/proc");
	if (!proc)
		return -errno;
	/* all are looked at: each pid asked for must get its start time */
	while ((entry = readdir(proc))) {
		if (parse_pid(entry->d_name, &pid) || pid == self || !is_match(t, pid))
			continue;
		if (err)
			*ret_pid = pid;
		err = 0;
	}
	closedir(proc);
	return err;
}

void target_describe(const struct target *t, char *buf, size_t size)
{
	size_t n = 0;

	if (!t->n) {
		snprintf(buf, size, "%s", t->is_descendants ? "the program" : "all processes");
		return;
	}
	if (t->n == 1 && t->values[0].kind == TARGET_PID) {
		snprintf(buf, size, "pid %s", t->values[0].text);
		return;
	}
	buf[0] = 0;
	for (size_t i = 0; i < t->n && n + 2 < size; i++) {
		n += snprintf(buf + n, size - n, "%s--%s ", i ? " " : "",
			      kind_names[t->values[i].kind]);
		if (n < size)
			n += snprintf(buf + n, size - n, "%s", t->values[i].text);
	}
}
