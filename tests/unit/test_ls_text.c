/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ls_text.c - the table of open connections
 * objects: cmd/ls_text.o tui/table.o core/words.o core/text.o core/strbuf.o core/proctab.o
 * objects: core/proctab_store.o core/slots.o core/idmap.o core/event.o core/holder_info.o core/site_info.o
 * objects: core/endpoint.o core/finding.o
 * objects: core/sitetab.o core/app_frame.o
 */
#include "t.h"

#include "../../user/cmd/ls_text.h"
#include "world.h"

static bool has_pid(const struct holder *h, const struct peer *p, void *arg)
{
	assert_non_null(p);
	return h->info.pid == *(uint32_t *)arg;
}

static void io(struct world *w, uint64_t conn, int64_t last_ns, uint64_t tx, uint64_t rx)
{
	struct event ev = {.t_ns = 299 * NS_PER_S, .kind = EV_IO, .conn = conn};

	ev.io.tx_ns = last_ns - NS_PER_S;
	ev.io.rx_ns = last_ns;
	ev.io.tx = tx;
	ev.io.rx = rx;
	ev.io.last = IO_LAST_RX;
	world_apply(w, ev);
}

/* Two connections: one of order-service (id 92), one of billing that was there before (43). */
static void make_two(struct world *w)
{
	for (uint64_t c = 1; c <= 91; c++)
		if (c != 43)
			world_apply(w, (struct event){.t_ns = 200 * NS_PER_S,
						      .kind = EV_CLOSE,
						      .holder = c <= 42	  ? 1
								: c <= 62 ? 2
								: c <= 79 ? 3
									  : 4,
						      .conn = c});
	world_open(w, 1, sample_endpoint(10, 0, 4, 12, 5432), 1, 0);
	io(w, 92, NS_PER_S, 211, 480);
}

static void rows_read_as_in_the_design(void **state)
{
	struct ls_options o = {.now_ns = 300 * NS_PER_S, .sort = LS_SORT_PID, .width = 120};
	struct strbuf sb = {0};

	make_two(*state);
	assert_int_equal(ls_text(&sb, ((struct world *)*state)->e.table, &o), 0);
	assert_string_equal(
		sb.buf,
		" PID COMMAND       SERVER         LOCAL AGE      IDLE   STATE        SENT  RECV\n"
		"3120 billing       10.0.4.12:5432 40043 >=2h 10m -      ESTABLISHED     -     -\n"
		"4711 order-service 10.0.4.12:5432 40092 5m 00s   4m 59s ESTABLISHED 211 B 480 B\n"
		"2 connections, 2 processes, 1 server\n");
	strbuf_release(&sb);
}

/* The column is there where something is known. */
static void what_opened_it_is_named(void **state)
{
	struct ls_options o = {.now_ns = 300 * NS_PER_S, .sort = LS_SORT_PID, .width = 160};
	struct site_frame frames[2], pool_frames[1], user_frames[1];
	struct site_info site = sample_site(frames), pool = sample_pool_site(pool_frames),
			 user = sample_user_site(user_frames);
	struct event open = {.kind = EV_OPEN, .conn = 93, .holder = 2, .site = 2};
	struct strbuf sb = {0};
	struct world *w = *state;

	make_two(w);
	world_apply(w, (struct event){.kind = EV_SITE, .site = 1, .site_info = &site});
	world_apply(w, (struct event){.kind = EV_SITE, .site = 2, .site_info = &pool});
	world_apply(w, (struct event){.kind = EV_SITE, .site = 3, .site_info = &user});
	open.open.peer = sample_endpoint(10, 0, 4, 12, 5432);
	open.open.local = sample_endpoint(10, 0, 1, 7, 40093);
	world_apply(w, open);
	world_apply(w, (struct event){.kind = EV_USE, .conn = 93, .site = 3});
	open.conn = 94;
	open.site = 1;
	open.open.local.port = 40094;
	world_apply(w, open);
	assert_int_equal(ls_text(&sb, w->e.table, &o), 0);
	assert_string_equal(
		sb.buf,
		" PID COMMAND       SERVER         LOCAL AGE      IDLE   STATE        SENT  RECV "
		"OPENED BY\n"
		"3120 billing       10.0.4.12:5432 40043 >=2h 10m -      ESTABLISHED     -     - "
		"-\n"
		"3120 billing       10.0.4.12:5432 40093 5m 00s   -      ESTABLISHED     -     - "
		"HikariPool-1 co (first used by Invoice.load Invoice.java:88)\n"
		"3120 billing       10.0.4.12:5432 40094 5m 00s   -      ESTABLISHED     -     - "
		"main.placeOrder order.go:22\n"
		"4711 order-service 10.0.4.12:5432 40092 5m 00s   4m 59s ESTABLISHED 211 B 480 B "
		"-\n"
		"4 connections, 2 processes, 1 server\n");
	strbuf_clear(&sb);
	o.width = 120;
	assert_int_equal(ls_text(&sb, w->e.table, &o), 0);
	assert_non_null(strstr(sb.buf, " HikariPool-1 co (first used by Invoice.…\n"));
	strbuf_clear(&sb);
	o.width = 80;
	assert_int_equal(ls_text(&sb, w->e.table, &o), 0);
	assert_non_null(strstr(sb.buf, " ESTABLISHED main.placeOrd"));
	strbuf_release(&sb);
}

static void a_narrow_terminal_keeps_what_matters(void **state)
{
	struct ls_options o = {.now_ns = 300 * NS_PER_S, .width = 72, .is_ascii = true};
	struct strbuf sb = {0};

	make_two(*state);
	assert_int_equal(ls_text(&sb, ((struct world *)*state)->e.table, &o), 0);
	assert_string_equal(
		sb.buf, " PID COMMAND      SERVER         LOCAL AGE      IDLE   STATE        RECV\n"
			"3120 billing      10.0.4.12:5432 40043 >=2h 10m -      ESTABLISHED     -\n"
			"4711 order-servi~ 10.0.4.12:5432 40092 5m 00s   4m 59s ESTABLISHED 480 B\n"
			"2 connections, 2 processes, 1 server\n");
	strbuf_release(&sb);
}

static void who_holds_it_and_where_it_ends_is_seen(void **state)
{
	struct ls_options o = {.now_ns = 300 * NS_PER_S, .sort = LS_SORT_PID, .width = 120};
	struct event held = {.kind = EV_HELD, .conn = 92};
	struct strbuf sb = {0};
	struct world *w = *state;

	make_two(w);
	world_apply(w, (struct event){.kind = EV_HELD, .conn = 43});
	for (uint32_t i = 0; i < 5; i++)
		held.held.pids[i] = 4711 + i;
	held.held.n = held.held.total = 5;
	world_apply(w, held);
	world_apply(w, (struct event){.kind = EV_VIA, .conn = 92, .via = 3});
	assert_int_equal(ls_text(&sb, w->e.table, &o), 0);
	assert_string_equal(sb.buf,
			    "             PID COMMAND       SERVER                            "
			    "LOCAL AGE      IDLE   "
			    "STATE        SENT  RECV\n"
			    "               - billing       10.0.4.12:5432                    "
			    "40043 >=2h 10m -      "
			    "UNHELD          -     -\n"
			    "4711,4712,4713+2 order-service 10.0.4.12:5432 -> pgbouncer (988) "
			    "40092 5m 00s   4m 59s "
			    "ESTABLISHED 211 B 480 B\n"
			    "2 connections, 2 processes, 1 server\n"
			    "1 is UNHELD: in no process's descriptors; COMMAND had it last\n");
	strbuf_release(&sb);
}

/* Inherited from a parent that has ended: what is listed is who has them. */
static void a_moved_connection_is_its_new_holders(void **state)
{
	struct ls_options o = {.now_ns = 300 * NS_PER_S, .width = 120};
	struct holder_info child = {.pid = 4800, .uid = -1, .comm = "worker"};
	struct strbuf sb = {0};
	struct world *w = *state;

	make_two(w);
	world_holder(w, 9, &child);
	world_apply(w, (struct event){.kind = EV_EXIT, .holder = 1});
	world_apply(w, (struct event){.kind = EV_MOVE, .conn = 92, .holder = 9});
	assert_int_equal(ls_text(&sb, w->e.table, &o), 0);
	assert_non_null(strstr(sb.buf, "4800 worker  10.0.4.12:5432 40092 "));
	assert_null(strstr(sb.buf, "4711"));
	strbuf_release(&sb);
}

static void the_filter_holds_for_table_and_sum(void **state)
{
	uint32_t pid = 5002;
	struct ls_options o = {.now_ns = 300 * NS_PER_S, .is_shown = has_pid, .arg = &pid};
	struct strbuf sb = {0};

	assert_int_equal(ls_text(&sb, ((struct world *)*state)->e.table, &o), 0);
	assert_non_null(strstr(sb.buf, "\n12 connections, 1 process, 1 server\n"));
	assert_non_null(strstr(sb.buf, "5002 import.py "));
	assert_null(strstr(sb.buf, "4711"));
	strbuf_release(&sb);
}

static void nothing_open_is_said(void **state)
{
	uint32_t pid = 1;
	struct ls_options o = {.is_shown = has_pid, .arg = &pid, .ports = "5432"};
	struct strbuf sb = {0};

	assert_int_equal(ls_text(&sb, ((struct world *)*state)->e.table, &o), 0);
	assert_string_equal(sb.buf, "no open connections on port 5432\n");
	strbuf_release(&sb);
}

static uint64_t first_of(struct world *w, enum ls_sort sort)
{
	const struct ls_options o = {.now_ns = 300 * NS_PER_S, .sort = sort};
	uint32_t *slots;
	uint64_t id;
	size_t n;

	assert_int_equal(ls_select(w->e.table, &o, &slots, &n), 0);
	assert_int_equal(n, 91);
	id = proctab_conn(w->e.table, slots[0])->id;
	free(slots);
	assert_non_null(ls_sort_name(sort));
	return id;
}

static void each_sort_puts_its_first_first(void **state)
{
	struct world *w = *state;

	io(w, 5, 50 * NS_PER_S, 10, 9000);
	io(w, 70, 290 * NS_PER_S, 5000, 20);
	assert_int_equal(first_of(w, LS_SORT_AGE), 43);
	assert_int_equal(first_of(w, LS_SORT_IDLE), 5);
	assert_int_equal(first_of(w, LS_SORT_PID), 63);
	assert_int_equal(first_of(w, LS_SORT_SENT), 70);
	assert_int_equal(first_of(w, LS_SORT_RECEIVED), 5);
	assert_null(ls_sort_name(LS_SORT_MAX));
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		WORLD_TEST(rows_read_as_in_the_design),
		WORLD_TEST(what_opened_it_is_named),
		WORLD_TEST(a_narrow_terminal_keeps_what_matters),
		WORLD_TEST(who_holds_it_and_where_it_ends_is_seen),
		WORLD_TEST(a_moved_connection_is_its_new_holders),
		WORLD_TEST(the_filter_holds_for_table_and_sum),
		WORLD_TEST(nothing_open_is_said),
		WORLD_TEST(each_sort_puts_its_first_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
