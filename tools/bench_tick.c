/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_tick.c - what the pure core costs: a tick over large tables, and an event
 *
 * One line a case, cpu time. The events of a second go through engine_step(), then an EV_TICK alone:
 * the two are told apart. The first ticks, which make room, are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../user/core/engine.h"

#define N_HOLDERS 10000
#define PER	  10 /* connections of each */
#define WARM_UP	  3
#define N_TICKS	  40
#define SIGN_ON	  150

struct bench {
	struct engine e;
	struct snapshot s;
	int64_t now_ns;
	uint64_t next_conn, n_events;
	uint32_t n_holders;
	uint64_t *oldest; /* [n_holders]: conn id of the holder's oldest request */
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_tick: %s\n", what);
	exit(1);
}

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* --- events --- */

static void push(struct bench *b, struct event ev)
{
	ev.t_ns = b->now_ns;
	if (snapshot_push(&b->s, &ev))
		fail("no memory");
}

static uint64_t push_open(struct bench *b, uint64_t holder, uint32_t tid)
{
	struct event ev = {.kind = EV_OPEN, .conn = ++b->next_conn, .holder = holder, .tid = tid};
	const uint8_t addr[4] = {10, 0, 4, 12};

	endpoint_set(&ev.open.peer, 4, addr, 5432);
	push(b, ev);
	return ev.conn;
}

/* Up to @n queries since the open were answered. */
static void push_io(struct bench *b, uint64_t conn, uint64_t n)
{
	struct event ev = {.kind = EV_IO, .conn = conn};

	ev.io.tx_ns = b->now_ns - 2 * NS_PER_MS;
	ev.io.rx_ns = b->now_ns - NS_PER_MS;
	ev.io.tx = SIGN_ON + n * 70;
	ev.io.rx = 400 + n * 900;
	ev.io.last = IO_LAST_RX;
	push(b, ev);
}

static void push_close(struct bench *b, uint64_t conn)
{
	push(b, (struct event){.kind = EV_CLOSE, .conn = conn, .close = CLOSE_APP});
}

static double fold(struct bench *b)
{
	double start_ms = cpu_ms();

	b->s.now_ns = b->now_ns;
	if (engine_step(&b->e, &b->s))
		fail("engine_step");
	start_ms = cpu_ms() - start_ms;
	snapshot_clear(&b->s);
	return start_ms;
}

/* Folds in what was pushed, then decides. What the deciding took, and in @ret_ms the folding. */
static double step(struct bench *b, double *ret_ms)
{
	double tick_ms;

	b->n_events += b->s.n_events;
	*ret_ms = fold(b);
	push(b, (struct event){.kind = EV_TICK});
	tick_ms = fold(b);
	b->now_ns += NS_PER_S;
	return tick_ms;
}

static void begin(struct bench *b, uint32_t n_holders)
{
	const struct detector_params p = {.host = "node"};

	*b = (struct bench){.now_ns = NS_PER_S, .n_holders = n_holders};
	snapshot_init(&b->s);
	b->oldest = calloc(n_holders, sizeof(*b->oldest));
	if (!b->oldest || engine_init(&b->e, NULL, &p))
		fail("no memory");
	for (uint32_t i = 1; i <= n_holders; i++) {
		struct holder_info info = {.pid = i, .uid = -1, .comm = "app"};
		char group[32];

		snprintf(group, sizeof(group), "shop/service-%u", i);
		info.group = group;
		if (snapshot_push_holder(&b->s, b->now_ns, i, &info))
			fail("no memory");
	}
	push(b, (struct event){.kind = EV_BUDGET,
			       .budget = {.limit = 1000000, .used = -1, .source = BUDGET_FLAG}});
	step(b, &(double){0});
}

static void end(struct bench *b)
{
	engine_release(&b->e);
	snapshot_release(&b->s);
	free(b->oldest);
}

/* --- what the tables hold --- */

/* @per connections of each holder, one every @every_s, each used once. */
static void fill(struct bench *b, uint32_t per, int every_s)
{
	for (uint32_t j = 0; j < per; j++) {
		for (uint32_t h = 1; h <= b->n_holders; h++)
			push_io(b, push_open(b, h, 1), 1);
		for (int i = 0; i < every_s; i++)
			step(b, &(double){0});
	}
}

/* A second of a connection per request in each holder: one opens, the last one closes. */
static void request(struct bench *b)
{
	for (uint32_t h = 0; h < b->n_holders; h++) {
		if (b->oldest[h]) {
			push_io(b, b->oldest[h], 2);
			push_close(b, b->oldest[h]);
		}
		b->oldest[h] = push_open(b, h + 1, 2);
		push_io(b, b->oldest[h], 1);
	}
}

/* Every connection of the fill is used, a third of them at a time. */
static void use_all(struct bench *b)
{
	for (uint64_t c = 1 + b->n_events % 3; c <= (uint64_t)b->n_holders * PER; c += 3)
		push_io(b, c, 2 + (uint64_t)(b->now_ns / NS_PER_S));
}

static void open_one_each(struct bench *b)
{
	for (uint32_t h = 1; h <= b->n_holders; h++)
		push_io(b, push_open(b, h, 1), 1);
}

static void nothing(struct bench *b)
{
	(void)b;
}

/* --- cases --- */

static int by_value(const void *va, const void *vb)
{
	const double *a = va, *b = vb;

	return (*a > *b) - (*a < *b);
}

static void measure(struct bench *b, const char *name, void (*load)(struct bench *b))
{
	double ms[N_TICKS], events_ms, sum = 0;
	uint64_t before;

	for (int i = 0; i < WARM_UP; i++) {
		load(b);
		step(b, &events_ms);
	}
	before = b->n_events;
	for (int i = 0; i < N_TICKS; i++) {
		load(b);
		ms[i] = step(b, &events_ms);
		sum += events_ms;
	}
	qsort(ms, N_TICKS, sizeof(ms[0]), by_value);
	printf("tick, %s: median %.2f ms, max %.2f ms", name, ms[N_TICKS / 2], ms[N_TICKS - 1]);
	before = b->n_events - before;
	if (before > 0)
		printf("; %.0f ns an event, %.0f before each", sum * 1e6 / (double)before,
		       (double)before / N_TICKS);
	printf("; %u findings\n", detector_n_findings(b->e.detector));
}

static void large(int every_s, const char *name, void (*load)(struct bench *b))
{
	char text[128];
	struct bench b;

	begin(&b, N_HOLDERS);
	fill(&b, PER, every_s);
	snprintf(text, sizeof(text), "%d holders, %llu open, %s", N_HOLDERS,
		 (unsigned long long)proctab_open(b.e.table), name);
	measure(&b, text, load);
	end(&b);
}

static void one_holder(void)
{
	struct bench b;

	begin(&b, 1);
	for (int i = 0; i < 100; i++) {
		for (int j = 0; j < 1000; j++)
			push_io(&b, push_open(&b, 1, 1), 1);
		step(&b, &(double){0});
	}
	measure(&b, "1 holder, 100000 idle, one more opens each second", open_one_each);
	end(&b);
}

/* What a replay of a small service costs: an open, two io, a close a request; 100 in a second. */
static void events(void)
{
	double ms = 0, events_ms;
	struct bench b;
	uint64_t n;

	begin(&b, 10);
	fill(&b, PER, 1);
	n = b.n_events;
	for (int i = 0; i < 10000; i++) {
		for (int j = 0; j < 10; j++)
			request(&b);
		ms += step(&b, &events_ms);
		ms += events_ms;
	}
	n = b.n_events - n;
	printf("events, 10 holders, %llu events and a tick for each %.0f of them: %.0f ns an "
	       "event\n",
	       (unsigned long long)n, (double)n / 10000, ms * 1e6 / (double)n);
	end(&b);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	large(1, "idle", nothing);
	large(1, "a connection per request in each, 1 per s", request);
	large(1, "a third of them used in each second", use_all);
	large(16, "passed over, each a rung", nothing);
	large(16, "passed over, one more opens in each", open_one_each);
	large(40, "leaking, a finding in each", nothing);
	large(40, "leaking, a finding in each, one more opens in each", open_one_each);
	one_holder();
	events();
	return 0;
}
