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
	{"frames", 'n', "N", 0, "end after N frames", 1},
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

static struct top_text_options text_options(const struct top *top)
{
	return (struct top_text_options){
		.host = top->session.host,
		.ports = top->session.ports,
		.interval_ns = top->options.interval_ns,
		.utc_offset_s = terminal_utc_offset_s(),
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

static int print_text(const struct top *top, const struct top_model *m)
{
	struct top_text_options o = text_options(top);
	struct strbuf sb = {0};
	int err = top_text(&sb, m, &o) || strbuf_puts(&sb, "\n") ? EXIT_FAILED
								 : session_print(sb.buf);

	strbuf_release(&sb);
	return err;
}

static int print_json(const struct top *top, const struct top_model *m)
{
	char *line = json_snapshot(&top->session.json, m);
	int err = line ? session_print_line(line) : EXIT_FAILED;

	free(line);
	return err;
}

static int print_frame(struct top *top)
{
	struct top_model m;
	int err = build(top, &m);

	if (err)
		return err;
	err = top->options.is_json ? print_json(top, &m) : print_text(top, &m);
	top_model_release(&m);
	return err;
}

/* Frames on stdout; the first at once. */
static int run_batch(struct top *top)
{
	int err = print_frame(top), signal;

	for (unsigned long n = 1; !err && (!top->frames || n < top->frames);) {
		enum wake wake = session_wait(&top->session, -1, &signal);

		if (wake == WAKE_SIGNAL)
			return 0;
		if (wake == WAKE_FAILED)
			return EXIT_FAILED;
		if (wake != WAKE_TICK)
			continue;
		err = session_look(&top->session);
		if (!err)
			err = print_frame(top);
		n++;
	}
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
	return session_fail_look(err);
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
	const struct session_wants wants = {0};
	struct top top = {0};
	int err;

	options_init(&top.options);
	options_parse(&argp, argc, argv, 0, &top);
	err = session_open(&top.session, &top.options, &wants);
	if (!err && (top.is_batch || top.options.is_json || top_view_open(&top.view)))
		err = run_batch(&top);
	else if (!err)
		err = run_view(&top);
	top_view_close(&top.view);
	session_close(&top.session);
	options_release(&top.options);
	return err;
}
