/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_gen.c - the scenario generator: its random numbers, the events it tells, the truth
 *
 * Every healthy family runs for a while under a checker that knows only the rules of the events
 * (docs/trace.md), and through the process table, which must refuse none.
 * objects: tools/gen/world.o tools/gen/proc.o tools/gen/server.o tools/gen/conn.o
 * objects: tools/gen/truth.o tools/gen/rng.o tools/gen/pool.o tools/gen/traffic.o
 * objects: tools/gen/proxy.o tools/gen/family.o tools/gen/incident.o tools/gen/healthy.o
 * objects: tools/gen/healthy_request.o tools/gen/healthy_pool.o tools/gen/healthy_held.o
 * objects: tools/gen/healthy_server.o tools/gen/healthy_procs.o
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o core/endpoint.o
 * objects: core/holder_info.o core/site_info.o core/sitetab.o core/identity.o
 * objects: core/app_frame.o
 */
#include "../../tools/gen/rng.h"

#include "t.h"

#include <stdlib.h>

#include "../../tools/gen/family.h"
#include "../../user/core/proctab.h"

#define SEED	  7
#define HOURS	  1.0
#define DRAIN_S	  (3 * 3600.0) /* longer than the longest pause of a healthy connection */
#define MAX_CONNS 200000
#define MAX_PROCS 20000

/* What the events alone say of a connection. */
struct seen_conn {
	bool is_open, has_fin;
	uint64_t holder, tx, rx;
	int64_t last_io_ns;
};

struct checker {
	const char *family;
	struct world *w;
	struct proctab *pt;
	struct seen_conn *conns; /* by id */
	bool *holders;		 /* by id: told, and not exited */
	uint64_t hash, n_events, n_open;
	int64_t last_ns, tick_ns;
	struct endpoint peer;
};

#define check(k, cond)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_msg("%s, event %llu: %s", (k)->family,                                \
				 (unsigned long long)(k)->n_events, #cond);                        \
	} while (0)

static void mix(struct checker *k, uint64_t x)
{
	k->hash = (k->hash ^ x) * 0x100000001b3ULL;
	k->hash ^= k->hash >> 29;
}

static void hash_event(struct checker *k, const struct event *ev)
{
	mix(k, (uint64_t)ev->t_ns);
	mix(k, (uint64_t)ev->kind << 32 | ev->tid);
	mix(k, ev->conn);
	mix(k, ev->holder);
	mix(k, ev->site);
	if (ev->kind == EV_IO) {
		mix(k, ev->io.tx + ((uint64_t)ev->io.last << 60));
		mix(k, ev->io.rx);
		mix(k, (uint64_t)ev->io.tx_ns);
		mix(k, (uint64_t)ev->io.rx_ns);
	} else if (ev->kind == EV_OPEN) {
		mix(k, endpoint_hash(&ev->open.local) + ev->open.adopted);
		mix(k, endpoint_hash(&ev->open.peer));
	} else if (ev->kind == EV_FIN || ev->kind == EV_CLOSE) {
		mix(k, ev->kind == EV_FIN ? (uint64_t)ev->fin : (uint64_t)ev->close);
	}
}

static void check_open(struct checker *k, const struct event *ev)
{
	check(k, ev->conn < MAX_CONNS && ev->holder < MAX_PROCS);
	check(k, k->holders[ev->holder]);
	check(k, !k->conns[ev->conn].is_open && !k->conns[ev->conn].holder);
	k->conns[ev->conn] =
		(struct seen_conn){.is_open = true, .holder = ev->holder, .last_io_ns = T_NEVER};
	k->n_open++;
}

/* The kernel keeps jiffies and tells them by their age: whole ones before the look. */
static void check_time(struct checker *k, int64_t at_ns, uint64_t bytes, int64_t now_ns)
{
	check(k, (at_ns == T_NEVER) == (bytes == 0));
	if (at_ns == T_NEVER)
		return;
	check(k, at_ns <= now_ns);
	check(k, (now_ns - at_ns) % GEN_JIFFY_NS == 0);
}

static void check_io(struct checker *k, const struct event *ev)
{
	struct seen_conn *c = &k->conns[ev->conn];

	check(k, c->is_open && !c->has_fin);
	check(k, ev->io.tx >= c->tx && ev->io.rx >= c->rx);
	check_time(k, ev->io.tx_ns, ev->io.tx, ev->t_ns);
	check_time(k, ev->io.rx_ns, ev->io.rx, ev->t_ns);
	check(k, ev->io.last != IO_LAST_UNKNOWN);
	if (ev->io.tx_ns != ev->io.rx_ns)
		check(k, (ev->io.rx_ns > ev->io.tx_ns) == (ev->io.last == IO_LAST_RX));
	c->tx = ev->io.tx;
	c->rx = ev->io.rx;
	c->last_io_ns = ev->io.tx_ns > ev->io.rx_ns ? ev->io.tx_ns : ev->io.rx_ns;
}

static void check_event(struct checker *k, const struct event *ev)
{
	check(k, ev->t_ns >= k->last_ns);
	switch (ev->kind) {
	case EV_HOLDER:
		check(k, ev->holder && ev->holder < MAX_PROCS && !k->holders[ev->holder]);
		check(k, ev->info->start_ns <= ev->t_ns && ev->info->pid && ev->info->group);
		k->holders[ev->holder] = true;
		break;
	case EV_EXIT:
		check(k, k->holders[ev->holder]);
		break;
	case EV_OPEN:
		check_open(k, ev);
		break;
	case EV_IO:
		check_io(k, ev);
		break;
	case EV_FIN:
		check(k, k->conns[ev->conn].is_open && !k->conns[ev->conn].has_fin);
		k->conns[ev->conn].has_fin = true;
		break;
	case EV_CLOSE:
		check(k, k->conns[ev->conn].is_open);
		k->conns[ev->conn].is_open = false;
		k->n_open--;
		break;
	case EV_TICK:
		check(k, k->tick_ns == T_NEVER || ev->t_ns == k->tick_ns + NS_PER_S);
		k->tick_ns = ev->t_ns;
		break;
	default:
		break;
	}
	k->last_ns = ev->t_ns;
}

static void on_event(void *arg, const struct event *ev)
{
	struct checker *k = arg;
	struct proctab_change ch;

	k->n_events++;
	hash_event(k, ev);
	check_event(k, ev);
	if (k->pt && proctab_apply(k->pt, ev, &ch))
		fail_msg("%s: the table refused event %llu", k->family,
			 (unsigned long long)k->n_events);
}

static void checker_init(struct checker *k, const struct family *f, uint64_t seed, bool has_table)
{
	struct world_opts o = {.seed = seed, .event = on_event, .arg = k};

	*k = (struct checker){.family = f->name, .last_ns = T_NEVER, .tick_ns = T_NEVER};
	k->conns = calloc(MAX_CONNS, sizeof(*k->conns));
	k->holders = calloc(MAX_PROCS, sizeof(*k->holders));
	k->pt = has_table ? proctab_new(NULL) : NULL;
	assert_true(k->conns && k->holders && (k->pt || !has_table));
	k->w = world_new(&o);
}

static void checker_release(struct checker *k)
{
	world_free(k->w);
	proctab_free(k->pt);
	free(k->conns);
	free(k->holders);
}

static uint64_t hash_of(const struct family *f, uint64_t seed)
{
	struct checker k;
	uint64_t hash;

	checker_init(&k, f, seed, false);
	family_start(f, k.w, HOURS);
	world_run(k.w, (double)world_watch_ns(k.w) / NS_PER_S + HOURS * 400);
	check(&k, k.n_events > 300);
	hash = k.hash;
	checker_release(&k);
	return hash;
}

/* --- random numbers --- */

/* The values that the authors of the two generators publish. */
static void generator_is_xoshiro(void **state)
{
	struct rng r = {{1, 2, 3, 4}};

	(void)state;
	assert_true(rng_u64(&r) == 11520);
	assert_true(rng_u64(&r) == 0);
	assert_true(rng_u64(&r) == 1509978240);
	assert_true(rng_u64(&r) == 1215971899390074240);
	rng_seed(&r, 0);
	assert_true(r.s[0] == 0xe220a8397b1dcdafULL);
	assert_true(r.s[1] == 0x6e789e6aa1b965f4ULL);
}

static void logarithm_and_power_are_right(void **state)
{
	(void)state;
	for (double x = 1e-12; x < 1e12; x *= 1.37)
		assert_near(gen_log2(x), log2(x), 1e-13);
	for (double x = -40; x < 40; x += 0.173)
		assert_near(gen_exp2(x) / exp2(x), 1, 1e-13);
	assert_true(gen_log2(1) == 0 && gen_log2(8) == 3 && gen_exp2(0) == 1 &&
		    gen_exp2(-3) == 0.125);
}

static void distributions_have_their_means(void **state)
{
	double exp = 0, below = 0, log_mid = 0, tail = 0, uniform = 0;
	int least = 99, most = 0, n = 200000;
	struct rng r;

	(void)state;
	rng_seed(&r, SEED);
	for (int i = 0; i < n; i++) {
		int die = rng_int(&r, 3, 8);

		exp += rng_exp(&r, 5);
		below += rng_lognormal(&r, 2, 1.5) < 2;
		log_mid += rng_log(&r, 0.01, 100) < 1;
		tail += rng_pareto(&r, 1, 1.5, 1e9) > 4;
		uniform += rng_between(&r, -1, 3);
		least = die < least ? die : least;
		most = die > most ? die : most;
	}
	assert_near(exp / n, 5, 0.02);
	assert_near(below / n, 0.5, 0.01);
	assert_near(log_mid / n, 0.5, 0.01);
	assert_near(tail / n, 0.125, 0.005);
	assert_near(uniform / n, 1, 0.02);
	assert_int_equal(least, 3);
	assert_int_equal(most, 8);
}

/* --- the same seed, the same events --- */

static void the_seed_decides_everything(void **state)
{
	const struct family *f;

	(void)state;
	for (uint32_t i = 0; (f = family_at(i)); i++) {
		uint64_t hash = hash_of(f, SEED);

		if (hash != hash_of(f, SEED))
			fail_msg("%s: two runs of one seed differ", f->name);
		if (hash == hash_of(f, SEED + 1))
			fail_msg("%s: two seeds are alike", f->name);
	}
}

/* --- what is told --- */

static void count_slot(struct gen_conn *c, void *arg)
{
	*(uint64_t *)arg += !c->has_fin && !c->is_refused;
}

static void count_open(struct gen_conn *c, void *arg)
{
	(void)c;
	++*(uint64_t *)arg;
}

static void the_table_agrees(struct checker *k)
{
	uint64_t open = 0, slots = 0, slots_of_table = 0;
	struct counts n;

	world_each_conn(k->w, count_open, &open);
	world_each_conn(k->w, count_slot, &slots);
	proctab_ledger(k->pt, &n);
	check(k, n.open == open && proctab_open(k->pt) == open && k->n_open == open);
	check(k, n.opened + n.adopted == n.closed + n.open);
	check(k, proctab_lost(k->pt) == 0 && ledger_lost(&n) == 0);
	for (uint32_t i = 0; i < proctab_n_peers(k->pt); i++)
		slots_of_table += proctab_peer(k->pt, i) ? proctab_peer(k->pt, i)->slots : 0;
	/* A refused one is in the table's for some milliseconds. */
	check(k, slots_of_table >= slots && slots_of_table <= slots + 5);
}

/* Whoever keeps a connection on purpose says so; what else is open must have an end in sight. */
static void must_be_kept(struct gen_conn *c, void *arg)
{
	const struct checker *k = arg;

	if (!c->is_kept || c->is_leaked)
		fail_msg("%s: connection %llu, opened at %.0f s, last used at %.0f s, is nobody's",
			 k->family, (unsigned long long)c->id, (double)c->opened_ns / NS_PER_S,
			 (double)c->last_use_ns / NS_PER_S);
}

static void healthy_families_tell_what_is_so(void **state)
{
	(void)state;
	for (const struct family *f = healthy_families; f->name; f++) {
		struct checker k;

		checker_init(&k, f, SEED, true);
		family_start(f, k.w, HOURS);
		world_run(k.w, world_duration(k.w));
		the_table_agrees(&k);
		world_drain(k.w);
		world_run(k.w, world_duration(k.w) + DRAIN_S);
		the_table_agrees(&k);
		world_each_conn(k.w, must_be_kept, &k);
		check(&k, world_truth(k.w)->n_leaked == 0 && world_truth(k.w)->n_broken == 0);
		check(&k, world_process_hours(k.w) > 0.01);
		checker_release(&k);
	}
}

static void the_table_of_families_is_sound(void **state)
{
	const struct family *f;
	uint32_t n_healthy = 0;

	(void)state;
	for (uint32_t i = 0; (f = family_at(i)); i++) {
		assert_true(!f->behave != !f->setup);
		assert_true(f->about && f->about[0] && f->hours > 0);
		assert_ptr_equal(family_find(f->name), f);
		n_healthy += !f->is_leaky;
	}
	assert_true(n_healthy >= 22);
	assert_null(family_find("no such family"));
}

/* --- the incident --- */

static int64_t used_at(struct checker *k, double deploy_s, double min)
{
	uint64_t n = 0;

	/* At half of a second before or after the minute nobody orders. */
	world_run(k->w, deploy_s + min * 60);
	world_each_conn(k->w, count_slot, &n);
	return (int64_t)n;
}

static void the_incident_has_its_true_shape(void **state)
{
	const struct family *f = family_find("incident");
	const struct gen_truth *t;
	const double deploy_s = 140 * 60;
	struct checker k;

	(void)state;
	checker_init(&k, f, SEED, true);
	family_start(f, k.w, 0);
	world_run(k.w, deploy_s - 1);
	assert_int_equal(world_truth(k.w)->n_leaked, 0);
	assert_int_equal(used_at(&k, deploy_s, 55 + 1.0 / 60), 85);
	assert_int_equal(used_at(&k, deploy_s, 75), 85);
	assert_in_range(used_at(&k, deploy_s, 76), 86, 99);
	world_run(k.w, world_duration(k.w));
	t = world_truth(k.w);
	assert_int_equal(t->limit, 100);
	assert_near((double)t->limit_ns / NS_PER_S, deploy_s + 77 * 60, 1e-6);
	assert_int_equal(t->begin_ns, (int64_t)(deploy_s * NS_PER_S));
	assert_int_equal(t->n_leaked, 86);
	assert_int_equal(t->n_leaked_open, 86);
	assert_int_equal(t->n_holders, 1);
	the_table_agrees(&k);
	checker_release(&k);
}

/* Each that the truth lists is open at the end, and nothing moved on it since. */
static void what_leaked_is_never_used_again(void **state)
{
	const struct family *f = family_find("incident-cold");
	const struct gen_truth *t;
	struct checker k;

	(void)state;
	checker_init(&k, f, SEED + 1, true);
	family_start(f, k.w, 0);
	world_run(k.w, world_duration(k.w));
	t = world_truth(k.w);
	assert_int_equal(t->n_broken, 0);
	assert_int_equal(t->n_leaks, t->n_leaked);
	for (uint32_t i = 0; i < t->n_leaks; i++) {
		const struct seen_conn *c = &k.conns[t->leaks[i].conn];

		assert_true(c->is_open && c->holder == t->leaks[i].holder);
		assert_int_equal(t->leaks[i].end_ns, T_NEVER);
		/* As the kernel tells it: within a jiffy. */
		assert_true(c->last_io_ns <= t->leaks[i].last_use_ns + GEN_JIFFY_NS);
		assert_true(c->last_io_ns > t->leaks[i].last_use_ns - 2 * GEN_JIFFY_NS);
	}
	assert_true(t->rate_per_min > 1 && t->rate_per_min < 1.3);
	checker_release(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generator_is_xoshiro),
		cmocka_unit_test(logarithm_and_power_are_right),
		cmocka_unit_test(distributions_have_their_means),
		cmocka_unit_test(the_seed_decides_everything),
		cmocka_unit_test(healthy_families_tell_what_is_so),
		cmocka_unit_test(the_table_of_families_is_sound),
		cmocka_unit_test(the_incident_has_its_true_shape),
		cmocka_unit_test(what_leaked_is_never_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
