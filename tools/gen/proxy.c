/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy.h"

#define MAX_DATABASES 64

/* --- a sidecar --- */

struct sidecar {
	struct gen_proc *proc;
	struct gen_server *behind;
	uint32_t tid;
	uint64_t site;
};

/* A connection and the one that it goes on as; each is the other's end. */
static void upstream_ended(struct world *w, struct gen_conn *up)
{
	struct gen_conn *c = up->owner;

	(void)w;
	c->proxied = NULL;
	gen_close(up);
	gen_fin(c, FIN_PEER);
}

static void turn_away(struct world *w, void *arg)
{
	struct gen_conn *c = arg;

	(void)w;
	gen_fin(c, FIN_PEER);
}

static void sidecar_opened(struct world *w, struct gen_server *s, struct gen_conn *c)
{
	struct sidecar *sc = s->conf.arg;
	struct gen_conn *up = gen_open(sc->proc, sc->tid, sc->site, sc->behind);

	(void)w;
	if (!up) {
		gen_conn_in(c, 0.004, turn_away, c);
		return;
	}
	up->owner = c;
	up->on_fin = upstream_ended;
	up->is_kept = true;
	c->proxied = up;
}

static void sidecar_asked(struct gen_server *s, struct gen_conn *c, double busy_s, uint32_t tx,
			  uint32_t rx)
{
	(void)s;
	if (c->proxied)
		gen_query(c->proxied, busy_s, tx, rx);
}

static void sidecar_ended(struct gen_server *s, struct gen_conn *c)
{
	struct gen_conn *up = c->proxied;

	(void)s;
	if (!up)
		return;
	c->proxied = NULL;
	up->on_fin = NULL;
	gen_close(up);
}

static const struct gen_server_ops sidecar_ops = {
	.opened = sidecar_opened,
	.asked = sidecar_asked,
	.ended = sidecar_ended,
};

struct gen_server *gen_sidecar_new(struct world *w, struct gen_server *behind)
{
	struct sidecar *sc = world_alloc(w, sizeof(*sc));

	sc->proc = gen_proc_new(w, &(struct gen_proc_conf){.service = "sql-proxy"});
	sc->tid = gen_thread_new(sc->proc);
	sc->site = gen_site(sc->proc, "connect_upstream");
	sc->behind = behind;
	return gen_server_new(
		w, &(struct gen_server_conf){.via = sc->proc, .ops = &sidecar_ops, .arg = sc});
}

/* --- PgBouncer --- */

struct bouncer {
	struct gen_pool *pools[MAX_DATABASES];
	int n, next;
};

/* A query on its way through. */
struct relay {
	struct gen_pool *pool;
	struct gen_conn *conn;
	double busy_s;
	uint32_t tx, rx;
};

static void give_back(struct world *w, void *arg)
{
	struct relay *r = arg;

	gen_pool_put(r->pool, r->conn);
	world_give(w, r, sizeof(*r));
}

static void pass_on(struct world *w, struct gen_conn *c, void *arg)
{
	struct relay *r = arg;

	if (!c) {
		world_give(w, r, sizeof(*r));
		return;
	}
	r->conn = c;
	gen_query(c, r->busy_s, r->tx, r->rx);
	gen_proc_in(gen_pool_proc(r->pool), r->busy_s + 0.001, give_back, r);
}

static void bouncer_opened(struct world *w, struct gen_server *s, struct gen_conn *c)
{
	struct bouncer *b = s->conf.arg;

	(void)w;
	c->proxied = b->pools[b->next++ % b->n];
}

static void bouncer_asked(struct gen_server *s, struct gen_conn *c, double busy_s, uint32_t tx,
			  uint32_t rx)
{
	struct relay *r = world_get(s->w, sizeof(*r));

	*r = (struct relay){.pool = c->proxied, .busy_s = busy_s, .tx = tx, .rx = rx};
	gen_pool_get(r->pool, pass_on, r);
}

static const struct gen_server_ops bouncer_ops = {
	.opened = bouncer_opened,
	.asked = bouncer_asked,
};

struct gen_server *gen_bouncer_new(struct world *w, struct gen_server *behind, int n_databases,
				   const struct pool_conf *conf)
{
	struct gen_proc *p = gen_proc_new(w, &(struct gen_proc_conf){.service = "pgbouncer"});
	struct bouncer *b = world_alloc(w, sizeof(*b));
	struct pool_conf each = *conf;

	each.server = behind;
	each.opener = OPENER_ONE;
	each.tid = gen_thread_new(p);
	each.site = gen_site(p, "launch_new_connection");
	b->n = n_databases < MAX_DATABASES ? n_databases : MAX_DATABASES;
	for (int i = 0; i < b->n; i++)
		b->pools[i] = gen_pool_new(p, &each);
	return gen_server_new(w, &(struct gen_server_conf){
					 .via = p, .port = 6432, .ops = &bouncer_ops, .arg = b});
}

struct gen_proc *gen_proxy_proc(const struct gen_server *s)
{
	return s->conf.via;
}
