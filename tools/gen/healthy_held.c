/* SPDX-License-Identifier: Apache-2.0 */
/* healthy_held.c - connections that are held for long on purpose, and used when there is cause */
#include "healthy.h"

#define MAX_THREADS 64

/* --- one for each thread, opened when the thread first needs it --- */

struct threads {
	struct gen_proc *proc;
	struct gen_conn *conns[MAX_THREADS];
	uint32_t tids[MAX_THREADS];
	uint64_t site;
	struct work work;
	int n;
	double per_s, skew;
};

static void connection_of(struct world *w, struct threads *t, int i)
{
	/* The server may have ended it. */
	if (t->conns[i] && t->conns[i]->has_fin) {
		gen_close(t->conns[i]);
		t->conns[i] = NULL;
	}
	if (t->conns[i])
		return;
	t->conns[i] = gen_open(t->proc, t->tids[i], t->site, world_server(w));
	if (t->conns[i])
		t->conns[i]->is_kept = true;
}

static void use_one(struct world *w, void *arg)
{
	struct threads *t = arg;
	double x = rng_uniform(world_rng(w)), share = gen_exp2(gen_log2(x + 1e-9) * (1 + t->skew));
	int i = (int)(share * t->n);
	uint32_t rx = (uint32_t)rng_int(world_rng(w), 60, 9000);

	if (world_is_draining(w))
		return;
	i = i < t->n ? i : t->n - 1;
	connection_of(w, t, i);
	if (t->conns[i])
		gen_query(t->conns[i], work_hold(w, &t->work), 200, rx);
	gen_proc_in(t->proc, rng_exp(world_rng(w), 1 / t->per_s), use_one, t);
}

void healthy_threads(struct world *w, struct gen_proc *p)
{
	struct threads *t = world_alloc(w, sizeof(*t));

	t->proc = p;
	t->site = gen_site(p, "thread_main");
	t->n = param_int_log(w, "threads", 4, MAX_THREADS);
	t->per_s = param_log(w, "per_s", 0.05, 10);
	t->skew = param_between(w, "skew", 0, 2);
	t->work = healthy_work(w);
	for (int i = 0; i < t->n; i++)
		t->tids[i] = gen_thread_new(p);
	use_one(w, t);
}

/* --- LISTEN: opened once, and then silent but for what is notified --- */

struct listener {
	struct gen_proc *proc;
	struct gen_conn *conn;
	uint64_t site;
	uint32_t tid;
	double notify_every_s; /* 0: never */
};

static void notify(struct world *w, void *arg)
{
	struct listener *l = arg;

	if (world_is_draining(w))
		return;
	gen_receive(l->conn, (uint32_t)rng_int(world_rng(w), 30, 300));
	gen_conn_in(l->conn, rng_exp(world_rng(w), l->notify_every_s), notify, l);
}

static void start_listening(struct world *w, void *arg)
{
	struct listener *l = arg;

	l->conn = gen_open(l->proc, l->tid, l->site, world_server(w));
	if (!l->conn) {
		gen_proc_in(l->proc, 5, start_listening, l);
		return;
	}
	l->conn->is_kept = true;
	gen_query(l->conn, 0.001, 40, 22);
	if (l->notify_every_s > 0)
		gen_conn_in(l->conn, rng_exp(world_rng(w), l->notify_every_s), notify, l);
}

static void listen_some(struct world *w, struct gen_proc *p, int n, uint32_t tid, uint64_t site)
{
	double every_s = param_chance(w, "notified", 0.7) ? param_log(w, "notify_s", 0.5, 3600) : 0;
	double within_s = param_log(w, "listen_within_s", 0.1, 300);

	for (int i = 0; i < n; i++) {
		struct listener *l = world_alloc(w, sizeof(*l));

		*l = (struct listener){
			.proc = p, .site = site, .tid = tid, .notify_every_s = every_s};
		gen_proc_in(p, rng_between(world_rng(w), 0, within_s), start_listening, l);
	}
}

/* A few beside a pool, from the same place in the code. */
void healthy_listen(struct world *w, struct gen_proc *p)
{
	struct pool_conf conf = healthy_pool(w, p);
	struct load load = healthy_load(w, 0.05, 10);
	struct work work = healthy_work(w);

	conf.opener = OPENER_ONE;
	conf.tid = gen_thread_new(p);
	gen_traffic(gen_pool_new(p, &conf), &load, &work);
	listen_some(w, p, param_int(w, "listeners", 1, 3), conf.tid, conf.site);
}

/* Nothing but those: one for each channel. */
void healthy_notified(struct world *w, struct gen_proc *p)
{
	int n = param_int_log(w, "listeners", 1, 30);

	listen_some(w, p, n, gen_thread_new(p), gen_site(p, "listen"));
}

/* --- replication: the server streams for ever, the client says how far it got --- */

struct stream {
	struct gen_proc *proc;
	struct gen_conn *conn;
	uint32_t tid;
	double every_s, status_s;
};

static void send_wal(struct world *w, void *arg)
{
	struct stream *s = arg;

	gen_receive(s->conn, (uint32_t)rng_int(world_rng(w), 50, 8000));
	gen_conn_in(s->conn, rng_exp(world_rng(w), s->every_s), send_wal, s);
}

static void send_status(struct world *w, void *arg)
{
	struct stream *s = arg;

	(void)w;
	/* Nothing answers it. */
	gen_query(s->conn, 0, 39, 0);
	gen_conn_in(s->conn, s->status_s, send_status, s);
}

static void start_stream(struct world *w, void *arg)
{
	struct stream *s = arg;

	s->conn =
		gen_open(s->proc, s->tid, gen_site(s->proc, "start_replication"), world_server(w));
	if (!s->conn) {
		gen_proc_in(s->proc, 5, start_stream, s);
		return;
	}
	s->conn->is_kept = true;
	gen_query(s->conn, 0.01, 90, 60);
	gen_conn_in(s->conn, 0.1, send_wal, s);
	gen_conn_in(s->conn, s->status_s, send_status, s);
}

void healthy_replication(struct world *w, struct gen_proc *p)
{
	int n = param_int(w, "streams", 1, 8);
	struct pool_conf conf = healthy_pool(w, p);
	struct load load = healthy_load(w, 0.01, 2);
	struct work work = healthy_work(w);

	gen_traffic(gen_pool_new(p, &conf), &load, &work);
	for (int i = 0; i < n; i++) {
		struct stream *s = world_alloc(w, sizeof(*s));

		*s = (struct stream){.proc = p, .tid = gen_thread_new(p), .status_s = 10};
		s->every_s = param_log(w, "wal_every_s", 0.05, 60);
		gen_proc_in(p, rng_between(world_rng(w), 0, 60), start_stream, s);
	}
}
