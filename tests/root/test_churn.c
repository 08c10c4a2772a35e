/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_churn.c - many connections: each is told once, and what is not told is counted
 */
#include "rig.h"

/* In a child: @n connects, each reset at once so that no port stays taken. */
static pid_t churn(const struct rig *r, int n)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	for (int i = 0; i < n; i++) {
		int fd = rig_connect(r);

		if (fd < 0)
			_exit(1);
		close(accept(r->listener, NULL, NULL));
		reset_close(fd);
	}
	_exit(0);
}

static bool has_ended(pid_t pid)
{
	int status;
	pid_t got = waitpid(pid, &status, WNOHANG);

	if (got == pid)
		assert_int_equal(status, 0);
	return got == pid;
}

static void under_churn_each_connection_is_told_once(void **state)
{
	enum { N = 20000 };
	struct pollfd ready;
	struct rig r = {0};
	pid_t pid;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	ready = (struct pollfd){.fd = r.source.ops->fd(r.source.arg), .events = POLLIN};
	pid = churn(&r, N);
	while (!has_ended(pid)) {
		if (poll(&ready, 1, 200) > 0)
			assert_int_equal(r.source.ops->drain(r.source.arg), 0);
		rig_look(&r);
	}
	/* what a program skipped is repaired by the passes */
	rig_await(&r, EV_EXIT, 1);
	for (int i = 0; i < 3; i++)
		rig_look(&r);
	assert_int_equal(rig_count(&r, EV_LOST), 0);
	assert_int_equal(rig_count(&r, EV_OPEN), N);
	assert_int_equal(rig_count(&r, EV_CLOSE), N);
	rig_close(&r);
}

static void a_full_ring_is_said_and_the_counters_hold(void **state)
{
	enum { N = 12000 };
	struct rig r = {0};
	const struct event *count;
	uint64_t lost = 0;
	int status;
	pid_t pid;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	pid = churn(&r, N);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	rig_look(&r);
	for (size_t i = 0; i < r.n_seen; i++)
		if (r.seen[i].kind == EV_LOST)
			lost += r.seen[i].lost.events;
	count = rig_last(&r, EV_COUNT);
	assert_int_equal(count->holder, rig_holder_of(&r, pid));
	assert_int_equal(count->count.opened, N);
	assert_int_equal(count->count.closed, N);
	assert_int_equal(count->count.open, 0);
	/* every record is either here or counted as lost: one each for open and end, one exit */
	assert_int_equal(rig_count(&r, EV_OPEN) + lost >= N, 1);
	assert_true(lost > 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(under_churn_each_connection_is_told_once),
		cmocka_unit_test(a_full_ring_is_said_and_the_counters_hold),
	};
	char why[512];

	if (kernel_probe_basics(why, sizeof(why))) {
		printf("SKIP: %s\n", why);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
