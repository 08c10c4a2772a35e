/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_detector_held.c - who holds a leaked connection, where it ends, and what is left of it when
 * the server has gone: moved, unheld, behind a pooler, descriptor only
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include <stdio.h>

#include "stream.h"

#define PARENT 1
#define CHILD  2

static void moves(struct stream *s, double t_s, uint64_t conn, uint64_t to)
{
	stream_event(s, t_s, (struct event){.kind = EV_MOVE, .conn = conn, .holder = to});
}

static void unheld(struct stream *s, double t_s, uint64_t conn)
{
	stream_event(s, t_s, (struct event){.kind = EV_HELD, .conn = conn});
}

/* Its own holder has it again. */
static void held(struct stream *s, double t_s, uint64_t conn)
{
	struct event ev = {.kind = EV_HELD, .conn = conn};

	ev.held.pids[0] = PARENT;
	ev.held.n = ev.held.total = 1;
	stream_event(s, t_s, ev);
}

static uint32_t usage_of(const struct stream *s, uint64_t holder_id)
{
	return proctab_holder(s->pt, proctab_find_holder(s->pt, holder_id))->first_usage;
}

/* Eight leaked ones over as many minutes, found; then the opener hands all on to its child. */
static void leak_and_fork(struct stream *s)
{
	stream_begin(s, false);
	holder(s, 0, CHILD, "shop/orders/app");
	leak(s, 1, 440, 55, 1);
	stream_run(s, 500);
	assert_true(s->fired_s > 0);
}

static void a_finding_names_who_holds_it_now(void **state)
{
	struct finding before, after;
	struct stream s;

	(void)state;
	leak_and_fork(&s);
	before = finding_of(&s, 0);
	assert_int_equal(before.holder->pid, PARENT);
	assert_int_equal(before.conns[0].n_held_by, 1);
	assert_int_equal(before.conns[0].held_by[0], PARENT);
	exits(&s, 510, PARENT);
	for (uint64_t i = 1; i <= 8; i++)
		moves(&s, 511, i, CHILD);
	stream_run(&s, 530);
	after = finding_of(&s, usage_of(&s, CHILD));
	assert_int_equal(after.holder->pid, CHILD);
	assert_int_equal(after.open, 8);
	assert_int_equal(after.moved_in, 8);
	assert_int_equal(after.conns[0].held_by[0], CHILD);
	assert_true(after.leaked >= 7);
	assert_string_equal(after.group, before.group);
	assert_string_not_equal(after.id, before.id);
	/* one leak is one finding */
	assert_int_equal(detector_n_findings(s.d), 1);
	finding_release(&before);
	finding_release(&after);
	/* the opener is not kept for their sake */
	assert_int_equal(proctab_find_holder(s.pt, PARENT), SLOT_NONE);
	for (uint64_t i = 1; i <= 8; i++)
		closes(&s, 540, i);
	stream_run(&s, 1200);
	assert_int_equal(detector_n_findings(s.d), 0);
	stream_release(&s);
}

/* Ended processes' rungs are carried over; those that live on in a child must not count twice. */
static void what_was_handed_on_counts_once(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	holder(&s, 0, CHILD, "shop/orders/app");
	healthy_history(&s, 100);
	leak(&s, 101, 400, 75, 1); /* four */
	exits(&s, 470, PARENT);
	for (uint64_t i = 1; i <= 4; i++)
		moves(&s, 471, i, CHILD);
	opens(&s, 472, 50);
	stream_run(&s, 800);
	for (uint32_t i = 0; i < detector_n_findings(s.d); i++) {
		struct finding f;

		assert_int_equal(detector_finding(s.d, s.pt, i, &f), 0);
		assert_int_not_equal(f.rule, RULE_SERVICE);
		finding_release(&f);
	}
	stream_release(&s);
}

/* A prefork parent opens all, each worker takes some and uses them: nothing leaks. */
static void a_pool_that_is_handed_on_is_no_leak(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	holder(&s, 0, CHILD, "shop/orders/app");
	for (uint64_t i = 1; i <= 12; i++) {
		opens(&s, (double)i * 20, i);
		query(&s, (double)i * 20 + 0.1, i, 100);
	}
	for (uint64_t i = 1; i <= 12; i++)
		moves(&s, 250, i, CHILD);
	for (int t = 251; t < 1500; t += 3)
		query(&s, t, 1 + (uint64_t)t / 3 % 12, 200);
	assert_int_equal(detector_find(s.d, usage_of(&s, CHILD)), SLOT_NONE);
	stream_release(&s);
}

/* A parent opens one after the other and hands each on at once; the child keeps them all. */
static void what_is_handed_on_one_by_one_and_left_is_the_keepers_leak(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	holder(&s, 0, CHILD, "shop/orders/app");
	for (uint64_t i = 1; i <= 30; i++) {
		opens(&s, (double)i * 6, i);
		query(&s, (double)i * 6 + 0.1, i, 150);
		/* long before it could have been passed over where it was opened */
		moves(&s, (double)i * 6 + 3, i, CHILD);
	}
	stream_run(&s, 190);
	assert_int_not_equal(detector_find(s.d, usage_of(&s, CHILD)), SLOT_NONE);
	stream_release(&s);
}

static void what_nobody_holds_is_nobodys_leak(void **state)
{
	struct usage_view v;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	leak(&s, 1, 25, 6, 1);
	/* each leaves its descriptor as soon as it is opened: an io_uring keeps them */
	for (uint64_t i = 1; i <= 4; i++)
		unheld(&s, 26, i);
	for (uint64_t i = 5; i <= 40; i++) {
		opens(&s, (double)i * 6, i);
		query(&s, (double)i * 6 + 0.1, i, 150);
		unheld(&s, (double)i * 6 + 1, i);
	}
	stream_run(&s, 400);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.k, 0);
	assert_int_equal(v.abandoned, 0);
	assert_int_equal(v.passed_over, 0);
	assert_int_equal(proctab_usage(s.pt, 0)->counts.open, 40);
	/* They land, and are what they were: left idle, as soon as another passes over them. */
	for (uint64_t i = 1; i <= 40; i++)
		held(&s, 401, i);
	opens(&s, 410, 100);
	stream_run(&s, 440);
	detector_usage(s.d, s.pt, 0, &v);
	assert_int_equal(v.passed_over, 40);
	assert_true(s.max_k >= 20);
	stream_release(&s);
}

/* --- poolers --- */

#define BOUNCER 9

/* The application leaks at the pooler; each of its connections costs one of the pooler's own. */
static void leak_through_a_pooler(struct stream *s)
{
	struct event ev = {.kind = EV_OPEN, .tid = 9, .holder = BOUNCER};
	struct holder_info info = {.pid = BOUNCER, .uid = -1, .comm = "pgbouncer"};

	stream_begin(s, true);
	info.group = (char *)"pgbouncer.service";
	stream_event(s, 0, (struct event){.kind = EV_HOLDER, .holder = BOUNCER, .info = &info});
	ev.open.peer = stream_pg;
	ev.open.peer.addr[3] = 77;
	for (uint64_t i = 1; i <= 30; i++) {
		opens(s, (double)i * 6, i);
		query(s, (double)i * 6 + 0.1, i, 150);
		ev.conn = 1000 + i;
		stream_event(s, (double)i * 6 + 0.2, ev);
		query(s, (double)i * 6 + 0.3, 1000 + i, 150);
		if (i == 1)
			stream_event(s, 6.5,
				     (struct event){.kind = EV_VIA, .conn = 1, .via = BOUNCER});
	}
	stream_run(s, 250);
}

static void the_poolers_finding_is_downstream_of_the_applications(void **state)
{
	struct finding app, pooler;
	struct stream s;

	(void)state;
	leak_through_a_pooler(&s);
	app = finding_of(&s, 0);
	pooler = finding_of(&s, usage_of(&s, BOUNCER));
	assert_int_equal(app.via_pid, BOUNCER);
	assert_string_equal(app.via_comm, "pgbouncer");
	assert_string_equal(app.downstream_of, "");
	assert_int_equal(pooler.via_pid, 0);
	assert_string_equal(pooler.downstream_of, app.id);
	finding_release(&app);
	finding_release(&pooler);
	/* Once it is known no more, it is said no more. */
	stream_event(&s, 251, (struct event){.kind = EV_VIA, .conn = 1});
	stream_run(&s, 253);
	pooler = finding_of(&s, usage_of(&s, BOUNCER));
	assert_string_equal(pooler.downstream_of, "");
	finding_release(&pooler);
	stream_release(&s);
}

/* --- descriptors without slots --- */

static void ended_and_never_closed_is_a_kind_of_its_own_and_in_no_used(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	budget(&s, 0.5, 50, -1);
	for (uint64_t i = 1; i <= 20; i++) {
		opens(&s, (double)i * 30, i);
		query(&s, (double)i * 30 + 0.1, i, 150);
		fin(&s, (double)i * 30 + 20, i);
	}
	stream_run(&s, 700);
	f = finding_of(&s, 0);
	assert_int_equal(f.kind, FINDING_FD_LEAK);
	assert_int_equal(f.severity, SEVERITY_WARNING);
	assert_int_equal(f.open, 20);
	assert_int_equal(f.fd_only, 20);
	assert_int_equal(f.used, 0);
	assert_true(isnan(f.exhausted_in_s));
	finding_release(&f);
	assert_int_equal(detector_n_findings(s.d), 1); /* no budget, no rate */
	stream_release(&s);
}

#define POOL 20

enum reuse { LIFO, RANDOM, FIFO };

struct pool {
	uint64_t idle[POOL]; /* the one to use next last */
	bool is_dead[POOL];
	uint64_t next_id;
	uint32_t rng;
};

static uint32_t draw(struct pool *p, uint32_t below)
{
	p->rng = p->rng * 1664525 + 1013904223;
	return (p->rng >> 8) % below;
}

/* Which place of the pool a request takes when @busy others run beside it. */
static uint32_t place(struct pool *p, enum reuse how, uint32_t busy, uint32_t *turn)
{
	if (how == LIFO)
		return busy;
	return how == RANDOM ? draw(p, POOL) : (*turn)++ % POOL;
}

/* The pool finds out at the next use: closes what is dead, opens another in its place. */
static void request(struct stream *s, struct pool *p, double t, uint32_t i)
{
	if (p->is_dead[i]) {
		closes(s, t, p->idle[i]);
		p->idle[i] = ++p->next_id;
		p->is_dead[i] = false;
		opens(s, t + 0.01, p->idle[i]);
	}
	query(s, t + 0.02, p->idle[i], 200);
}

/* Deeper places are taken less often: the 20th once in some minutes. */
static uint32_t concurrency(struct pool *p)
{
	uint32_t n = 0;

	while (n < POOL - 1 && draw(p, 100) < 78)
		n++;
	return n;
}

static void restart(bool is_canary, enum reuse how, double every_s, uint32_t seed)
{
	struct pool p = {.next_id = POOL, .rng = seed};
	uint32_t turn = 0;
	struct stream s;

	stream_begin(&s, is_canary);
	for (uint32_t i = 0; i < POOL; i++) {
		p.idle[i] = i + 1;
		opens(&s, 1 + i * 0.05, i + 1);
		query(&s, 1.02 + i * 0.05, i + 1, 150);
	}
	for (double t = 3; t < 600; t += every_s)
		request(&s, &p, t, place(&p, how, concurrency(&p), &turn));
	for (uint32_t i = 0; i < POOL; i++) {
		fin(&s, 605 + i * 0.001, p.idle[i]);
		p.is_dead[i] = true;
	}
	for (double t = 610; t < 2400; t += every_s)
		request(&s, &p, t, place(&p, how, concurrency(&p), &turn));
	if (s.fired_s >= 0)
		fail_msg("reuse %d every %.0f s, seed %u: fired after %.0f s by %s, k %u", how,
			 every_s, seed, s.fired_s, rule_name(s.fired_rule), s.max_k);
	stream_release(&s);
}

static void a_pool_that_notices_a_restart_at_its_next_use_is_no_finding(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 5; seed++) {
		for (int canary = 0; canary < 2; canary++) {
			restart(canary, LIFO, 2, seed);
			restart(canary, LIFO, 6, seed);
			restart(canary, RANDOM, 2, seed);
			restart(canary, RANDOM, 8, seed);
			restart(canary, FIFO, 5, seed);
			restart(canary, FIFO, 30, seed);
		}
	}
}

/* Of a code path that forgets them, the restart and its replacements hide nothing. */
static void a_leak_is_found_across_a_restart(void **state)
{
	struct pool p = {.next_id = POOL, .rng = 1};
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	for (uint32_t i = 0; i < POOL; i++) {
		p.idle[i] = i + 1;
		opens(&s, 1 + i * 0.05, i + 1);
		query(&s, 1.02 + i * 0.05, i + 1, 150);
	}
	for (double t = 3; t < 600; t += 2)
		request(&s, &p, t, draw(&p, POOL));
	for (uint32_t i = 0; i < POOL; i++) {
		fin(&s, 605 + i * 0.001, p.idle[i]);
		p.is_dead[i] = true;
	}
	for (double t = 610; t < 1300; t += 2) {
		request(&s, &p, t, draw(&p, POOL));
		if ((int)t % 20 == 0) {
			opens(&s, t + 1, 5000 + (uint64_t)t);
			query(&s, t + 1.1, 5000 + (uint64_t)t, 150);
		}
	}
	/*
	 * They exchange once, as the pool's do at first, so they pass for signed on and never used:
	 * that takes as long as `cold`.
	 */
	assert_true(s.fired_s > 610 && s.fired_s < 1250);
	stream_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finding_names_who_holds_it_now),
		cmocka_unit_test(what_was_handed_on_counts_once),
		cmocka_unit_test(a_pool_that_is_handed_on_is_no_leak),
		cmocka_unit_test(what_is_handed_on_one_by_one_and_left_is_the_keepers_leak),
		cmocka_unit_test(what_nobody_holds_is_nobodys_leak),
		cmocka_unit_test(the_poolers_finding_is_downstream_of_the_applications),
		cmocka_unit_test(ended_and_never_closed_is_a_kind_of_its_own_and_in_no_used),
		cmocka_unit_test(a_leak_is_found_across_a_restart),
		cmocka_unit_test(a_pool_that_notices_a_restart_at_its_next_use_is_no_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
