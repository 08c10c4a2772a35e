/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector_direct.c - heaps, lists, due times against docs/detector.md 4.2, 4.3 done naively,
 * on random streams, at every tick
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include <stdlib.h>

#include "../../user/core/ladder.h"
#include "stream.h"

#define MAX   400
#define TMIN  (15 * NS_PER_S)
#define SEEDS 60

struct naive_conn {
	int64_t opened, use_end, exp; /* exp 0: not passed over */
	uint32_t tid;
	bool is_open, is_client, is_own, is_adopted;
};

struct naive {
	struct naive_conn c[MAX];
	uint32_t n;
	int64_t last_open, tx_max;
	struct naive_conn ghosts[MAX]; /* ended by the server while abandoned; exp: when */
	uint32_t n_ghosts;
	uint32_t seed, rng, max_k;
	bool has_ghosts;
};

static uint32_t draw(struct naive *w, uint32_t below)
{
	w->rng = w->rng * 1664525 + 1013904223;
	return (w->rng >> 8) % below;
}

static void naive_return(struct naive *w, struct naive_conn *c, int64_t t)
{
	int64_t absence = (t - c->exp + NS_PER_MS - 1) / NS_PER_MS * NS_PER_MS;

	if (c->exp && absence > w->tx_max)
		w->tx_max = absence;
	c->exp = 0;
	c->is_own = false;
}

static int64_t naive_tx(const struct naive *w)
{
	return 2 * w->tx_max > TMIN ? 2 * w->tx_max : TMIN;
}

/* One in five seconds stays a rung for five minutes, beside others' returns only. */
static void naive_reap(struct naive *w, const struct naive_conn *c, int64_t t)
{
	const struct naive_conn *last = w->n_ghosts ? &w->ghosts[w->n_ghosts - 1] : NULL;

	if (c->is_adopted || !c->is_client || !c->exp || t - c->exp < naive_tx(w))
		return;
	if (last && t - last->exp < 5 * NS_PER_S)
		return;
	w->ghosts[w->n_ghosts] = *c;
	w->ghosts[w->n_ghosts++].exp = t;
}

static void naive_open(struct naive *w, int64_t t, uint32_t tid, bool adopted)
{
	for (uint32_t i = 0; !adopted && i < w->n; i++) {
		struct naive_conn *c = &w->c[i];

		if (!c->is_open || !c->is_client)
			continue;
		if (c->tid == tid && !c->is_adopted && t - c->use_end >= TMIN)
			c->is_own = true;
		if (c->use_end + TMIN < t && !c->exp)
			c->exp = t;
	}
	w->c[w->n++] = (struct naive_conn){t, t, 0, tid, true, true, false, adopted};
	if (!adopted)
		w->last_open = t;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int by_opened(const void *a, const void *b)
{
	const struct ladder_cand *x = a, *y = b;

	return (x->opened_ns > y->opened_ns) - (x->opened_ns < y->opened_ns);
}

/* Rungs over the abandoned ones (all, or those passed over by their own thread). */
static uint32_t naive_rungs(const struct naive *w, int64_t now, bool own, uint32_t *ret_abandoned)
{
	struct ladder_cand cand[2 * MAX];
	int64_t ready[2 * MAX], tx = naive_tx(w);
	size_t n = 0, m = 0;
	struct rungs r;

	for (uint32_t i = 0; i < w->n; i++) {
		const struct naive_conn *c = &w->c[i];
		bool idle = c->is_open && c->is_client;

		if (idle && c->exp && now - c->exp >= tx && (!own || c->is_own))
			ready[n++] = c->use_end + TMIN;
		if (idle && !c->is_adopted && now - c->use_end >= tx)
			cand[m++] = (struct ladder_cand){
				.opened_ns = c->opened,
				.is_seen = c->exp || w->last_open > c->use_end + NS_PER_S};
	}
	*ret_abandoned = (uint32_t)n;
	for (uint32_t i = 0; !own && i < w->n_ghosts; i++) {
		if (now - w->ghosts[i].exp >= 300 * NS_PER_S)
			continue;
		ready[n++] = w->ghosts[i].use_end + TMIN;
		cand[m++] = (struct ladder_cand){.opened_ns = w->ghosts[i].opened, .is_seen = true};
	}
	qsort(ready, n, sizeof(ready[0]), by_time);
	qsort(cand, m, sizeof(cand[0]), by_opened);
	ladder_count(ready, n, cand, m, &r);
	return r.k;
}

static void compare(struct stream *s, int64_t now_ns)
{
	struct naive *w = s->arg;
	uint32_t k, k_own, abandoned, own, passed = 0;
	struct usage_view v;

	k = naive_rungs(w, now_ns, false, &abandoned);
	k_own = naive_rungs(w, now_ns, true, &own);
	for (uint32_t i = 0; i < w->n; i++)
		passed += w->c[i].is_open && w->c[i].exp && !w->c[i].is_adopted;
	detector_usage(s->d, s->pt, 0, &v);
	if (v.k != k || v.k_own != k_own || v.abandoned != abandoned || v.passed_over < passed)
		fail_msg("seed %u at %.0f s: k %u own %u abandoned %u passed %u, "
			 "directly %u %u %u %u",
			 w->seed, (double)now_ns / 1e9, v.k, v.k_own, v.abandoned, v.passed_over, k,
			 k_own, abandoned, passed);
	assert_true(k <= abandoned + w->n_ghosts && k_own <= k);
	w->has_ghosts |= k > abandoned;
	w->max_k = k > w->max_k ? k : w->max_k;
}

static void step(struct stream *s, struct naive *w, double t)
{
	uint32_t what = draw(w, 100), i = w->n ? draw(w, w->n) : 0;
	struct naive_conn *c = &w->c[i];

	if (what < 30 && w->n < MAX) {
		uint32_t tid = 1 + draw(w, 3);
		bool adopted = what < 2;

		stream_run(s, t - 1e-9);
		naive_open(w, stream_ns(s, t), tid, adopted);
		if (adopted)
			adopts(s, t, w->n);
		else
			open_by(s, t, w->n, 1, tid);
		return;
	}
	if (!w->n || !c->is_open)
		return;
	stream_run(s, t + 0.01 - 1e-9);
	if (what < 60 && c->is_open) {
		query(s, t, i + 1, 300 + draw(w, 4000));
		naive_return(w, c, stream_ns(s, t + 0.005));
		c->use_end = stream_ns(s, t + 0.002);
		c->is_client = true;
	} else if (what < 65) {
		asks(s, t, i + 1);
		naive_return(w, c, stream_ns(s, t + 0.005));
		c->is_client = false;
	} else if (what < 75) {
		closes(s, t, i + 1);
		naive_return(w, c, stream_ns(s, t));
		c->is_open = false;
	} else if (what < 78) {
		naive_reap(w, c, stream_ns(s, t));
		closes_by(s, t, i + 1, CLOSE_PEER);
		c->is_open = false;
	}
}

static void one_stream(uint32_t seed, uint32_t *max_k, bool *has_ghosts)
{
	static const double pauses[] = {0.2, 1, 4, 12};
	struct naive *w = calloc(1, sizeof(*w));
	double t = 0.5, until = 0, pause = 1;
	struct stream s;

	assert_non_null(w);
	w->seed = w->rng = seed;
	stream_init(&s, false, NULL);
	holder(&s, 0, 1, "g");
	s.on_tick = compare;
	s.arg = w;
	while (t < 1500 && w->n < MAX) {
		if (t > until) {
			pause = pauses[draw(w, T_COUNT(pauses))];
			until = t + 100;
		}
		/* Away from the ticks, so that nothing hangs on rounding. */
		t += 0.05 + pause * draw(w, 1000) / 500.0;
		if (fabs(t - round(t)) < 0.03)
			t += 0.1;
		step(&s, w, t);
	}
	stream_run(&s, t + 200);
	*max_k = w->max_k > *max_k ? w->max_k : *max_k;
	*has_ghosts |= w->has_ghosts;
	stream_release(&s);
	free(w);
}

static void the_detector_agrees_with_the_direct_version(void **state)
{
	bool has_ghosts = false;
	uint32_t max_k = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++)
		one_stream(seed, &max_k, &has_ghosts);
	/* else the streams tested nothing */
	assert_true(max_k >= 5);
	assert_true(has_ghosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_detector_agrees_with_the_direct_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
