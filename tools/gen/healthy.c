/* SPDX-License-Identifier: Apache-2.0 */
/* healthy.c - the table of healthy families, and what several of them are made of */
#include "healthy.h"

struct load healthy_load(struct world *w, double lo, double hi)
{
	return (struct load){.per_s = param_log(w, "per_s", lo, hi)};
}

struct work healthy_work(struct world *w)
{
	struct work work = {.hold_s = param_log(w, "hold_s", 0.005, 2)};

	work.sigma = param_between(w, "sigma", 0.3, 1.2);
	work.max_queries = param_int(w, "queries", 1, 5);
	work.is_tx = param_chance(w, "tx", 0.3);
	return work;
}

struct pool_conf healthy_per_request(struct world *w, struct gen_proc *p)
{
	return (struct pool_conf){
		.n_threads = param_int_log(w, "threads", 1, 16),
		.site = gen_site(p, "handle_request"),
	};
}

struct pool_conf healthy_pool(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_per_request(w, p);

	conf.keep = -1;
	conf.max = param_int_log(w, "max", 5, 100);
	conf.order = (enum pool_order)param_int(w, "order", POOL_LIFO, POOL_RANDOM);
	conf.opener = (enum pool_opener)param_int(w, "opener", OPENER_REQUEST, OPENER_MORTAL);
	conf.check_s = param_log(w, "check_s", 0.5, 30);
	conf.notice = (enum pool_notice)param_int(w, "notice", NOTICE_AT_ONCE, NOTICE_AT_USE);
	if (param_chance(w, "has_idle", 0.5))
		conf.idle_s = param_log(w, "idle_s", 15, 1800);
	if (param_chance(w, "has_life", 0.5)) {
		conf.life_s = param_log(w, "life_s", 60, 7200);
		conf.life_jitter = param_between(w, "jitter", 0, 0.3);
	}
	if (param_chance(w, "is_slow", 0.2))
		conf.connect_s = param_log(w, "connect_s", 0.02, 2);
	return conf;
}

struct gen_proc *healthy_serve(struct world *w, const struct healthy_service *s)
{
	struct gen_proc *p = gen_proc_new(
		w, &(struct gen_proc_conf){.service = s->service, .version = s->version});
	struct pool_conf conf = s->pool;

	conf.site = gen_site(p, "handle_request");
	gen_traffic(gen_pool_new(p, &conf), &s->load, &s->work);
	return p;
}

const struct family healthy_families[] = {
	{.name = "request-short",
	 .about = "a connection for each request, milliseconds to seconds",
	 .hours = 4,
	 .behave = healthy_request_short},
	{.name = "request-long",
	 .about = "the same, heavy-tailed: some take up to 2 hours of the server",
	 .hours = 6,
	 .behave = healthy_request_long},
	{.name = "request-idle-inside",
	 .about = "heavy-tailed, and the connection lies idle while the program thinks",
	 .hours = 6,
	 .behave = healthy_request_idle_inside},
	{.name = "thread-per-request",
	 .about = "each request has a thread of its own, which opens and ends",
	 .hours = 4,
	 .behave = healthy_thread_per_request},
	{.name = "pool-lifo",
	 .about = "a lazy pool: the one last given back is used first",
	 .hours = 8,
	 .behave = healthy_pool_lifo},
	{.name = "pool-fifo",
	 .about = "a lazy pool: the one longest idle is used first",
	 .hours = 8,
	 .behave = healthy_pool_fifo},
	{.name = "pool-random",
	 .about = "a lazy pool: any idle one is used",
	 .hours = 8,
	 .behave = healthy_pool_random},
	{.name = "pool-day",
	 .about = "a lazy pool under load that comes and goes like the day",
	 .hours = 24,
	 .behave = healthy_pool_day},
	{.name = "pool-night",
	 .about = "a pool that is busy by day and idle all night, pinged or not",
	 .hours = 24,
	 .behave = healthy_pool_night},
	{.name = "pool-fixed",
	 .about = "a fixed pool that replaces its connections by age, with keep-alive queries",
	 .hours = 8,
	 .behave = healthy_pool_fixed},
	{.name = "pool-fill",
	 .about = "a pool that opens all of its connections within a minute, and stays",
	 .hours = 4,
	 .behave = healthy_pool_fill},
	{.name = "pool-heartbeats",
	 .about = "a pool with hardly any work whose idle connections are pinged",
	 .hours = 8,
	 .behave = healthy_heartbeats},
	{.name = "pool-min-idle",
	 .about = "a pool that keeps some idle, under bursts",
	 .hours = 6,
	 .behave = healthy_pool_min_idle},
	{.name = "pool-hikari",
	 .about = "HikariCP's defaults: opened by a thread that ends, replaced after half an hour",
	 .hours = 8,
	 .behave = healthy_hikari},
	{.name = "go-bursts",
	 .about = "Go's defaults under bursts: two idle ones are kept",
	 .hours = 6,
	 .behave = healthy_go_bursts},
	{.name = "growth",
	 .about = "traffic that grows 5 to 20 times over hours",
	 .hours = 6,
	 .behave = healthy_growth},
	{.name = "half-day",
	 .about = "a pool that grows over half a day",
	 .hours = 12,
	 .behave = healthy_half_day},
	{.name = "antiphase",
	 .about = "two pools that are busy in turn, and a health check",
	 .hours = 8,
	 .behave = healthy_antiphase},
	{.name = "tenants",
	 .about = "a pool for each tenant, all from one call site, with an idle timeout",
	 .hours = 8,
	 .behave = healthy_tenants},
	{.name = "batch",
	 .about = "15 to 50 connections opened over up to 5 minutes, parked for up to an hour",
	 .hours = 6,
	 .behave = healthy_batch},
	{.name = "interactive",
	 .about = "people: sessions with long pauses",
	 .hours = 8,
	 .behave = healthy_interactive},
	{.name = "stalls",
	 .about = "a downstream that stalls for 1 to 5 minutes while requests hold connections",
	 .hours = 8,
	 .behave = healthy_stalls},
	{.name = "long-queries",
	 .about = "queries of minutes",
	 .hours = 6,
	 .behave = healthy_long_queries},
	{.name = "long-jobs",
	 .about = "jobs of minutes that hold a connection mostly idle",
	 .hours = 6,
	 .behave = healthy_long_jobs},
	{.name = "gc-closes",
	 .about = "forgotten by the code and closed by the garbage collector, in batches",
	 .hours = 6,
	 .behave = healthy_gc_closes},
	{.name = "threads",
	 .about = "a connection for each thread, threads used at random",
	 .hours = 8,
	 .behave = healthy_threads},
	{.name = "listen",
	 .about = "a few LISTEN connections beside a pool, same call site",
	 .hours = 8,
	 .behave = healthy_listen},
	{.name = "notified",
	 .about = "nothing but LISTEN connections, notified now and then",
	 .hours = 8,
	 .behave = healthy_notified},
	{.name = "replication",
	 .about = "the server streams for ever, beside a pool",
	 .hours = 8,
	 .behave = healthy_replication},
	{.name = "restart-seen",
	 .about = "the database restarts, and the pools notice at once",
	 .hours = 8,
	 .behave = healthy_restart_seen},
	{.name = "restart-unseen",
	 .about = "the database restarts, and the pools notice when they use a connection",
	 .hours = 8,
	 .behave = healthy_restart_unseen},
	{.name = "reaped",
	 .about = "the server ends what lies idle for too long",
	 .hours = 8,
	 .behave = healthy_reaped},
	{.name = "retry-storm",
	 .about = "a server that is full for minutes (53300), and clients that try again",
	 .hours = 8,
	 .behave = healthy_retry_storm},
	{.name = "short-lives",
	 .about = "processes that live 2 to 30 minutes",
	 .hours = 4,
	 .setup = healthy_short_lives},
	{.name = "rolling",
	 .about = "deploys that replace one replica after the other",
	 .hours = 12,
	 .setup = healthy_rolling},
	{.name = "blue-green",
	 .about = "deploys that start the new version beside the old one",
	 .hours = 12,
	 .setup = healthy_blue_green},
	{.name = "prefork",
	 .about = "workers with a few connections each, replaced now and then",
	 .hours = 6,
	 .setup = healthy_prefork},
	{.name = "cron",
	 .about = "a program that comes every so often and is gone with its connections",
	 .hours = 6,
	 .setup = healthy_cron},
	{.name = "behind-proxy",
	 .about = "programs behind a pooler or a sidecar of the same node",
	 .hours = 6,
	 .setup = healthy_behind_pooler},
	{.name = "pgbouncer",
	 .about = "PgBouncer with many databases, from one thread, with server_idle_timeout",
	 .hours = 8,
	 .setup = healthy_pooler},
	{.name = "slow-fill",
	 .about = "a pool that opens 30 to 90 connections, one every 2 to 8 seconds",
	 .is_known_hard = true,
	 .hours = 4,
	 .behave = healthy_pool_slow_fill},
	{0},
};
