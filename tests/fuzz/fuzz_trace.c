/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_trace.c - bytes as a trace's lines, through the reader into the engine: what the reader
 * takes the engine must survive, and count right
 */
#include <string.h>

#include "../../user/core/trace.h"
#include "fuzz_check.h"

#define MAX_LINES 2000
#define MAX_TICKS 200 /* a grid of 1 ms over 104 days has more than anybody waits for */

struct run {
	struct trace_reader *reader;
	struct engine engine;
	struct snapshot s;
	int64_t next_tick_ns; /* of a grid */
	uint32_t n_ticks;
	bool has_engine, has_count;
};

static void step(struct run *run, int64_t now_ns)
{
	const struct trace_header *h = trace_reader_header(run->reader);
	struct event tick = {.t_ns = now_ns, .kind = EV_TICK};

	if (h->is_grid)
		snapshot_push(&run->s, &tick);
	run->s.now_ns = now_ns;
	run->s.wall_offset_ns = h->wall_ns;
	must_hold(!engine_step(&run->engine, &run->s));
	snapshot_clear(&run->s);
	run->n_ticks++;
}

static void begin(struct run *run)
{
	const struct trace_header *h = trace_reader_header(run->reader);
	const struct detector_params params = {.host = h->host, .wall_offset_ns = h->wall_ns};
	const struct proctab_limits limits = {.max_conns = 64,
					      .max_holders = 16,
					      .max_usages = 32,
					      .max_peers = 8,
					      .max_sites = 8};

	must_hold(!engine_init(&run->engine, &limits, &params));
	run->has_engine = true;
	run->next_tick_ns = h->interval_ns;
}

static void take(struct run *run, const struct event *ev)
{
	const struct trace_header *h = trace_reader_header(run->reader);

	while (h->is_grid && run->next_tick_ns < ev->t_ns && run->n_ticks < MAX_TICKS) {
		step(run, run->next_tick_ns);
		run->next_tick_ns += h->interval_ns;
	}
	run->has_count = run->has_count || ev->kind == EV_COUNT;
	if (ev->kind == EV_HOLDER)
		snapshot_push_holder(&run->s, ev->t_ns, ev->holder, ev->info);
	else if (ev->kind == EV_SITE)
		snapshot_push_site(&run->s, ev->t_ns, ev->site, ev->site_info);
	else if (ev->kind != EV_TICK || !h->is_grid)
		snapshot_push(&run->s, ev);
	if (ev->kind == EV_TICK && !h->is_grid)
		step(run, ev->t_ns);
}

static void line(struct run *run, const char *text, size_t len)
{
	struct parse_err err = {0};
	struct event ev;
	int n = trace_read(run->reader, text, len, &ev, &err);

	if (n < 0)
		must_hold(err.msg[0] && err.line);
	if (!run->has_engine && trace_reader_header(run->reader))
		begin(run);
	if (n == 1)
		take(run, &ev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct run run = {.reader = trace_reader_new()};

	must_hold(run.reader);
	snapshot_init(&run.s);
	for (int i = 0; i < MAX_LINES && size; i++) {
		const char *nl = memchr(text, '\n', size);
		size_t len = nl ? (size_t)(nl - text) : size;

		line(&run, text, len);
		len += nl != NULL;
		text += len;
		size -= len;
	}
	if (run.has_engine) {
		/* what no tick has taken in, and one event more: the last close is given back */
		snapshot_push(&run.s, &(struct event){.kind = EV_LOST});
		step(&run, run.engine.now_ns);
		check_table(run.engine.table, run.has_count);
		check_views(&run.engine);
	}
	engine_release(&run.engine);
	snapshot_release(&run.s);
	trace_reader_free(run.reader);
	return 0;
}
