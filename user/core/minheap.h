/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minheap.h - a binary min-heap of slots by time, from whose middle a slot can be taken
 *
 * Each slot's position stands in the caller's own array of structs (struct minheap_pos says
 * where), SLOT_NONE when it is not in the heap; one slot is in at most one heap of that array.
 */
#ifndef CONNLEAK_MINHEAP_H
#define CONNLEAK_MINHEAP_H

#include <stddef.h>
#include <stdint.h>

struct minheap_item {
	int64_t key;
	uint32_t slot;
};

struct minheap {
	struct minheap_item *v;
	uint32_t n, cap;
};

/* @first: the uint32_t of slot 0; @stride: bytes to the next slot's. Borrowed per call. */
struct minheap_pos {
	void *first;
	size_t stride;
};

/* Puts @slot in, or moves it to @key. Returns 0 or -ENOMEM. O(log n). */
int minheap_set(struct minheap *h, struct minheap_pos pos, uint32_t slot, int64_t key);
/* Takes @slot out, if it is in. O(log n). */
void minheap_remove(struct minheap *h, struct minheap_pos pos, uint32_t slot);
/* The smallest, or NULL. Borrowed until the next change. */
static inline const struct minheap_item *minheap_top(const struct minheap *h)
{
	return h->n ? &h->v[0] : NULL;
}
void minheap_release(struct minheap *h);

#endif
