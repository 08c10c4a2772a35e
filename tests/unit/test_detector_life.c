/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector_life.c - a finding's life, and what holds for any stream
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>

#include "../../user/core/detector_impl.h"
#include "stream.h"

/* --- latch, resolve, identity --- */

static void a_leak_that_stands_still_goes_on_firing(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
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
	stream_begin(&s, true);
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

		stream_begin(&s, true);
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

		stream_begin(&s, true);
		leak(&s, 1, 200, 6, 1);
		f = finding_of(&s, 0);
		memcpy(id[i], f.id, sizeof(id[i]));
		finding_release(&f);
		stream_release(&s);
	}
	assert_string_equal(id[0], id[1]);
}

/* 61 lost over an hour; then one comes back after that hour, and the others still do not. */
static void one_return_does_not_excuse_the_others(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	healthy_history(&s, 300);
	leak(&s, 301, 301 + 61 * 60, 60, 1);
	query(&s, 3965, 1, 500);
	stream_run(&s, 3965 + 1200);
	f = finding_of(&s, 0);
	assert_true(f.leaked >= 55);
	assert_non_null(strstr(f.reason, "some came back, most did not"));
	finding_release(&f);
	/* Most of the others come back too: it was none. */
	for (uint64_t i = 2; i <= 40; i++)
		query(&s, 5200, i, 500);
	stream_run(&s, 5200 + 590);
	f = finding_of(&s, 0);
	assert_true(f.leaked > 0);
	assert_non_null(strstr(f.reason, "used or closed since"));
	finding_release(&f);
	stream_run(&s, 5200 + 610);
	assert_int_equal(detector_find(s.d, 0), SLOT_NONE);
	stream_release(&s);
}

static void read_resolved(struct stream *s, int64_t now_ns)
{
	struct finding *ret = s->arg;

	(void)now_ns;
	for (uint32_t i = 0; i < detector_n_findings(s->d); i++) {
		finding_release(ret);
		assert_int_equal(detector_finding(s->d, s->pt, i, ret), 0);
	}
}

static void what_has_resolved_does_not_say_that_none_came_back(void **state)
{
	struct finding f = {0};
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	s.on_tick = read_resolved;
	s.arg = &f;
	leak(&s, 1, 200, 6, 1);
	assert_non_null(strstr(f.reason, "none came back"));
	for (uint64_t i = 1; i <= 34; i++)
		query(&s, 201 + (double)i * 0.01, i, 70);
	stream_run(&s, 810);
	assert_int_equal(f.status, FINDING_RESOLVED);
	assert_null(strstr(f.reason, "none came back"));
	assert_non_null(strstr(f.reason, "used again"));
	finding_release(&f);
	stream_release(&s);
}

static void rungs_at_their_limit_are_told_as_at_least(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	leak(&s, 1, 700, 6, 1);
	f = finding_of(&s, 0);
	assert_non_null(strstr(f.reason, "at least 64 connections lay idle"));
	finding_release(&f);
	stream_release(&s);
}

static void call_sites_count_in_the_findings_window(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	healthy_history(&s, 600);
	leak(&s, 601, 900, 6, 1);
	f = finding_of(&s, 0);
	assert_int_equal(f.opened, 50);
	assert_int_equal(f.sites[0].opened, 50);
	assert_int_equal(f.sites[0].closed, f.closed);
	finding_release(&f);
	stream_release(&s);
}

/* Each life leaves three rungs; carried over they count halves, which must not all be cut off. */
static void what_is_carried_over_is_rounded(void **state)
{
	struct stream s;
	uint64_t conn = 1;

	(void)state;
	stream_init(&s, false, NULL);
	for (uint64_t life = 1; life <= 8; life++) {
		double t = 1 + (double)(life - 1) * 125;
		uint64_t first = conn;

		holder(&s, t, life, "shop/orders/app");
		for (int i = 0; i < 30; i++) {
			uint64_t c = 100000 + life * 100 + (uint64_t)i;

			open_by(&s, t + 1 + i * 0.2, c, life, 1);
			query(&s, t + 1.01 + i * 0.2, c, 200);
			closes(&s, t + 1.03 + i * 0.2, c);
		}
		open_by(&s, t + 10, conn++, life, 1);
		open_by(&s, t + 40, conn++, life, 1);
		open_by(&s, t + 70, conn, life, 1);
		closes(&s, t + 70.2, conn++);
		exits(&s, t + 120, life);
		closes_by(&s, t + 120.1, first, CLOSE_EXIT);
		closes_by(&s, t + 120.1, first + 1, CLOSE_EXIT);
	}
	/* One rung of each; the eighth life has the eighth. */
	fires(&s, RULE_SERVICE, 875, 1001);
	stream_release(&s);
}

/* --- full tables --- */

static int opens_at(struct stream *s, double t_s, uint64_t conn, uint64_t holder_id, uint64_t site)
{
	struct event ev = {.t_ns = stream_ns(s, t_s),
			   .kind = EV_OPEN,
			   .conn = conn,
			   .holder = holder_id,
			   .tid = 1,
			   .site = site,
			   .open.peer = stream_pg};
	struct proctab_change ch;

	assert_int_equal(proctab_apply(s->pt, &ev, &ch), 0);
	return detector_event(s->d, s->pt, &ev, &ch);
}

static uint32_t cohort_of(const struct stream *s, uint64_t conn)
{
	return s->d->tracks[proctab_find_conn(s->pt, conn)].cohort;
}

static void without_room_for_call_sites_nothing_fails(void **state)
{
	const struct proctab_limits limits = {.max_sites = MAX_COHORTS + 1};
	uint32_t of_5;
	struct stream s;

	(void)state;
	stream_init(&s, false, &limits);
	holder(&s, 0, 1, "shop/orders/app");
	holder(&s, 0, 2, "other");
	for (uint64_t site = 1; site < MAX_COHORTS; site++)
		tells_site(&s, 0, site, NULL);
	tells_site(&s, 0, 999999, NULL);
	for (uint64_t site = 0; site < MAX_COHORTS; site++)
		assert_int_equal(opens_at(&s, 0.1, 1 + site, 1, site), 0);
	assert_int_equal(detector_lost(s.d), 0);
	/* One site more: lost is the site. Another process: not followed. Both are counted. */
	assert_int_equal(opens_at(&s, 0.2, 100001, 1, 999999), 0);
	assert_int_equal(cohort_of(&s, 100001), cohort_of(&s, 1));
	assert_int_equal(opens_at(&s, 0.3, 100002, 2, 7), 0);
	assert_int_equal(cohort_of(&s, 100002), SLOT_NONE);
	assert_int_equal(detector_lost(s.d), 2);
	assert_int_equal(proctab_usage(s.pt, 1)->counts.opened, 1);
	/* The one that has been empty for longest makes room. */
	of_5 = cohort_of(&s, 6);
	closes(&s, 0.4, 6);
	closes(&s, 0.5, 4);
	assert_int_equal(opens_at(&s, 0.6, 100003, 2, 7), 0);
	assert_int_equal(cohort_of(&s, 100003), of_5);
	assert_int_equal(detector_lost(s.d), 2);
	stream_release(&s);
}

/* --- properties (docs/detector.md section 10) --- */

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

		stream_begin(&s, false);
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

		stream_begin(&s, false);
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
	stream_begin(&s, false);
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
	stream_begin(&s, false);
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
	stream_begin(&s, false);
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
	stream_begin(&s, false);
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
		cmocka_unit_test(a_leak_that_stands_still_goes_on_firing),
		cmocka_unit_test(resolves_600_s_after_its_process_exits),
		cmocka_unit_test(resolves_when_its_connections_are_closed_or_used),
		cmocka_unit_test(the_same_events_give_the_same_id),
		cmocka_unit_test(one_return_does_not_excuse_the_others),
		cmocka_unit_test(what_has_resolved_does_not_say_that_none_came_back),
		cmocka_unit_test(rungs_at_their_limit_are_told_as_at_least),
		cmocka_unit_test(call_sites_count_in_the_findings_window),
		cmocka_unit_test(what_is_carried_over_is_rounded),
		cmocka_unit_test(without_room_for_call_sites_nothing_fails),
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
