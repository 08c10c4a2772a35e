/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h - the few statistics that the detector rests on
 */
#ifndef CONNLEAK_STATS_H
#define CONNLEAK_STATS_H

#include <stdint.h>

/*
 * stats_ln_rank_p - ln of 1 / C(n+k, k): the chance that the @k longest absences of n+k
 *	exchangeable ones are just those k
 * Assumes exchangeability within the cohort; falls in n and in k; 0 if either is 0.
 */
double stats_ln_rank_p(uint64_t n, uint64_t k);

/* Gamma quantile of shape @a at normal deviate @z (Wilson and Hilferty 1931). @a > 0. */
double stats_gamma_quantile(double a, double z);

/*
 * stats_poisson_cdf - P(X <= @j) of a Poisson variable; 1 if @mean is not above 0
 * O(sqrt(@mean)); relative error below 1e-10 up to a million events, below 1e-4 beyond.
 */
double stats_poisson_cdf(uint64_t j, double mean);

/*
 * stats_poisson_upper - the mean under which at most @j events have probability 1 - @confidence
 * U(0) at 0.99 is 4.61. Bisection; 0 < @confidence < 1.
 */
double stats_poisson_upper(uint64_t j, double confidence);

/*
 * stats_binomial_tail - P(X >= @k), X binomial of @n trials with probability @q each
 * Exact but for rounding (relative error below 1e-9 up to a million trials); O(sqrt(@n)).
 */
double stats_binomial_tail(uint64_t k, uint64_t n, double q);

#endif
