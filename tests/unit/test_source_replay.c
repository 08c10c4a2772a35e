/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace's lines as snapshots: where each ends, and what is refused. The bytes below the lines are
 * test_replay_bytes.c's.
 * objects: collect/source_replay.o collect/trace_input.o
 * objects: core/trace_read.o core/trace_write.o core/trace_check.o core/trace_fields.o
 * objects: core/trace_text.o core/jsonscan.o core/slots.o core/idmap.o core/identity.o
 * objects: core/trace_scan.o core/endpoint.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/text.o core/strbuf.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include "replay_run.h"
#include "trace_dir.h"

#define LINE_MAX_TEXT "262144"

static struct replay_run run_text(void **state, const char *text, struct replay_options o)
{
	return replay_run(trace_dir_put(state, "a.trace", text, strlen(text)), o);
}

/* "PATH:" is taken off @message: what follows is the test's. */
static void assert_says(const char *path, const char *message, const char *want)
{
	size_t n = strlen(path);

	if (strncmp(message, path, n) != 0 || strncmp(message + n, want, strlen(want)) != 0)
		fail_msg("\"%s\", wanted \"%s%s\"", message, path, want);
}

/* --- where a snapshot ends --- */

static void a_snapshot_ends_at_each_tick(void **state)
{
	static const struct seen want[] = {
		{EV_BUDGET, 0, 0, 0},	      {EV_TICK, 0, 0, 0},
		{EV_HOLDER, 412000000, 1, 1}, {EV_SITE, 412000000, 1, 1},
		{EV_OPEN, 412000000, 1, 1},   {EV_IO, 1000000000, 1, 1},
		{EV_TICK, 1000000000, 0, 1},  {EV_TICK, 2000000000, 0, 2},
		{EV_TICK, 3000000000, 0, 3},  {EV_CLOSE, 3000000001, 1, 4},
		{EV_EXIT, 4000000000, 1, 4},  {EV_TICK, 4000000000, 0, 4},
		{EV_END, 4300000000, 0, 5},
	};
	struct replay_run run = run_text(state, TRACE(EXPLICIT, TICK), (struct replay_options){0});

	assert_int_equal(run.opened, 0);
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, T_COUNT(want));
	for (size_t i = 0; i < T_COUNT(want); i++) {
		assert_int_equal(run.seen[i].kind, want[i].kind);
		assert_int_equal(run.seen[i].t_ns, want[i].t_ns);
		assert_int_equal(run.seen[i].id, want[i].id);
		assert_int_equal(run.seen[i].snapshot, want[i].snapshot);
	}
	assert_int_equal(run.report.lines, 1 + T_COUNT(want));
	assert_true(run.report.has_end);
	assert_false(run.report.is_cut);
	assert_int_equal(run.report.n_skipped, 0);
	assert_int_equal(run.report.n_unknown, 0);
	assert_string_equal(run.report.first_bad, "");
	assert_string_equal(run.report.error, "");
}

static void the_header_is_handed_over(void **state)
{
	static const char text[] = GRID;
	const char *path = trace_dir_put(state, "a.trace", text, sizeof(text) - 1);
	const struct replay_options o = {0};
	struct trace_header h;
	struct source src;
	char why[512];

	assert_int_equal(source_replay_open(&src, path, &o, &h, why, sizeof(why)), 0);
	assert_int_equal(h.wall_ns, WALL_NS);
	assert_string_equal(h.host, "app-node-07");
	assert_true(h.is_grid);
	assert_int_equal(h.n_ports, 2);
	assert_int_equal(src.interval_ns, NS_PER_S);
	assert_int_equal(src.ops->fd(src.arg), -1);
	assert_null(src.ops->drain);
	source_close(&src);
	source_close(&src);
}

static void a_grid_ticks_at_the_same_moments(void **state)
{
	struct replay_run a = run_text(state, TRACE(EXPLICIT, TICK), (struct replay_options){0});
	struct replay_run b = run_text(state, TRACE(GRID, NO), (struct replay_options){0});

	assert_int_equal(b.opened, 0);
	assert_int_equal(b.last, 0);
	assert_int_equal(a.n_events, b.n_events);
	assert_int_equal(a.n_snapshots, b.n_snapshots);
	assert_same_events(&a, &b, a.n_events);
	assert_true(b.report.has_end);
}

/* How many ticks there are, by the times of the lines. */
static void a_grid_ends_with_its_last_line(void **state)
{
	static const struct {
		const char *text;
		size_t n_events, n_snapshots;
	} cases[] = {
		{GRID, 0, 0},
		{GRID LOST("0"), 2, 1},
		{GRID LOST("1"), 2, 2},
		{GRID LOST("999999999"), 2, 2},
		{GRID LOST("1000000000"), 3, 2},
		{GRID LOST("1000000000") LOST("1000000000"), 4, 2},
		{GRID LOST("1000000000") LOST("1000000001"), 4, 3},
		{GRID LOST("1") LOST("5000000000"), 8, 6},
		{GRID LOST("1") END("5000000000"), 8, 6},
	};

	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct replay_run run = run_text(state, cases[i].text, (struct replay_options){0});

		assert_int_equal(run.last, 0);
		assert_int_equal(run.n_events, cases[i].n_events);
		assert_int_equal(run.n_snapshots, cases[i].n_snapshots);
	}
}

static void nothing_but_a_header_is_an_ended_source(void **state)
{
	struct replay_run run = run_text(state, EXPLICIT, (struct replay_options){0});

	assert_int_equal(run.opened, 0);
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_snapshots, 0);
	assert_int_equal(run.report.lines, 1);
	assert_false(run.report.has_end);
	assert_false(run.report.is_cut);
}

#define HOLDER(id, comm)                                                                           \
	"{\"t_ns\":1,\"ev\":\"holder\",\"holder\":" id ",\"pid\":1" id ",\"start_time\":"          \
	"\"2026-02-08T13:29:58.113Z\",\"comm\":\"" comm "\",\"exe\":\"/bin/" comm "\"}\n"
#define SITE(id, function)                                                                         \
	"{\"t_ns\":1,\"ev\":\"site\",\"site\":" id ",\"frames\":[{\"function\":\"" function        \
	"\"}]}\n"

/* The reader has forgotten the first line's when the second one is read. */
static void what_an_event_points_to_is_the_snapshots(void **state)
{
	static const char text[] =
		EXPLICIT HOLDER("1", "one") SITE("1", "first") HOLDER("2", "two") SITE("2", "next");
	const char *path = trace_dir_put(state, "a.trace", text, sizeof(text) - 1);
	const struct replay_options o = {0};
	struct trace_header h;
	struct snapshot s;
	struct source src;
	char why[512];

	snapshot_init(&s);
	assert_int_equal(source_replay_open(&src, path, &o, &h, why, sizeof(why)), 0);
	assert_int_equal(src.ops->next(src.arg, &s), 1);
	source_close(&src);
	assert_int_equal(s.n_events, 4);
	assert_int_equal(s.events[0].info->pid, 11);
	assert_string_equal(s.events[0].info->exe, "/bin/one");
	assert_string_equal(s.events[1].site_info->frames[0].function, "first");
	assert_int_equal(s.events[2].info->pid, 12);
	assert_string_equal(s.events[2].info->exe, "/bin/two");
	assert_string_equal(s.events[3].site_info->frames[0].function, "next");
	snapshot_release(&s);
}

/* What was measured is told by the tick it was measured at. */
static void the_comparison_stands_in_its_snapshot(void **state)
{
	struct strbuf sb = {0};
	struct trace_header h = {.wall_ns = WALL_NS, .interval_ns = NS_PER_S, .ports = {5432}};
	const struct event tick = {.kind = EV_TICK, .t_ns = 5};
	const struct replay_options o = {0};
	int64_t last_ns = T_NEVER;
	struct snapshot s;
	struct source src;
	const char *path;
	char why[512];

	h.n_ports = 1;
	snapshot_init(&s);
	assert_int_equal(trace_write_header(&sb, &h), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(snapshot_push(&s, &tick), 0);
		assert_int_equal(trace_write_snapshot(&sb, &s, 0, WALL_NS, &last_ns), 0);
		snapshot_clear(&s);
		s.drift = 3;
		s.unheld = 4;
		s.repaired = 7;
	}
	path = trace_dir_put(state, "a.trace", sb.buf, sb.len);
	assert_int_equal(source_replay_open(&src, path, &o, &h, why, sizeof(why)), 0);
	snapshot_clear(&s);
	assert_int_equal(src.ops->next(src.arg, &s), 1);
	assert_int_equal(s.drift, -1);
	assert_int_equal(s.unheld, -1);
	snapshot_clear(&s);
	assert_int_equal(src.ops->next(src.arg, &s), 1);
	assert_int_equal(s.drift, 3);
	assert_int_equal(s.unheld, 4);
	assert_int_equal(s.repaired, 7);
	source_close(&src);
	snapshot_release(&s);
	strbuf_release(&sb);
}

/* --- what is corrupt --- */

static void a_corrupt_line_is_named(void **state)
{
	static const struct {
		const char *bad; /* behind a header and a line at 5 */
		const char *want;
	} cases[] = {
		{"nonsense\n", ":3: "},
		{"{\"t_ns\":6,\"ev\":\"lost\"}\n", ":3: "},
		{LOST("4"), ":3: "},
		{"\n\n" LOST("4"), ":5: "},
		{"{\"t_ns\":6,\"ev\":\"close\",\"conn\":9,\"by\":\"app\"}\n", ":3: "},
		{"{\"t_ns\":9007199254740993,\"ev\":\"tick\"}\n", ":3: "},
		{END("6") LOST("7"), ":4: "},
		{END("6") "x", ":4: "},
		{EXPLICIT, ":3: "},
	};
	const struct replay_options skip = {.is_skip_bad = true};
	char text[4096];

	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct replay_run run;

		snprintf(text, sizeof(text), "%s%s%s", EXPLICIT, LOST("5"), cases[i].bad);
		run = run_text(state, text, (struct replay_options){0});
		assert_int_equal(run.opened, 0);
		assert_int_equal(run.last, -EBADMSG);
		assert_says(trace_dir_path(state, "a.trace"), run.report.error, cases[i].want);
		assert_true(strlen(run.report.error) > strlen(*state) + 20);
		run = run_text(state, text, skip);
		assert_int_equal(run.last, 0);
		assert_int_equal(run.report.n_skipped, 1);
		assert_says(trace_dir_path(state, "a.trace"), run.report.first_bad, cases[i].want);
		assert_string_equal(run.report.error, "");
	}
}

static void skipped_lines_are_counted_and_the_others_used(void **state)
{
	static const char text[] =
		EXPLICIT LOST("5") "bad\n" LOST("6") "{}\n" LOST("5") TICK("7") END("8");
	struct replay_run run = run_text(state, text, (struct replay_options){.is_skip_bad = true});

	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, 4);
	assert_int_equal(run.n_snapshots, 2);
	assert_int_equal(run.report.n_skipped, 3);
	assert_int_equal(run.report.lines, 8);
	assert_says(trace_dir_path(state, "a.trace"), run.report.first_bad, ":3: ");
	assert_true(run.report.has_end);
}

static void an_unknown_event_is_counted_and_named(void **state)
{
	static const char text[] = EXPLICIT
		"{\"t_ns\":5,\"ev\":\"later\\u001b\"}\n{\"t_ns\":5,\"ev\":\"other\"}\n" TICK("7");
	struct replay_run run = run_text(state, text, (struct replay_options){0});

	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, 1);
	assert_int_equal(run.report.n_unknown, 2);
	assert_string_equal(run.report.unknown_ev, "later\\x1B");
}

static void a_grid_has_no_tick_lines(void **state)
{
	static const char text[] = GRID LOST("5") TICK("1000000000") LOST("1000000001");
	struct replay_run run = run_text(state, text, (struct replay_options){0});

	assert_int_equal(run.last, -EBADMSG);
	assert_says(trace_dir_path(state, "a.trace"), run.report.error, ":3: ");
	assert_non_null(strstr(run.report.error, "grid"));
	run = run_text(state, text, (struct replay_options){.is_skip_bad = true});
	assert_int_equal(run.last, 0);
	assert_int_equal(run.report.n_skipped, 1);
	/* the ticks at 0 and 1 s are the grid's own */
	assert_int_equal(run.n_events, 4);
	assert_int_equal(run.n_snapshots, 3);
}

/* A gap of 104 days must not keep the reader busy for as long. */
static void a_grid_too_fine_is_refused(void **state)
{
	struct replay_run run = run_text(state, HEADER("grid", "999999") LOST("9007199254740000"),
					 (struct replay_options){.is_skip_bad = true});

	assert_int_equal(run.opened, -EBADMSG);
	assert_says(trace_dir_path(state, "a.trace"), run.why, ":1: expected ");
	assert_non_null(strstr(run.why, "interval_ns"));
	/* where the ticks are lines a gap costs nothing */
	run = run_text(state, HEADER("explicit", "1000000") LOST("9007199254740000"),
		       (struct replay_options){0});
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_snapshots, 1);
}

static void a_gap_of_too_many_ticks_is_refused(void **state)
{
	static const char wide[] = HEADER("grid", "1000000") LOST("5") LOST("9007199254740000");
	static const char fits[] = HEADER("grid", "1000000") LOST("5") LOST("10000999999");
	struct replay_run run = run_text(state, wide, (struct replay_options){0});

	assert_int_equal(run.last, -EBADMSG);
	assert_says(trace_dir_path(state, "a.trace"), run.report.error,
		    ":3: expected a line within");
	run = run_text(state, wide, (struct replay_options){.is_skip_bad = true});
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, 2);
	assert_int_equal(run.report.n_skipped, 1);
	run = run_text(state, fits, (struct replay_options){0});
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, 2 + 10001);
}

/* A line of @n bytes with its newline, at @text. */
static size_t put_long(char *text, size_t n)
{
	static const char start[] = "{\"t_ns\":7,\"ev\":\"lost\",\"events\":1,";
	static const char end[] = "\"where\":\"ring\"}\n";

	memset(text, ' ', n);
	memcpy(text, start, sizeof(start) - 1);
	memcpy(text + n - (sizeof(end) - 1), end, sizeof(end) - 1);
	return n;
}

static void a_line_may_be_so_long_and_no_longer(void **state)
{
	static char text[2 * TRACE_MAX_LINE + 4 * 1024 * 1024];
	size_t n = 0;
	const char *path;
	struct replay_run run;

	n += (size_t)sprintf(text, "%s", EXPLICIT);
	n += put_long(text + n, TRACE_MAX_LINE + 1);
	path = trace_dir_put(state, "a.trace", text, n);
	run = replay_run(path, (struct replay_options){0});
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, 1);

	n += put_long(text + n, TRACE_MAX_LINE + 2);
	n += (size_t)sprintf(text + n, "%s", LOST("8"));
	n += put_long(text + n, 3 * 1024 * 1024);
	n += (size_t)sprintf(text + n, "%s%s", LOST("9"), TICK("9"));
	path = trace_dir_put(state, "a.trace", text, n);
	run = replay_run(path, (struct replay_options){0});
	assert_int_equal(run.last, -EBADMSG);
	assert_says(path, run.report.error, ":3: expected a line of at most " LINE_MAX_TEXT);
	run = replay_run(path, (struct replay_options){.is_skip_bad = true});
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, 4);
	assert_int_equal(run.report.n_skipped, 2);
	assert_int_equal(run.report.lines, 7);

	/* at the end, without a newline: corrupt, not cut off */
	path = trace_dir_put(state, "a.trace", text, n - strlen(LOST("9") TICK("9")) - 1);
	run = replay_run(path, (struct replay_options){.is_skip_bad = true});
	assert_int_equal(run.last, 0);
	assert_int_equal(run.report.n_skipped, 2);
	assert_false(run.report.is_cut);
}

static void windows_line_ends_and_empty_lines_are_taken(void **state)
{
	static const char text[] = EXPLICIT "\n\r\n{\"t_ns\":7,\"ev\":\"tick\"}\r\n\n";
	struct replay_run run = run_text(state, text, (struct replay_options){0});

	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, 1);
	assert_int_equal(run.report.lines, 5);
	assert_false(run.report.is_cut);
}

/* --- bounds --- */

/* Lines at 7 that no tick ends: each is @head, a number of three digits or more, and @tail. */
struct endless {
	const char *head, *tail;
	size_t n;    /* lines */
	size_t want; /* of them in the first snapshot */
};

static const char *put_endless(void **state, const struct endless *e)
{
	const char *path = trace_dir_path(state, "endless.trace");
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(EXPLICIT, f);
	for (size_t i = 0; i < e->n; i++)
		fprintf(f, "%s%zu%s\n", e->head, i + 100, e->tail);
	fputs(TICK("8"), f);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void assert_split(void **state, const struct endless *e)
{
	const char *path = put_endless(state, e);
	const struct replay_options o = {0};
	struct trace_header h;
	struct snapshot s;
	struct source src;
	char why[512];

	snapshot_init(&s);
	assert_int_equal(source_replay_open(&src, path, &o, &h, why, sizeof(why)), 0);
	assert_int_equal(src.ops->next(src.arg, &s), 1);
	assert_int_equal(s.n_events, e->want);
	assert_int_not_equal(s.events[s.n_events - 1].kind, EV_TICK);
	assert_int_equal(s.now_ns, 7);
	snapshot_clear(&s);
	assert_int_equal(src.ops->next(src.arg, &s), 1);
	assert_int_equal(s.n_events, e->n + 1 - e->want);
	assert_int_equal(s.events[s.n_events - 1].kind, EV_TICK);
	snapshot_clear(&s);
	assert_int_equal(src.ops->next(src.arg, &s), 0);
	source_close(&src);
	snapshot_release(&s);
}

static void a_snapshot_without_end_is_handed_on_in_pieces(void **state)
{
	const struct endless e = {
		.head = "{\"t_ns\":7,\"ev\":\"lost\",\"where\":\"ring\",\"events\":",
		.tail = "}",
		.n = (1 << 20) + 5,
		.want = 1 << 20,
	};

	assert_split(state, &e);
}

/* 32 frames of 4 KiB each, behind the site's number. To be freed. */
static char *many_frames(void)
{
	char *text = malloc(SITE_MAX_FRAMES * (TRACE_MAX_STRING + 32) + 32);
	size_t n;

	assert_non_null(text);
	n = (size_t)sprintf(text, ",\"frames\":[");
	for (int i = 0; i < SITE_MAX_FRAMES; i++) {
		n += (size_t)sprintf(text + n, "%s{\"function\":\"", i ? "," : "");
		memset(text + n, 'f', TRACE_MAX_STRING);
		n += TRACE_MAX_STRING;
		n += (size_t)sprintf(text + n, "\"}");
	}
	sprintf(text + n, "]}");
	return text;
}

/* Few events, but each with much text to keep. */
static void so_is_one_with_too_much_text(void **state)
{
	char *tail = many_frames();
	struct endless e = {
		.head = "{\"t_ns\":7,\"ev\":\"site\",\"site\":", .tail = tail, .n = 300};
	size_t len = strlen(e.head) + 3 + strlen(tail);

	e.want = ((32 << 20) + len - 1) / len;
	assert_true(e.want > 200 && e.want < e.n);
	assert_split(state, &e);
	free(tail);
}

#define in_dir(f) cmocka_unit_test_setup_teardown(f, trace_dir_setup, trace_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_dir(a_snapshot_ends_at_each_tick),
		in_dir(the_header_is_handed_over),
		in_dir(a_grid_ticks_at_the_same_moments),
		in_dir(a_grid_ends_with_its_last_line),
		in_dir(nothing_but_a_header_is_an_ended_source),
		in_dir(what_an_event_points_to_is_the_snapshots),
		in_dir(the_comparison_stands_in_its_snapshot),
		in_dir(a_corrupt_line_is_named),
		in_dir(skipped_lines_are_counted_and_the_others_used),
		in_dir(an_unknown_event_is_counted_and_named),
		in_dir(a_grid_has_no_tick_lines),
		in_dir(a_grid_too_fine_is_refused),
		in_dir(a_gap_of_too_many_ticks_is_refused),
		in_dir(a_line_may_be_so_long_and_no_longer),
		in_dir(windows_line_ends_and_empty_lines_are_taken),
		in_dir(a_snapshot_without_end_is_handed_on_in_pieces),
		in_dir(so_is_one_with_too_much_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
