/* SPDX-License-Identifier: Apache-2.0 */
#include "minheap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t *pos_of(struct minheap_pos pos, uint32_t slot)
{
	return (uint32_t *)(void *)((char *)pos.first + pos.stride * slot);
}

static void put(struct minheap *h, struct minheap_pos pos, uint32_t i, struct minheap_item item)
{
	h->v[i] = item;
	*pos_of(pos, item.slot) = i;
}

static void sift_up(struct minheap *h, struct minheap_pos pos, uint32_t i)
{
	struct minheap_item item = h->v[i];

	while (i && h->v[(i - 1) / 2].key > item.key) {
		put(h, pos, i, h->v[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(h, pos, i, item);
}

static void sift_down(struct minheap *h, struct minheap_pos pos, uint32_t i)
{
	struct minheap_item item = h->v[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->v[child + 1].key < h->v[child].key)
			child++;
		if (h->v[child].key >= item.key)
			break;
		put(h, pos, i, h->v[child]);
		i = child;
	}
	put(h, pos, i, item);
}

int minheap_set(struct minheap *h, struct minheap_pos pos, uint32_t slot, int64_t key)
{
	uint32_t i = *pos_of(pos, slot);

	if (i != UINT32_MAX) {
		h->v[i].key = key;
		sift_up(h, pos, i);
		sift_down(h, pos, *pos_of(pos, slot));
		return 0;
	}
	if (h->n == h->cap) {
		uint32_t cap = h->cap ? 2 * h->cap : 8;
		struct minheap_item *v = reallocarray(h->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		h->v = v;
		h->cap = cap;
	}
	put(h, pos, h->n, (struct minheap_item){.key = key, .slot = slot});
	sift_up(h, pos, h->n++);
	return 0;
}

void minheap_remove(struct minheap *h, struct minheap_pos pos, uint32_t slot)
{
	uint32_t i = *pos_of(pos, slot);

	if (i == UINT32_MAX)
		return;
	*pos_of(pos, slot) = UINT32_MAX;
	if (i == --h->n)
		return;
	put(h, pos, i, h->v[h->n]);
	sift_up(h, pos, i);
	sift_down(h, pos, *pos_of(pos, h->v[i].slot));
}

void minheap_release(struct minheap *h)
{
	free(h->v);
	memset(h, 0, sizeof(*h));
}
