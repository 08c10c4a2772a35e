/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaky.h - what the leaky families are made of: traffic, and how many of its requests forget their
 *	connection
 *
 * Both are loads (pool.h): a request leaks with the chance that leaks bear to requests at that
 * time. So a leak can begin late, come in bursts, follow the day or double, while the traffic
 * around it does what it does.
 */
#ifndef CONNLEAK_GEN_LEAKY_H
#define CONNLEAK_GEN_LEAKY_H

#include "family.h"
#include "pool.h"

#define MINUTE_S 60.0
#define HOUR_S	 3600.0

struct leak_conf {
	struct pool_conf pool;
	struct load requests, leaks;
	struct work work;
	double ping_s;	  /* something goes on pinging lost ones; 0: nothing does */
	enum gen_fin fin; /* of lost ones, when the server ends them */
	uint32_t stop_at; /* the scenario is over when this many are lost; 0: never */
};

/* A connection for each request, short queries, on some threads: drawn. */
void leaky_per_request(struct world *w, struct leak_conf *ret);
/* A pool that keeps what it opened; size, order and opener drawn. */
void leaky_pool(struct world *w, struct leak_conf *ret);
/* Starts it in @p. NULL without memory, when the world stops anyway. */
struct gen_pool *leaky_start(struct gen_proc *p, const struct leak_conf *conf);
/* @per_min a minute, all the time. */
struct load leaky_rate(double per_min);

/* The plainest leak, for tables by rate: @arg is a struct leaky_at. */
struct leaky_at {
	double leaks_per_min;
	double requests_per_min; /* 0: every request leaks */
};
void leaky_at_rate(struct world *w, void *arg);

/* --- leaky_request.c: a connection for each request --- */
void leaky_every_request(struct world *w, struct gen_proc *p);
void leaky_fast(struct world *w, struct gen_proc *p);
void leaky_error_path(struct world *w, struct gen_proc *p);
void leaky_error_path_rare(struct world *w, struct gen_proc *p);
void leaky_one_a_minute(struct world *w, struct gen_proc *p);
void leaky_one_in_ten_minutes(struct world *w, struct gen_proc *p);
void leaky_threads(struct world *w, struct gen_proc *p);
void leaky_thread_per_request(struct world *w, struct gen_proc *p);
void leaky_heartbeats(struct world *w, struct gen_proc *p);
void leaky_close_wait(struct world *w, struct gen_proc *p);
void leaky_reaped(struct world *w, struct gen_proc *p);

/* --- leaky_shape.c: leaks that change with time --- */
void leaky_late_onset(struct world *w, struct gen_proc *p);
void leaky_adopted(struct world *w, struct gen_proc *p);
void leaky_error_bursts(struct world *w, struct gen_proc *p);
void leaky_burst_stops(struct world *w, struct gen_proc *p);
void leaky_diurnal(struct world *w, struct gen_proc *p);
void leaky_accelerating(struct world *w, struct gen_proc *p);
void leaky_growing_traffic(struct world *w, struct gen_proc *p);

/* --- leaky_pool.c: behind pools, and at several places of the code --- */
void leaky_go_pool(struct world *w, struct gen_proc *p);
void leaky_pool_unbounded(struct world *w, struct gen_proc *p);
void leaky_pool_bounded(struct world *w, struct gen_proc *p);
void leaky_pool_per_request(struct world *w, struct gen_proc *p);
void leaky_one_site(struct world *w, struct gen_proc *p);
void leaky_one_site_no_stacks(struct world *w, struct gen_proc *p);
void leaky_six_sites(struct world *w, struct gen_proc *p);

/* --- leaky_procs.c: several processes --- */
void leaky_restarts(struct world *w);
void leaky_restarts_fast(struct world *w);
void leaky_workers(struct world *w);
void leaky_behind_proxy(struct world *w);

#endif
