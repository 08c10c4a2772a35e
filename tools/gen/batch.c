/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

void gen_batch_init(struct gen_batch *b, int (*step)(void *arg, const struct snapshot *s),
		    void *arg)
{
	*b = (struct gen_batch){.step = step, .arg = arg};
	snapshot_init(&b->snapshot);
}

void gen_batch_release(struct gen_batch *b)
{
	snapshot_release(&b->snapshot);
}

static int push(struct snapshot *s, const struct event *ev)
{
	if (ev->kind == EV_HOLDER)
		return snapshot_push_holder(s, ev->t_ns, ev->holder, ev->info);
	if (ev->kind == EV_SITE)
		return snapshot_push_site(s, ev->t_ns, ev->site, ev->site_info);
	return snapshot_push(s, ev);
}

static void step(struct gen_batch *b, int64_t now_ns)
{
	b->snapshot.now_ns = now_ns;
	b->snapshot.wall_offset_ns = b->wall_offset_ns;
	b->err = b->step(b->arg, &b->snapshot);
	snapshot_clear(&b->snapshot);
}

void gen_batch_finish(struct gen_batch *b, int64_t now_ns)
{
	if (!b->err && b->snapshot.n_events)
		step(b, now_ns);
}

void gen_batch_event(void *batch, const struct event *ev)
{
	struct gen_batch *b = batch;

	if (b->err)
		return;
	b->err = push(&b->snapshot, ev);
	if (!b->err && ev->kind == EV_TICK)
		step(b, ev->t_ns);
}
