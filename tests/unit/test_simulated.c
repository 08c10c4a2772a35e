/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_simulated.c - every family of tools/gen/, a little of each: what is healthy never alarms, what
 *	leaks is found
 *
 * No alarm at any tick of a trial is no alarm on any prefix of its events. `make bench-detector`
 * does the same for hours and many seeds, against the baselines; a failure here names the command
 * that shows it.
 * objects: tools/gen/ALL core/ALL
 */
#include "t.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../tools/gen/trial.h"

#define HEALTHY_HOURS 1.5
#define SEED	      20250208

/* Families that this detector gets wrong. Nothing is asserted of them; why is said. */
static const struct {
	const char *family, *why;
} expected_to_fail[] = {
	{NULL, NULL},
};

static bool is_expected_to_fail(const char *family)
{
	for (size_t i = 0; i < T_COUNT(expected_to_fail); i++)
		if (expected_to_fail[i].family && !strcmp(expected_to_fail[i].family, family))
			return true;
	return false;
}

static void run(const struct family *f, double hours, struct trial *ret)
{
	struct trial_opts o = {.family = f,
			       .seed = SEED,
			       .hours = hours,
			       .is_alone = true,
			       .is_brief = true};

	/* Without stacks, as this version watches, but where places of the code are the matter. */
	o.has_sites = strstr(f->name, "site") != NULL;
	assert_int_equal(trial_run(&o, ret), 0);
	if (ret->n_broken || ret->bad_events)
		fail_msg("%s, seed %d: the scenario is wrong: %llu lost ones used again, %llu bad "
			 "events",
			 f->name, SEED, (unsigned long long)ret->n_broken,
			 (unsigned long long)ret->bad_events);
}

static void fail_trial(const struct family *f, const struct trial *t, const char *what)
{
	fail_msg("%s: bench_detector --family %s --seed %d --runs 1 --sites %s -v: %s (%s)", what,
		 f->name, SEED, t->has_sites ? "on" : "off", t->reason, t->params);
}

static void healthy_family(const struct family *f)
{
	struct trial *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	run(f, HEALTHY_HOURS, t);
	assert_true(t->process_hours > 0);
	if (t->score[TRIAL_CONNLEAK].false_alarms)
		fail_trial(f, t, "false alarm");
	free(t);
}

static void leaky_family(const struct family *f)
{
	struct trial *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	run(f, 0, t);
	if (t->score[TRIAL_CONNLEAK].false_alarms)
		fail_trial(f, t, "false alarm");
	if (!t->score[TRIAL_CONNLEAK].is_found)
		fail_trial(f, t, "missed");
	assert_true(t->n_leaked >= 3);
	free(t);
}

static void healthy_families_never_alarm(void **state)
{
	const struct family *f;
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; (f = family_at(i)); i++) {
		if (f->is_leaky || f->is_known_hard || is_expected_to_fail(f->name))
			continue;
		healthy_family(f);
		n++;
	}
	assert_true(n >= 14);
}

static void leaky_families_are_found_before_the_last_slot_is_gone(void **state)
{
	const struct family *f;
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; (f = family_at(i)); i++) {
		if (!f->is_leaky || f->is_known_hard || is_expected_to_fail(f->name))
			continue;
		leaky_family(f);
		n++;
	}
	assert_true(n >= 14);
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

/* What names a family in a table must find it. */
static void exceptions_are_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(expected_to_fail); i++)
		if (expected_to_fail[i].family)
			assert_non_null(family_find(expected_to_fail[i].family));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_families_never_alarm),
		cmocka_unit_test(leaky_families_are_found_before_the_last_slot_is_gone),
		cmocka_unit_test(trials_repeat),
		cmocka_unit_test(exceptions_are_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
