/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate.h - kernel records and one pass over the sockets become the events of one tick
 *
 * Knows no kernel: tests feed it records by hand. The order that makes it right:
 *
 *	now = the tick's time; drain the records; pass over the sockets; translate
 *
 * so that every record up to `now` is there, and what a record says has ended is known to the
 * pass. A record later than `now` waits for the next tick. What the pass shows and no record
 * announced, or the other way, in two passes running, is a lost record and is made up for here.
 */
#ifndef CONNLEAK_TRANSLATE_H
#define CONNLEAK_TRANSLATE_H

#include <connleak/abi.h>

#include "../core/event.h"

struct translator;

struct translate_ops {
	/* Fills @info (zeroed; pid and start_ns set) as far as possible. Strings become the
	 * caller's. */
	void (*identify)(void *arg, const struct cl_holder_key *key, struct holder_info *info);
	/*
	 * A process that has connected to nothing holds connections from now on: see its exit.
	 * Returns false if it has ended already.
	 */
	bool (*watch)(void *arg, const struct cl_holder_key *key);
	/* The holder has exited and nothing of it is open. */
	void (*forget)(void *arg, const struct cl_holder_key *key);
	/*
	 * The kernel's own counters of a holder, and when it exited (T_NEVER: it lives). Returns
	 * false if there are none. Called at a tick with losses, and every COUNT_EVERY ticks.
	 */
	bool (*counts)(void *arg, const struct cl_holder_key *key, struct counts *ret,
		       int64_t *ret_exit_ns);
	/*
	 * The kernel's holders one after the other: the one after @key (NULL: the first). Returns
	 * false at the end. Called after a loss. @ret may be @key.
	 */
	bool (*next_holder)(void *arg, const struct cl_holder_key *key, struct cl_holder_key *ret);
	/* Hands over (translator_record) what the kernel has recorded by now. */
	void (*drain)(void *arg);
	void *arg;
};

struct translate_stats {
	uint64_t made_up_opens;	 /* seen in a pass, never announced */
	uint64_t made_up_closes; /* announced, gone from two passes */
	uint64_t found;		 /* met by a walk, never counted before */
};

/* @jiffy_ns: the kernel's tick length. @ops is copied. NULL without memory. */
struct translator *translator_new(int64_t jiffy_ns, const struct translate_ops *ops);
void translator_free(struct translator *t);

/* Takes a copy of one record (its size is its kind's). Returns 0, -EINVAL (unknown), -ENOMEM. */
int translator_record(struct translator *t, const struct cl_rec *r, size_t size);

/* One pass over the sockets: @socks is [@n]. */
struct pass {
	int64_t now_ns;	 /* the tick: before the records were drained */
	int64_t pass_ns; /* when the pass began, >= now_ns */
	const struct cl_sock *socks;
	uint32_t n;
	uint32_t n_missed;	 /* sockets that the array had no room for */
	uint64_t lost[LOST_MAX]; /* since the last tick */
	/* A walk over all descriptors, made before the pass; only with has_walk. */
	bool has_walk;
	int64_t walk_ns;	    /* when it began */
	const struct cl_held *held; /* [n_held] */
	uint32_t n_held;
	uint32_t n_found; /* connections that it met and nobody had counted */
};

/*
 * translator_tick - append one tick's events to @s, EV_TICK last
 * Returns 0 or -ENOMEM. Linear in records and open connections.
 */
int translator_tick(struct translator *t, const struct pass *p, struct snapshot *s);

void translator_stats(const struct translator *t, struct translate_stats *ret);

#endif
