/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_held.c - who holds a connection now, where it ends, and what counting missed: for real
 */
#include "rig.h"

#include <sys/syscall.h>
#include <sys/un.h>

/* A look that compares with the kernel's tables of descriptors. */
static void compare(struct rig *r)
{
	source_bpf_compare(&r->source);
	rig_look(r);
}

static bool is_held_by(const struct event *held, pid_t pid)
{
	for (uint32_t i = 0; i < held->held.n; i++)
		if (held->held.pids[i] == (uint32_t)pid)
			return true;
	return false;
}

static void hold_only(const struct rig *r)
{
	(void)r;
}

static void after_a_fork_both_are_named(void **state)
{
	struct rig r = {0};
	int client, go;
	pid_t pid;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	pid = rig_child(hold_only, &r, &go);
	compare(&r);
	assert_int_equal(rig_last(&r, EV_HELD)->held.total, 2);
	assert_true(is_held_by(rig_last(&r, EV_HELD), getpid()));
	assert_true(is_held_by(rig_last(&r, EV_HELD), pid));
	/* said once, not at each comparison */
	compare(&r);
	assert_int_equal(rig_count(&r, EV_HELD), 1);
	assert_int_equal(rig_count(&r, EV_MOVE), 0);
	close(go);
	waitpid(pid, NULL, 0);
	compare(&r);
	assert_int_equal(rig_last(&r, EV_HELD)->held.total, 1);
	close(client);
	rig_close(&r);
}

static void what_the_opener_lets_go_moves_to_who_keeps_it(void **state)
{
	struct rig r = {0};
	int client, go;
	pid_t pid;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	pid = rig_child(hold_only, &r, &go);
	close(client);
	compare(&r);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	assert_int_equal(rig_count(&r, EV_MOVE), 1);
	assert_int_equal(rig_last(&r, EV_MOVE)->holder, rig_holder_of(&r, pid));
	compare(&r);
	assert_int_equal(rig_count(&r, EV_MOVE), 1);
	close(go);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_CLOSE, 1);
	/* the keeper has never connected, and its end is seen all the same */
	rig_await(&r, EV_EXIT, 1);
	assert_int_equal(rig_last(&r, EV_EXIT)->holder, rig_holder_of(&r, pid));
	rig_close(&r);
}

static void connect_and_leave_it_to_a_child(const struct rig *r)
{
	rig_connect(r);
	if (fork() == 0) {
		/* until the test closes its end of the pipe that the child inherits */
		pause();
		_exit(0);
	}
}

static void the_opener_may_exit(void **state)
{
	struct rig r = {0};
	pid_t pid;
	int go;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	pid = rig_child(connect_and_leave_it_to_a_child, &r, &go);
	rig_look(&r);
	close(go);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_EXIT, 1);
	compare(&r);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	assert_int_equal(rig_count(&r, EV_MOVE), 1);
	assert_int_not_equal(rig_last(&r, EV_MOVE)->holder, rig_holder_of(&r, pid));
	for (size_t i = 0; i < r.n_holders; i++)
		if (r.holder_ids[i] == rig_last(&r, EV_MOVE)->holder)
			kill((pid_t)r.holders[i].pid, SIGKILL);
	rig_await(&r, EV_CLOSE, 1);
	rig_close(&r);
}

static void two_descriptors_of_one_process_are_one_holder(void **state)
{
	struct rig r = {0};
	int client, again;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	again = dup(client);
	compare(&r);
	assert_int_equal(rig_count(&r, EV_HELD), 0);
	close(client);
	compare(&r);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	assert_int_equal(rig_count(&r, EV_MOVE), 0);
	close(again);
	rig_await(&r, EV_CLOSE, 1);
	rig_close(&r);
}

static void send_fd(int to, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec byte = {"x", 1};
	struct msghdr m = {.msg_iov = &byte,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(to, &m, 0), 1);
}

static int receive_fd(int from)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int fd;

	if (recvmsg(from, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void in_flight_it_is_nobodys_and_then_the_receivers(void **state)
{
	struct rig r = {0};
	int pair[2], go[2], client;
	char byte;
	pid_t pid;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (!pid) {
		close(go[1]);
		if (read(go[0], &byte, 1) != 1 || receive_fd(pair[1]) < 0)
			_exit(1);
		if (write(pair[1], "r", 1) != 1)
			_exit(2);
		pause();
	}
	close(go[0]);
	client = rig_connect(&r);
	send_fd(pair[0], client);
	close(client);
	compare(&r);
	compare(&r);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	assert_int_equal(rig_last(&r, EV_HELD)->held.total, 0);
	assert_int_equal(r.snapshot.unheld, 1);
	assert_int_equal(r.snapshot.drift, 0);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	compare(&r);
	assert_int_equal(rig_last(&r, EV_MOVE)->holder, rig_holder_of(&r, pid));
	assert_int_equal(rig_last(&r, EV_HELD)->held.total, 1);
	assert_int_equal(r.snapshot.unheld, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_CLOSE, 1);
	close(go[1]);
	close(pair[0]);
	close(pair[1]);
	rig_close(&r);
}

static void a_descriptor_taken_by_pidfd_getfd_is_seen(void **state)
{
	struct rig r = {0};
	int client, pidfd, go;
	pid_t parent = getpid(), pid;
	struct rig *shared = &r;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	/* without the inherited copy it would not be a theft */
	assert_int_equal(fcntl(client, F_SETFD, FD_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		close(client);
		pidfd = (int)syscall(SYS_pidfd_open, parent, 0);
		if (pidfd < 0 || syscall(SYS_pidfd_getfd, pidfd, client, 0) < 0)
			_exit(1);
		pause();
	}
	for (int i = 0; i < 60 && !rig_count(shared, EV_HELD); i++) {
		poll(NULL, 0, 50);
		compare(shared);
	}
	assert_int_equal(rig_last(&r, EV_HELD)->held.total, 2);
	assert_true(is_held_by(rig_last(&r, EV_HELD), pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(client);
	(void)go;
	rig_close(&r);
}

/* A pooler: accepts on the watched port and goes on to a second watched port. */
static void a_connection_that_ends_in_another_holder_says_so(void **state)
{
	struct rig front = {0}, back = {0};
	uint16_t ports[2];
	struct kernel_params p = {.ports = ports, .n_ports = 2};
	char why[512];
	int client, go;
	pid_t pid;

	(void)state;
	rig_listen(&front, AF_INET);
	rig_listen(&back, AF_INET);
	ports[0] = front.port;
	ports[1] = back.port;
	assert_int_equal(source_bpf_open(&front.source, &p, NS_PER_S, why, sizeof(why)), 0);
	client = rig_connect(&front);
	pid = fork();
	if (!pid) {
		close(client);
		if (rig_accept(&front) < 0 || rig_connect(&back) < 0)
			_exit(1);
		pause();
	}
	rig_await(&front, EV_OPEN, 2);
	compare(&front);
	assert_int_equal(rig_count(&front, EV_VIA), 1);
	assert_int_equal(rig_last(&front, EV_VIA)->via, rig_holder_of(&front, pid));
	compare(&front);
	assert_int_equal(rig_count(&front, EV_VIA), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(client);
	(void)go;
	rig_close(&front);
	rig_close(&back);
}

static size_t connect_many(const struct rig *r, int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fds[i] = rig_connect(r);
		assert_true(fds[i] >= 0);
	}
	return n;
}

/* Each live program in turn is taken away while 40 open and 40 close. */
static void what_a_missing_program_missed_is_found(void **state)
{
	static const char *const programs[] = {"conn_attempt", "conn_state"};

	(void)state;
	for (size_t p = 0; p < T_COUNT(programs); p++) {
		struct rig r = {0};
		int old[40], new[40];
		struct kernel *k;

		rig_listen(&r, AF_INET);
		rig_watch(&r);
		k = source_bpf_kernel(&r.source);
		connect_many(&r, old, T_COUNT(old));
		compare(&r);
		assert_int_equal(rig_count(&r, EV_OPEN), T_COUNT(old));
		assert_int_equal(r.snapshot.drift, 0);

		assert_int_equal(kernel_set_program(k, programs[p], false), 0);
		connect_many(&r, new, T_COUNT(new));
		for (size_t i = 0; i < T_COUNT(old); i++)
			reset_close(old[i]);
		assert_int_equal(kernel_set_program(k, programs[p], true), 0);

		compare(&r);
		rig_look(&r);
		compare(&r);
		assert_true(r.snapshot.drift + (int64_t)r.snapshot.repaired >= 40);
		assert_int_equal(rig_count(&r, EV_OPEN), T_COUNT(old) + T_COUNT(new));
		assert_int_equal(rig_count(&r, EV_CLOSE), T_COUNT(old));
		/* and then nothing is left of it */
		compare(&r);
		compare(&r);
		assert_int_equal(r.snapshot.drift, 0);
		for (size_t i = 0; i < T_COUNT(new); i++)
			reset_close(new[i]);
		rig_await(&r, EV_CLOSE, T_COUNT(old) + T_COUNT(new));
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_a_fork_both_are_named),
		cmocka_unit_test(what_the_opener_lets_go_moves_to_who_keeps_it),
		cmocka_unit_test(the_opener_may_exit),
		cmocka_unit_test(two_descriptors_of_one_process_are_one_holder),
		cmocka_unit_test(in_flight_it_is_nobodys_and_then_the_receivers),
		cmocka_unit_test(a_descriptor_taken_by_pidfd_getfd_is_seen),
		cmocka_unit_test(a_connection_that_ends_in_another_holder_says_so),
		cmocka_unit_test(what_a_missing_program_missed_is_found),
	};
	char why[512];

	if (kernel_probe_basics(why, sizeof(why))) {
		printf("SKIP: %s\n", why);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
