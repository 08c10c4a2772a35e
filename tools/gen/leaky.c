/* SPDX-License-Identifier: Apache-2.0 */
#include "rng.h"

#include "leaky.h"

struct plan {
	struct leak_conf conf;
	uint32_t n_lost;
};

struct load leaky_rate(double per_min)
{
	return (struct load){.shape = LOAD_CONSTANT, .per_s = per_min / MINUTE_S};
}

static void ping(struct world *w, void *arg)
{
	struct gen_conn *c = arg;
	struct plan *plan = c->owner;

	(void)w;
	if (gen_ping(c))
		gen_conn_in(c, plan->conf.ping_s, ping, c);
}

static void lose(struct world *w, struct gen_pool *pool, struct gen_conn *c, struct plan *plan)
{
	gen_pool_lose(pool, c);
	c->fin = plan->conf.fin;
	c->on_fin = NULL;
	c->owner = plan;
	if (plan->conf.ping_s > 0)
		gen_conn_in(c, plan->conf.ping_s, ping, c);
	plan->n_lost++;
	if (plan->conf.stop_at && plan->n_lost >= plan->conf.stop_at)
		world_stop(w);
}

static bool is_lost(struct world *w, struct gen_pool *pool, struct gen_conn *c, void *arg)
{
	struct plan *plan = arg;
	double now = world_now(w), until, requests, leaks;

	if (c->has_fin)
		return false;
	requests = load_rate(&plan->conf.requests, now, &until);
	leaks = load_rate(&plan->conf.leaks, now, &until);
	/* Who was asked before the traffic changed comes back after it. */
	if (requests <= 0 || !rng_chance(world_rng(w), leaks < requests ? leaks / requests : 1))
		return false;
	lose(w, pool, c, plan);
	return true;
}

static void begin(struct world *w, void *arg)
{
	(void)arg;
	world_leak_begins(w);
}

struct gen_pool *leaky_start(struct gen_proc *p, const struct leak_conf *conf)
{
	struct world *w = p->w;
	struct plan *plan = world_alloc(w, sizeof(*plan));
	struct gen_pool *pool = gen_pool_new(p, &conf->pool);

	if (!plan || !pool)
		return NULL;
	plan->conf = *conf;
	gen_pool_on_release(pool, is_lost, plan);
	gen_traffic(pool, &conf->requests, &conf->work);
	if (conf->leaks.from_s > world_now(w))
		world_in(w, conf->leaks.from_s - world_now(w), begin, NULL);
	else if (conf->leaks.per_s > 0 || conf->leaks.peak_per_s > 0)
		world_leak_begins(w);
	return pool;
}

static void draw_work(struct world *w, struct work *ret)
{
	*ret = (struct work){.kind = WORK_LOGNORMAL,
			     .hold_s = param_log(w, "hold_s", 0.005, 1),
			     .sigma = param_between(w, "sigma", 0.3, 1.5),
			     .cap_s = 120,
			     .max_queries = param_int_log(w, "queries", 1, 6)};
}

void leaky_per_request(struct world *w, struct leak_conf *ret)
{
	*ret = (struct leak_conf){.pool = {.opener = OPENER_REQUEST}};
	ret->pool.n_threads = param_int_log(w, "threads", 1, 8);
	draw_work(w, &ret->work);
}

void leaky_pool(struct world *w, struct leak_conf *ret)
{
	*ret = (struct leak_conf){.pool = {.keep = -1}};
	ret->pool.max = param_int_log(w, "pool", 10, 100);
	ret->pool.order = (enum pool_order)param_int(w, "order", POOL_LIFO, POOL_RANDOM);
	ret->pool.opener = (enum pool_opener)param_int(w, "opener", OPENER_REQUEST, OPENER_NEW);
	ret->pool.n_threads = param_int_log(w, "threads", 2, 16);
	if (param_chance(w, "reaps", 0.5))
		ret->pool.idle_s = param_log(w, "pool_idle_s", 60, 1800);
	if (param_chance(w, "recycles", 0.5))
		ret->pool.life_s = param_log(w, "life_s", 600, 7200);
	draw_work(w, &ret->work);
}

void leaky_at_rate(struct world *w, void *arg)
{
	const struct leaky_at *at = arg;
	struct gen_proc *p = gen_proc_new(w, &(struct gen_proc_conf){.service = "orders"});
	struct leak_conf conf;

	if (!p)
		return;
	leaky_per_request(w, &conf);
	conf.leaks = leaky_rate(at->leaks_per_min);
	conf.requests = at->requests_per_min > 0 ? leaky_rate(at->requests_per_min) : conf.leaks;
	conf.pool.site = gen_site(p, "handle_request");
	world_set_family(w, "at-rate", true, false);
	world_leak_rate(w, at->leaks_per_min);
	leaky_start(p, &conf);
}

/* Hours: enough for most to run out of connections, so that the time of that is known. */
const struct family leaky_families[] = {
	{.name = "every-request",
	 .about = "each request forgets its connection, 1 to 10 a minute",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_every_request},
	{.name = "fast",
	 .about = "each request forgets its connection, 10 to 120 a minute",
	 .is_leaky = true,
	 .hours = 2,
	 .behave = leaky_fast},
	{.name = "error-path",
	 .about = "an error path that 1 % of 100 to 600 requests a minute take",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_error_path},
	{.name = "error-path-rare",
	 .about = "0.1 % of 200 to 1,500 requests a minute",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_error_path_rare},
	{.name = "one-a-minute",
	 .about = "about one a minute among 10 to 300 requests",
	 .is_leaky = true,
	 .hours = 20,
	 .behave = leaky_one_a_minute},
	{.name = "one-in-ten-minutes",
	 .about = "about one in ten minutes among 10 to 300 requests a minute",
	 .is_leaky = true,
	 .hours = 24,
	 .behave = leaky_one_in_ten_minutes},
	{.name = "many-threads",
	 .about = "some requests of a server with 20 to 200 threads",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_threads},
	{.name = "thread-for-each",
	 .about = "each request has a new thread and some forget their connection",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_thread_per_request},
	{.name = "heartbeats",
	 .about = "something goes on pinging the lost connections",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_heartbeats},
	{.name = "close-wait",
	 .about = "the server ends lost connections, their descriptors stay",
	 .is_leaky = true,
	 .hours = 4,
	 .behave = leaky_close_wait},
	{.name = "server-reaps",
	 .about = "the server ends lost connections after a while and the driver closes them",
	 .is_leaky = true,
	 .hours = 4,
	 .behave = leaky_reaped},
	{.name = "late-onset",
	 .about = "healthy for 1 to 8 hours, then some requests leak",
	 .is_leaky = true,
	 .hours = 20,
	 .behave = leaky_late_onset},
	{.name = "adopted",
	 .about = "leaked for a while when the watch begins, and goes on",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_adopted},
	{.name = "error-bursts",
	 .about = "errors of 1 to 5 minutes each 10 to 60 minutes leak",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_error_bursts},
	{.name = "burst-stops",
	 .about = "one burst of errors of 3 to 15 minutes leaks, and it is over",
	 .is_leaky = true,
	 .hours = 2,
	 .behave = leaky_burst_stops},
	{.name = "diurnal",
	 .about = "some requests leak, and there are more by day",
	 .is_leaky = true,
	 .hours = 24,
	 .behave = leaky_diurnal},
	{.name = "accelerating",
	 .about = "from one in ten minutes or less, doubling each 15 to 40 minutes",
	 .is_leaky = true,
	 .hours = 8,
	 .behave = leaky_accelerating},
	{.name = "growing-traffic",
	 .about = "a pool under traffic that grows 5 to 20 times, and a part of it leaks",
	 .is_leaky = true,
	 .hours = 12,
	 .behave = leaky_growing_traffic},
	{.name = "go-pool",
	 .about = "a pool that keeps two idle ones, opened from several threads, some leak",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_go_pool},
	{.name = "pool-unbounded",
	 .about = "a pool without a limit of its own, some borrowers never return",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_pool_unbounded},
	{.name = "pool-bounded",
	 .about = "a pool of 15 to 40 that fills with what is never returned",
	 .is_leaky = true,
	 .hours = 8,
	 .behave = leaky_pool_bounded},
	{.name = "pool-per-request",
	 .about = "a new pool of 2 to 5 connections for each request, never shut",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_pool_per_request},
	{.name = "one-site",
	 .about = "one place of three in a busy process leaks, places are told",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_one_site},
	{.name = "one-site-no-stacks",
	 .about = "the same, and all places look alike",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_one_site_no_stacks},
	{.name = "six-sites",
	 .about = "six places leak, slowly each",
	 .is_leaky = true,
	 .hours = 16,
	 .behave = leaky_six_sites},
	{.name = "restarts",
	 .about = "each process lives for 5 to 20 minutes",
	 .is_leaky = true,
	 .hours = 4,
	 .setup = leaky_restarts},
	{.name = "restarts-fast",
	 .about = "each process lives for 2 to 4 minutes",
	 .is_leaky = true,
	 .hours = 4,
	 .setup = leaky_restarts_fast},
	{.name = "workers",
	 .about = "8 workers of one service, slow each",
	 .is_leaky = true,
	 .hours = 16,
	 .setup = leaky_workers},
	{.name = "behind-a-proxy",
	 .about = "what a program leaks goes to a sidecar or to PgBouncer on the same node",
	 .is_leaky = true,
	 .hours = 16,
	 .setup = leaky_behind_proxy},
	{.name = NULL},
};
