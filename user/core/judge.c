/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.c - rules, firing and resolving (docs/detector.md sections 4.4, 4.5 and 7)
 */
#include "detector_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "stats.h"

#define CRITICAL_ETA_S	  1800
#define CRITICAL_USED	  0.9
#define CARRY_COUNTS_FROM 0.5

int judge_list(struct detector *d, uint32_t usage)
{
	if (d->usages[usage].is_listed)
		return 0;
	if (d->n_judge == d->cap_judge) {
		uint32_t cap = d->cap_judge ? 2 * d->cap_judge : 16;
		uint32_t *v = reallocarray(d->judge, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		d->judge = v;
		d->cap_judge = cap;
	}
	d->judge[d->n_judge++] = usage;
	d->usages[usage].is_listed = true;
	return 0;
}

/* --- rules --- */

static bool is_unlikely(const struct detector *d, uint64_t n, uint64_t k)
{
	return stats_ln_rank_p(n, k) <= d->p.ln_alpha;
}

static uint64_t returns_of(const struct cohort *co)
{
	return co->returns.lag + co->n_inh;
}

static void set_rule(const struct detector *d, struct tally *t, enum rule rule,
		     const struct rungs *r, uint64_t n)
{
	t->rule = rule;
	t->rule_k = r->k;
	t->rule_span_ns = rungs_span_ns(r);
	t->rule_n = n;
	if (rule == RULE_COLD || rule == RULE_CANARY) {
		t->score = r->k;
		t->threshold = rule == RULE_COLD ? COLD_K : canary_k(t->rule_span_ns);
	} else {
		t->score = -stats_ln_rank_p(n, r->k);
		t->threshold = -d->p.ln_alpha;
	}
}

static bool is_canary(const struct detector *d, const struct rungs *own, bool is_firing,
		      int64_t now_ns)
{
	int64_t span_ns = rungs_span_ns(own);

	if (!d->p.canary || own->k < canary_k(span_ns))
		return false;
	/* To fire it must still be growing; a leak that stands still is not gone. */
	return is_firing ||
	       now_ns - own->last_ns <= 2 * d->p.tmin_ns + 3 * span_ns / (int64_t)(own->k - 1);
}

/* What a rule of one cohort asks for. */
struct demand {
	uint32_t k;
	int64_t span_ns;
	bool is_warm; /* rarer than alpha beside @n returns */
	uint64_t n;
};

struct judging {
	const struct detector *d;
	int64_t now_ns;
	uint32_t grown; /* usage_grown() of the usage */
	bool is_firing;
};

/*
 * Has the usage grown by half of the rungs since the first of them was opened? An idle pool that
 * recycles its connections by age makes rungs, and does not grow.
 */
static bool has_grown(const struct judging *j, const struct rungs *r)
{
	return 2 * (int64_t)(int32_t)(j->grown - r->grown_before) >= r->k;
}

/*
 * Do @r's rungs stay away for longer than the absences that ended let expect? A tail as heavy as
 * t^-a has a constant rate of ending per unit of ln t. That rate is estimated from the longest
 * absences, with a Gamma prior; this is the chance that none of these ends in its time beyond.
 */
static bool outlasts(const struct cohort *co, const struct rungs *r)
{
	return r->k * co->ln_beyond >= tail_demand(&co->tail);
}

static bool holds(const struct judging *j, const struct cohort *co, const struct rungs *r,
		  const struct demand *want)
{
	return r->k >= want->k && rungs_span_ns(r) >= want->span_ns && has_grown(j, r) &&
	       outlasts(co, r) && (!want->is_warm || is_unlikely(j->d, want->n, r->k));
}

static void judge_cohort(const struct judging *j, const struct cohort *co, struct tally *t)
{
	const struct detector *d = j->d;
	uint64_t n = returns_of(co), n_first = lag_of_first(co);
	const struct demand warm = {WARM_K, SHORT_SPAN_NS, true, n};
	const struct demand warm_first = {WARM_K, SHORT_SPAN_NS, true, n_first};
	const struct demand warm_any = {WARM_ANY_K, LONG_SPAN_NS, true, n};
	const struct demand any_first = {ANY_FIRST_K, CANARY_SPAN_NS, true, n_first};
	const struct demand cold = {COLD_K, LONG_SPAN_NS, false, 0};

	if (holds(j, co, &co->worked, &warm))
		set_rule(d, t, RULE_WARM, &co->worked, n);
	else if (holds(j, co, &co->warm, &warm_first))
		set_rule(d, t, RULE_WARM, &co->warm, n_first);
	else if (holds(j, co, &co->any, &any_first))
		set_rule(d, t, RULE_WARM_ANY, &co->any, n_first);
	else if (holds(j, co, &co->any, &warm_any))
		set_rule(d, t, RULE_WARM_ANY, &co->any, n);
	else if (holds(j, co, &co->own, &cold))
		set_rule(d, t, RULE_COLD, &co->own, n);
	else if (has_grown(j, &co->own) && outlasts(co, &co->own) &&
		 is_canary(d, &co->own, j->is_firing, j->now_ns))
		set_rule(d, t, RULE_CANARY, &co->own, n);
}

static void add_own(struct tally *t, const struct rungs *own)
{
	if (!own->k)
		return;
	if (!t->own_sum || own->first_ns < t->own_first_ns)
		t->own_first_ns = own->first_ns;
	if (!t->own_sum || own->last_ns > t->own_last_ns)
		t->own_last_ns = own->last_ns;
	t->own_sum += own->k;
}

/* A usage's cohorts, added up. */
static void tally_usage(struct detector *d, const struct proctab *pt, uint32_t usage,
			int64_t now_ns)
{
	struct ustate *u = &d->usages[usage];
	struct judging j = {.d = d,
			    .now_ns = now_ns,
			    .grown = usage_grown(d, pt, usage),
			    .is_firing = alert_is_firing(d, u->alert)};
	struct tally t = {0};

	for (uint32_t i = u->first_cohort; i != SLOT_NONE; i = cohort_at(d, i)->next_of_usage) {
		const struct cohort *co = cohort_at(d, i);
		struct tally one = {0};

		t.k = co->any.k > t.k ? co->any.k : t.k;
		t.k_own = co->own.k > t.k_own ? co->own.k : t.k_own;
		t.k_warm = co->warm.k > t.k_warm ? co->warm.k : t.k_warm;
		t.n_all += returns_of(co);
		if (co->own.k && has_grown(&j, &co->own) && outlasts(co, &co->own)) {
			add_own(&t, &co->own);
			t.n_own += returns_of(co);
		}
		judge_cohort(&j, co, &one);
		if (one.rule == RULE_NONE || (t.rule != RULE_NONE && t.rule_k >= one.rule_k))
			continue;
		t.rule = one.rule;
		t.score = one.score;
		t.threshold = one.threshold;
		t.rule_k = one.rule_k;
		t.rule_span_ns = one.rule_span_ns;
		t.rule_n = one.rule_n;
	}
	u->tally = t;
	u->judged_tick = d->n_ticks;
}

/* Adds @from's own rungs to a sum over usages. */
static void add_tally(struct tally *sum, const struct tally *from)
{
	struct rungs own = {
		.k = from->own_sum, .first_ns = from->own_first_ns, .last_ns = from->own_last_ns};

	add_own(sum, &own);
	sum->n_own += from->n_own;
	sum->n_all += from->n_all;
}

/*
 * Spread over call sites: the usage that contributed most stands for its process. It is listed, as
 * it may be a quiet one.
 */
static int judge_process(struct detector *d, const struct proctab *pt, uint32_t holder)
{
	const struct holder *h = proctab_holder(pt, holder);
	uint32_t i, best = SLOT_NONE;
	struct tally sum = {0};
	struct rungs own;

	if (!h)
		return 0;
	for (i = h->first_usage; i != SLOT_NONE; i = proctab_usage(pt, i)->next_of_holder) {
		struct ustate *u;

		if (i >= d->n_usages || d->usages[i].holder_id != h->id)
			continue;
		u = &d->usages[i];
		if (u->tally.rule == RULE_PROCESS)
			u->tally.rule = RULE_NONE;
		add_tally(&sum, &u->tally);
		if (best == SLOT_NONE || u->tally.own_sum > d->usages[best].tally.own_sum)
			best = i;
	}
	own = (struct rungs){
		.k = sum.own_sum, .first_ns = sum.own_first_ns, .last_ns = sum.own_last_ns};
	if (best == SLOT_NONE || d->usages[best].tally.rule != RULE_NONE || own.k < SUM_K ||
	    rungs_span_ns(&own) < LONG_SPAN_NS || !is_unlikely(d, sum.n_own, own.k))
		return 0;
	set_rule(d, &d->usages[best].tally, RULE_PROCESS, &own, sum.n_own);
	return judge_list(d, best);
}

/*
 * Over workers and restarts. What is carried over from ended processes counts only beside a rung
 * of a living one: else a leak would go on firing for hours after the version that had it.
 * Returns the usage that contributed most, or SLOT_NONE if the rule does not hold.
 */
static uint32_t judge_service(const struct detector *d, const struct service *s, int64_t now_ns,
			      struct tally *ret)
{
	double carry = service_carry(s, now_ns);
	uint32_t best = SLOT_NONE;
	struct tally sum = {0};
	struct rungs own;

	for (uint32_t i = s->first_usage; i != SLOT_NONE; i = d->usages[i].next_of_service) {
		add_tally(&sum, &d->usages[i].tally);
		if (best == SLOT_NONE || d->usages[i].tally.own_sum > d->usages[best].tally.own_sum)
			best = i;
	}
	if (!sum.own_sum)
		return SLOT_NONE;
	own = (struct rungs){.k = sum.own_sum + (uint32_t)lround(carry),
			     .first_ns = sum.own_first_ns,
			     .last_ns = sum.own_last_ns};
	if (carry >= CARRY_COUNTS_FROM && s->carry_first_ns != T_NEVER &&
	    s->carry_first_ns < own.first_ns)
		own.first_ns = s->carry_first_ns;
	if (own.k < SUM_K || rungs_span_ns(&own) < LONG_SPAN_NS ||
	    !is_unlikely(d, sum.n_all, own.k))
		return SLOT_NONE;
	set_rule(d, ret, RULE_SERVICE, &own, sum.n_all);
	return best;
}

/* --- alerts --- */

uint32_t alert_fire(struct detector *d, enum finding_kind kind, enum rule rule, int64_t now_ns)
{
	uint32_t slot;

	if (slots_take(&d->alerts, &slot))
		return SLOT_NONE;
	*alert_at(d, slot) = (struct alert){
		.is_used = true,
		.kind = kind,
		.status = FINDING_FIRING,
		.severity = SEVERITY_WARNING,
		.rule = rule,
		.usage = SLOT_NONE,
		.peer = SLOT_NONE,
		.service = SLOT_NONE,
		.since_ns = now_ns,
		.fired_ns = now_ns,
		.rule_ns = now_ns,
		.held_ns = now_ns,
		.score = NAN,
		.threshold = NAN,
	};
	return slot;
}

void alert_resolve(struct alert *a, enum resolved_because why, int64_t now_ns)
{
	a->status = FINDING_RESOLVED;
	a->resolved_because = why;
	a->resolved_ns = now_ns;
}

static void take_rule(struct alert *a, const struct tally *t)
{
	a->rule = t->rule;
	a->score = t->score;
	a->threshold = t->threshold;
	a->rule_k = t->rule_k;
	a->rule_span_ns = t->rule_span_ns;
	a->rule_n = t->rule_n;
}

/* A finding that was about this usage no longer is. */
static void let_go(struct detector *d, uint32_t usage)
{
	if (d->usages[usage].has_exited)
		d->usages[usage].service = SLOT_NONE;
	detector_unref(d, usage);
}

static void point_at(struct detector *d, const struct proctab *pt, struct alert *a, uint32_t usage)
{
	uint32_t oldest = evidence_oldest(d, pt, usage);
	const struct usage *pu = proctab_usage(pt, usage);

	if (a->usage != SLOT_NONE)
		let_go(d, a->usage);
	detector_ref(d, usage);
	a->usage = usage;
	a->peer = d->usages[usage].peer;
	a->endpoint = d->usages[usage].endpoint;
	a->opened_before = a->closed_before = a->app_closed_before = 0;
	a->since_ns = pu && pu->first_open_ns != T_NEVER ? pu->first_open_ns : d->now_ns;
	if (oldest == SLOT_NONE || !pu)
		return;
	a->since_ns = proctab_conn(pt, oldest)->opened_ns;
	/* The connection keeps 32 bits of the counters; they cannot have gone round since. */
	a->opened_before = pu->counts.opened - (uint32_t)((uint32_t)pu->counts.opened -
							  d->tracks[oldest].opened_before);
	a->closed_before = pu->counts.closed - (uint32_t)((uint32_t)pu->counts.closed -
							  d->tracks[oldest].closed_before);
	a->app_closed_before =
		d->usages[usage].app_closed - (uint32_t)((uint32_t)d->usages[usage].app_closed -
							 d->tracks[oldest].app_closed_before);
}

static enum finding_kind kind_of(const struct detector *d, const struct ustate *u)
{
	uint64_t n = 0, fd = 0;

	for (uint32_t i = u->first_cohort; i != SLOT_NONE; i = cohort_at(d, i)->next_of_usage) {
		n += cohort_at(d, i)->n_abandoned;
		fd += cohort_at(d, i)->n_abandoned_fd;
	}
	return n && 2 * fd >= n ? FINDING_FD_LEAK : FINDING_LEAK;
}

/* Connections of @usage that were passed over at or before @exp_ns, and not touched since. */
static uint32_t passed_over_by(const struct detector *d, uint32_t usage, int64_t exp_ns)
{
	uint32_t n = 0;

	for (uint32_t i = d->usages[usage].first_cohort; i != SLOT_NONE;
	     i = cohort_at(d, i)->next_of_usage)
		for (uint32_t c = cohort_at(d, i)->exp_first;
		     c != SLOT_NONE && d->tracks[c].exp_ns <= exp_ns; c = d->tracks[c].next)
			n++;
	return n;
}

static void note_rule(const struct detector *d, struct alert *a, const struct tally *t,
		      int64_t now_ns)
{
	int64_t tx_ns = d->p.tmin_ns;

	for (uint32_t i = d->usages[a->usage].first_cohort; i != SLOT_NONE;
	     i = cohort_at(d, i)->next_of_usage)
		if (cohort_at(d, i)->tx_ns > tx_ns)
			tx_ns = cohort_at(d, i)->tx_ns;
	take_rule(a, t);
	a->rule_ns = a->held_ns = now_ns;
	a->abandoned_exp_ns = now_ns - tx_ns;
	a->n_abandoned = a->n_untouched = passed_over_by(d, a->usage, a->abandoned_exp_ns);
}

/*
 * The rule does not hold, perhaps because one that came back after long raised Tx for all. As long
 * as half of those that it was told about lie untouched, they are still leaked.
 */
static void hold_on(const struct detector *d, struct alert *a, int64_t now_ns)
{
	uint32_t n = passed_over_by(d, a->usage, a->abandoned_exp_ns);

	if (!n || 2 * n < a->n_abandoned)
		return;
	a->held_ns = now_ns;
	a->n_untouched = n;
}

static uint32_t fire(struct detector *d, const struct proctab *pt, uint32_t usage,
		     const struct tally *t, int64_t now_ns)
{
	uint32_t slot = alert_fire(d, kind_of(d, &d->usages[usage]), t->rule, now_ns);

	if (slot == SLOT_NONE)
		return slot;
	point_at(d, pt, alert_at(d, slot), usage);
	note_rule(d, alert_at(d, slot), t, now_ns);
	return slot;
}

/* Severity rises with the forecast and with the level; it never falls while it fires. */
static int set_severity(struct detector *d, const struct proctab *pt, struct alert *a,
			int64_t now_ns)
{
	const struct peer *p = proctab_peer(pt, a->peer);
	const struct forecast *f = &d->peers[a->peer].forecast;
	int err = budget_forecast(d, pt, a->peer, now_ns);

	if (a->kind != FINDING_LEAK || !p || !p->limit)
		return err;
	if (f->low_s <= CRITICAL_ETA_S || (double)peer_used(p) >= CRITICAL_USED * p->limit)
		a->severity = SEVERITY_CRITICAL;
	return err;
}

static void settle(struct detector *d, const struct proctab *pt, struct alert *a, int64_t now_ns)
{
	struct ustate *u = &d->usages[a->usage];
	const struct usage *pu = proctab_usage(pt, a->usage);
	/* All of it is another process's now, whose finding it is. */
	bool is_elsewhere = u->has_handed_on && a->held_ns != now_ns && pu && !pu->counts.open;

	if (!is_elsewhere && now_ns - a->held_ns < d->p.resolve_ns)
		return;
	alert_resolve(a, u->has_exited ? RESOLVED_HOLDER_EXITED : u->left_by, now_ns);
	u->resolved_ns = now_ns;
}

static int update_usage_alert(struct detector *d, const struct proctab *pt, struct alert *a,
			      int64_t now_ns)
{
	const struct tally *t = &d->usages[a->usage].tally;

	if (t->rule == RULE_NONE)
		hold_on(d, a, now_ns);
	else if (d->usages[a->usage].judged_tick == d->n_ticks)
		note_rule(d, a, t, now_ns);
	else /* nothing has changed */
		a->rule_ns = a->held_ns = now_ns;
	settle(d, pt, a, now_ns);
	return set_severity(d, pt, a, now_ns);
}

static int update_service_alert(struct detector *d, const struct proctab *pt, struct alert *a,
				int64_t now_ns)
{
	struct tally t = {0};
	uint32_t best = judge_service(d, service_at(d, a->service), now_ns, &t);

	if (best != SLOT_NONE) {
		if (best != a->usage && d->usages[a->usage].has_exited)
			point_at(d, pt, a, best);
		note_rule(d, a, &t, now_ns);
	} else {
		hold_on(d, a, now_ns);
	}
	settle(d, pt, a, now_ns);
	return set_severity(d, pt, a, now_ns);
}

static int update_alerts(struct detector *d, const struct proctab *pt, int64_t now_ns)
{
	int err = 0;

	for (uint32_t i = 0; i < d->alerts.n; i++) {
		struct alert *a = alert_at(d, i);

		if (!a->is_used || a->usage == SLOT_NONE || a->status != FINDING_FIRING)
			continue;
		if (a->service == SLOT_NONE ? update_usage_alert(d, pt, a, now_ns)
					    : update_service_alert(d, pt, a, now_ns))
			err = -ENOMEM;
	}
	return err;
}

static int fire_usage(struct detector *d, const struct proctab *pt, uint32_t usage, int64_t now_ns)
{
	struct ustate *u = &d->usages[usage];

	if (u->tally.rule == RULE_NONE || u->alert != SLOT_NONE)
		return 0;
	u->alert = fire(d, pt, usage, &u->tally, now_ns);
	u->resolved_ns = T_NEVER;
	return u->alert == SLOT_NONE ? -ENOMEM : 0;
}

static int fire_service(struct detector *d, const struct proctab *pt, uint32_t service,
			int64_t now_ns)
{
	struct tally t = {0};
	uint32_t best, alert;

	if (service == SLOT_NONE || service_at(d, service)->alert != SLOT_NONE)
		return 0;
	best = judge_service(d, service_at(d, service), now_ns, &t);
	if (best == SLOT_NONE || d->usages[best].alert != SLOT_NONE)
		return 0;
	alert = fire(d, pt, best, &t, now_ns);
	if (alert == SLOT_NONE)
		return -ENOMEM;
	alert_at(d, alert)->service = service;
	service_at(d, service)->alert = alert;
	d->usages[best].resolved_ns = T_NEVER;
	return 0;
}

int judge_tick(struct detector *d, const struct proctab *pt, int64_t now_ns)
{
	int err = 0;

	for (uint32_t i = 0; i < d->n_judge; i++)
		tally_usage(d, pt, d->judge[i], now_ns);
	for (uint32_t i = 0; i < d->n_judge; i++)
		if (judge_process(d, pt, d->usages[d->judge[i]].holder))
			err = -ENOMEM;
	for (uint32_t i = 0; i < d->n_judge; i++) {
		uint32_t usage = d->judge[i];

		d->usages[usage].is_listed = false;
		if (fire_usage(d, pt, usage, now_ns))
			err = -ENOMEM;
	}
	for (uint32_t i = 0; i < d->n_judge; i++)
		if (fire_service(d, pt, d->usages[d->judge[i]].service, now_ns))
			err = -ENOMEM;
	d->n_judge = 0;
	if (update_alerts(d, pt, now_ns))
		err = -ENOMEM;
	return err;
}

void alert_sweep(struct detector *d, int64_t now_ns)
{
	for (uint32_t i = 0; i < d->alerts.n; i++) {
		struct alert *a = alert_at(d, i);

		if (!a->is_used || a->status != FINDING_RESOLVED || a->resolved_ns >= now_ns)
			continue;
		if (a->service != SLOT_NONE)
			service_at(d, a->service)->alert = SLOT_NONE;
		else if (a->usage != SLOT_NONE)
			d->usages[a->usage].alert = SLOT_NONE;
		else if (a->kind == FINDING_BLIND)
			d->blind_alert = SLOT_NONE;
		else if (a->kind == FINDING_BUDGET)
			d->peers[a->peer].budget_alert = SLOT_NONE;
		else
			d->peers[a->peer].rate_alert = SLOT_NONE;
		if (a->usage != SLOT_NONE)
			let_go(d, a->usage);
		a->is_used = false;
		slots_give(&d->alerts, i);
	}
}
