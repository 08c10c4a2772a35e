/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_usage_view.c - the word for what a usage looks like
 * objects: core/usage_view.o core/evidence.o core/finding.o core/stats.o
 * objects: core/proctab.o core/proctab_store.o core/idmap.o core/slots.o core/endpoint.o
 * objects: core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include "../../user/core/detector_impl.h"

#define S NS_PER_S

static void the_state_word_follows_from_the_facts(void **state)
{
	static const struct {
		struct usage_facts f;
		enum usage_state want;
	} t[] = {
		{{.is_leak = true, .is_blind = true, .k = 9}, USAGE_LEAK},
		{{.is_fd_leak = true, .k = 9}, USAGE_FD_LEAK},
		{{.is_blind = true, .k = 9}, USAGE_BLIND},
		{{.k = 3, .has_resolved = true, .open = 5}, USAGE_SUSPECT},
		{{.abandoned = 8, .open = 16, .since_open_ns = INT64_MAX}, USAGE_SUSPECT},
		{{.abandoned = 7, .open = 7, .since_open_ns = INT64_MAX}, USAGE_POOL},
		{{.abandoned = 8, .open = 17, .since_open_ns = INT64_MAX}, USAGE_POOL},
		{{.k = 2, .has_resolved = true, .open = 5}, USAGE_RESOLVED},
		{{.open = 0, .opened = 9, .closed = 9, .since_open_ns = 900 * S}, USAGE_OK},
		{{.open = 20, .since_open_ns = INT64_MAX}, USAGE_POOL}, /* adopted */
		{{.open = 20, .opened = 20, .since_open_ns = 60 * S}, USAGE_POOL},
		{{.open = 20, .opened = 20, .since_open_ns = 59 * S}, USAGE_FILLING},
		{{.open = 20, .opened = 20, .returns = 50, .since_open_ns = S}, USAGE_POOL},
		{{.open = 20, .opened = 20, .passed_over = 6, .returns = 9, .since_open_ns = S},
		 USAGE_POOL},
		/* It loses what it opens; that one was used again early makes it no pool. */
		{{.open = 5, .opened = 5, .passed_over = 2, .returns = 1, .since_open_ns = S},
		 USAGE_FILLING},
		{{.open = 1, .opened = 99, .closed = 98, .returns = 98, .since_open_ns = S},
		 USAGE_OK},
		{{.open = 9, .opened = 10, .closed = 1, .since_open_ns = S}, USAGE_OK},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(t); i++)
		if (usage_state_of(&t[i].f) != t[i].want)
			fail_msg("row %zu: %s, wanted %s", i,
				 usage_state_name(usage_state_of(&t[i].f)),
				 usage_state_name(t[i].want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_state_word_follows_from_the_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
