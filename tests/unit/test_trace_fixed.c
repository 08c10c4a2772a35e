/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trace_fixed.c - what was read and written again is the same to the byte; what was damaged is
 * read or refused with a reason
 * objects: core/trace_read.o core/trace_scan.o core/trace_check.o core/trace_fields.o
 * objects: core/trace_text.o core/trace_write.o core/jsonscan.o core/text.o core/strbuf.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/endpoint.o core/identity.o
 * objects: core/idmap.o core/slots.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>

#include "../../user/core/trace_text.h"
#include "mutate.h"
#include "trace_fix.h"

static void again(struct strbuf *out, const struct trace_reader *r, const struct event *ev,
		  int64_t *last_ns)
{
	struct trace_reader_state st;
	struct event copy = *ev;
	struct snapshot s;

	snapshot_init(&s);
	trace_reader_state(r, &st);
	if (ev->kind == EV_TICK) {
		s.drift = st.drift;
		s.unheld = st.unheld;
		s.repaired = st.repaired;
	}
	/* borrowed, never to be released */
	s.events = &copy;
	s.n_events = 1;
	if (ev->kind == EV_END)
		assert_int_equal(trace_write_end(out, ev->t_ns, 0, *last_ns), 0);
	else
		assert_int_equal(
			trace_write_snapshot(out, &s, 0, trace_reader_header(r)->wall_ns, last_ns),
			0);
}

/* Reads @text's lines, any of which may be refused, and writes what was taken. */
static void rewrite(const char *text, size_t n, struct strbuf *out, uint64_t *n_refused)
{
	struct trace_reader *r = trace_reader_new();
	int64_t last_ns = T_NEVER;
	bool has_header = false;

	assert_non_null(r);
	strbuf_clear(out);
	for (size_t at = 0; at < n;) {
		const char *nl = memchr(text + at, '\n', n - at);
		size_t len = nl ? (size_t)(nl - text) - at : n - at;
		struct parse_err err = {0};
		struct event ev;
		int got = fix_read(r, text + at, len, &ev, &err);

		if (got < 0) {
			assert_true(got == -EBADMSG || got == -EPROTONOSUPPORT);
			assert_memory_equal(err.msg, "expected ", 9);
			assert_non_null(strstr(err.msg, ", found "));
			assert_int_equal(trace_clean((char[200]){0}, 200, err.msg, strlen(err.msg)),
					 strlen(err.msg));
			++*n_refused;
		}
		if (trace_reader_header(r) && !has_header) {
			has_header = true;
			assert_int_equal(trace_write_header(out, trace_reader_header(r)), 0);
		}
		if (got == 1)
			again(out, r, &ev, &last_ns);
		at += len + 1;
	}
	trace_reader_free(r);
}

/* What @text says, written, is read whole and written again as the same bytes. */
static void is_fixed_point(const char *text, size_t n, uint64_t *n_refused)
{
	struct strbuf once = {0}, twice = {0};
	uint64_t none = 0;

	rewrite(text, n, &once, n_refused);
	if (once.len) {
		rewrite(once.buf, once.len, &twice, &none);
		if (none || once.len != twice.len || memcmp(once.buf, twice.buf, once.len))
			fail_msg("%llu refused\n%s\nbecame\n%s", (unsigned long long)none, once.buf,
				 twice.len ? twice.buf : "");
	}
	strbuf_release(&once);
	strbuf_release(&twice);
}

/* A whole trace with every kind in it; to be released. */
static void whole_trace(struct strbuf *sb)
{
	struct trace_header h = fix_header();
	struct snapshot s;
	int64_t last_ns = T_NEVER;

	fix_begin(&s);
	fix_every_kind(&s);
	s.drift = 1;
	s.unheld = 0;
	s.repaired = 7;
	assert_int_equal(trace_write_header(sb, &h), 0);
	assert_int_equal(trace_write_snapshot(sb, &s, 0, FIX_WALL_NS, &last_ns), 0);
	assert_int_equal(trace_write_end(sb, last_ns, 0, last_ns), 0);
	snapshot_release(&s);
}

static void a_trace_of_every_kind_is_a_fixed_point_at_once(void **state)
{
	struct strbuf sb = {0}, back = {0};
	uint64_t n_refused = 0;

	(void)state;
	whole_trace(&sb);
	rewrite(sb.buf, sb.len, &back, &n_refused);
	assert_int_equal(n_refused, 0);
	/* all but the group of the second holder, which is made on reading */
	is_fixed_point(back.buf, back.len, &n_refused);
	assert_int_equal(n_refused, 0);
	assert_int_equal(back.len, sb.len + strlen(",\"group\":\"pgbouncer\""));
	strbuf_release(&sb);
	strbuf_release(&back);
}

static void text_is_a_fixed_point_whatever_is_in_it(void **state)
{
	static const char *const texts[] = {
		"\\\\",
		"\\\\x5C",
		"\\\\x5c",
		"\\\\x4",
		"\\\\\\\\x41",
		"\\\\x41",
		"\\u001b[0m",
		"\\\"",
		"\\u005cx41",
		"\\\\x\\u0034\\u0031",
		"\xe2\x80\xae\\\\xE2",
		"\\ud83d\\ude00",
		"\\\\x1B\\\\x1b\\u001b",
		"\\n\\r\\t",
		"\xc2\x85",
		"\\\\x\xc3\xa9",
		"/a b'c",
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(texts); i++) {
		uint64_t n_refused = 0;
		char trace[2000];

		snprintf(trace, sizeof(trace),
			 FIX_HEADER "\n{\"t_ns\":0,\"ev\":\"holder\",\"holder\":1,\"pid\":1,"
				    "\"start_time\":\"2026-02-08T13:30:00Z\",\"comm\":\"%s\","
				    "\"exe\":\"%s\",\"version\":\"%s%s\"}\n",
			 texts[i], texts[i], texts[i], texts[(i + 7) % T_COUNT(texts)]);
		is_fixed_point(trace, strlen(trace), &n_refused);
		assert_int_equal(n_refused, 0);
	}
}

/* Bytes at random, half of them from what matters to the cleaning. */
static void cleaning_twice_is_cleaning_once(void **state)
{
	static const char part[] = "\\\\\\x5CFf0\x1b\xc3\xa9\xe2\x80\xae";
	uint64_t rnd = 7;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char raw[40], once[161], twice[161], cut[20], cut_again[20];
		size_t n = mutate_random(&rnd) % sizeof(raw), len;

		for (size_t i = 0; i < n; i++) {
			uint64_t r = mutate_random(&rnd);

			raw[i] = r & 1 ? (char)(r >> 8) : part[(r >> 8) % (sizeof(part) - 1)];
		}
		len = trace_clean(once, sizeof(once), raw, n);
		assert_int_equal(trace_clean(twice, sizeof(twice), once, len), len);
		assert_string_equal(once, twice);
		/* cut short, it is a beginning of the whole and stays as it is */
		len = trace_clean(cut, sizeof(cut), raw, n);
		assert_memory_equal(cut, once, len);
		assert_int_equal(trace_clean(cut_again, sizeof(cut_again), cut, len), len);
		assert_string_equal(cut, cut_again);
	}
	assert_int_equal(trace_clean(NULL, 0, "a", 1), 0);
}

static void a_damaged_trace_is_read_or_refused_and_a_fixed_point_then(void **state)
{
	uint64_t rnd = 20260208, n_refused = 0;
	struct strbuf sb = {0};

	(void)state;
	whole_trace(&sb);
	for (int round = 0; round < MUTATE_ROUNDS; round++) {
		size_t n;
		unsigned char *bytes = mutate(&rnd, sb.buf, sb.len, &n);

		is_fixed_point((const char *)bytes, n, &n_refused);
		free(bytes);
	}
	assert_true(n_refused > MUTATE_ROUNDS);
	strbuf_release(&sb);
}

/* A reader that was told @text up to @end. */
static struct trace_reader *told(const char *text, const char *end)
{
	struct trace_reader *r = trace_reader_new();

	assert_non_null(r);
	while (text < end) {
		size_t len = strcspn(text, "\n");
		struct parse_err err;
		struct event ev;

		assert_true(trace_read(r, text, len, &ev, &err) >= 0);
		text += len + 1;
	}
	return r;
}

/* Feeds damaged copies of a line until one is taken; returns false: each was refused. */
static bool is_any_taken(struct trace_reader *r, const char *line, size_t len, uint64_t *rnd)
{
	for (int i = 0; i < 60; i++) {
		struct parse_err err = {0};
		struct event ev;
		size_t n;
		unsigned char *bytes = mutate(rnd, line, len, &n);
		int got = trace_read(r, (char *)bytes, n, &ev, &err);

		free(bytes);
		if (got >= 0 && n)
			return true;
		assert_true(got == 0 || got == -EBADMSG);
		assert_true(got == 0 || (err.msg[0] && err.line > 1));
	}
	return false;
}

static void what_is_refused_leaves_no_trace_in_the_reader(void **state)
{
	uint64_t rnd = 4711, n_taken = 0, n_harmless = 0;
	struct strbuf sb = {0};

	(void)state;
	whole_trace(&sb);
	for (int round = 0; round < 20; round++) {
		size_t len = strcspn(sb.buf, "\n");

		for (const char *line = sb.buf + len + 1; *line; line += len + 1) {
			struct trace_reader *r = told(sb.buf, line);
			struct parse_err err;
			struct event ev;

			len = strcspn(line, "\n");
			if (is_any_taken(r, line, len, &rnd)) {
				n_taken++;
			} else {
				n_harmless++;
				assert_int_equal(trace_read(r, line, len, &ev, &err), 1);
			}
			trace_reader_free(r);
		}
	}
	assert_true(n_taken > 100 && n_harmless > 10);
	strbuf_release(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trace_of_every_kind_is_a_fixed_point_at_once),
		cmocka_unit_test(text_is_a_fixed_point_whatever_is_in_it),
		cmocka_unit_test(cleaning_twice_is_cleaning_once),
		cmocka_unit_test(a_damaged_trace_is_read_or_refused_and_a_fixed_point_then),
		cmocka_unit_test(what_is_refused_leaves_no_trace_in_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
