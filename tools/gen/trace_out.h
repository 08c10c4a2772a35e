/* SPDX-License-Identifier: Apache-2.0 */
/* trace_out.h - a scenario as the lines of a trace (docs/trace.md) */
#ifndef CONNLEAK_GEN_TRACE_OUT_H
#define CONNLEAK_GEN_TRACE_OUT_H

#include "family.h"

struct trace_out {
	const struct family *family;
	uint64_t seed;
	double hours; /* 0: the family's own */
	bool has_sites;
	/* Takes the next @n bytes; what it returns other than 0 ends the run. */
	int (*write)(void *arg, const char *bytes, size_t n);
	void *arg;
};

/*
 * trace_out_run - run the scenario and write all of it
 * @ret: the truth; written on success
 * The trace's t_ns 0 is the beginning of the watch. The same input gives the same bytes. Returns 0,
 * -ENOMEM, or what @o's write returned.
 */
int trace_out_run(const struct trace_out *o, struct gen_truth *ret);

#endif
