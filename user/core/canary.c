/* SPDX-License-Identifier: Apache-2.0 */
#include "canary.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "idmap.h"
#include "stats.h"
#include "text.h"

#define MIN_EXCHANGES	20
#define BLIND_S		30.0  /* of each window: the rule's own ages and counts */
#define NAMED_LEAKS	20.0  /* expected leaks that end in `leak` with 99 % (docs/detector.md 7) */
#define WARM_UP_FROM_S	600.0 /* from here on the first third may be left out */
#define NAMED_AT	0.99  /* what the 20 are good for */
#define PROGRESS_NEEDED 5
#define SLACK_NS	(2 * NS_PER_S) /* the last tick may come a little before the end */

/* What one holder of the target did in the window; kept when the process table forgot it. */
struct watched {
	uint64_t holder_id;
	struct counts base, now;
	uint64_t base_exchanges, exchanges;
	uint32_t left_idle; /* as of the last tick that it lived */
	bool has_ended;
};

/* A leak once named stays named, whatever becomes of the process. */
struct named {
	uint32_t abandoned; /* the most there were */
	double rate_per_min;
	uint64_t holder_id; /* of then */
	uint32_t usage;
	uint32_t n_findings;
	char findings[16][17];
};

struct canary {
	struct canary_params p;
	int64_t now_ns; /* of the last tick; T_NEVER */
	bool has_begun;
	uint64_t base_lost, lost;
	struct watched *holders;
	uint32_t n_holders, cap_holders;
	struct idmap ids; /* of holders, to their place */
	bool is_out_of_memory;
	int64_t longest_idle_ns;
	struct named named;
	struct canary_progress progress;
};

struct canary *canary_new(const struct canary_params *p)
{
	struct canary *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->p = *p;
	c->now_ns = T_NEVER;
	return c;
}

void canary_free(struct canary *c)
{
	if (!c)
		return;
	idmap_release(&c->ids);
	free(c->holders);
	free(c);
}

const char *verdict_name(enum verdict_kind k)
{
	static const char *const names[] = {"pass", "leak", "inconclusive"};

	return (unsigned)k < 3 ? names[k] : "unknown";
}

/* --- each tick --- */

static struct watched *find_watched(struct canary *c, uint64_t holder_id)
{
	uint32_t pos, i = idmap_first(&c->ids, idmap_hash(holder_id), &pos);

	while (i != IDMAP_NONE && c->holders[i].holder_id != holder_id)
		i = idmap_next(&c->ids, idmap_hash(holder_id), &pos);
	return i == IDMAP_NONE ? NULL : &c->holders[i];
}

static struct watched *add_watched(struct canary *c, uint64_t holder_id)
{
	if (c->n_holders == c->cap_holders) {
		uint32_t cap = c->cap_holders ? 2 * c->cap_holders : 8;
		struct watched *v = reallocarray(c->holders, cap, sizeof(*v));

		if (!v)
			return NULL;
		c->holders = v;
		c->cap_holders = cap;
	}
	if (idmap_put(&c->ids, idmap_hash(holder_id), c->n_holders))
		return NULL;
	c->holders[c->n_holders] = (struct watched){.holder_id = holder_id};
	return &c->holders[c->n_holders++];
}

/* Was it at work before the window? Then what it did until now is not of the window. */
static bool was_there_before(const struct canary *c, const struct proctab *pt,
			     const struct holder *h)
{
	for (uint32_t i = h->first_usage; i != SLOT_NONE;
	     i = proctab_usage(pt, i)->next_of_holder) {
		const struct usage *u = proctab_usage(pt, i);

		if (u->first_open_ns != T_NEVER && u->first_open_ns < c->p.start_ns)
			return true;
	}
	return false;
}

static bool is_target(const struct canary *c, const struct proctab *pt, uint32_t usage)
{
	const struct usage *u = proctab_usage(pt, usage);

	return !c->p.is_target ||
	       c->p.is_target(proctab_holder(pt, u->holder), proctab_peer(pt, u->peer), c->p.arg);
}

static void add_counts(struct counts *sum, const struct counts *n)
{
	sum->opened += n->opened;
	sum->closed += n->closed;
	sum->adopted += n->adopted;
	sum->failed += n->failed;
	sum->rejected += n->rejected;
	sum->open += n->open;
	sum->fd_only += n->fd_only;
}

static void name_leak(struct canary *c, const struct proctab *pt, const struct detector *d,
		      uint32_t usage, const struct usage_view *v)
{
	struct named *n = &c->named;
	struct finding f;
	uint32_t i;

	if (v->abandoned >= n->abandoned) {
		n->abandoned = v->abandoned;
		n->rate_per_min = v->rate_per_min;
		n->usage = usage;
		n->holder_id = proctab_holder(pt, proctab_usage(pt, usage)->holder)->id;
	}
	if (detector_finding(d, pt, detector_find(d, usage), &f)) {
		c->is_out_of_memory = true;
		return;
	}
	for (i = 0; i < n->n_findings && strcmp(n->findings[i], f.id); i++)
		;
	if (i == n->n_findings && i < 16)
		memcpy(n->findings[n->n_findings++], f.id, sizeof(f.id));
	finding_release(&f);
}

static void watch_usages(struct canary *c, const struct proctab *pt, const struct detector *d,
			 const struct holder *h, struct watched *w)
{
	struct canary_progress *p = &c->progress;
	uint32_t left_idle = 0;

	w->exchanges = 0;
	w->now = (struct counts){0};
	for (uint32_t i = h->first_usage; i != SLOT_NONE;
	     i = proctab_usage(pt, i)->next_of_holder) {
		struct usage_view v;

		if (!is_target(c, pt, i))
			continue;
		detector_usage(d, pt, i, &v);
		left_idle += detector_left_idle(d, pt, i, c->p.start_ns);
		add_counts(&w->now, &proctab_usage(pt, i)->counts);
		w->exchanges += v.exchanges;
		if (v.longest_idle_ns > c->longest_idle_ns)
			c->longest_idle_ns = v.longest_idle_ns;
		if (v.k_own > p->k)
			p->k = v.k_own;
		if (detector_find(d, i) != SLOT_NONE) {
			p->is_leak = true;
			name_leak(c, pt, d, i, &v);
		}
	}
	/* Its end closes everything: what it had left behind until then is what counts. */
	w->has_ended = h->exit_ns != T_NEVER;
	if (!w->has_ended)
		w->left_idle = left_idle;
}

static bool has_target(const struct canary *c, const struct proctab *pt, const struct holder *h)
{
	for (uint32_t i = h->first_usage; i != SLOT_NONE; i = proctab_usage(pt, i)->next_of_holder)
		if (is_target(c, pt, i))
			return true;
	return false;
}

static void watch_holder(struct canary *c, const struct proctab *pt, const struct detector *d,
			 const struct holder *h)
{
	struct watched *w;
	bool is_old;

	if (!has_target(c, pt, h))
		return;
	w = find_watched(c, h->id);
	if (w) {
		watch_usages(c, pt, d, h, w);
		return;
	}
	w = add_watched(c, h->id);
	if (!w) {
		c->is_out_of_memory = true;
		return;
	}
	is_old = was_there_before(c, pt, h);
	watch_usages(c, pt, d, h, w);
	if (!is_old)
		return;
	w->base = w->now;
	/* Adopted ones are part of what was watched, whenever they were found. */
	w->base.adopted = 0;
	w->base_exchanges = w->exchanges;
}

static uint64_t less(uint64_t now, uint64_t base)
{
	return now > base ? now - base : 0;
}

static double seconds(int64_t ns)
{
	return (double)ns / NS_PER_S;
}

static void sum_progress(struct canary *c)
{
	struct canary_progress *p = &c->progress;

	p->watched_s = seconds(c->now_ns - c->p.start_ns);
	p->window_s = seconds(c->p.window_ns);
	p->holders = c->n_holders;
	p->k_needed = PROGRESS_NEEDED;
	for (uint32_t i = 0; i < c->n_holders; i++) {
		const struct watched *w = &c->holders[i];

		p->opened += less(w->now.opened, w->base.opened);
		p->closed += less(w->now.closed, w->base.closed);
		p->open += w->now.open;
		p->exchanges += less(w->exchanges, w->base_exchanges);
	}
}

/* Whoever is no longer in the table holds nothing. */
static void settle_gone(struct canary *c, const struct proctab *pt)
{
	for (uint32_t i = 0; i < c->n_holders; i++)
		if (proctab_find_holder(pt, c->holders[i].holder_id) == SLOT_NONE) {
			c->holders[i].now.open = 0;
			c->holders[i].has_ended = true;
		}
}

void canary_tick(struct canary *c, const struct proctab *pt, const struct detector *d,
		 int64_t now_ns)
{
	if (now_ns < c->p.start_ns)
		return;
	if (!c->has_begun) {
		c->has_begun = true;
		c->base_lost = proctab_lost(pt) + detector_lost(d);
	}
	c->now_ns = now_ns;
	c->lost = proctab_lost(pt) + detector_lost(d) - c->base_lost;
	c->progress = (struct canary_progress){0};
	for (uint32_t i = 0; i < proctab_n_holders(pt); i++) {
		const struct holder *h = proctab_holder(pt, i);

		if (h)
			watch_holder(c, pt, d, h);
	}
	settle_gone(c, pt);
	sum_progress(c);
}

void canary_get_progress(const struct canary *c, struct canary_progress *ret)
{
	*ret = c->progress;
	ret->window_s = seconds(c->p.window_ns);
	ret->k_needed = PROGRESS_NEEDED;
}

/* --- the verdict --- */

static void sum_counts(const struct canary *c, struct verdict *v)
{
	for (uint32_t i = 0; i < c->n_holders; i++) {
		const struct watched *w = &c->holders[i];

		v->opened += less(w->now.opened, w->base.opened);
		v->closed += less(w->now.closed, w->base.closed);
		v->adopted += less(w->now.adopted, w->base.adopted);
		v->failed += less(w->now.failed, w->base.failed);
		v->rejected += less(w->now.rejected, w->base.rejected);
		v->open += w->now.open;
		v->exchanges += less(w->exchanges, w->base_exchanges);
		v->left_idle += w->left_idle;
	}
}

struct worst {
	struct verdict *verdict; /* being made */
	struct usage_view view;
	bool is_leak;
	uint32_t m_late; /* left idle in the last two thirds */
};

static bool is_worse(const struct usage_view *a, bool a_leaks, const struct worst *b)
{
	if (a_leaks != b->is_leak)
		return a_leaks;
	if (a->k_own != b->view.k_own)
		return a->k_own > b->view.k_own;
	return a->passed_over > b->view.passed_over;
}

static void judge_holder(const struct canary *c, const struct proctab *pt, const struct detector *d,
			 const struct holder *h, struct worst *worst)
{
	struct verdict *v = worst->verdict;
	int64_t late_ns = c->p.start_ns + (c->now_ns - c->p.start_ns) / 3;

	for (uint32_t i = h->first_usage; i != SLOT_NONE;
	     i = proctab_usage(pt, i)->next_of_holder) {
		bool is_leak = detector_find(d, i) != SLOT_NONE;
		struct usage_view view;

		if (!is_target(c, pt, i))
			continue;
		detector_usage(d, pt, i, &view);
		v->idle += view.idle;
		if (h->exit_ns == T_NEVER)
			worst->m_late += detector_left_idle(d, pt, i, late_ns);
		if (v->usage == SLOT_NONE || is_worse(&view, is_leak, worst)) {
			v->usage = i;
			worst->view = view;
			worst->is_leak = is_leak;
		}
	}
}

/* The lowest leak, per minute, that would not have passed; INFINITY: the window is too short. */
static double bound(uint64_t m, double window_s, double confidence)
{
	if (window_s <= BLIND_S)
		return INFINITY;
	return stats_poisson_upper((uint32_t)m + 1, confidence) * 60 / (window_s - BLIND_S);
}

static void set_power(struct verdict *v, uint64_t m, double window_s)
{
	double asked = v->detect_per_min;

	v->detectable_leak_per_min = bound(m, window_s, v->confidence);
	if (isinf(v->detectable_leak_per_min))
		v->detectable_leak_per_min = NAN;
	v->named_leak_per_min = window_s > BLIND_S && fabs(v->confidence - NAMED_AT) < 1e-9
					? NAMED_LEAKS * 60 / (window_s - BLIND_S)
					: (double)NAN;
	v->needed_window_s =
		BLIND_S + 60 * stats_poisson_upper((uint32_t)m + 1, v->confidence) / asked;
}

static void explain_power(struct verdict *v, uint64_t m)
{
	if (v->kind == VERDICT_LEAK)
		snprintf(v->why, sizeof(v->why),
			 "the power of the whole window, had nothing been left idle");
	else
		snprintf(v->why, sizeof(v->why),
			 "%llu connections were left idle and passed over, one more may not have "
			 "been passed over yet, and the first %.0f s of a window show nothing",
			 (unsigned long long)m, BLIND_S);
}

static void say(struct verdict *v, enum verdict_kind kind, const char *reason)
{
	v->kind = kind;
	snprintf(v->reason, sizeof(v->reason), "%s", reason);
}

static bool refuse(const struct canary *c, enum canary_end why, struct verdict *v)
{
	char n[TEXT_DURATION_LEN], t[TEXT_DURATION_LEN];

	v->kind = VERDICT_INCONCLUSIVE;
	if (!v->holders) {
		say(v, VERDICT_INCONCLUSIVE,
		    "no connection of the target was seen, so nothing is known about it");
		v->needed_window_s = NAN;
	} else if (why == CANARY_END_TARGET_GONE) {
		snprintf(v->reason, sizeof(v->reason),
			 "the watched process ended after %s, before the watch was over",
			 text_duration(c->now_ns - c->p.start_ns, t));
	} else if (v->lost_events) {
		snprintf(v->reason, sizeof(v->reason),
			 "%s events were lost, so connections may have been missed",
			 text_count(v->lost_events, n));
	} else if (c->is_out_of_memory) {
		say(v, VERDICT_INCONCLUSIVE, "there was no memory to follow all of the target");
	} else if (!v->exchanges) {
		say(v, VERDICT_INCONCLUSIVE, "there was no traffic, and no data never passes");
		v->needed_window_s = NAN;
	} else if (v->exchanges < MIN_EXCHANGES) {
		snprintf(v->reason, sizeof(v->reason),
			 "only %s exchanges with the server were seen, and it takes %d to tell",
			 text_count(v->exchanges, n), MIN_EXCHANGES);
	} else {
		return false;
	}
	return true;
}

static void say_pass(struct verdict *v)
{
	char opened[TEXT_DURATION_LEN], closed[TEXT_DURATION_LEN], rate[TEXT_DURATION_LEN];

	v->kind = VERDICT_PASS;
	text_rate(v->detectable_leak_per_min, rate);
	if (!v->opened)
		snprintf(
			v->reason, sizeof(v->reason),
			"nothing was opened: the %s connections there were served the traffic, and "
			"a leak of %s/min or more would not have passed",
			text_count(v->open, opened), rate);
	else
		snprintf(v->reason, sizeof(v->reason),
			 "%s opened, %s closed, %llu left idle: a leak of %s/min or more would not "
			 "have passed",
			 text_count(v->opened, opened), text_count(v->closed, closed),
			 (unsigned long long)v->left_idle, rate);
}

static void say_too_short(struct verdict *v)
{
	char watched[TEXT_DURATION_LEN], rate[TEXT_DURATION_LEN], asked[TEXT_DURATION_LEN],
		needed[TEXT_DURATION_LEN];

	v->kind = VERDICT_INCONCLUSIVE;
	text_about(v->watched_s, watched);
	text_rate(v->detect_per_min, asked);
	text_about(v->needed_window_s, needed);
	if (isnan(v->detectable_leak_per_min))
		snprintf(v->reason, sizeof(v->reason),
			 "%s rule out no leak at all: watch for %s to rule out %s/min", watched,
			 needed, asked);
	else if (v->left_idle)
		snprintf(v->reason, sizeof(v->reason),
			 "%llu connections look left behind: %s rule out a leak of %s/min, not the "
			 "%s/min asked for: watch for %s",
			 (unsigned long long)v->left_idle, watched,
			 text_rate(v->detectable_leak_per_min, rate), asked, needed);
	else
		snprintf(v->reason, sizeof(v->reason),
			 "%s rule out a leak of %s/min, not the %s/min asked for: watch for %s",
			 watched, text_rate(v->detectable_leak_per_min, rate), asked, needed);
}

/* The bound with, and from ten minutes on also without, the first third: warming up. */
static void decide(struct verdict *v, uint64_t m_late)
{
	double late_s = v->watched_s * 2 / 3;

	set_power(v, v->left_idle, v->watched_s);
	explain_power(v, v->left_idle);
	if (v->watched_s >= WARM_UP_FROM_S &&
	    bound(m_late, late_s, v->confidence) < v->detectable_leak_per_min) {
		v->detectable_leak_per_min = bound(m_late, late_s, v->confidence);
		snprintf(v->why, sizeof(v->why),
			 "%llu connections were left idle and passed over in the last two thirds; "
			 "the first third is warming up",
			 (unsigned long long)m_late);
	}
	/* What was asked for must not fail by a rounding. */
	if (v->detectable_leak_per_min <= v->detect_per_min * (1 + 1e-9))
		say_pass(v);
	else
		say_too_short(v);
}

static void say_leak(struct verdict *v, const struct named *named, const struct worst *worst)
{
	bool is_now = worst->is_leak && worst->view.abandoned;
	uint32_t n = is_now ? worst->view.abandoned : named->abandoned;
	double per_min = is_now ? worst->view.rate_per_min : named->rate_per_min;
	char rate[TEXT_DURATION_LEN], how[64] = "";

	v->kind = VERDICT_LEAK;
	v->n_findings = named->n_findings;
	memcpy(v->findings, named->findings, sizeof(v->findings));
	if (!isnan(per_min))
		snprintf(how, sizeof(how), ": %s/min leaking", text_rate(per_min, rate));
	if (is_now)
		snprintf(v->reason, sizeof(v->reason),
			 "%u connections are left idle and none of them came back%s", n, how);
	else
		snprintf(v->reason, sizeof(v->reason),
			 "up to %u connections were left idle at a time%s", n, how);
}

/* Where the leak was, if that process still is in the table. */
static uint32_t named_usage(const struct named *n, const struct proctab *pt)
{
	const struct usage *u = proctab_usage(pt, n->usage);
	const struct holder *h = u ? proctab_holder(pt, u->holder) : NULL;

	return h && h->id == n->holder_id ? n->usage : SLOT_NONE;
}

void canary_verdict(const struct canary *c, const struct proctab *pt, const struct detector *d,
		    enum canary_end why, struct verdict *ret)
{
	struct worst worst = {.verdict = ret};

	*ret = (struct verdict){
		.time_ns = c->now_ns,
		.window_s = seconds(c->p.window_ns),
		.watched_s = c->now_ns == T_NEVER ? 0 : seconds(c->now_ns - c->p.start_ns),
		.holders = c->n_holders,
		.longest_idle_ns = c->longest_idle_ns ? c->longest_idle_ns : T_NEVER,
		.confidence = c->p.confidence,
		.detect_per_min = c->p.detect_per_min,
		.lost_events = c->lost,
		.usage = SLOT_NONE,
	};
	sum_counts(c, ret);
	for (uint32_t i = 0; c->n_holders && i < proctab_n_holders(pt); i++) {
		const struct holder *h = proctab_holder(pt, i);

		if (h && has_target(c, pt, h))
			judge_holder(c, pt, d, h, &worst);
	}
	for (uint32_t i = 0; i < c->n_holders; i++)
		if (c->holders[i].has_ended)
			worst.m_late += c->holders[i].left_idle;
	if (c->named.n_findings) {
		if (!worst.is_leak)
			ret->usage = named_usage(&c->named, pt);
		say_leak(ret, &c->named, &worst);
		set_power(ret, 0, ret->window_s);
		explain_power(ret, 0);
		return;
	}
	set_power(ret, ret->left_idle, ret->watched_s);
	explain_power(ret, ret->left_idle);
	if (refuse(c, why, ret))
		return;
	/* Never early of itself: a window cut short by nobody has not been watched. */
	if (why == CANARY_END_TIME && c->p.window_ns - (c->now_ns - c->p.start_ns) > SLACK_NS) {
		say_too_short(ret);
		return;
	}
	decide(ret, worst.m_late);
}
