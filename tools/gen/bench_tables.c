/* SPDX-License-Identifier: Apache-2.0 */
/* bench_tables.c - totals per detector, and connleak per family */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../user/core/stats.h"

/* --- totals --- */

double bench_upper(uint64_t n, double hours)
{
	return hours > 0 ? stats_poisson_upper((uint32_t)n, 0.95) / hours * 1000 : (double)NAN;
}

double bench_rate(const struct bench_total *t)
{
	return t->hours > 0 ? (double)t->false_alarms / t->hours * 1000 : (double)NAN;
}

static void add_trial(struct bench_total *s, const struct trial *t, int detector)
{
	const struct trial_score *score = &t->score[detector];

	s->hours += t->process_hours;
	s->false_alarms += score->false_alarms;
	if (!t->is_leaky)
		return;
	s->runs++;
	s->found += score->is_found;
	s->ran_out += !isnan(t->exhausted_s);
	s->found_of_those += score->is_found && !isnan(t->exhausted_s);
	sums_add(&s->found_s, score->is_found ? score->found_s : (double)INFINITY);
	sums_add(&s->leaked, score->is_found ? (double)score->leaked : (double)INFINITY);
}

static void add_family(struct bench_total *s, const struct bench_family *bf, int detector)
{
	for (uint32_t i = 0; i < bf->n; i++)
		add_trial(s, &bf->trials[i], detector);
}

void bench_total_of_family(const struct bench_family *bf, int detector, struct bench_total *ret)
{
	*ret = (struct bench_total){0};
	add_family(ret, bf, detector);
}

void bench_total(const struct bench *b, enum bench_group g, int detector, struct bench_total *ret)
{
	*ret = (struct bench_total){0};
	for (uint32_t i = 0; i < b->n_families; i++)
		if (b->families[i].group == g)
			add_family(ret, &b->families[i], detector);
}

void bench_total_release(struct bench_total *t)
{
	sums_release(&t->found_s);
	sums_release(&t->leaked);
}

const struct bench_family *bench_find(const struct bench *b, const char *family)
{
	for (uint32_t i = 0; i < b->n_families; i++)
		if (!strcmp(b->families[i].f->name, family))
			return &b->families[i];
	return NULL;
}

/* --- text --- */

const char *bench_number(char *buf, double x)
{
	if (isnan(x))
		snprintf(buf, BENCH_NUMBER, "-");
	else if (isinf(x))
		snprintf(buf, BENCH_NUMBER, "never");
	else if (x != 0 && fabs(x) < 10)
		snprintf(buf, BENCH_NUMBER, "%.2g", x);
	else
		snprintf(buf, BENCH_NUMBER, "%.0f", x);
	return buf;
}

const char *bench_two(char *buf, struct sums *s)
{
	char median[BENCH_NUMBER], high[BENCH_NUMBER];

	bench_number(median, sums_quantile(s, 0.5));
	bench_number(high, sums_quantile(s, 0.95));
	snprintf(buf, BENCH_NUMBER, "%.28s / %.28s", median, high);
	return buf;
}

const char *bench_percent(char *buf, double n, double of)
{
	if (of > 0)
		snprintf(buf, BENCH_NUMBER, "%.1f %%", 100 * n / of);
	else
		snprintf(buf, BENCH_NUMBER, "-");
	return buf;
}

void bench_head(const struct bench *b, const char *title, const char *columns)
{
	printf("\n%s%s\n\n%s\n", b->o.is_markdown ? "### " : "", title, columns);
	if (!b->o.is_markdown)
		return;
	printf("|");
	for (const char *c = columns; (c = strchr(c + 1, '|'));)
		printf("---|");
	printf("\n");
}

/* --- tables --- */

static void print_detector(const struct bench *b, int d, enum bench_group healthy_group,
			   enum bench_group leaky_group)
{
	char rate[BENCH_NUMBER], upper[BENCH_NUMBER], found[BENCH_NUMBER], s[BENCH_NUMBER],
		n[BENCH_NUMBER], out[BENCH_NUMBER];
	struct bench_total healthy, leaky;

	bench_total(b, healthy_group, d, &healthy);
	bench_total(b, leaky_group, d, &leaky);
	printf("| %-37s | %6llu | %6s | %6s | %4u / %4u | %7s | %7s | %14s | %12s |\n",
	       trial_detector_name(d), (unsigned long long)healthy.false_alarms,
	       bench_number(rate, bench_rate(&healthy)),
	       bench_number(upper, bench_upper(healthy.false_alarms, healthy.hours)), leaky.found,
	       leaky.runs, bench_percent(found, leaky.found, leaky.runs),
	       bench_percent(out, leaky.found_of_those, leaky.ran_out),
	       bench_two(s, &leaky.found_s), bench_two(n, &leaky.leaked));
	bench_total_release(&healthy);
	bench_total_release(&leaky);
}

static bool has_any(const struct bench *b, enum bench_group g)
{
	for (uint32_t i = 0; i < b->n_families; i++)
		if (b->families[i].group == g)
			return true;
	return false;
}

static void print_group(const struct bench *b, const char *what, enum bench_group healthy,
			enum bench_group leaky)
{
	struct bench_total t;
	char title[160];

	if (!has_any(b, healthy) && !has_any(b, leaky))
		return;
	bench_total(b, healthy, TRIAL_CONNLEAK, &t);
	snprintf(title, sizeof(title), "%s: %.0f healthy process-hours", what, t.hours);
	bench_head(b, title,
		   "| detector | false alarms | per 1,000 h | below, at 95 % | found | recall "
		   "| where a server ran out | s p50 / p95 | leaked p50 / p95 |");
	for (int d = 0; d < (b->o.is_alone ? 1 : TRIAL_DETECTORS); d++)
		print_detector(b, d, healthy, leaky);
	bench_total_release(&t);
}

void bench_print_detectors(const struct bench *b)
{
	print_group(b, "Detectors", GROUP_HEALTHY, GROUP_LEAKY);
	print_group(b, "Mixtures in one call site", GROUP_MIXED_HEALTHY, GROUP_MIXED_LEAKY);
	print_group(b, "Not identifiable in principle", GROUP_HARD_HEALTHY, GROUP_HARD_LEAKY);
}

void bench_print_healthy(const struct bench *b)
{
	if (!has_any(b, GROUP_HEALTHY) && !has_any(b, GROUP_MIXED_HEALTHY) &&
	    !has_any(b, GROUP_HARD_HEALTHY))
		return;
	bench_head(b, "Healthy families, connleak",
		   "| family | process-hours | false alarms | runs with one | |");
	for (uint32_t i = 0; i < b->n_families; i++) {
		const struct bench_family *bf = &b->families[i];
		struct bench_total t;
		uint32_t with = 0;

		if (bf->f->is_leaky)
			continue;
		bench_total_of_family(bf, TRIAL_CONNLEAK, &t);
		for (uint32_t k = 0; k < bf->n; k++)
			with += bf->trials[k].score[TRIAL_CONNLEAK].false_alarms > 0;
		printf("| %-26s | %7.0f | %4llu | %4u / %4u | %s |\n", bf->f->name, t.hours,
		       (unsigned long long)t.false_alarms, with, bf->n,
		       bf->f->is_known_hard ? "known hard" : "");
		bench_total_release(&t);
	}
}

void bench_print_leaky(const struct bench *b)
{
	if (!has_any(b, GROUP_LEAKY) && !has_any(b, GROUP_MIXED_LEAKY) &&
	    !has_any(b, GROUP_HARD_LEAKY))
		return;
	bench_head(b, "Leaky families, connleak",
		   "| family | found | s p50 / p95 | leaked p50 / p95 | false alarms | |");
	for (uint32_t i = 0; i < b->n_families; i++) {
		const struct bench_family *bf = &b->families[i];
		char s[BENCH_NUMBER], n[BENCH_NUMBER];
		struct bench_total t;

		if (!bf->f->is_leaky)
			continue;
		bench_total_of_family(bf, TRIAL_CONNLEAK, &t);
		printf("| %-26s | %4u / %4u | %14s | %12s | %3llu | %s |\n", bf->f->name, t.found,
		       t.runs, bench_two(s, &t.found_s), bench_two(n, &t.leaked),
		       (unsigned long long)t.false_alarms,
		       bf->f->is_known_hard ? "known hard" : "");
		bench_total_release(&t);
	}
}

/* --- what went wrong --- */

static void print_command(const struct bench_family *bf, const struct trial *t)
{
	printf("--family %s --seed %llu --runs 1 --sites %s: ", bf->f->name,
	       (unsigned long long)t->seed, t->has_sites ? "on" : "off");
}

static void print_miss(const struct bench_family *bf, const struct trial *t)
{
	const struct trial_score *s = &t->score[TRIAL_CONNLEAK];
	bool is_missed = t->is_leaky && !s->is_found;
	char warned[BENCH_NUMBER];

	if (s->false_alarms) {
		printf("false alarm: ");
		print_command(bf, t);
		printf("%u from %.0f s on, %s: %s\n", s->false_alarms, s->first_false_s,
		       rule_name(t->rule), t->reason);
	}
	if (is_missed) {
		printf("missed: ");
		print_command(bf, t);
		printf("%llu lost, %u at once, %.3g/min, ended at %.0f s, `budget` or `rate` after "
		       "%s s\n",
		       (unsigned long long)t->n_leaked, t->most_at_once, t->rate_per_min, t->end_s,
		       bench_number(warned, t->warned_s));
	}
	if (t->n_broken || t->bad_events) {
		printf("BUG of the scenario: ");
		print_command(bf, t);
		printf("%llu lost ones used again, %llu bad events\n",
		       (unsigned long long)t->n_broken, (unsigned long long)t->bad_events);
	}
	if (s->false_alarms || is_missed)
		printf("\t%s\n", t->params);
}

static void print_trial(const struct bench_family *bf, const struct trial *t)
{
	const struct trial_score *s = &t->score[TRIAL_CONNLEAK];

	print_command(bf, t);
	printf("%.1f h, false %u, leaked %llu (%u at once), found %d after %.0f s with %llu by %s; "
	       "begins %.0f s, exhausted %.0f s, ends %.0f s\n\t%s\n",
	       t->process_hours, s->false_alarms, (unsigned long long)t->n_leaked, t->most_at_once,
	       s->is_found, s->found_s, (unsigned long long)s->leaked, rule_name(t->rule),
	       t->begin_s, t->exhausted_s, t->end_s, t->params);
}

void bench_print_misses(const struct bench *b)
{
	printf("\n");
	for (uint32_t i = 0; i < b->n_families; i++)
		for (uint32_t k = 0; k < b->families[i].n; k++) {
			if (b->o.is_verbose)
				print_trial(&b->families[i], &b->families[i].trials[k]);
			print_miss(&b->families[i], &b->families[i].trials[k]);
		}
}
