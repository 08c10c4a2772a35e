/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_filter.h"

#include <errno.h>
#include <stdlib.h>

#include "idmap.h"
#include "slots.h"

/* As many as the process table follows: what finds no room is not wanted. */
#define MAX_HOLDERS 32768
#define MAX_CONNS   500000
/* The last word on an ended process, its counters, comes some ticks after its exit. */
#define KEEP_EXITED 4096

struct known_holder {
	uint64_t id;
	struct holder_info info; /* until it was announced */
	bool is_wanted;		 /* asked for */
	bool is_announced;
	bool has_passed; /* a connection of it to a peer that is not wanted was left out */
	uint32_t next_free;
};

/* Of one that is not asked for, what is told of it should it move to a holder that is. */
struct known_conn {
	uint64_t id;
	uint64_t holder, site;
	int64_t tx_ns, rx_ns;
	uint64_t tx, rx;
	struct endpoint local, peer;
	uint32_t tid;
	uint32_t next_free;
	uint8_t last; /* enum io_last */
	bool has_io;
	bool is_told;
};

struct trace_filter {
	struct trace_filter_ops ops;
	struct slots holders, conns;
	struct idmap holder_map, conn_map;
	uint64_t exited[KEEP_EXITED]; /* ids, a ring; 0: none */
	uint32_t next_exited;
};

struct trace_filter *trace_filter_new(const struct trace_filter_ops *ops)
{
	struct trace_filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->ops = *ops;
	slots_init(&f->holders, sizeof(struct known_holder),
		   offsetof(struct known_holder, next_free), MAX_HOLDERS);
	slots_init(&f->conns, sizeof(struct known_conn), offsetof(struct known_conn, next_free),
		   MAX_CONNS);
	return f;
}

void trace_filter_free(struct trace_filter *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->holders.n; i++) {
		struct known_holder *h = slots_at(&f->holders, i);

		if (h->id)
			holder_info_release(&h->info);
	}
	slots_release(&f->holders);
	slots_release(&f->conns);
	idmap_release(&f->holder_map);
	idmap_release(&f->conn_map);
	free(f);
}

static uint32_t find(const struct slots *s, const struct idmap *m, uint64_t id)
{
	uint32_t pos, slot = idmap_first(m, idmap_hash(id), &pos);

	/* an entry's id stands first in it */
	while (slot != IDMAP_NONE && *(const uint64_t *)slots_at(s, slot) != id)
		slot = idmap_next(m, idmap_hash(id), &pos);
	return slot;
}

static int take(struct slots *s, struct idmap *m, uint64_t id, uint32_t *ret_slot)
{
	int err = idmap_reserve(m);

	if (!err)
		err = slots_take(s, ret_slot);
	return err ? err : idmap_put(m, idmap_hash(id), *ret_slot);
}

static void give(struct slots *s, struct idmap *m, uint32_t slot)
{
	uint64_t *id = slots_at(s, slot);

	idmap_del(m, idmap_hash(*id), slot);
	*id = 0;
	slots_give(s, slot);
}

static struct known_holder *find_holder(const struct trace_filter *f, uint64_t id)
{
	uint32_t slot = find(&f->holders, &f->holder_map, id);

	return slot == IDMAP_NONE ? NULL : slots_at(&f->holders, slot);
}

static struct known_conn *find_conn(const struct trace_filter *f, uint64_t id)
{
	uint32_t slot = find(&f->conns, &f->conn_map, id);

	return slot == IDMAP_NONE ? NULL : slots_at(&f->conns, slot);
}

static bool is_told(const struct trace_filter *f, uint64_t conn)
{
	const struct known_conn *c = find_conn(f, conn);

	return c && c->is_told;
}

static int announce(struct known_holder *h, int64_t t_ns, struct snapshot *out)
{
	int err;

	if (h->is_announced)
		return 0;
	err = snapshot_push_holder(out, t_ns, h->id, &h->info);
	if (err)
		return err;
	h->is_announced = true;
	holder_info_release(&h->info);
	return 0;
}

/* Told again, with more known, it is passed on where it was before. */
static int on_holder(struct trace_filter *f, const struct event *ev, struct snapshot *out)
{
	struct known_holder *h = find_holder(f, ev->holder);
	struct holder_info info;
	uint32_t slot;
	int err;

	if (h && h->is_announced)
		return snapshot_push_holder(out, ev->t_ns, ev->holder, ev->info);
	err = holder_info_copy(ev->info, &info);
	if (err)
		return err;
	if (!h) {
		err = take(&f->holders, &f->holder_map, ev->holder, &slot);
		if (err) {
			holder_info_release(&info);
			return err == -ENOSPC ? 0 : err;
		}
		h = slots_at(&f->holders, slot);
		*h = (struct known_holder){.id = ev->holder};
	} else {
		holder_info_release(&h->info);
	}
	h->info = info;
	h->is_wanted = f->ops.wants_holder(f->ops.arg, &info);
	return h->is_wanted ? announce(h, ev->t_ns, out) : 0;
}

static void forget(struct trace_filter *f, uint64_t id)
{
	uint32_t slot = id ? find(&f->holders, &f->holder_map, id) : IDMAP_NONE;
	struct known_holder *h;

	if (slot == IDMAP_NONE)
		return;
	h = slots_at(&f->holders, slot);
	holder_info_release(&h->info);
	give(&f->holders, &f->holder_map, slot);
}

static int on_holder_exit(struct trace_filter *f, const struct event *ev, struct snapshot *out)
{
	const struct known_holder *h = find_holder(f, ev->holder);

	if (!h)
		return 0;
	forget(f, f->exited[f->next_exited]);
	f->exited[f->next_exited] = ev->holder;
	f->next_exited = (f->next_exited + 1) % KEEP_EXITED;
	return h->is_announced ? snapshot_push(out, ev) : 0;
}

static int on_open(struct trace_filter *f, const struct event *ev, struct snapshot *out)
{
	struct known_holder *h = find_holder(f, ev->holder);
	struct known_conn *c;
	uint32_t slot;
	int err;

	if (!h)
		return 0;
	if (!f->ops.wants_peer(f->ops.arg, &ev->open.peer)) {
		h->has_passed = true;
		return 0;
	}
	err = take(&f->conns, &f->conn_map, ev->conn, &slot);
	if (err)
		return err == -ENOSPC ? 0 : err;
	c = slots_at(&f->conns, slot);
	*c = (struct known_conn){.id = ev->conn,
				 .holder = ev->holder,
				 .site = ev->site,
				 .tid = ev->tid,
				 .local = ev->open.local,
				 .peer = ev->open.peer,
				 .is_told = h->is_wanted};
	return c->is_told ? snapshot_push(out, ev) : 0;
}

static int on_io(struct trace_filter *f, const struct event *ev, struct snapshot *out)
{
	struct known_conn *c = find_conn(f, ev->conn);

	if (!c)
		return 0;
	c->tx_ns = ev->io.tx_ns;
	c->rx_ns = ev->io.rx_ns;
	c->tx = ev->io.tx;
	c->rx = ev->io.rx;
	c->last = (uint8_t)ev->io.last;
	c->has_io = true;
	return c->is_told ? snapshot_push(out, ev) : 0;
}

static int on_close(struct trace_filter *f, const struct event *ev, struct snapshot *out)
{
	uint32_t slot = find(&f->conns, &f->conn_map, ev->conn);
	bool was_told = is_told(f, ev->conn);

	if (slot == IDMAP_NONE)
		return 0;
	give(&f->conns, &f->conn_map, slot);
	return was_told ? snapshot_push(out, ev) : 0;
}

/* What has been open for long is told now, as one that was open before: its age is a bound. */
static int tell_late(struct trace_filter *f, struct known_conn *c, int64_t t_ns,
		     struct snapshot *out)
{
	struct known_holder *h = find_holder(f, c->holder);
	struct event ev = {.t_ns = t_ns,
			   .kind = EV_OPEN,
			   .conn = c->id,
			   .holder = c->holder,
			   .site = c->site,
			   .tid = c->tid,
			   .open = {c->local, c->peer, true}};
	int err = h ? announce(h, t_ns, out) : 0;

	/* an opener that is forgotten cannot be told any more */
	if (err || !h)
		return err;
	c->is_told = true;
	err = snapshot_push(out, &ev);
	if (err || !c->has_io)
		return err;
	ev.kind = EV_IO;
	ev.io.tx_ns = c->tx_ns;
	ev.io.rx_ns = c->rx_ns;
	ev.io.tx = c->tx;
	ev.io.rx = c->rx;
	ev.io.last = (enum io_last)c->last;
	return snapshot_push(out, &ev);
}

/* A connection's event that names another holder, 0 for none. */
static int on_reference(struct trace_filter *f, const struct event *ev, uint64_t holder,
			struct snapshot *out)
{
	struct known_holder *h = holder ? find_holder(f, holder) : NULL;
	int err;

	if (!is_told(f, ev->conn) || (holder && !h))
		return 0;
	err = h ? announce(h, ev->t_ns, out) : 0;
	return err ? err : snapshot_push(out, ev);
}

static int on_move(struct trace_filter *f, const struct event *ev, struct snapshot *out)
{
	struct known_conn *c = find_conn(f, ev->conn);
	const struct known_holder *to = find_holder(f, ev->holder);
	int err = 0;

	if (c && to && to->is_wanted && !c->is_told)
		err = tell_late(f, c, ev->t_ns, out);
	if (c && !c->is_told)
		c->holder = ev->holder;
	return err ? err : on_reference(f, ev, ev->holder, out);
}

static bool is_about_wanted(const struct trace_filter *f, const struct event *ev)
{
	const struct known_holder *h = find_holder(f, ev->holder);

	if (!h || !h->is_wanted)
		return false;
	if (ev->kind == EV_COUNT)
		return !h->has_passed;
	return ev->kind != EV_FAIL || f->ops.wants_peer(f->ops.arg, &ev->fail.peer);
}

static int apply(struct trace_filter *f, const struct event *ev, struct snapshot *out)
{
	switch (ev->kind) {
	case EV_HOLDER:
		return on_holder(f, ev, out);
	case EV_EXIT:
		return on_holder_exit(f, ev, out);
	case EV_SITE:
		return snapshot_push_site(out, ev->t_ns, ev->site, ev->site_info);
	case EV_OPEN:
		return on_open(f, ev, out);
	case EV_CLOSE:
		return on_close(f, ev, out);
	case EV_MOVE:
		return on_move(f, ev, out);
	case EV_VIA:
		return on_reference(f, ev, ev->via, out);
	case EV_IO:
		return on_io(f, ev, out);
	case EV_USE:
	case EV_FIN:
	case EV_HELD:
		return is_told(f, ev->conn) ? snapshot_push(out, ev) : 0;
	case EV_FAIL:
	case EV_COUNT:
	case EV_THREAD_EXIT:
		return is_about_wanted(f, ev) ? snapshot_push(out, ev) : 0;
	case EV_BUDGET:
		if (ev->budget.peer.family && !f->ops.wants_peer(f->ops.arg, &ev->budget.peer))
			return 0;
		return snapshot_push(out, ev);
	case EV_LOST:
	case EV_TICK:
	case EV_END:
	case EV_MAX:
		break;
	}
	return snapshot_push(out, ev);
}

int trace_filter_apply(struct trace_filter *f, const struct snapshot *in, struct snapshot *out)
{
	int err = 0;

	out->now_ns = in->now_ns;
	out->wall_offset_ns = in->wall_offset_ns;
	out->drift = in->drift;
	out->unheld = in->unheld;
	out->repaired = in->repaired;
	for (size_t i = 0; i < in->n_events && !err; i++)
		err = apply(f, &in->events[i], out);
	return err;
}
