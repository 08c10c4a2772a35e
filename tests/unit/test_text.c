/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_text.c - foreign bytes become harmless, numbers become readable
 * objects: core/text.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../user/core/text.h"

static void assert_clean_n(const char *src, size_t n, const char *want)
{
	char buf[256];

	assert_int_equal(text_clean(buf, sizeof(buf), src, n), strlen(want));
	assert_string_equal(buf, want);
}

static void assert_clean(const char *src, const char *want)
{
	assert_clean_n(src, strlen(src), want);
}

static void every_single_byte_is_printable_or_escaped(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char src = (char)c, want[8];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			snprintf(want, sizeof(want), "%c", c);
		else
			snprintf(want, sizeof(want), "\\x%02X", c);
		assert_clean_n(&src, 1, want);
	}
}

static void it_stops_at_a_nul_and_at_n(void **state)
{
	(void)state;
	assert_clean_n("ab\0cd", 5, "ab");
	assert_clean_n("abcd", 2, "ab");
	assert_clean_n("", 0, "");
}

static void terminal_escapes_lose_their_power(void **state)
{
	(void)state;
	assert_clean("\x1b[31mred", "\\x1B[31mred");
	assert_clean("\xc2\x9b"
		     "31m",
		     "\\xC2\\x9B31m");
	assert_clean("a\r\nb\tc", "a\\x0D\\x0Ab\\x09c");
	assert_clean("\\x1B", "\\x5Cx1B");
}

static void valid_characters_pass(void **state)
{
	static const char *const passes[] = {"é",
					     "日本",
					     "\xf0\x9f\x90\x98",
					     "\xf4\x8f\xbf\xbf",
					     "\xef\xbf\xbf",
					     "\xed\x9f\xbf",
					     "\xee\x80\x80",
					     "\xc2\xa0",
					     "\xe0\xa0\x80",
					     "\xf0\x90\x80\x80"};

	(void)state;
	for (size_t i = 0; i < T_COUNT(passes); i++)
		assert_clean(passes[i], passes[i]);
}

static void malformed_sequences_are_escaped_byte_by_byte(void **state)
{
	static const char *const cases[][2] = {
		{"\xc0\xaf", "\\xC0\\xAF"}, /* overlong '/' */
		{"\xc1\x81", "\\xC1\\x81"},
		{"\xe0\x9f\xbf", "\\xE0\\x9F\\xBF"},	      /* overlong */
		{"\xf0\x8f\xbf\xbf", "\\xF0\\x8F\\xBF\\xBF"}, /* overlong */
		{"\xed\xa0\x80", "\\xED\\xA0\\x80"},	      /* surrogate */
		{"\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", "\\xF5\\x80\\x80\\x80"},
		{"\xe2\x82", "\\xE2\\x82"}, /* cut off */
		{"\xe2\x82"
		 "a",
		 "\\xE2\\x82"
		 "a"},
		{"\xc3\xc3\xa9", "\\xC3é"},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++)
		assert_clean(cases[i][0], cases[i][1]);
}

static size_t encode(uint32_t cp, char *buf)
{
	if (cp < 0x800) {
		buf[0] = (char)(0xc0 | cp >> 6);
		buf[1] = (char)(0x80 | (cp & 63));
		return 2;
	}
	buf[0] = (char)(0xe0 | cp >> 12);
	buf[1] = (char)(0x80 | (cp >> 6 & 63));
	buf[2] = (char)(0x80 | (cp & 63));
	return 3;
}

static int is_listed(uint32_t cp)
{
	return cp < 0xa0 || cp == 0x61c || cp == 0x180e || (cp >= 0x200b && cp <= 0x200f) ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x2069) || cp == 0xfeff;
}

static void bidi_zero_width_and_separators_are_escaped_and_nothing_else(void **state)
{
	(void)state;
	for (uint32_t cp = 0x80; cp <= 0xffff; cp++) {
		char src[4], dst[16];
		size_t n = encode(cp, src);

		if (cp >= 0xd800 && cp <= 0xdfff)
			continue;
		text_clean(dst, sizeof(dst), src, n);
		if ((dst[0] == '\\') != is_listed(cp))
			fail_msg("U+%04X", cp);
	}
}

static void cutting_never_splits_a_character_or_an_escape(void **state)
{
	static const char src[] = "aé\x1b\xe2\x80\xae日z";
	static const char full[] = "aé\\x1B\\xE2\\x80\\xAE日z";
	static const size_t ends[] = {0, 1, 3, 7, 19, 22, 23};

	(void)state;
	for (size_t size = 1; size <= sizeof(full) + 2; size++) {
		char buf[64];
		size_t want = 0, n;

		memset(buf, 'X', sizeof(buf));
		for (size_t i = 0; i < T_COUNT(ends); i++)
			if (ends[i] < size)
				want = ends[i];
		n = text_clean(buf, size, src, strlen(src));
		assert_int_equal(n, want);
		assert_memory_equal(buf, full, n);
		assert_int_equal(buf[n], 0);
		assert_int_equal(buf[size], 'X');
	}
	assert_int_equal(text_clean(NULL, 0, src, strlen(src)), 0);
}

static void dup_holds_the_longest_result(void **state)
{
	char *s = text_clean_dup("\x01\x02\x03", 3);

	(void)state;
	assert_string_equal(s, "\\x01\\x02\\x03");
	free(s);
}

static void durations_read_like_a_person_says_them(void **state)
{
	static const struct {
		int64_t ns;
		const char *want;
	} cases[] = {
		{-5, "0s"},
		{0, "0s"},
		{1, "1 ms"},
		{84000000, "84 ms"},
		{999999999, "999 ms"},
		{1000000000, "1s"},
		{42000000000, "42s"},
		{300000000000, "5m 00s"},
		{3599000000000, "59m 59s"},
		{11520000000000, "3h 12m"},
		{187200000000000, "2d 4h"},
		{INT64_MAX, "106751d 23h"},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		char buf[TEXT_DURATION_LEN];

		assert_string_equal(text_duration(cases[i].ns, buf), cases[i].want);
	}
}

static void estimates_are_rounded_to_what_they_are_good_for(void **state)
{
	static const struct {
		double s;
		const char *want;
	} cases[] = {
		{-1, "0s"},	  {0, "0s"},	       {4.4, "4s"},	{42, "40s"},
		{59.9, "1m"},	  {70, "1m 10s"},      {140, "2m 20s"}, {120, "2m"},
		{234, "4m"},	  {270, "4m 30s"},     {434, "7m"},	{660, "11m"},
		{739, "12m"},	  {1320, "22m"},       {3599, "1h"},	{4200, "1h 10m"},
		{9000, "2h 30m"}, {40000, "11h"},      {129600, "36h"}, {216000, "2d 12h"},
		{9e6, "104d"},	  {INFINITY, "never"}, {NAN, "-"},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		char buf[TEXT_DURATION_LEN];

		assert_string_equal(text_about(cases[i].s, buf), cases[i].want);
	}
}

static void bytes_rates_and_counts_are_short(void **state)
{
	static const struct {
		uint64_t n;
		const char *bytes, *count;
	} sizes[] = {
		{0, "0 B", "0"},
		{211, "211 B", "211"},
		{999, "999 B", "999"},
		{1000, "1.0 kB", "1,000"},
		{1204, "1.2 kB", "1,204"},
		{9960, "10 kB", "9,960"},
		{999600, "1.0 MB", "999,600"},
		{1200000, "1.2 MB", "1,200,000"},
		{UINT64_MAX, "18 EB", "18446744073709551615"},
	};
	static const struct {
		double rate;
		const char *want;
	} rates[] = {
		{7.6, "7.6"}, {12.3, "12"},    {0.4579, "0.46"}, {10.1, "10"},	    {9.96, "10"},
		{0, "0.0"},   {0.996, "1.0"},  {1, "1.0"},	 {0.05, "0.050"},   {2.656, "2.7"},
		{NAN, "-"},   {INFINITY, "-"}, {1234, "1234"},	 {0.0994, "0.099"},
	};
	char buf[TEXT_DURATION_LEN];

	(void)state;
	for (size_t i = 0; i < T_COUNT(sizes); i++) {
		assert_string_equal(text_bytes(sizes[i].n, buf), sizes[i].bytes);
		assert_string_equal(text_count(sizes[i].n, buf), sizes[i].count);
	}
	for (size_t i = 0; i < T_COUNT(rates); i++)
		assert_string_equal(text_rate(rates[i].rate, buf), rates[i].want);
}

static void times_are_rfc_3339_in_utc(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(text_time(0, buf), "1970-01-01T00:00:00.000Z");
	assert_string_equal(text_time(1770557412418999999, buf), "2026-02-08T13:30:12.418Z");
	assert_string_equal(text_time(-1, buf), "1969-12-31T23:59:59.999Z");
	assert_string_equal(text_time(INT64_MAX, buf), "2262-04-11T23:47:16.854Z");
	assert_string_equal(text_time(INT64_MIN, buf), "1677-09-21T00:12:43.145Z");
}

static void a_duration_is_one_number_and_one_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{"90s", 90000000000}, {"15m", 900000000000},  {"2h", 7200000000000},
		{"500ms", 500000000}, {"1d", 86400000000000}, {"366d", 366 * 86400000000000},
		{"1ms", 1000000},
	};
	static const char *const bad[] = {"",	  "s",	  "0s",	 "5",	"5 m",
					  " 5m",  "-5m",  "+5m", "5mm", "1h5m",
					  "1.5h", "367d", "5M",	 "5x",	"99999999999999999999s",
					  "5m ",  "0x5s"};

	(void)state;
	for (size_t i = 0; i < T_COUNT(good); i++) {
		int64_t ns = 0;

		assert_int_equal(text_parse_duration(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < T_COUNT(bad); i++) {
		int64_t ns = 7;

		if (text_parse_duration(bad[i], &ns) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(ns, 7);
	}
}

static void width_counts_characters(void **state)
{
	(void)state;
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("é█…"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_single_byte_is_printable_or_escaped),
		cmocka_unit_test(it_stops_at_a_nul_and_at_n),
		cmocka_unit_test(terminal_escapes_lose_their_power),
		cmocka_unit_test(valid_characters_pass),
		cmocka_unit_test(malformed_sequences_are_escaped_byte_by_byte),
		cmocka_unit_test(bidi_zero_width_and_separators_are_escaped_and_nothing_else),
		cmocka_unit_test(cutting_never_splits_a_character_or_an_escape),
		cmocka_unit_test(dup_holds_the_longest_result),
		cmocka_unit_test(durations_read_like_a_person_says_them),
		cmocka_unit_test(estimates_are_rounded_to_what_they_are_good_for),
		cmocka_unit_test(bytes_rates_and_counts_are_short),
		cmocka_unit_test(times_are_rfc_3339_in_utc),
		cmocka_unit_test(a_duration_is_one_number_and_one_unit),
		cmocka_unit_test(width_counts_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
