/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_stats.c - the detector's statistics against known values
 * objects: core/stats.o
 */
#include "t.h"

#include "../../user/core/stats.h"

static void rank_p_needs_the_returns_that_the_table_says(void **state)
{
	static const uint64_t needed[] = {68, 39, 27, 21, 17};
	double ln_alpha = log(1e-6);

	(void)state;
	for (uint64_t k = 4; k <= 8; k++) {
		assert_true(stats_ln_rank_p(needed[k - 4], k) <= ln_alpha);
		assert_true(stats_ln_rank_p(needed[k - 4] - 1, k) > ln_alpha);
	}
	assert_near(exp(-stats_ln_rank_p(4, 2)), 15, 1e-9);
}

static void rank_p_falls_in_both_and_is_nothing_without_either(void **state)
{
	(void)state;
	for (uint64_t n = 1; n < 50; n++)
		for (uint64_t k = 1; k < 20; k++) {
			assert_true(stats_ln_rank_p(n + 1, k) < stats_ln_rank_p(n, k));
			assert_true(stats_ln_rank_p(n, k + 1) < stats_ln_rank_p(n, k));
		}
	assert_true(stats_ln_rank_p(0, 9) == 0 && stats_ln_rank_p(9, 0) == 0);
	assert_true(isfinite(stats_ln_rank_p(1000000000000ULL, 64)));
}

static void poisson_bound_is_that_of_the_table(void **state)
{
	static const double u[] = {4.61, 6.64, 8.41, 10.05, 11.60, 13.11, 14.57};

	(void)state;
	for (uint32_t j = 0; j < T_COUNT(u); j++)
		assert_true(fabs(stats_poisson_upper(j, 0.99) - u[j]) < 0.006);
	assert_near(stats_poisson_upper(0, 0.99), log(100), 1e-6);
}

static void poisson_cdf_is_the_sum_of_its_terms(void **state)
{
	(void)state;
	for (double mean = 0.001; mean < 200; mean *= 1.7) {
		double term = exp(-mean), sum = 0;

		for (uint64_t j = 0; j < 300; term *= mean / (double)++j) {
			sum += term;
			assert_true(fabs(stats_poisson_cdf(j, mean) - sum) < 1e-11);
		}
	}
	assert_true(stats_poisson_cdf(0, 0) == 1);
	assert_near(stats_poisson_cdf(0, 690) / exp(-690), 1, 1e-9);
	assert_near(stats_poisson_cdf(1000000, 1000000), 0.5, 1e-3);
}

static void poisson_bound_rises_in_events_and_confidence(void **state)
{
	(void)state;
	for (uint32_t j = 0; j < 300; j += 7) {
		assert_true(stats_poisson_upper(j + 1, 0.99) > stats_poisson_upper(j, 0.99));
		assert_true(stats_poisson_upper(j, 0.999) > stats_poisson_upper(j, 0.9));
	}
	assert_true(stats_poisson_upper(0, 0.01) > 0);
	assert_true(isfinite(stats_poisson_upper(100000, 0.99)));
}

static void poisson_bound_of_many_events_meets_the_sum(void **state)
{
	static const double confidence[] = {0.5, 0.9, 0.99, 0.9999};

	(void)state;
	for (size_t i = 0; i < T_COUNT(confidence); i++) {
		double before = stats_poisson_upper(10000, confidence[i]);
		double after = stats_poisson_upper(10001, confidence[i]);

		assert_true(after > before);
		assert_near(after - before, 1, 0.05);
		/* mean + z sd, roughly */
		assert_near(stats_poisson_upper(1000000, confidence[i]) / 1000000,
			    1 + (before - 10000) / 100 / 1000, 1e-4);
	}
	/* The sum would have a hundred thousand million terms. */
	assert_true(isfinite(stats_poisson_upper(UINT32_MAX, 0.99)));
}

/* Medians of Gamma(a, 1): tables. */
static void gamma_median_is_within_one_percent(void **state)
{
	static const double median[][2] = {
		{2, 1.67835}, {3, 2.67406}, {5, 4.67091}, {10, 9.66871}, {50, 49.6674}};

	(void)state;
	for (size_t i = 0; i < T_COUNT(median); i++)
		assert_near(stats_gamma_quantile(median[i][0], 0), median[i][1], 0.01);
}

static void gamma_quantile_rises_in_z_and_is_never_negative(void **state)
{
	(void)state;
	for (double a = 0.05; a < 100; a *= 1.7) {
		assert_true(stats_gamma_quantile(a, -1.645) >= 0);
		assert_true(stats_gamma_quantile(a, 1.645) > stats_gamma_quantile(a, -1.645));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rank_p_needs_the_returns_that_the_table_says),
		cmocka_unit_test(rank_p_falls_in_both_and_is_nothing_without_either),
		cmocka_unit_test(poisson_bound_is_that_of_the_table),
		cmocka_unit_test(poisson_cdf_is_the_sum_of_its_terms),
		cmocka_unit_test(poisson_bound_rises_in_events_and_confidence),
		cmocka_unit_test(poisson_bound_of_many_events_meets_the_sum),
		cmocka_unit_test(gamma_median_is_within_one_percent),
		cmocka_unit_test(gamma_quantile_rises_in_z_and_is_never_negative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
