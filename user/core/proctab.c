/* SPDX-License-Identifier: Apache-2.0 */
#include "proctab_store.h"

#include <errno.h>
#include <stdlib.h>

/*
 * "Too many clients" comes after the TCP open, and mostly it is the client that then closes: a
 * short life with less than a start-up's answers counts as rejected (docs/detector.md section 3).
 */
#define REJECT_WITHIN_NS NS_PER_S
#define REJECT_BELOW_RX	 300

/* --- connections and what is charged for them --- */

static void link_conn(struct proctab *pt, uint32_t slot, uint32_t usage)
{
	struct usage *u = usage_at(pt, usage);
	struct conn *c = conn_at(pt, slot);

	c->usage = usage;
	c->prev = u->last_conn;
	c->next = SLOT_NONE;
	if (u->last_conn != SLOT_NONE)
		conn_at(pt, u->last_conn)->next = slot;
	else
		u->first_conn = slot;
	u->last_conn = slot;
}

static void unlink_conn(struct proctab *pt, uint32_t slot)
{
	struct conn *c = conn_at(pt, slot);
	struct usage *u = usage_at(pt, c->usage);

	if (c->prev != SLOT_NONE)
		conn_at(pt, c->prev)->next = c->next;
	else
		u->first_conn = c->next;
	if (c->next != SLOT_NONE)
		conn_at(pt, c->next)->prev = c->prev;
	else
		u->last_conn = c->prev;
	c->prev = SLOT_NONE;
	c->next = SLOT_NONE;
}

/* EV_COUNT may have set a holder's counters below what is open here. */
static void decrement(uint64_t *n)
{
	if (*n)
		(*n)--;
}

/* One connection more, or less, that is open on these counters. */
static void charge(struct counts *k, const struct conn *c)
{
	k->open++;
	if (c->is_fd_only)
		k->fd_only++;
}

static void discharge(struct counts *k, const struct conn *c)
{
	decrement(&k->open);
	if (c->is_fd_only)
		decrement(&k->fd_only);
}

static int add_conn(struct proctab *pt, const struct event *ev, uint32_t usage, uint32_t *ret_slot)
{
	struct usage *u = usage_at(pt, usage);
	struct peer *p = peer_at(pt, u->peer);
	struct conn *c;
	int err = proctab_take(&pt->conns, &pt->conn_map, idmap_hash(ev->conn), ret_slot);

	if (err)
		return err;
	c = conn_at(pt, *ret_slot);
	*c = (struct conn){
		.id = ev->conn,
		.opened_ns = ev->t_ns,
		.tx_ns = T_NEVER,
		.rx_ns = T_NEVER,
		.fin_ns = T_NEVER,
		.local = ev->open.local,
		.tid = ev->tid,
		.adopted = ev->open.adopted,
	};
	link_conn(pt, *ret_slot, usage);
	charge(&u->counts, c);
	charge(&holder_at(pt, u->holder)->counts, c);
	charge(&pt->ledger, c);
	p->open++;
	p->slots++;
	return 0;
}

static int add_fin(struct proctab *pt, uint32_t slot)
{
	if (pt->n_fins == pt->cap_fins) {
		uint32_t cap = pt->cap_fins ? pt->cap_fins * 2 : 16;
		uint32_t *fins = reallocarray(pt->fins, cap, sizeof(*fins));

		if (!fins)
			return -ENOMEM;
		pt->fins = fins;
		pt->cap_fins = cap;
	}
	conn_at(pt, slot)->fin_pos = pt->n_fins;
	pt->fins[pt->n_fins++] = slot;
	return 0;
}

static void remove_fin(struct proctab *pt, const struct conn *c)
{
	uint32_t last = pt->fins[--pt->n_fins];

	pt->fins[c->fin_pos] = last;
	conn_at(pt, last)->fin_pos = c->fin_pos;
}

/* The slot of an already closed connection may be used again from now on. */
static void reap_closed(struct proctab *pt)
{
	if (pt->closed_conn == SLOT_NONE)
		return;
	sitetab_unref(&pt->sites, conn_at(pt, pt->closed_conn)->opened_by);
	sitetab_unref(&pt->sites, conn_at(pt, pt->closed_conn)->first_used_by);
	conn_at(pt, pt->closed_conn)->id = 0;
	slots_give(&pt->conns, pt->closed_conn);
	pt->closed_conn = SLOT_NONE;
}

/* --- the events --- */

static int lose(struct proctab *pt, int err)
{
	pt->lost++;
	return err;
}

/* It was counted, and found no room. */
static int refuse(struct proctab *pt, int err)
{
	pt->refused++;
	return lose(pt, err);
}

static int touch_holder(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	ret->holder = proctab_find_holder(pt, ev->holder);
	return ret->holder == SLOT_NONE ? lose(pt, -ENOENT) : 0;
}

static void touch_usage(const struct proctab *pt, uint32_t usage, struct proctab_change *ret)
{
	ret->usage = usage;
	ret->holder = usage_at(pt, usage)->holder;
	ret->peer = usage_at(pt, usage)->peer;
}

static int touch_conn(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	ret->conn = proctab_find_conn(pt, ev->conn);
	if (ret->conn == SLOT_NONE)
		return lose(pt, -ENOENT);
	touch_usage(pt, conn_at(pt, ret->conn)->usage, ret);
	return 0;
}

static int apply_holder(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct holder_info info;
	uint32_t slot;
	int err;

	if (!ev->holder || !ev->info)
		return lose(pt, -EINVAL);
	err = holder_info_copy(ev->info, &info);
	if (err)
		return lose(pt, err);
	slot = proctab_find_holder(pt, ev->holder);
	if (slot != SLOT_NONE) {
		holder_info_release(&holder_at(pt, slot)->info);
		holder_at(pt, slot)->info = info;
		ret->holder = slot;
		return 0;
	}
	err = proctab_take(&pt->holders, &pt->holder_map, idmap_hash(ev->holder), &slot);
	if (err) {
		holder_info_release(&info);
		return lose(pt, err);
	}
	*holder_at(pt, slot) = (struct holder){
		.id = ev->holder, .info = info, .exit_ns = T_NEVER, .first_usage = SLOT_NONE};
	ret->holder = slot;
	return 0;
}

static int apply_exit(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	int err = touch_holder(pt, ev, ret);

	if (err)
		return err;
	if (holder_at(pt, ret->holder)->exit_ns == T_NEVER) {
		holder_at(pt, ret->holder)->exit_ns = ev->t_ns;
		pt->n_exited++;
	}
	return 0;
}

static void count_open(struct counts *k, const struct event *ev)
{
	if (ev->open.adopted)
		k->adopted++;
	else
		k->opened++;
}

static int apply_open(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct usage *u;
	uint32_t usage;
	int err;

	if (!ev->conn || !ev->open.peer.family)
		return lose(pt, -EINVAL);
	if (proctab_find_conn(pt, ev->conn) != SLOT_NONE)
		return -EEXIST;
	err = touch_holder(pt, ev, ret);
	if (err)
		return err;
	count_open(&holder_at(pt, ret->holder)->counts, ev);
	count_open(&pt->ledger, ev);
	err = proctab_get_usage(pt, ret->holder, &ev->open.peer, &usage);
	if (err)
		return refuse(pt, err);
	touch_usage(pt, usage, ret);
	u = usage_at(pt, usage);
	count_open(&u->counts, ev);
	if (!ev->open.adopted) {
		if (u->first_open_ns == T_NEVER)
			u->first_open_ns = ev->t_ns;
		u->last_open_ns = ev->t_ns;
	}
	err = add_conn(pt, ev, usage, &ret->conn);
	if (err)
		return refuse(pt, err);
	/* A site that is not known is no reason to lose the connection. */
	conn_at(pt, ret->conn)->opened_by = sitetab_ref(&pt->sites, ev->site);
	return 0;
}

/* Of several the first: later ones say where it is used, not who asked for it. */
static int apply_use(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	int err = touch_conn(pt, ev, ret);
	struct conn *c;

	if (err)
		return err;
	c = conn_at(pt, ret->conn);
	if (c->first_used_by == SITE_NONE)
		c->first_used_by = sitetab_ref(&pt->sites, ev->site);
	return 0;
}

static int apply_io(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct conn *c;
	int err = touch_conn(pt, ev, ret);

	if (err)
		return err;
	c = conn_at(pt, ret->conn);
	ret->was_tx_ns = c->tx_ns;
	ret->was_rx_ns = c->rx_ns;
	ret->was_tx = c->tx;
	ret->was_rx = c->rx;
	ret->was_has_io = c->has_io;
	c->tx_ns = ev->io.tx_ns;
	c->rx_ns = ev->io.rx_ns;
	c->tx = ev->io.tx;
	c->rx = ev->io.rx;
	c->last = (uint8_t)ev->io.last;
	c->has_io = true;
	return 0;
}

/* Bytes that were not measured say nothing. */
static bool is_rejected(const struct conn *c, int64_t now_ns, bool by_server)
{
	if (c->adopted || now_ns - c->opened_ns > REJECT_WITHIN_NS)
		return false;
	return by_server || (c->has_io && c->rx < REJECT_BELOW_RX);
}

static void count_rejected(struct proctab *pt, struct proctab_change *ret)
{
	ret->is_rejected = true;
	usage_at(pt, ret->usage)->counts.rejected++;
	holder_at(pt, ret->holder)->counts.rejected++;
	pt->ledger.rejected++;
}

static int apply_fin(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct conn *c;
	int err = touch_conn(pt, ev, ret);

	if (err)
		return err;
	c = conn_at(pt, ret->conn);
	if (!conn_has_slot(c))
		return 0;
	err = add_fin(pt, ret->conn);
	if (err)
		return lose(pt, err);
	c->fin_ns = ev->t_ns;
	c->fin_how = (uint8_t)ev->fin;
	peer_at(pt, ret->peer)->slots--;
	if (is_rejected(c, ev->t_ns, ev->fin == FIN_PEER || ev->fin == FIN_RESET))
		count_rejected(pt, ret);
	return 0;
}

static int apply_close(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct counts *of_usage, *of_holder;
	struct conn *c;
	int err = touch_conn(pt, ev, ret);

	if (err)
		return err;
	c = conn_at(pt, ret->conn);
	of_usage = &usage_at(pt, ret->usage)->counts;
	of_holder = &holder_at(pt, ret->holder)->counts;
	of_usage->closed++;
	of_holder->closed++;
	discharge(of_usage, c);
	discharge(of_holder, c);
	if (conn_has_slot(c)) {
		peer_at(pt, ret->peer)->slots--;
		if (is_rejected(c, ev->t_ns, ev->close == CLOSE_PEER || ev->close == CLOSE_RESET))
			count_rejected(pt, ret);
	} else if (!c->is_fd_only) {
		remove_fin(pt, c);
	}
	discharge(&pt->ledger, c);
	pt->ledger.closed++;
	peer_at(pt, ret->peer)->open--;
	if (c->is_shared)
		proctab_drop_held(pt, ret->conn);
	unlink_conn(pt, ret->conn);
	idmap_del(&pt->conn_map, idmap_hash(c->id), ret->conn);
	pt->closed_conn = ret->conn;
	return 0;
}

static int apply_fail(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	uint32_t usage;
	int err;

	if (!ev->fail.peer.family)
		return lose(pt, -EINVAL);
	err = touch_holder(pt, ev, ret);
	if (err)
		return err;
	holder_at(pt, ret->holder)->counts.failed++;
	pt->ledger.failed++;
	err = proctab_get_usage(pt, ret->holder, &ev->fail.peer, &usage);
	if (err)
		return lose(pt, err);
	touch_usage(pt, usage, ret);
	usage_at(pt, usage)->counts.failed++;
	return 0;
}

static void move_charge(struct proctab *pt, const struct conn *c, uint32_t to)
{
	struct usage *old = usage_at(pt, c->usage), *new = usage_at(pt, to);
	struct counts *out[] = {&old->counts, &holder_at(pt, old->holder)->counts, &pt->ledger};
	struct counts *in[] = {&new->counts, &holder_at(pt, new->holder)->counts, &pt->ledger};

	for (int i = 0; i < 3; i++) {
		out[i]->moved_out++;
		discharge(out[i], c);
		in[i]->moved_in++;
		charge(in[i], c);
	}
}

static int apply_held(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	uint32_t n = ev->held.n, total = ev->held.total;
	int err;

	if (n > EVENT_MAX_HELD || n > total || !n != !total)
		return lose(pt, -EINVAL);
	err = touch_conn(pt, ev, ret);
	if (err)
		return err;
	err = proctab_set_held(pt, ret->conn, ev->held.pids, n, total);
	return err ? lose(pt, err) : 0;
}

static int apply_via(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	int err = touch_conn(pt, ev, ret);

	if (!err)
		usage_at(pt, ret->usage)->via = ev->via;
	return err;
}

static int apply_move(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct endpoint peer;
	uint32_t to, usage, from_pid;
	uint64_t via;
	int err = touch_conn(pt, ev, ret);

	if (err)
		return err;
	to = proctab_find_holder(pt, ev->holder);
	if (to == SLOT_NONE)
		return lose(pt, -ENOENT);
	if (to == ret->holder)
		return 0;
	peer = peer_at(pt, ret->peer)->endpoint;
	from_pid = holder_at(pt, ret->holder)->info.pid;
	via = usage_at(pt, ret->usage)->via;
	err = proctab_get_usage(pt, to, &peer, &usage);
	if (err)
		return lose(pt, err);
	move_charge(pt, conn_at(pt, ret->conn), usage);
	unlink_conn(pt, ret->conn);
	link_conn(pt, ret->conn, usage);
	/* It ends where it ended before, whoever holds it. */
	if (!usage_at(pt, usage)->via)
		usage_at(pt, usage)->via = via;
	proctab_held_after_move(pt, ret->conn, from_pid);
	touch_usage(pt, usage, ret);
	return 0;
}

static int apply_budget(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct budget b = {ev->budget.limit, ev->budget.used, ev->budget.scope, ev->budget.source};
	struct peer *p;
	int err;

	if (!ev->budget.peer.family) {
		pt->default_budget = b;
		for (uint32_t i = 0; i < pt->peers.n; i++) {
			p = peer_at(pt, i);
			if (p->endpoint.family && !p->has_own_budget)
				peer_set_budget(p, &b);
		}
		return 0;
	}
	if (!b.limit && proctab_find_peer(pt, &ev->budget.peer) == SLOT_NONE)
		return 0;
	err = proctab_get_peer(pt, &ev->budget.peer, &ret->peer);
	if (err)
		return lose(pt, err);
	p = peer_at(pt, ret->peer);
	p->has_own_budget = b.limit > 0;
	peer_set_budget(p, p->has_own_budget ? &b : &pt->default_budget);
	return 0;
}

/* Adds what @now says beyond @was; what is open is in the table itself, and moves are its own. */
static void correct(struct counts *k, const struct counts *was, const struct counts *now)
{
	k->opened += now->opened - was->opened;
	k->closed += now->closed - was->closed;
	k->adopted += now->adopted - was->adopted;
	k->failed += now->failed - was->failed;
	k->rejected += now->rejected - was->rejected;
}

/*
 * The kernel's own counters hold: what was lost on the way is in them. The ledger is put right with
 * them; so is a holder's only usage. Of several, nobody knows whose it was.
 */
static int apply_count(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	struct holder *h;

	/* a holder that is forgotten already has nothing to be put right: no loss */
	ret->holder = proctab_find_holder(pt, ev->holder);
	if (ret->holder == SLOT_NONE)
		return -ENOENT;
	h = holder_at(pt, ret->holder);
	correct(&pt->ledger, &h->counts, &ev->count);
	if (h->first_usage != SLOT_NONE &&
	    usage_at(pt, h->first_usage)->next_of_holder == SLOT_NONE)
		correct(&usage_at(pt, h->first_usage)->counts, &h->counts, &ev->count);
	h->counts = ev->count;
	return 0;
}

static int apply_tick(struct proctab *pt, int64_t now_ns)
{
	for (uint32_t i = 0; i < pt->n_fins;) {
		struct conn *c = conn_at(pt, pt->fins[i]);
		struct usage *u = usage_at(pt, c->usage);

		if (now_ns - c->fin_ns <= FD_ONLY_AFTER_NS) {
			i++;
			continue;
		}
		c->is_fd_only = true;
		u->counts.fd_only++;
		holder_at(pt, u->holder)->counts.fd_only++;
		pt->ledger.fd_only++;
		remove_fin(pt, c);
	}
	return 0;
}

int proctab_apply(struct proctab *pt, const struct event *ev, struct proctab_change *ret)
{
	*ret = (struct proctab_change){
		.conn = SLOT_NONE,
		.usage = SLOT_NONE,
		.holder = SLOT_NONE,
		.peer = SLOT_NONE,
		.was_tx_ns = T_NEVER,
		.was_rx_ns = T_NEVER,
	};
	reap_closed(pt);
	switch (ev->kind) {
	case EV_HOLDER:
		return apply_holder(pt, ev, ret);
	case EV_EXIT:
		return apply_exit(pt, ev, ret);
	case EV_THREAD_EXIT:
		return touch_holder(pt, ev, ret);
	case EV_SITE:
		return ev->site && ev->site_info
			       ? sitetab_define(&pt->sites, ev->site, ev->site_info)
			       : lose(pt, -EINVAL);
	case EV_OPEN:
		return apply_open(pt, ev, ret);
	case EV_IO:
		return apply_io(pt, ev, ret);
	case EV_USE:
		return apply_use(pt, ev, ret);
	case EV_FIN:
		return apply_fin(pt, ev, ret);
	case EV_CLOSE:
		return apply_close(pt, ev, ret);
	case EV_FAIL:
		return apply_fail(pt, ev, ret);
	case EV_MOVE:
		return apply_move(pt, ev, ret);
	case EV_HELD:
		return apply_held(pt, ev, ret);
	case EV_VIA:
		return apply_via(pt, ev, ret);
	case EV_BUDGET:
		return apply_budget(pt, ev, ret);
	case EV_COUNT:
		return apply_count(pt, ev, ret);
	case EV_LOST:
		pt->lost += ev->lost.events;
		return 0;
	case EV_TICK:
		return apply_tick(pt, ev->t_ns);
	case EV_END:
	case EV_MAX:
		break;
	}
	return 0;
}
