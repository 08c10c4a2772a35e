/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_canary.c - watch for a bounded time, end with a verdict and its power */
#include <errno.h>
#include <float.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <connleak/exit_codes.h>

#include "../core/canary.h"
#include "../core/text.h"
#include "../core/words.h"
#include "cmd.h"
#include "program.h"
#include "session.h"

enum {
	KEY_FOR = OPTIONS_OWN_KEY,
	KEY_DETECT,
	KEY_CONFIDENCE,
	KEY_FULL,
	KEY_INCONCLUSIVE,
	KEY_AS,
	KEY_BASELINE
};

/* How long a named target may have no process before the watch gives up on it. */
#define GONE_AFTER_NS (10 * NS_PER_S)
#define SEARCH_NS     (5 * NS_PER_S) /* it walks all of /proc */
#define PROGRESS_NS   (60 * NS_PER_S)

struct canary_options {
	struct options options; /* first: the shared parser's input */
	int64_t for_ns;
	double detect_per_min;
	double confidence;
	bool is_full;
	int inconclusive_exit;
	struct target control; /* --baseline; none: nothing to compare with */
	char control_name[256];
	const char *as_user;
	char **program; /* argv of `-- PROGRAM`, or NULL */
};

struct watch {
	const struct canary_options *options;
	struct session session;
	struct canary *canary;
	struct program program;
	int64_t start_ns;
	int64_t last_progress_ns;
	int64_t gone_since_ns; /* T_NEVER: a process of the target lives */
	int64_t next_search_ns;
	bool is_terminal; /* stderr: one line moves */
	bool has_line;	  /* ... and stands there */
};

static const struct argp_option own_options[] = {
	{"for", KEY_FOR, "DURATION", 0, "how long to watch (default 15m)", 1},
	{"detect", KEY_DETECT, "RATE", 0,
	 "the leak, in connections a minute, that must not pass (default 0.5)", 1},
	{"confidence", KEY_CONFIDENCE, "C", 0, "how surely, 0 < C < 1 (default 0.99)", 1},
	{"baseline", KEY_BASELINE, "KIND=VALUE", 0,
	 "compare with what runs beside it: pid, comm, exe, unit, cgroup, container or pod", 1},
	{"full", KEY_FULL, NULL, 0, "watch the whole time even when a leak is found", 1},
	{"inconclusive", KEY_INCONCLUSIVE, "pass|fail", 0, "exit with 0 or 1 instead of 4", 1},
	{"as", KEY_AS, "USER", 0, "run PROGRAM as this user (default: who called sudo)", 1},
	{0},
};

static int parse_inconclusive(struct argp_state *state, const char *text)
{
	if (!strcmp(text, "pass"))
		return EXIT_CLEAN;
	if (strcmp(text, "fail"))
		options_refuse(state, "--inconclusive", text, "not pass or fail");
	return EXIT_LEAK;
}

/* "unit=orders-stable"; given again, what matches any of them is the control. */
static void add_control(struct argp_state *state, struct canary_options *o, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : 0;
	int kind = 0;

	while (kind < TARGET_KINDS &&
	       (strlen(target_kind_name(kind)) != n || strncmp(target_kind_name(kind), text, n)))
		kind++;
	if (!equals || kind == TARGET_KINDS)
		options_refuse(state, "--baseline", text,
			       "not KIND=VALUE (pid, comm, exe, unit, cgroup, container, pod)");
	if (target_add(&o->control, kind, equals + 1))
		options_refuse(state, "--baseline", text, "not a value of this kind");
	text_clean(o->control_name, sizeof(o->control_name), text, strlen(text));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct canary_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->options;
		return 0;
	case KEY_FOR:
		o->for_ns = options_duration(state, "--for", arg);
		return 0;
	case KEY_DETECT:
		o->detect_per_min = options_real(state, "--detect", arg, DBL_MIN);
		return 0;
	case KEY_CONFIDENCE:
		o->confidence = options_real(state, "--confidence", arg, DBL_MIN);
		if (o->confidence >= 1)
			options_refuse(state, "--confidence", arg, "not between 0 and 1");
		return 0;
	case KEY_BASELINE:
		add_control(state, o, arg);
		return 0;
	case KEY_FULL:
		o->is_full = true;
		return 0;
	case KEY_INCONCLUSIVE:
		o->inconclusive_exit = parse_inconclusive(state, arg);
		return 0;
	case KEY_AS:
		o->as_user = arg;
		return 0;
	case ARGP_KEY_ARGS:
		o->program = state->argv + state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool is_target(const struct holder *h, const struct peer *p, void *arg)
{
	const struct canary_options *o = arg;

	return session_shows(&o->options, h, &p->endpoint);
}

static bool is_control(const struct holder *h, const struct peer *p, void *arg)
{
	const struct canary_options *o = arg;

	return target_matches(&o->control, &h->info) &&
	       options_wants_peer(&o->options, &p->endpoint);
}

/* A control that is not there would be found out about after the whole window. */
static int check_control(struct canary_options *o)
{
	uint32_t pid;

	if (!o->control.n || o->options.replay_path || !target_find(&o->control, &pid))
		return 0;
	fprintf(stderr, "connleak: --baseline %s: no such process\n", o->control_name);
	return EXIT_CANNOT;
}

static void say_no_user(const char *as_user)
{
	const char *sudo_user = getenv("SUDO_USER"), *user = as_user ? as_user : sudo_user;
	char name[256];

	text_clean(name, sizeof(name), user ? user : "", user ? strlen(user) : 0);
	fprintf(stderr, "connleak: %s %s: no such user\n", as_user ? "--as" : "SUDO_USER", name);
}

static int start_program(struct watch *w)
{
	char *const *argv = w->options->program;
	char name[256];
	int err;

	if (!argv)
		return 0;
	err = program_start(&w->program, argv, w->options->as_user);
	if (!err)
		return 0;
	text_clean(name, sizeof(name), argv[0], strlen(argv[0]));
	if (err == -ESRCH)
		say_no_user(w->options->as_user);
	else
		fprintf(stderr, "connleak: cannot start %s: %s\n", name, strerror(-err));
	return EXIT_USAGE;
}

/* That a window is too short is better said before it is spent. */
static void say_if_too_short(const struct canary_params *p)
{
	struct strbuf sb = {0};
	double needed_s;

	if (!canary_can_pass(p, &needed_s) && !words_cannot_pass(&sb, p, needed_s))
		fprintf(stderr, "%s\n", sb.buf);
	strbuf_release(&sb);
}

/* A recording that is longer than the window was judged in part. */
static void say_what_is_left(const struct watch *w)
{
	char duration[TEXT_DURATION_LEN];

	fprintf(stderr,
		"connleak: judged %s of the recording, which may go on: see --for and --wait, or "
		"connleak replay\n",
		text_duration(w->options->for_ns, duration));
}

static void say_what_is_watched(const struct watch *w)
{
	const struct canary_options *o = w->options;
	char what[256], duration[TEXT_DURATION_LEN];

	target_describe(&o->options.target, what, sizeof(what));
	fprintf(stderr, "watching %s for %s on ports %s\n", what,
		text_duration(o->for_ns, duration), w->session.ports);
}

/* One line that moves on a terminal, one line a minute elsewhere. */
static void say_progress(struct watch *w)
{
	struct canary_progress p;
	struct strbuf sb = {0};

	if (!w->is_terminal && w->session.engine.now_ns - w->last_progress_ns < PROGRESS_NS)
		return;
	w->last_progress_ns = w->session.engine.now_ns;
	canary_get_progress(w->canary, &p);
	if (!words_progress(&sb, &p))
		fprintf(stderr, w->is_terminal ? "\r\033[K%s" : "%s\n", sb.buf);
	w->has_line = w->is_terminal;
	strbuf_release(&sb);
}

/* Lives a process of the target that is connected? @ret_was: or did one? */
static bool has_holder(const struct watch *w, bool *ret_was)
{
	const struct proctab *pt = w->session.engine.table;

	*ret_was = false;
	for (uint32_t i = 0; i < proctab_n_holders(pt); i++) {
		const struct holder *h = proctab_holder(pt, i);

		if (!h || !target_matches(&w->session.options->target, &h->info))
			continue;
		*ret_was = true;
		if (h->exit_ns == T_NEVER)
			return true;
	}
	return false;
}

/* Is there a process of the target that is not connected? A recording knows of none. */
static bool has_process(struct watch *w)
{
	uint32_t pid;

	return !w->session.is_replay && !target_find(&w->session.options->target, &pid);
}

/* Has the target nobody left? Looked up only where nothing of it is known to live. */
static bool is_target_gone(struct watch *w)
{
	int64_t now_ns = w->session.engine.now_ns;
	bool was;

	if (w->program.pid || !w->session.options->target.n)
		return false;
	if (has_holder(w, &was) || (w->session.is_replay && !was)) {
		w->gone_since_ns = T_NEVER;
		return false;
	}
	if (now_ns < w->next_search_ns)
		return false;
	w->next_search_ns = now_ns + SEARCH_NS;
	if (has_process(w)) {
		w->gone_since_ns = T_NEVER;
		return false;
	}
	if (w->gone_since_ns == T_NEVER)
		w->gone_since_ns = now_ns;
	return now_ns - w->gone_since_ns >= GONE_AFTER_NS;
}

static int look(struct watch *w)
{
	int err = session_look(&w->session);

	if (err || !session_has_decided(&w->session))
		return err;
	canary_tick(w->canary, w->session.engine.table, w->session.engine.detector,
		    w->session.engine.now_ns);
	say_progress(w);
	return 0;
}

static bool found_leak(const struct watch *w)
{
	struct canary_progress p;

	canary_get_progress(w->canary, &p);
	return p.is_leak && !w->options->is_full;
}

/* Is the watch over, and by what? */
static bool is_over(struct watch *w, enum wake wake, enum canary_end *ret_end)
{
	if (found_leak(w) || w->session.engine.now_ns - w->start_ns >= w->options->for_ns)
		*ret_end = CANARY_END_TIME;
	else if (wake == WAKE_SIGNAL || w->session.has_ended)
		*ret_end = CANARY_END_INTERRUPTED;
	else if (w->program.is_gone)
		*ret_end = CANARY_END_PROGRAM;
	else if (is_target_gone(w))
		*ret_end = CANARY_END_TARGET_GONE;
	else
		return false;
	return true;
}

/* Until the window is over or something ends it. Returns 0 or an exit code. */
static int watch(struct watch *w, enum canary_end *ret_end)
{
	int signal, err;

	for (;;) {
		enum wake wake = session_wait(&w->session, -1, &signal);

		if (wake == WAKE_FAILED)
			return EXIT_FAILED;
		if (wake == WAKE_CHILD)
			program_reap(&w->program);
		if (wake != WAKE_TICK && wake != WAKE_SIGNAL && !w->program.is_gone)
			continue;
		err = look(w);
		if (err)
			return err;
		if (is_over(w, wake, ret_end))
			return 0;
	}
}

/* The target is not there. Returns an exit code. */
static int fail_await(const struct session *s, bool is_interrupted)
{
	char what[256];

	target_describe(&s->options->target, what, sizeof(what));
	if (is_interrupted)
		fprintf(stderr, "connleak: interrupted before the target appeared\n");
	else
		fprintf(stderr, "connleak: no connection of %s in the recording (waited in vain)\n",
			what);
	return EXIT_CANNOT;
}

/*
 * In a recording the target appears when it first connects: with --wait the window starts there.
 * Returns 0 or an exit code.
 */
static int await_in_recording(struct watch *w)
{
	const struct session *s = &w->session;
	int64_t from_ns = s->engine.now_ns;
	int err = 0, signal;
	bool was = false;

	if (!s->is_replay || !s->options->wait_ns || !s->options->target.n)
		return 0;
	while (!err && !has_holder(w, &was) && !was) {
		enum wake wake;

		if (s->has_ended || s->engine.now_ns - from_ns >= s->options->wait_ns)
			return fail_await(s, false);
		wake = session_wait(&w->session, -1, &signal);
		if (wake == WAKE_FAILED)
			return EXIT_FAILED;
		if (wake == WAKE_SIGNAL)
			return fail_await(s, true);
		err = session_look(&w->session);
	}
	return err;
}

/* The target's findings; @ret_worst: the first leak among them, the caller releases it. */
static int print_findings(const struct watch *w, const struct verdict *v, struct finding *ret_worst,
			  bool *ret_has_worst)
{
	const struct engine *e = &w->session.engine;
	int err = 0;

	*ret_has_worst = false;
	for (uint32_t i = 0; i < detector_n_findings(e->detector) && !err; i++) {
		struct finding f;
		bool is_ours = false;

		if (detector_finding(e->detector, e->table, i, &f))
			return EXIT_FAILED;
		for (uint32_t j = 0; j < v->n_findings; j++)
			is_ours |= !strcmp(v->findings[j], f.id);
		if (is_ours && w->options->options.is_json) {
			char *line = json_finding(&w->session.json, &f);

			err = line ? session_print_line(line) : EXIT_FAILED;
			free(line);
		}
		if (is_ours && !*ret_has_worst) {
			*ret_worst = f;
			*ret_has_worst = true;
		} else {
			finding_release(&f);
		}
	}
	return err;
}

static int print_verdict(const struct watch *w, const struct verdict *v)
{
	const struct proctab *pt = w->session.engine.table;
	const struct usage *u = v->usage == SLOT_NONE ? NULL : proctab_usage(pt, v->usage);
	struct command_status command = {w->program.pid, w->program.status, w->program.signal};
	struct finding worst;
	bool has_worst;
	int err = print_findings(w, v, &worst, &has_worst);

	if (!err && w->options->options.is_json) {
		char *line = json_verdict(&w->session.json, v, w->program.pid ? &command : NULL);

		err = line ? session_print_line(line) : EXIT_FAILED;
		free(line);
	} else if (!err) {
		struct strbuf sb = {0};

		err = words_verdict(&sb, v, has_worst ? &worst : NULL,
				    u ? proctab_holder(pt, u->holder) : NULL)
			      ? EXIT_FAILED
			      : session_print(sb.buf);
		strbuf_release(&sb);
	}
	if (has_worst)
		finding_release(&worst);
	return err;
}

static int exit_of(const struct canary_options *o, enum verdict_kind kind)
{
	switch (kind) {
	case VERDICT_PASS:
		return EXIT_CLEAN;
	case VERDICT_LEAK:
		return EXIT_LEAK;
	default:
		return o->inconclusive_exit;
	}
}

static int run_canary(struct watch *w, struct canary_options *o)
{
	const struct session_wants wants = {.is_canary = true,
					    .ancestor_tgid = o->program ? (uint32_t)getpid() : 0};
	struct canary_params params = {.window_ns = o->for_ns,
				       .detect_per_min = o->detect_per_min,
				       .confidence = o->confidence,
				       .is_target = is_target,
				       .is_control = o->control.n ? is_control : NULL,
				       .control = o->control.n ? o->control_name : NULL,
				       .arg = o};
	enum canary_end end = CANARY_END_TIME;
	struct verdict verdict;
	int err;

	err = check_control(o);
	if (err)
		return err;
	err = session_open(&w->session, &o->options, &wants);
	if (err)
		return err;
	err = await_in_recording(w);
	if (err)
		return err;
	/* a recording begins with its time, and what its first look saw opened was seen to open */
	params.start_ns =
		o->options.replay_path && !o->options.wait_ns ? 0 : w->session.engine.now_ns;
	w->start_ns = w->last_progress_ns = params.start_ns;
	w->canary = canary_new(&params);
	if (!w->canary)
		return EXIT_FAILED;
	err = start_program(w);
	if (err)
		return err;
	say_what_is_watched(w);
	say_if_too_short(&params);
	canary_tick(w->canary, w->session.engine.table, w->session.engine.detector,
		    w->session.engine.now_ns);
	err = watch(w, &end);
	if (w->has_line)
		fprintf(stderr, "\r\033[K");
	if (err)
		return err;
	canary_verdict(w->canary, w->session.engine.table, w->session.engine.detector, end,
		       &verdict);
	if (w->session.is_replay && end == CANARY_END_TIME && verdict.kind != VERDICT_LEAK)
		say_what_is_left(w);
	program_stop(&w->program);
	err = print_verdict(w, &verdict);
	return err ? err : exit_of(o, verdict.kind);
}

int cmd_canary(int argc, char **argv)
{
	const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.options = own_options,
		.parser = parse,
		.args_doc = "[-- PROGRAM [ARGUMENT...]]",
		.children = children,
		.doc = "Watch a process, or start one, for a bounded time; end with a verdict.\v"
		       "Exits with 0 for pass, 1 for leak, 4 for inconclusive. A leak ends the "
		       "watch at once. PROGRAM is asked to end (SIGTERM) when the watch is over."};
	struct canary_options o = {.for_ns = 900 * NS_PER_S,
				   .detect_per_min = 0.5,
				   .confidence = 0.99,
				   .inconclusive_exit = EXIT_INCONCLUSIVE};
	struct watch w = {.options = &o, .gone_since_ns = T_NEVER};
	int err;

	options_init(&o.options);
	/* an empty variable after -- must not turn into a watch over everything */
	if (argc > 1 && !strcmp(argv[argc - 1], "--")) {
		fprintf(stderr, "connleak: --: a program must follow\n");
		return EXIT_USAGE;
	}
	options_parse(&argp, argc, argv, ARGP_IN_ORDER, &o);
	if (o.program && o.options.replay_path) {
		fprintf(stderr, "connleak: --replay: a recording and a program at once\n");
		return EXIT_USAGE;
	}
	if (o.control.n && !o.program && !o.options.target.n) {
		fprintf(stderr, "connleak: --baseline: compares with a target: name one\n");
		return EXIT_USAGE;
	}
	if (o.as_user && !o.program) {
		fprintf(stderr, "connleak: --as: for a program that canary starts (-- PROGRAM)\n");
		return EXIT_USAGE;
	}
	w.is_terminal = isatty(STDERR_FILENO);
	o.options.target.is_descendants = o.program != NULL;
	err = o.program ? program_prepare() : 0;
	if (err) {
		fprintf(stderr, "connleak: cannot follow a program: %s\n", strerror(-err));
		return EXIT_FAILED;
	}
	err = run_canary(&w, &o);
	program_stop(&w.program);
	canary_free(w.canary);
	session_close(&w.session);
	options_release(&o.options);
	target_release(&o.control);
	return err;
}
