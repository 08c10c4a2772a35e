/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_replay.h - a trace's file as a source: docs/trace.md, "Reading"
 *
 * Streaming: memory is bounded by what is open at one time. gzip is told by its magic bytes,
 * members that follow each other are one text; "-" is stdin. A snapshot ends at each tick line, or,
 * in a trace with a grid, at each whole multiple of the interval, 0 included, up to the time of the
 * last line. What stands after the last tick comes as one last snapshot without a tick.
 *
 * A snapshot of 1,048,576 events, or with 32 MB of lines of holders and sites, is handed on as it
 * is, without a tick, and the next one goes on: between two ticks an attacker's trace may hold as
 * much as it likes. Whoever decides at ticks alone notices nothing.
 *
 * Corrupt, besides what trace.h refuses: a line longer than TRACE_MAX_LINE, and in a trace with a
 * grid a `tick` line, or a line 10,000,000 ticks or more after the one before. A gap is filled with
 * snapshots that hold nothing but their tick: this bounds them, as the reader does by refusing an
 * interval below 1 ms. With is_skip_bad all that follows such a gap is skipped, too.
 */
#ifndef CONNLEAK_SOURCE_REPLAY_H
#define CONNLEAK_SOURCE_REPLAY_H

#include "../core/trace.h"
#include "source.h"

struct replay_options {
	bool is_strict;	  /* a missing `end` or a cut-off last line is an error */
	bool is_skip_bad; /* corrupt lines are counted and skipped */
	/*
	 * While the file, a pipe, has nothing and this is readable, next() ends with -EINTR, and what
	 * it had read of a snapshot is lost; <= 0: never.
	 */
	int wake_fd;
};

struct replay_report {
	uint64_t lines;	     /* read so far, the header and skipped ones included */
	uint64_t n_skipped;  /* corrupt lines, with is_skip_bad */
	char first_bad[512]; /* "FILE:LINE: ..." of the first of them */
	uint64_t n_unknown;
	char unknown_ev[64];
	/*
	 * The last line had no newline and could not be read, or gzip broke off, failed its
	 * checksum or went on with what is no gzip. Lines before that were used.
	 */
	bool is_cut;
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
 * report has the message; -ENOMEM; or the negative errno of reading. A failure stays. Snapshots
 * have wall_offset_ns = the header's wall_ns, the source interval_ns = the header's.
 *
 * Opening and reading wait for a pipe that has nothing yet; fd() is -1.
 */
int source_replay_open(struct source *s, const char *path, const struct replay_options *o,
		       struct trace_header *ret_header, char *why, size_t why_size);

/* What was met so far. @s is open. */
void source_replay_report(const struct source *s, struct replay_report *ret);

#endif
