/* SPDX-License-Identifier: Apache-2.0 */
/* bench_intervals.c - are the 90 % intervals right? Estimates at given moments against the truth */
#include "bench.h"

#include <math.h>
#include <stdio.h>

struct coverage {
	uint32_t n, covered, earlier, later; /* the truth: within, below, above the interval */
	struct sums ratio;		     /* estimate by truth */
};

static void add(struct coverage *c, const struct trial_estimate *e)
{
	if (isnan(e->value) || isnan(e->low) || isnan(e->high) || isnan(e->truth))
		return;
	c->n++;
	c->earlier += e->truth < e->low;
	c->later += e->truth > e->high;
	c->covered += e->truth >= e->low && e->truth <= e->high;
	if (e->truth > 0)
		sums_add(&c->ratio, e->value / e->truth);
}

/* Of one family, or of all with a constant rate. */
static void collect(const struct bench *b, const struct bench_family *only, enum trial_moment m,
		    bool is_eta, struct coverage *ret)
{
	*ret = (struct coverage){0};
	for (uint32_t i = 0; i < b->n_families; i++) {
		const struct bench_family *bf = &b->families[i];

		if (only ? bf != only : bf->group != GROUP_LEAKY)
			continue;
		for (uint32_t k = 0; k < bf->n; k++) {
			const struct trial *t = &bf->trials[k];

			if (only || t->is_constant)
				add(ret, is_eta ? &t->eta[m] : &t->rate[m]);
		}
	}
}

void bench_coverage(const struct bench *b, enum trial_moment m, bool is_eta, uint32_t *ret_covered,
		    uint32_t *ret_n)
{
	struct coverage c;

	collect(b, NULL, m, is_eta, &c);
	*ret_covered = c.covered;
	*ret_n = c.n;
	sums_release(&c.ratio);
}

static void print_row(const struct bench *b, const struct bench_family *only, enum trial_moment m)
{
	static const char *const moments[] = {"alarm", "1/2 used", "3/4 used"};
	char rate_in[BENCH_NUMBER], rate_by[BENCH_NUMBER], eta_in[BENCH_NUMBER],
		eta_early[BENCH_NUMBER], eta_by[BENCH_NUMBER];
	struct coverage rate, eta;

	collect(b, only, m, false, &rate);
	collect(b, only, m, true, &eta);
	if (rate.n || eta.n)
		printf("| %-24s | %-8s | %4u | %7s | %5s | %4u | %7s | %7s | %5s |\n",
		       only ? only->f->name : "constant rate, all", moments[m], rate.n,
		       bench_percent(rate_in, rate.covered, rate.n),
		       bench_number(rate_by, sums_quantile(&rate.ratio, 0.5)), eta.n,
		       bench_percent(eta_in, eta.covered, eta.n),
		       bench_percent(eta_early, eta.earlier, eta.n),
		       bench_number(eta_by, sums_quantile(&eta.ratio, 0.5)));
	sums_release(&rate.ratio);
	sums_release(&eta.ratio);
}

void bench_print_intervals(const struct bench *b)
{
	bench_head(b, "The 90 % intervals",
		   "| leak | at | n | rate covered | median est/true | n | time left covered "
		   "| came earlier | median est/true |");
	for (int m = 0; m < TRIAL_MOMENTS; m++)
		print_row(b, NULL, m);
	for (uint32_t i = 0; i < b->n_families; i++)
		for (int m = 0; b->families[i].group == GROUP_LEAKY && m < TRIAL_MOMENTS; m++)
			print_row(b, &b->families[i], m);
}
