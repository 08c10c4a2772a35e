/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_replay.c - a trace through the detector, by the agent's rules: findings as they come */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <connleak/exit_codes.h>

#include "../core/text.h"
#include "../core/told.h"
#include "../core/words.h"
#include "cmd.h"
#include "session.h"

struct replay {
	struct options options; /* first: the shared parser's input */
	struct session session;
	struct told told;
	uint64_t n_told;
	bool has_leak;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct replay *r = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &r->options;
		return 0;
	case ARGP_KEY_ARG:
		if (r->options.replay_path)
			options_refuse(state, "", arg, "one trace is replayed");
		r->options.replay_path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!r->options.replay_path)
			argp_error(state, "a trace must follow (- is stdin)");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A finding about a server or about connleak itself is everybody's. */
static bool is_shown(const struct options *o, const struct finding *f)
{
	if (f->peer.family && !options_wants_peer(o, &f->peer))
		return false;
	return !f->holder || target_matches(&o->target, f->holder);
}

static int add_json(const struct session *s, const struct finding *f, struct strbuf *sb)
{
	char *line = json_finding(&s->json, f);
	int err = line ? strbuf_printf(sb, "%s\n", line) : EXIT_FAILED;

	free(line);
	return err;
}

/* "2026-02-08T13:36:52Z  warning" and the finding's block; what is over needs a sentence only. */
static int add_text(const struct session *s, const struct finding *f, struct strbuf *sb)
{
	char time[32];

	text_time(f->time_ns + s->json.wall_offset_ns, time);
	strbuf_printf(sb, "%.19sZ  ", time);
	if (f->status == FINDING_FIRING) {
		/* told again when it gets worse: the word says what it is now */
		strbuf_printf(sb, "%-8s  ", severity_name(f->severity));
		return words_finding(sb, f);
	}
	strbuf_puts(sb, "resolved  ");
	words_summary(sb, f);
	return strbuf_puts(sb, "\n");
}

static int tell(struct replay *r, const struct finding *f)
{
	const struct session *s = &r->session;
	struct strbuf sb = {0};
	int err;

	r->n_told++;
	r->has_leak |= f->kind == FINDING_LEAK || f->kind == FINDING_FD_LEAK;
	err = r->options.is_json ? add_json(s, f, &sb) : add_text(s, f, &sb);
	err = err ? EXIT_FAILED : session_print(sb.buf);
	strbuf_release(&sb);
	return err;
}

/* How it ends. Who stops it has not heard that the rest is clean. */
static int conclude(const struct replay *r)
{
	int err = 0;

	if (!r->session.has_ended)
		fprintf(stderr, "connleak: interrupted: the rest of the trace was not judged\n");
	else if (!r->n_told && !r->options.is_json)
		err = session_print("nothing found\n");
	if (err)
		return err;
	if (r->has_leak)
		return EXIT_LEAK;
	return r->session.has_ended ? EXIT_CLEAN : EXIT_INCONCLUSIVE;
}

/* What is news at this tick. Returns 0 or an exit code. */
static int tell_news(struct replay *r)
{
	const struct engine *e = &r->session.engine;
	struct finding_mark m = {.slot = SLOT_NONE};
	int more, err = 0;

	while (!err && (more = told_next(&r->told, e->detector, m.slot, &m)) > 0) {
		struct finding f;

		if (detector_finding_at(e->detector, e->table, m.slot, &f))
			return EXIT_FAILED;
		if (is_shown(&r->options, &f))
			err = tell(r, &f);
		finding_release(&f);
	}
	return err ? err : more < 0 ? EXIT_FAILED : 0;
}

static int run_replay(struct replay *r)
{
	struct session *s = &r->session;
	const struct session_wants wants = {0};
	enum wake wake = WAKE_TICK;
	int err, signal;

	err = session_open(s, &r->options, &wants);
	while (!err && !s->has_ended && wake != WAKE_SIGNAL) {
		if (wake == WAKE_TICK && session_has_decided(s))
			err = tell_news(r);
		if (err)
			break;
		wake = session_wait(s, -1, &signal);
		if (wake == WAKE_FAILED)
			err = EXIT_FAILED;
		else if (wake == WAKE_TICK)
			err = session_look(s);
	}
	return err ? err : conclude(r);
}

int cmd_replay(int argc, char **argv)
{
	const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.parser = parse,
		.args_doc = "TRACE",
		.children = children,
		.doc = "A recording through the detector of today: each finding when it fires, "
		       "gets "
		       "worse, and is over.\v"
		       "Exits with 1 if a leak was found. The same trace gives the same bytes."};
	struct replay r = {0};
	int err;

	options_init(&r.options);
	options_parse(&argp, argc, argv, 0, &r);
	err = run_replay(&r);
	told_release(&r.told);
	session_close(&r.session);
	options_release(&r.options);
	return err;
}
