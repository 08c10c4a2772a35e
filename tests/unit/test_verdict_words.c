/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verdict_words.c - what a verdict adds to the usual: doubts, a control, a start
 * objects: core/words.o core/words_verdict.o core/text.o core/strbuf.o
 * objects: core/finding.o core/endpoint.o core/holder_info.o core/site_info.o core/idmap.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <stdio.h>

#include "../../user/core/words.h"
#include "sample.h"

#define assert_text(sb, want)                                                                      \
	do {                                                                                       \
		assert_int_equal((sb)->err, 0);                                                    \
		assert_string_equal((sb)->buf, want);                                              \
		strbuf_clear(sb);                                                                  \
	} while (0)

static int setup(void **state)
{
	static struct strbuf sb;

	*state = &sb;
	return 0;
}

static int teardown(void **state)
{
	strbuf_release(*state);
	return 0;
}

static void a_window_that_can_never_pass_is_told_before(void **state)
{
	struct canary_params p = {
		.window_ns = 300 * NS_PER_S, .detect_per_min = 0.5, .confidence = 0.99};

	words_cannot_pass(*state, &p, 582.6);
	assert_text((struct strbuf *)*state, "5m is too short to pass at 0.5 a minute (99 %): "
					     "9m 43s are needed at least");
}

static void time_without_traffic_is_told(void **state)
{
	struct verdict v = sample_verdict(VERDICT_INCONCLUSIVE);

	v.quiet_s = 759;
	v.needed_window_s = 1342;
	v.detectable_leak_per_min = 2.49;
	words_verdict(*state, &v, NULL, NULL);
	assert_text((struct strbuf *)*state,
		    "INCONCLUSIVE  1 process: 1,204 opened, 1,203 closed in 15m\n"
		    "      15 minutes, 12m 39s of it without traffic, rule out a leak of 2.5/min, "
		    "not the 0.5/min asked for: watch for 23m\n");
}

static void the_control_has_a_line_of_its_own(void **state)
{
	struct verdict v = sample_verdict(VERDICT_LEAK);

	v.control = "exe=/app/orders";
	v.watched_s = 900;
	strcpy(v.reason, "worse than the control");
	v.baseline = (struct comparison){.result = COMPARISON_WORSE,
					 .abandoned = 10,
					 .exposure = 1204,
					 .control_exposure = 1180,
					 .p = 0.000977};
	words_verdict(*state, &v, NULL, NULL);
	assert_text(
		(struct strbuf *)*state,
		"LEAK  1 process: 1,204 opened, 1,203 closed in 15m\n"
		"      worse than the control\n"
		"      10 left idle in 1,204 exchanges, by exe=/app/orders 0 left idle in 1,180 "
		"exchanges: worse (p 0.00098)\n"
		"      next: roll back\n");
	v = sample_verdict(VERDICT_PASS);
	v.control = "unit=orders";
	v.baseline = (struct comparison){.result = COMPARISON_SAME,
					 .is_in_minutes = true,
					 .exposure = 15,
					 .control_exposure = 60,
					 .p = 1};
	words_verdict(*state, &v, NULL, NULL);
	assert_non_null(strstr(((struct strbuf *)*state)->buf,
			       "\n      0 left idle in 15m, by unit=orders 0 left idle in 1h: no "
			       "difference to be told (p 1)\n"));
	strbuf_clear(*state);
	v.baseline = (struct comparison){
		.why = "the control had no traffic", .p = NAN, .result = COMPARISON_UNKNOWN};
	words_verdict(*state, &v, NULL, NULL);
	assert_non_null(strstr(((struct strbuf *)*state)->buf,
			       "\n      not compared with unit=orders: the control had no "
			       "traffic\n"));
	strbuf_clear(*state);
}

static void a_pool_that_fills_is_thought_of(void **state)
{
	struct verdict v = sample_verdict(VERDICT_LEAK);
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);

	v.filled_s = 101;
	words_verdict(*state, &v, &f, NULL);
	assert_non_null(
		strstr(((struct strbuf *)*state)->buf,
		       "\n      all of it within 1m 41s of its start: until it stops, a pool "
		       "that fills looks the same\n      next: roll back"));
	strbuf_clear(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_that_can_never_pass_is_told_before),
		cmocka_unit_test(time_without_traffic_is_told),
		cmocka_unit_test(the_control_has_a_line_of_its_own),
		cmocka_unit_test(a_pool_that_fills_is_thought_of),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
