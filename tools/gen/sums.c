/* SPDX-License-Identifier: Apache-2.0 */
#include "sums.h"

#include <math.h>
#include <stdlib.h>

void sums_add(struct sums *s, double x)
{
	if (isnan(x))
		return;
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 64;
		s->v = reallocarray(s->v, s->cap, sizeof(*s->v));
		if (!s->v)
			abort();
	}
	s->v[s->n++] = x;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double sums_quantile(struct sums *s, double q)
{
	double at;
	size_t i;

	if (!s->n)
		return NAN;
	qsort(s->v, s->n, sizeof(*s->v), by_value);
	at = q * (double)(s->n - 1);
	i = (size_t)at;
	if (i + 1 >= s->n)
		return s->v[s->n - 1];
	/* Nothing lies between a number and never, nor between never and never. */
	if (isinf(s->v[i + 1]))
		return at > (double)i ? s->v[i + 1] : s->v[i];
	return s->v[i] + (at - (double)i) * (s->v[i + 1] - s->v[i]);
}

void sums_release(struct sums *s)
{
	free(s->v);
	*s = (struct sums){0};
}
