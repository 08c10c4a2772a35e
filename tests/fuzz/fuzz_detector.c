/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_detector.c - bytes as events, straight into a process table with tiny limits and a detector:
 * unknown and doubled ids, time that runs backwards, whatever a trace's reader would refuse
 *
 * An event is: kind; then, taken from the input as they are needed, small ids and steps of time.
 * What is missing at the end of the input is 0.
 */
#include <string.h>

#include "fuzz_check.h"

#define MAX_EVENTS 4000
#define MAX_TIME   (1LL << 53) /* as everywhere; beyond it even the differences have no meaning */

struct input {
	const uint8_t *p, *end;
	int64_t now_ns;
};

static uint8_t byte(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

/* Half small, half anything up to 2^56. */
static uint64_t number(struct input *in)
{
	uint8_t first = byte(in);
	uint64_t v = 0;

	if (first < 0x80)
		return first;
	for (int i = 0; i < (first & 7); i++)
		v = v << 8 | byte(in);
	return v;
}

/* A step from @from_ns: ms, s, minutes or hours; one in eight back. */
static int64_t moment(struct input *in, int64_t from_ns)
{
	static const int64_t units[] = {1,
					NS_PER_MS,
					NS_PER_S,
					60 * NS_PER_S,
					3600 * NS_PER_S,
					86400 * NS_PER_S,
					NS_PER_S,
					100 * NS_PER_MS};
	uint8_t how = byte(in);
	int64_t step = (how >> 3 & 31) * units[how & 7];
	int64_t t_ns = from_ns + (byte(in) % 8 ? step : -step);

	if (t_ns > MAX_TIME || t_ns < -MAX_TIME)
		return from_ns;
	return t_ns;
}

static struct endpoint endpoint(struct input *in)
{
	const uint8_t which = byte(in);
	struct endpoint ep = {.addr = {10, 0, 0, which & 3}, .port = 5432, .family = 4};

	if (which > 0xf0)
		ep.family = 0;
	return ep;
}

static void fill_kind(struct input *in, struct event *ev)
{
	switch (ev->kind) {
	case EV_OPEN:
		ev->open.peer = endpoint(in);
		ev->open.adopted = byte(in) & 1;
		break;
	case EV_IO:
		ev->io.tx_ns = byte(in) & 7 ? moment(in, ev->t_ns) : T_NEVER;
		ev->io.rx_ns = byte(in) & 7 ? moment(in, ev->t_ns) : T_NEVER;
		ev->io.tx = number(in);
		ev->io.rx = number(in);
		ev->io.last = (enum io_last)(byte(in) % 3);
		break;
	case EV_FIN:
		ev->fin = (enum fin_how)(byte(in) % 4);
		break;
	case EV_CLOSE:
		ev->close = (enum close_by)(byte(in) % 5);
		break;
	case EV_FAIL:
		ev->fail.peer = endpoint(in);
		ev->fail.err = byte(in);
		break;
	case EV_HELD:
		ev->held.n = byte(in) % (EVENT_MAX_HELD + 2);
		ev->held.total = byte(in);
		for (int i = 0; i < EVENT_MAX_HELD; i++)
			ev->held.pids[i] = byte(in);
		break;
	case EV_VIA:
		ev->via = byte(in) % 8;
		break;
	case EV_BUDGET:
		ev->budget.peer = endpoint(in);
		ev->budget.limit = (uint32_t)number(in);
		ev->budget.used = (int64_t)number(in) - 1;
		ev->budget.scope = (enum budget_scope)(byte(in) & 1);
		ev->budget.source = (enum budget_source)(byte(in) % 3);
		break;
	case EV_LOST:
		ev->lost.events = number(in);
		ev->lost.where = (enum lost_where)(byte(in) % LOST_MAX);
		break;
	case EV_COUNT:
		ev->count.opened = number(in);
		ev->count.closed = number(in);
		ev->count.open = number(in);
		ev->count.fd_only = number(in);
		ev->count.moved_in = number(in);
		ev->count.moved_out = number(in);
		break;
	default:
		break;
	}
}

static int push_holder(struct input *in, struct snapshot *s, const struct event *ev)
{
	static char *const groups[] = {"shop/orders/app", "shop/billing/app", NULL};
	struct holder_info info = {.pid = byte(in), .uid = -1, .comm = "c"};

	info.start_ns = moment(in, ev->t_ns);
	info.group = groups[byte(in) % 3];
	return snapshot_push_holder(s, ev->t_ns, ev->holder, &info);
}

static int push_site(struct input *in, struct snapshot *s, const struct event *ev)
{
	static char *const functions[] = {"main", "placeOrder", "cancel", NULL};
	struct site_frame frames[2] = {{.function = functions[byte(in) % 4]}, {.module = "/app"}};
	struct site_info site = {.frames = frames, .n_frames = byte(in) % 3};

	return snapshot_push_site(s, ev->t_ns, ev->site, &site);
}

/* Ends a snapshot at a tick. Returns whether it was one. */
static bool next_event(struct input *in, struct snapshot *s)
{
	struct event ev = {.kind = (enum event_kind)(byte(in) % EV_MAX)};
	int err;

	in->now_ns = moment(in, in->now_ns);
	ev.t_ns = in->now_ns;
	ev.conn = byte(in) % 32;
	ev.holder = byte(in) % 8;
	ev.site = byte(in) % 8;
	ev.tid = byte(in) % 4;
	fill_kind(in, &ev);
	if (ev.kind == EV_HOLDER)
		err = push_holder(in, s, &ev);
	else if (ev.kind == EV_SITE)
		err = push_site(in, s, &ev);
	else
		err = snapshot_push(s, &ev);
	must_hold(!err);
	return ev.kind == EV_TICK;
}

static void step(struct engine *e, struct snapshot *s, int64_t now_ns)
{
	s->now_ns = now_ns;
	must_hold(!engine_step(e, s));
	snapshot_clear(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.p = data, .end = data + size};
	const uint8_t how = byte(&in);
	const struct detector_params params = {.host = "node", .canary = how & 1};
	const struct proctab_limits limits = {.max_conns = how & 2 ? 4 : 24,
					      .max_holders = how & 4 ? 2 : 6,
					      .max_usages = how & 8 ? 3 : 12,
					      .max_peers = how & 16 ? 2 : 4,
					      .max_sites = how & 32 ? 1 : 4};
	struct snapshot s;
	struct engine e;
	bool has_count = false;

	must_hold(!engine_init(&e, &limits, &params));
	snapshot_init(&s);
	for (int i = 0; i < MAX_EVENTS && in.p < in.end; i++) {
		bool is_tick = next_event(&in, &s);

		has_count = has_count || s.events[s.n_events - 1].kind == EV_COUNT;
		if (is_tick)
			step(&e, &s, in.now_ns);
	}
	/* one event more: the last close is given back */
	snapshot_push(&s, &(struct event){.kind = EV_LOST});
	step(&e, &s, in.now_ns);
	check_table(e.table, has_count);
	check_views(&e);
	snapshot_release(&s);
	engine_release(&e);
	return 0;
}
