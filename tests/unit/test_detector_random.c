/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector_random.c - any stream of events, full tables and slots used again included: nothing
 * breaks, and neither ids nor the hour matter
 * objects: core/canary.o core/canary_verdict.o core/power.o core/baseline.o core/text.o
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include "../../user/core/canary.h"
#include "stream.h"

#define SEEDS 12

struct world {
	uint32_t rng;
	bool mostly_opens;
	uint64_t id_factor; /* conn ids are multiplied by it */
	struct canary *canary;
	uint64_t digest;
	uint32_t leaks;
};

static uint32_t draw(struct world *w, uint32_t below)
{
	w->rng = w->rng * 1664525 + 1013904223;
	return (w->rng >> 8) % below;
}

static void fold(struct world *w, uint64_t x)
{
	w->digest = (w->digest ^ x) * 0x100000001b3ULL;
}

/* Everything that a reader may ask at a tick. */
static void read_all(struct stream *s, int64_t now_ns)
{
	struct world *w = s->arg;

	for (uint32_t i = 0; i < proctab_n_usages(s->pt); i++) {
		struct usage_view v;

		detector_usage(s->d, s->pt, i, &v);
		assert_true(v.k <= v.abandoned + v.reaped);
		/* a rate is told where something is suspected, and then with its interval */
		assert_true(isnan(v.rate_per_min) ||
			    (v.abandoned >= 2 && v.rate_low <= v.rate_per_min &&
			     v.rate_per_min <= v.rate_high));
		assert_true(v.abandoned < 2 || v.k < 3 || v.state == USAGE_BLIND ||
			    !isnan(v.rate_per_min));
		fold(w, (uint64_t)v.k << 40 | (uint64_t)v.k_own << 20 | v.abandoned);
		fold(w, (uint64_t)v.state << 32 | v.passed_over);
	}
	for (uint32_t i = 0; i < detector_n_findings(s->d); i++) {
		struct finding f;

		assert_int_equal(detector_finding(s->d, s->pt, i, &f), 0);
		assert_true(f.reason[0] && f.n_conns <= f.conns_total);
		assert_true((f.kind == FINDING_LEAK || f.kind == FINDING_FD_LEAK) == !!f.holder);
		w->leaks += f.kind == FINDING_LEAK;
		fold(w, (uint64_t)f.kind << 8 | (uint64_t)f.status << 4 | f.rule);
		finding_release(&f);
	}
	canary_tick(w->canary, s->pt, s->d, now_ns);
}

static void step(struct stream *s, struct world *w, double t)
{
	uint64_t h = 1 + draw(w, 6), conn = (1 + draw(w, 400)) * w->id_factor;
	struct event ev = {.holder = h, .conn = conn, .tid = draw(w, 3), .site = draw(w, 3)};
	struct holder_info info = {.pid = (uint32_t)h, .group = (char *)(h % 2 ? "a" : "b")};
	uint32_t what = draw(w, 100);

	ev.io.tx_ns = stream_ns(s, t) - draw(w, 3) * NS_PER_S / 2;
	/* Some streams mostly open, so that there are leaks among them. */
	if (what < 45 || (w->mostly_opens && what < 80 && draw(w, 8))) {
		ev.kind = EV_OPEN;
		ev.open.local = (struct endpoint){0};
		ev.open.peer = stream_pg;
		ev.open.peer.port = (uint16_t)(5432 + draw(w, 2));
		ev.open.adopted = !draw(w, 10);
	} else if (what < 62) {
		ev.kind = EV_IO;
		ev.io.rx_ns = stream_ns(s, t) - draw(w, 3) * NS_PER_S / 2;
		ev.io.tx = draw(w, 5000);
		ev.io.rx = draw(w, 5000);
		ev.io.last = (enum io_last)draw(w, 3);
	} else if (what < 74) {
		ev.kind = EV_CLOSE;
		ev.close = (enum close_by)draw(w, 5);
	} else if (what < 80) {
		ev.kind = EV_FIN;
		ev.fin = (enum fin_how)draw(w, 4);
	} else if (what < 85) {
		uint32_t kind = draw(w, 4);

		ev.kind = kind < 2 ? EV_MOVE : kind == 2 ? EV_HELD : EV_VIA;
		ev.io.tx_ns = 0;
		if (ev.kind == EV_VIA)
			ev.via = draw(w, 7);
		if (ev.kind == EV_HELD) {
			ev.held.n = ev.held.total = draw(w, 3);
			ev.held.pids[0] = 1 + draw(w, 6);
			ev.held.pids[1] = 1 + draw(w, 6);
		}
	} else if (what < 86 && !draw(w, 10)) {
		ev.kind = EV_EXIT;
	} else if (what < 89) {
		ev.kind = EV_THREAD_EXIT;
	} else if (what < 90) {
		ev.kind = EV_USE;
	} else if (what < 92) {
		ev.kind = EV_BUDGET;
		ev.budget.peer = stream_pg;
		ev.budget.limit = draw(w, 60);
		ev.budget.used = (int64_t)draw(w, 60) - 1;
		ev.budget.scope = (enum budget_scope)draw(w, 2);
	} else if (what < 93) {
		ev.kind = EV_LOST;
		ev.lost.events = draw(w, 3);
		ev.lost.where = LOST_RING;
	} else {
		ev.kind = EV_HOLDER;
		ev.info = &info;
	}
	stream_event(s, t, ev);
}

static struct world one_stream(uint32_t seed, uint64_t id_factor, int64_t offset_ns)
{
	struct proctab_limits limits = {.max_conns = seed % 3 ? 0 : 40, .max_usages = 8};
	struct world w = {.rng = seed, .mostly_opens = seed % 2, .id_factor = id_factor};
	struct canary_params p = {.window_ns = 600 * NS_PER_S,
				  .detect_per_min = 0.5,
				  .confidence = 0.99,
				  .start_ns = offset_ns};
	struct verdict v;
	struct stream s;
	double t = 0.5;

	stream_init(&s, true, &limits);
	s.offset_ns = offset_ns;
	w.canary = canary_new(&p);
	assert_non_null(w.canary);
	s.on_tick = read_all;
	s.arg = &w;
	for (uint64_t h = 1; h <= 6; h++)
		holder(&s, 0.1, h, h % 2 ? "a" : "b");
	tells_site(&s, 0.1, 1, "placeOrder");
	tells_site(&s, 0.1, 2, NULL);
	for (int i = 0; i < 700; i++) {
		t += 0.003 + draw(&w, 1000) / 250.0;
		step(&s, &w, t);
	}
	stream_run(&s, t + 1500);
	canary_verdict(w.canary, s.pt, s.d, CANARY_END_TIME, &v);
	assert_true(v.kind == VERDICT_LEAK || v.kind == VERDICT_INCONCLUSIVE || v.exchanges >= 20);
	fold(&w, v.kind);
	canary_free(w.canary);
	stream_release(&s);
	return w;
}

static void any_stream_is_borne_and_neither_ids_nor_the_hour_matter(void **state)
{
	uint32_t leaks = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		struct world a = one_stream(seed, 1, 0);
		struct world b = one_stream(seed, 7919, 86400 * NS_PER_S);

		if (a.digest != b.digest)
			fail_msg("seed %u: not the same", seed);
		leaks += a.leaks;
	}
	assert_true(leaks > 0); /* else the streams tested little */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_stream_is_borne_and_neither_ids_nor_the_hour_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
