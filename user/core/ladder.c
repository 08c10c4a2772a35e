/* SPDX-License-Identifier: Apache-2.0 */
#include "ladder.h"

static void try_rung(struct rungs *r, const int64_t *ready_ns, size_t n_ready,
		     const struct ladder_cand *c)
{
	int64_t opened_ns = c->opened_ns;

	if (r->k >= n_ready || r->k >= LADDER_MAX_RUNGS || opened_ns < ready_ns[r->k])
		return;
	if (r->k && opened_ns < r->last_ns + LADDER_DELTA_NS)
		return;
	if (!r->k) {
		r->first_ns = opened_ns;
		r->grown_before = c->grown_before;
	}
	r->last_ns = opened_ns;
	r->k++;
}

void ladder_count(const int64_t *ready_ns, size_t n_ready, const struct ladder_cand *cand,
		  size_t n_cand, struct rungs *ret)
{
	const struct ladder_cand *unseen = NULL;

	*ret = (struct rungs){0};
	for (size_t i = 0; i < n_cand; i++) {
		if (cand[i].is_seen)
			try_rung(ret, ready_ns, n_ready, &cand[i]);
		else
			unseen = &cand[i];
	}
	if (unseen)
		try_rung(ret, ready_ns, n_ready, unseen);
}
