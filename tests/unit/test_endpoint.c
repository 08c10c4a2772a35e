/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_endpoint.c
 * objects: core/endpoint.o core/idmap.o
 */
#include "t.h"

#include <errno.h>

#include "../../user/core/endpoint.h"

static void what_is_parsed_is_written_the_same(void **state)
{
	static const char *const texts[] = {
		"1.2.3.4:5432",		 "0.0.0.0:0",
		"255.255.255.255:65535", "[::1]:5432",
		"[2001:db8::a:b]:6432",	 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	};
	char buf[ENDPOINT_STRLEN];
	struct endpoint ep;

	(void)state;
	for (size_t i = 0; i < T_COUNT(texts); i++) {
		assert_int_equal(endpoint_parse(texts[i], &ep), 0);
		assert_string_equal(endpoint_format(&ep, buf), texts[i]);
	}
}

static void what_is_no_endpoint_is_refused_and_nothing_written(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3:5432",
		"1.2.3.4:65536",
		"1.2.3.4:5432 ",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4:000001",
		"localhost:5432",
		"::1:5432",
		"[::1]",
		"[::1]5432",
		"[::1:5432",
		"[1.2.3.4]:5432",
		"[]:1",
		"[::1%lo]:5432",
		"[0000000000000000000000000000000000000000000000000000000000000000]:1",
	};
	struct endpoint ep = {.port = 7, .family = 4}, before = ep;

	(void)state;
	for (size_t i = 0; i < T_COUNT(texts); i++) {
		if (endpoint_parse(texts[i], &ep) != -EINVAL)
			fail_msg("accepted: %s", texts[i]);
		assert_memory_equal(&ep, &before, sizeof(ep));
	}
}

static void a_mapped_address_is_the_ipv4_peer(void **state)
{
	struct endpoint a, b, c;
	const uint8_t raw[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 4, 12};
	char buf[ENDPOINT_STRLEN];

	(void)state;
	assert_int_equal(endpoint_parse("[::ffff:10.0.4.12]:5432", &a), 0);
	assert_int_equal(endpoint_parse("10.0.4.12:5432", &b), 0);
	endpoint_set(&c, 6, raw, 5432);
	assert_true(endpoint_equal(&a, &b) && endpoint_equal(&b, &c));
	assert_true(endpoint_hash(&a) == endpoint_hash(&b));
	assert_memory_equal(&a, &c, sizeof(a));
	assert_string_equal(endpoint_address(&c, buf), "10.0.4.12");
}

static void address_port_and_family_tell_peers_apart(void **state)
{
	const uint8_t raw[16] = {10, 0, 4, 12};
	struct endpoint v4, v6, port;

	(void)state;
	endpoint_set(&v4, 4, raw, 5432);
	endpoint_set(&v6, 6, raw, 5432);
	endpoint_set(&port, 4, raw, 5433);
	assert_false(endpoint_equal(&v4, &v6));
	assert_false(endpoint_equal(&v4, &port));
	assert_true(endpoint_hash(&v4) != endpoint_hash(&v6));
	assert_true(endpoint_hash(&v4) != endpoint_hash(&port));
}

static void unset_is_written_as_a_dash(void **state)
{
	struct endpoint ep = {0};
	const uint8_t raw[16] = {0};
	char buf[ENDPOINT_STRLEN];

	(void)state;
	assert_string_equal(endpoint_format(&ep, buf), "-");
	endpoint_set(&ep, 0, raw, 1);
	assert_int_equal(ep.family, 0);
	assert_string_equal(endpoint_address(&ep, buf), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_parsed_is_written_the_same),
		cmocka_unit_test(what_is_no_endpoint_is_refused_and_nothing_written),
		cmocka_unit_test(a_mapped_address_is_the_ipv4_peer),
		cmocka_unit_test(address_port_and_family_tell_peers_apart),
		cmocka_unit_test(unset_is_written_as_a_dash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
