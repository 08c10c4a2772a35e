/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_out.h"

#include <errno.h>

#include "../../user/core/trace.h"
#include "batch.h"

struct output {
	const struct trace_out *to;
	struct strbuf lines;
	int64_t zero_ns, wall_ns, last_ns;
};

static int flush(struct output *o)
{
	int err = o->lines.err;

	if (!err)
		err = o->to->write(o->to->arg, o->lines.buf, o->lines.len);
	strbuf_clear(&o->lines);
	return err;
}

static int write_header(struct output *o)
{
	struct trace_header h = {.wall_ns = o->wall_ns,
				 .host = "app-node-07",
				 .source = "simulated",
				 .writer = "mktrace " CONNLEAK_VERSION,
				 .interval_ns = NS_PER_S,
				 .ports = {5432, 6432},
				 .n_ports = 2};

	return trace_write_header(&o->lines, &h);
}

static int write_events(void *arg, const struct snapshot *s)
{
	struct output *o = arg;
	int err = trace_write_snapshot(&o->lines, s, o->zero_ns, o->wall_ns, &o->last_ns);

	return err ? err : flush(o);
}

static int run(struct world *w, struct output *o, struct gen_batch *batch)
{
	int err;

	family_start(o->to->family, w, o->to->hours);
	o->zero_ns = world_watch_ns(w);
	o->wall_ns = world_wall_ns(w) + o->zero_ns;
	batch->wall_offset_ns = world_wall_ns(w);
	err = write_header(o);
	if (err)
		return err;
	world_run(w, world_duration(w));
	gen_batch_finish(batch, world_now_ns(w));
	err = batch->err;
	if (!err)
		err = trace_write_end(&o->lines, world_now_ns(w), o->zero_ns, o->last_ns);
	return err ? err : flush(o);
}

int trace_out_run(const struct trace_out *to, struct gen_truth *ret)
{
	struct output o = {.to = to, .last_ns = T_NEVER};
	struct gen_batch batch;
	struct world_opts opts = {.seed = to->seed,
				  .has_sites = to->has_sites,
				  .event = gen_batch_event,
				  .arg = &batch};
	struct world *w = world_new(&opts);
	int err;

	gen_batch_init(&batch, write_events, &o);
	err = run(w, &o, &batch);
	if (!err)
		*ret = *world_truth(w);
	world_free(w);
	gen_batch_release(&batch);
	strbuf_release(&o.lines);
	return err;
}
