/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trace_write.c - events become the lines of docs/trace.md, to the byte
 * objects: core/trace_write.o core/trace_fields.o core/trace_text.o core/text.o core/strbuf.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/endpoint.o core/idmap.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>

#include "trace_fix.h"

static const char *const all_lines[] = {
	"{\"t_ns\":1,\"ev\":\"holder\",\"holder\":1,\"pid\":4711,"
	"\"start_time\":\"2026-02-08T13:29:58.113000000Z\",\"comm\":\"order-service\","
	"\"group\":\"shop/orders/app\",\"exe\":\"/app/order-service\",\"script\":\"main.py\","
	"\"build_id\":\"1f3a\",\"uid\":1000,\"cgroup\":\"/kube/pod1\",\"container\":\"9c1d\","
	"\"container_name\":\"app\",\"namespace\":\"shop\",\"pod\":\"orders-7d9f8b6c5d-x2x4z\","
	"\"pod_uid\":\"5e07\",\"workload\":\"orders\",\"unit\":\"orders.service\","
	"\"version\":\"v2.3.9\",\"descendant\":true}",
	"{\"t_ns\":2,\"ev\":\"holder\",\"holder\":2,\"pid\":99,"
	"\"start_time\":\"2026-02-08T13:30:00.000000000Z\",\"comm\":\"pgbouncer\"}",
	"{\"t_ns\":3,\"ev\":\"site\",\"site\":1,\"role\":\"first_used_by\",\"thread\":\"worker-1\","
	"\"frames\":[{\"function\":\"main.placeOrder\",\"file\":\"order.go\",\"line\":22,"
	"\"module\":\"/app/order-service\",\"address\":\"0xfedcba9876543210\"},"
	"{\"module\":\"/lib/libc.so.6\",\"address\":\"0x1f\"},{}]}",
	"{\"t_ns\":4,\"ev\":\"site\",\"site\":2,\"role\":\"opened_by\",\"frames\":null}",
	"{\"t_ns\":5,\"ev\":\"open\",\"conn\":1,\"holder\":1,\"tid\":4715,\"site\":1,"
	"\"local\":\"10.0.1.7:53412\",\"peer\":\"10.0.4.12:5432\"}",
	"{\"t_ns\":10,\"ev\":\"open\",\"conn\":2,\"holder\":1,\"tid\":null,\"site\":null,"
	"\"local\":null,\"peer\":\"[::1]:6432\",\"adopted\":true}",
	"{\"t_ns\":11,\"ev\":\"io\",\"conn\":1,\"tx_ns\":5,\"rx_ns\":7,\"tx\":211,\"rx\":480,"
	"\"last\":\"rx\"}",
	"{\"t_ns\":12,\"ev\":\"io\",\"conn\":2,\"tx_ns\":null,\"rx_ns\":-1000000000,\"tx\":0,"
	"\"rx\":1,\"last\":null}",
	"{\"t_ns\":13,\"ev\":\"io\",\"conn\":1,\"tx_ns\":9,\"rx_ns\":null,"
	"\"tx\":9007199254740992,\"rx\":480,\"last\":\"tx\"}",
	"{\"t_ns\":14,\"ev\":\"use\",\"conn\":1,\"site\":2}",
	"{\"t_ns\":15,\"ev\":\"use\",\"conn\":1,\"site\":null}",
	"{\"t_ns\":16,\"ev\":\"held\",\"conn\":1,\"pids\":[4711,4712],\"total\":3}",
	"{\"t_ns\":17,\"ev\":\"held\",\"conn\":1,\"pids\":[],\"total\":0}",
	"{\"t_ns\":18,\"ev\":\"via\",\"conn\":1,\"via\":2}",
	"{\"t_ns\":19,\"ev\":\"via\",\"conn\":1,\"via\":0}",
	"{\"t_ns\":20,\"ev\":\"move\",\"conn\":2,\"holder\":2}",
	"{\"t_ns\":21,\"ev\":\"fin\",\"conn\":1,\"how\":\"fin\"}",
	"{\"t_ns\":22,\"ev\":\"fin\",\"conn\":1,\"how\":\"reset\"}",
	"{\"t_ns\":23,\"ev\":\"fin\",\"conn\":1,\"how\":\"timeout\"}",
	"{\"t_ns\":24,\"ev\":\"fin\",\"conn\":1,\"how\":\"shutdown\"}",
	"{\"t_ns\":25,\"ev\":\"fail\",\"holder\":1,\"tid\":7,\"site\":2,"
	"\"peer\":\"10.0.4.12:5432\",\"errno\":111}",
	"{\"t_ns\":26,\"ev\":\"fail\",\"holder\":1,\"tid\":null,\"site\":null,"
	"\"peer\":\"[::1]:6432\",\"errno\":null}",
	"{\"t_ns\":27,\"ev\":\"budget\",\"peer\":\"10.0.4.12:5432\",\"limit\":97,\"used\":14,"
	"\"scope\":\"server\",\"source\":\"postgresql\"}",
	"{\"t_ns\":28,\"ev\":\"budget\",\"peer\":null,\"limit\":20,\"used\":null,"
	"\"scope\":\"node\",\"source\":\"flag\"}",
	"{\"t_ns\":29,\"ev\":\"budget\",\"peer\":\"[::1]:6432\",\"limit\":0,\"used\":0,"
	"\"scope\":\"node\",\"source\":\"pgbouncer\"}",
	"{\"t_ns\":30,\"ev\":\"thread_exit\",\"holder\":1,\"tid\":4715}",
	"{\"t_ns\":31,\"ev\":\"exit\",\"holder\":1}",
	"{\"t_ns\":32,\"ev\":\"close\",\"conn\":1,\"by\":\"exit\"}",
	"{\"t_ns\":33,\"ev\":\"close\",\"conn\":2,\"by\":\"app\"}",
	"{\"t_ns\":34,\"ev\":\"count\",\"holder\":1,\"opened\":1,\"closed\":2,\"adopted\":3,"
	"\"failed\":4,\"rejected\":5,\"moved_in\":6,\"moved_out\":7,\"open\":8,\"fd_only\":9}",
	"{\"t_ns\":35,\"ev\":\"lost\",\"events\":12,\"where\":\"table\"}",
};

/* The next line of @*text, NUL-terminated; it must be @want. */
static void next_is(char **text, const char *want)
{
	size_t len = strcspn(*text, "\n");

	assert_int_equal((*text)[len], '\n');
	(*text)[len] = '\0';
	assert_string_equal(*text, want);
	*text += len + 1;
}

static void every_kind_has_its_line(void **state)
{
	static const char *const by[] = {"app", "peer", "reset", "timeout", "exit"};
	static const char *const where[] = {"ring",   "storage",  "holder",
					    "listen", "snapshot", "table"};
	struct strbuf sb = {0};
	struct snapshot s;
	int64_t last_ns = T_NEVER;
	char want[200], *text;

	(void)state;
	fix_begin(&s);
	fix_every_kind(&s);
	assert_int_equal(trace_write_snapshot(&sb, &s, 0, FIX_WALL_NS, &last_ns), 0);
	assert_int_equal(last_ns, 70);
	text = sb.buf;
	for (size_t i = 0; i < T_COUNT(all_lines); i++)
		next_is(&text, all_lines[i]);
	for (int i = 0; i < 5; i++) {
		snprintf(want, sizeof(want),
			 "{\"t_ns\":50,\"ev\":\"open\",\"conn\":%d,\"holder\":2,\"tid\":null,"
			 "\"site\":null,\"local\":\"10.0.1.7:53412\",\"peer\":\"10.0.4.12:5432\"}",
			 10 + i);
		next_is(&text, want);
		snprintf(want, sizeof(want),
			 "{\"t_ns\":50,\"ev\":\"close\",\"conn\":%d,\"by\":\"%s\"}", 10 + i, by[i]);
		next_is(&text, want);
	}
	for (int i = 0; i < LOST_MAX; i++) {
		snprintf(want, sizeof(want),
			 "{\"t_ns\":60,\"ev\":\"lost\",\"events\":%d,\"where\":\"%s\"}", i,
			 where[i]);
		next_is(&text, want);
	}
	next_is(&text, "{\"t_ns\":70,\"ev\":\"tick\"}");
	assert_string_equal(text, "");
	snapshot_release(&s);
	strbuf_release(&sb);
}

static void the_header_has_its_line(void **state)
{
	struct trace_header h = fix_header();
	struct strbuf sb = {0};

	(void)state;
	assert_int_equal(trace_write_header(&sb, &h), 0);
	assert_string_equal(sb.buf, FIX_HEADER "\n");
	strbuf_clear(&sb);
	h = (struct trace_header){.wall_ns = FIX_WALL_NS + 1, .interval_ns = 5, .is_grid = true};
	assert_int_equal(trace_write_header(&sb, &h), 0);
	/* an interval below what is read stands at that limit */
	assert_string_equal(sb.buf, "{\"schema\":\"connleak.trace/v1\","
				    "\"time\":\"2026-02-08T13:30:00.000000001Z\",\"host\":\"\","
				    "\"source\":\"\",\"writer\":\"\",\"interval_ns\":1000000,"
				    "\"ticks\":\"grid\",\"ports\":[]}\n");
	strbuf_release(&sb);
}

/* One event's line at zero 100, after @last_ns. */
static void line_of(struct strbuf *sb, const struct event *ev, int64_t *last_ns)
{
	struct snapshot s;

	snapshot_init(&s);
	fix_push(&s, *ev);
	strbuf_clear(sb);
	assert_int_equal(trace_write_snapshot(sb, &s, 100, FIX_WALL_NS, last_ns), 0);
	snapshot_release(&s);
}

static void times_are_since_the_header_and_never_run_backwards(void **state)
{
	struct strbuf sb = {0};
	int64_t last_ns = T_NEVER;
	struct event tick = {.t_ns = 40, .kind = EV_TICK};

	(void)state;
	line_of(&sb, &tick, &last_ns);
	assert_string_equal(sb.buf, "{\"t_ns\":0,\"ev\":\"tick\"}\n");
	assert_int_equal(last_ns, 100);
	tick.t_ns = 250;
	line_of(&sb, &tick, &last_ns);
	assert_string_equal(sb.buf, "{\"t_ns\":150,\"ev\":\"tick\"}\n");
	tick.t_ns = 240;
	line_of(&sb, &tick, &last_ns);
	assert_string_equal(sb.buf, "{\"t_ns\":150,\"ev\":\"tick\"}\n");
	assert_int_equal(last_ns, 250);
	strbuf_clear(&sb);
	assert_int_equal(trace_write_end(&sb, 240, 100, last_ns), 0);
	assert_int_equal(trace_write_end(&sb, 260, 100, last_ns), 0);
	assert_string_equal(sb.buf,
			    "{\"t_ns\":150,\"ev\":\"end\"}\n{\"t_ns\":160,\"ev\":\"end\"}\n");
	strbuf_release(&sb);
}

static void bytes_move_at_most_a_jiffy_after_their_line(void **state)
{
	struct event ev = {.t_ns = 200,
			   .kind = EV_IO,
			   .conn = 1,
			   .io = {200 + 10 * NS_PER_MS, 201 + 10 * NS_PER_MS, 1, 2, IO_LAST_RX}};
	struct strbuf sb = {0};
	int64_t last_ns = T_NEVER;

	(void)state;
	line_of(&sb, &ev, &last_ns);
	assert_string_equal(sb.buf, "{\"t_ns\":100,\"ev\":\"io\",\"conn\":1,\"tx_ns\":10000100,"
				    "\"rx_ns\":10000100,\"tx\":1,\"rx\":2,\"last\":\"rx\"}\n");
	ev.io.tx_ns = T_NEVER + 1;
	ev.io.rx_ns = INT64_MAX;
	line_of(&sb, &ev, &last_ns);
	assert_string_equal(sb.buf, "{\"t_ns\":100,\"ev\":\"io\",\"conn\":1,"
				    "\"tx_ns\":-9007199254740992,\"rx_ns\":10000100,\"tx\":1,"
				    "\"rx\":2,\"last\":\"rx\"}\n");
	strbuf_release(&sb);
}

static void numbers_beyond_the_format_stand_at_its_limits(void **state)
{
	struct event count = {.t_ns = 100, .kind = EV_COUNT, .holder = 1ULL << 60};
	struct event budget = {.t_ns = INT64_MAX, .kind = EV_BUDGET, .budget.used = -5};
	struct strbuf sb = {0};
	int64_t last_ns = T_NEVER;

	(void)state;
	count.count.opened = UINT64_MAX;
	line_of(&sb, &count, &last_ns);
	assert_string_equal(sb.buf, "{\"t_ns\":0,\"ev\":\"count\",\"holder\":9007199254740992,"
				    "\"opened\":9007199254740992,\"closed\":0,\"adopted\":0,"
				    "\"failed\":0,\"rejected\":0,\"moved_in\":0,\"moved_out\":0,"
				    "\"open\":0,\"fd_only\":0}\n");
	line_of(&sb, &budget, &last_ns);
	assert_string_equal(sb.buf, "{\"t_ns\":9007199254740991,\"ev\":\"budget\",\"peer\":null,"
				    "\"limit\":0,\"used\":null,\"scope\":\"node\","
				    "\"source\":\"flag\"}\n");
	strbuf_release(&sb);
}

static void what_no_line_can_hold_is_left_out(void **state)
{
	const struct event unfit[] = {
		{.kind = EV_HOLDER, .holder = 1},
		{.kind = EV_SITE, .site = 1},
		{.kind = EV_EXIT},
		{.kind = EV_OPEN, .holder = 1, .open.peer = fix_peer},
		{.kind = EV_OPEN, .conn = 1, .open.peer = fix_peer},
		{.kind = EV_OPEN, .conn = 1, .holder = 1},
		{.kind = EV_CLOSE, .conn = 1, .close = (enum close_by)5},
		{.kind = EV_FIN, .conn = 1, .fin = (enum fin_how)4},
		{.kind = EV_FAIL, .holder = 1},
		{.kind = EV_LOST, .lost.where = LOST_MAX},
		{.kind = EV_HELD, .conn = 1, .held = {{1}, 1, 0}},
		{.kind = EV_HELD, .conn = 1, .held = {{1}, 0, 1}},
		{.kind = EV_HELD, .conn = 1, .held = {{0}, 1, 1}},
		{.kind = EV_HELD, .conn = 1, .held = {{1}, 9, 9}},
		{.kind = EV_END},
		{.kind = EV_MAX},
	};
	struct strbuf sb = {0};
	int64_t last_ns = T_NEVER;

	(void)state;
	for (size_t i = 0; i < T_COUNT(unfit); i++) {
		line_of(&sb, &unfit[i], &last_ns);
		if (sb.len || (sb.buf && sb.buf[0]))
			fail_msg("event %zu: %s", i, sb.buf);
	}
	strbuf_release(&sb);
}

static void a_tick_tells_what_was_compared(void **state)
{
	struct strbuf sb = {0};
	struct snapshot s;
	int64_t last_ns = T_NEVER;

	(void)state;
	snapshot_init(&s);
	fix_push(&s, (struct event){.kind = EV_TICK});
	s.drift = 0;
	trace_write_snapshot(&sb, &s, 0, FIX_WALL_NS, &last_ns);
	s.drift = 2;
	s.unheld = 3;
	s.repaired = 4;
	trace_write_snapshot(&sb, &s, 0, FIX_WALL_NS, &last_ns);
	s.drift = s.unheld = -1;
	trace_write_snapshot(&sb, &s, 0, FIX_WALL_NS, &last_ns);
	assert_string_equal(sb.buf,
			    "{\"t_ns\":0,\"ev\":\"tick\",\"drift\":0,\"repaired\":0}\n"
			    "{\"t_ns\":0,\"ev\":\"tick\",\"drift\":2,\"unheld\":3,\"repaired\":4}\n"
			    "{\"t_ns\":0,\"ev\":\"tick\",\"repaired\":4}\n");
	snapshot_release(&s);
	strbuf_release(&sb);
}

static void holder_line(struct strbuf *sb, const struct holder_info *info)
{
	struct snapshot s;
	int64_t last_ns = T_NEVER;

	snapshot_init(&s);
	strbuf_clear(sb);
	assert_int_equal(snapshot_push_holder(&s, 0, 1, info), 0);
	assert_int_equal(trace_write_snapshot(sb, &s, 0, FIX_WALL_NS, &last_ns), 0);
	snapshot_release(&s);
}

static void text_is_cleaned_once_escaped_and_cut(void **state)
{
	struct holder_info info = {.pid = 1, .uid = -1};
	struct strbuf sb = {0};
	char *exe = malloc(5001);

	(void)state;
	assert_non_null(exe);
	snprintf(info.comm, sizeof(info.comm), "%s", "a\"b\\x5Cc\\d\x1b\xff/\xc3\xa9");
	holder_line(&sb, &info);
	/* \x5C was written by an earlier cleaning; the others become such escapes now */
	assert_non_null(
		strstr(sb.buf, "\"comm\":\"a\\\"b\\\\x5Cc\\\\x5Cd\\\\x1B\\\\xFF/\xc3\xa9\""));
	memset(exe, 'e', 5000);
	exe[5000] = '\0';
	memcpy(exe + 4095, "\xc3\xa9", 2);
	info.exe = exe;
	holder_line(&sb, &info);
	/* the character that does not fit is not cut into */
	assert_non_null(strstr(sb.buf, "eee\"}\n"));
	assert_int_equal(strcspn(strstr(sb.buf, "\"exe\":\"") + 7, "\""), 4095);
	free(exe);
	info.exe = (char *)"";
	holder_line(&sb, &info);
	assert_null(strstr(sb.buf, "exe"));
	strbuf_release(&sb);
}

static void start_times_beyond_the_years_of_the_format_stand_at_its_ends(void **state)
{
	struct holder_info info = {.pid = 1, .uid = -1, .start_ns = T_NEVER};
	struct strbuf sb = {0};

	(void)state;
	holder_line(&sb, &info);
	assert_non_null(strstr(sb.buf, "\"1900-01-01T00:00:00.000000000Z\""));
	info.start_ns = INT64_MAX;
	holder_line(&sb, &info);
	assert_non_null(strstr(sb.buf, "\"2100-12-31T23:59:59.999999999Z\""));
	strbuf_release(&sb);
}

/* 32 frames of three strings of 4 KiB each, every byte of which takes two in JSON. */
static void a_call_site_loses_outer_frames_to_fit_into_a_line(void **state)
{
	struct site_frame frames[SITE_MAX_FRAMES];
	struct site_info site = {.frames = frames, .n_frames = SITE_MAX_FRAMES};
	struct strbuf sb = {0};
	struct snapshot s;
	int64_t last_ns = T_NEVER;
	char text[4097];

	(void)state;
	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < SITE_MAX_FRAMES; i++)
		frames[i] = (struct site_frame){text, text, text, (uint32_t)i + 1, 0};
	snapshot_init(&s);
	assert_int_equal(snapshot_push_site(&s, 0, 1, &site), 0);
	assert_int_equal(trace_write_snapshot(&sb, &s, 0, FIX_WALL_NS, &last_ns), 0);
	assert_in_range(sb.len, TRACE_MAX_LINE - 3 * 2 * 4096 - 100, TRACE_MAX_LINE + 1);
	assert_string_equal(sb.buf + sb.len - 5, "\"}]}\n");
	assert_non_null(strstr(sb.buf, "\"line\":10,"));
	assert_null(strstr(sb.buf, "\"line\":11,"));
	snapshot_release(&s);
	strbuf_release(&sb);
}

static void without_memory_nothing_is_added(void **state)
{
	struct trace_header h = fix_header();
	struct strbuf sb = {0};
	struct snapshot s;
	int64_t last_ns = 7;

	(void)state;
	strbuf_puts(&sb, "before");
	sb.err = -ENOMEM;
	snapshot_init(&s);
	fix_push(&s, (struct event){.t_ns = 9, .kind = EV_TICK});
	assert_int_equal(trace_write_header(&sb, &h), -ENOMEM);
	assert_int_equal(trace_write_snapshot(&sb, &s, 0, 0, &last_ns), -ENOMEM);
	assert_int_equal(trace_write_end(&sb, 9, 0, 9), -ENOMEM);
	assert_string_equal(sb.buf, "before");
	assert_int_equal(last_ns, 7);
	snapshot_release(&s);
	strbuf_release(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_has_its_line),
		cmocka_unit_test(the_header_has_its_line),
		cmocka_unit_test(times_are_since_the_header_and_never_run_backwards),
		cmocka_unit_test(bytes_move_at_most_a_jiffy_after_their_line),
		cmocka_unit_test(numbers_beyond_the_format_stand_at_its_limits),
		cmocka_unit_test(what_no_line_can_hold_is_left_out),
		cmocka_unit_test(a_tick_tells_what_was_compared),
		cmocka_unit_test(text_is_cleaned_once_escaped_and_cut),
		cmocka_unit_test(start_times_beyond_the_years_of_the_format_stand_at_its_ends),
		cmocka_unit_test(a_call_site_loses_outer_frames_to_fit_into_a_line),
		cmocka_unit_test(without_memory_nothing_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
