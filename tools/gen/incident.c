/* SPDX-License-Identifier: Apache-2.0 */
/*
 * incident.c - the outage that this program exists for, in its true shape
 *
 *	11:10	order-service v2.3.8: each order opens a connection and closes it, 1.3 a minute
 *	12:10	the watch begins
 *	13:30	v2.3.9 is deployed: each order opens a connection, and nobody closes it
 *	14:25	85 of 100 connections: 71 lost, 14 of two other services
 *	14:45	still 85: nobody has ordered for 20 minutes
 *	14:47	100 of 100, in 110 seconds
 *	14:50	the trace ends; orders since then are refused
 *
 * How many and when is fixed; the moment of each order in between, the threads and the times of
 * the queries are drawn. So is the rest of the node: two services with pools of 8 and 6.
 */
#include "family.h"
#include "pool.h"

#define MINUTE	      60.0
#define WATCH_S	      (60 * MINUTE) /* of world time: 12:10 */
#define DEPLOY_S      (WATCH_S + 80 * MINUTE)
#define RISE_S	      (55 * MINUTE)
#define SPIKE_AT_S    (77 * MINUTE - 110)
#define FULL_AT_S     (77 * MINUTE)
#define END_S	      (80 * MINUTE)
#define LIMIT	      100
#define BILLING	      8
#define INVENTORY     6
#define LOST_IN_RISE  71
#define LOST_IN_SPIKE (LIMIT - BILLING - INVENTORY - LOST_IN_RISE)
#define ORDERS_PER_S  (1.3 / 60)
#define GO_THREADS    9
#define HOURS	      ((DEPLOY_S + END_S) / 3600)
#define WALL_NS	      1770549000000000000LL /* 2026-02-08 11:10:00 UTC */

struct incident {
	struct gen_proc *proc;
	uint32_t tids[GO_THREADS];
	uint32_t n_threads;
	bool is_leaking;
};

struct order {
	struct incident *incident;
	struct gen_conn *conn;
};

static void finish(struct world *w, void *arg)
{
	struct order *o = arg;

	if (o->incident->is_leaking)
		gen_lose(o->conn);
	else
		gen_close(o->conn);
	world_give(w, o, sizeof(*o));
}

/* An order asks what is in stock, and takes it. */
static void take(struct world *w, void *arg)
{
	struct order *o = arg;

	gen_query(o->conn, rng_lognormal(world_rng(w), 0.004, 0.5), 187, 71);
	gen_conn_in(o->conn, 0.02 + rng_uniform(world_rng(w)) * 0.03, finish, o);
}

static void ask(struct world *w, void *arg)
{
	struct order *o = arg;

	gen_query(o->conn, rng_lognormal(world_rng(w), 0.002, 0.5), 143, 96);
	gen_conn_in(o->conn, 0.02 + rng_uniform(world_rng(w)) * 0.03, take, o);
}

static void place_order(struct world *w, void *arg)
{
	struct incident *in = arg;
	uint32_t tid = in->tids[rng_int(world_rng(w), 0, (int)in->n_threads - 1)];
	struct gen_conn *c =
		gen_open(in->proc, tid, gen_site(in->proc, "main.placeOrder"), world_server(w));
	struct order *o;

	if (!c)
		return;
	o = world_get(w, sizeof(*o));
	o->incident = in;
	o->conn = c;
	gen_conn_in(c, (double)(c->ready_ns - world_now_ns(w)) / NS_PER_S + 0.0005, ask, o);
}

static void next_order(struct world *w, void *arg)
{
	struct incident *in = arg;

	place_order(w, in);
	gen_proc_in(in->proc, rng_exp(world_rng(w), 1 / ORDERS_PER_S), next_order, in);
}

static void start_version(struct world *w, struct incident *in, const char *version)
{
	in->proc = gen_proc_new(
		w, &(struct gen_proc_conf){.service = "order-service", .version = version});
	for (uint32_t i = 0; i < in->n_threads; i++)
		in->tids[i] = gen_thread_new(in->proc);
}

/* @n orders at random within @from_s to @until_s from now, the last one right at the end. */
static void orders_within(struct incident *in, int n, double from_s, double until_s)
{
	struct world *w = in->proc->w;

	for (int i = 1; i < n; i++)
		gen_proc_in(in->proc, rng_between(world_rng(w), from_s, until_s), place_order, in);
	gen_proc_in(in->proc, until_s, place_order, in);
}

static void stop_old(struct world *w, void *arg)
{
	struct incident *in = arg;

	(void)w;
	gen_proc_exit(in->proc);
}

static void deploy(struct world *w, void *arg)
{
	struct incident *in = arg;

	start_version(w, in, "v2.3.9");
	in->is_leaking = true;
	world_leak_begins(w);
	orders_within(in, LOST_IN_RISE, 0, RISE_S);
	orders_within(in, LOST_IN_SPIKE, SPIKE_AT_S, FULL_AT_S);
	/* And then the customers try again. */
	gen_proc_in(in->proc, FULL_AT_S + 5, next_order, in);
	for (int i = 0; i < 20; i++)
		gen_proc_in(in->proc, rng_between(world_rng(w), FULL_AT_S + 1, END_S), place_order,
			    in);
}

static void other_service(struct world *w, const char *service, int size, double per_s)
{
	struct gen_proc *p = gen_proc_new(
		w, &(struct gen_proc_conf){.service = service,
					   .version = size == BILLING ? "v1.14.2" : "v0.9.31"});
	struct pool_conf conf = {.max = size,
				 .keep = -1,
				 .order = size == BILLING ? POOL_LIFO : POOL_FIFO,
				 .n_threads = 4,
				 .fill_every_s = 0.05,
				 .site = gen_site(p, "connect")};
	struct work work = {.hold_s = 0.03, .sigma = 0.8};

	gen_traffic(gen_pool_new(p, &conf), &(struct load){.per_s = per_s}, &work);
}

static void setup(struct world *w)
{
	struct incident *in = world_alloc(w, sizeof(*in));

	world_set_wall(w, WALL_NS);
	gen_server_new(w, &(struct gen_server_conf){.limit = LIMIT, .has_budget = true});
	other_service(w, "billing", BILLING, 0.4);
	other_service(w, "inventory", INVENTORY, 0.15);
	in->n_threads = (uint32_t)param_int(w, "threads", 2, GO_THREADS);
	start_version(w, in, "v2.3.8");
	gen_proc_in(in->proc, rng_exp(world_rng(w), 1 / ORDERS_PER_S), next_order, in);
	world_in(w, DEPLOY_S - 4, stop_old, in);
	world_in(w, DEPLOY_S, deploy, in);
	world_watch_from(w, WATCH_S);
}

/* The same, seen by a watch that began with the deploy. */
static void setup_cold(struct world *w)
{
	setup(w);
	world_watch_from(w, DEPLOY_S - 3);
}

const struct family incident_families[] = {
	{.name = "incident",
	 .about = "order-service v2.3.9: 85 of 100 after 55 minutes, flat for 20, then full",
	 .is_leaky = true,
	 .hours = HOURS,
	 .setup = setup},
	{.name = "incident-cold",
	 .about = "the same, watched from the deploy on",
	 .is_leaky = true,
	 .hours = HOURS,
	 .setup = setup_cold},
	{0},
};
