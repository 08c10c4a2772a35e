/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - what a source tells: events, and the snapshot that carries one tick's worth of them
 *
 * The events are those of the trace format (docs/trace.md): a live source makes them from kernel
 * records, a replay reads them from a file, tests write them by hand. Whatever consumes them
 * cannot tell which.
 *
 * Times are int64_t nanoseconds on one clock per source (live: CLOCK_BOOTTIME; a trace: since its
 * header). They are signed because a time of a connection may lie before the clock's zero, and
 * because differences are what is used.
 */
#ifndef CONNLEAK_EVENT_H
#define CONNLEAK_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"
#include "holder_info.h"
#include "site_info.h"

#define T_NEVER	  INT64_MIN /* "no such moment": never sent, not exited, not measured */
#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

enum event_kind {
	EV_HOLDER,	/* a holder appears; before its first event of any other kind */
	EV_EXIT,	/* its process ended; its closes come after it */
	EV_THREAD_EXIT, /* a thread that opened connections ended */
	EV_SITE,	/* a call site appears; before the first open that names it */
	EV_OPEN,	/* reached ESTABLISHED, or adopted */
	EV_IO,		/* byte counts or times moved, seen at a snapshot or at the end */
	EV_USE,		/* first payload sent from this call site */
	EV_FIN,		/* slot given up, descriptor held */
	EV_CLOSE,	/* slot and descriptor gone */
	EV_FAIL,	/* a connect that never reached ESTABLISHED */
	EV_MOVE,	/* now held by another process only */
	EV_HELD,	/* who holds it, when that is not just the one it is charged to */
	EV_VIA,		/* it ends in another holder of this machine: a pooler, a sidecar */
	EV_BUDGET,	/* what there is to lose */
	EV_LOST,	/* the source could not keep this many */
	EV_COUNT,	/* the kernel's own counters of a holder: they hold */
	EV_TICK,	/* a snapshot was taken: decide now */
	EV_END,		/* recording ended in good order */
	EV_MAX
};

enum fin_how { FIN_PEER, FIN_RESET, FIN_TIMEOUT, FIN_SHUTDOWN };
enum close_by { CLOSE_APP, CLOSE_PEER, CLOSE_RESET, CLOSE_TIMEOUT, CLOSE_EXIT };
enum io_last { IO_LAST_UNKNOWN, IO_LAST_RX, IO_LAST_TX };
enum budget_scope { SCOPE_NODE, SCOPE_SERVER };
enum budget_source { BUDGET_FLAG, BUDGET_POSTGRESQL, BUDGET_PGBOUNCER };
enum lost_where {
	LOST_RING,
	LOST_STORAGE,
	LOST_HOLDER,
	LOST_LISTEN,
	LOST_SNAPSHOT,
	LOST_TABLE,
	LOST_MAX
};

/* Counters of a holder (or of a holder at one peer). All are totals since the source started. */
struct counts {
	uint64_t opened; /* excludes adopted */
	uint64_t closed;
	uint64_t adopted;
	uint64_t failed;
	uint64_t rejected; /* opened, and closed by the server within 1 s; in opened and closed */
	uint64_t moved_in;
	uint64_t moved_out;
	uint64_t open;	  /* now; fd_only ones included */
	uint64_t fd_only; /* now */
};

#define EVENT_MAX_HELD 8

struct event {
	int64_t t_ns;
	enum event_kind kind;
	uint32_t tid;
	uint64_t conn;	 /* unique in the source's life */
	uint64_t holder; /* id, unique in the source's life; never 0 */
	uint64_t site;	 /* 0: no stack was taken */
	union {
		const struct holder_info *info;	   /* EV_HOLDER; borrowed until snapshot_clear() */
		const struct site_info *site_info; /* EV_SITE, whose id is `site`; as `info` */
		struct {
			struct endpoint local, peer;
			bool adopted; /* its age and idle time are lower bounds */
		} open;
		struct {
			int64_t tx_ns, rx_ns; /* last payload byte; T_NEVER if none */
			uint64_t tx, rx;      /* payload bytes so far */
			enum io_last last;
		} io;
		enum fin_how fin;
		enum close_by close;
		struct {
			struct endpoint peer;
			int err; /* positive errno; 0: not known */
		} fail;
		struct {
			struct endpoint peer; /* family 0: every peer without a budget of its own */
			uint32_t limit;
			int64_t used; /* -1: not known */
			enum budget_scope scope;
			enum budget_source source;
		} budget;
		struct {
			uint64_t events;
			enum lost_where where;
		} lost;
		struct counts count;
		struct {
			/* oldest process first; total 0: nobody (in flight between processes) */
			uint32_t pids[EVENT_MAX_HELD];
			uint32_t n, total;
		} held;
		uint64_t via; /* EV_VIA: the id of the holder it ends in; 0: in none any more */
	};
};

/*
 * One tick's worth: everything since the last one in order of time, an EV_TICK at the end. Not
 * atomic: what opens or closes while it is taken may be in or out.
 */
struct snapshot {
	int64_t now_ns;		/* of the EV_TICK */
	int64_t wall_offset_ns; /* wall clock (ns since 1970) = event time + this */
	struct event *events;
	size_t n_events;
	size_t cap_events;
	struct holder_info **infos; /* owned; what EV_HOLDER events borrow */
	size_t n_infos;
	size_t cap_infos;
	struct site_info **sites; /* owned; what EV_SITE events borrow */
	size_t n_sites;
	size_t cap_sites;
	/*
	 * Of the last comparison with the kernel's tables of descriptors. -1: none was made yet, or
	 * the source cannot.
	 */
	int64_t drift;	   /* connections that counting and the tables disagreed on, now repaired */
	int64_t unheld;	   /* tracked sockets that no process holds */
	uint64_t repaired; /* connections that were missed and made up for, in all */
};

/* Zeroes @s; what is not measured is -1. */
void snapshot_init(struct snapshot *s);
/* Empties @s, keeping its buffers for the next tick; halves what was mostly unused. */
void snapshot_clear(struct snapshot *s);
/* Frees what @s owns. Accepts a zeroed struct. */
void snapshot_release(struct snapshot *s);
/* Appends a copy of @ev. Returns 0 or -ENOMEM. Amortised O(1). */
int snapshot_push(struct snapshot *s, const struct event *ev);
/* Appends an EV_HOLDER with a deep copy of @info. Returns 0 or -ENOMEM. */
int snapshot_push_holder(struct snapshot *s, int64_t t_ns, uint64_t holder,
			 const struct holder_info *info);
/* The same for an EV_SITE. */
int snapshot_push_site(struct snapshot *s, int64_t t_ns, uint64_t site,
		       const struct site_info *info);
/*
 * Sorts the events by time, keeping the order of equal times. In place but for 16 bytes an event;
 * O(n log n), O(n) and no memory if they are in order. Returns 0 or -ENOMEM.
 */
int snapshot_sort(struct snapshot *s);

#endif
