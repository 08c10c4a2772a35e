/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_canary.c - verdicts: no data never passes, a short window says how long it should be
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

static struct canary *begin(struct stream *s, double window_s, double detect)
{
	struct canary_params p = {.window_ns = (int64_t)(window_s * 1e9),
				  .detect_per_min = detect,
				  .confidence = 0.99};

	stream_init(s, true, NULL);
	s->arg = canary_new(&p);
	assert_non_null(s->arg);
	s->on_tick = note;
	holder(s, 0, 1, "shop/orders/app");
	return s->arg;
}

static struct verdict end(struct stream *s, enum canary_end why)
{
	struct verdict v;

	canary_verdict(s->arg, s->pt, s->d, why, &v);
	canary_free(s->arg);
	stream_release(s);
	assert_true(v.reason[0]);
	return v;
}

static void requests(struct stream *s, double from_s, double to_s, uint64_t holder_id)
{
	uint64_t conn = holder_id * 1000000 + (uint64_t)from_s * 10;

	for (double t = from_s; t < to_s - 0.1; t += 1, conn++) {
		open_by(s, t, conn, holder_id, 1);
		query(s, t + 0.01, conn, 200);
		closes(s, t + 0.03, conn);
	}
	stream_run(s, to_s);
}

static void fifteen_healthy_minutes_pass(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	requests(&s, 1, 900, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_near(v.detectable_leak_per_min, 4.605 / 14.5, 0.001);
	/* one thread, which is seen */
	assert_int_equal(v.threads, 1);
	assert_near(v.named_leak_per_min, 0.95, 0.03);
	assert_near(v.needed_window_s, 30 + 60 * 4.605 / 0.5, 0.001);
	assert_int_equal(v.opened, 899);
	assert_int_equal(v.closed, 899);
	assert_int_equal(v.holders, 1);
	assert_true(v.longest_idle_ns >= 0 && v.longest_idle_ns < NS_PER_S);
	assert_int_equal(v.exchanges, 899);
}

static void five_healthy_minutes_are_too_short_and_say_how_long(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 300, 0.5);
	requests(&s, 1, 300, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_near(v.detectable_leak_per_min, 4.605 / 4.5, 0.001);
	assert_near(v.named_leak_per_min, 3.4, 0.03);
	assert_near(v.needed_window_s, 583, 0.01);
	assert_non_null(strstr(v.reason, "0.5"));
}

static void three_minutes_pass_a_leak_of_three(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 180, 3);
	requests(&s, 1, 180, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_PASS);
}

static void a_leak_is_named_with_its_finding_and_the_planned_power(void **state)
{
	struct canary_progress p;
	struct verdict v;
	struct canary *c;
	struct stream s;

	(void)state;
	c = begin(&s, 900, 0.5);
	for (uint64_t i = 1; i <= 25; i++) {
		opens(&s, 1 + (double)i * 6, i);
		query(&s, 1.1 + (double)i * 6, i, 100);
	}
	stream_run(&s, 160);
	canary_get_progress(c, &p);
	assert_true(p.is_leak);
	assert_true(p.k >= 5);
	assert_int_equal(p.open, 25);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_int_equal(v.n_findings, 1);
	assert_int_equal(strlen(v.findings[0]), 16);
	assert_near(v.detectable_leak_per_min, 0.318, 0.01);
	assert_near(v.needed_window_s, 583, 0.01);
	assert_near(v.watched_s, 160, 0.01);
	assert_int_equal(v.usage, 0);
}

static void no_traffic_never_passes(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 3600, 0.5);
	for (uint64_t i = 1; i <= 5; i++)
		adopts(&s, 0.5, i);
	stream_run(&s, 3600);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_true(isnan(v.needed_window_s));
	assert_int_equal(v.adopted, 5);

	begin(&s, 3600, 0.5);
	stream_run(&s, 3600);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_int_equal(v.holders, 0);
}

static void nineteen_exchanges_are_not_enough(void **state)
{
	(void)state;
	for (int n = 19; n <= 20; n++) {
		struct verdict v;
		struct stream s;

		begin(&s, 900, 0.5);
		for (int i = 0; i < n; i++)
			requests(&s, 40 * (i + 1), 40 * (i + 1) + 1, 1);
		stream_run(&s, 900);
		v = end(&s, CANARY_END_TIME);
		assert_int_equal(v.exchanges, n);
		assert_int_equal(v.kind, n == 20 ? VERDICT_PASS : VERDICT_INCONCLUSIVE);
	}
}

static void traffic_on_adopted_ones_passes_and_says_that_nothing_was_opened(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	for (uint64_t i = 1; i <= 5; i++)
		adopts(&s, 0.5, i);
	for (int t = 2; t < 900; t += 2)
		query(&s, t, 1 + (uint64_t)t % 5, 90 + (uint64_t)t % 77);
	stream_run(&s, 900);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_non_null(strstr(v.reason, "nothing was opened"));
}

static void lost_events_make_it_inconclusive(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	requests(&s, 1, 400, 1);
	stream_event(&s, 400.5, (struct event){.kind = EV_LOST, .lost = {.events = 7}});
	requests(&s, 401, 900, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_int_equal(v.lost_events, 7);
}

static void what_the_watched_process_did_stays_counted_after_its_end(void **state)
{
	static const struct {
		enum canary_end why;
		enum verdict_kind want;
	} t[] = {
		{CANARY_END_TARGET_GONE, VERDICT_INCONCLUSIVE},
		{CANARY_END_PROGRAM, VERDICT_PASS},
		{CANARY_END_INTERRUPTED, VERDICT_PASS},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++) {
		struct verdict v;
		struct stream s;

		begin(&s, 1800, 0.5);
		requests(&s, 1, 900, 1);
		exits(&s, 900.5, 1);
		stream_run(&s, 903);
		assert_int_equal(proctab_find_holder(s.pt, 1), SLOT_NONE);
		v = end(&s, t[i].why);
		assert_int_equal(v.kind, t[i].want);
		assert_int_equal(v.opened, 899);
		assert_int_equal(v.exchanges, 899);
		assert_int_equal(v.open, 0);
	}
}

static void what_is_left_idle_asks_for_a_longer_window(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	requests(&s, 1, 500, 1);
	for (uint64_t i = 1; i <= 3; i++)
		opens(&s, 500 + (double)i * 0.1, i);
	requests(&s, 501, 900, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_int_equal(v.left_idle, 3);
	assert_int_equal(v.unseen, 0);
	assert_near(v.needed_window_s, 30 + 60 * 10.05 / 0.5, 0.01);
}

static void what_was_left_while_warming_up_may_be_forgiven(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 1500, 0.5);
	for (uint64_t i = 1; i <= 8; i++)
		opens(&s, 1 + (double)i * 0.1, i);
	requests(&s, 3, 1500, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.left_idle, 8);
	assert_int_equal(v.kind, VERDICT_PASS);
	/* Above what the last two thirds alone would say: the second look is paid for. */
	assert_true(v.detectable_leak_per_min > 4.605 * 60 / (1000 - 30));
	assert_near(v.detectable_leak_per_min, 0.305, 0.01);
	assert_non_null(strstr(v.why, "warming up"));
}

/* At @at_s of a watch of @window_s @n connections are left behind; nothing else ever is. */
static struct verdict left_at(double window_s, double at_s, uint64_t n)
{
	struct stream s;

	begin(&s, window_s, 0.5);
	requests(&s, 1, at_s, 1);
	for (uint64_t i = 1; i <= n; i++)
		opens(&s, at_s + (double)i * 0.001, i);
	requests(&s, at_s + 1, window_s, 1);
	return end(&s, CANARY_END_TIME);
}

static void the_window_that_is_needed_is_the_one_that_passes(void **state)
{
	static const struct {
		double at_s;
		uint64_t n;
		double needed_s;
		bool is_least; /* else what was left falls into the first third before */
	} t[] = {{2, 0, 583, true},    {2, 1, 827, true},    {2, 2, 931, true},
		 {2, 20, 931, true},   {2, 300, 931, true},  {450, 1, 827, true},
		 {450, 3, 1245, true}, {450, 6, 1814, false}};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++) {
		struct verdict v = left_at(600, t[i].at_s, t[i].n), again;

		assert_int_equal(v.kind, t[i].n ? VERDICT_INCONCLUSIVE : VERDICT_PASS);
		assert_near(v.needed_window_s, t[i].needed_s, 0.002);
		again = left_at(ceil(v.needed_window_s), t[i].at_s, t[i].n);
		assert_int_equal(again.kind, VERDICT_PASS);
		again = left_at(floor(v.needed_window_s) - 3, t[i].at_s, t[i].n);
		assert_int_equal(again.kind, t[i].is_least ? VERDICT_INCONCLUSIVE : VERDICT_PASS);
	}
}

/* An idle pool, as large as it may be, that has served what there was: no reason to wait. */
static void adopted_ones_that_lie_idle_do_not_lengthen_the_watch(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	for (uint64_t i = 1; i <= 200; i++)
		adopts(&s, 0.5, i);
	requests(&s, 1, 900, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_int_equal(v.left_idle, 0);
	assert_near(v.needed_window_s, 583, 0.01);
}

/* A process that opened one and lets it lie: nothing was opened since, nothing passed it over. */
static void the_newest_of_each_process_counts_as_well(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	for (uint64_t n = 0; n <= 3; n++) {
		static const double bound[] = {0.318, 0.458, 0.599, 0.699};

		begin(&s, 900, 0.5);
		holder(&s, 0.5, 99, "shop/orders/app");
		for (uint64_t h = 2; h <= n; h++)
			holder(&s, 0.5, h, "shop/orders/app");
		requests(&s, 1, 800, 99);
		for (uint64_t h = 1; h <= n; h++)
			open_by(&s, 800 + (double)h * 0.1, h, h, 1);
		requests(&s, 801, 900, 99);
		v = end(&s, CANARY_END_TIME);
		assert_int_equal(v.left_idle, 0);
		assert_int_equal(v.unseen, n);
		assert_near(v.detectable_leak_per_min, bound[n], 0.001);
		assert_int_equal(v.kind, n <= 1 ? VERDICT_PASS : VERDICT_INCONCLUSIVE);
	}
}

/* A leak is in one service: of five with one connection each it is one that may have leaked. */
static void of_many_services_the_one_that_has_most_counts(void **state)
{
	static const char *const groups[] = {"a", "b", "c", "d", "d"};
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	for (uint64_t i = 0; i < T_COUNT(groups); i++)
		holder(&s, 0.5, 11 + i, groups[i]);
	requests(&s, 1, 800, 1);
	for (uint64_t i = 0; i < T_COUNT(groups); i++)
		open_by(&s, 800 + 0.1 * (double)i, 1 + i, 11 + i, 1);
	requests(&s, 801, 900, 1);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.holders, 6);
	assert_int_equal(v.unseen, 2);
}

/* Six lost a minute, and a new process each minute: never enough for a rule of one process. */
static void what_a_process_left_behind_counts_after_its_end(void **state)
{
	uint64_t conn = 1;
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	for (uint64_t life = 1; life <= 15; life++) {
		double t = (double)(life - 1) * 60 + 0.2;

		holder(&s, t, life, "shop/orders/app");
		for (uint32_t i = 0; i < 57; i++, conn++) {
			open_by(&s, t + 1 + i, conn, life, 1 + i);
			query(&s, t + 1.1 + i, conn, 150);
			if (i % 10)
				closes(&s, t + 1.2 + i, conn);
		}
		exits(&s, t + 59, life);
		for (uint64_t i = 57; i > 0; i -= i > 10 ? 10 : i)
			closes_by(&s, t + 59.1, conn - i, CLOSE_EXIT);
	}
	stream_run(&s, 900);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_true(v.left_idle >= 45);
	assert_true(v.detectable_leak_per_min > 3);
}

static void a_leak_once_named_stays_named(void **state)
{
	struct verdict then, v;
	struct stream s;

	(void)state;
	begin(&s, 1200, 0.5);
	leak(&s, 1, 160, 6, 1);
	canary_verdict(s.arg, s.pt, s.d, CANARY_END_TIME, &then);
	assert_int_equal(then.kind, VERDICT_LEAK);
	exits(&s, 200, 1);
	for (uint64_t i = 1; i <= 27; i++)
		closes_by(&s, 200.1, i, CLOSE_EXIT);
	stream_run(&s, 201);
	canary_verdict(s.arg, s.pt, s.d, CANARY_END_PROGRAM, &v);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_null(strstr(v.reason, "0 connections"));
	/* A repaired one takes its place. */
	holder(&s, 202, 2, "shop/orders/app");
	requests(&s, 203, 1200, 2);
	assert_int_equal(proctab_find_holder(s.pt, 1), SLOT_NONE);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_int_equal(v.n_findings, 1);
	assert_string_equal(v.findings[0], then.findings[0]);
	assert_null(strstr(v.reason, "none of them came back"));
	assert_int_equal(v.usage, SLOT_NONE);
}

static void both_figures_are_told_at_any_confidence(void **state)
{
	static const double confidence[] = {0.5, 0.9, 0.99, 0.9999};
	struct verdict before = {0}, v;

	(void)state;
	for (size_t i = 0; i < T_COUNT(confidence); i++) {
		struct canary_params p = {.window_ns = 900 * NS_PER_S,
					  .detect_per_min = 0.5,
					  .confidence = confidence[i]};
		struct stream s;

		canary_free(begin(&s, 900, 0.5));
		s.arg = canary_new(&p);
		requests(&s, 1, 900, 1);
		v = end(&s, CANARY_END_TIME);
		assert_true(v.detectable_leak_per_min > before.detectable_leak_per_min);
		assert_true(v.named_leak_per_min > before.named_leak_per_min);
		assert_true(v.named_leak_per_min > v.detectable_leak_per_min);
		before = v;
	}
}

static void only_the_target_counts(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	holder(&s, 0.5, 2, "other");
	/* Both are the target when none is named. */
	requests(&s, 1, 450, 1);
	requests(&s, 451, 900, 2);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.holders, 2);
	assert_int_equal(v.opened, 898);
	assert_int_equal(v.kind, VERDICT_PASS);
}

static bool is_second(const struct holder *h, const struct peer *p, void *arg)
{
	assert_non_null(p);
	(void)arg;
	return h->id == 2;
}

static void the_leak_of_a_neighbour_is_not_the_targets(void **state)
{
	struct canary_params p = {.window_ns = 300 * NS_PER_S,
				  .detect_per_min = 2,
				  .confidence = 0.99,
				  .is_target = is_second};
	struct verdict v;
	struct stream s;

	(void)state;
	canary_free(begin(&s, 300, 2));
	s.arg = canary_new(&p);
	holder(&s, 0.5, 2, "other");
	for (int i = 0; i < 298; i++) {
		if (i % 6 == 0)
			opens(&s, 1 + i, 1 + (uint64_t)i);
		requests(&s, 1.1 + i, 2.1 + i, 2);
	}
	stream_run(&s, 300);
	assert_true(s.fired_s > 0);
	v = end(&s, CANARY_END_TIME);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_int_equal(v.holders, 1);
}

static void an_empty_watch_is_inconclusive(void **state)
{
	struct verdict v;
	struct stream s;

	(void)state;
	begin(&s, 900, 0.5);
	v = end(&s, CANARY_END_INTERRUPTED);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_true(isnan(v.detectable_leak_per_min));
	assert_true(v.watched_s == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifteen_healthy_minutes_pass),
		cmocka_unit_test(five_healthy_minutes_are_too_short_and_say_how_long),
		cmocka_unit_test(three_minutes_pass_a_leak_of_three),
		cmocka_unit_test(a_leak_is_named_with_its_finding_and_the_planned_power),
		cmocka_unit_test(no_traffic_never_passes),
		cmocka_unit_test(nineteen_exchanges_are_not_enough),
		cmocka_unit_test(traffic_on_adopted_ones_passes_and_says_that_nothing_was_opened),
		cmocka_unit_test(lost_events_make_it_inconclusive),
		cmocka_unit_test(what_the_watched_process_did_stays_counted_after_its_end),
		cmocka_unit_test(what_is_left_idle_asks_for_a_longer_window),
		cmocka_unit_test(what_was_left_while_warming_up_may_be_forgiven),
		cmocka_unit_test(what_a_process_left_behind_counts_after_its_end),
		cmocka_unit_test(a_leak_once_named_stays_named),
		cmocka_unit_test(the_window_that_is_needed_is_the_one_that_passes),
		cmocka_unit_test(adopted_ones_that_lie_idle_do_not_lengthen_the_watch),
		cmocka_unit_test(the_newest_of_each_process_counts_as_well),
		cmocka_unit_test(of_many_services_the_one_that_has_most_counts),
		cmocka_unit_test(both_figures_are_told_at_any_confidence),
		cmocka_unit_test(only_the_target_counts),
		cmocka_unit_test(the_leak_of_a_neighbour_is_not_the_targets),
		cmocka_unit_test(an_empty_watch_is_inconclusive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
