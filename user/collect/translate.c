/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "translate_impl.h"

struct translator *translator_new(int64_t jiffy_ns, const struct translate_ops *ops)
{
	struct translator *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ops = *ops;
	t->jiffy_ns = jiffy_ns;
	t->last_now_ns = T_NEVER;
	t->drift = -1;
	t->unheld = -1;
	slots_init(&t->conns, sizeof(struct tracked), offsetof(struct tracked, next_free),
		   MAX_TRACKED);
	slots_init(&t->holders, sizeof(struct known_holder),
		   offsetof(struct known_holder, next_free), MAX_HOLDERS);
	return t;
}

void translator_free(struct translator *t)
{
	if (!t)
		return;
	slots_release(&t->conns);
	slots_release(&t->holders);
	idmap_release(&t->conn_ids);
	idmap_release(&t->holder_keys);
	free(t->records);
	free(t);
}

void translator_stats(const struct translator *t, struct translate_stats *ret)
{
	*ret = t->stats;
}

static size_t record_size(uint32_t kind)
{
	switch (kind) {
	case CL_REC_OPEN:
		return sizeof(struct cl_rec_open);
	case CL_REC_SLOT_END:
	case CL_REC_FD_END:
	case CL_REC_FAIL:
		return sizeof(struct cl_rec_end);
	case CL_REC_EXIT:
	case CL_REC_THREAD_EXIT:
		return sizeof(struct cl_rec);
	default:
		return 0;
	}
}

int translator_record(struct translator *t, const struct cl_rec *r, size_t size)
{
	size_t want = record_size(r->kind);

	if (!want || size < want)
		return -EINVAL;
	if (t->n_records == t->cap_records) {
		size_t cap = t->cap_records ? t->cap_records * 2 : FIRST_RECORDS;
		union record *bigger = reallocarray(t->records, cap, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		t->records = bigger;
		t->cap_records = cap;
	}
	memcpy(&t->records[t->n_records++], r, want);
	return 0;
}

/* --- emitting --- */

void translate_emit(struct translator *t, struct event *ev, int64_t t_ns)
{
	ev->t_ns = t_ns < t->floor_ns ? t->floor_ns : t_ns;
	if (!t->err)
		t->err = snapshot_push(t->out, ev);
}

static void endpoint_of(struct endpoint *ep, int family, const uint8_t *addr, uint16_t port)
{
	endpoint_set(ep, family == AF_INET6 || family == 6 ? 6 : 4, addr, port);
}

uint64_t translate_key_hash(const struct cl_holder_key *key)
{
	return idmap_hash(key->start_ns ^ (uint64_t)key->tgid << 40);
}

uint32_t translate_find_holder(const struct translator *t, const struct cl_holder_key *key)
{
	uint32_t pos, slot;

	for (slot = idmap_first(&t->holder_keys, translate_key_hash(key), &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&t->holder_keys, translate_key_hash(key), &pos)) {
		const struct known_holder *h = holder_at(t, slot);

		if (h->key.tgid == key->tgid && h->key.start_ns == key->start_ns)
			return slot;
	}
	return IDMAP_NONE;
}

static void announce(struct translator *t, const struct known_holder *h)
{
	struct holder_info info = {
		.pid = h->key.tgid, .start_ns = (int64_t)h->key.start_ns, .uid = -1};

	t->ops.identify(t->ops.arg, &h->key, &info);
	if (!t->err)
		t->err = snapshot_push_holder(t->out, t->floor_ns, h->id, &info);
	holder_info_release(&info);
}

uint32_t translate_get_holder(struct translator *t, const struct cl_holder_key *key)
{
	uint32_t slot = translate_find_holder(t, key);
	struct known_holder *h;

	if (slot != IDMAP_NONE)
		return slot;
	if (slots_take(&t->holders, &slot))
		return IDMAP_NONE;
	h = holder_at(t, slot);
	*h = (struct known_holder){.id = ++t->next_holder_id, .key = *key};
	if (idmap_put(&t->holder_keys, translate_key_hash(key), slot)) {
		h->id = 0;
		slots_give(&t->holders, slot);
		return IDMAP_NONE;
	}
	announce(t, h);
	return slot;
}

uint32_t translate_find_conn(const struct translator *t, uint64_t id)
{
	uint32_t pos, slot;

	for (slot = idmap_first(&t->conn_ids, idmap_hash(id), &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&t->conn_ids, idmap_hash(id), &pos))
		if (conn_at(t, slot)->id == id)
			return slot;
	return IDMAP_NONE;
}

/* What finds no room, here, is told as lost at the end of the tick. */
static uint32_t track(struct translator *t, uint64_t id, const struct cl_holder_key *key)
{
	uint32_t holder = translate_get_holder(t, key), slot;
	struct tracked *c;

	if (holder == IDMAP_NONE || slots_take(&t->conns, &slot)) {
		t->n_untracked++;
		return IDMAP_NONE;
	}
	c = conn_at(t, slot);
	*c = (struct tracked){.id = id,
			      .holder = holder,
			      .opener = holder,
			      .opener_id = (uint32_t)holder_at(t, holder)->id,
			      .sock = NOT_IN_PASS};
	if (idmap_put(&t->conn_ids, idmap_hash(id), slot)) {
		c->id = 0;
		slots_give(&t->conns, slot);
		return IDMAP_NONE;
	}
	holder_at(t, holder)->n_conns++;
	return slot;
}

static void untrack(struct translator *t, uint32_t slot)
{
	struct tracked *c = conn_at(t, slot);

	holder_at(t, c->holder)->n_conns--;
	idmap_del(&t->conn_ids, idmap_hash(c->id), slot);
	c->id = 0;
	slots_give(&t->conns, slot);
}

/* --- one event each --- */

static enum io_last last_of(uint32_t last)
{
	return last == CL_LAST_RX ? IO_LAST_RX : last == CL_LAST_TX ? IO_LAST_TX : IO_LAST_UNKNOWN;
}

struct moved {
	uint64_t tx, rx;
	uint32_t tx_age, rx_age; /* jiffies, at ref_ns */
	enum io_last last;
	int64_t ref_ns;
};

/* An age beyond half of the 32-bit range is none: the counter had wrapped. */
static int64_t time_of(const struct translator *t, uint64_t bytes, uint32_t age, int64_t ref_ns)
{
	if (!bytes || age > INT32_MAX)
		return T_NEVER;
	return ref_ns - (int64_t)age * t->jiffy_ns;
}

static void emit_io(struct translator *t, struct tracked *c, const struct moved *m, int64_t t_ns)
{
	struct event ev = {.kind = EV_IO, .conn = c->id, .holder = holder_at(t, c->holder)->id};

	if (m->tx == c->tx && m->rx == c->rx && m->last == c->last)
		return;
	/* byte counts never fall: a record whose socket was torn down already says less */
	if (m->tx < c->tx || m->rx < c->rx)
		return;
	c->tx = m->tx;
	c->rx = m->rx;
	c->last = m->last;
	ev.io.tx = m->tx;
	ev.io.rx = m->rx;
	ev.io.last = m->last;
	ev.io.tx_ns = time_of(t, m->tx, m->tx_age, m->ref_ns);
	ev.io.rx_ns = time_of(t, m->rx, m->rx_age, m->ref_ns);
	translate_emit(t, &ev, t_ns);
}

/* In whose counters the kernel sees its end; IDMAP_NONE: its opener is forgotten there and here. */
static uint32_t counter_of(const struct translator *t, const struct tracked *c)
{
	return holder_at(t, c->opener)->id == c->opener_id ? c->opener : IDMAP_NONE;
}

static void emit_close(struct translator *t, uint32_t slot, enum close_by by, int64_t t_ns)
{
	struct tracked *c = conn_at(t, slot);
	struct event ev = {.kind = EV_CLOSE,
			   .conn = c->id,
			   .holder = holder_at(t, c->holder)->id,
			   .close = by};
	uint32_t counter = counter_of(t, c);

	/* of a half-closed one the kernel counted the end long ago, and its move settled the rest */
	if (c->state == TRACKED_SHUTDOWN) {
		holder_at(t, c->holder)->n_shutdown--;
	} else if (counter != c->holder) {
		holder_at(t, c->holder)->closed_more++;
		if (counter != IDMAP_NONE)
			holder_at(t, counter)->closed_more--;
	}
	translate_emit(t, &ev, t_ns);
	untrack(t, slot);
}

static enum fin_how fin_of(uint32_t how)
{
	switch (how) {
	case CL_HOW_RESET:
		return FIN_RESET;
	case CL_HOW_TIMEOUT:
		return FIN_TIMEOUT;
	case CL_HOW_APP:
	case CL_HOW_EXIT:
		return FIN_SHUTDOWN;
	default:
		return FIN_PEER;
	}
}

static void emit_fin(struct translator *t, struct tracked *c, uint32_t how, int64_t t_ns)
{
	struct event ev = {.kind = EV_FIN,
			   .conn = c->id,
			   .holder = holder_at(t, c->holder)->id,
			   .fin = fin_of(how)};

	c->state = ev.fin == FIN_SHUTDOWN ? TRACKED_SHUTDOWN : TRACKED_FIN;
	if (ev.fin == FIN_SHUTDOWN)
		holder_at(t, c->holder)->n_shutdown++;
	c->misses = 0;
	translate_emit(t, &ev, t_ns);
}

/* --- records --- */

static void on_open(struct translator *t, const struct cl_rec_open *r)
{
	struct event ev = {.kind = EV_OPEN, .conn = r->id, .tid = r->head.tid, .site = r->site};
	uint32_t slot = translate_find_conn(t, r->id);

	if (slot == IDMAP_NONE)
		return;
	ev.holder = holder_at(t, conn_at(t, slot)->holder)->id;
	endpoint_of(&ev.open.local, r->family, r->laddr, r->lport);
	endpoint_of(&ev.open.peer, r->family, r->raddr, r->rport);
	translate_emit(t, &ev, (int64_t)r->head.t_ns);
}

static void on_fail(struct translator *t, const struct cl_rec_end *r)
{
	struct event ev = {.kind = EV_FAIL, .tid = r->head.tid};
	uint32_t holder = translate_find_holder(t, &r->head.holder);

	/* of a process that ended before its connect did, in an earlier tick */
	if (holder == IDMAP_NONE)
		return;
	ev.holder = holder_at(t, holder)->id;
	endpoint_of(&ev.fail.peer, r->family, r->raddr, r->rport);
	ev.fail.err = r->err;
	translate_emit(t, &ev, (int64_t)r->head.t_ns);
}

static bool holds_fd(const struct translator *t, const struct tracked *c)
{
	return c->sock != NOT_IN_PASS && t->pass->socks[c->sock].flags & CL_FD;
}

static void on_end(struct translator *t, const struct cl_rec_end *r)
{
	struct moved m = {r->tx_bytes,	     r->rx_bytes,      r->tx_age_jiffies,
			  r->rx_age_jiffies, last_of(r->last), (int64_t)r->head.t_ns};
	uint32_t slot = translate_find_conn(t, r->id);
	int64_t t_ns = (int64_t)r->head.t_ns;
	struct tracked *c;

	if (slot == IDMAP_NONE)
		return;
	c = conn_at(t, slot);
	emit_io(t, c, &m, t_ns);
	if (r->head.kind == CL_REC_FD_END)
		emit_close(t, slot, CLOSE_APP, t_ns);
	else if (r->how == CL_HOW_EXIT)
		emit_close(t, slot, CLOSE_EXIT, t_ns);
	else if (r->how == CL_HOW_APP && !holds_fd(t, c))
		emit_close(t, slot, CLOSE_APP, t_ns);
	else if (r->how == CL_HOW_UNKNOWN)
		emit_close(t, slot, CLOSE_PEER, t_ns);
	else if (c->state == TRACKED_OPEN)
		emit_fin(t, c, r->how, t_ns);
}

/* Untold here, and the kernel has counted something of it, and was not told to forget it. */
static bool is_untold(const struct translator *t, const struct cl_holder_key *key)
{
	struct counts n = {0};
	int64_t exit_ns;

	return translate_find_holder(t, key) == IDMAP_NONE &&
	       t->ops.counts(t->ops.arg, key, &n, &exit_ns) && n.opened + n.adopted + n.failed;
}

static void on_task_end(struct translator *t, const struct cl_rec *r)
{
	uint32_t slot = r->kind == CL_REC_EXIT && is_untold(t, &r->holder)
				? translate_get_holder(t, &r->holder)
				: translate_find_holder(t, &r->holder);
	struct event ev = {.kind = r->kind == CL_REC_EXIT ? EV_EXIT : EV_THREAD_EXIT,
			   .tid = r->tid};

	if (slot == IDMAP_NONE) {
		if (r->kind == CL_REC_EXIT)
			t->ops.forget(t->ops.arg, &r->holder);
		return;
	}
	if (r->kind == CL_REC_EXIT && holder_at(t, slot)->is_exited)
		return;
	ev.holder = holder_at(t, slot)->id;
	if (r->kind == CL_REC_EXIT)
		holder_at(t, slot)->is_exited = true;
	translate_emit(t, &ev, (int64_t)r->t_ns);
}

static void on_record(struct translator *t, const union record *r)
{
	switch (r->head.kind) {
	case CL_REC_OPEN:
		on_open(t, &r->open);
		break;
	case CL_REC_FAIL:
		on_fail(t, &r->end);
		break;
	case CL_REC_SLOT_END:
	case CL_REC_FD_END:
		on_end(t, &r->end);
		break;
	default:
		on_task_end(t, &r->head);
	}
}

static int by_time(const void *a, const void *b)
{
	const union record *x = a, *y = b;

	if (x->head.t_ns != y->head.t_ns)
		return x->head.t_ns < y->head.t_ns ? -1 : 1;
	/* the kinds are numbered in the order of a connection's life */
	return x->head.kind < y->head.kind ? -1 : x->head.kind > y->head.kind;
}

/* --- the pass --- */

/* Not announced though it should have been: adopted, or its record was lost. */
static bool is_news(const struct translator *t, const struct cl_sock *s)
{
	if (s->flags & CL_ADOPTED)
		return true;
	return t->last_now_ns != T_NEVER && (int64_t)s->opened_ns <= t->last_now_ns &&
	       (int64_t)s->slot_end_ns <= t->last_now_ns;
}

static void open_from_pass(struct translator *t, const struct cl_sock *s, uint32_t index)
{
	struct event ev = {.kind = EV_OPEN, .conn = s->id, .tid = s->tid};
	uint32_t slot = track(t, s->id, &s->holder);
	struct tracked *c;

	if (slot == IDMAP_NONE)
		return;
	c = conn_at(t, slot);
	c->sock = index;
	ev.holder = holder_at(t, c->holder)->id;
	ev.open.adopted = s->flags & CL_ADOPTED;
	endpoint_of(&ev.open.local, s->family, s->laddr, s->lport);
	endpoint_of(&ev.open.peer, s->family, s->raddr, s->rport);
	translate_emit(t, &ev, (int64_t)s->opened_ns);
	if (!ev.open.adopted)
		t->stats.made_up_opens++;
	if (!(s->flags & CL_SLOT))
		emit_fin(t, c, s->how, (int64_t)s->slot_end_ns);
}

static void match_pass(struct translator *t)
{
	for (uint32_t i = 0; i < t->conns.n; i++)
		if (conn_at(t, i)->id)
			conn_at(t, i)->sock = NOT_IN_PASS;
	for (uint32_t i = 0; i < t->pass->n; i++) {
		const struct cl_sock *s = &t->pass->socks[i];
		uint32_t slot = translate_find_conn(t, s->id);

		if (slot != IDMAP_NONE)
			conn_at(t, slot)->sock = i;
		else if (is_news(t, s))
			open_from_pass(t, s, i);
	}
}

/* Its socket is there, and the two agree on what it is. */
static bool is_confirmed(const struct tracked *c, const struct cl_sock *s)
{
	if (!s)
		return false;
	if (!(s->flags & CL_SLOT))
		return c->state != TRACKED_OPEN;
	/* a slot without descriptor is only an orphan if its state has moved on */
	return s->flags & CL_FD || s->state == 1;
}

static void doubt(struct translator *t, uint32_t slot, const struct cl_sock *s)
{
	struct tracked *c = conn_at(t, slot);
	int64_t now_ns = t->pass->now_ns;

	/* what an array without room left out is not gone */
	if (!s && t->pass->n_missed)
		return;
	if (++c->misses < LOST_AFTER)
		return;
	if (c->state != TRACKED_SHUTDOWN)
		t->stats.made_up_closes++;
	if (s && !(s->flags & CL_SLOT) && s->flags & CL_FD)
		emit_fin(t, c, s->how, now_ns);
	else
		emit_close(t, slot, c->state == TRACKED_SHUTDOWN ? CLOSE_APP : CLOSE_PEER, now_ns);
}

static void compare_with_pass(struct translator *t)
{
	for (uint32_t i = 0; i < t->conns.n; i++) {
		struct tracked *c = conn_at(t, i);
		const struct cl_sock *s;

		if (!c->id)
			continue;
		s = c->sock == NOT_IN_PASS ? NULL : &t->pass->socks[c->sock];
		if (s) {
			struct moved m = {s->tx_bytes,	     s->rx_bytes,      s->tx_age_jiffies,
					  s->rx_age_jiffies, last_of(s->last), t->pass->pass_ns};

			emit_io(t, c, &m, t->pass->now_ns);
		}
		if (is_confirmed(c, s))
			c->misses = 0;
		else
			doubt(t, i, s);
	}
}

/* The earliest moment that this tick tells of. */
static int64_t find_floor(const struct translator *t, size_t n_ready)
{
	int64_t floor_ns = t->pass->now_ns;

	if (t->last_now_ns != T_NEVER)
		return t->last_now_ns;
	if (n_ready && (int64_t)t->records[0].head.t_ns < floor_ns)
		floor_ns = (int64_t)t->records[0].head.t_ns;
	for (uint32_t i = 0; i < t->pass->n; i++)
		if ((int64_t)t->pass->socks[i].opened_ns < floor_ns)
			floor_ns = (int64_t)t->pass->socks[i].opened_ns;
	return floor_ns;
}

/* Sorts what is waiting; returns how many of it are up to the tick. */
static size_t sort_records(struct translator *t)
{
	size_t n_ready = 0;

	if (t->n_records > 1)
		qsort(t->records, t->n_records, sizeof(*t->records), by_time);
	while (n_ready < t->n_records && (int64_t)t->records[n_ready].head.t_ns <= t->pass->now_ns)
		n_ready++;
	return n_ready;
}

/*
 * Before anything is told: the pass must find what the records open, and a process whose connect
 * fails after its own end must be known when its end is told, or nothing would ever end it.
 */
static void meet_records(struct translator *t, size_t n_ready)
{
	for (size_t i = 0; i < n_ready; i++) {
		const union record *r = &t->records[i];

		if (r->head.kind == CL_REC_OPEN && translate_find_conn(t, r->open.id) == IDMAP_NONE)
			track(t, r->open.id, &r->head.holder);
		else if (r->head.kind == CL_REC_FAIL && is_untold(t, &r->head.holder))
			translate_get_holder(t, &r->head.holder);
	}
}

/* Keeps what waits for the next tick, and of the memory that a burst took no more than it needs. */
static void drop_records(struct translator *t, size_t n)
{
	union record *smaller;

	if (n) {
		t->n_records -= n;
		memmove(t->records, t->records + n, t->n_records * sizeof(*t->records));
	}
	if (t->cap_records <= FIRST_RECORDS || n + t->n_records > t->cap_records / 4)
		return;
	smaller = reallocarray(t->records, t->cap_records / 2, sizeof(*smaller));
	if (smaller) {
		t->records = smaller;
		t->cap_records /= 2;
	}
}

int translator_tick(struct translator *t, const struct pass *p, struct snapshot *s)
{
	struct event tick = {.kind = EV_TICK};
	size_t n_ready;

	t->pass = p;
	t->out = s;
	t->err = 0;
	n_ready = sort_records(t);
	t->floor_ns = find_floor(t, n_ready);
	t->n_untracked = 0;

	meet_records(t, n_ready);
	match_pass(t);
	for (size_t i = 0; i < n_ready; i++)
		on_record(t, &t->records[i]);
	drop_records(t, n_ready);
	compare_with_pass(t);
	if (p->has_walk)
		translate_walk(t);
	if (!t->err)
		t->err = snapshot_sort(s);
	translate_count(t);
	translate_emit(t, &tick, p->now_ns);
	s->now_ns = p->now_ns;
	s->drift = t->drift;
	s->unheld = t->unheld;
	s->repaired = translate_repaired(t);
	t->last_now_ns = p->now_ns;
	t->n_ticks++;
	t->pass = NULL;
	t->out = NULL;
	return t->err;
}
