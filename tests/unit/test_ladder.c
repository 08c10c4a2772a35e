/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ladder.c - rungs
 * objects: core/ladder.o
 */
#include "t.h"

#include "../../user/core/ladder.h"

#define S 1000000000LL
#define SEEN(t)                                                                                    \
	{                                                                                          \
		.opened_ns = (t), .is_seen = true                                                  \
	}

static uint32_t count(const int64_t *ready, size_t n, const struct ladder_cand *c, size_t m)
{
	struct rungs r;

	ladder_count(ready, n, c, m, &r);
	return r.k;
}

static void nothing_gives_no_rungs(void **state)
{
	const int64_t ready[] = {1};
	const struct ladder_cand cand[] = {SEEN(5)};

	(void)state;
	assert_int_equal(count(NULL, 0, cand, 1), 0);
	assert_int_equal(count(ready, 1, NULL, 0), 0);
	assert_int_equal(count(ready, 1, cand, 1), 1);
}

static void a_rung_was_opened_when_k_earlier_ones_lay_abandoned(void **state)
{
	const int64_t ready[] = {15 * S, 25 * S, 35 * S};
	const struct ladder_cand early[] = {SEEN(14 * S), SEEN(24 * S), SEEN(34 * S)};
	const struct ladder_cand all[] = {SEEN(20 * S), SEEN(30 * S), SEEN(40 * S)};

	(void)state;
	assert_int_equal(count(ready, 3, all, 3), 3);
	/* The first came too early, so each of the others stands one lower. */
	assert_int_equal(count(ready, 3, early, 3), 2);
}

static void one_burst_is_one_rung(void **state)
{
	const int64_t ready[] = {0, 0, 0, 0};
	const struct ladder_cand burst[] = {SEEN(10 * S), SEEN(11 * S), SEEN(14 * S), SEEN(15 * S)};

	(void)state;
	assert_int_equal(count(ready, 4, burst, 4), 2);
}

static void only_the_newest_may_be_unseen(void **state)
{
	const int64_t ready[] = {0, 0, 0, 0};
	const struct ladder_cand c[] = {{.opened_ns = 10 * S}, SEEN(20 * S), {.opened_ns = 30 * S}};

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
		c[i] = (struct ladder_cand)SEEN(i * 10 * S);
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
