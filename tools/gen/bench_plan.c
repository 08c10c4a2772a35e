/* SPDX-License-Identifier: Apache-2.0 */
/* bench_plan.c - which trials, and running them */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUARTER_HOUR_S 900.0

/* Their names are about places of the code, so those are always told. */
static const char *const told_families[] = {"one-site", "six-sites"};

/* Leaks that a canary watches from their first second on. */
static const struct bench_canary rates[] = {
	{.at = {0.5, 30}, .window_s = QUARTER_HOUR_S}, /* exactly what --detect asks for */
	{.at = {0.5, 30}, .window_s = 2 * QUARTER_HOUR_S},
	{.at = {1, 0}, .window_s = QUARTER_HOUR_S},
	{.at = {1, 30}, .window_s = QUARTER_HOUR_S},
	{.at = {3, 0}, .window_s = QUARTER_HOUR_S},
	{.at = {3, 300}, .window_s = QUARTER_HOUR_S},
	{.at = {10, 0}, .window_s = QUARTER_HOUR_S},
	{.at = {10, 100}, .window_s = QUARTER_HOUR_S},
	{.at = {30, 0}, .window_s = QUARTER_HOUR_S},
};

static bool is_in(const struct family *table, const struct family *f)
{
	for (const struct family *m = table; m && m->name; m++)
		if (m == f)
			return true;
	return false;
}

static enum bench_group group_of(const struct family *f)
{
	if (f->is_known_hard)
		return f->is_leaky ? GROUP_HARD_LEAKY : GROUP_HARD_HEALTHY;
	if (is_in(mixed_families, f))
		return f->is_leaky ? GROUP_MIXED_LEAKY : GROUP_MIXED_HEALTHY;
	return f->is_leaky ? GROUP_LEAKY : GROUP_HEALTHY;
}

static uint32_t n_in_group(enum bench_group g)
{
	uint32_t n = 0;

	for (uint32_t i = 0; family_at(i); i++)
		n += group_of(family_at(i)) == g;
	return n;
}

/* Healthy hours are shared out evenly; a hard or mixed family gets what a healthy one gets. */
static double share_of_hours(const struct bench_opts *o, const struct family *f)
{
	if (f->is_leaky || (o->family && o->runs))
		return 0;
	return o->family ? o->hours : o->hours / n_in_group(GROUP_HEALTHY);
}

/* As many as the hours take if a run has one process, which is the most. */
static uint32_t most_trials(const struct bench_opts *o, const struct family *f, double hours)
{
	if (hours <= 0)
		return o->runs ? (uint32_t)o->runs : BENCH_RUNS;
	return hours > f->hours ? (uint32_t)ceil(hours / f->hours) : 1;
}

static bool has_sites(const struct bench_opts *o, const struct family *f, enum bench_group g,
		      uint32_t i)
{
	for (size_t k = 0; f && k < sizeof(told_families) / sizeof(*told_families); k++)
		if (!strcmp(f->name, told_families[k]))
			return true;
	/* A mixture is one of several behaviours that look alike. */
	if (g == GROUP_MIXED_HEALTHY || g == GROUP_MIXED_LEAKY)
		return false;
	return o->sites == SITES_BOTH ? (o->seed + i) % 2 : o->sites == SITES_ON;
}

static int add_family(struct bench *b, const struct family *f)
{
	struct bench_family *v;

	v = reallocarray(b->families, b->n_families + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	b->families = v;
	v = &v[b->n_families++];
	*v = (struct bench_family){.f = f, .group = group_of(f)};
	v->hours = share_of_hours(&b->o, f);
	v->n = most_trials(&b->o, f, v->hours);
	v->trials = calloc(v->n, sizeof(*v->trials));
	return v->trials ? 0 : -ENOMEM;
}

static int add_canary(struct bench *b, const struct bench_canary *c, uint32_t n)
{
	struct bench_canary *v;

	v = reallocarray(b->canaries, b->n_canaries + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	b->canaries = v;
	v = &v[b->n_canaries++];
	*v = *c;
	v->n = n;
	v->trials = calloc(n, sizeof(*v->trials));
	return v->trials ? 0 : -ENOMEM;
}

/* A healthy start is short: ten for each leaky run that was asked for. */
static int plan_canaries(struct bench *b)
{
	uint32_t n = (uint32_t)b->o.runs;
	const struct family *f;

	for (uint32_t i = 0; (f = family_at(i)); i++) {
		struct bench_canary c = {.f = f, .group = group_of(f), .window_s = QUARTER_HOUR_S};

		if (!f->is_leaky && add_canary(b, &c, 4 * n))
			return -ENOMEM;
	}
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++)
		if (add_canary(b, &rates[i], 8 * n))
			return -ENOMEM;
	return 0;
}

int bench_plan(struct bench *b, const struct bench_opts *o)
{
	const struct family *f;

	*b = (struct bench){.o = *o};
	for (uint32_t i = 0; (f = family_at(i)); i++)
		if ((!o->family || !strcmp(o->family, f->name)) && add_family(b, f))
			return -ENOMEM;
	if (!b->n_families)
		return -ENOENT;
	return o->has_canary && !o->family ? plan_canaries(b) : 0;
}

static struct job *family_jobs(const struct bench *b, const struct bench_family *bf, uint32_t from,
			       uint32_t until, struct job *jobs)
{
	for (uint32_t i = from; i < until && i < bf->n; i++)
		*jobs++ = (struct job){
			.opts = {.family = bf->f,
				 .seed = b->o.seed + i,
				 /* A day is too long where minutes were asked for. */
				 .hours = bf->hours > 0 && bf->hours < bf->f->hours ? bf->hours : 0,
				 .leak_hours = b->o.leak_hours,
				 .has_sites = has_sites(&b->o, bf->f, bf->group, i),
				 .is_alone = b->o.is_alone},
			.result = &bf->trials[i],
		};
	return jobs;
}

static struct job *canary_jobs(const struct bench *b, struct bench_canary *c, struct job *jobs)
{
	for (uint32_t i = 0; i < c->n; i++)
		*jobs++ = (struct job){
			.opts = {.family = c->f,
				 .setup = c->f ? NULL : leaky_at_rate,
				 .arg = &c->at,
				 .seed = b->o.seed + i,
				 .has_sites = has_sites(&b->o, c->f, c->group, i),
				 .is_alone = true,
				 .canary_s = c->window_s},
			.result = &c->trials[i],
		};
	return jobs;
}

/* The first of each family that is to fill hours tells how many that takes. */
static int run_first(struct bench *b, struct job *jobs)
{
	struct job *end = jobs;
	int err;

	for (uint32_t i = 0; i < b->n_families; i++)
		if (b->families[i].hours > 0)
			end = family_jobs(b, &b->families[i], 0, 1, end);
	err = jobs_run(jobs, (size_t)(end - jobs), b->o.threads, "first trials");
	for (uint32_t i = 0; !err && i < b->n_families; i++) {
		struct bench_family *bf = &b->families[i];
		double takes = bf->hours / bf->trials[0].process_hours;

		if (bf->hours > 0 && takes < bf->n)
			bf->n = takes > 1 ? (uint32_t)ceil(takes) : 1;
	}
	return err;
}

int bench_run(struct bench *b)
{
	struct job *jobs, *end;
	size_t n = 0;
	int err;

	for (uint32_t i = 0; i < b->n_families; i++)
		n += b->families[i].n;
	for (uint32_t i = 0; i < b->n_canaries; i++)
		n += b->canaries[i].n;
	jobs = calloc(n, sizeof(*jobs));
	if (!jobs)
		return -ENOMEM;
	err = run_first(b, jobs);
	if (!err) {
		end = jobs;
		for (uint32_t i = 0; i < b->n_families; i++)
			end = family_jobs(b, &b->families[i], b->families[i].hours > 0, UINT32_MAX,
					  end);
		for (uint32_t i = 0; i < b->n_canaries; i++)
			end = canary_jobs(b, &b->canaries[i], end);
		err = jobs_run(jobs, (size_t)(end - jobs), b->o.threads, "trials");
	}
	free(jobs);
	return err;
}

void bench_release(struct bench *b)
{
	for (uint32_t i = 0; i < b->n_families; i++)
		free(b->families[i].trials);
	for (uint32_t i = 0; i < b->n_canaries; i++)
		free(b->canaries[i].trials);
	free(b->families);
	free(b->canaries);
	*b = (struct bench){0};
}
