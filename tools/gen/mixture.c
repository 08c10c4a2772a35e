/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mixture.c - several behaviours in one process, and no way to tell their places in the code apart
 *
 * The hardest that a watcher without stacks can be asked: what a batch parks, what a pool keeps and
 * what a leak leaves behind are in one heap. Each behaviour is one of the healthy families that are
 * one process's; whoever runs these tells no call sites.
 */
#include "rng.h"

#include "leaky.h"

#include <string.h>

#define MAX_PARTS 64

static uint32_t parts(const struct family **ret)
{
	uint32_t n = 0;

	for (const struct family *f = healthy_families; f->name && n < MAX_PARTS; f++)
		/* A full server is this one's matter: what leaks beside it would not be to blame. */
		if (f->behave && !f->is_known_hard && strcmp(f->name, "retry-storm"))
			ret[n++] = f;
	return n;
}

/* Two or three different ones; the note says which, by their place in it. */
static void mix(struct world *w, struct gen_proc *p)
{
	const struct family *all[MAX_PARTS];
	uint32_t n = parts(all);
	int wanted = param_int(w, "parts", 2, 3);

	for (int i = 0; i < wanted && n; i++) {
		int pick = rng_int(world_param_rng(w), 0, (int)n - 1);

		param_note(w, all[pick]->name, i + 1);
		all[pick]->behave(w, p);
		all[pick] = all[--n];
	}
}

static void leak_beside(struct world *w, struct gen_proc *p)
{
	struct leak_conf conf;

	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "requests_per_min", 5, 300));
	conf.leaks = leaky_rate(param_log(w, "leaks_per_min", 0.5, 5));
	conf.leaks.from_s = param_between(w, "from_s", 0, 2 * HOUR_S);
	conf.pool.site = gen_site(p, "leak");
	world_leak_rate(w, conf.leaks.per_s * MINUTE_S);
	leaky_start(p, &conf);
}

static void mixed(struct world *w, struct gen_proc *p)
{
	mix(w, p);
}

static void mixed_leaky(struct world *w, struct gen_proc *p)
{
	mix(w, p);
	leak_beside(w, p);
}

/* The commonest pair: a pool, and something small that opens one for itself and closes it. */
static void pool_and_requests(struct world *w, struct gen_proc *p)
{
	struct leak_conf conf;

	leaky_pool(w, &conf);
	conf.requests = leaky_rate(param_log(w, "pool_requests_per_min", 10, 1000));
	conf.pool.site = gen_site(p, "pool");
	leaky_start(p, &conf);
	leaky_per_request(w, &conf);
	conf.requests = leaky_rate(param_log(w, "other_requests_per_min", 0.2, 60));
	conf.pool.site = gen_site(p, "other");
	leaky_start(p, &conf);
}

static void pool_and_leak(struct world *w, struct gen_proc *p)
{
	pool_and_requests(w, p);
	leak_beside(w, p);
}

const struct family mixed_families[] = {
	{.name = "mixed",
	 .about = "two or three healthy behaviours in one process, one call site",
	 .hours = 6,
	 .behave = mixed},
	{.name = "mixed-pool",
	 .about = "a pool and a connection for each of some requests, one call site",
	 .hours = 6,
	 .behave = pool_and_requests},
	{.name = "mixed-leaky",
	 .about = "two or three healthy behaviours and a leak in one process, one call site",
	 .is_leaky = true,
	 .hours = 8,
	 .behave = mixed_leaky},
	{.name = "mixed-pool-leaky",
	 .about = "a pool, requests, and a leak in one process, one call site",
	 .is_leaky = true,
	 .hours = 8,
	 .behave = pool_and_leak},
	{.name = NULL},
};
