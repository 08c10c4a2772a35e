/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary_impl.h - the canary's state, shared by its two files and nobody else
 *
 *	canary.c          what is seen at each tick
 *	canary_verdict.c  what it amounts to
 */
#ifndef CONNLEAK_CANARY_IMPL_H
#define CONNLEAK_CANARY_IMPL_H

#include "canary.h"
#include "idmap.h"

#define CANARY_MIN_EXCHANGES  20
#define CANARY_THREAD_BITS    256
#define CANARY_THREADS_SAMPLE 20 /* opened connections that tell how many threads open them */

/* What one holder of a side did in the window; kept when the process table forgot it. */
struct watched {
	uint64_t holder_id;
	uint64_t service; /* hash of what a restart and a new version leave as it is */
	struct counts base, now;
	uint64_t base_exchanges, exchanges;
	uint32_t left_idle; /* as of the last tick that it lived */
	bool has_unseen;    /* likewise */
	bool has_ended;
	uint32_t n_sampled;			   /* connections whose opener was looked at */
	uint64_t threads[CANARY_THREAD_BITS / 64]; /* a bit for the hash of each opener */
};

/* The target, or the control. */
struct side {
	struct watched *holders;
	uint32_t n, cap;
	struct idmap ids; /* of holders, to their place */
	double alive_s;	  /* of its processes, added up */
};

/* What a side's holders amount to. */
struct side_sum {
	struct counts counts; /* of the window; open, fd_only: now */
	uint64_t exchanges, left_idle;
};

/* A leak once named stays named, whatever becomes of the process. */
struct named {
	uint32_t abandoned; /* the most there were */
	double rate_per_min;
	uint64_t holder_id; /* of then */
	uint32_t usage;
	uint32_t n_findings;
	char findings[16][17];
};

enum role { ROLE_NONE, ROLE_TARGET, ROLE_CONTROL };

struct canary {
	struct canary_params p;
	int64_t now_ns; /* of the last tick; T_NEVER */
	uint64_t base_lost, lost;
	struct side target, control;
	uint32_t n_excluded; /* usages that are the control's and the target's: most at a time */
	uint32_t control_k;  /* most rungs of a usage of the control so far */
	bool is_out_of_memory;
	int64_t longest_idle_ns;
	/* of the usage with the longest Tx, as of the last tick: struct usage_view */
	int64_t tx_ns, longest_absence_ns;
	double tail_demand;
	int64_t last_exchange_ns; /* T_NEVER: none yet */
	int64_t quiet_ns;	  /* gaps between exchanges, beyond what is usual; ended ones */
	struct named named;
	struct canary_progress progress;
};

enum role canary_role(const struct canary *c, const struct proctab *pt, uint32_t usage);
/* Does the finding that fires about this usage say that the target leaks? */
bool canary_counts_finding(const struct canary *c, const struct detector *d, uint32_t usage,
			   const struct usage_view *v);
void canary_sum_side(const struct side *s, struct side_sum *ret);
/* Time of the window so far in which a leak would not have shown, for want of traffic. */
int64_t canary_quiet_ns(const struct canary *c);
/* Threads that open the target's connections, in the process that has most; 0: not known. */
uint32_t canary_threads(const struct canary *c);

#endif
