/* SPDX-License-Identifier: Apache-2.0 */
/* healthy_server.c - what the server does to its clients, and they get over */
#include "healthy.h"

#define HOUR 3600.0

static void serve(struct world *w, struct gen_proc *p, const struct pool_conf *conf)
{
	struct load load = healthy_load(w, 0.05, 10);
	struct work work = healthy_work(w);

	work.retry_s = param_log(w, "retry_s", 0.05, 5);
	gen_traffic(gen_pool_new(p, conf), &load, &work);
}

/* --- restarts --- */

struct restarts {
	struct gen_server *server;
	double every_s, down_s;
};

static void restart(struct world *w, void *arg)
{
	struct restarts *r = arg;

	if (!world_is_draining(w))
		gen_server_restart(r->server, r->down_s);
	world_in(w, rng_exp(world_rng(w), r->every_s), restart, r);
}

static void restart_now_and_then(struct world *w)
{
	struct restarts *r = world_alloc(w, sizeof(*r));

	r->server = world_server(w);
	r->every_s = param_log(w, "restart_every_s", 600, 6 * HOUR);
	r->down_s = param_log(w, "down_s", 0.2, 120);
	world_in(w, rng_exp(world_rng(w), r->every_s), restart, r);
}

static void restarted(struct world *w, struct gen_proc *p, enum pool_notice notice)
{
	struct pool_conf conf = healthy_pool(w, p);

	conf.notice = notice;
	serve(w, p, &conf);
	restart_now_and_then(w);
}

void healthy_restart_seen(struct world *w, struct gen_proc *p)
{
	restarted(w, p, NOTICE_AT_ONCE);
}

void healthy_restart_unseen(struct world *w, struct gen_proc *p)
{
	restarted(w, p, NOTICE_AT_USE);
}

/* --- a server that ends what lies idle for too long --- */

void healthy_reaped(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_pool(w, p);
	struct gen_server_conf server = {.limit = 400, .has_budget = true};

	server.idle_session_s = param_log(w, "idle_session_s", 20, 1800);
	server.idle_tx_s = server.idle_session_s;
	conf.server = gen_server_new(w, &server);
	conf.idle_s = 0;
	serve(w, p, &conf);
}

/* --- a server without a slot to spare: everybody tries again --- */

struct crowd {
	struct gen_server *server;
	double every_s, lasts_s;
};

static void let_go(struct world *w, void *arg)
{
	(void)w;
	((struct crowd *)arg)->server->conf.others = 0;
}

static void crowd_in(struct world *w, void *arg)
{
	struct crowd *c = arg;
	struct gen_server *s = c->server;
	double lasts_s = rng_exp(world_rng(w), c->lasts_s);

	if (!world_is_draining(w))
		s->conf.others = s->conf.limit - s->used;
	world_in(w, lasts_s, let_go, c);
	world_in(w, lasts_s + rng_exp(world_rng(w), c->every_s), crowd_in, c);
}

void healthy_retry_storm(struct world *w, struct gen_proc *p)
{
	bool is_pooled = param_chance(w, "pooled", 0.5);
	struct pool_conf conf = is_pooled ? healthy_pool(w, p) : healthy_per_request(w, p);
	struct crowd *c = world_alloc(w, sizeof(*c));

	c->server = gen_server_new(w, &(struct gen_server_conf){.limit = 200, .has_budget = true});
	c->every_s = param_log(w, "every_s", 900, 4 * HOUR);
	c->lasts_s = param_log(w, "lasts_s", 20, 900);
	conf.server = c->server;
	serve(w, p, &conf);
	world_in(w, rng_exp(world_rng(w), c->every_s), crowd_in, c);
}
