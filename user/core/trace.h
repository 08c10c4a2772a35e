/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - the recording format of docs/trace.md: events as lines, lines as events
 *
 * Writing: trace_write_header() once, then trace_write_snapshot() for each tick and
 * trace_write_end(). Reading: trace_reader_new(), then trace_read() for each line in order. Both
 * work on memory: files and compression are their caller's.
 *
 * A trace is untrusted input. The reader refuses what is not as docs/trace.md says, keeps what it
 * must know to do so (ids of what is open, of holders and sites) in bounded tables, and takes no
 * allocation size from a line.
 */
#ifndef CONNLEAK_TRACE_H
#define CONNLEAK_TRACE_H

#include "event.h"
#include "parse_err.h"
#include "strbuf.h"

#define TRACE_SCHEMA	  "connleak.trace/v1"
#define TRACE_MAX_LINE	  (256 * 1024) /* bytes without the newline; a longer line is corrupt */
#define TRACE_MAX_STRING  4096	       /* bytes of one string, decoded */
#define TRACE_MAX_NS	  (1LL << 53)
#define TRACE_MAX_PORTS	  64
#define TRACE_MAX_SITES	  32768	 /* ids known at one time; the one named longest ago gives way */
#define TRACE_MAX_EXITED  65536	 /* exited holders without open connections that are remembered */
#define TRACE_MAX_HOLDERS 262144 /* living ones: more is corrupt */
#define TRACE_MAX_CONNS	  2097152

struct trace_header {
	int64_t wall_ns; /* wall clock at t_ns 0, ns since 1970 */
	char host[256];
	char source[32];
	char writer[64];
	int64_t interval_ns; /* nominal, between two snapshots; read: 1 ms to 1 day */
	bool is_grid;	     /* no tick lines: decide at each whole multiple of interval_ns */
	uint16_t ports[TRACE_MAX_PORTS];
	size_t n_ports;
};

/* --- writing; each returns 0 or -ENOMEM --- */

/* One line with its newline. */
int trace_write_header(struct strbuf *sb, const struct trace_header *h);

/*
 * trace_write_snapshot - the events of one tick, one a line
 * @s:	     sorted by time (snapshot_sort())
 * @zero_ns: the events' clock at the trace's t_ns 0
 * @wall_ns: the header's
 * @last_ns: the events' time of the last line written, T_NEVER before the first; an event that
 *	     comes out of the past is written at that time, so that time never runs backwards;
 *	     updated
 *
 * The snapshot's comparison (drift, unheld, repaired) stands in its tick line where it was
 * measured. Left out: what no line can hold (id 0, no peer, no info: the process table refuses it,
 * too), and EV_END, which is trace_write_end()'s. So that every line can be read again, numbers
 * beyond the format's limits stand at these limits, text is cleaned and cut at TRACE_MAX_STRING,
 * and of a call site that is too long for a line the outermost frames are missing.
 */
int trace_write_snapshot(struct strbuf *sb, const struct snapshot *s, int64_t zero_ns,
			 int64_t wall_ns, int64_t *last_ns);

/* The last line; @t_ns on the events' clock, lifted to @last_ns if need be. */
int trace_write_end(struct strbuf *sb, int64_t t_ns, int64_t zero_ns, int64_t last_ns);

/* --- reading --- */

struct trace_reader;

/* NULL without memory. */
struct trace_reader *trace_reader_new(void);
void trace_reader_free(struct trace_reader *r);

/*
 * trace_read - take one line
 * @line: [len], without its newline; need not be NUL-terminated
 * @ret:  the event, on the clock whose zero is the header's time; what it points to is the
 *	  reader's until the next call
 * @err:  written on failure, with the number of the line
 *
 * The first line must be the header. Returns
 *	1		an event in @ret
 *	0		nothing to hand on: the header, an unknown `ev` (counted), an empty line
 *	-EBADMSG	corrupt; the line had no effect and the next one may be read
 *	-EPROTONOSUPPORT  another version's schema, or not a trace at all
 *	-ENOMEM
 * O(length), but for the line of a holder or site no allocation.
 *
 * Text is cleaned as by text_clean(), but for escapes of an earlier cleaning. A holder without a
 * group gets it from identity_group(), one with a pod and no workload that of identity_workload().
 * An unknown site becomes 0 and a `count` of an unknown holder passes, once the oldest of these had
 * to be forgotten.
 */
int trace_read(struct trace_reader *r, const char *line, size_t len, struct event *ret,
	       struct parse_err *err);

/* The header, once it was read; NULL before. */
const struct trace_header *trace_reader_header(const struct trace_reader *r);

struct trace_reader_state {
	uint64_t lines;
	uint64_t n_unknown;    /* lines of an unknown `ev` */
	char unknown_ev[64];   /* the first of these, cleaned */
	bool has_end;	       /* an `end` line was read; what follows it is corrupt */
	int64_t drift, unheld; /* of the last tick line; -1: not in it */
	uint64_t repaired;
};
void trace_reader_state(const struct trace_reader *r, struct trace_reader_state *ret);

#endif
