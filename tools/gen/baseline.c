/* SPDX-License-Identifier: Apache-2.0 */
#include "baseline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trend.h"

#define REARM_NS      (600 * NS_PER_S)
#define CANARY_NS     (300 * NS_PER_S) /* the team's */
#define RISE	      10
#define IDLE_SHORT_NS (60 * NS_PER_S)
#define IDLE_LONG_NS  (1800 * NS_PER_S)
#define TREND_Z	      5.5 /* see judge_trend() */
#define TREND_SLOPE   0.1 /* per minute */
#define NO_CLOSES_MIN 10  /* opened */
#define LOOK_NS	      (10 * NS_PER_S)

struct light {
	bool is_on;
	int64_t true_ns; /* when the condition held last */
};

/* The longest idle connection of a usage; found anew only when it may have changed. */
struct idle_watch {
	int64_t not_before_ns; /* nothing can have been idle for so long earlier */
};

/* What a rule is about: one usage, or one peer. */
struct subject {
	uint64_t holder;      /* id; 0: of a peer */
	struct endpoint peer; /* family 0: unused slot */
	struct trend trend;
	uint64_t opened, closed;	 /* totals at the last tick */
	uint32_t opened_now, closed_now; /* of a peer: since the last tick */
	struct idle_watch idle_short, idle_long;
	bool is_rising; /* Mann-Kendall's answer of the last full minute */
	struct light lights[BASELINE_MAX];
};

struct subjects {
	struct subject *v;
	uint32_t n;
};

struct baselines {
	struct subjects usages, peers; /* by proctab's slots */
	baseline_fn fn;
	void *arg;
	int64_t now_ns;
};

struct baselines *baselines_new(baseline_fn fn, void *arg)
{
	struct baselines *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->fn = fn;
	b->arg = arg;
	return b;
}

void baselines_free(struct baselines *b)
{
	if (!b)
		return;
	free(b->usages.v);
	free(b->peers.v);
	free(b);
}

const char *baseline_name(enum baseline_rule r)
{
	static const char *const names[] = {
		[BASELINE_STATIC_90] = "90 % of the limit",
		[BASELINE_OLD_RULE] = "the team's old rule",
		[BASELINE_STATIC_70] = "70 % of the limit",
		[BASELINE_RISE_PROCESS] = "+10 in 5 min, process",
		[BASELINE_RISE_SERVER] = "+10 in 5 min, server",
		[BASELINE_IDLE_60S] = "idle age >= 60 s",
		[BASELINE_IDLE_30MIN] = "idle age >= 30 min",
		[BASELINE_TREND_PROCESS] = "Mann-Kendall + Sen, process",
		[BASELINE_TREND_SERVER] = "Mann-Kendall + Sen, server",
		[BASELINE_LOW_WATER_PROCESS] = "low water up 4 x 5 min, process",
		[BASELINE_LOW_WATER_SERVER] = "low water up 4 x 5 min, server",
		[BASELINE_NO_CLOSES_PROCESS] = "opened >= 10, closed <= 10 %, process",
		[BASELINE_NO_CLOSES_SERVER] = "opened >= 10, closed <= 10 %, server",
	};

	return (unsigned)r < BASELINE_MAX ? names[r] : "unknown";
}

static int grow(struct subjects *s, uint32_t n)
{
	struct subject *v;

	if (n <= s->n)
		return 0;
	v = reallocarray(s->v, n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	memset(&v[s->n], 0, (n - s->n) * sizeof(*v));
	s->v = v;
	s->n = n;
	return 0;
}

static void tell(const struct baselines *b, const struct subject *s, enum baseline_rule rule,
		 bool is_on)
{
	struct baseline_alarm a = {.rule = rule,
				   .holder = s->holder,
				   .peer = s->peer,
				   .t_ns = b->now_ns,
				   .is_on = is_on};

	b->fn(&a, b->arg);
}

static void set(const struct baselines *b, struct subject *s, enum baseline_rule rule, bool holds)
{
	struct light *l = &s->lights[rule];

	if (holds)
		l->true_ns = b->now_ns;
	if (holds != l->is_on && (holds || b->now_ns - l->true_ns >= REARM_NS)) {
		l->is_on = holds;
		tell(b, s, rule, holds);
	}
}

/* Whoever is gone alarms no more. */
static void forget(const struct baselines *b, struct subject *s)
{
	for (int r = 0; s->peer.family && r < BASELINE_MAX; r++)
		if (s->lights[r].is_on)
			tell(b, s, r, false);
	memset(s, 0, sizeof(*s));
}

static void begin(struct subject *s, uint64_t holder, const struct endpoint *peer)
{
	memset(s, 0, sizeof(*s));
	s->holder = holder;
	s->peer = *peer;
	trend_init(&s->trend);
}

/*
 * Mann and Kendall's test takes its samples to be independent, and a level of one minute is not
 * independent of the last one's: at its textbook threshold of one in a thousand every other half
 * hour of a busy pool has a trend. What is used here was chosen as the quietest that still finds
 * about four leaks of five.
 */
static void judge_trend(const struct baselines *b, struct subject *s, bool is_server)
{
	uint32_t opened, closed;
	double z, slope;

	if (s->trend.is_minute_new)
		s->is_rising = trend_mann_kendall(&s->trend, &z, &slope) && z >= TREND_Z &&
			       slope >= TREND_SLOPE;
	trend_counts(&s->trend, &opened, &closed);
	set(b, s, is_server ? BASELINE_RISE_SERVER : BASELINE_RISE_PROCESS,
	    trend_rise(&s->trend) >= RISE);
	set(b, s, is_server ? BASELINE_TREND_SERVER : BASELINE_TREND_PROCESS, s->is_rising);
	set(b, s, is_server ? BASELINE_LOW_WATER_SERVER : BASELINE_LOW_WATER_PROCESS,
	    trend_low_water_rises(&s->trend));
	set(b, s, is_server ? BASELINE_NO_CLOSES_SERVER : BASELINE_NO_CLOSES_PROCESS,
	    opened >= NO_CLOSES_MIN && closed * 10 <= opened);
}

static int64_t oldest_idle_ns(const struct proctab *pt, const struct usage *u, int64_t now_ns)
{
	const struct conn *c;
	int64_t oldest = now_ns;

	for (uint32_t i = u->first_conn; i != SLOT_NONE; i = c->next) {
		c = proctab_conn(pt, i);
		if (conn_is_clients_turn(c) && conn_last_io_ns(c) < oldest)
			oldest = conn_last_io_ns(c);
	}
	return oldest;
}

/* What is oldest now bounds when to look again. */
static bool has_idle(struct idle_watch *w, const struct proctab *pt, const struct usage *u,
		     int64_t now_ns, int64_t age_ns)
{
	int64_t due_ns;

	if (now_ns < w->not_before_ns)
		return false;
	due_ns = oldest_idle_ns(pt, u, now_ns) + age_ns;
	if (due_ns <= now_ns)
		return true;
	/* But what was idle before may come in: adopted, or by its server's end. */
	w->not_before_ns = due_ns < now_ns + LOOK_NS ? due_ns : now_ns + LOOK_NS;
	return false;
}

static void judge_idle(const struct baselines *b, struct subject *s, const struct proctab *pt,
		       const struct usage *u)
{
	set(b, s, BASELINE_IDLE_60S, has_idle(&s->idle_short, pt, u, b->now_ns, IDLE_SHORT_NS));
	set(b, s, BASELINE_IDLE_30MIN, has_idle(&s->idle_long, pt, u, b->now_ns, IDLE_LONG_NS));
}

static void look_at_usage(struct baselines *b, const struct proctab *pt, uint32_t slot)
{
	const struct usage *u = proctab_usage(pt, slot);
	struct subject *s = &b->usages.v[slot], *peer;
	const struct endpoint *ep;
	uint64_t id, opened, closed;

	if (!u) {
		forget(b, s);
		return;
	}
	id = proctab_holder(pt, u->holder)->id;
	ep = &proctab_peer(pt, u->peer)->endpoint;
	if (s->holder != id || !endpoint_equal(&s->peer, ep)) {
		forget(b, s);
		begin(s, id, ep);
	}
	opened = u->counts.opened - s->opened;
	closed = u->counts.closed - s->closed;
	s->opened = u->counts.opened;
	s->closed = u->counts.closed;
	trend_sample(&s->trend, b->now_ns, (uint32_t)u->counts.open, (uint32_t)opened,
		     (uint32_t)closed);
	judge_trend(b, s, false);
	judge_idle(b, s, pt, u);
	peer = &b->peers.v[u->peer];
	peer->opened_now += (uint32_t)opened;
	peer->closed_now += (uint32_t)closed;
}

static void look_at_peer(struct baselines *b, const struct proctab *pt, uint32_t slot)
{
	const struct peer *p = proctab_peer(pt, slot);
	struct subject *s = &b->peers.v[slot];
	bool is_high;

	if (!p) {
		forget(b, s);
		return;
	}
	if (!endpoint_equal(&s->peer, &p->endpoint)) {
		uint32_t opened = s->opened_now, closed = s->closed_now;

		forget(b, s);
		begin(s, 0, &p->endpoint);
		s->opened_now = opened;
		s->closed_now = closed;
	}
	trend_sample(&s->trend, b->now_ns, p->open, s->opened_now, s->closed_now);
	s->opened_now = s->closed_now = 0;
	judge_trend(b, s, true);
	is_high = p->limit && peer_used(p) * 10 >= (int64_t)p->limit * 9;
	set(b, s, BASELINE_STATIC_90, is_high);
	set(b, s, BASELINE_OLD_RULE, is_high && b->now_ns - s->trend.first_ns >= CANARY_NS);
	set(b, s, BASELINE_STATIC_70, p->limit && peer_used(p) * 10 >= (int64_t)p->limit * 7);
}

int baselines_tick(struct baselines *b, const struct proctab *pt, int64_t now_ns)
{
	if (grow(&b->usages, proctab_n_usages(pt)) || grow(&b->peers, proctab_n_peers(pt)))
		return -ENOMEM;
	b->now_ns = now_ns;
	for (uint32_t i = 0; i < b->usages.n; i++)
		look_at_usage(b, pt, i);
	for (uint32_t i = 0; i < b->peers.n; i++)
		look_at_peer(b, pt, i);
	return 0;
}
