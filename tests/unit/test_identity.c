/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects: core/identity.o core/podname.o core/holder_info.o core/site_info.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdlib.h>

#include "mutate.h"
#include "../../user/core/identity.h"
#include "../../user/core/podname.h"

#define ID  "73051af271105c07e1f493b34856a77e665e3b0b4fc72f76c807dfbffeb881bd"
#define UID "8712f785-1a3e-41ec-a00b-e2dcc77431cb"

static void workload_is_the_pod_less_its_suffix(void **state)
{
	static const struct {
		const char *pod, *workload;
	} cases[] = {
		{"orders-7d9f8b6c5d-x2x9z", "orders"},
		{"orders-api-5d78c986-abcde", "orders-api"},
		{"node-agent-x2x9z", "node-agent"},
		{"postgres-0", "postgres"},
		{"postgres-main-12", "postgres-main"},
		{"report-28392810-k2v9x", "report"},
		{"orders-7d9f-x2x", "orders-7d9f-x2x"},
		{"postgres", "postgres"},
		{"v2-orders", "v2-orders"},
		{"-abcde", "-abcde"},
		{"-0", "-0"},
		{"7", "7"},
		{"-", "-"},
		{"a-", "a-"},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		char *w = identity_workload(cases[i].pod);

		assert_string_equal(w, cases[i].workload);
		free(w);
	}
	assert_null(identity_workload(NULL));
	assert_null(identity_workload(""));
}

static void group_is(const struct holder_info *of, const char *want)
{
	struct holder_info h;

	assert_int_equal(holder_info_copy(of, &h), 0);
	assert_int_equal(identity_group(&h), 0);
	assert_string_equal(h.group, want);
	/* again: the first is replaced, not lost */
	assert_int_equal(identity_group(&h), 0);
	assert_string_equal(h.group, want);
	holder_info_release(&h);
}

static void group_is_the_most_stable_name(void **state)
{
	struct holder_info h = {.pid = 4711, .comm = "python3", .pod_uid = UID, .container = ID};

	(void)state;
	group_is(&h, "python3");
	h.exe = "/usr/bin/python3.11";
	group_is(&h, "/usr/bin/python3.11");
	h.script = "/srv/orders.py";
	group_is(&h, "/usr/bin/python3.11 /srv/orders.py");
	h.unit = "orders.service";
	group_is(&h, "orders.service");
	h.namespace = "shop";
	h.pod = "orders-7d9f8b6c5d-x2x9z";
	h.workload = "orders";
	group_is(&h, "shop/orders");
	h.container_name = "app";
	group_is(&h, "shop/orders/app");
	group_is(&(struct holder_info){.pid = 1}, "?");
}

static void deploys_and_restarts_keep_the_group(void **state)
{
	struct holder_info a = {.pid = 1,
				.start_ns = 5,
				.exe = "/app/x",
				.version = "v1",
				.build_id = "aa",
				.container = ID};
	struct holder_info b = {.pid = 2,
				.start_ns = 9,
				.exe = "/app/x",
				.version = "v2",
				.build_id = "bb",
				.cgroup = "/y"};

	(void)state;
	group_is(&a, "/app/x");
	group_is(&b, "/app/x");
}

static void log_name_yields_pod_namespace_and_container(void **state)
{
	struct podname p = {0};

	(void)state;
	assert_int_equal(podname_from_log("orders-0_shop_order-app-" ID ".log", ID, &p), 0);
	assert_string_equal(p.pod, "orders-0");
	assert_string_equal(p.namespace, "shop");
	assert_string_equal(p.container, "order-app");
	podname_release(&p);
	assert_int_equal(podname_from_log("a.b_c_d-" ID ".log", "73051af27110", &p), 0);
	assert_string_equal(p.pod, "a.b");
	podname_release(&p);
}

static void folder_name_yields_namespace_and_pod(void **state)
{
	struct podname p = {0};

	(void)state;
	assert_int_equal(podname_from_folder("shop_orders-0_" UID, UID, &p), 0);
	assert_string_equal(p.namespace, "shop");
	assert_string_equal(p.pod, "orders-0");
	assert_null(p.container);
	podname_release(&p);
}

static void other_log_names_are_none(void **state)
{
	static const char *const logs[] = {"",
					   "_",
					   "__",
					   "__-" ID ".log",
					   "a_b_c.log",
					   "a_b_-" ID ".log",
					   "a_b-" ID ".log",
					   "A_b_c-" ID ".log",
					   "a_b_c\x1b-" ID ".log",
					   "a_b_c-0" ID ".log"};
	static const char *const folders[] = {
		"", "_", "__", "a_b", "a_b_", "__" UID, "a_b_" UID "x", "a_b_c_" UID, "a_\n_" UID};
	struct podname p = {0};

	(void)state;
	for (size_t i = 0; i < T_COUNT(logs); i++)
		assert_int_equal(podname_from_log(logs[i], ID, &p), -ENOENT);
	assert_int_equal(podname_from_log("a_b_c-73051.log", "73051", &p), -ENOENT);
	for (size_t i = 0; i < T_COUNT(folders); i++)
		assert_int_equal(podname_from_folder(folders[i], UID, &p), -ENOENT);
	assert_int_equal(podname_from_folder("a_b_", "", &p), -ENOENT);
	assert_null(p.pod);
}

static char *text_of(unsigned char *bytes, size_t n)
{
	char *s = strndup((char *)bytes, n);

	assert_non_null(s);
	free(bytes);
	return s;
}

static void damaged_names_are_survived(void **state)
{
	static const char log[] = "orders-7d9f8b6c5d-x2x9z_shop_app-" ID ".log";
	static const char folder[] = "shop_orders-7d9f8b6c5d-x2x9z_" UID;
	uint64_t seed = 5;

	(void)state;
	for (int i = 0; i < MUTATE_ROUNDS; i++) {
		struct podname p = {0};
		size_t n;
		unsigned char *bad = mutate(&seed, log, sizeof(log) - 1, &n);
		char *s = text_of(bad, n), *w = identity_workload(s);

		podname_from_log(s, ID, &p);
		podname_release(&p);
		free(w);
		free(s);
		bad = mutate(&seed, folder, sizeof(folder) - 1, &n);
		s = text_of(bad, n);
		podname_from_folder(s, UID, &p);
		podname_release(&p);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workload_is_the_pod_less_its_suffix),
		cmocka_unit_test(group_is_the_most_stable_name),
		cmocka_unit_test(deploys_and_restarts_keep_the_group),
		cmocka_unit_test(log_name_yields_pod_namespace_and_container),
		cmocka_unit_test(folder_name_yields_namespace_and_pod),
		cmocka_unit_test(other_log_names_are_none),
		cmocka_unit_test(damaged_names_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
