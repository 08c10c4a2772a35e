/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_proctab_held.c - who holds a connection, where it ends, and the ledger
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o
 * objects: core/endpoint.o core/holder_info.o core/site_info.o
 * objects: core/sitetab.o
 * objects: core/app_frame.o
 */
#include "table_fix.h"

static void is_held_by(struct fix *f, uint64_t conn, uint32_t want, uint32_t first)
{
	uint32_t slot = proctab_find_conn(f->pt, conn), pids[2] = {0};

	assert_int_equal(proctab_held_by(f->pt, slot, pids, 2), want);
	assert_int_equal(pids[0], first);
	assert_int_equal(proctab_conn(f->pt, slot)->is_unheld, !want);
	assert_int_equal(proctab_conn(f->pt, slot)->is_shared, want > 1);
}

static void holders_are_told_kept_and_follow_a_move(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	open_to(&f, 0, 1, H2, &pg);
	is_held_by(&f, 1, 1, H2);
	apply(&f, &(struct event){.kind = EV_HELD, .conn = 1});
	is_held_by(&f, 1, 0, 0);
	apply(&f, &(struct event){.kind = EV_HELD,
				  .conn = 1,
				  .held = {.pids = {H2, (uint32_t)H1, 9}, .n = 3, .total = 3}});
	assert_int_equal(f.ch.usage, 0);
	is_held_by(&f, 1, 3, H2);
	/* H2 lets go; two are left, one of them is charged. */
	apply(&f, &(struct event){.kind = EV_MOVE, .conn = 1, .holder = H1});
	is_held_by(&f, 1, 2, (uint32_t)H1);
	apply(&f, &(struct event){.kind = EV_HELD,
				  .conn = 1,
				  .held = {.pids = {(uint32_t)H1}, .n = 1, .total = 1}});
	is_held_by(&f, 1, 1, (uint32_t)H1);
	apply(&f, &(struct event){.kind = EV_HELD, .conn = 1, .held = {.n = 1, .total = 0}});
	assert_int_equal(f.err, -EINVAL);
	apply(&f, &(struct event){.kind = EV_HELD, .conn = 7});
	assert_int_equal(f.err, -ENOENT);
	assert_int_equal(proctab_held_by(f.pt, 99, NULL, 0), 0);
	proctab_free(f.pt);
}

static void where_it_ends_follows_a_move_and_a_forgotten_end_is_none(void **state)
{
	const uint64_t end = 5;
	struct fix f;

	(void)state;
	setup(&f, NULL);
	add_holder(&f, end);
	opens(&f, 0, 1);
	assert_null(proctab_via(f.pt, usage(&f, H1)));
	apply(&f, &(struct event){.kind = EV_VIA, .conn = 1, .via = end});
	assert_int_equal(proctab_via(f.pt, usage(&f, H1))->info.pid, 5);
	apply(&f, &(struct event){.kind = EV_MOVE, .conn = 1, .holder = H2});
	assert_int_equal(proctab_via(f.pt, usage(&f, H2))->info.pid, 5);
	apply(&f, &(struct event){.kind = EV_EXIT, .holder = end});
	assert_int_equal(proctab_forget_holder(f.pt, proctab_find_holder(f.pt, end)), 0);
	assert_null(proctab_via(f.pt, usage(&f, H2)));
	proctab_free(f.pt);
}

static void the_ledger_survives_holders_and_knows_what_was_refused(void **state)
{
	static const struct proctab_limits limits = {.max_conns = 2};
	struct counts l;
	struct fix f;

	(void)state;
	setup(&f, &limits);
	opens(&f, 0, 1);
	opens(&f, 0, 2);
	open_to(&f, 0, 3, H2, &pg);
	assert_int_equal(f.err, -ENOSPC);
	apply(&f, &(struct event){.kind = EV_MOVE, .conn = 1, .holder = H2});
	apply(&f, &(struct event){.kind = EV_EXIT, .holder = H1});
	closes(&f, 1, 2, CLOSE_EXIT);
	assert_int_equal(proctab_forget_holder(f.pt, proctab_find_holder(f.pt, H1)), 0);
	proctab_ledger(f.pt, &l);
	assert_int_equal(l.opened, 3);
	assert_int_equal(l.closed, 1);
	assert_int_equal(l.open, 1);
	assert_int_equal(l.moved_in, 1);
	assert_int_equal(l.moved_out, 1);
	assert_int_equal(proctab_refused(f.pt), 1);
	assert_int_equal(ledger_lost(&l), 1);
	assert_int_equal(proctab_lost(f.pt), 1);
	proctab_free(f.pt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holders_are_told_kept_and_follow_a_move),
		cmocka_unit_test(where_it_ends_follows_a_move_and_a_forgotten_end_is_none),
		cmocka_unit_test(the_ledger_survives_holders_and_knows_what_was_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
