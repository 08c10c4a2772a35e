/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector.c - healthy ones are silent, leaking ones are found in time
 * objects: core/detector.o core/cohort.o core/track.o core/rungs.o core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>

#include "stream.h"

static void begin(struct stream *s, bool canary)
{
	stream_init(s, canary, NULL);
	holder(s, 0, 1, "shop/orders/app");
}

static void is_silent(struct stream *s, uint32_t k)
{
	if (s->fired_s >= 0)
		fail_msg("fired after %.0f s by %s", s->fired_s, rule_name(s->fired_rule));
	if (s->max_k > k)
		fail_msg("k = %u, wanted at most %u", s->max_k, k);
	stream_release(s);
}

static void fires(const struct stream *s, enum rule rule, double from_s, double to_s)
{
	if (s->fired_s < from_s || s->fired_s > to_s || s->fired_rule != rule)
		fail_msg("fired after %.0f s by %s, wanted %s within %.0f to %.0f s", s->fired_s,
			 rule_name(s->fired_rule), rule_name(rule), from_s, to_s);
}

static struct finding finding_of(const struct stream *s, uint32_t usage)
{
	uint32_t i = detector_find(s->d, usage);
	struct finding f;

	assert_int_not_equal(i, SLOT_NONE);
	assert_int_equal(detector_finding(s->d, s->pt, i, &f), 0);
	return f;
}

/* One leaked connection every @every_s from @from_s on, each with a sign-on and one query. */
static void leak(struct stream *s, double from_s, double to_s, double every_s, uint64_t conn)
{
	for (double t = from_s; t < to_s; t += every_s, conn++) {
		opens(s, t, conn);
		query(s, t + 0.02, conn, 150);
	}
	stream_run(s, to_s);
}

/* --- healthy --- */

static void pool_of_30_that_is_filled_and_used_is_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, true);
	for (uint64_t i = 1; i <= 30; i++)
		opens(&s, 1 + (double)i * 0.3, i);
	for (int t = 12; t < 900; t++)
		query(&s, t + 0.4, 1 + (uint64_t)(t * 7) % 30, 100 + (uint64_t)t);
	is_silent(&s, 1);
}

static void pool_that_idles_all_night_is_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, true);
	for (uint64_t i = 1; i <= 10; i++) {
		opens(&s, 1 + (double)i, i);
		query(&s, 1.1 + (double)i, i, 100);
	}
	for (int t = 30; t < 300; t += 5)
		query(&s, t, 1 + (uint64_t)(t / 5) % 10, 100 + (uint64_t)t);
	stream_run(&s, 300 + 8 * 3600);
	for (int t = 0; t < 100; t++)
		query(&s, 301 + 8 * 3600 + t, 1 + (uint64_t)t % 10, 90 + (uint64_t)t);
	is_silent(&s, 0);
}

static void connection_per_request_is_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, true);
	for (int i = 0; i < 3000; i++) {
		double t = 1 + i * 0.3;

		opens(&s, t, (uint64_t)i + 1);
		query(&s, t + 0.01, (uint64_t)i + 1, 200);
		closes(&s, t + 0.03, (uint64_t)i + 1);
	}
	is_silent(&s, 0);
}

static void batch_that_opens_40_within_minutes_and_parks_them_is_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, false);
	for (uint64_t i = 1; i <= 40; i++) {
		opens(&s, 1 + (double)i * 6, i);
		query(&s, 1.1 + (double)i * 6, i, 100);
	}
	stream_run(&s, 3600);
	for (uint64_t i = 1; i <= 40; i++)
		closes(&s, 3600 + (double)i * 0.1, i);
	is_silent(&s, 64);
}

static void adopted_ones_alone_are_not_a_leak(void **state)
{
	struct usage_view v;
	struct stream s;

	(void)state;
	begin(&s, true);
	for (uint64_t i = 1; i <= 80; i++)
		adopts(&s, 0.5, i);
	stream_run(&s, 2500);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.idle, 80);
	assert_true(v.oldest_is_lower_bound);
	assert_true(isnan(v.rate_per_min));
	is_silent(&s, 0);
}

static void servers_turn_for_ever_is_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, true);
	for (uint64_t i = 1; i <= 40; i++) {
		opens(&s, 1 + (double)i * 20, i);
		asks(&s, 1.1 + (double)i * 20, i);
	}
	stream_run(&s, 3000);
	is_silent(&s, 0);
}

static void listeners_beside_an_idle_pool_are_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, true);
	for (uint64_t i = 1; i <= 3; i++)
		opens(&s, 1 + (double)i * 30, i); /* LISTEN, never used again */
	for (uint64_t i = 11; i <= 14; i++)
		opens(&s, 100 + (double)i, i);
	for (int t = 120; t < 1800; t += 2)
		query(&s, t, 11 + (uint64_t)(t / 2) % 4, 50 + (uint64_t)t % 90);
	is_silent(&s, 2);
}

/* --- leaking --- */

static void every_request_leaks_10_a_minute_canary_within_150_s(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	begin(&s, true);
	leak(&s, 1, 300, 6, 1);
	fires(&s, RULE_CANARY, 60, 151);
	f = finding_of(&s, 0);
	assert_int_equal(f.kind, FINDING_LEAK);
	assert_int_equal(f.opened, 50);
	assert_int_equal(f.closed, 0);
	assert_int_equal(f.open, 50);
	assert_true(f.leak_rate_low <= 10 && f.leak_rate_high >= 10);
	assert_near(f.leak_rate_per_min, 10, 0.15);
	assert_true(f.leak_fraction == 1);
	assert_int_equal(f.n_conns, FINDING_MAX_CONNS);
	assert_int_equal(f.conns_total, 50);
	assert_int_equal(f.n_sites, 1);
	assert_true(isnan(f.exhausted_in_s));
	assert_int_equal(f.limit, -1);
	finding_release(&f);
	stream_release(&s);
}

static void cold_agent_finds_20_a_minute_after_333_s(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	begin(&s, false);
	leak(&s, 1, 400, 3, 1);
	fires(&s, RULE_COLD, 320, 345);
	f = finding_of(&s, 0);
	assert_true(f.score >= 5 && f.threshold == 5);
	assert_non_null(strstr(f.reason, "none came back"));
	finding_release(&f);
	stream_release(&s);
}

/* Healthy requests first, three a second; then each twentieth of a minute loses one. */
static void healthy_history(struct stream *s, double to_s)
{
	for (int i = 0; 1 + i * 0.5 < to_s; i++) {
		double t = 1 + i * 0.5;

		opens(s, t, 100000 + (uint64_t)i);
		query(s, t + 0.01, 100000 + (uint64_t)i, 200);
		closes(s, t + 0.03, 100000 + (uint64_t)i);
	}
}

static void with_a_healthy_history_20_a_minute_take_92_s(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, false);
	healthy_history(&s, 300);
	leak(&s, 301, 500, 3, 1);
	fires(&s, RULE_WARM, 300 + 80, 300 + 100);
	stream_release(&s);
}

static void history_is_inherited_over_a_deploy(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, false);
	healthy_history(&s, 300);
	exits(&s, 300, 1);
	holder(&s, 301, 2, "shop/orders/app");
	for (int i = 0; i < 60; i++) {
		open_by(&s, 302 + i * 3, 1 + (uint64_t)i, 2, 7);
		query(&s, 302.1 + i * 3, 1 + (uint64_t)i, 150);
	}
	fires(&s, RULE_WARM, 380, 402);
	stream_release(&s);
}

static void close_wait_is_an_fd_leak(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	begin(&s, false);
	for (uint64_t i = 1; i <= 80; i++) {
		double t = (double)i * 5;

		opens(&s, t, i);
		query(&s, t + 0.1, i, 100);
		hears(&s, t + 3, i, 110); /* "terminating connection due to idle-session timeout" */
		fin(&s, t + 3.001, i);
	}
	fires(&s, RULE_COLD, 315, 350);
	f = finding_of(&s, 0);
	assert_int_equal(f.kind, FINDING_FD_LEAK);
	assert_true(f.fd_only > 0);
	assert_true(isnan(f.exhausted_in_s));
	finding_release(&f);
	stream_release(&s);
}

static void leak_with_heartbeats_is_found(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, true);
	for (uint64_t i = 0; i < 100; i++) {
		double t = 1 + (double)i * 10;

		opens(&s, t, i + 1);
		query(&s, t + 0.1, i + 1, 300);
		for (uint64_t j = 0; j <= i; j++)
			query(&s, t + 5 + (double)j * 0.01, j + 1, 20);
	}
	assert_true(s.fired_s > 100 && s.fired_s < 400);
	stream_release(&s);
}

static void threads_that_end_are_found_warm(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, false);
	healthy_history(&s, 200);
	for (uint32_t i = 0; i < 60; i++) {
		open_by(&s, 201 + i * 3, 1 + i, 1, 1000 + i);
		stream_event(&s, 201.5 + i * 3,
			     (struct event){.kind = EV_THREAD_EXIT, .holder = 1, .tid = 1000 + i});
	}
	fires(&s, RULE_WARM, 280, 310);
	stream_release(&s);
}

static void server_of_many_threads_is_found_by_warm_any(void **state)
{
	struct stream s;

	(void)state;
	begin(&s, false);
	healthy_history(&s, 200);
	for (uint32_t i = 0; i < 200; i++)
		open_by(&s, 201 + i * 3, 1 + i, 1, 1000 + i);
	fires(&s, RULE_WARM_ANY, 500, 560);
	stream_release(&s);
}

static void slow_leaks_of_many_workers_are_found_by_service(void **state)
{
	struct stream s;
	uint64_t conn = 1;

	(void)state;
	stream_init(&s, false, NULL);
	for (uint64_t w = 1; w <= 8; w++)
		holder(&s, 0, w, "shop/workers/app");
	for (int i = 0; i < 200; i++) /* healthy returns of all */
		for (uint64_t w = 1; w <= 8; w++, conn++) {
			double t = 1 + i + (double)w * 0.1;

			open_by(&s, t, conn, w, 1);
			query(&s, t + 0.01, conn, 100);
			closes(&s, t + 0.03, conn);
		}
	for (int i = 0; i < 4; i++) /* then each loses one in five minutes */
		for (uint64_t w = 1; w <= 8; w++, conn++)
			open_by(&s, 210 + i * 300 + (double)w * 30, conn, w, 1);
	stream_run(&s, 1500);
	assert_true(s.fired_s > 0);
	assert_int_equal(s.fired_rule, RULE_SERVICE);
	stream_release(&s);
}

static void several_call_sites_are_found_by_process(void **state)
{
	struct stream s;
	uint64_t conn = 1;

	(void)state;
	begin(&s, false);
	for (int i = 0; i < 1200; i++)
		for (uint64_t site = 1; site <= 5; site++, conn++) {
			double t = 1 + i + (double)site * 0.1;
			struct event ev = {.kind = EV_OPEN,
					   .conn = conn,
					   .holder = 1,
					   .tid = 1,
					   .site = site,
					   .open.peer = stream_pg};

			stream_event(&s, t, ev);
			query(&s, t + 0.01, conn, 100);
			/* Two minutes between what one call site loses. */
			if (i > 200 && i % 120 == (int)site * 20)
				continue;
			closes(&s, t + 0.03, conn);
		}
	assert_true(s.fired_s > 300);
	assert_int_equal(s.fired_rule, RULE_PROCESS);
	stream_release(&s);
}

/* --- latch, resolve, identity --- */

static void a_leak_that_stands_still_goes_on_firing(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	begin(&s, true);
	leak(&s, 1, 300, 6, 1);
	stream_run(&s, 300 + 1200);
	f = finding_of(&s, 0);
	assert_int_equal(f.status, FINDING_FIRING);
	finding_release(&f);
	stream_release(&s);
}

struct resolved {
	double at_s;
	enum resolved_because why;
	char id[17];
	unsigned times;
	bool state_seen;
};

static void note_resolved(struct stream *s, int64_t now_ns)
{
	struct resolved *r = s->arg;

	for (uint32_t i = 0; i < detector_n_findings(s->d); i++) {
		struct finding f;

		assert_int_equal(detector_finding(s->d, s->pt, i, &f), 0);
		if (f.status == FINDING_RESOLVED) {
			r->times++;
			r->at_s = (double)now_ns / 1e9;
			r->why = f.resolved_because;
			memcpy(r->id, f.id, sizeof(r->id));
		}
		finding_release(&f);
	}
}

static void resolves_600_s_after_its_process_exits(void **state)
{
	struct resolved r = {0};
	struct finding f;
	struct stream s;

	(void)state;
	begin(&s, true);
	s.on_tick = note_resolved;
	s.arg = &r;
	leak(&s, 1, 200, 6, 1);
	f = finding_of(&s, 0);
	exits(&s, 200.5, 1);
	for (uint64_t i = 1; i <= 34; i++)
		closes_by(&s, 200.6, i, CLOSE_EXIT);
	stream_run(&s, 700);
	assert_int_equal(r.times, 0);
	assert_int_equal(proctab_find_holder(s.pt, 1), 0);
	stream_run(&s, 900);
	assert_int_equal(r.times, 1);
	assert_near(r.at_s, 800, 0.01);
	assert_int_equal(r.why, RESOLVED_HOLDER_EXITED);
	assert_string_equal(r.id, f.id);
	assert_int_equal(detector_n_findings(s.d), 0);
	assert_int_equal(proctab_find_holder(s.pt, 1), SLOT_NONE);
	finding_release(&f);
	stream_release(&s);
}

static void resolves_when_its_connections_are_closed_or_used(void **state)
{
	(void)state;
	for (int used = 0; used < 2; used++) {
		struct resolved r = {0};
		struct usage_view v;
		struct stream s;

		begin(&s, true);
		s.on_tick = note_resolved;
		s.arg = &r;
		leak(&s, 1, 200, 6, 1);
		for (uint64_t i = 1; i <= 34; i++) {
			if (used)
				query(&s, 201 + (double)i * 0.01, i, 70);
			else
				closes(&s, 201 + (double)i * 0.01, i);
		}
		stream_run(&s, 810);
		assert_int_equal(r.times, 1);
		assert_int_equal(r.why, used ? RESOLVED_USED_AGAIN : RESOLVED_DRAINED);
		detector_usage(s.d, s.pt, 0, &v);
		assert_int_equal(v.state, USAGE_RESOLVED);
		stream_release(&s);
	}
}

static void the_same_events_give_the_same_id(void **state)
{
	char id[2][17];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct finding f;
		struct stream s;

		begin(&s, true);
		leak(&s, 1, 200, 6, 1);
		f = finding_of(&s, 0);
		memcpy(id[i], f.id, sizeof(id[i]));
		finding_release(&f);
		stream_release(&s);
	}
	assert_string_equal(id[0], id[1]);
}

/* --- properties (detector.md section 10) --- */

static void shifting_all_times_changes_nothing(void **state)
{
	static const int64_t offsets[] = {0, 1000 * NS_PER_S, 7777777 * NS_PER_S};
	double first_s = 0;

	(void)state;
	for (size_t i = 0; i < T_COUNT(offsets); i++) {
		struct stream s;

		stream_init(&s, false, NULL);
		s.offset_ns = offsets[i];
		holder(&s, 0, 1, "g");
		healthy_history(&s, 300);
		leak(&s, 301, 420, 3, 1);
		first_s = i ? first_s : s.fired_s;
		fires(&s, RULE_WARM, first_s, first_s);
		stream_release(&s);
	}
}

static void coarse_ticks_delay_by_at_most_two(void **state)
{
	double at_s[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stream s;

		begin(&s, false);
		s.tick_s = i ? 5 : 1;
		leak(&s, 1, 400, 3, 1);
		at_s[i] = s.fired_s;
		stream_release(&s);
	}
	assert_true(at_s[0] > 0 && at_s[1] >= at_s[0] && at_s[1] <= at_s[0] + 10);
}

static void one_more_leaked_connection_never_lowers_the_rungs(void **state)
{
	uint32_t last = 0;

	(void)state;
	for (int n = 1; n < 20; n++) {
		struct usage_view v;
		struct stream s;

		begin(&s, false);
		for (int i = 0; i < n; i++)
			opens(&s, 1 + i * 9, (uint64_t)i + 1);
		stream_run(&s, 400);
		detector_usage(s.d, s.pt, 0, &v);
		assert_true(v.k >= last && v.k_own == v.k);
		last = v.k;
		stream_release(&s);
	}
	assert_true(last > 8);
}

static void a_return_never_raises_the_rungs(void **state)
{
	struct usage_view before, after;
	struct stream s;

	(void)state;
	begin(&s, false);
	leak(&s, 1, 120, 9, 1);
	for (uint64_t i = 1; i <= 14; i++) {
		detector_usage(s.d, s.pt, 0, &before);
		query(&s, 120 + (double)i * 3, i, 60 + i);
		stream_run(&s, 122 + (double)i * 3);
		detector_usage(s.d, s.pt, 0, &after);
		assert_true(after.k <= before.k);
	}
	stream_release(&s);
}

static void heartbeats_alone_are_abandoned_in_the_end(void **state)
{
	struct usage_view v;
	struct stream s;

	(void)state;
	begin(&s, false);
	opens(&s, 1, 1);
	for (int t = 10; t < 300; t += 10)
		query(&s, t, 1, 20);
	opens(&s, 200.5, 2);
	stream_run(&s, 300);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.abandoned, 1);
	assert_true(v.k <= 1);
	assert_true(isnan(v.rate_per_min)); /* fewer than two */
	stream_release(&s);
}

static void parting_words_are_no_return(void **state)
{
	struct usage_view v;
	struct stream s;

	(void)state;
	begin(&s, false);
	opens(&s, 1, 1);
	opens(&s, 20, 2);
	opens(&s, 40, 3);
	hears(&s, 100, 1, 110);
	fin(&s, 100.001, 1);
	stream_run(&s, 200);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.abandoned, 2);
	/* A NOTIFY is a use, and shows that this code stays away for as long. */
	hears(&s, 200.5, 2, 50);
	stream_run(&s, 210);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.abandoned, 0);
	stream_release(&s);
}

static void full_tables_fire_blind_and_lose_no_count(void **state)
{
	struct proctab_limits limits = {.max_conns = 4};
	struct usage_view v;
	struct finding f;
	struct stream s;

	(void)state;
	stream_init(&s, false, &limits);
	holder(&s, 0, 1, "g");
	for (uint64_t i = 1; i <= 10; i++)
		opens(&s, (double)i, i);
	stream_run(&s, 11);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.state, USAGE_BLIND);
	assert_int_equal(detector_n_findings(s.d), 1);
	assert_int_equal(detector_finding(s.d, s.pt, 0, &f), 0);
	assert_int_equal(f.kind, FINDING_BLIND);
	assert_int_equal(f.rule, RULE_TABLE_FULL);
	assert_null(f.holder);
	assert_int_equal(f.peer.family, 0);
	assert_int_equal(proctab_usage(s.pt, 0)->counts.opened, 10);
	finding_release(&f);
	stream_run(&s, 612);
	assert_int_equal(detector_n_findings(s.d), 0);
	stream_release(&s);
}

static void lost_events_fire_blind_by_their_own_name(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	begin(&s, false);
	stream_event(&s, 5, (struct event){.kind = EV_LOST, .lost = {.events = 3}});
	stream_run(&s, 6);
	assert_int_equal(detector_finding(s.d, s.pt, 0, &f), 0);
	assert_int_equal(f.rule, RULE_LOST_EVENTS);
	finding_release(&f);
	stream_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_of_30_that_is_filled_and_used_is_not_a_leak),
		cmocka_unit_test(pool_that_idles_all_night_is_not_a_leak),
		cmocka_unit_test(connection_per_request_is_not_a_leak),
		cmocka_unit_test(batch_that_opens_40_within_minutes_and_parks_them_is_not_a_leak),
		cmocka_unit_test(adopted_ones_alone_are_not_a_leak),
		cmocka_unit_test(servers_turn_for_ever_is_not_a_leak),
		cmocka_unit_test(listeners_beside_an_idle_pool_are_not_a_leak),
		cmocka_unit_test(every_request_leaks_10_a_minute_canary_within_150_s),
		cmocka_unit_test(cold_agent_finds_20_a_minute_after_333_s),
		cmocka_unit_test(with_a_healthy_history_20_a_minute_take_92_s),
		cmocka_unit_test(history_is_inherited_over_a_deploy),
		cmocka_unit_test(close_wait_is_an_fd_leak),
		cmocka_unit_test(leak_with_heartbeats_is_found),
		cmocka_unit_test(threads_that_end_are_found_warm),
		cmocka_unit_test(server_of_many_threads_is_found_by_warm_any),
		cmocka_unit_test(slow_leaks_of_many_workers_are_found_by_service),
		cmocka_unit_test(several_call_sites_are_found_by_process),
		cmocka_unit_test(a_leak_that_stands_still_goes_on_firing),
		cmocka_unit_test(resolves_600_s_after_its_process_exits),
		cmocka_unit_test(resolves_when_its_connections_are_closed_or_used),
		cmocka_unit_test(the_same_events_give_the_same_id),
		cmocka_unit_test(shifting_all_times_changes_nothing),
		cmocka_unit_test(coarse_ticks_delay_by_at_most_two),
		cmocka_unit_test(one_more_leaked_connection_never_lowers_the_rungs),
		cmocka_unit_test(a_return_never_raises_the_rungs),
		cmocka_unit_test(heartbeats_alone_are_abandoned_in_the_end),
		cmocka_unit_test(parting_words_are_no_return),
		cmocka_unit_test(full_tables_fire_blind_and_lose_no_count),
		cmocka_unit_test(lost_events_fire_blind_by_their_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
