/* SPDX-License-Identifier: Apache-2.0 */
/* world_impl.h - what world.c, conn.c, server.c and truth.c share */
#ifndef CONNLEAK_GEN_WORLD_IMPL_H
#define CONNLEAK_GEN_WORLD_IMPL_H

#include "world.h"

enum owner_kind { OWNER_WORLD, OWNER_PROC, OWNER_CONN };

struct timer {
	int64_t t_ns;
	uint64_t seq; /* equal times: in order of their making */
	gen_fn *fn;
	void *arg, *owner;
	uint32_t gen; /* of an owning connection */
	enum owner_kind kind;
};

struct site {
	const char *function;
	struct site *next;
	uint64_t id;
	bool is_told;
};

/* Memory given back, by size. */
struct spare {
	struct spare *next;
};
#define SPARE_STEP  16
#define SPARE_SIZES 32

struct chunk {
	struct chunk *next;
	size_t used, size;
	max_align_t data[];
};

struct world {
	struct world_opts opts;
	struct rng rng, param_rng, first_param_rng;
	bool is_stopped, is_watching, is_draining, is_replica;
	int64_t now_ns, next_tick_ns, tick_ns, watch_ns, duration_ns;
	int64_t jiffy_phase_ns, wall_ns;
	struct timer *heap;
	size_t n_heap, cap_heap;
	uint64_t seq, next_conn, next_holder, next_site;
	uint32_t next_pid, next_port, next_peer;
	struct chunk *chunks;
	struct spare *spares[SPARE_SIZES];
	struct gen_proc *procs; /* living ones, newest first */
	struct gen_server *servers, **last_server, *default_server;
	struct site *sites;
	struct gen_conn *free_conns;
	struct gen_conn *dirty; /* chained by next_dirty */
	double ended_process_hours;
	struct world_stats stats;
	int64_t last_leak_ns;
	struct gen_truth truth;
};

int64_t gen_ns(double s);
/* Hands @ev on, at the present time, while somebody watches. */
void world_emit(struct world *w, struct event *ev);
void world_timer(struct world *w, double after_s, const struct timer *t);
/* Told once, before the first event that names it. */
void world_tell_proc(struct gen_proc *p);
void world_tell_site(struct world *w, uint64_t site);

/* proc.c */
char *world_text(struct world *w, const char *prefix, const char *s, const char *suffix);

/* conn.c */
void conn_tick(struct world *w);  /* EV_IO of what moved */
void conn_adopt(struct world *w); /* tells what is open as the watch begins */
void conn_end_of_proc(struct gen_proc *p);
/* server.c */
void server_tick(struct world *w);
void server_tell_budgets(struct world *w);
bool server_is_full(const struct gen_server *s);
void server_took(struct gen_server *s);
/* The conn's server may end it when it has been idle for too long. */
void server_watch_idle(struct gen_conn *c);
/* truth.c */
void truth_of_leak_use(struct gen_conn *c);
void truth_of_slot_end(struct gen_conn *c);
void truth_of_end(struct gen_conn *c);
void truth_of_limit(struct gen_server *s);

#endif
