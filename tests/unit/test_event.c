/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_event.c
 * objects: core/event.o core/holder_info.o core/site_info.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include "../../user/core/event.h"

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void sorting_is_by_time_and_stable(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 200; seed++) {
		uint32_t rnd = seed, n = next_random(&rnd) % 200;
		struct snapshot s;

		snapshot_init(&s);
		for (uint32_t i = 0; i < n; i++) {
			struct event ev = {.t_ns = (int64_t)(next_random(&rnd) % 20) - 10,
					   .conn = i + 1};

			assert_int_equal(snapshot_push(&s, &ev), 0);
		}
		assert_int_equal(snapshot_sort(&s), 0);
		assert_int_equal(s.n_events, n);
		for (uint32_t i = 1; i < n; i++) {
			const struct event *a = &s.events[i - 1], *b = &s.events[i];

			if (a->t_ns > b->t_ns || (a->t_ns == b->t_ns && a->conn >= b->conn))
				fail_msg("seed %u: wrong at %u", seed, i);
		}
		snapshot_release(&s);
	}
}

static void a_holder_stays_before_its_events_of_the_same_time(void **state)
{
	struct holder_info info = {.pid = 1};
	struct event open = {.t_ns = 5, .kind = EV_OPEN, .holder = 9};
	struct event early = {.t_ns = 1, .kind = EV_LOST};
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	assert_int_equal(snapshot_push_holder(&s, 5, 9, &info), 0);
	assert_int_equal(snapshot_push(&s, &open), 0);
	assert_int_equal(snapshot_push(&s, &early), 0);
	assert_int_equal(snapshot_sort(&s), 0);
	assert_int_equal(s.events[0].kind, EV_LOST);
	assert_int_equal(s.events[1].kind, EV_HOLDER);
	assert_int_equal(s.events[2].kind, EV_OPEN);
	snapshot_release(&s);
}

static void a_snapshot_owns_its_holders(void **state)
{
	char exe[] = "/bin/a";
	struct holder_info info = {.pid = 7, .exe = exe};
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	for (uint64_t i = 1; i <= 20; i++)
		assert_int_equal(snapshot_push_holder(&s, 0, i, &info), 0);
	exe[0] = 'X';
	assert_string_equal(s.events[19].info->exe, "/bin/a");
	assert_int_equal(s.events[19].info->pid, 7);
	snapshot_clear(&s);
	assert_int_equal(s.n_events, 0);
	assert_int_equal(s.n_infos, 0);
	assert_int_equal(snapshot_push_holder(&s, 0, 1, &info), 0);
	snapshot_release(&s);
	snapshot_release(&s);
	snapshot_release(NULL);
}

static void the_memory_of_one_busy_tick_is_given_back(void **state)
{
	struct event ev = {.kind = EV_IO};
	struct snapshot s;
	size_t busy;

	(void)state;
	snapshot_init(&s);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(snapshot_push(&s, &ev), 0);
	busy = s.cap_events;
	snapshot_clear(&s);
	assert_int_equal(s.cap_events, busy);
	for (int tick = 0; tick < 20; tick++) {
		for (int i = 0; i < 10; i++)
			assert_int_equal(snapshot_push(&s, &ev), 0);
		snapshot_clear(&s);
	}
	assert_true(s.cap_events < 200);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorting_is_by_time_and_stable),
		cmocka_unit_test(a_holder_stays_before_its_events_of_the_same_time),
		cmocka_unit_test(a_snapshot_owns_its_holders),
		cmocka_unit_test(the_memory_of_one_busy_tick_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
