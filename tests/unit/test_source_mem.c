/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source_mem.c
 * objects: collect/source_mem.o core/event.o core/holder_info.o core/site_info.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include "../../user/collect/source.h"

static void a_snapshot_ends_at_each_tick(void **state)
{
	static const struct holder_info info = {.pid = 4711};
	const struct event events[] = {
		{.t_ns = 1, .kind = EV_HOLDER, .holder = 1, .info = &info},
		{.t_ns = 2, .kind = EV_OPEN, .holder = 1, .conn = 1},
		{.t_ns = 10, .kind = EV_TICK},
		{.t_ns = 20, .kind = EV_TICK},
		{.t_ns = 25, .kind = EV_END},
	};
	static const struct {
		size_t n;
		int64_t now_ns;
	} want[] = {{3, 10}, {1, 20}, {1, 25}};
	struct source src;
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	assert_int_equal(source_mem_open(&src, events, T_COUNT(events)), 0);
	assert_int_equal(src.ops->fd(src.arg), -1);
	for (size_t i = 0; i < T_COUNT(want); i++) {
		assert_int_equal(src.ops->next(src.arg, &s), 1);
		assert_int_equal(s.n_events, want[i].n);
		assert_int_equal(s.now_ns, want[i].now_ns);
		if (!i) {
			assert_ptr_not_equal(s.events[0].info, &info);
			assert_int_equal(s.events[0].info->pid, 4711);
		}
		snapshot_clear(&s);
	}
	assert_int_equal(src.ops->next(src.arg, &s), 0);
	source_close(&src);
	snapshot_release(&s);
}

static void nothing_is_an_ended_source(void **state)
{
	struct source src;
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	assert_int_equal(source_mem_open(&src, NULL, 0), 0);
	assert_int_equal(src.ops->next(src.arg, &s), 0);
	source_close(&src);
	source_close(&src);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_ends_at_each_tick),
		cmocka_unit_test(nothing_is_an_ended_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
