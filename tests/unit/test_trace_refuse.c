/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trace_refuse.c - every refusal of docs/trace.md: the line is named and has no effect
 * objects: core/trace_read.o core/trace_scan.o core/trace_check.o core/trace_fields.o
 * objects: core/trace_text.o core/trace_write.o core/jsonscan.o core/text.o core/strbuf.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/endpoint.o core/identity.o
 * objects: core/idmap.o core/slots.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>

#include "trace_fix.h"

struct refusal {
	const char *line, *msg;
};

static const struct refusal headers[] = {
	{"{\"t_ns\":0,\"ev\":\"tick\"}",
	 "expected the header of a recording, \"connleak.trace/v1\", found {"},
	{"\x1f\x8b\x08", "expected the header of a recording, \"connleak.trace/v1\", found \\x1F"},
	{"[1]", "expected the header of a recording, \"connleak.trace/v1\", found ["},
	{"{\"schema\":1}", "expected the header of a recording, \"connleak.trace/v1\", found {"},
	{"{\"schema\":\"connleak.trace/v2\",\"x\":1}",
	 "expected the version \"connleak.trace/v1\", found \"connleak.trace/v2\""},
	{"{\"time\":\"2026-02-08T13:30:00Z\",\"schema\":\"connleak.finding/v1\"}",
	 "expected the version \"connleak.trace/v1\", found \"connleak.finding/v1\""},
};

static void what_is_no_trace_of_this_version_is_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(headers); i++) {
		struct trace_reader *r = trace_reader_new();
		struct parse_err err = {0};
		struct event ev;

		assert_int_equal(fix_read(r, headers[i].line, strlen(headers[i].line), &ev, &err),
				 -EPROTONOSUPPORT);
		if (strcmp(err.msg, headers[i].msg))
			fail_msg("%s: %s", headers[i].line, err.msg);
		assert_int_equal(err.line, 1);
		assert_null(trace_reader_header(r));
		/* the right one may still come */
		assert_false(fix_take(r, FIX_HEADER, &ev));
		assert_non_null(trace_reader_header(r));
		trace_reader_free(r);
	}
}

#define SCHEMA "{\"schema\":\"connleak.trace/v1\""
#define TIME   ",\"time\":\"2026-02-08T13:30:00Z\""

static const struct refusal bad_headers[] = {
	{SCHEMA "}", "expected the field \"time\", found }"},
	{SCHEMA ",\"time\":\"yesterday\"}",
	 "expected a time like \"2026-02-08T13:30:00.000Z\" in \"time\", found \"yesterday\""},
	{SCHEMA TIME ",\"ticks\":\"grid\"}", "expected the field \"interval_ns\", found }"},
	{SCHEMA TIME ",\"interval_ns\":1000000000}", "expected the field \"ticks\", found }"},
	{SCHEMA TIME ",\"interval_ns\":0}",
	 "expected 1 ms to 1 day in nanoseconds in \"interval_ns\", found 0"},
	{SCHEMA TIME ",\"interval_ns\":86400000000001}",
	 "expected 1 ms to 1 day in nanoseconds in \"interval_ns\", found 86400000000001"},
	{SCHEMA TIME ",\"interval_ns\":1000000000,\"ticks\":\"some\"}",
	 "expected explicit | grid in \"ticks\", found \"some\""},
	{SCHEMA TIME ",\"interval_ns\":1000000000,\"ticks\":\"grid\",\"ports\":[0]}",
	 "expected a port in \"ports\", found 0"},
	{SCHEMA TIME ",\"interval_ns\":1000000000,\"ticks\":\"grid\",\"ports\":[65536]}",
	 "expected a port in \"ports\", found 65536"},
	{SCHEMA TIME ",\"interval_ns\":1000000000,\"ticks\":\"grid\",\"host\":7}",
	 "expected a string in \"host\", found 7"},
	{SCHEMA TIME ",\"interval_ns\":1000000000,\"ticks\":\"grid\"}{",
	 "expected the end of the line, found {"},
	{SCHEMA TIME TIME ",\"interval_ns\":1000000000,\"ticks\":\"grid\"}",
	 "expected no second value in \"time\", found \"2026-02-08T13:30:00Z\""},
};

static void a_header_must_say_what_reading_needs(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(bad_headers); i++) {
		const char *line = bad_headers[i].line;
		struct trace_reader *r = trace_reader_new();
		struct parse_err err = {0};
		struct event ev;

		assert_int_equal(fix_read(r, line, strlen(line), &ev, &err), -EBADMSG);
		if (strcmp(err.msg, bad_headers[i].msg))
			fail_msg("%s: %s", line, err.msg);
		assert_null(trace_reader_header(r));
		trace_reader_free(r);
	}
}

/* At the time of fix_begin()'s last line; what is one is `{"t_ns":5,"ev":` and the rest. */
#define EV(kind) "{\"t_ns\":5,\"ev\":\"" kind "\""
#define HOLDER(more)                                                                               \
	EV("holder")                                                                               \
	",\"holder\":9,\"pid\":1,\"start_time\":\"2026-02-08T13:30:00Z\",\"comm\":\"c\"" more "}"
#define OPEN(more)  EV("open") ",\"conn\":9,\"holder\":1" more "}"
#define IO(tx, rx)  EV("io") ",\"conn\":1,\"tx_ns\":" tx ",\"rx_ns\":" rx ",\"tx\":1,\"rx\":1}"
#define SITE(frame) EV("site") ",\"site\":9,\"frames\":[{" frame "}]}"

static const struct refusal lines[] = {
	/* no JSON, or not one object */
	{"nonsense", "expected an object, found nonsense"},
	{"[]", "expected an object, found ["},
	{SCHEMA "}", "expected an event, as one file holds one recording, found {"},
	{EV("tick"), "expected ',' or '}', found the end of the line"},
	{EV("tick") "} x", "expected the end of the line, found x"},
	{EV("tick") "}{}", "expected the end of the line, found {"},
	{EV("tick") ",\"x\":[}", "expected a value, found }"},
	{"{}", "expected the field \"t_ns\", found }"},
	/* what every line has */
	{"{\"t_ns\":5}", "expected the field \"ev\", found }"},
	{"{\"ev\":\"tick\"}", "expected the field \"t_ns\", found }"},
	{"{\"t_ns\":5,\"ev\":7}", "expected a string in \"ev\", found 7"},
	{"{\"t_ns\":4,\"ev\":\"tick\"}",
	 "expected a time not before that of the line before in \"t_ns\", found 4"},
	{"{\"t_ns\":-1,\"ev\":\"tick\"}",
	 "expected a time from 0 to below 2^53 in \"t_ns\", found -1"},
	{"{\"t_ns\":9007199254740992,\"ev\":\"tick\"}",
	 "expected a time from 0 to below 2^53 in \"t_ns\", found 9007199254740992"},
	{"{\"t_ns\":5.0,\"ev\":\"tick\"}", "expected a whole number in \"t_ns\", found 5.0"},
	{"{\"t_ns\":5e0,\"ev\":\"tick\"}", "expected a whole number in \"t_ns\", found 5e0"},
	{"{\"t_ns\":\"5\",\"ev\":\"tick\"}", "expected a whole number in \"t_ns\", found \"5\""},
	{"{\"t_ns\":null,\"ev\":\"tick\"}", "expected a whole number in \"t_ns\", found null"},
	{"{\"t_ns\":99999999999999999999,\"ev\":\"tick\"}",
	 "expected a number of 64 bits in \"t_ns\", found 99999999999999999999"},
	/* twice the same field */
	{EV("tick") ",\"t_ns\":5}", "expected no second value in \"t_ns\", found 5"},
	{EV("tick") ",\"ev\":\"end\"}", "expected no second value in \"ev\", found \"end\""},
	{OPEN(",\"peer\":\"1.2.3.4:5\",\"peer\":\"1.2.3.4:5\""),
	 "expected no second value in \"peer\", found \"1.2.3.4:5\""},
	{SITE("\"line\":1,\"line\":1"),
	 "expected no second value in \"line\" in \"frames\", found 1"},
	/* holder */
	{EV("holder") "}", "expected the field \"holder\", found }"},
	{EV("holder") ",\"holder\":9}", "expected the field \"pid\", found }"},
	{EV("holder") ",\"holder\":9,\"pid\":1}", "expected the field \"start_time\", found }"},
	{EV("holder") ",\"holder\":9,\"pid\":1,\"start_time\":\"2026-02-08T13:30:00Z\"}",
	 "expected the field \"comm\", found }"},
	{EV("holder") ",\"holder\":0}", "expected an id from 1 to 2^53 in \"holder\", found 0"},
	{EV("holder") ",\"holder\":9007199254740993}",
	 "expected an id from 1 to 2^53 in \"holder\", found 9007199254740993"},
	{EV("holder") ",\"holder\":9,\"pid\":0}",
	 "expected a pid from 1 to 4294967295 in \"pid\", found 0"},
	{EV("holder") ",\"holder\":9,\"pid\":4294967296}",
	 "expected a pid from 1 to 4294967295 in \"pid\", found 4294967296"},
	{EV("holder") ",\"holder\":1,\"pid\":4712,\"start_time\":\"2026-02-08T13:29:58.113Z\","
		      "\"comm\":\"c\"}",
	 "expected an id that is no other process's in \"holder\", found 1"},
	{EV("holder") ",\"holder\":1,\"pid\":4711,\"start_time\":\"2026-02-08T13:29:58.112Z\","
		      "\"comm\":\"c\"}",
	 "expected an id that is no other process's in \"holder\", found 1"},
	{HOLDER(",\"uid\":-1"), "expected a number from 0 to 2^53 in \"uid\", found -1"},
	{HOLDER(",\"exe\":7"), "expected a string in \"exe\", found 7"},
	{HOLDER(",\"exe\":\"\\ud800\""),
	 "expected a pair of surrogates in \"exe\", found \\x5Cud800"},
	{HOLDER(",\"exe\":\"\xff\""), "expected UTF-8 in \"exe\", found \\xFF"},
	{HOLDER(",\"exe\":\"a\\u0000\""),
	 "expected a string without U+0000 in \"exe\", found \"a\\x5Cu0000\""},
	{HOLDER(",\"descendant\":1"), "expected true or false in \"descendant\", found 1"},
	/* exit, thread_exit */
	{EV("exit") ",\"holder\":7}",
	 "expected the id of a holder known here in \"holder\", found 7"},
	{EV("exit") "}", "expected the field \"holder\", found }"},
	{EV("thread_exit") ",\"holder\":7,\"tid\":1}",
	 "expected the id of a holder known here in \"holder\", found 7"},
	{EV("thread_exit") ",\"holder\":1}", "expected the field \"tid\", found }"},
	{EV("thread_exit") ",\"holder\":1,\"tid\":4294967296}",
	 "expected a number from 0 to 4294967295 in \"tid\", found 4294967296"},
	/* site */
	{EV("site") "}", "expected the field \"site\", found }"},
	{EV("site") ",\"site\":0}", "expected an id from 1 to 2^53 in \"site\", found 0"},
	{EV("site") ",\"site\":9,\"role\":\"used_by\"}",
	 "expected opened_by | first_used_by in \"role\", found \"used_by\""},
	{EV("site") ",\"site\":9,\"frames\":{}}", "expected an array in \"frames\", found {"},
	{EV("site") ",\"site\":9,\"frames\":[1]}", "expected an object in \"frames\", found 1"},
	{SITE("\"line\":-1"),
	 "expected a number from 0 to 4294967295 in \"line\" in \"frames\", found -1"},
	{SITE("\"address\":18"), "expected a string in \"address\" in \"frames\", found 18"},
	{SITE("\"address\":\"18\""),
	 "expected an address like \"0x4a3f10\" in \"address\" in \"frames\", found \"18\""},
	{SITE("\"address\":\"0x\""),
	 "expected an address like \"0x4a3f10\" in \"address\" in \"frames\", found \"0x\""},
	{SITE("\"address\":\"0x12345678123456780\""),
	 "expected an address like \"0x4a3f10\" in \"address\" in \"frames\", found "
	 "\"0x12345678123456780\""},
	{SITE("\"address\":\"0x1 \""),
	 "expected an address like \"0x4a3f10\" in \"address\" in \"frames\", found \"0x1 \""},
	/* open */
	{OPEN(""), "expected the field \"peer\", found }"},
	{EV("open") ",\"conn\":9,\"peer\":\"1.2.3.4:5\"}",
	 "expected the field \"holder\", found }"},
	{EV("open") ",\"holder\":1,\"peer\":\"1.2.3.4:5\"}",
	 "expected the field \"conn\", found }"},
	{OPEN(",\"peer\":null"), "expected a string in \"peer\", found null"},
	{OPEN(",\"peer\":\"1.2.3.4\""),
	 "expected \"address:port\", IPv6 in brackets in \"peer\", found \"1.2.3.4\""},
	{OPEN(",\"peer\":\"::1:5432\""),
	 "expected \"address:port\", IPv6 in brackets in \"peer\", found \"::1:5432\""},
	{OPEN(",\"peer\":\"localhost:5432\""),
	 "expected \"address:port\", IPv6 in brackets in \"peer\", found \"localhost:5432\""},
	{OPEN(",\"peer\":\"1.2.3.4:65536\""),
	 "expected \"address:port\", IPv6 in brackets in \"peer\", found \"1.2.3.4:65536\""},
	{OPEN(",\"peer\":\"1.2.3.4:5\",\"adopted\":\"yes\""),
	 "expected true or false in \"adopted\", found \"yes\""},
	{OPEN(",\"peer\":\"1.2.3.4:5\",\"site\":7"),
	 "expected the id of a site told before, or null in \"site\", found 7"},
	{OPEN(",\"peer\":\"1.2.3.4:5\",\"tid\":-1"),
	 "expected a number from 0 to 4294967295 in \"tid\", found -1"},
	{EV("open") ",\"conn\":1,\"holder\":1,\"peer\":\"1.2.3.4:5\"}",
	 "expected the id of no open connection in \"conn\", found 1"},
	{EV("open") ",\"conn\":9,\"holder\":7,\"peer\":\"1.2.3.4:5\"}",
	 "expected the id of a holder known here in \"holder\", found 7"},
	/* io */
	{EV("io") ",\"conn\":1,\"tx_ns\":1,\"rx_ns\":1,\"tx\":1}",
	 "expected the field \"rx\", found }"},
	{EV("io") ",\"conn\":1,\"rx_ns\":1,\"tx\":1,\"rx\":1}",
	 "expected the field \"tx_ns\", found }"},
	{EV("io") ",\"conn\":7,\"tx_ns\":1,\"rx_ns\":1,\"tx\":1,\"rx\":1}",
	 "expected the id of an open connection in \"conn\", found 7"},
	{IO("10000006", "1"),
	 "expected a time of at most 10 ms after t_ns in \"tx_ns\", found 10000006"},
	{IO("1", "10000006"),
	 "expected a time of at most 10 ms after t_ns in \"rx_ns\", found 10000006"},
	{IO("-9007199254740993", "1"),
	 "expected a time within 2^53 ns in \"tx_ns\", found -9007199254740993"},
	{EV("io") ",\"conn\":1,\"tx_ns\":1,\"rx_ns\":1,\"tx\":-1,\"rx\":1}",
	 "expected a number from 0 to 2^53 in \"tx\", found -1"},
	{EV("io") ",\"conn\":1,\"tx_ns\":1,\"rx_ns\":1,\"tx\":1,\"rx\":9007199254740993}",
	 "expected a number from 0 to 2^53 in \"rx\", found 9007199254740993"},
	{EV("io") ",\"conn\":1,\"tx_ns\":1,\"rx_ns\":1,\"tx\":1,\"rx\":1,\"last\":\"no\"}",
	 "expected rx | tx in \"last\", found \"no\""},
	{EV("io") ",\"conn\":1,\"tx_ns\":1,\"rx_ns\":1,\"tx\":1,\"rx\":1,\"last\":\"\"}",
	 "expected rx | tx in \"last\", found \"\""},
	/* use, fin, close */
	{EV("use") ",\"conn\":7,\"site\":1}",
	 "expected the id of an open connection in \"conn\", found 7"},
	{EV("use") ",\"conn\":1}", "expected the field \"site\", found }"},
	{EV("use") ",\"conn\":1,\"site\":7}",
	 "expected the id of a site told before, or null in \"site\", found 7"},
	{EV("fin") ",\"conn\":7}", "expected the id of an open connection in \"conn\", found 7"},
	{EV("fin") ",\"conn\":1,\"how\":\"app\"}",
	 "expected fin | reset | timeout | shutdown in \"how\", found \"app\""},
	{EV("close") ",\"conn\":7,\"by\":\"app\"}",
	 "expected the id of an open connection in \"conn\", found 7"},
	{EV("close") ",\"conn\":1}", "expected the field \"by\", found }"},
	{EV("close") ",\"conn\":1,\"by\":\"server\"}",
	 "expected app | peer | reset | timeout | exit in \"by\", found \"server\""},
	{EV("close") ",\"conn\":1,\"by\":null}", "expected a string in \"by\", found null"},
	/* fail */
	{EV("fail") ",\"holder\":7,\"peer\":\"1.2.3.4:5\"}",
	 "expected the id of a holder known here in \"holder\", found 7"},
	{EV("fail") ",\"holder\":1}", "expected the field \"peer\", found }"},
	{EV("fail") ",\"holder\":1,\"peer\":\"1.2.3.4:5\",\"errno\":0}",
	 "expected an errno from 1 to 4095 in \"errno\", found 0"},
	{EV("fail") ",\"holder\":1,\"peer\":\"1.2.3.4:5\",\"site\":7}",
	 "expected the id of a site told before, or null in \"site\", found 7"},
	/* move, held, via */
	{EV("move") ",\"conn\":7,\"holder\":1}",
	 "expected the id of an open connection in \"conn\", found 7"},
	{EV("move") ",\"conn\":1,\"holder\":7}",
	 "expected the id of a holder known here in \"holder\", found 7"},
	{EV("held") ",\"conn\":7,\"pids\":[1],\"total\":1}",
	 "expected the id of an open connection in \"conn\", found 7"},
	{EV("held") ",\"conn\":1,\"pids\":[1]}", "expected the field \"total\", found }"},
	{EV("held") ",\"conn\":1,\"pids\":[0],\"total\":1}", "expected a pid in \"pids\", found 0"},
	{EV("held") ",\"conn\":1,\"pids\":[1,2,3,4,5,6,7,8,9],\"total\":9}",
	 "expected the end of a list as long as it may be in \"pids\", found 9"},
	{EV("held") ",\"conn\":1,\"pids\":[1,2],\"total\":1}",
	 "expected as many as pids or more, and 0 only without pids in \"total\", found 1"},
	{EV("held") ",\"conn\":1,\"pids\":[],\"total\":1}",
	 "expected as many as pids or more, and 0 only without pids in \"total\", found 1"},
	{EV("via") ",\"conn\":7,\"via\":1}",
	 "expected the id of an open connection in \"conn\", found 7"},
	{EV("via") ",\"conn\":1,\"via\":7}",
	 "expected the id of a holder known here, or 0 in \"via\", found 7"},
	/* budget, lost, count, tick */
	{EV("budget") ",\"limit\":1,\"scope\":\"node\"}", "expected the field \"peer\", found }"},
	{EV("budget") ",\"peer\":null,\"limit\":1}", "expected the field \"scope\", found }"},
	{EV("budget") ",\"peer\":null,\"limit\":4294967296,\"scope\":\"node\"}",
	 "expected a number from 0 to 4294967295 in \"limit\", found 4294967296"},
	{EV("budget") ",\"peer\":null,\"limit\":1,\"scope\":\"cluster\"}",
	 "expected node | server in \"scope\", found \"cluster\""},
	{EV("budget") ",\"peer\":null,\"limit\":1,\"scope\":\"node\",\"source\":\"mysql\"}",
	 "expected flag | postgresql | pgbouncer in \"source\", found \"mysql\""},
	{EV("lost") ",\"where\":\"ring\"}", "expected the field \"events\", found }"},
	{EV("lost") ",\"events\":-1}", "expected a number from 0 to 2^53 in \"events\", found -1"},
	{EV("count") ",\"holder\":1,\"opened\":1}", "expected the field \"closed\", found }"},
	{EV("count") ",\"holder\":7,\"opened\":1,\"closed\":1,\"adopted\":1,\"failed\":1,"
		     "\"rejected\":1,\"moved_in\":1,\"moved_out\":1,\"open\":1,\"fd_only\":1}",
	 "expected the id of a holder known here in \"holder\", found 7"},
	{EV("tick") ",\"drift\":-1}", "expected a number from 0 to 2^53 in \"drift\", found -1"},
};

/* A reader to whom fix_begin() was told: t_ns 5, holders 1 and 2, sites 1 and 2, connection 1. */
static struct trace_reader *begun(void)
{
	struct trace_reader *r = fix_reader();
	struct strbuf sb = {0};
	struct snapshot s, back;
	int64_t last_ns = T_NEVER;

	fix_begin(&s);
	assert_int_equal(trace_write_snapshot(&sb, &s, 0, FIX_WALL_NS, &last_ns), 0);
	fix_read_all(r, sb.buf, &back);
	snapshot_release(&s);
	snapshot_release(&back);
	strbuf_release(&sb);
	return r;
}

static void refused(struct trace_reader *r, const char *line, size_t len, const char *msg)
{
	struct trace_reader_state before, after;
	struct parse_err err = {0};
	struct event ev;
	int n;

	trace_reader_state(r, &before);
	n = fix_read(r, line, len, &ev, &err);
	if (n != -EBADMSG || strcmp(err.msg, msg))
		fail_msg("%.200s\n%d: %s", line, n, n < 0 ? err.msg : "taken");
	assert_int_equal(err.line, before.lines + 1);
	assert_true(err.col <= len + 1);
	trace_reader_state(r, &after);
	assert_int_equal(after.n_unknown, before.n_unknown);
	assert_false(after.has_end);
}

static void a_corrupt_line_is_named_and_has_no_effect(void **state)
{
	struct trace_reader *r = begun();
	struct event ev;

	(void)state;
	for (size_t i = 0; i < T_COUNT(lines); i++)
		refused(r, lines[i].line, strlen(lines[i].line), lines[i].msg);
	/* nothing of them is there: 9 is new as a holder, a site, a connection; 1 is still open */
	assert_true(fix_take(r, HOLDER(""), &ev));
	assert_true(fix_take(r, SITE(""), &ev));
	assert_true(fix_take(r, OPEN(",\"peer\":\"1.2.3.4:5\""), &ev));
	assert_true(fix_take(r, EV("close") ",\"conn\":1,\"by\":\"app\"}", &ev));
	trace_reader_free(r);
}

static void columns_are_where_the_value_begins(void **state)
{
	static const struct {
		const char *line;
		uint32_t col;
	} cases[] = {
		{"{\"t_ns\":4,\"ev\":\"tick\"}", 9},
		{" { \"t_ns\" : 4 , \"ev\":\"tick\"}", 13},
		{"{\"ev\":\"close\",\"conn\":77,\"by\":\"app\",\"t_ns\":5}", 22},
		{"{\"ev\":\"close\",\"by\":\"app\",\"t_ns\":5}", 34},
		{"{\"t_ns\":5,\"ev\":\"tick\"", 22},
		{"nonsense", 1},
	};
	struct trace_reader *r = begun();

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct parse_err err = {0};
		struct event ev;

		assert_int_equal(fix_read(r, cases[i].line, strlen(cases[i].line), &ev, &err),
				 -EBADMSG);
		if (err.col != cases[i].col)
			fail_msg("%s: column %u, %s", cases[i].line, err.col, err.msg);
	}
	trace_reader_free(r);
}

/* `{..."exe":"` and @n times @what and `"}`, to be freed. */
static char *long_line(const char *what, size_t n)
{
	static const char head[] = HOLDER(",\"exe\":\"");
	size_t len = strlen(head) - 1, size = strlen(what);
	char *line = malloc(len + n * size + 3);

	assert_non_null(line);
	memcpy(line, head, len);
	for (size_t i = 0; i < n; i++)
		memcpy(line + len + i * size, what, size);
	memcpy(line + len + n * size, "\"}", 3);
	return line;
}

static void strings_and_lines_have_a_limit(void **state)
{
	static const struct {
		const char *what;
		size_t n; /* the most that is taken */
	} cases[] = {{"e", 4096}, {"\\u00e9", 2048}, {"\\n", 1024}, {"\xe2\x80\xae", 341}};
	char msg[200];
	char *line;

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct trace_reader *r = fix_reader();
		struct parse_err err;
		struct event ev;

		line = long_line(cases[i].what, cases[i].n + 1);
		assert_int_equal(fix_read(r, line, strlen(line), &ev, &err), -EBADMSG);
		assert_non_null(strstr(err.msg, "a string of 4096 bytes at most, cleaned in "
						"\"exe\", found "));
		free(line);
		line = long_line(cases[i].what, cases[i].n);
		assert_true(fix_take(r, line, &ev));
		assert_in_range(strlen(ev.info->exe), 4080, 4096);
		free(line);
		trace_reader_free(r);
	}
	{
		struct trace_reader *r = begun();
		struct event ev;
		size_t len = TRACE_MAX_LINE + 1;

		line = malloc(len);
		assert_non_null(line);
		memset(line, ' ', len);
		memcpy(line, EV("tick") "}", strlen(EV("tick") "}"));
		snprintf(msg, sizeof(msg), "expected a line of 262144 bytes at most, found %zu",
			 len);
		refused(r, line, len, msg);
		assert_int_equal(fix_read(r, line, len - 1, &ev, &(struct parse_err){0}), 1);
		free(line);
		trace_reader_free(r);
	}
}

static void nothing_follows_the_end(void **state)
{
	static const char tick[] = EV("tick") "}", unknown[] = EV("x") "}", end[] = EV("end") "}";
	struct trace_reader *r = begun();
	struct trace_reader_state st;
	struct parse_err err = {0};
	struct event ev;

	(void)state;
	assert_true(fix_take(r, end, &ev));
	assert_int_equal(ev.kind, EV_END);
	assert_false(fix_take(r, " ", &ev));
	assert_int_equal(fix_read(r, tick, strlen(tick), &ev, &err), -EBADMSG);
	assert_string_equal(err.msg,
			    "expected nothing after the line of `end` in \"ev\", found \"tick\"");
	assert_int_equal(fix_read(r, unknown, strlen(unknown), &ev, &err), -EBADMSG);
	assert_int_equal(fix_read(r, end, strlen(end), &ev, &err), -EBADMSG);
	trace_reader_state(r, &st);
	assert_true(st.has_end);
	assert_int_equal(st.n_unknown, 0);
	trace_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_trace_of_this_version_is_told_apart),
		cmocka_unit_test(a_header_must_say_what_reading_needs),
		cmocka_unit_test(a_corrupt_line_is_named_and_has_no_effect),
		cmocka_unit_test(columns_are_where_the_value_begins),
		cmocka_unit_test(strings_and_lines_have_a_limit),
		cmocka_unit_test(nothing_follows_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
