/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - an array of equal entries with dense numbers that stay the same for an entry's life
 *
 * Grows by half, above 4,096 entries by an eighth, up to a limit. Free entries are chained through a uint32_t of their own, which the
 * owner names by its offset; the owner also marks an entry as free, in a way that only it knows.
 * What lies above the highest slot ever used is never written, so it costs no memory.
 */
#ifndef CONNLEAK_SLOTS_H
#define CONNLEAK_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slots {
	char *items;
	size_t size; /* of one item, bytes */
	size_t link; /* offset of its uint32_t that chains free ones */
	uint32_t n;  /* slots ever used: 0..n-1 */
	uint32_t cap;
	uint32_t max;
	uint32_t first_free; /* UINT32_MAX: none */
};

/* Allocates nothing. @max: entries at most. */
void slots_init(struct slots *s, size_t size, size_t link, uint32_t max);

/*
 * Hands out the number of an entry whose content is undefined. Pointers to entries are stale after
 * it. Returns 0, -ENOSPC (the limit is reached) or -ENOMEM.
 */
int slots_take(struct slots *s, uint32_t *ret_slot);

/* Takes it back; overwrites only its link. */
void slots_give(struct slots *s, uint32_t slot);

/* @slot < n. Valid until the next slots_take(). */
static inline void *slots_at(const struct slots *s, uint32_t slot)
{
	return s->items + slot * s->size;
}

/* Frees the items and zeroes @s. Accepts NULL. */
void slots_release(struct slots *s);

#endif
