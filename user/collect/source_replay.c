/* SPDX-License-Identifier: Apache-2.0 */
#include "source_replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/text.h"
#include "trace_input.h"

/* 350,000 adopted connections of three events each in one tick; 120 MB. */
#define SNAPSHOT_MAX_EVENTS (1u << 20)
/* Of lines of holders and sites, whose copies in memory are up to 4 times as large. */
#define SNAPSHOT_MAX_TEXT (32u << 20)
#define GRID_MAX_GAP	  10000000 /* ticks: all of 2^53 ns at a tick a second */
#define SAY_SIZE	  sizeof(((struct replay_report *)0)->error)

struct replay {
	struct trace_input *in;
	struct trace_reader *reader;
	struct replay_options o;
	int64_t wall_ns, interval_ns;
	bool is_grid;
	int64_t grid_ns; /* of the next tick, with a grid */
	int64_t last_ns; /* of the last line */
	/* Read, but in no snapshot yet; what it points to is the reader's. */
	struct event pending;
	size_t pending_len; /* of its line, in bytes */
	bool has_pending;
	int failed;	/* the negative errno next() failed with; it stays */
	char name[256]; /* of the file, cleaned */
	struct replay_report report;
	bool is_damage_told; /* and counted, with is_skip_bad */
};

/* --- what is refused --- */

/* "FILE:LINE: @what", into one of the report's texts. */
static void say(const struct replay *r, char to[static SAY_SIZE], const char *what)
{
	snprintf(to, SAY_SIZE, "%s:%" PRIu64 ": %s", r->name, trace_input_line_no(r->in), what);
}

static int fail(struct replay *r, int err)
{
	char what[128];

	snprintf(what, sizeof(what), "cannot read on: %s",
		 err == -ENOMEM ? "out of memory" : strerror(-err));
	say(r, r->report.error, what);
	return r->failed = err;
}

static int refuse(struct replay *r, const char *what)
{
	say(r, r->report.error, what);
	return r->failed = -EBADMSG;
}

/* A line that is corrupt: refused, or counted. */
static int refuse_line(struct replay *r, const char *what)
{
	if (!r->o.is_skip_bad)
		return refuse(r, what);
	if (!r->report.n_skipped++)
		say(r, r->report.first_bad, what);
	return 0;
}

/* The file's end, which may not be the trace's. */
static int at_end(struct replay *r)
{
	struct trace_reader_state state;

	trace_reader_state(r->reader, &state);
	if (trace_input_is_broken(r->in))
		r->report.is_cut = true;
	if (trace_input_is_damaged(r->in) && !r->is_damage_told) {
		r->is_damage_told = r->o.is_skip_bad;
		return refuse_line(r, "expected gzip data to the end, found damaged ones");
	}
	if (r->o.is_strict && r->report.is_cut)
		return refuse(r, "expected the rest of the trace, found that it breaks off");
	if (r->o.is_strict && !state.has_end)
		return refuse(r, "expected an `end` line, found the end of the file");
	return 0;
}

/* --- lines as events --- */

/* What a grid adds to the rules for `pending`. Returns 1 or -EBADMSG. */
static int check_on_grid(const struct replay *r, struct parse_err *err)
{
	if (r->pending.kind == EV_TICK) {
		snprintf(err->msg, sizeof(err->msg),
			 "expected no `tick` line, since \"ticks\" is \"grid\", found one");
		return -EBADMSG;
	}
	if ((r->pending.t_ns - r->grid_ns) / r->interval_ns < GRID_MAX_GAP)
		return 1;
	snprintf(err->msg, sizeof(err->msg),
		 "expected a line within %d times interval_ns, found t_ns %" PRId64, GRID_MAX_GAP,
		 r->pending.t_ns);
	return -EBADMSG;
}

/* As trace_read(), with what only this file knows of. */
static int take_line(struct replay *r, const char *line, size_t len, struct parse_err *err)
{
	int n = trace_read(r->reader, line, len, &r->pending, err);

	r->pending_len = len;
	return n == 1 && r->is_grid ? check_on_grid(r, err) : n;
}

/* Could the line not be read because its rest is missing? */
static bool is_cut_line(const struct replay *r)
{
	struct trace_reader_state state;

	trace_reader_state(r->reader, &state);
	return trace_input_is_unended(r->in) && !state.has_end;
}

/* The next event, into `pending`. Returns 1, 0 at the end, or a negative errno. */
static int read_event(struct replay *r)
{
	for (;;) {
		struct parse_err err = {0};
		const char *line;
		size_t len;
		int n = trace_input_line(r->in, &line, &len);

		if (n == 0)
			return at_end(r);
		if (n > 0)
			n = take_line(r, line, len, &err);
		else if (n == -EMSGSIZE)
			snprintf(err.msg, sizeof(err.msg),
				 "expected a line of at most %d bytes, found a longer one",
				 TRACE_MAX_LINE);
		if (n > 0)
			return 1;
		if (n == -EBADMSG && is_cut_line(r)) {
			r->report.is_cut = true;
			return at_end(r);
		}
		if (n == -EBADMSG || n == -EMSGSIZE)
			n = refuse_line(r, err.msg);
		else if (n)
			n = fail(r, n);
		if (n)
			return n;
	}
}

/* --- events as snapshots --- */

static int push(struct snapshot *s, const struct event *ev)
{
	if (ev->kind == EV_HOLDER)
		return snapshot_push_holder(s, ev->t_ns, ev->holder, ev->info);
	if (ev->kind == EV_SITE)
		return snapshot_push_site(s, ev->t_ns, ev->site, ev->site_info);
	return snapshot_push(s, ev);
}

/* Has every line at or before the grid's next tick been read? */
static bool is_grid_due(const struct replay *r)
{
	if (!r->is_grid)
		return false;
	return r->has_pending ? r->pending.t_ns > r->grid_ns : r->last_ns >= r->grid_ns;
}

/* Moves what is pending, or the grid's tick, to @s. Returns 1: that ends it; 0; or -ENOMEM. */
static int take_event(struct replay *r, struct snapshot *s, size_t *text)
{
	bool is_due = is_grid_due(r);
	const struct event grid_tick = {.kind = EV_TICK, .t_ns = r->grid_ns};
	const struct event *ev = is_due ? &grid_tick : &r->pending;
	int err = push(s, ev);

	if (err)
		return err;
	if (is_due) {
		r->grid_ns += r->interval_ns;
		return 1;
	}
	r->has_pending = false;
	r->last_ns = ev->t_ns;
	if (ev->kind == EV_HOLDER || ev->kind == EV_SITE)
		*text += r->pending_len;
	return ev->kind == EV_TICK || s->n_events >= SNAPSHOT_MAX_EVENTS ||
	       *text >= SNAPSHOT_MAX_TEXT;
}

/* Returns 1, 0 if nothing is left, or a negative errno. */
static int fill(struct replay *r, struct snapshot *s)
{
	size_t text = 0;
	int n;

	do {
		n = r->has_pending ? 1 : read_event(r);
		if (n < 0)
			return n;
		r->has_pending = n;
		if (!n && !is_grid_due(r))
			return s->n_events != 0;
		n = take_event(r, s, &text);
	} while (n == 0);
	return n < 0 ? fail(r, n) : 1;
}

static int replay_next(void *arg, struct snapshot *s)
{
	struct replay *r = arg;
	struct trace_reader_state state;
	int n = r->failed ? r->failed : fill(r, s);

	if (n <= 0)
		return n;
	s->now_ns = s->events[s->n_events - 1].t_ns;
	s->wall_offset_ns = r->wall_ns;
	if (r->is_grid)
		return 1;
	trace_reader_state(r->reader, &state);
	s->drift = state.drift;
	s->unheld = state.unheld;
	s->repaired = state.repaired;
	return 1;
}

static int replay_fd(void *arg)
{
	(void)arg;
	return -1;
}

static void replay_close(void *arg)
{
	struct replay *r = arg;

	if (!r)
		return;
	trace_input_close(r->in);
	trace_reader_free(r->reader);
	free(r);
}

static const struct source_ops replay_ops = {
	.next = replay_next, .fd = replay_fd, .close = replay_close};

/* --- opening --- */

/* Why the first line is no header, as far as the bytes tell; NULL: let the reader say it. */
static const char *foreign_line(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'))
		i++;
	if (i == len)
		return "first line is empty";
	return line[i] == '{' ? NULL : "first line is no JSON object";
}

static int not_a_trace(const struct replay *r, const char *because, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: not a connleak trace (%s): `connleak record` writes one",
		 r->name, because);
	return -EBADMSG;
}

static int breaks_off(const struct replay *r, char *why, size_t why_size)
{
	snprintf(why, why_size, "%s: breaks off in its first line: nothing of it can be read",
		 r->name);
	return -EBADMSG;
}

static int take_header(struct replay *r, const char *line, size_t len, char *why, size_t why_size)
{
	struct parse_err perr = {0};
	const char *because = foreign_line(line, len);
	int err;

	if (because)
		return not_a_trace(r, because, why, why_size);
	err = trace_read(r->reader, line, len, &r->pending, &perr);
	if (err == -ENOMEM) {
		snprintf(why, why_size, "out of memory");
		return err;
	}
	if (err < 0 && trace_input_is_unended(r->in) && line[len - 1] != '}')
		return breaks_off(r, why, why_size);
	if (err == 0 && trace_reader_header(r->reader))
		return 0;
	snprintf(why, why_size, "%s:1: %s%s", r->name, perr.msg,
		 err == -EBADMSG ? "" : ": no trace that this version of connleak can read");
	return -EBADMSG;
}

static int read_header(struct replay *r, char *why, size_t why_size)
{
	const char *line, *packed = trace_input_foreign(r->in);
	size_t len;
	int n;

	if (packed) {
		snprintf(why, why_size,
			 "%s: compressed with %s, but only gzip is read: decompress it first, or "
			 "into a pipe, which - reads",
			 r->name, packed);
		return -EBADMSG;
	}
	n = trace_input_line(r->in, &line, &len);
	if (n > 0)
		return take_header(r, line, len, why, why_size);
	if (n == -EMSGSIZE)
		return not_a_trace(r, "first line is too long", why, why_size);
	if (n == 0 && trace_input_is_broken(r->in))
		return breaks_off(r, why, why_size);
	if (n == 0)
		return not_a_trace(r, "it is empty", why, why_size);
	snprintf(why, why_size, "cannot read %s: %s", r->name, strerror(-n));
	return n;
}

static int open_input(struct replay *r, const char *path, char *why, size_t why_size)
{
	int wake_fd = r->o.wake_fd > 0 ? r->o.wake_fd : -1;
	int err = trace_input_open(path, wake_fd, &r->in);

	if (err == -EISDIR)
		snprintf(why, why_size, "%s is a folder: expected a trace's file", r->name);
	else if (err)
		snprintf(why, why_size, "cannot open %s: %s", r->name,
			 err == -ENOMEM ? "out of memory" : strerror(-err));
	return err;
}

int source_replay_open(struct source *s, const char *path, const struct replay_options *o,
		       struct trace_header *ret_header, char *why, size_t why_size)
{
	struct replay *r = calloc(1, sizeof(*r));
	const struct trace_header *h;
	const char *shown;
	int err = -ENOMEM;

	if (r)
		r->reader = trace_reader_new();
	if (!r || !r->reader) {
		snprintf(why, why_size, "out of memory");
		goto out;
	}
	r->o = *o;
	r->last_ns = -1;
	shown = strcmp(path, "-") ? path : "stdin";
	text_clean(r->name, sizeof(r->name), shown, strlen(shown));
	err = open_input(r, path, why, why_size);
	if (!err)
		err = read_header(r, why, why_size);
	if (err)
		goto out;
	h = trace_reader_header(r->reader);
	r->wall_ns = h->wall_ns;
	r->interval_ns = h->interval_ns;
	r->is_grid = h->is_grid;
	*ret_header = *h;
	*s = (struct source){.ops = &replay_ops, .arg = r, .interval_ns = h->interval_ns};
	r = NULL;
out:
	replay_close(r);
	return err;
}

void source_replay_report(const struct source *s, struct replay_report *ret)
{
	const struct replay *r = s->arg;
	struct trace_reader_state state;

	trace_reader_state(r->reader, &state);
	*ret = r->report;
	ret->lines = trace_input_line_no(r->in);
	ret->n_unknown = state.n_unknown;
	memcpy(ret->unknown_ev, state.unknown_ev, sizeof(ret->unknown_ev));
	ret->has_end = state.has_end;
}
