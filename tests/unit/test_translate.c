/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_translate.c - kernel records and passes, written by hand, to events
 * objects: collect/translate.o collect/translate_held.o collect/translate_count.o core/event.o
 * objects: core/endpoint.o core/holder_info.o core/site_info.o core/idmap.o core/slots.o
 * objects: core/app_frame.o
 */
#include "kernel_side.h"

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
	k->late_open = 2;
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(find(k, EV_LOST)->lost.events, 50);
	assert_int_equal(find(k, EV_LOST)->lost.where, LOST_RING);
	assert_int_equal(find(k, EV_COUNT)->count.opened, 99);
	assert_int_equal(find(k, EV_COUNT)->count.closed, 98);
	assert_int_equal(find(k, EV_COUNT)->count.open, 1);
}

static void a_holder_whose_records_were_all_lost_is_counted(void **state)
{
	struct kernel_side *k = *state;
	const struct pass p = {.now_ns = S(12), .pass_ns = S(12), .lost = {9}};

	tick(k, S(10), NULL, 0);
	k->has_untold = k->has_counts = true;
	k->exit_ns = S(11);
	k->counts = (struct counts){.opened = 5, .closed = 5};
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(find(k, EV_COUNT)->count.opened, 5);
	assert_non_null(find(k, EV_EXIT));
	for (size_t i = 1; i < k->s.n_events; i++)
		assert_true(k->s.events[i - 1].t_ns <= k->s.events[i].t_ns);
	/* nothing of it can come any more */
	assert_int_equal(k->forgotten, 1);
}

static void after_making_up_the_counters_are_told(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);

	k->has_counts = true;
	k->counts = (struct counts){.opened = 1};
	tick(k, S(10), &open, 1);
	tick(k, S(11), &open, 1);
	assert_non_null(find(k, EV_OPEN));
	/* the opening was made up, and the kernel had counted it */
	assert_int_equal(find(k, EV_COUNT)->count.opened, 1);
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
	tick(k, S(13), NULL, 0);
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

static void failed(struct kernel_side *k, int64_t t_ns)
{
	ended(k, CL_REC_FAIL, 9, t_ns, CL_HOW_NONE);
}

static void a_connect_that_outlives_its_process_leaves_nothing_behind(void **state)
{
	struct kernel_side *k = *state;

	/* the exit comes before the failure that it causes; in one tick ... */
	k->has_counts = true;
	k->counts.failed = 1;
	exited(k, S(9));
	failed(k, S(9) + 1);
	tick(k, S(10), NULL, 0);
	assert_non_null(find(k, EV_EXIT));
	assert_non_null(find(k, EV_FAIL));
	assert_int_equal(k->forgotten, 1);
	/* ... and in two */
	exited(k, S(11));
	tick(k, S(12), NULL, 0);
	k->has_counts = false;
	failed(k, S(13));
	tick(k, S(14), NULL, 0);
	assert_int_equal(k->s.n_events, 1);
}

static void what_an_array_left_out_is_not_gone(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct pass p = {.socks = &open, .n_missed = 1};

	opened(k, 1, S(9));
	tick(k, S(10), &open, 1);
	for (int i = 11; i < 15; i++) {
		p.now_ns = p.pass_ns = S(i);
		snapshot_clear(&k->s);
		assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
		assert_null(find(k, EV_CLOSE));
	}
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
		TRANSLATE_TEST(a_holder_whose_records_were_all_lost_is_counted),
		TRANSLATE_TEST(after_making_up_the_counters_are_told),
		TRANSLATE_TEST(a_lost_exit_is_told_by_the_counters),
		TRANSLATE_TEST(a_dead_holder_is_forgotten_when_nothing_of_it_is_open),
		TRANSLATE_TEST(a_connect_that_outlives_its_process_leaves_nothing_behind),
		TRANSLATE_TEST(what_an_array_left_out_is_not_gone),
		TRANSLATE_TEST(unknown_and_short_records_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
