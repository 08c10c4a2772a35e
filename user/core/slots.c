/* SPDX-License-Identifier: Apache-2.0 */
#include "slots.h"

#include <errno.h>
#include <stdlib.h>

#define CAP_MIN	  16u
#define CAP_SMALL 4096

void slots_init(struct slots *s, size_t size, size_t link, uint32_t max)
{
	*s = (struct slots){.size = size, .link = link, .max = max, .first_free = UINT32_MAX};
}

static uint32_t *link_of(const struct slots *s, uint32_t slot)
{
	return (uint32_t *)((char *)slots_at(s, slot) + s->link);
}

static int grow(struct slots *s)
{
	/* by half while it is small; later what is not used would weigh more than the copying */
	uint64_t cap = s->cap + (uint64_t)s->cap / (s->cap < CAP_SMALL ? 2 : 8);
	char *items;

	if (s->cap >= s->max)
		return -ENOSPC;
	if (cap < CAP_MIN)
		cap = CAP_MIN;
	if (cap > s->max)
		cap = s->max;
	items = reallocarray(s->items, cap, s->size);
	if (!items)
		return -ENOMEM;
	s->items = items;
	s->cap = (uint32_t)cap;
	return 0;
}

int slots_take(struct slots *s, uint32_t *ret_slot)
{
	uint32_t slot = s->first_free;

	if (slot != UINT32_MAX) {
		s->first_free = *link_of(s, slot);
		*ret_slot = slot;
		return 0;
	}
	if (s->n == s->cap) {
		int err = grow(s);

		if (err)
			return err;
	}
	*ret_slot = s->n++;
	return 0;
}

void slots_give(struct slots *s, uint32_t slot)
{
	*link_of(s, slot) = s->first_free;
	s->first_free = slot;
}

void slots_release(struct slots *s)
{
	if (!s)
		return;
	free(s->items);
	*s = (struct slots){0};
}
