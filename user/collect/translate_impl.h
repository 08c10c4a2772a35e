/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate_impl.h - private to translate.c (records and passes), translate_held.c (walks) and
 *	translate_count.c (losses and counters)
 */
#ifndef CONNLEAK_TRANSLATE_IMPL_H
#define CONNLEAK_TRANSLATE_IMPL_H

#include "../core/idmap.h"
#include "../core/slots.h"
#include "translate.h"

#define MAX_TRACKED   500000
#define MAX_HOLDERS   65536
#define LOST_AFTER    2 /* passes that must agree before a record counts as lost */
#define NOT_IN_PASS   UINT32_MAX
#define FIRST_RECORDS 256
#define MAX_UNKNOWN   256 /* ids kept from one walk to the next */

enum tracked_state { TRACKED_OPEN, TRACKED_FIN, TRACKED_SHUTDOWN };

/* What was told of one connection so far, to tell only what is new. */
struct tracked {
	uint64_t id; /* 0: free */
	uint64_t tx, rx;
	uint32_t holder; /* slot */
	uint32_t opener; /* slot, which is still that holder's if it has this id */
	uint32_t opener_id;
	union {
		uint32_t sock;	    /* index in this tick's pass, or NOT_IN_PASS */
		uint32_t next_free; /* the slot table's */
	};
	uint8_t state;	/* enum tracked_state */
	uint8_t last;	/* enum io_last */
	uint8_t misses; /* passes in a row that contradict what was told */
	uint8_t unheld; /* walks in a row that found nobody who holds it */
	bool is_told_unheld;
	uint32_t held_set; /* hash of the holders that were told; 0: just its own */
	uint32_t via;	   /* id of the holder that was told; 0: none */
};

struct known_holder {
	uint64_t id; /* 0: free */
	struct cl_holder_key key;
	uint32_t n_conns;
	uint32_t next_free;
	bool is_exited;
	/* what the kernel's counters cannot know */
	uint64_t moved_in, moved_out;
	bool was_counted;    /* the kernel's counters were told */
	bool must_count;     /* ... while they moved, or in a tick with losses: again */
	int64_t closed_more; /* closes that it did, of what others opened; less the other way */
	uint32_t n_shutdown; /* half-closed, which the kernel counts as closed */
};

union record {
	struct cl_rec head;
	struct cl_rec_open open;
	struct cl_rec_end end;
};

struct translator {
	struct translate_ops ops;
	int64_t jiffy_ns;
	int64_t last_now_ns; /* T_NEVER before the first tick */
	int64_t floor_ns;    /* no event of this tick is earlier */
	uint64_t n_ticks;
	uint64_t repaired_counted;
	uint64_t n_untracked; /* in this tick, for want of room */
	uint64_t next_holder_id;
	struct slots conns; /* struct tracked */
	struct idmap conn_ids;
	struct slots holders; /* struct known_holder */
	struct idmap holder_keys;
	union record *records;
	size_t n_records, cap_records;
	struct translate_stats stats;
	/* as of the last walk over descriptors */
	uint64_t unknown[MAX_UNKNOWN]; /* connections that it met and nobody had told of */
	uint32_t n_unknown;
	uint64_t repaired_before;
	int64_t drift, unheld;
	/* this tick's */
	const struct pass *pass;
	struct snapshot *out;
	int err; /* the first failure; what follows is not emitted */
};

static inline struct known_holder *holder_at(const struct translator *t, uint32_t slot)
{
	return slots_at(&t->holders, slot);
}

static inline struct tracked *conn_at(const struct translator *t, uint32_t slot)
{
	return slots_at(&t->conns, slot);
}

/* --- translate.c --- */

/* Adds an event; no earlier than this tick may tell. A failure is kept in t->err. */
void translate_emit(struct translator *t, struct event *ev, int64_t t_ns);
/* IDMAP_NONE where there is none. */
uint32_t translate_find_conn(const struct translator *t, uint64_t id);
uint64_t translate_key_hash(const struct cl_holder_key *key);
uint32_t translate_find_holder(const struct translator *t, const struct cl_holder_key *key);
/* Makes and announces it if it is new; IDMAP_NONE without memory or room. */
uint32_t translate_get_holder(struct translator *t, const struct cl_holder_key *key);

/* --- translate_count.c --- */

/* What was lost, the kernel's counters where they are needed, and the end of dead holders. */
void translate_count(struct translator *t);

/* --- translate_held.c --- */

/* Connections that were missed and made up for, in all. */
uint64_t translate_repaired(const struct translator *t);

/* Who holds what, where it ends, what counting missed: from this tick's walk. */
void translate_walk(struct translator *t);

#endif
