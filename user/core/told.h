/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told.h - which findings are news: fired, worse than when last told, or resolved
 *
 * Call told_next() after each tick until it returns false. A finding is told when it fires, when
 * its kind changes or its severity rises, and once when it resolves; between these it is silent,
 * however its numbers move.
 */
#ifndef CONNLEAK_TOLD_H
#define CONNLEAK_TOLD_H

#include "detector.h"

struct told_entry;

/* A zeroed struct has told nothing. */
struct told {
	struct told_entry *entries; /* [n], by the detector's slot */
	uint32_t n;
};

/* Frees what @t owns and zeroes it. Accepts NULL. */
void told_release(struct told *t);

/*
 * told_next - the next news after slot @after
 * @after: SLOT_NONE to begin, then the slot of the last news
 * @ret:   what it is; detector_finding_at() of its slot has the rest
 *
 * What is returned counts as told. Returns 1, 0 when there is no more, or -ENOMEM.
 */
int told_next(struct told *t, const struct detector *d, uint32_t after, struct finding_mark *ret);

#endif
