/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power.h - what a bounded watch can rule out, and what it can name
 *
 * Two figures, both of the decision rule itself (docs/detector.md section 7, docs/canary.md):
 * what a watch that passes has ruled out, from the connections that were left behind; and the leak
 * that the rule names, from how many leaked connections it takes. tests/unit/test_power.c checks
 * both by simulation, through the real detector.
 */
#ifndef CONNLEAK_POWER_H
#define CONNLEAK_POWER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Of the end of a watch nothing is known: 15 s until a connection counts as idle, and 15 s in
 * which the one that passes it over may itself be the last.
 */
#define POWER_BLIND_S 30.0

/* What a watch saw of what a leak would have left. */
struct power_seen {
	double window_s;
	double quiet_s; /* of it, in which nothing was exchanged for long: no leak would show */
	uint64_t left;	/* connections that may have leaked */
	uint64_t late;	/* of these, last used in the last two thirds of the window */
};

/*
 * power_detectable - the leak, in connections a minute, that such a watch rules out
 *
 * The least rate of a Poisson leak that leaves so little behind with probability 1 - @confidence
 * at most. From ten minutes on there are two looks, at the whole window and at its last two thirds
 * (before, a service may be warming up); the probability is that of either, so the second look is
 * paid for. INFINITY: the window is too short for any.
 */
double power_detectable(const struct power_seen *s, double confidence);

/*
 * power_needed - how long a watch must be, in seconds, to rule out @detect_per_min
 * In case what was left behind stays as it is, and the traffic goes on.
 */
double power_needed(const struct power_seen *s, double detect_per_min, double confidence);

/* What the rule that names a leak depends on. */
struct power_rule {
	double window_s;
	double habit_s;	    /* Tx: how long this code may leave one alone; at least 15 s */
	double longest_s;   /* that one was left alone and came back; with demand */
	double demand;	    /* usage_view.tail_demand; 0: none came back */
	uint32_t threads;   /* of a process, that open connections; 0: not known, 8 */
	uint32_t processes; /* that leak alike; 0 counts as 1 */
};

/*
 * power_named - the leak, per minute, that ends in `leak` with probability @confidence
 *
 * Model: leaked connections come as a Poisson process, from one place in the code, evenly spread
 * over the threads and processes; nothing else is opened there. (Traffic that does open others
 * there makes it faster, never slower.) NAN: no rate is sure to be named in this window.
 *
 * For each number of leaked connections the chance that the rule fires is taken from 500 draws of
 * a fixed seed, through the rule as the detector has it; the rest is sums. The same arguments give
 * the same figure; other seeds gave others within 2 %. Some milliseconds.
 */
double power_named(const struct power_rule *r, double confidence);

/* The chance that a leak of @per_min is named within the window; same model. */
double power_named_p(const struct power_rule *r, double per_min);

#endif
