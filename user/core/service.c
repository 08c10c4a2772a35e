/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - what survives a restart: habits (how long connections stay away and come back) and
 * the rungs of processes that have ended
 */
#include "detector_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CARRY_HALF_LIFE_NS (6 * 3600 * NS_PER_S)

void habit_init(struct habit *h)
{
	*h = (struct habit){.half_ns = T_NEVER};
}

/* Begins a new half day where one is over. */
static void turn(struct habit *h, int64_t now_ns)
{
	int64_t n;

	if (h->half_ns == T_NEVER)
		h->half_ns = now_ns;
	n = (now_ns - h->half_ns) / HABIT_HALF_NS;
	if (n <= 0)
		return;
	memcpy(h->prev_ms, h->cur_ms, sizeof(h->prev_ms));
	memset(h->cur_ms, 0, sizeof(h->cur_ms));
	if (n > 1)
		memset(h->prev_ms, 0, sizeof(h->prev_ms));
	h->half_ns += n * HABIT_HALF_NS;
}

static void insert(uint32_t top_ms[static HABIT_TOP], uint32_t ms)
{
	uint32_t i = HABIT_TOP - 1;

	if (ms <= top_ms[i])
		return;
	for (; i && top_ms[i - 1] < ms; i--)
		top_ms[i] = top_ms[i - 1];
	top_ms[i] = ms;
}

void habit_note(struct habit *h, int64_t now_ns, int64_t absence_ns)
{
	int64_t ms = (absence_ns + NS_PER_MS - 1) / NS_PER_MS;

	turn(h, now_ns);
	insert(h->cur_ms, ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX);
}

/* The longest of both halves, into cur_ms. */
static struct habit both_halves(const struct habit *h, int64_t now_ns)
{
	struct habit all = *h;

	turn(&all, now_ns);
	for (uint32_t i = 0; i < HABIT_TOP && all.prev_ms[i]; i++)
		insert(all.cur_ms, all.prev_ms[i]);
	return all;
}

int64_t habit_longest(const struct habit *h, int64_t now_ns)
{
	int64_t halves = h->half_ns == T_NEVER ? 0 : (now_ns - h->half_ns) / HABIT_HALF_NS;
	uint32_t ms = halves <= 1 ? h->cur_ms[0] : 0;

	if (halves < 1 && h->prev_ms[0] > ms)
		ms = h->prev_ms[0];
	return ms * NS_PER_MS;
}

void habit_teach(struct habit *h, const struct habit *from, int64_t now_ns)
{
	struct habit all = both_halves(from, now_ns);

	turn(h, now_ns);
	/* A pupil that knows as much was taught before, and must not count it twice. */
	if (habit_longest(h, now_ns) >= all.cur_ms[0] * NS_PER_MS)
		return;
	for (uint32_t i = 0; i < HABIT_TOP && all.cur_ms[i]; i++)
		insert(h->cur_ms, all.cur_ms[i]);
}

struct tail habit_tail(const struct habit *h, int64_t origin_ns, int64_t now_ns)
{
	struct habit all = both_halves(h, now_ns);
	double origin = (double)origin_ns / NS_PER_MS, least = origin + all.cur_ms[HABIT_TOP - 1];
	struct tail ret = {.longest_ns = all.cur_ms[0] * NS_PER_MS};

	for (; ret.n < HABIT_TOP && all.cur_ms[ret.n]; ret.n++)
		ret.ln_sum += log((origin + all.cur_ms[ret.n]) / least);
	/* The shortest of a full list is where the others are counted from. */
	if (ret.n == HABIT_TOP)
		ret.n--;
	return ret;
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
	u->inherited_first = s->n_first;
	u->inherited = s->habit;
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
	struct service_site known = {
		.n_ret = u->inherited_n, .n_first = u->inherited_first, .habit = u->inherited};
	struct service *s;

	co->service_site = SLOT_NONE;
	if (u->service == SLOT_NONE)
		return;
	s = service_at(d, u->service);
	co->service_site = find_site(s, co->site);
	if (co->service_site != SLOT_NONE)
		known = s->sites[co->service_site];
	else
		co->service_site = add_site(s, co->site);
	co->n_inh = known.n_ret < INHERIT_MAX ? (uint32_t)known.n_ret : INHERIT_MAX;
	co->n_first_inh = known.n_first < INHERIT_MAX ? (uint32_t)known.n_first : INHERIT_MAX;
	habit_teach(&co->habit, &known.habit, now_ns);
}

void service_note_return(struct detector *d, const struct ustate *u, const struct cohort *co,
			 int64_t now_ns, const struct comeback *c)
{
	struct service *s;

	if (u->service == SLOT_NONE)
		return;
	s = service_at(d, u->service);
	s->n_ret++;
	s->n_first += c->is_first;
	habit_note(&s->habit, now_ns, c->absence_ns);
	if (co->service_site == SLOT_NONE || co->service_site >= s->n_sites)
		return;
	s->sites[co->service_site].n_ret++;
	s->sites[co->service_site].n_first += c->is_first;
	habit_note(&s->sites[co->service_site].habit, now_ns, c->absence_ns);
}
