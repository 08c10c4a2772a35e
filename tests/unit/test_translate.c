/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_translate.c - kernel records and passes, written by hand, to events
 * objects: collect/translate.o core/event.o core/endpoint.o core/holder_info.o core/idmap.o
 * objects: core/slots.o
 */
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
	unsigned identified, forgotten;
	struct counts counts;
	bool has_counts;
	int64_t exit_ns;
};

static const struct cl_holder_key app = {.tgid = 4711, .start_ns = 1000};

static void identify(void *arg, const struct cl_holder_key *key, struct holder_info *info)
{
	struct kernel_side *k = arg;

	assert_int_equal(key->tgid, info->pid);
	snprintf(info->comm, sizeof(info->comm), "app");
	k->identified++;
}

static void forget(void *arg, const struct cl_holder_key *key)
{
	struct kernel_side *k = arg;

	(void)key;
	k->forgotten++;
}

static bool counts_of(void *arg, const struct cl_holder_key *key, struct counts *ret,
		      int64_t *ret_exit_ns)
{
	struct kernel_side *k = arg;

	(void)key;
	*ret = k->counts;
	*ret_exit_ns = k->exit_ns;
	return k->has_counts;
}

static int setup(void **state)
{
	struct kernel_side *k = calloc(1, sizeof(*k));
	const struct translate_ops ops = {identify, forget, counts_of, k};

	k->exit_ns = T_NEVER;
	k->t = translator_new(4 * NS_PER_MS, &ops);
	*state = k;
	return k->t ? 0 : -1;
}

static int teardown(void **state)
{
	struct kernel_side *k = *state;

	translator_free(k->t);
	snapshot_release(&k->s);
	free(k);
	return 0;
}

static void opened(struct kernel_side *k, uint64_t id, int64_t t_ns)
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

static void ended(struct kernel_side *k, uint32_t kind, uint64_t id, int64_t t_ns, uint32_t how)
{
	struct cl_rec_end r = {.head = {.kind = kind, .t_ns = (uint64_t)t_ns, .holder = app},
			       .id = id,
			       .how = how,
			       .family = AF_INET,
			       .rport = 5432};

	assert_int_equal(translator_record(k->t, &r.head, sizeof(r)), 0);
}

static void exited(struct kernel_side *k, int64_t t_ns)
{
	struct cl_rec r = {.kind = CL_REC_EXIT, .t_ns = (uint64_t)t_ns, .holder = app};

	assert_int_equal(translator_record(k->t, &r, sizeof(r)), 0);
}

static struct cl_sock sock(uint64_t id, int64_t opened_ns, uint8_t flags)
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
static void tick(struct kernel_side *k, int64_t now_ns, const struct cl_sock *socks, uint32_t n)
{
	const struct pass p = {.now_ns = now_ns, .pass_ns = now_ns, .socks = socks, .n = n};

	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(k->s.events[k->s.n_events - 1].kind, EV_TICK);
	for (size_t i = 1; i < k->s.n_events; i++)
		assert_true(k->s.events[i - 1].t_ns <= k->s.events[i].t_ns);
}

static const struct event *find(const struct kernel_side *k, enum event_kind kind)
{
	for (size_t i = 0; i < k->s.n_events; i++)
		if (k->s.events[i].kind == kind)
			return &k->s.events[i];
	return NULL;
}

#define HELD (CL_SLOT | CL_FD)

static void a_holder_comes_before_its_first_event(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open[] = {sock(2, S(9), HELD), sock(1, S(8), HELD)};

	/* the ring hands them over out of order */
	opened(k, 2, S(9));
	opened(k, 1, S(8));
	tick(k, S(10), open, 2);
	assert_int_equal(k->s.events[0].kind, EV_HOLDER);
	assert_string_equal(k->s.events[0].info->comm, "app");
	assert_int_equal(k->s.events[1].conn, 1);
	assert_int_equal(k->s.events[2].conn, 2);
	assert_int_equal(k->identified, 1);
}

static void a_record_later_than_the_tick_waits(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(11), HELD);

	opened(k, 1, S(11));
	tick(k, S(10), &open, 1);
	assert_null(find(k, EV_OPEN));
	tick(k, S(12), &open, 1);
	assert_int_equal(find(k, EV_OPEN)->t_ns, S(11));
}

static void an_opening_without_record_is_made_up_once_it_is_late(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct translate_stats stats;

	tick(k, S(10), &open, 1);
	assert_null(find(k, EV_OPEN));
	tick(k, S(11), &open, 1);
	assert_non_null(find(k, EV_OPEN));
	assert_false(find(k, EV_OPEN)->open.adopted);
	tick(k, S(12), &open, 1);
	assert_null(find(k, EV_OPEN));
	translator_stats(k->t, &stats);
	assert_int_equal(stats.made_up_opens, 1);
}

static void a_vanished_connection_is_closed_after_two_passes(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct translate_stats stats;

	opened(k, 1, S(9));
	tick(k, S(10), &open, 1);
	tick(k, S(11), NULL, 0);
	assert_null(find(k, EV_CLOSE));
	/* its record was only late */
	tick(k, S(12), &open, 1);
	tick(k, S(13), NULL, 0);
	assert_null(find(k, EV_CLOSE));
	tick(k, S(14), NULL, 0);
	/* nobody saw how: it must not count as a return */
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_PEER);
	translator_stats(k->t, &stats);
	assert_int_equal(stats.made_up_closes, 1);
}

static void an_orphan_in_fin_wait_is_closed_after_two_passes(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(9), HELD);

	opened(k, 1, S(9));
	tick(k, S(10), &s, 1);
	s.flags = CL_SLOT;
	s.state = 5;
	tick(k, S(11), &s, 1);
	tick(k, S(12), &s, 1);
	assert_non_null(find(k, EV_CLOSE));
}

static void a_close_with_the_descriptor_kept_is_a_shutdown(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(9), HELD);

	opened(k, 1, S(9));
	tick(k, S(10), &s, 1);
	ended(k, CL_REC_SLOT_END, 1, S(11), CL_HOW_APP);
	s.flags = CL_FD;
	tick(k, S(12), &s, 1);
	assert_int_equal(find(k, EV_FIN)->fin, FIN_SHUTDOWN);
	assert_null(find(k, EV_CLOSE));
	tick(k, S(13), NULL, 0);
	tick(k, S(14), NULL, 0);
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_APP);
}

static void the_server_closing_first_is_a_fin_and_then_a_close(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(9), CL_FD);

	opened(k, 1, S(9));
	ended(k, CL_REC_SLOT_END, 1, S(9) + 5, CL_HOW_FIN);
	tick(k, S(10), &s, 1);
	assert_int_equal(find(k, EV_FIN)->fin, FIN_PEER);
	ended(k, CL_REC_FD_END, 1, S(11), CL_HOW_FIN);
	tick(k, S(12), NULL, 0);
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_APP);
	assert_int_equal(find(k, EV_CLOSE)->t_ns, S(11));
}

static void adopted_ones_bring_their_bytes(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(10), HELD | CL_ADOPTED);

	s.tx_bytes = 100;
	s.rx_bytes = 200;
	s.tx_age_jiffies = 1000;
	s.rx_age_jiffies = 999;
	tick(k, S(10), &s, 1);
	assert_true(find(k, EV_OPEN)->open.adopted);
	assert_int_equal(find(k, EV_IO)->io.tx, 100);
	assert_int_equal(find(k, EV_IO)->io.tx_ns, S(6));
	assert_int_equal(find(k, EV_IO)->io.rx_ns, S(10) - 999 * 4 * NS_PER_MS);
}

static void an_age_from_a_wrapped_counter_is_not_measured(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(10), HELD | CL_ADOPTED);

	s.tx_bytes = 1;
	s.tx_age_jiffies = 0x80000001u;
	tick(k, S(10), &s, 1);
	assert_int_equal(find(k, EV_IO)->io.tx_ns, T_NEVER);
	assert_int_equal(find(k, EV_IO)->io.rx_ns, T_NEVER);
}

static void after_a_loss_the_kernels_counters_hold_less_what_waits(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct pass p = {.now_ns = S(12), .pass_ns = S(12), .socks = &open, .n = 1};

	opened(k, 1, S(9));
	tick(k, S(10), &open, 1);
	k->has_counts = true;
	k->counts = (struct counts){.opened = 100, .closed = 98, .open = 2};
	p.lost[LOST_RING] = 50;
	opened(k, 2, S(13));
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(find(k, EV_LOST)->lost.events, 50);
	assert_int_equal(find(k, EV_LOST)->lost.where, LOST_RING);
	assert_int_equal(find(k, EV_COUNT)->count.opened, 99);
	assert_int_equal(find(k, EV_COUNT)->count.closed, 98);
	assert_int_equal(find(k, EV_COUNT)->count.open, 1);
}

static void a_lost_exit_is_told_by_the_counters(void **state)
{
	struct kernel_side *k = *state;
	struct pass p = {.now_ns = S(12), .pass_ns = S(12)};

	opened(k, 1, S(9));
	ended(k, CL_REC_SLOT_END, 1, S(9), CL_HOW_EXIT);
	tick(k, S(10), NULL, 0);
	assert_int_equal(k->forgotten, 0);
	k->has_counts = true;
	k->exit_ns = S(11);
	p.lost[LOST_RING] = 1;
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_non_null(find(k, EV_EXIT));
	assert_int_equal(k->forgotten, 1);
}

static void a_dead_holder_is_forgotten_when_nothing_of_it_is_open(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(8), HELD);

	opened(k, 1, S(8));
	tick(k, S(9), &open, 1);
	exited(k, S(10));
	tick(k, S(11), &open, 1);
	assert_non_null(find(k, EV_EXIT));
	assert_int_equal(k->forgotten, 0);
	ended(k, CL_REC_SLOT_END, 1, S(11) + 1, CL_HOW_EXIT);
	tick(k, S(12), NULL, 0);
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_EXIT);
	assert_int_equal(k->forgotten, 1);
}

static void unknown_and_short_records_are_refused(void **state)
{
	struct kernel_side *k = *state;
	struct cl_rec r = {.kind = 99};

	assert_int_equal(translator_record(k->t, &r, sizeof(r)), -EINVAL);
	r.kind = CL_REC_OPEN;
	assert_int_equal(translator_record(k->t, &r, sizeof(r)), -EINVAL);
	tick(k, S(1), NULL, 0);
	assert_int_equal(k->s.n_events, 1);
}

#define TRANSLATE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRANSLATE_TEST(a_holder_comes_before_its_first_event),
		TRANSLATE_TEST(a_record_later_than_the_tick_waits),
		TRANSLATE_TEST(an_opening_without_record_is_made_up_once_it_is_late),
		TRANSLATE_TEST(a_vanished_connection_is_closed_after_two_passes),
		TRANSLATE_TEST(an_orphan_in_fin_wait_is_closed_after_two_passes),
		TRANSLATE_TEST(a_close_with_the_descriptor_kept_is_a_shutdown),
		TRANSLATE_TEST(the_server_closing_first_is_a_fin_and_then_a_close),
		TRANSLATE_TEST(adopted_ones_bring_their_bytes),
		TRANSLATE_TEST(an_age_from_a_wrapped_counter_is_not_measured),
		TRANSLATE_TEST(after_a_loss_the_kernels_counters_hold_less_what_waits),
		TRANSLATE_TEST(a_lost_exit_is_told_by_the_counters),
		TRANSLATE_TEST(a_dead_holder_is_forgotten_when_nothing_of_it_is_open),
		TRANSLATE_TEST(unknown_and_short_records_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
