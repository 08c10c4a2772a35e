/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_translate_held.c - who holds what, where it ends, what was missed: from walks by hand
 * objects: collect/translate.o collect/translate_held.o collect/translate_count.o core/event.o
 * objects: core/endpoint.o core/holder_info.o core/site_info.o core/idmap.o core/slots.o
 * objects: core/app_frame.o
 */
#include "kernel_side.h"

static const struct cl_holder_key child = {.tgid = 4712, .start_ns = 2000};

static struct cl_held by(const struct cl_holder_key *holder, uint64_t id)
{
	return (struct cl_held){.id = id, .holder = *holder};
}

static void walk(struct kernel_side *k, int64_t now_ns, const struct cl_sock *s,
		 const struct cl_held *held, uint32_t n_held)
{
	const struct pass p = {.now_ns = now_ns,
			       .walk_ns = now_ns,
			       .pass_ns = now_ns,
			       .socks = s,
			       .n = s != NULL,
			       .has_walk = true,
			       .held = held,
			       .n_held = n_held};

	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
}

static void several_holders_are_told_once_and_when_they_change(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock s = sock(1, S(9), HELD);
	/* the walk goes by pid; what is told goes by age */
	const struct cl_held two[] = {by(&child, 1), by(&app, 1), by(&app, 1)};

	opened(k, 1, S(9));
	walk(k, S(10), &s, &two[1], 1);
	assert_null(find(k, EV_HELD));
	walk(k, S(11), &s, two, 3);
	assert_int_equal(find(k, EV_HELD)->held.total, 2);
	assert_int_equal(find(k, EV_HELD)->held.pids[0], app.tgid);
	assert_int_equal(find(k, EV_HELD)->held.pids[1], child.tgid);
	assert_null(find(k, EV_MOVE));
	walk(k, S(12), &s, two, 3);
	assert_null(find(k, EV_HELD));
	walk(k, S(13), &s, &two[1], 1);
	assert_int_equal(find(k, EV_HELD)->held.total, 1);
}

static void what_its_holder_let_go_moves_and_is_counted_there(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock s = sock(1, S(9), HELD);
	const struct cl_held one = by(&child, 1);
	const struct pass lossy = {.now_ns = S(13), .pass_ns = S(13), .lost = {1}};

	opened(k, 1, S(9));
	tick(k, S(10), &s, 1);
	walk(k, S(11), &s, &one, 1);
	assert_int_equal(find(k, EV_MOVE)->holder, 2);
	assert_int_equal(k->watched, 1);
	assert_null(find(k, EV_EXIT));
	/* the kernel counts the close for who opened it */
	ended(k, CL_REC_SLOT_END, 1, S(12), CL_HOW_APP);
	k->has_counts = true;
	k->counts = (struct counts){.opened = 1, .closed = 1};
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &lossy, &k->s), 0);
	assert_non_null(find(k, EV_CLOSE));
	assert_int_equal(find(k, EV_COUNT)->holder, 1);
	assert_int_equal(find(k, EV_COUNT)->count.moved_out, 1);
	assert_int_equal(find(k, EV_COUNT)->count.closed, 0);
	assert_int_equal(find(k, EV_COUNT)->count.open, 0);
}

static void a_keeper_that_is_gone_already_has_exited(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock s = sock(1, S(9), HELD);
	const struct cl_held one = by(&child, 1);

	k->is_gone = true;
	opened(k, 1, S(9));
	tick(k, S(10), &s, 1);
	walk(k, S(11), &s, &one, 1);
	assert_int_equal(find(k, EV_EXIT)->holder, 2);
}

static void what_nobody_holds_in_two_walks_is_unheld(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock s = sock(1, S(9), HELD);
	const struct cl_held one = by(&app, 1);

	opened(k, 1, S(9));
	walk(k, S(10), &s, NULL, 0);
	assert_null(find(k, EV_HELD));
	walk(k, S(11), &s, NULL, 0);
	assert_int_equal(find(k, EV_HELD)->held.total, 0);
	assert_int_equal(k->s.unheld, 1);
	assert_int_equal(k->s.drift, 0);
	walk(k, S(12), &s, NULL, 0);
	assert_null(find(k, EV_HELD));
	walk(k, S(13), &s, &one, 1);
	assert_int_equal(find(k, EV_HELD)->held.total, 1);
	assert_int_equal(k->s.unheld, 0);
}

static void what_opened_during_the_walk_is_not_unheld(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock s = sock(1, S(10), HELD);

	opened(k, 1, S(10));
	walk(k, S(10), &s, NULL, 0);
	walk(k, S(10), &s, NULL, 0);
	assert_null(find(k, EV_HELD));
}

static void where_it_ends_is_told(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s[2] = {sock(1, S(9), HELD), sock(2, S(9), HELD)};
	struct cl_held held[] = {by(&app, 1), by(&child, 2), by(&child, 0)};
	struct pass p = {.now_ns = S(10),
			 .walk_ns = S(10),
			 .pass_ns = S(10),
			 .socks = s,
			 .n = 2,
			 .has_walk = true,
			 .held = held,
			 .n_held = 3};
	struct cl_rec_open r = {
		.head = {.kind = CL_REC_OPEN, .t_ns = (uint64_t)S(9), .holder = child},
		.id = 2,
		.family = AF_INET,
		.rport = 5432};

	/* the pooler accepted, from an IPv6 socket, what the application opened */
	s[0].laddr[3] = 7;
	s[0].netns = s[1].netns = held[2].netns = 99;
	held[2].family = 6;
	held[2].raddr[10] = held[2].raddr[11] = 0xff;
	held[2].raddr[15] = 7;
	held[2].rport = s[0].lport;
	s[1].lport = 40001;
	opened(k, 1, S(9));
	assert_int_equal(translator_record(k->t, &r.head, sizeof(r)), 0);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(find(k, EV_VIA)->conn, 1);
	assert_int_equal(find(k, EV_VIA)->via, 2);
	/* the same addresses in another network namespace are somebody else's */
	held[2].netns = 98;
	p.now_ns = p.walk_ns = p.pass_ns = S(11);
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(find(k, EV_VIA)->via, 0);
}

static void drift_takes_two_walks(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_held one = by(&app, 77);

	tick(k, S(9), NULL, 0);
	assert_int_equal(k->s.drift, -1);
	walk(k, S(10), NULL, &one, 1);
	assert_int_equal(k->s.drift, 0);
	walk(k, S(11), NULL, &one, 1);
	assert_int_equal(k->s.drift, 1);
	tick(k, S(12), NULL, 0);
	assert_int_equal(k->s.drift, 1);
	walk(k, S(13), NULL, NULL, 0);
	assert_int_equal(k->s.drift, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRANSLATE_TEST(several_holders_are_told_once_and_when_they_change),
		TRANSLATE_TEST(what_its_holder_let_go_moves_and_is_counted_there),
		TRANSLATE_TEST(a_keeper_that_is_gone_already_has_exited),
		TRANSLATE_TEST(what_nobody_holds_in_two_walks_is_unheld),
		TRANSLATE_TEST(what_opened_during_the_walk_is_not_unheld),
		TRANSLATE_TEST(where_it_ends_is_told),
		TRANSLATE_TEST(drift_takes_two_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
