/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - where snapshots come from: the live kernel, a trace, memory
 *
 * Consumers cannot tell which they got. A source is owned by whoever opened it and is closed with
 * source_close().
 */
#ifndef CONNLEAK_SOURCE_H
#define CONNLEAK_SOURCE_H

#include "../core/event.h"

struct source_ops {
	/*
	 * Takes one snapshot now (live) or reads the next one (replay). @s was cleared.
	 * Returns 1: a snapshot; 0: the source has ended; or a negative errno.
	 */
	int (*next)(void *arg, struct snapshot *s);
	/* Pollable: readable when drain() should be called before the next tick. -1: never. */
	int (*fd)(void *arg);
	/* Moves kernel records to memory, so that the kernel's buffer has room. NULL: not needed.
	 */
	int (*drain)(void *arg);
	void (*close)(void *arg);
};

struct source {
	const struct source_ops *ops;
	void *arg;
	int64_t interval_ns; /* nominal time between two snapshots; 0: as fast as they are read */
};

static inline void source_close(struct source *s)
{
	if (s && s->ops)
		s->ops->close(s->arg);
	if (s)
		s->ops = NULL;
}

/*
 * source_mem_open - snapshots from memory, for tests
 * @events: [n], in order of time, borrowed for the source's life; a snapshot ends at each EV_TICK;
 *	what follows the last one is a snapshot without a tick
 *
 * The wall clock is not known: wall_offset_ns is 0. Returns 0 or -ENOMEM.
 */
int source_mem_open(struct source *s, const struct event *events, size_t n);

#endif
