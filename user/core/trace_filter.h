/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_filter.h - the part of a stream of events that is about some holders and peers only
 *
 * What is left is whole: each event's holder and connection were announced before it. A holder
 * that is not asked for appears when a connection of one that is moves to it, or ends in it, or
 * when one of its own moves to a holder that is asked for: that one is told then, as adopted.
 */
#ifndef CONNLEAK_TRACE_FILTER_H
#define CONNLEAK_TRACE_FILTER_H

#include "event.h"

struct trace_filter;

struct trace_filter_ops {
	bool (*wants_holder)(void *arg, const struct holder_info *h);
	bool (*wants_peer)(void *arg, const struct endpoint *peer);
	void *arg;
};

/* NULL without memory. @ops is copied; its `arg` is borrowed for the filter's life. */
struct trace_filter *trace_filter_new(const struct trace_filter_ops *ops);
void trace_filter_free(struct trace_filter *f);

/*
 * trace_filter_apply - append what is wanted of @in to @out, which was cleared
 *
 * `lost` and `tick` are always wanted, and so are sites. Of a `count`, which is of a holder's every
 * peer, nothing is left where not all peers are wanted. Returns 0 or -ENOMEM.
 */
int trace_filter_apply(struct trace_filter *f, const struct snapshot *in, struct snapshot *out);

#endif
