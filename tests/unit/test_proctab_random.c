/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_proctab_random.c - the table against a naive model, over random streams of events
 *	CONNLEAK_STEPS=N: so many of them a seed; CONNLEAK_SEED=N: this seed only
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o
 * objects: core/endpoint.o core/holder_info.o core/site_info.o
 * objects: core/sitetab.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdlib.h>

#include "../../user/core/proctab.h"

#define N_HOLDERS  12
#define N_PEERS	   4
#define MAX_OPEN   150
#define STEPS	   500000 /* a seed; two of them */
#define FEW_CONNS  60
#define LOOK_EVERY 4 /* steps between looks at everything */

struct model_conn {
	uint64_t id;
	uint64_t seq; /* order of arrival at its usage */
	int64_t opened_ns, fin_ns;
	uint64_t rx;
	int holder, peer;
	bool adopted, has_io, is_fd_only;
	uint32_t pids[EVENT_MAX_HELD]; /* n_pids 0: nobody */
	uint32_t n_pids, total;
};

struct model {
	uint64_t rnd, seed, step;
	int64_t now_ns;
	uint64_t next_id, next_holder, seq, lost;
	struct model_conn conns[MAX_OPEN];
	int n;
	uint64_t holder_ids[N_HOLDERS]; /* 0: not there */
	bool has_exited[N_HOLDERS];
	struct counts counts[N_HOLDERS][N_PEERS];
	bool is_used[N_HOLDERS][N_PEERS];
	uint64_t via[N_HOLDERS][N_PEERS];
	struct counts ledger;
	uint64_t fd_only_in_all;
	uint64_t refused, missing[N_HOLDERS][N_PEERS];
	uint32_t max_conns; /* 0: more than are ever open */
	struct proctab *pt;
	struct proctab_change ch;
};

#define check(m, cond)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_msg("seed %llu, step %llu: %s", (unsigned long long)(m)->seed,        \
				 (unsigned long long)(m)->step, #cond);                            \
	} while (0)

static uint32_t pick(struct model *m, uint32_t below)
{
	m->rnd = m->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(m->rnd >> 33) % below;
}

static struct endpoint peer_of(int i)
{
	return (struct endpoint){.addr = {10, 0, 0, (uint8_t)i}, .port = 5432, .family = 4};
}

static int apply(struct model *m, struct event ev)
{
	ev.t_ns = m->now_ns;
	return proctab_apply(m->pt, &ev, &m->ch);
}

static struct counts *counts_of(struct model *m, const struct model_conn *c)
{
	return &m->counts[c->holder][c->peer];
}

static uint32_t pid_of(const struct model *m, int h)
{
	return 100 + (uint32_t)m->holder_ids[h] % 1000;
}

static void usual(const struct model *m, struct model_conn *c)
{
	c->n_pids = c->total = 1;
	c->pids[0] = pid_of(m, c->holder);
}

static void do_open(struct model *m)
{
	int h = (int)pick(m, N_HOLDERS), p = (int)pick(m, N_PEERS);
	struct event ev = {.kind = EV_OPEN, .holder = m->holder_ids[h], .open.peer = peer_of(p)};
	struct model_conn *c = &m->conns[m->n];

	if (m->n == MAX_OPEN)
		return;
	/* Ids that differ in high bits only, too. */
	ev.conn = ++m->next_id << pick(m, 2) * 24;
	for (int i = 0; i < m->n; i++)
		if (m->conns[i].id == ev.conn)
			return;
	ev.open.adopted = pick(m, 5) == 0;
	if (!ev.holder) {
		check(m, apply(m, ev) == -ENOENT);
		m->lost++;
		return;
	}
	m->is_used[h][p] = true;
	m->ledger.opened += !ev.open.adopted;
	m->ledger.adopted += ev.open.adopted;
	if (m->max_conns && (uint32_t)m->n == m->max_conns) {
		check(m, apply(m, ev) == -ENOSPC);
		m->counts[h][p].opened += !ev.open.adopted;
		m->counts[h][p].adopted += ev.open.adopted;
		m->lost++;
		m->refused++;
		m->missing[h][p]++;
		return;
	}
	check(m, apply(m, ev) == 0);
	m->ledger.open++;
	*c = (struct model_conn){.id = ev.conn, .seq = ++m->seq, .opened_ns = m->now_ns};
	c->fin_ns = T_NEVER;
	c->holder = h;
	c->peer = p;
	c->adopted = ev.open.adopted;
	usual(m, c);
	m->n++;
	counts_of(m, c)->open++;
	if (c->adopted)
		counts_of(m, c)->adopted++;
	else
		counts_of(m, c)->opened++;
}

static void expect_rejected(struct model *m, struct model_conn *c, bool by_server)
{
	bool is_short = !c->adopted && m->now_ns - c->opened_ns <= NS_PER_S;
	bool want = is_short && (by_server || (c->has_io && c->rx < 300));

	check(m, m->ch.is_rejected == want);
	counts_of(m, c)->rejected += want;
	m->ledger.rejected += want;
}

static void do_fin(struct model *m, struct model_conn *c)
{
	enum fin_how how = (enum fin_how)pick(m, 4);

	check(m, apply(m, (struct event){.kind = EV_FIN, .conn = c->id, .fin = how}) == 0);
	if (c->fin_ns != T_NEVER)
		return;
	c->fin_ns = m->now_ns;
	expect_rejected(m, c, how == FIN_PEER || how == FIN_RESET);
}

static void do_close(struct model *m, struct model_conn *c)
{
	enum close_by by = (enum close_by)pick(m, 5);

	check(m, apply(m, (struct event){.kind = EV_CLOSE, .conn = c->id, .close = by}) == 0);
	check(m, proctab_conn(m->pt, m->ch.conn)->id == c->id);
	if (c->fin_ns == T_NEVER)
		expect_rejected(m, c, by == CLOSE_PEER || by == CLOSE_RESET);
	counts_of(m, c)->closed++;
	counts_of(m, c)->open--;
	counts_of(m, c)->fd_only -= c->is_fd_only;
	m->ledger.closed++;
	m->ledger.open--;
	m->ledger.fd_only -= c->is_fd_only;
	*c = m->conns[--m->n];
}

static void do_io(struct model *m, struct model_conn *c)
{
	struct event ev = {.kind = EV_IO, .conn = c->id};

	ev.io.rx = c->rx + pick(m, 200);
	check(m, apply(m, ev) == 0);
	check(m, m->ch.was_rx == c->rx && m->ch.was_has_io == c->has_io);
	c->rx = ev.io.rx;
	c->has_io = true;
}

/* The old holder has let go of it, the new one has it; nobody else is known to have changed. */
static void move_held(struct model *m, struct model_conn *c, uint32_t from_pid)
{
	uint32_t n = 0, total = c->total, to_pid = pid_of(m, c->holder);
	bool has_new = false;

	for (uint32_t i = 0; i < c->n_pids; i++) {
		has_new |= c->pids[i] != from_pid && c->pids[i] == to_pid;
		total -= c->pids[i] == from_pid;
		if (c->pids[i] != from_pid)
			c->pids[n++] = c->pids[i];
	}
	c->n_pids = n;
	c->total = total;
	if (!has_new)
		usual(m, c);
}

static void do_held(struct model *m, struct model_conn *c)
{
	struct event ev = {.kind = EV_HELD, .conn = c->id};
	uint32_t total = pick(m, 4) ? pick(m, 4) : pick(m, 12);

	ev.held.total = c->total = total;
	ev.held.n = c->n_pids = total < EVENT_MAX_HELD ? total : EVENT_MAX_HELD;
	for (uint32_t i = 0; i < c->n_pids; i++)
		ev.held.pids[i] = c->pids[i] =
			i || pick(m, 3) ? 5000 + i + pick(m, 2) * 100 : pid_of(m, c->holder);
	/* Mostly it is a holder that is known. */
	if (c->n_pids > 1 && pick(m, 2))
		ev.held.pids[1] = c->pids[1] = pid_of(m, (int)pick(m, N_HOLDERS));
	check(m, apply(m, ev) == 0);
}

static void do_via(struct model *m, struct model_conn *c)
{
	struct event ev = {.kind = EV_VIA, .conn = c->id, .via = pick(m, 3)};

	check(m, apply(m, ev) == 0);
	m->via[c->holder][c->peer] = ev.via;
}

static void do_move(struct model *m, struct model_conn *c)
{
	int h = (int)pick(m, N_HOLDERS);
	struct model_conn was;
	struct event ev = {.kind = EV_MOVE, .conn = c->id, .holder = m->holder_ids[h]};

	if (!ev.holder) {
		check(m, apply(m, ev) == -ENOENT);
		m->lost++;
		return;
	}
	check(m, apply(m, ev) == 0);
	if (h == c->holder)
		return;
	m->ledger.moved_out++;
	m->ledger.moved_in++;
	was = *c;
	counts_of(m, c)->moved_out++;
	counts_of(m, c)->open--;
	counts_of(m, c)->fd_only -= c->is_fd_only;
	c->holder = h;
	c->seq = ++m->seq;
	if (!m->via[h][c->peer])
		m->via[h][c->peer] = m->via[was.holder][c->peer];
	move_held(m, c, pid_of(m, was.holder));
	counts_of(m, c)->moved_in++;
	counts_of(m, c)->open++;
	counts_of(m, c)->fd_only += c->is_fd_only;
	m->is_used[h][c->peer] = true;
}

static void do_fail(struct model *m)
{
	int h = (int)pick(m, N_HOLDERS), p = (int)pick(m, N_PEERS);
	struct event ev = {.kind = EV_FAIL, .holder = m->holder_ids[h], .fail.peer = peer_of(p)};

	if (!ev.holder) {
		check(m, apply(m, ev) == -ENOENT);
		m->lost++;
		return;
	}
	check(m, apply(m, ev) == 0);
	m->counts[h][p].failed++;
	m->ledger.failed++;
	m->is_used[h][p] = true;
}

static void do_unknown(struct model *m)
{
	static const enum event_kind kinds[] = {EV_IO, EV_USE, EV_FIN, EV_CLOSE, EV_MOVE, EV_VIA};
	struct event ev = {.kind = kinds[pick(m, T_COUNT(kinds))], .conn = UINT64_MAX - pick(m, 9)};

	check(m, apply(m, ev) == -ENOENT);
	m->lost++;
}

/* Told twice, or not kept by the source: nothing changes but what is said to be lost. */
static void do_trouble(struct model *m, const struct model_conn *c)
{
	struct event ev = {.kind = EV_LOST};

	if (c && pick(m, 2)) {
		ev = (struct event){.kind = EV_OPEN, .conn = c->id, .open.peer = peer_of(1)};
		ev.holder = m->holder_ids[pick(m, N_HOLDERS)];
		check(m, apply(m, ev) == -EEXIST);
		return;
	}
	ev.lost.events = pick(m, 5);
	check(m, apply(m, ev) == 0);
	m->lost += ev.lost.events;
}

static void do_tick(struct model *m)
{
	check(m, apply(m, (struct event){.kind = EV_TICK}) == 0);
	for (int i = 0; i < m->n; i++) {
		struct model_conn *c = &m->conns[i];

		if (c->is_fd_only || c->fin_ns == T_NEVER ||
		    m->now_ns - c->fin_ns <= FD_ONLY_AFTER_NS)
			continue;
		c->is_fd_only = true;
		counts_of(m, c)->fd_only++;
		m->ledger.fd_only++;
		m->fd_only_in_all++;
	}
}

/* A holder appears, exits, or is forgotten. */
static void do_holder(struct model *m)
{
	int h = (int)pick(m, N_HOLDERS);
	struct holder_info info = {.exe = (char[]){"/bin/x"}};
	struct event ev = {.kind = EV_HOLDER, .holder = m->holder_ids[h], .info = &info};
	bool has_open = false;
	int err;

	if (!ev.holder) {
		ev.holder = m->holder_ids[h] = ++m->next_holder;
		info.pid = pid_of(m, h);
		check(m, apply(m, ev) == 0);
		return;
	}
	if (!m->has_exited[h]) {
		ev = (struct event){.kind = EV_EXIT, .holder = m->holder_ids[h]};
		check(m, apply(m, ev) == 0);
		m->has_exited[h] = true;
		return;
	}
	for (int i = 0; i < m->n; i++)
		has_open |= m->conns[i].holder == h;
	err = proctab_forget_holder(m->pt, proctab_find_holder(m->pt, m->holder_ids[h]));
	check(m, err == (has_open ? -EBUSY : 0));
	if (err)
		return;
	m->holder_ids[h] = 0;
	m->has_exited[h] = false;
	memset(m->counts[h], 0, sizeof(m->counts[h]));
	memset(m->is_used[h], 0, sizeof(m->is_used[h]));
	memset(m->via[h], 0, sizeof(m->via[h]));
	memset(m->missing[h], 0, sizeof(m->missing[h]));
}

static void step(struct model *m)
{
	uint32_t what = pick(m, 100);
	/* Waves, so that the tables fill and empty. */
	uint32_t opens = m->step / 2000 % 2 ? 15 : 40;
	struct model_conn *c = m->n ? &m->conns[pick(m, (uint32_t)m->n)] : NULL;

	/* Processors tell in an order of their own: a little back, now and then. */
	if (!pick(m, 20))
		m->now_ns -= pick(m, 900) * NS_PER_MS;
	m->now_ns += pick(m, 8) ? pick(m, 200) * NS_PER_MS : pick(m, 4) * NS_PER_S;
	if (what < opens)
		do_open(m);
	else if (what >= 95)
		do_holder(m);
	else if (what >= 93)
		do_unknown(m);
	else if (what >= 92)
		do_trouble(m, c);
	else if (what >= 89)
		do_fail(m);
	else if (what >= 82)
		do_tick(m);
	else if (!c)
		return;
	else if (what >= 77)
		do_move(m, c);
	else if (what >= 74)
		do_held(m, c);
	else if (what >= 73)
		do_via(m, c);
	else if (what >= 68)
		do_fin(m, c);
	else if (what >= 55)
		do_io(m, c);
	else
		do_close(m, c);
}

static void check_held(struct model *m, uint32_t slot, const struct model_conn *mc)
{
	const struct conn *c = proctab_conn(m->pt, slot);
	uint32_t pids[EVENT_MAX_HELD];
	bool is_usual = mc->total == 1 && mc->pids[0] == pid_of(m, mc->holder);

	check(m, proctab_held_by(m->pt, slot, pids, EVENT_MAX_HELD) == mc->total);
	check(m, !memcmp(pids, mc->pids, mc->n_pids * sizeof(pids[0])));
	check(m, c->is_unheld == !mc->total && c->is_shared == (mc->total && !is_usual));
}

/* The usage's list holds what the model says, in the order of arrival. */
static void check_list(struct model *m, const struct usage *u, int h, int p)
{
	uint32_t prev = SLOT_NONE;
	uint64_t n = 0, seq = 0;

	for (uint32_t i = u->first_conn; i != SLOT_NONE; i = proctab_conn(m->pt, i)->next) {
		const struct conn *c = proctab_conn(m->pt, i);
		const struct model_conn *mc = m->conns;

		check(m, c && c->prev == prev);
		while (mc < m->conns + m->n && mc->id != c->id)
			mc++;
		check(m, mc < m->conns + m->n && mc->holder == h && mc->peer == p);
		check(m, mc->seq > seq);
		check(m, c->fin_ns == mc->fin_ns && c->is_fd_only == mc->is_fd_only);
		check_held(m, i, mc);
		check(m, proctab_find_conn(m->pt, c->id) == i);
		seq = mc->seq;
		prev = i;
		n++;
	}
	check(m, u->last_conn == prev);
	check(m, n == u->counts.open);
}

static void add_counts(struct counts *sum, const struct counts *k)
{
	sum->opened += k->opened;
	sum->closed += k->closed;
	sum->adopted += k->adopted;
	sum->failed += k->failed;
	sum->rejected += k->rejected;
	sum->moved_in += k->moved_in;
	sum->moved_out += k->moved_out;
	sum->open += k->open;
	sum->fd_only += k->fd_only;
}

static void check_holder(struct model *m, int h)
{
	uint32_t slot = proctab_find_holder(m->pt, m->holder_ids[h]);
	const struct holder *held = proctab_holder(m->pt, slot);
	struct counts sum = {0};
	int usages = 0;

	check(m, held && (held->exit_ns != T_NEVER) == m->has_exited[h]);
	for (uint32_t i = held->first_usage; i != SLOT_NONE; usages++) {
		const struct usage *u = proctab_usage(m->pt, i);
		const struct counts *k = &u->counts;
		int p = proctab_peer(m->pt, u->peer)->endpoint.addr[3];

		check(m, u->holder == slot && m->is_used[h][p] && u->via == m->via[h][p]);
		check(m, !memcmp(k, &m->counts[h][p], sizeof(*k)));
		check(m, k->opened + k->adopted + k->moved_in ==
				 k->closed + k->open + k->moved_out + m->missing[h][p]);
		check_list(m, u, h, p);
		add_counts(&sum, k);
		i = u->next_of_holder;
	}
	for (int p = 0; p < N_PEERS; p++)
		usages -= m->is_used[h][p];
	check(m, usages == 0);
	check(m, !memcmp(&sum, &held->counts, sizeof(sum)));
}

static void check_peer(struct model *m, int p)
{
	struct endpoint ep = peer_of(p);
	const struct peer *peer = proctab_peer(m->pt, proctab_find_peer(m->pt, &ep));
	uint32_t open = 0, slots = 0, usages = 0;

	for (int i = 0; i < m->n; i++) {
		open += m->conns[i].peer == p;
		slots += m->conns[i].peer == p && m->conns[i].fin_ns == T_NEVER;
	}
	for (int h = 0; h < N_HOLDERS; h++)
		usages += m->is_used[h][p];
	check(m, !peer == !usages);
	if (peer)
		check(m, peer->open == open && peer->slots == slots && peer->n_usages == usages);
}

static void check_ledger(struct model *m)
{
	struct counts l;

	proctab_ledger(m->pt, &l);
	check(m, !memcmp(&l, &m->ledger, sizeof(l)));
	check(m, proctab_refused(m->pt) == m->refused && ledger_lost(&l) == m->refused);
	check(m, l.opened + l.adopted + l.moved_in == l.closed + l.open + l.moved_out + m->refused);
}

static void check_all(struct model *m)
{
	check(m, proctab_open(m->pt) == (uint64_t)m->n);
	check(m, proctab_lost(m->pt) == m->lost);
	check_ledger(m);
	check(m, proctab_n_conns(m->pt) <= MAX_OPEN + 1);
	for (int h = 0; h < N_HOLDERS; h++)
		if (m->holder_ids[h])
			check_holder(m, h);
	for (int p = 0; p < N_PEERS; p++)
		check_peer(m, p);
}

static void run_seed(uint64_t seed, uint64_t steps, uint32_t max_conns)
{
	const struct proctab_limits limits = {.max_conns = max_conns};
	struct model *m = calloc(1, sizeof(*m));

	print_message("seed %llu, %llu steps\n", (unsigned long long)seed,
		      (unsigned long long)steps);
	m->seed = seed;
	m->rnd = seed * 0x9e3779b97f4a7c15ULL;
	m->max_conns = max_conns;
	m->pt = proctab_new(&limits);
	for (m->step = 0; m->step < steps; m->step++) {
		step(m);
		check_ledger(m);
		/* After each of the first, so that a failure names its event. */
		if (m->step < 10000 || m->step % LOOK_EVERY == 0)
			check_all(m);
	}
	check_all(m);
	/* else the stream tested little */
	check(m, !m->refused == !max_conns && m->fd_only_in_all && m->ledger.moved_in);
	proctab_free(m->pt);
	free(m);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

static void the_table_is_the_model_after_every_event(void **state)
{
	uint64_t steps = number_from("CONNLEAK_STEPS", STEPS);
	uint64_t seed = number_from("CONNLEAK_SEED", 0);

	(void)state;
	run_seed(seed ? seed : 1, steps, 0);
	/* A table that is full now and then: the ledger knows what it refused. */
	run_seed(seed ? seed : 2, steps, FEW_CONNS);
}

/* 300,000 open at once: growth and the map at size, and every id is found again. */
static void many_connections_are_all_found(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	struct holder_info info = {.pid = 1};
	const uint64_t n = 300000;

	(void)state;
	m->pt = proctab_new(NULL);
	apply(m, (struct event){.kind = EV_HOLDER, .holder = 1, .info = &info});
	for (uint64_t i = 1; i <= n; i++)
		check(m, !apply(m, (struct event){.kind = EV_OPEN,
						  .holder = 1,
						  .conn = i << 12,
						  .open.peer = peer_of(1)}));
	for (uint64_t i = 1; i <= n; i += 2)
		check(m, !apply(m, (struct event){.kind = EV_CLOSE, .conn = i << 12}));
	for (uint64_t i = 1; i <= n; i++)
		check(m, (proctab_find_conn(m->pt, i << 12) == SLOT_NONE) == (i % 2 == 1));
	check(m, proctab_open(m->pt) == n / 2);
	proctab_free(m->pt);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_the_model_after_every_event),
		cmocka_unit_test(many_connections_are_all_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
