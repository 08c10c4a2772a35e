/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - PostgreSQL as its clients feel it: limits, timeouts, restarts */
#include "world_impl.h"

#define BUDGET_EVERY_S 10
#define RTT_S	       0.0005

struct gen_server *gen_server_new(struct world *w, const struct gen_server_conf *conf)
{
	struct gen_server *s = world_alloc(w, sizeof(*s));
	uint8_t address[4] = {10, 0, 4, 12}, loopback[4] = {127, 0, 0, 1};

	s->w = w;
	s->conf = *conf;
	s->conf.rtt_s = conf->rtt_s > 0 ? conf->rtt_s : RTT_S;
	s->told = UINT32_MAX;
	address[3] += (uint8_t)(w->next_peer++ % 200);
	endpoint_set(&s->peer, 4, conf->via ? loopback : address, conf->port ? conf->port : 5432);
	*w->last_server = s;
	w->last_server = &s->next;
	if (!w->default_server)
		w->default_server = s;
	if (conf->limit && !w->truth.limit)
		w->truth.limit = conf->limit;
	return s;
}

struct gen_server *world_server(struct world *w)
{
	struct gen_server_conf conf = {.has_budget = true};

	if (w->default_server)
		return w->default_server;
	/* Not of the parameters' numbers: whoever asks first, replicas are to draw alike. */
	conf.limit = (uint32_t)(w->truth.is_leaky ? rng_log(&w->rng, 100, 1000)
						  : rng_log(&w->rng, 400, 2000));
	conf.rtt_s = rng_log(&w->rng, 0.0001, 0.01);
	param_note(w, "limit", conf.limit);
	param_note(w, "rtt_s", conf.rtt_s);
	return gen_server_new(w, &conf);
}

void world_set_server(struct world *w, struct gen_server *s)
{
	w->default_server = s;
}

bool server_is_full(const struct gen_server *s)
{
	return s->conf.limit && s->used + s->conf.others >= s->conf.limit;
}

void server_took(struct gen_server *s)
{
	s->used++;
	if (server_is_full(s))
		truth_of_limit(s);
}

static void come_up(struct world *w, void *arg)
{
	struct gen_server *s = arg;

	(void)w;
	s->is_down = false;
}

void gen_server_restart(struct gen_server *s, double down_s)
{
	if (s->is_down)
		return;
	s->is_down = true;
	while (s->conns)
		gen_fin(s->conns, FIN_PEER);
	world_in(s->w, down_s, come_up, s);
}

/* --- budgets --- */

static void tell_budget(struct gen_server *s)
{
	struct event ev = {.kind = EV_BUDGET};

	ev.budget.peer = s->peer;
	ev.budget.limit = s->conf.limit;
	ev.budget.used = s->used + s->conf.others;
	ev.budget.scope = SCOPE_SERVER;
	ev.budget.source = BUDGET_POSTGRESQL;
	world_emit(s->w, &ev);
	s->told = s->used + s->conf.others;
}

void server_tell_budgets(struct world *w)
{
	for (struct gen_server *s = w->servers; s; s = s->next)
		if (s->conf.has_budget && s->conf.limit && s->told != s->used + s->conf.others)
			tell_budget(s);
}

void server_tick(struct world *w)
{
	if (!w->is_watching)
		return;
	if (w->now_ns / (BUDGET_EVERY_S * NS_PER_S) !=
	    (w->now_ns - w->tick_ns) / (BUDGET_EVERY_S * NS_PER_S))
		server_tell_budgets(w);
}

/* --- what lies idle for too long --- */

/* When the server would end it; T_NEVER. */
static int64_t deadline_ns(const struct gen_conn *c)
{
	const struct gen_server_conf *conf = &c->server->conf;
	double timeout_s = c->is_in_tx ? conf->idle_tx_s : conf->idle_session_s;

	return timeout_s > 0 ? c->last_io_ns + gen_ns(timeout_s) : T_NEVER;
}

static void look_at(struct world *w, void *arg)
{
	struct gen_conn *c = arg;
	int64_t end_ns = deadline_ns(c);

	c->is_watched = false;
	if (end_ns != T_NEVER && w->now_ns >= end_ns && !c->has_fin)
		gen_fin(c, FIN_PEER);
	else
		server_watch_idle(c);
}

void server_watch_idle(struct gen_conn *c)
{
	int64_t end_ns = deadline_ns(c);

	if (end_ns == T_NEVER || c->is_watched || c->has_fin)
		return;
	c->is_watched = true;
	/* A microsecond later: seconds are no whole nanoseconds. */
	gen_conn_in(c, (double)(end_ns - c->w->now_ns) / NS_PER_S + 1e-6, look_at, c);
}
