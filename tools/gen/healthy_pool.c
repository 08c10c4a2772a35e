/* SPDX-License-Identifier: Apache-2.0 */
/* healthy_pool.c - programs with a pool */
#include "healthy.h"

#define HOUR	    3600.0
#define MAX_TENANTS 60

static struct gen_pool *serve(struct gen_proc *p, const struct pool_conf *conf,
			      const struct load *load, const struct work *work)
{
	struct gen_pool *pool = gen_pool_new(p, conf);

	gen_traffic(pool, load, work);
	return pool;
}

static void lazy(struct world *w, struct gen_proc *p, enum pool_order order)
{
	struct pool_conf conf = healthy_pool(w, p);
	struct load load = healthy_load(w, 0.05, 20);
	struct work work = healthy_work(w);

	conf.order = order;
	serve(p, &conf, &load, &work);
}

void healthy_pool_lifo(struct world *w, struct gen_proc *p)
{
	lazy(w, p, POOL_LIFO);
}

void healthy_pool_fifo(struct world *w, struct gen_proc *p)
{
	lazy(w, p, POOL_FIFO);
}

void healthy_pool_random(struct world *w, struct gen_proc *p)
{
	lazy(w, p, POOL_RANDOM);
}

void healthy_pool_day(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_pool(w, p);
	struct load load = healthy_load(w, 0.01, 1);
	struct work work = healthy_work(w);

	load.shape = LOAD_DAY;
	load.peak_per_s = load.per_s * param_log(w, "peak", 3, 50);
	load.period_s = param_log(w, "period_s", 600, 24 * HOUR);
	load.phase_s = load.period_s * rng_uniform(world_rng(w));
	serve(p, &conf, &load, &work);
}

/* All of its connections at once, each replaced when it is old, and kept alive by queries. */
static struct pool_conf fixed(struct world *w, struct gen_proc *p, int lo, int hi)
{
	struct pool_conf conf = {.keep = -1, .site = gen_site(p, "connect")};

	conf.max = conf.min_idle = param_int_log(w, "max", lo, hi);
	conf.order = (enum pool_order)param_int(w, "order", POOL_LIFO, POOL_RANDOM);
	conf.opener = (enum pool_opener)param_int(w, "opener", OPENER_REQUEST, OPENER_MORTAL);
	conf.n_threads = param_int_log(w, "threads", 1, 8);
	conf.check_s = param_log(w, "check_s", 0.5, 30);
	conf.fill_every_s = param_log(w, "fill_every_s", 0.002, 0.2);
	return conf;
}

void healthy_pool_fixed(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = fixed(w, p, 4, 40);
	struct load load = healthy_load(w, 0.003, 5);
	struct work work = healthy_work(w);

	conf.life_s = param_log(w, "life_s", 120, 7200);
	conf.life_jitter = param_between(w, "jitter", 0, 0.3);
	if (param_chance(w, "has_ping", 0.5))
		conf.ping_s = param_log(w, "ping_s", 5, 300);
	serve(p, &conf, &load, &work);
}

/* 30 opened, none closed, and it stays like that. */
void healthy_pool_fill(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = fixed(w, p, 10, 90);
	struct load load = healthy_load(w, 0.003, 10);
	struct work work = healthy_work(w);

	conf.fill_every_s = param_log(w, "fill_s", 0.05, 60) / conf.max;
	serve(p, &conf, &load, &work);
}

void healthy_pool_slow_fill(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = fixed(w, p, 30, 90);
	struct load load = healthy_load(w, 0.01, 10);
	struct work work = healthy_work(w);

	conf.min_idle = 0;
	conf.fill_every_s = param_log(w, "each_s", 2, 8);
	serve(p, &conf, &load, &work);
}

void healthy_pool_night(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_pool(w, p);
	struct load load = {.shape = LOAD_BURSTS, .period_s = 24 * HOUR};
	struct work work = healthy_work(w);

	load.peak_per_s = param_log(w, "per_s", 0.2, 10);
	load.busy_s = param_between(w, "day_s", 8 * HOUR, 16 * HOUR);
	load.phase_s = load.busy_s - param_between(w, "night_in_s", HOUR, 4 * HOUR);
	if (param_chance(w, "no_idle", 0.7))
		conf.idle_s = 0;
	if (param_chance(w, "has_ping", 0.5))
		conf.ping_s = param_log(w, "ping_s", 10, 600);
	serve(p, &conf, &load, &work);
}

void healthy_heartbeats(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = fixed(w, p, 4, 60);
	struct load load = healthy_load(w, 0.0002, 0.05);
	struct work work = healthy_work(w);

	conf.ping_s = param_log(w, "ping_s", 4, 300);
	conf.check_s = conf.ping_s / 4;
	serve(p, &conf, &load, &work);
}

/* Its defaults: 30 minutes of life less up to 2.5 %, a look every 30 s, a thread that ends. */
void healthy_hikari(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = fixed(w, p, 5, 50);
	struct load load = healthy_load(w, 0.01, 20);
	struct work work = healthy_work(w);

	conf.order = POOL_LIFO;
	conf.opener = OPENER_MORTAL;
	conf.opener_idle_s = 5;
	conf.life_s = 1800;
	conf.life_jitter = 0.025;
	conf.check_s = 30;
	conf.ping_s = param_chance(w, "has_ping", 0.5) ? 120 : 0;
	if (param_chance(w, "is_elastic", 0.5)) {
		conf.min_idle = param_int(w, "min_idle", 1, conf.max);
		conf.idle_s = 600;
		conf.fill_every_s = 0;
	}
	serve(p, &conf, &load, &work);
}

static struct load bursts(struct world *w, double peak_hi)
{
	struct load load = healthy_load(w, 0.02, 2);

	load.shape = LOAD_BURSTS;
	load.peak_per_s = param_log(w, "peak_per_s", 5, peak_hi);
	load.period_s = param_log(w, "period_s", 20, 1800);
	load.busy_s = load.period_s * param_log(w, "busy", 0.005, 0.3);
	load.phase_s = load.period_s * rng_uniform(world_rng(w));
	return load;
}

void healthy_pool_min_idle(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_pool(w, p);
	struct load load = bursts(w, 60);
	struct work work = healthy_work(w);

	conf.max = param_int_log(w, "most", 15, 80);
	conf.min_idle = param_int(w, "min_idle", 2, 10);
	conf.idle_s = param_log(w, "idle_s", 20, 900);
	serve(p, &conf, &load, &work);
}

/* Go's database/sql as it comes: two idle ones are kept, the rest is closed when given back. */
void healthy_go_bursts(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_per_request(w, p);
	struct load load = bursts(w, 40);
	struct work work = healthy_work(w);

	conf.keep = 2;
	conf.n_threads = param_int(w, "go_threads", 2, 12);
	serve(p, &conf, &load, &work);
}

static void grow(struct world *w, struct gen_proc *p, enum load_shape shape, double times_lo,
		 double times_hi)
{
	struct pool_conf conf = healthy_pool(w, p);
	struct load load = healthy_load(w, 0.05, 3);
	struct work work = healthy_work(w);

	load.shape = shape;
	load.peak_per_s = load.per_s * param_log(w, "times", times_lo, times_hi);
	load.period_s = world_duration(w);
	work.hold_s = param_log(w, "long_s", 0.1, 5);
	if (param_chance(w, "is_wide", 0.5))
		conf.max = 100;
	serve(p, &conf, &load, &work);
}

void healthy_growth(struct world *w, struct gen_proc *p)
{
	grow(w, p, LOAD_GROWTH, 5, 20);
}

void healthy_half_day(struct world *w, struct gen_proc *p)
{
	grow(w, p, LOAD_DOUBLING, 3, 15);
}

/* --- several pools in one process --- */

struct health_check {
	struct gen_pool *pool;
	double every_s;
};

static void check_health(struct world *w, void *arg)
{
	static const struct work ask = {.kind = WORK_CONSTANT, .hold_s = 0.01, .max_queries = 1};
	struct health_check *hc = arg;

	if (world_is_draining(w))
		return;
	gen_request(hc->pool, &ask);
	gen_proc_in(gen_pool_proc(hc->pool), hc->every_s, check_health, hc);
}

void healthy_antiphase(struct world *w, struct gen_proc *p)
{
	struct load load = {.shape = LOAD_HALVES,
			    .period_s = param_log(w, "period_s", 120, 4 * HOUR)};
	struct health_check *hc = world_alloc(w, sizeof(*hc));
	struct pool_conf conf;

	for (int i = 0; i < 2; i++) {
		struct work work = healthy_work(w);

		conf = healthy_pool(w, p);
		conf.max = param_int_log(w, "most", 5, 40);
		load.peak_per_s = param_log(w, "peak_per_s", 1, 15);
		load.per_s = load.peak_per_s / 100;
		load.phase_s = i * load.period_s / 2;
		serve(p, &conf, &load, &work);
	}
	conf = healthy_per_request(w, p);
	hc->pool = gen_pool_new(p, &conf);
	hc->every_s = param_log(w, "check_every_s", 5, 60);
	check_health(w, hc);
}

struct tenants {
	struct gen_pool *pools[MAX_TENANTS];
	struct gen_proc *proc;
	struct work work;
	int n;
	double per_s, skew;
};

static void serve_tenant(struct world *w, void *arg)
{
	struct tenants *t = arg;
	/* The first are asked for most; without skew all alike. */
	double x = rng_uniform(world_rng(w)), share = gen_exp2(gen_log2(x + 1e-9) * (1 + t->skew));
	int i = (int)(share * t->n);

	if (world_is_draining(w))
		return;
	gen_request(t->pools[i < t->n ? i : t->n - 1], &t->work);
	gen_proc_in(t->proc, rng_exp(world_rng(w), 1 / t->per_s), serve_tenant, t);
}

void healthy_tenants(struct world *w, struct gen_proc *p)
{
	struct tenants *t = world_alloc(w, sizeof(*t));
	struct pool_conf conf = healthy_per_request(w, p);

	t->proc = p;
	t->work = healthy_work(w);
	t->n = param_int_log(w, "tenants", 5, MAX_TENANTS);
	t->per_s = param_log(w, "per_s", 0.05, 5);
	t->skew = param_between(w, "skew", 0, 3);
	conf.keep = -1;
	conf.max = param_int(w, "each", 1, 5);
	conf.idle_s = param_log(w, "idle_s", 30, 900);
	conf.check_s = param_log(w, "check_s", 1, 30);
	for (int i = 0; i < t->n; i++)
		t->pools[i] = gen_pool_new(p, &conf);
	serve_tenant(w, t);
}
