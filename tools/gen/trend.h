/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trend.h - a level over time, and the tests for a rise that monitoring systems offer
 *
 * What a rule on counts knows of one process or one server: its open connections at each tick,
 * and how many were opened and closed. Times are the events'.
 */
#ifndef CONNLEAK_TREND_H
#define CONNLEAK_TREND_H

#include <stdbool.h>
#include <stdint.h>

#define TREND_STEP_NS	 5000000000LL /* between samples of the last five minutes */
#define TREND_STEPS	 60
#define TREND_MINUTE_NS	 60000000000LL
#define TREND_MINUTES	 30
#define TREND_WINDOW_NS	 300000000000LL
#define TREND_WINDOWS	 4
#define TREND_CLOSES_MIN 10 /* minutes that opens and closes are counted over */

struct trend {
	int64_t first_ns;		       /* of the first sample; INT64_MIN before */
	int64_t n_steps, n_minutes, n_windows; /* completed */
	uint32_t step[TREND_STEPS];	       /* level at the end of each step, a ring */
	uint32_t minute[TREND_MINUTES];	       /* lowest level of each minute, a ring */
	uint32_t window[TREND_WINDOWS];	       /* lowest level of each five minutes, a ring */
	uint32_t minute_low, window_low;       /* of the running ones */
	uint32_t level;
	uint32_t opened[TREND_CLOSES_MIN], closed[TREND_CLOSES_MIN]; /* by minute, a ring */
	bool is_minute_new; /* a minute was completed by the last sample */
};

void trend_init(struct trend *t);

/*
 * trend_sample - the level at @now_ns, and what was opened and closed since the last sample
 * A gap between samples repeats the level over the time that was missed.
 */
void trend_sample(struct trend *t, int64_t now_ns, uint32_t level, uint32_t opened,
		  uint32_t closed);

/* How much higher than five minutes ago, or than 0 before the first sample. */
int64_t trend_rise(const struct trend *t);
/* The lowest level of each of the last four windows is above that of the one before. */
bool trend_low_water_rises(const struct trend *t);
/* In the last ten minutes. */
void trend_counts(const struct trend *t, uint32_t *ret_opened, uint32_t *ret_closed);
/*
 * trend_mann_kendall - does the lowest level per minute rise over the last 30?
 * @ret_z: the test's normal deviate, ties counted, continuity corrected
 * @ret_slope: Sen's, per minute
 * False, and nothing written, with less than 30 minutes of history. O(30 * 30 log 30).
 */
bool trend_mann_kendall(const struct trend *t, double *ret_z, double *ret_slope);

#endif
