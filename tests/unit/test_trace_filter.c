/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trace_filter.c - a recording of some processes is whole, and has nothing of the others
 * objects: core/trace_filter.o core/event.o core/holder_info.o core/site_info.o core/idmap.o
 * objects: core/slots.o core/endpoint.o core/proctab.o core/proctab_store.o
 * objects: core/sitetab.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include "../../user/core/proctab.h"
#include "../../user/core/trace_filter.h"

static const struct endpoint pg = {{10, 0, 4, 12}, 5432, 4, 0};
static const struct endpoint other_pg = {{10, 0, 4, 13}, 5432, 4, 0};

struct filtered {
	struct trace_filter *f;
	struct snapshot in, out;
	struct proctab *pt; /* what is left must be well-formed for whoever reads it */
	unsigned n[EV_MAX];
	bool all_peers;
};

static bool wants_holder(void *arg, const struct holder_info *h)
{
	(void)arg;
	return h->pid == 4711;
}

static bool wants_peer(void *arg, const struct endpoint *peer)
{
	const struct filtered *x = arg;

	return x->all_peers || endpoint_equal(peer, &pg);
}

static void begin(struct filtered *x)
{
	const struct trace_filter_ops ops = {wants_holder, wants_peer, x};

	*x = (struct filtered){.f = trace_filter_new(&ops), .pt = proctab_new(NULL)};
	assert_non_null(x->f);
	snapshot_init(&x->in);
	snapshot_init(&x->out);
}

static void end(struct filtered *x)
{
	trace_filter_free(x->f);
	snapshot_release(&x->in);
	snapshot_release(&x->out);
	proctab_free(x->pt);
}

static void holder(struct filtered *x, uint64_t id, uint32_t pid)
{
	const struct holder_info h = {.pid = pid, .uid = -1, .comm = "app", .exe = (char *)"/app"};

	assert_int_equal(snapshot_push_holder(&x->in, 0, id, &h), 0);
}

static void opens(struct filtered *x, uint64_t holder_id, uint64_t conn, struct endpoint peer)
{
	struct event ev = {.kind = EV_OPEN, .conn = conn, .holder = holder_id};

	ev.open.peer = peer;
	assert_int_equal(snapshot_push(&x->in, &ev), 0);
}

static void push(struct filtered *x, struct event ev)
{
	assert_int_equal(snapshot_push(&x->in, &ev), 0);
}

/* Filters what was pushed, and counts what is left by kind. */
static void run(struct filtered *x)
{
	struct proctab_change ch;

	snapshot_clear(&x->out);
	assert_int_equal(trace_filter_apply(x->f, &x->in, &x->out), 0);
	for (size_t i = 0; i < x->out.n_events; i++) {
		x->n[x->out.events[i].kind]++;
		assert_int_equal(proctab_apply(x->pt, &x->out.events[i], &ch), 0);
	}
	snapshot_clear(&x->in);
}

static void others_leave_nothing(void **state)
{
	struct filtered x;

	(void)state;
	begin(&x);
	holder(&x, 1, 4711);
	holder(&x, 2, 5002);
	opens(&x, 1, 11, pg);
	opens(&x, 2, 12, pg);
	push(&x, (struct event){.kind = EV_IO, .conn = 11});
	push(&x, (struct event){.kind = EV_IO, .conn = 12});
	push(&x, (struct event){.kind = EV_FIN, .conn = 12});
	push(&x, (struct event){.kind = EV_CLOSE, .conn = 12});
	push(&x, (struct event){.kind = EV_EXIT, .holder = 2});
	push(&x, (struct event){.kind = EV_CLOSE, .conn = 11});
	push(&x, (struct event){.kind = EV_TICK});
	run(&x);
	assert_int_equal(x.n[EV_HOLDER], 1);
	assert_int_equal(x.n[EV_OPEN], 1);
	assert_int_equal(x.n[EV_IO], 1);
	assert_int_equal(x.n[EV_FIN], 0);
	assert_int_equal(x.n[EV_CLOSE], 1);
	assert_int_equal(x.n[EV_EXIT], 0);
	assert_int_equal(x.n[EV_TICK], 1);
	end(&x);
}

static void what_moves_away_names_its_new_holder(void **state)
{
	struct filtered x;

	(void)state;
	begin(&x);
	holder(&x, 1, 4711);
	holder(&x, 2, 5002);
	opens(&x, 1, 11, pg);
	opens(&x, 2, 12, pg);
	run(&x);
	push(&x, (struct event){.kind = EV_MOVE, .conn = 11, .holder = 2});
	push(&x, (struct event){.kind = EV_EXIT, .holder = 1});
	push(&x, (struct event){.kind = EV_VIA, .conn = 11, .via = 2});
	push(&x, (struct event){.kind = EV_CLOSE, .conn = 11});
	push(&x, (struct event){.kind = EV_EXIT, .holder = 2});
	run(&x);
	assert_int_equal(x.n[EV_HOLDER], 2);
	assert_int_equal(x.n[EV_OPEN], 1);
	assert_int_equal(x.n[EV_MOVE], 1);
	assert_int_equal(x.n[EV_VIA], 1);
	assert_int_equal(x.n[EV_CLOSE], 1);
	assert_int_equal(x.n[EV_EXIT], 2);
	end(&x);
}

static void what_moves_to_the_target_is_told_then(void **state)
{
	struct event io = {.kind = EV_IO, .conn = 12};
	struct filtered x;
	const struct conn *c;

	(void)state;
	begin(&x);
	holder(&x, 1, 4711);
	holder(&x, 2, 5002);
	opens(&x, 2, 12, pg);
	opens(&x, 2, 13, pg);
	io.io.tx_ns = 5;
	io.io.rx_ns = 6;
	io.io.rx = 480;
	push(&x, io);
	run(&x);
	assert_int_equal(x.n[EV_OPEN], 0);
	push(&x, (struct event){.kind = EV_MOVE, .conn = 12, .holder = 1});
	run(&x);
	assert_int_equal(x.n[EV_HOLDER], 2);
	assert_int_equal(x.n[EV_OPEN], 1);
	assert_int_equal(x.n[EV_IO], 1);
	assert_int_equal(x.n[EV_MOVE], 1);
	c = proctab_conn(x.pt, proctab_find_conn(x.pt, 12));
	assert_non_null(c);
	assert_true(c->adopted);
	assert_int_equal(c->rx, 480);
	push(&x, (struct event){.kind = EV_CLOSE, .conn = 12});
	push(&x, (struct event){.kind = EV_CLOSE, .conn = 13});
	run(&x);
	assert_int_equal(x.n[EV_CLOSE], 1);
	end(&x);
}

static void another_peer_leaves_no_counters_that_are_not_its(void **state)
{
	struct event fails = {.kind = EV_FAIL, .holder = 1};
	struct filtered x;

	(void)state;
	begin(&x);
	holder(&x, 1, 4711);
	opens(&x, 1, 11, pg);
	push(&x, (struct event){.kind = EV_COUNT, .holder = 1, .count = {.opened = 1, .open = 1}});
	run(&x);
	assert_int_equal(x.n[EV_COUNT], 1);
	opens(&x, 1, 12, other_pg);
	push(&x, (struct event){.kind = EV_COUNT, .holder = 1, .count = {.opened = 2, .open = 2}});
	fails.fail.peer = other_pg;
	push(&x, fails);
	fails.fail.peer = pg;
	push(&x, fails);
	run(&x);
	assert_int_equal(x.n[EV_OPEN], 1);
	assert_int_equal(x.n[EV_COUNT], 1);
	assert_int_equal(x.n[EV_FAIL], 1);
	end(&x);
}

static void an_ended_process_gets_its_last_count(void **state)
{
	struct filtered x;

	(void)state;
	begin(&x);
	x.all_peers = true;
	holder(&x, 1, 4711);
	opens(&x, 1, 11, pg);
	push(&x, (struct event){.kind = EV_EXIT, .holder = 1});
	run(&x);
	push(&x, (struct event){.kind = EV_CLOSE, .conn = 11});
	push(&x,
	     (struct event){.kind = EV_COUNT, .holder = 1, .count = {.opened = 1, .closed = 1}});
	run(&x);
	assert_int_equal(x.n[EV_CLOSE], 1);
	assert_int_equal(x.n[EV_COUNT], 1);
	end(&x);
}

/* A reader refuses a line that names a holder which was never told. */
static void who_was_never_told_is_not_named(void **state)
{
	struct filtered x;

	(void)state;
	begin(&x);
	holder(&x, 1, 4711);
	opens(&x, 1, 11, pg);
	push(&x, (struct event){.kind = EV_VIA, .conn = 11, .via = 9});
	push(&x, (struct event){.kind = EV_MOVE, .conn = 11, .holder = 9});
	push(&x, (struct event){.kind = EV_VIA, .conn = 11});
	run(&x);
	assert_int_equal(x.n[EV_MOVE], 0);
	assert_int_equal(x.n[EV_VIA], 1);
	end(&x);
}

static void another_peers_budget_is_left_out(void **state)
{
	struct filtered x;
	struct event budget = {.kind = EV_BUDGET};

	(void)state;
	begin(&x);
	budget.budget.limit = 97;
	push(&x, budget);
	budget.budget.peer = pg;
	push(&x, budget);
	budget.budget.peer = other_pg;
	push(&x, budget);
	run(&x);
	assert_int_equal(x.n[EV_BUDGET], 2);
	end(&x);
}

/* 100,000 short lives pass through tables that hold what lives. */
static void ended_processes_are_forgotten(void **state)
{
	struct filtered x;

	(void)state;
	begin(&x);
	for (uint64_t i = 1; i <= 100000; i++) {
		holder(&x, i, i % 2 ? 4711 : 5002);
		opens(&x, i, i, pg);
		push(&x, (struct event){.kind = EV_CLOSE, .conn = i});
		push(&x, (struct event){.kind = EV_EXIT, .holder = i});
		run(&x);
		proctab_forget_holder(x.pt, proctab_find_holder(x.pt, i));
	}
	assert_int_equal(x.n[EV_OPEN], 50000);
	assert_int_equal(x.n[EV_EXIT], 50000);
	end(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_leave_nothing),
		cmocka_unit_test(what_moves_away_names_its_new_holder),
		cmocka_unit_test(what_moves_to_the_target_is_told_then),
		cmocka_unit_test(another_peer_leaves_no_counters_that_are_not_its),
		cmocka_unit_test(an_ended_process_gets_its_last_count),
		cmocka_unit_test(who_was_never_told_is_not_named),
		cmocka_unit_test(another_peers_budget_is_left_out),
		cmocka_unit_test(ended_processes_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
