/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ladder.h - rungs: idle connections that were opened when k earlier ones already lay abandoned
 */
#ifndef CONNLEAK_LADDER_H
#define CONNLEAK_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LADDER_MAX_RUNGS 64
#define LADDER_DELTA_NS	 5000000000LL /* one burst of opens is one rung */

struct ladder_cand {
	int64_t opened_ns;
	bool is_seen;	       /* passed over, or somebody opened after it went idle */
	bool has_worked;       /* sent more than a sign-on */
	uint32_t grown_before; /* by how many its usage had grown when it was opened */
};

struct rungs {
	uint32_t k;
	int64_t first_ns, last_ns; /* opening of the first and last rung; valid with k > 0 */
	uint32_t grown_before;	   /* the first rung's */
};

static inline int64_t rungs_span_ns(const struct rungs *r)
{
	return r->k ? r->last_ns - r->first_ns : 0;
}

/*
 * ladder_count - docs/detector.md section 4.3
 * @ready_ns: [n_ready] ascending: when each abandoned connection had lain idle long enough
 * @cand:     [n_cand] in order of opening: idle connections that may be rungs
 *
 * Only the newest rung may be unseen: otherwise a LISTEN connection beside an idle pool would
 * make rungs of connections that nobody passed over. k <= min(n_ready, n_cand). O(n_cand).
 */
void ladder_count(const int64_t *ready_ns, size_t n_ready, const struct ladder_cand *cand,
		  size_t n_cand, struct rungs *ret);

#endif
