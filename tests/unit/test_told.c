/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_told.c - what is news, and that it is told once
 * objects: core/told.o
 */
#include "t.h"

#include "../../user/core/told.h"

/* A detector that has just these marks. */
struct detector {
	struct finding_mark marks[4];
	bool is_used[4];
};

bool detector_next_mark(const struct detector *d, uint32_t after, struct finding_mark *ret)
{
	for (uint32_t i = after == SLOT_NONE ? 0 : after + 1; i < 4; i++) {
		if (!d->is_used[i])
			continue;
		*ret = d->marks[i];
		return true;
	}
	return false;
}

static void fires(struct detector *d, uint32_t slot, int64_t fired_ns)
{
	d->is_used[slot] = true;
	d->marks[slot] = (struct finding_mark){
		.slot = slot, .fired_ns = fired_ns, .severity = SEVERITY_WARNING};
}

/* How many are told now; @ret_slots: a bit for each slot. */
static unsigned told_now(struct told *t, const struct detector *d, unsigned *ret_slots)
{
	struct finding_mark m = {.slot = SLOT_NONE};
	unsigned n = 0;
	int more;

	*ret_slots = 0;
	while ((more = told_next(t, d, m.slot, &m)) > 0) {
		n++;
		*ret_slots |= 1U << m.slot;
	}
	assert_int_equal(more, 0);
	return n;
}

static void each_is_told_once(void **state)
{
	struct detector d = {0};
	struct told t = {0};
	unsigned slots;

	(void)state;
	assert_int_equal(told_now(&t, &d, &slots), 0);
	fires(&d, 1, 100);
	fires(&d, 3, 100);
	assert_int_equal(told_now(&t, &d, &slots), 2);
	assert_int_equal(slots, 0xa);
	assert_int_equal(told_now(&t, &d, &slots), 0);
	fires(&d, 0, 200);
	assert_int_equal(told_now(&t, &d, &slots), 1);
	assert_int_equal(slots, 1);
	told_release(&t);
}

static void worse_is_news_and_better_is_not(void **state)
{
	struct detector d = {0};
	struct told t = {0};
	unsigned slots;

	(void)state;
	fires(&d, 0, 100);
	told_now(&t, &d, &slots);
	d.marks[0].severity = SEVERITY_CRITICAL;
	assert_int_equal(told_now(&t, &d, &slots), 1);
	d.marks[0].severity = SEVERITY_WARNING;
	assert_int_equal(told_now(&t, &d, &slots), 0);
	d.marks[0].kind = FINDING_FD_LEAK;
	assert_int_equal(told_now(&t, &d, &slots), 1);
	d.marks[0].status = FINDING_RESOLVED;
	assert_int_equal(told_now(&t, &d, &slots), 1);
	assert_int_equal(told_now(&t, &d, &slots), 0);
	told_release(&t);
}

static void a_slot_used_again_is_another_finding(void **state)
{
	struct detector d = {0};
	struct told t = {0};
	unsigned slots;

	(void)state;
	fires(&d, 2, 100);
	told_now(&t, &d, &slots);
	fires(&d, 2, 900);
	assert_int_equal(told_now(&t, &d, &slots), 1);
	told_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_told_once),
		cmocka_unit_test(worse_is_news_and_better_is_not),
		cmocka_unit_test(a_slot_used_again_is_another_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
