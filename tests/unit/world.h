/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - a node as a picture of `top` shows it: a real process table, a fake detector */
#ifndef CONNLEAK_TEST_WORLD_H
#define CONNLEAK_TEST_WORLD_H

#include "../../user/core/engine.h"
#include "fake_detector.h"
#include "sample.h"

/* Usage slots, in order of creation. */
enum { WORLD_ORDERS, WORLD_BILLING, WORLD_BOUNCER, WORLD_IMPORT, WORLD_MAX };

struct world {
	struct engine e;
	struct detector d;
	struct holder_info orders;
	uint64_t next_conn;
};

static inline void world_apply(struct world *w, struct event ev)
{
	struct proctab_change ch;

	assert_int_equal(proctab_apply(w->e.table, &ev, &ch), 0);
}

static inline void world_holder(struct world *w, uint64_t id, const struct holder_info *info)
{
	world_apply(w, (struct event){.kind = EV_HOLDER, .holder = id, .info = info});
}

/* @n connections to @peer, opened a second apart from @t_ns on. */
static inline void world_open(struct world *w, uint64_t holder, struct endpoint peer, int n,
			      int64_t t_ns)
{
	for (int i = 0; i < n; i++) {
		struct event ev = {.t_ns = t_ns + i * NS_PER_S,
				   .kind = EV_OPEN,
				   .conn = ++w->next_conn,
				   .holder = holder,
				   .tid = 1};

		ev.open.peer = peer;
		ev.open.local = sample_endpoint(10, 0, 1, 7, (uint16_t)(40000 + w->next_conn));
		ev.open.adopted = holder == 2;
		world_apply(w, ev);
	}
}

static inline void world_view(struct world *w, uint32_t usage, enum usage_state state,
			      uint32_t idle, double rate)
{
	const struct usage *u = proctab_usage(w->e.table, usage);

	assert_non_null(u);
	w->d.views[usage] = (struct usage_view){
		.state = state,
		.idle = idle,
		.rate_per_min = rate,
		.rate_low = NAN,
		.rate_high = NAN,
		.oldest_opened_ns = proctab_conn(w->e.table, u->first_conn)->opened_ns,
		.oldest_is_lower_bound = usage == WORLD_BILLING,
	};
}

static inline void world_budget(struct world *w, struct endpoint peer, uint32_t limit, int64_t used,
				enum budget_scope scope)
{
	struct event ev = {.kind = EV_BUDGET};

	ev.budget.peer = peer;
	ev.budget.limit = limit;
	ev.budget.used = used;
	ev.budget.scope = scope;
	ev.budget.source = scope == SCOPE_SERVER ? BUDGET_POSTGRESQL : BUDGET_FLAG;
	world_apply(w, ev);
}

static inline int world_setup(void **state)
{
	const struct endpoint server = sample_endpoint(10, 0, 4, 12, 5432);
	const struct endpoint pooler = sample_endpoint(10, 0, 4, 20, 6432);
	struct holder_info billing = {.pid = 3120, .uid = -1, .comm = "billing"};
	struct holder_info bouncer = {.pid = 988, .uid = -1, .comm = "pgbouncer"};
	struct holder_info import = {.pid = 5002, .uid = -1, .comm = "python3"};
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->e.table = proctab_new(NULL);
	w->e.detector = &w->d;
	w->e.drift = w->e.unheld = -1;
	w->e.now_ns = 300 * NS_PER_S;
	w->e.wall_offset_ns = SAMPLE_WALL_NS;
	w->orders = sample_info();
	w->orders.pod = (char *)"orders-7d9f-x2x";
	billing.pod = (char *)"billing-5c-qq1";
	bouncer.unit = (char *)"pgbouncer.service";
	import.unit = (char *)"cron.service";
	import.script = (char *)"/srv/import.py";
	world_holder(w, 1, &w->orders);
	world_holder(w, 2, &billing);
	world_holder(w, 3, &bouncer);
	world_holder(w, 4, &import);
	world_open(w, 1, server, 42, 0);
	world_open(w, 2, server, 20, -7500 * NS_PER_S);
	world_open(w, 3, server, 17, 259 * NS_PER_S);
	world_open(w, 4, pooler, 12, 252 * NS_PER_S);
	world_view(w, WORLD_ORDERS, USAGE_LEAK, 40, 7.6);
	world_view(w, WORLD_BILLING, USAGE_POOL, 19, NAN);
	world_view(w, WORLD_BOUNCER, USAGE_OK, 3, 0);
	world_view(w, WORLD_IMPORT, USAGE_FILLING, 0, NAN);
	w->d.findings[0] = sample_finding(&w->orders);
	w->d.findings[0].exhausted_in_s = 140;
	w->d.findings[0].exhausted_in_low_s = 70;
	w->d.findings[0].exhausted_in_high_s = 270;
	w->d.about[0] = WORLD_ORDERS;
	w->d.n_findings = 1;
	*state = w;
	return 0;
}

/* What the bars show. */
static inline void world_budgets(struct world *w)
{
	world_budget(w, sample_endpoint(10, 0, 4, 12, 5432), 97, 79, SCOPE_SERVER);
	world_budget(w, sample_endpoint(10, 0, 4, 20, 6432), 80, -1, SCOPE_NODE);
}

static inline int world_teardown(void **state)
{
	struct world *w = *state;

	proctab_free(w->e.table);
	free(w);
	return 0;
}

#endif
