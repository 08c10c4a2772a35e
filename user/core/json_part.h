/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_part.h - the shapes that connleak's JSON objects share, as jansson values
 *
 * Every function returns a new reference, or NULL without memory. An object is built with
 * json_part_set(), which takes any value, a failed one included, and remembers the failure, so
 * that a builder checks once, at json_part_end().
 */
#ifndef CONNLEAK_JSON_PART_H
#define CONNLEAK_JSON_PART_H

#include <jansson.h>

#include "finding.h"
#include "json_out.h"

struct json_part {
	json_t *object;
	bool is_bad;
};

void json_part_begin(struct json_part *p);
/* Takes over @value; NULL marks the object as failed. */
void json_part_set(struct json_part *p, const char *key, json_t *value);
/* The object, or NULL if anything failed. */
json_t *json_part_end(struct json_part *p);
/* As json_part_end(), as one line that the caller frees. */
char *json_part_line(struct json_part *p);

/* null for NULL and for "" */
json_t *json_part_text(const char *s);
json_t *json_part_count(uint64_t n);
/* null for negative numbers */
json_t *json_part_known(int64_t n);
/* Rounded to milliseconds; null for what is not finite. */
json_t *json_part_seconds(double s);
/* Whole seconds, for estimates. */
json_t *json_part_whole(double s);
/* Three significant digits; null for what is not finite. */
json_t *json_part_rate(double v);
/* A probability, however small; null for what is not finite. */
json_t *json_part_chance(double p);
/* Three digits after the point; null for what is not finite. */
json_t *json_part_real(double v);
/* RFC 3339; null for T_NEVER. */
json_t *json_part_time(const struct json_context *ctx, int64_t t_ns);
json_t *json_part_endpoint(const struct endpoint *ep);

/* null for NULL */
json_t *json_part_holder(const struct json_context *ctx, const struct holder_info *h);
/* {"address","port","via"}; null for an unset one. @via_pid 0: ends in no process known here. */
json_t *json_part_peer(const struct endpoint *ep, uint32_t via_pid, const char *via_comm);

/* A call site's id, 16 hex digits of its key; null for 0. */
json_t *json_part_site_id(uint64_t key);

struct json_site {
	uint64_t key;
	enum site_role role;
	int64_t opened, closed, open, idle; /* -1: not counted */
	const struct site_info *info;	    /* NULL: nothing is known of it */
};

/* null for key 0 */
json_t *json_part_site(const struct json_site *s);

struct json_budget {
	enum budget_scope scope;
	enum budget_source source;
	int64_t limit, used; /* 0 or -1: not known */
	double exhausted_in_s, low_s, high_s;
};

/* null when the limit is not known */
json_t *json_part_budget(const struct json_budget *b);

#endif
