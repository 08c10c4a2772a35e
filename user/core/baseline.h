/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baseline.h - candidate and control that ran side by side: does the candidate leave more behind?
 *
 * docs/detector.md section 7, "Baseline". Pure arithmetic on what the canary counted.
 */
#ifndef CONNLEAK_BASELINE_H
#define CONNLEAK_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

enum comparison_result {
	COMPARISON_SAME, /* no difference could be told; it may be small, or the counts may be */
	COMPARISON_WORSE,
	COMPARISON_UNKNOWN /* nothing to compare with; `why` says what is missing */
};

/* One side of the comparison, over the same time as the other. */
struct comparison_side {
	uint32_t holders;    /* processes seen */
	uint64_t abandoned;  /* connections left idle and passed over, as in a verdict */
	uint64_t exchanges;  /* with the server */
	double holder_min;   /* minutes that its processes lived, added up */
	uint32_t n_excluded; /* control only: uses of a server that are the candidate's as well */
};

struct comparison {
	enum comparison_result result;
	uint64_t abandoned, control_abandoned;
	double exposure, control_exposure; /* exchanges, or holder-minutes */
	bool is_in_minutes;
	double p; /* of as many or more by the candidate if both were alike; NAN with UNKNOWN */
	const char *why; /* UNKNOWN: a clause without a full stop, static; else NULL */
};

/*
 * baseline_compare - exact comparison of two rates
 *
 * Exposure is the exchanges seen; holder-minutes where neither side had any. If the rates per
 * exposure are equal, the candidate's count given the sum is binomial with its share of the
 * exposure. WORSE: p <= 1.001e-3 (so that 0.1^3 passes in floating point) and at least 3. Assumes
 * that connections are left behind one by one; pools that leave several at once vary more, which
 * is why WORSE alone is no leak (docs/detector.md section 7). O(sqrt(abandoned)).
 */
void baseline_compare(const struct comparison_side *candidate,
		      const struct comparison_side *control, struct comparison *ret);

/*
 * Do both leave something behind, three at least, and the control per exposure at least half as
 * much?
 */
bool baseline_control_leaks(const struct comparison *c);

const char *comparison_name(enum comparison_result r); /* "same", "worse", "unknown" */

#endif
