/* SPDX-License-Identifier: Apache-2.0 */
/*
 * healthy.h - behaviours that look like a leak for a while and are none
 *
 * What every one of them promises: nothing stays open for ever that nobody will use or close
 * again. A pool may sit idle all night and a batch may park its connections for an hour; they come
 * back to them.
 */
#ifndef CONNLEAK_GEN_HEALTHY_H
#define CONNLEAK_GEN_HEALTHY_H

#include "family.h"
#include "pool.h"

/* --- healthy.c: what several families are made of --- */

/* A lazy pool: size, order and openers drawn; idle timeout and maximum life off and on. */
struct pool_conf healthy_pool(struct world *w, struct gen_proc *p);
/* A connection for each request, closed after it. */
struct pool_conf healthy_per_request(struct world *w, struct gen_proc *p);
/* Short requests: ms to seconds. */
struct work healthy_work(struct world *w);
/* Requests at one rate, drawn from @lo to @hi a second. */
struct load healthy_load(struct world *w, double lo, double hi);
/* A process of @service that serves like this, started anew by whoever needs one. */
struct healthy_service {
	const char *service, *version;
	struct pool_conf pool;
	struct load load;
	struct work work;
};
struct gen_proc *healthy_serve(struct world *w, const struct healthy_service *s);

/* --- healthy_request.c: a connection for each request --- */
void healthy_request_short(struct world *w, struct gen_proc *p);
void healthy_request_long(struct world *w, struct gen_proc *p);
void healthy_request_idle_inside(struct world *w, struct gen_proc *p);
void healthy_stalls(struct world *w, struct gen_proc *p);
void healthy_long_queries(struct world *w, struct gen_proc *p);
void healthy_long_jobs(struct world *w, struct gen_proc *p);
void healthy_interactive(struct world *w, struct gen_proc *p);
void healthy_batch(struct world *w, struct gen_proc *p);
void healthy_gc_closes(struct world *w, struct gen_proc *p);
void healthy_thread_per_request(struct world *w, struct gen_proc *p);

/* --- healthy_pool.c: pools --- */
void healthy_pool_lifo(struct world *w, struct gen_proc *p);
void healthy_pool_fifo(struct world *w, struct gen_proc *p);
void healthy_pool_random(struct world *w, struct gen_proc *p);
void healthy_pool_day(struct world *w, struct gen_proc *p);
void healthy_pool_fixed(struct world *w, struct gen_proc *p);
void healthy_pool_fill(struct world *w, struct gen_proc *p);
void healthy_pool_slow_fill(struct world *w, struct gen_proc *p);
void healthy_pool_night(struct world *w, struct gen_proc *p);
void healthy_pool_min_idle(struct world *w, struct gen_proc *p);
void healthy_growth(struct world *w, struct gen_proc *p);
void healthy_half_day(struct world *w, struct gen_proc *p);
void healthy_go_bursts(struct world *w, struct gen_proc *p);
void healthy_antiphase(struct world *w, struct gen_proc *p);
void healthy_tenants(struct world *w, struct gen_proc *p);
void healthy_heartbeats(struct world *w, struct gen_proc *p);
void healthy_hikari(struct world *w, struct gen_proc *p);

/* --- healthy_held.c: connections that are held for long on purpose --- */
void healthy_threads(struct world *w, struct gen_proc *p);
void healthy_listen(struct world *w, struct gen_proc *p);
void healthy_notified(struct world *w, struct gen_proc *p);
void healthy_replication(struct world *w, struct gen_proc *p);

/* --- healthy_server.c: what the server does to its clients --- */
void healthy_restart_seen(struct world *w, struct gen_proc *p);
void healthy_restart_unseen(struct world *w, struct gen_proc *p);
void healthy_reaped(struct world *w, struct gen_proc *p);
void healthy_retry_storm(struct world *w, struct gen_proc *p);

/* --- healthy_procs.c: several processes --- */
void healthy_short_lives(struct world *w);
void healthy_rolling(struct world *w);
void healthy_blue_green(struct world *w);
void healthy_prefork(struct world *w);
void healthy_cron(struct world *w);
void healthy_behind_pooler(struct world *w);
void healthy_pooler(struct world *w);

#endif
