/* SPDX-License-Identifier: Apache-2.0 */
#include "told.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct told_entry {
	bool is_told;
	struct finding_mark mark; /* as it was told */
};

void told_release(struct told *t)
{
	if (!t)
		return;
	free(t->entries);
	*t = (struct told){0};
}

static int grow(struct told *t, uint32_t slot)
{
	uint32_t n = slot + slot / 2 + 8;
	struct told_entry *entries;

	if (slot < t->n)
		return 0;
	entries = reallocarray(t->entries, n, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	memset(entries + t->n, 0, (n - t->n) * sizeof(*entries));
	t->entries = entries;
	t->n = n;
	return 0;
}

static bool is_news(const struct told_entry *e, const struct finding_mark *m)
{
	/* the slot of one that is over may have become another's */
	if (!e->is_told || e->mark.fired_ns != m->fired_ns)
		return true;
	return m->status != e->mark.status || m->kind != e->mark.kind ||
	       m->severity > e->mark.severity;
}

int told_next(struct told *t, const struct detector *d, uint32_t after, struct finding_mark *ret)
{
	struct finding_mark m;
	uint32_t slot = after;

	while (detector_next_mark(d, slot, &m)) {
		slot = m.slot;
		if (grow(t, slot))
			return -ENOMEM;
		if (!is_news(&t->entries[slot], &m))
			continue;
		t->entries[slot] = (struct told_entry){.is_told = true, .mark = m};
		*ret = m;
		return 1;
	}
	return 0;
}
