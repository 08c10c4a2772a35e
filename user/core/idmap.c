/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 16u
#define CAP_MAX (1u << 31)

uint64_t idmap_hash(uint64_t key)
{
	/* The finaliser of splitmix64 (Steele, Lea, Flood 2014). */
	key += 0x9e3779b97f4a7c15ULL;
	key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ULL;
	key = (key ^ (key >> 27)) * 0x94d049bb133111ebULL;
	return key ^ (key >> 31);
}

static void place(struct idmap_cell *cells, uint32_t cap, struct idmap_cell cell)
{
	uint32_t i = cell.tag & (cap - 1);

	while (cells[i].slot != IDMAP_NONE)
		i = (i + 1) & (cap - 1);
	cells[i] = cell;
}

static int grow(struct idmap *m)
{
	uint32_t cap = m->cap ? m->cap * 2 : CAP_MIN;
	struct idmap_cell *cells;

	if (m->cap >= CAP_MAX)
		return -ENOMEM;
	cells = reallocarray(NULL, cap, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	memset(cells, 0xff, cap * sizeof(*cells));
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->cells[i].slot != IDMAP_NONE)
			place(cells, cap, m->cells[i]);
	free(m->cells);
	m->cells = cells;
	m->cap = cap;
	return 0;
}

int idmap_reserve(struct idmap *m)
{
	return m->n >= m->cap - m->cap / 4 ? grow(m) : 0;
}

int idmap_put(struct idmap *m, uint64_t hash, uint32_t slot)
{
	int err = idmap_reserve(m);

	if (err)
		return err;
	place(m->cells, m->cap, (struct idmap_cell){(uint32_t)hash, slot});
	m->n++;
	return 0;
}

/* Closes the gap at @gap: what was pushed past it by probing moves back. */
static void shift_back(struct idmap *m, uint32_t gap)
{
	uint32_t mask = m->cap - 1;

	for (uint32_t i = (gap + 1) & mask; m->cells[i].slot != IDMAP_NONE; i = (i + 1) & mask) {
		uint32_t home = m->cells[i].tag & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		m->cells[gap] = m->cells[i];
		gap = i;
	}
	m->cells[gap].slot = IDMAP_NONE;
}

void idmap_del(struct idmap *m, uint64_t hash, uint32_t slot)
{
	uint32_t mask = m->cap - 1;

	if (!m->cap)
		return;
	for (uint32_t i = (uint32_t)hash & mask; m->cells[i].slot != IDMAP_NONE;
	     i = (i + 1) & mask) {
		if (m->cells[i].slot != slot)
			continue;
		shift_back(m, i);
		m->n--;
		return;
	}
}

uint32_t idmap_next(const struct idmap *m, uint64_t hash, uint32_t *pos)
{
	uint32_t mask = m->cap - 1;

	if (!m->cap)
		return IDMAP_NONE;
	while (m->cells[*pos].slot != IDMAP_NONE) {
		const struct idmap_cell *cell = &m->cells[*pos];

		*pos = (*pos + 1) & mask;
		if (cell->tag == (uint32_t)hash)
			return cell->slot;
	}
	return IDMAP_NONE;
}

uint32_t idmap_first(const struct idmap *m, uint64_t hash, uint32_t *pos)
{
	*pos = m->cap ? (uint32_t)hash & (m->cap - 1) : 0;
	return idmap_next(m, hash, pos);
}

void idmap_release(struct idmap *m)
{
	if (!m)
		return;
	free(m->cells);
	*m = (struct idmap){0};
}
