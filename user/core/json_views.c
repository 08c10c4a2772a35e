/* SPDX-License-Identifier: Apache-2.0 */
/* What the views print as JSON: a frame of `top`, the report of `doctor`. */
#include "json_out.h"

#include <math.h>

#include "../tui/top_model.h"
#include "json_part.h"
#include "text.h"

/* JSON's words are in lower case, without spaces. */
static const char *state_word(enum usage_state s)
{
	switch (s) {
	case USAGE_LEAK:
		return "leak";
	case USAGE_FD_LEAK:
		return "fd_leak";
	default:
		return usage_state_name(s);
	}
}

static json_t *top_peer(const struct top_peer *t)
{
	const struct json_budget b = {
		.scope = t->peer->scope,
		.source = t->peer->source,
		.limit = t->peer->limit,
		.used = peer_used(t->peer),
		.exhausted_in_s = t->exhausted_in_s,
		.low_s = t->exhausted_in_low_s,
		.high_s = t->exhausted_in_high_s,
	};
	char buf[ENDPOINT_STRLEN];
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "address", json_string(endpoint_address(&t->peer->endpoint, buf)));
	json_part_set(&p, "port", json_integer(t->peer->endpoint.port));
	json_part_set(&p, "open", json_integer(t->peer->open));
	json_part_set(&p, "slots", json_integer(t->peer->slots));
	json_part_set(&p, "leak_rate_per_min", json_part_rate(t->rate_per_min));
	json_part_set(&p, "budget", json_part_budget(&b));
	return json_part_end(&p);
}

static json_t *top_row(const struct json_context *ctx, int64_t now_ns, const struct top_row *r)
{
	const struct usage_view *v = &r->view;
	int64_t oldest_ns = now_ns - v->oldest_opened_ns;
	bool has_oldest = v->oldest_opened_ns != T_NEVER;
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "holder", json_part_holder(ctx, &r->holder->info));
	json_part_set(&p, "peer",
		      json_part_peer(&r->peer->endpoint, r->via ? r->via->info.pid : 0,
				     r->via ? r->via->info.comm : NULL));
	json_part_set(&p, "state", json_string(state_word(v->state)));
	json_part_set(&p, "rule",
		      v->rule == RULE_NONE ? json_null() : json_part_text(rule_name(v->rule)));
	json_part_set(&p, "opened", json_part_count(r->counts->opened));
	json_part_set(&p, "closed", json_part_count(r->counts->closed));
	json_part_set(&p, "adopted", json_part_count(r->counts->adopted));
	json_part_set(&p, "failed", json_part_count(r->counts->failed));
	json_part_set(&p, "rejected", json_part_count(r->counts->rejected));
	json_part_set(&p, "open", json_part_count(r->counts->open));
	json_part_set(&p, "fd_only", json_part_count(r->counts->fd_only));
	json_part_set(&p, "idle", json_integer(v->idle));
	json_part_set(&p, "leak_rate_per_min", json_part_rate(v->rate_per_min));
	json_part_set(&p, "leak_rate_low", json_part_rate(v->rate_low));
	json_part_set(&p, "leak_rate_high", json_part_rate(v->rate_high));
	json_part_set(&p, "oldest_s",
		      json_part_seconds(!has_oldest	? NAN
					: oldest_ns < 0 ? 0
							: (double)oldest_ns / 1e9));
	json_part_set(&p, "oldest_is_lower_bound",
		      has_oldest ? json_boolean(v->oldest_is_lower_bound) : json_null());
	json_part_set(&p, "finding", json_part_text(r->detail ? r->detail->id : NULL));
	return json_part_end(&p);
}

/* Of the node, whatever the view shows: opened + adopted + moved_in is the sum of the others. */
static json_t *top_ledger(const struct top_model *m)
{
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "opened", json_part_count(m->ledger.opened));
	json_part_set(&p, "adopted", json_part_count(m->ledger.adopted));
	json_part_set(&p, "moved_in", json_part_count(m->ledger.moved_in));
	json_part_set(&p, "closed", json_part_count(m->ledger.closed));
	json_part_set(&p, "open", json_part_count(m->ledger.open));
	json_part_set(&p, "moved_out", json_part_count(m->ledger.moved_out));
	json_part_set(&p, "lost", json_part_count(ledger_lost(&m->ledger)));
	return json_part_end(&p);
}

char *json_snapshot(const struct json_context *ctx, const struct top_model *m)
{
	json_t *peers = json_array(), *rows = json_array();
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "schema", json_string("connleak.snapshot/v1"));
	json_part_set(&p, "time", json_part_time(ctx, m->now_ns));
	json_part_set(&p, "host", json_part_text(ctx->host));
	json_part_set(&p, "processes", json_integer(m->processes));
	json_part_set(&p, "connections", json_part_count(m->connections));
	json_part_set(&p, "lost", m->is_lost_measured ? json_part_count(m->lost) : json_null());
	json_part_set(&p, "drift", json_part_known(m->drift));
	json_part_set(&p, "unheld", json_part_known(m->unheld));
	json_part_set(&p, "repaired", json_part_count(m->repaired));
	json_part_set(&p, "adopted", json_part_count(m->adopted));
	json_part_set(&p, "ledger", top_ledger(m));
	for (uint32_t i = 0; i < m->n_peers; i++)
		if (json_array_append_new(peers, top_peer(&m->peers[i])))
			p.is_bad = true;
	for (uint32_t i = 0; i < m->n_rows; i++)
		if (json_array_append_new(rows, top_row(ctx, m->now_ns, &m->rows[i])))
			p.is_bad = true;
	json_part_set(&p, "peers", peers);
	json_part_set(&p, "rows", rows);
	return json_part_line(&p);
}

static json_t *doctor_check(const struct check *c)
{
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "code", json_part_text(c->code));
	json_part_set(&p, "name", json_part_text(c->name));
	json_part_set(&p, "status", json_string(check_status_name(c->status)));
	json_part_set(&p, "detail", json_part_text(c->detail));
	json_part_set(&p, "remedy", json_part_text(c->remedy));
	return json_part_end(&p);
}

char *json_doctor(const struct json_context *ctx, const struct doctor_report *r,
		  const char *version, int64_t now_wall_ns)
{
	json_t *checks = json_array();
	struct json_part p;
	char buf[32];

	json_part_begin(&p);
	json_part_set(&p, "schema", json_string("connleak.doctor/v1"));
	json_part_set(&p, "time", json_string(text_time(now_wall_ns, buf)));
	json_part_set(&p, "host", json_part_text(ctx->host));
	json_part_set(&p, "version", json_part_text(version));
	json_part_set(&p, "kernel", json_part_text(r->kernel));
	json_part_set(&p, "machine", json_part_text(r->machine));
	json_part_set(&p, "ready", json_boolean(r->is_ready));
	json_part_set(&p, "summary", json_part_text(r->summary));
	for (size_t i = 0; i < r->n_checks; i++)
		if (json_array_append_new(checks, doctor_check(&r->checks[i])))
			p.is_bad = true;
	json_part_set(&p, "checks", checks);
	return json_part_line(&p);
}
