/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_replay.h - a trace's file as a source: docs/trace.md, "Reading"
 *
 * Streaming: memory is bounded by what is open at one time. gzip is told by its magic bytes; "-" is
 * stdin. A snapshot ends at each tick line, or, in a trace with a grid, at each whole multiple of
 * the interval. What stands after the last tick comes as one last snapshot without a tick.
 */
#ifndef CONNLEAK_SOURCE_REPLAY_H
#define CONNLEAK_SOURCE_REPLAY_H

#include "../core/trace.h"
#include "source.h"

struct replay_options {
	bool is_strict;	  /* a missing `end` or a cut-off last line is an error */
	bool is_skip_bad; /* corrupt lines are counted and skipped */
};

struct replay_report {
	uint64_t lines;
	uint64_t n_skipped;  /* corrupt lines, with is_skip_bad */
	char first_bad[512]; /* "FILE:LINE: ..." of the first of them */
	uint64_t n_unknown;
	char unknown_ev[64];
	bool is_cut;	 /* the last line had no newline and could not be read, or gzip broke off */
	bool has_end;	 /* it was ended in good order */
	char error[512]; /* why next() failed: "FILE:LINE: expected ..., found ..." */
};

/*
 * source_replay_open - open a trace and read its header
 * @path:	borrowed for the source's life
 * @ret_header: written on success
 * @why:	a sentence on failure
 *
 * Returns 0; -EBADMSG: not a trace, corrupt, or a foreign version; -ENOMEM; or the negative errno
 * of opening the file. next() of the source returns -EBADMSG for what @o refuses, after which the
 * report has the message; snapshots have wall_offset_ns = the header's wall_ns.
 */
int source_replay_open(struct source *s, const char *path, const struct replay_options *o,
		       struct trace_header *ret_header, char *why, size_t why_size);

/* What was met so far. */
void source_replay_report(const struct source *s, struct replay_report *ret);

#endif
