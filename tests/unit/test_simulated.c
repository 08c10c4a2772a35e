/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_simulated.c - every family of tools/gen/, a little of each: what is healthy never alarms,
 *	what leaks is found
 *
 * No alarm at any tick of a trial is no alarm on any prefix of its events. `make bench-detector`
 * does the same for hours and many seeds, against the baselines; a failure here names the command
 * that shows it.
 * objects: tools/gen/ALL core/ALL
 */
#include "t.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../tools/gen/leaky.h"
#include "../../tools/gen/trial.h"

#define HEALTHY_HOURS 1.5
#define SEEDS	      4
#define COLD_S	      300
#define FIRST_SEED    20250208

/* Families that this detector gets wrong. Nothing is asserted of them; why is said. */
static const struct {
	const char *family, *why;
} expected_to_fail[] = {
	{"mixed-leaky", "several kinds of code in one call site: the longest pause of any of them "
			"hides a leak of another until it has lasted longer"},
};

static bool is_expected_to_fail(const char *family)
{
	for (size_t i = 0; i < T_COUNT(expected_to_fail); i++)
		if (!strcmp(expected_to_fail[i].family, family))
			return true;
	return false;
}

static bool has_places(const struct family *f)
{
	return strstr(f->name, "site") && !strstr(f->name, "no-stacks");
}

/* Without stacks, as where none can be taken, but where places of the code are the matter. */
static void run(const struct family *f, int seed, struct trial *ret)
{
	const struct trial_opts o = {.family = f,
				     .seed = (uint64_t)seed,
				     .hours = f->is_leaky ? 0 : HEALTHY_HOURS,
				     .has_sites = has_places(f),
				     .is_alone = true,
				     .is_brief = true};

	assert_int_equal(trial_run(&o, ret), 0);
}

/*
 * A process that was never seen before is not called a leak within COLD_S: pools fill for as long.
 * Where the server runs out in that time, its level or rate of change must have spoken; where a
 * pool's own bound is reached, nothing can.
 */
static bool is_too_fast(const struct family *f, const struct trial *t)
{
	if (t->end_s - t->begin_s > COLD_S)
		return false;
	return !isnan(t->warned_s) || !strcmp(f->name, "pool-bounded");
}

/* Empty if it went as it should. */
static const char *verdict(const struct family *f, const struct trial *t)
{
	const struct trial_score *s = &t->score[TRIAL_CONNLEAK];

	if (t->n_broken || t->bad_events || t->process_hours <= 0)
		return "the scenario is wrong";
	if (s->false_alarms)
		return "false alarm";
	if (f->is_leaky && !s->is_found && !is_too_fast(f, t))
		return t->n_leaked < 5 ? "too little leaked for a test" : "missed";
	return "";
}

static uint32_t count_failures(const struct family *f)
{
	struct trial *t = calloc(1, sizeof(*t));
	uint32_t n = 0;

	assert_non_null(t);
	for (int seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
		const char *wrong;

		run(f, seed, t);
		wrong = verdict(f, t);
		if (!*wrong)
			continue;
		n++;
		print_error("%s: bench_detector --family %s --seed %d --runs 1 --sites %s --alone: "
			    "%s (%s)\n",
			    wrong, f->name, seed, t->has_sites ? "on" : "off", t->reason,
			    t->params);
	}
	free(t);
	return n;
}

static void check(bool is_leaky)
{
	uint32_t n = 0, failures = 0;
	const struct family *f;

	for (uint32_t i = 0; (f = family_at(i)); i++) {
		if (f->is_leaky != is_leaky || f->is_known_hard || is_expected_to_fail(f->name))
			continue;
		failures += count_failures(f);
		n++;
	}
	assert_int_equal(failures, 0);
	assert_true(n >= 14);
}

static void healthy_families_never_alarm(void **state)
{
	(void)state;
	check(false);
}

static void leaky_families_are_found_before_the_last_slot_is_gone(void **state)
{
	(void)state;
	check(true);
}

/* The same options, the same trial: what a seed names can be looked at again. */
static void trials_repeat(void **state)
{
	const struct trial_opts o = {
		.family = family_find("go-pool"), .seed = 3, .hours = 1, .has_sites = true};
	struct trial *a = calloc(2, sizeof(*a)), *b = a + 1;

	(void)state;
	assert_non_null(a);
	assert_int_equal(trial_run(&o, a), 0);
	assert_int_equal(trial_run(&o, b), 0);
	assert_string_equal(a->params, b->params);
	assert_int_equal(a->n_leaked, b->n_leaked);
	for (int d = 0; d < TRIAL_DETECTORS; d++)
		assert_memory_equal(&a->score[d], &b->score[d], sizeof(a->score[d]));
	free(a);
}

static void park(struct world *w, void *arg)
{
	struct gen_proc *p = arg;
	struct gen_conn *c = gen_open(p, p->pid, gen_site(p, "park"), world_server(w));

	if (c)
		gen_query(c, 0.001, 60, 200);
	gen_proc_in(p, 10, park, p);
}

static void park_on_purpose(struct world *w, void *arg)
{
	struct gen_proc *p = gen_proc_new(w, &(struct gen_proc_conf){.service = "parker"});

	(void)arg;
	gen_proc_in(p, 1, park, p);
}

/* Nobody can tell it from a leak; the truth can: alarms that are false are counted as such. */
static void what_only_looks_like_a_leak_is_a_false_alarm(void **state)
{
	const struct trial_opts o = {.setup = park_on_purpose, .seed = 1, .hours = 0.25};
	struct trial *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	assert_int_equal(trial_run(&o, t), 0);
	assert_int_equal(t->score[TRIAL_CONNLEAK].false_alarms, 1);
	assert_false(t->score[TRIAL_CONNLEAK].is_found);
	assert_true(t->score[1 + BASELINE_IDLE_60S].false_alarms > 0);
	assert_int_equal(t->n_leaked, 0);
	free(t);
}

static void canary_names_a_leak_of_each_request(void **state)
{
	struct leaky_at at = {.leaks_per_min = 10};
	const struct trial_opts o = {
		.setup = leaky_at_rate, .arg = &at, .seed = 1, .canary_s = 900};
	struct trial *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	assert_int_equal(trial_run(&o, t), 0);
	assert_true(t->has_verdict);
	assert_int_equal(t->verdict, VERDICT_LEAK);
	assert_true(t->verdict_s > 60 && t->verdict_s < 200);
	free(t);
}

/* What names a family in a table must find it. */
static void exceptions_are_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(expected_to_fail); i++)
		assert_true(family_find(expected_to_fail[i].family) && *expected_to_fail[i].why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_families_never_alarm),
		cmocka_unit_test(leaky_families_are_found_before_the_last_slot_is_gone),
		cmocka_unit_test(trials_repeat),
		cmocka_unit_test(what_only_looks_like_a_leak_is_a_false_alarm),
		cmocka_unit_test(canary_names_a_leak_of_each_request),
		cmocka_unit_test(exceptions_are_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
