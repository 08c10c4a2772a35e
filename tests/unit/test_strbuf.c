/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_strbuf.c - the buffer grows, pads by characters, and remembers a failure
 * objects: core/strbuf.o core/text.o
 */
#include "t.h"

#include <errno.h>
#include <stdlib.h>

#include "../../user/core/strbuf.h"

static void it_grows_and_stays_terminated(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(strbuf_printf(&sb, "%03d,", i), 0);
		assert_int_equal(sb.len, 4 * (i + 1));
		assert_int_equal(sb.buf[sb.len], 0);
	}
	assert_memory_equal(sb.buf + 4 * 999, "999,", 5);
	strbuf_release(&sb);
	assert_null(sb.buf);
}

static void nul_bytes_are_kept(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	assert_int_equal(strbuf_add(&sb, "a\0b", 3), 0);
	assert_int_equal(sb.len, 3);
	assert_memory_equal(sb.buf, "a\0b", 4);
	strbuf_release(&sb);
}

static void padding_counts_characters_and_never_cuts(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	strbuf_left(&sb, "é", 3);
	strbuf_puts(&sb, "|");
	strbuf_right(&sb, "é", 3);
	strbuf_puts(&sb, "|");
	strbuf_left(&sb, "toolong", 3);
	strbuf_puts(&sb, "|");
	strbuf_right(&sb, "toolong", 3);
	assert_string_equal(sb.buf, "é  |  é|toolong|toolong");
	strbuf_release(&sb);
}

static void a_failure_keeps_the_content_and_stays(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	strbuf_puts(&sb, "kept");
	assert_int_equal(strbuf_left(&sb, "x", SIZE_MAX), -ENOMEM);
	assert_int_equal(strbuf_puts(&sb, "y"), -ENOMEM);
	assert_int_equal(strbuf_printf(&sb, "z"), -ENOMEM);
	assert_string_equal(sb.buf, "kept");
	assert_int_equal(sb.err, -ENOMEM);
	strbuf_clear(&sb);
	assert_int_equal(sb.err, 0);
	assert_string_equal(sb.buf, "");
	assert_int_equal(strbuf_puts(&sb, "y"), 0);
	strbuf_release(&sb);
}

static void release_and_clear_accept_an_unused_one(void **state)
{
	struct strbuf sb = {0};

	(void)state;
	strbuf_clear(&sb);
	strbuf_release(&sb);
	strbuf_release(NULL);
	assert_int_equal(strbuf_puts(&sb, ""), 0);
	assert_string_equal(sb.buf, "");
	strbuf_release(&sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_and_stays_terminated),
		cmocka_unit_test(nul_bytes_are_kept),
		cmocka_unit_test(padding_counts_characters_and_never_cuts),
		cmocka_unit_test(a_failure_keeps_the_content_and_stays),
		cmocka_unit_test(release_and_clear_accept_an_unused_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
