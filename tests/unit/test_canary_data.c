/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_canary_data.c - no data never passes, whichever way it is missing; what the power rests on
 * objects: core/canary.o core/canary_verdict.o core/power.o core/baseline.o core/text.o
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include "../../user/core/canary.h"
#include "stream.h"

static void note(struct stream *s, int64_t now_ns)
{
	canary_tick(s->arg, s->pt, s->d, now_ns);
}

static void begin_with(struct stream *s, double start_s, double window_s,
		       const struct proctab_limits *limits)
{
	struct canary_params p = {.window_ns = (int64_t)(window_s * 1e9),
				  .start_ns = (int64_t)(start_s * 1e9),
				  .detect_per_min = 0.5,
				  .confidence = 0.99};

	stream_init(s, true, limits);
	s->arg = canary_new(&p);
	assert_non_null(s->arg);
	s->on_tick = note;
	holder(s, 0, 1, "shop/orders/app");
}

static void begin(struct stream *s, double window_s)
{
	begin_with(s, 0, window_s, NULL);
}

static struct verdict end(struct stream *s, enum canary_end why)
{
	struct verdict v;

	canary_verdict(s->arg, s->pt, s->d, why, &v);
	canary_free(s->arg);
	stream_release(s);
	assert_true(v.reason[0] && v.why[0]);
	return v;
}

/* One a second, by @n_threads in turn. */
static void requests_by(struct stream *s, double from_s, double to_s, uint32_t n_threads)
{
	uint64_t conn = 1000000 + (uint64_t)from_s * 10;

	for (double t = from_s; t < to_s - 0.1; t += 1, conn++) {
		open_by(s, t, conn, 1, 1 + (uint32_t)(conn % n_threads));
		query(s, t + 0.01, conn, 200);
		closes(s, t + 0.03, conn);
	}
	stream_run(s, to_s);
}

static void requests(struct stream *s, double from_s, double to_s)
{
	requests_by(s, from_s, to_s, 1);
}

static void interrupted_after_twenty_seconds_nothing_is_known(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900);
	requests(&s, 0.2, 20);
	requests(&s, 20.2, 23);
	v = end(&s, CANARY_END_INTERRUPTED);
	assert_true(v.exchanges >= 20);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_true(isnan(v.detectable_leak_per_min));
	assert_true(isnan(v.named_leak_per_min));
	assert_near(v.needed_window_s, 583, 0.01);
	assert_non_null(strstr(v.reason, "rule out no leak at all"));
}

/* SIGINT judges what was seen, in either direction. */
static void interrupted_late_enough_it_may_pass(void **state)
{
	static const struct {
		double at_s;
		enum verdict_kind want;
	} t[] = {{570, VERDICT_INCONCLUSIVE}, {590, VERDICT_PASS}};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++) {
		struct stream s;

		begin(&s, 3600);
		requests(&s, 1, t[i].at_s);
		assert_int_equal(end(&s, CANARY_END_INTERRUPTED).kind, t[i].want);
		/* ... but not of itself */
		begin(&s, 3600);
		requests(&s, 1, t[i].at_s);
		assert_int_equal(end(&s, CANARY_END_TIME).kind, VERDICT_INCONCLUSIVE);
	}
}

static void traffic_of_the_first_minute_says_nothing_about_the_others(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900);
	requests(&s, 1, 60);
	stream_run(&s, 900);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.exchanges, 59);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_near(v.quiet_s, 900 - 59 - 120, 0.01);
	assert_non_null(strstr(v.reason, "with traffic"));
	assert_non_null(strstr(v.why, "no traffic"));
}

static void nor_does_that_of_the_last(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900);
	requests(&s, 840, 900);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_near(v.quiet_s, 840 - 120, 0.01);
	assert_true(v.detectable_leak_per_min > 1.8);
}

/* Twenty connections, each pinged by its pool, and nobody asks anything. */
static void pings_are_no_traffic(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900);
	for (uint64_t i = 1; i <= 20; i++)
		adopts(&s, 0.5, i);
	for (int t = 30; t < 900; t += 30)
		for (uint64_t i = 1; i <= 20; i++)
			query(&s, t + 0.02 * (double)i, i, 5);
	stream_run(&s, 900);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
}

static void losses_count_from_the_start_of_the_window_on(void **state)
{
	(void)state;
	for (int at_s = 50; at_s <= 200; at_s += 150) {
		struct verdict v;
		struct stream s;

		begin_with(&s, 100, 900, NULL);
		requests(&s, 1, at_s);
		stream_event(&s, at_s + 0.5,
			     (struct event){.kind = EV_LOST, .lost = {.events = 3}});
		requests(&s, at_s + 1, 1000);
		v = end(&s, CANARY_END_TIME);
		assert_int_equal(v.lost_events, at_s < 100 ? 0 : 3);
		assert_int_equal(v.kind, at_s < 100 ? VERDICT_PASS : VERDICT_INCONCLUSIVE);
	}
}

static void a_full_table_is_a_loss(void **state)
{
	const struct proctab_limits limits = {.max_conns = 4};
	struct verdict v;
	struct stream s;

	(void)state;
	begin_with(&s, 0, 900, &limits);
	requests(&s, 1, 700);
	for (uint64_t i = 1; i <= 6; i++)
		opens(&s, 700 + 0.1 * (double)i, i);
	for (uint64_t i = 1; i <= 4; i++)
		closes(&s, 702, i);
	requests(&s, 703, 900);
	v = end(&s, CANARY_END_TIME);
	assert_true(v.lost_events >= 2);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
}

static void who_went_early_is_not_passed_on_the_rest(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900);
	requests(&s, 1, 700);
	exits(&s, 700.5, 1);
	stream_run(&s, 711);
	v = end(&s, CANARY_END_TARGET_GONE);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(v.reason, "ended after 11m 51s"));
}

/* --- told before the time is spent --- */

static void a_window_that_cannot_pass_is_known_before(void **state)
{
	static const struct {
		double window_s, detect, confidence, needed_s;
		bool can_pass;
	} t[] = {
		{300, 0.5, 0.99, 582.6, false},	  {582, 0.5, 0.99, 582.6, false},
		{583, 0.5, 0.99, 582.6, true},	  {900, 0.5, 0.99, 582.6, true},
		{300, 0.5, 0.9, 306.3, false},	  {307, 0.5, 0.9, 306.3, true},
		{900, 0.025, 0.99, 11082, false}, {20, 1000, 0.99, 30.3, false},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++) {
		const struct canary_params p = {.window_ns = (int64_t)(t[i].window_s * 1e9),
						.detect_per_min = t[i].detect,
						.confidence = t[i].confidence};
		double needed_s;

		assert_int_equal(canary_can_pass(&p, &needed_s), t[i].can_pass);
		assert_near(needed_s, t[i].needed_s, 0.001);
	}
}

static void what_is_told_before_is_what_comes_true(void **state)
{
	(void)state;
	for (double window_s = 581; window_s <= 585; window_s++) {
		const struct canary_params p = {.window_ns = (int64_t)(window_s * 1e9),
						.detect_per_min = 0.5,
						.confidence = 0.99};
		double needed_s;
		struct stream s;
		bool can = canary_can_pass(&p, &needed_s);

		begin(&s, window_s);
		requests(&s, 1, window_s);
		assert_int_equal(end(&s, CANARY_END_TIME).kind == VERDICT_PASS, can);
	}
}

/* --- what can be named --- */

static void more_threads_that_open_need_a_faster_leak(void **state)
{
	static const struct {
		uint32_t threads;
		double named;
	} t[] = {{1, 0.95}, {8, 1.43}, {40, 2.6}};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++) {
		struct verdict v;
		struct stream s;

		begin(&s, 900);
		requests_by(&s, 1, 900, t[i].threads);
		v = end(&s, CANARY_END_TIME);
		/* a count of hashes: exact for few, within a tenth for many */
		assert_true(fabs((double)v.threads - t[i].threads) <= t[i].threads / 8.0);
		assert_near(v.named_leak_per_min, t[i].named, 0.1);
	}
}

static void code_that_stays_away_for_long_is_named_later(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900);
	opens(&s, 1, 1);
	query(&s, 1.1, 1, 100);
	requests(&s, 2, 200);
	query(&s, 200.1, 1, 100); /* passed over, and back after three minutes: Tx is six */
	closes(&s, 201.5, 1);
	requests(&s, 202, 900);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_true(v.named_leak_per_min > 1.3);
	assert_non_null(strstr(v.why, "came back after up to 3m"));
}

static void less_than_two_minutes_are_sure_to_name_nothing_but_a_flood(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 90);
	requests(&s, 1, 90);
	v = end(&s, CANARY_END_TIME);
	assert_true(isnan(v.named_leak_per_min));
	assert_non_null(strstr(v.why, "no leak is sure to be named"));
	begin(&s, 120);
	requests(&s, 1, 120);
	v = end(&s, CANARY_END_TIME);
	assert_true(v.named_leak_per_min > 15);
}

/* --- a pool that fills looks the same --- */

static void a_leak_from_the_start_on_may_be_a_pool_that_fills(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900);
	leak(&s, 1, 160, 6, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_near(v.filled_s, 157, 0.01);
	assert_non_null(strstr(v.reason, "a pool that fills looks the same"));
}

static void a_leak_amid_requests_or_later_is_no_pool_that_fills(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	/* something was closed */
	begin(&s, 900);
	opens(&s, 1, 500);
	query(&s, 1.1, 500, 100);
	closes(&s, 1.2, 500);
	leak(&s, 2, 160, 6, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_true(v.filled_s == 0);

	/* the process is an hour old */
	begin_with(&s, 3600, 900, NULL);
	leak(&s, 3601, 3760, 6, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_true(v.filled_s == 0);

	/* it goes on for longer than a pool takes to fill */
	begin(&s, 900);
	leak(&s, 1, 400, 6, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_true(v.filled_s == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupted_after_twenty_seconds_nothing_is_known),
		cmocka_unit_test(interrupted_late_enough_it_may_pass),
		cmocka_unit_test(traffic_of_the_first_minute_says_nothing_about_the_others),
		cmocka_unit_test(nor_does_that_of_the_last),
		cmocka_unit_test(pings_are_no_traffic),
		cmocka_unit_test(losses_count_from_the_start_of_the_window_on),
		cmocka_unit_test(a_full_table_is_a_loss),
		cmocka_unit_test(who_went_early_is_not_passed_on_the_rest),
		cmocka_unit_test(a_window_that_cannot_pass_is_known_before),
		cmocka_unit_test(what_is_told_before_is_what_comes_true),
		cmocka_unit_test(more_threads_that_open_need_a_faster_leak),
		cmocka_unit_test(code_that_stays_away_for_long_is_named_later),
		cmocka_unit_test(less_than_two_minutes_are_sure_to_name_nothing_but_a_flood),
		cmocka_unit_test(a_leak_from_the_start_on_may_be_a_pool_that_fills),
		cmocka_unit_test(a_leak_amid_requests_or_later_is_no_pool_that_fills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
