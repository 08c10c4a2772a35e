/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_text.h"

/* of t_ns and ev, the first fields of every event's table */
#define SEEN_EV 2u

/* --- values --- */

/* A string, cleaned, in the scratch's `clean`. */
static int read_clean(struct trace_scan *s, size_t *ret_len)
{
	struct trace_scratch *r = s->scratch;
	const char *at = jsonscan_here(s->js);
	size_t len;
	int err = jsonscan_string(s->js, r->text, sizeof(r->text), &len);

	if (!err) {
		len = trace_clean(r->clean, sizeof(r->clean), r->text, len);
		if (len > TRACE_MAX_STRING)
			err = -E2BIG;
	}
	if (err == -E2BIG)
		return jsonscan_fail(s->js, at, "a string of 4096 bytes at most, cleaned");
	*ret_len = len;
	return err;
}

static void store(const struct trace_field *f, void *at, int64_t v)
{
	uint32_t small = (uint32_t)v;

	if (f->size == sizeof(small))
		memcpy(at, &small, sizeof(small));
	else
		memcpy(at, &v, sizeof(v));
}

static int read_number(struct trace_scan *s, const struct trace_field *f, void *at)
{
	const struct trace_number *n = &trace_numbers[f->type];
	const char *here = jsonscan_here(s->js);
	int64_t v;
	int err = jsonscan_int(s->js, &v);

	if (err)
		return err;
	if (v < n->min || v > n->max)
		return jsonscan_fail(s->js, here, n->want);
	store(f, at, v);
	return 0;
}

/* Notes that none of the field's words stands at @at. */
static int no_such_word(struct trace_scan *s, const struct trace_field *f, const char *at)
{
	char *want = s->scratch->want;
	size_t size = sizeof(s->scratch->want), n = 0;

	for (uint32_t i = 0; i < f->n_words && n < size; i++)
		if (f->words[i][0])
			n += (size_t)snprintf(want + n, size - n, "%s%s", n ? " | " : "",
					      f->words[i]);
	return jsonscan_fail(s->js, at, want);
}

static int read_word(struct trace_scan *s, const struct trace_field *f, void *at)
{
	const char *here = jsonscan_here(s->js);
	unsigned int v = 0;
	size_t len;
	int err = jsonscan_string(s->js, s->scratch->text, sizeof(s->scratch->text), &len);

	if (err)
		return -EINVAL;
	while (v < f->n_words && strcmp(f->words[v], s->scratch->text))
		v++;
	if (v == f->n_words && f->type == TT_ANY_WORD)
		v = 0;
	if (v == f->n_words || !f->words[v][0])
		return no_such_word(s, f, here);
	if (f->size == 1)
		*(unsigned char *)at = (unsigned char)v;
	else
		memcpy(at, &v, sizeof(v));
	return 0;
}

static int read_wall(struct trace_scan *s, void *at)
{
	const char *here = jsonscan_here(s->js);
	int64_t wall_ns;
	size_t len;

	if (jsonscan_string(s->js, s->scratch->text, sizeof(s->scratch->text), &len))
		return -EINVAL;
	if (trace_time_parse(s->scratch->text, &wall_ns))
		return jsonscan_fail(s->js, here, "a time like \"2026-02-08T13:30:00.000Z\"");
	wall_ns -= s->scratch->wall_ns;
	memcpy(at, &wall_ns, sizeof(wall_ns));
	return 0;
}

static int read_text(struct trace_scan *s, char **at)
{
	size_t len;
	int err = read_clean(s, &len);

	if (err)
		return err;
	*at = len ? strndup(s->scratch->clean, len) : NULL;
	return len && !*at ? -ENOMEM : 0;
}

/* Cut where it is longer than the array. */
static int read_chars(struct trace_scan *s, const struct trace_field *f, char *at)
{
	size_t len;
	int err = read_clean(s, &len);

	if (!err)
		trace_clean(at, f->size, s->scratch->clean, len);
	return err;
}

static int read_endpoint(struct trace_scan *s, void *at)
{
	const char *here = jsonscan_here(s->js);
	struct endpoint ep;
	size_t len;

	if (jsonscan_string(s->js, s->scratch->text, sizeof(s->scratch->text), &len))
		return -EINVAL;
	if (endpoint_parse(s->scratch->text, &ep))
		return jsonscan_fail(s->js, here, "\"address:port\", IPv6 in brackets");
	memcpy(at, &ep, sizeof(ep));
	return 0;
}

static int read_address(struct trace_scan *s, void *at)
{
	const char *here = jsonscan_here(s->js);
	const char *text = s->scratch->text;
	uint64_t v;
	size_t len;
	char *end;

	if (jsonscan_string(s->js, s->scratch->text, sizeof(s->scratch->text), &len))
		return -EINVAL;
	len = strspn(text[0] == '0' && text[1] == 'x' ? text + 2 : "", "0123456789abcdefABCDEF");
	v = strtoull(text, &end, 16);
	if (!len || len > 16 || *end)
		return jsonscan_fail(s->js, here, "an address like \"0x4a3f10\"");
	memcpy(at, &v, sizeof(v));
	return 0;
}

/* Into an array of @max numbers of 16 or 32 bits. */
static int read_list(struct trace_scan *s, void *list, size_t size, size_t max, size_t *ret_n)
{
	const int64_t limit = size == sizeof(uint16_t) ? UINT16_MAX : UINT32_MAX;
	size_t n = 0;
	int err = jsonscan_array(s->js), more;

	if (err)
		return err;
	while ((more = jsonscan_element(s->js)) > 0) {
		const char *here = jsonscan_here(s->js);
		int64_t v;

		if (jsonscan_int(s->js, &v))
			return -EINVAL;
		if (v < 1 || v > limit)
			return jsonscan_fail(s->js, here, limit == UINT16_MAX ? "a port" : "a pid");
		if (n == max)
			return jsonscan_fail(s->js, here, "the end of a list as long as it may be");
		if (size == sizeof(uint16_t))
			((uint16_t *)list)[n++] = (uint16_t)v;
		else
			((uint32_t *)list)[n++] = (uint32_t)v;
	}
	*ret_n = n;
	return more;
}

static int read_pids(struct trace_scan *s, struct event *ev)
{
	size_t n = 0;
	int err = read_list(s, ev->held.pids, sizeof(uint32_t), EVENT_MAX_HELD, &n);

	ev->held.n = (uint32_t)n;
	return err;
}

/* Beyond SITE_MAX_FRAMES they are passed over: the innermost come first. */
static int read_frames(struct trace_scan *s, struct site_info *site)
{
	struct trace_scan frame = {
		.scratch = s->scratch, .js = s->js, .table = trace_table_frame()};
	int err = jsonscan_array(s->js), more;

	if (!err)
		site->frames = calloc(SITE_MAX_FRAMES, sizeof(*site->frames));
	if (!err && !site->frames)
		err = -ENOMEM;
	if (err)
		return err;
	while ((more = jsonscan_element(s->js)) > 0) {
		if (site->n_frames < SITE_MAX_FRAMES) {
			frame.about = &site->frames[site->n_frames++];
			frame.seen = 0;
			err = trace_scan_object(&frame);
		} else {
			err = jsonscan_skip(s->js);
		}
		if (err)
			return err;
	}
	return more;
}

/* From now on the table is the kind's own: its first fields are those that were read by now. */
static int read_ev(struct trace_scan *s, struct event *ev)
{
	size_t len;

	if (jsonscan_string(s->js, s->scratch->text, sizeof(s->scratch->text), &len))
		return -EINVAL;
	ev->kind = trace_kind(s->scratch->text, len);
	s->table = trace_table_event(ev->kind);
	return 0;
}

static int read_other(struct trace_scan *s, const struct trace_field *f, void *at)
{
	switch ((enum trace_type)f->type) {
	case TT_BOOL:
		return jsonscan_bool(s->js, at);
	case TT_WORD:
	case TT_ANY_WORD:
		return read_word(s, f, at);
	case TT_WALL:
		return read_wall(s, at);
	case TT_TEXT:
		return read_text(s, at);
	case TT_CHARS:
		return read_chars(s, f, at);
	case TT_ENDPOINT:
		return read_endpoint(s, at);
	case TT_ADDRESS:
		return read_address(s, at);
	case TT_PIDS:
		return read_pids(s, &((struct trace_line *)s->about)->ev);
	case TT_FRAMES:
		return read_frames(s, &((struct trace_line *)s->about)->site);
	case TT_PORTS:
		return read_list(s, at, sizeof(uint16_t), TRACE_MAX_PORTS,
				 &((struct trace_header *)s->about)->n_ports);
	case TT_EV:
		return read_ev(s, &((struct trace_line *)s->about)->ev);
	default:
		/* TT_SCHEMA was looked at before */
		return jsonscan_skip(s->js);
	}
}

/* --- objects --- */

int trace_scan_in_field(struct trace_scan *s, uint32_t i)
{
	char want[sizeof(s->scratch->want)];

	snprintf(want, sizeof(want), "%.88s in \"%s\"", s->js->want, s->table->fields[i].name);
	memcpy(s->scratch->want, want, sizeof(want));
	s->js->want = s->scratch->want;
	return -EINVAL;
}

static int scan_value(struct trace_scan *s, uint32_t i)
{
	const struct trace_field *f = &s->table->fields[i];
	void *at = (char *)s->about + f->offset;
	bool is_again = s->seen >> i & 1;
	int err;

	s->at[i] = jsonscan_here(s->js);
	s->seen |= 1u << i;
	if (is_again) {
		jsonscan_fail(s->js, s->at[i], "no second value");
		return trace_scan_in_field(s, i);
	}
	if (f->flags & TF_NULL && s->at[i] < s->js->end && *s->at[i] == 'n' &&
	    jsonscan_null(s->js)) {
		if (trace_is_number(f->type))
			store(f, at, trace_numbers[f->type].none);
		return 0;
	}
	err = trace_is_number(f->type) ? read_number(s, f, at) : read_other(s, f, at);
	return err == -EINVAL ? trace_scan_in_field(s, i) : err;
}

/* What is not in the line is what null would be, which is all zeroes but for some numbers. */
static int fill_absent(struct trace_scan *s)
{
	if (s->seen == (uint32_t)((1ULL << s->table->n) - 1))
		return 0;
	for (uint32_t i = 0; i < s->table->n; i++) {
		const struct trace_field *f = &s->table->fields[i];

		if (s->seen >> i & 1)
			continue;
		if (f->flags & TF_REQUIRED) {
			snprintf(s->scratch->want, sizeof(s->scratch->want), "the field \"%s\"",
				 f->name);
			return jsonscan_fail(s->js, s->js->p - 1, s->scratch->want);
		}
		if (trace_is_number(f->type))
			store(f, (char *)s->about + f->offset, trace_numbers[f->type].none);
	}
	return 0;
}

uint32_t trace_find_field(const struct trace_table *t, const char *name)
{
	uint32_t i = 0;

	while (i < t->n && strcmp(t->fields[i].name, name))
		i++;
	return i;
}

/* The field that comes next: 1, with its number, table->n for one that is not in the table. */
static int next_field(struct trace_scan *s, uint32_t expected, uint32_t *ret)
{
	const struct trace_table *t = s->table;
	char key[JSONSCAN_KEY];
	int more = 1;

	*ret = expected;
	if (expected < t->n &&
	    jsonscan_is_key(s->js, t->fields[expected].name, t->fields[expected].len))
		return 1;
	more = jsonscan_key(s->js, key);
	if (more > 0)
		*ret = trace_find_field(t, key);
	return more;
}

/*
 * Every field of an object; none of them need be there. Returns 1 as soon as `ev` explains what was
 * passed over before it: to be gone through again.
 */
static int scan_fields(struct trace_scan *s)
{
	const struct trace_table *any_kind = trace_table_event(EV_MAX);
	uint32_t i, expected = 0;
	int err = jsonscan_object(s->js), more;

	while (!err && (more = next_field(s, expected, &i)) != 0) {
		if (more < 0)
			return more;
		if (i < s->table->n) {
			err = scan_value(s, i);
			expected = i + 1;
		} else {
			err = jsonscan_skip(s->js);
			s->is_early |= s->table == any_kind && !(s->seen & SEEN_EV);
		}
		if (!err && s->is_early && s->table != any_kind)
			return 1;
	}
	return err;
}

int trace_scan_object(struct trace_scan *s)
{
	int err = scan_fields(s);

	return err ? err : fill_absent(s);
}

int trace_scan_event(struct trace_scan *s)
{
	const struct jsonscan whole = *s->js;
	int err;

	s->table = trace_table_event(EV_MAX);
	err = scan_fields(s);
	if (err == 1) {
		*s->js = whole;
		s->seen = 0;
		s->is_early = false;
		err = scan_fields(s);
	}
	return err ? err : fill_absent(s);
}
