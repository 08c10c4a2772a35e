/* SPDX-License-Identifier: Apache-2.0 */
/*
 * detector_impl.h - the detector's state, shared by its files and nobody else
 *
 *	detector.c  events in, the tick, what readers ask
 *	cohort.c    cohorts and their openers, made and freed
 *	track.c     one connection's life: idle, passed over, come back, gone
 *	passed.c    the waiting and the passed over: heap and list
 *	ghost.c     those that the server has ended since
 *	rungs.c     what a cohort's connections amount to at a tick
 *	judge.c     rules, firing, resolving
 *	service.c   what survives a restart
 *	budget.c    levels, rates of change, forecasts, per peer
 *	evidence.c  a struct finding out of all that; evidence_site.c its call sites
 */
#ifndef CONNLEAK_DETECTOR_IMPL_H
#define CONNLEAK_DETECTOR_IMPL_H

#include <math.h>

#include "detector.h"
#include "idmap.h"
#include "ladder.h"
#include "minheap.h"
#include "slots.h"

#define TX_CAP_NS      (6 * 3600 * NS_PER_S)
#define HABIT_HALF_NS  (12 * 3600 * NS_PER_S)
#define TX_MULT	       2
#define INHERIT_MAX    100
#define MAX_COHORTS    65536
#define MAX_SERVICES   8192
#define MAX_SITES      64  /* of one service, that habits are kept for */
#define ABANDONED_CAP  512 /* oldest abandoned ones that a ladder stands on */
#define CANARY_K       5
#define COLD_K	       5
#define SUM_K	       8 /* rules that add up over cohorts */
#define WARM_K	       4
#define WARM_ANY_K     8
#define ANY_FIRST_K    6 /* beside returns of the same kind only */
#define LONG_SPAN_NS   (300 * NS_PER_S)
#define SHORT_SPAN_NS  (60 * NS_PER_S)
#define CANARY_SPAN_NS (120 * NS_PER_S)
#define CANARY_STEP_NS (20 * NS_PER_S)
#define SUSPECT_K      3
#define HABIT_TOP      16
#define GHOST_NS       (300 * NS_PER_S) /* how long one that the server ended stays a rung */
#define MAX_GHOSTS     64
#define SIGN_ON_SLACK  4 /* bytes by which sign-ons differ; any query has more */
#define SUSPECT_IDLE   8 /* abandoned, and half of what is open: chosen by looking at late starts */

/*
 * The longest absences that ended in a return, of the current and the previous half day: in ms,
 * rounded up, longest first, 0 where there are fewer. How far they lie apart tells how much longer
 * the next one may be.
 */
struct habit {
	uint32_t cur_ms[HABIT_TOP], prev_ms[HABIT_TOP];
	int64_t half_ns; /* start of the current half; T_NEVER: nothing noted */
};

/* What a habit says of the absences that are still to end. */
struct tail {
	int64_t longest_ns;
	uint32_t n;    /* that ended; 0: none was ever passed over and came back */
	double ln_sum; /* of ln(length / shortest), over these */
};

/* A prior of three absences that end in half a unit of ln t; and how rare is rare: ln 1e-4. */
#define TAIL_PRIOR_N  3
#define TAIL_PRIOR_LN 0.5
#define LN_TAIL	      (-9.2103)

/*
 * By how many units of ln t, together, absences must be longer than all that ended, to be longer
 * than those let expect: judge.c. 0: none ended.
 */
static inline double tail_demand(const struct tail *t)
{
	return t->n ? (TAIL_PRIOR_LN + t->ln_sum) * (exp(-LN_TAIL / (TAIL_PRIOR_N + t->n)) - 1) : 0;
}

/* How often something happened: in all, and those longer than Tx ago. */
struct lagged {
	uint64_t n, lag, rot;
};

/*
 * An abandoned connection that the server has ended since: nobody came back to it. It counts only
 * in rules that compare with returns.
 */
struct ghost {
	int64_t opened_ns, use_end_ns, ended_ns;
	uint32_t grown_before;
	bool is_warm, has_worked;
};

/* One return. */
struct comeback {
	int64_t absence_ns;
	bool is_first; /* by one that had not worked, or by a close */
};

/* Per connection, by proctab's slot. Kept small: there may be 500,000. */
struct track {
	int64_t use_end_ns;
	int64_t exp_ns;	     /* when first passed over; T_NEVER: not since its last use */
	int64_t io_ns;	     /* last exchange, its opening before the first */
	int64_t per_ns;	     /* between the last two exchanges */
	int64_t reaped_ns;   /* when the server ended it while abandoned; T_NEVER: it did not */
	uint64_t tx, rx;     /* totals at the last exchange */
	uint32_t dt, dr;     /* bytes of the last exchange, saturated */
	uint32_t cohort;     /* slot; SLOT_NONE: not followed */
	uint32_t opener;     /* slot; SLOT_NONE: not known (adopted) */
	uint32_t heap_pos;   /* in the cohort's `waiting` */
	uint32_t prev, next; /* in the cohort's exposed list */
	uint32_t tick;	     /* number of the tick interval of the last exchange */
	/* counters of the usage before its open, cut to 32 bits */
	uint32_t opened_before, closed_before, app_closed_before;
	uint32_t grown_before; /* usage_grown() before its open */
	uint8_t hb;	       /* repeats in a row */
	bool is_client;	       /* client's turn when last looked at */
	bool is_pending; /* received something unasked: parting words or a NOTIFY, not yet known */
	bool is_counted; /* its last exchange counted as a return */
	bool is_used;	 /* something was exchanged since we look */
	bool is_unheld;	 /* nobody holds it: stands in no list */
};

/* A thread that opens connections of one cohort. */
struct opener {
	uint32_t cohort, tid;
	int64_t last_open_ns;
	uint32_t refs; /* open connections; 0: free slot */
	uint32_t next_free;
	bool has_ended;
};

struct cohort {
	uint32_t usage; /* slot; SLOT_NONE: its holder was forgotten. See is_used */
	uint32_t next_of_usage;
	uint64_t site;
	uint64_t opens, closes; /* excludes adopted */
	uint32_t n_open;
	uint32_t n_vacated; /* ended by the server, closed by the program, not yet replaced */
	int64_t vacated_ns; /* the last of these; 0 at first */
	int64_t last_open_ns, last_ns; /* last_open_ns: one that took no other's place */
	/*
	 * Client's turn and not passed over, by a lower bound of use_end: a use moves nothing, an
	 * entry that turns out to be too early is put back when its time comes.
	 */
	struct minheap waiting;
	uint32_t exp_first, exp_last, n_exposed; /* passed over, in order of exp */
	struct lagged returns;
	struct lagged closes_ret; /* of these, by a close */
	struct lagged first_uses; /* of these, the first work of a connection that lay unused */
	int64_t t_rot_ns;	  /* T_NEVER: not begun */
	uint32_t n_inh, n_first_inh;
	/*
	 * Payload sent to sign on: the least that one had sent when it became quiet. Who has sent no
	 * more has not worked yet. UINT64_MAX: not known.
	 */
	uint64_t sign_on;
	uint32_t service_site; /* index in the service's sites, or SLOT_NONE */
	struct habit habit;
	/* as of its last evaluation */
	int64_t tx_ns; /* Tx */
	struct rungs any, own, warm;
	struct rungs worked; /* as warm, of those that have worked */
	uint32_t n_abandoned, n_abandoned_fd;
	struct tail tail;
	double ln_beyond;     /* mean of ln(absence / longest that ended), over the abandoned */
	struct ghost *ghosts; /* owned; [n_ghosts], oldest end first */
	uint32_t n_ghosts;
	int64_t not_before_ns; /* of the next look: what is large is not looked at each tick */
	uint32_t due_pos; /* in the detector's `due`; SLOT_NONE: nothing will change by itself */
	uint32_t idle_prev, idle_next; /* while it has no open connections */
	uint32_t next_free;
	bool is_used;
};

struct service_site {
	uint64_t site;
	uint64_t n_ret, n_first;
	struct habit habit;
};

/* Group key and peer: what a restart does not change. Never a version or a build-id. */
struct service {
	uint64_t key;
	uint64_t n_ret, n_first;
	struct habit habit;
	double carry; /* own rungs of ended processes, as of carry_ns */
	int64_t carry_ns, carry_first_ns;
	struct service_site *sites; /* owned */
	uint32_t n_sites;
	uint32_t first_usage; /* of living holders */
	uint32_t alert;	      /* slot or SLOT_NONE */
	uint32_t next_free;
	int64_t last_ns;
	bool is_used;
};

/* What a usage's cohorts add up to, as of the last judgement. */
struct tally {
	uint32_t k, k_own, k_warm; /* of the cohort that has most */
	uint32_t own_sum;
	int64_t own_first_ns, own_last_ns; /* valid with own_sum > 0 */
	uint64_t n_own, n_all;		   /* returns: of cohorts with own rungs, of all */
	enum rule rule;
	double score, threshold;
	uint32_t rule_k;
	int64_t rule_span_ns;
	uint64_t rule_n;
};

/* By proctab's usage slot. */
struct ustate {
	uint64_t holder_id; /* 0: unused */
	uint32_t holder, peer;
	struct endpoint endpoint; /* with holder_id: whether the slot still is the same usage */
	uint32_t first_cohort;
	uint32_t service, next_of_service;
	uint32_t alert; /* slot or SLOT_NONE */
	uint64_t inherited_n, inherited_first;
	struct habit inherited;
	uint64_t exchanges, app_closed, n_ret;
	int64_t last_open_ns, longest_idle_ns, resolved_ns;
	enum resolved_because left_by; /* how the last abandoned connection went */
	struct tally tally;
	uint32_t judged_tick; /* when the tally was made */
	bool has_exited;
	bool has_handed_on; /* connections to another holder */
	bool is_listed;	    /* in the detector's `judge` */
};

/* A finding in the making. */
struct alert {
	bool is_used;
	enum finding_kind kind;
	enum finding_status status;
	enum severity severity;
	enum rule rule;
	enum resolved_because resolved_because;
	uint32_t usage; /* SLOT_NONE: about a peer, or about connleak itself */
	uint32_t peer;
	struct endpoint endpoint; /* of the peer; the table may give its slot to another */
	uint32_t service;	  /* SLOT_NONE unless the rule is RULE_SERVICE */
	int64_t since_ns, fired_ns, resolved_ns;
	int64_t rule_ns; /* when the rule held last */
	int64_t held_ns; /* the rule, or most of those that it was told about */
	/* abandoned when the rule held last, and until when those had been passed over */
	uint32_t n_abandoned;
	int64_t abandoned_exp_ns;
	uint32_t n_untouched; /* of these, as of held_ns */
	double score, threshold;
	uint32_t rule_k;
	int64_t rule_span_ns;
	uint64_t rule_n;
	/* counters of the usage before `since_ns`, for what happened in the window */
	uint64_t opened_before, closed_before, app_closed_before;
	uint64_t lost; /* blind: how many since it fired */
	uint32_t next_free;
};

#define BUDGET_BUCKET_NS (5 * NS_PER_S)
#define BUDGET_BUCKETS	 72 /* six minutes */

/* What holds a level, and since when it would clear it. */
struct level {
	bool is_on;
	int64_t since_ns; /* condition true since; T_NEVER: it is false */
	int64_t clear_ns; /* clearing condition true since; T_NEVER */
};

struct forecast {
	double rate_per_s; /* NAN: fewer than two abandoned */
	double eta_s, low_s, high_s;
};

/* By proctab's peer slot. */
struct pstate {
	struct endpoint endpoint;
	uint32_t low[BUDGET_BUCKETS]; /* lowest `used` of a bucket; UINT32_MAX: none */
	int64_t first_ns;	      /* T_NEVER: no history */
	int64_t n_bucket;	      /* of the newest bucket, counted from first_ns */
	struct level warn, crit, rate;
	double eta_s; /* of the rate of change; NAN */
	struct forecast forecast;
	int64_t forecast_ns; /* when that was made; T_NEVER */
	uint32_t budget_alert, rate_alert;
};

struct detector {
	struct detector_params p;
	int64_t now_ns; /* of the last tick; T_NEVER before */
	uint32_t n_ticks;
	struct track *tracks;
	uint32_t n_tracks;
	struct ustate *usages;
	uint32_t n_usages;
	struct pstate *peers;
	uint32_t n_peers;
	uint32_t *refs; /* by proctab's holder slot: connections and alerts that need the holder */
	uint32_t n_refs;
	struct slots cohorts, openers, services, alerts;
	uint32_t idle_first, idle_last; /* cohorts without open connections, longest first */
	struct idmap cohort_map, opener_map, service_map;
	struct minheap due; /* cohorts, by when they must be looked at */
	uint32_t *pending;  /* connections with is_pending, perhaps */
	uint32_t n_pending, cap_pending;
	uint32_t *judge; /* usages to judge at this tick */
	uint32_t n_judge, cap_judge;
	struct ladder_cand *cand;
	uint32_t cap_cand;
	uint64_t lost_seen, source_lost, source_lost_seen;
	uint64_t own_lost; /* what found no room or memory here */
	uint32_t blind_alert;
};

static inline struct cohort *cohort_at(const struct detector *d, uint32_t i)
{
	return slots_at(&d->cohorts, i);
}

static inline struct opener *opener_at(const struct detector *d, uint32_t i)
{
	return slots_at(&d->openers, i);
}

static inline struct service *service_at(const struct detector *d, uint32_t i)
{
	return slots_at(&d->services, i);
}

static inline struct alert *alert_at(const struct detector *d, uint32_t i)
{
	return slots_at(&d->alerts, i);
}

/*
 * By how many connections a usage has grown since it began, modulo 2^32: only differences count. A
 * pool that replaces its connections does not grow, however long each of them lies idle.
 */
static inline uint32_t usage_grown(const struct detector *d, const struct proctab *pt,
				   uint32_t usage)
{
	const struct usage *pu = proctab_usage(pt, usage);
	uint64_t in, out;

	if (!pu)
		return 0;
	in = pu->counts.opened + pu->counts.moved_in;
	out = d->usages[usage].app_closed + pu->counts.rejected + pu->counts.moved_out;
	return (uint32_t)(in - out);
}

/* --- detector.c --- */
/* Grows the array that @array points to, so that [@i] exists; new entries are zero. 0 or -ENOMEM.
 */
int detector_grow(void *array, uint32_t *n, uint32_t i, size_t size);
/* While a holder is referred to, the process table must not forget it. */
void detector_ref(struct detector *d, uint32_t usage);
void detector_unref(struct detector *d, uint32_t usage);

/* --- cohort.c --- */
/*
 * The cohort of (usage, site), made if need be. Without room the usage's cohort of site 0, or any
 * other of it: the call site is lost, the connection is not. -ENOSPC: it has none. -ENOMEM.
 */
int cohort_get(struct detector *d, uint32_t usage, uint64_t site, int64_t now_ns,
	       uint32_t *ret_slot);
/* One open connection more, or less. */
void cohort_enter(struct detector *d, uint32_t slot);
void cohort_leave(struct detector *d, uint32_t slot);
/* The opener of (cohort, tid), made if need be, with one reference more. 0 or negative errno. */
int opener_ref(struct detector *d, uint32_t cohort, uint32_t tid, uint32_t *ret_slot);
void opener_unref(struct detector *d, uint32_t slot);
/* The same thread as an opener of another cohort, with one reference more. 0 or negative errno. */
int opener_move(struct detector *d, uint32_t slot, uint32_t cohort, uint32_t *ret_slot);
/* A connection goes from one to the other, which must not judge it with less knowledge. */
void cohort_teach(const struct cohort *from, struct cohort *to, int64_t now_ns);
/* Something of it changed: look at it at the next tick. Returns 0 or -ENOMEM. */
int cohort_mark(struct detector *d, uint32_t slot);
int cohort_thread_exit(struct detector *d, uint32_t usage, uint32_t tid);
/* Makes the usage's cohorts nobody's; frees those without open connections. */
void cohort_drop_usage(struct detector *d, struct ustate *u);
void cohort_free(struct detector *d, uint32_t slot);
int64_t cohort_tx_ns(const struct detector *d, const struct cohort *co, int64_t now_ns);
/* Moves the returns that are older than Tx on. To be called before n_ret changes. */
void cohort_rotate(const struct detector *d, struct cohort *co, int64_t now_ns);
static inline struct minheap_pos waiting_pos(const struct detector *d)
{
	return (struct minheap_pos){&d->tracks[0].heap_pos, sizeof(struct track)};
}
static inline struct minheap_pos due_pos(const struct detector *d)
{
	return (struct minheap_pos){&cohort_at(d, 0)->due_pos, sizeof(struct cohort)};
}

/* --- track.c --- */
int track_open(struct detector *d, const struct proctab *pt, const struct event *ev,
	       const struct proctab_change *ch);
int track_io(struct detector *d, const struct proctab *pt, const struct event *ev,
	     const struct proctab_change *ch);
int track_fin(struct detector *d, const struct proctab *pt, const struct event *ev,
	      const struct proctab_change *ch);
int track_close(struct detector *d, const struct proctab *pt, const struct event *ev,
		const struct proctab_change *ch);
int track_move(struct detector *d, const struct proctab *pt, const struct event *ev,
	       const struct proctab_change *ch);
int track_held(struct detector *d, const struct proctab *pt, const struct proctab_change *ch);
/* What was received unasked a second ago and not followed by a FIN was a message after all. */
int track_settle_pending(struct detector *d, const struct proctab *pt, int64_t now_ns);

/* --- passed.c --- */
/*
 * It has been quiet for a while, so it had said what it had to say: the least that one had sent then
 * is the sign-on.
 */
void passed_note_quiet(struct cohort *co, const struct track *t);
/* Passed over at @exp_ns. The list is in order of that: of what happens now it is the end. */
void passed_add(struct detector *d, struct cohort *co, uint32_t slot, int64_t exp_ns);
void passed_remove(struct detector *d, struct cohort *co, uint32_t slot);
/* Puts it among the waiting, unless it is there already or belongs elsewhere. 0 or -ENOMEM. */
int passed_wait(struct detector *d, struct cohort *co, uint32_t slot);
/*
 * An open at @opened_ns, told at @now_ns, passes over all that had lain idle for tmin. Returns 0 or
 * -ENOMEM.
 */
int passed_by_open(struct detector *d, struct cohort *co, int64_t opened_ns, int64_t now_ns);

/* --- ghost.c --- */
/* Is it abandoned at this moment, between two looks at its cohort? */
bool ghost_is_due(const struct detector *d, const struct cohort *co, const struct track *t,
		  int64_t now_ns);
/* A connection of @co leaves: keeps what is to go on counting. Returns 0 or -ENOMEM. */
int ghost_note_close(struct detector *d, struct cohort *co, uint32_t slot, const struct conn *c,
		     const struct event *ev);
/* Drops those that have counted for long enough. */
void ghost_expire(struct cohort *co, int64_t now_ns);

/* --- rungs.c --- */
/* Looks at the cohorts whose time has come; lists their usages for judging. */
int rungs_tick(struct detector *d, const struct proctab *pt, int64_t now_ns);

/* --- service.c --- */
void habit_init(struct habit *h);
void habit_note(struct habit *h, int64_t now_ns, int64_t absence_ns);
int64_t habit_longest(const struct habit *h, int64_t now_ns);
void habit_teach(struct habit *h, const struct habit *from, int64_t now_ns);
/* @origin_ns: added to all lengths, so that what is short weighs little. */
struct tail habit_tail(const struct habit *h, int64_t origin_ns, int64_t now_ns);
/* The service of a usage, made if need be; SLOT_NONE without memory or room. */
uint32_t service_get(struct detector *d, const struct holder *h, const struct endpoint *ep,
		     int64_t now_ns);
void service_join(struct detector *d, uint32_t usage, int64_t now_ns);
/* The holder ended: its own rungs are carried over. */
void service_leave(struct detector *d, uint32_t usage, int64_t now_ns);
/* An own rung that was carried over from an ended process lives on in another one. */
void service_uncarry(struct detector *d, const struct proctab *pt, uint32_t usage, int64_t now_ns);
void service_inherit(struct detector *d, const struct ustate *u, struct cohort *co, int64_t now_ns);
void service_note_return(struct detector *d, const struct ustate *u, const struct cohort *co,
			 int64_t now_ns, const struct comeback *c);
static inline uint64_t lag_of_first(const struct cohort *co)
{
	return co->closes_ret.lag + co->first_uses.lag + co->n_first_inh;
}
double service_carry(const struct service *s, int64_t now_ns);

/* --- judge.c --- */
int judge_list(struct detector *d, uint32_t usage);
int judge_tick(struct detector *d, const struct proctab *pt, int64_t now_ns);
/* Makes an alert that fires now. Returns its slot or SLOT_NONE. */
uint32_t alert_fire(struct detector *d, enum finding_kind kind, enum rule rule, int64_t now_ns);
/* Forgets what had resolved before this tick. */
void alert_sweep(struct detector *d, int64_t now_ns);
void alert_resolve(struct alert *a, enum resolved_because why, int64_t now_ns);
/*
 * Rungs that the canary's rule asks for over a span: 5 over two minutes, one more for each 20 s less,
 * 8 over one minute; over less than that none are enough.
 */
static inline uint32_t canary_k(int64_t span_ns)
{
	int64_t less_ns = CANARY_SPAN_NS - span_ns;

	if (span_ns < SHORT_SPAN_NS)
		return UINT32_MAX;
	return less_ns <= 0
		       ? CANARY_K
		       : CANARY_K + (uint32_t)((less_ns + CANARY_STEP_NS - 1) / CANARY_STEP_NS);
}

static inline bool alert_is_firing(const struct detector *d, uint32_t alert)
{
	return alert != SLOT_NONE && alert_at(d, alert)->status == FINDING_FIRING;
}

/* --- budget.c --- */
int budget_tick(struct detector *d, const struct proctab *pt, int64_t now_ns);
/*
 * Makes the peer's forecast over all holders' abandoned connections that cost it a slot, at the
 * present rate, once a tick; NAN where not known. Returns 0 or -ENOMEM.
 */
int budget_forecast(struct detector *d, const struct proctab *pt, uint32_t peer, int64_t now_ns);
/* Slots that abandoned connections cost a peer. */
struct lost_slots {
	/* [m] when each was last used: ascending, at least in what forecast_compute() reads */
	int64_t *t_ns;
	size_t m, cap;
	uint32_t sum_k; /* rungs behind them */
	int64_t tx_ns;	/* largest Tx */
};
/* docs/detector.md section 6. @left: slots, INT64_MAX where not known. */
void forecast_compute(const struct lost_slots *l, int64_t now_ns, int64_t left,
		      struct forecast *ret);

/* --- usage_view.c --- */
/* What a usage's state word rests on. */
struct usage_facts {
	bool is_leak, is_fd_leak; /* such a finding fires */
	bool is_blind;		  /* opens were refused by a full table */
	bool has_resolved;	  /* a finding, lately */
	uint32_t k;
	uint32_t abandoned;
	uint64_t opened, closed, open;
	uint64_t returns;      /* used again, or closed by the application */
	int64_t since_open_ns; /* since the last open; INT64_MAX: none seen */
	uint32_t passed_over;  /* as in struct usage_view */
};
enum usage_state usage_state_of(const struct usage_facts *f);

/* --- evidence.c --- */
struct leak_rate {
	uint32_t m;
	double per_min, low, high; /* NAN: m < 2 */
};
void evidence_rate(const struct detector *d, uint32_t usage, int64_t now_ns, struct leak_rate *ret);
/* The usage's abandoned connection that was opened first, or SLOT_NONE. */
uint32_t evidence_oldest(const struct detector *d, const struct proctab *pt, uint32_t usage);

/* --- evidence_site.c --- */
/* The finding's call sites, and where it comes from in its reason. Returns 0 or -ENOMEM. */
int evidence_sites(const struct detector *d, const struct proctab *pt, const struct alert *a,
		   struct finding *f);

/* --- evidence.c --- */
/* detector_finding() of one alert. Returns 0 or -ENOMEM. */
int evidence_make(const struct detector *d, const struct proctab *pt, const struct alert *a,
		  struct finding *ret);

/*
 * Has it sent more than the least that one of its kind sent before it lay idle? A connection that
 * a pool keeps in stock has only signed on.
 */
static inline bool track_has_worked(const struct track *t, const struct cohort *co)
{
	return co->sign_on == UINT64_MAX || t->tx > co->sign_on + SIGN_ON_SLACK;
}

/* Is this connection of A: passed over, and for longer than this code ever stayed away? */
static inline bool track_is_abandoned(const struct track *t, const struct cohort *co,
				      int64_t now_ns)
{
	return t->exp_ns != T_NEVER && now_ns - t->exp_ns >= co->tx_ns;
}

/* Has this followed connection lain in the client's turn for long enough to be called idle? */
static inline bool track_is_idle(const struct detector *d, uint32_t slot)
{
	const struct track *t = &d->tracks[slot];

	return t->is_client && d->now_ns - t->use_end_ns >= d->p.tmin_ns;
}

#endif
