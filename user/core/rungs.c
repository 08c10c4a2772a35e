/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rungs.c - what a cohort's connections amount to at a tick (docs/detector.md section 4.3)
 *
 * A cohort without anything passed over has no rungs and is not looked at. The others are looked
 * at when an event touched them, and at the moment from which time alone changes the answer.
 */
#include "detector_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* A cohort costs at most 4,000 idle connections looked at in a second. */
#define LOOK_NS (NS_PER_S / 4000)
/*
 * What a tick may cost, in connections looked at. Beyond that a cohort waits for the next tick,
 * those that have waited for longest first.
 */
#define LOOKS_PER_TICK	 100000
#define LOOKS_PER_COHORT 16
#define TAIL_LOOKS	 16 /* in a Tx, while nothing happens */

/* When each abandoned connection had lain idle long enough: all, and the parts of them. */
struct ready {
	int64_t any[ABANDONED_CAP], own[ABANDONED_CAP], warm[ABANDONED_CAP];
	int64_t worked[ABANDONED_CAP];
	size_t n_any, n_own, n_warm, n_worked;
};

struct scan {
	struct detector *d;
	const struct proctab *pt;
	struct cohort *co;
	int64_t now_ns;
	int64_t next_ns; /* when time alone will change something; INT64_MAX: never */
	int64_t from_ns; /* opens before it cannot be rungs */
	uint32_t n_cand;
	int err;
};

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Mostly they are in order. */
static void sort_times(int64_t *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (v[i] >= v[i - 1])
			continue;
		qsort(v, n, sizeof(v[0]), by_time);
		return;
	}
}

static int by_opened(const void *a, const void *b)
{
	const struct ladder_cand *x = a, *y = b;

	if (x->opened_ns != y->opened_ns)
		return x->opened_ns < y->opened_ns ? -1 : 1;
	return y->is_seen - x->is_seen;
}

static void expect(struct scan *s, int64_t at_ns)
{
	if (at_ns > s->now_ns && at_ns < s->next_ns)
		s->next_ns = at_ns;
}

/* Each has its own limit: hundreds of adopted ones must not hide those opened since. */
static void add(int64_t *v, size_t *n, int64_t ready_ns)
{
	if (*n < ABANDONED_CAP)
		v[(*n)++] = ready_ns;
}

static void add_ghost(struct ready *r, const struct ghost *g, int64_t tmin_ns)
{
	int64_t ready_ns = g->use_end_ns + tmin_ns;

	add(r->any, &r->n_any, ready_ns);
	if (g->is_warm)
		add(r->warm, &r->n_warm, ready_ns);
	if (g->is_warm && g->has_worked)
		add(r->worked, &r->n_worked, ready_ns);
}

static void add_ready(const struct scan *s, struct ready *r, const struct track *t)
{
	const struct opener *o = t->opener == SLOT_NONE ? NULL : opener_at(s->d, t->opener);
	int64_t ready_ns = t->use_end_ns + s->d->p.tmin_ns;
	bool is_own = o && o->last_open_ns >= ready_ns;
	/* A thread that has ended can pass over nothing any more; others stand in for it. */
	struct ghost like = {
		.use_end_ns = t->use_end_ns,
		.is_warm = is_own || (o && o->has_ended),
		.has_worked = track_has_worked(t, s->co),
	};

	if (is_own)
		add(r->own, &r->n_own, ready_ns);
	add_ghost(r, &like, s->d->p.tmin_ns);
}

/* By how much an absence is longer than all those that ended: ln of the ratio. */
static double ln_beyond(const struct scan *s, const struct track *t)
{
	double origin_ns = (double)s->d->p.tmin_ns, absence_ns = (double)(s->now_ns - t->exp_ns);

	if (!s->co->tail.n)
		return 0;
	return log((origin_ns + absence_ns) / (origin_ns + (double)s->co->tail.longest_ns));
}

/* The exposed list is in order of exp: the abandoned ones are its beginning. */
static void collect_ready(struct scan *s, struct ready *r)
{
	struct cohort *co = s->co;
	double ln_sum = 0;
	uint32_t i;

	co->n_abandoned = 0;
	co->n_abandoned_fd = 0;
	r->n_any = r->n_own = r->n_warm = r->n_worked = 0;
	for (i = co->exp_first; i != SLOT_NONE; i = s->d->tracks[i].next) {
		const struct track *t = &s->d->tracks[i];

		if (!track_is_abandoned(t, co, s->now_ns)) {
			expect(s, t->exp_ns + co->tx_ns);
			break;
		}
		co->n_abandoned++;
		co->n_abandoned_fd += !conn_has_slot(proctab_conn(s->pt, i));
		if (co->n_abandoned <= ABANDONED_CAP)
			ln_sum += ln_beyond(s, t);
		add_ready(s, r, t);
	}
	co->ln_beyond = ln_sum / fmax(fmin(co->n_abandoned, ABANDONED_CAP), 1);
	for (i = 0; i < co->n_ghosts; i++)
		add_ghost(r, &co->ghosts[i], s->d->p.tmin_ns);
	sort_times(r->any, r->n_any);
	sort_times(r->own, r->n_own);
	sort_times(r->warm, r->n_warm);
	sort_times(r->worked, r->n_worked);
}

static void push_cand(struct scan *s, const struct ladder_cand *c)
{
	struct detector *d = s->d;

	if (s->n_cand == d->cap_cand) {
		uint32_t cap = d->cap_cand ? 2 * d->cap_cand : 64;
		struct ladder_cand *v = reallocarray(d->cand, cap, sizeof(*v));

		if (!v) {
			s->err = -ENOMEM;
			return;
		}
		d->cand = v;
		d->cap_cand = cap;
	}
	d->cand[s->n_cand++] = *c;
}

static void add_cand(struct scan *s, uint32_t slot)
{
	const struct track *t = &s->d->tracks[slot];
	const struct conn *c = proctab_conn(s->pt, slot);
	struct ladder_cand cand;

	if (!t->is_client || !c || c->adopted || c->opened_ns < s->from_ns)
		return;
	if (s->now_ns - t->use_end_ns < s->co->tx_ns) {
		expect(s, t->use_end_ns + s->co->tx_ns);
		return;
	}
	cand = (struct ladder_cand){
		.opened_ns = c->opened_ns,
		.is_seen = t->exp_ns != T_NEVER || s->co->last_open_ns > t->use_end_ns + NS_PER_S,
		.has_worked = track_has_worked(t, s->co),
		.grown_before = t->grown_before,
	};
	push_cand(s, &cand);
}

static void sort_cand(struct scan *s)
{
	const struct ladder_cand *v = s->d->cand;

	for (uint32_t i = 1; i < s->n_cand; i++) {
		if (by_opened(&v[i - 1], &v[i]) <= 0)
			continue;
		qsort(s->d->cand, s->n_cand, sizeof(*v), by_opened);
		return;
	}
}

static void add_ghosts(struct scan *s)
{
	const struct cohort *co = s->co;

	for (uint32_t i = 0; i < co->n_ghosts; i++) {
		const struct ghost *g = &co->ghosts[i];
		struct ladder_cand c = {.opened_ns = g->opened_ns,
					.is_seen = true,
					.has_worked = g->has_worked,
					.grown_before = g->grown_before};

		if (g->opened_ns >= s->from_ns)
			push_cand(s, &c);
	}
}

/* Those in the heap whose key says that they may be idle for Tx, and nothing below the others. */
static void add_waiting(struct scan *s, uint32_t i)
{
	const struct minheap *h = &s->co->waiting;

	if (i >= h->n)
		return;
	if (s->now_ns - h->v[i].key < s->co->tx_ns) {
		expect(s, h->v[i].key + s->co->tx_ns);
		return;
	}
	add_cand(s, h->v[i].slot);
	add_waiting(s, 2 * i + 1);
	add_waiting(s, 2 * i + 2);
}

/* Leaves among the candidates those that have worked. */
static void keep_worked(struct scan *s)
{
	struct ladder_cand *cand = s->d->cand;
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_cand; i++)
		if (cand[i].has_worked)
			cand[n++] = cand[i];
	s->n_cand = n;
}

static void count_rungs(struct scan *s, struct ready *r)
{
	struct cohort *co = s->co;

	co->any = co->own = co->warm = co->worked = (struct rungs){0};
	if (!r->n_any)
		return;
	s->from_ns = r->any[0];
	for (uint32_t i = co->exp_first; i != SLOT_NONE; i = s->d->tracks[i].next)
		add_cand(s, i);
	add_waiting(s, 0);
	sort_cand(s);
	ladder_count(r->own, r->n_own, s->d->cand, s->n_cand, &co->own);
	if (co->n_ghosts) {
		add_ghosts(s);
		sort_cand(s);
	}
	ladder_count(r->any, r->n_any, s->d->cand, s->n_cand, &co->any);
	ladder_count(r->warm, r->n_warm, s->d->cand, s->n_cand, &co->warm);
	keep_worked(s);
	ladder_count(r->worked, r->n_worked, s->d->cand, s->n_cand, &co->worked);
}

static int evaluate(struct detector *d, const struct proctab *pt, uint32_t slot, int64_t now_ns)
{
	struct cohort *co = cohort_at(d, slot);
	struct scan s = {.d = d, .pt = pt, .co = co, .now_ns = now_ns, .next_ns = INT64_MAX};
	struct ready r;

	cohort_rotate(d, co, now_ns);
	co->tx_ns = cohort_tx_ns(d, co, now_ns);
	co->tail = habit_tail(&co->habit, d->p.tmin_ns, now_ns);
	ghost_expire(co, now_ns);
	if (co->n_ghosts)
		expect(&s, co->ghosts[0].ended_ns + GHOST_NS);
	collect_ready(&s, &r);
	count_rungs(&s, &r);
	/* The longer they stay away, the less are they of the others' kind. */
	if (co->any.k >= WARM_K && co->tail.n)
		expect(&s, now_ns + co->tx_ns / TAIL_LOOKS);
	if (co->any.k && co->returns.lag != co->returns.n)
		expect(&s, co->t_rot_ns + co->tx_ns);
	if (co->tx_ns > d->p.tmin_ns && co->n_exposed)
		expect(&s, co->habit.half_ns + HABIT_HALF_NS);
	co->not_before_ns = now_ns + co->n_exposed * LOOK_NS;
	if (s.next_ns < co->not_before_ns)
		s.next_ns = co->not_before_ns;
	if (s.next_ns == INT64_MAX)
		minheap_remove(&d->due, due_pos(d), slot);
	else if (minheap_set(&d->due, due_pos(d), slot, s.next_ns))
		s.err = -ENOMEM;
	if (co->usage != SLOT_NONE && judge_list(d, co->usage))
		s.err = -ENOMEM;
	return s.err;
}

int rungs_tick(struct detector *d, const struct proctab *pt, int64_t now_ns)
{
	const struct minheap_item *top;
	uint64_t looks = 0;
	int err = 0;

	while ((top = minheap_top(&d->due)) && top->key <= now_ns && looks < LOOKS_PER_TICK) {
		looks += LOOKS_PER_COHORT + cohort_at(d, top->slot)->n_exposed;
		if (evaluate(d, pt, top->slot, now_ns))
			err = -ENOMEM;
	}
	return err;
}
