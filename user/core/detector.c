/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detector.c - events in, and the tick
 *
 * A leaked connection lies idle in its own client's turn while its process opens others past it,
 * from the same place in the code. A *rung* is an idle connection that was opened when k earlier
 * ones already lay abandoned: a pool steps on one or two and falls off, because its idle ones are
 * used again; a leak climbs one for each connection it loses. Neither the number of open
 * connections nor its slope decides: traffic, load and warming up move both.
 *
 * An event touches the one connection it names, its cohort's lists, and at an open those that it
 * passes over (each once per use). A tick looks at the cohorts that events touched or whose time
 * has come (rungs.c), judges their usages, processes and services (judge.c), then the peers.
 */
#include "detector_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TMIN_NS	   (15 * NS_PER_S)
#define RESOLVE_NS (600 * NS_PER_S)
#define ALPHA	   1e-6

struct detector *detector_new(const struct detector_params *p)
{
	struct detector *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->p = *p;
	if (!d->p.tmin_ns)
		d->p.tmin_ns = TMIN_NS;
	if (!d->p.resolve_ns)
		d->p.resolve_ns = RESOLVE_NS;
	if (d->p.ln_alpha == 0)
		d->p.ln_alpha = log(ALPHA);
	if (!d->p.host)
		d->p.host = "";
	d->now_ns = T_NEVER;
	d->blind_alert = SLOT_NONE;
	d->idle_first = d->idle_last = SLOT_NONE;
	slots_init(&d->cohorts, sizeof(struct cohort), offsetof(struct cohort, next_free),
		   MAX_COHORTS);
	slots_init(&d->openers, sizeof(struct opener), offsetof(struct opener, next_free),
		   SLOT_NONE);
	slots_init(&d->services, sizeof(struct service), offsetof(struct service, next_free),
		   MAX_SERVICES);
	slots_init(&d->alerts, sizeof(struct alert), offsetof(struct alert, next_free), SLOT_NONE);
	return d;
}

void detector_free(struct detector *d)
{
	if (!d)
		return;
	for (uint32_t i = 0; i < d->cohorts.n; i++)
		if (cohort_at(d, i)->is_used) {
			minheap_release(&cohort_at(d, i)->waiting);
			free(cohort_at(d, i)->ghosts);
		}
	for (uint32_t i = 0; i < d->services.n; i++)
		if (service_at(d, i)->is_used)
			free(service_at(d, i)->sites);
	slots_release(&d->cohorts);
	slots_release(&d->openers);
	slots_release(&d->services);
	slots_release(&d->alerts);
	idmap_release(&d->cohort_map);
	idmap_release(&d->opener_map);
	idmap_release(&d->service_map);
	minheap_release(&d->due);
	free(d->tracks);
	free(d->usages);
	free(d->peers);
	free(d->refs);
	free(d->pending);
	free(d->judge);
	free(d->cand);
	free(d);
}

int detector_grow(void *array, uint32_t *n, uint32_t i, size_t size)
{
	uint32_t cap;
	void *v;

	if (i < *n)
		return 0;
	memcpy(&v, array, sizeof(v));
	cap = *n + *n / (*n < 4096 ? 2 : 8);
	cap = i + 1 > cap ? i + 1 : cap;
	cap = cap < 16 ? 16 : cap;
	v = reallocarray(v, cap, size);
	if (!v)
		return -ENOMEM;
	memset((char *)v + *n * size, 0, (cap - *n) * size);
	memcpy(array, &v, sizeof(v));
	*n = cap;
	return 0;
}

void detector_ref(struct detector *d, uint32_t usage)
{
	d->refs[d->usages[usage].holder]++;
}

void detector_unref(struct detector *d, uint32_t usage)
{
	d->refs[d->usages[usage].holder]--;
}

bool detector_is_done_with(const struct detector *d, uint32_t holder)
{
	return holder >= d->n_refs || !d->refs[holder];
}

/* --- usages --- */

static bool is_same_usage(const struct ustate *u, const struct holder *h, const struct peer *p)
{
	return u->holder_id == h->id && endpoint_equal(&u->endpoint, &p->endpoint);
}

/* A new usage in this slot; the process table may have used the slot for another before. */
static void begin_usage(struct detector *d, const struct proctab *pt, uint32_t usage,
			int64_t now_ns)
{
	const struct usage *pu = proctab_usage(pt, usage);
	struct ustate *u = &d->usages[usage];

	if (u->holder_id) {
		service_leave(d, usage, now_ns);
		cohort_drop_usage(d, u);
	}
	*u = (struct ustate){
		.holder_id = proctab_holder(pt, pu->holder)->id,
		.holder = pu->holder,
		.peer = pu->peer,
		.endpoint = proctab_peer(pt, pu->peer)->endpoint,
		.first_cohort = SLOT_NONE,
		.service = SLOT_NONE,
		.next_of_service = SLOT_NONE,
		.alert = SLOT_NONE,
		.last_open_ns = T_NEVER,
		.resolved_ns = T_NEVER,
		.left_by = RESOLVED_DRAINED,
		.is_listed = u->is_listed,
	};
	u->service = service_get(d, proctab_holder(pt, pu->holder), &u->endpoint, now_ns);
	service_join(d, usage, now_ns);
}

static int touch_usage(struct detector *d, const struct proctab *pt,
		       const struct proctab_change *ch, int64_t now_ns)
{
	const struct usage *pu = proctab_usage(pt, ch->usage);
	int err;

	if (!pu)
		return 0;
	err = detector_grow(&d->usages, &d->n_usages, ch->usage, sizeof(*d->usages));
	if (!err)
		err = detector_grow(&d->refs, &d->n_refs, pu->holder, sizeof(*d->refs));
	if (err)
		return err;
	if (!is_same_usage(&d->usages[ch->usage], proctab_holder(pt, pu->holder),
			   proctab_peer(pt, pu->peer)))
		begin_usage(d, pt, ch->usage, now_ns);
	return 0;
}

/* The usages of a holder that the detector knows, one after the other; SLOT_NONE at the end. */
static uint32_t next_usage(const struct detector *d, const struct proctab *pt, uint32_t holder,
			   uint32_t after)
{
	const struct holder *h = proctab_holder(pt, holder);
	uint32_t i;

	if (!h)
		return SLOT_NONE;
	i = after == SLOT_NONE ? h->first_usage : proctab_usage(pt, after)->next_of_holder;
	while (i != SLOT_NONE && (i >= d->n_usages || d->usages[i].holder_id != h->id))
		i = proctab_usage(pt, i)->next_of_holder;
	return i;
}

static int holder_exit(struct detector *d, const struct proctab *pt, uint32_t holder,
		       int64_t now_ns)
{
	int err = 0;

	for (uint32_t i = next_usage(d, pt, holder, SLOT_NONE); i != SLOT_NONE;
	     i = next_usage(d, pt, holder, i)) {
		d->usages[i].has_exited = true;
		service_leave(d, i, now_ns);
		if (judge_list(d, i))
			err = -ENOMEM;
	}
	return err;
}

static int thread_exit(struct detector *d, const struct proctab *pt, uint32_t holder, uint32_t tid)
{
	int err = 0;

	for (uint32_t i = next_usage(d, pt, holder, SLOT_NONE); i != SLOT_NONE;
	     i = next_usage(d, pt, holder, i))
		if (cohort_thread_exit(d, i, tid))
			err = -ENOMEM;
	return err;
}

/* --- the tick --- */

/* Something could not be kept, by the source or by the table: counts are estimates. */
static void blind_tick(struct detector *d, const struct proctab *pt, int64_t now_ns)
{
	uint64_t lost = proctab_lost(pt) + d->own_lost, more = lost - d->lost_seen;
	bool by_source = d->source_lost > d->source_lost_seen;
	struct alert *a;

	d->lost_seen = lost;
	d->source_lost_seen = d->source_lost;
	if (more && d->blind_alert == SLOT_NONE)
		d->blind_alert = alert_fire(d, FINDING_BLIND, RULE_LOST_EVENTS, now_ns);
	if (!alert_is_firing(d, d->blind_alert))
		return;
	a = alert_at(d, d->blind_alert);
	if (more) {
		a->rule = by_source ? RULE_LOST_EVENTS : RULE_TABLE_FULL;
		a->lost += more;
		a->held_ns = now_ns;
	} else if (now_ns - a->held_ns >= d->p.resolve_ns) {
		alert_resolve(a, RESOLVED_NOT, now_ns);
	}
}

static int tick(struct detector *d, const struct proctab *pt, int64_t now_ns)
{
	int err = 0;

	d->now_ns = now_ns;
	alert_sweep(d, now_ns);
	if (track_settle_pending(d, pt, now_ns))
		err = -ENOMEM;
	if (rungs_tick(d, pt, now_ns))
		err = -ENOMEM;
	if (budget_tick(d, pt, now_ns))
		return -ENOMEM; /* what follows names peers */
	if (judge_tick(d, pt, now_ns))
		err = -ENOMEM;
	blind_tick(d, pt, now_ns);
	d->n_ticks++;
	return err;
}

uint64_t detector_lost(const struct detector *d)
{
	return d->own_lost;
}

static int fold_in(struct detector *d, const struct proctab *pt, const struct event *ev,
		   const struct proctab_change *ch)
{
	int err = touch_usage(d, pt, ch, ev->t_ns);

	if (err)
		return err;
	switch (ev->kind) {
	case EV_OPEN:
		return track_open(d, pt, ev, ch);
	case EV_IO:
		return track_io(d, pt, ev, ch);
	case EV_FIN:
		return track_fin(d, pt, ev, ch);
	case EV_CLOSE:
		return track_close(d, pt, ev, ch);
	case EV_MOVE:
		return track_move(d, pt, ev, ch);
	case EV_HELD:
		return track_held(d, pt, ch);
	case EV_EXIT:
		return holder_exit(d, pt, ch->holder, ev->t_ns);
	case EV_THREAD_EXIT:
		return thread_exit(d, pt, ch->holder, ev->tid);
	case EV_LOST:
		d->source_lost += ev->lost.where == LOST_TABLE ? 0 : ev->lost.events;
		return 0;
	case EV_TICK:
		/* time that runs backwards stands still: histories are indexed by it */
		return tick(d, pt, ev->t_ns > d->now_ns ? ev->t_ns : d->now_ns);
	default:
		return 0;
	}
}

int detector_event(struct detector *d, const struct proctab *pt, const struct event *ev,
		   const struct proctab_change *ch)
{
	int err = fold_in(d, pt, ev, ch);

	if (err)
		d->own_lost++;
	return err;
}
