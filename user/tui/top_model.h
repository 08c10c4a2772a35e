/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_model.h - the live view's content: rows, sorted; pure, no drawing
 *
 * One model, three renderers: the screen (top_view.c), text (top_text.c) and JSON
 * (core/json_out.c).
 */
#ifndef CONNLEAK_TOP_MODEL_H
#define CONNLEAK_TOP_MODEL_H

#include "../core/engine.h"

enum top_sort {
	TOP_SORT_SUSPICION,
	TOP_SORT_OPEN,
	TOP_SORT_IDLE,
	TOP_SORT_OPENED,
	TOP_SORT_RATE,
	TOP_SORT_OLDEST,
	TOP_SORT_PID,
	TOP_SORT_MAX
};

struct top_row {
	const struct holder *holder; /* borrowed from the process table */
	const struct peer *peer;
	const struct counts *counts;
	uint32_t usage; /* slot */
	struct usage_view view;
	uint32_t finding;	  /* index for detector_finding(), or SLOT_NONE */
	const struct holder *via; /* borrowed: its connections end there; NULL: none known */
	struct finding *detail;	  /* owned by the model: the firing finding; NULL: none */
};

struct top_peer {
	const struct peer *peer; /* borrowed */
	double rate_per_min;	 /* leaking, over all holders; NAN: none */
	double exhausted_in_s, exhausted_in_low_s, exhausted_in_high_s; /* NAN: not known */
};

struct top_model {
	int64_t now_ns, wall_offset_ns;
	struct top_row *rows; /* owned */
	uint32_t n_rows;
	struct top_peer *peers; /* owned; those with something open or a budget, fullest first */
	uint32_t n_peers;
	uint32_t processes; /* with something open */
	uint64_t connections;
	uint64_t lost, adopted;
	bool is_lost_measured; /* false: the source cannot tell */
	int64_t drift, unheld; /* -1: not measured */
	uint64_t repaired;
	struct counts ledger; /* of the node */
	char blind[256];      /* why counts are estimates; "": they are not */
};

/* Is this holder's use of this peer shown? */
typedef bool top_filter(const struct holder *h, const struct peer *p, void *arg);

/*
 * top_model_build - what to show now
 * @filter: NULL: all is shown; @arg is passed through
 * Exited holders with nothing open are left out unless a finding is about them. Suspicion sorts by
 * state (LEAK, FD LEAK, blind, suspect, resolved, filling, pool, ok), then rate, then open.
 * Returns 0 or -ENOMEM. The model borrows from @e until its next step; release it before.
 */
int top_model_build(struct top_model *m, const struct engine *e, enum top_sort sort,
		    top_filter *filter, void *arg);
void top_model_release(struct top_model *m);

/* "suspicion", "open", ... ; NULL beyond. */
const char *top_sort_name(enum top_sort s);

#endif
