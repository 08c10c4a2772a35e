/* SPDX-License-Identifier: Apache-2.0 */
#include "trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS (TREND_MINUTES * (TREND_MINUTES - 1) / 2)

void trend_init(struct trend *t)
{
	memset(t, 0, sizeof(*t));
	t->first_ns = INT64_MIN;
	t->minute_low = t->window_low = UINT32_MAX;
}

static void end_step(struct trend *t)
{
	t->step[t->n_steps++ % TREND_STEPS] = t->level;
}

/* Without a sample the level stood. */
static uint32_t take_low(uint32_t *low, uint32_t level)
{
	uint32_t was = *low == UINT32_MAX ? level : *low;

	*low = UINT32_MAX;
	return was;
}

static void end_minute(struct trend *t)
{
	uint32_t i;

	t->minute[t->n_minutes++ % TREND_MINUTES] = take_low(&t->minute_low, t->level);
	i = (uint32_t)(t->n_minutes % TREND_CLOSES_MIN);
	t->opened[i] = t->closed[i] = 0;
	t->is_minute_new = true;
}

static void end_window(struct trend *t)
{
	t->window[t->n_windows++ % TREND_WINDOWS] = take_low(&t->window_low, t->level);
}

/* Completes what ended by @now_ns, with the level that held until then. */
static void advance(struct trend *t, int64_t now_ns)
{
	int64_t age_ns = now_ns - t->first_ns;

	t->is_minute_new = false;
	while (t->n_steps < age_ns / TREND_STEP_NS)
		end_step(t);
	while (t->n_minutes < age_ns / TREND_MINUTE_NS)
		end_minute(t);
	while (t->n_windows < age_ns / TREND_WINDOW_NS)
		end_window(t);
}

void trend_sample(struct trend *t, int64_t now_ns, uint32_t level, uint32_t opened, uint32_t closed)
{
	uint32_t i;

	if (t->first_ns == INT64_MIN)
		t->first_ns = now_ns;
	advance(t, now_ns);
	t->level = level;
	if (level < t->minute_low)
		t->minute_low = level;
	if (level < t->window_low)
		t->window_low = level;
	i = (uint32_t)(t->n_minutes % TREND_CLOSES_MIN);
	t->opened[i] += opened;
	t->closed[i] += closed;
}

int64_t trend_rise(const struct trend *t)
{
	uint32_t then = t->n_steps < TREND_STEPS ? 0 : t->step[t->n_steps % TREND_STEPS];

	return (int64_t)t->level - then;
}

bool trend_low_water_rises(const struct trend *t)
{
	if (t->n_windows < TREND_WINDOWS)
		return false;
	for (int64_t i = t->n_windows - TREND_WINDOWS + 1; i < t->n_windows; i++)
		if (t->window[i % TREND_WINDOWS] <= t->window[(i - 1) % TREND_WINDOWS])
			return false;
	return true;
}

void trend_counts(const struct trend *t, uint32_t *ret_opened, uint32_t *ret_closed)
{
	*ret_opened = *ret_closed = 0;
	for (uint32_t i = 0; i < TREND_CLOSES_MIN; i++) {
		*ret_opened += t->opened[i];
		*ret_closed += t->closed[i];
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Variance of Mann and Kendall's S when nothing trends: equal values carry no information. */
static double variance(const double *v, int n)
{
	double sorted[TREND_MINUTES], var = (double)n * (n - 1) * (2 * n + 5);

	memcpy(sorted, v, (size_t)n * sizeof(*v));
	qsort(sorted, (size_t)n, sizeof(*sorted), by_value);
	for (int i = 0, j; i < n; i = j) {
		double ties;

		for (j = i; j < n && sorted[j] == sorted[i]; j++)
			;
		ties = j - i;
		var -= ties * (ties - 1) * (2 * ties + 5);
	}
	return var / 18;
}

static double median_slope(const double *v, int n)
{
	double slopes[PAIRS];
	size_t m = 0;

	for (int i = 0; i < n; i++)
		for (int j = i + 1; j < n; j++)
			slopes[m++] = (v[j] - v[i]) / (j - i);
	qsort(slopes, m, sizeof(*slopes), by_value);
	return m % 2 ? slopes[m / 2] : (slopes[m / 2 - 1] + slopes[m / 2]) / 2;
}

bool trend_mann_kendall(const struct trend *t, double *ret_z, double *ret_slope)
{
	double v[TREND_MINUTES], s = 0, var;

	if (t->n_minutes < TREND_MINUTES)
		return false;
	for (int i = 0; i < TREND_MINUTES; i++)
		v[i] = t->minute[(t->n_minutes + i) % TREND_MINUTES];
	for (int i = 0; i < TREND_MINUTES; i++)
		for (int j = i + 1; j < TREND_MINUTES; j++)
			s += (v[j] > v[i]) - (v[j] < v[i]);
	var = variance(v, TREND_MINUTES);
	if (s > 0)
		s -= 1;
	else if (s < 0)
		s += 1;
	*ret_z = var > 0 ? s / sqrt(var) : 0;
	*ret_slope = *ret_z > 0 ? median_slope(v, TREND_MINUTES) : 0;
	return true;
}
