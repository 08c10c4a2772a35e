/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_words.c - findings, verdicts and doctor's page read as they must
 * objects: core/words.o core/words_verdict.o core/doctor.o core/text.o core/strbuf.o
 * objects: core/finding.o core/endpoint.o core/holder_info.o core/site_info.o core/idmap.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <stdio.h>

#include "../../user/core/doctor.h"
#include "../../user/core/words.h"
#include "sample.h"

#define assert_text(sb, want)                                                                      \
	do {                                                                                       \
		assert_int_equal((sb)->err, 0);                                                    \
		assert_string_equal((sb)->buf, want);                                              \
		strbuf_clear(sb);                                                                  \
	} while (0)

static int setup(void **state)
{
	static struct strbuf sb;

	*state = &sb;
	return 0;
}

static int teardown(void **state)
{
	strbuf_release(*state);
	return 0;
}

static void a_leak_reads_as_in_the_contract(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);

	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "LEAK  order-service (pid 4711, v2.3.9, container 9c1d) -> 10.0.4.12:5432\n"
		    "      opened 42, closed 0 in 5m 00s: 7.6/min leaking (5.6 to 10), 40 idle\n"
		    "      97 slots usable, 55 left: at this rate gone in about 7m (4m to 12m)\n");
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (pid 4711) leaks 7.6 connections/min: 42 "
		    "opened, 0 closed in 300 s");
	words_row(*state, &f);
	assert_text((struct strbuf *)*state, "order-service (4711) leaks 7.6/min: 42 opened, 0 "
					     "closed in 5m 00s, 40 idle");
}

static void a_leak_names_its_line_of_code(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	struct site_frame frames[2];

	f.sites[0] = (struct finding_site){
		.site = 0xabc, .info = sample_site(frames), .opened = 41, .open = 41, .leaked = 37};
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "LEAK  order-service (pid 4711, v2.3.9, container 9c1d) -> 10.0.4.12:5432\n"
		    "      opened 42, closed 0 in 5m 00s: 7.6/min leaking (5.6 to 10), 40 idle\n"
		    "      from main.placeOrder  order.go:22  (41 of 42)\n"
		    "      97 slots usable, 55 left: at this rate gone in about 7m (4m to 12m)\n");
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (pid 4711) leaks 7.6 connections/min from main.placeOrder "
		    "order.go:22: 42 opened, 0 closed in 300 s");
	words_row(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (4711) leaks 7.6/min from main.placeOrder order.go:22: 42 "
		    "opened, 0 closed in 5m 00s, 40 idle");
	f.kind = FINDING_FD_LEAK;
	f.fd_only = 12;
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (pid 4711) leaks file descriptors from main.placeOrder "
		    "order.go:22: 12 of its 42 connections have ended and were never closed");
}

/* Where a pool opened it, who used it first is the answer. */
static void behind_a_pool_the_first_use_is_named(void **state)
{
	struct site_frame pool[1], user[1];
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);

	f.limit = -1;
	f.sites[0] = (struct finding_site){
		.site = 0xabc, .info = sample_pool_site(pool), .opened = 42, .leaked = 37};
	f.sites[1] = (struct finding_site){.site = 0xdef,
					   .role = SITE_FIRST_USED_BY,
					   .info = sample_user_site(user),
					   .open = 39,
					   .leaked = 36};
	f.n_sites = 2;
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "LEAK  order-service (pid 4711, v2.3.9, container 9c1d) -> 10.0.4.12:5432\n"
		    "      opened 42, closed 0 in 5m 00s: 7.6/min leaking (5.6 to 10), 40 idle\n"
		    "      first used by Invoice.load  Invoice.java:88  (39 of 42 open)\n");
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (pid 4711) leaks 7.6 connections/min, first used by "
		    "Invoice.load Invoice.java:88: 42 opened, 0 closed in 300 s");
	/* None that leaks was first used there: what is left is the pool's own frame. */
	f.sites[1].leaked = 0;
	words_row(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (4711) leaks 7.6/min from "
		    "com.zaxxer.hikari.pool.HikariPool$PoolEntryCreator.call HikariPool.java:725: "
		    "42 opened, 0 closed in 5m 00s, 40 idle");
}

/* Another process opened them all, and they were handed on. */
static void what_was_taken_over_was_not_opened(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	struct site_frame frames[2];

	f.limit = -1;
	f.opened = 0;
	f.open = f.moved_in = 8;
	f.sites[0] = (struct finding_site){
		.site = 0xabc, .info = sample_site(frames), .open = 7, .leaked = 7};
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (pid 4711) leaks 7.6 connections/min from main.placeOrder "
		    "order.go:22: 8 taken over, 0 closed in 300 s");
	words_row(*state, &f);
	assert_text((struct strbuf *)*state,
		    "order-service (4711) leaks 7.6/min from main.placeOrder order.go:22: 8 taken "
		    "over, 0 closed in 5m 00s, 40 idle");
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "LEAK  order-service (pid 4711, v2.3.9, container 9c1d) -> 10.0.4.12:5432\n"
		    "      took over 8 from another process, closed 0 in 5m 00s: 7.6/min leaking "
		    "(5.6 to 10), 40 idle\n"
		    "      from main.placeOrder  order.go:22  (7 of 8 open)\n");
}

static void where_it_ends_and_what_it_follows_from_is_said(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);

	f.limit = -1;
	f.via_pid = 988;
	strcpy(f.via_comm, "pgbouncer");
	f.moved_in = 8;
	strcpy(f.downstream_of, "00000000000000aa");
	words_finding(*state, &f);
	assert_text(
		(struct strbuf *)*state,
		"LEAK  order-service (pid 4711, v2.3.9, container 9c1d) -> 10.0.4.12:5432 via "
		"pgbouncer (pid 988)\n"
		"      opened 42, closed 0, 8 taken over from another process in 5m 00s: 7.6/min "
		"leaking (5.6 to 10), 40 idle\n"
		"      it holds what its clients leak: finding 00000000000000aa\n");
}

static void what_is_not_known_is_left_out(void **state)
{
	struct holder_info info = {.pid = 7, .uid = -1, .comm = "x"};
	struct finding f = sample_finding(&info);

	f.limit = -1;
	f.used = -1;
	f.leak_rate_per_min = NAN;
	f.window_s = NAN;
	f.exhausted_in_s = NAN;
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state, "LEAK  x (pid 7) -> 10.0.4.12:5432\n"
					     "      opened 42, closed 0: 37 leaked, 40 idle\n");
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state, "x (pid 7) leaks connections: 42 opened, 0 closed");
}

static void the_other_kinds_say_what_they_are(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);

	f.kind = FINDING_FD_LEAK;
	f.fd_only = 12;
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "FD LEAK  order-service (pid 4711, v2.3.9, container 9c1d) -> 10.0.4.12:5432\n"
		    "      opened 42, closed 0 in 5m 00s: 12 ended and still held\n");
	f.kind = FINDING_BUDGET;
	f.holder = NULL;
	f.scope = SCOPE_NODE;
	f.exhausted_in_s = NAN;
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "BUDGET  10.0.4.12:5432\n"
		    "      97 connections are this node's share, 55 left\n");
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state, "10.0.4.12:5432: 42 of 97 connections are used");
	f.kind = FINDING_RATE;
	f.used = 97;
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "RATE  10.0.4.12:5432\n"
		    "      97 connections are this node's share, none left\n");
	f.kind = FINDING_BLIND;
	f.peer.family = 0;
	words_finding(*state, &f);
	assert_text((struct strbuf *)*state,
		    "BLIND  this node\n"
		    "      counts are estimates: 7 idle connections were passed over\n");
	f.kind = FINDING_LEAK;
	f.holder = &info;
	f.status = FINDING_RESOLVED;
	f.resolved_because = RESOLVED_DRAINED;
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state, "order-service (pid 4711): leak is over, its idle "
					     "connections were closed");
	f.kind = FINDING_RATE;
	f.holder = NULL;
	f.peer.family = 4;
	f.resolved_because = RESOLVED_NOT;
	words_summary(*state, &f);
	assert_text((struct strbuf *)*state, "10.0.4.12:5432: rate is over");
}

static void a_holder_is_named_by_what_is_known(void **state)
{
	struct holder_info info = sample_info();
	char where[WORDS_WHERE_LEN];

	assert_string_equal(words_where(&info, where), "9c1d");
	info.container = (char *)"0123456789abcdef";
	assert_string_equal(words_where(&info, where), "0123456789ab");
	info.container_name = (char *)"app";
	assert_string_equal(words_where(&info, where), "app");
	info.unit = (char *)"order.service";
	assert_string_equal(words_where(&info, where), "order.service");
	info.pod = (char *)"orders-7d9f-x2x";
	assert_string_equal(words_where(&info, where), "orders-7d9f-x2x");
	words_holder(*state, &info);
	assert_text((struct strbuf *)*state,
		    "order-service (pid 4711, v2.3.9, pod orders-7d9f-x2x)");
	info.script = (char *)"/srv/import.py";
	assert_string_equal(words_name(&info), "import.py");
	info = (struct holder_info){.exe = (char *)"/usr/bin/x"};
	assert_string_equal(words_name(&info), "x");
	info.exe = NULL;
	assert_string_equal(words_name(&info), "-");
	assert_string_equal(words_where(&info, where), "-");
}

static void states_have_the_kernels_names(void **state)
{
	(void)state;
	assert_string_equal(words_conn_state(T_NEVER, 0), "ESTABLISHED");
	assert_string_equal(words_conn_state(1, FIN_PEER), "CLOSE_WAIT");
	assert_string_equal(words_conn_state(1, FIN_RESET), "CLOSE");
	assert_string_equal(words_conn_state(1, FIN_TIMEOUT), "CLOSE");
	assert_string_equal(words_conn_state(1, FIN_SHUTDOWN), "FIN_WAIT2");
}

static struct holder sample_holder(void)
{
	struct holder h = {.id = 1, .info = sample_info()};

	h.info.pid = 4802;
	h.info.version = (char *)"v2.3.10";
	h.info.container = NULL;
	return h;
}

static void a_pass_says_what_would_not_have_passed(void **state)
{
	struct verdict v = sample_verdict(VERDICT_PASS);
	struct holder h = sample_holder();

	words_verdict(*state, &v, NULL, &h);
	assert_text((struct strbuf *)*state,
		    "PASS  order-service (pid 4802, v2.3.10): 1,204 opened, 1,203 closed in 15m; "
		    "nothing idle longer than 84 ms\n"
		    "      a leak of 0.46/min or more would not have passed (99 %)\n");
	v.window_s = 180;
	v.watched_s = 181.2;
	v.detectable_leak_per_min = 2.656;
	v.idle = 30;
	words_verdict(*state, &v, NULL, &h);
	assert_text((struct strbuf *)*state,
		    "PASS  order-service (pid 4802, v2.3.10): 1,204 opened, 1,203 closed in 3m; "
		    "30 idle at the end\n"
		    "      a leak of 2.7/min or more would not have passed (99 %)\n");
	v.holders = 3;
	v.opened = v.closed = v.idle = 0;
	v.longest_idle_ns = T_NEVER;
	v.confidence = 0.999;
	words_verdict(*state, &v, NULL, &h);
	assert_text((struct strbuf *)*state,
		    "PASS  3 processes: nothing opened in 3m\n"
		    "      a leak of 2.7/min or more would not have passed (99.9 %)\n");
}

static void a_short_watch_says_how_long_it_should_have_been(void **state)
{
	struct verdict v = sample_verdict(VERDICT_INCONCLUSIVE);
	struct holder h = sample_holder();

	v.opened = v.closed = 312;
	v.window_s = 300;
	v.watched_s = 300.3;
	v.detectable_leak_per_min = 1.476;
	words_verdict(*state, &v, NULL, &h);
	assert_text(
		(struct strbuf *)*state,
		"INCONCLUSIVE  order-service (pid 4802, v2.3.10): 312 opened, 312 closed in 5m\n"
		"      5 minutes rule out a leak of 1.5/min, not the 0.5/min asked for: watch for "
		"14m\n");
	v.left_idle = 5;
	words_verdict(*state, &v, NULL, &h);
	assert_text(
		(struct strbuf *)*state,
		"INCONCLUSIVE  order-service (pid 4802, v2.3.10): 312 opened, 312 closed in 5m\n"
		"      5 connections look abandoned; 5 minutes rule out a leak of 1.5/min, not the "
		"0.5/min asked for: watch for 14m\n");
}

static void other_doubts_are_told_as_the_canary_tells_them(void **state)
{
	struct verdict v = sample_verdict(VERDICT_INCONCLUSIVE);

	v.holders = 0;
	v.opened = v.closed = 0;
	v.exchanges = 0;
	v.detectable_leak_per_min = v.needed_window_s = NAN;
	strcpy(v.reason, "nothing was seen");
	words_verdict(*state, &v, NULL, NULL);
	assert_text((struct strbuf *)*state,
		    "INCONCLUSIVE  no process with a connection: nothing opened in 15m\n"
		    "      nothing was seen\n");
	v = sample_verdict(VERDICT_INCONCLUSIVE);
	v.lost_events = 3;
	strcpy(v.reason, "3 events were lost");
	words_verdict(*state, &v, NULL, NULL);
	assert_text((struct strbuf *)*state,
		    "INCONCLUSIVE  1 process: 1,204 opened, 1,203 closed in 15m\n"
		    "      3 events were lost\n");
}

static void a_leak_verdict_says_what_to_do_next(void **state)
{
	struct verdict v = sample_verdict(VERDICT_LEAK);
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	struct holder h = sample_holder();

	info.container = NULL;
	f.window_s = 140.2;
	f.opened = 20;
	f.used = 20;
	f.idle = 18;
	f.leak_rate_per_min = 7.2;
	f.leak_rate_low = 4.4;
	f.leak_rate_high = 11.2;
	f.exhausted_in_s = 660;
	f.exhausted_in_low_s = 270;
	f.exhausted_in_high_s = 1320;
	words_verdict(*state, &v, &f, &h);
	assert_text(
		(struct strbuf *)*state,
		"LEAK  order-service (pid 4711, v2.3.9) -> 10.0.4.12:5432\n"
		"      opened 20, closed 0 in 2m 20s: 7.2/min leaking (4.4 to 11), 18 idle\n"
		"      97 slots usable, 77 left: at this rate gone in about 11m (4m 30s to 22m)\n"
		"      next: roll back; then  connleak ls --pid 4711\n");
	v.n_findings = 3;
	v.watched_s = 141;
	snprintf(v.reason, sizeof(v.reason), "up to 6 were left idle at a time");
	words_verdict(*state, &v, NULL, NULL);
	assert_text((struct strbuf *)*state,
		    "LEAK  1 process: 1,204 opened, 1,203 closed in 2m 21s\n"
		    "      up to 6 were left idle at a time\n"
		    "      and 2 more (--json names each)\n"
		    "      next: roll back\n");
}

static void the_moving_line_is_careful(void **state)
{
	struct canary_progress p = {.watched_s = 101.4,
				    .window_s = 900,
				    .holders = 1,
				    .opened = 14,
				    .open = 14,
				    .k = 3,
				    .k_needed = 5};

	words_progress(*state, &p);
	assert_text((struct strbuf *)*state,
		    "  1m 41s of 15m   opened 14  closed 0  open 14   looks "
		    "like a leak, not sure yet (3 of 5)");
	p.k = 8;
	words_progress(*state, &p);
	assert_text((struct strbuf *)*state,
		    "  1m 41s of 15m   opened 14  closed 0  open 14   looks "
		    "like a leak, not sure yet");
	p.k = 2;
	words_progress(*state, &p);
	assert_text((struct strbuf *)*state, "  1m 41s of 15m   opened 14  closed 0  open 14");
	p.holders = 0;
	words_progress(*state, &p);
	assert_text((struct strbuf *)*state, "  1m 41s of 15m   no connection yet");
}

static void doctor_puts_the_remedy_under_the_check(void **state)
{
	struct doctor_report r = {
		.kernel = "6.1.0-50-cloud-amd64",
		.machine = "x86_64",
		.checks = {{"kernel BTF", "btf", CHECK_OK, "/sys/kernel/btf/vmlinux, 4.1 MB", ""},
			   {"names of processes", "names", CHECK_PART, "no CAP_SYS_PTRACE",
			    "run it as root"}},
		.n_checks = 2,
		.is_ready = true,
		.summary = "yes, without names",
	};

	doctor_text(*state, &r, "0.1.0");
	assert_text((struct strbuf *)*state,
		    "connleak 0.1.0 on Linux 6.1.0-50-cloud-amd64, x86_64\n"
		    "  kernel BTF              ok       /sys/kernel/btf/vmlinux, 4.1 MB\n"
		    "  names of processes      part     no CAP_SYS_PTRACE\n"
		    "                                   run it as root\n"
		    "ready: yes, without names\n");
	assert_string_equal(check_status_name(CHECK_MISSING), "missing");
	assert_string_equal(check_status_name(CHECK_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leak_reads_as_in_the_contract),
		cmocka_unit_test(a_leak_names_its_line_of_code),
		cmocka_unit_test(behind_a_pool_the_first_use_is_named),
		cmocka_unit_test(what_was_taken_over_was_not_opened),
		cmocka_unit_test(where_it_ends_and_what_it_follows_from_is_said),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(the_other_kinds_say_what_they_are),
		cmocka_unit_test(a_holder_is_named_by_what_is_known),
		cmocka_unit_test(states_have_the_kernels_names),
		cmocka_unit_test(a_pass_says_what_would_not_have_passed),
		cmocka_unit_test(a_short_watch_says_how_long_it_should_have_been),
		cmocka_unit_test(other_doubts_are_told_as_the_canary_tells_them),
		cmocka_unit_test(a_leak_verdict_says_what_to_do_next),
		cmocka_unit_test(the_moving_line_is_careful),
		cmocka_unit_test(doctor_puts_the_remedy_under_the_check),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
