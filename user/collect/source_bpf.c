/* SPDX-License-Identifier: Apache-2.0 */
#include "source_bpf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "../core/identity.h"
#include "../core/text.h"
#include "procfs.h"

#define MAX_START_APART_NS (20 * NS_PER_MS)

/* Walks over descriptors: as often as may cost 1 % of a cpu, but in these bounds. */
#define WALK_SHARE  100
#define WALK_MIN_NS (5 * NS_PER_S)
#define WALK_MAX_NS (30 * NS_PER_S)

struct live {
	struct kernel *kernel;
	struct translator *translator;
	uint64_t drops[CL_DROP_MAX]; /* as of the last tick */
	int64_t next_walk_ns;
	int err; /* the first failure to keep a record */
};

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t source_bpf_now_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

int64_t source_bpf_wall_offset_ns(void)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
}

/*
 * A pod's host name is its own, unless it shares the node's: the name that is left where the node
 * keeps no log folder of it.
 */
static void name_pod(struct holder_info *info, const char *nodename)
{
	struct utsname node;

	if (!info->pod_uid || info->pod || !*nodename || uname(&node) ||
	    !strcmp(node.nodename, nodename))
		return;
	info->pod = text_clean_dup(nodename, CL_NODENAME_LEN);
	if (!info->pod)
		return;
	info->workload = identity_workload(info->pod);
	identity_group(info);
}

/* Lives the process of @key? Then @ret is what /proc says, start times to a clock tick. */
static bool look_up(const struct cl_holder_key *key, struct holder_info *ret)
{
	int64_t apart_ns;

	*ret = (struct holder_info){.pid = key->tgid};
	if (procfs_look(ret))
		return false;
	apart_ns = ret->start_ns - (int64_t)key->start_ns;
	return apart_ns > -MAX_START_APART_NS && apart_ns < MAX_START_APART_NS;
}

static void identify(void *arg, const struct cl_holder_key *key, struct holder_info *info)
{
	struct live *l = arg;
	struct cl_holder h;
	struct holder_info now;
	int kernel_err = kernel_holder(l->kernel, key, &h);

	if (!kernel_err) {
		text_clean(info->comm, sizeof(info->comm), h.comm, sizeof(h.comm));
		info->is_descendant = h.is_descendant;
		/* an adopted holder has not connected under our eyes: /proc knows its user */
		if (h.attempts)
			info->uid = h.uid;
	}
	/* who took a connection over has not run one of our programs, which note the name */
	if (!info->comm[0] && look_up(key, &now))
		memcpy(info->comm, now.comm, sizeof(info->comm));
	procfs_identify(info);
	if (!kernel_err)
		name_pod(info, h.nodename);
}

static bool watch(void *arg, const struct cl_holder_key *key)
{
	struct live *l = arg;
	struct holder_info now;

	kernel_watch_holder(l->kernel, key);
	/* alive after that: its exit will be told */
	if (look_up(key, &now))
		return true;
	kernel_forget_holder(l->kernel, key);
	return false;
}

static void forget(void *arg, const struct cl_holder_key *key)
{
	struct live *l = arg;

	kernel_forget_holder(l->kernel, key);
}

static bool counts_of(void *arg, const struct cl_holder_key *key, struct counts *ret,
		      int64_t *ret_exit_ns)
{
	struct live *l = arg;
	struct cl_holder h;

	if (kernel_holder(l->kernel, key, &h))
		return false;
	*ret = (struct counts){
		.opened = h.established,
		.adopted = h.adopted,
		.closed = h.closed_app + h.fd_closed,
		.failed = h.failed,
		.rejected = h.rejected,
	};
	ret->open = ret->opened + ret->adopted - ret->closed;
	if (h.exit_ns)
		*ret_exit_ns = (int64_t)h.exit_ns;
	return true;
}

static bool next_holder(void *arg, const struct cl_holder_key *key, struct cl_holder_key *ret)
{
	struct live *l = arg;

	return !kernel_next_holder(l->kernel, key, ret);
}

static void take_record(void *arg, const struct cl_rec *r, size_t size)
{
	struct live *l = arg;
	int err = translator_record(l->translator, r, size);

	if (err && !l->err)
		l->err = err;
}

static int live_drain(void *arg)
{
	struct live *l = arg;
	int err = kernel_drain(l->kernel, take_record, l);

	return err ? err : l->err;
}

static void drain_now(void *arg)
{
	struct live *l = arg;
	int err = live_drain(l);

	if (err && !l->err)
		l->err = err;
}

/* Drops since the last tick, as the reasons of a lost event. */
static void count_losses(struct live *l, uint64_t lost[LOST_MAX])
{
	static const enum lost_where where[CL_DROP_MAX] = {
		[CL_DROP_RING] = LOST_RING,	    [CL_DROP_STORAGE] = LOST_STORAGE,
		[CL_DROP_HOLDER] = LOST_HOLDER,	    [CL_DROP_LISTEN] = LOST_LISTEN,
		[CL_DROP_SNAPSHOT] = LOST_SNAPSHOT,
	};
	uint64_t drops[CL_DROP_MAX];

	memset(lost, 0, LOST_MAX * sizeof(*lost));
	kernel_drops(l->kernel, drops);
	for (int i = 0; i < CL_DROP_MAX; i++) {
		lost[where[i]] += drops[i] - l->drops[i];
		l->drops[i] = drops[i];
	}
}

/* Compares with the kernel's tables of descriptors when it is time to. */
static int walk(struct live *l, struct pass *p)
{
	int64_t took_ns;
	int err;

	p->walk_ns = source_bpf_now_ns();
	if (p->walk_ns < l->next_walk_ns)
		return 0;
	err = kernel_walk(l->kernel, CL_FILES_COMPARE, &p->held, &p->n_held, &p->n_found);
	if (err)
		return err;
	p->has_walk = true;
	took_ns = (source_bpf_now_ns() - p->walk_ns) * WALK_SHARE;
	took_ns = took_ns < WALK_MIN_NS	  ? WALK_MIN_NS
		  : took_ns > WALK_MAX_NS ? WALK_MAX_NS
					  : took_ns;
	l->next_walk_ns = p->walk_ns + took_ns;
	return 0;
}

static bool has_losses(const struct pass *p)
{
	for (int i = 0; i < LOST_MAX; i++)
		if (p->lost[i])
			return true;
	return false;
}

static int live_next(void *arg, struct snapshot *s)
{
	struct live *l = arg;
	struct pass p = {.now_ns = source_bpf_now_ns()};
	int err;

	s->wall_offset_ns = source_bpf_wall_offset_ns();
	err = live_drain(l);
	if (!err)
		err = walk(l, &p);
	p.pass_ns = source_bpf_now_ns();
	if (!err)
		err = kernel_pass(l->kernel, &p.socks, &p.n, &p.n_missed);
	if (err)
		return err;
	count_losses(l, p.lost);
	/* after a loss the tables are compared at once, which is at the next tick */
	if (has_losses(&p))
		l->next_walk_ns = 0;
	if (!err)
		err = translator_tick(l->translator, &p, s);
	return err ? err : 1;
}

static int live_fd(void *arg)
{
	struct live *l = arg;

	return kernel_fd(l->kernel);
}

static void live_close(void *arg)
{
	struct live *l = arg;

	if (!l)
		return;
	translator_free(l->translator);
	kernel_close(l->kernel);
	free(l);
}

static const struct source_ops live_ops = {
	.next = live_next,
	.fd = live_fd,
	.drain = live_drain,
	.close = live_close,
};

/* CONFIG_HZ need not be readable; the coarse clock's resolution is one jiffy. */
static int64_t jiffy_ns(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts))
		return 4 * NS_PER_MS;
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int source_bpf_open(struct source *s, const struct kernel_params *p, int64_t interval_ns, char *why,
		    size_t why_size)
{
	struct translate_ops ops = {.identify = identify,
				    .watch = watch,
				    .forget = forget,
				    .counts = counts_of,
				    .next_holder = next_holder,
				    .drain = drain_now};
	struct live *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	ops.arg = l;
	l->translator = translator_new(jiffy_ns(), &ops);
	err = l->translator ? kernel_open(p, &l->kernel, why, why_size) : -ENOMEM;
	if (err) {
		live_close(l);
		return err;
	}
	*s = (struct source){.ops = &live_ops, .arg = l, .interval_ns = interval_ns};
	return 0;
}

struct kernel *source_bpf_kernel(const struct source *s)
{
	const struct live *l = s->arg;

	return l->kernel;
}

void source_bpf_compare(const struct source *s)
{
	struct live *l = s->arg;

	l->next_walk_ns = 0;
}
