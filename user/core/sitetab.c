/* SPDX-License-Identifier: Apache-2.0 */
#include "sitetab.h"

#include <errno.h>
#include <stdbool.h>

/* First in both kinds of entry, so that one list serves them. `next` also chains free slots. */
struct links {
	uint32_t prev, next;
};

struct site {
	struct links links; /* in `unused`, while `refs` is 0 */
	uint64_t key;	    /* 0: free slot */
	struct site_info info;
	uint32_t refs; /* connections that were opened, or first used, from here */
};

struct site_id {
	struct links links; /* in `recent` */
	uint64_t id;	    /* 0: free slot */
	uint64_t key;
};

static struct site *site_at(const struct sitetab *t, uint32_t slot)
{
	return slots_at(&t->sites, slot);
}

static struct site_id *id_at(const struct sitetab *t, uint32_t slot)
{
	return slots_at(&t->ids, slot);
}

static struct links *links_at(const struct slots *s, uint32_t slot)
{
	return slots_at(s, slot);
}

static void append(const struct slots *s, struct sitetab_list *l, uint32_t slot)
{
	*links_at(s, slot) = (struct links){.prev = l->last, .next = IDMAP_NONE};
	if (l->last != IDMAP_NONE)
		links_at(s, l->last)->next = slot;
	else
		l->first = slot;
	l->last = slot;
}

static void unlink_slot(const struct slots *s, struct sitetab_list *l, uint32_t slot)
{
	struct links at = *links_at(s, slot);

	if (at.prev != IDMAP_NONE)
		links_at(s, at.prev)->next = at.next;
	else
		l->first = at.next;
	if (at.next != IDMAP_NONE)
		links_at(s, at.next)->prev = at.prev;
	else
		l->last = at.prev;
}

void sitetab_init(struct sitetab *t, uint32_t max)
{
	uint32_t max_ids = max <= UINT32_MAX / SITETAB_IDS_A_SITE / 2 ? max * SITETAB_IDS_A_SITE
								      : UINT32_MAX / 2;

	*t = (struct sitetab){.unused = {IDMAP_NONE, IDMAP_NONE},
			      .recent = {IDMAP_NONE, IDMAP_NONE}};
	slots_init(&t->sites, sizeof(struct site), offsetof(struct links, next), max);
	slots_init(&t->ids, sizeof(struct site_id), offsetof(struct links, next), max_ids);
}

void sitetab_release(struct sitetab *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->sites.n; i++)
		if (site_at(t, i)->key)
			site_info_release(&site_at(t, i)->info);
	slots_release(&t->sites);
	slots_release(&t->ids);
	idmap_release(&t->key_map);
	idmap_release(&t->id_map);
	*t = (struct sitetab){0};
}

/* --- ids --- */

static uint32_t find_id(const struct sitetab *t, uint64_t id)
{
	uint64_t hash = idmap_hash(id);
	uint32_t pos, slot;

	for (slot = idmap_first(&t->id_map, hash, &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&t->id_map, hash, &pos))
		if (id_at(t, slot)->id == id)
			return slot;
	return IDMAP_NONE;
}

static void forget_id(struct sitetab *t, uint32_t slot)
{
	idmap_del(&t->id_map, idmap_hash(id_at(t, slot)->id), slot);
	unlink_slot(&t->ids, &t->recent, slot);
	id_at(t, slot)->id = 0;
	slots_give(&t->ids, slot);
}

/* A slot of @s that is entered under @hash. In this order nothing has to be undone. */
static int take(struct slots *s, struct idmap *map, uint64_t hash, uint32_t *ret_slot)
{
	int err = idmap_reserve(map);

	if (!err)
		err = slots_take(s, ret_slot);
	return err ? err : idmap_put(map, hash, *ret_slot);
}

static int set_id(struct sitetab *t, uint64_t id, uint64_t key)
{
	uint32_t slot = find_id(t, id);
	int err = 0;

	if (slot != IDMAP_NONE) {
		unlink_slot(&t->ids, &t->recent, slot);
	} else {
		err = take(&t->ids, &t->id_map, idmap_hash(id), &slot);
		if (err == -ENOSPC && t->recent.first != IDMAP_NONE) {
			forget_id(t, t->recent.first);
			err = take(&t->ids, &t->id_map, idmap_hash(id), &slot);
		}
	}
	if (err)
		return err;
	id_at(t, slot)->id = id;
	id_at(t, slot)->key = key;
	append(&t->ids, &t->recent, slot);
	return 0;
}

/* --- sites --- */

static uint32_t find_site(const struct sitetab *t, uint64_t key)
{
	uint32_t pos, slot;

	if (!key)
		return IDMAP_NONE;
	for (slot = idmap_first(&t->key_map, key, &pos); slot != IDMAP_NONE;
	     slot = idmap_next(&t->key_map, key, &pos))
		if (site_at(t, slot)->key == key)
			return slot;
	return IDMAP_NONE;
}

static void forget_site(struct sitetab *t, uint32_t slot)
{
	struct site *s = site_at(t, slot);

	idmap_del(&t->key_map, s->key, slot);
	unlink_slot(&t->sites, &t->unused, slot);
	site_info_release(&s->info);
	s->key = 0;
	slots_give(&t->sites, slot);
}

/* The site of @key, made without frames if need be. */
static int get_site(struct sitetab *t, uint64_t key, uint32_t *ret_slot)
{
	uint32_t slot = find_site(t, key);
	int err = 0;

	if (slot == IDMAP_NONE) {
		err = take(&t->sites, &t->key_map, key, &slot);
		if (err == -ENOSPC && t->unused.first != IDMAP_NONE) {
			forget_site(t, t->unused.first);
			err = take(&t->sites, &t->key_map, key, &slot);
		}
		if (err)
			return err;
		*site_at(t, slot) = (struct site){.key = key};
		append(&t->sites, &t->unused, slot);
	}
	*ret_slot = slot;
	return 0;
}

int sitetab_define(struct sitetab *t, uint64_t id, const struct site_info *info)
{
	uint64_t key = site_info_key(info, id);
	struct site_info copy;
	struct site *s;
	uint32_t slot;
	int err = site_info_copy(info, &copy);

	if (err)
		return err;
	err = set_id(t, id, key);
	if (!err)
		err = get_site(t, key, &slot);
	if (err) {
		site_info_release(&copy);
		return err;
	}
	s = site_at(t, slot);
	if (!s->refs) {
		unlink_slot(&t->sites, &t->unused, slot);
		append(&t->sites, &t->unused, slot);
	}
	if (copy.n_frames || !s->info.n_frames) {
		site_info_release(&s->info);
		s->info = copy;
	} else {
		site_info_release(&copy);
	}
	return 0;
}

uint32_t sitetab_ref(struct sitetab *t, uint64_t id)
{
	uint32_t at = id ? find_id(t, id) : IDMAP_NONE, slot;

	if (!id)
		return SITE_NONE;
	if (at == IDMAP_NONE || get_site(t, id_at(t, at)->key, &slot)) {
		t->lost++;
		return SITE_NONE;
	}
	unlink_slot(&t->ids, &t->recent, at);
	append(&t->ids, &t->recent, at);
	if (!site_at(t, slot)->refs++)
		unlink_slot(&t->sites, &t->unused, slot);
	return slot + 1;
}

void sitetab_unref(struct sitetab *t, uint32_t ref)
{
	if (ref != SITE_NONE && !--site_at(t, ref - 1)->refs)
		append(&t->sites, &t->unused, ref - 1);
}

uint64_t sitetab_key(const struct sitetab *t, uint32_t ref)
{
	return ref == SITE_NONE ? 0 : site_at(t, ref - 1)->key;
}

const struct site_info *sitetab_find(const struct sitetab *t, uint64_t key)
{
	uint32_t slot = find_site(t, key);

	return slot == IDMAP_NONE ? NULL : &site_at(t, slot)->info;
}
