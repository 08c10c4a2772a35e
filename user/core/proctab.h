/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proctab.h - the process table: who holds which connections to which peers, right now
 *
 * Built from events only; knows no clock. Four tables, each bounded, each addressed by a dense
 * slot number that stays the same for the entry's life (and one of call sites: sitetab.h):
 *
 *	holder  a process (pid and start time)
 *	peer    an address and port that is connected to
 *	usage   one holder's use of one peer: what a row of `top` and a finding are about
 *	conn    one open connection; belongs to one usage
 *
 * A holder stays after its exit until nothing of it is open and proctab_forget_holder() is called
 * (the detector decides when: a finding may outlive the process by ten minutes).
 *
 * Full tables: the entry is not made, the loss is counted in proctab_lost(), and the counters of
 * holder and usage go on counting as long as those exist: such an open is in `opened` and never in
 * `open` or `closed`. In the ledger, opened + adopted + moved_in = closed + open + moved_out +
 *lost, it is one of `lost`.
 */
#ifndef CONNLEAK_PROCTAB_H
#define CONNLEAK_PROCTAB_H

#include "event.h"

#define SLOT_NONE	 UINT32_MAX
#define FD_ONLY_AFTER_NS (60 * NS_PER_S)

struct conn {
	uint64_t id; /* 0: free slot */
	int64_t opened_ns;
	int64_t tx_ns; /* last payload byte sent; T_NEVER: none seen */
	int64_t rx_ns;
	uint64_t tx; /* payload bytes so far */
	uint64_t rx;
	int64_t fin_ns; /* slot given up; T_NEVER: the server still spends one */
	/* call sites, private to the table: proctab_opened_by(), proctab_first_used_by() */
	uint32_t opened_by, first_used_by;
	struct endpoint local;
	uint32_t tid;
	uint32_t usage;	     /* slot */
	uint32_t prev, next; /* of the usage's open connections, oldest first by arrival */
	uint32_t fin_pos;    /* private to proctab.c */
	uint8_t fin_how;     /* enum fin_how */
	uint8_t last;	     /* enum io_last */
	bool adopted;
	bool has_io;	 /* an EV_IO was seen: bytes and times are measured */
	bool is_fd_only; /* counted as such */
	bool is_unheld;	 /* no process holds it: in flight, or a fixed file of io_uring */
	bool is_shared;	 /* several do: proctab_held_by() tells which */
};

struct usage {
	uint64_t via;		 /* id of the holder its connections end in; 0: none known */
	uint32_t holder;	 /* slot; SLOT_NONE: free */
	uint32_t peer;		 /* slot */
	uint32_t next_of_holder; /* slot of the holder's next usage, or SLOT_NONE */
	uint32_t first_conn, last_conn;
	struct counts counts;
	int64_t first_open_ns; /* of those in counts.opened; T_NEVER: none */
	int64_t last_open_ns;
};

struct holder {
	uint64_t id; /* 0: free slot */
	struct holder_info info;
	struct counts counts; /* kernel's own where EV_COUNT came, else what the events add up to */
	int64_t exit_ns;      /* T_NEVER while it lives */
	uint32_t first_usage;
};

struct peer {
	struct endpoint endpoint; /* family 0: free slot */
	uint32_t open;		  /* connections open to it from here, fd_only ones included */
	uint32_t slots;		  /* of these, those that cost the server a slot */
	uint32_t n_usages;	  /* that refer to it */
	bool has_own_budget;	  /* told about this peer, not the default of all */
	/* what there is to lose; limit 0: not known */
	uint32_t limit;
	int64_t server_used; /* -1: not known. With SCOPE_NODE use `slots` */
	enum budget_scope scope;
	enum budget_source source;
};

struct proctab_limits {
	uint32_t max_conns;   /* 0: 500,000 */
	uint32_t max_holders; /* 0: 32,768 */
	uint32_t max_usages;  /* 0: 65,536 */
	uint32_t max_peers;   /* 0: 4,096 */
	uint32_t max_sites;   /* 0: 8,192 */
};

/* What one event touched, by slot; SLOT_NONE where nothing. */
struct proctab_change {
	uint32_t conn;	/* after EV_CLOSE still readable until the next proctab_apply() */
	uint32_t usage; /* after EV_MOVE the new one, and its holder */
	uint32_t holder;
	uint32_t peer;
	bool is_rejected; /* told once: an EV_CLOSE or EV_FIN that docs/json.md calls `rejected`
			   */
	/* EV_IO: the values before it */
	int64_t was_tx_ns, was_rx_ns;
	uint64_t was_tx, was_rx;
	bool was_has_io;
};

struct proctab;

/* @limits: NULL for the defaults. Returns NULL when there is no memory. */
struct proctab *proctab_new(const struct proctab_limits *limits);
void proctab_free(struct proctab *pt);

/*
 * proctab_apply - fold one event in
 * @ret: always written; says what was touched
 *
 * Events that name an unknown connection or holder are counted in proctab_lost() and change
 * nothing. EV_TICK marks fd_only connections (descriptor held for more than 60 s after the slot
 * went). O(1) amortised; EV_TICK is linear in the connections whose slot is given up.
 * A budget of limit 0 takes the peer's own away again. An EV_OPEN or EV_USE whose site is not known
 * has none, which is counted in proctab_sites_lost().
 * Returns 0, -ENOENT (unknown id), -ENOSPC (a table is full), -EEXIST (id already open), -EINVAL
 * (id 0, no peer, no info), -ENOMEM. -ENOSPC of an EV_SITE: see sitetab_define().
 */
int proctab_apply(struct proctab *pt, const struct event *ev, struct proctab_change *ret);

/* Borrowed until the next proctab_apply(). A slot that is free or out of range gives NULL. */
const struct conn *proctab_conn(const struct proctab *pt, uint32_t slot);
const struct usage *proctab_usage(const struct proctab *pt, uint32_t slot);
const struct holder *proctab_holder(const struct proctab *pt, uint32_t slot);
const struct peer *proctab_peer(const struct proctab *pt, uint32_t slot);

/* Upper bounds of the slots in use: iterate 0..n-1 and skip NULL. */
uint32_t proctab_n_conns(const struct proctab *pt);
uint32_t proctab_n_usages(const struct proctab *pt);
uint32_t proctab_n_holders(const struct proctab *pt);
uint32_t proctab_n_peers(const struct proctab *pt);

/* Holders that have exited and are not forgotten yet. */
uint32_t proctab_n_exited(const struct proctab *pt);

/* Slot by id, or SLOT_NONE. O(1). */
uint32_t proctab_find_conn(const struct proctab *pt, uint64_t conn_id);
uint32_t proctab_find_holder(const struct proctab *pt, uint64_t holder_id);
uint32_t proctab_find_peer(const struct proctab *pt, const struct endpoint *ep);

/*
 * proctab_held_by - pids that hold the connection's socket, oldest process first
 * Writes at most @max pids; returns how many hold it: 1 for the usual (the pid of its holder), 0
 * for nobody.
 */
uint32_t proctab_held_by(const struct proctab *pt, uint32_t conn, uint32_t *ret_pids, uint32_t max);

/* The process of this machine that the usage's connections end in; NULL: none known. */
const struct holder *proctab_via(const struct proctab *pt, const struct usage *u);

/*
 * proctab_opened_by, proctab_first_used_by - keys of the call sites of a connection; 0: not known
 * A key (site_info_key) is the same for the same place in the code in any process and version.
 */
uint64_t proctab_opened_by(const struct proctab *pt, const struct conn *c);
uint64_t proctab_first_used_by(const struct proctab *pt, const struct conn *c);
/*
 * What is known of a call site; NULL: nothing. One that no connection refers to may be forgotten.
 * Borrowed until the next proctab_apply().
 */
const struct site_info *proctab_site(const struct proctab *pt, uint64_t key);
/* Opens and first uses that named a call site which is not known here or found no room. */
uint64_t proctab_sites_lost(const struct proctab *pt);

/*
 * proctab_ledger - totals of the node since the source started, forgotten holders included
 * opened + adopted + moved_in = closed + open + moved_out + ledger_lost(), which is
 * proctab_refused() unless an EV_COUNT told of more that never came here.
 */
void proctab_ledger(const struct proctab *pt, struct counts *ret);
/*
 * Counted as opened, and neither open nor closed. After a loss the counters may know of a close one or
 * two ticks before its event: closed is then ahead, which is not hidden, and this is 0.
 */
static inline uint64_t ledger_lost(const struct counts *k)
{
	uint64_t in = k->opened + k->adopted + k->moved_in;
	uint64_t out = k->closed + k->open + k->moved_out;

	return in > out ? in - out : 0;
}

/* Opens that were counted and found a table full, or no memory. */
uint64_t proctab_refused(const struct proctab *pt);

/* Open connections now, over everything. */
uint64_t proctab_open(const struct proctab *pt);
/* Events that could not be kept, by the source (EV_LOST) or by a full table here. */
uint64_t proctab_lost(const struct proctab *pt);

/* The peer's used slots for its budget's scope; -1: not known. */
int64_t peer_used(const struct peer *p);

/*
 * Releases an exited holder without open connections, its usages, and peers that nobody uses any
 * more and that have no budget of their own. Returns 0, -ENOENT, or -EBUSY (alive or something
 * open).
 */
int proctab_forget_holder(struct proctab *pt, uint32_t slot);

/* --- facts about one connection that several readers need --- */

/* The server has answered, the process does nothing: docs/detector.md section 3, "Turn". */
bool conn_is_clients_turn(const struct conn *c);
/* Time of the last payload byte in either direction, its opening if none was seen. */
int64_t conn_last_io_ns(const struct conn *c);
/*
 * The earliest moment at which it is known to have been open: when it was opened or adopted, or its
 * last traffic if that is older.
 */
int64_t conn_open_since_ns(const struct conn *c);
/* The server spends a slot on it. */
static inline bool conn_has_slot(const struct conn *c)
{
	return c->fin_ns == T_NEVER;
}

#endif
