/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_side.h - the kernel as far as a translator sees it: records and passes written by hand
 */
#ifndef CONNLEAK_TEST_KERNEL_SIDE_H
#define CONNLEAK_TEST_KERNEL_SIDE_H

#include "t.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>

#include "../../user/collect/translate.h"

#define S(n) ((int64_t)(n)*NS_PER_S)

/* The kernel, as far as the translator asks it. */
struct kernel_side {
	struct translator *t;
	struct snapshot s;
	unsigned identified, watched, forgotten;
	bool is_gone; /* a process that is to be watched has ended already */
	struct counts counts;
	uint64_t late_open;
	bool has_counts;
	bool has_untold; /* a holder of whom no record was seen */
	int64_t exit_ns;
};

static const struct cl_holder_key app = {.tgid = 4711, .start_ns = 1000};

static inline void identify(void *arg, const struct cl_holder_key *key, struct holder_info *info)
{
	struct kernel_side *k = arg;

	assert_int_equal(key->tgid, info->pid);
	snprintf(info->comm, sizeof(info->comm), "app");
	k->identified++;
}

static inline bool watch(void *arg, const struct cl_holder_key *key)
{
	struct kernel_side *k = arg;

	(void)key;
	k->watched++;
	return !k->is_gone;
}

static inline void forget(void *arg, const struct cl_holder_key *key)
{
	struct kernel_side *k = arg;

	(void)key;
	k->forgotten++;
}

static inline bool counts_of(void *arg, const struct cl_holder_key *key, struct counts *ret,
			     int64_t *ret_exit_ns)
{
	struct kernel_side *k = arg;

	(void)key;
	*ret = k->counts;
	*ret_exit_ns = k->exit_ns;
	return k->has_counts;
}

static inline bool next_holder(void *arg, const struct cl_holder_key *key,
			       struct cl_holder_key *ret)
{
	struct kernel_side *k = arg;

	if (key || !k->has_untold)
		return false;
	*ret = app;
	return true;
}

static inline void opened(struct kernel_side *k, uint64_t id, int64_t t_ns)
{
	struct cl_rec_open r = {
		.head = {.kind = CL_REC_OPEN, .tid = 7, .t_ns = (uint64_t)t_ns, .holder = app},
		.id = id,
		.family = AF_INET,
		.laddr = {10, 0, 0, 1},
		.raddr = {10, 0, 0, 2},
		.lport = 40000,
		.rport = 5432};

	assert_int_equal(translator_record(k->t, &r.head, sizeof(r)), 0);
}

/* What the kernel records between the reading of its counters and the end of the tick. */
static inline void drain(void *arg)
{
	struct kernel_side *k = arg;

	if (k->late_open)
		opened(k, k->late_open, S(13));
	k->late_open = 0;
}

static inline int setup(void **state)
{
	struct kernel_side *k = calloc(1, sizeof(*k));
	const struct translate_ops ops = {identify,    watch, forget, counts_of,
					  next_holder, drain, k};

	k->exit_ns = T_NEVER;
	k->t = translator_new(4 * NS_PER_MS, &ops);
	*state = k;
	return k->t ? 0 : -1;
}

static inline int teardown(void **state)
{
	struct kernel_side *k = *state;

	translator_free(k->t);
	snapshot_release(&k->s);
	free(k);
	return 0;
}

static inline void ended(struct kernel_side *k, uint32_t kind, uint64_t id, int64_t t_ns,
			 uint32_t how)
{
	struct cl_rec_end r = {.head = {.kind = kind, .t_ns = (uint64_t)t_ns, .holder = app},
			       .id = id,
			       .how = how,
			       .family = AF_INET,
			       .rport = 5432};

	assert_int_equal(translator_record(k->t, &r.head, sizeof(r)), 0);
}

static inline void exited(struct kernel_side *k, int64_t t_ns)
{
	struct cl_rec r = {.kind = CL_REC_EXIT, .t_ns = (uint64_t)t_ns, .holder = app};

	assert_int_equal(translator_record(k->t, &r, sizeof(r)), 0);
}

static inline struct cl_sock sock(uint64_t id, int64_t opened_ns, uint8_t flags)
{
	return (struct cl_sock){.id = id,
				.opened_ns = (uint64_t)opened_ns,
				.holder = app,
				.family = 4,
				.state = 1,
				.flags = flags,
				.lport = 40000,
				.rport = 5432};
}

/* One tick with these sockets; its events are in k->s until the next. */
static inline void tick(struct kernel_side *k, int64_t now_ns, const struct cl_sock *socks,
			uint32_t n)
{
	const struct pass p = {.now_ns = now_ns, .pass_ns = now_ns, .socks = socks, .n = n};

	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(k->s.events[k->s.n_events - 1].kind, EV_TICK);
	for (size_t i = 1; i < k->s.n_events; i++)
		assert_true(k->s.events[i - 1].t_ns <= k->s.events[i].t_ns);
}

static inline const struct event *find(const struct kernel_side *k, enum event_kind kind)
{
	for (size_t i = 0; i < k->s.n_events; i++)
		if (k->s.events[i].kind == kind)
			return &k->s.events[i];
	return NULL;
}

#define HELD		  (CL_SLOT | CL_FD)

#define TRANSLATE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
