/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ladder.c - rungs, and the word for what a usage looks like
 * objects: core/ladder.o core/usage_view.o core/evidence.o core/finding.o core/stats.o
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o core/endpoint.o
 * objects: core/holder_info.o
 */
#include "t.h"

#include "../../user/core/detector_impl.h"

#define S NS_PER_S

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
	assert_true(rungs_span_ns(&r) >= LONG_SPAN_NS);
	ladder_count(ready, 7, c, 100, &r);
	assert_int_equal(r.k, 7);
}

static void the_state_word_follows_from_the_facts(void **state)
{
	static const struct {
		struct usage_facts f;
		enum usage_state want;
	} t[] = {
		{{.is_leak = true, .is_blind = true, .k = 9}, USAGE_LEAK},
		{{.is_fd_leak = true, .k = 9}, USAGE_FD_LEAK},
		{{.is_blind = true, .k = 9}, USAGE_BLIND},
		{{.k = 3, .has_resolved = true, .open = 5}, USAGE_SUSPECT},
		{{.k = 2, .has_resolved = true, .open = 5}, USAGE_RESOLVED},
		{{.open = 0, .opened = 9, .closed = 9, .since_open_ns = 900 * S}, USAGE_OK},
		{{.open = 20, .since_open_ns = INT64_MAX}, USAGE_POOL}, /* adopted */
		{{.open = 20, .opened = 20, .since_open_ns = 60 * S}, USAGE_POOL},
		{{.open = 20, .opened = 20, .since_open_ns = 59 * S}, USAGE_FILLING},
		{{.open = 20, .opened = 20, .returns = 50, .since_open_ns = S}, USAGE_POOL},
		{{.open = 1, .opened = 99, .closed = 98, .returns = 98, .since_open_ns = S},
		 USAGE_OK},
		{{.open = 9, .opened = 10, .closed = 1, .since_open_ns = S}, USAGE_OK},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++)
		if (usage_state_of(&t[i].f) != t[i].want)
			fail_msg("row %zu: %s, wanted %s", i,
				 usage_state_name(usage_state_of(&t[i].f)),
				 usage_state_name(t[i].want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_gives_no_rungs),
		cmocka_unit_test(a_rung_was_opened_when_k_earlier_ones_lay_abandoned),
		cmocka_unit_test(one_burst_is_one_rung),
		cmocka_unit_test(only_the_newest_may_be_unseen),
		cmocka_unit_test(rungs_are_bounded),
		cmocka_unit_test(the_state_word_follows_from_the_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
