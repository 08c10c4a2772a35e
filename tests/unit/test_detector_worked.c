/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector_worked.c - what may be compared: connections that have worked, absences and their
 * tail, those that the server ended
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o core/service.o core/budget.o core/evidence.o
 * objects: core/evidence_site.o core/usage_view.o core/finding.o core/sitetab.o core/app_frame.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 */
#include "t.h"

#include "stream.h"

#define SIGN_ON 150

static void signs_on(struct stream *s, double t_s, uint64_t conn)
{
	opens(s, t_s, conn);
	query(s, t_s + 0.01, conn, SIGN_ON);
}

/* Each of the first three is used every 9 s. */
static void light_traffic(struct stream *s, double t_s)
{
	uint64_t conn = 1 + (uint64_t)(t_s / 3) % 3;

	query(s, t_s, conn, 40 + (uint64_t)t_s % 90);
}

/* --- a stock --- */

static void a_pool_that_fills_beside_light_traffic_is_not_a_leak(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	for (uint64_t i = 1; i <= 3; i++)
		signs_on(&s, (double)i, i);
	for (double t = 6; t < 280; t += 3) {
		light_traffic(&s, t);
		if ((int)t % 6 == 0)
			signs_on(&s, t + 1, 100 + (uint64_t)t);
	}
	for (double t = 280; t < 2000; t += 3)
		light_traffic(&s, t);
	is_silent(&s, 64);
}

static void what_is_lost_unused_beside_a_pool_takes_as_long_as_cold(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	for (uint64_t i = 1; i <= 3; i++)
		signs_on(&s, (double)i, i);
	for (double t = 6; t < 400; t += 3) {
		light_traffic(&s, t);
		if ((int)t % 6 == 0)
			signs_on(&s, t + 1, 100 + (uint64_t)t);
	}
	fires(&s, RULE_WARM_ANY, 320, 350);
	stream_release(&s);
}

/* The same pool, whose connections are lost after they worked. */
static void what_is_lost_after_its_work_is_found_warm(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	for (uint64_t i = 1; i <= 3; i++)
		signs_on(&s, (double)i, i);
	for (double t = 6; t < 400; t += 3) {
		light_traffic(&s, t);
		if ((int)t % 6 == 0) {
			signs_on(&s, t + 1, 100 + (uint64_t)t);
			query(&s, t + 1.1, 100 + (uint64_t)t, 60);
		}
	}
	fires(&s, RULE_WARM, 80, 150);
	stream_release(&s);
}

/* Where each request opens and closes, nothing is kept in stock. */
static void what_is_lost_unused_beside_requests_is_found_warm(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	healthy_history(&s, 300);
	for (uint64_t i = 0; i < 60; i++)
		signs_on(&s, 301 + (double)i * 3, 1 + i);
	fires(&s, RULE_WARM, 380, 400);
	stream_release(&s);
}

/* --- the tail --- */

/* Sixteen come back after up to 100 s; then six are lost, a minute apart. */
static double after_absences(const double back_s[static 16], double until_s)
{
	struct stream s;
	double fired_s;

	stream_begin(&s, false);
	healthy_history(&s, 100);
	for (uint64_t i = 0; i < 16; i++)
		signs_on(&s, 101 + (double)i * 0.1, 1 + i);
	opens(&s, 120, 17);
	closes(&s, 120.5, 17);
	for (uint64_t i = 0; i < 16; i++)
		closes(&s, 120 + back_s[i], 1 + i);
	for (uint64_t i = 0; i < 6; i++)
		signs_on(&s, 300 + (double)i * 60, 20 + i);
	stream_run(&s, until_s);
	fired_s = s.fired_s;
	stream_release(&s);
	return fired_s;
}

static void a_heavy_tail_asks_for_longer_absences(void **state)
{
	static const double heavy[16] = {1,  1.4, 2,  2.7, 3.6, 5,  7,	9,
					 12, 17,  23, 31,  42,	56, 75, 100};
	static const double narrow[16] = {91, 92, 93, 94, 95, 95, 96,	96,
					  97, 97, 98, 98, 99, 99, 99.5, 100};
	double narrow_s = after_absences(narrow, 4000), heavy_s = after_absences(heavy, 4000);

	(void)state;
	/* Twice the longest, after the sixth was opened. */
	assert_true(narrow_s > 600 && narrow_s < 900);
	assert_true(heavy_s > narrow_s + 200 && heavy_s < 4000);
}

/* --- ended by the server --- */

/* One lost each @every_s; the server ends each after @life_s, and its driver closes at once. */
static void reaped(struct stream *s, double every_s, double life_s, double to_s)
{
	uint64_t first = 1, next = 1;

	for (double t = 201; t < to_s; t += 1) {
		double ends_s = 201 + (double)(first - 1) * every_s + life_s;

		if (t >= 201 + (double)(next - 1) * every_s) {
			signs_on(s, t, next);
			query(s, t + 0.1, next++, 60);
		}
		if (first < next && t >= ends_s) {
			fin(s, t + 0.5, first);
			closes(s, t + 0.51, first++);
		}
	}
}

static void a_leak_that_the_server_reaps_is_found(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	healthy_history(&s, 200);
	reaped(&s, 20, 60, 600); /* three lie there at one time */
	fires(&s, RULE_WARM, 280, 420);
	stream_release(&s);
}

/* Ten idle ones end at once, again and again: at most one of them each time is a rung. */
static void restarts_of_the_server_make_no_rungs(void **state)
{
	uint64_t next = 1;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	healthy_history(&s, 200);
	for (double t = 201; t < 3000; t += 200) {
		uint64_t first = next;

		for (int i = 0; i < 10; i++) {
			signs_on(&s, t + i * 0.1, next);
			query(&s, t + i * 0.1 + 0.05, next++, 60);
		}
		opens(&s, t + 30, 9000 + next); /* passes over them */
		closes(&s, t + 31, 9000 + next);
		for (uint64_t c = first; c < next; c++) {
			fin(&s, t + 100 + (double)(c - first) * 0.01, c);
			closes(&s, t + 100.005 + (double)(c - first) * 0.01, c);
		}
	}
	is_silent(&s, 2);
}

static uint32_t visited_first(const int visited[], uint32_t n)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < n; i++)
		first = visited[i] < visited[first] ? i : first;
	return first;
}

/*
 * A pool for each tenant, three of them at first, then more. Each visit finds its connection dead,
 * closes it and opens another.
 */
static void what_is_found_dead_at_its_next_use_was_not_lost(void **state)
{
	uint64_t conn[12] = {0}, next = 1;
	int visited[12] = {0};
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	healthy_history(&s, 200);
	for (int i = 0; i < 200; i++) {
		double t = 201 + i * 20;
		uint32_t n = 3 + (uint32_t)i / 20;
		uint32_t tenant = visited_first(visited, n < 12 ? n : 12);

		visited[tenant] = i + 1;
		if (conn[tenant])
			closes(&s, t, conn[tenant]);
		stream_run(&s, t + 6); /* not in its place at once */
		signs_on(&s, t + 6, next);
		query(&s, t + 6.1, next, 60);
		conn[tenant] = next++;
		if (next > 2)
			fin(&s, t + 10, next - 2);
	}
	is_silent(&s, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_that_fills_beside_light_traffic_is_not_a_leak),
		cmocka_unit_test(what_is_lost_unused_beside_a_pool_takes_as_long_as_cold),
		cmocka_unit_test(what_is_lost_after_its_work_is_found_warm),
		cmocka_unit_test(what_is_lost_unused_beside_requests_is_found_warm),
		cmocka_unit_test(a_heavy_tail_asks_for_longer_absences),
		cmocka_unit_test(a_leak_that_the_server_reaps_is_found),
		cmocka_unit_test(restarts_of_the_server_make_no_rungs),
		cmocka_unit_test(what_is_found_dead_at_its_next_use_was_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
