/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <math.h>

#define SUM_MAX 10000 /* events; the sum has as many terms */

/* ln (x - 1)!; the reentrant form, because lgamma() writes a global. */
static double ln_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

double stats_ln_rank_p(uint64_t n, uint64_t k)
{
	double a = (double)n, b = (double)k, r;

	if (!n || !k)
		return 0;
	r = ln_gamma(a + 1) + ln_gamma(b + 1) - ln_gamma(a + b + 1);
	return r < 0 ? r : 0;
}

double stats_gamma_quantile(double a, double z)
{
	double c = 1 - 1 / (9 * a) + z / (3 * sqrt(a));

	/* Below shape 0.1 or so the cube's base goes negative; a quantile never does. */
	return c > 0 ? a * c * c * c : 0;
}

/* P(X <= j) of a Poisson variable with this mean, summed in logarithms. */
static double poisson_cdf(uint32_t j, double mean)
{
	double sum = 0;

	for (uint32_t i = 0; i <= j; i++)
		sum += exp((double)i * log(mean) - mean - ln_gamma((double)i + 1));
	return sum;
}

static double poisson_upper_sum(uint32_t j, double confidence)
{
	double lo = 0, hi = (double)j + 1;

	while (poisson_cdf(j, hi) > 1 - confidence)
		hi *= 2;
	for (int i = 0; i < 60; i++) {
		double mid = (lo + hi) / 2;

		if (poisson_cdf(j, mid) > 1 - confidence)
			lo = mid;
		else
			hi = mid;
	}
	return (lo + hi) / 2;
}

double stats_poisson_upper(uint32_t j, double confidence)
{
	double a = SUM_MAX + 1.0, z;

	if (j <= SUM_MAX)
		return poisson_upper_sum(j, confidence);
	/* stats_gamma_quantile(a, z) solved for z */
	z = (cbrt(poisson_upper_sum(SUM_MAX, confidence) / a) - 1 + 1 / (9 * a)) * 3 * sqrt(a);
	return stats_gamma_quantile((double)j + 1, z);
}
