/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - what survives a restart: habits (how long connections stay away and come back) and
 * the rungs of processes that have ended
 */
#include "detector_impl.h"

#include <math.h>
#include <stdlib.h>

#define CARRY_HALF_LIFE_NS (6 * 3600 * NS_PER_S)

void habit_init(struct habit *h)
{
	*h = (struct habit){.half_ns = T_NEVER};
}

void habit_note(struct habit *h, int64_t now_ns, int64_t absence_ns)
{
	if (h->half_ns == T_NEVER)
		h->half_ns = now_ns;
	if (now_ns - h->half_ns >= HABIT_HALF_NS) {
		h->prev_ns = now_ns - h->half_ns >= 2 * HABIT_HALF_NS ? 0 : h->cur_ns;
		h->cur_ns = 0;
		h->half_ns += (now_ns - h->half_ns) / HABIT_HALF_NS * HABIT_HALF_NS;
	}
	if (absence_ns > h->cur_ns)
		h->cur_ns = absence_ns;
}

int64_t habit_longest(const struct habit *h, int64_t now_ns)
{
	struct habit then = *h;

	habit_note(&then, now_ns, 0);
	return then.cur_ns > then.prev_ns ? then.cur_ns : then.prev_ns;
}

static uint64_t service_key(const struct holder *h, const struct endpoint *ep)
{
	const char *s = h->info.group ? h->info.group : h->info.comm;
	uint64_t key = 0xcbf29ce484222325ULL;

	for (; *s; s++)
		key = (key ^ (unsigned char)*s) * 0x100000001b3ULL;
	return idmap_hash(key) ^ endpoint_hash(ep);
}

static uint32_t find(const struct detector *d, uint64_t key)
{
	uint32_t pos, i;

	for (i = idmap_first(&d->service_map, key, &pos); i != IDMAP_NONE;
	     i = idmap_next(&d->service_map, key, &pos))
		if (service_at(d, i)->key == key)
			return i;
	return SLOT_NONE;
}

/* Full: the longest silent one that nobody lives in gives way. */
static void evict(struct detector *d)
{
	struct service *oldest = NULL;
	uint32_t slot = SLOT_NONE;

	for (uint32_t i = 0; i < d->services.n; i++) {
		struct service *s = service_at(d, i);

		if (!s->is_used || s->first_usage != SLOT_NONE || s->alert != SLOT_NONE)
			continue;
		if (!oldest || s->last_ns < oldest->last_ns) {
			oldest = s;
			slot = i;
		}
	}
	if (!oldest)
		return;
	idmap_del(&d->service_map, oldest->key, slot);
	free(oldest->sites);
	oldest->is_used = false;
	slots_give(&d->services, slot);
}

uint32_t service_get(struct detector *d, const struct holder *h, const struct endpoint *ep,
		     int64_t now_ns)
{
	uint64_t key = service_key(h, ep);
	uint32_t slot = find(d, key);
	struct service *s;
	int err;

	if (slot != SLOT_NONE)
		return slot;
	err = slots_take(&d->services, &slot);
	if (err) {
		evict(d);
		err = slots_take(&d->services, &slot);
	}
	if (err) {
		d->own_lost++;
		return SLOT_NONE;
	}
	s = service_at(d, slot);
	*s = (struct service){
		.key = key,
		.carry_ns = now_ns,
		.carry_first_ns = T_NEVER,
		.first_usage = SLOT_NONE,
		.alert = SLOT_NONE,
		.last_ns = now_ns,
		.is_used = true,
	};
	habit_init(&s->habit);
	if (idmap_put(&d->service_map, key, slot)) {
		d->own_lost++;
		s->is_used = false;
		slots_give(&d->services, slot);
		return SLOT_NONE;
	}
	return slot;
}

void service_join(struct detector *d, uint32_t usage, int64_t now_ns)
{
	struct ustate *u = &d->usages[usage];
	struct service *s;

	if (u->service == SLOT_NONE)
		return;
	s = service_at(d, u->service);
	u->inherited_n = s->n_ret;
	u->inherited_ns = habit_longest(&s->habit, now_ns);
	u->next_of_service = s->first_usage;
	s->first_usage = usage;
	s->last_ns = now_ns;
}

double service_carry(const struct service *s, int64_t now_ns)
{
	return s->carry * pow(0.5, (double)(now_ns - s->carry_ns) / (double)CARRY_HALF_LIFE_NS);
}

static void carry_over(struct service *s, const struct tally *t, int64_t now_ns)
{
	double left = service_carry(s, now_ns);

	if (left < 0.5)
		s->carry_first_ns = T_NEVER;
	if (t->own_sum && (s->carry_first_ns == T_NEVER || t->own_first_ns < s->carry_first_ns))
		s->carry_first_ns = t->own_first_ns;
	s->carry = left + t->own_sum;
	s->carry_ns = now_ns;
	s->last_ns = now_ns;
}

void service_leave(struct detector *d, uint32_t usage, int64_t now_ns)
{
	struct ustate *u = &d->usages[usage];
	struct service *s;
	uint32_t *link;

	if (u->service == SLOT_NONE)
		return;
	s = service_at(d, u->service);
	for (link = &s->first_usage; *link != SLOT_NONE && *link != usage;
	     link = &d->usages[*link].next_of_service)
		;
	if (*link != usage)
		return;
	*link = u->next_of_service;
	u->next_of_service = SLOT_NONE;
	carry_over(s, &u->tally, now_ns);
	/* From now on the service may be forgotten; unless its finding is about this usage. */
	if (s->alert == SLOT_NONE || alert_at(d, s->alert)->usage != usage)
		u->service = SLOT_NONE;
}

void service_uncarry(struct detector *d, const struct proctab *pt, uint32_t usage, int64_t now_ns)
{
	const struct ustate *u = &d->usages[usage];
	const struct holder *h = proctab_holder(pt, u->holder);
	uint32_t slot = h ? find(d, service_key(h, &u->endpoint)) : SLOT_NONE;
	struct service *s;

	if (slot == SLOT_NONE)
		return;
	s = service_at(d, slot);
	s->carry = fmax(service_carry(s, now_ns) - 1, 0);
	s->carry_ns = now_ns;
}

static uint32_t find_site(const struct service *s, uint64_t site)
{
	for (uint32_t i = 0; i < s->n_sites; i++)
		if (s->sites[i].site == site)
			return i;
	return SLOT_NONE;
}

/* No room or memory: the site's habits go into the service's only. */
static uint32_t add_site(struct service *s, uint64_t site)
{
	struct service_site *sites;

	if (s->n_sites == MAX_SITES)
		return SLOT_NONE;
	sites = reallocarray(s->sites, s->n_sites + 1, sizeof(*sites));
	if (!sites)
		return SLOT_NONE;
	s->sites = sites;
	sites[s->n_sites] = (struct service_site){.site = site};
	habit_init(&sites[s->n_sites].habit);
	return s->n_sites++;
}

void service_inherit(struct detector *d, const struct ustate *u, struct cohort *co, int64_t now_ns)
{
	uint64_t n = u->inherited_n;
	int64_t longest_ns = u->inherited_ns;
	struct service *s;

	co->service_site = SLOT_NONE;
	if (u->service == SLOT_NONE)
		return;
	s = service_at(d, u->service);
	co->service_site = find_site(s, co->site);
	if (co->service_site != SLOT_NONE) {
		n = s->sites[co->service_site].n_ret;
		longest_ns = habit_longest(&s->sites[co->service_site].habit, now_ns);
	} else {
		co->service_site = add_site(s, co->site);
	}
	co->n_inh = n < INHERIT_MAX ? (uint32_t)n : INHERIT_MAX;
	habit_note(&co->habit, now_ns, longest_ns);
}

void service_note_return(struct detector *d, const struct ustate *u, const struct cohort *co,
			 int64_t now_ns, int64_t absence_ns)
{
	struct service *s;

	if (u->service == SLOT_NONE)
		return;
	s = service_at(d, u->service);
	s->n_ret++;
	habit_note(&s->habit, now_ns, absence_ns);
	if (co->service_site == SLOT_NONE || co->service_site >= s->n_sites)
		return;
	s->sites[co->service_site].n_ret++;
	habit_note(&s->sites[co->service_site].habit, now_ns, absence_ns);
}
