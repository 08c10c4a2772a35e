/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detector.h - who leaks, and how sure that is
 *
 * The idea (more in detector.c): a leaked connection lies idle in
 * its own client's turn while its own process opens others from the same place. Each idle
 * connection that was passed over is a *rung*; a pool steps on one or two and falls off, a leak
 * climbs one per leaked connection.
 *
 * Lifecycle: detector_new(); then for every event, in order, proctab_apply() and right after it
 * detector_event() with what the table says was touched; detector_event() of an EV_TICK decides.
 * Pure: no clock, no I/O; time is the events'. Feeding the same events gives the same findings.
 *
 * Words: a *cohort* is the open connections of one usage (holder and peer) from one call site:
 * those that the statistics take to be of one kind. A *service* is what survives a restart: the
 * group key of the holder, and the peer.
 */
#ifndef CONNLEAK_DETECTOR_H
#define CONNLEAK_DETECTOR_H

#include "finding.h"
#include "proctab.h"

enum usage_state {
	USAGE_OK,      /* opens and closes keep pace */
	USAGE_POOL,    /* a plateau of connections that are reused */
	USAGE_FILLING, /* opening, nothing to compare with yet */
	USAGE_SUSPECT, /* evidence is growing */
	USAGE_LEAK,
	USAGE_FD_LEAK,
	USAGE_RESOLVED, /* was a finding, for ten minutes after */
	USAGE_BLIND,	/* counts are estimates */
	USAGE_STATE_MAX
};

/* "ok", "pool", "filling", "suspect", "LEAK", "FD LEAK", "resolved", "blind" */
const char *usage_state_name(enum usage_state s);

struct detector_params {
	bool canary;		/* bounded watch: the canary's rule counts too */
	int64_t tmin_ns;	/* 0: 15 s */
	int64_t resolve_ns;	/* 0: 600 s */
	double ln_alpha;	/* 0: ln 1e-6 */
	const char *host;	/* borrowed for the detector's life; part of the group hash */
	int64_t wall_offset_ns; /* for the ids' start times */
};

/* What one usage looks like now. */
struct usage_view {
	enum usage_state state;
	enum rule rule;	   /* the rule that holds or held, RULE_NONE */
	uint32_t k, k_own; /* rungs, largest cohort */
	uint32_t idle;	   /* client's turn, idle >= tmin */
	uint32_t abandoned;
	uint32_t reaped;      /* rungs that the server has ended since, of any cohort */
	uint32_t passed_over; /* detector_left_idle(), whenever last used: the canary's m */
	uint64_t exchanges;   /* uses seen: requests answered, roughly */
	double rate_per_min, rate_low, rate_high; /* NAN: not measured */
	int64_t oldest_opened_ns;		  /* of the open ones; T_NEVER: none */
	bool oldest_is_lower_bound;
	int64_t longest_idle_ns; /* longest idle time seen on a connection that came back; 0: none
				  */
	int64_t tx_ns;		 /* the longest Tx of its cohorts: how long each may stay away */
	int64_t longest_absence_ns; /* of those passed over that came back, in that cohort */
	double tail_demand;	    /* in that cohort: detector_impl.h */
};

struct detector;

/* Returns NULL when there is no memory. @p is copied. */
struct detector *detector_new(const struct detector_params *p);
void detector_free(struct detector *d);

/*
 * detector_event - fold one event in, after proctab_apply() of the same
 * @ch: what proctab_apply() wrote
 *
 * EV_TICK runs the decision over the cohorts that changed. Returns 0 or -ENOMEM.
 * O(log n) amortised per event. A tick is linear in the idle connections of changed cohorts; one
 * with more than 4,000 of them is looked at less often than at each tick, in proportion.
 */
int detector_event(struct detector *d, const struct proctab *pt, const struct event *ev,
		   const struct proctab_change *ch);

/* Writes the usage's view as of the last tick. An unknown slot gives a zeroed USAGE_OK view. */
void detector_usage(const struct detector *d, const struct proctab *pt, uint32_t usage,
		    struct usage_view *ret);

/*
 * detector_left_idle - how many connections of @usage look left behind: client's turn, idle for
 *	tmin, passed over by a later open, and last used at or after @since_ns
 *
 * Adopted ones that were not used since are left out: when they were left is not known.
 */
uint32_t detector_left_idle(const struct detector *d, const struct proctab *pt, uint32_t usage,
			    int64_t since_ns);

/*
 * detector_has_unseen - does one lie idle for tmin that nobody had the occasion to pass over,
 *	nothing having been opened from its place since? Last used at or after @since_ns; adopted
 *	ones that were not used are left out. The newest one that a leak left is such a one.
 */
bool detector_has_unseen(const struct detector *d, const struct proctab *pt, uint32_t usage,
			 int64_t since_ns);

/* Findings that fire or resolved at or after the last tick: 0..n-1. */
uint32_t detector_n_findings(const struct detector *d);
/*
 * detector_finding - the whole of one finding, as of the last tick
 * @ret: uninitialised before; the caller owes finding_release()
 * Returns 0, -ENOENT, -ENOMEM.
 */
int detector_finding(const struct detector *d, const struct proctab *pt, uint32_t i,
		     struct finding *ret);
/* What a finding is, without its evidence. */
struct finding_mark {
	uint32_t slot; /* of the detector's own, used again after the finding is over */
	int64_t fired_ns;
	enum finding_kind kind;
	enum finding_status status;
	enum severity severity;
};
/* The next finding after slot @after (SLOT_NONE: the first). Returns false at the end. O(1). */
bool detector_next_mark(const struct detector *d, uint32_t after, struct finding_mark *ret);
/* detector_finding() of a mark's slot. */
int detector_finding_at(const struct detector *d, const struct proctab *pt, uint32_t slot,
			struct finding *ret);
/* Index of the firing leak or fd_leak finding about @usage, or SLOT_NONE. */
uint32_t detector_find(const struct detector *d, uint32_t usage);

/* What found no room or no memory in the detector's own tables: it is part of `blind`. */
uint64_t detector_lost(const struct detector *d);

/* May the process table forget this exited holder? (Nothing here refers to it any more.) */
bool detector_is_done_with(const struct detector *d, uint32_t holder);

#endif
