/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - a client's connection pool, and the requests that use it
 *
 * One pool stands for most clients: with keep 0 it opens a connection for each request and closes
 * it after; with fill at once it is an eager one; with one opener thread that ends it is HikariCP,
 * with many openers and keep 2 Go's database/sql. Requests arrive at random at the rate of a load,
 * hold a connection for a while, ask something at the beginning and the end of it and in between,
 * and give it back. Unless they forget to: lose_frac.
 *
 *	struct gen_pool *pool = gen_pool_new(p, &(struct pool_conf){.max = 20, .keep = -1});
 *	gen_traffic(pool, &(struct load){.per_s = 3}, &(struct work){.hold_s = 0.05, .sigma = 1});
 *
 * Everything here belongs to the process and ends with it.
 */
#ifndef CONNLEAK_GEN_POOL_H
#define CONNLEAK_GEN_POOL_H

#include "world.h"

enum pool_order { POOL_LIFO, POOL_FIFO, POOL_RANDOM };

/* Which thread opens. */
enum pool_opener {
	OPENER_REQUEST, /* that of the request: one of n_threads, at random */
	OPENER_ONE,	/* always the same one: tid */
	OPENER_MORTAL,	/* one of the pool's own, which ends after opener_idle_s without work */
	OPENER_NEW	/* each connection a new one, which ends opener_idle_s later */
};

/* When it finds out that the server has ended an idle connection. */
enum pool_notice {
	NOTICE_AT_ONCE, /* an event loop: closed within milliseconds */
	NOTICE_AT_USE	/* when it would be used next, or looked at: CLOSE_WAIT until then */
};

struct pool_conf {
	struct gen_server *server; /* NULL: world_server() */
	uint64_t site;
	int max;      /* connections; 0: no limit. Requests wait for one */
	int keep;     /* idle ones kept when given back; -1: all; 0: none, one for each request */
	int min_idle; /* kept idle by opening more (at each check) */
	enum pool_order order;
	double idle_s;	    /* an idle one older than this is closed at a check, down to min_idle */
	double life_s;	    /* one older than this is closed when idle or given back; 0: never */
	double life_jitter; /* each one's own life is shorter by up to this fraction */
	double ping_s;	    /* idle ones are asked "select 1" this often; 0: never */
	double check_s;	    /* between checks; 0: 5 s */
	enum pool_opener opener;
	int n_threads;	      /* 0: 1 */
	uint32_t tid;	      /* OPENER_ONE: this one; 0: a thread of the pool's own */
	double opener_idle_s; /* 0: 30 s */
	double connect_s;     /* sign-on takes this long (median); 0: some ms */
	double fill_every_s;  /* > 0: fills itself to max, one each so often, from the start */
	enum pool_notice notice;
	double wait_s;	  /* a request gives up waiting after this; 0: never */
	double lose_frac; /* of the requests, how many never give theirs back (gen_lose) */
};

struct gen_pool;

struct gen_pool *gen_pool_new(struct gen_proc *p, const struct pool_conf *conf);
/* May be changed while it runs (lose_frac, max, keep, ...). */
struct pool_conf *gen_pool_conf(struct gen_pool *pool);
/* Asked instead of lose_frac when a request ends: true if it lost the connection. */
void gen_pool_on_release(struct gen_pool *pool,
			 bool (*is_lost)(struct world *w, struct gen_pool *pool, struct gen_conn *c,
					 void *arg),
			 void *arg);
/* As a request asks at its end: should this one be lost? If so it is (gen_pool_lose()). */
bool gen_pool_forgets(struct gen_pool *pool, struct gen_conn *c);
struct gen_proc *gen_pool_proc(const struct gen_pool *pool);
uint32_t gen_pool_open(const struct gen_pool *pool); /* connections it counts as its own */
uint32_t gen_pool_idle(const struct gen_pool *pool);
/*
 * Borrow one: @fn(w, c, arg) when there is one, perhaps at once; c is NULL when the pool could not
 * (the server is down or full, or wait_s is over). Give it back with gen_pool_put(), or lose it
 * with gen_pool_lose(). A connection that is closed meanwhile (the server's restart) is still to
 * be given back: its pointer is good until then.
 */
typedef void gen_pool_fn(struct world *w, struct gen_conn *c, void *arg);
void gen_pool_get(struct gen_pool *pool, gen_pool_fn *fn, void *arg);
void gen_pool_put(struct gen_pool *pool, struct gen_conn *c);
/* gen_lose(), and its place in the pool stays taken: it counts towards max for ever. */
void gen_pool_lose(struct gen_pool *pool, struct gen_conn *c);
/* Closes what is idle, and what is given back from now on; opens nothing more. */
void gen_pool_shut(struct gen_pool *pool);

/* --- load --- */

enum load_shape {
	LOAD_CONSTANT,
	LOAD_DAY,     /* between per_s at night and peak_per_s at noon, a smooth wave of period_s */
	LOAD_BURSTS,  /* peak_per_s for busy_s at the start of each period_s, else per_s */
	LOAD_HALVES,  /* peak_per_s in one half of each period_s, per_s in the other */
	LOAD_GROWTH,  /* from per_s to peak_per_s, linear over period_s, then constant */
	LOAD_DOUBLING /* from per_s to peak_per_s, exponential over period_s, then constant */
};

struct load {
	enum load_shape shape;
	double per_s, peak_per_s; /* requests a second */
	double period_s, busy_s;
	double phase_s;		/* shifts the period */
	double from_s, until_s; /* world time; until 0: for ever */
};

/* Requests a second at world time @t_s, and in *ret_until_s how long that holds. */
double load_rate(const struct load *l, double t_s, double *ret_until_s);

enum work_kind { WORK_LOGNORMAL, WORK_PARETO, WORK_CONSTANT };

/* What a request does with its connection. */
struct work {
	enum work_kind kind;
	double hold_s;	  /* median, minimum, or constant time that it has the connection */
	double sigma;	  /* lognormal: of the logarithm */
	double alpha;	  /* Pareto */
	double cap_s;	  /* no longer than this; 0: 2 h */
	int max_queries;  /* 1 to this many, evenly over the time; 0: 3 */
	double busy_frac; /* how much of the time the server works; 0: 0.8; < 0: next to none */
	bool is_tx;	  /* BEGIN and COMMIT around it */
	double retry_s;	  /* > 0: where it gets no connection it tries again this much later */
};

/* Requests at random at @load's rate, for ever. Both are copied. */
void gen_traffic(struct gen_pool *pool, const struct load *load, const struct work *work);
/* One request now. */
void gen_request(struct gen_pool *pool, const struct work *work);
/* A time drawn for @work, s. */
double work_hold(struct world *w, const struct work *work);

#endif
