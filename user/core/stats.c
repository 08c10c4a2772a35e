/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <math.h>

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

#define NEGLIGIBLE   1e-17 /* a term that cannot change a sum any more */
#define EXACT_ENOUGH 1e-11 /* relative, of a bisection */

/* P(X = j), X Poisson. @mean > 0. */
static double poisson_term(double j, double mean)
{
	return exp(j * log(mean) - mean - ln_gamma(j + 1));
}

double stats_poisson_cdf(uint64_t j, double mean)
{
	double i = (double)j, term, sum = 0;

	if (!(mean > 0))
		return 1;
	/* From the side where the terms fall, so that the first ones are all that count. */
	if (i < mean) {
		for (term = poisson_term(i, mean); i >= 0 && term > sum * NEGLIGIBLE; i--) {
			sum += term;
			term *= i / mean;
		}
		return sum;
	}
	for (term = poisson_term(++i, mean); term > NEGLIGIBLE; i++) {
		sum += term;
		term *= mean / (i + 1);
	}
	return 1 - sum;
}

double stats_poisson_upper(uint64_t j, double confidence)
{
	double lo = 0, hi = (double)j + 1;

	while (stats_poisson_cdf(j, hi) > 1 - confidence)
		hi *= 2;
	while (hi - lo > EXACT_ENOUGH * hi) {
		double mid = (lo + hi) / 2;

		if (stats_poisson_cdf(j, mid) > 1 - confidence)
			lo = mid;
		else
			hi = mid;
	}
	return (lo + hi) / 2;
}

/* P(X = k), X binomial. 0 < q < 1. */
static double binomial_term(double k, double n, double q)
{
	return exp(ln_gamma(n + 1) - ln_gamma(k + 1) - ln_gamma(n - k + 1) + k * log(q) +
		   (n - k) * log(1 - q));
}

double stats_binomial_tail(uint64_t k, uint64_t n, double q)
{
	double i = (double)k, size = (double)n, odds = q / (1 - q), term, sum = 0;

	if (!k || q >= 1)
		return 1;
	if (k > n || q <= 0)
		return 0;
	if (i > size * q) {
		for (term = binomial_term(i, size, q); i <= size && term > sum * NEGLIGIBLE; i++) {
			sum += term;
			term *= (size - i) / (i + 1) * odds;
		}
		return sum;
	}
	for (term = binomial_term(--i, size, q); i >= 0 && term > NEGLIGIBLE; i--) {
		sum += term;
		term *= i / (size - i + 1) / odds;
	}
	return 1 - sum;
}
