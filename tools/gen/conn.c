/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.c - connections: what they send and get, and how they end
 *
 * Bytes on their way are steps in the connection, in order of time; whoever looks (a snapshot, the
 * end) first settles what is due. So a query costs no timer.
 */
#include "world_impl.h"

#include <errno.h>
#include <string.h>

#define STARTUP_TX  84 /* startup message */
#define AUTH_RX	    24
#define PASSWORD_TX 147 /* two messages of SCRAM, as one */
#define READY_RX    412
#define TOO_MANY_RX 92
#define PARTING_RX  116 /* "terminating connection due to ..." */
#define GOODBYE_TX  5
#define PING_TX	    25
#define PING_RX	    66
#define TX_TX	    11
#define TX_RX	    17
#define FORK_S	    0.003 /* until a backend of its own answers */

/* --- bytes --- */

static void mark_dirty(struct gen_conn *c)
{
	if (c->is_dirty)
		return;
	c->is_dirty = true;
	c->next_dirty = c->w->dirty;
	c->w->dirty = c;
}

static void move_bytes(struct gen_conn *c, int64_t at_ns, uint32_t bytes, bool is_rx)
{
	if (is_rx) {
		c->rx += bytes;
		c->rx_ns = at_ns;
	} else {
		c->tx += bytes;
		c->tx_ns = at_ns;
	}
	c->last = is_rx ? IO_LAST_RX : IO_LAST_TX;
}

static void settle(struct gen_conn *c)
{
	uint8_t n = 0;

	while (n < c->n_steps && c->steps[n].at_ns <= c->w->now_ns) {
		move_bytes(c, c->steps[n].at_ns, c->steps[n].bytes, c->steps[n].is_rx);
		n++;
	}
	if (!n)
		return;
	c->n_steps -= n;
	memmove(c->steps, c->steps + n, c->n_steps * sizeof(c->steps[0]));
}

static void add_step(struct gen_conn *c, int64_t at_ns, uint32_t bytes, bool is_rx)
{
	uint8_t i;

	mark_dirty(c);
	if (c->n_steps == GEN_STEPS)
		settle(c);
	if (c->n_steps == GEN_STEPS) {
		/* A client far ahead of its server: one larger message is as good. */
		c->steps[GEN_STEPS - 1].bytes += bytes;
		return;
	}
	for (i = c->n_steps; i && c->steps[i - 1].at_ns > at_ns; i--)
		c->steps[i] = c->steps[i - 1];
	c->steps[i].at_ns = at_ns;
	c->steps[i].bytes = bytes;
	c->steps[i].is_rx = is_rx;
	c->n_steps++;
}

/* The kernel keeps jiffies, and tells how many ago, seen from @w's now. */
static int64_t told_ns(const struct world *w, int64_t at_ns)
{
	int64_t now_jiffies = (w->now_ns + w->jiffy_phase_ns) / GEN_JIFFY_NS;

	if (at_ns == T_NEVER)
		return T_NEVER;
	return w->now_ns -
	       (now_jiffies - (at_ns + w->jiffy_phase_ns) / GEN_JIFFY_NS) * GEN_JIFFY_NS;
}

static void tell_io(struct gen_conn *c)
{
	struct event ev = {.kind = EV_IO, .conn = c->id, .holder = c->proc->id};

	settle(c);
	if (c->tx == c->told_tx && c->rx == c->told_rx && c->last == c->told_last)
		return;
	ev.io.tx = c->told_tx = c->tx;
	ev.io.rx = c->told_rx = c->rx;
	ev.io.last = c->told_last = c->last;
	ev.io.tx_ns = told_ns(c->w, c->tx_ns);
	ev.io.rx_ns = told_ns(c->w, c->rx_ns);
	world_emit(c->w, &ev);
}

void conn_tick(struct world *w)
{
	struct gen_conn *c = w->dirty, *next;

	w->dirty = NULL;
	for (; c; c = next) {
		next = c->next_dirty;
		c->is_dirty = false;
		if (!c->is_open)
			continue;
		tell_io(c);
		if (c->n_steps)
			mark_dirty(c);
	}
}

/* --- lists --- */

static void link_to_proc(struct gen_conn *c)
{
	c->prev_of_proc = NULL;
	c->next_of_proc = c->proc->conns;
	if (c->next_of_proc)
		c->next_of_proc->prev_of_proc = c;
	c->proc->conns = c;
}

static void unlink_from_proc(struct gen_conn *c)
{
	if (c->next_of_proc)
		c->next_of_proc->prev_of_proc = c->prev_of_proc;
	if (c->prev_of_proc)
		c->prev_of_proc->next_of_proc = c->next_of_proc;
	else
		c->proc->conns = c->next_of_proc;
}

static void take_slot(struct gen_conn *c)
{
	c->next_of_server = c->server->conns;
	if (c->next_of_server)
		c->next_of_server->prev_of_server = c;
	c->server->conns = c;
	server_took(c->server);
}

static void give_slot(struct gen_conn *c)
{
	if (c->is_refused || c->has_fin)
		return;
	if (c->next_of_server)
		c->next_of_server->prev_of_server = c->prev_of_server;
	if (c->prev_of_server)
		c->prev_of_server->next_of_server = c->next_of_server;
	else
		c->server->conns = c->next_of_server;
	c->server->used--;
	truth_of_slot_end(c);
}

/* --- opening --- */

/* The dirty list may still hold a closed one: it is used again only once it is out of there. */
static struct gen_conn *new_conn(struct world *w)
{
	struct gen_conn *c = w->free_conns, **p = &w->free_conns;
	uint32_t gen;

	while (c && c->is_dirty) {
		p = &c->next_of_proc;
		c = *p;
	}
	if (!c)
		return world_alloc(w, sizeof(*c));
	*p = c->next_of_proc;
	gen = c->gen;
	*c = (struct gen_conn){.gen = gen + 1};
	return c;
}

static void tell_open(struct gen_conn *c, bool adopted)
{
	struct event ev = {.kind = EV_OPEN, .conn = c->id, .tid = c->tid, .site = c->site};
	struct event via = {.kind = EV_VIA, .conn = c->id, .holder = c->proc->id};
	const uint8_t here[4] = {10, 0, 1, 7}, loopback[4] = {127, 0, 0, 1};
	struct gen_proc *end = c->server->conf.via;

	world_tell_proc(c->proc);
	world_tell_site(c->w, c->site);
	ev.holder = c->proc->id;
	ev.open.adopted = adopted;
	ev.open.peer = c->server->peer;
	endpoint_set(&ev.open.local, 4, end ? loopback : here, c->local_port);
	world_emit(c->w, &ev);
	if (!end)
		return;
	world_tell_proc(end);
	via.via = end->id;
	world_emit(c->w, &via);
}

static struct gen_conn *connect_to(struct gen_proc *p, uint32_t tid, uint64_t site,
				   struct gen_server *s)
{
	struct world *w = p->w;
	struct gen_conn *c = new_conn(w);

	c->w = w;
	c->id = ++w->next_conn;
	c->proc = p;
	c->server = s;
	c->tid = tid;
	c->site = site;
	c->opened_ns = c->last_use_ns = c->last_io_ns = w->now_ns;
	c->tx_ns = c->rx_ns = T_NEVER;
	c->local_port = (uint16_t)(32768 + w->next_port++ % 28232);
	c->is_open = true;
	link_to_proc(c);
	tell_open(c, false);
	add_step(c, w->now_ns + gen_ns(0.0001), STARTUP_TX, false);
	return c;
}

static void sign_on(struct gen_conn *c)
{
	double rtt_s = c->server->conf.rtt_s, at_s = FORK_S * rng_between(&c->w->rng, 0.5, 3);
	int64_t t_ns = c->w->now_ns;

	add_step(c, t_ns + gen_ns(at_s + rtt_s), AUTH_RX, true);
	add_step(c, t_ns + gen_ns(at_s + rtt_s + 0.0002), PASSWORD_TX, false);
	c->ready_ns = t_ns + gen_ns(at_s * 1.5 + 2 * rtt_s);
	add_step(c, c->ready_ns, READY_RX, true);
	c->last_use_ns = c->last_io_ns = c->ready_ns;
}

static void give_up(struct world *w, void *arg)
{
	(void)w;
	gen_close(arg);
}

static void send_away(struct world *w, void *arg)
{
	struct gen_conn *c = arg;

	(void)w;
	gen_fin(c, FIN_PEER);
}

/* Whoever is quicker ends it: mostly the client, on reading the error. */
static void refuse(struct gen_proc *p, uint32_t tid, uint64_t site, struct gen_server *s)
{
	struct gen_conn *c = connect_to(p, tid, site, s);
	double answer_s = s->conf.rtt_s + FORK_S * rng_between(&p->w->rng, 0.5, 2);

	c->is_refused = true;
	c->fin = GEN_FIN_CLOSES;
	add_step(c, p->w->now_ns + gen_ns(answer_s), TOO_MANY_RX, true);
	if (rng_chance(&p->w->rng, 0.9))
		gen_conn_in(c, answer_s + 0.0003, give_up, c);
	else
		gen_conn_in(c, answer_s + 0.0001, send_away, c);
}

struct gen_conn *gen_open(struct gen_proc *p, uint32_t tid, uint64_t site, struct gen_server *s)
{
	struct event ev = {.kind = EV_FAIL, .tid = tid, .site = site};
	struct gen_conn *c;

	if (p->is_exited)
		return NULL;
	if (s->is_down) {
		world_tell_proc(p);
		world_tell_site(p->w, site);
		ev.holder = p->id;
		ev.fail.peer = s->peer;
		ev.fail.err = ECONNREFUSED;
		world_emit(p->w, &ev);
		return NULL;
	}
	if (server_is_full(s)) {
		refuse(p, tid, site, s);
		return NULL;
	}
	c = connect_to(p, tid, site, s);
	take_slot(c);
	sign_on(c);
	server_watch_idle(c);
	if (s->conf.ops && s->conf.ops->opened)
		s->conf.ops->opened(p->w, s, c);
	return c;
}

void conn_adopt(struct world *w)
{
	for (struct gen_proc *p = w->procs; p; p = p->next) {
		for (struct gen_conn *c = p->conns; c; c = c->next_of_proc) {
			c->told_tx = c->told_rx = 0;
			c->told_last = IO_LAST_UNKNOWN;
			tell_open(c, true);
			mark_dirty(c);
		}
	}
}

/* --- using --- */

static bool exchange(struct gen_conn *c, double busy_s, uint32_t tx, uint32_t rx)
{
	int64_t start_ns = c->w->now_ns, end_ns;

	if (!c->is_open || c->has_fin)
		return false;
	if (start_ns < c->ready_ns)
		start_ns = c->ready_ns + 1000;
	if (busy_s < c->server->conf.rtt_s)
		busy_s = c->server->conf.rtt_s;
	end_ns = start_ns + gen_ns(busy_s);
	settle(c);
	if (c->n_steps && end_ns < c->steps[c->n_steps - 1].at_ns)
		end_ns = c->steps[c->n_steps - 1].at_ns;
	add_step(c, start_ns, tx, false);
	add_step(c, end_ns, rx, true);
	c->last_io_ns = end_ns;
	if (c->server->conf.ops && c->server->conf.ops->asked)
		c->server->conf.ops->asked(c->server, c, busy_s, tx, rx);
	return true;
}

bool gen_query(struct gen_conn *c, double busy_s, uint32_t tx, uint32_t rx)
{
	truth_of_leak_use(c);
	if (!exchange(c, busy_s, tx, rx))
		return false;
	c->last_use_ns = c->last_io_ns;
	return true;
}

bool gen_ping(struct gen_conn *c)
{
	return exchange(c, 0.0002, PING_TX, PING_RX);
}

bool gen_begin(struct gen_conn *c)
{
	bool ok = gen_query(c, 0, TX_TX, TX_RX);

	c->is_in_tx = ok;
	server_watch_idle(c);
	return ok;
}

bool gen_commit(struct gen_conn *c)
{
	c->is_in_tx = false;
	return gen_query(c, 0.002, TX_TX, TX_RX);
}

void gen_receive(struct gen_conn *c, uint32_t rx)
{
	if (!c->is_open || c->has_fin)
		return;
	settle(c);
	add_step(c, c->w->now_ns, rx, true);
}

double gen_idle_s(const struct gen_conn *c)
{
	return c->last_use_ns < c->w->now_ns ? (double)(c->w->now_ns - c->last_use_ns) / NS_PER_S
					     : 0;
}

/* --- ending --- */

static void forget(struct gen_conn *c)
{
	struct world *w = c->w;

	if (c->is_open || c->pins)
		return;
	c->gen++;
	c->next_of_proc = w->free_conns;
	w->free_conns = c;
}

static void end(struct gen_conn *c, enum close_by by)
{
	struct event ev = {.kind = EV_CLOSE, .conn = c->id, .holder = c->proc->id, .close = by};

	tell_io(c);
	world_emit(c->w, &ev);
	give_slot(c);
	truth_of_end(c);
	unlink_from_proc(c);
	c->is_open = false;
	c->n_steps = 0;
	if (c->server->conf.ops && c->server->conf.ops->ended && !c->is_refused)
		c->server->conf.ops->ended(c->server, c);
	forget(c);
}

void gen_close(struct gen_conn *c)
{
	if (!c->is_open)
		return;
	settle(c);
	/* What is still on its way is not waited for. */
	c->n_steps = 0;
	if (!c->has_fin)
		truth_of_leak_use(c);
	if (!c->has_fin && !c->is_refused)
		move_bytes(c, c->w->now_ns, GOODBYE_TX, false);
	end(c, CLOSE_APP);
}

void gen_fin(struct gen_conn *c, enum fin_how how)
{
	struct event ev = {.kind = EV_FIN, .conn = c->id, .holder = c->proc->id, .fin = how};
	struct world *w = c->w;
	uint32_t gen = c->gen;

	if (!c->is_open || c->has_fin)
		return;
	settle(c);
	c->n_steps = 0;
	if (how == FIN_PEER && !c->is_refused)
		move_bytes(c, w->now_ns, PARTING_RX, true);
	tell_io(c);
	world_emit(w, &ev);
	give_slot(c);
	c->has_fin = true;
	if (c->on_fin)
		c->on_fin(w, c);
	if (c->gen == gen && c->is_open && c->fin == GEN_FIN_CLOSES)
		gen_conn_in(c, rng_between(&w->rng, 0.0005, 0.004), give_up, c);
}

void conn_end_of_proc(struct gen_proc *p)
{
	struct gen_conn *c;

	while ((c = p->conns)) {
		c->pins = 0;
		end(c, CLOSE_EXIT);
	}
}

/* --- holding --- */

void world_each_conn(struct world *w, void (*fn)(struct gen_conn *c, void *arg), void *arg)
{
	for (struct gen_proc *p = w->procs; p; p = p->next) {
		for (struct gen_conn *c = p->conns, *next; c; c = next) {
			next = c->next_of_proc;
			fn(c, arg);
		}
	}
}

void gen_conn_in(struct gen_conn *c, double after_s, gen_fn *fn, void *arg)
{
	world_timer(c->w, after_s,
		    &(struct timer){
			    .fn = fn, .arg = arg, .owner = c, .gen = c->gen, .kind = OWNER_CONN});
}

void gen_pin(struct gen_conn *c)
{
	c->pins++;
}

void gen_unpin(struct gen_conn *c)
{
	c->pins--;
	forget(c);
}

bool gen_is_open(const struct gen_conn *c)
{
	return c->is_open;
}

void gen_move(struct gen_conn *c, struct gen_proc *to)
{
	struct event ev = {.kind = EV_MOVE, .conn = c->id};

	if (!c->is_open || c->proc == to)
		return;
	world_tell_proc(to);
	ev.holder = to->id;
	world_emit(c->w, &ev);
	unlink_from_proc(c);
	c->proc = to;
	link_to_proc(c);
}

void gen_share(struct gen_conn *c, struct gen_proc *const *procs, uint32_t n)
{
	struct event ev = {.kind = EV_HELD, .conn = c->id, .holder = c->proc->id};

	if (!c->is_open)
		return;
	for (uint32_t i = 0; i < n && i < EVENT_MAX_HELD; i++)
		ev.held.pids[ev.held.n++] = procs[i]->pid;
	ev.held.total = n;
	world_emit(c->w, &ev);
}
