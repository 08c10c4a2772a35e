/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_proctab.c - one claim a test; the random streams are in test_proctab_random.c
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o
 * objects: core/endpoint.o core/holder_info.o core/site_info.o
 * objects: core/sitetab.o
 * objects: core/app_frame.o
 */
#include "table_fix.h"

static void open_and_close_are_counted_for_usage_and_holder(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 5, 1);
	assert_int_equal(proctab_conn(f.pt, f.ch.conn)->usage, f.ch.usage);
	assert_int_equal(usage(&f, H1)->first_open_ns, 5);
	opens(&f, 7, 2);
	assert_int_equal(usage(&f, H1)->counts.open, 2);
	assert_int_equal(peer(&f, &pg)->slots, 2);
	closes(&f, 5 * NS_PER_S, 1, CLOSE_APP);
	assert_int_equal(holder(&f, H1)->counts.closed, 1);
	assert_int_equal(usage(&f, H1)->counts.opened, 2);
	assert_int_equal(usage(&f, H1)->counts.open, 1);
	assert_int_equal(usage(&f, H1)->counts.rejected, 0);
	assert_int_equal(usage(&f, H1)->last_open_ns, 7);
	assert_int_equal(peer(&f, &pg)->slots, 1);
	assert_int_equal(proctab_open(f.pt), 1);
	proctab_free(f.pt);
}

static void a_closed_connection_is_readable_until_the_next_event(void **state)
{
	struct fix f;
	uint32_t slot;

	(void)state;
	setup(&f, NULL);
	opens(&f, 5, 1);
	closes(&f, 6, 1, CLOSE_APP);
	slot = f.ch.conn;
	assert_int_equal(proctab_conn(f.pt, slot)->id, 1);
	assert_int_equal(proctab_find_conn(f.pt, 1), SLOT_NONE);
	tick(&f, 7);
	assert_null(proctab_conn(f.pt, slot));
	opens(&f, 8, 1);
	assert_int_equal(f.ch.conn, slot);
	proctab_free(f.pt);
}

static void adopted_is_not_opened_and_never_rejected(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	apply(&f, &(struct event){.kind = EV_OPEN,
				  .conn = 1,
				  .holder = H1,
				  .open = {.peer = pg, .adopted = true}});
	assert_int_equal(f.err, 0);
	assert_int_equal(usage(&f, H1)->counts.opened, 0);
	assert_int_equal(usage(&f, H1)->counts.adopted, 1);
	assert_true(usage(&f, H1)->first_open_ns == T_NEVER);
	fin(&f, 1, 1, FIN_PEER);
	assert_false(f.ch.is_rejected);
	closes(&f, 2, 1, CLOSE_PEER);
	assert_false(f.ch.is_rejected);
	proctab_free(f.pt);
}

static void a_fin_gives_up_the_slot_and_keeps_it_open(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 0, 1);
	opens(&f, 0, 2);
	fin(&f, 10 * NS_PER_S, 1, FIN_PEER);
	fin(&f, 11 * NS_PER_S, 1, FIN_RESET);
	assert_int_equal(peer(&f, &pg)->slots, 1);
	assert_int_equal(peer(&f, &pg)->open, 2);
	assert_int_equal(usage(&f, H1)->counts.open, 2);
	tick(&f, 70 * NS_PER_S);
	assert_int_equal(usage(&f, H1)->counts.fd_only, 0);
	tick(&f, 70 * NS_PER_S + 1);
	assert_int_equal(usage(&f, H1)->counts.fd_only, 1);
	assert_int_equal(holder(&f, H1)->counts.fd_only, 1);
	tick(&f, 99 * NS_PER_S);
	assert_int_equal(usage(&f, H1)->counts.fd_only, 1);
	assert_true(proctab_conn(f.pt, proctab_find_conn(f.pt, 1))->is_fd_only);
	closes(&f, 100 * NS_PER_S, 1, CLOSE_APP);
	assert_int_equal(usage(&f, H1)->counts.fd_only, 0);
	assert_int_equal(usage(&f, H1)->counts.open, 1);
	assert_int_equal(peer(&f, &pg)->slots, 1);
	proctab_free(f.pt);
}

static void rejected_is_what_ends_at_once(void **state)
{
	static const struct {
		int64_t end_ns;
		int64_t rx; /* -1: no byte counts */
		int fin;    /* -1: none */
		int close;  /* after it */
		bool at_fin, at_close;
	} cases[] = {
		{NS_PER_S, 500, FIN_PEER, CLOSE_APP, true, false},
		{NS_PER_S, -1, FIN_RESET, CLOSE_APP, true, false},
		{NS_PER_S + 1, 10, FIN_PEER, CLOSE_APP, false, false},
		{1, 500, FIN_SHUTDOWN, CLOSE_APP, false, false},
		{1, 299, FIN_SHUTDOWN, CLOSE_APP, true, false},
		{NS_PER_S, 299, -1, CLOSE_APP, false, true},
		{NS_PER_S, 300, -1, CLOSE_APP, false, false},
		{NS_PER_S + 1, 299, -1, CLOSE_APP, false, false},
		{1, -1, -1, CLOSE_APP, false, false},
		{1, 500, -1, CLOSE_PEER, false, true},
		{1, 500, -1, CLOSE_RESET, false, true},
		{1, 100, -1, CLOSE_EXIT, false, true},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct fix f;

		setup(&f, NULL);
		opens(&f, 0, 1);
		if (cases[i].rx >= 0)
			io(&f, 1, (uint64_t)cases[i].rx);
		if (cases[i].fin >= 0) {
			fin(&f, cases[i].end_ns, 1, (enum fin_how)cases[i].fin);
			if (f.ch.is_rejected != cases[i].at_fin)
				fail_msg("case %zu: at the FIN", i);
		}
		closes(&f, cases[i].end_ns, 1, (enum close_by)cases[i].close);
		if (f.ch.is_rejected != cases[i].at_close)
			fail_msg("case %zu: at the close", i);
		assert_int_equal(usage(&f, H1)->counts.rejected,
				 cases[i].at_fin || cases[i].at_close);
		assert_int_equal(holder(&f, H1)->counts.rejected, usage(&f, H1)->counts.rejected);
		proctab_free(f.pt);
	}
}

static void io_tells_what_was_before(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 9, 1);
	assert_int_equal(conn_last_io_ns(proctab_conn(f.pt, f.ch.conn)), 9);
	io(&f, 1, 480);
	assert_false(f.ch.was_has_io);
	assert_true(f.ch.was_tx_ns == T_NEVER && f.ch.was_rx_ns == T_NEVER);
	io(&f, 1, 500);
	assert_true(f.ch.was_has_io);
	assert_int_equal(f.ch.was_rx, 480);
	assert_int_equal(f.ch.was_tx, 100);
	assert_int_equal(f.ch.was_rx_ns, 2);
	assert_int_equal(proctab_conn(f.pt, f.ch.conn)->rx, 500);
	assert_int_equal(conn_last_io_ns(proctab_conn(f.pt, f.ch.conn)), 2);
	proctab_free(f.pt);
}

static void a_move_charges_the_other_holder(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 0, 1);
	opens(&f, 0, 2);
	fin(&f, 5 * NS_PER_S, 1, FIN_PEER);
	tick(&f, 100 * NS_PER_S);
	apply(&f, &(struct event){.kind = EV_MOVE, .conn = 1, .holder = H2});
	assert_int_equal(f.err, 0);
	assert_int_equal(f.ch.holder, proctab_find_holder(f.pt, H2));
	assert_int_equal(usage(&f, H1)->counts.moved_out, 1);
	assert_int_equal(usage(&f, H1)->counts.open, 1);
	assert_int_equal(usage(&f, H1)->counts.fd_only, 0);
	assert_int_equal(usage(&f, H2)->counts.moved_in, 1);
	assert_int_equal(usage(&f, H2)->counts.open, 1);
	assert_int_equal(usage(&f, H2)->counts.fd_only, 1);
	assert_int_equal(usage(&f, H2)->counts.opened, 0);
	assert_int_equal(proctab_conn(f.pt, usage(&f, H2)->first_conn)->id, 1);
	assert_int_equal(proctab_conn(f.pt, usage(&f, H1)->first_conn)->id, 2);
	assert_int_equal(peer(&f, &pg)->open, 2);
	apply(&f, &(struct event){.kind = EV_MOVE, .conn = 1, .holder = 77});
	assert_int_equal(f.err, -ENOENT);
	assert_int_equal(usage(&f, H2)->counts.open, 1);
	proctab_free(f.pt);
}

static void a_failed_connect_makes_the_usage_and_opens_nothing(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	apply(&f, &(struct event){.kind = EV_FAIL, .holder = H1, .fail = {.peer = pg, .err = 111}});
	assert_int_equal(f.err, 0);
	assert_int_equal(usage(&f, H1)->counts.failed, 1);
	assert_int_equal(holder(&f, H1)->counts.failed, 1);
	assert_int_equal(proctab_open(f.pt), 0);
	proctab_free(f.pt);
}

static void the_kernels_counters_hold(void **state)
{
	struct counts l;
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 0, 1);
	apply(&f, &(struct event){
			  .kind = EV_COUNT, .holder = H1, .count = {.opened = 40, .closed = 40}});
	assert_int_equal(holder(&f, H1)->counts.opened, 40);
	/* its only usage, and the node, are put right with it; what is open is in the table */
	assert_int_equal(usage(&f, H1)->counts.opened, 40);
	proctab_ledger(f.pt, &l);
	assert_int_equal(l.opened, 40);
	assert_int_equal(l.closed, 40);
	assert_int_equal(l.open, 1);
	assert_int_equal(ledger_lost(&l), 0);
	closes(&f, 9 * NS_PER_S, 1, CLOSE_APP);
	assert_int_equal(holder(&f, H1)->counts.open, 0);
	assert_int_equal(holder(&f, H1)->counts.closed, 41);
	proctab_free(f.pt);
}

static void budget(struct fix *f, const struct endpoint *ep, uint32_t limit,
		   enum budget_scope scope)
{
	apply(f,
	      &(struct event){.kind = EV_BUDGET,
			      .budget = {.peer = *ep, .limit = limit, .used = 14, .scope = scope}});
	assert_int_equal(f->err, 0);
}

static void the_default_budget_is_for_peers_without_their_own(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 0, 1);
	assert_int_equal(peer(&f, &pg)->limit, 0);
	budget(&f, &pg, 97, SCOPE_SERVER);
	budget(&f, &nobody, 20, SCOPE_NODE);
	open_to(&f, 0, 2, H1, &pooler);
	assert_int_equal(peer(&f, &pg)->limit, 97);
	assert_int_equal(peer_used(peer(&f, &pg)), 14);
	assert_int_equal(peer(&f, &pooler)->limit, 20);
	assert_int_equal(peer_used(peer(&f, &pooler)), 1);
	budget(&f, &nobody, 30, SCOPE_NODE);
	assert_int_equal(peer(&f, &pooler)->limit, 30);
	budget(&f, &pg, 0, SCOPE_SERVER);
	assert_int_equal(peer(&f, &pg)->limit, 30);
	proctab_free(f.pt);
}

static void what_is_unknown_changes_nothing_and_is_counted(void **state)
{
	static const struct event events[] = {
		{.kind = EV_IO, .conn = 9},
		{.kind = EV_USE, .conn = 9},
		{.kind = EV_FIN, .conn = 9},
		{.kind = EV_CLOSE, .conn = 9},
		{.kind = EV_MOVE, .conn = 9, .holder = H2},
		{.kind = EV_EXIT, .holder = 9},
		{.kind = EV_THREAD_EXIT, .holder = 9},
		{.kind = EV_FAIL, .holder = 9, .fail.peer = {{1}, 2, 4, 0}},
		{.kind = EV_OPEN, .conn = 9, .holder = 9, .open.peer = {{1}, 2, 4, 0}},
	};
	struct fix f;

	(void)state;
	setup(&f, NULL);
	for (size_t i = 0; i < T_COUNT(events); i++) {
		apply(&f, &events[i]);
		assert_int_equal(f.err, -ENOENT);
		assert_int_equal(f.ch.conn, SLOT_NONE);
		assert_int_equal(proctab_lost(f.pt), i + 1);
	}
	/* late counters of a forgotten holder are no loss */
	apply(&f, &(struct event){.kind = EV_COUNT, .holder = 9});
	assert_int_equal(f.err, -ENOENT);
	assert_int_equal(proctab_lost(f.pt), T_COUNT(events));
	assert_int_equal(proctab_n_conns(f.pt), 0);
	assert_int_equal(proctab_n_usages(f.pt), 0);
	apply(&f, &(struct event){.kind = EV_LOST, .lost.events = 5});
	assert_int_equal(proctab_lost(f.pt), T_COUNT(events) + 5);
	proctab_free(f.pt);
}

static void broken_opens_are_refused(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, NULL);
	open_to(&f, 0, 0, H1, &pg);
	assert_int_equal(f.err, -EINVAL);
	open_to(&f, 0, 1, H1, &nobody);
	assert_int_equal(f.err, -EINVAL);
	assert_int_equal(proctab_lost(f.pt), 2);
	opens(&f, 0, 1);
	open_to(&f, 0, 1, H2, &pg);
	assert_int_equal(f.err, -EEXIST);
	assert_int_equal(proctab_lost(f.pt), 2);
	assert_int_equal(holder(&f, H2)->counts.opened, 0);
	apply(&f, &(struct event){.kind = EV_HOLDER, .holder = 3});
	assert_int_equal(f.err, -EINVAL);
	proctab_free(f.pt);
}

static void full_tables_lose_entries_and_go_on_counting(void **state)
{
	static const struct proctab_limits limits = {
		.max_conns = 2, .max_holders = 2, .max_usages = 2, .max_peers = 1};
	struct fix f;

	(void)state;
	setup(&f, &limits);
	add_holder(&f, 3);
	assert_int_equal(f.err, -ENOSPC);
	opens(&f, 0, 1);
	opens(&f, 0, 2);
	open_to(&f, 0, 3, H1, &pg);
	assert_int_equal(f.err, -ENOSPC);
	assert_int_equal(f.ch.conn, SLOT_NONE);
	assert_int_equal(usage(&f, H1)->counts.opened, 3);
	assert_int_equal(usage(&f, H1)->counts.open, 2);
	open_to(&f, 0, 4, H2, &pooler);
	assert_int_equal(f.err, -ENOSPC);
	assert_int_equal(holder(&f, H2)->counts.opened, 1);
	assert_int_equal(holder(&f, H2)->first_usage, SLOT_NONE);
	assert_int_equal(proctab_lost(f.pt), 3);
	closes(&f, 1, 1, CLOSE_APP);
	opens(&f, 2, 5);
	proctab_free(f.pt);
}

static void a_holder_is_learned_again(void **state)
{
	struct holder_info info = {.pid = 5, .exe = (char[]){"/a"}};
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 0, 1);
	apply(&f, &(struct event){.kind = EV_HOLDER, .holder = H1, .info = &info});
	assert_int_equal(f.err, 0);
	assert_string_equal(holder(&f, H1)->info.exe, "/a");
	assert_int_equal(holder(&f, H1)->counts.open, 1);
	proctab_free(f.pt);
}

static void only_exited_holders_with_nothing_open_are_forgotten(void **state)
{
	struct fix f;
	uint32_t slot;

	(void)state;
	setup(&f, NULL);
	slot = proctab_find_holder(f.pt, H1);
	opens(&f, 0, 1);
	budget(&f, &pooler, 10, SCOPE_NODE);
	open_to(&f, 0, 2, H1, &pooler);
	assert_int_equal(proctab_forget_holder(f.pt, slot), -EBUSY);
	apply(&f, &(struct event){.t_ns = 5, .kind = EV_EXIT, .holder = H1});
	assert_int_equal(holder(&f, H1)->exit_ns, 5);
	assert_int_equal(proctab_n_exited(f.pt), 1);
	assert_int_equal(proctab_forget_holder(f.pt, slot), -EBUSY);
	closes(&f, 5, 1, CLOSE_EXIT);
	closes(&f, 5, 2, CLOSE_EXIT);
	assert_int_equal(proctab_forget_holder(f.pt, slot), 0);
	assert_int_equal(proctab_forget_holder(f.pt, slot), -ENOENT);
	assert_int_equal(proctab_find_holder(f.pt, H1), SLOT_NONE);
	assert_int_equal(proctab_n_exited(f.pt), 0);
	assert_null(peer(&f, &pg));
	assert_int_equal(peer(&f, &pooler)->limit, 10);
	assert_null(proctab_usage(f.pt, 0));
	assert_null(proctab_usage(f.pt, 1));
	proctab_free(f.pt);
}

static void whose_turn_it_is(void **state)
{
	static const struct {
		int64_t tx_ns, rx_ns, fin_ns;
		enum io_last last;
		bool client;
	} cases[] = {
		{T_NEVER, T_NEVER, T_NEVER, IO_LAST_TX, true},
		{5, T_NEVER, T_NEVER, IO_LAST_UNKNOWN, false},
		{T_NEVER, 5, T_NEVER, IO_LAST_UNKNOWN, true},
		{4, 5, T_NEVER, IO_LAST_TX, true},
		{5, 4, T_NEVER, IO_LAST_RX, false},
		{5, 5, T_NEVER, IO_LAST_RX, true},
		{5, 5, T_NEVER, IO_LAST_TX, false},
		{5, 5, T_NEVER, IO_LAST_UNKNOWN, true},
		{5, 4, 9, IO_LAST_TX, true},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct conn c = {.tx_ns = cases[i].tx_ns,
				 .rx_ns = cases[i].rx_ns,
				 .fin_ns = cases[i].fin_ns,
				 .last = (uint8_t)cases[i].last};

		if (conn_is_clients_turn(&c) != cases[i].client)
			fail_msg("case %zu", i);
	}
}

/* A call site of one frame. Returns its key. */
static uint64_t tell_site(struct fix *f, uint64_t id, const char *function)
{
	struct site_frame frame = {.function = (char *)function, .address = id};
	const struct site_info info = {.frames = &frame, .n_frames = 1};

	apply(f, &(struct event){.kind = EV_SITE, .site = id, .site_info = &info});
	return site_info_key(&info, id);
}

static void open_from(struct fix *f, uint64_t conn, uint64_t site)
{
	apply(f,
	      &(struct event){
		      .kind = EV_OPEN, .conn = conn, .holder = H1, .site = site, .open.peer = pg});
	assert_int_equal(f->err, 0);
}

static void use_from(struct fix *f, uint64_t conn, uint64_t site)
{
	apply(f, &(struct event){.kind = EV_USE, .conn = conn, .site = site});
	assert_int_equal(f->err, 0);
}

static void a_connection_knows_its_call_sites(void **state)
{
	const struct conn *c;
	uint64_t opener, user;
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opener = tell_site(&f, 1, "placeOrder");
	assert_int_equal(f.err, 0);
	user = tell_site(&f, 2, "load");
	assert_true(tell_site(&f, 3, "placeOrder") == opener);
	open_from(&f, 1, 1);
	c = proctab_conn(f.pt, f.ch.conn);
	assert_true(proctab_opened_by(f.pt, c) == opener);
	assert_true(proctab_first_used_by(f.pt, c) == 0);
	use_from(&f, 1, 2);
	assert_true(proctab_first_used_by(f.pt, c) == user);
	/* only the first use is one */
	use_from(&f, 1, 3);
	assert_true(proctab_first_used_by(f.pt, c) == user);
	assert_string_equal(proctab_site(f.pt, user)->frames[0].function, "load");
	assert_int_equal(proctab_site(f.pt, opener)->frames[0].address, 3);
	closes(&f, 1, 1, CLOSE_APP);
	assert_true(proctab_opened_by(f.pt, proctab_conn(f.pt, f.ch.conn)) == opener);
	proctab_free(f.pt);
}

static void an_unknown_call_site_is_none_and_no_reason_to_fail(void **state)
{
	const struct site_info info = {0};
	struct fix f;

	(void)state;
	setup(&f, NULL);
	opens(&f, 0, 1);
	assert_int_equal(proctab_sites_lost(f.pt), 0);
	open_from(&f, 2, 77);
	assert_true(proctab_opened_by(f.pt, proctab_conn(f.pt, f.ch.conn)) == 0);
	use_from(&f, 2, 78);
	assert_true(proctab_first_used_by(f.pt, proctab_conn(f.pt, f.ch.conn)) == 0);
	assert_int_equal(proctab_sites_lost(f.pt), 2);
	assert_int_equal(proctab_lost(f.pt), 0);
	assert_int_equal(usage(&f, H1)->counts.open, 2);
	assert_null(proctab_site(f.pt, 0));
	apply(&f, &(struct event){.kind = EV_SITE, .site = 1});
	assert_int_equal(f.err, -EINVAL);
	apply(&f, &(struct event){.kind = EV_SITE, .site_info = &info});
	assert_int_equal(f.err, -EINVAL);
	assert_int_equal(proctab_lost(f.pt), 2);
	proctab_free(f.pt);
}

static void a_full_table_of_sites_keeps_those_in_use(void **state)
{
	static const struct proctab_limits limits = {.max_sites = 2};
	uint64_t a, b;
	struct fix f;

	(void)state;
	setup(&f, &limits);
	a = tell_site(&f, 1, "a");
	b = tell_site(&f, 2, "b");
	open_from(&f, 1, 1);
	open_from(&f, 2, 0);
	use_from(&f, 2, 2);
	tell_site(&f, 3, "c");
	assert_int_equal(f.err, -ENOSPC);
	open_from(&f, 3, 3);
	assert_true(proctab_opened_by(f.pt, proctab_conn(f.pt, f.ch.conn)) == 0);
	assert_int_equal(proctab_sites_lost(f.pt), 1);
	assert_int_equal(usage(&f, H1)->counts.opened, 3);
	/* a first user is in use like an opener, until its connection is gone */
	closes(&f, 1, 2, CLOSE_APP);
	tell_site(&f, 3, "c");
	assert_int_equal(f.err, 0);
	assert_null(proctab_site(f.pt, b));
	assert_non_null(proctab_site(f.pt, a));
	open_from(&f, 4, 3);
	assert_true(proctab_opened_by(f.pt, proctab_conn(f.pt, f.ch.conn)) != 0);
	assert_int_equal(usage(&f, H1)->counts.open, 3);
	assert_int_equal(proctab_lost(f.pt), 0);
	closes(&f, 1, 1, CLOSE_APP);
	tell_site(&f, 4, "d");
	assert_int_equal(f.err, 0);
	assert_null(proctab_site(f.pt, a));
	proctab_free(f.pt);
}

static void a_connection_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct conn) <= 112);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_and_close_are_counted_for_usage_and_holder),
		cmocka_unit_test(a_closed_connection_is_readable_until_the_next_event),
		cmocka_unit_test(adopted_is_not_opened_and_never_rejected),
		cmocka_unit_test(a_fin_gives_up_the_slot_and_keeps_it_open),
		cmocka_unit_test(rejected_is_what_ends_at_once),
		cmocka_unit_test(io_tells_what_was_before),
		cmocka_unit_test(a_move_charges_the_other_holder),
		cmocka_unit_test(a_failed_connect_makes_the_usage_and_opens_nothing),
		cmocka_unit_test(the_kernels_counters_hold),
		cmocka_unit_test(the_default_budget_is_for_peers_without_their_own),
		cmocka_unit_test(what_is_unknown_changes_nothing_and_is_counted),
		cmocka_unit_test(broken_opens_are_refused),
		cmocka_unit_test(full_tables_lose_entries_and_go_on_counting),
		cmocka_unit_test(a_holder_is_learned_again),
		cmocka_unit_test(only_exited_holders_with_nothing_open_are_forgotten),
		cmocka_unit_test(whose_turn_it_is),
		cmocka_unit_test(a_connection_knows_its_call_sites),
		cmocka_unit_test(an_unknown_call_site_is_none_and_no_reason_to_fail),
		cmocka_unit_test(a_full_table_of_sites_keeps_those_in_use),
		cmocka_unit_test(a_connection_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
