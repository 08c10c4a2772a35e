/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_gen_pool.c - what the scenario generator's servers, pools, requests and proxies do
 * objects: tools/gen/world.o tools/gen/proc.o tools/gen/server.o tools/gen/conn.o
 * objects: tools/gen/truth.o tools/gen/rng.o tools/gen/pool.o tools/gen/traffic.o
 * objects: tools/gen/proxy.o
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o core/endpoint.o
 * objects: core/holder_info.o core/site_info.o core/sitetab.o core/identity.o
 * objects: core/app_frame.o
 */
#include "../../tools/gen/rng.h"

#include "t.h"

#include <errno.h>
#include <stdlib.h>

#include "../../tools/gen/proxy.h"
#include "../../user/core/proctab.h"

#define HOUR 3600.0

/* A world, the table its events make, and how often what was told. */
struct fix {
	struct world *w;
	struct proctab *pt;
	struct gen_server *server;
	struct gen_proc *p;
	uint64_t n[EV_MAX], n_adopted;
	uint64_t n_tids;
	uint32_t last_tid;
	int last_errno;
	enum close_by last_close;
};

static void on_event(void *arg, const struct event *ev)
{
	struct fix *f = arg;
	struct proctab_change ch;

	assert_int_equal(proctab_apply(f->pt, ev, &ch), 0);
	f->n[ev->kind]++;
	if (ev->kind == EV_FAIL)
		f->last_errno = ev->fail.err;
	if (ev->kind == EV_CLOSE)
		f->last_close = ev->close;
	if (ev->kind != EV_OPEN)
		return;
	f->n_adopted += ev->open.adopted;
	f->n_tids += ev->tid != f->last_tid;
	f->last_tid = ev->tid;
}

static void setup(struct fix *f, const struct gen_server_conf *conf)
{
	*f = (struct fix){.pt = proctab_new(NULL)};
	assert_non_null(f->pt);
	f->w = world_new(&(struct world_opts){.seed = 11, .event = on_event, .arg = f});
	f->server = gen_server_new(f->w, conf);
	f->p = gen_proc_new(f->w, &(struct gen_proc_conf){.service = "app", .version = "v1"});
}

static void teardown(struct fix *f)
{
	struct counts k;

	proctab_ledger(f->pt, &k);
	assert_int_equal(k.opened + k.adopted, k.closed + k.open);
	assert_int_equal(world_truth(f->w)->n_broken, 0);
	world_free(f->w);
	proctab_free(f->pt);
}

static struct counts ledger(const struct fix *f)
{
	struct counts k;

	proctab_ledger(f->pt, &k);
	return k;
}

static struct gen_conn *open_one(struct fix *f)
{
	return gen_open(f->p, f->p->pid, 0, f->server);
}

/* --- connections and servers --- */

static void bytes_show_when_they_are_there(void **state)
{
	struct fix f;
	const struct conn *c;
	struct gen_conn *g;

	(void)state;
	setup(&f, &(struct gen_server_conf){.rtt_s = 0.001});
	g = open_one(&f);
	world_run(f.w, 5);
	c = proctab_conn(f.pt, proctab_find_conn(f.pt, g->id));
	assert_true(c->has_io && c->tx > 0 && c->rx > 300);
	assert_int_equal(c->last, IO_LAST_RX);
	/* A query of three seconds is the server's turn for three seconds. */
	assert_true(gen_query(g, 3, 100, 5000));
	world_run(f.w, 7);
	c = proctab_conn(f.pt, proctab_find_conn(f.pt, g->id));
	assert_false(conn_is_clients_turn(c));
	world_run(f.w, 10);
	c = proctab_conn(f.pt, proctab_find_conn(f.pt, g->id));
	assert_true(conn_is_clients_turn(c));
	assert_true(c->rx > 5000);
	assert_near((double)c->rx_ns / NS_PER_S, 8, 0.001);
	gen_close(g);
	assert_int_equal(f.last_close, CLOSE_APP);
	assert_int_equal(f.server->used, 0);
	teardown(&f);
}

static void a_full_server_refuses(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, &(struct gen_server_conf){.limit = 10, .others = 7, .has_budget = true});
	world_run(f.w, 1);
	for (int i = 0; i < 3; i++)
		assert_non_null(open_one(&f));
	assert_int_equal(world_truth(f.w)->limit_ns, NS_PER_S);
	for (int i = 0; i < 50; i++)
		assert_null(open_one(&f));
	/* A budget is told every 10 s. */
	world_run(f.w, 12);
	assert_int_equal(ledger(&f).open, 3);
	assert_int_equal(ledger(&f).opened, 53);
	assert_int_equal(ledger(&f).rejected, 50);
	/* By whoever is quicker: both ways occur. */
	assert_in_range(f.n[EV_FIN], 1, 20);
	assert_true(f.n[EV_BUDGET] > 0);
	assert_int_equal(peer_used(proctab_peer(f.pt, 0)), 10);
	teardown(&f);
}

static void a_server_that_is_down_fails_connects(void **state)
{
	struct fix f;
	struct gen_conn *g;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	g = open_one(&f);
	world_run(f.w, 5);
	gen_server_restart(f.server, 10);
	assert_true(g->has_fin);
	assert_false(gen_query(g, 0.1, 10, 10));
	assert_null(open_one(&f));
	assert_int_equal(f.last_errno, ECONNREFUSED);
	world_run(f.w, 16);
	assert_non_null(open_one(&f));
	assert_int_equal(ledger(&f).failed, 1);
	assert_int_equal(f.server->used, 1);
	gen_close(g);
	assert_int_equal(f.server->used, 1);
	teardown(&f);
}

static void the_server_ends_what_is_idle(void **state)
{
	struct fix f;
	struct gen_conn *idle, *used, *in_tx;

	(void)state;
	setup(&f, &(struct gen_server_conf){.idle_session_s = 60, .idle_tx_s = 20});
	idle = open_one(&f);
	used = open_one(&f);
	in_tx = open_one(&f);
	idle->fin = GEN_FIN_CLOSES;
	gen_pin(idle);
	world_run(f.w, 1);
	gen_begin(in_tx);
	for (int s = 2; s < 90; s += 30) {
		world_run(f.w, s);
		gen_query(used, 0.01, 50, 50);
	}
	assert_false(gen_is_open(idle));
	assert_true(in_tx->has_fin && !used->has_fin);
	assert_int_equal(f.n[EV_FIN], 2);
	teardown(&f);
}

static void an_exit_closes_and_drops_timers(void **state)
{
	struct fix f;
	struct gen_pool *pool;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	pool = gen_pool_new(f.p, &(struct pool_conf){.keep = -1, .max = 9});
	gen_traffic(pool, &(struct load){.per_s = 20}, &(struct work){.hold_s = 0.5});
	world_run(f.w, 60);
	assert_true(ledger(&f).open > 3);
	gen_proc_exit(f.p);
	assert_int_equal(ledger(&f).open, 0);
	assert_int_equal(f.last_close, CLOSE_EXIT);
	world_run(f.w, 120);
	assert_int_equal(ledger(&f).opened, ledger(&f).closed);
	assert_int_equal(f.n[EV_EXIT], 1);
	assert_near(world_process_hours(f.w), 60 / HOUR, 1e-6);
	teardown(&f);
}

static void a_late_watch_adopts(void **state)
{
	struct fix f;
	const struct conn *c;
	struct gen_conn *g;

	(void)state;
	setup(&f, &(struct gen_server_conf){.limit = 50, .has_budget = true});
	world_watch_from(f.w, 100);
	g = open_one(&f);
	open_one(&f);
	world_run(f.w, 99);
	assert_int_equal(f.n[EV_OPEN] + f.n[EV_TICK] + f.n[EV_HOLDER], 0);
	world_run(f.w, 110);
	assert_int_equal(f.n_adopted, 2);
	assert_int_equal(f.n[EV_HOLDER], 1);
	c = proctab_conn(f.pt, proctab_find_conn(f.pt, g->id));
	assert_true(c->adopted && c->rx > 300);
	assert_true(c->rx_ns < NS_PER_S);
	teardown(&f);
}

/* What gen_lose() says is held against what happens. */
static void the_truth_counts_what_ends(void **state)
{
	struct fix f;
	struct gen_conn *a, *b, *c;

	(void)state;
	setup(&f, &(struct gen_server_conf){.idle_session_s = 100});
	a = open_one(&f);
	b = open_one(&f);
	c = open_one(&f);
	b->fin = GEN_FIN_CLOSES;
	world_run(f.w, 10);
	gen_lose(a);
	gen_lose(b);
	gen_lose(c);
	world_run(f.w, 60);
	gen_ping(c);
	world_run(f.w, 120);
	assert_int_equal(world_truth(f.w)->n_leaked, 3);
	assert_int_equal(world_truth(f.w)->n_leaked_open, 2);
	assert_int_equal(world_truth(f.w)->leaks[0].end_ns, T_NEVER);
	assert_true(world_truth(f.w)->leaks[0].slot_ns > 99 * NS_PER_S);
	assert_true(world_truth(f.w)->leaks[1].end_ns > 99 * NS_PER_S);
	assert_int_equal(world_truth(f.w)->leaks[2].slot_ns, T_NEVER);
	assert_int_equal(world_truth(f.w)->n_broken, 0);
	/* A scenario that uses what it has lost is wrong, and found out. */
	gen_query(c, 0.1, 10, 10);
	assert_int_equal(world_truth(f.w)->n_broken, 1);
	world_free(f.w);
	proctab_free(f.pt);
}

/* --- pools --- */

static void a_pool_keeps_to_its_limits(void **state)
{
	struct fix f;
	struct gen_pool *pool;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	pool = gen_pool_new(f.p, &(struct pool_conf){.keep = -1, .max = 7, .n_threads = 3});
	gen_traffic(pool, &(struct load){.per_s = 50}, &(struct work){.hold_s = 1, .sigma = 1});
	for (int s = 1; s <= 300; s++) {
		world_run(f.w, s);
		assert_true(ledger(&f).open <= 7);
		assert_true(gen_pool_idle(pool) <= gen_pool_open(pool));
	}
	assert_int_equal(ledger(&f).opened, 7);
	world_drain(f.w);
	/* Who waits is still served. */
	world_run(f.w, 1e5);
	assert_int_equal(gen_pool_idle(pool), 7);
	teardown(&f);
}

/* Under light load a LIFO pool uses one, and a FIFO pool all of what a burst has opened. */
static uint64_t used_lately(enum pool_order order)
{
	struct gen_pool *pool;
	uint64_t n = 0;
	struct fix f;

	setup(&f, &(struct gen_server_conf){0});
	pool = gen_pool_new(
		f.p,
		&(struct pool_conf){.keep = -1, .max = 10, .order = order, .fill_every_s = 0.01});
	gen_traffic(pool, &(struct load){.per_s = 0.2}, &(struct work){.hold_s = 0.01});
	world_run(f.w, 1000);
	for (uint32_t i = 0; i < proctab_n_conns(f.pt); i++)
		n += conn_last_io_ns(proctab_conn(f.pt, i)) > 500 * NS_PER_S;
	teardown(&f);
	return n;
}

static void order_decides_who_lies_idle(void **state)
{
	(void)state;
	assert_in_range(used_lately(POOL_LIFO), 1, 2);
	assert_int_equal(used_lately(POOL_FIFO), 10);
	assert_int_equal(used_lately(POOL_RANDOM), 10);
}

static void without_keeping_each_request_opens(void **state)
{
	struct fix f;
	struct gen_pool *pool;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	pool = gen_pool_new(f.p, &(struct pool_conf){.n_threads = 4});
	for (int i = 0; i < 20; i++)
		gen_request(pool, &(struct work){.hold_s = 0.2, .kind = WORK_CONSTANT});
	world_run(f.w, 0.05);
	assert_int_equal(ledger(&f).open, 20);
	world_run(f.w, 5);
	assert_int_equal(ledger(&f).closed, 20);
	assert_int_equal(ledger(&f).open, 0);
	assert_true(f.n_tids > 4);
	teardown(&f);
}

static void idle_and_old_ones_are_closed(void **state)
{
	struct fix f;
	struct gen_pool *pool;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	pool = gen_pool_new(f.p, &(struct pool_conf){.keep = -1,
						     .max = 20,
						     .min_idle = 3,
						     .idle_s = 60,
						     .life_s = 600,
						     .life_jitter = 0.5,
						     .check_s = 1});
	world_run(f.w, 1);
	for (int i = 0; i < 15; i++)
		gen_request(pool, &(struct work){.hold_s = 2, .kind = WORK_CONSTANT});
	world_run(f.w, 10);
	assert_in_range(ledger(&f).open, 15, 20);
	world_run(f.w, 80);
	assert_int_equal(ledger(&f).open, 3);
	world_run(f.w, 1000);
	assert_int_equal(ledger(&f).open, 3);
	assert_true(ledger(&f).opened > 15 + 3 + 3);
	teardown(&f);
}

static void restarts_are_noticed(void **state)
{
	(void)state;
	for (int notice = NOTICE_AT_ONCE; notice <= NOTICE_AT_USE; notice++) {
		struct pool_conf conf = {
			.keep = -1, .max = 5, .fill_every_s = 0.1, .check_s = 1000};
		struct gen_pool *pool;
		struct fix f;

		setup(&f, &(struct gen_server_conf){0});
		conf.notice = (enum pool_notice)notice;
		pool = gen_pool_new(f.p, &conf);
		world_run(f.w, 10);
		gen_server_restart(f.server, 1);
		world_run(f.w, 20);
		assert_int_equal(ledger(&f).open, notice == NOTICE_AT_ONCE ? 0 : 5);
		gen_request(pool, &(struct work){.hold_s = 0.1});
		world_run(f.w, 30);
		assert_int_equal(ledger(&f).open, 1);
		teardown(&f);
	}
}

static void a_mortal_opener_ends(void **state)
{
	struct fix f;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	gen_pool_new(f.p, &(struct pool_conf){.keep = -1,
					      .max = 3,
					      .opener = OPENER_MORTAL,
					      .opener_idle_s = 5,
					      .fill_every_s = 8});
	world_run(f.w, 60);
	assert_int_equal(f.n[EV_OPEN], 3);
	assert_int_equal(f.n[EV_THREAD_EXIT], 3);
	assert_int_equal(f.n_tids, 3);
	teardown(&f);
}

static void requests_lose_as_many_as_they_are_told(void **state)
{
	struct fix f;
	struct gen_pool *pool;
	const struct gen_truth *t;

	(void)state;
	setup(&f, &(struct gen_server_conf){.limit = 2000});
	pool = gen_pool_new(f.p, &(struct pool_conf){.keep = 2, .lose_frac = 0.1});
	gen_traffic(pool, &(struct load){.per_s = 1}, &(struct work){.hold_s = 0.05});
	world_run(f.w, HOUR);
	t = world_truth(f.w);
	assert_in_range(t->n_leaked, 300, 420);
	assert_near(t->rate_per_min, 6, 0.2);
	assert_in_range(ledger(&f).open, t->n_leaked, t->n_leaked + 5);
	teardown(&f);
}

/* --- load --- */

static double mean_rate(const struct load *l, double until_s)
{
	double t = 0, until, sum = 0;

	while (t < until_s) {
		double rate = load_rate(l, t, &until);

		assert_true(until > t);
		until = until < until_s ? until : until_s;
		sum += rate * (until - t);
		t = until;
	}
	return sum / until_s;
}

static void loads_have_their_shapes(void **state)
{
	struct load l = {.per_s = 1, .peak_per_s = 9, .period_s = 1000, .busy_s = 100};
	double until;

	(void)state;
	assert_near(mean_rate(&l, 5000), 1, 1e-9);
	l.shape = LOAD_BURSTS;
	assert_near(mean_rate(&l, 5000), 1.8, 1e-6);
	l.phase_s = 950;
	assert_near(load_rate(&l, 0, &until), 1, 1e-9);
	assert_near(until, 50, 1e-9);
	assert_near(load_rate(&l, 51, &until), 9, 1e-9);
	l.shape = LOAD_HALVES;
	assert_near(mean_rate(&l, 5000), 5, 1e-6);
	l.shape = LOAD_DAY;
	assert_near(mean_rate(&l, 5000), 5, 0.01);
	l.shape = LOAD_GROWTH;
	assert_near(mean_rate(&l, 1000), 5, 0.01);
	assert_near(load_rate(&l, 2000, &until), 9, 1e-9);
	l.shape = LOAD_DOUBLING;
	assert_near(load_rate(&l, 500, &until), 3, 1e-9);
	l.from_s = 100;
	l.until_s = 200;
	assert_near(load_rate(&l, 50, &until), 0, 1e-9);
	assert_near(until, 100, 1e-9);
	assert_near(load_rate(&l, 200, &until), 0, 1e-9);
}

static void requests_come_at_the_rate(void **state)
{
	struct load l = {
		.shape = LOAD_BURSTS, .per_s = 0.1, .peak_per_s = 3, .period_s = 600, .busy_s = 60};
	struct fix f;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	gen_traffic(gen_pool_new(f.p, &(struct pool_conf){0}), &l, &(struct work){.hold_s = 0.01});
	world_run(f.w, 6 * HOUR);
	assert_near((double)ledger(&f).opened / (6 * HOUR), 0.39, 0.03);
	teardown(&f);
}

/* --- proxies --- */

static void a_sidecar_passes_on(void **state)
{
	struct fix f;
	struct gen_conn *g;

	(void)state;
	setup(&f, &(struct gen_server_conf){.limit = 100});
	world_set_server(f.w, gen_sidecar_new(f.w, f.server));
	g = gen_open(f.p, f.p->pid, 0, world_server(f.w));
	world_run(f.w, 2);
	assert_int_equal(ledger(&f).open, 2);
	assert_int_equal(f.server->used, 1);
	assert_int_equal(f.n[EV_VIA], 1);
	gen_query(g, 0.1, 1000, 2000);
	world_run(f.w, 4);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(proctab_conn(f.pt, i)->tx > 1000 && proctab_conn(f.pt, i)->rx > 2000);
	gen_server_restart(f.server, 1);
	assert_true(g->has_fin);
	gen_close(g);
	assert_int_equal(ledger(&f).open, 0);
	teardown(&f);
}

static void a_pooler_lends_its_own(void **state)
{
	struct pool_conf own = {.keep = -1, .max = 3, .idle_s = 30, .check_s = 1};
	struct pool_conf conf = {.keep = -1, .max = 30, .fill_every_s = 0.01};
	struct fix f;

	(void)state;
	setup(&f, &(struct gen_server_conf){.limit = 100});
	conf.server = gen_bouncer_new(f.w, f.server, 2, &own);
	gen_traffic(gen_pool_new(f.p, &conf), &(struct load){.per_s = 30, .until_s = 60},
		    &(struct work){.hold_s = 0.2});
	world_run(f.w, 60);
	/* Two databases of three. */
	assert_in_range(f.server->used, 1, 6);
	assert_int_equal(ledger(&f).open, 30 + f.server->used);
	world_run(f.w, 120);
	assert_int_equal(f.server->used, 0);
	assert_int_equal(ledger(&f).open, 30);
	teardown(&f);
}

/* --- parameters --- */

static void replicas_are_drawn_alike(void **state)
{
	struct fix f;
	double first, second;
	size_t n;

	(void)state;
	setup(&f, &(struct gen_server_conf){0});
	param_int(f.w, "replicas", 1, 3);
	world_mark_params(f.w);
	first = param_log(f.w, "a", 1, 1000);
	second = param_between(f.w, "b", 0, 1);
	n = strlen(world_truth(f.w)->params);
	rng_u64(world_rng(f.w));
	world_begin_replica(f.w);
	assert_true(param_log(f.w, "a", 1, 1000) == first);
	assert_true(param_between(f.w, "b", 0, 1) == second);
	assert_int_equal(strlen(world_truth(f.w)->params), n);
	assert_non_null(strstr(world_truth(f.w)->params, " b="));
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_show_when_they_are_there),
		cmocka_unit_test(a_full_server_refuses),
		cmocka_unit_test(a_server_that_is_down_fails_connects),
		cmocka_unit_test(the_server_ends_what_is_idle),
		cmocka_unit_test(an_exit_closes_and_drops_timers),
		cmocka_unit_test(a_late_watch_adopts),
		cmocka_unit_test(the_truth_counts_what_ends),
		cmocka_unit_test(a_pool_keeps_to_its_limits),
		cmocka_unit_test(order_decides_who_lies_idle),
		cmocka_unit_test(without_keeping_each_request_opens),
		cmocka_unit_test(idle_and_old_ones_are_closed),
		cmocka_unit_test(restarts_are_noticed),
		cmocka_unit_test(a_mortal_opener_ends),
		cmocka_unit_test(requests_lose_as_many_as_they_are_told),
		cmocka_unit_test(loads_have_their_shapes),
		cmocka_unit_test(requests_come_at_the_rate),
		cmocka_unit_test(a_sidecar_passes_on),
		cmocka_unit_test(a_pooler_lends_its_own),
		cmocka_unit_test(replicas_are_drawn_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
