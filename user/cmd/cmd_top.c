/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_top.c - the live view: on a terminal, as text in batch mode, or as JSON */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <connleak/exit_codes.h>

#include "../tui/top_text.h"
#include "../tui/top_view.h"
#include "cmd.h"
#include "session.h"
#include "terminal.h"

enum { KEY_SORT = OPTIONS_OWN_KEY };

struct top {
	struct options options; /* first: the shared parser's input */
	struct session session;
	struct top_view view;
	bool is_batch;
	unsigned long frames; /* 0: until it is stopped */
};

static const struct argp_option own_options[] = {
	{"batch", 'b', NULL, 0, "plain text, no keys (also where stdout is no terminal)", 1},
	{"frames", 'n', "N", 0, "end after N frames; of a recording: the last N", 1},
	{"sort", KEY_SORT, "COLUMN", 0,
	 "suspicion (default), open, idle, opened, rate, oldest, pid", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct top *top = state->input;
	int sort = 0;
	char *end;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &top->options;
		return 0;
	case 'b':
		top->is_batch = true;
		return 0;
	case 'n':
		top->frames = strtoul(arg, &end, 10);
		if (*end || *arg < '0' || *arg > '9' || !top->frames || top->frames > 1000000000)
			options_refuse(state, "-n", arg, "not a number of frames");
		return 0;
	case KEY_SORT:
		while (top_sort_name(sort) && strcmp(top_sort_name(sort), arg))
			sort++;
		if (!top_sort_name(sort))
			options_refuse(state, "--sort", arg, "not a column to sort by");
		top->view.sort = sort;
		return 0;
	case ARGP_KEY_ARG:
		options_refuse(state, "", arg, "neither an option nor a command");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool is_shown(const struct holder *h, const struct peer *p, void *arg)
{
	return session_shows(arg, h, &p->endpoint);
}

/* No keys: frames go to stdout, one after the other. */
static bool is_plain(const struct top *top)
{
	return top->is_batch || top->options.is_json || !isatty(STDOUT_FILENO);
}

static struct top_text_options text_options(const struct top *top)
{
	return (struct top_text_options){
		.host = top->session.host,
		.ports = top->session.ports,
		.interval_ns = top->session.source.interval_ns,
		/* a recording looks the same on every machine */
		.utc_offset_s = top->session.is_replay ? 0 : terminal_utc_offset_s(),
		.width = terminal_width(),
		.is_ascii = terminal_is_ascii(),
	};
}

static int build(struct top *top, struct top_model *m)
{
	if (!top_model_build(m, &top->session.engine, top->view.sort, is_shown, &top->options))
		return 0;
	fprintf(stderr, "connleak: out of memory\n");
	return EXIT_FAILED;
}

static int add_text(const struct top *top, const struct top_model *m, struct strbuf *sb)
{
	struct top_text_options o = text_options(top);

	return top_text(sb, m, &o) || strbuf_puts(sb, "\n") ? EXIT_FAILED : 0;
}

static int add_json(const struct top *top, const struct top_model *m, struct strbuf *sb)
{
	char *line = json_snapshot(&top->session.json, m);
	int err = !line || strbuf_printf(sb, "%s\n", line) ? EXIT_FAILED : 0;

	free(line);
	return err;
}

/* Appends the frame of now to @sb. Returns 0 or an exit code. */
static int add_frame(struct top *top, struct strbuf *sb)
{
	struct top_model m;
	int err = build(top, &m);

	if (err)
		return err;
	err = top->options.is_json ? add_json(top, &m, sb) : add_text(top, &m, sb);
	top_model_release(&m);
	return err;
}

static int print_frame(struct top *top)
{
	struct strbuf sb = {0};
	int err = add_frame(top, &sb);

	if (!err)
		err = session_print(sb.buf);
	strbuf_release(&sb);
	return err;
}

/*
 * The next look, waited for; @ret_is_over where there is none: stopped, or the end of a recording.
 * Returns 0 or an exit code.
 */
static int next_look(struct top *top, bool *ret_is_over)
{
	int err = 0, signal;
	enum wake wake;

	do
		wake = session_wait(&top->session, -1, &signal);
	while (wake != WAKE_TICK && wake != WAKE_SIGNAL && wake != WAKE_FAILED);
	if (wake == WAKE_FAILED)
		return EXIT_FAILED;
	if (wake == WAKE_TICK)
		err = session_look(&top->session);
	*ret_is_over = wake == WAKE_SIGNAL || top->session.has_ended;
	return err;
}

/* Frames on stdout; the first at once. */
static int run_batch(struct top *top)
{
	bool is_over = false;
	int err = print_frame(top);

	for (unsigned long n = 1; !err && (!top->frames || n < top->frames); n++) {
		err = next_look(top, &is_over);
		if (err || is_over)
			return err;
		/* what stands behind a recording's last tick is no frame */
		if (session_has_decided(&top->session))
			err = print_frame(top);
	}
	return err;
}

/* The last frames of a recording, which are known at its end only. */
struct last_frames {
	struct strbuf *frames; /* a ring, once there are as many as asked for */
	unsigned long n, cap, next;
};

static int keep_frame(struct top *top, struct last_frames *l)
{
	struct strbuf *frame;

	if (l->n == l->cap && l->n < top->frames) {
		unsigned long cap = l->cap ? l->cap * 2 : 8;
		struct strbuf *frames;

		cap = cap < top->frames ? cap : top->frames;
		frames = reallocarray(l->frames, cap, sizeof(*frames));
		if (!frames)
			return EXIT_FAILED;
		memset(frames + l->cap, 0, (cap - l->cap) * sizeof(*frames));
		l->frames = frames;
		l->cap = cap;
	}
	frame = &l->frames[l->next];
	strbuf_clear(frame);
	l->next = (l->next + 1) % top->frames;
	l->n += l->n < top->frames;
	return add_frame(top, frame);
}

static int print_last(const struct top *top, const struct last_frames *l)
{
	int err = 0;

	for (unsigned long i = 0; i < l->n && !err; i++) {
		unsigned long at = l->n < top->frames ? i : (l->next + i) % top->frames;

		err = session_print(l->frames[at].buf);
	}
	return err;
}

static int run_last(struct top *top)
{
	struct last_frames l = {0};
	bool is_over = false;
	int err = 0;

	do {
		if (!l.n || session_has_decided(&top->session))
			err = keep_frame(top, &l);
		if (!err)
			err = next_look(top, &is_over);
	} while (!err && !is_over);
	if (!err)
		err = print_last(top, &l);
	for (unsigned long i = 0; i < l.cap; i++)
		strbuf_release(&l.frames[i]);
	free(l.frames);
	return err;
}

/* What a turn of the live view asks for next. */
enum next { NEXT_WAIT, NEXT_DRAW, NEXT_LOOK, NEXT_END };

static enum next on_wake(struct top *top, const struct top_model *m, enum wake wake)
{
	enum top_key key = top_view_keys(&top->view, m);

	if (wake == WAKE_SIGNAL || key == TOP_KEY_QUIT)
		return NEXT_END;
	if (wake == WAKE_TICK)
		return top->frames && --top->frames == 0 ? NEXT_END : NEXT_LOOK;
	return key == TOP_KEY_REDRAW ? NEXT_DRAW : NEXT_WAIT;
}

/* What goes wrong must be said where it stays to be read: on the terminal that comes back. */
static int look_behind_screen(struct top *top)
{
	int err = session_try_look(&top->session);

	if (!err)
		return 0;
	top_view_close(&top->view);
	return session_fail_look(&top->session, err);
}

/* A paused view stands still until a key is pressed; the watch goes on behind it. */
static int run_view(struct top *top)
{
	enum next next = NEXT_DRAW;
	struct top_model m;
	int err, signal;

	err = build(top, &m);
	if (err)
		return err;
	while (next != NEXT_END) {
		struct top_text_options o = text_options(top);
		enum wake wake;

		top->view.is_ended = top->session.has_ended;
		if (next == NEXT_DRAW || (next == NEXT_LOOK && !top->view.is_paused))
			top_view_draw(&top->view, &m, &o);
		wake = session_wait(&top->session, STDIN_FILENO, &signal);
		if (wake == WAKE_FAILED) {
			err = EXIT_FAILED;
			break;
		}
		next = on_wake(top, &m, wake);
		if (next != NEXT_LOOK && next != NEXT_DRAW)
			continue;
		/* a model borrows from the table, which a look changes; keys change its order */
		top_model_release(&m);
		if (next == NEXT_LOOK)
			err = look_behind_screen(top);
		if (err)
			return err;
		err = build(top, &m);
		if (err)
			return err;
		/* so many frames do not follow: not waited for */
		if (top->session.has_ended && top->frames)
			next = NEXT_END;
	}
	top_model_release(&m);
	return err;
}

int cmd_top(int argc, char **argv)
{
	const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {.options = own_options,
				  .parser = parse,
				  .children = children,
				  .doc = "Processes with open PostgreSQL connections, live, the "
					 "most suspicious first."};
	struct session_wants wants = {.speed = 1};
	struct top top = {0};
	bool is_last;
	int err;

	options_init(&top.options);
	options_parse(&argp, argc, argv, 0, &top);
	is_last = top.options.replay_path && top.frames && is_plain(&top);
	if (is_last)
		wants.speed = 0;
	err = session_open(&top.session, &top.options, &wants);
	if (!err && is_last)
		err = run_last(&top);
	else if (!err && (is_plain(&top) || top_view_open(&top.view)))
		err = run_batch(&top);
	else if (!err)
		err = run_view(&top);
	top_view_close(&top.view);
	session_close(&top.session);
	options_release(&top.options);
	return err;
}
