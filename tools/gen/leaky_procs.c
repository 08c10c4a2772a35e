/* SPDX-License-Identifier: Apache-2.0 */
/* leaky_procs.c - leaks of services with several processes, one after the other or side by side */
#include "rng.h"

#include "leaky.h"
#include "proxy.h"

/* A service whose process is started again and again. */
struct service {
	struct leak_conf conf;
	struct gen_proc *p;
	double life_lo_s, life_hi_s;
};

static void end_life(struct world *w, void *arg);

static void begin_life(struct world *w, void *arg)
{
	struct service *s = arg;

	s->p = gen_proc_new(w, &(struct gen_proc_conf){.service = "orders"});
	if (!s->p)
		return;
	s->conf.pool.site = gen_site(s->p, "handle_request");
	leaky_start(s->p, &s->conf);
	world_in(w, rng_between(world_rng(w), s->life_lo_s, s->life_hi_s), end_life, s);
}

static void end_life(struct world *w, void *arg)
{
	struct service *s = arg;

	gen_proc_exit(s->p);
	world_in(w, rng_between(world_rng(w), 0.5, 10), begin_life, s);
}

static void restart_often(struct world *w, double life_lo_s, double life_hi_s)
{
	struct service *s = world_alloc(w, sizeof(*s));
	double leaks, least = 2 * MINUTE_S / life_lo_s;

	if (!s)
		return;
	leaky_per_request(w, &s->conf);
	/* Two in the shortest life: less is one that its restarts repair. */
	leaks = param_log(w, "per_min", least, least * 8);
	s->conf.leaks = leaky_rate(leaks);
	s->conf.requests = leaky_rate(leaks * param_log(w, "requests_per_leak", 1, 50));
	s->life_lo_s = life_lo_s;
	s->life_hi_s = life_hi_s;
	world_leak_rate(w, leaks);
	begin_life(w, s);
}

void leaky_restarts(struct world *w)
{
	restart_often(w, 5 * MINUTE_S, 20 * MINUTE_S);
}

void leaky_restarts_fast(struct world *w)
{
	restart_often(w, 2 * MINUTE_S, 4 * MINUTE_S);
}

void leaky_workers(struct world *w)
{
	struct gen_proc *parent = gen_proc_new(w, &(struct gen_proc_conf){.service = "orders"});
	double sum = 0;

	for (int i = 0; parent && i < 8; i++) {
		struct gen_proc *p = gen_proc_new(
			w, &(struct gen_proc_conf){.service = "orders", .parent = parent});
		struct leak_conf conf;

		if (!p)
			return;
		leaky_per_request(w, &conf);
		conf.requests = leaky_rate(param_log(w, "requests_per_min", 5, 60));
		conf.leaks = leaky_rate(param_log(w, "per_min", 0.1, 0.5));
		conf.pool.site = gen_site(p, "handle_request");
		sum += conf.leaks.per_s * MINUTE_S;
		leaky_start(p, &conf);
	}
	world_leak_rate(w, sum);
}

/* The program leaks what it has to the proxy; a sidecar holds one of its own for each of them. */
void leaky_behind_proxy(struct world *w)
{
	struct gen_server *front, *behind = world_server(w);
	struct pool_conf pool = {.keep = -1};
	struct leak_conf conf;
	struct gen_proc *p;

	if (param_chance(w, "sidecar", 0.5)) {
		front = gen_sidecar_new(w, behind);
	} else {
		pool.max = param_int_log(w, "pool_size", 5, 30);
		pool.idle_s = param_log(w, "server_idle_timeout", 60, 1800);
		front = gen_bouncer_new(w, behind, 1, &pool);
		front->conf.has_budget = true;
		front->conf.limit = (uint32_t)param_int_log(w, "max_client_conn", 100, 1000);
	}
	p = gen_proc_new(w, &(struct gen_proc_conf){.service = "orders"});
	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 10, 300));
	conf.leaks = leaky_rate(param_log(w, "per_min", 0.5, 6));
	conf.pool.server = front;
	conf.pool.site = gen_site(p, "handle_request");
	world_leak_rate(w, conf.leaks.per_s * MINUTE_S);
	leaky_start(p, &conf);
}
