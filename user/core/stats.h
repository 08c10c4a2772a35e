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
 * stats_poisson_upper - the mean under which at most @j events have probability 1 - @confidence
 * U(0) at 0.99 is 4.61. Bisection on the Poisson sum, error below 1e-6 relative; above @j = 10,000
 * Wilson and Hilferty's approximation, with the deviate that meets the sum's value there.
 */
double stats_poisson_upper(uint32_t j, double confidence);

#endif
