/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary_verdict.c - what a watch amounts to (docs/detector.md section 7)
 */
#include "canary_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "power.h"
#include "text.h"

#define SLACK_NS	 (2 * NS_PER_S) /* the last tick may come a little before the end */
#define ROUNDING	 (1 + 1e-9)	/* what was asked for must not fail by a rounding */
#define WORSE_FROM_RUNGS 3
#define START_NS	 (60 * NS_PER_S)  /* after a process's start: "right after" */
#define FILLED_NS	 (300 * NS_PER_S) /* a pool that fills may take so long */

static double seconds(int64_t ns)
{
	return (double)ns / NS_PER_S;
}

/* --- the target now --- */

struct worst {
	struct verdict *verdict; /* being made */
	struct usage_view view;
	bool is_leak;
	uint64_t left_late; /* left idle in the last two thirds */
};

static bool is_worse(const struct usage_view *a, bool a_leaks, const struct worst *b)
{
	if (a_leaks != b->is_leak)
		return a_leaks;
	if (a->k_own != b->view.k_own)
		return a->k_own > b->view.k_own;
	return a->passed_over > b->view.passed_over;
}

static int64_t late_from_ns(const struct canary *c)
{
	return c->p.start_ns + (c->now_ns - c->p.start_ns) / 3;
}

static void look_at_holder(const struct canary *c, const struct proctab *pt,
			   const struct detector *d, const struct holder *h, struct worst *worst)
{
	struct verdict *v = worst->verdict;

	for (uint32_t i = h->first_usage; i != SLOT_NONE;
	     i = proctab_usage(pt, i)->next_of_holder) {
		struct usage_view view;
		bool is_leak;

		if (canary_role(c, pt, i) != ROLE_TARGET)
			continue;
		detector_usage(d, pt, i, &view);
		is_leak = canary_counts_finding(c, d, i, &view);
		v->idle += view.idle;
		if (h->exit_ns == T_NEVER)
			worst->left_late += detector_left_idle(d, pt, i, late_from_ns(c));
		if (v->usage == SLOT_NONE || is_worse(&view, is_leak, worst)) {
			v->usage = i;
			worst->view = view;
			worst->is_leak = is_leak;
		}
	}
}

static void look_at_target(const struct canary *c, const struct proctab *pt,
			   const struct detector *d, struct worst *worst)
{
	for (uint32_t i = 0; c->target.n && i < proctab_n_holders(pt); i++) {
		const struct holder *h = proctab_holder(pt, i);

		if (h)
			look_at_holder(c, pt, d, h, worst);
	}
	/* When those of an ended process were used last is not known any more. */
	for (uint32_t i = 0; i < c->target.n; i++)
		if (c->target.holders[i].has_ended)
			worst->left_late += c->target.holders[i].left_idle;
}

/* --- services --- */

struct look {
	const struct canary *c;
	const struct proctab *pt;
	const struct detector *d;
};

typedef bool (*watched_test)(const struct look *l, const struct watched *w);

static bool is_living(const struct look *l, const struct watched *w)
{
	(void)l;
	return !w->has_ended;
}

static bool has_unseen(const struct look *l, const struct watched *w)
{
	(void)l;
	return w->has_unseen;
}

static bool has_unseen_late(const struct look *l, const struct watched *w)
{
	const struct holder *h = proctab_holder(l->pt, proctab_find_holder(l->pt, w->holder_id));

	if (!w->has_unseen || w->has_ended || !h)
		return w->has_unseen;
	for (uint32_t i = h->first_usage; i != SLOT_NONE;
	     i = proctab_usage(l->pt, i)->next_of_holder)
		if (canary_role(l->c, l->pt, i) == ROLE_TARGET &&
		    detector_has_unseen(l->d, l->pt, i, late_from_ns(l->c)))
			return true;
	return false;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * How many processes pass @test, of the service of which most do? A leak is in one place of one
 * service's code, and whoever watches a whole node watches many services. Without memory: of all.
 */
static uint32_t most_of_a_service(const struct look *l, watched_test test)
{
	const struct side *s = &l->c->target;
	uint64_t *services = reallocarray(NULL, s->n ? s->n : 1, sizeof(*services));
	uint32_t n = 0, most = 0, run = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		if (!test(l, &s->holders[i]))
			continue;
		if (services)
			services[n] = s->holders[i].service;
		n++;
	}
	if (!services)
		return n;
	qsort(services, n, sizeof(*services), by_value);
	for (uint32_t i = 0; i < n; i++) {
		run = i && services[i] == services[i - 1] ? run + 1 : 1;
		most = run > most ? run : most;
	}
	free(services);
	return most;
}

/* --- power --- */

static void set_bounds(struct verdict *v, const struct power_seen *seen)
{
	double detectable = power_detectable(seen, v->confidence);

	v->detectable_leak_per_min = isinf(detectable) ? (double)NAN : detectable;
	v->needed_window_s = power_needed(seen, v->detect_per_min, v->confidence);
}

static void set_named(const struct canary *c, struct verdict *v, uint32_t living)
{
	const struct power_rule rule = {
		.window_s = v->kind == VERDICT_LEAK ? v->window_s : v->watched_s,
		.habit_s = seconds(c->tx_ns),
		.longest_s = seconds(c->longest_absence_ns),
		.demand = c->tail_demand,
		.threads = v->threads,
		.processes = living,
	};

	v->named_leak_per_min = power_named(&rule, v->confidence);
}

/* Appends to a text that is cut where it is full. */
static void add(char *text, size_t size, const char *more)
{
	size_t n = strlen(text);

	snprintf(text + n, size - n, "%s", more);
}

/* What the second figure rests on. */
static void explain_named(const struct canary *c, struct verdict *v)
{
	char buf[160], habit[TEXT_DURATION_LEN];

	if (isnan(v->named_leak_per_min))
		snprintf(buf, sizeof(buf), "; no leak is sure to be named in this time");
	else if (v->threads)
		snprintf(buf, sizeof(buf), "; what is named rests on %u thread%s that open%s",
			 v->threads, v->threads == 1 ? "" : "s", v->threads == 1 ? "s" : "");
	else
		snprintf(buf, sizeof(buf), "; what is named rests on 8 threads that open, a guess");
	add(v->why, sizeof(v->why), buf);
	if (c->tail_demand > 0) {
		snprintf(buf, sizeof(buf), ", and connections here came back after up to %s",
			 text_duration(c->longest_absence_ns, habit));
		add(v->why, sizeof(v->why), buf);
	}
}

static void explain_power(const struct canary *c, struct verdict *v, bool is_late)
{
	char buf[160], quiet[TEXT_DURATION_LEN];

	if (v->kind == VERDICT_LEAK) {
		snprintf(v->why, sizeof(v->why),
			 "the power of the whole window, had nothing been left idle");
		return explain_named(c, v);
	}
	snprintf(v->why, sizeof(v->why), "%llu connection%s left idle and passed over%s",
		 (unsigned long long)v->left_idle, v->left_idle == 1 ? " was" : "s were",
		 is_late ? ", most of it while warming up" : "");
	if (v->unseen) {
		snprintf(buf, sizeof(buf), ", %u more may not have been passed over yet",
			 v->unseen);
		add(v->why, sizeof(v->why), buf);
	}
	if (v->quiet_s > 0) {
		snprintf(buf, sizeof(buf), ", %s had no traffic",
			 text_duration((int64_t)(v->quiet_s * 1e9), quiet));
		add(v->why, sizeof(v->why), buf);
	}
	snprintf(buf, sizeof(buf), ", and the last %.0f s of a watch show nothing", POWER_BLIND_S);
	add(v->why, sizeof(v->why), buf);
	explain_named(c, v);
}

/* --- inconclusive and pass --- */

static void say(struct verdict *v, enum verdict_kind kind, const char *reason)
{
	v->kind = kind;
	snprintf(v->reason, sizeof(v->reason), "%s", reason);
}

/* There is no answer, however long the watch was. */
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
	} else if (v->exchanges < CANARY_MIN_EXCHANGES) {
		snprintf(v->reason, sizeof(v->reason),
			 "only %s exchange%s with the server %s seen, and it takes %d to tell",
			 text_count(v->exchanges, n), v->exchanges == 1 ? "" : "s",
			 v->exchanges == 1 ? "was" : "were", CANARY_MIN_EXCHANGES);
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
	char watched[64], span[TEXT_DURATION_LEN], rate[TEXT_DURATION_LEN],
		asked[TEXT_DURATION_LEN], needed[TEXT_DURATION_LEN], left[64] = "";

	v->kind = VERDICT_INCONCLUSIVE;
	text_about(v->watched_s, span);
	snprintf(watched, sizeof(watched), "%s", span);
	if (v->quiet_s > 0)
		snprintf(watched, sizeof(watched), "%s, of them %s with traffic,", span,
			 text_about(v->watched_s - v->quiet_s, rate));
	text_rate(v->detect_per_min, asked);
	text_about(v->needed_window_s, needed);
	if (isnan(v->detectable_leak_per_min)) {
		snprintf(v->reason, sizeof(v->reason),
			 "%s rule out no leak at all: watch for %s to rule out %s/min", watched,
			 needed, asked);
		return;
	}
	if (v->left_idle)
		snprintf(left, sizeof(left),
			 "%llu connection%s left behind: ", (unsigned long long)v->left_idle,
			 v->left_idle == 1 ? " looks" : "s look");
	snprintf(v->reason, sizeof(v->reason),
		 "%s%s rule out a leak of %s/min, not the %s/min asked for: watch for %s", left,
		 watched, text_rate(v->detectable_leak_per_min, rate), asked, needed);
}

static void judge(const struct canary *c, struct verdict *v, enum canary_end why)
{
	bool is_cut = c->p.window_ns - (c->now_ns - c->p.start_ns) > SLACK_NS;

	if (refuse(c, why, v))
		return;
	/* Never early of itself: a window cut short by nobody has not been watched. */
	if (!(why == CANARY_END_TIME && is_cut) &&
	    v->detectable_leak_per_min <= v->detect_per_min * ROUNDING)
		say_pass(v);
	else
		say_too_short(v);
}

/* --- leak --- */

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

/*
 * Could it be a pool that fills? All of it was opened right after the process's start, and nothing
 * was closed or came back after a pause. Evidence against a leak it is not: a leak from the first
 * request on looks the same.
 */
static void note_filling(struct verdict *v, const struct proctab *pt, const struct worst *worst)
{
	const struct usage *u = v->usage == SLOT_NONE ? NULL : proctab_usage(pt, v->usage);
	char span[TEXT_DURATION_LEN], more[160];
	int64_t started_ns;

	if (!u || !worst->is_leak || u->counts.closed || u->counts.adopted ||
	    u->first_open_ns == T_NEVER || worst->view.longest_idle_ns > NS_PER_S)
		return;
	started_ns = proctab_holder(pt, u->holder)->info.start_ns;
	if (u->first_open_ns < started_ns || u->first_open_ns - started_ns > START_NS ||
	    u->last_open_ns - started_ns > FILLED_NS)
		return;
	v->filled_s = seconds(u->last_open_ns - started_ns);
	snprintf(more, sizeof(more),
		 "; all %llu were opened within %s of the process's start, and until it stops a "
		 "pool that fills looks the same",
		 (unsigned long long)u->counts.opened,
		 text_duration(u->last_open_ns - started_ns, span));
	add(v->reason, sizeof(v->reason), more);
}

/* --- candidate and control --- */

static struct comparison_side side_of(const struct side *s)
{
	struct side_sum sum;

	canary_sum_side(s, &sum);
	return (struct comparison_side){
		.holders = s->n,
		.abandoned = sum.left_idle,
		.exchanges = sum.exchanges,
		.holder_min = s->alive_s / 60,
	};
}

static void say_worse(struct verdict *v, uint32_t rungs)
{
	const struct comparison *b = &v->baseline;
	char n[TEXT_DURATION_LEN], n0[TEXT_DURATION_LEN];

	v->kind = VERDICT_LEAK;
	snprintf(v->reason, sizeof(v->reason),
		 "worse than the control: %s connections left idle by the candidate, %s by the "
		 "control, which had %.2g times its traffic (p %.2g), and %u in a row were opened "
		 "past idle ones",
		 text_count(b->abandoned, n), text_count(b->control_abandoned, n0),
		 b->control_exposure / b->exposure, b->p, rungs);
}

/*
 * `worse` makes a leak of what is inconclusive where the target has rungs of its own as well: pools
 * vary more than the comparison knows. Where counts are estimates it makes nothing.
 */
static void compare(const struct canary *c, struct verdict *v, const struct worst *worst)
{
	struct comparison_side candidate = side_of(&c->target), control = side_of(&c->control);

	if (!c->p.is_control)
		return;
	v->control = c->p.control ? c->p.control : "the control";
	control.n_excluded = c->n_excluded;
	baseline_compare(&candidate, &control, &v->baseline);
	if (v->baseline.result == COMPARISON_WORSE && v->kind == VERDICT_INCONCLUSIVE &&
	    worst->view.k_own >= WORSE_FROM_RUNGS && !v->lost_events && !c->is_out_of_memory)
		say_worse(v, worst->view.k_own);
	else if (v->kind != VERDICT_PASS && baseline_control_leaks(&v->baseline))
		add(v->reason, sizeof(v->reason),
		    "; not new in this version: the control leaks as fast");
}

/* --- all of it --- */

static void init_verdict(const struct canary *c, const struct side_sum *sum, struct verdict *ret)
{
	*ret = (struct verdict){
		.kind = VERDICT_INCONCLUSIVE,
		.time_ns = c->now_ns,
		.window_s = seconds(c->p.window_ns),
		.watched_s = c->now_ns == T_NEVER ? 0 : seconds(c->now_ns - c->p.start_ns),
		.holders = c->target.n,
		.opened = sum->counts.opened,
		.closed = sum->counts.closed,
		.adopted = sum->counts.adopted,
		.failed = sum->counts.failed,
		.rejected = sum->counts.rejected,
		.open = sum->counts.open,
		.exchanges = sum->exchanges,
		.left_idle = sum->left_idle,
		.quiet_s = seconds(canary_quiet_ns(c)),
		.threads = canary_threads(c),
		.longest_idle_ns = c->longest_idle_ns ? c->longest_idle_ns : T_NEVER,
		.confidence = c->p.confidence,
		.detect_per_min = c->p.detect_per_min,
		.lost_events = c->lost,
		.usage = SLOT_NONE,
	};
}

void canary_verdict(const struct canary *c, const struct proctab *pt, const struct detector *d,
		    enum canary_end why, struct verdict *ret)
{
	const struct look look = {.c = c, .pt = pt, .d = d};
	struct worst worst = {.verdict = ret};
	struct power_seen seen;
	struct side_sum sum;
	bool is_late;

	canary_sum_side(&c->target, &sum);
	init_verdict(c, &sum, ret);
	look_at_target(c, pt, d, &worst);
	ret->unseen = most_of_a_service(&look, has_unseen);
	seen = (struct power_seen){.window_s = ret->watched_s,
				   .quiet_s = ret->quiet_s,
				   .left = ret->left_idle + ret->unseen,
				   .late = worst.left_late +
					   most_of_a_service(&look, has_unseen_late)};
	set_bounds(ret, &seen);
	is_late = seen.late < seen.left;
	if (c->named.n_findings) {
		if (!worst.is_leak)
			ret->usage = named_usage(&c->named, pt);
		say_leak(ret, &c->named, &worst);
		note_filling(ret, pt, &worst);
	} else {
		judge(c, ret, why);
	}
	compare(c, ret, &worst);
	if (ret->kind == VERDICT_LEAK)
		set_bounds(ret, &(struct power_seen){.window_s = ret->window_s});
	set_named(c, ret, most_of_a_service(&look, is_living));
	explain_power(c, ret, is_late);
}
