/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_jsonscan.c - what is JSON passes, what is not is refused, where it is and as what
 * objects: core/jsonscan.o core/text.o
 */
#include "t.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "../../user/core/jsonscan.h"
#include "mutate.h"

/* @text in memory that ends with it: a sanitizer sees the first byte read behind it. */
static char *exact(struct jsonscan *js, const char *text, size_t n)
{
	char *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, text, n);
	jsonscan_init(js, copy, n);
	return copy;
}

static int skip_whole(const char *text, size_t n, struct parse_err *ret)
{
	struct jsonscan js;
	char *copy = exact(&js, text, n);
	int err = jsonscan_skip(&js);

	if (!err)
		err = jsonscan_end(&js);
	if (err)
		jsonscan_error(&js, ret);
	free(copy);
	return err;
}

static const char *const good[] = {
	"0",
	"-0",
	"12",
	"-12.5e+3",
	"1E-2",
	"true",
	"false",
	"null",
	"\"\"",
	" [ ] ",
	"{}",
	"[1,[2,{\"a\":[]}],\"x\"]",
	"{\"a\":1 , \"b\" : {\"c\":null}}\r\n",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"",
	"\"\\u0000\"",
	"\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"",
	"{\"a\":1,\"a\":2}",
	"99999999999999999999999999",
	"[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
};

static void what_is_json_passes(void **state)
{
	struct parse_err err;

	(void)state;
	for (size_t i = 0; i < T_COUNT(good); i++)
		if (skip_whole(good[i], strlen(good[i]), &err))
			fail_msg("%s: %s", good[i], err.msg);
}

struct bad {
	const char *text;
	uint32_t col;
	const char *msg;
};

static const struct bad bad[] = {
	{"", 1, "expected a value, found the end of the line"},
	{"  ", 3, "expected a value, found the end of the line"},
	{"nul", 1, "expected a value, found nul"},
	{"truth", 1, "expected true or false, found truth"},
	{"1 2", 3, "expected the end of the line, found 2"},
	{"[1,]", 4, "expected a value, found ]"},
	{"[,1]", 2, "expected a value, found ,"},
	{"[1 2]", 4, "expected ',' or ']', found 2"},
	{"[1", 3, "expected ',' or ']', found the end of the line"},
	{"{\"a\":1,}", 8, "expected a key, found }"},
	{"{,}", 2, "expected a key, found ,"},
	{"{a:1}", 2, "expected a key, found a"},
	{"{\"a\" 1}", 6, "expected ':', found 1"},
	{"{\"a\":}", 6, "expected a value, found }"},
	{"{\"a\":1 \"b\":2}", 8, "expected ',' or '}', found \"b\""},
	{"{\"a\":1]", 7, "expected ',' or '}', found ]"},
	{"01", 1, "expected a number, found 01"},
	{"-", 1, "expected a number, found -"},
	{"1.", 1, "expected a number, found 1."},
	{".5", 1, "expected a value, found .5"},
	{"+1", 1, "expected a value, found +1"},
	{"1e", 1, "expected a number, found 1e"},
	{"0x10", 2, "expected the end of the line, found x10"},
	{"1.5.2", 1, "expected a number, found 1.5.2"},
	{"\"abc", 5, "expected '\"' at the end of a string, found the end of the line"},
	{"\"a\nb\"", 3, "expected a string without control characters, found \\x0A"},
	{"\"a\\qb\"", 3, "expected an escape that JSON knows, found \\x5Cqb"},
	{"\"a\\", 3, "expected an escape that JSON knows, found \\x5C"},
	{"\"\\u12g4\"", 2, "expected four hexadecimal digits after \\u, found \\x5Cu12g4"},
	{"\"\\u12", 2, "expected four hexadecimal digits after \\u, found \\x5Cu12"},
	{"\"\\ud83d\"", 2, "expected a pair of surrogates, found \\x5Cud83d"},
	{"\"\\ud83dx\"", 2, "expected a pair of surrogates, found \\x5Cud83dx"},
	{"\"\\ud83d\\u0041\"", 2, "expected a pair of surrogates, found \\x5Cud83d\\x5Cu0041"},
	{"\"\\ude00\\ud83d\"", 2, "expected a pair of surrogates, found \\x5Cude00\\x5Cud83d"},
	{"\"\\ud83d\\ud83d\"", 2, "expected a pair of surrogates, found \\x5Cud83d\\x5Cud83d"},
	{"\"\xff\"", 2, "expected UTF-8, found \\xFF"},
	{"\"\xc0\x80\"", 2, "expected UTF-8, found \\xC0\\x80"},
	{"\"\xed\xa0\x80\"", 2, "expected UTF-8, found \\xED\\xA0\\x80"},
	{"\"\xc3", 2, "expected UTF-8, found \\xC3"},
	{"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 17, "expected a value of less depth, found ["},
	{"[1] // x", 5, "expected the end of the line, found /"},
	{"'a'", 1, "expected a value, found '"},
	{"NaN", 1, "expected a value, found NaN"},
};

static void what_is_not_json_is_refused_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(bad); i++) {
		struct parse_err err = {0};

		if (!skip_whole(bad[i].text, strlen(bad[i].text), &err))
			fail_msg("%s was taken", bad[i].text);
		if (err.col != bad[i].col || strcmp(err.msg, bad[i].msg))
			fail_msg("%s: column %u, %s", bad[i].text, err.col, err.msg);
	}
	{
		struct parse_err err = {0};

		assert_int_not_equal(skip_whole("[\0]", 3, &err), 0);
		assert_string_equal(err.msg, "expected a value, found a NUL");
	}
}

static void a_message_shows_the_beginning_of_what_is_long(void **state)
{
	char text[4000];
	struct parse_err err = {0};

	(void)state;
	memset(text, '\xff', sizeof(text));
	text[0] = '[';
	assert_int_equal(skip_whole(text, sizeof(text), &err), -EINVAL);
	assert_int_equal(err.col, 2);
	assert_memory_equal(err.msg, "expected a value, found \\xFF\\xFF", 32);
	assert_string_equal(err.msg + strlen(err.msg) - 7, "\\xFF...");
}

static void strings_are_decoded(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{"\"\"", ""},
		{" \"abc\"", "abc"},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
		{"\"\\u0041\\u00e9\\u20AC\\uFFFF\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf"},
		{"\"\\ud83d\\ude00\\uDBFF\\uDFFF\"", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"},
		{"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		 "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct jsonscan js;
		char *copy = exact(&js, cases[i].json, strlen(cases[i].json)), buf[64];
		size_t len;

		assert_int_equal(jsonscan_string(&js, buf, sizeof(buf), &len), 0);
		assert_string_equal(buf, cases[i].text);
		assert_int_equal(len, strlen(cases[i].text));
		assert_int_equal(jsonscan_end(&js), 0);
		free(copy);
	}
}

static void a_string_fits_or_is_refused(void **state)
{
	struct jsonscan js;
	struct parse_err err;
	char buf[4];
	size_t len = 99;

	(void)state;
	jsonscan_init(&js, "\"abc\"", 5);
	assert_int_equal(jsonscan_string(&js, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 3);
	jsonscan_init(&js, "\"abcd\"", 6);
	assert_int_equal(jsonscan_string(&js, buf, sizeof(buf), &len), -E2BIG);
	jsonscan_init(&js, "\"ab\xc3\xa9\"", 6);
	assert_int_equal(jsonscan_string(&js, buf, sizeof(buf), &len), -E2BIG);
	jsonscan_init(&js, "\"a\\u0000b\"", 10);
	assert_int_equal(jsonscan_string(&js, buf, sizeof(buf), &len), -EINVAL);
	jsonscan_error(&js, &err);
	assert_string_equal(err.msg, "expected a string without U+0000, found \"a\\x5Cu0000b\"");
	assert_int_equal(len, 3);
	jsonscan_init(&js, "12", 2);
	assert_int_equal(jsonscan_string(&js, buf, sizeof(buf), &len), -EINVAL);
}

static void whole_numbers_are_exact(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		int64_t v;
	} cases[] = {
		{"0", true, 0},
		{"-0", true, 0},
		{"7", true, 7},
		{" -7 ", true, -7},
		{"9007199254740993", true, 9007199254740993},
		{"9223372036854775807", true, INT64_MAX},
		{"-9223372036854775808", true, INT64_MIN},
		{"9223372036854775808", false, 0},
		{"-9223372036854775809", false, 0},
		{"18446744073709551616", false, 0},
		{"99999999999999999999", false, 0},
		{"1.0", false, 0},
		{"1e3", false, 0},
		{"1E3", false, 0},
		{"01", false, 0},
		{"00", false, 0},
		{"-01", false, 0},
		{"-", false, 0},
		{"", false, 0},
		{"+1", false, 0},
		{"1-", false, 0},
		{"\"1\"", false, 0},
		{"null", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		struct jsonscan js;
		char *copy = exact(&js, cases[i].text, strlen(cases[i].text));
		int64_t v = 4711;
		int err = jsonscan_int(&js, &v);

		if (err != (cases[i].is_good ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, err);
		assert_true(v == (cases[i].is_good ? cases[i].v : 4711));
		free(copy);
	}
}

/* The keys of @text's object, one behind the other with a blank; values are passed over. */
static void keys_of(const char *text, char *ret)
{
	char key[JSONSCAN_KEY];
	struct jsonscan js;
	char *copy = exact(&js, text, strlen(text));
	int n;

	ret[0] = '\0';
	assert_int_equal(jsonscan_object(&js), 0);
	while ((n = jsonscan_key(&js, key)) > 0) {
		strcat(strcat(ret, key), " ");
		assert_int_equal(jsonscan_skip(&js), 0);
	}
	assert_int_equal(n, 0);
	assert_int_equal(jsonscan_end(&js), 0);
	free(copy);
}

static void keys_come_one_after_the_other(void **state)
{
	char keys[200];

	(void)state;
	keys_of("{}", keys);
	assert_string_equal(keys, "");
	keys_of(" { \"a\" : 1 , \"b\":[{\"x\":1}],\"c\":{\"d\":{}} } ", keys);
	assert_string_equal(keys, "a b c ");
	/* escaped, it is the same key */
	keys_of("{\"\\u0063onn\":1,\"a\\\"\":2}", keys);
	assert_string_equal(keys, "conn a\" ");
	/* neither may a long one look like a short one, nor one with a NUL like what is before it */
	keys_of("{\"connconnconnconnconnconnconnconnconnconnconnconnconnconnconnconn\":1,"
		"\"conn\\u0000\":2}",
		keys);
	assert_string_equal(keys, "  ");
}

static void an_expected_key_is_taken_where_it_stands(void **state)
{
	static const char text[] = "{\"t_ns\":1, \"ev\": 2,\"ev2\":3 ,\"ev\":4}";
	char key[JSONSCAN_KEY];
	struct jsonscan js;
	int64_t v = 0;

	(void)state;
	jsonscan_init(&js, text, strlen(text));
	assert_int_equal(jsonscan_object(&js), 0);
	assert_false(jsonscan_is_key(&js, "ev", 2));
	assert_true(jsonscan_is_key(&js, "t_ns", 4));
	assert_false(jsonscan_is_key(&js, "ev", 2));
	assert_int_equal(jsonscan_int(&js, &v), 0);
	assert_true(jsonscan_is_key(&js, "ev", 2));
	assert_int_equal(jsonscan_int(&js, &v), 0);
	assert_int_equal(v, 2);
	assert_false(jsonscan_is_key(&js, "ev", 2));
	assert_true(jsonscan_is_key(&js, "ev2", 3));
	assert_int_equal(jsonscan_int(&js, &v), 0);
	/* a blank before the comma: that is for jsonscan_key() */
	assert_false(jsonscan_is_key(&js, "ev", 2));
	assert_int_equal(jsonscan_key(&js, key), 1);
	assert_string_equal(key, "ev");
	assert_int_equal(jsonscan_int(&js, &v), 0);
	assert_false(jsonscan_is_key(&js, "ev", 2));
	assert_int_equal(jsonscan_key(&js, key), 0);
}

static void an_expected_key_is_not_looked_for_behind_the_end(void **state)
{
	static const char text[] = "{\"t_ns\":1";

	(void)state;
	for (size_t n = 1; n < strlen(text); n++) {
		struct jsonscan js;
		char *copy = exact(&js, text, n);

		assert_int_equal(jsonscan_object(&js), 0);
		assert_false(jsonscan_is_key(&js, "t_ns", 4));
		free(copy);
	}
}

static void elements_and_words(void **state)
{
	static const char text[] = "[ true,false , null,[],1 ]";
	struct jsonscan js;
	bool is;

	(void)state;
	jsonscan_init(&js, text, strlen(text));
	assert_int_equal(jsonscan_array(&js), 0);
	assert_int_equal(jsonscan_element(&js), 1);
	assert_int_equal(jsonscan_bool(&js, &is), 0);
	assert_true(is);
	assert_int_equal(jsonscan_element(&js), 1);
	assert_int_equal(jsonscan_bool(&js, &is), 0);
	assert_false(is);
	assert_int_equal(jsonscan_element(&js), 1);
	assert_true(jsonscan_null(&js));
	assert_int_equal(jsonscan_element(&js), 1);
	assert_false(jsonscan_null(&js));
	assert_int_equal(jsonscan_array(&js), 0);
	assert_int_equal(jsonscan_element(&js), 0);
	assert_int_equal(jsonscan_element(&js), 1);
	assert_int_equal(jsonscan_bool(&js, &is), -EINVAL);
	assert_int_equal(jsonscan_skip(&js), 0);
	assert_int_equal(jsonscan_element(&js), 0);
	assert_int_equal(jsonscan_end(&js), 0);
	assert_int_equal(jsonscan_object(&js), -EINVAL);
}

/* A library as the judge: what it takes is taken here, and the other way, but for what is named. */
static void it_agrees_with_jansson_on_damaged_json(void **state)
{
	uint64_t rnd = 20260208, taken = 0;

	(void)state;
	for (int round = 0; round < 20 * MUTATE_ROUNDS; round++) {
		const char *from = good[mutate_random(&rnd) % T_COUNT(good)];
		size_t n;
		char *text = (char *)mutate(&rnd, from, strlen(from), &n);
		json_error_t why = {0};
		json_t *tree = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
		struct parse_err err = {0};
		bool is_taken = !skip_whole(text, n, &err);

		/* Here a number that is passed over has no limit; there a NUL ends the text. */
		bool is_judged = (tree || json_error_code(&why) != json_error_numeric_overflow) &&
				 !memchr(text, 0, n);

		taken += is_taken;
		if (is_judged && !tree != !is_taken && !strstr(err.msg, "less depth"))
			fail_msg("round %d: '%.*s': %s, %s", round, (int)n, text, err.msg,
				 why.text);
		assert_true(is_taken || (err.col >= 1 && err.col <= n + 1 && err.msg[0]));
		json_decref(tree);
		free(text);
	}
	assert_in_range(taken, 2000, 40000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_json_passes),
		cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
		cmocka_unit_test(a_message_shows_the_beginning_of_what_is_long),
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(a_string_fits_or_is_refused),
		cmocka_unit_test(whole_numbers_are_exact),
		cmocka_unit_test(keys_come_one_after_the_other),
		cmocka_unit_test(an_expected_key_is_taken_where_it_stands),
		cmocka_unit_test(an_expected_key_is_not_looked_for_behind_the_end),
		cmocka_unit_test(elements_and_words),
		cmocka_unit_test(it_agrees_with_jansson_on_damaged_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
