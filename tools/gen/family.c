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
	int replicas = 1;

	world_set_family(w, f->name, f->is_leaky, f->is_known_hard);
	world_set_duration(w, 3600 * (hours > 0 ? hours : f->hours));
	if (f->setup) {
		f->setup(w);
		return;
	}
	/* Replicas of one service, alike; one process where the truth is about one. */
	if (!f->is_leaky)
		replicas = param_int(w, "replicas", 1, 3);
	world_mark_params(w);
	for (int i = 0; i < replicas; i++) {
		if (i)
			world_begin_replica(w);
		f->behave(w, gen_proc_new(w, &(struct gen_proc_conf){.service = "app"}));
	}
}
