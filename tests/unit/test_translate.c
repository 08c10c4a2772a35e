/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_translate.c - kernel records and passes, written by hand, to events
 * objects: collect/translate.o collect/translate_held.o collect/translate_count.o core/event.o
 * objects: core/endpoint.o core/holder_info.o core/idmap.o core/slots.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>

#include "../../user/collect/translate.h"

#define S(n) ((int64_t)(n)*NS_PER_S)

/* The kernel, as far as the translator asks it. */
struct kernel_side {
	struct translator *t;
	struct snapshot s;
	unsigned identified, watched, forgotten;
	bool is_gone; /* a process that is to be watched has ended already */
	struct counts counts;
	uint64_t late_open;
	bool has_counts;
	bool has_untold; /* a holder of whom no record was seen */
	int64_t exit_ns;
};

static const struct cl_holder_key app = {.tgid = 4711, .start_ns = 1000};

static void identify(void *arg, const struct cl_holder_key *key, struct holder_info *info)
{
	struct kernel_side *k = arg;

	assert_int_equal(key->tgid, info->pid);
	snprintf(info->comm, sizeof(info->comm), "app");
	k->identified++;
}

static bool watch(void *arg, const struct cl_holder_key *key)
{
	struct kernel_side *k = arg;

	(void)key;
	k->watched++;
	return !k->is_gone;
}

static void forget(void *arg, const struct cl_holder_key *key)
{
	struct kernel_side *k = arg;

	(void)key;
	k->forgotten++;
}

static bool counts_of(void *arg, const struct cl_holder_key *key, struct counts *ret,
		      int64_t *ret_exit_ns)
{
	struct kernel_side *k = arg;

	(void)key;
	*ret = k->counts;
	*ret_exit_ns = k->exit_ns;
	return k->has_counts;
}

static bool next_holder(void *arg, const struct cl_holder_key *key, struct cl_holder_key *ret)
{
	struct kernel_side *k = arg;

	if (key || !k->has_untold)
		return false;
	*ret = app;
	return true;
}

static void opened(struct kernel_side *k, uint64_t id, int64_t t_ns)
{
	struct cl_rec_open r = {
		.head = {.kind = CL_REC_OPEN, .tid = 7, .t_ns = (uint64_t)t_ns, .holder = app},
		.id = id,
		.family = AF_INET,
		.laddr = {10, 0, 0, 1},
		.raddr = {10, 0, 0, 2},
		.lport = 40000,
		.rport = 5432};

	assert_int_equal(translator_record(k->t, &r.head, sizeof(r)), 0);
}

/* What the kernel records between the reading of its counters and the end of the tick. */
static void drain(void *arg)
{
	struct kernel_side *k = arg;

	if (k->late_open)
		opened(k, k->late_open, S(13));
	k->late_open = 0;
}

static int setup(void **state)
{
	struct kernel_side *k = calloc(1, sizeof(*k));
	const struct translate_ops ops = {identify,    watch, forget, counts_of,
					  next_holder, drain, k};

	k->exit_ns = T_NEVER;
	k->t = translator_new(4 * NS_PER_MS, &ops);
	*state = k;
	return k->t ? 0 : -1;
}

static int teardown(void **state)
{
	struct kernel_side *k = *state;

	translator_free(k->t);
	snapshot_release(&k->s);
	free(k);
	return 0;
}

static void ended(struct kernel_side *k, uint32_t kind, uint64_t id, int64_t t_ns, uint32_t how)
{
	struct cl_rec_end r = {.head = {.kind = kind, .t_ns = (uint64_t)t_ns, .holder = app},
			       .id = id,
			       .how = how,
			       .family = AF_INET,
			       .rport = 5432};

	assert_int_equal(translator_record(k->t, &r.head, sizeof(r)), 0);
}

static void exited(struct kernel_side *k, int64_t t_ns)
{
	struct cl_rec r = {.kind = CL_REC_EXIT, .t_ns = (uint64_t)t_ns, .holder = app};

	assert_int_equal(translator_record(k->t, &r, sizeof(r)), 0);
}

static struct cl_sock sock(uint64_t id, int64_t opened_ns, uint8_t flags)
{
	return (struct cl_sock){.id = id,
				.opened_ns = (uint64_t)opened_ns,
				.holder = app,
				.family = 4,
				.state = 1,
				.flags = flags,
				.lport = 40000,
				.rport = 5432};
}

/* One tick with these sockets; its events are in k->s until the next. */
static void tick(struct kernel_side *k, int64_t now_ns, const struct cl_sock *socks, uint32_t n)
{
	const struct pass p = {.now_ns = now_ns, .pass_ns = now_ns, .socks = socks, .n = n};

	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(k->s.events[k->s.n_events - 1].kind, EV_TICK);
	for (size_t i = 1; i < k->s.n_events; i++)
		assert_true(k->s.events[i - 1].t_ns <= k->s.events[i].t_ns);
}

static const struct event *find(const struct kernel_side *k, enum event_kind kind)
{
	for (size_t i = 0; i < k->s.n_events; i++)
		if (k->s.events[i].kind == kind)
			return &k->s.events[i];
	return NULL;
}

#define HELD (CL_SLOT | CL_FD)

static void a_holder_comes_before_its_first_event(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open[] = {sock(2, S(9), HELD), sock(1, S(8), HELD)};

	/* the ring hands them over out of order */
	opened(k, 2, S(9));
	opened(k, 1, S(8));
	tick(k, S(10), open, 2);
	assert_int_equal(k->s.events[0].kind, EV_HOLDER);
	assert_string_equal(k->s.events[0].info->comm, "app");
	assert_int_equal(k->s.events[1].conn, 1);
	assert_int_equal(k->s.events[2].conn, 2);
	assert_int_equal(k->identified, 1);
}

static void a_record_later_than_the_tick_waits(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(11), HELD);

	opened(k, 1, S(11));
	tick(k, S(10), &open, 1);
	assert_null(find(k, EV_OPEN));
	tick(k, S(12), &open, 1);
	assert_int_equal(find(k, EV_OPEN)->t_ns, S(11));
}

static void an_opening_without_record_is_made_up_once_it_is_late(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct translate_stats stats;

	tick(k, S(10), &open, 1);
	assert_null(find(k, EV_OPEN));
	tick(k, S(11), &open, 1);
	assert_non_null(find(k, EV_OPEN));
	assert_false(find(k, EV_OPEN)->open.adopted);
	tick(k, S(12), &open, 1);
	assert_null(find(k, EV_OPEN));
	translator_stats(k->t, &stats);
	assert_int_equal(stats.made_up_opens, 1);
}

static void a_vanished_connection_is_closed_after_two_passes(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct translate_stats stats;

	opened(k, 1, S(9));
	tick(k, S(10), &open, 1);
	tick(k, S(11), NULL, 0);
	assert_null(find(k, EV_CLOSE));
	/* its record was only late */
	tick(k, S(12), &open, 1);
	tick(k, S(13), NULL, 0);
	assert_null(find(k, EV_CLOSE));
	tick(k, S(14), NULL, 0);
	/* nobody saw how: it must not count as a return */
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_PEER);
	translator_stats(k->t, &stats);
	assert_int_equal(stats.made_up_closes, 1);
}

static void an_orphan_in_fin_wait_is_closed_after_two_passes(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(9), HELD);

	opened(k, 1, S(9));
	tick(k, S(10), &s, 1);
	s.flags = CL_SLOT;
	s.state = 5;
	tick(k, S(11), &s, 1);
	tick(k, S(12), &s, 1);
	assert_non_null(find(k, EV_CLOSE));
}

static void a_close_with_the_descriptor_kept_is_a_shutdown(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(9), HELD);

	opened(k, 1, S(9));
	tick(k, S(10), &s, 1);
	ended(k, CL_REC_SLOT_END, 1, S(11), CL_HOW_APP);
	s.flags = CL_FD;
	tick(k, S(12), &s, 1);
	assert_int_equal(find(k, EV_FIN)->fin, FIN_SHUTDOWN);
	assert_null(find(k, EV_CLOSE));
	tick(k, S(13), NULL, 0);
	tick(k, S(14), NULL, 0);
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_APP);
}

static void the_server_closing_first_is_a_fin_and_then_a_close(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(9), CL_FD);

	opened(k, 1, S(9));
	ended(k, CL_REC_SLOT_END, 1, S(9) + 5, CL_HOW_FIN);
	tick(k, S(10), &s, 1);
	assert_int_equal(find(k, EV_FIN)->fin, FIN_PEER);
	ended(k, CL_REC_FD_END, 1, S(11), CL_HOW_FIN);
	tick(k, S(12), NULL, 0);
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_APP);
	assert_int_equal(find(k, EV_CLOSE)->t_ns, S(11));
}

static void adopted_ones_bring_their_bytes(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(10), HELD | CL_ADOPTED);

	s.tx_bytes = 100;
	s.rx_bytes = 200;
	s.tx_age_jiffies = 1000;
	s.rx_age_jiffies = 999;
	tick(k, S(10), &s, 1);
	assert_true(find(k, EV_OPEN)->open.adopted);
	assert_int_equal(find(k, EV_IO)->io.tx, 100);
	assert_int_equal(find(k, EV_IO)->io.tx_ns, S(6));
	assert_int_equal(find(k, EV_IO)->io.rx_ns, S(10) - 999 * 4 * NS_PER_MS);
}

static void an_age_from_a_wrapped_counter_is_not_measured(void **state)
{
	struct kernel_side *k = *state;
	struct cl_sock s = sock(1, S(10), HELD | CL_ADOPTED);

	s.tx_bytes = 1;
	s.tx_age_jiffies = 0x80000001u;
	tick(k, S(10), &s, 1);
	assert_int_equal(find(k, EV_IO)->io.tx_ns, T_NEVER);
	assert_int_equal(find(k, EV_IO)->io.rx_ns, T_NEVER);
}

static void after_a_loss_the_kernels_counters_hold_less_what_waits(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct pass p = {.now_ns = S(12), .pass_ns = S(12), .socks = &open, .n = 1};

	opened(k, 1, S(9));
	tick(k, S(10), &open, 1);
	k->has_counts = true;
	k->counts = (struct counts){.opened = 100, .closed = 98, .open = 2};
	p.lost[LOST_RING] = 50;
	k->late_open = 2;
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(find(k, EV_LOST)->lost.events, 50);
	assert_int_equal(find(k, EV_LOST)->lost.where, LOST_RING);
	assert_int_equal(find(k, EV_COUNT)->count.opened, 99);
	assert_int_equal(find(k, EV_COUNT)->count.closed, 98);
	assert_int_equal(find(k, EV_COUNT)->count.open, 1);
}

static void a_holder_whose_records_were_all_lost_is_counted(void **state)
{
	struct kernel_side *k = *state;
	const struct pass p = {.now_ns = S(12), .pass_ns = S(12), .lost = {9}};

	tick(k, S(10), NULL, 0);
	k->has_untold = k->has_counts = true;
	k->exit_ns = S(11);
	k->counts = (struct counts){.opened = 5, .closed = 5};
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_int_equal(find(k, EV_COUNT)->count.opened, 5);
	assert_non_null(find(k, EV_EXIT));
	for (size_t i = 1; i < k->s.n_events; i++)
		assert_true(k->s.events[i - 1].t_ns <= k->s.events[i].t_ns);
	/* counted once more, now that nothing can come, and then it goes */
	tick(k, S(13), NULL, 0);
	assert_non_null(find(k, EV_COUNT));
	assert_int_equal(k->forgotten, 1);
}

static void after_making_up_the_counters_are_told(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);

	k->has_counts = true;
	k->counts = (struct counts){.opened = 1};
	tick(k, S(10), &open, 1);
	tick(k, S(11), &open, 1);
	assert_non_null(find(k, EV_OPEN));
	/* the opening was made up, and the kernel had counted it */
	assert_int_equal(find(k, EV_COUNT)->count.opened, 1);
	assert_int_equal(find(k, EV_COUNT)->count.open, 1);
}

static void a_lost_exit_is_told_by_the_counters(void **state)
{
	struct kernel_side *k = *state;
	struct pass p = {.now_ns = S(12), .pass_ns = S(12)};

	opened(k, 1, S(9));
	ended(k, CL_REC_SLOT_END, 1, S(9), CL_HOW_EXIT);
	tick(k, S(10), NULL, 0);
	assert_int_equal(k->forgotten, 0);
	k->has_counts = true;
	k->exit_ns = S(11);
	p.lost[LOST_RING] = 1;
	snapshot_clear(&k->s);
	assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
	assert_non_null(find(k, EV_EXIT));
	tick(k, S(13), NULL, 0);
	assert_int_equal(k->forgotten, 1);
}

static void a_dead_holder_is_forgotten_when_nothing_of_it_is_open(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(8), HELD);

	opened(k, 1, S(8));
	tick(k, S(9), &open, 1);
	exited(k, S(10));
	tick(k, S(11), &open, 1);
	assert_non_null(find(k, EV_EXIT));
	assert_int_equal(k->forgotten, 0);
	ended(k, CL_REC_SLOT_END, 1, S(11) + 1, CL_HOW_EXIT);
	tick(k, S(12), NULL, 0);
	assert_int_equal(find(k, EV_CLOSE)->close, CLOSE_EXIT);
	assert_int_equal(k->forgotten, 1);
}

/* --- walks over descriptors --- */

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

static void failed(struct kernel_side *k, int64_t t_ns)
{
	ended(k, CL_REC_FAIL, 9, t_ns, CL_HOW_NONE);
}

static void a_connect_that_outlives_its_process_leaves_nothing_behind(void **state)
{
	struct kernel_side *k = *state;

	/* the exit comes before the failure that it causes; in one tick ... */
	k->has_counts = true;
	exited(k, S(9));
	failed(k, S(9) + 1);
	tick(k, S(10), NULL, 0);
	assert_non_null(find(k, EV_EXIT));
	assert_non_null(find(k, EV_FAIL));
	assert_int_equal(k->forgotten, 1);
	/* ... and in two */
	exited(k, S(11));
	tick(k, S(12), NULL, 0);
	k->has_counts = false;
	failed(k, S(13));
	tick(k, S(14), NULL, 0);
	assert_int_equal(k->s.n_events, 1);
}

static void what_an_array_left_out_is_not_gone(void **state)
{
	struct kernel_side *k = *state;
	const struct cl_sock open = sock(1, S(9), HELD);
	struct pass p = {.socks = &open, .n_missed = 1};

	opened(k, 1, S(9));
	tick(k, S(10), &open, 1);
	for (int i = 11; i < 15; i++) {
		p.now_ns = p.pass_ns = S(i);
		snapshot_clear(&k->s);
		assert_int_equal(translator_tick(k->t, &p, &k->s), 0);
		assert_null(find(k, EV_CLOSE));
	}
}

static void unknown_and_short_records_are_refused(void **state)
{
	struct kernel_side *k = *state;
	struct cl_rec r = {.kind = 99};

	assert_int_equal(translator_record(k->t, &r, sizeof(r)), -EINVAL);
	r.kind = CL_REC_OPEN;
	assert_int_equal(translator_record(k->t, &r, sizeof(r)), -EINVAL);
	tick(k, S(1), NULL, 0);
	assert_int_equal(k->s.n_events, 1);
}

#define TRANSLATE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRANSLATE_TEST(a_holder_comes_before_its_first_event),
		TRANSLATE_TEST(a_record_later_than_the_tick_waits),
		TRANSLATE_TEST(an_opening_without_record_is_made_up_once_it_is_late),
		TRANSLATE_TEST(a_vanished_connection_is_closed_after_two_passes),
		TRANSLATE_TEST(an_orphan_in_fin_wait_is_closed_after_two_passes),
		TRANSLATE_TEST(a_close_with_the_descriptor_kept_is_a_shutdown),
		TRANSLATE_TEST(the_server_closing_first_is_a_fin_and_then_a_close),
		TRANSLATE_TEST(adopted_ones_bring_their_bytes),
		TRANSLATE_TEST(an_age_from_a_wrapped_counter_is_not_measured),
		TRANSLATE_TEST(after_a_loss_the_kernels_counters_hold_less_what_waits),
		TRANSLATE_TEST(a_holder_whose_records_were_all_lost_is_counted),
		TRANSLATE_TEST(after_making_up_the_counters_are_told),
		TRANSLATE_TEST(a_lost_exit_is_told_by_the_counters),
		TRANSLATE_TEST(a_dead_holder_is_forgotten_when_nothing_of_it_is_open),
		TRANSLATE_TEST(several_holders_are_told_once_and_when_they_change),
		TRANSLATE_TEST(what_its_holder_let_go_moves_and_is_counted_there),
		TRANSLATE_TEST(a_keeper_that_is_gone_already_has_exited),
		TRANSLATE_TEST(what_nobody_holds_in_two_walks_is_unheld),
		TRANSLATE_TEST(what_opened_during_the_walk_is_not_unheld),
		TRANSLATE_TEST(where_it_ends_is_told),
		TRANSLATE_TEST(drift_takes_two_walks),
		TRANSLATE_TEST(a_connect_that_outlives_its_process_leaves_nothing_behind),
		TRANSLATE_TEST(what_an_array_left_out_is_not_gone),
		TRANSLATE_TEST(unknown_and_short_records_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
