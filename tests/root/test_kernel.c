/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_kernel.c - the kernel programs, attached for real: each way a connection can go
 */
#include "rig.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <net/if.h>

static void open_and_close_are_one_each(void **state)
{
	struct rig r = {0};
	int client, server;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	server = rig_accept(&r);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 1);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	assert_int_equal(rig_last(&r, EV_OPEN)->open.peer.port, r.port);
	assert_int_equal(rig_last(&r, EV_OPEN)->open.adopted, false);
	assert_int_equal(rig_last(&r, EV_OPEN)->tid, gettid());
	assert_int_equal(rig_last(&r, EV_OPEN)->holder, rig_holder_of(&r, getpid()));
	close(client);
	rig_await(&r, EV_CLOSE, 1);
	assert_int_equal(rig_last(&r, EV_CLOSE)->close, CLOSE_APP);
	assert_int_equal(rig_last(&r, EV_CLOSE)->conn, rig_last(&r, EV_OPEN)->conn);
	close(server);
	rig_close(&r);
}

static void bytes_and_order_are_told(void **state)
{
	struct rig r = {0};
	const struct event *io;
	char buf[64];
	int client, server;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	server = rig_accept(&r);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	assert_int_equal(recv(server, buf, sizeof(buf), 0), 5);
	assert_int_equal(send(server, "welcome", 7, 0), 7);
	assert_int_equal(recv(client, buf, sizeof(buf), 0), 7);
	rig_look(&r);
	io = rig_last(&r, EV_IO);
	assert_int_equal(io->io.tx, 5);
	assert_int_equal(io->io.rx, 7);
	assert_true(io->io.tx_ns <= io->t_ns + 10 * NS_PER_MS);
	assert_true(io->io.rx_ns >= io->io.tx_ns);
	assert_int_equal(io->io.last, IO_LAST_RX);
	/* and once more when nothing moved: nothing */
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_IO), 1);
	assert_int_equal(send(client, "query", 5, 0), 5);
	assert_int_equal(recv(server, buf, sizeof(buf), 0), 5);
	/* what counts as sent is what was acknowledged, which may take 40 ms */
	rig_await(&r, EV_IO, 2);
	io = rig_last(&r, EV_IO);
	assert_int_equal(io->io.tx, 10);
	assert_true(io->io.tx_ns > io->io.rx_ns || io->io.last == IO_LAST_TX);
	close(client);
	close(server);
	rig_close(&r);
}

static void server_closing_first_gives_up_the_slot_only(void **state)
{
	struct rig r = {0};
	int client;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	close(rig_accept(&r));
	rig_await(&r, EV_FIN, 1);
	assert_int_equal(rig_last(&r, EV_FIN)->fin, FIN_PEER);
	rig_look(&r);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	close(client);
	rig_await(&r, EV_CLOSE, 1);
	rig_close(&r);
}

static void reset_by_the_server_keeps_the_descriptor(void **state)
{
	struct rig r = {0};
	int client;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	reset_close(rig_accept(&r));
	rig_await(&r, EV_FIN, 1);
	assert_int_equal(rig_last(&r, EV_FIN)->fin, FIN_RESET);
	rig_look(&r);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	close(client);
	rig_await(&r, EV_CLOSE, 1);
	rig_close(&r);
}

static void reset_by_the_application_is_its_close(void **state)
{
	struct rig r = {0};

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	reset_close(rig_connect(&r));
	rig_await(&r, EV_CLOSE, 1);
	assert_int_equal(rig_last(&r, EV_CLOSE)->close, CLOSE_APP);
	assert_int_equal(rig_count(&r, EV_FIN), 0);
	rig_close(&r);
}

static void a_half_closed_socket_is_not_closed(void **state)
{
	struct rig r = {0};
	int client, server;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	server = rig_accept(&r);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	rig_await(&r, EV_FIN, 1);
	assert_int_equal(rig_last(&r, EV_FIN)->fin, FIN_SHUTDOWN);
	rig_look(&r);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	close(client);
	rig_await(&r, EV_CLOSE, 1);
	close(server);
	rig_close(&r);
}

static void a_refused_connect_failed(void **state)
{
	struct rig r = {0};

	(void)state;
	rig_listen(&r, AF_INET);
	close(r.listener);
	r.listener = 0;
	rig_watch(&r);
	assert_int_equal(rig_connect(&r), -ECONNREFUSED);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 0);
	assert_int_equal(rig_count(&r, EV_FAIL), 1);
	assert_int_equal(rig_last(&r, EV_FAIL)->fail.err, ECONNREFUSED);
	assert_int_equal(rig_last(&r, EV_FAIL)->fail.peer.port, r.port);
	rig_close(&r);
}

static void a_refused_socket_may_try_again(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct rig r = {0};
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	rig_listen(&r, AF_INET);
	to.sin_port = htons(r.port);
	close(r.listener);
	rig_watch(&r);
	assert_int_equal(connect(client, (void *)&to, sizeof(to)), -1);
	rig_look(&r);
	r.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r.listener, (void *)&to, sizeof(to)), 0);
	assert_int_equal(listen(r.listener, 8), 0);
	assert_int_equal(connect(client, (void *)&to, sizeof(to)), 0);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_FAIL), 1);
	assert_int_equal(rig_count(&r, EV_OPEN), 1);
	close(client);
	rig_await(&r, EV_CLOSE, 1);
	rig_close(&r);
}

static void a_disconnected_socket_may_connect_again(void **state)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct rig r = {0};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	to.sin_port = htons(r.port);
	client = rig_connect(&r);
	assert_int_equal(connect(client, &none, sizeof(none)), 0);
	rig_await(&r, EV_CLOSE, 1);
	assert_int_equal(connect(client, (void *)&to, sizeof(to)), 0);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 2);
	assert_int_not_equal(rig_last(&r, EV_OPEN)->conn, rig_last(&r, EV_CLOSE)->conn);
	close(client);
	rig_await(&r, EV_CLOSE, 2);
	rig_close(&r);
}

static void the_accepting_side_is_not_a_client(void **state)
{
	struct rig r = {0};
	int clients[8];

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	for (size_t i = 0; i < T_COUNT(clients); i++)
		clients[i] = rig_connect(&r);
	for (size_t i = 0; i < T_COUNT(clients); i++)
		close(rig_accept(&r));
	for (size_t i = 0; i < T_COUNT(clients); i++)
		close(clients[i]);
	rig_await(&r, EV_CLOSE, T_COUNT(clients));
	assert_int_equal(rig_count(&r, EV_OPEN), T_COUNT(clients));
	rig_close(&r);
}

static void ipv6_and_mapped_ipv4_are_told_apart(void **state)
{
	struct rig r = {0};
	char text[ENDPOINT_STRLEN];
	int client;

	(void)state;
	rig_listen(&r, AF_INET6);
	rig_watch(&r);
	client = rig_connect_as(&r, AF_INET6, "::1");
	rig_look(&r);
	assert_string_equal(endpoint_address(&rig_last(&r, EV_OPEN)->open.peer, text), "::1");
	close(client);
	rig_close(&r);

	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect_as(&r, AF_INET6, "::ffff:127.0.0.1");
	rig_look(&r);
	assert_string_equal(endpoint_address(&rig_last(&r, EV_OPEN)->open.peer, text), "127.0.0.1");
	close(client);
	rig_close(&r);
}

static void what_was_open_before_is_adopted(void **state)
{
	struct rig r = {0};
	const struct event *open;
	int client, server, fin_client;

	(void)state;
	rig_listen(&r, AF_INET);
	client = rig_connect(&r);
	server = rig_accept(&r);
	fin_client = rig_connect(&r);
	close(rig_accept(&r));
	assert_int_equal(send(client, "x", 1, 0), 1);
	rig_watch(&r);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 2);
	open = rig_last(&r, EV_OPEN);
	assert_true(open->open.adopted);
	assert_int_equal(open->holder, rig_holder_of(&r, getpid()));
	assert_int_equal(open->open.peer.port, r.port);
	assert_int_not_equal(open->open.local.port, 0);
	/* one of them had lost its slot already */
	assert_int_equal(rig_count(&r, EV_FIN), 1);
	/* bytes that moved before the watch are measured all the same */
	assert_true(rig_count(&r, EV_IO) >= 1);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 2);
	close(client);
	close(fin_client);
	rig_await(&r, EV_CLOSE, 2);
	close(server);
	rig_close(&r);
}

static void connect_three(const struct rig *r)
{
	for (int i = 0; i < 3; i++)
		rig_connect(r);
}

static void an_exit_comes_before_the_closes_it_causes(void **state)
{
	struct rig r = {0};
	size_t exit_at = SIZE_MAX, close_at = SIZE_MAX;
	pid_t pid;
	int go;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	pid = rig_child(connect_three, &r, &go);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 3);
	assert_int_not_equal(rig_holder_of(&r, pid), 0);
	close(go);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_CLOSE, 3);
	for (size_t i = 0; i < r.n_seen; i++) {
		if (r.seen[i].kind == EV_EXIT)
			exit_at = i;
		if (r.seen[i].kind == EV_CLOSE && close_at == SIZE_MAX)
			close_at = i;
	}
	assert_true(exit_at < close_at);
	assert_int_equal(rig_last(&r, EV_CLOSE)->close, CLOSE_EXIT);
	assert_int_equal(rig_last(&r, EV_EXIT)->holder, rig_holder_of(&r, pid));
	rig_close(&r);
}

static void killed_processes_close_too(void **state)
{
	struct rig r = {0};
	pid_t pid;
	int go;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	pid = rig_child(connect_three, &r, &go);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_CLOSE, 3);
	assert_int_equal(rig_last(&r, EV_CLOSE)->close, CLOSE_EXIT);
	close(go);
	rig_close(&r);
}

static void in_another_network_namespace(const struct rig *r)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	struct rig inner = *r;
	int fd;

	if (unshare(CLONE_NEWNET))
		_exit(3);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &lo))
		_exit(4);
	inner.listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_port = htons(r->port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	if (bind(inner.listener, (void *)&here, sizeof(here)) || listen(inner.listener, 8))
		_exit(5);
	connect_three(&inner);
}

static void other_network_namespaces_are_seen_live_and_adopted(void **state)
{
	struct rig r = {0};
	pid_t pid;
	int go;

	(void)state;
	rig_listen(&r, AF_INET);
	pid = rig_child(in_another_network_namespace, &r, &go);
	rig_watch(&r);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 3);
	assert_true(rig_last(&r, EV_OPEN)->open.adopted);
	assert_int_not_equal(rig_holder_of(&r, pid), 0);
	close(go);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_CLOSE, 3);

	pid = rig_child(in_another_network_namespace, &r, &go);
	rig_look(&r);
	assert_int_equal(rig_count(&r, EV_OPEN), 6);
	assert_false(rig_last(&r, EV_OPEN)->open.adopted);
	close(go);
	waitpid(pid, NULL, 0);
	rig_close(&r);
}

/* Connects, and from then on nothing of the server's gets through. */
static void lose_the_server(const struct rig *r)
{
	unsigned timeout_ms = 300;
	struct rig inner;
	char command[128];
	int fd;

	in_another_network_namespace(r);
	inner = *r;
	fd = rig_connect(&inner);
	snprintf(command, sizeof(command), "iptables -A OUTPUT -p tcp --sport %u -j DROP", r->port);
	if (system(command))
		_exit(6);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	if (send(fd, "query", 5, 0) != 5)
		_exit(7);
}

static void a_server_that_vanished_is_a_timeout(void **state)
{
	struct rig r = {0};
	pid_t pid;
	int go;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	pid = rig_child(lose_the_server, &r, &go);
	rig_await(&r, EV_FIN, 1);
	assert_int_equal(rig_last(&r, EV_FIN)->fin, FIN_TIMEOUT);
	/* the descriptor is still held */
	assert_int_equal(rig_count(&r, EV_CLOSE), 0);
	close(go);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_CLOSE, rig_count(&r, EV_OPEN));
	rig_close(&r);
}

/* clone3 with a pid of our choice; -1 where it is taken or not allowed. */
static pid_t fork_as(pid_t pid)
{
	pid_t tids[1] = {pid};
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
			set_tid, set_tid_size;
	} args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids, .set_tid_size = 1};

	return (pid_t)syscall(435, &args, sizeof(args));
}

static void a_reused_pid_is_another_holder(void **state)
{
	struct rig r = {0};
	pid_t pid, again;
	int go, status;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	pid = rig_child(connect_three, &r, &go);
	close(go);
	waitpid(pid, NULL, 0);
	rig_await(&r, EV_CLOSE, 3);
	again = fork_as(pid);
	if (!again) {
		connect_three(&r);
		_exit(0);
	}
	assert_int_equal(again, pid);
	waitpid(again, &status, 0);
	rig_await(&r, EV_CLOSE, 6);
	assert_int_equal(r.n_holders, 2);
	assert_int_equal(r.holders[0].pid, r.holders[1].pid);
	assert_int_not_equal(r.holder_ids[0], r.holder_ids[1]);
	assert_true(r.holders[0].start_ns < r.holders[1].start_ns);
	rig_close(&r);
}

static void who_it_is_is_known(void **state)
{
	struct rig r = {0};
	const struct holder_info *h;
	int client;

	(void)state;
	rig_listen(&r, AF_INET);
	rig_watch(&r);
	client = rig_connect(&r);
	rig_look(&r);
	assert_int_equal(r.n_holders, 1);
	h = &r.holders[0];
	assert_int_equal(h->pid, getpid());
	assert_int_equal(h->uid, getuid());
	assert_string_equal(h->comm, "root_test_kerne");
	assert_non_null(h->exe);
	assert_non_null(strstr(h->exe, "root_test_kernel"));
	assert_non_null(h->group);
	assert_false(h->is_descendant);
	close(client);
	rig_close(&r);
}

static void descendants_of_the_ancestor_are_marked(void **state)
{
	struct rig r = {0};
	struct kernel_params p = {.ports = &r.port, .n_ports = 1, .ancestor_tgid = getpid()};
	char why[512];
	pid_t pid;
	int go, client;

	(void)state;
	rig_listen(&r, AF_INET);
	assert_int_equal(source_bpf_open(&r.source, &p, NS_PER_S, why, sizeof(why)), 0);
	pid = rig_child(connect_three, &r, &go);
	client = rig_connect(&r);
	rig_look(&r);
	assert_int_equal(r.n_holders, 2);
	for (size_t i = 0; i < r.n_holders; i++)
		assert_int_equal(r.holders[i].is_descendant, r.holders[i].pid == (uint32_t)pid);
	close(client);
	close(go);
	waitpid(pid, NULL, 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_and_close_are_one_each),
		cmocka_unit_test(bytes_and_order_are_told),
		cmocka_unit_test(server_closing_first_gives_up_the_slot_only),
		cmocka_unit_test(reset_by_the_server_keeps_the_descriptor),
		cmocka_unit_test(reset_by_the_application_is_its_close),
		cmocka_unit_test(a_half_closed_socket_is_not_closed),
		cmocka_unit_test(a_refused_connect_failed),
		cmocka_unit_test(a_refused_socket_may_try_again),
		cmocka_unit_test(a_disconnected_socket_may_connect_again),
		cmocka_unit_test(the_accepting_side_is_not_a_client),
		cmocka_unit_test(ipv6_and_mapped_ipv4_are_told_apart),
		cmocka_unit_test(what_was_open_before_is_adopted),
		cmocka_unit_test(an_exit_comes_before_the_closes_it_causes),
		cmocka_unit_test(killed_processes_close_too),
		cmocka_unit_test(other_network_namespaces_are_seen_live_and_adopted),
		cmocka_unit_test(a_server_that_vanished_is_a_timeout),
		cmocka_unit_test(a_reused_pid_is_another_holder),
		cmocka_unit_test(who_it_is_is_known),
		cmocka_unit_test(descendants_of_the_ancestor_are_marked),
	};
	char why[512];

	if (kernel_probe_basics(why, sizeof(why))) {
		printf("SKIP: %s\n", why);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
