/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ls_text.h - the open connections, chosen, sorted, and as a table of text
 *
 * Pure: reads a process table, writes to a buffer. `ls --json` takes ls_select()'s order too.
 */
#ifndef CONNLEAK_LS_TEXT_H
#define CONNLEAK_LS_TEXT_H

#include "../core/proctab.h"
#include "../core/strbuf.h"

enum ls_sort {
	LS_SORT_AGE, /* oldest first */
	LS_SORT_IDLE,
	LS_SORT_PID,
	LS_SORT_SENT,
	LS_SORT_RECEIVED,
	LS_SORT_MAX
};

struct ls_options {
	int64_t now_ns;
	enum ls_sort sort;
	/* NULL: all are */
	bool (*is_shown)(const struct holder *h, const struct peer *p, void *arg);
	void *arg;
	const char *ports; /* watched, "5432, 6432"; borrowed */
	unsigned width;	   /* of the terminal; 0: without limit */
	bool is_ascii;	   /* no character outside ASCII */
};

/*
 * ls_select - slots of the connections to show, sorted
 * @ret_slots: [ret_n], the caller frees; written on success only, never NULL then
 * Returns 0 or -ENOMEM. O(n log n).
 */
int ls_select(const struct proctab *pt, const struct ls_options *o, uint32_t **ret_slots,
	      size_t *ret_n);

/* The table and its sum; a sentence when nothing is open. Returns 0 or -ENOMEM. */
int ls_text(struct strbuf *sb, const struct proctab *pt, const struct ls_options *o);

/* "age", "idle", ...; NULL beyond. */
const char *ls_sort_name(enum ls_sort s);

#endif
