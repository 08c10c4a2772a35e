/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rungs.c - what a cohort's connections amount to at a tick (docs/detector.md section 4.3)
 *
 * A cohort without anything passed over has no rungs and is not looked at. The others are looked
 * at when an event touched them, and at the moment from which time alone changes the answer.
 */
#include "detector_impl.h"

#include <errno.h>
#include <stdlib.h>

/* A cohort costs at most 4,000 idle connections looked at in a second. */
#define LOOK_NS (NS_PER_S / 4000)

/* When each abandoned connection had lain idle long enough: all, and the parts of them. */
struct ready {
	int64_t any[ABANDONED_CAP], own[ABANDONED_CAP], warm[ABANDONED_CAP];
	size_t n_any, n_own, n_warm;
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

static void add_ready(const struct scan *s, struct ready *r, const struct track *t)
{
	const struct opener *o = t->opener == SLOT_NONE ? NULL : opener_at(s->d, t->opener);
	int64_t ready_ns = t->use_end_ns + s->d->p.tmin_ns;
	bool is_own = o && o->last_open_ns >= ready_ns;

	/* Each has its own limit: hundreds of adopted ones must not hide those opened since. */
	if (r->n_any < ABANDONED_CAP)
		r->any[r->n_any++] = ready_ns;
	if (is_own && r->n_own < ABANDONED_CAP)
		r->own[r->n_own++] = ready_ns;
	/* A thread that has ended can pass over nothing any more; others stand in for it. */
	if ((is_own || (o && o->has_ended)) && r->n_warm < ABANDONED_CAP)
		r->warm[r->n_warm++] = ready_ns;
}

/* The exposed list is in order of exp: the abandoned ones are its beginning. */
static void collect_ready(struct scan *s, struct ready *r)
{
	struct cohort *co = s->co;
	uint32_t i;

	co->n_abandoned = 0;
	co->n_abandoned_fd = 0;
	r->n_any = r->n_own = r->n_warm = 0;
	for (i = co->exp_first; i != SLOT_NONE; i = s->d->tracks[i].next) {
		const struct track *t = &s->d->tracks[i];

		if (!track_is_abandoned(t, co, s->now_ns)) {
			expect(s, t->exp_ns + co->tx_ns);
			break;
		}
		co->n_abandoned++;
		co->n_abandoned_fd += !conn_has_slot(proctab_conn(s->pt, i));
		add_ready(s, r, t);
	}
	qsort(r->any, r->n_any, sizeof(r->any[0]), by_time);
	qsort(r->own, r->n_own, sizeof(r->own[0]), by_time);
	qsort(r->warm, r->n_warm, sizeof(r->warm[0]), by_time);
}

static void add_cand(struct scan *s, uint32_t slot)
{
	struct detector *d = s->d;
	const struct track *t = &d->tracks[slot];
	const struct conn *c = proctab_conn(s->pt, slot);

	if (!t->is_client || !c || c->adopted || c->opened_ns < s->from_ns)
		return;
	if (s->now_ns - t->use_end_ns < s->co->tx_ns) {
		expect(s, t->use_end_ns + s->co->tx_ns);
		return;
	}
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
	d->cand[s->n_cand++] = (struct ladder_cand){
		.opened_ns = c->opened_ns,
		.is_seen = t->exp_ns != T_NEVER || s->co->last_open_ns > t->use_end_ns + NS_PER_S,
		.grown_before = t->grown_before,
	};
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

static void count_rungs(struct scan *s, struct ready *r)
{
	struct cohort *co = s->co;

	co->any = co->own = co->warm = (struct rungs){0};
	if (!r->n_any)
		return;
	s->from_ns = r->any[0];
	for (uint32_t i = co->exp_first; i != SLOT_NONE; i = s->d->tracks[i].next)
		add_cand(s, i);
	add_waiting(s, 0);
	if (s->n_cand)
		qsort(s->d->cand, s->n_cand, sizeof(s->d->cand[0]), by_opened);
	ladder_count(r->any, r->n_any, s->d->cand, s->n_cand, &co->any);
	ladder_count(r->own, r->n_own, s->d->cand, s->n_cand, &co->own);
	ladder_count(r->warm, r->n_warm, s->d->cand, s->n_cand, &co->warm);
}

static int evaluate(struct detector *d, const struct proctab *pt, uint32_t slot, int64_t now_ns)
{
	struct cohort *co = cohort_at(d, slot);
	struct scan s = {.d = d, .pt = pt, .co = co, .now_ns = now_ns, .next_ns = INT64_MAX};
	struct ready r;

	cohort_rotate(d, co, now_ns);
	co->tx_ns = cohort_tx_ns(d, co, now_ns);
	collect_ready(&s, &r);
	count_rungs(&s, &r);
	if (co->any.k && co->n_lag != co->n_ret)
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
	int err = 0;

	while ((top = minheap_top(&d->due)) && top->key <= now_ns)
		if (evaluate(d, pt, top->slot, now_ns))
			err = -ENOMEM;
	return err;
}
