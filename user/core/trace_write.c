/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace_fields.h"
#include "trace_text.h"

/* What every line of one snapshot is written with. */
struct writer {
	struct strbuf *sb;
	size_t line; /* where the line begins */
	int64_t zero_ns, wall_ns;
};

static void add(struct writer *w, const char *s)
{
	strbuf_add(w->sb, s, strlen(s));
}

/* Takes back what was added since @len. */
static void cut(struct strbuf *sb, size_t len)
{
	sb->len = len;
	if (sb->buf)
		sb->buf[len] = '\0';
}

static void add_number(struct writer *w, int64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do
		digits[--at] = (char)('0' + rest % 10);
	while (rest /= 10);
	if (v < 0)
		digits[--at] = '-';
	strbuf_add(w->sb, digits + at, sizeof(digits) - at);
}

/* Cleaned text has no other bytes that JSON escapes. */
static void add_text(struct writer *w, const char *s, size_t n)
{
	char clean[TRACE_MAX_STRING + 1];
	const char *at = clean;
	size_t len = trace_clean(clean, sizeof(clean), s, n);

	add(w, "\"");
	while (at < clean + len) {
		size_t run = strcspn(at, "\"\\");

		strbuf_add(w->sb, at, run);
		at += run;
		if (*at)
			strbuf_add(w->sb, *at == '"' ? "\\\"" : "\\\\", 2);
		at += *at != '\0';
	}
	add(w, "\"");
}

static void add_key(struct writer *w, const struct trace_field *f)
{
	const char last = w->sb->len ? w->sb->buf[w->sb->len - 1] : '{';

	add(w, last == '{' ? "\"" : ",\"");
	strbuf_add(w->sb, f->name, f->len);
	add(w, "\":");
}

/* a - b, at the ends of the range instead of beyond them */
static int64_t minus(int64_t a, int64_t b)
{
	int64_t v;

	if (__builtin_sub_overflow(a, b, &v))
		return a < b ? INT64_MIN : INT64_MAX;
	return v;
}

static int64_t plus(int64_t a, int64_t b)
{
	int64_t v;

	if (__builtin_add_overflow(a, b, &v))
		return b < 0 ? INT64_MIN : INT64_MAX;
	return v;
}

/* The number in memory. One that fits no int64_t is as large as one that just does. */
static int64_t number_at(const struct trace_field *f, const void *at)
{
	uint64_t v = 0;
	uint32_t small;

	if (f->size == sizeof(small)) {
		memcpy(&small, at, sizeof(small));
		return small;
	}
	memcpy(&v, at, sizeof(v));
	if (f->type == TT_COUNT || f->type == TT_ID || f->type == TT_REF)
		return v > INT64_MAX ? INT64_MAX : (int64_t)v;
	return (int64_t)v;
}

enum written { WRITTEN, IS_NULL, UNFIT };

/*
 * Counts and times beyond what a trace may hold stand at its ends: the lines around them are worth
 * more than a line that no reader takes.
 */
static enum written write_number(struct writer *w, const struct trace_field *f, const void *at)
{
	const struct trace_number *n = &trace_numbers[f->type];
	int64_t v = number_at(f, at);

	if (v == n->none || (f->type == TT_KNOWN && v < 0))
		return f->flags & TF_NULL ? IS_NULL : UNFIT;
	if (f->type == TT_TIME || f->type == TT_IO_TIME)
		v = minus(v, w->zero_ns);
	v = v < n->min ? n->min : v;
	v = v > n->max ? n->max : v;
	add_key(w, f);
	add_number(w, v);
	return WRITTEN;
}

static enum written write_word(struct writer *w, const struct trace_field *f, const void *at)
{
	unsigned int v = 0;

	/* of a bool's size, or an enum's */
	if (f->size == 1)
		v = *(const unsigned char *)at;
	else
		memcpy(&v, at, sizeof(v));
	if (v >= f->n_words)
		return UNFIT;
	if (!f->words[v][0])
		return IS_NULL;
	add_key(w, f);
	add(w, "\"");
	add(w, f->words[v]);
	add(w, "\"");
	return WRITTEN;
}

static enum written write_text(struct writer *w, const struct trace_field *f, const void *at)
{
	const char *s = at;
	size_t n = f->size;

	if (f->type == TT_TEXT) {
		memcpy(&s, at, sizeof(s));
		if (!s || !s[0])
			return IS_NULL;
		n = strnlen(s, 4 * TRACE_MAX_STRING);
	}
	add_key(w, f);
	add_text(w, s, strnlen(s, n));
	return WRITTEN;
}

static enum written write_endpoint(struct writer *w, const struct trace_field *f, const void *at)
{
	const struct endpoint *ep = at;
	char buf[ENDPOINT_STRLEN];

	if (!ep->family)
		return f->flags & TF_NULL ? IS_NULL : UNFIT;
	add_key(w, f);
	add(w, "\"");
	add(w, endpoint_format(ep, buf));
	add(w, "\"");
	return WRITTEN;
}

static enum written write_address(struct writer *w, const struct trace_field *f, const void *at)
{
	unsigned long long v;

	memcpy(&v, at, sizeof(v));
	if (!v)
		return IS_NULL;
	add_key(w, f);
	strbuf_printf(w->sb, "\"0x%llx\"", v);
	return WRITTEN;
}

static enum written write_pids(struct writer *w, const struct trace_field *f,
			       const struct event *ev)
{
	uint32_t n = ev->held.n, total = ev->held.total;

	if (n > EVENT_MAX_HELD || n > total || !n != !total)
		return UNFIT;
	add_key(w, f);
	add(w, "[");
	for (uint32_t i = 0; i < n; i++) {
		if (!ev->held.pids[i])
			return UNFIT;
		add(w, i ? "," : "");
		add_number(w, ev->held.pids[i]);
	}
	add(w, "]");
	return WRITTEN;
}

static enum written write_ports(struct writer *w, const struct trace_field *f,
				const uint16_t *ports, size_t n)
{
	add_key(w, f);
	add(w, "[");
	for (size_t i = 0; i < n && i < TRACE_MAX_PORTS; i++) {
		add(w, i ? "," : "");
		add_number(w, ports[i]);
	}
	add(w, "]");
	return WRITTEN;
}

static enum written write_fields(struct writer *w, const struct trace_table *t, const void *about);

/* The outermost frames give way where all would not fit into a line. */
static enum written write_frames(struct writer *w, const struct trace_field *f,
				 const struct site_info *s)
{
	const size_t room = w->line + TRACE_MAX_LINE - 8;

	if (!s->n_frames)
		return IS_NULL;
	add_key(w, f);
	add(w, "[");
	for (uint32_t i = 0; i < s->n_frames && i < SITE_MAX_FRAMES; i++) {
		size_t before = w->sb->len;

		add(w, i ? ",{" : "{");
		write_fields(w, trace_table_frame(), &s->frames[i]);
		add(w, "}");
		if (w->sb->len <= room)
			continue;
		cut(w->sb, before);
		break;
	}
	add(w, "]");
	return WRITTEN;
}

static enum written write_other(struct writer *w, const struct trace_field *f, const void *about)
{
	const void *at = (const char *)about + f->offset;
	char buf[TRACE_TIME_LEN];
	int64_t t_ns;

	switch ((enum trace_type)f->type) {
	case TT_BOOL:
		if (!*(const bool *)at)
			return IS_NULL;
		add_key(w, f);
		add(w, "true");
		return WRITTEN;
	case TT_WALL:
		memcpy(&t_ns, at, sizeof(t_ns));
		add_key(w, f);
		add(w, "\"");
		add(w, trace_time_format(plus(minus(t_ns, w->zero_ns), w->wall_ns), buf));
		add(w, "\"");
		return WRITTEN;
	case TT_WORD:
	case TT_ANY_WORD:
		return write_word(w, f, at);
	case TT_TEXT:
	case TT_CHARS:
		return write_text(w, f, at);
	case TT_ENDPOINT:
		return write_endpoint(w, f, at);
	case TT_ADDRESS:
		return write_address(w, f, at);
	case TT_PIDS:
		return write_pids(w, f, &((const struct trace_line *)about)->ev);
	case TT_FRAMES:
		return write_frames(w, f, &((const struct trace_line *)about)->site);
	case TT_PORTS:
		return write_ports(w, f, at, ((const struct trace_header *)about)->n_ports);
	case TT_EV:
		add_key(w, f);
		add(w, "\"");
		add(w, trace_kind_name(((const struct trace_line *)about)->ev.kind));
		add(w, "\"");
		return WRITTEN;
	case TT_SCHEMA:
		add_key(w, f);
		add(w, "\"" TRACE_SCHEMA "\"");
		return WRITTEN;
	default:
		return UNFIT;
	}
}

/* What @t is about as the members of an object. UNFIT: a required field has no value. */
static enum written write_fields(struct writer *w, const struct trace_table *t, const void *about)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct trace_field *f = &t->fields[i];
		enum written is = trace_is_number(f->type)
					  ? write_number(w, f, (const char *)about + f->offset)
					  : write_other(w, f, about);

		if (is == UNFIT)
			return UNFIT;
		if (is == IS_NULL && !(f->flags & TF_OMIT)) {
			add_key(w, f);
			add(w, "null");
		}
	}
	return WRITTEN;
}

/* A whole line, or nothing of it. */
static enum written write_line(struct writer *w, const struct trace_table *t, const void *about)
{
	enum written is;

	w->line = w->sb->len;
	add(w, "{");
	is = write_fields(w, t, about);
	if (is == WRITTEN)
		add(w, "}\n");
	else
		cut(w->sb, w->line);
	return is;
}

static int finish(struct strbuf *sb, size_t len)
{
	if (sb->err)
		cut(sb, len);
	return sb->err;
}

int trace_write_header(struct strbuf *sb, const struct trace_header *h)
{
	struct writer w = {.sb = sb};
	size_t len = sb->len;

	write_line(&w, trace_table_header(), h);
	return finish(sb, len);
}

/* A byte that moved later than the line is written is one jiffy later at most. */
static int64_t not_after(int64_t io_ns, int64_t t_ns)
{
	int64_t max_ns = plus(t_ns, TRACE_JIFFY_NS);

	return io_ns > max_ns ? max_ns : io_ns;
}

/* Returns false: there is no such line. */
static bool make_line(const struct event *ev, int64_t t_ns, struct trace_line *ret)
{
	if (ev->kind >= EV_END || (ev->kind == EV_HOLDER && !ev->info) ||
	    (ev->kind == EV_SITE && !ev->site_info))
		return false;
	ret->ev = *ev;
	ret->ev.t_ns = t_ns;
	if (ev->kind == EV_HOLDER)
		ret->info = *ev->info;
	if (ev->kind == EV_SITE)
		ret->site = *ev->site_info;
	if (ev->kind == EV_IO) {
		ret->ev.io.tx_ns = not_after(ev->io.tx_ns, t_ns);
		ret->ev.io.rx_ns = not_after(ev->io.rx_ns, t_ns);
	}
	return true;
}

int trace_write_snapshot(struct strbuf *sb, const struct snapshot *s, int64_t zero_ns,
			 int64_t wall_ns, int64_t *last_ns)
{
	struct writer w = {.sb = sb, .zero_ns = zero_ns, .wall_ns = wall_ns};
	struct trace_line line = {.drift = s->drift, .unheld = s->unheld, .repaired = -1};
	int64_t t_ns = *last_ns > zero_ns ? *last_ns : zero_ns;
	size_t len = sb->len;
	int err;

	if (s->drift >= 0 || s->repaired)
		line.repaired = (int64_t)s->repaired;
	for (size_t i = 0; i < s->n_events; i++) {
		if (s->events[i].t_ns > t_ns)
			t_ns = s->events[i].t_ns;
		if (make_line(&s->events[i], t_ns, &line))
			write_line(&w, trace_table_event(line.ev.kind), &line);
	}
	err = finish(sb, len);
	if (!err)
		*last_ns = t_ns;
	return err;
}

int trace_write_end(struct strbuf *sb, int64_t t_ns, int64_t zero_ns, int64_t last_ns)
{
	struct writer w = {.sb = sb, .zero_ns = zero_ns};
	struct trace_line line = {.ev.kind = EV_END};
	size_t len = sb->len;

	line.ev.t_ns = t_ns > last_ns ? t_ns : last_ns;
	write_line(&w, trace_table_event(EV_END), &line);
	return finish(sb, len);
}
