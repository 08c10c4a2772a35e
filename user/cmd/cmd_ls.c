/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ls.c - every open connection once */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <connleak/exit_codes.h>

#include "cmd.h"
#include "ls_text.h"
#include "session.h"
#include "terminal.h"

enum { KEY_SORT = OPTIONS_OWN_KEY };

struct ls {
	struct options options; /* first: the shared parser's input */
	enum ls_sort sort;
};

static const struct argp_option own_options[] = {
	{"sort", KEY_SORT, "COLUMN", 0, "age (default), idle, pid, sent, received", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct ls *ls = state->input;
	int sort = 0;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &ls->options;
		return 0;
	case KEY_SORT:
		while (ls_sort_name(sort) && strcmp(ls_sort_name(sort), arg))
			sort++;
		if (!ls_sort_name(sort))
			options_refuse(state, "--sort", arg,
				       "not age, idle, pid, sent or received");
		ls->sort = sort;
		return 0;
	case ARGP_KEY_ARG:
		options_refuse(state, "", arg, "not an option of ls");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A recording is shown as it was at its end. Returns 0 or an exit code. */
static int run_to_end(struct session *s)
{
	int err = 0, signal;

	while (s->is_replay && !s->has_ended && !err) {
		enum wake wake = session_wait(s, -1, &signal);

		if (wake == WAKE_SIGNAL)
			return 0;
		err = wake == WAKE_FAILED ? EXIT_FAILED : session_look(s);
	}
	return err;
}

static bool is_shown(const struct holder *h, const struct peer *p, void *arg)
{
	return session_shows(arg, h, &p->endpoint);
}

static int print_json(const struct session *s, const struct ls_options *o)
{
	const struct proctab *pt = s->engine.table;
	uint32_t *slots;
	size_t n;
	int err = 0;

	if (ls_select(pt, o, &slots, &n))
		return EXIT_FAILED;
	for (size_t i = 0; i < n && !err; i++) {
		char *line = json_connection(&s->json, s->engine.now_ns, pt, slots[i]);

		err = line ? session_print_line(line) : EXIT_FAILED;
		free(line);
	}
	free(slots);
	return err;
}

static int print_table(const struct session *s, const struct ls_options *o)
{
	struct strbuf sb = {0};
	int err = ls_text(&sb, s->engine.table, o) ? EXIT_FAILED : session_print(sb.buf);

	strbuf_release(&sb);
	return err;
}

int cmd_ls(int argc, char **argv)
{
	const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.options = own_options,
		.parser = parse,
		.children = children,
		.doc = "Every open connection to a watched port, once.\v"
		       "Without an agent all of them were open before the look: ages are lower "
		       "bounds. Of a recording (--replay): as it was at its end."};
	const struct session_wants wants = {0};
	struct session s = {0};
	struct ls ls = {.sort = LS_SORT_AGE};
	struct ls_options o;
	int err;

	options_init(&ls.options);
	options_parse(&argp, argc, argv, 0, &ls);
	err = session_open(&s, &ls.options, &wants);
	if (!err)
		err = run_to_end(&s);
	if (!err) {
		o = (struct ls_options){.now_ns = s.engine.now_ns,
					.sort = ls.sort,
					.is_shown = is_shown,
					.arg = &ls.options,
					.ports = s.ports,
					.width = terminal_width(),
					.is_ascii = terminal_is_ascii()};
		err = ls.options.is_json ? print_json(&s, &o) : print_table(&s, &o);
	}
	session_close(&s);
	options_release(&ls.options);
	return err;
}
