/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_baseline.c - the detector's rivals do what their names say, no worse than that
 * objects: tools/gen/baseline.o tools/gen/trend.o
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o core/endpoint.o
 * objects: core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <stdlib.h>

#include "../../tools/gen/baseline.h"
#include "../../tools/gen/trend.h"

struct fix {
	struct proctab *pt;
	struct baselines *b;
	int64_t now_s;
	uint64_t next_conn;
	int64_t on_s[BASELINE_MAX]; /* of the first onset; -1: none */
	uint32_t onsets[BASELINE_MAX];
	bool is_on[BASELINE_MAX];
};

static const struct endpoint server = {.addr = {10, 0, 4, 12}, .port = 5432, .family = 4};

static void note(const struct baseline_alarm *a, void *arg)
{
	struct fix *f = arg;

	f->is_on[a->rule] = a->is_on;
	if (!a->is_on)
		return;
	f->onsets[a->rule]++;
	if (f->on_s[a->rule] < 0)
		f->on_s[a->rule] = a->t_ns / NS_PER_S;
}

static void apply(struct fix *f, struct event ev)
{
	struct proctab_change ch;

	ev.t_ns = f->now_s * NS_PER_S;
	assert_int_equal(proctab_apply(f->pt, &ev, &ch), 0);
}

static int setup(void **state)
{
	struct holder_info info = {.pid = 7};
	struct fix *f = calloc(1, sizeof(*f));
	struct event budget = {.kind = EV_BUDGET};

	assert_non_null(f);
	f->pt = proctab_new(NULL);
	f->b = baselines_new(note, f);
	assert_true(f->pt && f->b);
	for (int i = 0; i < BASELINE_MAX; i++)
		f->on_s[i] = -1;
	apply(f, (struct event){.kind = EV_HOLDER, .holder = 1, .info = &info});
	budget.budget.peer = server;
	budget.budget.limit = 100;
	budget.budget.used = -1;
	apply(f, budget);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	baselines_free(f->b);
	proctab_free(f->pt);
	free(f);
	return 0;
}

static void use(struct fix *f, uint64_t conn)
{
	struct event ev = {.kind = EV_IO, .conn = conn, .holder = 1};

	ev.io.tx_ns = ev.io.rx_ns = f->now_s * NS_PER_S;
	ev.io.tx = ev.io.rx = (uint64_t)f->now_s + 1;
	ev.io.last = IO_LAST_RX;
	apply(f, ev);
}

static uint64_t open_one(struct fix *f)
{
	struct event ev = {.kind = EV_OPEN, .conn = ++f->next_conn, .holder = 1};

	ev.open.peer = server;
	apply(f, ev);
	use(f, ev.conn);
	return ev.conn;
}

static void close_one(struct fix *f, uint64_t conn)
{
	apply(f, (struct event){.kind = EV_CLOSE, .conn = conn, .holder = 1, .close = CLOSE_APP});
}

static void tick(struct fix *f)
{
	f->now_s++;
	assert_int_equal(baselines_tick(f->b, f->pt, f->now_s * NS_PER_S), 0);
}

static void wait_s(struct fix *f, int s)
{
	while (s--)
		tick(f);
}

/* One leaked a minute, the first after a minute. */
static void leak(struct fix *f, int minutes)
{
	while (minutes--) {
		wait_s(f, 60);
		open_one(f);
	}
	tick(f);
}

static void levels_speak_at_their_level(void **state)
{
	struct fix *f = *state;

	leak(f, 95);
	assert_int_equal(f->on_s[BASELINE_STATIC_70], 70 * 60 + 1);
	assert_int_equal(f->on_s[BASELINE_STATIC_90], 90 * 60 + 1);
	assert_int_equal(f->on_s[BASELINE_OLD_RULE], 90 * 60 + 1);
	assert_int_equal(f->onsets[BASELINE_STATIC_70], 1);
}

static void old_rule_lets_its_canary_pass(void **state)
{
	struct fix *f = *state;

	for (int i = 0; i < 95; i++)
		open_one(f);
	wait_s(f, 299);
	assert_int_equal(f->on_s[BASELINE_STATIC_90], 1);
	assert_int_equal(f->on_s[BASELINE_OLD_RULE], -1);
	wait_s(f, 5);
	assert_int_equal(f->on_s[BASELINE_OLD_RULE], 301);
}

static void idle_age_counts_from_the_last_use(void **state)
{
	struct fix *f = *state;
	uint64_t c = open_one(f), other = open_one(f);

	for (int i = 0; i < 50; i++) {
		wait_s(f, 5);
		use(f, other);
		if (i == 5)
			use(f, c);
	}
	assert_int_equal(f->on_s[BASELINE_IDLE_60S], 30 + 60);
	assert_int_equal(f->on_s[BASELINE_IDLE_30MIN], -1);
	wait_s(f, 1800);
	assert_int_equal(f->on_s[BASELINE_IDLE_30MIN], 30 + 1800);
}

static void queries_are_not_idle(void **state)
{
	struct fix *f = *state;
	uint64_t c = open_one(f);
	struct event ev = {.kind = EV_IO, .conn = c, .holder = 1};

	ev.io.tx_ns = 1 * NS_PER_S;
	ev.io.last = IO_LAST_TX;
	apply(f, ev);
	wait_s(f, 2000);
	assert_int_equal(f->on_s[BASELINE_IDLE_60S], -1);
}

static void alarm_must_be_quiet_for_ten_minutes_before_it_is_new(void **state)
{
	struct fix *f = *state;

	for (int i = 0; i < 20; i++) {
		uint64_t c = open_one(f);

		wait_s(f, 70);
		close_one(f, c);
		wait_s(f, 10);
	}
	assert_int_equal(f->onsets[BASELINE_IDLE_60S], 1);
	wait_s(f, 601);
	assert_false(f->is_on[BASELINE_IDLE_60S]);
	open_one(f);
	wait_s(f, 70);
	assert_int_equal(f->onsets[BASELINE_IDLE_60S], 2);
}

static void ten_more_in_five_minutes(void **state)
{
	struct fix *f = *state;

	leak(f, 60);
	assert_int_equal(f->on_s[BASELINE_RISE_PROCESS], -1);
	for (int i = 0; i < 5; i++)
		open_one(f);
	tick(f);
	assert_true(f->is_on[BASELINE_RISE_PROCESS] && f->is_on[BASELINE_RISE_SERVER]);
}

static void slow_leak_has_a_trend_and_a_rising_low_water_mark(void **state)
{
	struct fix *f = *state;

	leak(f, 40);
	assert_in_range(f->on_s[BASELINE_LOW_WATER_PROCESS], 1200, 1500);
	assert_in_range(f->on_s[BASELINE_TREND_PROCESS], 1800, 1861);
	assert_int_equal(f->on_s[BASELINE_NO_CLOSES_PROCESS], 601);
}

static void steady_traffic_has_neither(void **state)
{
	struct fix *f = *state;

	for (int i = 0; i < 3600; i++) {
		uint64_t c = open_one(f);

		tick(f);
		close_one(f, c);
	}
	for (int r = 0; r < BASELINE_MAX; r++)
		assert_int_equal(f->onsets[r], 0);
}

static void exited_process_alarms_no_more(void **state)
{
	struct fix *f = *state;
	uint64_t c = open_one(f);

	wait_s(f, 100);
	assert_true(f->is_on[BASELINE_IDLE_60S]);
	apply(f, (struct event){.kind = EV_EXIT, .holder = 1});
	apply(f, (struct event){.kind = EV_CLOSE, .conn = c, .holder = 1, .close = CLOSE_EXIT});
	tick(f);
	assert_int_equal(proctab_forget_holder(f->pt, 0), 0);
	tick(f);
	assert_false(f->is_on[BASELINE_IDLE_60S]);
}

/* Mann and Kendall's S and its variance, against values worked out by hand. */
static void mann_kendall_is_the_textbook_s(void **state)
{
	struct trend t;
	double z = 0, slope = 0;

	(void)state;
	trend_init(&t);
	for (int i = 0; i <= TREND_MINUTES; i++)
		trend_sample(&t, i * TREND_MINUTE_NS, (uint32_t)(3 * i), 0, 0);
	assert_true(trend_mann_kendall(&t, &z, &slope));
	/* no ties: S = 435, variance 30 * 29 * 65 / 18 */
	assert_near(z, 434 / sqrt(30.0 * 29 * 65 / 18), 1e-12);
	assert_near(slope, 3, 1e-12);

	trend_init(&t);
	for (int i = 0; i <= TREND_MINUTES; i++)
		trend_sample(&t, i * TREND_MINUTE_NS, i < 15 ? 4 : 5, 0, 0);
	assert_true(trend_mann_kendall(&t, &z, &slope));
	/* 15 fours, 15 fives: S = 225, two groups of ties of 15 */
	assert_near(z, 224 / sqrt((30.0 * 29 * 65 - 2 * 15.0 * 14 * 35) / 18), 1e-12);

	trend_init(&t);
	for (int i = 0; i <= TREND_MINUTES; i++)
		trend_sample(&t, i * TREND_MINUTE_NS, 5, 0, 0);
	assert_true(trend_mann_kendall(&t, &z, &slope));
	assert_true(z == 0 && slope == 0);
}

static void trend_needs_its_history(void **state)
{
	struct trend t;
	double z, slope;

	(void)state;
	trend_init(&t);
	for (int i = 0; i < TREND_MINUTES; i++)
		trend_sample(&t, i * TREND_MINUTE_NS, (uint32_t)i, 0, 0);
	assert_false(trend_mann_kendall(&t, &z, &slope));
	assert_int_equal(trend_rise(&t), TREND_MINUTES - 1 - 24);
}

#define baseline_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		baseline_test(levels_speak_at_their_level),
		baseline_test(old_rule_lets_its_canary_pass),
		baseline_test(idle_age_counts_from_the_last_use),
		baseline_test(queries_are_not_idle),
		baseline_test(alarm_must_be_quiet_for_ten_minutes_before_it_is_new),
		baseline_test(ten_more_in_five_minutes),
		baseline_test(slow_leak_has_a_trend_and_a_rising_low_water_mark),
		baseline_test(steady_traffic_has_neither),
		baseline_test(exited_process_alarms_no_more),
		cmocka_unit_test(mann_kendall_is_the_textbook_s),
		cmocka_unit_test(trend_needs_its_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
