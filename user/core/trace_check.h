/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_check.h - what must hold from line to line of a trace: time, and what ids refer to
 *
 * Private to trace_read.c. Knows connections that are open, holders, and call sites, each in a
 * bounded table. Holders that have exited and have nothing open are kept until 65,536 others did
 * so after them; of call sites the 32,768 that were told or named last are known.
 */
#ifndef CONNLEAK_TRACE_CHECK_H
#define CONNLEAK_TRACE_CHECK_H

#include "idmap.h"
#include "slots.h"
#include "trace.h"

/* A doubly linked list through entries of slots; the oldest first. */
struct trace_age {
	uint32_t first, last;
	uint32_t n;
};

struct trace_check {
	int64_t last_ns; /* of the last line that held */
	bool has_end;
	struct slots conns, holders, sites;
	struct idmap conn_map, holder_map, site_map;
	struct trace_age exited;	 /* holders that may be forgotten */
	struct trace_age known;		 /* sites */
	uint32_t n_conns, n_holders;	 /* holders: those that may not be forgotten */
	uint64_t n_forgotten, n_evicted; /* holders, sites: 0 means that all ids are known */
};

/* What did not hold, as the words for a message. */
struct trace_complaint {
	const char *field; /* whose value it is */
	const char *want;
};

/* Allocates nothing. */
void trace_check_init(struct trace_check *c);
void trace_check_release(struct trace_check *c);

/* Time and order alone: for a line whose `ev` is not known. 0 or -EBADMSG. */
int trace_check_time(struct trace_check *c, int64_t t_ns, struct trace_complaint *ret);

/*
 * trace_check_event - does @ev go with what came before? If so, remember it
 * @ev:	 its site becomes 0 where the id may be one that had to give way
 * @ret: written on -EBADMSG
 *
 * Returns 0, -EBADMSG or -ENOMEM; nothing is remembered then. O(1).
 */
int trace_check_event(struct trace_check *c, struct event *ev, struct trace_complaint *ret);

#endif
