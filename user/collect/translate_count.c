/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate_count.c - what was lost, and the kernel's own counters, which put the counts right
 *
 * A holder's counters are exact only while nothing of it happens. So they are told at once, less what
 * is known to be on its way, and again until they were read in a quiet moment, its death at the
 * latest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "translate_impl.h"

#define COUNT_EVERY 60 /* ticks */

struct reading {
	struct counts counts;
	int64_t exit_ns;
	bool is_known;
	bool is_quiet; /* nothing moved while it was read */
};

/* Takes off what the kernel counted and the next tick will tell. Returns false if there is none. */
static bool subtract_pending(const struct translator *t, const struct cl_holder_key *key,
			     struct counts *n)
{
	bool has = false;

	for (size_t i = 0; i < t->n_records; i++) {
		const union record *r = &t->records[i];

		if (r->head.holder.tgid != key->tgid || r->head.holder.start_ns != key->start_ns)
			continue;
		has = true;
		if (r->head.kind == CL_REC_OPEN)
			n->opened--;
		else if (r->head.kind == CL_REC_FAIL)
			n->failed--;
		else if (r->head.kind == CL_REC_FD_END ||
			 (r->head.kind == CL_REC_SLOT_END &&
			  (r->end.how == CL_HOW_APP || r->end.how == CL_HOW_EXIT ||
			   r->end.how == CL_HOW_UNKNOWN)))
			n->closed--;
	}
	return has;
}

static void tell_count(struct translator *t, struct known_holder *h, const struct reading *k)
{
	struct event ev = {.kind = EV_COUNT, .holder = h->id, .count = k->counts};
	bool has_pending = subtract_pending(t, &h->key, &ev.count);

	ev.count.moved_in = h->moved_in;
	ev.count.moved_out = h->moved_out;
	ev.count.closed += (uint64_t)h->closed_more - h->n_shutdown;
	ev.count.open =
		ev.count.opened + ev.count.adopted + h->moved_in - ev.count.closed - h->moved_out;
	translate_emit(t, &ev, t->pass->now_ns);
	h->was_counted = true;
	h->must_count = has_pending || !k->is_quiet;
	if (k->exit_ns != T_NEVER && k->exit_ns <= t->pass->now_ns && !h->is_exited) {
		struct event gone = {.kind = EV_EXIT, .holder = h->id};

		h->is_exited = true;
		translate_emit(t, &gone, t->pass->now_ns);
	}
}

static bool is_dead(const struct known_holder *h)
{
	return h->is_exited && !h->n_conns;
}

/* One that was counted in a restless moment is counted once more when nothing can come any more. */
static bool is_due(const struct known_holder *h, bool all)
{
	return h->id && (all || h->must_count || (h->was_counted && is_dead(h)));
}

static bool read_counts(struct translator *t, uint32_t slot, struct reading *k)
{
	k->exit_ns = T_NEVER;
	return t->ops.counts(t->ops.arg, &holder_at(t, slot)->key, &k->counts, &k->exit_ns);
}

/* Read, drain what was recorded meanwhile, read again: equal means that nothing was. */
static void tell_counts(struct translator *t, bool all)
{
	struct reading *k = calloc(t->holders.n + 1, sizeof(*k)), again;

	if (!k) {
		t->err = t->err ? t->err : -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < t->holders.n; i++) {
		if (!is_due(holder_at(t, i), all))
			continue;
		k[i].is_known = read_counts(t, i, &k[i]);
		/* without counters in the kernel there is nothing to wait for */
		holder_at(t, i)->must_count &= k[i].is_known;
	}
	t->ops.drain(t->ops.arg);
	for (uint32_t i = 0; i < t->holders.n; i++) {
		if (!k[i].is_known)
			continue;
		memset(&again, 0, sizeof(again));
		k[i].is_quiet = read_counts(t, i, &again) &&
				!memcmp(&again.counts, &k[i].counts, sizeof(again.counts));
		tell_count(t, holder_at(t, i), &k[i]);
	}
	free(k);
}

/* After a loss the kernel's table may know holders of whom nothing was told. */
static void find_untold_holders(struct translator *t)
{
	struct cl_holder_key key;
	bool has = t->ops.next_holder(t->ops.arg, NULL, &key);

	for (uint32_t n = 0; has && n < MAX_HOLDERS; n++) {
		translate_get_holder(t, &key);
		has = t->ops.next_holder(t->ops.arg, &key, &key);
	}
}

static bool tell_losses(struct translator *t)
{
	bool is_lossy = false;

	for (uint32_t where = 0; where < LOST_MAX; where++) {
		struct event ev = {.kind = EV_LOST};

		ev.lost.events = t->pass->lost[where];
		if (where == LOST_TABLE)
			ev.lost.events += t->n_untracked;
		if (!ev.lost.events)
			continue;
		ev.lost.where = where;
		translate_emit(t, &ev, t->pass->now_ns);
		is_lossy = true;
	}
	return is_lossy;
}

/* What is open of them is made up for by the next passes: counted again after that. */
static void count_all_again(struct translator *t)
{
	for (uint32_t i = 0; i < t->holders.n; i++)
		if (!is_dead(holder_at(t, i)))
			holder_at(t, i)->must_count = true;
}

static bool is_any_due(const struct translator *t)
{
	for (uint32_t i = 0; i < t->holders.n; i++)
		if (is_due(holder_at(t, i), false))
			return true;
	return false;
}

static void forget_the_dead(struct translator *t)
{
	for (uint32_t i = 0; i < t->holders.n; i++) {
		struct known_holder *h = holder_at(t, i);

		/* one that is to be counted again has something on its way */
		if (!h->id || !is_dead(h) || h->must_count)
			continue;
		t->ops.forget(t->ops.arg, &h->key);
		idmap_del(&t->holder_keys, translate_key_hash(&h->key), i);
		h->id = 0;
		slots_give(&t->holders, i);
	}
}

void translate_count(struct translator *t)
{
	bool is_lossy, is_repaired, all;

	/* what comes now is told as of the tick */
	t->floor_ns = t->pass->now_ns;
	is_lossy = tell_losses(t);
	is_repaired = translate_repaired(t) != t->repaired_counted;
	t->repaired_counted = translate_repaired(t);
	all = is_lossy || is_repaired || t->n_ticks % COUNT_EVERY == 0;
	if (is_lossy)
		find_untold_holders(t);
	if (all || is_any_due(t))
		tell_counts(t, all);
	if (is_lossy || is_repaired)
		count_all_again(t);
	forget_the_dead(t);
}
