/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/core/engine.h"

#define MAX_TOLD      512 /* alarms of a run that are kept; what comes later is only counted */
#define LOOK_TICKS    60  /* findings are read when their number changes, and so often */
#define FULL_TICKS    10  /* between looks at whether the server is full */
#define CANARY_DETECT 0.5

/* Something that was said: a finding that fired, or a baseline's onset. */
struct told {
	int detector;
	uint64_t holder;    /* id; 0: about a server */
	bool is_service;    /* connleak: about all processes of a service */
	bool is_downstream; /* says of itself that it is what another leak does to a proxy */
	int64_t t_ns;
	enum rule rule;
	char id[17], reason[256];
};

struct watcher {
	const struct trial_opts *o;
	struct world *w;
	struct engine e;
	struct baselines *baselines;
	struct canary *canary;
	struct snapshot snap;
	struct told *told; /* [MAX_TOLD] */
	uint32_t n_told;
	uint32_t untold[TRIAL_DETECTORS]; /* found no room */
	uint32_t n_ticks, n_findings;
	uint32_t most_at_once;
	int64_t warned_ns; /* INT64_MAX: never */
	bool is_past[TRIAL_MOMENTS];
	int64_t moment_ns[TRIAL_MOMENTS];
	struct trial *t;
	int err;
};

const char *trial_detector_name(int detector)
{
	return detector == TRIAL_CONNLEAK ? "connleak" : baseline_name(detector - 1);
}

static struct told *tell(struct watcher *r, int detector)
{
	if (r->n_told == MAX_TOLD) {
		r->untold[detector]++;
		return NULL;
	}
	r->told[r->n_told] = (struct told){.detector = detector};
	return &r->told[r->n_told++];
}

static void on_baseline(const struct baseline_alarm *a, void *arg)
{
	struct told *told = a->is_on ? tell(arg, 1 + (int)a->rule) : NULL;

	if (!told)
		return;
	told->holder = a->holder;
	told->t_ns = a->t_ns;
}

static bool is_leak(const struct finding *f)
{
	return f->kind == FINDING_LEAK || f->kind == FINDING_FD_LEAK;
}

static void take_moment(struct watcher *r, enum trial_moment m, const struct finding *f)
{
	struct trial_estimate *rate = &r->t->rate[m], *eta = &r->t->eta[m];

	r->is_past[m] = true;
	r->moment_ns[m] = r->e.now_ns;
	*rate = (struct trial_estimate){f->leak_rate_per_min, f->leak_rate_low, f->leak_rate_high,
					NAN};
	*eta = (struct trial_estimate){f->exhausted_in_s, f->exhausted_in_low_s,
				       f->exhausted_in_high_s, NAN};
}

/* Levels and rates of change are not verdicts, but they speak where a leak is too fast for one. */
static void note_warning(struct watcher *r, const struct finding *f)
{
	if ((f->kind == FINDING_BUDGET || f->kind == FINDING_RATE) && f->fired_ns < r->warned_ns &&
	    world_truth(r->w)->n_leaked)
		r->warned_ns = f->fired_ns;
}

static void note_finding(struct watcher *r, const struct finding *f)
{
	struct told *told;

	note_warning(r, f);
	if (!is_leak(f))
		return;
	for (uint32_t i = 0; i < r->n_told; i++)
		if (r->told[i].detector == TRIAL_CONNLEAK && !strcmp(r->told[i].id, f->id)) {
			r->told[i].is_downstream |= f->downstream_of[0] != '\0';
			return;
		}
	told = tell(r, TRIAL_CONNLEAK);
	if (!told)
		return;
	told->holder = f->holder_id;
	told->is_service = f->rule == RULE_SERVICE;
	told->is_downstream = f->downstream_of[0] != '\0';
	told->t_ns = f->fired_ns;
	told->rule = f->rule;
	snprintf(told->id, sizeof(told->id), "%s", f->id);
	snprintf(told->reason, sizeof(told->reason), "%s", f->reason);
	/* What it says of a leak that has not begun is not held against the leak. */
	if (!world_truth(r->w)->n_leaked)
		return;
	if (!r->is_past[AT_ALARM])
		take_moment(r, AT_ALARM, f);
	if (r->o->is_brief)
		world_stop(r->w);
}

/* Calls @fn, which may be NULL, for each. Returns whether a leak fires, and the first of those. */
static bool each_finding(struct watcher *r, void (*fn)(struct watcher *r, const struct finding *f),
			 struct finding *ret_first)
{
	bool is_firing = false;

	for (uint32_t i = 0; i < detector_n_findings(r->e.detector); i++) {
		struct finding f;

		if (detector_finding(r->e.detector, r->e.table, i, &f)) {
			r->err = -ENOMEM;
			return false;
		}
		if (fn)
			fn(r, &f);
		if (is_leak(&f) && f.status == FINDING_FIRING && !is_firing && ret_first) {
			is_firing = true;
			*ret_first = f;
		} else {
			finding_release(&f);
		}
	}
	return is_firing;
}

static void look_at_findings(struct watcher *r)
{
	uint32_t n = detector_n_findings(r->e.detector);

	if (n && (n != r->n_findings || r->n_ticks % LOOK_TICKS == 0))
		each_finding(r, note_finding, NULL);
	r->n_findings = n;
}

static double used_frac(const struct watcher *r)
{
	for (uint32_t i = 0; i < proctab_n_peers(r->e.table); i++) {
		const struct peer *p = proctab_peer(r->e.table, i);

		if (p && p->limit)
			return (double)peer_used(p) / p->limit;
	}
	return 0;
}

static void look_at_budget(struct watcher *r)
{
	static const double frac[TRIAL_MOMENTS] = {0, 0.5, 0.75};

	for (int m = AT_HALF; m < TRIAL_MOMENTS; m++) {
		struct finding f;

		if (r->is_past[m] || used_frac(r) < frac[m])
			continue;
		r->is_past[m] = true;
		if (each_finding(r, NULL, &f)) {
			take_moment(r, m, &f);
			finding_release(&f);
		}
	}
}

static void tick_canary(struct watcher *r)
{
	struct canary_progress p;

	canary_tick(r->canary, r->e.table, r->e.detector, r->e.now_ns);
	canary_get_progress(r->canary, &p);
	if (p.is_leak) {
		r->t->verdict_s = p.watched_s;
		world_stop(r->w);
	}
}

/* Leaking may have begun before anybody looked. */
static int64_t known_from_ns(const struct gen_truth *truth)
{
	return truth->begin_ns > truth->watch_ns ? truth->begin_ns : truth->watch_ns;
}

static bool is_over(const struct watcher *r, const struct gen_truth *truth)
{
	if (!truth->is_leaky || !truth->n_leaked || r->canary)
		return false;
	if (truth->limit_ns != T_NEVER)
		return true;
	return r->o->leak_hours > 0 &&
	       (double)(r->e.now_ns - known_from_ns(truth)) / NS_PER_S >= r->o->leak_hours * 3600;
}

static void after_tick(struct watcher *r)
{
	const struct gen_truth *truth;

	r->n_ticks++;
	if (r->baselines && baselines_tick(r->baselines, r->e.table, r->e.now_ns))
		r->err = -ENOMEM;
	look_at_findings(r);
	if (r->canary)
		tick_canary(r);
	if (r->n_ticks % FULL_TICKS == 0 && !r->err) {
		truth = world_truth(r->w);
		if (truth->n_leaked_open > r->most_at_once)
			r->most_at_once = (uint32_t)truth->n_leaked_open;
		if (truth->is_leaky && truth->n_leaked && !r->canary)
			look_at_budget(r);
		if (is_over(r, truth))
			world_stop(r->w);
	}
	if (r->err)
		world_stop(r->w);
}

/* What an event points to is the world's for the call only. */
static int keep(struct snapshot *s, const struct event *ev)
{
	if (ev->kind == EV_HOLDER)
		return snapshot_push_holder(s, ev->t_ns, ev->holder, ev->info);
	if (ev->kind == EV_SITE)
		return snapshot_push_site(s, ev->t_ns, ev->site, ev->site_info);
	return snapshot_push(s, ev);
}

static void on_event(void *arg, const struct event *ev)
{
	struct watcher *r = arg;

	if (r->err)
		return;
	r->err = keep(&r->snap, ev);
	if (r->err || ev->kind != EV_TICK)
		return;
	r->snap.now_ns = ev->t_ns;
	r->err = engine_step(&r->e, &r->snap);
	snapshot_clear(&r->snap);
	if (!r->err)
		after_tick(r);
}

/* --- what was said against what was true --- */

static bool does_leak(const struct gen_truth *truth, uint64_t holder)
{
	for (uint32_t i = 0; i < truth->n_holders; i++)
		if (truth->holders[i] == holder)
			return true;
	/* The list is full of processes of a service that is started again and again. */
	return truth->n_holders == GEN_MAX_HOLDERS;
}

static bool is_true(const struct gen_truth *truth, const struct told *told)
{
	if (!truth->n_leaked || told->t_ns < truth->begin_ns)
		return false;
	return !told->holder || told->is_service || does_leak(truth, told->holder);
}

static uint64_t leaked_by(const struct gen_truth *truth, int64_t t_ns)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < truth->n_leaks; i++)
		n += truth->leaks[i].last_use_ns <= t_ns &&
		     truth->leaks[i].last_use_ns >= truth->watch_ns;
	return n;
}

static void take_false(struct trial *t, const struct told *told)
{
	struct trial_score *s = &t->score[told->detector];

	if (!s->false_alarms++)
		s->first_false_s = (double)told->t_ns / NS_PER_S;
	if (told->detector == TRIAL_CONNLEAK && !s->is_found && t->rule == RULE_NONE) {
		t->rule = told->rule;
		memcpy(t->reason, told->reason, sizeof(t->reason));
	}
}

static void take_true(struct trial *t, const struct gen_truth *truth, const struct told *told)
{
	struct trial_score *s = &t->score[told->detector];
	double s_after = (double)(told->t_ns - known_from_ns(truth)) / NS_PER_S;

	if (s->is_found && s->found_s <= s_after)
		return;
	if (truth->limit_ns != T_NEVER && told->t_ns > truth->limit_ns)
		return;
	s->is_found = true;
	s->found_s = s_after;
	s->leaked = leaked_by(truth, told->t_ns);
	if (told->detector == TRIAL_CONNLEAK) {
		t->rule = told->rule;
		memcpy(t->reason, told->reason, sizeof(t->reason));
	}
}

static void judge_estimates(struct watcher *r, const struct gen_truth *truth)
{
	struct trial *t = r->t;

	for (int m = 0; m < TRIAL_MOMENTS; m++) {
		if (!r->is_past[m] || !r->moment_ns[m])
			continue;
		/* A finding has one process's rate; the time left is the server's. */
		if (truth->n_holders == 1)
			t->rate[m].truth = t->rate_per_min;
		if (truth->limit_ns != T_NEVER)
			t->eta[m].truth = (double)(truth->limit_ns - r->moment_ns[m]) / NS_PER_S;
	}
}

static void judge(struct watcher *r)
{
	const struct gen_truth *truth = world_truth(r->w);
	struct trial *t = r->t;

	t->is_leaky = truth->is_leaky;
	t->is_known_hard = truth->is_known_hard;
	t->process_hours = world_process_hours(r->w);
	t->end_s = world_now(r->w);
	t->begin_s = truth->n_leaked ? (double)truth->begin_ns / NS_PER_S : (double)NAN;
	t->exhausted_s =
		truth->limit_ns == T_NEVER ? (double)NAN : (double)truth->limit_ns / NS_PER_S;
	t->n_leaked = truth->n_leaked;
	t->most_at_once = r->most_at_once;
	t->is_constant = !isnan(truth->nominal_per_min);
	t->rate_per_min = t->is_constant ? truth->nominal_per_min : truth->rate_per_min;
	if (r->warned_ns >= truth->begin_ns && r->warned_ns != INT64_MAX)
		t->warned_s = (double)(r->warned_ns - known_from_ns(truth)) / NS_PER_S;
	t->n_broken = truth->n_broken;
	t->bad_events = r->e.bad_events;
	memcpy(t->params, truth->params, sizeof(t->params));
	for (uint32_t i = 0; i < r->n_told; i++) {
		if (is_true(truth, &r->told[i]))
			take_true(t, truth, &r->told[i]);
		else if (!truth->is_leaky || !r->told[i].is_downstream)
			take_false(t, &r->told[i]);
	}
	for (int d = 0; d < TRIAL_DETECTORS; d++)
		if (!truth->is_leaky)
			t->score[d].false_alarms += r->untold[d];
	judge_estimates(r, truth);
}

static void judge_canary(struct watcher *r)
{
	struct verdict v;

	if (!r->canary)
		return;
	canary_verdict(r->canary, r->e.table, r->e.detector, CANARY_END_TIME, &v);
	r->t->has_verdict = true;
	r->t->verdict = v.kind;
}

/* --- setting up --- */

static void init_result(struct trial *t, const struct trial_opts *o)
{
	const struct trial_estimate none = {NAN, NAN, NAN, NAN};

	memset(t, 0, sizeof(*t));
	t->seed = o->seed;
	t->has_sites = o->has_sites;
	t->verdict_s = t->warned_s = NAN;
	for (int d = 0; d < TRIAL_DETECTORS; d++)
		t->score[d] = (struct trial_score){.first_false_s = NAN, .found_s = NAN};
	for (int m = 0; m < TRIAL_MOMENTS; m++)
		t->rate[m] = t->eta[m] = none;
}

static void start_scenario(struct watcher *r)
{
	const struct trial_opts *o = r->o;
	double hours = o->canary_s > 0 ? (o->canary_s + 1) / 3600 : o->hours;

	if (o->family) {
		family_start(o->family, r->w, hours);
		return;
	}
	world_set_duration(r->w, hours * 3600);
	o->setup(r->w, o->arg);
}

static int start(struct watcher *r)
{
	const struct trial_opts *o = r->o;
	struct detector_params params = {.canary = o->canary_s > 0, .host = "node"};
	struct world_opts world = {.seed = o->seed,
				   .tick_s = o->tick_s,
				   .has_sites = o->has_sites,
				   .event = on_event,
				   .arg = r};
	struct canary_params cp = {.confidence = 0.99};

	r->told = calloc(MAX_TOLD, sizeof(*r->told));
	r->w = world_new(&world);
	snapshot_init(&r->snap);
	if (!r->told || !r->w || engine_init(&r->e, NULL, &params))
		return -ENOMEM;
	if (!o->is_alone && o->canary_s <= 0) {
		r->baselines = baselines_new(on_baseline, r);
		if (!r->baselines)
			return -ENOMEM;
	}
	start_scenario(r);
	if (o->canary_s <= 0)
		return 0;
	cp.window_ns = (int64_t)(o->canary_s * NS_PER_S);
	cp.detect_per_min = o->canary_detect_per_min > 0 ? o->canary_detect_per_min : CANARY_DETECT;
	cp.start_ns = world_watch_ns(r->w);
	r->canary = canary_new(&cp);
	return r->canary ? 0 : -ENOMEM;
}

int trial_run(const struct trial_opts *o, struct trial *ret)
{
	struct watcher r = {.o = o, .t = ret, .warned_ns = INT64_MAX};
	int err;

	init_result(ret, o);
	err = start(&r);
	if (!err) {
		world_run(r.w, world_duration(r.w));
		err = r.err;
	}
	if (!err) {
		judge(&r);
		judge_canary(&r);
	}
	canary_free(r.canary);
	baselines_free(r.baselines);
	engine_release(&r.e);
	snapshot_release(&r.snap);
	world_free(r.w);
	free(r.told);
	return err;
}
