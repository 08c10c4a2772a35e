/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - one simulated scenario through the engine and the baselines, against the truth
 *
 * The world's events go through user/core/engine.h as they would on a node, tick by tick; the
 * baselines look at the same process table. When the scenario is over (its time, or its server's
 * last slot), what was said when is held against what was lost when.
 *
 * A false alarm is each `leak` or `fd_leak` finding, by id, that fires where nothing leaks: in a
 * healthy scenario, before the leaking began, or about another process. For a baseline it is each
 * onset, likewise. A leak is found by what fires between its beginning and the exhaustion: what was
 * on before it began knew nothing of it.
 */
#ifndef CONNLEAK_GEN_TRIAL_H
#define CONNLEAK_GEN_TRIAL_H

#include "baseline.h"
#include "family.h"

#include "../../user/core/canary.h"
#include "../../user/core/finding.h"

/* Detectors: connleak first, then the baselines in their order. */
#define TRIAL_CONNLEAK	0
#define TRIAL_DETECTORS (1 + BASELINE_MAX)

/* Moments at which an interval is held against the truth. */
enum trial_moment { AT_ALARM, AT_HALF, AT_THREE_QUARTERS, TRIAL_MOMENTS };

/* An estimate with its interval, and what came true. NAN: not told, or it never came true. */
struct trial_estimate {
	double value, low, high, truth;
};

struct trial_opts {
	const struct family *family;
	/* Instead of a family's: sets the scenario up; may be NULL. */
	void (*setup)(struct world *w, void *arg);
	void *arg;
	uint64_t seed;
	double hours; /* 0: the family's own */
	bool has_sites;
	bool is_alone;	   /* connleak only, no baselines */
	bool is_brief;	   /* it is over when connleak has found the leak */
	double leak_hours; /* > 0: it is over so long after leaking began, or the watch if later */
	double canary_s;   /* > 0: a canary of this window, from the first second of the watch */
	double canary_detect_per_min; /* 0: 0.5 */
	double tick_s;		      /* 0: 1 s */
};

/* What one detector did. */
struct trial_score {
	uint32_t false_alarms;
	double first_false_s; /* s of the world; NAN: none */
	bool is_found;
	double found_s;	 /* since leaking began, or the watch if that was later; NAN: not found */
	uint64_t leaked; /* in that time */
};

struct trial {
	uint64_t seed;
	bool is_leaky, is_known_hard, has_sites;
	double process_hours;
	double end_s;	       /* when the scenario ended */
	double begin_s;	       /* when leaking began; NAN: it did not */
	double exhausted_s;    /* NAN: never */
	uint64_t n_leaked;     /* in all */
	double warned_s;       /* since leaking began, until `budget` or `rate` spoke; NAN */
	uint32_t most_at_once; /* leaked ones open at one time, so far as listed */
	double rate_per_min;   /* of the whole leak; NAN */
	bool is_constant;      /* leaks at a constant rate */
	uint64_t n_broken, bad_events; /* bugs of a scenario or of the world: must be 0 */
	struct trial_score score[TRIAL_DETECTORS];
	enum rule rule; /* connleak's, of what found the leak or of the first false alarm */
	char reason[256];
	struct trial_estimate rate[TRIAL_MOMENTS], eta[TRIAL_MOMENTS];
	bool has_verdict;
	enum verdict_kind verdict;
	double verdict_s; /* when a `leak` was said, since the watch began; NAN */
	char params[GEN_MAX_PARAMS];
};

/* Runs one. Returns 0 or -ENOMEM. No globals: many may run at once in threads. */
int trial_run(const struct trial_opts *o, struct trial *ret);

/* "connleak", or the baseline's name. */
const char *trial_detector_name(int detector);

#endif
