/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_check.h - what must hold of the process table and the detector after any events */
#ifndef CONNLEAK_FUZZ_CHECK_H
#define CONNLEAK_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "../../user/core/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), whatever NDEBUG says: a fuzzer sees an abort. */
#define must_hold(x)                                                                               \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x);     \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Every open connection is in the list of its usage, and counted by it. */
static inline uint64_t check_usage(const struct proctab *pt, uint32_t slot)
{
	const struct usage *u = proctab_usage(pt, slot);
	uint32_t prev = SLOT_NONE;
	uint64_t n = 0;

	if (!u)
		return 0;
	must_hold(proctab_holder(pt, u->holder));
	must_hold(proctab_peer(pt, u->peer));
	for (uint32_t i = u->first_conn; i != SLOT_NONE; n++) {
		const struct conn *c = proctab_conn(pt, i);

		must_hold(c && c->usage == slot && c->prev == prev);
		must_hold(proctab_find_conn(pt, c->id) == i);
		prev = i;
		i = c->next;
	}
	must_hold(u->last_conn == prev);
	must_hold(u->counts.open == n);
	must_hold(u->counts.fd_only <= n);
	return n;
}

/*
 * The ledger: opened + adopted + moved_in = closed + open + moved_out + lost, where lost is what
 * found a table full. An EV_COUNT puts the source's word in place of ours: with @has_count only
 * what is open must be right.
 */
static inline void check_table(const struct proctab *pt, bool has_count)
{
	uint64_t n = 0, slots = 0, open = 0;
	struct counts k;

	proctab_ledger(pt, &k);
	for (uint32_t i = 0; i < proctab_n_usages(pt); i++)
		n += check_usage(pt, i);
	for (uint32_t i = 0; i < proctab_n_peers(pt); i++) {
		const struct peer *p = proctab_peer(pt, i);

		open += p ? p->open : 0;
		slots += p ? p->slots : 0;
		must_hold(!p || p->slots <= p->open);
	}
	must_hold(k.open == n && proctab_open(pt) == n && open == n && slots <= n);
	must_hold(k.fd_only <= n);
	if (has_count)
		return;
	must_hold(k.opened + k.adopted + k.moved_in ==
		  k.closed + k.open + k.moved_out + proctab_refused(pt));
	must_hold(ledger_lost(&k) == proctab_refused(pt));
	must_hold(k.moved_in == k.moved_out);
}

/* Whatever may be asked about the present is asked. */
static inline void check_views(const struct engine *e)
{
	struct finding f;

	for (uint32_t i = 0; i < proctab_n_usages(e->table); i++) {
		struct usage_view v;

		if (!proctab_usage(e->table, i))
			continue;
		detector_usage(e->detector, e->table, i, &v);
		must_hold(v.state < USAGE_STATE_MAX && v.k_own <= v.k);
		must_hold(detector_left_idle(e->detector, e->table, i, 0) <=
			  proctab_usage(e->table, i)->counts.open);
	}
	for (uint32_t i = 0; i < detector_n_findings(e->detector); i++) {
		must_hold(!detector_finding(e->detector, e->table, i, &f));
		/* the connections of no known site stand there as one, which has no key */
		must_hold(f.n_conns <= f.conns_total && f.n_sites <= f.sites_total + 1);
		finding_release(&f);
	}
}

#endif
