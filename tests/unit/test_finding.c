/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_finding.c - names and stable hashes
 * objects: core/finding.o core/endpoint.o core/holder_info.o core/site_info.o core/idmap.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <stdlib.h>

#include "../../user/core/finding.h"

static struct holder_info app = {
	.pid = 4711, .start_ns = 5 * NS_PER_S, .group = (char *)"shop/o/app"};

static struct finding about(struct holder_info *h)
{
	return (struct finding){
		.kind = FINDING_LEAK, .holder = h, .peer = {{10, 0, 4, 12}, 5432, 4, 0}};
}

static void every_name_is_a_product_word(void **state)
{
	(void)state;
	assert_string_equal(finding_kind_name(FINDING_FD_LEAK), "fd_leak");
	assert_string_equal(finding_kind_name(FINDING_BLIND), "blind");
	assert_string_equal(finding_status_name(FINDING_RESOLVED), "resolved");
	assert_string_equal(severity_name(SEVERITY_CRITICAL), "critical");
	for (int r = RULE_WARM; r < RULE_MAX; r++)
		assert_string_not_equal(rule_name((enum rule)r), "unknown");
	assert_string_equal(rule_name(RULE_WARM_ANY), "warm_any");
	assert_string_equal(rule_name(RULE_TABLE_FULL), "table_full");
	assert_null(resolved_because_name(RESOLVED_NOT));
	assert_string_equal(resolved_because_name(RESOLVED_HOLDER_EXITED), "holder_exited");
}

static void a_restart_is_another_finding_of_the_same_group(void **state)
{
	struct holder_info restarted = app;
	struct finding a = about(&app), b = about(&restarted);

	(void)state;
	restarted.pid = 4802;
	restarted.start_ns = 900 * NS_PER_S;
	finding_ids(&a, "node-07", 0);
	finding_ids(&b, "node-07", 0);
	assert_string_equal(a.group, b.group);
	assert_string_not_equal(a.id, b.id);
	assert_int_equal(strlen(a.id), 16);
	assert_int_equal(strspn(a.id, "0123456789abcdef"), 16);
}

static void a_restarted_agent_finds_the_same_id(void **state)
{
	struct holder_info later = app;
	struct finding a = about(&app), b = about(&later);

	(void)state;
	later.start_ns -= 100 * NS_PER_S;
	finding_ids(&a, "node-07", 1000 * NS_PER_S);
	finding_ids(&b, "node-07", 1100 * NS_PER_S);
	assert_string_equal(a.id, b.id);
}

static void node_kind_peer_and_group_key_part_groups(void **state)
{
	struct holder_info other = app;
	struct finding f[5] = {about(&app), about(&app), about(&app), about(&app), about(&other)};

	(void)state;
	other.group = (char *)"shop/o/worker";
	f[1].kind = FINDING_FD_LEAK;
	f[2].peer.port = 6432;
	for (int i = 0; i < 5; i++)
		finding_ids(&f[i], i == 3 ? "node-08" : "node-07", 0);
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(f[i].group, f[j].group);
			assert_string_not_equal(f[i].id, f[j].id);
		}
}

static void a_service_finding_has_one_id_over_restarts(void **state)
{
	struct holder_info restarted = app;
	struct finding a = about(&app), b = about(&restarted);

	(void)state;
	restarted.pid = 1;
	a.rule = b.rule = RULE_SERVICE;
	finding_ids(&a, "n", 0);
	finding_ids(&b, "n", 0);
	assert_string_equal(a.id, b.id);
}

static void what_is_about_a_server_has_no_node_in_its_group(void **state)
{
	struct finding a = about(NULL), b = about(NULL);

	(void)state;
	a.kind = b.kind = FINDING_BUDGET;
	a.scope = b.scope = SCOPE_SERVER;
	finding_ids(&a, "node-07", 0);
	finding_ids(&b, "node-08", 0);
	assert_string_equal(a.id, b.id);
	a.scope = b.scope = SCOPE_NODE; /* each node's own share */
	finding_ids(&a, "node-07", 0);
	finding_ids(&b, "node-08", 0);
	assert_string_not_equal(a.id, b.id);
}

static void release_frees_and_accepts_nothing(void **state)
{
	struct finding f = about(NULL);

	(void)state;
	f.holder = calloc(1, sizeof(*f.holder));
	assert_int_equal(holder_info_copy(&app, f.holder), 0);
	finding_release(&f);
	assert_null(f.holder);
	finding_release(&f);
	finding_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_a_product_word),
		cmocka_unit_test(a_restart_is_another_finding_of_the_same_group),
		cmocka_unit_test(a_restarted_agent_finds_the_same_id),
		cmocka_unit_test(node_kind_peer_and_group_key_part_groups),
		cmocka_unit_test(a_service_finding_has_one_id_over_restarts),
		cmocka_unit_test(what_is_about_a_server_has_no_node_in_its_group),
		cmocka_unit_test(release_frees_and_accepts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
