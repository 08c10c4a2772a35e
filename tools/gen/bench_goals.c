/* SPDX-License-Identifier: Apache-2.0 */
/* bench_goals.c - what was asked of the detector, each held against the trials */
#include "bench.h"

#include <math.h>
#include <stdio.h>

#include "../../user/core/stats.h"

#define GOAL_HOURS    10000.0
#define GOAL_RECALL   0.99
#define GOAL_COVERAGE 0.85
#define QUIET_PER_KH  10.0 /* a baseline with fewer false alarms per 1,000 h must not be earlier */
#define GOAL_PASS     0.01 /* of leaks of exactly --detect */

static void say(bool holds, const char *goal, const char *figure)
{
	printf("%s %s: %s\n", holds ? "holds         " : "does not hold:", goal, figure);
}

static void false_alarms(const struct bench *b)
{
	struct bench_total t;
	char figure[240];

	bench_total(b, GROUP_HEALTHY, TRIAL_CONNLEAK, &t);
	snprintf(figure, sizeof(figure), "%llu in %.0f h (below %.2g per 1,000 h at 95 %%)%s",
		 (unsigned long long)t.false_alarms, t.hours, bench_upper(t.false_alarms, t.hours),
		 t.hours < GOAL_HOURS ? ": too few hours to tell" : "");
	say(!t.false_alarms && t.hours >= GOAL_HOURS,
	    "no false alarm in 10,000 healthy process-hours", figure);
	bench_total_release(&t);
}

/* Leaks of one a minute or more, where five were outstanding at some time. */
static void recall(const struct bench *b)
{
	uint32_t n = 0, found = 0, warned = 0, late = 0;
	char figure[240];

	for (uint32_t i = 0; i < b->n_families; i++) {
		const struct bench_family *bf = &b->families[i];

		for (uint32_t k = 0; bf->group == GROUP_LEAKY && k < bf->n; k++) {
			const struct trial *t = &bf->trials[k];
			bool is_found = t->score[TRIAL_CONNLEAK].is_found;

			if (!(t->rate_per_min >= 1) || t->most_at_once < 5)
				continue;
			n++;
			found += is_found;
			warned += !is_found && !isnan(t->warned_s);
			late += !is_found && t->exhausted_s - t->begin_s <= 300;
		}
	}
	snprintf(figure, sizeof(figure),
		 "%u of %u, %.2f %%; of the %u missed, %u ran out within 300 s, and `budget` or "
		 "`rate` spoke in %u",
		 found, n, n ? 100.0 * found / n : (double)NAN, n - found, late, warned);
	say(n && found >= GOAL_RECALL * n,
	    "at least 99 % of leaks of 1 a minute or more found before exhaustion", figure);
}

static void incident(const struct bench *b, const char *family, double most)
{
	const struct bench_family *bf = bench_find(b, family);
	char goal[160], figure[240];
	struct bench_total t;
	double leaked, late_s;

	if (!bf)
		return;
	bench_total_of_family(bf, TRIAL_CONNLEAK, &t);
	leaked = sums_quantile(&t.leaked, 0.5);
	late_s = sums_quantile(&t.found_s, 0.95);
	snprintf(goal, sizeof(goal), "%s: named with at most %.0f leaked (median)", family, most);
	snprintf(figure, sizeof(figure), "%.1f, after %.0f s", leaked,
		 sums_quantile(&t.found_s, 0.5));
	say(leaked <= most, goal, figure);
	snprintf(goal, sizeof(goal), "%s: named within 600 s (p95)", family);
	snprintf(figure, sizeof(figure), "%.0f s", late_s);
	say(late_s <= 600, goal, figure);
	bench_total_release(&t);
}

static void canary_time(const struct bench *b)
{
	for (uint32_t i = 0; i < b->n_canaries; i++) {
		const struct bench_canary *c = &b->canaries[i];
		struct sums s = {0};
		char figure[240];
		double p95;

		if (c->f || c->at.leaks_per_min != 10 || c->at.requests_per_min > 0)
			continue;
		for (uint32_t k = 0; k < c->n; k++)
			sums_add(&s, c->trials[k].verdict == VERDICT_LEAK ? c->trials[k].verdict_s
									  : (double)INFINITY);
		p95 = sums_quantile(&s, 0.95);
		snprintf(figure, sizeof(figure), "median %.0f s, p95 %.0f s",
			 sums_quantile(&s, 0.5), p95);
		say(p95 <= 150,
		    "a leak of each request at 10 a minute named by the canary in "
		    "150 s (p95)",
		    figure);
		sums_release(&s);
	}
}

static void canary_pass(const struct bench *b)
{
	for (uint32_t i = 0; i < b->n_canaries; i++) {
		const struct bench_canary *c = &b->canaries[i];
		char goal[160], figure[240];
		uint32_t pass = 0;

		if (c->f || c->at.leaks_per_min != 0.5)
			continue;
		for (uint32_t k = 0; k < c->n; k++)
			pass += c->trials[k].verdict == VERDICT_PASS;
		snprintf(goal, sizeof(goal),
			 "a leak of exactly --detect passes at most 1 %% of %.0f min canaries",
			 c->window_s / 60);
		snprintf(figure, sizeof(figure), "%u of %u (below %.1f %% at 95 %%)", pass, c->n,
			 100 * stats_poisson_upper(pass, 0.95) / c->n);
		say(pass <= GOAL_PASS * c->n, goal, figure);
	}
}

static void against(const struct bench *b, int d, const struct bench_total *own_healthy,
		    struct bench_total *own_leaky)
{
	struct bench_total healthy, leaky;
	char goal[200], figure[240], their[BENCH_NUMBER], own[BENCH_NUMBER];
	double own_s = sums_quantile(&own_leaky->found_s, 0.5), s;
	bool is_quieter, is_better, is_earlier;

	bench_total(b, GROUP_HEALTHY, d, &healthy);
	bench_total(b, GROUP_LEAKY, d, &leaky);
	s = sums_quantile(&leaky.found_s, 0.5);
	is_quieter = healthy.false_alarms < own_healthy->false_alarms;
	is_better = leaky.found > own_leaky->found;
	is_earlier = bench_rate(&healthy) < QUIET_PER_KH && s < own_s;
	snprintf(goal, sizeof(goal), "\"%s\" has no fewer false alarms, no more recall%s",
		 trial_detector_name(d),
		 bench_rate(&healthy) < QUIET_PER_KH ? ", is no earlier" : "");
	snprintf(figure, sizeof(figure),
		 "false alarms %llu to connleak's %llu, found %u to %u, median %s s to %s",
		 (unsigned long long)healthy.false_alarms,
		 (unsigned long long)own_healthy->false_alarms, leaky.found, own_leaky->found,
		 bench_number(their, s), bench_number(own, own_s));
	say(!is_quieter && !is_better && !is_earlier, goal, figure);
	bench_total_release(&healthy);
	bench_total_release(&leaky);
}

static void rivals(const struct bench *b)
{
	struct bench_total healthy, leaky;

	bench_total(b, GROUP_HEALTHY, TRIAL_CONNLEAK, &healthy);
	bench_total(b, GROUP_LEAKY, TRIAL_CONNLEAK, &leaky);
	for (int d = 1; d < TRIAL_DETECTORS; d++)
		against(b, d, &healthy, &leaky);
	bench_total_release(&healthy);
	bench_total_release(&leaky);
}

static void coverage(const struct bench *b, bool is_eta, const char *what)
{
	uint32_t covered, n;
	char goal[160], figure[240];

	bench_coverage(b, AT_ALARM, is_eta, &covered, &n);
	snprintf(goal, sizeof(goal), "the 90 %% interval of the %s covers 85 %% (constant rate)",
		 what);
	snprintf(figure, sizeof(figure), "%u of %u, %.1f %%", covered, n,
		 n ? 100.0 * covered / n : (double)NAN);
	say(n && covered >= GOAL_COVERAGE * n, goal, figure);
}

static void families(const struct bench *b)
{
	uint32_t healthy = 0, leaky = 0;
	char figure[240];

	for (uint32_t i = 0; i < b->n_families; i++) {
		healthy += b->families[i].group == GROUP_HEALTHY;
		leaky += b->families[i].group == GROUP_LEAKY;
	}
	snprintf(figure, sizeof(figure), "%u and %u", healthy, leaky);
	say(healthy >= 14 && leaky >= 14, "at least 14 healthy and 14 leaky families", figure);
}

void bench_print_goals(const struct bench *b)
{
	printf("\n%sGoals\n\n", b->o.is_markdown ? "### " : "");
	families(b);
	false_alarms(b);
	recall(b);
	incident(b, "incident-cold", 15);
	incident(b, "incident", 8);
	canary_time(b);
	canary_pass(b);
	coverage(b, false, "leak rate");
	coverage(b, true, "time left");
	if (!b->o.is_alone)
		rivals(b);
}
