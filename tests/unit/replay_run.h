/* SPDX-License-Identifier: Apache-2.0 */
/* replay_run.h - a small trace, and all that comes out of a file of traces */
#ifndef CONNLEAK_TEST_REPLAY_RUN_H
#define CONNLEAK_TEST_REPLAY_RUN_H

#include <errno.h>

#include "../../user/collect/source_replay.h"

#define HEADER(ticks, interval)                                                                    \
	"{\"schema\":\"connleak.trace/v1\",\"time\":\"2026-02-08T13:30:00.000000000Z\","           \
	"\"host\":\"app-node-07\",\"source\":\"live\",\"writer\":\"connleak 0.1.0\","              \
	"\"interval_ns\":" interval ",\"ticks\":\"" ticks "\",\"ports\":[5432,6432]}\n"
#define EXPLICIT HEADER("explicit", "1000000000")
#define GRID	 HEADER("grid", "1000000000")
#define WALL_NS	 1770557400000000000LL /* the header's */

#define TICK(t)	 "{\"t_ns\":" t ",\"ev\":\"tick\"}\n"
#define LOST(t)	 "{\"t_ns\":" t ",\"ev\":\"lost\",\"events\":1,\"where\":\"ring\"}\n"
#define END(t)	 "{\"t_ns\":" t ",\"ev\":\"end\"}\n"

/* The same lines with TICK(t) for @tick, or without them: TRACE(EXPLICIT, TICK), TRACE(GRID, NO). */
#define NO(t) ""
#define TRACE(header, tick)                                                                        \
	header "{\"t_ns\":0,\"ev\":\"budget\",\"peer\":\"10.0.4.12:5432\",\"limit\":97,"           \
	       "\"used\":14,\"scope\":\"server\",\"source\":\"postgresql\"}\n" tick(               \
		       "0") "{\"t_ns\":412000000,\"ev\":\"holder\",\"holder\":1,\"pid\":4711,"     \
			    "\"start_time\":\"2026-02-08T13:29:58.113Z\",\"comm\":\"order-"        \
			    "service\","                                                           \
			    "\"exe\":\"/app/order-service\",\"version\":\"v2.3.9\"}\n"             \
			    "{\"t_ns\":412000000,\"ev\":\"site\",\"site\":1,\"frames\":[{"         \
			    "\"function\":"                                                        \
			    "\"main.placeOrder\",\"file\":\"order.go\",\"line\":22}]}\n"           \
			    "{\"t_ns\":412000000,\"ev\":\"open\",\"conn\":1,\"holder\":1,\"tid\":" \
			    "4715,\"site\":1,"                                                     \
			    "\"local\":\"10.0.1.7:53412\",\"peer\":\"10.0.4.12:5432\"}\n"          \
			    "{\"t_ns\":1000000000,\"ev\":\"io\",\"conn\":1,\"tx_ns\":415000000,"   \
			    "\"rx_ns\":418000000,"                                                 \
			    "\"tx\":211,\"rx\":480}\n" tick("1000000000") tick("2000000000")       \
				    tick("3000000000") "{\"t_ns\":3000000001,\"ev\":\"close\","    \
						       "\"conn\":1,\"by\":\"app\"}\n"              \
						       "{\"t_ns\":4000000000,\"ev\":\"exit\","     \
						       "\"holder\":1}\n" tick("4000000000")        \
							       END("4300000000")

#define SEEN_MAX 64

struct seen {
	enum event_kind kind;
	int64_t t_ns;
	uint64_t id;
	size_t snapshot; /* counted from 0 */
};

struct replay_run {
	int opened; /* what opening returned */
	int last;   /* what the last next() returned: 0 or negative */
	char why[512];
	struct trace_header header;
	struct replay_report report;
	size_t n_snapshots, n_events;
	struct seen seen[SEEN_MAX]; /* the first of the events */
};

static inline void replay_see(struct replay_run *run, const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_events; i++) {
		const struct event *ev = &s->events[i];

		if (run->n_events < SEEN_MAX)
			run->seen[run->n_events] = (struct seen){
				ev->kind, ev->t_ns, ev->conn ? ev->conn : ev->holder + ev->site,
				run->n_snapshots};
		run->n_events++;
	}
	run->n_snapshots++;
}

/* What holds of every snapshot. */
static inline void replay_check(const struct snapshot *s)
{
	assert_true(s->n_events > 0);
	assert_true(s->now_ns == s->events[s->n_events - 1].t_ns);
	for (size_t i = 0; i < s->n_events; i++) {
		const struct event *ev = &s->events[i];

		assert_true(i == 0 || s->events[i - 1].t_ns <= ev->t_ns);
		assert_true(ev->kind != EV_TICK || i == s->n_events - 1);
		assert_true(ev->kind != EV_HOLDER || ev->info->comm[0]);
		assert_true(ev->kind != EV_SITE || ev->site_info->n_frames <= SITE_MAX_FRAMES);
	}
}

/* Reads all of @path. */
static inline struct replay_run replay_run(const char *path, struct replay_options o)
{
	struct replay_run run = {0};
	struct source src = {0};
	struct snapshot s;

	run.opened = source_replay_open(&src, path, &o, &run.header, run.why, sizeof(run.why));
	if (run.opened)
		return run;
	snapshot_init(&s);
	while ((run.last = src.ops->next(src.arg, &s)) > 0) {
		replay_check(&s);
		assert_true(s.wall_offset_ns == run.header.wall_ns);
		replay_see(&run, &s);
		snapshot_clear(&s);
	}
	snapshot_clear(&s);
	assert_int_equal(src.ops->next(src.arg, &s), run.last);
	assert_int_equal(s.n_events, 0);
	source_replay_report(&src, &run.report);
	snapshot_release(&s);
	source_close(&src);
	return run;
}

/* Are the first @n events the same in both, ticks and borders of snapshots included? */
static inline void assert_same_events(const struct replay_run *a, const struct replay_run *b,
				      size_t n)
{
	assert_true(n <= SEEN_MAX && n <= a->n_events && n <= b->n_events);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(a->seen[i].kind, b->seen[i].kind);
		assert_int_equal(a->seen[i].t_ns, b->seen[i].t_ns);
		assert_int_equal(a->seen[i].id, b->seen[i].id);
		assert_int_equal(a->seen[i].snapshot, b->seen[i].snapshot);
	}
}

#endif
