/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_baseline_compare.c - candidate against control: exact, and silent where nothing is known
 * objects: core/baseline.o core/stats.o
 */
#include "t.h"

#include "../../user/core/baseline.h"
#include "../../user/core/stats.h"

static struct comparison compare(uint64_t m, uint64_t m0, uint64_t e, uint64_t e0)
{
	const struct comparison_side candidate = {
		.holders = 1, .abandoned = m, .exchanges = e, .holder_min = 15};
	const struct comparison_side control = {
		.holders = 1, .abandoned = m0, .exchanges = e0, .holder_min = 15};
	struct comparison c;

	baseline_compare(&candidate, &control, &c);
	return c;
}

/* By adding up all outcomes, each by multiplication. */
static double tail_by_hand(unsigned k, unsigned n, double q)
{
	double sum = 0;

	for (unsigned i = k; i <= n; i++) {
		double term = 1;

		for (unsigned j = 0; j < i; j++)
			term *= q * (n - j) / (j + 1);
		for (unsigned j = i; j < n; j++)
			term *= 1 - q;
		sum += term;
	}
	return sum;
}

static void the_tail_is_exact(void **state)
{
	static const double q[] = {0.01, 0.1, 0.5, 0.9, 0.999};

	(void)state;
	for (unsigned n = 1; n <= 40; n++)
		for (unsigned k = 0; k <= n; k++)
			for (size_t i = 0; i < T_COUNT(q); i++) {
				double want = tail_by_hand(k, n, q[i]);

				assert_near(stats_binomial_tail(k, n, q[i]) / want, 1, 1e-9);
			}
	assert_true(stats_binomial_tail(5, 4, 0.5) == 0);
	assert_true(stats_binomial_tail(0, 4, 0.5) == 1);
}

static void large_counts_are_stable(void **state)
{
	/* the normal law, with a continuity correction */
	double z = (500500 - 0.5 - 500000) / 500;

	(void)state;
	assert_near(stats_binomial_tail(500500, 1000000, 0.5), 0.5 * erfc(z / sqrt(2)), 1e-4);
	assert_near(stats_binomial_tail(499500, 1000000, 0.5),
		    1 - stats_binomial_tail(500501, 1000000, 0.5), 1e-9);
	assert_true(stats_binomial_tail(600000, 1000000, 0.5) >= 0);
	assert_true(stats_binomial_tail(600000, 1000000, 0.5) < 1e-300);
	assert_true(stats_binomial_tail(1000000, 2000000000, 0.5) > 0.999999);
	for (uint64_t n = 10; n < 10000000; n *= 7)
		assert_true(stats_binomial_tail(n / 2 + 1, n, 0.5) <=
			    stats_binomial_tail(n / 2, n, 0.5));
}

static void ten_against_none_or_three_with_nine_controls(void **state)
{
	(void)state;
	assert_int_equal(compare(10, 0, 1000, 1000).result, COMPARISON_WORSE);
	assert_int_equal(compare(9, 0, 1000, 1000).result, COMPARISON_SAME);
	assert_int_equal(compare(3, 0, 1000, 9000).result, COMPARISON_WORSE);
	assert_near(compare(3, 0, 1000, 9000).p, 0.001, 1e-9);
	/* never on fewer, however sure */
	assert_int_equal(compare(2, 0, 10, 1000000).result, COMPARISON_SAME);
	assert_int_equal(compare(2, 0, 1000, 9000).result, COMPARISON_SAME);
	assert_int_equal(compare(0, 0, 1000, 9000).result, COMPARISON_SAME);
	assert_near(compare(0, 0, 1000, 9000).p, 1, 1e-12);
	assert_int_equal(compare(0, 40, 1000, 1000).result, COMPARISON_SAME);
}

static void more_evidence_never_makes_it_better(void **state)
{
	(void)state;
	for (uint64_t m = 0; m < 30; m++)
		for (uint64_t m0 = 0; m0 < 10; m0++) {
			double p = compare(m, m0, 500, 1500).p;

			assert_true(compare(m + 1, m0, 500, 1500).p < p);
			assert_true(compare(m, m0 + 1, 500, 1500).p >= p);
			assert_true(compare(m, m0, 400, 1500).p <= p);
		}
}

static void nothing_to_compare_with_is_unknown_and_says_why(void **state)
{
	static const struct {
		struct comparison_side candidate, control;
		const char *why;
	} t[] = {
		{{.holders = 1, .exchanges = 9}, {.holders = 0}, "no connection of the control"},
		{{.holders = 1, .exchanges = 9}, {.n_excluded = 2}, "watched as the candidate"},
		{{.holders = 1, .exchanges = 9, .abandoned = 50},
		 {.holders = 1, .holder_min = 15},
		 "the control had no traffic"},
		{{.holders = 1, .holder_min = 15, .abandoned = 50},
		 {.holders = 1, .exchanges = 900},
		 "the candidate had no traffic"},
		{{0}, {.holders = 1, .exchanges = 9}, "no connection of the candidate"},
		{{.holders = 1}, {.holders = 1}, "long enough"},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++) {
		struct comparison c;

		baseline_compare(&t[i].candidate, &t[i].control, &c);
		assert_int_equal(c.result, COMPARISON_UNKNOWN);
		assert_true(isnan(c.p));
		assert_non_null(strstr(c.why, t[i].why));
		assert_false(baseline_control_leaks(&c));
	}
	assert_null(compare(1, 1, 10, 10).why);
}

static void without_any_exchange_minutes_are_the_exposure(void **state)
{
	const struct comparison_side candidate = {.holders = 1, .abandoned = 3, .holder_min = 10};
	const struct comparison_side control = {.holders = 9, .holder_min = 90};
	struct comparison c;

	(void)state;
	baseline_compare(&candidate, &control, &c);
	assert_true(c.is_in_minutes);
	assert_near(c.exposure, 10, 1e-12);
	assert_near(c.control_exposure, 90, 1e-12);
	assert_int_equal(c.result, COMPARISON_WORSE);
}

static void a_control_leaks_as_fast_only_if_it_does(void **state)
{
	struct comparison c;

	(void)state;
	c = compare(6, 5, 1000, 1000);
	assert_true(baseline_control_leaks(&c));
	/* no difference could be told, and yet the control leaks nothing */
	c = compare(6, 0, 1000, 1000);
	assert_int_equal(c.result, COMPARISON_SAME);
	assert_false(baseline_control_leaks(&c));
	/* there is nothing that could be old */
	c = compare(0, 20, 1000, 1000);
	assert_false(baseline_control_leaks(&c));
	c = compare(2, 2, 1000, 1000);
	assert_false(baseline_control_leaks(&c));
	c = compare(6, 4, 1000, 9000);
	assert_false(baseline_control_leaks(&c));
}

static void results_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(comparison_name(COMPARISON_SAME), "same");
	assert_string_equal(comparison_name(COMPARISON_WORSE), "worse");
	assert_string_equal(comparison_name(COMPARISON_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tail_is_exact),
		cmocka_unit_test(large_counts_are_stable),
		cmocka_unit_test(ten_against_none_or_three_with_nine_controls),
		cmocka_unit_test(more_evidence_never_makes_it_better),
		cmocka_unit_test(nothing_to_compare_with_is_unknown_and_says_why),
		cmocka_unit_test(without_any_exchange_minutes_are_the_exposure),
		cmocka_unit_test(a_control_leaks_as_fast_only_if_it_does),
		cmocka_unit_test(results_have_their_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
