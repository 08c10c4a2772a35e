/* SPDX-License-Identifier: Apache-2.0 */
/* traffic.c - requests: when they come, and what they do with a connection */
#include "pool.h"

#include <string.h>

#define CAP_S	    7200
#define MAX_QUERIES 3
#define MAX_TRIES   10
#define BUSY_FRAC   0.8
#define DAY_STEPS   96 /* a wave is this many steps, each of constant rate */
#define GROWTH_S    10 /* and a growth, one of so many seconds */

/* --- load --- */

/* From 0 to 1 and back over @x in [0, 1): two parabolas, near enough to a sine. */
static double wave(double x)
{
	double half = x < 0.5 ? 2 * x : 2 - 2 * x;

	return half < 0.5 ? 2 * half * half : 1 - 2 * (1 - half) * (1 - half);
}

static double floor_of(double x)
{
	double whole = (double)(int64_t)x;

	return whole > x ? whole - 1 : whole;
}

static double level(const struct load *l, double share)
{
	return l->per_s + (l->peak_per_s - l->per_s) * share;
}

static double rate_in_period(const struct load *l, double t_s, double *ret_until_s)
{
	double start_s = floor_of(t_s / l->period_s) * l->period_s, at_s = t_s - start_s, step;
	double busy_s = l->shape == LOAD_HALVES ? l->period_s / 2 : l->busy_s;

	if (l->shape == LOAD_DAY) {
		step = floor_of(at_s / l->period_s * DAY_STEPS);
		*ret_until_s = start_s + (step + 1) * l->period_s / DAY_STEPS;
		return level(l, wave(step / DAY_STEPS));
	}
	*ret_until_s = start_s + (at_s < busy_s ? busy_s : l->period_s);
	return at_s < busy_s ? l->peak_per_s : l->per_s;
}

static double rate_of_growth(const struct load *l, double t_s, double *ret_until_s)
{
	double share = t_s / l->period_s;

	*ret_until_s = t_s + (share < 1 ? GROWTH_S : 1e9);
	share = share < 1 ? share : 1;
	if (l->shape == LOAD_GROWTH)
		return level(l, share);
	return l->per_s * gen_exp2(share * gen_log2(l->peak_per_s / l->per_s));
}

double load_rate(const struct load *l, double t_s, double *ret_until_s)
{
	double until_s, rate;

	*ret_until_s = l->from_s;
	if (t_s < l->from_s)
		return 0;
	*ret_until_s = 1e18;
	if (l->until_s > 0 && t_s >= l->until_s)
		return 0;
	until_s = *ret_until_s = l->until_s > 0 ? l->until_s : (double)1e18;
	if (l->shape == LOAD_CONSTANT)
		return l->per_s;
	if (l->shape == LOAD_GROWTH || l->shape == LOAD_DOUBLING) {
		rate = rate_of_growth(l, t_s - l->from_s, ret_until_s);
		*ret_until_s += l->from_s;
	} else {
		rate = rate_in_period(l, t_s + l->phase_s, ret_until_s);
		*ret_until_s -= l->phase_s;
	}
	/* Never stand still on a boundary that rounding has put behind. */
	if (*ret_until_s <= t_s + 1e-6)
		*ret_until_s = t_s + 1e-6;
	if (*ret_until_s > until_s)
		*ret_until_s = until_s;
	return rate;
}

/* --- requests --- */

struct request {
	struct gen_pool *pool;
	const struct work *work;
	struct gen_conn *conn;
	double pause_s; /* between the queries */
	double busy_s;
	int left; /* queries */
	int tries;
};

/* Of one pool and work: where its requests come from, and go when they are done. */
struct traffic {
	struct gen_pool *pool;
	struct load load;
	struct work work;
};

double work_hold(struct world *w, const struct work *work)
{
	double cap_s = work->cap_s > 0 ? work->cap_s : CAP_S, s = work->hold_s;

	if (work->kind == WORK_LOGNORMAL)
		s = rng_lognormal(world_rng(w), work->hold_s, work->sigma);
	else if (work->kind == WORK_PARETO)
		s = rng_pareto(world_rng(w), work->hold_s, work->alpha, cap_s);
	return s < cap_s ? s : cap_s;
}

static void finish(struct request *r)
{
	if (r->work->is_tx && gen_is_open(r->conn))
		gen_commit(r->conn);
	if (!gen_is_open(r->conn) || r->conn->has_fin || !gen_pool_forgets(r->pool, r->conn))
		gen_pool_put(r->pool, r->conn);
	world_give(gen_pool_proc(r->pool)->w, r, sizeof(*r));
}

static uint32_t bytes(struct world *w, uint32_t lo, uint32_t hi)
{
	return (uint32_t)rng_int(world_rng(w), (int)lo, (int)hi);
}

static void step(struct world *w, void *arg)
{
	struct request *r = arg;
	uint32_t tx, rx;

	if (!r->left) {
		finish(r);
		return;
	}
	/* One after the other: compilers evaluate arguments in orders of their own. */
	tx = bytes(w, 40, 900);
	rx = bytes(w, 60, 9000);
	/* A connection that broke meanwhile: the request fails, and gives it back. */
	if (!gen_query(r->conn, r->busy_s, tx, rx)) {
		finish(r);
		return;
	}
	r->left--;
	gen_proc_in(gen_pool_proc(r->pool), r->pause_s, step, r);
}

static void begin(struct world *w, struct gen_conn *c, void *arg);

static void retry(struct world *w, void *arg)
{
	struct request *r = arg;

	(void)w;
	gen_pool_get(r->pool, begin, r);
}

static void begin(struct world *w, struct gen_conn *c, void *arg)
{
	struct request *r = arg;
	const struct work *work = r->work;
	int max = work->max_queries ? work->max_queries : MAX_QUERIES;
	double hold_s;

	if (!c && work->retry_s > 0 && r->tries++ < MAX_TRIES && !world_is_draining(w)) {
		gen_proc_in(gen_pool_proc(r->pool),
			    work->retry_s * rng_between(world_rng(w), 0.5, 1.5), retry, r);
		return;
	}
	if (!c) {
		world_give(w, r, sizeof(*r));
		return;
	}
	r->conn = c;
	r->left = rng_int(world_rng(w), 1, max);
	hold_s = work_hold(w, work);
	r->pause_s = hold_s / r->left;
	r->busy_s = r->pause_s * (work->busy_frac ? work->busy_frac : BUSY_FRAC);
	if (work->is_tx)
		gen_begin(c);
	step(w, r);
}

static void request(struct gen_pool *pool, const struct work *work)
{
	struct world *w = gen_pool_proc(pool)->w;
	struct request *r = world_get(w, sizeof(*r));

	r->pool = pool;
	r->work = work;
	gen_pool_get(pool, begin, r);
}

void gen_request(struct gen_pool *pool, const struct work *work)
{
	struct work *copy = world_alloc(gen_pool_proc(pool)->w, sizeof(*copy));

	*copy = *work;
	request(pool, copy);
}

static void arrive(struct world *w, void *arg);

static void next_arrival(struct world *w, struct traffic *t)
{
	double now_s = world_now(w), until_s, at_s = now_s;

	/* Without memory: where the rate changes, the wait may be drawn anew. */
	for (;;) {
		double rate = load_rate(&t->load, at_s, &until_s);

		if (rate > 0) {
			double next_s = at_s + rng_exp(world_rng(w), 1 / rate);

			if (next_s <= until_s) {
				gen_proc_in(gen_pool_proc(t->pool), next_s - now_s, arrive, t);
				return;
			}
		}
		if (until_s >= 1e17)
			return;
		at_s = until_s;
	}
}

static void arrive(struct world *w, void *arg)
{
	struct traffic *t = arg;

	if (world_is_draining(w))
		return;
	request(t->pool, &t->work);
	next_arrival(w, t);
}

void gen_traffic(struct gen_pool *pool, const struct load *load, const struct work *work)
{
	struct traffic *t = world_alloc(gen_pool_proc(pool)->w, sizeof(*t));

	t->pool = pool;
	t->load = *load;
	t->work = *work;
	next_arrival(gen_pool_proc(pool)->w, t);
}
