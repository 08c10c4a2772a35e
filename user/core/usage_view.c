/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage_view.c - what one usage looks like now, and the word for it
 */
#include "detector_impl.h"

#include <errno.h>
#include <math.h>

#define PLATEAU_NS (60 * NS_PER_S)

const char *usage_state_name(enum usage_state s)
{
	static const char *const names[USAGE_STATE_MAX] = {
		[USAGE_OK] = "ok",
		[USAGE_POOL] = "pool",
		[USAGE_FILLING] = "filling",
		[USAGE_SUSPECT] = "suspect",
		[USAGE_LEAK] = "LEAK",
		[USAGE_FD_LEAK] = "FD LEAK",
		[USAGE_RESOLVED] = "resolved",
		[USAGE_BLIND] = "blind",
	};

	return (unsigned)s < USAGE_STATE_MAX ? names[s] : "unknown";
}

enum usage_state usage_state_of(const struct usage_facts *f)
{
	if (f->is_leak)
		return USAGE_LEAK;
	if (f->is_fd_leak)
		return USAGE_FD_LEAK;
	if (f->is_blind)
		return USAGE_BLIND;
	if (f->k >= SUSPECT_K)
		return USAGE_SUSPECT;
	/*
	 * Adopted ones are no rungs, their order being unknown; but most of a process's connections
	 * passed over is how a leak looks to who comes late.
	 */
	if (f->abandoned >= SUSPECT_IDLE && 2 * (uint64_t)f->abandoned >= f->open)
		return USAGE_SUSPECT;
	if (f->has_resolved)
		return USAGE_RESOLVED;
	if (!f->open)
		return USAGE_OK;
	if (f->since_open_ns >= PLATEAU_NS)
		return USAGE_POOL;
	if (!f->closed && !f->returns)
		return USAGE_FILLING;
	if (!f->returns || 2 * f->closed >= f->opened)
		return USAGE_OK;
	/* They come back, and not by being closed: a pool, unless most of them are left lying. */
	return 3 * (uint64_t)f->passed_over < f->open ? USAGE_POOL : USAGE_FILLING;
}

static const struct ustate *find_usage(const struct detector *d, const struct proctab *pt,
				       uint32_t usage)
{
	const struct usage *pu = proctab_usage(pt, usage);
	const struct holder *h = pu ? proctab_holder(pt, pu->holder) : NULL;

	if (!h || usage >= d->n_usages || d->usages[usage].holder_id != h->id)
		return NULL;
	return &d->usages[usage];
}

uint32_t detector_left_idle(const struct detector *d, const struct proctab *pt, uint32_t usage,
			    int64_t since_ns)
{
	const struct ustate *u = find_usage(d, pt, usage);
	uint32_t n = 0;

	if (!u)
		return 0;
	for (uint32_t i = u->first_cohort; i != SLOT_NONE; i = cohort_at(d, i)->next_of_usage) {
		for (uint32_t c = cohort_at(d, i)->exp_first; c != SLOT_NONE;
		     c = d->tracks[c].next) {
			const struct track *t = &d->tracks[c];

			n += t->use_end_ns >= since_ns &&
			     (t->is_used || !proctab_conn(pt, c)->adopted);
		}
	}
	return n;
}

bool detector_has_unseen(const struct detector *d, const struct proctab *pt, uint32_t usage,
			 int64_t since_ns)
{
	const struct ustate *u = find_usage(d, pt, usage);

	if (!u)
		return false;
	for (uint32_t i = u->first_cohort; i != SLOT_NONE; i = cohort_at(d, i)->next_of_usage) {
		const struct minheap *waiting = &cohort_at(d, i)->waiting;

		for (uint32_t j = 0; j < waiting->n; j++) {
			uint32_t c = waiting->v[j].slot;
			const struct track *t = &d->tracks[c];

			if (t->is_client && t->use_end_ns >= since_ns &&
			    d->now_ns - t->use_end_ns >= d->p.tmin_ns &&
			    (t->is_used || !proctab_conn(pt, c)->adopted))
				return true;
		}
	}
	return false;
}

static void view_conns(const struct detector *d, const struct proctab *pt, const struct usage *pu,
		       struct usage_view *v)
{
	for (uint32_t i = pu->first_conn; i != SLOT_NONE;) {
		const struct conn *c = proctab_conn(pt, i);

		if (v->oldest_opened_ns == T_NEVER || conn_open_since_ns(c) < v->oldest_opened_ns) {
			v->oldest_opened_ns = conn_open_since_ns(c);
			v->oldest_is_lower_bound = c->adopted;
		}
		if (i < d->n_tracks && d->tracks[i].cohort != SLOT_NONE && d->tracks[i].is_client &&
		    d->now_ns - d->tracks[i].use_end_ns >= d->p.tmin_ns)
			v->idle++;
		i = c->next;
	}
}

/* Opens that found the table full stand in the counters and nowhere else. */
static bool has_refused(const struct counts *c)
{
	return c->opened + c->adopted + c->moved_in > c->closed + c->moved_out + c->open;
}

static enum usage_state state_of(const struct detector *d, const struct usage *pu,
				 const struct ustate *u, uint32_t alert, const struct usage_view *v)
{
	bool is_firing = alert_is_firing(d, alert);
	struct usage_facts f = {
		.is_leak = is_firing && alert_at(d, alert)->kind == FINDING_LEAK,
		.is_fd_leak = is_firing && alert_at(d, alert)->kind == FINDING_FD_LEAK,
		.is_blind = has_refused(&pu->counts),
		.has_resolved =
			u->resolved_ns != T_NEVER && d->now_ns - u->resolved_ns <= d->p.resolve_ns,
		.k = u->tally.k,
		.abandoned = v->abandoned,
		.passed_over = v->passed_over,
		.opened = pu->counts.opened,
		.closed = pu->counts.closed,
		.open = pu->counts.open,
		.returns = u->n_ret,
		.since_open_ns =
			u->last_open_ns == T_NEVER ? INT64_MAX : d->now_ns - u->last_open_ns,
	};

	return usage_state_of(&f);
}

static bool is_suspicious(enum usage_state s)
{
	return s == USAGE_SUSPECT || s == USAGE_LEAK || s == USAGE_FD_LEAK || s == USAGE_RESOLVED;
}

static uint32_t alert_of(const struct detector *d, uint32_t usage)
{
	const struct ustate *u = &d->usages[usage];

	if (u->alert != SLOT_NONE)
		return u->alert;
	if (u->service != SLOT_NONE) {
		uint32_t alert = service_at(d, u->service)->alert;

		if (alert != SLOT_NONE && alert_at(d, alert)->usage == usage)
			return alert;
	}
	return SLOT_NONE;
}

/* Of the cohort whose connections may stay away for longest. */
static void view_habit(const struct cohort *co, struct usage_view *v)
{
	if (co->tx_ns < v->tx_ns || (co->tx_ns == v->tx_ns && !co->tail.n))
		return;
	v->tx_ns = co->tx_ns;
	v->longest_absence_ns = co->tail.longest_ns;
	v->tail_demand = tail_demand(&co->tail);
}

void detector_usage(const struct detector *d, const struct proctab *pt, uint32_t usage,
		    struct usage_view *ret)
{
	const struct ustate *u = find_usage(d, pt, usage);
	const struct usage *pu = proctab_usage(pt, usage);
	struct leak_rate rate;
	uint32_t alert;

	*ret = (struct usage_view){
		.rate_per_min = NAN,
		.rate_low = NAN,
		.rate_high = NAN,
		.oldest_opened_ns = T_NEVER,
	};
	if (!u || d->now_ns == T_NEVER)
		return;
	alert = alert_of(d, usage);
	evidence_rate(d, usage, d->now_ns, &rate);
	ret->rule = alert == SLOT_NONE ? RULE_NONE : alert_at(d, alert)->rule;
	ret->k = u->tally.k;
	ret->k_own = u->tally.k_own;
	ret->abandoned = rate.m;
	ret->passed_over = detector_left_idle(d, pt, usage, T_NEVER);
	ret->state = state_of(d, pu, u, alert, ret);
	ret->exchanges = u->exchanges;
	/* a rate of leaking where nothing is suspected would be a claim without ground */
	if (is_suspicious(ret->state)) {
		ret->rate_per_min = rate.per_min;
		ret->rate_low = rate.low;
		ret->rate_high = rate.high;
	}
	ret->longest_idle_ns = u->longest_idle_ns;
	for (uint32_t i = u->first_cohort; i != SLOT_NONE; i = cohort_at(d, i)->next_of_usage) {
		ret->reaped += cohort_at(d, i)->n_ghosts;
		view_habit(cohort_at(d, i), ret);
	}
	view_conns(d, pt, pu, ret);
}

/* Findings are numbered in order of their slots, free ones left out. */
uint32_t detector_n_findings(const struct detector *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->alerts.n; i++)
		n += alert_at(d, i)->is_used;
	return n;
}

int detector_finding(const struct detector *d, const struct proctab *pt, uint32_t i,
		     struct finding *ret)
{
	for (uint32_t slot = 0; slot < d->alerts.n; slot++)
		if (alert_at(d, slot)->is_used && !i--)
			return evidence_make(d, pt, alert_at(d, slot), ret);
	return -ENOENT;
}

int detector_finding_at(const struct detector *d, const struct proctab *pt, uint32_t slot,
			struct finding *ret)
{
	if (slot >= d->alerts.n || !alert_at(d, slot)->is_used)
		return -ENOENT;
	return evidence_make(d, pt, alert_at(d, slot), ret);
}

bool detector_next_mark(const struct detector *d, uint32_t after, struct finding_mark *ret)
{
	for (uint32_t slot = after == SLOT_NONE ? 0 : after + 1; slot < d->alerts.n; slot++) {
		const struct alert *a = alert_at(d, slot);

		if (!a->is_used)
			continue;
		*ret = (struct finding_mark){
			.slot = slot,
			.fired_ns = a->fired_ns,
			.kind = a->kind,
			.status = a->status,
			.severity = a->severity,
		};
		return true;
	}
	return false;
}

uint32_t detector_find(const struct detector *d, uint32_t usage)
{
	uint32_t alert, n = 0;

	if (usage >= d->n_usages || !d->usages[usage].holder_id)
		return SLOT_NONE;
	alert = alert_of(d, usage);
	if (!alert_is_firing(d, alert))
		return SLOT_NONE;
	for (uint32_t i = 0; i < alert; i++)
		n += alert_at(d, i)->is_used;
	return n;
}
