/* SPDX-License-Identifier: Apache-2.0 */
/* leaky_pool.c - leaks behind a pool, and at one of several places of the code */
#include "rng.h"

#include "leaky.h"

static void start_constant(struct gen_proc *p, struct leak_conf *conf, const char *site)
{
	conf->pool.site = site ? gen_site(p, site) : 0;
	leaky_start(p, conf);
}

void leaky_go_pool(struct world *w, struct gen_proc *p)
{
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.pool.keep = 2;
	conf.pool.n_threads = param_int(w, "openers", 2, 9);
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 30, 600));
	conf.leaks = leaky_rate(param_log(w, "per_min", 0.5, 6));
	world_leak_rate(w, conf.leaks.per_s * MINUTE_S);
	start_constant(p, &conf, "db.conn");
}

void leaky_pool_unbounded(struct world *w, struct gen_proc *p)
{
	struct leak_conf conf;

	leaky_pool(w, &conf);
	conf.pool.max = 0;
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 20, 600));
	conf.leaks = leaky_rate(param_log(w, "per_min", 0.5, 6));
	world_leak_rate(w, conf.leaks.per_s * MINUTE_S);
	start_constant(p, &conf, "pool.open");
}

/* It ends when the pool is full of lost ones: then nothing opens any more. */
void leaky_pool_bounded(struct world *w, struct gen_proc *p)
{
	struct leak_conf conf;

	leaky_pool(w, &conf);
	conf.pool.max = param_int(w, "bound", 15, 40);
	conf.pool.wait_s = param_log(w, "wait_s", 1, 30);
	conf.stop_at = (uint32_t)conf.pool.max;
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 20, 600));
	conf.leaks = leaky_rate(param_log(w, "per_min", 0.5, 6));
	world_leak_rate(w, conf.leaks.per_s * MINUTE_S);
	start_constant(p, &conf, "pool.open");
}

struct forgetful {
	struct gen_proc *p;
	uint64_t site;
	uint32_t tids[8];
	int n_tids, size;
	double mean_s;
};

static void forget_pool(struct world *w, void *arg)
{
	struct forgetful *f = arg;
	uint32_t tid = f->tids[rng_int(world_rng(w), 0, f->n_tids - 1)];

	for (int i = 0; i < f->size; i++) {
		struct gen_conn *c = gen_open(f->p, tid, f->site, world_server(w));

		if (!c)
			continue;
		gen_query(c, 0.001, 60, 200);
		gen_lose(c);
	}
	gen_proc_in(f->p, rng_exp(world_rng(w), f->mean_s), forget_pool, f);
}

void leaky_pool_per_request(struct world *w, struct gen_proc *p)
{
	struct forgetful *f = world_alloc(w, sizeof(*f));
	double per_min = param_log(w, "pools_per_min", 0.3, 3);

	if (!f)
		return;
	f->p = p;
	f->site = gen_site(p, "new_pool");
	f->size = param_int(w, "size", 2, 5);
	f->n_tids = param_int_log(w, "threads", 1, 8);
	for (int i = 0; i < f->n_tids; i++)
		f->tids[i] = gen_thread_new(p);
	f->mean_s = MINUTE_S / per_min;
	world_leak_begins(w);
	world_leak_rate(w, per_min * f->size);
	gen_proc_in(p, rng_exp(world_rng(w), f->mean_s), forget_pool, f);
}

/* A pool and a place that closes what it opens, and a third that does not always. */
static void one_site_of_three(struct world *w, struct gen_proc *p, bool has_site)
{
	struct leak_conf conf;

	leaky_pool(w, &conf);
	conf.requests = leaky_rate(param_log(w, "pool_requests_per_min", 20, 600));
	start_constant(p, &conf, has_site ? "pool.open" : NULL);
	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "report_requests_per_min", 1, 60));
	start_constant(p, &conf, has_site ? "report" : NULL);
	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 5, 100));
	conf.leaks = leaky_rate(param_log(w, "per_min", 0.5, 5));
	world_leak_rate(w, conf.leaks.per_s * MINUTE_S);
	start_constant(p, &conf, has_site ? "place_order" : NULL);
}

void leaky_one_site(struct world *w, struct gen_proc *p)
{
	one_site_of_three(w, p, true);
}

void leaky_one_site_no_stacks(struct world *w, struct gen_proc *p)
{
	one_site_of_three(w, p, false);
}

void leaky_six_sites(struct world *w, struct gen_proc *p)
{
	static const char *const sites[] = {"list", "get", "put", "remove", "search", "export"};
	double sum = 0;

	for (int i = 0; i < 6; i++) {
		struct leak_conf conf;

		leaky_per_request(w, &conf);
		conf.requests = leaky_rate(param_log(w, "requests_per_min", 2, 60));
		conf.leaks = leaky_rate(param_log(w, "per_min", 0.15, 0.6));
		sum += conf.leaks.per_s * MINUTE_S;
		start_constant(p, &conf, sites[i]);
	}
	world_leak_rate(w, sum);
}
