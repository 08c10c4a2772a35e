/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence.c - a struct finding out of an alert and what the tables hold now
 */
#include "detector_impl.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"
#include "text.h"

#define Z_90	   1.645
#define MIN_SPAN_S 10.0

static double seconds(int64_t ns)
{
	return (double)ns / NS_PER_S;
}

void evidence_rate(const struct detector *d, uint32_t usage, int64_t now_ns, struct leak_rate *ret)
{
	int64_t first_ns = INT64_MAX, tx_ns = 0;
	uint32_t sum_k = 0;
	double r, s;

	*ret = (struct leak_rate){.per_min = NAN, .low = NAN, .high = NAN};
	for (uint32_t i = d->usages[usage].first_cohort; i != SLOT_NONE;
	     i = cohort_at(d, i)->next_of_usage) {
		const struct cohort *co = cohort_at(d, i);

		if (!co->n_abandoned)
			continue;
		sum_k += co->any.k;
		tx_ns = co->tx_ns > tx_ns ? co->tx_ns : tx_ns;
		for (uint32_t c = co->exp_first; c != SLOT_NONE; c = d->tracks[c].next) {
			if (!track_is_abandoned(&d->tracks[c], co, now_ns))
				break;
			ret->m++;
			if (d->tracks[c].use_end_ns < first_ns)
				first_ns = d->tracks[c].use_end_ns;
		}
	}
	if (ret->m < 2)
		return;
	r = (ret->m - 1) * 60 / fmax(seconds(now_ns - tx_ns - first_ns), MIN_SPAN_S);
	/* Rungs set the width, not connections: those of one burst are not independent. */
	s = sum_k < ret->m - 1 ? sum_k : ret->m - 1;
	s = fmax(s, 1);
	ret->per_min = r;
	ret->low = r * stats_gamma_quantile(s, -Z_90) / s;
	ret->high = r * stats_gamma_quantile(s + 1, Z_90) / s;
}

uint32_t evidence_oldest(const struct detector *d, const struct proctab *pt, uint32_t usage)
{
	uint32_t oldest = SLOT_NONE;

	for (uint32_t i = d->usages[usage].first_cohort; i != SLOT_NONE;
	     i = cohort_at(d, i)->next_of_usage) {
		const struct cohort *co = cohort_at(d, i);

		for (uint32_t c = co->exp_first; c != SLOT_NONE; c = d->tracks[c].next) {
			/* One rule may be told while this cohort waits to be looked at. */
			if (!track_is_abandoned(&d->tracks[c], co, d->now_ns))
				break;
			if (oldest == SLOT_NONE ||
			    proctab_conn(pt, c)->opened_ns < proctab_conn(pt, oldest)->opened_ns)
				oldest = c;
		}
	}
	return oldest;
}

static void add_conn(const struct detector *d, const struct proctab *pt, struct finding *f,
		     uint32_t slot)
{
	const struct conn *c = proctab_conn(pt, slot);
	bool is_tracked = slot < d->n_tracks && d->tracks[slot].cohort != SLOT_NONE;
	struct finding_conn *out;
	uint32_t n;

	f->conns_total++;
	f->idle += is_tracked && track_is_idle(d, slot);
	if (f->n_conns == FINDING_MAX_CONNS)
		return;
	out = &f->conns[f->n_conns++];
	*out = (struct finding_conn){
		.local = c->local,
		.peer = f->peer,
		.opened_ns = conn_open_since_ns(c),
		.idle_ns = is_tracked && d->tracks[slot].is_client
				   ? d->now_ns - d->tracks[slot].use_end_ns
				   : T_NEVER,
		.age_is_lower_bound = c->adopted,
		.has_io = c->has_io,
		.fin_ns = c->fin_ns,
		.fin_how = c->fin_how,
		.tx = c->tx,
		.rx = c->rx,
		.site = proctab_opened_by(pt, c),
		.first_used = proctab_first_used_by(pt, c),
	};
	n = proctab_held_by(pt, slot, out->held_by, FINDING_MAX_HELD);
	out->n_held_by = n < FINDING_MAX_HELD ? n : FINDING_MAX_HELD;
}

/* --- the sentence --- */

static const char *span_text(int64_t ns, char buf[static 32])
{
	double s = seconds(ns);

	if (s < 600)
		snprintf(buf, 32, "%.0f s", s);
	else
		snprintf(buf, 32, "%.0f min", s / 60);
	return buf;
}

/* Rungs are counted up to a limit. */
static const char *rungs_text(uint32_t k, char buf[static 32])
{
	snprintf(buf, 32, k < LADDER_MAX_RUNGS ? "%u" : "at least %u", k);
	return buf;
}

/* What became of them, where the rule does not hold now. */
static const char *fate_text(const struct detector *d, const struct alert *a)
{
	if (a->status == FINDING_FIRING)
		return a->held_ns == d->now_ns ? "some came back, most did not"
					       : "they were used or closed since";
	switch (a->resolved_because) {
	case RESOLVED_USED_AGAIN:
		return "they were used again";
	case RESOLVED_HOLDER_EXITED:
		return "the process has ended";
	default:
		return "they were closed";
	}
}

static void reason_of_leak(const struct detector *d, const struct alert *a, struct finding *f)
{
	bool holds = a->status == FINDING_FIRING && a->rule_ns == d->now_ns;
	unsigned long long n = a->rule_n;
	char k[32], span[32];
	int len;

	rungs_text(a->rule_k, k);
	span_text(a->rule_span_ns, span);
	switch (a->rule) {
	case RULE_PROCESS:
		len = snprintf(f->reason, sizeof(f->reason),
			       "%s connections from several places in the code lay idle while "
			       "others were opened past them over %s",
			       k, span);
		break;
	case RULE_SERVICE:
		len = snprintf(f->reason, sizeof(f->reason),
			       "%s connections of this service's processes lay idle while others "
			       "were opened past them over %s",
			       k, span);
		break;
	default:
		len = snprintf(
			f->reason, sizeof(f->reason),
			"%s connections lay idle while %s later ones were opened%s over %s", k, k,
			a->rule == RULE_COLD || a->rule == RULE_CANARY ? " by the same thread" : "",
			span);
	}
	if (!holds)
		snprintf(f->reason + len, sizeof(f->reason) - (size_t)len, "; %s", fate_text(d, a));
	else if (a->rule == RULE_COLD || a->rule == RULE_CANARY)
		snprintf(f->reason + len, sizeof(f->reason) - (size_t)len, "; none came back");
	else if (a->rule == RULE_PROCESS || a->rule == RULE_SERVICE)
		snprintf(f->reason + len, sizeof(f->reason) - (size_t)len,
			 "; %llu others came back sooner", n);
	else
		snprintf(f->reason + len, sizeof(f->reason) - (size_t)len,
			 "; none came back, %llu others did so sooner", n);
}

/* --- who has a server's connections --- */

#define MAX_USERS  64 /* groups looked at */
#define NAME_USERS 3

struct user {
	const struct holder_info *info;
	uint64_t abandoned, open;
};

static struct user *find_user(struct user *users, uint32_t *n, const struct holder_info *info)
{
	const char *group = info->group ? info->group : info->comm;

	for (uint32_t i = 0; i < *n; i++) {
		const struct holder_info *has = users[i].info;

		if (!strcmp(has->group ? has->group : has->comm, group))
			return &users[i];
	}
	if (*n == MAX_USERS)
		return NULL;
	users[*n] = (struct user){.info = info};
	return &users[(*n)++];
}

static int by_abandoned(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	if (x->abandoned != y->abandoned)
		return x->abandoned < y->abandoned ? 1 : -1;
	return (x->open < y->open) - (x->open > y->open);
}

static uint32_t collect_users(const struct detector *d, const struct proctab *pt, uint32_t peer,
			      struct user users[static MAX_USERS])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < proctab_n_usages(pt) && i < d->n_usages; i++) {
		const struct usage *pu = proctab_usage(pt, i);
		const struct holder *h = pu ? proctab_holder(pt, pu->holder) : NULL;
		struct user *u;

		if (!h || pu->peer != peer || !pu->counts.open || d->usages[i].holder_id != h->id)
			continue;
		u = find_user(users, &n, &h->info);
		if (!u)
			continue;
		u->open += pu->counts.open;
		for (uint32_t c = d->usages[i].first_cohort; c != SLOT_NONE;
		     c = cohort_at(d, c)->next_of_usage)
			u->abandoned += cohort_at(d, c)->n_abandoned;
	}
	qsort(users, n, sizeof(users[0]), by_abandoned);
	return n;
}

/* Appends ": order-service 42, billing 20, pgbouncer 17". */
static void name_users(const struct detector *d, const struct proctab *pt, uint32_t peer,
		       struct finding *f)
{
	struct user users[MAX_USERS];
	uint32_t n = collect_users(d, pt, peer, users);

	for (uint32_t i = 0; i < n && i < NAME_USERS; i++) {
		size_t len = strlen(f->reason);
		char comm[4 * HOLDER_COMM_LEN];

		text_clean(comm, sizeof(comm), users[i].info->comm, HOLDER_COMM_LEN);
		snprintf(f->reason + len, sizeof(f->reason) - len, "%s %s %llu", i ? "," : ":",
			 comm, (unsigned long long)users[i].open);
	}
}

static void reason_of_level(const struct detector *d, const struct alert *a, struct finding *f)
{
	if (a->kind == FINDING_BUDGET)
		snprintf(f->reason, sizeof(f->reason),
			 "%lld of %lld connections are in use, %.0f %%; told from %.0f %% on",
			 (long long)f->used, (long long)f->limit, a->score, a->threshold);
	else if (a->kind == FINDING_RATE && isfinite(d->peers[a->peer].eta_s))
		snprintf(f->reason, sizeof(f->reason),
			 "%lld of %lld connections are in use, and at the rate of the last minutes "
			 "the rest is gone in %.0f s",
			 (long long)f->used, (long long)f->limit, d->peers[a->peer].eta_s);
	else if (a->kind == FINDING_RATE)
		snprintf(f->reason, sizeof(f->reason),
			 "%lld of %lld connections are in use; the number no longer grows",
			 (long long)f->used, (long long)f->limit);
	else
		snprintf(f->reason, sizeof(f->reason),
			 "%s%llu events could not be kept, so counts are estimates",
			 a->rule == RULE_TABLE_FULL ? "a table is full: " : "",
			 (unsigned long long)a->lost);
}

/* --- the whole --- */

static int add_holder(struct finding *f, const struct holder *h)
{
	int err;

	f->holder = calloc(1, sizeof(*f->holder));
	if (!f->holder)
		return -ENOMEM;
	err = holder_info_copy(&h->info, f->holder);
	if (err) {
		free(f->holder);
		f->holder = NULL;
		return err;
	}
	f->holder_id = h->id;
	return 0;
}

static uint64_t since_base(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void add_counts(const struct detector *d, const struct alert *a, const struct usage *pu,
		       struct finding *f)
{
	const struct ustate *u = &d->usages[a->usage];
	uint64_t app_closed = since_base(u->app_closed, a->app_closed_before);

	f->opened = since_base(pu->counts.opened, a->opened_before);
	f->closed = since_base(pu->counts.closed, a->closed_before);
	f->adopted = pu->counts.adopted;
	f->failed = pu->counts.failed;
	f->rejected = pu->counts.rejected;
	f->moved_in = pu->counts.moved_in;
	f->moved_out = pu->counts.moved_out;
	f->open = pu->counts.open;
	f->fd_only = pu->counts.fd_only;
	f->leak_fraction =
		f->leaked + app_closed ? (double)f->leaked / (double)(f->leaked + app_closed) : NAN;
}

static void add_leak(const struct detector *d, const struct proctab *pt, const struct alert *a,
		     struct finding *f)
{
	const struct usage *pu = proctab_usage(pt, a->usage);
	uint32_t oldest = evidence_oldest(d, pt, a->usage);
	struct leak_rate rate;

	evidence_rate(d, a->usage, d->now_ns, &rate);
	f->leaked = rate.m;
	/* Tx may have grown since, and whoever waits to resolve is still about those. */
	if (a->status == FINDING_FIRING && f->leaked < a->n_untouched)
		f->leaked = a->n_untouched;
	f->leak_rate_per_min = rate.per_min;
	f->leak_rate_low = rate.low;
	f->leak_rate_high = rate.high;
	if (oldest != SLOT_NONE)
		f->oldest_s = seconds(d->now_ns - conn_open_since_ns(proctab_conn(pt, oldest)));
	reason_of_leak(d, a, f);
	if (!pu)
		return;
	add_counts(d, a, pu, f);
	for (uint32_t i = pu->first_conn; i != SLOT_NONE; i = proctab_conn(pt, i)->next)
		add_conn(d, pt, f, i);
}

static void add_budget(const struct detector *d, const struct alert *a, const struct peer *p,
		       struct finding *f)
{
	const struct forecast *fc = &d->peers[a->peer].forecast;

	f->scope = p->scope;
	f->source = p->source;
	if (p->limit) {
		f->limit = p->limit;
		f->used = peer_used(p);
	}
	if (a->usage == SLOT_NONE)
		f->open = p->open;
	if (a->kind == FINDING_RATE && isfinite(d->peers[a->peer].eta_s))
		f->exhausted_in_s = d->peers[a->peer].eta_s;
	/* A descriptor leak costs the server nothing. */
	if (a->kind != FINDING_LEAK || d->peers[a->peer].forecast_ns != d->now_ns)
		return;
	f->exhausted_in_s = fc->eta_s;
	f->exhausted_in_low_s = fc->low_s;
	f->exhausted_in_high_s = fc->high_s;
}

/* --- what lies behind another process --- */

static void add_via(const struct proctab *pt, const struct usage *pu, struct finding *f)
{
	const struct holder *via = pu ? proctab_via(pt, pu) : NULL;

	if (!via)
		return;
	f->via_pid = via->info.pid;
	memcpy(f->via_comm, via->info.comm, sizeof(f->via_comm));
}

/* Is this the finding of an application whose connections end in process @h? */
static bool is_upstream(const struct proctab *pt, const struct alert *a, const struct holder *h)
{
	const struct usage *pu;

	if (!a->is_used || a->status != FINDING_FIRING || a->usage == SLOT_NONE)
		return false;
	pu = proctab_usage(pt, a->usage);
	return pu && pu->via == h->id && pu->holder != proctab_find_holder(pt, h->id);
}

/* A pooler holds what its clients leak: the oldest of their findings is the cause. */
static void add_cause(const struct detector *d, const struct proctab *pt, const struct holder *h,
		      struct finding *f)
{
	const struct alert *cause = NULL;
	const struct holder *client;
	struct finding of;

	for (uint32_t i = 0; i < d->alerts.n; i++) {
		const struct alert *a = alert_at(d, i);

		if (is_upstream(pt, a, h) && (!cause || a->fired_ns < cause->fired_ns))
			cause = a;
	}
	client = cause ? proctab_holder(pt, d->usages[cause->usage].holder) : NULL;
	if (!client)
		return;
	of = (struct finding){.kind = cause->kind,
			      .rule = cause->rule,
			      .holder = (struct holder_info *)&client->info,
			      .peer = cause->endpoint};
	finding_ids(&of, d->p.host, d->p.wall_offset_ns);
	memcpy(f->downstream_of, of.id, sizeof(f->downstream_of));
}

int evidence_make(const struct detector *d, const struct proctab *pt, const struct alert *a,
		  struct finding *ret)
{
	const struct holder *h =
		a->usage == SLOT_NONE ? NULL : proctab_holder(pt, d->usages[a->usage].holder);
	const struct peer *p = a->peer == SLOT_NONE ? NULL : proctab_peer(pt, a->peer);

	*ret = (struct finding){
		.kind = a->kind,
		.status = a->status,
		.severity = a->severity,
		.rule = a->rule,
		.resolved_because = a->resolved_because,
		.time_ns = d->now_ns,
		.since_ns = a->since_ns,
		.fired_ns = a->fired_ns,
		.window_s = seconds(d->now_ns - a->since_ns),
		.oldest_s = NAN,
		.leak_rate_per_min = NAN,
		.leak_rate_low = NAN,
		.leak_rate_high = NAN,
		.leak_fraction = NAN,
		.score = a->score,
		.threshold = a->threshold,
		.limit = -1,
		.used = -1,
		.exhausted_in_s = NAN,
		.exhausted_in_low_s = NAN,
		.exhausted_in_high_s = NAN,
	};
	if (h) {
		int err = add_holder(ret, h);

		if (err)
			return err;
		add_via(pt, proctab_usage(pt, a->usage), ret);
		add_cause(d, pt, h, ret);
	}
	ret->peer = a->endpoint;
	if (p && endpoint_equal(&p->endpoint, &a->endpoint))
		add_budget(d, a, p, ret);
	if (a->usage == SLOT_NONE)
		reason_of_level(d, a, ret);
	else
		add_leak(d, pt, a, ret);
	if (a->kind == FINDING_BUDGET && a->status == FINDING_FIRING)
		name_users(d, pt, a->peer, ret);
	if (a->usage != SLOT_NONE && evidence_sites(d, pt, a, ret)) {
		finding_release(ret);
		return -ENOMEM;
	}
	finding_ids(ret, d->p.host, d->p.wall_offset_ns);
	return 0;
}
