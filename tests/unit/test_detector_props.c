/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector_props.c - what must hold whatever happens: docs/detector.md section 10
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o core/service.o core/budget.o core/evidence.o
 * objects: core/evidence_site.o core/usage_view.o core/finding.o core/sitetab.o core/app_frame.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 */
#include "t.h"

#include <stdlib.h>

#include "stream.h"

#define SEEDS	 8
#define N_STEPS	 260
#define HOLDERS	 3
#define TO_S	 1500
#define IS_LEAKY 2 /* of this holder each third request is lost */

/* One random history, made beforehand, so that it can be told in several ways. */
struct step {
	double t_s;
	uint64_t conn, holder;
	enum { OPENS, QUERIES, CLOSES } what;
};

struct story {
	struct step steps[3 * N_STEPS];
	uint32_t n, rng;
};

static uint32_t draw(struct story *st, uint32_t below)
{
	st->rng = st->rng * 1664525 + 1013904223;
	return (st->rng >> 8) % below;
}

static void add(struct story *st, double t_s, uint64_t conn, uint64_t holder_id, int what)
{
	st->steps[st->n++] = (struct step){t_s, conn, holder_id, what};
}

static int by_time(const void *va, const void *vb)
{
	const struct step *a = va, *b = vb;

	if (a->t_s != b->t_s)
		return a->t_s < b->t_s ? -1 : 1;
	return (a->conn > b->conn) - (a->conn < b->conn);
}

/* Requests of three processes in the same seconds; one process loses some. */
static void make_story(struct story *st, uint32_t seed)
{
	*st = (struct story){.rng = seed};
	for (uint64_t i = 0; i < N_STEPS; i++) {
		uint64_t h = 1 + i % HOLDERS;
		double t = 1.5 + (double)(i / HOLDERS) * 12, life = 1 + draw(st, 30);

		add(st, t, 1 + i, h, OPENS);
		add(st, t + 0.25, 1 + i, h, QUERIES);
		if (h != IS_LEAKY || draw(st, 3))
			add(st, t + life, 1 + i, h, CLOSES);
	}
	qsort(st->steps, st->n, sizeof(st->steps[0]), by_time);
}

static void tell(struct stream *s, const struct step *step)
{
	if (step->what == OPENS)
		open_by(s, step->t_s, step->conn, step->holder, 1);
	else if (step->what == QUERIES)
		query(s, step->t_s, step->conn, 100 + step->conn % 7);
	else
		closes(s, step->t_s, step->conn);
}

static void begin(struct stream *s, double tick_s)
{
	stream_init(s, false, NULL);
	s->tick_s = tick_s;
	for (uint64_t h = 1; h <= HOLDERS; h++)
		holder(s, 0.1, h, h == 1 ? "a" : h == 2 ? "b" : "c");
}

/* --- order of equal times --- */

struct digest {
	uint64_t sum;
	uint32_t max_k;
};

static void fold(struct stream *s, int64_t now_ns)
{
	struct digest *d = s->arg;

	(void)now_ns;
	for (uint64_t h = 1; h <= HOLDERS; h++) {
		uint32_t i = proctab_find_holder(s->pt, h);
		struct usage_view v;

		i = proctab_holder(s->pt, i)->first_usage;
		if (i == SLOT_NONE)
			continue;
		detector_usage(s->d, s->pt, i, &v);
		d->max_k = v.k > d->max_k ? v.k : d->max_k;
		d->sum = (d->sum ^ (h << 48 | (uint64_t)v.k << 32 | v.k_own << 16 | v.abandoned)) *
			 0x100000001b3ULL;
		d->sum ^= (uint64_t)v.state;
	}
}

/* Of the steps at one time those of different processes in the other order. */
static struct digest told(const struct story *st, bool is_reversed)
{
	struct digest d = {0};
	struct stream s;

	begin(&s, 1);
	s.on_tick = fold;
	s.arg = &d;
	for (uint32_t i = 0, j; i < st->n; i = j) {
		for (j = i + 1; j < st->n && st->steps[j].t_s == st->steps[i].t_s; j++)
			assert_int_not_equal(st->steps[j].conn, st->steps[i].conn);
		for (uint32_t k = i; k < j; k++)
			tell(&s, &st->steps[is_reversed ? i + j - 1 - k : k]);
	}
	stream_run(&s, TO_S);
	stream_release(&s);
	return d;
}

static bool has_one_holder_twice(const struct story *st)
{
	for (uint32_t i = 1; i < st->n; i++)
		if (st->steps[i].t_s == st->steps[i - 1].t_s &&
		    st->steps[i].holder == st->steps[i - 1].holder)
			return true;
	return false;
}

static void order_of_equal_times_in_different_groups_does_not_matter(void **state)
{
	uint32_t max_k = 0, n_told = 0;
	struct story st;

	(void)state;
	for (uint32_t seed = 1; seed <= 20 * SEEDS && n_told < SEEDS; seed++) {
		struct digest a, b;

		make_story(&st, seed);
		/* Keep only what is permuted between groups: a second each. */
		for (uint32_t i = 0; i < st.n; i++)
			if (st.steps[i].what == CLOSES)
				st.steps[i].t_s += (double)(st.steps[i].conn % 97) / 1000;
		qsort(st.steps, st.n, sizeof(st.steps[0]), by_time);
		if (has_one_holder_twice(&st))
			continue;
		n_told++;
		a = told(&st, false);
		b = told(&st, true);
		assert_int_equal(a.sum, b.sum);
		max_k = a.max_k > max_k ? a.max_k : max_k;
	}
	assert_int_equal(n_told, SEEDS);
	assert_true(max_k >= 5); /* else nothing was compared */
}

/* --- monotone in evidence --- */

struct rungs_at_end {
	uint32_t k, k_own;
	double fired_s;
};

/* The story, with one more that is lost at @lost_s, or one that comes back at @back_s; 0: not. */
static struct rungs_at_end with_one_more(const struct story *st, double lost_s, double back_s)
{
	struct rungs_at_end r = {0};
	bool is_lost = false, is_back = false;
	struct usage_view v;
	uint64_t first = 0;
	struct stream s;

	begin(&s, 1);
	for (uint32_t i = 0; i < st->n; i++) {
		if (lost_s > 0 && !is_lost && st->steps[i].t_s > lost_s) {
			open_by(&s, lost_s, 90000, IS_LEAKY, 1);
			is_lost = true;
		}
		if (back_s > 0 && !is_back && st->steps[i].t_s > back_s) {
			first = IS_LEAKY;
			while (first < 60 && proctab_find_conn(s.pt, first) == SLOT_NONE)
				first += HOLDERS;
			if (first < 60)
				query(&s, back_s, first, 333);
			is_back = true;
		}
		tell(&s, &st->steps[i]);
	}
	stream_run(&s, TO_S);
	detector_usage(s.d, s.pt,
		       proctab_holder(s.pt, proctab_find_holder(s.pt, IS_LEAKY))->first_usage, &v);
	r.k = v.k;
	r.k_own = v.k_own;
	r.fired_s = s.fired_s;
	stream_release(&s);
	return r;
}

static void
one_more_that_is_lost_lowers_nothing_and_one_that_comes_back_raises_nothing(void **state)
{
	struct story st;

	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct rungs_at_end plain, lost, back;

		make_story(&st, seed);
		plain = with_one_more(&st, 0, 0);
		assert_true(plain.k >= 5);
		for (double t = 100.7; t < 1000; t += 211) {
			lost = with_one_more(&st, t, 0);
			assert_true(lost.k >= plain.k && lost.k_own >= plain.k_own);
			back = with_one_more(&st, 0, t);
			assert_true(back.k <= plain.k && back.k_own <= plain.k_own);
		}
	}
}

/* --- time alone --- */

static void watch_k(struct stream *s, int64_t now_ns)
{
	struct digest *d = s->arg;
	struct usage_view v;

	detector_usage(s->d, s->pt, 0, &v);
	/* after the last event + Tx + 2 s */
	if (now_ns > stream_ns(s, 300 + 15 + 2)) {
		assert_true(v.k <= d->max_k);
		return;
	}
	d->max_k = v.k;
}

static void where_nothing_happens_rungs_do_not_grow(void **state)
{
	struct digest d = {0};
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	s.on_tick = watch_k;
	s.arg = &d;
	leak(&s, 1, 300, 17, 1);
	stream_run(&s, 3000);
	assert_true(d.max_k >= 10);
	stream_release(&s);
}

static void a_tick_of_5_s_delays_a_steady_leak_by_two_ticks_at_most(void **state)
{
	(void)state;
	for (double every_s = 3; every_s < 40; every_s += 7) {
		double fired_s[2];

		for (int i = 0; i < 2; i++) {
			struct stream s;

			stream_begin(&s, false);
			s.tick_s = i ? 5 : 1;
			healthy_history(&s, 200);
			leak(&s, 201, 1500, every_s, 1);
			fired_s[i] = s.fired_s;
			stream_release(&s);
		}
		assert_true(fired_s[0] > 200);
		assert_true(fired_s[1] >= fired_s[0] - 1 && fired_s[1] <= fired_s[0] + 10);
	}
}

static void a_leak_that_is_closed_resolves_after_ten_minutes(void **state)
{
	struct usage_view v;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	leak(&s, 1, 500, 10, 1);
	assert_true(s.fired_s > 0);
	for (uint64_t c = 1; c <= 50; c++)
		closes(&s, 500 + (double)c * 0.01, c);
	stream_run(&s, 500 + 598);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.state, USAGE_LEAK);
	stream_run(&s, 500 + 605);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_not_equal(v.state, USAGE_LEAK);
	assert_int_equal(detector_find(s.d, 0), SLOT_NONE);
	stream_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_of_equal_times_in_different_groups_does_not_matter),
		cmocka_unit_test(
			one_more_that_is_lost_lowers_nothing_and_one_that_comes_back_raises_nothing),
		cmocka_unit_test(where_nothing_happens_rungs_do_not_grow),
		cmocka_unit_test(a_tick_of_5_s_delays_a_steady_leak_by_two_ticks_at_most),
		cmocka_unit_test(a_leak_that_is_closed_resolves_after_ten_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
