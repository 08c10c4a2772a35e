/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trace_refs.c - what lines refer to: known as long as it may be needed, in bounded tables
 * objects: core/trace_read.o core/trace_scan.o core/trace_check.o core/trace_fields.o
 * objects: core/trace_text.o core/trace_write.o core/jsonscan.o core/text.o core/strbuf.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/endpoint.o core/identity.o
 * objects: core/idmap.o core/slots.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "../../user/core/trace_check.h"
#include "trace_fix.h"

static const struct holder_info anybody = {.pid = 1};

/* Each returns what trace_check_event() says. */
static int check(struct trace_check *c, struct event ev)
{
	struct trace_complaint complaint = {0};
	int err = trace_check_event(c, &ev, &complaint);

	assert_true(!err == !complaint.want || err == -ENOMEM);
	return err;
}

static int holder(struct trace_check *c, uint64_t id)
{
	return check(c, (struct event){.kind = EV_HOLDER, .holder = id, .info = &anybody});
}

static int exits(struct trace_check *c, uint64_t id)
{
	return check(c, (struct event){.kind = EV_EXIT, .holder = id});
}

static int opens(struct trace_check *c, uint64_t conn, uint64_t holder_id, uint64_t site)
{
	return check(c, (struct event){
				.kind = EV_OPEN, .conn = conn, .holder = holder_id, .site = site});
}

static int closes(struct trace_check *c, uint64_t conn)
{
	return check(c, (struct event){.kind = EV_CLOSE, .conn = conn});
}

static int moves(struct trace_check *c, uint64_t conn, uint64_t to)
{
	return check(c, (struct event){.kind = EV_MOVE, .conn = conn, .holder = to});
}

static int counts(struct trace_check *c, uint64_t id)
{
	return check(c, (struct event){.kind = EV_COUNT, .holder = id});
}

static int site(struct trace_check *c, uint64_t id)
{
	return check(c, (struct event){.kind = EV_SITE, .site = id});
}

static void a_connection_is_known_from_open_to_close(void **state)
{
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	assert_int_equal(opens(&c, 1, 1, 0), -EBADMSG);
	assert_int_equal(holder(&c, 1), 0);
	assert_int_equal(closes(&c, 1), -EBADMSG);
	assert_int_equal(opens(&c, 1, 1, 0), 0);
	assert_int_equal(opens(&c, 1, 1, 0), -EBADMSG);
	assert_int_equal(closes(&c, 1), 0);
	assert_int_equal(closes(&c, 1), -EBADMSG);
	assert_int_equal(check(&c, (struct event){.kind = EV_IO, .conn = 1}), -EBADMSG);
	/* only while it is open its id is taken */
	assert_int_equal(opens(&c, 1, 1, 0), 0);
	trace_check_release(&c);
}

static void the_closes_of_a_process_come_after_its_exit(void **state)
{
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	assert_int_equal(holder(&c, 1), 0);
	assert_int_equal(opens(&c, 1, 1, 0), 0);
	assert_int_equal(opens(&c, 2, 1, 0), 0);
	assert_int_equal(exits(&c, 1), 0);
	assert_int_equal(exits(&c, 1), 0);
	assert_int_equal(closes(&c, 1), 0);
	assert_int_equal(c.exited.n, 0);
	assert_int_equal(closes(&c, 2), 0);
	assert_int_equal(c.exited.n, 1);
	/* late news of it: its counters, a thread, a connect that had failed */
	assert_int_equal(counts(&c, 1), 0);
	assert_int_equal(check(&c, (struct event){.kind = EV_THREAD_EXIT, .holder = 1}), 0);
	assert_int_equal(check(&c, (struct event){.kind = EV_FAIL, .holder = 1}), 0);
	trace_check_release(&c);
}

static void a_holder_may_be_told_again_but_is_no_other_process(void **state)
{
	const struct holder_info same = {.pid = 1, .uid = 5, .exe = (char *)"/known/by/now"};
	const struct holder_info other = {.pid = 2}, later = {.pid = 1, .start_ns = 1};
	struct event ev = {.kind = EV_HOLDER, .holder = 1, .info = &same};
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	assert_int_equal(holder(&c, 1), 0);
	assert_int_equal(check(&c, ev), 0);
	ev.info = &other;
	assert_int_equal(check(&c, ev), -EBADMSG);
	ev.info = &later;
	assert_int_equal(check(&c, ev), -EBADMSG);
	assert_int_equal(exits(&c, 1), 0);
	assert_int_equal(check(&c, ev), -EBADMSG);
	assert_int_equal(c.holders.n, 1);
	trace_check_release(&c);
}

static void time_does_not_run_backwards(void **state)
{
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	assert_int_equal(check(&c, (struct event){.t_ns = 7, .kind = EV_TICK}), 0);
	assert_int_equal(check(&c, (struct event){.t_ns = 7, .kind = EV_TICK}), 0);
	assert_int_equal(check(&c, (struct event){.t_ns = 6, .kind = EV_TICK}), -EBADMSG);
	/* what does not hold leaves time where it was */
	assert_int_equal(check(&c, (struct event){.t_ns = 9, .kind = EV_CLOSE, .conn = 1}),
			 -EBADMSG);
	assert_int_equal(check(&c, (struct event){.t_ns = 8, .kind = EV_TICK}), 0);
	trace_check_release(&c);
}

static void a_moved_connection_keeps_its_new_holder_known(void **state)
{
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	assert_int_equal(holder(&c, 1), 0);
	assert_int_equal(holder(&c, 2), 0);
	assert_int_equal(opens(&c, 1, 1, 0), 0);
	assert_int_equal(exits(&c, 2), 0);
	assert_int_equal(c.exited.n, 1);
	/* told late: the one it went to has exited, but has something open again */
	assert_int_equal(moves(&c, 1, 2), 0);
	assert_int_equal(c.exited.n, 0);
	assert_int_equal(exits(&c, 1), 0);
	assert_int_equal(c.exited.n, 1);
	assert_int_equal(moves(&c, 1, 2), 0);
	assert_int_equal(closes(&c, 1), 0);
	assert_int_equal(c.exited.n, 2);
	assert_int_equal(c.n_holders, 0);
	trace_check_release(&c);
}

static void the_longest_exited_holder_is_forgotten(void **state)
{
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	/* 1 and 2 keep one open, 3 exits first of all others */
	assert_int_equal(holder(&c, 1), 0);
	assert_int_equal(opens(&c, 1, 1, 0), 0);
	assert_int_equal(exits(&c, 1), 0);
	assert_int_equal(holder(&c, 2), 0);
	for (uint64_t i = 0; i < TRACE_MAX_EXITED; i++) {
		assert_int_equal(holder(&c, 3 + i), 0);
		assert_int_equal(exits(&c, 3 + i), 0);
	}
	assert_int_equal(c.n_forgotten, 0);
	assert_int_equal(counts(&c, 1ULL << 40), -EBADMSG);
	assert_int_equal(opens(&c, 9, 3, 0), 0);
	assert_int_equal(closes(&c, 9), 0);
	/* now 4 is the oldest */
	assert_int_equal(holder(&c, 1ULL << 50), 0);
	assert_int_equal(exits(&c, 1ULL << 50), 0);
	assert_int_equal(c.n_forgotten, 1);
	assert_int_equal(opens(&c, 9, 3, 0), 0);
	assert_int_equal(opens(&c, 10, 1, 0), 0);
	assert_int_equal(opens(&c, 11, 2, 0), 0);
	assert_int_equal(opens(&c, 12, 4, 0), -EBADMSG);
	assert_int_equal(exits(&c, 4), -EBADMSG);
	/* only its counters may come that late; whose they are is not known any more */
	assert_int_equal(counts(&c, 4), 0);
	/* 3 has something open again: one has room */
	assert_int_equal(c.exited.n, TRACE_MAX_EXITED - 1);
	trace_check_release(&c);
}

static void the_site_named_longest_ago_gives_way(void **state)
{
	struct trace_complaint complaint;
	struct trace_check c;
	struct event ev = {.kind = EV_USE, .conn = 1};

	(void)state;
	trace_check_init(&c);
	assert_int_equal(holder(&c, 1), 0);
	for (uint64_t i = 1; i <= TRACE_MAX_SITES; i++)
		assert_int_equal(site(&c, i), 0);
	assert_int_equal(opens(&c, 1, 1, 1ULL << 40), -EBADMSG);
	/* 1 is named, 2 told anew: now 3 is the oldest */
	assert_int_equal(opens(&c, 1, 1, 1), 0);
	assert_int_equal(site(&c, 2), 0);
	assert_int_equal(site(&c, 1ULL << 50), 0);
	assert_int_equal(c.n_evicted, 1);
	assert_int_equal(c.known.n, TRACE_MAX_SITES);
	for (uint64_t i = 1; i <= 4; i++) {
		ev.site = i;
		assert_int_equal(trace_check_event(&c, &ev, &complaint), 0);
		assert_int_equal(ev.site, i == 3 ? 0 : i);
	}
	trace_check_release(&c);
}

static void tables_have_a_limit(void **state)
{
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	for (uint64_t i = 1; i <= TRACE_MAX_HOLDERS; i++)
		assert_int_equal(holder(&c, i), 0);
	assert_int_equal(holder(&c, 1ULL << 50), -EBADMSG);
	for (uint64_t i = 1; i <= TRACE_MAX_CONNS; i++)
		assert_int_equal(opens(&c, i, i % 1000 + 1, 0), 0);
	assert_int_equal(opens(&c, 1ULL << 50, 1, 0), -EBADMSG);
	/* one that goes makes room; an exit with connections does not */
	assert_int_equal(exits(&c, 1), 0);
	assert_int_equal(holder(&c, 1ULL << 50), -EBADMSG);
	assert_int_equal(exits(&c, 5000), 0);
	assert_int_equal(holder(&c, 1ULL << 50), 0);
	assert_int_equal(closes(&c, 77), 0);
	assert_int_equal(opens(&c, 1ULL << 50, 2, 0), 0);
	assert_int_equal(opens(&c, 77, 2, 0), -EBADMSG);
	trace_check_release(&c);
}

static void what_is_short_lived_leaves_no_memory_behind(void **state)
{
	struct trace_check c;

	(void)state;
	trace_check_init(&c);
	for (uint64_t i = 1; i <= 200000; i++) {
		assert_int_equal(holder(&c, i), 0);
		for (uint64_t k = 0; k < 10; k++)
			assert_int_equal(opens(&c, 10 * i + k, i, 0), 0);
		for (uint64_t k = 0; k < 5; k++)
			assert_int_equal(closes(&c, 10 * i + k), 0);
		assert_int_equal(exits(&c, i), 0);
		for (uint64_t k = 5; k < 10; k++)
			assert_int_equal(closes(&c, 10 * i + k), 0);
	}
	assert_int_equal(c.conns.n, 10);
	assert_int_equal(c.holders.n, TRACE_MAX_EXITED + 1);
	assert_int_equal(c.exited.n, TRACE_MAX_EXITED);
	assert_int_equal(c.n_holders, 0);
	assert_int_equal(c.n_forgotten, 200000 - TRACE_MAX_EXITED);
	assert_int_equal(c.conn_map.n, 0);
	assert_int_equal(c.holder_map.n, TRACE_MAX_EXITED);
	trace_check_release(&c);
}

__attribute__((format(printf, 2, 3))) static void say(struct trace_reader *r, const char *fmt, ...)
{
	char line[300];
	struct parse_err err;
	struct event ev;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (trace_read(r, line, (size_t)len, &ev, &err) != 1)
		fail_msg("%s: %s", line, err.msg);
}

static void lives_shortly(struct trace_reader *r, int id)
{
	say(r,
	    "{\"t_ns\":1,\"ev\":\"holder\",\"holder\":%d,\"pid\":%d,\"comm\":\"worker\","
	    "\"start_time\":\"2026-02-08T13:30:00Z\",\"exe\":\"/usr/bin/worker\"}",
	    id, id);
	for (int k = 0; k < 10; k++) {
		say(r,
		    "{\"t_ns\":1,\"ev\":\"open\",\"conn\":%d,\"holder\":%d,"
		    "\"peer\":\"10.0.4.12:5432\"}",
		    10 * id + k, id);
		say(r, "{\"t_ns\":1,\"ev\":\"close\",\"conn\":%d,\"by\":\"app\"}", 10 * id + k);
	}
	say(r, "{\"t_ns\":1,\"ev\":\"exit\",\"holder\":%d}", id);
}

static size_t memory_in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* The same through whole lines: 2,000,000 connections of 200,000 holders. */
static void a_long_trace_needs_no_more_memory_than_a_short_one(void **state)
{
	struct trace_reader *r = fix_reader();
	size_t before = 0, after;

	(void)state;
	for (int i = 1; i <= 200000; i++) {
		lives_shortly(r, i);
		if (i == TRACE_MAX_EXITED + 1)
			before = memory_in_use();
	}
	after = memory_in_use();
	/* a sanitizer's allocator tells nothing; the table sizes above hold there, too */
	if (after) {
		assert_int_equal(before, after);
		assert_true(after < 8 * 1024 * 1024);
	}
	trace_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_known_from_open_to_close),
		cmocka_unit_test(the_closes_of_a_process_come_after_its_exit),
		cmocka_unit_test(a_holder_may_be_told_again_but_is_no_other_process),
		cmocka_unit_test(time_does_not_run_backwards),
		cmocka_unit_test(a_moved_connection_keeps_its_new_holder_known),
		cmocka_unit_test(the_longest_exited_holder_is_forgotten),
		cmocka_unit_test(the_site_named_longest_ago_gives_way),
		cmocka_unit_test(tables_have_a_limit),
		cmocka_unit_test(what_is_short_lived_leaves_no_memory_behind),
		cmocka_unit_test(a_long_trace_needs_no_more_memory_than_a_short_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
