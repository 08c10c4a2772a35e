/* SPDX-License-Identifier: Apache-2.0 */
#include "json_part.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Digits that a double can lose without changing what was rounded: 7.6 prints as 7.6. */
#define REAL_DIGITS 14

void json_part_begin(struct json_part *p)
{
	p->object = json_object();
	p->is_bad = !p->object;
}

void json_part_set(struct json_part *p, const char *key, json_t *value)
{
	if (json_object_set_new(p->object, key, value))
		p->is_bad = true;
}

json_t *json_part_end(struct json_part *p)
{
	if (!p->is_bad)
		return p->object;
	json_decref(p->object);
	return NULL;
}

char *json_part_line(struct json_part *p)
{
	json_t *object = json_part_end(p);
	char *line = NULL;

	if (object)
		line = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER |
						  JSON_REAL_PRECISION(REAL_DIGITS));
	json_decref(object);
	return line;
}

json_t *json_part_text(const char *s)
{
	json_t *value;
	char *clean;

	if (!s || !s[0])
		return json_null();
	value = json_string(s);
	if (value)
		return value;
	/* No memory, or no UTF-8: the collector should have cleaned it. */
	clean = text_clean_dup(s, strlen(s));
	value = clean ? json_string(clean) : NULL;
	free(clean);
	return value;
}

json_t *json_part_count(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *json_part_known(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

json_t *json_part_real(double v)
{
	/* Beyond 1e9 a third digit after the point is noise. */
	if (!isfinite(v))
		return json_null();
	return json_real(fabs(v) < 1e9 ? round(v * 1000) / 1000 : round(v));
}

json_t *json_part_seconds(double s)
{
	return json_part_real(s);
}

json_t *json_part_whole(double s)
{
	return isfinite(s) && fabs(s) < 1e15 ? json_integer((json_int_t)round(s)) : json_null();
}

json_t *json_part_rate(double v)
{
	double unit;

	if (!isfinite(v))
		return json_null();
	if (fabs(v) < 1e-9)
		return json_real(0);
	/* Dividing by a power of ten that is a whole number keeps 0.46 the double next to 0.46. */
	unit = pow(10, 2 - floor(log10(fabs(v))));
	if (unit >= 1)
		return json_real(round(v * unit) / unit);
	return json_real(round(v));
}

json_t *json_part_chance(double p)
{
	double unit;

	if (!isfinite(p))
		return json_null();
	if (p <= 0 || p >= 1e-6)
		return json_part_rate(p);
	unit = pow(10, floor(log10(p)) - 2);
	return json_real(round(p / unit) * unit);
}

json_t *json_part_time(const struct json_context *ctx, int64_t t_ns)
{
	char buf[32];

	if (t_ns == T_NEVER)
		return json_null();
	return json_string(text_time(t_ns + ctx->wall_offset_ns, buf));
}

json_t *json_part_endpoint(const struct endpoint *ep)
{
	char buf[ENDPOINT_STRLEN];

	return ep->family ? json_string(endpoint_format(ep, buf)) : json_null();
}

json_t *json_part_holder(const struct json_context *ctx, const struct holder_info *h)
{
	struct json_part p;

	if (!h)
		return json_null();
	json_part_begin(&p);
	json_part_set(&p, "pid", json_integer(h->pid));
	json_part_set(&p, "start_time", json_part_time(ctx, h->start_ns));
	json_part_set(&p, "comm", json_part_text(h->comm));
	json_part_set(&p, "exe", json_part_text(h->exe));
	json_part_set(&p, "build_id", json_part_text(h->build_id));
	json_part_set(&p, "uid", json_part_known(h->uid));
	json_part_set(&p, "cgroup", json_part_text(h->cgroup));
	json_part_set(&p, "container", json_part_text(h->container));
	json_part_set(&p, "container_name", json_part_text(h->container_name));
	json_part_set(&p, "namespace", json_part_text(h->namespace));
	json_part_set(&p, "pod", json_part_text(h->pod));
	json_part_set(&p, "workload", json_part_text(h->workload));
	json_part_set(&p, "unit", json_part_text(h->unit));
	json_part_set(&p, "version", json_part_text(h->version));
	json_part_set(&p, "script", json_part_text(h->script));
	return json_part_end(&p);
}

static json_t *via_part(uint32_t pid, const char *comm)
{
	struct json_part p;

	if (!pid)
		return json_null();
	json_part_begin(&p);
	json_part_set(&p, "pid", json_integer(pid));
	json_part_set(&p, "comm", json_part_text(comm));
	return json_part_end(&p);
}

json_t *json_part_peer(const struct endpoint *ep, uint32_t via_pid, const char *via_comm)
{
	char buf[ENDPOINT_STRLEN];
	struct json_part p;

	if (!ep->family)
		return json_null();
	json_part_begin(&p);
	json_part_set(&p, "address", json_string(endpoint_address(ep, buf)));
	json_part_set(&p, "port", json_integer(ep->port));
	json_part_set(&p, "via", via_part(via_pid, via_comm));
	return json_part_end(&p);
}

json_t *json_part_site_id(uint64_t key)
{
	char buf[17];

	if (!key)
		return json_null();
	snprintf(buf, sizeof(buf), "%016" PRIx64, key);
	return json_string(buf);
}

static json_t *address_part(uint64_t address)
{
	char buf[19];

	if (!address)
		return json_null();
	snprintf(buf, sizeof(buf), "0x%" PRIx64, address);
	return json_string(buf);
}

static json_t *frame_part(const struct site_frame *f)
{
	struct json_part p;

	json_part_begin(&p);
	json_part_set(&p, "function", json_part_text(f->function));
	json_part_set(&p, "file", json_part_text(f->file));
	json_part_set(&p, "line", f->line ? json_integer(f->line) : json_null());
	json_part_set(&p, "module", json_part_text(f->module));
	json_part_set(&p, "address", address_part(f->address));
	return json_part_end(&p);
}

json_t *json_part_site(const struct json_site *s)
{
	uint32_t n = s->info ? s->info->n_frames : 0;
	json_t *frames = json_array();
	struct json_part p;

	if (!s->key) {
		json_decref(frames);
		return json_null();
	}
	json_part_begin(&p);
	json_part_set(&p, "id", json_part_site_id(s->key));
	json_part_set(&p, "role",
		      json_string(s->role == SITE_OPENED_BY ? "opened_by" : "first_used_by"));
	json_part_set(&p, "opened", json_part_known(s->opened));
	json_part_set(&p, "closed", json_part_known(s->closed));
	json_part_set(&p, "open", json_part_known(s->open));
	json_part_set(&p, "idle", json_part_known(s->idle));
	json_part_set(&p, "thread", json_part_text(s->info ? s->info->thread : NULL));
	for (uint32_t i = 0; i < n && i < SITE_MAX_FRAMES; i++)
		if (json_array_append_new(frames, frame_part(&s->info->frames[i])))
			p.is_bad = true;
	json_part_set(&p, "frames", frames);
	return json_part_end(&p);
}

static const char *source_name(enum budget_source s)
{
	switch (s) {
	case BUDGET_POSTGRESQL:
		return "postgresql";
	case BUDGET_PGBOUNCER:
		return "pgbouncer";
	case BUDGET_FLAG:
		break;
	}
	return "flag";
}

json_t *json_part_budget(const struct json_budget *b)
{
	struct json_part p;

	if (b->limit <= 0)
		return json_null();
	json_part_begin(&p);
	json_part_set(&p, "scope", json_string(b->scope == SCOPE_SERVER ? "server" : "node"));
	json_part_set(&p, "limit", json_integer(b->limit));
	json_part_set(&p, "used", json_part_known(b->used));
	json_part_set(&p, "source", json_string(source_name(b->source)));
	json_part_set(&p, "exhausted_in_s", json_part_whole(b->exhausted_in_s));
	json_part_set(&p, "exhausted_in_low_s", json_part_whole(b->low_s));
	json_part_set(&p, "exhausted_in_high_s", json_part_whole(b->high_s));
	return json_part_end(&p);
}
