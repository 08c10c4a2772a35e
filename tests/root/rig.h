/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - what the kernel tests share: a real listener on loopback, a real source, and the events
 *	that it told, all of them
 */
#ifndef CONNLEAK_TEST_RIG_H
#define CONNLEAK_TEST_RIG_H

#include "../unit/t.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../user/collect/kernel_probe.h"
#include "../../user/collect/source_bpf.h"

struct rig {
	struct source source;
	struct snapshot snapshot; /* of the last look */
	struct event *seen;	  /* all events so far, without the borrowed info */
	size_t n_seen;
	struct holder_info holders[64]; /* as announced */
	uint64_t holder_ids[64];
	size_t n_holders;
	uint16_t port;
	int listener;
};

/* A listener on a free port of 127.0.0.1 or ::1; sets rig->port. */
static inline void rig_listen(struct rig *r, int family)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in any4 = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = family == AF_INET6 ? sizeof(any6) : sizeof(any4);
	struct sockaddr *any = family == AF_INET6 ? (void *)&any6 : (void *)&any4;

	r->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(r->listener >= 0);
	assert_int_equal(bind(r->listener, any, size), 0);
	assert_int_equal(listen(r->listener, 1024), 0);
	assert_int_equal(getsockname(r->listener, any, &size), 0);
	r->port = ntohs(family == AF_INET6 ? any6.sin6_port : any4.sin_port);
}

static inline void rig_watch(struct rig *r)
{
	struct kernel_params p = {.ports = &r->port, .n_ports = 1};
	char why[512] = "";

	if (source_bpf_open(&r->source, &p, NS_PER_S, why, sizeof(why)))
		fail_msg("%s", why);
	snapshot_init(&r->snapshot);
}

static inline void rig_close(struct rig *r)
{
	source_close(&r->source);
	snapshot_release(&r->snapshot);
	free(r->seen);
	for (size_t i = 0; i < r->n_holders; i++)
		holder_info_release(&r->holders[i]);
	if (r->listener > 0)
		close(r->listener);
	*r = (struct rig){0};
}

static inline void rig_keep(struct rig *r, const struct event *ev)
{
	if (ev->kind == EV_HOLDER && r->n_holders < T_COUNT(r->holders)) {
		r->holder_ids[r->n_holders] = ev->holder;
		assert_int_equal(holder_info_copy(ev->info, &r->holders[r->n_holders++]), 0);
	}
	r->seen = realloc(r->seen, (r->n_seen + 1) * sizeof(*r->seen));
	assert_non_null(r->seen);
	r->seen[r->n_seen++] = *ev;
}

/* One look; keeps its events. */
static inline void rig_look(struct rig *r)
{
	snapshot_clear(&r->snapshot);
	assert_int_equal(r->source.ops->next(r->source.arg, &r->snapshot), 1);
	for (size_t i = 0; i < r->snapshot.n_events; i++)
		rig_keep(r, &r->snapshot.events[i]);
}

static inline uint64_t rig_holder_of(const struct rig *r, pid_t pid)
{
	for (size_t i = 0; i < r->n_holders; i++)
		if (r->holders[i].pid == (uint32_t)pid)
			return r->holder_ids[i];
	return 0;
}

static inline size_t rig_count(const struct rig *r, enum event_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_seen; i++)
		n += r->seen[i].kind == kind;
	return n;
}

/* The last event of this kind; the test fails without one. */
static inline const struct event *rig_last(const struct rig *r, enum event_kind kind)
{
	for (size_t i = r->n_seen; i-- > 0;)
		if (r->seen[i].kind == kind)
			return &r->seen[i];
	fail_msg("no event of kind %d among %zu", kind, r->n_seen);
	return NULL;
}

/* Looks again, at most for 3 s, until there are @n events of this kind. */
static inline void rig_await(struct rig *r, enum event_kind kind, size_t n)
{
	for (int i = 0; i < 60 && rig_count(r, kind) < n; i++) {
		poll(NULL, 0, 50);
		rig_look(r);
	}
	assert_int_equal(rig_count(r, kind), n);
}

static inline int rig_connect_as(const struct rig *r, int family, const char *address)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(r->port)};
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(r->port)};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	assert_true(fd >= 0);
	if (family == AF_INET6) {
		assert_int_equal(inet_pton(AF_INET6, address, &to6.sin6_addr), 1);
		err = connect(fd, (void *)&to6, sizeof(to6));
	} else {
		assert_int_equal(inet_pton(AF_INET, address, &to4.sin_addr), 1);
		err = connect(fd, (void *)&to4, sizeof(to4));
	}
	if (err) {
		close(fd);
		return -errno;
	}
	return fd;
}

static inline int rig_connect(const struct rig *r)
{
	return rig_connect_as(r, AF_INET, "127.0.0.1");
}

static inline int rig_accept(const struct rig *r)
{
	int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Runs @body in a child that waits for our word before it ends. */
static inline pid_t rig_child(void (*body)(const struct rig *r), const struct rig *r, int *ret_go)
{
	int go[2], ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(go[1]);
		body(r);
		if (write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) < 0)
			_exit(2);
		_exit(0);
	}
	close(go[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_go = go[1];
	return pid;
}

/* close() that sends a reset instead of a FIN. */
static inline void reset_close(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

#endif
