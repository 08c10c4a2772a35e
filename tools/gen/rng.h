/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h - random numbers that are the same on every machine
 *
 * The generator is xoshiro256** (Blackman and Vigna), seeded by splitmix64. The distributions use
 * no libm, whose last digits differ between machines: logarithm and power are made here from
 * additions, multiplications and divisions, which IEEE 754 fixes to the bit. For that no multiply
 * and add may be fused, hence the pragmas; include this first where numbers decide what happens.
 * Draw one number in one statement: the order of arguments and initialisers is the compiler's.
 */
#ifndef CONNLEAK_GEN_RNG_H
#define CONNLEAK_GEN_RNG_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

struct rng {
	uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);

/* In [0, 1), 53 bits. */
double rng_uniform(struct rng *r);
/* In [@lo, @hi), uniform. */
double rng_between(struct rng *r, double lo, double hi);
/* In [@lo, @hi], uniform; @lo <= @hi. */
int rng_int(struct rng *r, int lo, int hi);
/* In [@lo, @hi), uniform in the logarithm: 0 < @lo < @hi. */
double rng_log(struct rng *r, double lo, double hi);
/* True with probability @p. */
bool rng_chance(struct rng *r, double p);
/* Exponential: the wait for the next of events that come at random. */
double rng_exp(struct rng *r, double mean);
/* Lognormal; @sigma is that of the natural logarithm. No further than 6 sigma from the median. */
double rng_lognormal(struct rng *r, double median, double sigma);
/* Pareto, P(> x) = (@min / x)^@alpha, cut off at @cap. */
double rng_pareto(struct rng *r, double min, double alpha, double cap);

/* Binary logarithm of @x > 0, and 2 to the @x in [-1000, 1000]; relative errors below 1e-13. */
double gen_log2(double x);
double gen_exp2(double x);

#endif
