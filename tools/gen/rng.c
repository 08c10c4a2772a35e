/* SPDX-License-Identifier: Apache-2.0 */
#include "rng.h"

#include <string.h>

#define LOG2_E 1.4426950408889634
#define LN_2   0.6931471805599453
#define SQRT_2 1.4142135623730951

static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix(&seed);
}

static uint64_t rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

uint64_t rng_u64(struct rng *r)
{
	uint64_t *s = r->s, ret = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return ret;
}

double rng_uniform(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_between(struct rng *r, double lo, double hi)
{
	return lo + (hi - lo) * rng_uniform(r);
}

int rng_int(struct rng *r, int lo, int hi)
{
	uint64_t n = (uint64_t)((int64_t)hi - lo) + 1;

	/* The high half of a product: unbiased but for n in 2^32. */
	return lo + (int)((rng_u64(r) >> 32) * n >> 32);
}

double rng_log(struct rng *r, double lo, double hi)
{
	return lo * gen_exp2(rng_uniform(r) * gen_log2(hi / lo));
}

bool rng_chance(struct rng *r, double p)
{
	return rng_uniform(r) < p;
}

double rng_exp(struct rng *r, double mean)
{
	return -mean * LN_2 * gen_log2(1 - rng_uniform(r));
}

double rng_lognormal(struct rng *r, double median, double sigma)
{
	double normal = -6;

	/* Twelve uniforms have variance 1. */
	for (int i = 0; i < 12; i++)
		normal += rng_uniform(r);
	return median * gen_exp2(sigma * normal * LOG2_E);
}

double rng_pareto(struct rng *r, double min, double alpha, double cap)
{
	double x = min * gen_exp2(-gen_log2(1 - rng_uniform(r)) / alpha);

	return x < cap ? x : cap;
}

/* 1 / k of the odd k */
static const double odd[] = {1.0,
			     0.3333333333333333,
			     0.2,
			     0.14285714285714285,
			     0.1111111111111111,
			     0.09090909090909091,
			     0.07692307692307693,
			     0.06666666666666667,
			     0.058823529411764705,
			     0.05263157894736842,
			     0.047619047619047616};
/* 1 / k! */
static const double factorial[] = {1.0,
				   1.0,
				   0.5,
				   0.16666666666666666,
				   0.041666666666666664,
				   0.008333333333333333,
				   0.001388888888888889,
				   0.0001984126984126984,
				   2.48015873015873e-05,
				   2.7557319223985893e-06,
				   2.755731922398589e-07,
				   2.505210838544172e-08,
				   2.08767569878681e-09,
				   1.6059043836821613e-10,
				   1.1470745597729725e-11};

double gen_log2(double x)
{
	uint64_t bits;
	double m, s, s2, sum = 0;
	int e;

	memcpy(&bits, &x, sizeof(bits));
	e = (int)(bits >> 52 & 0x7ff) - 1023;
	bits = (bits & 0xfffffffffffffULL) | 0x3ffULL << 52;
	memcpy(&m, &bits, sizeof(m));
	if (m > SQRT_2) {
		m /= 2;
		e++;
	}
	/* ln m = 2 artanh s, s at most 0.172 */
	s = (m - 1) / (m + 1);
	s2 = s * s;
	for (int i = sizeof(odd) / sizeof(odd[0]); i-- > 0;)
		sum = sum * s2 + odd[i];
	return e + 2 * s * sum * LOG2_E;
}

double gen_exp2(double x)
{
	int n = (int)(x < 0 ? x - 0.5 : x + 0.5);
	double y = (x - n) * LN_2, sum = 0, scale;
	uint64_t bits = (uint64_t)(n + 1023) << 52;

	for (int i = sizeof(factorial) / sizeof(factorial[0]); i-- > 0;)
		sum = sum * y + factorial[i];
	memcpy(&scale, &bits, sizeof(scale));
	return sum * scale;
}
