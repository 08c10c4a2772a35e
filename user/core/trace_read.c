/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_read.c - lines to events
 *
 * What a line says is taken apart along tables (trace_scan.c); what refers to earlier lines is
 * trace_check.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "trace_check.h"
#include "trace_scan.h"
#include "trace_text.h"

struct trace_reader {
	struct trace_header header;
	bool has_header;
	struct trace_reader_state state;
	struct trace_check check;
	/* The last line's; info and site own their strings until the next one. */
	struct trace_line line;
	bool has_texts;
	struct trace_scratch scratch;
};

struct trace_reader *trace_reader_new(void)
{
	struct trace_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->state.drift = r->state.unheld = -1;
	trace_check_init(&r->check);
	return r;
}

/* What the event handed out last has borrowed. */
static void release_texts(struct trace_reader *r)
{
	if (!r->has_texts)
		return;
	holder_info_release(&r->line.info);
	site_info_release(&r->line.site);
	r->has_texts = false;
}

void trace_reader_free(struct trace_reader *r)
{
	if (!r)
		return;
	release_texts(r);
	trace_check_release(&r->check);
	free(r);
}

const struct trace_header *trace_reader_header(const struct trace_reader *r)
{
	return r->has_header ? &r->header : NULL;
}

void trace_reader_state(const struct trace_reader *r, struct trace_reader_state *ret)
{
	*ret = r->state;
	ret->has_end = r->check.has_end;
}

/*
 * Goes through an object to its field @name, a string, which is decoded into r->scratch.text;
 * @ret_at is where it begins. 1: found; 0: there is none; -EINVAL.
 */
static int find_string(struct trace_reader *r, struct jsonscan *js, const char *name,
		       const char **ret_at)
{
	char *text = r->scratch.text, key[JSONSCAN_KEY];
	size_t len;
	int more;

	if (jsonscan_object(js))
		return -EINVAL;
	while ((more = jsonscan_key(js, key)) > 0) {
		*ret_at = jsonscan_here(js);
		if (!strcmp(key, name))
			return jsonscan_string(js, text, TRACE_MAX_STRING + 1, &len) ? -EINVAL : 1;
		if (jsonscan_skip(js))
			return -EINVAL;
	}
	return more;
}

/* --- lines --- */

/* The failure noted in @js as @ret; returns @err. */
static int refuse(const struct trace_reader *r, const struct jsonscan *js, int err,
		  struct parse_err *ret)
{
	if (err == -ENOMEM)
		*ret = (struct parse_err){.msg = "no memory"};
	else
		jsonscan_error(js, ret);
	ret->line = r->state.lines;
	return err;
}

static int read_header(struct trace_reader *r, struct jsonscan *js, struct parse_err *ret)
{
	struct trace_header header = {0};
	struct trace_scan s = {
		.scratch = &r->scratch, .js = js, .table = trace_table_header(), .about = &header};
	struct jsonscan whole = *js;
	const char *at = js->start;
	int err;

	if (find_string(r, js, "schema", &at) <= 0) {
		jsonscan_fail(js, js->start, "the header of a recording, \"" TRACE_SCHEMA "\"");
		return refuse(r, js, -EPROTONOSUPPORT, ret);
	}
	if (strcmp(r->scratch.text, TRACE_SCHEMA)) {
		jsonscan_fail(js, at, "the version \"" TRACE_SCHEMA "\"");
		return refuse(r, js, -EPROTONOSUPPORT, ret);
	}
	*js = whole;
	err = trace_scan_object(&s);
	if (!err)
		err = jsonscan_end(js);
	if (err)
		return refuse(r, js, err == -EINVAL ? -EBADMSG : err, ret);
	r->header = header;
	r->scratch.wall_ns = header.wall_ns;
	r->has_header = true;
	return 0;
}

/* What a recording of another's making may leave to us. 0 or -ENOMEM. */
static int complete_holder(struct holder_info *h)
{
	if (h->pod && !h->workload) {
		h->workload = identity_workload(h->pod);
		if (!h->workload)
			return -ENOMEM;
	}
	return h->group ? 0 : identity_group(h);
}

/* Is what the line says possible after what came before? Notes it in the scanner if not. */
static int check_line(struct trace_reader *r, struct trace_scan *s, enum event_kind kind)
{
	struct trace_complaint complaint = {0};
	uint32_t i;
	int err;

	if (kind == EV_MAX)
		err = trace_check_time(&r->check, r->line.ev.t_ns, &complaint);
	else
		err = trace_check_event(&r->check, &r->line.ev, &complaint);
	if (err != -EBADMSG)
		return err;
	i = trace_find_field(s->table, complaint.field);
	jsonscan_fail(s->js, s->at[i], complaint.want);
	return trace_scan_in_field(s, i);
}

/* The first unknown `ev`, which the scanner has passed over without a failure. */
static void note_unknown(struct trace_reader *r, const struct trace_scan *s, uint32_t ev_field)
{
	char *text = r->scratch.text;
	struct jsonscan again = *s->js;
	size_t len = 0;

	if (r->state.n_unknown++)
		return;
	again.p = s->at[ev_field];
	if (!jsonscan_string(&again, text, sizeof(r->scratch.text), &len))
		trace_clean(r->state.unknown_ev, sizeof(r->state.unknown_ev), text, len);
}

static void note_tick(struct trace_reader *r)
{
	r->state.drift = r->line.drift;
	r->state.unheld = r->line.unheld;
	r->state.repaired = r->line.repaired > 0 ? (uint64_t)r->line.repaired : 0;
}

static int read_event(struct trace_reader *r, struct jsonscan *js, struct event *ret)
{
	struct trace_scan s = {.scratch = &r->scratch, .js = js, .about = &r->line};
	struct event *ev = &r->line.ev;
	int err;

	*ev = (struct event){.kind = EV_MAX};
	err = trace_scan_event(&s);
	r->has_texts = ev->kind == EV_HOLDER || ev->kind == EV_SITE;
	if (!err)
		err = jsonscan_end(js);
	if (!err && ev->kind == EV_HOLDER)
		err = complete_holder(&r->line.info);
	if (ev->kind == EV_HOLDER)
		ev->info = &r->line.info;
	if (ev->kind == EV_SITE)
		ev->site_info = &r->line.site;
	if (!err)
		err = check_line(r, &s, ev->kind);
	if (err)
		return err;
	if (ev->kind == EV_MAX) {
		note_unknown(r, &s, trace_find_field(s.table, "ev"));
		return 0;
	}
	if (ev->kind == EV_TICK)
		note_tick(r);
	*ret = *ev;
	return 1;
}

/* Two recordings, one behind the other: the times and ids of the second begin anew. */
static bool is_second_header(const char *line, size_t len)
{
	static const char begins[] = "{\"schema\":";

	return len >= sizeof(begins) - 1 && !memcmp(line, begins, sizeof(begins) - 1);
}

int trace_read(struct trace_reader *r, const char *line, size_t len, struct event *ret,
	       struct parse_err *err)
{
	struct jsonscan js;
	int n;

	r->state.lines++;
	release_texts(r);
	jsonscan_init(&js, line, len);
	if (len > TRACE_MAX_LINE) {
		*err = (struct parse_err){.line = r->state.lines};
		snprintf(err->msg, sizeof(err->msg),
			 "expected a line of %d bytes at most, found %zu", TRACE_MAX_LINE, len);
		return -EBADMSG;
	}
	if (jsonscan_here(&js) == js.end)
		return 0;
	if (!r->has_header)
		return read_header(r, &js, err);
	n = read_event(r, &js, ret);
	if (n == -EINVAL && is_second_header(line, len))
		jsonscan_fail(&js, js.start, "an event, as one file holds one recording");
	return n < 0 ? refuse(r, &js, n == -EINVAL ? -EBADMSG : n, err) : n;
}
