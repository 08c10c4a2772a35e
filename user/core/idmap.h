/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idmap.h - from a hash to the slot numbers that have it
 *
 * Open addressing with linear probing; a removal shifts back what follows, so there are no
 * tombstones. The map keeps 32 bits of the hash and the slot, not the key: whoever looks something
 * up compares the key at each slot it is offered. 8 bytes a cell, 1.3 to 2.7 cells an entry.
 */
#ifndef CONNLEAK_IDMAP_H
#define CONNLEAK_IDMAP_H

#include <stdint.h>

#define IDMAP_NONE UINT32_MAX /* "no slot" */

struct idmap_cell {
	uint32_t tag;
	uint32_t slot; /* IDMAP_NONE: empty */
};

/* A zeroed struct is an empty map. */
struct idmap {
	struct idmap_cell *cells;
	uint32_t cap; /* a power of two, or 0 */
	uint32_t n;
};

/* A hash of a number, all bits of it mixed. */
uint64_t idmap_hash(uint64_t key);

/* Makes room, so that the next idmap_put() cannot fail. Returns 0 or -ENOMEM. */
int idmap_reserve(struct idmap *m);

/* Adds @slot under @hash; that the key is new is the caller's care. Returns 0 or -ENOMEM. */
int idmap_put(struct idmap *m, uint64_t hash, uint32_t slot);

/* Removes @slot, which was put under @hash; nothing happens if it is not there. */
void idmap_del(struct idmap *m, uint64_t hash, uint32_t slot);

/*
 * idmap_first, idmap_next - the slots under @hash, one after the other
 * @pos: where the walk stands, written by idmap_first()
 *
 * Return a slot or IDMAP_NONE. O(1) expected.
 */
uint32_t idmap_first(const struct idmap *m, uint64_t hash, uint32_t *pos);
uint32_t idmap_next(const struct idmap *m, uint64_t hash, uint32_t *pos);

/* Frees the cells and zeroes @m. Accepts NULL. */
void idmap_release(struct idmap *m);

#endif
