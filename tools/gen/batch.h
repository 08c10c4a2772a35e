/* SPDX-License-Identifier: Apache-2.0 */
/* batch.h - a world's events as snapshots: what an engine steps on, and a trace is written from */
#ifndef CONNLEAK_GEN_BATCH_H
#define CONNLEAK_GEN_BATCH_H

#include "world.h"

struct gen_batch {
	struct snapshot snapshot;
	int64_t wall_offset_ns;
	/* Gets each tick's snapshot; what it returns other than 0 is kept in err, and ends it. */
	int (*step)(void *arg, const struct snapshot *s);
	void *arg;
	int err; /* of @step, or -ENOMEM */
};

void gen_batch_init(struct gen_batch *b, int (*step)(void *arg, const struct snapshot *s),
		    void *arg);
void gen_batch_release(struct gen_batch *b);
/* Steps on what came after the last tick, for whoever wants the rest. */
void gen_batch_finish(struct gen_batch *b, int64_t now_ns);
/* A world_opts' `event`, with the batch as its `arg`. */
void gen_batch_event(void *batch, const struct event *ev);

#endif
