/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cohort.c - cohorts (holder x peer x call site) and the threads that open in them
 */
#include "detector_impl.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t cohort_hash(uint32_t usage, uint64_t site)
{
	return idmap_hash(idmap_hash(site) + usage);
}

static uint64_t opener_hash(uint32_t cohort, uint32_t tid)
{
	return idmap_hash((uint64_t)cohort << 32 | tid);
}

static uint32_t find_cohort(const struct detector *d, uint32_t usage, uint64_t site)
{
	uint64_t hash = cohort_hash(usage, site);
	uint32_t pos, i;

	for (i = idmap_first(&d->cohort_map, hash, &pos); i != IDMAP_NONE;
	     i = idmap_next(&d->cohort_map, hash, &pos)) {
		const struct cohort *co = cohort_at(d, i);

		if (co->usage == usage && co->site == site)
			return i;
	}
	return SLOT_NONE;
}

static void unlink_of_usage(struct detector *d, uint32_t slot)
{
	struct cohort *co = cohort_at(d, slot);
	uint32_t *link;

	if (co->usage == SLOT_NONE)
		return;
	idmap_del(&d->cohort_map, cohort_hash(co->usage, co->site), slot);
	for (link = &d->usages[co->usage].first_cohort; *link != SLOT_NONE;
	     link = &cohort_at(d, *link)->next_of_usage) {
		if (*link != slot)
			continue;
		*link = co->next_of_usage;
		break;
	}
	co->usage = SLOT_NONE;
}

static void link_idle(struct detector *d, uint32_t slot)
{
	struct cohort *co = cohort_at(d, slot);

	co->idle_prev = d->idle_last;
	co->idle_next = SLOT_NONE;
	if (d->idle_last != SLOT_NONE)
		cohort_at(d, d->idle_last)->idle_next = slot;
	else
		d->idle_first = slot;
	d->idle_last = slot;
}

static void unlink_idle(struct detector *d, uint32_t slot)
{
	const struct cohort *co = cohort_at(d, slot);

	if (co->idle_prev != SLOT_NONE)
		cohort_at(d, co->idle_prev)->idle_next = co->idle_next;
	else
		d->idle_first = co->idle_next;
	if (co->idle_next != SLOT_NONE)
		cohort_at(d, co->idle_next)->idle_prev = co->idle_prev;
	else
		d->idle_last = co->idle_prev;
}

void cohort_enter(struct detector *d, uint32_t slot)
{
	if (!cohort_at(d, slot)->n_open++)
		unlink_idle(d, slot);
}

void cohort_leave(struct detector *d, uint32_t slot)
{
	if (!--cohort_at(d, slot)->n_open)
		link_idle(d, slot);
}

void cohort_free(struct detector *d, uint32_t slot)
{
	struct cohort *co = cohort_at(d, slot);

	unlink_of_usage(d, slot);
	unlink_idle(d, slot);
	minheap_remove(&d->due, due_pos(d), slot);
	minheap_release(&co->waiting);
	free(co->ghosts);
	co->is_used = false;
	slots_give(&d->cohorts, slot);
}

/* Full: the one that has been without open connections for longest gives way. */
static void evict(struct detector *d)
{
	if (d->idle_first != SLOT_NONE)
		cohort_free(d, d->idle_first);
}

static void init_cohort(struct detector *d, uint32_t slot, uint32_t usage, uint64_t site,
			int64_t now_ns)
{
	struct cohort *co = cohort_at(d, slot);

	*co = (struct cohort){
		.usage = usage,
		.next_of_usage = d->usages[usage].first_cohort,
		.site = site,
		.last_open_ns = T_NEVER,
		.last_ns = now_ns,
		.exp_first = SLOT_NONE,
		.exp_last = SLOT_NONE,
		.t_rot_ns = now_ns,
		.tx_ns = d->p.tmin_ns,
		.not_before_ns = T_NEVER,
		.sign_on = UINT64_MAX,
		.due_pos = SLOT_NONE,
		.is_used = true,
	};
	habit_init(&co->habit);
	service_inherit(d, &d->usages[usage], co, now_ns);
	co->tx_ns = cohort_tx_ns(d, co, now_ns);
	d->usages[usage].first_cohort = slot;
	link_idle(d, slot);
}

int cohort_get(struct detector *d, uint32_t usage, uint64_t site, int64_t now_ns,
	       uint32_t *ret_slot)
{
	uint32_t slot = find_cohort(d, usage, site);
	int err;

	if (slot != SLOT_NONE) {
		*ret_slot = slot;
		return 0;
	}
	err = slots_take(&d->cohorts, &slot);
	if (err == -ENOSPC) {
		evict(d);
		err = slots_take(&d->cohorts, &slot);
	}
	if (err) {
		d->own_lost++;
		slot = find_cohort(d, usage, 0);
		if (slot == SLOT_NONE)
			slot = d->usages[usage].first_cohort;
		if (slot == SLOT_NONE)
			return err;
		*ret_slot = slot;
		return 0;
	}
	err = idmap_put(&d->cohort_map, cohort_hash(usage, site), slot);
	if (err) {
		cohort_at(d, slot)->is_used = false;
		slots_give(&d->cohorts, slot);
		return err;
	}
	init_cohort(d, slot, usage, site, now_ns);
	*ret_slot = slot;
	return 0;
}

void cohort_drop_usage(struct detector *d, struct ustate *u)
{
	while (u->first_cohort != SLOT_NONE) {
		uint32_t slot = u->first_cohort;

		if (cohort_at(d, slot)->n_open)
			unlink_of_usage(d, slot);
		else
			cohort_free(d, slot);
	}
}

static uint32_t find_opener(const struct detector *d, uint32_t cohort, uint32_t tid)
{
	uint64_t hash = opener_hash(cohort, tid);
	uint32_t pos, i;

	for (i = idmap_first(&d->opener_map, hash, &pos); i != IDMAP_NONE;
	     i = idmap_next(&d->opener_map, hash, &pos)) {
		const struct opener *o = opener_at(d, i);

		if (o->cohort == cohort && o->tid == tid)
			return i;
	}
	return SLOT_NONE;
}

int opener_ref(struct detector *d, uint32_t cohort, uint32_t tid, uint32_t *ret_slot)
{
	uint32_t slot = find_opener(d, cohort, tid);
	int err;

	if (slot == SLOT_NONE) {
		err = slots_take(&d->openers, &slot);
		if (err)
			return err;
		*opener_at(d, slot) =
			(struct opener){.cohort = cohort, .tid = tid, .last_open_ns = T_NEVER};
		err = idmap_put(&d->opener_map, opener_hash(cohort, tid), slot);
		if (err) {
			slots_give(&d->openers, slot);
			return err;
		}
	}
	opener_at(d, slot)->refs++;
	*ret_slot = slot;
	return 0;
}

void opener_unref(struct detector *d, uint32_t slot)
{
	struct opener *o;

	if (slot == SLOT_NONE)
		return;
	o = opener_at(d, slot);
	if (--o->refs)
		return;
	if (!o->has_ended)
		idmap_del(&d->opener_map, opener_hash(o->cohort, o->tid), slot);
	slots_give(&d->openers, slot);
}

int opener_move(struct detector *d, uint32_t slot, uint32_t cohort, uint32_t *ret_slot)
{
	struct opener from = *opener_at(d, slot);
	struct opener *to;
	int err;

	if (from.has_ended) {
		/* In no map: its number may by now be another thread's. */
		err = slots_take(&d->openers, ret_slot);
		if (err)
			return err;
		from.cohort = cohort;
		from.refs = 1;
		*opener_at(d, *ret_slot) = from;
		return 0;
	}
	err = opener_ref(d, cohort, from.tid, ret_slot);
	if (err)
		return err;
	to = opener_at(d, *ret_slot);
	if (to->last_open_ns < from.last_open_ns)
		to->last_open_ns = from.last_open_ns;
	return 0;
}

void cohort_teach(const struct cohort *from, struct cohort *to, int64_t now_ns)
{
	uint64_t n = from->returns.lag + from->n_inh;
	uint64_t first = lag_of_first(from);

	habit_teach(&to->habit, &from->habit, now_ns);
	n = n < INHERIT_MAX ? n : INHERIT_MAX;
	first = first < INHERIT_MAX ? first : INHERIT_MAX;
	if (to->n_inh < n)
		to->n_inh = (uint32_t)n;
	if (to->n_first_inh < first)
		to->n_first_inh = (uint32_t)first;
	if (to->sign_on > from->sign_on)
		to->sign_on = from->sign_on;
	if (to->last_open_ns < from->last_open_ns)
		to->last_open_ns = from->last_open_ns;
	to->last_ns = now_ns;
}

int cohort_mark(struct detector *d, uint32_t slot)
{
	const struct cohort *co = cohort_at(d, slot);

	/* Without anything passed over there are no rungs, and there were none. */
	if (!co->n_exposed && !co->n_abandoned && !co->any.k && !co->n_ghosts)
		return 0;
	return minheap_set(&d->due, due_pos(d), slot, co->not_before_ns);
}

int cohort_thread_exit(struct detector *d, uint32_t usage, uint32_t tid)
{
	int err = 0;

	for (uint32_t i = d->usages[usage].first_cohort; i != SLOT_NONE;
	     i = cohort_at(d, i)->next_of_usage) {
		uint32_t slot = find_opener(d, i, tid);

		if (slot == SLOT_NONE)
			continue;
		/* The number may be given to another thread, which is another opener. */
		idmap_del(&d->opener_map, opener_hash(i, tid), slot);
		opener_at(d, slot)->has_ended = true;
		if (cohort_mark(d, i))
			err = -ENOMEM;
	}
	return err;
}

int64_t cohort_tx_ns(const struct detector *d, const struct cohort *co, int64_t now_ns)
{
	int64_t tx_ns = TX_MULT * habit_longest(&co->habit, now_ns);

	if (tx_ns < d->p.tmin_ns)
		return d->p.tmin_ns;
	return tx_ns < TX_CAP_NS ? tx_ns : TX_CAP_NS;
}

static void rotate(struct lagged *l, bool is_overdue)
{
	/* Nothing came back since the last rotation that was due: all are older than Tx. */
	l->lag = is_overdue ? l->n : l->rot;
	l->rot = l->n;
}

void cohort_rotate(const struct detector *d, struct cohort *co, int64_t now_ns)
{
	int64_t tx_ns, since_ns = now_ns - co->t_rot_ns;
	bool is_overdue;

	if (since_ns < d->p.tmin_ns)
		return;
	tx_ns = cohort_tx_ns(d, co, now_ns);
	if (since_ns < tx_ns)
		return;
	is_overdue = since_ns >= 2 * tx_ns;
	rotate(&co->returns, is_overdue);
	rotate(&co->closes_ret, is_overdue);
	rotate(&co->first_uses, is_overdue);
	co->t_rot_ns = now_ns;
}
