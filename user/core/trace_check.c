/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_check.h"

#include <errno.h>
#include <string.h>

#include "trace_fields.h"

#define NONE IDMAP_NONE

/* Neighbours in a struct trace_age; a free entry's `next` chains it. */
struct link {
	uint32_t prev, next;
};

struct seen_conn {
	uint64_t id;
	uint32_t holder; /* slot */
	uint32_t free;
};

/* Holders and sites begin alike: id and link. */
struct seen_holder {
	uint64_t id;
	struct link link; /* in `exited`, if it is there */
	int64_t start_ns;
	uint32_t pid;
	uint32_t n_open;
	bool is_exited;
};

struct seen_site {
	uint64_t id;
	struct link link; /* in `known` */
};

_Static_assert(offsetof(struct seen_holder, link) == offsetof(struct seen_site, link) &&
		       offsetof(struct seen_holder, link) == sizeof(uint64_t),
	       "struct trace_age works on both");

void trace_check_init(struct trace_check *c)
{
	const size_t link = offsetof(struct seen_holder, link.next);

	*c = (struct trace_check){.exited = {NONE, NONE, 0}, .known = {NONE, NONE, 0}};
	slots_init(&c->conns, sizeof(struct seen_conn), offsetof(struct seen_conn, free),
		   TRACE_MAX_CONNS);
	/* one more than is kept: the newest comes before the oldest goes */
	slots_init(&c->holders, sizeof(struct seen_holder), link,
		   TRACE_MAX_HOLDERS + TRACE_MAX_EXITED + 1);
	slots_init(&c->sites, sizeof(struct seen_site), link, TRACE_MAX_SITES);
}

void trace_check_release(struct trace_check *c)
{
	slots_release(&c->conns);
	slots_release(&c->holders);
	slots_release(&c->sites);
	idmap_release(&c->conn_map);
	idmap_release(&c->holder_map);
	idmap_release(&c->site_map);
}

/* --- finding, adding, dropping; every entry begins with its id --- */

static uint64_t id_at(const struct slots *s, uint32_t slot)
{
	return *(const uint64_t *)slots_at(s, slot);
}

static uint32_t find(const struct slots *s, const struct idmap *map, uint64_t id)
{
	uint64_t hash = idmap_hash(id);
	uint32_t pos, slot = idmap_first(map, hash, &pos);

	while (slot != NONE && id_at(s, slot) != id)
		slot = idmap_next(map, hash, &pos);
	return slot;
}

/* The new entry's content is undefined but for its id. Returns 0 or -ENOMEM. */
static int insert(struct slots *s, struct idmap *map, uint64_t id, uint32_t *ret_slot)
{
	uint32_t slot;
	int err = idmap_reserve(map);

	if (!err)
		err = slots_take(s, &slot);
	if (err)
		return -ENOMEM;
	idmap_put(map, idmap_hash(id), slot);
	*(uint64_t *)slots_at(s, slot) = id;
	*ret_slot = slot;
	return 0;
}

static void drop(struct slots *s, struct idmap *map, uint32_t slot)
{
	idmap_del(map, idmap_hash(id_at(s, slot)), slot);
	slots_give(s, slot);
}

static struct link *link_at(const struct slots *s, uint32_t slot)
{
	return (struct link *)((char *)slots_at(s, slot) + sizeof(uint64_t));
}

static void age_append(struct trace_age *a, const struct slots *s, uint32_t slot)
{
	*link_at(s, slot) = (struct link){.prev = a->last, .next = NONE};
	if (a->last != NONE)
		link_at(s, a->last)->next = slot;
	else
		a->first = slot;
	a->last = slot;
	a->n++;
}

static void age_remove(struct trace_age *a, const struct slots *s, uint32_t slot)
{
	struct link l = *link_at(s, slot);

	if (l.prev != NONE)
		link_at(s, l.prev)->next = l.next;
	else
		a->first = l.next;
	if (l.next != NONE)
		link_at(s, l.next)->prev = l.prev;
	else
		a->last = l.prev;
	a->n--;
}

static struct seen_conn *conn_at(const struct trace_check *c, uint32_t slot)
{
	return slots_at(&c->conns, slot);
}

static struct seen_holder *holder_at(const struct trace_check *c, uint32_t slot)
{
	return slots_at(&c->holders, slot);
}

static int complain(struct trace_complaint *ret, const char *field, const char *want)
{
	*ret = (struct trace_complaint){field, want};
	return -EBADMSG;
}

static int find_conn(const struct trace_check *c, const struct event *ev, uint32_t *ret_slot,
		     struct trace_complaint *ret)
{
	*ret_slot = find(&c->conns, &c->conn_map, ev->conn);
	return *ret_slot == NONE ? complain(ret, "conn", "the id of an open connection") : 0;
}

static int find_holder(const struct trace_check *c, const struct event *ev, uint32_t *ret_slot,
		       struct trace_complaint *ret)
{
	*ret_slot = find(&c->holders, &c->holder_map, ev->holder);
	return *ret_slot == NONE ? complain(ret, "holder", "the id of a holder known here") : 0;
}

/* --- holders --- */

static bool may_be_forgotten(const struct seen_holder *h)
{
	return h->is_exited && !h->n_open;
}

/* After a change of what may_be_forgotten() asks: @was is what it said before. */
static void settle(struct trace_check *c, uint32_t slot, bool was)
{
	bool is = may_be_forgotten(holder_at(c, slot));

	if (was && !is) {
		age_remove(&c->exited, &c->holders, slot);
		c->n_holders++;
	} else if (is && !was) {
		age_append(&c->exited, &c->holders, slot);
		c->n_holders--;
	}
	if (c->exited.n > TRACE_MAX_EXITED) {
		slot = c->exited.first;
		age_remove(&c->exited, &c->holders, slot);
		drop(&c->holders, &c->holder_map, slot);
		c->n_forgotten++;
	}
}

static void hold(struct trace_check *c, uint32_t slot, int n)
{
	struct seen_holder *h = holder_at(c, slot);
	bool was = may_be_forgotten(h);

	h->n_open += (uint32_t)n;
	settle(c, slot, was);
}

/* A holder is told again when more is known of it; it stays the same process. */
static int check_holder(struct trace_check *c, const struct event *ev, struct trace_complaint *ret)
{
	uint32_t slot = find(&c->holders, &c->holder_map, ev->holder);
	int err;

	if (slot != NONE) {
		const struct seen_holder *h = holder_at(c, slot);

		if (h->pid == ev->info->pid && h->start_ns == ev->info->start_ns)
			return 0;
		return complain(ret, "holder", "an id that is no other process's");
	}
	if (c->n_holders >= TRACE_MAX_HOLDERS)
		return complain(ret, "holder", "262144 holders at most at one time");
	err = insert(&c->holders, &c->holder_map, ev->holder, &slot);
	if (err)
		return err;
	*holder_at(c, slot) = (struct seen_holder){
		.id = ev->holder, .pid = ev->info->pid, .start_ns = ev->info->start_ns};
	c->n_holders++;
	return 0;
}

/* A second exit of the same holder says nothing new. */
static int check_exit(struct trace_check *c, const struct event *ev, struct trace_complaint *ret)
{
	uint32_t slot;
	int err = find_holder(c, ev, &slot, ret);
	bool was;

	if (err)
		return err;
	was = may_be_forgotten(holder_at(c, slot));
	holder_at(c, slot)->is_exited = true;
	settle(c, slot, was);
	return 0;
}

/*
 * The kernel's counters of a holder may be read long after its exit, when it is forgotten here.
 * Its id cannot then be told from one that never was: as long as all are known, an unknown one is
 * corrupt; afterwards it is passed on, and the process table refuses it without counting a loss.
 */
static int check_count(const struct trace_check *c, const struct event *ev,
		       struct trace_complaint *ret)
{
	uint32_t slot;

	return c->n_forgotten ? 0 : find_holder(c, ev, &slot, ret);
}

/* --- sites --- */

/* Named, or told anew: the last to give way. */
static void refresh_site(struct trace_check *c, uint32_t slot)
{
	if (c->known.last == slot)
		return;
	age_remove(&c->known, &c->sites, slot);
	age_append(&c->known, &c->sites, slot);
}

static int check_site(struct trace_check *c, const struct event *ev)
{
	uint32_t slot = find(&c->sites, &c->site_map, ev->site);
	int err;

	if (slot != NONE) {
		refresh_site(c, slot);
		return 0;
	}
	if (c->known.n == TRACE_MAX_SITES) {
		slot = c->known.first;
		age_remove(&c->known, &c->sites, slot);
		drop(&c->sites, &c->site_map, slot);
		c->n_evicted++;
	}
	/* what was just dropped leaves room: without memory nothing was dropped */
	err = insert(&c->sites, &c->site_map, ev->site, &slot);
	if (err)
		return err;
	age_append(&c->known, &c->sites, slot);
	return 0;
}

/*
 * Once a site had to give way an unknown id may be its: then nothing is known of the call site,
 * which is no reason to lose the connection.
 */
static int resolve_site(struct trace_check *c, struct event *ev, struct trace_complaint *ret)
{
	uint32_t slot;

	if (!ev->site)
		return 0;
	slot = find(&c->sites, &c->site_map, ev->site);
	if (slot == NONE && !c->n_evicted)
		return complain(ret, "site", "the id of a site told before, or null");
	if (slot == NONE)
		ev->site = 0;
	else
		refresh_site(c, slot);
	return 0;
}

/* --- connections --- */

static int check_open(struct trace_check *c, struct event *ev, struct trace_complaint *ret)
{
	uint32_t holder, slot;
	int err = find_holder(c, ev, &holder, ret);

	if (err)
		return err;
	if (find(&c->conns, &c->conn_map, ev->conn) != NONE)
		return complain(ret, "conn", "the id of no open connection");
	if (c->n_conns >= TRACE_MAX_CONNS)
		return complain(ret, "conn", "2097152 open connections at most");
	err = resolve_site(c, ev, ret);
	if (!err)
		err = insert(&c->conns, &c->conn_map, ev->conn, &slot);
	if (err)
		return err;
	conn_at(c, slot)->holder = holder;
	c->n_conns++;
	hold(c, holder, 1);
	return 0;
}

static int check_io(const struct trace_check *c, const struct event *ev,
		    struct trace_complaint *ret)
{
	const int64_t max_ns = ev->t_ns + TRACE_JIFFY_NS;
	uint32_t slot;

	if (ev->io.tx_ns > max_ns)
		return complain(ret, "tx_ns", "a time of at most 10 ms after t_ns");
	if (ev->io.rx_ns > max_ns)
		return complain(ret, "rx_ns", "a time of at most 10 ms after t_ns");
	return find_conn(c, ev, &slot, ret);
}

static int check_close(struct trace_check *c, const struct event *ev, struct trace_complaint *ret)
{
	uint32_t slot, holder;
	int err = find_conn(c, ev, &slot, ret);

	if (err)
		return err;
	holder = conn_at(c, slot)->holder;
	drop(&c->conns, &c->conn_map, slot);
	c->n_conns--;
	hold(c, holder, -1);
	return 0;
}

static int check_move(struct trace_check *c, const struct event *ev, struct trace_complaint *ret)
{
	uint32_t slot, from, to;
	int err = find_conn(c, ev, &slot, ret);

	if (!err)
		err = find_holder(c, ev, &to, ret);
	if (err)
		return err;
	from = conn_at(c, slot)->holder;
	conn_at(c, slot)->holder = to;
	/* in this order: what takes it over must not be forgotten for what gives it away */
	hold(c, to, 1);
	hold(c, from, -1);
	return 0;
}

static int check_via(const struct trace_check *c, const struct event *ev,
		     struct trace_complaint *ret)
{
	uint32_t slot;
	int err = find_conn(c, ev, &slot, ret);

	if (!err && ev->via && find(&c->holders, &c->holder_map, ev->via) == NONE)
		return complain(ret, "via", "the id of a holder known here, or 0");
	return err;
}

static int check_held(const struct trace_check *c, const struct event *ev,
		      struct trace_complaint *ret)
{
	uint32_t slot;

	if (ev->held.n > ev->held.total || !ev->held.n != !ev->held.total)
		return complain(ret, "total", "as many as pids or more, and 0 only without pids");
	return find_conn(c, ev, &slot, ret);
}

/* --- a line --- */

int trace_check_time(struct trace_check *c, int64_t t_ns, struct trace_complaint *ret)
{
	if (c->has_end)
		return complain(ret, "ev", "nothing after the line of `end`");
	if (t_ns < c->last_ns)
		return complain(ret, "t_ns", "a time not before that of the line before");
	c->last_ns = t_ns;
	return 0;
}

static int check_references(struct trace_check *c, struct event *ev, struct trace_complaint *ret)
{
	uint32_t slot;
	int err;

	switch (ev->kind) {
	case EV_HOLDER:
		return check_holder(c, ev, ret);
	case EV_EXIT:
		return check_exit(c, ev, ret);
	case EV_THREAD_EXIT:
		return find_holder(c, ev, &slot, ret);
	case EV_SITE:
		return check_site(c, ev);
	case EV_OPEN:
		return check_open(c, ev, ret);
	case EV_IO:
		return check_io(c, ev, ret);
	case EV_USE:
		err = find_conn(c, ev, &slot, ret);
		return err ? err : resolve_site(c, ev, ret);
	case EV_FIN:
		return find_conn(c, ev, &slot, ret);
	case EV_CLOSE:
		return check_close(c, ev, ret);
	case EV_FAIL:
		err = find_holder(c, ev, &slot, ret);
		return err ? err : resolve_site(c, ev, ret);
	case EV_MOVE:
		return check_move(c, ev, ret);
	case EV_HELD:
		return check_held(c, ev, ret);
	case EV_VIA:
		return check_via(c, ev, ret);
	case EV_COUNT:
		return check_count(c, ev, ret);
	case EV_END:
		c->has_end = true;
		break;
	case EV_BUDGET:
	case EV_LOST:
	case EV_TICK:
	case EV_MAX:
		break;
	}
	return 0;
}

int trace_check_event(struct trace_check *c, struct event *ev, struct trace_complaint *ret)
{
	int64_t last_ns = c->last_ns;
	int err = trace_check_time(c, ev->t_ns, ret);

	if (!err)
		err = check_references(c, ev, ret);
	/* a line that does not hold leaves time where it was */
	if (err)
		c->last_ns = last_ns;
	return err;
}
