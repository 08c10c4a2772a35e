/* SPDX-License-Identifier: Apache-2.0 */
#include "json_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_part.h"
#include "words.h"

/* Appends @value, which may be NULL; returns false without memory. */
static bool append(json_t *list, json_t *value)
{
	return list && !json_array_append_new(list, value);
}

static json_t *pids(const uint32_t *v, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		if (append(list, json_integer(v[i])))
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

/* A connection as both a finding and `ls` show it. */
struct conn_facts {
	struct endpoint local, peer;
	double age_s, idle_s; /* NAN: not measured */
	const char *state;
	uint64_t tx, rx;
	const uint32_t *held_by;
	uint32_t n_held_by;
	bool age_is_lower_bound, has_io;
	json_t *opened_by, *first_used_by; /* call sites or their ids; set_conn() takes them */
};

static void set_conn(struct json_part *p, const struct conn_facts *c)
{
	json_part_set(p, "age_s", json_part_seconds(c->age_s));
	json_part_set(p, "age_is_lower_bound", json_boolean(c->age_is_lower_bound));
	json_part_set(p, "idle_s", json_part_seconds(c->idle_s));
	json_part_set(p, "state", json_string(c->state));
	json_part_set(p, "bytes_sent", c->has_io ? json_part_count(c->tx) : json_null());
	json_part_set(p, "bytes_received", c->has_io ? json_part_count(c->rx) : json_null());
	json_part_set(p, "opened_by", c->opened_by);
	json_part_set(p, "first_used_by", c->first_used_by);
	json_part_set(p, "held_by", pids(c->held_by, c->n_held_by));
	json_part_set(p, "server", json_null());
}

/* A span of time that cannot be negative, however the clocks were read. */
static double span_s(int64_t ns)
{
	return ns > 0 ? (double)ns / (double)NS_PER_S : 0;
}

static json_t *finding_conn(const struct finding *f, const struct finding_conn *c)
{
	struct conn_facts facts = {
		.local = c->local,
		.peer = c->peer,
		.age_s = span_s(f->time_ns - c->opened_ns),
		.idle_s = c->has_io && c->idle_ns != T_NEVER ? span_s(c->idle_ns) : NAN,
		.state = words_conn_state(c->fin_ns, c->fin_how),
		.tx = c->tx,
		.rx = c->rx,
		.held_by = c->held_by,
		.n_held_by = c->n_held_by,
		.age_is_lower_bound = c->age_is_lower_bound,
		.has_io = c->has_io,
		.opened_by = json_part_site_id(c->site),
		.first_used_by = json_part_site_id(c->first_used),
	};
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "local", json_part_endpoint(&facts.local));
	json_part_set(&p, "peer", json_part_endpoint(&facts.peer));
	set_conn(&p, &facts);
	return json_part_end(&p);
}

static int64_t counted(uint64_t n)
{
	return n < INT64_MAX ? (int64_t)n : INT64_MAX;
}

static json_t *finding_site(const struct finding_site *s)
{
	bool is_opener = s->role == SITE_OPENED_BY;
	const struct json_site site = {
		.key = s->site,
		.role = s->role,
		.opened = is_opener ? counted(s->opened) : -1,
		.closed = is_opener ? counted(s->closed) : -1,
		.open = counted(s->open),
		.idle = counted(s->idle),
		.info = &s->info,
	};

	return json_part_site(&site);
}

static json_t *finding_evidence(const struct finding *f)
{
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "window_s", json_part_seconds(f->window_s));
	json_part_set(&p, "opened", json_part_count(f->opened));
	json_part_set(&p, "closed", json_part_count(f->closed));
	json_part_set(&p, "adopted", json_part_count(f->adopted));
	json_part_set(&p, "failed", json_part_count(f->failed));
	json_part_set(&p, "rejected", json_part_count(f->rejected));
	json_part_set(&p, "moved_in", json_part_count(f->moved_in));
	json_part_set(&p, "moved_out", json_part_count(f->moved_out));
	json_part_set(&p, "open", json_part_count(f->open));
	json_part_set(&p, "fd_only", json_part_count(f->fd_only));
	json_part_set(&p, "idle", json_part_count(f->idle));
	json_part_set(&p, "oldest_s", json_part_seconds(f->oldest_s));
	json_part_set(&p, "leaked", json_part_count(f->leaked));
	json_part_set(&p, "leak_rate_per_min", json_part_rate(f->leak_rate_per_min));
	json_part_set(&p, "leak_rate_low", json_part_rate(f->leak_rate_low));
	json_part_set(&p, "leak_rate_high", json_part_rate(f->leak_rate_high));
	json_part_set(&p, "leak_fraction", json_part_rate(f->leak_fraction));
	json_part_set(&p, "score", json_part_rate(f->score));
	json_part_set(&p, "threshold", json_part_rate(f->threshold));
	json_part_set(&p, "rule",
		      f->rule == RULE_NONE ? json_null() : json_part_text(rule_name(f->rule)));
	json_part_set(&p, "reason", json_part_text(f->reason));
	return json_part_end(&p);
}

static json_t *finding_budget(const struct finding *f)
{
	const struct json_budget b = {
		.scope = f->scope,
		.source = f->source,
		.limit = f->limit,
		.used = f->used,
		.exhausted_in_s = f->exhausted_in_s,
		.low_s = f->exhausted_in_low_s,
		.high_s = f->exhausted_in_high_s,
	};

	return json_part_budget(&b);
}

static json_t *finding_summary(const struct finding *f)
{
	struct strbuf sb = {0};
	json_t *value = words_summary(&sb, f) ? NULL : json_part_text(sb.buf);

	strbuf_release(&sb);
	return value;
}

static json_t *finding_runbook(const struct finding *f)
{
	char buf[64];

	snprintf(buf, sizeof(buf), "docs/runbook.md#%s", finding_kind_name(f->kind));
	return json_string(buf);
}

static void set_sites(struct json_part *p, const struct finding *f)
{
	json_t *list = json_array();
	bool is_ok = list;

	/* Site 0 collects what was opened without a stack: no place in the code. */
	for (uint32_t i = 0; i < f->n_sites; i++)
		if (f->sites[i].site)
			is_ok = append(list, finding_site(&f->sites[i])) && is_ok;
	p->is_bad = p->is_bad || !is_ok;
	json_part_set(p, "call_sites", list);
	json_part_set(p, "call_sites_total", json_integer(f->sites_total));
}

static void set_conns(struct json_part *p, const struct finding *f)
{
	json_t *list = json_array();
	bool is_ok = list;

	for (uint32_t i = 0; i < f->n_conns; i++)
		is_ok = append(list, finding_conn(f, &f->conns[i])) && is_ok;
	p->is_bad = p->is_bad || !is_ok;
	json_part_set(p, "connections", list);
	json_part_set(p, "connections_total", json_integer(f->conns_total));
}

char *json_finding(const struct json_context *ctx, const struct finding *f)
{
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "schema", json_string("connleak.finding/v1"));
	json_part_set(&p, "id", json_part_text(f->id));
	json_part_set(&p, "kind", json_string(finding_kind_name(f->kind)));
	json_part_set(&p, "status", json_string(finding_status_name(f->status)));
	json_part_set(&p, "severity", json_string(severity_name(f->severity)));
	json_part_set(&p, "time", json_part_time(ctx, f->time_ns));
	json_part_set(&p, "since", json_part_time(ctx, f->since_ns));
	json_part_set(&p, "fired_at", json_part_time(ctx, f->fired_ns));
	json_part_set(&p, "host", json_part_text(ctx->host));
	json_part_set(&p, "group", json_part_text(f->group));
	json_part_set(&p, "summary", finding_summary(f));
	json_part_set(&p, "holder", json_part_holder(ctx, f->holder));
	json_part_set(&p, "peer", json_part_peer(&f->peer, f->via_pid, f->via_comm));
	json_part_set(&p, "downstream_of", json_part_text(f->downstream_of));
	json_part_set(&p, "evidence", finding_evidence(f));
	json_part_set(&p, "budget", finding_budget(f));
	set_sites(&p, f);
	set_conns(&p, f);
	json_part_set(&p, "sql", json_null());
	json_part_set(&p, "resolved_because",
		      json_part_text(resolved_because_name(f->resolved_because)));
	json_part_set(&p, "runbook", finding_runbook(f));
	return json_part_line(&p);
}

/* As a whole: there is no list of sites beside it. How many came from there is not counted here. */
static json_t *whole_site(const struct proctab *pt, uint64_t key, enum site_role role)
{
	const struct json_site site = {.key = key,
				       .role = role,
				       .opened = -1,
				       .closed = -1,
				       .open = -1,
				       .idle = -1,
				       .info = proctab_site(pt, key)};

	return json_part_site(&site);
}

char *json_connection(const struct json_context *ctx, int64_t now_ns, const struct proctab *pt,
		      uint32_t conn)
{
	const struct conn *c = proctab_conn(pt, conn);
	const struct usage *u = proctab_usage(pt, c->usage);
	const struct holder_info *h = &proctab_holder(pt, u->holder)->info;
	const struct holder *via = proctab_via(pt, u);
	uint32_t held_by[FINDING_MAX_HELD];
	uint32_t n = proctab_held_by(pt, conn, held_by, FINDING_MAX_HELD);
	struct conn_facts facts = {
		.local = c->local,
		.age_s = span_s(now_ns - conn_open_since_ns(c)),
		.idle_s = c->has_io ? span_s(now_ns - conn_last_io_ns(c)) : NAN,
		.state = words_conn_state(c->fin_ns, c->fin_how),
		.tx = c->tx,
		.rx = c->rx,
		.held_by = held_by,
		.n_held_by = n < FINDING_MAX_HELD ? n : FINDING_MAX_HELD,
		.age_is_lower_bound = c->adopted,
		.has_io = c->has_io,
		.opened_by = whole_site(pt, proctab_opened_by(pt, c), SITE_OPENED_BY),
		.first_used_by = whole_site(pt, proctab_first_used_by(pt, c), SITE_FIRST_USED_BY),
	};
	struct json_part o;

	json_part_begin(&o);
	json_part_set(&o, "schema", json_string("connleak.connection/v1"));
	json_part_set(&o, "time", json_part_time(ctx, now_ns));
	json_part_set(&o, "host", json_part_text(ctx->host));
	json_part_set(&o, "holder", json_part_holder(ctx, h));
	json_part_set(&o, "peer",
		      json_part_peer(&proctab_peer(pt, u->peer)->endpoint, via ? via->info.pid : 0,
				     via ? via->info.comm : NULL));
	json_part_set(&o, "local", json_part_endpoint(&facts.local));
	set_conn(&o, &facts);
	return json_part_line(&o);
}

static json_t *verdict_power(const struct verdict *v)
{
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "detectable_leak_per_min", json_part_rate(v->detectable_leak_per_min));
	json_part_set(&p, "named_leak_per_min", json_part_rate(v->named_leak_per_min));
	/* As given: 0.9999 must not become 1. */
	json_part_set(&p, "confidence", json_real(v->confidence));
	json_part_set(&p, "needed_window_s", json_part_whole(ceil(v->needed_window_s)));
	json_part_set(&p, "why", json_part_text(v->why));
	return json_part_end(&p);
}

/* Exchanges are whole; minutes are not. */
static json_t *exposure_part(const struct comparison *b, double exposure)
{
	return b->is_in_minutes ? json_part_real(exposure) : json_part_count((uint64_t)exposure);
}

static json_t *verdict_baseline(const struct verdict *v)
{
	const struct comparison *b = &v->baseline;
	struct json_part p;

	if (!v->control)
		return json_null();
	json_part_begin(&p);
	json_part_set(&p, "target", json_part_text(v->control));
	json_part_set(&p, "result", json_string(comparison_name(b->result)));
	json_part_set(&p, "abandoned", json_part_count(b->abandoned));
	json_part_set(&p, "exposure", exposure_part(b, b->exposure));
	json_part_set(&p, "control_abandoned", json_part_count(b->control_abandoned));
	json_part_set(&p, "control_exposure", exposure_part(b, b->control_exposure));
	json_part_set(&p, "p", json_part_chance(b->p));
	return json_part_end(&p);
}

static json_t *verdict_command(const struct command_status *cmd)
{
	struct json_part p;

	if (!cmd)
		return json_null();
	json_part_begin(&p);
	json_part_set(&p, "pid", json_integer(cmd->pid));
	json_part_set(&p, "status", json_part_known(cmd->status));
	json_part_set(&p, "signal", json_part_known(cmd->signal));
	return json_part_end(&p);
}

char *json_verdict(const struct json_context *ctx, const struct verdict *v,
		   const struct command_status *cmd)
{
	json_t *ids = json_array();
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "schema", json_string("connleak.verdict/v1"));
	json_part_set(&p, "verdict", json_string(verdict_name(v->kind)));
	json_part_set(&p, "time", json_part_time(ctx, v->time_ns));
	json_part_set(&p, "window_s", json_part_seconds(v->window_s));
	json_part_set(&p, "watched_s", json_part_seconds(v->watched_s));
	json_part_set(&p, "reason", json_part_text(v->reason));
	json_part_set(&p, "holders", json_integer(v->holders));
	json_part_set(&p, "opened", json_part_count(v->opened));
	json_part_set(&p, "closed", json_part_count(v->closed));
	json_part_set(&p, "power", verdict_power(v));
	json_part_set(&p, "baseline", verdict_baseline(v));
	json_part_set(&p, "lost_events", json_part_count(v->lost_events));
	for (uint32_t i = 0; i < v->n_findings && i < sizeof(v->findings) / 17; i++)
		if (!append(ids, json_string(v->findings[i])))
			p.is_bad = true;
	json_part_set(&p, "findings", ids);
	json_part_set(&p, "command", verdict_command(cmd));
	return json_part_line(&p);
}
