/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_engine.c - the pipeline's order and forgetting, with a detector made here
 * objects: core/engine.o core/proctab.o core/proctab_store.o core/idmap.o core/slots.o
 * objects: core/endpoint.o core/holder_info.o core/site_info.o core/event.o
 * objects: core/sitetab.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdlib.h>

#include "../../user/core/engine.h"

/* Counts what it is told; is done with holders from its third tick on. */
struct detector {
	int events, ticks, asked;
};

struct detector *detector_new(const struct detector_params *p)
{
	return p->host ? calloc(1, sizeof(struct detector)) : NULL;
}

void detector_free(struct detector *d)
{
	free(d);
}

int detector_event(struct detector *d, const struct proctab *pt, const struct event *ev,
		   const struct proctab_change *ch)
{
	d->events++;
	d->ticks += ev->kind == EV_TICK;
	if (ev->kind == EV_OPEN)
		assert_int_equal(proctab_conn(pt, ch->conn)->id, ev->conn);
	return 0;
}

bool detector_is_done_with(const struct detector *d, uint32_t holder)
{
	(void)holder;
	((struct detector *)d)->asked++;
	return d->ticks >= 3;
}

static void step(struct engine *e, const struct event *events, size_t n)
{
	struct snapshot s;

	snapshot_init(&s);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(snapshot_push(&s, &events[i]), 0);
	s.now_ns = events[n - 1].t_ns;
	s.wall_offset_ns = 1000;
	assert_int_equal(engine_step(e, &s), 0);
	snapshot_release(&s);
}

static void an_exited_holder_is_forgotten_once_the_detector_is_done(void **state)
{
	static const struct holder_info info = {.pid = 7};
	static const struct endpoint pg = {{127, 0, 0, 1}, 5432, 4, 0};
	const struct event first[] = {
		{.t_ns = 1, .kind = EV_HOLDER, .holder = 7, .info = &info},
		{.t_ns = 2, .kind = EV_OPEN, .holder = 7, .conn = 1, .open.peer = pg},
		{.t_ns = 10, .kind = EV_TICK},
	};
	const struct event second[] = {
		{.t_ns = 11, .kind = EV_EXIT, .holder = 7},
		{.t_ns = 12, .kind = EV_CLOSE, .conn = 1, .close = CLOSE_EXIT},
		{.t_ns = 20, .kind = EV_TICK},
	};
	const struct event tick[] = {{.t_ns = 30, .kind = EV_TICK}};
	struct detector_params params = {.host = "node"};
	struct engine e;

	(void)state;
	assert_int_equal(engine_init(&e, NULL, &params), 0);
	step(&e, first, T_COUNT(first));
	assert_int_equal(e.now_ns, 10);
	assert_int_equal(e.wall_offset_ns, 1000);
	assert_int_equal(e.detector->asked, 0);
	/* whoever counts after the step in which it ended still finds it */
	step(&e, second, T_COUNT(second));
	assert_int_equal(e.detector->asked, 0);
	assert_int_not_equal(proctab_find_holder(e.table, 7), SLOT_NONE);
	step(&e, tick, 1);
	assert_int_equal(e.detector->asked, 1);
	assert_int_not_equal(proctab_find_holder(e.table, 7), SLOT_NONE);
	step(&e, tick, 1);
	assert_int_equal(proctab_find_holder(e.table, 7), SLOT_NONE);
	assert_int_equal(e.detector->events, 8);
	assert_int_equal(e.bad_events, 0);
	engine_release(&e);
	engine_release(&e);
}

static void refused_events_are_counted_and_not_told(void **state)
{
	static const struct proctab_limits limits = {.max_holders = 1};
	static const struct holder_info info = {.pid = 7};
	const struct event events[] = {
		{.t_ns = 1, .kind = EV_HOLDER, .holder = 7, .info = &info},
		{.t_ns = 1, .kind = EV_HOLDER, .holder = 8, .info = &info},
		{.t_ns = 2, .kind = EV_CLOSE, .conn = 99},
		{.t_ns = 10, .kind = EV_TICK},
	};
	struct detector_params params = {.host = "node"};
	struct engine e;

	(void)state;
	assert_int_equal(engine_init(&e, &limits, &params), 0);
	step(&e, events, T_COUNT(events));
	assert_int_equal(e.bad_events, 2);
	assert_int_equal(e.detector->events, 2);
	engine_release(&e);
}

static void the_last_comparison_is_kept(void **state)
{
	struct detector_params params = {.host = "node"};
	struct snapshot s;
	struct engine e;

	(void)state;
	assert_int_equal(engine_init(&e, NULL, &params), 0);
	snapshot_init(&s);
	assert_int_equal(engine_step(&e, &s), 0);
	assert_true(e.drift == -1 && e.unheld == -1 && e.repaired == 0);
	s.drift = 2;
	s.unheld = 1;
	s.repaired = 2;
	assert_int_equal(engine_step(&e, &s), 0);
	snapshot_clear(&s);
	assert_true(s.drift == -1 && s.unheld == -1 && s.repaired == 0);
	assert_int_equal(engine_step(&e, &s), 0);
	assert_true(e.drift == 2 && e.unheld == 1 && e.repaired == 2);
	s.drift = s.unheld = 0;
	s.repaired = 2;
	assert_int_equal(engine_step(&e, &s), 0);
	assert_true(e.drift == 0 && e.unheld == 0 && e.repaired == 2);
	snapshot_release(&s);
	engine_release(&e);
}

static void no_memory_leaves_the_engine_untouched(void **state)
{
	struct detector_params params = {0};
	struct engine e = {.now_ns = 5};

	(void)state;
	assert_int_equal(engine_init(&e, NULL, &params), -ENOMEM);
	assert_int_equal(e.now_ns, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exited_holder_is_forgotten_once_the_detector_is_done),
		cmocka_unit_test(refused_events_are_counted_and_not_told),
		cmocka_unit_test(the_last_comparison_is_kept),
		cmocka_unit_test(no_memory_leaves_the_engine_untouched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
