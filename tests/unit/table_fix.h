/* SPDX-License-Identifier: Apache-2.0 */
/* table_fix.h - a process table with two holders, and short names for what may happen to it */
#ifndef CONNLEAK_TEST_TABLE_FIX_H
#define CONNLEAK_TEST_TABLE_FIX_H

#include "t.h"

#include <errno.h>

#include "../../user/core/proctab.h"

#define H1 0xffff000000000001ULL
#define H2 2

static const struct endpoint pg = {{10, 0, 4, 12}, 5432, 4, 0};
static const struct endpoint pooler = {{127, 0, 0, 1}, 6432, 4, 0};
static const struct endpoint nobody;

struct fix {
	struct proctab *pt;
	struct proctab_change ch;
	int err;
};

static inline void apply(struct fix *f, const struct event *ev)
{
	f->err = proctab_apply(f->pt, ev, &f->ch);
}

static inline void add_holder(struct fix *f, uint64_t id)
{
	struct holder_info info = {.pid = (uint32_t)id, .uid = -1};

	apply(f, &(struct event){.kind = EV_HOLDER, .holder = id, .info = &info});
}

static inline void setup(struct fix *f, const struct proctab_limits *limits)
{
	f->pt = proctab_new(limits);
	assert_non_null(f->pt);
	add_holder(f, H1);
	assert_int_equal(f->err, 0);
	add_holder(f, H2);
}

static inline void open_to(struct fix *f, int64_t t, uint64_t conn, uint64_t holder,
			   const struct endpoint *peer)
{
	apply(f, &(struct event){.t_ns = t,
				 .kind = EV_OPEN,
				 .conn = conn,
				 .holder = holder,
				 .open.peer = *peer});
}

static inline void opens(struct fix *f, int64_t t, uint64_t conn)
{
	open_to(f, t, conn, H1, &pg);
	assert_int_equal(f->err, 0);
}

static inline void io(struct fix *f, uint64_t conn, uint64_t rx)
{
	apply(f, &(struct event){.kind = EV_IO,
				 .conn = conn,
				 .io = {.tx_ns = 1, .rx_ns = 2, .tx = 100, .rx = rx}});
}

static inline void fin(struct fix *f, int64_t t, uint64_t conn, enum fin_how how)
{
	apply(f, &(struct event){.t_ns = t, .kind = EV_FIN, .conn = conn, .fin = how});
}

static inline void closes(struct fix *f, int64_t t, uint64_t conn, enum close_by by)
{
	apply(f, &(struct event){.t_ns = t, .kind = EV_CLOSE, .conn = conn, .close = by});
}

static inline void tick(struct fix *f, int64_t t)
{
	apply(f, &(struct event){.t_ns = t, .kind = EV_TICK});
}

static inline const struct holder *holder(struct fix *f, uint64_t id)
{
	return proctab_holder(f->pt, proctab_find_holder(f->pt, id));
}

static inline const struct usage *usage(struct fix *f, uint64_t id)
{
	return proctab_usage(f->pt, holder(f, id)->first_usage);
}

static inline const struct peer *peer(struct fix *f, const struct endpoint *ep)
{
	return proctab_peer(f->pt, proctab_find_peer(f->pt, ep));
}

#endif
