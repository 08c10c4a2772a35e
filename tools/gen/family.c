/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include <string.h>

const struct family *family_at(uint32_t i)
{
	const struct family *const tables[] = {healthy_families, incident_families, leaky_families,
					       mixed_families};

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct family *f = tables[t]; f && f->name; f++)
			if (!i--)
				return f;
	return NULL;
}

const struct family *family_find(const char *name)
{
	const struct family *f;

	for (uint32_t i = 0; (f = family_at(i)); i++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

void family_start(const struct family *f, struct world *w, double hours)
{
	world_set_family(w, f->name, f->is_leaky, f->is_known_hard);
	world_set_duration(w, 3600 * (hours > 0 ? hours : f->hours));
	if (f->setup) {
		f->setup(w);
		return;
	}
	/* Replicas of one service, each with its own draws; one where the truth names the one. */
	for (int n = f->is_leaky ? 1 : param_int(w, "replicas", 1, 3); n > 0; n--)
		f->behave(w, gen_proc_new(w, &(struct gen_proc_conf){.service = "app"}));
}
