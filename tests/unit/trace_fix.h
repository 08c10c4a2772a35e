/* SPDX-License-Identifier: Apache-2.0 */
/* trace_fix.h - a snapshot with an event of every kind, and lines through a reader */
#ifndef CONNLEAK_TEST_TRACE_FIX_H
#define CONNLEAK_TEST_TRACE_FIX_H

#include <stdlib.h>

#include "../../user/core/trace.h"

#define FIX_WALL_NS 1770557400000000000LL /* 2026-02-08T13:30:00Z */

#define FIX_HEADER                                                                                 \
	"{\"schema\":\"connleak.trace/v1\",\"time\":\"2026-02-08T13:30:00.000000000Z\","           \
	"\"host\":\"app-node-07\",\"source\":\"live\",\"writer\":\"connleak 0.1.0\","              \
	"\"interval_ns\":1000000000,\"ticks\":\"explicit\",\"ports\":[5432,6432]}"

static const struct endpoint fix_local = {{10, 0, 1, 7}, 53412, 4, 0};
static const struct endpoint fix_peer = {{10, 0, 4, 12}, 5432, 4, 0};
static const struct endpoint fix_peer6 = {{[15] = 1}, 6432, 6, 0};

static inline struct trace_header fix_header(void)
{
	return (struct trace_header){
		.wall_ns = FIX_WALL_NS,
		.host = "app-node-07",
		.source = "live",
		.writer = "connleak 0.1.0",
		.interval_ns = NS_PER_S,
		.ports = {5432, 6432},
		.n_ports = 2,
	};
}

/* Its strings are literals: never to be released. */
static inline struct holder_info fix_info(void)
{
	return (struct holder_info){
		.pid = 4711,
		.start_ns = -2 * NS_PER_S + 113 * NS_PER_MS,
		.uid = 1000,
		.is_descendant = true,
		.comm = "order-service",
		.exe = (char *)"/app/order-service",
		.script = (char *)"main.py",
		.build_id = (char *)"1f3a",
		.cgroup = (char *)"/kube/pod1",
		.container = (char *)"9c1d",
		.container_name = (char *)"app",
		.namespace = (char *)"shop",
		.pod = (char *)"orders-7d9f8b6c5d-x2x4z",
		.pod_uid = (char *)"5e07",
		.workload = (char *)"orders",
		.unit = (char *)"orders.service",
		.version = (char *)"v2.3.9",
		.group = (char *)"shop/orders/app",
	};
}

static inline void fix_push(struct snapshot *s, struct event ev)
{
	assert_int_equal(snapshot_push(s, &ev), 0);
}

static inline void fix_push_site(struct snapshot *s, int64_t t_ns, uint64_t id)
{
	struct site_frame frames[] = {
		{.function = (char *)"main.placeOrder",
		 .file = (char *)"order.go",
		 .module = (char *)"/app/order-service",
		 .line = 22,
		 .address = 0xfedcba9876543210},
		{.module = (char *)"/lib/libc.so.6", .address = 0x1f},
		{.function = NULL},
	};
	struct site_info site = {.role = SITE_FIRST_USED_BY,
				 .thread = (char *)"worker-1",
				 .frames = frames,
				 .n_frames = T_COUNT(frames)};

	assert_int_equal(snapshot_push_site(s, t_ns, id, &site), 0);
}

/* What comes before any use of a connection: holders 1 and 2, sites 1 and 2, connection 1. */
static inline void fix_begin(struct snapshot *s)
{
	struct holder_info info = fix_info(), bare = {.pid = 99, .uid = -1, .comm = "pgbouncer"};
	struct site_info plain = {.role = SITE_OPENED_BY};

	snapshot_init(s);
	assert_int_equal(snapshot_push_holder(s, 1, 1, &info), 0);
	assert_int_equal(snapshot_push_holder(s, 2, 2, &bare), 0);
	fix_push_site(s, 3, 1);
	assert_int_equal(snapshot_push_site(s, 4, 2, &plain), 0);
	fix_push(s, (struct event){.t_ns = 5,
				   .kind = EV_OPEN,
				   .conn = 1,
				   .holder = 1,
				   .tid = 4715,
				   .site = 1,
				   .open = {fix_local, fix_peer, false}});
}

/* After fix_begin(): every other kind, each with what it can say. */
static inline void fix_every_kind(struct snapshot *s)
{
	const struct event events[] = {
		{.kind = EV_OPEN,
		 .conn = 2,
		 .holder = 1,
		 .open = {.peer = fix_peer6, .adopted = true}},
		{.kind = EV_IO, .conn = 1, .io = {5, 7, 211, 480, IO_LAST_RX}},
		{.kind = EV_IO, .conn = 2, .io = {T_NEVER, -NS_PER_S, 0, 1, IO_LAST_UNKNOWN}},
		{.kind = EV_IO, .conn = 1, .io = {9, T_NEVER, 1LL << 53, 480, IO_LAST_TX}},
		{.kind = EV_USE, .conn = 1, .site = 2},
		{.kind = EV_USE, .conn = 1},
		{.kind = EV_HELD, .conn = 1, .held = {{4711, 4712}, 2, 3}},
		{.kind = EV_HELD, .conn = 1},
		{.kind = EV_VIA, .conn = 1, .via = 2},
		{.kind = EV_VIA, .conn = 1},
		{.kind = EV_MOVE, .conn = 2, .holder = 2},
		{.kind = EV_FIN, .conn = 1, .fin = FIN_PEER},
		{.kind = EV_FIN, .conn = 1, .fin = FIN_RESET},
		{.kind = EV_FIN, .conn = 1, .fin = FIN_TIMEOUT},
		{.kind = EV_FIN, .conn = 1, .fin = FIN_SHUTDOWN},
		{.kind = EV_FAIL, .holder = 1, .tid = 7, .site = 2, .fail = {fix_peer, 111}},
		{.kind = EV_FAIL, .holder = 1, .fail = {.peer = fix_peer6}},
		{.kind = EV_BUDGET, .budget = {fix_peer, 97, 14, SCOPE_SERVER, BUDGET_POSTGRESQL}},
		{.kind = EV_BUDGET, .budget = {{.family = 0}, 20, -1, SCOPE_NODE, BUDGET_FLAG}},
		{.kind = EV_BUDGET, .budget = {fix_peer6, 0, 0, SCOPE_NODE, BUDGET_PGBOUNCER}},
		{.kind = EV_THREAD_EXIT, .holder = 1, .tid = 4715},
		{.kind = EV_EXIT, .holder = 1},
		{.kind = EV_CLOSE, .conn = 1, .close = CLOSE_EXIT},
		{.kind = EV_CLOSE, .conn = 2, .close = CLOSE_APP},
		{.kind = EV_COUNT, .holder = 1, .count = {1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{.kind = EV_LOST, .lost = {12, LOST_TABLE}},
	};

	for (size_t i = 0; i < T_COUNT(events); i++) {
		struct event ev = events[i];

		ev.t_ns = 10 + (int64_t)i;
		fix_push(s, ev);
	}
	for (unsigned int i = 0; i < 5; i++) {
		fix_push(s, (struct event){.t_ns = 50,
					   .kind = EV_OPEN,
					   .conn = 10 + i,
					   .holder = 2,
					   .open = {fix_local, fix_peer, false}});
		fix_push(s, (struct event){.t_ns = 50,
					   .kind = EV_CLOSE,
					   .conn = 10 + i,
					   .close = (enum close_by)i});
	}
	for (unsigned int i = 0; i < LOST_MAX; i++)
		fix_push(s, (struct event){
				    .t_ns = 60, .kind = EV_LOST, .lost = {i, (enum lost_where)i}});
	fix_push(s, (struct event){.t_ns = 70, .kind = EV_TICK});
}

/* @len bytes of one line, in memory that ends with it. As trace_read(). */
static inline int fix_read(struct trace_reader *r, const char *line, size_t len, struct event *ret,
			   struct parse_err *err)
{
	char *exact = malloc(len ? len : 1);
	int n;

	assert_non_null(exact);
	memcpy(exact, line, len);
	n = trace_read(r, exact, len, ret, err);
	free(exact);
	return n;
}

/* A line that must be taken; returns whether an event came of it. */
static inline bool fix_take(struct trace_reader *r, const char *line, struct event *ret)
{
	struct parse_err err = {0};
	int n = fix_read(r, line, strlen(line), ret, &err);

	if (n < 0)
		fail_msg("%s\nrefused: column %u: %s", line, err.col, err.msg);
	return n == 1;
}

/* A reader that has seen the header. */
static inline struct trace_reader *fix_reader(void)
{
	struct trace_reader *r = trace_reader_new();
	struct event ev;

	assert_non_null(r);
	assert_false(fix_take(r, FIX_HEADER, &ev));
	return r;
}

/* Everything that @text's lines say, as one snapshot; each must be taken. */
static inline void fix_read_all(struct trace_reader *r, const char *text, struct snapshot *ret)
{
	snapshot_init(ret);
	while (*text) {
		size_t len = strcspn(text, "\n");
		struct parse_err err;
		struct event ev;
		int n = fix_read(r, text, len, &ev, &err);

		if (n < 0)
			fail_msg("%.*s\nrefused: column %u: %s", (int)len, text, err.col, err.msg);
		if (n == 1 && ev.kind == EV_HOLDER)
			assert_int_equal(snapshot_push_holder(ret, ev.t_ns, ev.holder, ev.info), 0);
		else if (n == 1 && ev.kind == EV_SITE)
			assert_int_equal(snapshot_push_site(ret, ev.t_ns, ev.site, ev.site_info),
					 0);
		else if (n == 1)
			fix_push(ret, ev);
		text += len + (text[len] == '\n');
	}
}

#endif
