/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - client pools
 *
 * A member is a connection of a pool: being opened, idle, or lent. What is idle stands in a ring in
 * the order it was given back. A request that finds none idle waits, and a connection is opened if
 * there is room; whatever becomes free first serves whoever waits longest. Without keeping (keep
 * 0) each request waits for the very connection that is opened for it.
 */
#include "pool.h"

#include <string.h>

#define CHECK_S	      5
#define OPENER_IDLE_S 30
#define NOTICE_S      0.003

struct member {
	struct gen_pool *pool;
	struct gen_conn *conn;
	struct waiter *waiter; /* the one that it is opened for, without keeping */
	struct member *next_free;
	int64_t idle_since_ns, pinged_ns, life_end_ns;
	bool is_idle;
};

struct waiter {
	struct gen_pool *pool;
	struct waiter *next;
	gen_pool_fn *fn;
	void *arg;
	bool is_served, is_queued;
	bool is_timed; /* a timer still points here */
};

struct gen_pool {
	struct pool_conf conf;
	struct world *w;
	struct gen_proc *proc;
	bool (*is_lost)(struct world *w, struct gen_pool *pool, struct gen_conn *c, void *arg);
	void *is_lost_arg;
	struct member **idle; /* a ring */
	uint32_t first, n_idle, cap_idle;
	uint32_t n_open, n_opening, n_waiting;
	struct waiter *waiters, **last_waiter;
	struct member *free_members;
	struct waiter *free_waiters;
	uint32_t *tids;
	uint32_t own_tid;
	int64_t own_opened_ns;
	bool is_shut;
};

/* --- the ring of idle ones --- */

static struct member **ring_at(struct gen_pool *pool, uint32_t i)
{
	return &pool->idle[(pool->first + i) % pool->cap_idle];
}

static void ring_push(struct gen_pool *pool, struct member *m)
{
	if (pool->n_idle == pool->cap_idle) {
		uint32_t cap = pool->cap_idle ? 2 * pool->cap_idle : 8;
		struct member **idle = world_alloc(pool->w, cap * sizeof(struct member *));

		for (uint32_t i = 0; i < pool->n_idle; i++)
			idle[i] = *ring_at(pool, i);
		pool->idle = idle;
		pool->cap_idle = cap;
		pool->first = 0;
	}
	*ring_at(pool, pool->n_idle++) = m;
	m->is_idle = m->conn->is_kept = true;
	m->idle_since_ns = m->pinged_ns = world_now_ns(pool->w);
}

static struct member *ring_take(struct gen_pool *pool, uint32_t i)
{
	struct member *m = *ring_at(pool, i);

	m->is_idle = m->conn->is_kept = false;
	pool->n_idle--;
	if (i == 0) {
		pool->first = (pool->first + 1) % pool->cap_idle;
		return m;
	}
	for (; i < pool->n_idle; i++)
		*ring_at(pool, i) = *ring_at(pool, i + 1);
	return m;
}

static struct member *take_idle(struct gen_pool *pool)
{
	switch (pool->conf.order) {
	case POOL_LIFO:
		return ring_take(pool, pool->n_idle - 1);
	case POOL_FIFO:
		return ring_take(pool, 0);
	default:
		return ring_take(pool,
				 (uint32_t)rng_int(world_rng(pool->w), 0, (int)pool->n_idle - 1));
	}
}

static void take_out(struct gen_pool *pool, struct member *m)
{
	for (uint32_t i = 0; i < pool->n_idle; i++) {
		if (*ring_at(pool, i) == m) {
			ring_take(pool, i);
			return;
		}
	}
}

/* --- members --- */

static void drop(struct member *m)
{
	struct gen_pool *pool = m->pool;

	m->conn->owner = NULL;
	m->conn->on_fin = NULL;
	gen_close(m->conn);
	gen_unpin(m->conn);
	pool->n_open--;
	m->next_free = pool->free_members;
	pool->free_members = m;
}

static void notice(struct world *w, void *arg)
{
	struct member *m = ((struct gen_conn *)arg)->owner;

	(void)w;
	/* A lent one is its borrower's, who will find out. */
	if (!m || !m->is_idle)
		return;
	take_out(m->pool, m);
	drop(m);
}

static void on_fin(struct world *w, struct gen_conn *c)
{
	struct member *m = c->owner;

	if (m && m->pool->conf.notice == NOTICE_AT_ONCE)
		gen_conn_in(c, NOTICE_S * rng_between(world_rng(w), 0.2, 1), notice, c);
}

/* --- threads that open --- */

static void end_thread(struct world *w, void *arg)
{
	struct gen_pool *pool = arg;
	double idle_s = (double)(world_now_ns(w) - pool->own_opened_ns) / NS_PER_S;

	if (idle_s < pool->conf.opener_idle_s) {
		gen_proc_in(pool->proc, pool->conf.opener_idle_s - idle_s + 0.001, end_thread,
			    pool);
		return;
	}
	gen_thread_exit(pool->proc, pool->own_tid);
	pool->own_tid = 0;
}

struct ending {
	struct gen_proc *proc;
	uint32_t tid;
};

static void end_opener(struct world *w, void *arg)
{
	struct ending *e = arg;

	(void)w;
	gen_thread_exit(e->proc, e->tid);
}

static uint32_t new_thread(struct gen_pool *pool)
{
	struct ending *e = world_alloc(pool->w, sizeof(*e));

	e->proc = pool->proc;
	e->tid = gen_thread_new(pool->proc);
	gen_proc_in(pool->proc, pool->conf.opener_idle_s, end_opener, e);
	return e->tid;
}

static uint32_t opener(struct gen_pool *pool)
{
	const struct pool_conf *conf = &pool->conf;

	switch (conf->opener) {
	case OPENER_REQUEST:
		return pool->tids[rng_int(world_rng(pool->w), 0, conf->n_threads - 1)];
	case OPENER_NEW:
		return new_thread(pool);
	default:
		pool->own_opened_ns = world_now_ns(pool->w);
		if (pool->own_tid)
			return pool->own_tid;
		pool->own_tid = gen_thread_new(pool->proc);
		if (conf->opener == OPENER_MORTAL)
			gen_proc_in(pool->proc, conf->opener_idle_s, end_thread, pool);
		return pool->own_tid;
	}
}

/* --- waiters --- */

static void free_waiter(struct waiter *wt)
{
	if (!wt->is_served || wt->is_timed)
		return;
	wt->next = wt->pool->free_waiters;
	wt->pool->free_waiters = wt;
}

static void serve(struct waiter *wt, struct gen_conn *c)
{
	gen_pool_fn *fn = wt->fn;
	void *arg = wt->arg;
	struct world *w = wt->pool->w;

	wt->is_served = true;
	free_waiter(wt);
	fn(w, c, arg);
}

static struct waiter *next_waiter(struct gen_pool *pool)
{
	struct waiter *wt = pool->waiters;

	if (!wt)
		return NULL;
	pool->waiters = wt->next;
	if (!pool->waiters)
		pool->last_waiter = &pool->waiters;
	wt->is_queued = false;
	pool->n_waiting--;
	return wt;
}

static void remove_waiter(struct gen_pool *pool, struct waiter *wt)
{
	struct waiter **p = &pool->waiters;

	while (*p != wt)
		p = &(*p)->next;
	*p = wt->next;
	if (!*p)
		pool->last_waiter = p;
	wt->is_queued = false;
	pool->n_waiting--;
}

static void end_wait(struct world *w, void *arg)
{
	struct waiter *wt = arg;

	(void)w;
	wt->is_timed = false;
	/* Served, or about to be: its own connection is on its way. */
	if (!wt->is_queued) {
		free_waiter(wt);
		return;
	}
	remove_waiter(wt->pool, wt);
	serve(wt, NULL);
}

static void new_waiter(struct gen_pool *pool, gen_pool_fn *fn, void *arg)
{
	struct waiter *wt = pool->free_waiters;

	if (wt)
		pool->free_waiters = wt->next;
	else
		wt = world_alloc(pool->w, sizeof(*wt));
	*wt = (struct waiter){.pool = pool, .fn = fn, .arg = arg, .is_queued = true};
	pool->n_waiting++;
	*pool->last_waiter = wt;
	pool->last_waiter = &wt->next;
	if (pool->conf.wait_s > 0) {
		wt->is_timed = true;
		gen_proc_in(pool->proc, pool->conf.wait_s, end_wait, wt);
	}
}

/* --- opening --- */

static void become_free(struct member *m);

static void ready(struct world *w, void *arg)
{
	struct member *m = arg;

	(void)w;
	m->pool->n_opening--;
	become_free(m);
}

static double life_of(struct gen_pool *pool)
{
	const struct pool_conf *conf = &pool->conf;

	return conf->life_s * (1 - conf->life_jitter * rng_uniform(world_rng(pool->w)));
}

static struct member *new_member(struct gen_pool *pool, struct gen_conn *c)
{
	struct member *m = pool->free_members;
	int64_t now_ns = world_now_ns(pool->w);

	if (m)
		pool->free_members = m->next_free;
	else
		m = world_alloc(pool->w, sizeof(*m));
	*m = (struct member){.pool = pool, .conn = c, .life_end_ns = INT64_MAX};
	if (pool->conf.life_s > 0)
		m->life_end_ns = now_ns + (int64_t)(life_of(pool) * NS_PER_S);
	c->owner = m;
	c->on_fin = on_fin;
	gen_pin(c);
	return m;
}

static bool has_room(const struct gen_pool *pool)
{
	return !pool->is_shut && (!pool->conf.max || pool->n_open < (uint32_t)pool->conf.max);
}

/* False: the server takes none. */
static bool open_one(struct gen_pool *pool)
{
	const struct pool_conf *conf = &pool->conf;
	struct gen_conn *c = gen_open(pool->proc, opener(pool), conf->site, conf->server);
	double ready_s, slow_s;
	struct member *m;

	if (!c)
		return false;
	m = new_member(pool, c);
	pool->n_open++;
	pool->n_opening++;
	ready_s = (double)(c->ready_ns - world_now_ns(pool->w)) / NS_PER_S + 1e-5;
	slow_s = conf->connect_s > 0 ? rng_lognormal(world_rng(pool->w), conf->connect_s, 0.3) : 0;
	/* The process's timer, not the connection's: what ends before it is ready must be counted. */
	gen_proc_in(pool->proc, slow_s > ready_s ? slow_s : ready_s, ready, m);
	if (!conf->keep)
		m->waiter = next_waiter(pool);
	return true;
}

static void fail_one(struct world *w, void *arg)
{
	struct gen_pool *pool = arg;
	struct waiter *wt = next_waiter(pool);

	(void)w;
	if (wt)
		serve(wt, NULL);
}

/* Opens for those who wait and have nothing under way. */
static void open_for_waiters(struct gen_pool *pool)
{
	uint32_t wanted = pool->n_waiting, coming = pool->conf.keep ? pool->n_opening : 0;

	for (; wanted > coming && has_room(pool); coming++) {
		if (!open_one(pool)) {
			gen_proc_in(pool->proc, 0.005, fail_one, pool);
			return;
		}
	}
}

/* --- lending and getting back --- */

static bool is_done_with(const struct member *m)
{
	return m->pool->is_shut || !gen_is_open(m->conn) || m->conn->has_fin ||
	       world_now_ns(m->pool->w) >= m->life_end_ns;
}

static void become_free(struct member *m)
{
	struct gen_pool *pool = m->pool;
	struct waiter *wt = m->waiter;

	m->waiter = NULL;
	if (wt) {
		serve(wt, m->conn);
		return;
	}
	if (is_done_with(m)) {
		drop(m);
		open_for_waiters(pool);
		return;
	}
	wt = next_waiter(pool);
	if (wt)
		serve(wt, m->conn);
	else if (pool->conf.keep > 0 && pool->n_idle >= (uint32_t)pool->conf.keep)
		drop(m);
	else
		ring_push(pool, m);
}

void gen_pool_get(struct gen_pool *pool, gen_pool_fn *fn, void *arg)
{
	while (pool->n_idle && !pool->waiters) {
		struct member *m = take_idle(pool);

		if (!is_done_with(m)) {
			fn(pool->w, m->conn, arg);
			return;
		}
		drop(m);
	}
	new_waiter(pool, fn, arg);
	open_for_waiters(pool);
}

void gen_pool_put(struct gen_pool *pool, struct gen_conn *c)
{
	struct member *m = c->owner;

	if (!m)
		return;
	if (pool->conf.keep) {
		become_free(m);
		return;
	}
	drop(m);
	open_for_waiters(pool);
}

void gen_pool_lose(struct gen_pool *pool, struct gen_conn *c)
{
	struct member *m = c->owner;

	if (!m)
		return;
	gen_lose(c);
	gen_unpin(c);
	m->next_free = pool->free_members;
	pool->free_members = m;
}

/* --- keeping house --- */

static bool is_stale(const struct member *m)
{
	const struct gen_pool *pool = m->pool;
	const struct pool_conf *conf = &pool->conf;
	double idle_s = (double)(world_now_ns(pool->w) - m->idle_since_ns) / NS_PER_S;

	if (is_done_with(m))
		return true;
	return conf->idle_s > 0 && idle_s > conf->idle_s && pool->n_idle > (uint32_t)conf->min_idle;
}

static void ping(struct member *m)
{
	struct gen_pool *pool = m->pool;
	double since_s = (double)(world_now_ns(pool->w) - m->pinged_ns) / NS_PER_S;

	/* Half a check early rather than a check late. */
	if (pool->conf.ping_s <= 0 || since_s < pool->conf.ping_s - pool->conf.check_s / 2)
		return;
	m->pinged_ns = world_now_ns(pool->w);
	gen_ping(m->conn);
}

static void check(struct world *w, void *arg)
{
	struct gen_pool *pool = arg;
	int missing;

	(void)w;
	for (uint32_t i = 0; i < pool->n_idle;) {
		struct member *m = *ring_at(pool, i);

		if (is_stale(m)) {
			ring_take(pool, i);
			drop(m);
			continue;
		}
		ping(m);
		i++;
	}
	missing = pool->conf.min_idle - (int)(pool->n_idle + pool->n_opening);
	while (missing-- > 0 && has_room(pool) && open_one(pool))
		;
	open_for_waiters(pool);
	gen_proc_in(pool->proc, pool->conf.check_s, check, pool);
}

static void fill(struct world *w, void *arg)
{
	struct gen_pool *pool = arg;

	(void)w;
	if (!has_room(pool) || !pool->conf.max)
		return;
	open_one(pool);
	gen_proc_in(pool->proc, pool->conf.fill_every_s, fill, pool);
}

void gen_pool_shut(struct gen_pool *pool)
{
	pool->is_shut = true;
	while (pool->n_idle)
		drop(ring_take(pool, 0));
}

static void set_defaults(struct gen_pool *pool)
{
	struct pool_conf *conf = &pool->conf;

	if (!conf->server)
		conf->server = world_server(pool->w);
	if (conf->n_threads < 1)
		conf->n_threads = 1;
	if (conf->check_s <= 0)
		conf->check_s = CHECK_S;
	if (conf->opener_idle_s <= 0)
		conf->opener_idle_s = OPENER_IDLE_S;
}

struct gen_pool *gen_pool_new(struct gen_proc *p, const struct pool_conf *conf)
{
	struct gen_pool *pool = world_alloc(p->w, sizeof(*pool));

	pool->w = p->w;
	pool->proc = p;
	pool->conf = *conf;
	pool->last_waiter = &pool->waiters;
	set_defaults(pool);
	conf = &pool->conf;
	pool->own_tid = conf->tid;
	pool->tids = world_alloc(p->w, (size_t)conf->n_threads * sizeof(pool->tids[0]));
	for (int i = 0; i < conf->n_threads; i++)
		pool->tids[i] = gen_thread_new(p);
	if (conf->fill_every_s > 0)
		gen_proc_in(p, 0, fill, pool);
	/* A pool that keeps nothing has nothing to look at. */
	if (conf->keep)
		gen_proc_in(p, conf->check_s * rng_uniform(world_rng(p->w)), check, pool);
	return pool;
}

struct pool_conf *gen_pool_conf(struct gen_pool *pool)
{
	return &pool->conf;
}

void gen_pool_on_release(struct gen_pool *pool,
			 bool (*is_lost)(struct world *w, struct gen_pool *pool, struct gen_conn *c,
					 void *arg),
			 void *arg)
{
	pool->is_lost = is_lost;
	pool->is_lost_arg = arg;
}

bool gen_pool_forgets(struct gen_pool *pool, struct gen_conn *c)
{
	if (pool->is_lost)
		return pool->is_lost(pool->w, pool, c, pool->is_lost_arg);
	if (pool->conf.lose_frac <= 0 || !rng_chance(world_rng(pool->w), pool->conf.lose_frac))
		return false;
	gen_pool_lose(pool, c);
	return true;
}

uint32_t gen_pool_open(const struct gen_pool *pool)
{
	return pool->n_open;
}

uint32_t gen_pool_idle(const struct gen_pool *pool)
{
	return pool->n_idle;
}

struct gen_proc *gen_pool_proc(const struct gen_pool *pool)
{
	return pool->proc;
}
