/* SPDX-License-Identifier: Apache-2.0 */
/* healthy_procs.c - services of several processes, one after the other or side by side */
#include "healthy.h"

#include "proxy.h"

#define HOUR	    3600.0
#define MAX_PLACES  32
#define MAX_VERSION 100

/* A process for as long as it takes to draw what all of its kind will be like. */
static struct healthy_service draw_service(struct world *w, const char *name, double rate_hi)
{
	struct gen_proc *p = gen_proc_new(w, &(struct gen_proc_conf){.service = name});
	struct healthy_service s = {.service = name};
	bool is_pooled = param_chance(w, "pooled", 0.7);

	s.pool = is_pooled ? healthy_pool(w, p) : healthy_per_request(w, p);
	s.load = healthy_load(w, 0.02, rate_hi);
	s.work = healthy_work(w);
	gen_proc_exit(p);
	return s;
}

/* One place that has a process, until it exits and the next is started. */
struct place {
	struct healthy_service service;
	struct gen_proc *proc;
	double life_s, gap_s;
};

static void start_again(struct world *w, void *arg);

static void stop(struct world *w, void *arg)
{
	struct place *place = arg;

	gen_proc_exit(place->proc);
	if (!world_is_draining(w))
		world_in(w, place->gap_s, start_again, place);
}

static void start_again(struct world *w, void *arg)
{
	struct place *place = arg;

	place->proc = healthy_serve(w, &place->service);
	world_in(w, place->life_s * rng_between(world_rng(w), 0.6, 1.4), stop, place);
}

static void fill_places(struct world *w, int n, const struct place *like)
{
	for (int i = 0; i < n; i++) {
		struct place *place = world_alloc(w, sizeof(*place));

		*place = *like;
		world_in(w, rng_between(world_rng(w), 0, 60), start_again, place);
	}
}

void healthy_short_lives(struct world *w)
{
	struct place place = {.service = draw_service(w, "web", 8)};

	place.life_s = param_log(w, "life_s", 120, 1800);
	place.gap_s = param_log(w, "gap_s", 0.1, 10);
	fill_places(w, param_int(w, "processes", 1, 4), &place);
}

/* Workers that each have their own few connections and are replaced after some requests. */
void healthy_prefork(struct world *w)
{
	struct place place = {.service = draw_service(w, "gunicorn", 2)};

	place.service.pool.max = param_int(w, "each", 1, 3);
	place.service.pool.keep = -1;
	place.service.pool.n_threads = 1;
	place.life_s = param_log(w, "life_s", 120, 24 * HOUR);
	place.gap_s = 0.5;
	fill_places(w, param_int_log(w, "workers", 4, MAX_PLACES), &place);
}

/* --- deploys --- */

struct fleet {
	struct healthy_service service;
	struct gen_proc *procs[MAX_PLACES];
	char versions[MAX_VERSION][16];
	int n, next, version;
	double every_s, step_s;
};

static void name_versions(struct fleet *f)
{
	for (int i = 0; i < MAX_VERSION; i++) {
		f->versions[i][0] = 'v';
		f->versions[i][1] = (char)('0' + i / 10);
		f->versions[i][2] = '.';
		f->versions[i][3] = (char)('0' + i % 10);
	}
}

static struct fleet *new_fleet(struct world *w, const char *name)
{
	struct fleet *f = world_alloc(w, sizeof(*f));

	name_versions(f);
	f->service = draw_service(w, name, 8);
	f->service.version = f->versions[0];
	f->n = param_int(w, "replicas", 1, 8);
	f->every_s = param_log(w, "deploy_every_s", 1200, 12 * HOUR);
	f->step_s = param_log(w, "step_s", 5, 120);
	for (int i = 0; i < f->n; i++)
		f->procs[i] = healthy_serve(w, &f->service);
	return f;
}

static void next_version(struct fleet *f)
{
	f->version = (f->version + 1) % MAX_VERSION;
	f->service.version = f->versions[f->version];
	f->next = 0;
}

static void roll(struct world *w, void *arg);

static void replace_next(struct world *w, void *arg)
{
	struct fleet *f = arg;

	if (f->next == f->n) {
		world_in(w, f->every_s * rng_between(world_rng(w), 0.5, 1.5), roll, f);
		return;
	}
	gen_proc_exit(f->procs[f->next]);
	f->procs[f->next++] = healthy_serve(w, &f->service);
	world_in(w, f->step_s, replace_next, f);
}

static void roll(struct world *w, void *arg)
{
	if (world_is_draining(w))
		return;
	next_version(arg);
	replace_next(w, arg);
}

/* One replica after the other is replaced by the next version. */
void healthy_rolling(struct world *w)
{
	struct fleet *f = new_fleet(w, "shop");

	world_in(w, f->every_s * rng_uniform(world_rng(w)), roll, f);
}

/* The next version runs beside the old one for a while, then the old one goes. */
struct switchover {
	struct fleet *fleet;
	struct gen_proc *old[MAX_PLACES];
};

static void retire_blue(struct world *w, void *arg)
{
	struct switchover *so = arg;

	for (int i = 0; i < so->fleet->n; i++)
		gen_proc_exit(so->old[i]);
	world_give(w, so, sizeof(*so));
}

static void go_green(struct world *w, void *arg)
{
	struct fleet *f = arg;
	struct switchover *so;

	if (world_is_draining(w))
		return;
	so = world_get(w, sizeof(*so));
	so->fleet = f;
	next_version(f);
	for (int i = 0; i < f->n; i++) {
		so->old[i] = f->procs[i];
		f->procs[i] = healthy_serve(w, &f->service);
	}
	world_in(w, f->step_s * 4, retire_blue, so);
	world_in(w, f->every_s * rng_between(world_rng(w), 0.5, 1.5) + f->step_s * 4, go_green, f);
}

void healthy_blue_green(struct world *w)
{
	struct fleet *f = new_fleet(w, "shop");

	world_in(w, f->every_s * rng_uniform(world_rng(w)), go_green, f);
}

/* --- cron: a program that comes, opens a few, and is gone with them --- */

struct cron {
	struct healthy_service service;
	struct gen_proc *proc;
	double every_s, life_s;
	int n;
};

static void end_job(struct world *w, void *arg)
{
	(void)w;
	gen_proc_exit(arg);
}

static void start_job(struct world *w, void *arg)
{
	struct cron *c = arg;
	struct gen_proc *p;

	if (world_is_draining(w))
		return;
	p = gen_proc_new(w, &(struct gen_proc_conf){.service = "report"});
	for (int i = 0; i < c->n; i++) {
		struct gen_conn *conn = gen_open(p, p->pid, gen_site(p, "main"), world_server(w));

		if (!conn)
			continue;
		conn->is_kept = true;
		gen_query(conn, c->life_s * rng_uniform(world_rng(w)), 300, 20000);
	}
	gen_proc_in(p, rng_lognormal(world_rng(w), c->life_s, 0.5), end_job, p);
	world_in(w, c->every_s, start_job, c);
}

void healthy_cron(struct world *w)
{
	struct cron *c = world_alloc(w, sizeof(*c));

	c->every_s = param_log(w, "every_s", 30, 1800);
	c->life_s = c->every_s * param_log(w, "life", 0.01, 2);
	c->n = param_int(w, "each", 1, 6);
	start_job(w, c);
}

/* --- poolers and proxies of this node --- */

static struct pool_conf bouncer_pool(struct world *w)
{
	struct pool_conf conf = {.keep = -1, .order = POOL_LIFO, .check_s = 1};

	conf.max = param_int_log(w, "pool_size", 2, 30);
	conf.idle_s = param_log(w, "server_idle_timeout", 10, 1800);
	conf.life_s = param_log(w, "server_lifetime", 300, 7200);
	return conf;
}

static struct gen_server *any_proxy(struct world *w, struct gen_server *behind)
{
	struct pool_conf conf;

	if (param_chance(w, "sidecar", 0.5))
		return gen_sidecar_new(w, behind);
	conf = bouncer_pool(w);
	return gen_bouncer_new(w, behind, param_int(w, "databases", 1, 3), &conf);
}

/* Programs that think they talk to the server. */
void healthy_behind_pooler(struct world *w)
{
	struct gen_server *front = any_proxy(w, world_server(w));
	int n = param_int(w, "services", 1, 3);
	static const char *const names[] = {"cart", "search", "mail"};

	for (int i = 0; i < n; i++) {
		struct healthy_service s = draw_service(w, names[i], 8);

		s.pool.server = front;
		healthy_serve(w, &s);
	}
}

/* PgBouncer with many databases, whose clients are on other machines: only it is a holder here. */
struct clients {
	struct gen_pool *pools[MAX_PLACES];
	struct work work;
	int n;
	double per_s;
	struct gen_proc *proc;
};

static void relay_one(struct world *w, void *arg)
{
	struct clients *c = arg;
	double x = rng_uniform(world_rng(w));

	if (world_is_draining(w))
		return;
	gen_request(c->pools[(int)(x * x * c->n)], &c->work);
	gen_proc_in(c->proc, rng_exp(world_rng(w), 1 / c->per_s), relay_one, c);
}

void healthy_pooler(struct world *w)
{
	struct clients *c = world_alloc(w, sizeof(*c));
	struct pool_conf conf = bouncer_pool(w);

	c->proc = gen_proc_new(w, &(struct gen_proc_conf){.service = "pgbouncer"});
	c->n = param_int_log(w, "databases", 1, MAX_PLACES);
	c->per_s = param_log(w, "per_s", 0.05, 30);
	c->work = healthy_work(w);
	conf.opener = OPENER_ONE;
	conf.tid = gen_thread_new(c->proc);
	conf.site = gen_site(c->proc, "launch_new_connection");
	conf.max = conf.max > 8 ? 8 : conf.max;
	for (int i = 0; i < c->n; i++)
		c->pools[i] = gen_pool_new(c->proc, &conf);
	relay_one(w, c);
}
