/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proctab_store.h - the tables behind proctab.h: private to proctab.c and proctab_store.c
 *
 * proctab_store.c makes, finds and drops entries; proctab.c folds events into them.
 */
#ifndef CONNLEAK_PROCTAB_STORE_H
#define CONNLEAK_PROCTAB_STORE_H

#include "idmap.h"
#include "proctab.h"
#include "sitetab.h"
#include "slots.h"

struct budget {
	uint32_t limit;
	int64_t used;
	enum budget_scope scope;
	enum budget_source source;
};

/* Who holds a connection, where that is not just its own holder. At most one a connection. */
struct held {
	uint32_t conn; /* slot */
	uint32_t n, total;
	uint32_t pids[EVENT_MAX_HELD];
	uint32_t next_free;
};

struct proctab {
	struct slots conns, usages, holders, peers, helds;
	struct idmap conn_map, usage_map, holder_map, peer_map, held_map;
	/* Slots of connections with a FIN that are not fd_only yet; conn.fin_pos points back. */
	uint32_t *fins;
	uint32_t n_fins, cap_fins;
	uint32_t n_exited;
	uint32_t closed_conn; /* closed by the last event, to be given back at the next */
	uint64_t lost;
	struct counts ledger;
	uint64_t refused;
	struct budget default_budget;
	struct sitetab sites;
};

static inline struct conn *conn_at(const struct proctab *pt, uint32_t slot)
{
	return slots_at(&pt->conns, slot);
}

static inline struct usage *usage_at(const struct proctab *pt, uint32_t slot)
{
	return slots_at(&pt->usages, slot);
}

static inline struct holder *holder_at(const struct proctab *pt, uint32_t slot)
{
	return slots_at(&pt->holders, slot);
}

static inline struct held *held_at(const struct proctab *pt, uint32_t slot)
{
	return slots_at(&pt->helds, slot);
}

static inline struct peer *peer_at(const struct proctab *pt, uint32_t slot)
{
	return slots_at(&pt->peers, slot);
}

/*
 * proctab_take - a slot of @s, entered in @map under @hash; its content is undefined
 * Returns 0, -ENOSPC or -ENOMEM.
 */
int proctab_take(struct slots *s, struct idmap *map, uint64_t hash, uint32_t *ret_slot);

/* The connection's entry in the side table, or SLOT_NONE. */
uint32_t proctab_find_held(const struct proctab *pt, uint32_t conn);
void proctab_drop_held(struct proctab *pt, uint32_t conn);
/* Notes what an EV_HELD says. Returns 0, -ENOSPC or -ENOMEM. */
int proctab_set_held(struct proctab *pt, uint32_t conn, const uint32_t *pids, uint32_t n,
		     uint32_t total);
/* After it was charged to its new holder: @from_pid holds it no more, the new one does. */
void proctab_held_after_move(struct proctab *pt, uint32_t conn, uint32_t from_pid);

void peer_set_budget(struct peer *p, const struct budget *b);

/* Find the entry, or make it. Pointers to peers and usages are stale after it. As above. */
int proctab_get_peer(struct proctab *pt, const struct endpoint *ep, uint32_t *ret_slot);
int proctab_get_usage(struct proctab *pt, uint32_t holder, const struct endpoint *ep,
		      uint32_t *ret_slot);

#endif
