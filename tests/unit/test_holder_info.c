/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_holder_info.c
 * objects: core/holder_info.o core/site_info.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include "../../user/core/holder_info.h"

static void a_copy_shares_nothing_and_keeps_what_is_not_known(void **state)
{
	char exe[] = "/app/order-service", group[] = "shop/orders/app";
	struct holder_info h = {.pid = 4711,
				.start_ns = -5,
				.uid = -1,
				.comm = "order",
				.exe = exe,
				.group = group};
	struct holder_info copy;

	(void)state;
	memset(&copy, 0xa5, sizeof(copy));
	assert_int_equal(holder_info_copy(&h, &copy), 0);
	assert_int_equal(copy.pid, 4711);
	assert_int_equal(copy.start_ns, -5);
	assert_int_equal(copy.uid, -1);
	assert_string_equal(copy.comm, "order");
	exe[0] = 'X';
	group[0] = 'X';
	assert_string_equal(copy.exe, "/app/order-service");
	assert_string_equal(copy.group, "shop/orders/app");
	assert_null(copy.script);
	assert_null(copy.version);
	holder_info_release(&copy);
}

static void release_accepts_null_and_zeroed_and_twice(void **state)
{
	struct holder_info h = {0};

	(void)state;
	holder_info_release(NULL);
	holder_info_release(&h);
	h.exe = strdup("x");
	holder_info_release(&h);
	assert_null(h.exe);
	holder_info_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_shares_nothing_and_keeps_what_is_not_known),
		cmocka_unit_test(release_accepts_null_and_zeroed_and_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
