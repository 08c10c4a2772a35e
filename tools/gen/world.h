/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - one simulated node: processes, their connections to PostgreSQL, and what the kernel
 *	would tell of them
 *
 * A discrete-event simulation. Whoever builds a scenario makes servers, processes and timers; the
 * timers open, use and close connections; the world turns that into the events of user/core/event.h
 * in order of time, with a tick each second, and keeps the truth beside it: which connections
 * nobody will use or close again.
 *
 *	struct world *w = world_new(&(struct world_opts){.seed = 7, .event = feed, .arg = engine});
 *	family_start(family_find("pool-lifo"), w, 0);
 *	world_run(w, 3600);
 *	truth = world_truth(w);
 *	world_free(w);
 *
 * Behaviours are callbacks on timers (gen_fn). A timer belongs to the world, to a process or to a
 * connection, and is dropped without a word when its owner has ended: a process that exits takes
 * its pools and requests along, so that a restart needs no cleaning up.
 *
 * Time: seconds as double where a scenario is described, since the world's start; int64_t
 * nanoseconds inside and in the events. The same options give the same events to the byte, on every
 * machine.
 *
 * Memory: what the world hands out is its own until world_free(), but a connection: that one is
 * gone when it is closed (see gen_open). Without memory the program ends, with a word: this is a
 * tool, and no scenario needs to look.
 */
#ifndef CONNLEAK_GEN_WORLD_H
#define CONNLEAK_GEN_WORLD_H

#include "rng.h"

#include "../../user/core/event.h"

#define GEN_MAX_LEAKS	1024 /* leaked connections that the truth lists; the rest is counted */
#define GEN_MAX_PARAMS	2048 /* bytes of the parameters as text */
#define GEN_MAX_HOLDERS 32   /* leaking processes that the truth lists */
#define GEN_JIFFY_NS	4000000LL

struct world;
struct gen_proc;
struct gen_server;
struct gen_conn;

typedef void gen_fn(struct world *w, void *arg);

/* --- the world --- */

struct world_opts {
	uint64_t seed;
	double tick_s;	/* 0: 1 s */
	bool has_sites; /* call sites are told; else all are 0, as without stacks */
	/* Gets each event in order of time; what it points to is the world's. NULL: nobody looks. */
	void (*event)(void *arg, const struct event *ev);
	void *arg;
};

/* Holders, connections and sites are numbered from 1. The caller owes world_free(). */
struct world *world_new(const struct world_opts *o);
void world_free(struct world *w);

/*
 * world_run - go on until @until_s, which is world time; may be called again with a later one
 * Ends early after world_stop().
 */
void world_run(struct world *w, double until_s);
void world_stop(struct world *w);
bool world_is_stopped(const struct world *w);

double world_now(const struct world *w); /* s */
int64_t world_now_ns(const struct world *w);
struct rng *world_rng(struct world *w);
/* How long the scenario is to last, s, for shapes that depend on it; set by family_start(). */
double world_duration(const struct world *w);
void world_set_duration(struct world *w, double duration_s);
/* What a wall clock showed at the world's start, ns since 1970; a Sunday at noon, unless set. */
int64_t world_wall_ns(const struct world *w);
void world_set_wall(struct world *w, int64_t wall_ns);
/* Hours that its processes have lived since the watch began, added up. */
double world_process_hours(const struct world *w);
/* Ticks, events, and timers so far, for those who measure. */
struct world_stats {
	uint64_t ticks, events, timers;
};
void world_stats(const struct world *w, struct world_stats *ret);

/*
 * world_watch_from - nobody watches before @from_s: no events until then; what is open by then is
 *	told as adopted. Call it in a setup. Times in the events still count from the world's start.
 */
void world_watch_from(struct world *w, double from_s);
int64_t world_watch_ns(const struct world *w);

/*
 * world_drain - nothing new is begun from now on: requests stop coming, what runs runs out
 * After some hours only what is kept on purpose is open (is_kept); a healthy scenario is one where
 * that holds. Scenarios with work of their own ask world_is_draining() before they begin any.
 */
void world_drain(struct world *w);
bool world_is_draining(const struct world *w);
/* Calls @fn for every open connection; it may close this one only. */
void world_each_conn(struct world *w, void (*fn)(struct gen_conn *c, void *arg), void *arg);

/* @fn(@arg) after @after_s seconds (0: after what is due now). */
void world_in(struct world *w, double after_s, gen_fn *fn, void *arg);
/* Zeroed memory until world_free(). */
void *world_alloc(struct world *w, size_t size);
/* The same, to be given back: for what is made with every request. */
void *world_get(struct world *w, size_t size);
void world_give(struct world *w, void *p, size_t size);

/*
 * --- parameters: drawn from the seed and written into the truth as "name=value " ---
 * They have random numbers of their own, so that replicas of one service, which run the same code
 * with the same settings, can be drawn alike: after world_begin_replica() the same draws follow as
 * after world_mark_params(), and are not written again.
 */

double param_log(struct world *w, const char *name, double lo, double hi);     /* log-uniform */
double param_between(struct world *w, const char *name, double lo, double hi); /* uniform */
int param_int(struct world *w, const char *name, int lo, int hi);	       /* inclusive */
int param_int_log(struct world *w, const char *name, int lo, int hi);	       /* log-uniform */
bool param_chance(struct world *w, const char *name, double p);
void world_mark_params(struct world *w);
void world_begin_replica(struct world *w);
struct rng *world_param_rng(struct world *w); /* for what is drawn in another way */
void param_note(struct world *w, const char *name, double value); /* not drawn, only told */

/* --- servers --- */

struct gen_server;

/* Told right after it happened; @c is open but in `ended`. Each may be NULL. */
struct gen_server_ops {
	void (*opened)(struct world *w, struct gen_server *s, struct gen_conn *c);
	void (*asked)(struct gen_server *s, struct gen_conn *c, double busy_s, uint32_t tx,
		      uint32_t rx);
	void (*ended)(struct gen_server *s, struct gen_conn *c);
};

struct gen_server_conf {
	uint32_t limit;	 /* connections it takes; one more is refused with 53300. 0: no limit */
	uint32_t others; /* of these, held by other machines; may be changed later */
	bool has_budget; /* limit and used are told (EV_BUDGET, scope server) every 10 s */
	double rtt_s;	 /* 0: 0.0005 */
	double idle_session_s; /* it ends connections that lie idle this long; 0: never */
	double idle_tx_s;      /* the same for those inside a transaction (gen_begin); 0: never */
	uint16_t port;	       /* 0: 5432 */
	/* What it does with its clients, if it is a pooler or a proxy (proxy.h); may be NULL. */
	const struct gen_server_ops *ops;
	void *arg;
	struct gen_proc *via; /* it is this process of the node (a pooler, a proxy): EV_VIA */
};

struct gen_server {
	struct gen_server_conf conf;
	struct endpoint peer;
	uint32_t used; /* slots that this node has now */
	bool is_down;
	struct world *w;
	struct gen_conn *conns; /* those with a slot; private */
	struct gen_server *next;
	uint32_t told; /* `used` of the last EV_BUDGET */
};

struct gen_server *gen_server_new(struct world *w, const struct gen_server_conf *conf);
/*
 * The first server that was made, or that of world_set_server(). Makes one with a budget if there
 * is none: of 100 to 1,000 slots for what leaks, of 400 to 2,000 for what is healthy.
 */
struct gen_server *world_server(struct world *w);
/* From now on world_server() is @s. */
void world_set_server(struct world *w, struct gen_server *s);
/* Every connection ends (57P01, FIN); connects are refused (ECONNREFUSED) for @down_s. */
void gen_server_restart(struct gen_server *s, double down_s);

/* --- processes and threads --- */

struct gen_proc_conf {
	const char *service;	 /* names unit, executable and comm; the group of an alert */
	const char *version;	 /* may be NULL */
	const char *comm;	 /* NULL: the service's name */
	struct gen_proc *parent; /* of a worker: same service; may be NULL */
};

struct gen_proc {
	uint64_t id; /* the holder's; 0 until its first connect */
	uint32_t pid;
	bool is_exited;
	struct world *w;
	void *owner; /* the scenario's */
	struct holder_info info;
	struct gen_conn *conns; /* private from here */
	struct gen_proc *next, *prev;
	int64_t started_ns, exited_ns;
	uint32_t last_tid;
	bool is_told, is_listed;
};

/* The strings of @conf are copied. */
struct gen_proc *gen_proc_new(struct world *w, const struct gen_proc_conf *conf);
/* A thread's id; the first is the pid's. Of itself it tells nothing. */
uint32_t gen_thread_new(struct gen_proc *p);
/* One that opened connections has ended. What it opened stays open. */
void gen_thread_exit(struct gen_proc *p, uint32_t tid);
/* Ends it: its connections are closed by the exit, its timers dropped. */
void gen_proc_exit(struct gen_proc *p);
void gen_proc_in(struct gen_proc *p, double after_s, gen_fn *fn, void *arg);
/* The call site of a function's name; 0 where the world tells none. */
uint64_t gen_site(struct gen_proc *p, const char *function);

/* --- connections --- */

/*
 * What a connection does when the server gives its slot up (timeout, restart, administrator).
 * GEN_FIN_STAYS: nothing: CLOSE_WAIT until its owner closes it. GEN_FIN_CLOSES: the driver closes
 * it within milliseconds. `on_fin` is called either way, first.
 */
enum gen_fin { GEN_FIN_STAYS, GEN_FIN_CLOSES };

#define GEN_STEPS 8 /* bytes on their way */

struct gen_conn {
	uint64_t id;
	struct gen_proc *proc; /* who holds it */
	struct gen_server *server;
	uint32_t tid;
	uint64_t site;
	int64_t opened_ns;
	int64_t ready_ns;    /* sign-on is over */
	int64_t last_use_ns; /* last query sent or answered, pings apart */
	enum gen_fin fin;
	bool has_fin;	/* the slot is given up */
	bool is_leaked; /* gen_lose() */
	bool is_in_tx;	/* gen_begin() */
	bool is_kept;	/* the scenario's: somebody keeps it on purpose, used or not */
	void *owner;	/* the scenario's; NULL */
	void *proxied;	/* its server's, if that is a proxy */
	void (*on_fin)(struct world *w, struct gen_conn *c); /* may close it; NULL */
	/* private from here */
	struct world *w;
	struct gen_conn *next_of_proc, *prev_of_proc, *next_of_server, *prev_of_server;
	struct gen_conn *next_dirty;
	bool is_open, is_dirty, is_watched, is_refused;
	uint32_t gen, pins;
	uint32_t leak; /* index in the truth + 1 */
	uint64_t tx, rx, told_tx, told_rx;
	int64_t tx_ns, rx_ns;
	int64_t last_io_ns; /* pings too: what the server's timeouts go by */
	enum io_last last, told_last;
	uint16_t local_port;
	uint8_t n_steps;
	struct {
		int64_t at_ns;
		uint32_t bytes;
		bool is_rx;
	} steps[GEN_STEPS];
};

/*
 * gen_open - connect and sign on
 * @tid:  the connecting thread
 * @site: of gen_site()
 *
 * Returns the connection; its sign-on ends at `ready_ns` (queries before that wait for it).
 * Returns NULL where there is none: the server is down (an EV_FAIL), it is full (a connection that
 * is opened, refused with 53300 and closed within milliseconds, by whoever is quicker), or no
 * memory.
 *
 * The pointer is good until the connection is closed: by gen_close(), by the process's exit, or by
 * GEN_FIN_CLOSES. Whoever keeps it beyond the callback it came in hangs its timers on it
 * (gen_conn_in), which end with it, or pins it.
 */
struct gen_conn *gen_open(struct gen_proc *p, uint32_t tid, uint64_t site, struct gen_server *s);

/* A timer that is dropped when the connection is closed. */
void gen_conn_in(struct gen_conn *c, double after_s, gen_fn *fn, void *arg);

/* Between the two the pointer stays good, closed or not, as long as the process lives. */
void gen_pin(struct gen_conn *c);
void gen_unpin(struct gen_conn *c);
/* Of a pinned one: not closed yet. */
bool gen_is_open(const struct gen_conn *c);

/*
 * gen_query - send @tx bytes now, get @rx back after @busy_s (at least one round trip)
 * Without a timer: bytes and times are there when somebody looks. With several outstanding the
 * answers come in order. On a connection whose slot is given up the write fails: nothing happens,
 * and false is returned; its owner should close it.
 */
bool gen_query(struct gen_conn *c, double busy_s, uint32_t tx, uint32_t rx);
/* The same small query each time, which is no use of the connection: pools ping. */
bool gen_ping(struct gen_conn *c);
/* BEGIN ... COMMIT: between them the server's idle_tx_s counts. Each is a query too. */
bool gen_begin(struct gen_conn *c);
bool gen_commit(struct gen_conn *c);
/* The server speaks unasked: a NOTIFY, a stream's bytes. */
void gen_receive(struct gen_conn *c, uint32_t rx);
/* Closes it as a driver does: a goodbye of 5 bytes, unless its slot is gone. */
void gen_close(struct gen_conn *c);
/* The server, an administrator or the network ends it. */
void gen_fin(struct gen_conn *c, enum fin_how how);
/*
 * The truth: from here on nobody uses this connection or closes it. It leaked when it was used
 * last. Pings, the server's timeouts and the exit of its process may still come.
 */
void gen_lose(struct gen_conn *c);
/* Now held by @to only. */
void gen_move(struct gen_conn *c, struct gen_proc *to);
/* Held by these processes (oldest first, EVENT_MAX_HELD at most); n 1: by its own alone again. */
void gen_share(struct gen_conn *c, struct gen_proc *const *procs, uint32_t n);
/* s since its last use (its opening, if none). */
double gen_idle_s(const struct gen_conn *c);

/* --- the truth --- */

struct gen_leak {
	uint64_t conn, holder; /* who held it when it was lost */
	int64_t opened_ns, last_use_ns;
	int64_t slot_ns; /* when the server got its slot back all the same; T_NEVER */
	int64_t end_ns;	 /* when its descriptor went (exit, reaped); T_NEVER */
};

struct gen_truth {
	const char *family;
	uint64_t seed;
	bool is_leaky;	    /* the family's; n_leaked may still be 0 in a short run */
	bool is_known_hard; /* healthy, and known to be called a leak */
	char params[GEN_MAX_PARAMS];
	int64_t duration_ns;
	int64_t watch_ns;	/* when the watch began */
	int64_t begin_ns;	/* when leaking began: world_leak_begins(), else first last use */
	int64_t limit_ns;	/* when the first server with a limit was full; T_NEVER */
	uint32_t limit;		/* of that server, or of the first that has one; 0: none */
	double rate_per_min;	/* leaked per minute from begin to the last, NAN below 2 */
	double nominal_per_min; /* as drawn, where it is constant; NAN */
	uint64_t n_leaked, n_leaked_open; /* so far; still open now */
	uint64_t n_broken; /* used or closed by its process though lost: a bug of the scenario */
	struct gen_leak leaks[GEN_MAX_LEAKS]; /* in order of gen_lose() */
	uint32_t n_leaks;
	uint64_t holders[GEN_MAX_HOLDERS]; /* that lost any */
	uint32_t n_holders;
};

/* The truth so far; good until the next world_run() or world_free(). */
const struct gen_truth *world_truth(struct world *w);
/* Leaking starts now, though the first connection may be lost later. The first call counts. */
void world_leak_begins(struct world *w);
/* The constant rate that a scenario leaks at. */
void world_leak_rate(struct world *w, double per_min);
/* For family_start(). @family is borrowed. */
void world_set_family(struct world *w, const char *family, bool is_leaky, bool is_known_hard);

#endif
