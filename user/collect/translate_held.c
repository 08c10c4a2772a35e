/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate_held.c - what a walk over all descriptors tells: who holds each connection now, in which
 *	process of this machine it ends, and what counting missed
 */
#include <errno.h>
#include <stdlib.h>

#include "translate_impl.h"

#define UNHELD_AFTER 2 /* walks: a descriptor in flight between two processes lands soon */

/* What this walk found about one tracked connection; by slot. */
struct walked {
	uint32_t n;	 /* processes that hold it */
	uint32_t oldest; /* index in held, of the process that started first */
	uint32_t set;	 /* hash of them all, in no order */
	bool by_owner;
};

/* One holder of a connection that several hold. */
struct share {
	uint32_t slot;
	uint32_t pid;
	uint64_t start_ns;
};

static bool same_key(const struct cl_holder_key *a, const struct cl_holder_key *b)
{
	return a->tgid == b->tgid && a->start_ns == b->start_ns;
}

uint64_t translate_repaired(const struct translator *t)
{
	return t->stats.made_up_opens + t->stats.made_up_closes + t->stats.found;
}

/* --- who holds what --- */

static void add_holder_of(const struct translator *t, struct walked *w, uint32_t i, uint32_t slot)
{
	const struct cl_held *e = &t->pass->held[i];
	const struct cl_holder_key *owner = &holder_at(t, conn_at(t, slot)->holder)->key;
	uint32_t hash = (uint32_t)idmap_hash(e->holder.start_ns ^ (uint64_t)e->holder.tgid << 40);

	/* two descriptors of one process are one holder; they come one after the other */
	if (w->n && same_key(&t->pass->held[i - 1].holder, &e->holder) &&
	    t->pass->held[i - 1].id == e->id)
		return;
	if (!w->n || e->holder.start_ns < t->pass->held[w->oldest].holder.start_ns)
		w->oldest = i;
	w->n++;
	w->set += hash | 1;
	w->by_owner |= same_key(owner, &e->holder);
}

/* Its own holder let go of it; the oldest of the others is charged from now on. */
static void move(struct translator *t, uint32_t slot, const struct cl_holder_key *to)
{
	struct tracked *c = conn_at(t, slot);
	struct event ev = {.kind = EV_MOVE, .conn = c->id};
	bool is_new = translate_find_holder(t, to) == IDMAP_NONE;
	uint32_t holder = translate_get_holder(t, to);
	struct known_holder *from, *h;

	if (holder == IDMAP_NONE)
		return;
	from = holder_at(t, c->holder);
	h = holder_at(t, holder);
	ev.holder = h->id;
	translate_emit(t, &ev, t->pass->now_ns);
	from->n_conns--;
	from->moved_out++;
	h->n_conns++;
	h->moved_in++;
	if (c->state == TRACKED_SHUTDOWN) {
		/* the kernel has counted its close already, for who let go of it */
		from->n_shutdown--;
		from->closed_more--;
		h->n_shutdown++;
		h->closed_more++;
	}
	c->holder = holder;
	if (is_new && !t->ops.watch(t->ops.arg, to)) {
		struct event gone = {.kind = EV_EXIT, .holder = h->id};

		h->is_exited = true;
		translate_emit(t, &gone, t->pass->now_ns);
	}
}

static void tell_unheld(struct translator *t, struct tracked *c)
{
	struct event ev = {.kind = EV_HELD, .conn = c->id};

	c->is_told_unheld = true;
	translate_emit(t, &ev, t->pass->now_ns);
}

/* Nobody's descriptor, though its socket was there before the walk and still has an owner. */
static void on_unheld(struct translator *t, struct tracked *c)
{
	const struct cl_sock *s = c->sock == NOT_IN_PASS ? NULL : &t->pass->socks[c->sock];

	if (!s || !(s->flags & CL_FD) || (int64_t)s->opened_ns >= t->pass->walk_ns) {
		c->unheld = 0;
		return;
	}
	if (c->unheld < UNHELD_AFTER)
		c->unheld++;
	if (c->unheld < UNHELD_AFTER)
		return;
	t->unheld++;
	if (!c->is_told_unheld)
		tell_unheld(t, c);
}

static int by_slot_and_start(const void *va, const void *vb)
{
	const struct share *a = va, *b = vb;

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

/* One event for each connection whose set of holders changed. */
static void tell_shares(struct translator *t, struct share *shares, size_t n)
{
	for (size_t i = 0; i < n;) {
		struct tracked *c = conn_at(t, shares[i].slot);
		struct event ev = {.kind = EV_HELD, .conn = c->id};
		size_t first = i;

		for (; i < n && shares[i].slot == shares[first].slot; i++) {
			if (ev.held.n < EVENT_MAX_HELD)
				ev.held.pids[ev.held.n++] = shares[i].pid;
			ev.held.total++;
		}
		translate_emit(t, &ev, t->pass->now_ns);
	}
}

/* Has what was told of it become wrong? Notes the new set. */
static bool must_tell(struct tracked *c, const struct walked *w)
{
	uint32_t set = w->n > 1 ? w->set : 0;
	bool is_news = set != c->held_set || c->is_told_unheld;

	c->held_set = set;
	c->is_told_unheld = false;
	c->unheld = 0;
	return is_news;
}

static void find_holders(struct translator *t, struct walked *w, bool *tell)
{
	for (uint32_t i = 0; i < t->pass->n_held; i++) {
		uint32_t slot = IDMAP_NONE;

		if (t->pass->held[i].id)
			slot = translate_find_conn(t, t->pass->held[i].id);
		if (slot != IDMAP_NONE)
			add_holder_of(t, &w[slot], i, slot);
	}
	for (uint32_t slot = 0; slot < t->conns.n; slot++) {
		struct tracked *c = conn_at(t, slot);

		if (!c->id)
			continue;
		if (!w[slot].n) {
			on_unheld(t, c);
			continue;
		}
		if (!w[slot].by_owner)
			move(t, slot, &t->pass->held[w[slot].oldest].holder);
		tell[slot] = must_tell(conn_at(t, slot), &w[slot]);
	}
}

static void tell_holders(struct translator *t, const bool *tell)
{
	struct share *shares = NULL;
	size_t n = 0, cap = 0;

	for (uint32_t i = 0; i < t->pass->n_held; i++) {
		const struct cl_held *e = &t->pass->held[i];
		uint32_t slot = e->id ? translate_find_conn(t, e->id) : IDMAP_NONE;

		if (slot == IDMAP_NONE || !tell[slot])
			continue;
		if (n && shares[n - 1].slot == slot && shares[n - 1].pid == e->holder.tgid)
			continue;
		if (n == cap) {
			struct share *more;

			cap = cap ? cap * 2 : 64;
			more = reallocarray(shares, cap, sizeof(*more));
			if (!more)
				goto out;
			shares = more;
		}
		shares[n++] = (struct share){slot, e->holder.tgid, e->holder.start_ns};
	}
	if (n)
		qsort(shares, n, sizeof(*shares), by_slot_and_start);
	tell_shares(t, shares, n);
out:
	free(shares);
}

/* --- where it ends --- */

static uint64_t end_hash(const struct endpoint *ep, uint32_t netns)
{
	return endpoint_hash(ep) ^ idmap_hash(netns);
}

/* The holder that has accepted the connection whose own end is @local; NULL: none. */
static const struct cl_holder_key *find_end(const struct translator *t, const struct idmap *ends,
					    const struct endpoint *local, uint32_t netns)
{
	uint64_t hash = end_hash(local, netns);
	uint32_t pos, i;

	for (i = idmap_first(ends, hash, &pos); i != IDMAP_NONE; i = idmap_next(ends, hash, &pos)) {
		const struct cl_held *e = &t->pass->held[i];
		struct endpoint remote;

		endpoint_set(&remote, e->family, e->raddr, e->rport);
		if (e->netns == netns && endpoint_equal(&remote, local))
			return &e->holder;
	}
	return NULL;
}

static void tell_via(struct translator *t, struct tracked *c, const struct cl_holder_key *end)
{
	uint32_t holder = end ? translate_find_holder(t, end) : IDMAP_NONE;
	uint64_t id = holder == IDMAP_NONE || holder == c->holder ? 0 : holder_at(t, holder)->id;
	struct event ev = {.kind = EV_VIA, .conn = c->id, .via = id};

	if (id == c->via)
		return;
	c->via = (uint32_t)id;
	translate_emit(t, &ev, t->pass->now_ns);
}

static void find_ends(struct translator *t)
{
	struct idmap ends = {0};
	struct endpoint ep;

	for (uint32_t i = 0; i < t->pass->n_held; i++) {
		const struct cl_held *e = &t->pass->held[i];

		if (e->id)
			continue;
		endpoint_set(&ep, e->family, e->raddr, e->rport);
		if (idmap_put(&ends, end_hash(&ep, e->netns), i))
			break;
	}
	for (uint32_t slot = 0; slot < t->conns.n; slot++) {
		struct tracked *c = conn_at(t, slot);
		const struct cl_sock *s;

		if (!c->id || c->sock == NOT_IN_PASS || (!ends.n && !c->via))
			continue;
		s = &t->pass->socks[c->sock];
		endpoint_set(&ep, s->family, s->laddr, s->lport);
		tell_via(t, c, find_end(t, &ends, &ep, s->netns));
	}
	idmap_release(&ends);
}

/* --- what counting missed --- */

static bool was_unknown(const struct translator *t, uint64_t id)
{
	for (uint32_t i = 0; i < t->n_unknown; i++)
		if (t->unknown[i] == id)
			return true;
	return false;
}

/*
 * Drift: what counting and the tables disagreed on in two walks running, and what was made up for
 * since the last one. Of one walk alone it would be what opened and closed meanwhile.
 */
static void measure_drift(struct translator *t)
{
	uint64_t now[MAX_UNKNOWN];
	uint32_t n_now = 0;

	t->stats.found += t->pass->n_found;
	t->drift = (int64_t)(translate_repaired(t) - t->repaired_before);
	t->repaired_before = translate_repaired(t);
	for (uint32_t i = 0; i < t->pass->n_held; i++) {
		uint64_t id = t->pass->held[i].id;

		if (!id || translate_find_conn(t, id) != IDMAP_NONE)
			continue;
		t->drift += was_unknown(t, id);
		if (n_now < MAX_UNKNOWN)
			now[n_now++] = id;
	}
	for (uint32_t i = 0; i < n_now; i++)
		t->unknown[i] = now[i];
	t->n_unknown = n_now;
}

void translate_walk(struct translator *t)
{
	struct walked *w = calloc(t->conns.n + 1, sizeof(*w));
	bool *tell = calloc(t->conns.n + 1, sizeof(*tell));

	measure_drift(t);
	if (w && tell) {
		t->unheld = 0;
		find_holders(t, w, tell);
		tell_holders(t, tell);
		find_ends(t);
	} else if (!t->err) {
		t->err = -ENOMEM;
	}
	free(w);
	free(tell);
}
