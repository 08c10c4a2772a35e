/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the pure pipeline: a snapshot goes in, the process table and the detector move on
 */
#ifndef CONNLEAK_ENGINE_H
#define CONNLEAK_ENGINE_H

#include "detector.h"

struct engine {
	struct proctab *table;
	struct detector *detector;
	int64_t now_ns; /* of the last tick */
	int64_t wall_offset_ns;
	uint64_t bad_events;   /* that the table refused, by any reason */
	int64_t drift, unheld; /* as the last snapshot told them; -1: not measured */
	uint64_t repaired;
};

/* Returns 0 or -ENOMEM. @limits may be NULL. The caller owes engine_release() on success. */
int engine_init(struct engine *e, const struct proctab_limits *limits,
		const struct detector_params *params);
void engine_release(struct engine *e);

/*
 * Forgets the holders that nobody needs any more, then folds one snapshot in: after a step whoever
 * counts sees an exited holder once more. Returns 0 or -ENOMEM.
 */
int engine_step(struct engine *e, const struct snapshot *s);

#endif
