/* SPDX-License-Identifier: Apache-2.0 */
#include "translate.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../core/idmap.h"
#include "../core/slots.h"

#define MAX_TRACKED   500000
#define MAX_HOLDERS   65536
#define COUNT_EVERY   60 /* ticks */
#define LOST_AFTER    2	 /* passes that must agree before a record counts as lost */
#define NOT_IN_PASS   UINT32_MAX
#define FIRST_RECORDS 256

enum tracked_state { TRACKED_OPEN, TRACKED_FIN, TRACKED_SHUTDOWN };

/* What was told of one connection so far, to tell only what is new. */
struct tracked {
	uint64_t id; /* 0: free */
	uint64_t tx, rx;
	uint32_t holder; /* slot */
	union {
		uint32_t sock;	    /* index in this tick's pass, or NOT_IN_PASS */
		uint32_t next_free; /* the slot table's */
	};
	uint8_t state;	/* enum tracked_state */
	uint8_t last;	/* enum io_last */
	uint8_t misses; /* passes in a row that contradict what was told */
};

struct known_holder {
	uint64_t id; /* 0: free */
	struct cl_holder_key key;
	uint32_t n_conns;
	uint32_t next_free;
	bool is_exited;
};

union record {
	struct cl_rec head;
	struct cl_rec_open open;
	struct cl_rec_end end;
};

struct translator {
	struct translate_ops ops;
	int64_t jiffy_ns;
	int64_t last_now_ns; /* T_NEVER before the first tick */
	int64_t floor_ns;    /* no event of this tick is earlier */
	uint64_t n_ticks;
	uint64_t next_holder_id;
	struct slots conns; /* struct tracked */
	struct idmap conn_ids;
	struct slots holders; /* struct known_holder */
	struct idmap holder_keys;
	union record *records;
	size_t n_records, cap_records;
	struct translate_stats stats;
	/* this tick's */
	const struct pass *pass;
	struct snapshot *out;
	int err; /* the first failure; what follows is not emitted */
};

struct translator *translator_new(int64_t jiffy_ns, const struct translate_ops *ops)
{
	struct translator *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ops = *ops;
	t->jiffy_ns = jiffy_ns;
	t->last_now_ns = T_NEVER;
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

static void emit(struct translator *t, struct event *ev, int64_t t_ns)
{
	ev->t_ns = t_ns < t->floor_ns ? t->floor_ns : t_ns;
	if (!t->err)
		t->err = snapshot_push(t->out, ev);
}

static void endpoint_of(struct endpoint *ep, int family, const uint8_t *addr, uint16_t port)
{
	endpoint_set(ep, family == AF_INET6 || family == 6 ? 6 : 4, addr, port);
}

static uint64_t key_hash(const struct cl_holder_key *key)
{
	return idmap_hash(key->start_ns ^ (uint64_t)key->tgid << 40);
}

static struct known_holder *holder_at(const struct translator *t, uint32_t slot)
{
	return slots_at(&t->holders, slot);
}

static uint32_t find_holder(const struct translator *t, const struct cl_holder_key *key)
{
	uint32_t pos, slot;

	for (slot = idmap_first(&t->holder_keys, key_hash(key), &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&t->holder_keys, key_hash(key), &pos)) {
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

/* Slot of the holder, which is announced if it is new; IDMAP_NONE without memory or room. */
static uint32_t get_holder(struct translator *t, const struct cl_holder_key *key)
{
	uint32_t slot = find_holder(t, key);
	struct known_holder *h;

	if (slot != IDMAP_NONE)
		return slot;
	if (slots_take(&t->holders, &slot))
		return IDMAP_NONE;
	h = holder_at(t, slot);
	*h = (struct known_holder){.id = ++t->next_holder_id, .key = *key};
	if (idmap_put(&t->holder_keys, key_hash(key), slot)) {
		h->id = 0;
		slots_give(&t->holders, slot);
		return IDMAP_NONE;
	}
	announce(t, h);
	return slot;
}

static struct tracked *conn_at(const struct translator *t, uint32_t slot)
{
	return slots_at(&t->conns, slot);
}

static uint32_t find_conn(const struct translator *t, uint64_t id)
{
	uint32_t pos, slot;

	for (slot = idmap_first(&t->conn_ids, idmap_hash(id), &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&t->conn_ids, idmap_hash(id), &pos))
		if (conn_at(t, slot)->id == id)
			return slot;
	return IDMAP_NONE;
}

/* A full table is what the process table says and counts too: nothing is emitted here. */
static uint32_t track(struct translator *t, uint64_t id, const struct cl_holder_key *key)
{
	uint32_t holder = get_holder(t, key), slot;
	struct tracked *c;

	if (holder == IDMAP_NONE || slots_take(&t->conns, &slot))
		return IDMAP_NONE;
	c = conn_at(t, slot);
	*c = (struct tracked){.id = id, .holder = holder, .sock = NOT_IN_PASS};
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
	emit(t, &ev, t_ns);
}

static void emit_close(struct translator *t, uint32_t slot, enum close_by by, int64_t t_ns)
{
	struct tracked *c = conn_at(t, slot);
	struct event ev = {.kind = EV_CLOSE,
			   .conn = c->id,
			   .holder = holder_at(t, c->holder)->id,
			   .close = by};

	emit(t, &ev, t_ns);
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
	c->misses = 0;
	emit(t, &ev, t_ns);
}

/* --- records --- */

static void on_open(struct translator *t, const struct cl_rec_open *r)
{
	struct event ev = {.kind = EV_OPEN, .conn = r->id, .tid = r->head.tid, .site = r->site};
	uint32_t slot = find_conn(t, r->id);

	if (slot == IDMAP_NONE)
		return;
	ev.holder = holder_at(t, conn_at(t, slot)->holder)->id;
	endpoint_of(&ev.open.local, r->family, r->laddr, r->lport);
	endpoint_of(&ev.open.peer, r->family, r->raddr, r->rport);
	emit(t, &ev, (int64_t)r->head.t_ns);
}

static void on_fail(struct translator *t, const struct cl_rec_end *r)
{
	struct event ev = {.kind = EV_FAIL, .tid = r->head.tid};
	uint32_t holder = get_holder(t, &r->head.holder);

	if (holder == IDMAP_NONE)
		return;
	ev.holder = holder_at(t, holder)->id;
	endpoint_of(&ev.fail.peer, r->family, r->raddr, r->rport);
	ev.fail.err = r->err;
	emit(t, &ev, (int64_t)r->head.t_ns);
}

static bool holds_fd(const struct translator *t, const struct tracked *c)
{
	return c->sock != NOT_IN_PASS && t->pass->socks[c->sock].flags & CL_FD;
}

static void on_end(struct translator *t, const struct cl_rec_end *r)
{
	struct moved m = {r->tx_bytes,	     r->rx_bytes,      r->tx_age_jiffies,
			  r->rx_age_jiffies, last_of(r->last), (int64_t)r->head.t_ns};
	uint32_t slot = find_conn(t, r->id);
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
	else if (c->state == TRACKED_OPEN)
		emit_fin(t, c, r->how, t_ns);
}

static void on_task_end(struct translator *t, const struct cl_rec *r)
{
	uint32_t slot = find_holder(t, &r->holder);
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
	emit(t, &ev, (int64_t)r->t_ns);
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
	emit(t, &ev, (int64_t)s->opened_ns);
	if (!ev.open.adopted)
		t->stats.made_up_opens++;
	if (!(s->flags & CL_SLOT))
		emit_fin(t, c, s->how, (int64_t)s->slot_end_ns);
}

static void match_pass(struct translator *t)
{
	for (uint32_t i = 0; i < t->pass->n; i++) {
		const struct cl_sock *s = &t->pass->socks[i];
		uint32_t slot = find_conn(t, s->id);

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
		c->sock = NOT_IN_PASS;
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

/* --- losses and counters --- */

/* What the kernel counted already and the next tick will tell. */
static void subtract_pending(const struct translator *t, const struct cl_holder_key *key,
			     struct counts *n)
{
	for (size_t i = 0; i < t->n_records; i++) {
		const union record *r = &t->records[i];

		if (r->head.holder.tgid != key->tgid || r->head.holder.start_ns != key->start_ns)
			continue;
		if (r->head.kind == CL_REC_OPEN) {
			n->opened--;
			n->open--;
		} else if (r->head.kind == CL_REC_FAIL) {
			n->failed--;
		} else if (r->head.kind == CL_REC_FD_END ||
			   (r->head.kind == CL_REC_SLOT_END &&
			    (r->end.how == CL_HOW_APP || r->end.how == CL_HOW_EXIT))) {
			n->closed--;
			n->open++;
		}
	}
}

static void emit_count(struct translator *t, struct known_holder *h)
{
	struct event ev = {.kind = EV_COUNT, .holder = h->id};
	int64_t exit_ns = T_NEVER;

	if (!t->ops.counts(t->ops.arg, &h->key, &ev.count, &exit_ns))
		return;
	subtract_pending(t, &h->key, &ev.count);
	emit(t, &ev, t->pass->now_ns);
	if (exit_ns != T_NEVER && exit_ns <= t->pass->now_ns && !h->is_exited) {
		struct event gone = {.kind = EV_EXIT, .holder = h->id};

		h->is_exited = true;
		emit(t, &gone, t->pass->now_ns);
	}
}

static void emit_losses(struct translator *t)
{
	uint64_t lost = 0;

	for (uint32_t where = 0; where < LOST_MAX; where++) {
		struct event ev = {.kind = EV_LOST};

		if (!t->pass->lost[where])
			continue;
		ev.lost.events = t->pass->lost[where];
		ev.lost.where = where;
		emit(t, &ev, t->pass->now_ns);
		lost += ev.lost.events;
	}
	if (!lost && t->n_ticks % COUNT_EVERY)
		return;
	for (uint32_t i = 0; i < t->holders.n; i++)
		if (holder_at(t, i)->id)
			emit_count(t, holder_at(t, i));
}

static void forget_the_dead(struct translator *t)
{
	for (uint32_t i = 0; i < t->holders.n; i++) {
		struct known_holder *h = holder_at(t, i);

		if (!h->id || !h->is_exited || h->n_conns)
			continue;
		t->ops.forget(t->ops.arg, &h->key);
		idmap_del(&t->holder_keys, key_hash(&h->key), i);
		h->id = 0;
		slots_give(&t->holders, i);
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

/* Keeps what waits for the next tick, and of the memory that a burst took no more than it needs. */
static void drop_records(struct translator *t, size_t n)
{
	union record *smaller;

	if (!n)
		return;
	t->n_records -= n;
	memmove(t->records, t->records + n, t->n_records * sizeof(*t->records));
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

	/* the pass must find what the records open, before they are told what it found */
	for (size_t i = 0; i < n_ready; i++)
		if (t->records[i].head.kind == CL_REC_OPEN &&
		    find_conn(t, t->records[i].open.id) == IDMAP_NONE)
			track(t, t->records[i].open.id, &t->records[i].head.holder);
	match_pass(t);
	for (size_t i = 0; i < n_ready; i++)
		on_record(t, &t->records[i]);
	drop_records(t, n_ready);
	compare_with_pass(t);
	if (!t->err)
		t->err = snapshot_sort(s);
	emit_losses(t);
	forget_the_dead(t);
	emit(t, &tick, p->now_ns);
	s->now_ns = p->now_ns;
	t->last_now_ns = p->now_ns;
	t->n_ticks++;
	t->pass = NULL;
	t->out = NULL;
	return t->err;
}
