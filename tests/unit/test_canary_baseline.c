/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_canary_baseline.c - a canary beside a control: what is compared, and what that may change
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

#define CANDIDATE 1
#define WINDOW_S  900

/* Holder 1 is the candidate, the others are the control; all run the same program. */
struct run {
	struct stream s;
	uint64_t n_holders;
	int every_s; /* between two requests of a holder */
	int t_s;
	uint64_t next_conn;
};

static bool is_first(const struct holder *h, const struct peer *p, void *arg)
{
	(void)p, (void)arg;
	return h->id == CANDIDATE;
}

static bool is_other(const struct holder *h, const struct peer *p, void *arg)
{
	(void)p, (void)arg;
	return h->id != CANDIDATE;
}

static bool is_any(const struct holder *h, const struct peer *p, void *arg)
{
	(void)h, (void)p, (void)arg;
	return true;
}

static void note(struct stream *s, int64_t now_ns)
{
	canary_tick(s->arg, s->pt, s->d, now_ns);
}

static void begin(struct run *r, uint64_t n_controls, canary_filter is_control)
{
	const struct canary_params p = {.window_ns = WINDOW_S * NS_PER_S,
					.detect_per_min = 0.5,
					.confidence = 0.99,
					.is_target = is_first,
					.is_control = is_control,
					.control = "exe=/app/orders"};

	*r = (struct run){.n_holders = 1 + n_controls, .every_s = 1, .t_s = 1, .next_conn = 1};
	stream_init(&r->s, true, NULL);
	r->s.arg = canary_new(&p);
	assert_non_null(r->s.arg);
	r->s.on_tick = note;
	for (uint64_t h = 1; h <= r->n_holders; h++)
		holder(&r->s, 0, h, "shop/orders/app");
}

static void leaves(struct run *r, uint64_t h, double t_s)
{
	open_by(&r->s, t_s, r->next_conn, h, (uint32_t)h);
	query(&r->s, t_s + 0.001, r->next_conn++, 150);
}

/* Healthy requests of all until @to_s; @silent: a holder that makes none, 0: all do. */
static void requests_but(struct run *r, int to_s, uint64_t silent)
{
	for (; r->t_s < to_s; r->t_s += r->every_s)
		for (uint64_t h = 1; h <= r->n_holders; h++) {
			double t = r->t_s + 0.02 * (double)h;

			if (h == silent)
				continue;
			open_by(&r->s, t, r->next_conn, h, (uint32_t)h);
			query(&r->s, t + 0.001, r->next_conn, 200);
			closes(&r->s, t + 0.008, r->next_conn++);
		}
}

static void requests(struct run *r, int to_s)
{
	requests_but(r, to_s, 0);
}

static struct verdict end(struct run *r)
{
	struct verdict v;

	requests(r, WINDOW_S);
	stream_run(&r->s, WINDOW_S);
	canary_verdict(r->s.arg, r->s.pt, r->s.d, CANARY_END_TIME, &v);
	canary_free(r->s.arg);
	stream_release(&r->s);
	return v;
}

/* Four of the candidate's, minutes apart: three rungs, one less than any rule of one takes. */
static void candidate_leaves_four(struct run *r)
{
	for (int i = 1; i <= 4; i++) {
		requests(r, 120 * i);
		leaves(r, CANDIDATE, 120 * i + 0.9);
		r->t_s++;
	}
}

static void worse_than_nine_controls_is_a_leak(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 9, is_other);
	candidate_leaves_four(&r);
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_WORSE);
	assert_int_equal(v.baseline.abandoned, 4);
	assert_int_equal(v.baseline.control_abandoned, 0);
	assert_near(v.baseline.control_exposure / v.baseline.exposure, 9, 0.02);
	assert_near(v.baseline.p, 1e-4, 1e-5);
	assert_string_equal(v.control, "exe=/app/orders");
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_int_equal(v.holders, 1);
	assert_int_equal(v.n_findings, 0);
	assert_non_null(strstr(v.reason, "worse than the control"));
	/* the power of the planned window, as in any leak verdict */
	assert_near(v.detectable_leak_per_min, 0.318, 0.01);
}

static void with_one_control_the_same_is_not_enough(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 1, is_other);
	candidate_leaves_four(&r);
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_SAME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_null(strstr(v.reason, "control"));
}

static void four_left_in_one_burst_are_worse_and_no_leak(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 9, is_other);
	requests(&r, 400);
	for (int i = 0; i < 4; i++)
		leaves(&r, CANDIDATE, 400.3 + 0.1 * i);
	r.t_s++;
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_WORSE);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
}

static void lost_events_are_not_outvoted_by_a_comparison(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 9, is_other);
	candidate_leaves_four(&r);
	stream_event(&r.s, 500.9, (struct event){.kind = EV_LOST, .lost = {.events = 1}});
	r.t_s++;
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_WORSE);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(v.reason, "lost"));
}

static void a_control_that_leaks_as_fast_says_that_it_is_not_new(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 1, is_other);
	for (int i = 1; i <= 4; i++) {
		requests(&r, 120 * i);
		leaves(&r, CANDIDATE, 120 * i + 0.5);
		leaves(&r, 2, 120 * i + 0.9);
		r.t_s++;
	}
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_SAME);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(v.reason, "not new in this version"));

	begin(&r, 1, is_other);
	for (int i = 1; i <= 20; i++) {
		requests(&r, 20 * i);
		leaves(&r, CANDIDATE, 20 * i + 0.5);
		leaves(&r, 2, 20 * i + 0.9);
		r.t_s++;
	}
	v = end(&r);
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_int_equal(v.n_findings, 1);
	assert_non_null(strstr(v.reason, "not new in this version"));
}

static void the_leak_of_the_control_alone_is_not_the_candidates(void **state)
{
	struct canary_progress p;
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 1, is_other);
	for (int i = 1; i <= 40; i++) {
		requests(&r, 20 * i);
		leaves(&r, 2, 20 * i + 0.9);
		r.t_s++;
	}
	assert_true(r.s.fired_s > 0);
	canary_get_progress(r.s.arg, &p);
	assert_false(p.is_leak);
	v = end(&r);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_int_equal(v.n_findings, 0);
	assert_int_equal(v.left_idle, 0);
	assert_true(v.baseline.control_abandoned >= 38);
	assert_int_equal(v.baseline.result, COMPARISON_SAME);
	assert_null(strstr(v.reason, "not new"));
}

/*
 * Four rungs of the candidate's, three of each control's: none leaks by itself, and the service's
 * rule adds them up. That is no evidence against the candidate.
 */
static struct verdict all_leave_a_few(canary_filter is_control)
{
	struct run r;

	begin(&r, 2, is_control);
	r.every_s = 25;
	for (int i = 1; i <= 5; i++) {
		requests(&r, 100 * i);
		leaves(&r, CANDIDATE, 100 * i + 12);
		if (i < 5) {
			leaves(&r, 2, 100 * i + 13);
			leaves(&r, 3, 100 * i + 14);
		}
	}
	return end(&r);
}

static void what_is_added_up_over_both_counts_for_neither(void **state)
{
	struct verdict v = all_leave_a_few(NULL);

	(void)state;
	assert_int_equal(v.kind, VERDICT_LEAK);
	assert_null(v.control);
	v = all_leave_a_few(is_other);
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(v.reason, "not new in this version"));
}

static void a_control_that_never_came_is_unknown_and_changes_nothing(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 0, is_other);
	candidate_leaves_four(&r);
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_UNKNOWN);
	assert_non_null(strstr(v.baseline.why, "no connection of the control"));
	assert_int_equal(v.kind, VERDICT_INCONCLUSIVE);
	assert_null(strstr(v.reason, "control"));
}

static void a_control_without_traffic_is_unknown(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 1, is_other);
	open_by(&r.s, 0.5, 999999, 2, 2);
	for (int i = 1; i <= 4; i++) {
		requests_but(&r, 120 * i, 2);
		leaves(&r, CANDIDATE, 120 * i + 0.9);
		r.t_s++;
	}
	requests_but(&r, WINDOW_S, 2);
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_UNKNOWN);
	assert_non_null(strstr(v.baseline.why, "no traffic"));
}

static void who_is_both_is_the_candidate(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 9, is_any);
	candidate_leaves_four(&r);
	v = end(&r);
	assert_int_equal(v.baseline.control_abandoned, 0);
	assert_near(v.baseline.control_exposure / v.baseline.exposure, 9, 0.02);
	assert_int_equal(v.kind, VERDICT_LEAK);

	begin(&r, 0, is_any);
	v = end(&r);
	assert_int_equal(v.baseline.result, COMPARISON_UNKNOWN);
	assert_non_null(strstr(v.baseline.why, "watched as the candidate"));
	assert_int_equal(v.kind, VERDICT_PASS);
}

static void what_ended_counts_on_either_side(void **state)
{
	struct verdict v;
	struct run r;

	(void)state;
	begin(&r, 1, is_other);
	for (int i = 1; i <= 6; i++)
		leaves(&r, 2, 0.1 * i);
	requests(&r, 60);
	exits(&r.s, 60.5, 2);
	for (uint64_t c = 1; c <= 6; c++)
		closes_by(&r.s, 60.6, c, CLOSE_EXIT);
	r.n_holders = 1;
	r.t_s = 61;
	v = end(&r);
	assert_int_equal(v.baseline.control_abandoned, 6);
	assert_near(v.baseline.control_exposure, 65, 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worse_than_nine_controls_is_a_leak),
		cmocka_unit_test(with_one_control_the_same_is_not_enough),
		cmocka_unit_test(four_left_in_one_burst_are_worse_and_no_leak),
		cmocka_unit_test(lost_events_are_not_outvoted_by_a_comparison),
		cmocka_unit_test(a_control_that_leaks_as_fast_says_that_it_is_not_new),
		cmocka_unit_test(the_leak_of_the_control_alone_is_not_the_candidates),
		cmocka_unit_test(what_is_added_up_over_both_counts_for_neither),
		cmocka_unit_test(a_control_that_never_came_is_unknown_and_changes_nothing),
		cmocka_unit_test(a_control_without_traffic_is_unknown),
		cmocka_unit_test(who_is_both_is_the_candidate),
		cmocka_unit_test(what_ended_counts_on_either_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
