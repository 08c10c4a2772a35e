/* SPDX-License-Identifier: Apache-2.0 */
/* bench_canary.c - what a bounded watch says of healthy starts and of leaks of a given rate */
#include "bench.h"

#include <math.h>
#include <stdio.h>

struct verdicts {
	uint32_t n, of[3]; /* by enum verdict_kind */
	struct sums leak_s;
	uint32_t in_5_min;
};

static void add(struct verdicts *v, const struct bench_canary *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct trial *t = &c->trials[i];

		v->n++;
		v->of[t->verdict]++;
		sums_add(&v->leak_s, t->verdict == VERDICT_LEAK ? t->verdict_s : (double)INFINITY);
		v->in_5_min += t->verdict == VERDICT_LEAK && t->verdict_s <= 300;
	}
}

static void print_shares(const char *name, struct verdicts *v)
{
	char pass[BENCH_NUMBER], unsure[BENCH_NUMBER], leak[BENCH_NUMBER];

	printf("| %-34s | %5u | %7s | %7s | %7s |", name, v->n,
	       bench_percent(pass, v->of[VERDICT_PASS], v->n),
	       bench_percent(unsure, v->of[VERDICT_INCONCLUSIVE], v->n),
	       bench_percent(leak, v->of[VERDICT_LEAK], v->n));
}

static void print_group(const struct bench *b, enum bench_group g, const char *name)
{
	struct verdicts v = {0};

	for (uint32_t i = 0; i < b->n_canaries; i++)
		if (b->canaries[i].f && b->canaries[i].group == g)
			add(&v, &b->canaries[i]);
	if (v.n) {
		print_shares(name, &v);
		printf("\n");
	}
	sums_release(&v.leak_s);
}

static void print_healthy(const struct bench *b)
{
	bench_head(b, "Canary: healthy starts, 15 min from their first second on",
		   "| family | canaries | pass | inconclusive | leak |");
	print_group(b, GROUP_HEALTHY, "all");
	print_group(b, GROUP_MIXED_HEALTHY, "mixtures in one call site");
	for (uint32_t i = 0; i < b->n_canaries; i++) {
		struct verdicts v = {0};

		if (!b->canaries[i].f)
			continue;
		add(&v, &b->canaries[i]);
		print_shares(b->canaries[i].f->name, &v);
		printf("%s\n", b->canaries[i].f->is_known_hard ? " known hard" : "");
		sums_release(&v.leak_s);
	}
}

static void print_rate(const struct bench_canary *c)
{
	char name[80], s[BENCH_NUMBER], early[BENCH_NUMBER];
	struct verdicts v = {0};

	add(&v, c);
	if (c->at.requests_per_min > 0)
		snprintf(name, sizeof(name), "%g/min of %g requests, %.0f min", c->at.leaks_per_min,
			 c->at.requests_per_min, c->window_s / 60);
	else
		snprintf(name, sizeof(name), "each of %g/min, %.0f min", c->at.leaks_per_min,
			 c->window_s / 60);
	print_shares(name, &v);
	printf(" %14s | %7s |\n", bench_two(s, &v.leak_s), bench_percent(early, v.in_5_min, v.n));
	sums_release(&v.leak_s);
}

static void print_said(const struct bench_canary *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct trial *t = &c->trials[i];

		if (c->f && t->verdict == VERDICT_LEAK)
			printf("canary: healthy %s, seed %llu, sites %s: leak after %.0f s: %s\n"
			       "\t%s\n",
			       c->f->name, (unsigned long long)t->seed, t->has_sites ? "on" : "off",
			       t->verdict_s, t->reason, t->params);
	}
}

void bench_print_canaries(const struct bench *b)
{
	if (!b->n_canaries)
		return;
	print_healthy(b);
	bench_head(b, "Canary: leaks from a cold start, --detect 0.5",
		   "| leak | canaries | pass | inconclusive | leak | s p50 / p95 "
		   "| in 5 min |");
	for (uint32_t i = 0; i < b->n_canaries; i++)
		if (!b->canaries[i].f)
			print_rate(&b->canaries[i]);
	printf("\n");
	for (uint32_t i = 0; i < b->n_canaries; i++)
		print_said(&b->canaries[i]);
}
