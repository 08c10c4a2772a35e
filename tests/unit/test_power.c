/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_power.c - the canary's two figures hold: simulated leaks, through detector and canary
 * objects: core/canary.o core/canary_verdict.o core/power.o core/baseline.o core/text.o
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 *
 * N_RUNS sets the runs of each cell (default 30: some seconds in all), PRINT=1 shows the table.
 */
#include "t.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../user/core/canary.h"
#include "../../user/core/power.h"
#include "../../user/core/stats.h"

#define BUSY_EVERY_S 2

/* A service that leaks at random moments, beside traffic that leaves nothing behind. */
struct leaky {
	double window_s, leak_per_min, detect_per_min, confidence;
	uint32_t threads, processes;
	double requests_per_min; /* open, ask, close; from the place in the code that leaks */
	double slow_every_s;	 /* one that stays open and is used so often; 0: there is none */
};

struct sim {
	struct proctab *pt;
	struct detector *d;
	struct canary *c;
	uint64_t state;
	int64_t next_tick_ns;
	uint64_t next_conn;
	uint64_t n_leaked;
};

static const struct endpoint leaked_to = {{10, 0, 4, 12}, 5432, 4, 0};
static const struct endpoint busy_with = {{10, 0, 4, 13}, 5432, 4, 0};

static double uniform(struct sim *s)
{
	uint64_t z = s->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

static double next_of(struct sim *s, double per_min)
{
	return per_min > 0 ? -log(uniform(s)) * 60 / per_min : INFINITY;
}

static void apply(struct sim *s, const struct event *ev)
{
	struct proctab_change ch;

	assert_int_equal(proctab_apply(s->pt, ev, &ch), 0);
	assert_int_equal(detector_event(s->d, s->pt, ev, &ch), 0);
}

static bool is_named(const struct sim *s)
{
	struct canary_progress p;

	canary_get_progress(s->c, &p);
	return p.is_leak;
}

static void run_to(struct sim *s, double t_s)
{
	for (; s->next_tick_ns <= (int64_t)(t_s * 1e9); s->next_tick_ns += NS_PER_S) {
		apply(s, &(struct event){.t_ns = s->next_tick_ns, .kind = EV_TICK});
		canary_tick(s->c, s->pt, s->d, s->next_tick_ns);
		if (is_named(s))
			return;
	}
}

static void open_at(struct sim *s, double t_s, uint64_t holder, uint32_t tid,
		    const struct endpoint *peer)
{
	apply(s, &(struct event){.t_ns = (int64_t)(t_s * 1e9),
				 .kind = EV_OPEN,
				 .conn = ++s->next_conn,
				 .holder = holder,
				 .tid = tid,
				 .open.peer = *peer});
}

static void ask(struct sim *s, double t_s, uint64_t conn, uint64_t bytes)
{
	int64_t t_ns = (int64_t)(t_s * 1e9);

	apply(s, &(struct event){.t_ns = t_ns + 3 * NS_PER_MS,
				 .kind = EV_IO,
				 .conn = conn,
				 .io = {.tx_ns = t_ns,
					.rx_ns = t_ns + 2 * NS_PER_MS,
					.tx = bytes,
					.rx = bytes + 400,
					.last = IO_LAST_RX}});
}

static void begin(struct sim *s, const struct leaky *l, uint64_t seed)
{
	const struct detector_params dp = {.canary = true, .host = "node"};
	const struct canary_params cp = {.window_ns = (int64_t)(l->window_s * 1e9),
					 .detect_per_min = l->detect_per_min,
					 .confidence = l->confidence};

	*s = (struct sim){.state = seed * 0x2545f4914f6cdd1dULL, .next_tick_ns = NS_PER_S};
	s->pt = proctab_new(NULL);
	s->d = detector_new(&dp);
	s->c = canary_new(&cp);
	assert_true(s->pt && s->d && s->c);
	for (uint64_t h = 1; h <= l->processes; h++) {
		struct holder_info info = {
			.pid = (uint32_t)h, .uid = -1, .group = (char *)"shop/orders/app"};

		apply(s, &(struct event){.kind = EV_HOLDER, .holder = h, .info = &info});
		open_at(s, 0.001 * (double)h, h, 99, &busy_with);
	}
}

/* One watch. Returns its verdict. */
static enum verdict_kind watch(const struct leaky *l, uint64_t seed, struct verdict *ret)
{
	double leak_s, request_s, busy_s = 0.5, slow_s = l->slow_every_s ? 1 : INFINITY;
	uint64_t bytes = 0, slow = 0, slow_bytes = 0;
	struct sim s;

	begin(&s, l, seed);
	leak_s = next_of(&s, l->leak_per_min);
	request_s = next_of(&s, l->requests_per_min);
	while (!is_named(&s)) {
		double t = fmin(fmin(leak_s, request_s), fmin(busy_s, slow_s));
		uint64_t h = 1 + (uint64_t)(uniform(&s) * l->processes);
		uint32_t tid = 1 + (uint32_t)(uniform(&s) * l->threads);

		run_to(&s, fmin(t - 1e-6, l->window_s));
		if (t > l->window_s || is_named(&s))
			break;
		if (t == busy_s) {
			bytes += 130 + (bytes / 130) % 7;
			for (uint64_t i = 1; i <= l->processes; i++)
				ask(&s, t, i, bytes + i);
			busy_s += BUSY_EVERY_S;
			continue;
		}
		if (t == slow_s) {
			if (!slow) {
				open_at(&s, t, 1, 77, &leaked_to);
				slow = s.next_conn;
			}
			slow_bytes += 200 + (slow_bytes / 200) % 7 * 20;
			ask(&s, t + 0.001, slow, slow_bytes);
			slow_s += l->slow_every_s * (0.7 + 0.6 * uniform(&s));
			continue;
		}
		open_at(&s, t, h, tid, &leaked_to);
		ask(&s, t + 0.001, s.next_conn, 150);
		if (t == leak_s) {
			s.n_leaked++;
			leak_s += next_of(&s, l->leak_per_min);
			continue;
		}
		apply(&s, &(struct event){.t_ns = (int64_t)(t * 1e9) + 5 * NS_PER_MS,
					  .kind = EV_CLOSE,
					  .conn = s.next_conn,
					  .close = CLOSE_APP});
		request_s += next_of(&s, l->requests_per_min);
	}
	canary_verdict(s.c, s.pt, s.d, CANARY_END_TIME, ret);
	canary_free(s.c);
	detector_free(s.d);
	proctab_free(s.pt);
	return ret->kind;
}

static int n_runs(void)
{
	const char *text = getenv("N_RUNS");

	return text ? atoi(text) : 30;
}

struct tally {
	int n, of[3];
};

static struct tally watches(const struct leaky *l)
{
	struct tally t = {.n = n_runs()};
	struct verdict v;

	for (int i = 0; i < t.n; i++)
		t.of[watch(l, 1 + (uint64_t)i, &v)]++;
	if (getenv("PRINT"))
		printf("%4.0f min, %.2f: %.3f/min, %u threads, %u processes, %.0f requests/min: "
		       "leak %.4f, inconclusive %.4f, pass %.4f\n",
		       l->window_s / 60, l->confidence, l->leak_per_min, l->threads, l->processes,
		       l->requests_per_min, (double)t.of[VERDICT_LEAK] / t.n,
		       (double)t.of[VERDICT_INCONCLUSIVE] / t.n, (double)t.of[VERDICT_PASS] / t.n);
	return t;
}

/* So many in n are no more than sampling lets p give, one time in ten thousand. */
static bool may_be(int seen, int n, double p)
{
	return stats_binomial_tail((uint64_t)seen, (uint64_t)n, p) > 1e-4;
}

static const double windows_min[] = {5, 15, 30};
static const double confidences[] = {0.9, 0.99};

static void what_a_pass_excludes_passes_no_more_often_than_it_says(void **state)
{
	(void)state;
	for (size_t w = 0; w < T_COUNT(windows_min); w++)
		for (size_t c = 0; c < T_COUNT(confidences); c++)
			for (uint32_t left = 0; left < 3; left++) {
				struct power_seen seen = {.window_s = windows_min[w] * 60,
							  .left = left,
							  .late = left};
				struct leaky l = {.window_s = seen.window_s,
						  .confidence = confidences[c],
						  .threads = 8,
						  .processes = 1};
				struct tally t;

				l.leak_per_min = l.detect_per_min =
					power_detectable(&seen, confidences[c]);
				t = watches(&l);
				assert_true(may_be(t.of[VERDICT_PASS], t.n, 1 - confidences[c]));
			}
}

static void what_is_named_is_named_as_often_as_it_says(void **state)
{
	(void)state;
	for (size_t w = 0; w < T_COUNT(windows_min); w++)
		for (size_t c = 0; c < T_COUNT(confidences); c++)
			for (uint32_t threads = 1; threads <= 8; threads += 7) {
				struct power_rule r = {.window_s = windows_min[w] * 60,
						       .threads = threads};
				struct leaky l = {.window_s = r.window_s,
						  .confidence = confidences[c],
						  .detect_per_min = 0.5,
						  .threads = threads,
						  .processes = 1};
				struct tally t;

				l.leak_per_min = power_named(&r, confidences[c]);
				t = watches(&l);
				assert_true(
					may_be(t.n - t.of[VERDICT_LEAK], t.n, 1 - confidences[c]));
			}
}

/* What a fleet's processes share, and what healthy traffic from the same place adds. */
static const struct {
	uint32_t threads, processes;
	double requests_per_min;
} shapes[] = {{1, 1, 0}, {8, 4, 0}, {8, 1, 12}, {30, 1, 60}, {4, 6, 30}};

static void a_leak_of_just_what_was_asked_for_seldom_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(shapes); i++)
		for (double window_min = 15; window_min <= 20; window_min += 5) {
			struct leaky l = {.window_s = window_min * 60,
					  .confidence = 0.99,
					  .leak_per_min = 0.5,
					  .detect_per_min = 0.5,
					  .threads = shapes[i].threads,
					  .processes = shapes[i].processes,
					  .requests_per_min = shapes[i].requests_per_min};
			struct tally t = watches(&l);

			assert_true(may_be(t.of[VERDICT_PASS], t.n, 0.01));
		}
}

/* Never less than the figure says: what others open there only makes it faster. */
static void what_is_named_is_named_in_a_fleet_and_amid_traffic(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(shapes); i++) {
		struct power_rule r = {.window_s = 900,
				       .threads = shapes[i].threads,
				       .processes = shapes[i].processes};
		struct leaky l = {.window_s = 900,
				  .confidence = 0.95,
				  .leak_per_min = power_named(&r, 0.95),
				  .detect_per_min = 0.5,
				  .threads = shapes[i].threads,
				  .processes = shapes[i].processes,
				  .requests_per_min = shapes[i].requests_per_min};
		struct tally t = watches(&l);

		assert_true(may_be(t.n - t.of[VERDICT_LEAK], t.n, 0.05));
	}
}

/* One that is passed over, and used again: what it teaches makes the rule wait for longer. */
static void what_is_named_is_named_where_connections_come_back(void **state)
{
	static const double slow_every_s[] = {40, 90};

	(void)state;
	for (size_t i = 0; i < T_COUNT(slow_every_s); i++)
		for (int requests_per_min = 2; requests_per_min <= 20; requests_per_min += 18) {
			struct leaky l = {.window_s = 1800,
					  .confidence = 0.9,
					  .detect_per_min = 0.5,
					  .threads = 8,
					  .processes = 1,
					  .requests_per_min = requests_per_min,
					  .slow_every_s = slow_every_s[i]};
			struct verdict v;
			struct tally t;

			watch(&l, 4711, &v);
			assert_true(v.named_leak_per_min >
				    power_named(&(struct power_rule){.window_s = 1800}, 0.9));
			l.leak_per_min = v.named_leak_per_min;
			t = watches(&l);
			assert_true(may_be(t.n - t.of[VERDICT_LEAK], t.n, 0.1));
		}
}

/* --- properties, without simulation --- */

static void the_bound_rises_with_what_is_left_and_falls_with_time(void **state)
{
	(void)state;
	for (uint64_t left = 0; left < 40; left += 13)
		for (uint64_t late = 0; late <= left; late += 6) {
			double before = INFINITY;

			for (double w = 31; w < 20000; w *= 1.3) {
				struct power_seen s = {.window_s = w, .left = left, .late = late};
				double now = power_detectable(&s, 0.99);

				assert_true(now < before);
				before = now;
				s.left++;
				assert_true(power_detectable(&s, 0.99) >= now);
				s.late++;
				assert_true(power_detectable(&s, 0.99) > now * (1 - 1e-6));
				s.quiet_s = 10;
				assert_true(power_detectable(&s, 0.99) > now);
			}
		}
}

static void too_short_a_window_excludes_nothing(void **state)
{
	(void)state;
	assert_true(isinf(power_detectable(&(struct power_seen){.window_s = 30}, 0.5)));
	assert_true(isinf(
		power_detectable(&(struct power_seen){.window_s = 900, .quiet_s = 880}, 0.5)));
}

/* The chance that either look passes, added up outcome by outcome. */
static double chance_of_either(double all_min, double late_min, double per_min,
			       const struct power_seen *like)
{
	double early = per_min * (all_min - late_min), late = per_min * late_min, p = 0;
	double limit = power_detectable(like, 0.99) * (1 + 1e-6), p_early = exp(-early);

	for (uint64_t e = 0; e < 60; p_early *= early / (double)++e) {
		double p_late = exp(-late);

		for (uint64_t l = 0; l < 60; p_late *= late / (double)++l) {
			const struct power_seen s = {
				.window_s = like->window_s, .left = e + l, .late = l};

			if (power_detectable(&s, 0.99) > limit)
				break;
			p += p_early * p_late;
		}
	}
	return p;
}

/* However little is left, and where: no leak passes more often than it may. */
static void two_looks_together_keep_the_confidence(void **state)
{
	(void)state;
	for (double w = 600; w <= 3600; w *= 1.6)
		for (uint64_t left = 0; left <= 8; left += 2)
			for (uint64_t late = 0; late <= left; late += 2) {
				const struct power_seen s = {
					.window_s = w, .left = left, .late = late};
				double all = (w - POWER_BLIND_S) / 60;
				double last = (w * 2 / 3 - POWER_BLIND_S) / 60;

				assert_true(chance_of_either(all, last, power_detectable(&s, 0.99),
							     &s) < 0.01 + 1e-6);
			}
}

static void what_is_named_falls_with_time_and_rises_with_threads(void **state)
{
	double slower = 0;

	(void)state;
	for (uint32_t threads = 1; threads <= 64; threads *= 4) {
		double before = INFINITY;

		for (double w = 120; w < 10000; w *= 2.5) {
			const struct power_rule r = {.window_s = w, .threads = threads};
			double now = power_named(&r, 0.99);

			assert_true(now < before);
			assert_near(power_named_p(&r, now), 0.99, 1e-4);
			assert_true(power_named_p(&r, now / 2) < 0.99);
			before = now;
		}
		assert_true(before > slower);
		slower = before;
	}
}

static void nothing_is_sure_to_be_named_in_ninety_seconds(void **state)
{
	(void)state;
	assert_true(isnan(power_named(&(struct power_rule){.window_s = 90, .threads = 1}, 0.01)));
	assert_true(isnan(power_named(&(struct power_rule){.window_s = 0}, 0.5)));
	/* a pause of five minutes was seen: ten are waited for */
	assert_true(isnan(power_named(&(struct power_rule){.window_s = 600, .habit_s = 600}, 0.5)));
	assert_true(power_named(&(struct power_rule){.window_s = 900, .habit_s = 120}, 0.99) >
		    power_named(&(struct power_rule){.window_s = 900, .habit_s = 15}, 0.99));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bound_rises_with_what_is_left_and_falls_with_time),
		cmocka_unit_test(too_short_a_window_excludes_nothing),
		cmocka_unit_test(two_looks_together_keep_the_confidence),
		cmocka_unit_test(what_is_named_falls_with_time_and_rises_with_threads),
		cmocka_unit_test(nothing_is_sure_to_be_named_in_ninety_seconds),
		cmocka_unit_test(what_a_pass_excludes_passes_no_more_often_than_it_says),
		cmocka_unit_test(what_is_named_is_named_as_often_as_it_says),
		cmocka_unit_test(a_leak_of_just_what_was_asked_for_seldom_passes),
		cmocka_unit_test(what_is_named_is_named_in_a_fleet_and_amid_traffic),
		cmocka_unit_test(what_is_named_is_named_where_connections_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
