/* SPDX-License-Identifier: Apache-2.0 */
/*
 * family.h - the table of scenarios: each a way that programs treat their connections
 *
 * A family that is one process's behaviour has `behave`, and can be mixed with others in one
 * process; a family of several processes (workers, restarts, poolers) has `setup`. Either draws
 * its own parameters (param_*()) from wide ranges.
 */
#ifndef CONNLEAK_GEN_FAMILY_H
#define CONNLEAK_GEN_FAMILY_H

#include "world.h"

struct family {
	const char *name;  /* NULL ends a table */
	const char *about; /* one sentence */
	bool is_leaky;
	bool is_known_hard;
	double hours; /* of one run, unless asked otherwise */
	/* Exactly one of the two. @p was just made; what it opens goes to world_server(). */
	void (*behave)(struct world *w, struct gen_proc *p);
	void (*setup)(struct world *w);
};

/* Tables end with a name of NULL. A program that does not link the weak ones has none of theirs. */
extern const struct family healthy_families[];
extern const struct family incident_families[];
extern const struct family leaky_families[] __attribute__((weak));
extern const struct family mixed_families[] __attribute__((weak));

/* The @i-th of all, in the order above; NULL after the last. */
const struct family *family_at(uint32_t i);
/* NULL: no such family. */
const struct family *family_find(const char *name);

/* Sets @f up in a new world, for @hours (0: its own). Call once, before world_run(). */
void family_start(const struct family *f, struct world *w, double hours);

#endif
