/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_top_model.c - what the live view holds, and in which order
 * objects: tui/top_model.o core/proctab.o core/proctab_store.o core/slots.o core/idmap.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/endpoint.o core/finding.o
 * objects: core/sitetab.o core/app_frame.o
 */
#include "t.h"

#include "../../user/tui/top_model.h"
#include "world.h"

static void assert_order(struct world *w, enum top_sort sort, const uint32_t want[WORLD_MAX])
{
	struct top_model m;

	assert_int_equal(top_model_build(&m, &w->e, sort, NULL, NULL), 0);
	assert_int_equal(m.n_rows, WORLD_MAX);
	for (uint32_t i = 0; i < WORLD_MAX; i++)
		if (m.rows[i].usage != want[i])
			fail_msg("%s: row %u is usage %u", top_sort_name(sort), i, m.rows[i].usage);
	top_model_release(&m);
}

static void rows_sort_by_what_is_asked(void **state)
{
	static const uint32_t orders[TOP_SORT_MAX][WORLD_MAX] = {
		[TOP_SORT_SUSPICION] = {WORLD_ORDERS, WORLD_IMPORT, WORLD_BILLING, WORLD_BOUNCER},
		[TOP_SORT_OPEN] = {WORLD_ORDERS, WORLD_BILLING, WORLD_BOUNCER, WORLD_IMPORT},
		[TOP_SORT_IDLE] = {WORLD_ORDERS, WORLD_BILLING, WORLD_BOUNCER, WORLD_IMPORT},
		[TOP_SORT_OPENED] = {WORLD_ORDERS, WORLD_BOUNCER, WORLD_IMPORT, WORLD_BILLING},
		[TOP_SORT_RATE] = {WORLD_ORDERS, WORLD_BOUNCER, WORLD_IMPORT, WORLD_BILLING},
		[TOP_SORT_OLDEST] = {WORLD_BILLING, WORLD_ORDERS, WORLD_IMPORT, WORLD_BOUNCER},
		[TOP_SORT_PID] = {WORLD_BOUNCER, WORLD_BILLING, WORLD_ORDERS, WORLD_IMPORT},
	};

	for (int i = 0; i < TOP_SORT_MAX; i++) {
		assert_non_null(top_sort_name((enum top_sort)i));
		assert_order(*state, (enum top_sort)i, orders[i]);
	}
	assert_null(top_sort_name(TOP_SORT_MAX));
}

static void suspicion_follows_the_states(void **state)
{
	static const enum usage_state states[] = {USAGE_LEAK,	 USAGE_FD_LEAK,	 USAGE_BLIND,
						  USAGE_SUSPECT, USAGE_RESOLVED, USAGE_FILLING,
						  USAGE_POOL,	 USAGE_OK};
	static const uint32_t order[] = {0, 1, 2, 3};
	struct world *w = *state;

	w->d.n_findings = 0;
	for (size_t i = 0; i + 4 <= T_COUNT(states); i++) {
		for (uint32_t u = 0; u < 4; u++)
			w->d.views[u].state = states[i + u];
		assert_order(w, TOP_SORT_SUSPICION, order);
	}
}

static void the_header_counts_what_is_shown(void **state)
{
	struct world *w = *state;
	struct top_model m;

	assert_int_equal(top_model_build(&m, &w->e, TOP_SORT_SUSPICION, NULL, NULL), 0);
	assert_int_equal(m.processes, 4);
	assert_int_equal(m.connections, 91);
	assert_int_equal(m.adopted, 20);
	assert_int_equal(m.lost, 0);
	assert_true(m.is_lost_measured);
	assert_int_equal(m.n_peers, 2);
	assert_int_equal(m.now_ns, w->e.now_ns);
	top_model_release(&m);
}

static void a_peer_carries_the_sum_of_its_leaks(void **state)
{
	struct world *w = *state;
	struct top_model m;

	world_budgets(w);
	w->d.findings[1] = w->d.findings[0];
	w->d.findings[1].leak_rate_per_min = 1.4;
	w->d.about[1] = WORLD_BILLING;
	w->d.findings[2] = w->d.findings[0];
	w->d.findings[2].status = FINDING_RESOLVED;
	w->d.findings[3] = w->d.findings[0];
	w->d.findings[3].kind = FINDING_BUDGET;
	w->d.findings[3].holder = NULL;
	w->d.about[2] = w->d.about[3] = SLOT_NONE;
	w->d.n_findings = 4;
	assert_int_equal(top_model_build(&m, &w->e, TOP_SORT_SUSPICION, NULL, NULL), 0);
	assert_int_equal(m.peers[0].peer->endpoint.port, 5432);
	assert_near(m.peers[0].rate_per_min, 9.0, 1e-9);
	assert_near(m.peers[0].exhausted_in_s, 140, 1e-9);
	assert_near(m.peers[0].exhausted_in_high_s, 270, 1e-9);
	assert_true(isnan(m.peers[1].rate_per_min));
	assert_true(isnan(m.peers[1].exhausted_in_s));
	assert_string_equal(m.rows[0].detail->id, "5b1c5b1c5b1c5b1c");
	assert_null(m.rows[3].detail);
	top_model_release(&m);
}

static int wanted;

static bool is_import(const struct holder *h, const struct peer *p, void *arg)
{
	assert_non_null(p);
	assert_ptr_equal(arg, &wanted);
	return h->info.pid == 5002;
}

static void a_filter_hides_rows_and_what_only_they_touch(void **state)
{
	struct world *w = *state;
	struct top_model m;

	assert_int_equal(top_model_build(&m, &w->e, TOP_SORT_SUSPICION, is_import, &wanted), 0);
	assert_int_equal(m.n_rows, 1);
	assert_int_equal(m.connections, 12);
	assert_int_equal(m.processes, 1);
	assert_int_equal(m.n_peers, 1);
	assert_int_equal(m.peers[0].peer->endpoint.port, 6432);
	top_model_release(&m);
}

static void an_exited_holder_stays_only_while_a_finding_is_about_it(void **state)
{
	struct world *w = *state;
	struct top_model m;

	for (int holder = 1; holder <= 4; holder += 3) {
		uint64_t first = holder == 1 ? 1 : 80, last = holder == 1 ? 42 : 91;

		world_apply(w, (struct event){.t_ns = 299 * NS_PER_S,
					      .kind = EV_EXIT,
					      .holder = (uint64_t)holder});
		for (uint64_t c = first; c <= last; c++)
			world_apply(w, (struct event){.t_ns = 299 * NS_PER_S,
						      .kind = EV_CLOSE,
						      .holder = (uint64_t)holder,
						      .conn = c,
						      .close = CLOSE_EXIT});
	}
	assert_int_equal(top_model_build(&m, &w->e, TOP_SORT_SUSPICION, NULL, NULL), 0);
	assert_int_equal(m.n_rows, 3);
	assert_int_equal(m.rows[0].usage, WORLD_ORDERS);
	assert_int_equal(m.processes, 2);
	assert_int_equal(m.n_peers, 1);
	top_model_release(&m);
}

static void without_memory_nothing_is_written(void **state)
{
	struct world *w = *state;
	struct top_model m = {.n_rows = 77};

	w->d.fails_with = -ENOMEM;
	assert_int_equal(top_model_build(&m, &w->e, TOP_SORT_SUSPICION, NULL, NULL), -ENOMEM);
	assert_int_equal(m.n_rows, 77);
	top_model_release(NULL);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		WORLD_TEST(rows_sort_by_what_is_asked),
		WORLD_TEST(suspicion_follows_the_states),
		WORLD_TEST(the_header_counts_what_is_shown),
		WORLD_TEST(a_peer_carries_the_sum_of_its_leaks),
		WORLD_TEST(a_filter_hides_rows_and_what_only_they_touch),
		WORLD_TEST(an_exited_holder_stays_only_while_a_finding_is_about_it),
		WORLD_TEST(without_memory_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
