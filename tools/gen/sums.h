/* SPDX-License-Identifier: Apache-2.0 */
/* sums.h - many trials in few numbers */
#ifndef CONNLEAK_GEN_SUMS_H
#define CONNLEAK_GEN_SUMS_H

#include <stddef.h>
#include <stdint.h>

/* A growing list of numbers, to take quantiles of. */
struct sums {
	double *v;
	size_t n, cap;
};

/* NAN is left out. Without memory the program ends: this is a measuring tool. */
void sums_add(struct sums *s, double x);
/* Linear between order statistics; NAN of nothing. Sorts @s. */
double sums_quantile(struct sums *s, double q);
void sums_release(struct sums *s);

#endif
