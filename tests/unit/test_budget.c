/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_budget.c - levels with hysteresis, rate of change, forecast
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include <stdio.h>

#include "../../user/core/detector_impl.h"
#include "stream.h"

struct seen {
	unsigned fired[5], resolved[5], critical[5]; /* by kind */
	double first_s[5];
};

static void note(struct stream *s, int64_t now_ns)
{
	struct seen *seen = s->arg;

	for (uint32_t i = 0; i < detector_n_findings(s->d); i++) {
		struct finding f;

		assert_int_equal(detector_finding(s->d, s->pt, i, &f), 0);
		if (f.fired_ns == now_ns && f.status == FINDING_FIRING) {
			if (!seen->fired[f.kind]++)
				seen->first_s[f.kind] = (double)now_ns / 1e9;
		}
		seen->critical[f.kind] += f.severity == SEVERITY_CRITICAL;
		seen->resolved[f.kind] += f.status == FINDING_RESOLVED;
		/* a level that fell: nobody knows why */
		assert_int_equal(f.resolved_because, RESOLVED_NOT);
		if (f.kind != FINDING_LEAK)
			assert_null(f.holder);
		assert_true(f.reason[0]);
		finding_release(&f);
	}
}

static void begin(struct stream *s, struct seen *seen)
{
	*seen = (struct seen){0};
	stream_init(s, true, NULL);
	holder(s, 0, 1, "g");
	s->on_tick = note;
	s->arg = seen;
}

static void swinging_around_the_level_is_one_finding(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	begin(&s, &seen);
	for (int t = 1; t < 2000; t += 10)
		budget(&s, t, 100, t / 10 % 2 ? 66 : 74);
	assert_int_equal(seen.fired[FINDING_BUDGET], 1);
	assert_int_equal(seen.resolved[FINDING_BUDGET], 0);
	budget(&s, 2000, 100, 64);
	stream_run(&s, 2299);
	assert_int_equal(seen.resolved[FINDING_BUDGET], 0);
	stream_run(&s, 2310);
	assert_int_equal(seen.resolved[FINDING_BUDGET], 1);
	assert_int_equal(seen.critical[FINDING_BUDGET], 0);
	assert_int_equal(detector_n_findings(s.d), 0);
	stream_release(&s);
}

static void ninety_percent_is_critical_and_falls_back(void **state)
{
	struct finding f;
	struct seen seen;
	struct stream s;

	(void)state;
	begin(&s, &seen);
	budget(&s, 1, 100, 91);
	stream_run(&s, 5);
	assert_int_equal(detector_finding(s.d, s.pt, 0, &f), 0);
	assert_int_equal(f.severity, SEVERITY_CRITICAL);
	assert_int_equal(f.rule, RULE_BUDGET_90);
	assert_int_equal(f.limit, 100);
	assert_int_equal(f.used, 91);
	assert_int_equal(f.scope, SCOPE_SERVER);
	finding_release(&f);
	budget(&s, 10, 100, 80);
	stream_run(&s, 320);
	assert_int_equal(detector_finding(s.d, s.pt, 0, &f), 0);
	assert_int_equal(f.severity, SEVERITY_WARNING);
	assert_int_equal(f.rule, RULE_BUDGET_70);
	finding_release(&f);
	stream_release(&s);
}

static void a_budget_that_is_not_known_says_nothing(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	begin(&s, &seen);
	for (uint64_t i = 1; i <= 200; i++)
		opens(&s, 1 + (double)i * 0.01, i);
	stream_run(&s, 60);
	assert_int_equal(detector_n_findings(s.d), 0);
	stream_release(&s);
}

static void a_budget_names_who_has_the_connections(void **state)
{
	static const struct {
		const char *group, *comm;
		uint64_t n;
	} who[] = {{"a", "billing", 20},
		   {"b", "pgbouncer", 17},
		   {"c", "or\x1b[1m", 30},
		   {"c", "or\x1b[1m", 12},
		   {"d", "cron", 2}};
	uint64_t conn = 1;
	struct finding f;
	struct stream s;

	(void)state;
	stream_init(&s, false, NULL);
	budget(&s, 0.5, 100, -1);
	for (uint64_t h = 1; h <= T_COUNT(who); h++) {
		struct holder_info info = {.pid = (uint32_t)h, .uid = -1};

		info.group = (char *)who[h - 1].group;
		snprintf(info.comm, sizeof(info.comm), "%s", who[h - 1].comm);
		stream_event(&s, 1, (struct event){.kind = EV_HOLDER, .holder = h, .info = &info});
		for (uint64_t i = 0; i < who[h - 1].n; i++)
			open_by(&s, 1.1, conn++, h, 1);
	}
	stream_run(&s, 3);
	assert_int_equal(detector_finding(s.d, s.pt, 0, &f), 0);
	assert_int_equal(f.kind, FINDING_BUDGET);
	assert_non_null(strstr(f.reason, ": or\\x1B[1m 42, billing 20, pgbouncer 17"));
	finding_release(&f);
	stream_release(&s);
}

static void the_nodes_share_is_set_against_the_nodes_connections(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	begin(&s, &seen);
	budget(&s, 0.5, 10, -1);
	for (uint64_t i = 1; i <= 6; i++)
		opens(&s, 1 + (double)i * 0.01, i);
	stream_run(&s, 20);
	assert_int_equal(seen.fired[FINDING_BUDGET], 0);
	opens(&s, 21, 7);
	stream_run(&s, 22);
	assert_int_equal(seen.fired[FINDING_BUDGET], 1);
	stream_release(&s);
}

static void steady_growth_past_half_fires_rate(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	begin(&s, &seen);
	/* One each four seconds: at 50 % 200 s are left. */
	for (int t = 1; t < 300; t += 4)
		budget(&s, t, 100, t / 4);
	assert_int_equal(seen.fired[FINDING_RATE], 1);
	assert_true(seen.first_s[FINDING_RATE] >= 200 && seen.first_s[FINDING_RATE] <= 290);
	assert_true(seen.critical[FINDING_RATE] > 0);
	stream_run(&s, 1200); /* it stands still */
	assert_int_equal(seen.fired[FINDING_RATE], 1);
	assert_int_equal(seen.resolved[FINDING_RATE], 1);
	stream_release(&s);
}

static void a_level_high_and_flat_is_no_rate(void **state)
{
	struct seen seen;
	struct stream s;

	(void)state;
	begin(&s, &seen);
	budget(&s, 1, 100, 60);
	for (int t = 2; t < 900; t += 7)
		budget(&s, t, 100, 58 + t % 5);
	assert_int_equal(seen.fired[FINDING_RATE], 0);
	stream_release(&s);
}

static void a_leak_tells_when_the_budget_is_gone(void **state)
{
	struct finding f;
	struct seen seen;
	struct stream s;
	uint32_t i;

	(void)state;
	begin(&s, &seen);
	budget(&s, 0.5, 97, -1);
	for (uint64_t c = 1; c <= 40; c++)
		opens(&s, (double)c * 6, c);
	i = detector_find(s.d, 0);
	assert_int_not_equal(i, SLOT_NONE);
	assert_int_equal(detector_finding(s.d, s.pt, i, &f), 0);
	/* 57 left at 10 a minute */
	assert_true(f.exhausted_in_s > 280 && f.exhausted_in_s < 400);
	assert_true(f.exhausted_in_low_s < f.exhausted_in_s);
	assert_true(f.exhausted_in_high_s > f.exhausted_in_s);
	assert_int_equal(f.severity, SEVERITY_CRITICAL);
	assert_int_equal(f.limit, 97);
	finding_release(&f);
	stream_release(&s);
}

static void less_left_means_sooner_and_the_interval_holds_it(void **state)
{
	int64_t t[60];
	struct lost_slots lost = {.t_ns = t, .m = 60, .sum_k = 20, .tx_ns = 15 * NS_PER_S};
	double last = INFINITY;

	(void)state;
	for (int i = 0; i < 60; i++)
		t[i] = (int64_t)i * 9 * NS_PER_S;
	for (int64_t left = 500; left >= -3; left -= 7) {
		struct forecast f;

		forecast_compute(&lost, 575 * NS_PER_S, left, &f);
		assert_true(f.eta_s <= last);
		assert_true(f.low_s <= f.eta_s && f.eta_s <= f.high_s);
		last = f.eta_s;
	}
}

static void fewer_than_two_give_no_rate_and_no_limit_no_time(void **state)
{
	int64_t t[] = {0, 10 * NS_PER_S, 20 * NS_PER_S};
	struct lost_slots lost = {.t_ns = t, .m = 1, .sum_k = 1};
	struct forecast f;

	(void)state;
	forecast_compute(&lost, 60 * NS_PER_S, 10, &f);
	assert_true(isnan(f.rate_per_s) && isnan(f.eta_s) && isnan(f.low_s));
	lost.m = 3;
	forecast_compute(&lost, 60 * NS_PER_S, INT64_MAX, &f);
	assert_true(f.rate_per_s > 0 && isnan(f.eta_s) && isnan(f.high_s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swinging_around_the_level_is_one_finding),
		cmocka_unit_test(ninety_percent_is_critical_and_falls_back),
		cmocka_unit_test(a_budget_that_is_not_known_says_nothing),
		cmocka_unit_test(a_budget_names_who_has_the_connections),
		cmocka_unit_test(the_nodes_share_is_set_against_the_nodes_connections),
		cmocka_unit_test(steady_growth_past_half_fires_rate),
		cmocka_unit_test(a_level_high_and_flat_is_no_rate),
		cmocka_unit_test(a_leak_tells_when_the_budget_is_gone),
		cmocka_unit_test(less_left_means_sooner_and_the_interval_holds_it),
		cmocka_unit_test(fewer_than_two_give_no_rate_and_no_limit_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
