/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - the clock of the simulation: timers, ticks, processes, and the events that go out */
#include "world_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (256 * 1024)
#define WALL_NS	   1770552000000000000LL /* 2026-02-08 12:00:00 UTC */
#define HEAP_ARITY 4

int64_t gen_ns(double s)
{
	return (int64_t)(s * 1e9);
}

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(5);
	}
	return p;
}

struct world *world_new(const struct world_opts *o)
{
	struct world *w = need(calloc(1, sizeof(*w)));

	w->opts = *o;
	rng_seed(&w->rng, o->seed);
	/* What a scenario is like, apart from what happens in it. */
	rng_seed(&w->param_rng, ~o->seed);
	w->first_param_rng = w->param_rng;
	w->tick_ns = o->tick_s > 0 ? gen_ns(o->tick_s) : NS_PER_S;
	/* The kernel's clock and the program's know nothing of the scenario's. */
	w->next_tick_ns = gen_ns(rng_uniform(&w->rng) * ((double)w->tick_ns / NS_PER_S));
	w->jiffy_phase_ns = gen_ns(rng_uniform(&w->rng) * ((double)GEN_JIFFY_NS / NS_PER_S));
	w->next_pid = (uint32_t)rng_int(&w->rng, 1000, 30000);
	w->next_port = (uint32_t)rng_int(&w->rng, 0, 28000);
	w->last_server = &w->servers;
	w->wall_ns = WALL_NS;
	w->truth = (struct gen_truth){.family = "",
				      .seed = o->seed,
				      .begin_ns = T_NEVER,
				      .limit_ns = T_NEVER,
				      .nominal_per_min = -1};
	return w;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	for (struct chunk *c = w->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(w->heap);
	free(w);
}

void *world_alloc(struct world *w, size_t size)
{
	size_t n = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t);
	struct chunk *c = w->chunks;

	if (!c || c->size - c->used < n) {
		size_t room = CHUNK_SIZE / sizeof(max_align_t);

		room = n > room ? n : room;
		c = need(calloc(1, sizeof(*c) + room * sizeof(max_align_t)));
		c->size = room;
		c->next = w->chunks;
		w->chunks = c;
	}
	c->used += n;
	return &c->data[c->used - n];
}

void *world_get(struct world *w, size_t size)
{
	size_t i = (size + SPARE_STEP - 1) / SPARE_STEP;
	struct spare *s = i < SPARE_SIZES ? w->spares[i] : NULL;

	if (!s)
		return world_alloc(w, size);
	w->spares[i] = s->next;
	return memset(s, 0, size);
}

void world_give(struct world *w, void *p, size_t size)
{
	size_t i = (size + SPARE_STEP - 1) / SPARE_STEP;
	struct spare *s = p;

	if (i >= SPARE_SIZES)
		return;
	s->next = w->spares[i];
	w->spares[i] = s;
}

/* --- timers: a heap of four children, the earliest on top --- */

static bool is_before(const struct timer *a, const struct timer *b)
{
	return a->t_ns != b->t_ns ? a->t_ns < b->t_ns : a->seq < b->seq;
}

static void heap_push(struct world *w, const struct timer *t)
{
	size_t i = w->n_heap;

	if (w->n_heap == w->cap_heap) {
		size_t cap = w->cap_heap ? 2 * w->cap_heap : 256;

		w->heap = need(reallocarray(w->heap, cap, sizeof(*w->heap)));
		w->cap_heap = cap;
	}
	w->n_heap++;
	while (i && is_before(t, &w->heap[(i - 1) / HEAP_ARITY])) {
		w->heap[i] = w->heap[(i - 1) / HEAP_ARITY];
		i = (i - 1) / HEAP_ARITY;
	}
	w->heap[i] = *t;
}

static struct timer heap_pop(struct world *w)
{
	struct timer top = w->heap[0], *last = &w->heap[--w->n_heap];
	size_t i = 0;

	for (;;) {
		size_t first = HEAP_ARITY * i + 1, end = first + HEAP_ARITY, best = first;

		if (first >= w->n_heap)
			break;
		if (end > w->n_heap)
			end = w->n_heap;
		for (size_t k = first + 1; k < end; k++)
			if (is_before(&w->heap[k], &w->heap[best]))
				best = k;
		if (!is_before(&w->heap[best], last))
			break;
		w->heap[i] = w->heap[best];
		i = best;
	}
	w->heap[i] = *last;
	return top;
}

void world_timer(struct world *w, double after_s, const struct timer *t)
{
	struct timer timer = *t;

	timer.t_ns = w->now_ns + (after_s > 0 ? gen_ns(after_s) : 0);
	timer.seq = w->seq++;
	heap_push(w, &timer);
}

void world_in(struct world *w, double after_s, gen_fn *fn, void *arg)
{
	world_timer(w, after_s, &(struct timer){.fn = fn, .arg = arg});
}

void gen_proc_in(struct gen_proc *p, double after_s, gen_fn *fn, void *arg)
{
	world_timer(p->w, after_s,
		    &(struct timer){.fn = fn, .arg = arg, .owner = p, .kind = OWNER_PROC});
}

static bool has_owner(const struct timer *t)
{
	const struct gen_proc *p = t->owner;
	const struct gen_conn *c = t->owner;

	if (t->kind == OWNER_PROC)
		return !p->is_exited;
	return t->kind == OWNER_WORLD || (c->gen == t->gen && c->is_open);
}

/* --- going on --- */

static void begin_watch(struct world *w)
{
	w->is_watching = true;
	w->truth.watch_ns = w->watch_ns;
	server_tell_budgets(w);
	conn_adopt(w);
}

static void tick(struct world *w)
{
	struct event ev = {.kind = EV_TICK};

	w->now_ns = w->next_tick_ns;
	w->next_tick_ns += w->tick_ns;
	if (!w->is_watching && w->now_ns >= w->watch_ns)
		begin_watch(w);
	server_tick(w);
	conn_tick(w);
	if (!w->is_watching)
		return;
	world_emit(w, &ev);
	w->stats.ticks++;
}

void world_run(struct world *w, double until_s)
{
	int64_t until_ns = gen_ns(until_s);

	if (!w->is_watching && w->watch_ns <= w->now_ns)
		begin_watch(w);
	while (!w->is_stopped) {
		int64_t timer_ns = w->n_heap ? w->heap[0].t_ns : INT64_MAX;
		struct timer t;

		if (w->next_tick_ns > until_ns && timer_ns > until_ns)
			break;
		if (w->next_tick_ns <= timer_ns) {
			tick(w);
			continue;
		}
		t = heap_pop(w);
		w->now_ns = t.t_ns;
		w->stats.timers++;
		if (has_owner(&t))
			t.fn(w, t.arg);
	}
	if (w->now_ns < until_ns && !w->is_stopped)
		w->now_ns = until_ns;
}

void world_stop(struct world *w)
{
	w->is_stopped = true;
}

bool world_is_stopped(const struct world *w)
{
	return w->is_stopped;
}

void world_drain(struct world *w)
{
	w->is_draining = true;
}

bool world_is_draining(const struct world *w)
{
	return w->is_draining;
}

double world_now(const struct world *w)
{
	return (double)w->now_ns / NS_PER_S;
}

int64_t world_now_ns(const struct world *w)
{
	return w->now_ns;
}

struct rng *world_rng(struct world *w)
{
	return &w->rng;
}

double world_duration(const struct world *w)
{
	return (double)w->duration_ns / NS_PER_S;
}

void world_set_duration(struct world *w, double duration_s)
{
	w->duration_ns = gen_ns(duration_s);
}

int64_t world_wall_ns(const struct world *w)
{
	return w->wall_ns;
}

void world_set_wall(struct world *w, int64_t wall_ns)
{
	w->wall_ns = wall_ns;
}

void world_stats(const struct world *w, struct world_stats *ret)
{
	*ret = w->stats;
}

void world_watch_from(struct world *w, double from_s)
{
	w->watch_ns = gen_ns(from_s);
}

int64_t world_watch_ns(const struct world *w)
{
	return w->watch_ns;
}

void world_emit(struct world *w, struct event *ev)
{
	if (!w->is_watching)
		return;
	ev->t_ns = w->now_ns;
	w->stats.events++;
	if (w->opts.event)
		w->opts.event(w->opts.arg, ev);
}
