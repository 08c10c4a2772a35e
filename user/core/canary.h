/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary.h - a bounded watch of a target, its verdict, and the verdict's power
 *
 * The rule is docs/detector.md section 7. `leak` may come at any tick; `pass` needs the whole
 * window, traffic, no losses, and a bound on the leak rate below what was asked for; everything
 * else is `inconclusive` and says how long the watch should have been. No data never passes.
 *
 * Lifecycle: canary_new(), canary_tick() after each tick, canary_verdict(), canary_free().
 */
#ifndef CONNLEAK_CANARY_H
#define CONNLEAK_CANARY_H

#include "baseline.h"
#include "detector.h"

enum verdict_kind { VERDICT_PASS, VERDICT_LEAK, VERDICT_INCONCLUSIVE };
enum canary_end {
	CANARY_END_TIME,	/* the window is over */
	CANARY_END_INTERRUPTED, /* SIGINT: the window is what was watched */
	CANARY_END_PROGRAM, /* the program that the canary started ended: judged on the time seen */
	CANARY_END_TARGET_GONE /* the watched process exited early */
};

/* Is this holder's use of this peer part of it? Pure; @arg borrowed. */
typedef bool (*canary_filter)(const struct holder *h, const struct peer *p, void *arg);

struct canary_params {
	int64_t window_ns;	 /* --for */
	double detect_per_min;	 /* --detect, > 0 */
	double confidence;	 /* 0 < c < 1 */
	int64_t start_ns;	 /* first moment of the window */
	canary_filter is_target; /* NULL: all is */
	/*
	 * What runs beside it to compare with; NULL: nothing. What is both is the target and not
	 * the control, so that the control may be named by what old and new have in common
	 * (`--pid NEW --baseline exe=/app/orders`: all others of that program).
	 */
	canary_filter is_control;
	void *arg;	     /* of both */
	const char *control; /* KIND=VALUE, clean text; borrowed as long as canary and verdicts */
};

struct verdict {
	enum verdict_kind kind;
	int64_t time_ns;
	double window_s, watched_s;
	char reason[480]; /* one sentence; foreign text in it is cleaned */
	char why[480];	  /* what the power rests on, one sentence */
	uint32_t holders;
	uint64_t opened, closed, adopted, failed, rejected, open, idle, exchanges;
	uint64_t left_idle; /* m: idle and passed over at the end */
	uint32_t unseen;    /* processes, of the service that has most, with an idle connection that
			       nothing had the occasion to pass over */
	double quiet_s;	    /* of the time watched, in which nothing was exchanged for long */
	uint32_t threads;   /* that open connections in one process; 0: not known */
	int64_t longest_idle_ns; /* of what came back; T_NEVER: nothing did */
	double detectable_leak_per_min, named_leak_per_min; /* NAN: none */
	double confidence;
	double detect_per_min;
	double needed_window_s; /* NAN when there is no answer (nothing seen) */
	uint64_t lost_events;
	uint32_t n_findings;
	char findings[16][17]; /* ids of firing leak and fd_leak findings of the target */
	uint32_t usage;	       /* slot of the worst usage of the target, or SLOT_NONE */
	/*
	 * A leak whose connections were all opened within this time after its process started, with
	 * nothing closed or used again since: a pool that fills looks the same. 0: not so.
	 */
	double filled_s;
	const char *control;	    /* as in the parameters; NULL: no comparison was asked for */
	struct comparison baseline; /* valid with control */
};

/* What a progress line shows. */
struct canary_progress {
	double watched_s, window_s;
	uint32_t holders;
	uint64_t opened, closed, open, exchanges;
	uint32_t k, k_needed; /* rungs of the worst usage, and how many the rule asks for */
	bool is_leak;	      /* a rule holds now */
};

struct canary;

/*
 * canary_can_pass - could a watch of this length pass at all, had nothing been left idle?
 * @ret_needed_s: the shortest that could, in seconds; always written
 * To be asked before the time is spent. Needs window, detect_per_min and confidence only.
 */
bool canary_can_pass(const struct canary_params *p, double *ret_needed_s);

/* Copies @p. Returns NULL without memory. */
struct canary *canary_new(const struct canary_params *p);
void canary_free(struct canary *c);

/* Call after each tick's events went through table and detector. */
void canary_tick(struct canary *c, const struct proctab *pt, const struct detector *d,
		 int64_t now_ns);
void canary_get_progress(const struct canary *c, struct canary_progress *ret);

/* The verdict as of the last tick. May be called once or many times. Some 10 ms. */
void canary_verdict(const struct canary *c, const struct proctab *pt, const struct detector *d,
		    enum canary_end why, struct verdict *ret);

const char *verdict_name(enum verdict_kind k); /* "pass", "leak", "inconclusive" */

#endif
