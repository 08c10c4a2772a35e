/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector.c - healthy ones are silent, leaking ones are found in time
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

/* --- healthy --- */

static void pool_of_30_that_is_filled_and_used_is_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, true);
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
	stream_begin(&s, true);
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
	stream_begin(&s, true);
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
	stream_begin(&s, false);
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
	stream_begin(&s, true);
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
	stream_begin(&s, true);
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
	stream_begin(&s, true);
	for (uint64_t i = 1; i <= 3; i++)
		opens(&s, 1 + (double)i * 30, i); /* LISTEN, never used again */
	for (uint64_t i = 11; i <= 14; i++)
		opens(&s, 100 + (double)i, i);
	for (int t = 120; t < 1800; t += 2)
		query(&s, t, 11 + (uint64_t)(t / 2) % 4, 50 + (uint64_t)t % 90);
	is_silent(&s, 2);
}

/*
 * An idle pool that replaces each connection at its own age: those that remain are passed over by
 * the new ones, and nothing is leaked.
 */
static void recycle(bool is_canary, uint32_t n, double life_s, double jitter, double to_s)
{
	double ends_s[20];
	uint64_t conn[20], next = 1;
	uint32_t rng = 7;
	struct stream s;

	stream_begin(&s, is_canary);
	for (uint32_t i = 0; i < n; i++) {
		opens(&s, 1 + i * 0.02, next);
		conn[i] = next++;
		ends_s[i] = 0;
	}
	for (;;) {
		uint32_t first = 0;

		for (uint32_t i = 0; i < n; i++) {
			if (ends_s[i] == 0) {
				rng = rng * 1664525 + 1013904223;
				ends_s[i] = (double)s.next_tick_ns / 1e9 +
					    life_s * (1 - jitter * (rng >> 8) / (1 << 24));
			}
			first = ends_s[i] < ends_s[first] ? i : first;
		}
		if (ends_s[first] > to_s)
			break;
		closes(&s, ends_s[first], conn[first]);
		opens(&s, ends_s[first] + 0.05, next);
		conn[first] = next++;
		ends_s[first] = 0;
	}
	is_silent(&s, 20);
}

static void an_idle_pool_that_recycles_by_age_is_not_a_leak(void **state)
{
	(void)state;
	recycle(false, 10, 1800, 0.25, 4 * 3600);
	recycle(true, 10, 1800, 0.25, 4 * 3600);
	recycle(false, 20, 3600, 0.1, 4 * 3600);
	recycle(true, 20, 3600, 0.1, 4 * 3600);
}

static void a_process_that_loses_all_is_no_pool(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	for (uint64_t i = 1; i <= 10; i++) {
		struct usage_view v;

		opens(&s, (double)i * 6, i);
		query(&s, (double)i * 6 + 0.1, i, 150);
		if (i == 1)
			query(&s, 9.5, i, 90); /* one early return */
		stream_run(&s, (double)i * 6 + 5);
		detector_usage(s.d, s.pt, 0, &v);
		if (i >= 5)
			assert_int_not_equal(v.state, USAGE_POOL);
	}
	stream_release(&s);
}

/* --- leaking --- */

/* A late start beside more abandoned ones than a ladder stands on. */
static void hundreds_of_adopted_ones_do_not_hide_new_ones(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	for (uint64_t i = 1; i <= 600; i++)
		adopts(&s, 0.5, 100000 + i);
	leak(&s, 2, 600, 6, 1);
	fires(&s, RULE_COLD, 320, 360);
	stream_release(&s);
}

/* Each snapshot of the third second sees the ping without its answer. */
static void a_heartbeat_that_is_caught_half_way_is_no_return(void **state)
{
	struct usage_view v;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	opens(&s, 1, 1);
	query(&s, 1.1, 1, 300);
	opens(&s, 30, 2);
	for (int t = 40; t < 400; t += 10) {
		if (t > 150 && t % 30 == 0) {
			const struct conn *c = proctab_conn(s.pt, proctab_find_conn(s.pt, 1));
			struct event ev = {.kind = EV_IO, .conn = 1};

			ev.io.tx_ns = stream_ns(&s, t);
			ev.io.rx_ns = c->rx_ns;
			ev.io.tx = c->tx + 20;
			ev.io.rx = c->rx;
			ev.io.last = IO_LAST_TX;
			stream_event(&s, t + 0.001, ev);
			ev.io.rx_ns = stream_ns(&s, t + 0.002);
			ev.io.rx = c->rx + STREAM_ANSWER + 20;
			ev.io.last = IO_LAST_RX;
			stream_event(&s, t + 1.001, ev);
		} else {
			query(&s, t, 1, 20);
		}
		if (t == 100)
			opens(&s, 100.5, 3);
	}
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.abandoned, 2); /* and the second one */
	stream_release(&s);
}

static void opens_to(struct stream *s, double t_s, uint64_t conn, uint16_t port)
{
	struct event ev = {
		.kind = EV_OPEN, .conn = conn, .holder = 1, .tid = 1, .open.peer = stream_pg};

	ev.open.peer.port = port;
	stream_event(s, t_s, ev);
}

/* Five rungs within a minute to one server, then none; later three to another. */
static void a_process_is_found_by_a_usage_that_has_become_quiet(void **state)
{
	uint64_t conn = 1;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	for (int i = 0; i < 60; i++) {
		uint64_t c = 1000 + (uint64_t)i;

		opens_to(&s, 1 + i * 0.5, c, 6432);
		query(&s, 1.01 + i * 0.5, c, 200);
		closes(&s, 1.03 + i * 0.5, c);
	}
	for (int i = 0; i < 12; i++, conn++)
		opens_to(&s, i < 6 ? 100 + i * 0.1 : 120 + (i - 6) * 5.1, conn, 5432);
	for (int i = 0; i < 12; i++, conn++)
		opens_to(&s, i < 6 ? 500 + i * 0.1 : 520 + (i - 6) * 5.1, conn, 6432);
	stream_run(&s, 700);
	assert_true(s.fired_s > 500);
	assert_int_equal(s.fired_rule, RULE_PROCESS);
	stream_release(&s);
}

/* Every 18 s: five rungs take 72 s of their span, eight 126; six or seven over 100 s are enough. */
static void the_canary_takes_more_rungs_for_less_time(void **state)
{
	struct stream s;

	(void)state;
	assert_int_equal(canary_k(59 * NS_PER_S), UINT32_MAX);
	assert_int_equal(canary_k(60 * NS_PER_S), 8);
	assert_int_equal(canary_k(79 * NS_PER_S), 8);
	assert_int_equal(canary_k(80 * NS_PER_S), 7);
	assert_int_equal(canary_k(100 * NS_PER_S), 6);
	assert_int_equal(canary_k(120 * NS_PER_S), 5);
	assert_int_equal(canary_k(1000 * NS_PER_S), 5);
	stream_begin(&s, true);
	leak(&s, 1, 300, 18, 1);
	fires(&s, RULE_CANARY, 125, 145);
	stream_release(&s);
}

static void every_request_leaks_10_a_minute_canary_within_150_s(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
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
	stream_begin(&s, false);
	leak(&s, 1, 400, 3, 1);
	fires(&s, RULE_COLD, 320, 345);
	f = finding_of(&s, 0);
	assert_true(f.score >= 5 && f.threshold == 5);
	assert_non_null(strstr(f.reason, "none came back"));
	finding_release(&f);
	stream_release(&s);
}

static void with_a_healthy_history_20_a_minute_take_92_s(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	healthy_history(&s, 300);
	leak(&s, 301, 500, 3, 1);
	fires(&s, RULE_WARM, 300 + 80, 300 + 100);
	stream_release(&s);
}

static void history_is_inherited_over_a_deploy(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
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
	stream_begin(&s, false);
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
	stream_begin(&s, true);
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
	stream_begin(&s, false);
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
	stream_begin(&s, false);
	healthy_history(&s, 200);
	for (uint32_t i = 0; i < 200; i++)
		open_by(&s, 201 + i * 3, 1 + i, 1, 1000 + i);
	fires(&s, RULE_WARM_ANY, 340, 365);
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

static void a_leak_across_restarts_is_found_by_service(void **state)
{
	struct stream s;
	uint64_t conn = 1;

	(void)state;
	stream_init(&s, false, NULL);
	for (uint64_t life = 1; life <= 12; life++) {
		double t0 = 1 + (double)(life - 1) * 80;

		holder(&s, t0, life, "shop/orders/app");
		for (int i = 0; i < 75; i++, conn++) {
			open_by(&s, t0 + 1 + i, conn, life, 1);
			query(&s, t0 + 1.01 + i, conn, 100);
			if (i % 18)
				closes(&s, t0 + 1.03 + i, conn);
		}
		exits(&s, t0 + 78, life);
		for (uint64_t i = 0; i < 75; i += 18)
			closes_by(&s, t0 + 78.1, conn - 75 + i, CLOSE_EXIT);
	}
	fires(&s, RULE_SERVICE, 300, 400);
	/* The process that it was told about has long ended; the service has one finding. */
	assert_int_equal(detector_n_findings(s.d), 1);
	stream_run(&s, 3000);
	assert_int_equal(detector_n_findings(s.d), 0);
	for (uint32_t i = 0; i < proctab_n_holders(s.pt); i++)
		assert_null(proctab_holder(s.pt, i));
	stream_release(&s);
}

static void several_call_sites_are_found_by_process(void **state)
{
	struct stream s;
	uint64_t conn = 1;

	(void)state;
	stream_begin(&s, false);
	for (uint64_t site = 1; site <= 5; site++)
		tells_site(&s, 0, site, NULL);
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
		cmocka_unit_test(an_idle_pool_that_recycles_by_age_is_not_a_leak),
		cmocka_unit_test(a_process_that_loses_all_is_no_pool),
		cmocka_unit_test(hundreds_of_adopted_ones_do_not_hide_new_ones),
		cmocka_unit_test(a_heartbeat_that_is_caught_half_way_is_no_return),
		cmocka_unit_test(a_process_is_found_by_a_usage_that_has_become_quiet),
		cmocka_unit_test(the_canary_takes_more_rungs_for_less_time),
		cmocka_unit_test(every_request_leaks_10_a_minute_canary_within_150_s),
		cmocka_unit_test(cold_agent_finds_20_a_minute_after_333_s),
		cmocka_unit_test(with_a_healthy_history_20_a_minute_take_92_s),
		cmocka_unit_test(history_is_inherited_over_a_deploy),
		cmocka_unit_test(close_wait_is_an_fd_leak),
		cmocka_unit_test(leak_with_heartbeats_is_found),
		cmocka_unit_test(threads_that_end_are_found_warm),
		cmocka_unit_test(server_of_many_threads_is_found_by_warm_any),
		cmocka_unit_test(slow_leaks_of_many_workers_are_found_by_service),
		cmocka_unit_test(a_leak_across_restarts_is_found_by_service),
		cmocka_unit_test(several_call_sites_are_found_by_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
