/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - hand-written event streams through the real process table and detector
 *
 * Times are seconds of the stream, as doubles. Before each event the ticks that are due are made,
 * so a test reads like the story it tells.
 */
#ifndef CONNLEAK_TEST_STREAM_H
#define CONNLEAK_TEST_STREAM_H

#include "../../user/core/detector.h"

struct stream {
	struct proctab *pt;
	struct detector *d;
	double tick_s;	   /* between ticks */
	int64_t offset_ns; /* added to all times */
	int64_t next_tick_ns;
	/* called after each tick, may be NULL */
	void (*on_tick)(struct stream *s, int64_t now_ns);
	void *arg;
	double fired_s; /* of the first leak or fd_leak finding; -1: none */
	enum rule fired_rule;
	uint32_t max_k;
};

static const struct endpoint stream_pg = {{10, 0, 4, 12}, 5432, 4, 0};

static inline int64_t stream_ns(const struct stream *s, double t_s)
{
	return s->offset_ns + (int64_t)(t_s * 1e9 + 0.5);
}

static inline void stream_init(struct stream *s, bool canary, const struct proctab_limits *limits)
{
	struct detector_params p = {.canary = canary, .host = "node"};

	*s = (struct stream){.tick_s = 1, .fired_s = -1};
	s->pt = proctab_new(limits);
	s->d = detector_new(&p);
	assert_non_null(s->pt);
	assert_non_null(s->d);
	s->next_tick_ns = NS_PER_S;
}

static inline void stream_release(struct stream *s)
{
	detector_free(s->d);
	proctab_free(s->pt);
}

/* What the engine does with one event. */
static inline void stream_apply(struct stream *s, const struct event *ev)
{
	struct proctab_change ch;

	if (!proctab_apply(s->pt, ev, &ch))
		assert_int_equal(detector_event(s->d, s->pt, ev, &ch), 0);
}

static inline void stream_look(struct stream *s, int64_t now_ns)
{
	for (uint32_t i = 0; i < proctab_n_usages(s->pt); i++) {
		uint32_t f = detector_find(s->d, i);
		struct usage_view v;
		struct finding found;

		detector_usage(s->d, s->pt, i, &v);
		s->max_k = v.k > s->max_k ? v.k : s->max_k;
		assert_true(v.k_own <= v.k);
		if (f == SLOT_NONE || s->fired_s >= 0)
			continue;
		s->fired_s = (double)(now_ns - s->offset_ns) / 1e9;
		assert_int_equal(detector_finding(s->d, s->pt, f, &found), 0);
		s->fired_rule = found.rule;
		finding_release(&found);
	}
}

static inline void stream_tick(struct stream *s, int64_t now_ns)
{
	stream_apply(s, &(struct event){.t_ns = now_ns, .kind = EV_TICK});
	stream_look(s, now_ns);
	if (s->on_tick)
		s->on_tick(s, now_ns);
	for (uint32_t i = 0; i < proctab_n_holders(s->pt); i++) {
		const struct holder *h = proctab_holder(s->pt, i);

		if (h && h->exit_ns != T_NEVER && detector_is_done_with(s->d, i))
			proctab_forget_holder(s->pt, i);
	}
}

/* Makes the ticks up to and at @t_s. */
static inline void stream_run(struct stream *s, double t_s)
{
	if (s->next_tick_ns < s->offset_ns)
		s->next_tick_ns = s->offset_ns + NS_PER_S;
	for (; s->next_tick_ns <= stream_ns(s, t_s); s->next_tick_ns += (int64_t)(s->tick_s * 1e9))
		stream_tick(s, s->next_tick_ns);
}

static inline void stream_event(struct stream *s, double t_s, struct event ev)
{
	stream_run(s, t_s - 1e-9);
	ev.t_ns = stream_ns(s, t_s);
	stream_apply(s, &ev);
}

static inline void holder(struct stream *s, double t_s, uint64_t id, const char *group)
{
	struct holder_info info = {.pid = (uint32_t)id, .uid = -1, .group = (char *)group};

	stream_event(s, t_s, (struct event){.kind = EV_HOLDER, .holder = id, .info = &info});
}

/* A call site of one frame; @function NULL: without any, so that its id is its place. */
static inline void tells_site(struct stream *s, double t_s, uint64_t id, const char *function)
{
	struct site_frame frame = {.function = (char *)function, .address = id};
	struct site_info info = {.frames = &frame, .n_frames = function != NULL};

	stream_event(s, t_s, (struct event){.kind = EV_SITE, .site = id, .site_info = &info});
}

static inline void open_by(struct stream *s, double t_s, uint64_t conn, uint64_t holder_id,
			   uint32_t tid)
{
	stream_event(s, t_s,
		     (struct event){.kind = EV_OPEN,
				    .conn = conn,
				    .holder = holder_id,
				    .tid = tid,
				    .open.peer = stream_pg});
}

static inline void opens(struct stream *s, double t_s, uint64_t conn)
{
	open_by(s, t_s, conn, 1, 1);
}

static inline void adopts(struct stream *s, double t_s, uint64_t conn)
{
	stream_event(s, t_s,
		     (struct event){.kind = EV_OPEN,
				    .conn = conn,
				    .holder = 1,
				    .open = {.peer = stream_pg, .adopted = true}});
}

/* What tells a served connection from one that the server refused. */
#define STREAM_ANSWER 320

/* A query of @bytes was sent at @t_s and answered 2 ms later; seen 3 ms after that. */
static inline void query(struct stream *s, double t_s, uint64_t conn, uint64_t bytes)
{
	const struct conn *c = proctab_conn(s->pt, proctab_find_conn(s->pt, conn));
	struct event ev = {.kind = EV_IO, .conn = conn};

	assert_non_null(c);
	ev.io.tx_ns = stream_ns(s, t_s);
	ev.io.rx_ns = stream_ns(s, t_s + 0.002);
	ev.io.tx = c->tx + bytes;
	ev.io.rx = c->rx + STREAM_ANSWER + bytes;
	ev.io.last = IO_LAST_RX;
	stream_event(s, t_s + 0.005, ev);
}

/* A query was sent, and the answer is still to come. */
static inline void asks(struct stream *s, double t_s, uint64_t conn)
{
	const struct conn *c = proctab_conn(s->pt, proctab_find_conn(s->pt, conn));
	struct event ev = {.kind = EV_IO, .conn = conn};

	ev.io.tx_ns = stream_ns(s, t_s);
	ev.io.rx_ns = c->rx_ns;
	ev.io.tx = c->tx + 100;
	ev.io.rx = c->rx;
	ev.io.last = IO_LAST_TX;
	stream_event(s, t_s + 0.005, ev);
}

/* The server says something unasked. */
static inline void hears(struct stream *s, double t_s, uint64_t conn, uint64_t bytes)
{
	const struct conn *c = proctab_conn(s->pt, proctab_find_conn(s->pt, conn));
	struct event ev = {.kind = EV_IO, .conn = conn};

	ev.io.tx_ns = c->tx_ns;
	ev.io.rx_ns = stream_ns(s, t_s);
	ev.io.tx = c->tx;
	ev.io.rx = c->rx + bytes;
	ev.io.last = IO_LAST_RX;
	stream_event(s, t_s, ev);
}

static inline void closes_by(struct stream *s, double t_s, uint64_t conn, enum close_by by)
{
	stream_event(s, t_s, (struct event){.kind = EV_CLOSE, .conn = conn, .close = by});
}

static inline void closes(struct stream *s, double t_s, uint64_t conn)
{
	closes_by(s, t_s, conn, CLOSE_APP);
}

static inline void fin(struct stream *s, double t_s, uint64_t conn)
{
	stream_event(s, t_s, (struct event){.kind = EV_FIN, .conn = conn, .fin = FIN_PEER});
}

static inline void exits(struct stream *s, double t_s, uint64_t holder_id)
{
	stream_event(s, t_s, (struct event){.kind = EV_EXIT, .holder = holder_id});
}

static inline void budget(struct stream *s, double t_s, uint32_t limit, int64_t used)
{
	stream_event(s, t_s,
		     (struct event){.kind = EV_BUDGET,
				    .budget = {.peer = stream_pg,
					       .limit = limit,
					       .used = used,
					       .scope = used < 0 ? SCOPE_NODE : SCOPE_SERVER,
					       .source = BUDGET_FLAG}});
}

/* --- stories --- */

static inline void stream_begin(struct stream *s, bool canary)
{
	stream_init(s, canary, NULL);
	holder(s, 0, 1, "shop/orders/app");
}

static inline void is_silent(struct stream *s, uint32_t k)
{
	if (s->fired_s >= 0)
		fail_msg("fired after %.0f s by %s", s->fired_s, rule_name(s->fired_rule));
	if (s->max_k > k)
		fail_msg("k = %u, wanted at most %u", s->max_k, k);
	stream_release(s);
}

static inline void fires(const struct stream *s, enum rule rule, double from_s, double to_s)
{
	if (s->fired_s < from_s || s->fired_s > to_s || s->fired_rule != rule)
		fail_msg("fired after %.0f s by %s, wanted %s within %.0f to %.0f s", s->fired_s,
			 rule_name(s->fired_rule), rule_name(rule), from_s, to_s);
}

static inline struct finding finding_of(const struct stream *s, uint32_t usage)
{
	uint32_t i = detector_find(s->d, usage);
	struct finding f;

	assert_int_not_equal(i, SLOT_NONE);
	assert_int_equal(detector_finding(s->d, s->pt, i, &f), 0);
	return f;
}

/* One leaked connection every @every_s from @from_s on, each with a sign-on and one query. */
static inline void leak(struct stream *s, double from_s, double to_s, double every_s, uint64_t conn)
{
	for (double t = from_s; t < to_s; t += every_s, conn++) {
		opens(s, t, conn);
		query(s, t + 0.02, conn, 150);
	}
	stream_run(s, to_s);
}

/* Healthy requests first, three a second; then each twentieth of a minute loses one. */
static inline void healthy_history(struct stream *s, double to_s)
{
	for (int i = 0; 1 + i * 0.5 < to_s; i++) {
		double t = 1 + i * 0.5;

		opens(s, t, 100000 + (uint64_t)i);
		query(s, t + 0.01, 100000 + (uint64_t)i, 200);
		closes(s, t + 0.03, 100000 + (uint64_t)i);
	}
}

#endif
