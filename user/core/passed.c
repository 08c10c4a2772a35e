/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passed.c - the waiting and the passed over of a cohort: its heap and its list
 */
#include "detector_impl.h"

void passed_note_quiet(struct cohort *co, const struct track *t)
{
	if (t->opener == SLOT_NONE || t->tx >= co->sign_on)
		return;
	/* Those that were counted so far had worked after all. */
	if (co->sign_on != UINT64_MAX && t->tx + SIGN_ON_SLACK < co->sign_on)
		co->first_uses = (struct lagged){0};
	co->sign_on = t->tx;
}

void passed_add(struct detector *d, struct cohort *co, uint32_t slot, int64_t exp_ns)
{
	struct track *t = &d->tracks[slot];
	uint32_t prev = co->exp_last;

	while (prev != SLOT_NONE && d->tracks[prev].exp_ns > exp_ns)
		prev = d->tracks[prev].prev;
	passed_note_quiet(co, t);
	t->exp_ns = exp_ns;
	t->prev = prev;
	t->next = prev == SLOT_NONE ? co->exp_first : d->tracks[prev].next;
	if (prev == SLOT_NONE)
		co->exp_first = slot;
	else
		d->tracks[prev].next = slot;
	if (t->next == SLOT_NONE)
		co->exp_last = slot;
	else
		d->tracks[t->next].prev = slot;
	co->n_exposed++;
}

void passed_remove(struct detector *d, struct cohort *co, uint32_t slot)
{
	struct track *t = &d->tracks[slot];

	if (t->exp_ns == T_NEVER)
		return;
	if (t->prev != SLOT_NONE)
		d->tracks[t->prev].next = t->next;
	else
		co->exp_first = t->next;
	if (t->next != SLOT_NONE)
		d->tracks[t->next].prev = t->prev;
	else
		co->exp_last = t->prev;
	t->exp_ns = T_NEVER;
	co->n_exposed--;
}

int passed_wait(struct detector *d, struct cohort *co, uint32_t slot)
{
	struct track *t = &d->tracks[slot];

	if (!t->is_client || t->is_unheld || t->exp_ns != T_NEVER || t->heap_pos != SLOT_NONE)
		return 0;
	return minheap_set(&co->waiting, waiting_pos(d), slot, t->use_end_ns);
}

int passed_by_open(struct detector *d, struct cohort *co, int64_t opened_ns, int64_t now_ns)
{
	for (;;) {
		const struct minheap_item *top = minheap_top(&co->waiting);
		uint32_t slot;
		int64_t key;
		int err;

		if (!top || top->key + d->p.tmin_ns >= opened_ns)
			return 0;
		slot = top->slot;
		key = top->key;
		minheap_remove(&co->waiting, waiting_pos(d), slot);
		if (!d->tracks[slot].is_client)
			continue;
		if (d->tracks[slot].use_end_ns <= key) {
			passed_add(d, co, slot, now_ns);
			continue;
		}
		err = passed_wait(d, co, slot);
		if (err)
			return err;
	}
}
