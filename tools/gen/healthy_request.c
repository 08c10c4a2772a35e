/* SPDX-License-Identifier: Apache-2.0 */
/* healthy_request.c - programs that open a connection when they need one and close it after */
#include "healthy.h"

#define MAX_BATCH 50
#define HOUR	  3600.0

static void serve(struct gen_proc *p, const struct pool_conf *conf, const struct load *load,
		  const struct work *work)
{
	gen_traffic(gen_pool_new(p, conf), load, work);
}

void healthy_request_short(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_per_request(w, p);
	struct load load = healthy_load(w, 0.02, 20);
	struct work work = healthy_work(w);

	serve(p, &conf, &load, &work);
}

/* Most are quick and some take an hour or two, which the server works through. */
void healthy_request_long(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_per_request(w, p);
	struct load load = healthy_load(w, 0.02, 2);
	struct work work = {.kind = WORK_PARETO,
			    .hold_s = 0.05,
			    .alpha = param_between(w, "alpha", 0.5, 1.5),
			    .max_queries = 2};

	serve(p, &conf, &load, &work);
}

/* The same, but the program thinks while the connection lies idle. */
void healthy_request_idle_inside(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_per_request(w, p);
	struct load load = healthy_load(w, 0.02, 2);
	struct work work = {.kind = WORK_PARETO,
			    .hold_s = 0.05,
			    .alpha = param_between(w, "alpha", 0.5, 1.5),
			    .max_queries = 2,
			    .busy_frac = -1};

	serve(p, &conf, &load, &work);
}

void healthy_thread_per_request(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = {.opener = OPENER_NEW, .site = gen_site(p, "handle_request")};
	struct load load = healthy_load(w, 0.02, 10);
	struct work work = healthy_work(w);

	conf.opener_idle_s = 4 * work.hold_s;
	serve(p, &conf, &load, &work);
}

static struct pool_conf pool_or_not(struct world *w, struct gen_proc *p)
{
	return param_chance(w, "pooled", 0.5) ? healthy_pool(w, p) : healthy_per_request(w, p);
}

void healthy_long_queries(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = pool_or_not(w, p);
	struct load load = healthy_load(w, 0.005, 0.3);
	struct work work = {.hold_s = param_log(w, "hold_s", 30, 600),
			    .sigma = 0.7,
			    .max_queries = 2,
			    .busy_frac = 0.98};

	serve(p, &conf, &load, &work);
}

/* Minutes of work on a connection that lies idle between its queries. */
void healthy_long_jobs(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = pool_or_not(w, p);
	struct load load = healthy_load(w, 0.003, 0.1);
	struct work work = {
		.hold_s = param_log(w, "hold_s", 30, 600), .sigma = 0.7, .busy_frac = -1};

	work.max_queries = param_int(w, "queries", 2, 8);
	work.is_tx = param_chance(w, "tx", 0.3);
	serve(p, &conf, &load, &work);
}

/* --- a downstream that stalls: what holds a connection meanwhile waits --- */

struct stall {
	struct gen_pool *pool;
	double per_s, call_s, every_s, lasts_s;
};

struct call {
	struct stall *stall;
	struct gen_conn *conn;
};

static void end_call(struct world *w, void *arg)
{
	struct call *c = arg;

	gen_pool_put(c->stall->pool, c->conn);
	world_give(w, c, sizeof(*c));
}

static void save(struct world *w, void *arg)
{
	struct call *c = arg;

	gen_query(c->conn, 0.005, 300, 40);
	gen_proc_in(gen_pool_proc(c->stall->pool), 0.01, end_call, c);
	(void)w;
}

static void call_downstream(struct world *w, struct gen_conn *conn, void *arg)
{
	struct stall *s = arg;
	double phase_s = world_now(w), takes_s = rng_lognormal(world_rng(w), s->call_s, 0.8);
	struct call *c;

	if (!conn)
		return;
	c = world_get(w, sizeof(*c));
	*c = (struct call){.stall = s, .conn = conn};
	while (phase_s >= s->every_s)
		phase_s -= s->every_s;
	if (phase_s < s->lasts_s)
		takes_s += s->lasts_s - phase_s;
	gen_query(conn, 0.005, 120, 700);
	gen_proc_in(gen_pool_proc(s->pool), takes_s, save, c);
}

static void next_call(struct world *w, void *arg)
{
	struct stall *s = arg;

	if (world_is_draining(w))
		return;
	gen_pool_get(s->pool, call_downstream, s);
	gen_proc_in(gen_pool_proc(s->pool), rng_exp(world_rng(w), 1 / s->per_s), next_call, s);
}

void healthy_stalls(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = pool_or_not(w, p);
	struct stall *s = world_alloc(w, sizeof(*s));

	s->per_s = param_log(w, "per_s", 0.03, 3);
	s->call_s = param_log(w, "call_s", 0.01, 0.5);
	s->every_s = param_log(w, "every_s", 900, 4 * HOUR);
	s->lasts_s = param_log(w, "stall_s", 60, 300);
	conf.wait_s = 30;
	conf.max = conf.max ? conf.max : 60;
	s->pool = gen_pool_new(p, &conf);
	next_call(w, s);
}

/* --- people: a session is open while its owner is at work, mostly idle --- */

struct person {
	struct gen_proc *proc;
	struct gen_conn *conn;
	uint32_t tid;
	uint64_t site;
	double pause_s, session_s, until_s;
};

static void sit_down(struct world *w, void *arg);

static void leave(struct world *w, struct person *pn)
{
	gen_close(pn->conn);
	pn->conn = NULL;
	gen_proc_in(pn->proc, rng_exp(world_rng(w), 3 * pn->pause_s), sit_down, pn);
}

static void type(struct world *w, void *arg)
{
	struct person *pn = arg;
	uint32_t rx = (uint32_t)rng_int(world_rng(w), 60, 9000);

	if (world_now(w) > pn->until_s || world_is_draining(w) ||
	    !gen_query(pn->conn, rng_lognormal(world_rng(w), 0.02, 1.2), 150, rx)) {
		leave(w, pn);
		return;
	}
	gen_conn_in(pn->conn, rng_pareto(world_rng(w), pn->pause_s / 5, 1.2, 2 * HOUR), type, pn);
}

static void sit_down(struct world *w, void *arg)
{
	struct person *pn = arg;

	if (world_is_draining(w))
		return;
	pn->conn = gen_open(pn->proc, pn->tid, pn->site, world_server(w));
	if (!pn->conn) {
		gen_proc_in(pn->proc, pn->pause_s, sit_down, pn);
		return;
	}
	pn->until_s = world_now(w) + rng_exp(world_rng(w), pn->session_s);
	gen_conn_in(pn->conn, 0.05, type, pn);
}

void healthy_interactive(struct world *w, struct gen_proc *p)
{
	int n = param_int_log(w, "people", 1, 12);
	double pause_s = param_log(w, "pause_s", 10, 900);
	double session_s = param_log(w, "session_s", 300, 2 * HOUR);
	bool has_threads = param_chance(w, "threads", 0.5);
	uint32_t tid = gen_thread_new(p);

	for (int i = 0; i < n; i++) {
		struct person *pn = world_alloc(w, sizeof(*pn));

		*pn = (struct person){.proc = p, .pause_s = pause_s, .session_s = session_s};
		pn->tid = has_threads ? gen_thread_new(p) : tid;
		pn->site = gen_site(p, "connect");
		gen_proc_in(p, rng_exp(world_rng(w), 3 * pause_s), sit_down, pn);
	}
}

/* --- a batch: opens its connections one by one, and parks them until the whole is done --- */

struct batch {
	struct gen_proc *proc;
	struct gen_conn *conns[MAX_BATCH];
	uint32_t tid;
	uint64_t site;
	int n, n_open;
	double every_s, hold_s, pause_s;
};

static void begin_batch(struct world *w, void *arg);

static void end_batch(struct world *w, void *arg)
{
	struct batch *b = arg;

	while (b->n_open) {
		gen_query(b->conns[--b->n_open], 0.01, 60, 80);
		gen_close(b->conns[b->n_open]);
		gen_unpin(b->conns[b->n_open]);
	}
	gen_proc_in(b->proc, b->pause_s * rng_between(world_rng(w), 0.5, 1.5), begin_batch, b);
}

static void open_next(struct world *w, void *arg)
{
	struct batch *b = arg;
	struct gen_conn *c;

	if (b->n_open == b->n) {
		gen_proc_in(b->proc, b->hold_s, end_batch, b);
		return;
	}
	c = gen_open(b->proc, b->tid, b->site, world_server(w));
	if (c) {
		gen_pin(c);
		gen_query(c, 0.02, 200, 400);
		b->conns[b->n_open++] = c;
	}
	gen_proc_in(b->proc, b->every_s, open_next, b);
}

static void begin_batch(struct world *w, void *arg)
{
	if (!world_is_draining(w))
		open_next(w, arg);
}

void healthy_batch(struct world *w, struct gen_proc *p)
{
	struct batch *b = world_alloc(w, sizeof(*b));

	b->proc = p;
	b->tid = gen_thread_new(p);
	b->site = gen_site(p, "load");
	b->n = param_int_log(w, "connections", 15, MAX_BATCH);
	b->every_s = param_log(w, "span_s", 2, 300) / b->n;
	b->hold_s = param_log(w, "hold_s", 30, HOUR);
	b->pause_s = param_log(w, "pause_s", 60, HOUR);
	gen_proc_in(p, rng_between(world_rng(w), 0, 600), begin_batch, b);
}

/*
 * --- forgotten by the code, closed by the garbage collector: a sawtooth ---
 * What is let go before one collection is closed by the next but one: it must be found dead first,
 * and its finalizer run. Go collects at least every two minutes; a JVM when its young space is
 * full.
 */

struct garbage {
	struct gen_conn *conn;
	struct garbage *next;
};

struct heap {
	struct gen_proc *proc;
	struct garbage *fresh, *dead;
	uint64_t site;
	uint32_t tids[16];
	int n_tids;
	double per_s, period_s;
};

static void collect(struct world *w, void *arg)
{
	struct heap *h = arg;

	while (h->dead) {
		struct garbage *g = h->dead;

		h->dead = g->next;
		gen_close(g->conn);
		gen_unpin(g->conn);
		world_give(w, g, sizeof(*g));
	}
	h->dead = h->fresh;
	h->fresh = NULL;
	gen_proc_in(h->proc, h->period_s * rng_between(world_rng(w), 0.7, 1.3), collect, h);
}

static void use_and_forget(struct world *w, void *arg)
{
	struct heap *h = arg;
	uint32_t tid = h->tids[rng_int(world_rng(w), 0, h->n_tids - 1)];
	struct gen_conn *c;

	if (world_is_draining(w))
		return;
	c = gen_open(h->proc, tid, h->site, world_server(w));
	if (c) {
		struct garbage *g = world_get(w, sizeof(*g));

		gen_query(c, rng_lognormal(world_rng(w), 0.01, 1), 150, 600);
		gen_pin(c);
		*g = (struct garbage){.conn = c, .next = h->fresh};
		h->fresh = g;
	}
	gen_proc_in(h->proc, rng_exp(world_rng(w), 1 / h->per_s), use_and_forget, h);
}

void healthy_gc_closes(struct world *w, struct gen_proc *p)
{
	struct heap *h = world_alloc(w, sizeof(*h));

	h->proc = p;
	h->site = gen_site(p, "handle_request");
	h->n_tids = param_int_log(w, "threads", 1, 16);
	for (int i = 0; i < h->n_tids; i++)
		h->tids[i] = gen_thread_new(p);
	h->period_s = param_log(w, "period_s", 2, 120);
	h->per_s = param_log(w, "per_s", 0.01, 30 / h->period_s);
	collect(w, h);
	use_and_forget(w, h);
}
