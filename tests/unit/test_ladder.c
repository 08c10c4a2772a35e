/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ladder.c - rungs
 * objects: core/ladder.o
 */
#include "t.h"

#include "../../user/core/ladder.h"

#define S 1000000000LL

static uint32_t count(const int64_t *ready, size_t n, const struct ladder_cand *c, size_t m)
{
	struct rungs r;

	ladder_count(ready, n, c, m, &r);
	return r.k;
}

static void nothing_gives_no_rungs(void **state)
{
	const int64_t ready[] = {1};
	const struct ladder_cand cand[] = {{5, true}};

	(void)state;
	assert_int_equal(count(NULL, 0, cand, 1), 0);
	assert_int_equal(count(ready, 1, NULL, 0), 0);
	assert_int_equal(count(ready, 1, cand, 1), 1);
}

static void a_rung_was_opened_when_k_earlier_ones_lay_abandoned(void **state)
{
	const int64_t ready[] = {15 * S, 25 * S, 35 * S};
	const struct ladder_cand early[] = {{14 * S, true}, {24 * S, true}, {34 * S, true}};
	const struct ladder_cand all[] = {{20 * S, true}, {30 * S, true}, {40 * S, true}};

	(void)state;
	assert_int_equal(count(ready, 3, all, 3), 3);
	/* The first came too early, so each of the others stands one lower. */
	assert_int_equal(count(ready, 3, early, 3), 2);
}

static void one_burst_is_one_rung(void **state)
{
	const int64_t ready[] = {0, 0, 0, 0};
	const struct ladder_cand burst[] = {
		{10 * S, true}, {11 * S, true}, {14 * S, true}, {15 * S, true}};

	(void)state;
	assert_int_equal(count(ready, 4, burst, 4), 2);
}

static void only_the_newest_may_be_unseen(void **state)
{
	const int64_t ready[] = {0, 0, 0, 0};
	const struct ladder_cand c[] = {{10 * S, false}, {20 * S, true}, {30 * S, false}};

	(void)state;
	assert_int_equal(count(ready, 4, c, 3), 2);
}

static void rungs_are_bounded(void **state)
{
	int64_t ready[100] = {0};
	struct ladder_cand c[100];
	struct rungs r;

	(void)state;
	for (int i = 0; i < 100; i++)
		c[i] = (struct ladder_cand){i * 10 * S, true};
	ladder_count(ready, 100, c, 100, &r);
	assert_int_equal(r.k, LADDER_MAX_RUNGS);
	assert_true(rungs_span_ns(&r) >= 300 * S);
	ladder_count(ready, 7, c, 100, &r);
	assert_int_equal(r.k, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_gives_no_rungs),
		cmocka_unit_test(a_rung_was_opened_when_k_earlier_ones_lay_abandoned),
		cmocka_unit_test(one_burst_is_one_rung),
		cmocka_unit_test(only_the_newest_may_be_unseen),
		cmocka_unit_test(rungs_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
