/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_top_text.c - frames of `top` as text at several widths
 * objects: tui/top_text.o tui/table.o tui/top_model.o core/words.o core/text.o core/strbuf.o
 * objects: core/proctab.o core/proctab_store.o core/slots.o core/idmap.o core/event.o
 * objects: core/holder_info.o core/site_info.o core/endpoint.o core/finding.o
 * objects: core/sitetab.o core/app_frame.o
 */
#include "t.h"

#include <stdio.h>

#include "../../user/core/text.h"
#include "../../user/tui/table.h"
#include "../../user/tui/top_text.h"
#include "world.h"

static struct top_text_options options(unsigned width)
{
	return (struct top_text_options){.host = "app-node-07",
					 .ports = "5432, 6432",
					 .interval_ns = NS_PER_S,
					 .width = width};
}

/* The frame as it is, with every line held against the width. The caller releases it. */
static struct strbuf frame(struct world *w, const struct top_text_options *o)
{
	struct strbuf sb = {0};
	struct top_model m;

	assert_int_equal(top_model_build(&m, &w->e, TOP_SORT_SUSPICION, NULL, NULL), 0);
	assert_int_equal(top_text(&sb, &m, o), 0);
	top_model_release(&m);
	assert_int_equal(sb.buf[sb.len - 1], '\n');
	for (char *line = sb.buf, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		if (o->width && text_width(line) > o->width)
			fail_msg("%u columns: %s", o->width, line);
		*end = '\n';
	}
	return sb;
}

static void assert_frame(struct world *w, const struct top_text_options *o, const char *want)
{
	struct strbuf sb = frame(w, o);

	assert_string_equal(sb.buf, want);
	strbuf_release(&sb);
}

/* The pictures as they look. */
/* clang-format off */
static void at_120_columns_it_is_the_picture_of_the_design(void **state)
{
	const struct top_text_options o = options(120);

	world_budgets(*state);
	assert_frame(*state, &o,
		     "connleak  app-node-07  13:35:12   every 1s   4 processes, 91 connections to 2 servers   lost 0  adopted 20\n"
		     "10.0.4.12:5432  ███████████████████████████░░░░░░  79 of 97 usable   LEAKING 7.6/min   full in 2m 20s (1m 10s to 4m 30s)\n"
		     "10.0.4.20:6432  █████░░░░░░░░░░░░░░░░░░░░░░░░░░░░  12 of 80\n"
		     "\n"
		     " PID COMMAND       WHERE             SERVER         OPEN IDLE OPENED CLOSED LEAK/MIN OLDEST   STATE\n"
		     "4711 order-service orders-7d9f-x2x   10.0.4.12:5432   42   40     42      0      7.6 5m 00s   LEAK\n"
		     "5002 import.py     cron.service      10.0.4.20:6432   12    0     12      0        - 48s      filling\n"
		     "3120 billing       billing-5c-qq1    10.0.4.12:5432   20   19      0      0        - >=2h 10m pool\n"
		     " 988 pgbouncer     pgbouncer.service 10.0.4.12:5432   17    3     17      0      0.0 41s      ok\n"
		     "order-service (4711) leaks 7.6/min: 42 opened, 0 closed in 5m 00s, 40 idle\n");
}

static void at_80_columns_where_goes(void **state)
{
	const struct top_text_options o = options(80);

	world_budgets(*state);
	assert_frame(*state, &o,
		     "connleak  app-node-07  13:35:12   4 processes, 91 connections   lost 0\n"
		     "10.0.4.12:5432  ██████████░░  79 of 97 usable   LEAKING 7.6/min   full in 2m 20s\n"
		     "10.0.4.20:6432  ██░░░░░░░░░░  12 of 80\n"
		     "\n"
		     " PID COMMAND    SERVER         OPEN IDLE OPENED CLOSED LEAK/MIN OLDEST   STATE\n"
		     "4711 order-ser… 10.0.4.12:5432   42   40     42      0      7.6 5m 00s   LEAK\n"
		     "5002 import.py  10.0.4.20:6432   12    0     12      0        - 48s      filling\n"
		     "3120 billing    10.0.4.12:5432   20   19      0      0        - >=2h 10m pool\n"
		     " 988 pgbouncer  10.0.4.12:5432   17    3     17      0      0.0 41s      ok\n"
		     "order-service (4711) leaks 7.6/min: 42 opened, 0 closed in 5m 00s, 40 idle\n");
}

static void what_could_not_be_counted_is_said(void **state)
{
	const struct top_text_options o = options(120);
	struct world *w = *state;

	w->e.drift = 2;
	w->e.unheld = 1;
	w->d.findings[1] = (struct finding){.kind = FINDING_BLIND, .reason = "3 events could not be kept, so counts are estimates"};
	w->d.about[1] = SLOT_NONE;
	w->d.n_findings = 2;
	world_apply(w, (struct event){.kind = EV_LOST, .lost.events = 3});
	world_apply(w, (struct event){.kind = EV_VIA, .conn = 80, .via = 3});
	world_budgets(w);
	assert_frame(w, &o,
		     "connleak  app-node-07  13:35:12   4 processes, 91 connections to 2 servers   lost 3  drift 2  unheld 1  adopted 20\n"
		     "10.0.4.12:5432  ███████████████████████████░░░░░░  79 of 97 usable   LEAKING 7.6/min   full in 2m 20s (1m 10s to 4m 30s)\n"
		     "10.0.4.20:6432  █████░░░░░░░░░░░░░░░░░░░░░░░░░░░░  12 of 80\n"
		     "\n"
		     " PID COMMAND       WHERE             SERVER                            OPEN IDLE OPENED CLOSED LEAK/MIN OLDEST   STATE\n"
		     "4711 order-service orders-7d9f-x2x   10.0.4.12:5432                      42   40     42      0      7.6 5m 00s   LEAK\n"
		     "5002 import.py     cron.service      10.0.4.20:6432 -> pgbouncer (988)   12    0     12      0        - 48s      filling\n"
		     "3120 billing       billing-5c-qq1    10.0.4.12:5432                      20   19      0      0        - >=2h 10m pool\n"
		     " 988 pgbouncer     pgbouncer.service 10.0.4.12:5432                      17    3     17      0      0.0 41s      ok\n"
		     "order-service (4711) leaks 7.6/min: 42 opened, 0 closed in 5m 00s, 40 idle\n"
		     "blind: 3 events could not be kept, so counts are estimates\n");
}

/* clang-format on */

static void ascii_holds_nothing_else(void **state)
{
	struct top_text_options o = options(80);
	struct world *w = *state;
	struct holder_info info = {.pid = 7, .uid = -1, .comm = "caf\xc3\xa9"};
	struct strbuf sb;

	o.is_ascii = true;
	world_budgets(w);
	world_holder(w, 9, &info);
	world_open(w, 9, sample_endpoint(10, 0, 4, 12, 5432), 1, 0);
	world_view(w, 4, USAGE_OK, 0, NAN);
	sb = frame(w, &o);
	for (size_t i = 0; i < sb.len; i++)
		assert_true((unsigned char)sb.buf[i] < 0x80);
	assert_non_null(strstr(sb.buf, "#########.."));
	assert_non_null(strstr(sb.buf, " caf? "));
	strbuf_release(&sb);
}

static void every_width_fits(void **state)
{
	struct world *w = *state;

	world_budgets(w);
	for (unsigned width = 72; width <= 220; width++) {
		const struct top_text_options o = options(width);
		struct strbuf sb = frame(w, &o);

		assert_non_null(strstr(sb.buf, "LEAK/MIN"));
		assert_non_null(strstr(sb.buf, "STATE\n"));
		assert_non_null(strstr(sb.buf, "lost 0"));
		assert_true(width < 100 || strstr(sb.buf, "WHERE"));
		assert_true(width > 80 || !strstr(sb.buf, "WHERE"));
		strbuf_release(&sb);
	}
}

static void at_200_columns_nothing_is_stretched(void **state)
{
	const struct top_text_options wide = options(200), endless = options(0);
	struct world *w = *state;
	struct strbuf a, b;

	world_budgets(w);
	a = frame(w, &wide);
	b = frame(w, &endless);
	assert_string_equal(a.buf, b.buf);
	assert_null(strstr(a.buf, "…"));
	strbuf_release(&a);
	strbuf_release(&b);
}

static void without_a_budget_there_is_a_hint_once(void **state)
{
	const struct top_text_options o = options(120);
	struct strbuf sb = frame(*state, &o);
	const char *hint = strstr(sb.buf, "budget unknown: --budget N shows how many are left\n");

	assert_non_null(hint);
	assert_null(strstr(hint + 1, "budget unknown"));
	assert_null(strstr(sb.buf, "█"));
	assert_non_null(strstr(sb.buf, "\n10.0.4.12:5432  79 open   LEAKING 7.6/min"));
	strbuf_release(&sb);
}

static void with_nothing_open_the_ports_are_named(void **state)
{
	const struct top_text_options o = options(80);
	struct top_model m = {.drift = -1, .now_ns = 0, .wall_offset_ns = SAMPLE_WALL_NS};
	struct strbuf sb = {0};

	(void)state;
	assert_int_equal(top_text(&sb, &m, &o), 0);
	assert_string_equal(
		sb.buf, "connleak  app-node-07  13:30:12   0 processes, 0 connections   lost -  "
			"adopted 0\n"
			"\n"
			"nothing is open on ports 5432, 6432\n");
	strbuf_release(&sb);
}

static void a_bar_is_full_only_when_nothing_is_left(void **state)
{
	struct world *w = *state;
	struct top_text_options o = options(120);
	struct strbuf sb;

	o.is_ascii = true;
	world_budget(w, sample_endpoint(10, 0, 4, 12, 5432), 1000, 999, SCOPE_SERVER);
	world_budget(w, sample_endpoint(10, 0, 4, 20, 6432), 100000, 1, SCOPE_SERVER);
	sb = frame(w, &o);
	assert_non_null(strstr(sb.buf, "#.  999 of 1000 usable"));
	assert_non_null(strstr(sb.buf, "  #..."));
	strbuf_release(&sb);
}

static void text_is_cut_by_what_it_takes_on_screen(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	table_cut(&sb, "ééé", 3, false);
	table_cut(&sb, "|éééé", 4, false);
	table_cut(&sb, "|abcd", 4, true);
	table_cut(&sb, "x", 0, true);
	assert_string_equal(sb.buf, "ééé|éé…|ab~");
	strbuf_release(&sb);
}

static void a_suspicion_says_what_it_rests_on(void **state)
{
	const struct holder h = {.info = {.pid = 4711, .comm = "order-service"}};
	const struct counts counts = {.open = 36};
	struct top_row row = {.holder = &h,
			      .counts = &counts,
			      .view = {.state = USAGE_SUSPECT, .idle = 29, .passed_over = 27}};
	const struct top_text_options o = {.width = 120};
	struct strbuf sb = {0};

	(void)state;
	assert_int_equal(top_text_row(&sb, &row, &o), 0);
	assert_string_equal(sb.buf,
			    "order-service (4711): 29 of 36 idle, 27 passed over by later ones: "
			    "not sure yet\n");
	strbuf_clear(&sb);
	row.view.state = USAGE_POOL;
	assert_int_equal(top_text_row(&sb, &row, &o), 0);
	assert_int_equal(sb.len, 0);
	strbuf_release(&sb);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		WORLD_TEST(at_120_columns_it_is_the_picture_of_the_design),
		WORLD_TEST(at_80_columns_where_goes),
		WORLD_TEST(what_could_not_be_counted_is_said),
		WORLD_TEST(ascii_holds_nothing_else),
		WORLD_TEST(every_width_fits),
		WORLD_TEST(at_200_columns_nothing_is_stretched),
		WORLD_TEST(without_a_budget_there_is_a_hint_once),
		WORLD_TEST(with_nothing_open_the_ports_are_named),
		WORLD_TEST(a_bar_is_full_only_when_nothing_is_left),
		WORLD_TEST(text_is_cut_by_what_it_takes_on_screen),
		cmocka_unit_test(a_suspicion_says_what_it_rests_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
