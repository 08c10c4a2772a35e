/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_scan.h - one JSON object of a trace into memory, along its table (trace_fields.h)
 *
 * Private to trace_read.c. Functions return 0, -EINVAL (what was expected and where is noted in the
 * scanner) or -ENOMEM.
 */
#ifndef CONNLEAK_TRACE_SCAN_H
#define CONNLEAK_TRACE_SCAN_H

#include "jsonscan.h"
#include "trace_fields.h"

/* Where strings pass through: a reader has one, so that nothing is allocated for a line. */
struct trace_scratch {
	int64_t wall_ns;		 /* of the header, 0 before it; TT_WALL is relative to it */
	char want[128];			 /* of a message */
	char text[TRACE_MAX_STRING + 1]; /* a string as decoded */
	char clean[4 * TRACE_MAX_STRING + 1]; /* and cleaned */
};

struct trace_scan {
	struct trace_scratch *scratch;
	struct jsonscan *js;
	const struct trace_table *table;
	void *about;			  /* what the table is about */
	uint32_t seen;			  /* a bit for each field */
	bool is_early;			  /* something stood before `ev` that it alone explains */
	const char *at[TRACE_MAX_FIELDS]; /* where the value of each field seen begins */
};

/*
 * trace_scan_object - an object in the order of its table or any other
 * @s: `seen` 0, and what `about` points to all zeroes. Texts there are the caller's, after a
 *     failure too.
 */
int trace_scan_object(struct trace_scan *s);

/*
 * trace_scan_event - an event's line, into a struct trace_line
 * @s: as above; its table is chosen here, by `ev`
 *
 * Once through the line is enough if nothing but t_ns stands before `ev`.
 */
int trace_scan_event(struct trace_scan *s);

/* The number of the table's field @name; table->n: there is none. */
uint32_t trace_find_field(const struct trace_table *t, const char *name);

/* Adds to what the scanner noted in which field it was. Returns -EINVAL. */
int trace_scan_in_field(struct trace_scan *s, uint32_t i);

#endif
