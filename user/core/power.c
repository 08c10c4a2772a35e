/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include <math.h>
#include <stdlib.h>

#include "detector_impl.h"
#include "ladder.h"
#include "stats.h"

#define WARM_UP_FROM_S 600.0 /* from here on the first third may be left out */
#define LATE_SHARE     (2.0 / 3)
#define SECOND_LOOK_TO 200 /* connections; who leaves more behind late is not helped by it */
#define THREADS_UNSAID 8
#define TMIN_NS	       (15 * NS_PER_S)
#define DRAWS	       500
#define EXACT_ENOUGH   1e-7 /* relative, of a bisection */
#define MAX_LEAKED     128  /* in one process; a window that needs more is too short */
#define SEED	       0x6c65616b79636f6eULL

/* --- what is ruled out --- */

/* Minutes in which a leak would have left something to be seen. */
static double whole_min(const struct power_seen *s)
{
	return (s->window_s - s->quiet_s - POWER_BLIND_S) / 60;
}

/* The same of the last two thirds, as if all the quiet was there; 0: no second look. */
static double late_min(const struct power_seen *s)
{
	double min = (s->window_s * LATE_SHARE - s->quiet_s - POWER_BLIND_S) / 60;

	return s->window_s >= WARM_UP_FROM_S && s->late <= SECOND_LOOK_TO && min > 0 ? min : 0;
}

/* The most events, at most @max, that still bound the rate by @per_min; -1: none do. */
static int64_t most_within(double per_min, double exposure_min, uint64_t max, double confidence)
{
	int64_t lo = -1, hi = (int64_t)max;

	while (lo < hi) {
		int64_t mid = lo + (hi - lo + 1) / 2;

		if (stats_poisson_upper((uint64_t)mid, confidence) <=
		    per_min * exposure_min * (1 + 1e-9))
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

/* A watch is as good as this one if it has at most so many in all, or at most so many late. */
struct region {
	int64_t all, late;
	double all_min, late_min;
};

static double chance_of(const struct region *r, double per_min)
{
	double late = per_min * r->late_min, early = per_min * r->all_min - late, p = 0;

	if (r->all >= 0)
		p = stats_poisson_cdf((uint64_t)r->all, early + late);
	for (int64_t i = 0; i <= r->late; i++) {
		double p_late = stats_poisson_cdf((uint64_t)i, late) -
				(i ? stats_poisson_cdf((uint64_t)i - 1, late) : 0);

		p += i > r->all ? p_late
				: p_late * (1 - stats_poisson_cdf((uint64_t)(r->all - i), early));
	}
	return p;
}

double power_detectable(const struct power_seen *s, double confidence)
{
	struct region r = {.late = -1, .all_min = whole_min(s), .late_min = late_min(s)};
	double lo, hi;

	if (!(r.all_min > 0))
		return INFINITY;
	lo = stats_poisson_upper(s->left, confidence) / r.all_min;
	if (r.late_min > 0)
		lo = fmin(lo, stats_poisson_upper(s->late, confidence) / r.late_min);
	r.all = most_within(lo, r.all_min, s->left, confidence);
	if (r.late_min > 0)
		r.late = most_within(lo, r.late_min, s->late, confidence);
	if (r.all < 0 || r.late < 0)
		return lo;
	for (hi = lo * 1.1; chance_of(&r, hi) > 1 - confidence;)
		hi *= 1.5;
	while (hi - lo > EXACT_ENOUGH * hi) {
		double mid = (lo + hi) / 2;

		if (chance_of(&r, mid) > 1 - confidence)
			lo = mid;
		else
			hi = mid;
	}
	return hi;
}

double power_needed(const struct power_seen *s, double detect_per_min, double confidence)
{
	struct power_seen longer = *s;
	double lo = s->quiet_s + POWER_BLIND_S, hi;

	hi = lo + 60 * stats_poisson_upper(s->left, confidence) / detect_per_min;
	for (longer.window_s = hi; power_detectable(&longer, confidence) > detect_per_min;) {
		lo = hi;
		longer.window_s = hi *= 1.02;
	}
	while (hi - lo > EXACT_ENOUGH * hi) {
		longer.window_s = (lo + hi) / 2;
		if (power_detectable(&longer, confidence) > detect_per_min)
			lo = longer.window_s;
		else
			hi = longer.window_s;
	}
	return hi;
}

/* --- what is named --- */

/* Sebastiano Vigna's splitmix64: small, and good enough to place points. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static double uniform(uint64_t *state)
{
	return (double)(next_random(state) >> 11) * 0x1p-53;
}

struct leaked {
	int64_t opened_ns;
	uint32_t thread;
	int64_t passed_ns;    /* first passed over; INT64_MAX: not in the window */
	int64_t abandoned_ns; /* ... by its own thread too, and for as long as the rule asks */
};

struct trial {
	struct leaked v[MAX_LEAKED]; /* the first n, in order of opening */
	struct ladder_cand cand[MAX_LEAKED];
	int64_t ready_ns[MAX_LEAKED];
	uint32_t n;
	int64_t habit_ns, window_ns;
	double longest_s, demand;
};

static int by_opened(const void *a, const void *b)
{
	const struct leaked *x = a, *y = b;

	return (x->opened_ns > y->opened_ns) - (x->opened_ns < y->opened_ns);
}

/* When each is passed over, and when it is so by its own thread as well. */
static void pass_over(struct trial *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct leaked *c = &t->v[i];
		int64_t own_ns = INT64_MAX;

		c->passed_ns = c->abandoned_ns = INT64_MAX;
		for (uint32_t j = i + 1; j < t->n && own_ns == INT64_MAX; j++) {
			if (t->v[j].opened_ns <= c->opened_ns + TMIN_NS)
				continue;
			if (c->passed_ns == INT64_MAX)
				c->passed_ns = t->v[j].opened_ns;
			if (t->v[j].thread == c->thread)
				own_ns = t->v[j].opened_ns;
		}
		if (own_ns == INT64_MAX)
			continue;
		c->abandoned_ns = c->passed_ns + t->habit_ns;
		if (own_ns > c->abandoned_ns)
			c->abandoned_ns = own_ns;
	}
}

static bool holds(const struct rungs *r, int64_t now_ns)
{
	int64_t span_ns = rungs_span_ns(r);

	if (r->k >= COLD_K && span_ns >= LONG_SPAN_NS)
		return true;
	if (r->k < canary_k(span_ns))
		return false;
	return now_ns - r->last_ns <= 2 * TMIN_NS + 3 * span_ns / (int64_t)(r->k - 1);
}

/* Do they stay away for longer than those that came back let expect? judge.c's outlasts() */
static bool outlasts(const struct trial *t, uint32_t k, int64_t now_ns)
{
	double tmin_s = (double)TMIN_NS / NS_PER_S, sum = 0;
	uint32_t n = 0;

	if (!(t->demand > 0))
		return true;
	for (uint32_t i = 0; i < t->n; i++) {
		int64_t passed_ns = t->v[i].passed_ns;

		if (passed_ns > now_ns - t->habit_ns)
			continue;
		sum += log((tmin_s + (double)(now_ns - passed_ns) / NS_PER_S) /
			   (tmin_s + t->longest_s));
		n++;
	}
	return n && k * sum / n >= t->demand;
}

static bool fires_at(struct trial *t, int64_t now_ns)
{
	int64_t last_open_ns = 0;
	uint32_t n_ready = 0, n_cand = 0;
	struct rungs r;

	for (uint32_t i = 0; i < t->n && t->v[i].opened_ns <= now_ns; i++)
		last_open_ns = t->v[i].opened_ns;
	for (uint32_t i = 0; i < t->n && t->v[i].opened_ns + t->habit_ns <= now_ns; i++) {
		const struct leaked *c = &t->v[i];

		if (c->abandoned_ns <= now_ns)
			t->ready_ns[n_ready++] = c->opened_ns + TMIN_NS;
		t->cand[n_cand++] = (struct ladder_cand){
			.opened_ns = c->opened_ns,
			.is_seen = c->passed_ns <= now_ns || last_open_ns > c->opened_ns + NS_PER_S,
		};
	}
	ladder_count(t->ready_ns, n_ready, t->cand, n_cand, &r);
	return holds(&r, now_ns) && outlasts(t, r.k, now_ns);
}

/* Before so many are abandoned there are not enough rungs; INT64_MAX: never. */
static int64_t when_enough_abandoned(const struct trial *t)
{
	int64_t first[CANARY_K];
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		int64_t at_ns = t->v[i].abandoned_ns;
		uint32_t j = n < CANARY_K ? n++ : CANARY_K;

		for (; j && first[j - 1] > at_ns; j--)
			if (j < CANARY_K)
				first[j] = first[j - 1];
		if (j < CANARY_K)
			first[j] = at_ns;
	}
	return n < CANARY_K ? INT64_MAX : first[CANARY_K - 1];
}

/* The detector decides at whole seconds. */
static int64_t tick_after(int64_t t_ns)
{
	return (t_ns + NS_PER_S - 1) / NS_PER_S * NS_PER_S;
}

/* Where time alone changes the answer: at as many moments as are worth it. */
static bool fires_in_time(struct trial *t, int64_t from_ns)
{
	int64_t step_ns = tick_after(t->window_ns / 256);

	for (int64_t now_ns = tick_after(from_ns); now_ns <= t->window_ns; now_ns += step_ns)
		if (fires_at(t, now_ns))
			return true;
	return false;
}

/* Does the rule hold at some tick? It can begin to only when one opens, or has lain long enough. */
static bool fires(struct trial *t)
{
	int64_t enough_ns;
	uint32_t i = 0, j = 0;

	qsort(t->v, t->n, sizeof(t->v[0]), by_opened);
	pass_over(t);
	enough_ns = when_enough_abandoned(t);
	if (enough_ns > t->window_ns)
		return false;
	if (t->demand > 0)
		return fires_in_time(t, enough_ns);
	while (j < t->n) {
		int64_t open_ns = i < t->n ? t->v[i].opened_ns : INT64_MAX;
		int64_t old_ns = t->v[j].opened_ns + t->habit_ns, now_ns;

		now_ns = tick_after(open_ns < old_ns ? open_ns : old_ns);
		if (open_ns < old_ns)
			i++;
		else
			j++;
		if (now_ns > t->window_ns)
			return false;
		if (now_ns >= enough_ns && fires_at(t, now_ns))
			return true;
	}
	return false;
}

/* [n]: in how many draws the rule fires once n connections have leaked. */
struct curve {
	uint32_t fired[MAX_LEAKED + 1];
};

/* How many of the points it takes; MAX_LEAKED + 1: more than there are. One more undoes nothing. */
static uint32_t points_needed(struct trial *t, const struct leaked *points)
{
	uint32_t lo = CANARY_K, hi = 2 * CANARY_K;

	for (;;) {
		t->n = hi;
		for (uint32_t i = 0; i < hi; i++)
			t->v[i] = points[i];
		if (fires(t))
			break;
		if (hi == MAX_LEAKED)
			return MAX_LEAKED + 1;
		lo = hi;
		hi = 2 * hi < MAX_LEAKED ? 2 * hi : MAX_LEAKED;
	}
	while (hi - lo > 1) {
		t->n = lo + (hi - lo) / 2;
		for (uint32_t i = 0; i < t->n; i++)
			t->v[i] = points[i];
		if (fires(t))
			hi = t->n;
		else
			lo = t->n;
	}
	return hi;
}

static void draw_curve(const struct power_rule *r, struct curve *ret)
{
	uint32_t threads = r->threads ? r->threads : THREADS_UNSAID;
	uint64_t state = SEED;
	struct leaked points[MAX_LEAKED];
	struct trial t = {.window_ns = (int64_t)(r->window_s * 1e9),
			  .habit_ns = (int64_t)(fmax(r->habit_s, 15) * 1e9),
			  .longest_s = r->longest_s,
			  .demand = r->demand};

	*ret = (struct curve){0};
	/* The first, 15 s until it is passed over, the rungs, and the last of them lies idle. */
	if (t.window_ns <= TMIN_NS + SHORT_SPAN_NS + t.habit_ns)
		return;
	for (uint32_t draw = 0; draw < DRAWS; draw++) {
		for (uint32_t i = 0; i < MAX_LEAKED; i++)
			points[i] = (struct leaked){
				.opened_ns = (int64_t)(uniform(&state) * r->window_s * 1e9),
				.thread = (uint32_t)(uniform(&state) * threads)};
		for (uint32_t n = points_needed(&t, points); n <= MAX_LEAKED; n++)
			ret->fired[n]++;
	}
}

/* The chance that one of the processes is named, @mean leaked connections in each. */
static double chance_named(const struct curve *c, double mean, uint32_t processes)
{
	double missed = 0, term = exp(-mean), more = 1 - term;

	for (uint32_t n = 0; n <= MAX_LEAKED; n++) {
		missed += term * (DRAWS - c->fired[n]) / DRAWS;
		term *= mean / (n + 1);
		more -= term;
	}
	/* More than there are points: at least as surely as with all of them. */
	missed += fmax(more + term, 0) * (DRAWS - c->fired[MAX_LEAKED]) / DRAWS;
	return 1 - pow(missed, processes);
}

static uint32_t processes_of(const struct power_rule *r)
{
	return r->processes ? r->processes : 1;
}

double power_named_p(const struct power_rule *r, double per_min)
{
	struct curve c;

	draw_curve(r, &c);
	return chance_named(&c, per_min * r->window_s / 60 / processes_of(r), processes_of(r));
}

double power_named(const struct power_rule *r, double confidence)
{
	double lo = 0, hi = MAX_LEAKED;
	struct curve c;

	draw_curve(r, &c);
	if (chance_named(&c, hi, processes_of(r)) < confidence)
		return NAN;
	while (hi - lo > EXACT_ENOUGH * hi) {
		double mid = (lo + hi) / 2;

		if (chance_named(&c, mid, processes_of(r)) < confidence)
			lo = mid;
		else
			hi = mid;
	}
	return hi * 60 / r->window_s * processes_of(r);
}
