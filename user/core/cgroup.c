/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define CONTAINER_ID_LEN 64
/* What tools show of an id; anything shorter could be a word (cafe, facade). */
#define CONTAINER_ID_MIN 12

struct span {
	const char *p;
	size_t n;
};

struct names {
	struct span container;
	struct span pod;
	struct span unit;
	bool unit_is_leaf;
};

static bool span_is(struct span s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool cut_prefix(struct span *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->n < n || memcmp(s->p, prefix, n) != 0)
		return false;
	s->p += n;
	s->n -= n;
	return true;
}

static bool cut_suffix(struct span *s, const char *suffix)
{
	size_t n = strlen(suffix);

	if (s->n < n || memcmp(s->p + s->n - n, suffix, n) != 0)
		return false;
	s->n -= n;
	return true;
}

/* Takes what stands before the next @sep off @rest. */
static struct span take(struct span *rest, char sep)
{
	const char *end = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	struct span s = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
	size_t used = end ? s.n + 1 : s.n;

	rest->p += used;
	rest->n -= used;
	return s;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool all_hex(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_hex(s.p[i]))
			return false;
	return true;
}

/* Of a runtime's scope a shortened id is believed, of a bare name only what is @bare_min long. */
static bool container_id(struct span c, size_t bare_min, struct span *ret)
{
	static const char *const runtimes[] = {"docker-", "cri-containerd-", "containerd-",
					       "crio-",	  "libpod-payload-", "libpod-",
					       "nerdctl-"};
	size_t min = bare_min;

	cut_suffix(&c, ".scope");
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		if (cut_prefix(&c, runtimes[i])) {
			min = CONTAINER_ID_MIN;
			break;
		}
	}
	if (c.n < min || c.n > CONTAINER_ID_LEN || !all_hex(c))
		return false;
	*ret = c;
	return true;
}

static bool is_uuid(struct span s)
{
	if (s.n != 36)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s.p[i] != '-' && s.p[i] != '_' : !is_hex(s.p[i]))
			return false;
	}
	return true;
}

/* pod<uid>, kubepods-burstable-pod<uid>.slice; a static pod's uid is a hash of 32 digits. */
static bool pod_uid(struct span c, struct span *ret)
{
	static const size_t lengths[] = {36, 32};

	cut_suffix(&c, ".slice");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct span head = c, uid;

		if (c.n < lengths[i])
			continue;
		head.n -= lengths[i];
		uid = (struct span){c.p + head.n, lengths[i]};
		if (!(uid.n == 36 ? is_uuid(uid) : all_hex(uid)) || !cut_suffix(&head, "pod"))
			continue;
		if (head.n && head.p[head.n - 1] != '-')
			continue;
		*ret = uid;
		return true;
	}
	return false;
}

static bool unit_name(struct span c, struct span *ret)
{
	struct span s;

	/* systemd's guard before names that the kernel's own files could have */
	cut_prefix(&c, "_");
	s = c;
	if (!cut_suffix(&s, ".service") || s.n == 0)
		return false;
	if (cut_prefix(&s, "user@") || cut_prefix(&s, "user-runtime-dir@"))
		return false;
	*ret = c;
	return true;
}

static bool is_runtime(struct span unit)
{
	static const char *const runtimes[] = {
		"docker.service",	 "containerd.service",	"crio.service",
		"cri-o.service",	 "podman.service",	"k3s.service",
		"k3s-agent.service",	 "rke2-server.service", "rke2-agent.service",
		"cri-dockerd.service",	 "cri-docker.service",	"snap.docker.dockerd.service",
		"k0scontroller.service", "k0sworker.service",
	};

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (span_is(unit, runtimes[i]))
			return true;
	return false;
}

/* Below these a bare name is an id even where it was shortened. */
static bool is_runtime_folder(struct span c)
{
	struct span uid;

	return span_is(c, "docker") || span_is(c, "k8s.io") || span_is(c, "moby") ||
	       pod_uid(c, &uid);
}

/* runc's own spelling, where the runtime was told the wrong cgroup driver: SLICE:PREFIX:ID */
static bool colon_form(struct span c, struct names *names)
{
	struct span slice = take(&c, ':');
	struct span prefix = take(&c, ':');

	if (prefix.n == 0 || c.n == 0 || memchr(c.p, ':', c.n))
		return false;
	if (slice.n < 6 || memcmp(slice.p + slice.n - 6, ".slice", 6) != 0)
		return false;
	pod_uid(slice, &names->pod);
	return container_id(c, CONTAINER_ID_MIN, &names->container);
}

static struct names read_path(struct span path)
{
	struct names names = {0};
	struct span parent = {0};

	while (path.n) {
		struct span c = take(&path, '/');

		if (c.n == 0)
			continue;
		if (!colon_form(c, &names)) {
			pod_uid(c, &names.pod);
			container_id(
				c, is_runtime_folder(parent) ? CONTAINER_ID_MIN : CONTAINER_ID_LEN,
				&names.container);
		}
		if (unit_name(c, &names.unit))
			names.unit_is_leaf = path.n == 0;
		parent = c;
	}
	if (is_runtime(names.unit) && (names.container.n || !names.unit_is_leaf))
		names.unit.n = 0;
	return names;
}

static bool list_has(struct span list, const char *word)
{
	while (list.n)
		if (span_is(take(&list, ','), word))
			return true;
	return false;
}

/* Which hierarchy to believe first: the ones that systemd and the runtimes always manage. */
static int hierarchy_rank(struct span controllers)
{
	static const char *const order[] = {"name=systemd", "pids", "memory", "cpu"};
	int n = sizeof(order) / sizeof(order[0]);

	if (controllers.n == 0)
		return 0;
	for (int i = 0; i < n; i++)
		if (list_has(controllers, order[i]))
			return i + 1;
	return n + 1;
}

/* A container says more than a unit: in hybrid machines the v2 path is often the runtime's. */
static int rank(struct span controllers, const struct names *names)
{
	int what = names->container.n ? 0 : names->pod.n ? 1 : names->unit.n ? 2 : 3;

	if (what == 3)
		return what * 16 + (controllers.n != 0);
	return what * 16 + hierarchy_rank(controllers);
}

static int dup_clean(struct span s, char **ret)
{
	if (s.n == 0)
		return 0;
	*ret = text_clean_dup(s.p, s.n);
	return *ret ? 0 : -ENOMEM;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* systemd writes bytes that a unit's name may not hold as \xNN. \x00 would end the text. */
static int dup_unit(struct span s, char **ret)
{
	char *buf = malloc(s.n + 1);
	size_t n = 0;
	int err;

	if (!buf)
		return -ENOMEM;
	while (s.n) {
		int hi = s.n >= 4 && s.p[0] == '\\' && s.p[1] == 'x' ? hex_value(s.p[2]) : -1;
		int lo = hi >= 0 ? hex_value(s.p[3]) : -1;
		bool escape = lo >= 0 && (hi || lo);
		size_t used = escape ? 4 : 1;

		buf[n++] = escape ? (char)(hi * 16 + lo) : s.p[0];
		s.p += used;
		s.n -= used;
	}
	err = dup_clean((struct span){buf, n}, ret);
	free(buf);
	return err;
}

static int dup_names(struct span path, const struct names *names, struct cgroup_names *ret)
{
	struct cgroup_names c = {0};
	int err;

	err = dup_clean(path, &c.path);
	if (!err)
		err = dup_clean(names->container, &c.container);
	if (!err)
		err = dup_clean(names->pod, &c.pod_uid);
	if (!err)
		err = dup_unit(names->unit, &c.unit);
	if (err) {
		cgroup_names_release(&c);
		return err;
	}
	for (char *s = c.pod_uid; s && *s; s++)
		if (*s == '_')
			*s = '-';
	*ret = c;
	return 0;
}

int cgroup_parse(const char *text, size_t n, struct cgroup_names *ret)
{
	struct span rest = {text, n}, best_path = {0};
	struct names best = {0};
	int best_rank = 0;

	while (rest.n) {
		struct span path = take(&rest, '\n');
		struct span id = take(&path, ':');
		struct span controllers = take(&path, ':');
		struct names names;
		int r;

		if (id.n == 0 || path.n == 0 || path.p[0] != '/')
			continue;
		cut_suffix(&path, " (deleted)");
		names = read_path(path);
		r = rank(controllers, &names);
		if (best_path.n && r >= best_rank)
			continue;
		best = names;
		best_path = path;
		best_rank = r;
	}
	return dup_names(best_path, &best, ret);
}

void cgroup_names_release(struct cgroup_names *c)
{
	if (!c)
		return;
	free(c->path);
	free(c->container);
	free(c->pod_uid);
	free(c->unit);
	*c = (struct cgroup_names){0};
}
