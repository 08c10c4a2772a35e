/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.c - how much is left of what there is to lose: levels, rate of change, forecast
 * (docs/detector.md section 6). Levels are no verdict: they tell what a leak will cost, and when.
 */
#include "detector_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "stats.h"

#define WARN_ON		0.70
#define WARN_OFF	0.65
#define CRIT_ON		0.90
#define CRIT_OFF	0.85
#define CLEAR_NS	(300 * NS_PER_S)
#define RATE_ON_USED	0.50
#define RATE_OFF_USED	0.45
#define RATE_ON_S	900
#define RATE_CRIT_S	300
#define RATE_OFF_S	1800
#define RATE_HOLD_NS	(30 * NS_PER_S)
#define RATE_HISTORY_NS (90 * NS_PER_S)
#define LOW_WATER_NS	(30 * NS_PER_S)
#define Z_90		1.645
#define MIN_SPAN_S	10.0

/* --- a level with hysteresis --- */

static void level_init(struct level *l)
{
	*l = (struct level){.since_ns = T_NEVER, .clear_ns = T_NEVER};
}

static bool has_lasted(int64_t *since_ns, bool is_true, int64_t ns, int64_t now_ns)
{
	if (!is_true)
		*since_ns = T_NEVER;
	else if (*since_ns == T_NEVER)
		*since_ns = now_ns;
	return is_true && now_ns - *since_ns >= ns;
}

static void level_update(struct level *l, bool set, int64_t hold_ns, bool clear, int64_t now_ns)
{
	bool has_set = has_lasted(&l->since_ns, set, hold_ns, now_ns);
	bool has_cleared = has_lasted(&l->clear_ns, clear, CLEAR_NS, now_ns);

	if (has_set)
		l->is_on = true;
	else if (has_cleared)
		l->is_on = false;
}

/* --- history of `used` --- */

static void pstate_init(struct pstate *ps)
{
	*ps = (struct pstate){
		.first_ns = T_NEVER,
		.eta_s = NAN,
		.forecast = {NAN, NAN, NAN, NAN},
		.forecast_ns = T_NEVER,
		.budget_alert = SLOT_NONE,
		.rate_alert = SLOT_NONE,
	};
	level_init(&ps->warn);
	level_init(&ps->crit);
	level_init(&ps->rate);
}

static void note_used(struct pstate *ps, uint32_t used, int64_t now_ns)
{
	int64_t bucket;

	if (ps->first_ns == T_NEVER) {
		ps->first_ns = now_ns;
		ps->n_bucket = 0;
		ps->low[0] = used;
		return;
	}
	bucket = (now_ns - ps->first_ns) / BUDGET_BUCKET_NS;
	/* Ticks that did not come: nothing is known of that time. */
	while (ps->n_bucket < bucket) {
		if (bucket - ps->n_bucket > BUDGET_BUCKETS)
			ps->n_bucket = bucket - BUDGET_BUCKETS;
		ps->low[++ps->n_bucket % BUDGET_BUCKETS] = UINT32_MAX;
	}
	if (used < ps->low[bucket % BUDGET_BUCKETS])
		ps->low[bucket % BUDGET_BUCKETS] = used;
}

/* u(t) of docs/detector.md: the lowest of the 30 s up to t; NAN where there is no history. */
static double low_water(const struct pstate *ps, int64_t t_ns)
{
	int64_t last = (t_ns - ps->first_ns) / BUDGET_BUCKET_NS;
	int64_t first = last - LOW_WATER_NS / BUDGET_BUCKET_NS;
	uint32_t low = UINT32_MAX;

	if (first <= ps->n_bucket - BUDGET_BUCKETS)
		first = ps->n_bucket - BUDGET_BUCKETS + 1;
	for (int64_t i = first < 0 ? 0 : first; i <= last && i <= ps->n_bucket; i++)
		if (ps->low[i % BUDGET_BUCKETS] < low)
			low = ps->low[i % BUDGET_BUCKETS];
	return low == UINT32_MAX ? (double)NAN : (double)low;
}

static double slope(const struct pstate *ps, int64_t lag_ns, int64_t now_ns)
{
	int64_t history_ns = now_ns - ps->first_ns;

	if (history_ns < lag_ns)
		lag_ns = history_ns;
	return (low_water(ps, now_ns) - low_water(ps, now_ns - lag_ns)) * (double)NS_PER_S /
	       (double)lag_ns;
}

/* Seconds left at the present rate of change; INFINITY: it does not grow; NAN: too early. */
static double seconds_left(const struct pstate *ps, uint32_t limit, int64_t now_ns)
{
	double fast, slow, rate;

	if (now_ns - ps->first_ns < RATE_HISTORY_NS)
		return NAN;
	fast = slope(ps, 120 * NS_PER_S, now_ns);
	slow = slope(ps, 300 * NS_PER_S, now_ns);
	rate = fmin(fast, slow);
	if (isnan(fast) || isnan(slow) || rate <= 0)
		return isnan(rate) ? (double)NAN : (double)INFINITY;
	return fmax(limit - low_water(ps, now_ns), 0) / rate;
}

/* --- the ladder --- */

static void show_level(struct detector *d, uint32_t *alert, enum finding_kind kind, uint32_t peer,
		       int64_t now_ns)
{
	if (*alert != SLOT_NONE)
		return;
	*alert = alert_fire(d, kind, kind == FINDING_RATE ? RULE_RATE : RULE_BUDGET_70, now_ns);
	if (*alert == SLOT_NONE)
		return;
	alert_at(d, *alert)->peer = peer;
	alert_at(d, *alert)->endpoint = d->peers[peer].endpoint;
}

static void update_budget(struct detector *d, struct pstate *ps, const struct peer *p,
			  uint32_t peer, int64_t now_ns)
{
	double frac = (double)peer_used(p) / p->limit;
	struct alert *a;

	level_update(&ps->warn, frac >= WARN_ON, 0, frac < WARN_OFF, now_ns);
	level_update(&ps->crit, frac >= CRIT_ON, 0, frac < CRIT_OFF, now_ns);
	if (ps->warn.is_on)
		show_level(d, &ps->budget_alert, FINDING_BUDGET, peer, now_ns);
	if (!alert_is_firing(d, ps->budget_alert))
		return;
	a = alert_at(d, ps->budget_alert);
	if (!ps->warn.is_on) {
		alert_resolve(a, RESOLVED_NOT, now_ns);
		return;
	}
	a->severity = ps->crit.is_on ? SEVERITY_CRITICAL : SEVERITY_WARNING;
	a->rule = ps->crit.is_on ? RULE_BUDGET_90 : RULE_BUDGET_70;
	a->score = 100 * frac;
	a->threshold = ps->crit.is_on ? 100 * CRIT_ON : 100 * WARN_ON;
}

static void update_rate(struct detector *d, struct pstate *ps, const struct peer *p, uint32_t peer,
			int64_t now_ns)
{
	double u = low_water(ps, now_ns), left_s = seconds_left(ps, p->limit, now_ns);
	bool is_high = u >= RATE_ON_USED * p->limit;
	struct alert *a;

	ps->eta_s = left_s;
	level_update(&ps->rate, is_high && left_s <= RATE_ON_S, RATE_HOLD_NS,
		     left_s > RATE_OFF_S || u < RATE_OFF_USED * p->limit, now_ns);
	if (ps->rate.is_on)
		show_level(d, &ps->rate_alert, FINDING_RATE, peer, now_ns);
	if (!alert_is_firing(d, ps->rate_alert))
		return;
	a = alert_at(d, ps->rate_alert);
	if (!ps->rate.is_on) {
		alert_resolve(a, RESOLVED_NOT, now_ns);
		return;
	}
	if (left_s <= RATE_CRIT_S)
		a->severity = SEVERITY_CRITICAL;
	a->score = left_s;
	a->threshold = RATE_ON_S;
}

/* No budget any more: nothing to be near to. */
static void drop(struct detector *d, struct pstate *ps, int64_t now_ns)
{
	if (ps->first_ns == T_NEVER)
		return;
	if (alert_is_firing(d, ps->budget_alert))
		alert_resolve(alert_at(d, ps->budget_alert), RESOLVED_NOT, now_ns);
	if (alert_is_firing(d, ps->rate_alert))
		alert_resolve(alert_at(d, ps->rate_alert), RESOLVED_NOT, now_ns);
	ps->first_ns = T_NEVER;
	ps->eta_s = NAN;
	level_init(&ps->warn);
	level_init(&ps->crit);
	level_init(&ps->rate);
}

static void update_peer(struct detector *d, const struct peer *p, uint32_t peer, int64_t now_ns)
{
	struct pstate *ps = &d->peers[peer];

	if (!p || !p->limit || peer_used(p) < 0 || !endpoint_equal(&ps->endpoint, &p->endpoint))
		drop(d, ps, now_ns);
	if (!p || !p->limit || peer_used(p) < 0)
		return;
	ps->endpoint = p->endpoint;
	note_used(ps, (uint32_t)peer_used(p), now_ns);
	update_budget(d, ps, p, peer, now_ns);
	update_rate(d, ps, p, peer, now_ns);
}

int budget_tick(struct detector *d, const struct proctab *pt, int64_t now_ns)
{
	for (uint32_t i = 0; i < proctab_n_peers(pt); i++) {
		uint32_t n = d->n_peers;
		int err = detector_grow(&d->peers, &d->n_peers, i, sizeof(*d->peers));

		if (err)
			return err;
		for (; n < d->n_peers; n++)
			pstate_init(&d->peers[n]);
		update_peer(d, proctab_peer(pt, i), i, now_ns);
	}
	return 0;
}

/* --- the forecast of a leak --- */

static double clamp_rungs(uint32_t sum_k, size_t m)
{
	size_t s = sum_k < m - 1 ? sum_k : m - 1;

	return s ? (double)s : 1;
}

/* How many of the @m a rate of what was lost lately rests on. */
static double recent(size_t m)
{
	return floor(fmax(6, (double)m / 3));
}

void forecast_compute(const struct lost_slots *l, int64_t now_ns, int64_t left,
		      struct forecast *ret)
{
	double r, s, h, a, b, left_slots = left > 1 ? (double)left : 1;
	int64_t end_ns = now_ns - l->tx_ns;
	const int64_t *t_ns = l->t_ns;
	size_t m = l->m;

	*ret = (struct forecast){NAN, NAN, NAN, NAN};
	if (m < 2)
		return;
	s = clamp_rungs(l->sum_k, m);
	r = (double)(m - 1) / fmax((double)(end_ns - t_ns[0]) / NS_PER_S, MIN_SPAN_S);
	h = recent(m);
	if ((double)m > h + 1) {
		int64_t since_ns = t_ns[m - (size_t)h - 1];

		/* What leaked lately counts if it leaks faster. */
		r = fmax(r, h / fmax((double)(end_ns - since_ns) / NS_PER_S, MIN_SPAN_S));
	}
	ret->rate_per_s = r;
	if (left == INT64_MAX)
		return;
	ret->eta_s = left_slots / r;
	a = s <= 2 * h ? s : h;
	b = 1 / (1 / a + 1 / left_slots);
	ret->low_s = ret->eta_s * stats_gamma_quantile(b, -Z_90) / b;
	ret->high_s = ret->eta_s * stats_gamma_quantile(b + 1, Z_90) / b;
}

static void swap(int64_t *a, int64_t *b)
{
	int64_t x = *a;

	*a = *b;
	*b = x;
}

/* Puts at [@k] what would be there in order, nothing larger before it (Hoare 1961). */
static void select_time(int64_t *v, size_t n, size_t k)
{
	size_t lo = 0, hi = n - 1;

	while (lo < hi) {
		int64_t pivot = v[lo + (hi - lo) / 2];
		size_t i = lo, j = hi;

		for (;; i++, j--) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i >= j)
				break;
			swap(&v[i], &v[j]);
		}
		if (k <= j)
			hi = j;
		else
			lo = j + 1;
	}
}

/* forecast_compute() reads two of them: with 100,000 at each tick, order of all costs too much. */
static void order_ends(struct lost_slots *l)
{
	size_t h = (size_t)recent(l->m);

	if (l->m > h + 1)
		select_time(l->t_ns, l->m, l->m - h - 1);
	select_time(l->t_ns, l->m > h + 1 ? l->m - h : l->m, 0);
}

static int add_cohort(const struct detector *d, const struct proctab *pt, const struct cohort *co,
		      int64_t now_ns, struct lost_slots *l)
{
	if (!co->n_abandoned)
		return 0;
	l->sum_k += co->any.k;
	if (co->tx_ns > l->tx_ns)
		l->tx_ns = co->tx_ns;
	for (uint32_t i = co->exp_first; i != SLOT_NONE; i = d->tracks[i].next) {
		if (!track_is_abandoned(&d->tracks[i], co, now_ns))
			break;
		if (!conn_has_slot(proctab_conn(pt, i)))
			continue;
		if (l->m == l->cap) {
			size_t cap = l->cap ? 2 * l->cap : 64;
			int64_t *v = reallocarray(l->t_ns, cap, sizeof(*v));

			if (!v)
				return -ENOMEM;
			l->t_ns = v;
			l->cap = cap;
		}
		l->t_ns[l->m++] = d->tracks[i].use_end_ns;
	}
	return 0;
}

int budget_forecast(struct detector *d, const struct proctab *pt, uint32_t peer, int64_t now_ns)
{
	const struct peer *p = proctab_peer(pt, peer);
	struct pstate *ps = &d->peers[peer];
	struct lost_slots l = {0};
	int64_t left = INT64_MAX;
	int err = 0;

	if (ps->forecast_ns == now_ns)
		return 0;
	for (uint32_t i = 0; !err && i < d->cohorts.n; i++) {
		const struct cohort *co = cohort_at(d, i);

		if (co->is_used && co->usage != SLOT_NONE && d->usages[co->usage].peer == peer)
			err = add_cohort(d, pt, co, now_ns, &l);
	}
	if (err)
		goto out;
	if (l.m)
		order_ends(&l);
	if (p && p->limit && peer_used(p) >= 0)
		left = p->limit - peer_used(p);
	forecast_compute(&l, now_ns, left, &ps->forecast);
	ps->forecast_ns = now_ns;
out:
	free(l.t_ns);
	return err;
}
