/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sitetab.c - call sites by id and by key, and what a full table does
 * objects: core/sitetab.o core/site_info.o core/idmap.o core/slots.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>

#include "../../user/core/sitetab.h"

/* A stack of two frames: @function in the program, main below it. */
static struct site_info stack(struct site_frame frames[2], const char *function, uint64_t address)
{
	frames[0] = (struct site_frame){.function = (char *)function,
					.file = (char *)"order.go",
					.module = (char *)"/app/order-service",
					.line = 22,
					.address = address};
	frames[1] = (struct site_frame){.function = (char *)"main", .module = frames[0].module};
	return (struct site_info){.frames = frames, .n_frames = 2, .thread = (char *)"worker"};
}

static int define(struct sitetab *t, uint64_t id, const char *function, uint64_t address)
{
	struct site_frame frames[2];
	struct site_info info = stack(frames, function, address);

	return sitetab_define(t, id, &info);
}

static uint64_t key_of(const char *function)
{
	struct site_frame frames[2];
	struct site_info info = stack(frames, function, 0);

	return site_info_key(&info, 0);
}

static void ids_of_one_place_share_what_is_known(void **state)
{
	const struct site_info *info;
	struct sitetab t;
	uint32_t a, b;

	(void)state;
	sitetab_init(&t, 8);
	assert_int_equal(define(&t, 1, "placeOrder", 0x1000), 0);
	assert_int_equal(define(&t, 2, "placeOrder", 0x2000), 0);
	assert_int_equal(define(&t, 3, "refund", 0x1000), 0);
	a = sitetab_ref(&t, 1);
	b = sitetab_ref(&t, 2);
	assert_int_not_equal(a, SITE_NONE);
	assert_int_equal(a, b);
	assert_true(sitetab_key(&t, a) == key_of("placeOrder"));
	assert_true(sitetab_key(&t, sitetab_ref(&t, 3)) == key_of("refund"));
	/* of two the newer */
	info = sitetab_find(&t, key_of("placeOrder"));
	assert_int_equal(info->frames[0].address, 0x2000);
	assert_string_equal(info->thread, "worker");
	assert_int_equal(t.sites.n, 2);
	sitetab_release(&t);
}

static void what_is_unknown_has_no_site(void **state)
{
	struct sitetab t;

	(void)state;
	sitetab_init(&t, 8);
	assert_int_equal(sitetab_ref(&t, 0), SITE_NONE);
	assert_int_equal(t.lost, 0);
	assert_int_equal(sitetab_ref(&t, 7), SITE_NONE);
	assert_int_equal(t.lost, 1);
	assert_true(sitetab_key(&t, SITE_NONE) == 0);
	assert_null(sitetab_find(&t, 0));
	assert_null(sitetab_find(&t, 7));
	sitetab_unref(&t, SITE_NONE);
	sitetab_release(&t);
	sitetab_release(&t);
	sitetab_release(NULL);
}

static void a_site_without_frames_is_its_id(void **state)
{
	const struct site_info none = {.thread = (char *)"pool-1"};
	struct sitetab t;
	uint32_t a, b;

	(void)state;
	sitetab_init(&t, 8);
	assert_int_equal(sitetab_define(&t, 1, &none), 0);
	assert_int_equal(sitetab_define(&t, 2, &none), 0);
	a = sitetab_ref(&t, 1);
	b = sitetab_ref(&t, 2);
	assert_true(sitetab_key(&t, a) && sitetab_key(&t, b));
	assert_true(sitetab_key(&t, a) != sitetab_key(&t, b));
	assert_string_equal(sitetab_find(&t, sitetab_key(&t, a))->thread, "pool-1");
	sitetab_release(&t);
}

/* An id may be told again: what was opened before keeps its site, what comes has the new one. */
static void an_id_is_told_again(void **state)
{
	struct sitetab t;
	uint32_t a;

	(void)state;
	sitetab_init(&t, 8);
	define(&t, 1, "placeOrder", 1);
	a = sitetab_ref(&t, 1);
	define(&t, 1, "refund", 2);
	assert_true(sitetab_key(&t, a) == key_of("placeOrder"));
	assert_true(sitetab_key(&t, sitetab_ref(&t, 1)) == key_of("refund"));
	sitetab_release(&t);
}

static void the_longest_unused_site_gives_way(void **state)
{
	struct sitetab t;
	uint32_t a;

	(void)state;
	sitetab_init(&t, 3);
	define(&t, 1, "a", 1);
	define(&t, 2, "b", 1);
	define(&t, 3, "c", 1);
	/* a: used and left after b and c were told of; b: told again */
	a = sitetab_ref(&t, 1);
	define(&t, 2, "b", 2);
	sitetab_unref(&t, a);
	assert_int_equal(define(&t, 4, "d", 1), 0);
	assert_null(sitetab_find(&t, key_of("c")));
	assert_int_equal(define(&t, 5, "e", 1), 0);
	assert_null(sitetab_find(&t, key_of("b")));
	assert_int_equal(define(&t, 6, "f", 1), 0);
	assert_null(sitetab_find(&t, key_of("a")));
	assert_non_null(sitetab_find(&t, key_of("d")));
	/* b's id still names its key: it comes back, d goes; nobody knows its frames */
	assert_true(sitetab_key(&t, sitetab_ref(&t, 2)) == key_of("b"));
	assert_int_equal(sitetab_find(&t, key_of("b"))->n_frames, 0);
	assert_null(sitetab_find(&t, key_of("d")));
	define(&t, 7, "b", 3);
	assert_int_equal(sitetab_find(&t, key_of("b"))->frames[0].address, 3);
	assert_int_equal(t.lost, 0);
	sitetab_release(&t);
}

static void what_is_in_use_never_gives_way(void **state)
{
	struct sitetab t;
	uint32_t a, b;

	(void)state;
	sitetab_init(&t, 2);
	define(&t, 1, "a", 1);
	define(&t, 2, "b", 1);
	a = sitetab_ref(&t, 1);
	b = sitetab_ref(&t, 2);
	assert_int_equal(define(&t, 3, "c", 1), -ENOSPC);
	assert_int_equal(sitetab_ref(&t, 3), SITE_NONE);
	assert_int_equal(t.lost, 1);
	assert_true(sitetab_key(&t, a) == key_of("a"));
	assert_true(sitetab_key(&t, b) == key_of("b"));
	/* two references: one given back leaves it in use */
	sitetab_ref(&t, 1);
	sitetab_unref(&t, a);
	assert_int_equal(define(&t, 3, "c", 1), -ENOSPC);
	sitetab_unref(&t, a);
	assert_int_equal(define(&t, 3, "c", 1), 0);
	assert_true(sitetab_key(&t, sitetab_ref(&t, 3)) == key_of("c"));
	assert_int_equal(t.lost, 1);
	sitetab_release(&t);
}

/* A service that restarts tells the same places by ever new ids. */
static void ids_are_bounded_and_those_in_use_are_named_last(void **state)
{
	struct sitetab t;

	(void)state;
	sitetab_init(&t, 2);
	define(&t, 1, "a", 1);
	for (uint64_t id = 2; id <= 1000; id++) {
		assert_int_equal(define(&t, id, "b", id), 0);
		sitetab_unref(&t, sitetab_ref(&t, 1));
	}
	assert_true(t.ids.n <= 2 * SITETAB_IDS_A_SITE);
	assert_int_equal(t.id_map.n, 2 * SITETAB_IDS_A_SITE);
	assert_int_equal(t.sites.n, 2);
	assert_int_equal(t.lost, 0);
	assert_int_equal(sitetab_ref(&t, 2), SITE_NONE);
	assert_true(sitetab_key(&t, sitetab_ref(&t, 1000)) == key_of("b"));
	sitetab_release(&t);
}

/* Against a model: which ids and keys are held is told by nobody, the references are exact. */
static void references_hold_under_churn(void **state)
{
	enum { MAX = 16, KEYS = 40, HELD = 12 };
	uint32_t held[HELD] = {0}, seed = 12345;
	uint64_t keys[HELD] = {0};
	struct sitetab t;

	(void)state;
	sitetab_init(&t, MAX);
	for (int i = 0; i < 100000; i++) {
		char name[16];
		uint32_t at;

		seed = seed * 1664525 + 1013904223;
		at = (seed >> 8) % HELD;
		snprintf(name, sizeof(name), "f%u", (seed >> 16) % KEYS);
		assert_int_equal(define(&t, 1 + (seed >> 12) % 200, name, seed), 0);
		assert_true(sitetab_key(&t, held[at]) == keys[at]);
		sitetab_unref(&t, held[at]);
		held[at] = sitetab_ref(&t, 1 + (seed >> 12) % 200);
		keys[at] = key_of(name);
		assert_true(sitetab_key(&t, held[at]) == keys[at]);
		assert_string_equal(sitetab_find(&t, keys[at])->frames[0].function, name);
	}
	assert_int_equal(t.lost, 0);
	assert_int_equal(t.key_map.n, MAX);
	sitetab_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_of_one_place_share_what_is_known),
		cmocka_unit_test(what_is_unknown_has_no_site),
		cmocka_unit_test(a_site_without_frames_is_its_id),
		cmocka_unit_test(an_id_is_told_again),
		cmocka_unit_test(the_longest_unused_site_gives_way),
		cmocka_unit_test(what_is_in_use_never_gives_way),
		cmocka_unit_test(ids_are_bounded_and_those_in_use_are_named_last),
		cmocka_unit_test(references_hold_under_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
