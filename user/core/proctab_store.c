/* SPDX-License-Identifier: Apache-2.0 */
#include "proctab_store.h"

#include <errno.h>
#include <stdlib.h>

/* There may be 500,000: two call sites as 64-bit keys would make it 120. */
_Static_assert(sizeof(struct conn) <= 112, "a connection is small");

/* --- life of the table --- */

struct proctab *proctab_new(const struct proctab_limits *limits)
{
	struct proctab_limits l = limits ? *limits : (struct proctab_limits){0};
	struct proctab *pt = calloc(1, sizeof(*pt));

	if (!pt)
		return NULL;
	slots_init(&pt->conns, sizeof(struct conn), offsetof(struct conn, next),
		   l.max_conns ? l.max_conns : 500000);
	slots_init(&pt->usages, sizeof(struct usage), offsetof(struct usage, next_of_holder),
		   l.max_usages ? l.max_usages : 65536);
	slots_init(&pt->holders, sizeof(struct holder), offsetof(struct holder, first_usage),
		   l.max_holders ? l.max_holders : 32768);
	slots_init(&pt->peers, sizeof(struct peer), offsetof(struct peer, open),
		   l.max_peers ? l.max_peers : 4096);
	slots_init(&pt->helds, sizeof(struct held), offsetof(struct held, next_free),
		   pt->conns.max);
	sitetab_init(&pt->sites, l.max_sites ? l.max_sites : 8192);
	pt->closed_conn = SLOT_NONE;
	pt->default_budget.used = -1;
	return pt;
}

void proctab_free(struct proctab *pt)
{
	if (!pt)
		return;
	for (uint32_t i = 0; i < pt->holders.n; i++)
		if (holder_at(pt, i)->id)
			holder_info_release(&holder_at(pt, i)->info);
	slots_release(&pt->conns);
	slots_release(&pt->usages);
	slots_release(&pt->holders);
	slots_release(&pt->peers);
	slots_release(&pt->helds);
	idmap_release(&pt->conn_map);
	idmap_release(&pt->usage_map);
	idmap_release(&pt->holder_map);
	idmap_release(&pt->peer_map);
	idmap_release(&pt->held_map);
	sitetab_release(&pt->sites);
	free(pt->fins);
	free(pt);
}

/* --- finding --- */

uint32_t proctab_find_conn(const struct proctab *pt, uint64_t conn_id)
{
	uint64_t hash = idmap_hash(conn_id);
	uint32_t pos, slot;

	for (slot = idmap_first(&pt->conn_map, hash, &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&pt->conn_map, hash, &pos))
		if (conn_at(pt, slot)->id == conn_id)
			return slot;
	return SLOT_NONE;
}

uint32_t proctab_find_holder(const struct proctab *pt, uint64_t holder_id)
{
	uint64_t hash = idmap_hash(holder_id);
	uint32_t pos, slot;

	for (slot = idmap_first(&pt->holder_map, hash, &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&pt->holder_map, hash, &pos))
		if (holder_at(pt, slot)->id == holder_id)
			return slot;
	return SLOT_NONE;
}

uint32_t proctab_find_peer(const struct proctab *pt, const struct endpoint *ep)
{
	uint64_t hash = endpoint_hash(ep);
	uint32_t pos, slot;

	for (slot = idmap_first(&pt->peer_map, hash, &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&pt->peer_map, hash, &pos))
		if (endpoint_equal(&peer_at(pt, slot)->endpoint, ep))
			return slot;
	return SLOT_NONE;
}

static uint64_t usage_hash(uint32_t holder, uint32_t peer)
{
	return idmap_hash((uint64_t)holder << 32 | peer);
}

static uint32_t find_usage(const struct proctab *pt, uint32_t holder, uint32_t peer)
{
	uint64_t hash = usage_hash(holder, peer);
	uint32_t pos, slot;

	for (slot = idmap_first(&pt->usage_map, hash, &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&pt->usage_map, hash, &pos))
		if (usage_at(pt, slot)->holder == holder && usage_at(pt, slot)->peer == peer)
			return slot;
	return SLOT_NONE;
}

uint32_t proctab_find_held(const struct proctab *pt, uint32_t conn)
{
	uint64_t hash = idmap_hash(conn);
	uint32_t pos, slot;

	for (slot = idmap_first(&pt->held_map, hash, &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&pt->held_map, hash, &pos))
		if (held_at(pt, slot)->conn == conn)
			return slot;
	return SLOT_NONE;
}

/* --- making and dropping entries --- */

int proctab_take(struct slots *s, struct idmap *map, uint64_t hash, uint32_t *ret_slot)
{
	/* In this order, as an entry that was taken and not filled looks neither used nor free. */
	int err = idmap_reserve(map);

	if (!err)
		err = slots_take(s, ret_slot);
	return err ? err : idmap_put(map, hash, *ret_slot);
}

void peer_set_budget(struct peer *p, const struct budget *b)
{
	p->limit = b->limit;
	p->server_used = b->used;
	p->scope = b->scope;
	p->source = b->source;
}

int proctab_get_peer(struct proctab *pt, const struct endpoint *ep, uint32_t *ret_slot)
{
	uint32_t slot = proctab_find_peer(pt, ep);
	int err;

	if (slot == SLOT_NONE) {
		err = proctab_take(&pt->peers, &pt->peer_map, endpoint_hash(ep), &slot);
		if (err)
			return err;
		*peer_at(pt, slot) = (struct peer){.endpoint = *ep};
		peer_set_budget(peer_at(pt, slot), &pt->default_budget);
	}
	*ret_slot = slot;
	return 0;
}

static void drop_unused_peer(struct proctab *pt, uint32_t slot)
{
	struct peer *p = peer_at(pt, slot);

	if (p->n_usages || p->has_own_budget)
		return;
	idmap_del(&pt->peer_map, endpoint_hash(&p->endpoint), slot);
	p->endpoint.family = 0;
	slots_give(&pt->peers, slot);
}

int proctab_get_usage(struct proctab *pt, uint32_t holder, const struct endpoint *ep,
		      uint32_t *ret_slot)
{
	struct holder *h = holder_at(pt, holder);
	uint32_t peer, slot;
	int err = proctab_get_peer(pt, ep, &peer);

	if (err)
		return err;
	slot = find_usage(pt, holder, peer);
	if (slot == SLOT_NONE) {
		err = proctab_take(&pt->usages, &pt->usage_map, usage_hash(holder, peer), &slot);
		if (err) {
			drop_unused_peer(pt, peer);
			return err;
		}
		*usage_at(pt, slot) = (struct usage){
			.holder = holder,
			.peer = peer,
			.next_of_holder = h->first_usage,
			.first_conn = SLOT_NONE,
			.last_conn = SLOT_NONE,
			.first_open_ns = T_NEVER,
			.last_open_ns = T_NEVER,
		};
		h->first_usage = slot;
		peer_at(pt, peer)->n_usages++;
	}
	*ret_slot = slot;
	return 0;
}

static void drop_usage(struct proctab *pt, uint32_t slot)
{
	struct usage *u = usage_at(pt, slot);
	uint32_t peer = u->peer;

	idmap_del(&pt->usage_map, usage_hash(u->holder, peer), slot);
	u->holder = SLOT_NONE;
	slots_give(&pt->usages, slot);
	peer_at(pt, peer)->n_usages--;
	drop_unused_peer(pt, peer);
}

/* --- who holds a connection --- */

void proctab_drop_held(struct proctab *pt, uint32_t conn)
{
	uint32_t slot = proctab_find_held(pt, conn);

	if (slot == SLOT_NONE)
		return;
	idmap_del(&pt->held_map, idmap_hash(conn), slot);
	slots_give(&pt->helds, slot);
}

static uint32_t pid_of(const struct proctab *pt, uint32_t conn)
{
	return holder_at(pt, usage_at(pt, conn_at(pt, conn)->usage)->holder)->info.pid;
}

static void set_usual(struct proctab *pt, uint32_t conn)
{
	struct conn *c = conn_at(pt, conn);

	if (c->is_shared)
		proctab_drop_held(pt, conn);
	c->is_shared = false;
	c->is_unheld = false;
}

int proctab_set_held(struct proctab *pt, uint32_t conn, const uint32_t *pids, uint32_t n,
		     uint32_t total)
{
	uint32_t slot = proctab_find_held(pt, conn);
	struct held *h;
	int err = 0;

	if (!total || (total == 1 && pids[0] == pid_of(pt, conn))) {
		set_usual(pt, conn);
		conn_at(pt, conn)->is_unheld = !total;
		return 0;
	}
	if (slot == SLOT_NONE)
		err = proctab_take(&pt->helds, &pt->held_map, idmap_hash(conn), &slot);
	if (err)
		return err;
	h = held_at(pt, slot);
	*h = (struct held){.conn = conn, .n = n, .total = total};
	for (uint32_t i = 0; i < n; i++)
		h->pids[i] = pids[i];
	conn_at(pt, conn)->is_shared = true;
	conn_at(pt, conn)->is_unheld = false;
	return 0;
}

void proctab_held_after_move(struct proctab *pt, uint32_t conn, uint32_t from_pid)
{
	uint32_t slot = proctab_find_held(pt, conn), to_pid = pid_of(pt, conn), kept = 0;
	struct held *h = slot == SLOT_NONE ? NULL : held_at(pt, slot);
	bool has_new = false;

	conn_at(pt, conn)->is_unheld = false;
	if (!h)
		return;
	for (uint32_t i = 0; i < h->n; i++) {
		if (h->pids[i] == from_pid) {
			h->total--;
			continue;
		}
		has_new |= h->pids[i] == to_pid;
		h->pids[kept++] = h->pids[i];
	}
	h->n = kept;
	/* What was told before is no longer so, or has become the usual. */
	if (!has_new || h->total == 1)
		set_usual(pt, conn);
}

/* --- reading --- */

const struct conn *proctab_conn(const struct proctab *pt, uint32_t slot)
{
	return slot < pt->conns.n && conn_at(pt, slot)->id ? conn_at(pt, slot) : NULL;
}

const struct usage *proctab_usage(const struct proctab *pt, uint32_t slot)
{
	bool is_used = slot < pt->usages.n && usage_at(pt, slot)->holder != SLOT_NONE;

	return is_used ? usage_at(pt, slot) : NULL;
}

const struct holder *proctab_holder(const struct proctab *pt, uint32_t slot)
{
	return slot < pt->holders.n && holder_at(pt, slot)->id ? holder_at(pt, slot) : NULL;
}

const struct peer *proctab_peer(const struct proctab *pt, uint32_t slot)
{
	bool is_used = slot < pt->peers.n && peer_at(pt, slot)->endpoint.family;

	return is_used ? peer_at(pt, slot) : NULL;
}

uint32_t proctab_n_conns(const struct proctab *pt)
{
	return pt->conns.n;
}

uint32_t proctab_n_usages(const struct proctab *pt)
{
	return pt->usages.n;
}

uint32_t proctab_n_holders(const struct proctab *pt)
{
	return pt->holders.n;
}

uint32_t proctab_n_peers(const struct proctab *pt)
{
	return pt->peers.n;
}

uint32_t proctab_n_exited(const struct proctab *pt)
{
	return pt->n_exited;
}

uint32_t proctab_held_by(const struct proctab *pt, uint32_t conn, uint32_t *ret_pids, uint32_t max)
{
	const struct conn *c = proctab_conn(pt, conn);
	uint32_t slot = c && c->is_shared ? proctab_find_held(pt, conn) : SLOT_NONE;

	if (!c || c->is_unheld)
		return 0;
	if (slot == SLOT_NONE) {
		if (max)
			ret_pids[0] = holder_at(pt, usage_at(pt, c->usage)->holder)->info.pid;
		return 1;
	}
	for (uint32_t i = 0; i < held_at(pt, slot)->n && i < max; i++)
		ret_pids[i] = held_at(pt, slot)->pids[i];
	return held_at(pt, slot)->total;
}

const struct holder *proctab_via(const struct proctab *pt, const struct usage *u)
{
	return u->via ? proctab_holder(pt, proctab_find_holder(pt, u->via)) : NULL;
}

uint64_t proctab_opened_by(const struct proctab *pt, const struct conn *c)
{
	return sitetab_key(&pt->sites, c->opened_by);
}

uint64_t proctab_first_used_by(const struct proctab *pt, const struct conn *c)
{
	return sitetab_key(&pt->sites, c->first_used_by);
}

const struct site_info *proctab_site(const struct proctab *pt, uint64_t key)
{
	return sitetab_find(&pt->sites, key);
}

uint64_t proctab_sites_lost(const struct proctab *pt)
{
	return pt->sites.lost;
}

void proctab_ledger(const struct proctab *pt, struct counts *ret)
{
	*ret = pt->ledger;
}

uint64_t proctab_refused(const struct proctab *pt)
{
	return pt->refused;
}

uint64_t proctab_open(const struct proctab *pt)
{
	return pt->ledger.open;
}

uint64_t proctab_lost(const struct proctab *pt)
{
	return pt->lost;
}

int64_t peer_used(const struct peer *p)
{
	return p->scope == SCOPE_NODE ? (int64_t)p->slots : p->server_used;
}

bool conn_is_clients_turn(const struct conn *c)
{
	if (!conn_has_slot(c) || (c->rx_ns == T_NEVER && c->tx_ns == T_NEVER))
		return true;
	if (c->rx_ns != c->tx_ns)
		return c->rx_ns > c->tx_ns;
	return c->last != IO_LAST_TX;
}

int64_t conn_open_since_ns(const struct conn *c)
{
	int64_t io_ns = conn_last_io_ns(c);

	return c->adopted && io_ns < c->opened_ns ? io_ns : c->opened_ns;
}

int64_t conn_last_io_ns(const struct conn *c)
{
	int64_t last = c->rx_ns > c->tx_ns ? c->rx_ns : c->tx_ns;

	return last == T_NEVER ? c->opened_ns : last;
}

int proctab_forget_holder(struct proctab *pt, uint32_t slot)
{
	struct holder *h;
	uint32_t i;

	if (!proctab_holder(pt, slot))
		return -ENOENT;
	h = holder_at(pt, slot);
	if (h->exit_ns == T_NEVER)
		return -EBUSY;
	for (i = h->first_usage; i != SLOT_NONE; i = usage_at(pt, i)->next_of_holder)
		if (usage_at(pt, i)->first_conn != SLOT_NONE)
			return -EBUSY;
	while (h->first_usage != SLOT_NONE) {
		i = h->first_usage;
		h->first_usage = usage_at(pt, i)->next_of_holder;
		drop_usage(pt, i);
	}
	idmap_del(&pt->holder_map, idmap_hash(h->id), slot);
	holder_info_release(&h->info);
	h->id = 0;
	slots_give(&pt->holders, slot);
	pt->n_exited--;
	return 0;
}
