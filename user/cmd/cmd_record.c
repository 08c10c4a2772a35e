/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_record.c - what is seen, written to a trace */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <connleak/exit_codes.h>

#include "../collect/trace_file.h"
#include "../core/text.h"
#include "../core/trace.h"
#include "../core/trace_filter.h"
#include "cmd.h"
#include "session.h"

enum { KEY_FOR = OPTIONS_OWN_KEY };

/* A recording that is cut off lacks no more than this. */
#define FLUSH_NS (5 * NS_PER_S)

struct record {
	struct options options; /* first: the shared parser's input */
	int64_t for_ns;		/* 0: until it is stopped */
	const char *path;
	char name[256]; /* of the file, fit to be shown */
	struct session session;
	struct trace_filter *filter; /* NULL: all is wanted */
	struct snapshot wanted;
	struct trace_file *file;
	struct strbuf text;
	int64_t zero_ns, wall_ns, last_ns, flush_ns;
	uint64_t n_opened, n_lost;
};

static const struct argp_option own_options[] = {
	{"for", KEY_FOR, "DURATION", 0, "end after this time (default: until it is stopped)", 1},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct record *r = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &r->options;
		return 0;
	case KEY_FOR:
		r->for_ns = options_duration(state, "--for", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (r->path)
			options_refuse(state, "", arg, "one file is recorded to");
		r->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!r->path)
			argp_error(state, "a file must follow (- is stdout; NAME.gz compresses)");
		if (r->options.replay_path)
			argp_error(state, "--replay: what is recorded already");
		if (r->options.n_budgets)
			argp_error(state, "--budget: give it when the recording is judged");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int fail_write(const struct record *r, int err)
{
	fprintf(stderr, "connleak: cannot write %s: %s\n", r->name, strerror(-err));
	return EXIT_FAILED;
}

static bool wants_holder(void *arg, const struct holder_info *h)
{
	const struct options *o = arg;

	return target_matches(&o->target, h);
}

static bool wants_peer(void *arg, const struct endpoint *peer)
{
	return options_wants_peer(arg, peer);
}

static int open_filter(struct record *r)
{
	const struct trace_filter_ops ops = {
		.wants_holder = wants_holder, .wants_peer = wants_peer, .arg = &r->options};

	if (!r->options.target.n && !r->options.n_peers)
		return 0;
	r->filter = trace_filter_new(&ops);
	return r->filter ? 0 : EXIT_FAILED;
}

static int write_text(struct record *r)
{
	int err = r->text.err;

	if (!err)
		err = trace_file_write(r->file, r->text.buf, r->text.len);
	strbuf_clear(&r->text);
	return err ? fail_write(r, err) : 0;
}

static int write_header(struct record *r)
{
	const struct session *s = &r->session;
	struct trace_header h = {.wall_ns = r->wall_ns,
				 .source = "live",
				 .writer = "connleak " CONNLEAK_VERSION,
				 .interval_ns = r->options.interval_ns,
				 .n_ports = r->options.n_ports};

	snprintf(h.host, sizeof(h.host), "%s", s->host);
	memcpy(h.ports, r->options.ports, sizeof(*h.ports) * h.n_ports);
	trace_write_header(&r->text, &h);
	return write_text(r);
}

static void count(struct record *r, const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_events; i++) {
		if (s->events[i].kind == EV_OPEN)
			r->n_opened++;
		else if (s->events[i].kind == EV_LOST)
			r->n_lost += s->events[i].lost.events;
	}
}

/* The session's last snapshot. Returns 0 or an exit code. */
static int write_snapshot(struct record *r)
{
	const struct snapshot *s = &r->session.snapshot;
	int err = 0;

	if (r->filter) {
		snapshot_clear(&r->wanted);
		err = trace_filter_apply(r->filter, s, &r->wanted);
		s = &r->wanted;
	}
	count(r, s);
	if (!err)
		err = trace_write_snapshot(&r->text, s, r->zero_ns, r->wall_ns, &r->last_ns);
	if (err)
		return fail_write(r, err);
	err = write_text(r);
	if (err || s->now_ns < r->flush_ns)
		return err;
	r->flush_ns = s->now_ns + FLUSH_NS;
	err = trace_file_flush(r->file);
	return err ? fail_write(r, err) : 0;
}

/* Until the time is over or a signal asks to end; what was seen until then is recorded. */
static int record(struct record *r)
{
	struct session *s = &r->session;
	enum wake wake = WAKE_TICK;
	int err, signal;

	err = write_snapshot(r);
	while (!err && wake != WAKE_SIGNAL &&
	       (!r->for_ns || s->snapshot.now_ns - r->zero_ns < r->for_ns)) {
		wake = session_wait(s, -1, &signal);
		if (wake == WAKE_FAILED)
			return EXIT_FAILED;
		if (wake != WAKE_TICK && wake != WAKE_SIGNAL)
			continue;
		err = session_look(s);
		if (!err)
			err = write_snapshot(r);
	}
	if (err)
		return err;
	trace_write_end(&r->text, s->snapshot.now_ns, r->zero_ns, r->last_ns);
	return write_text(r);
}

static int create(struct record *r)
{
	int err = trace_file_create(r->path, &r->file);

	if (!err)
		return 0;
	if (err == -EEXIST)
		fprintf(stderr,
			"connleak: %s: is there already and is not written over (name another, or "
			"remove it)\n",
			r->name);
	else
		fprintf(stderr, "connleak: cannot write %s: %s\n", r->name, strerror(-err));
	return EXIT_USAGE;
}

/* Nothing was recorded: no empty file stays behind. What is no file of ours is left alone. */
static void remove_file(const struct record *r)
{
	struct stat st;

	if (strcmp(r->path, "-") && !lstat(r->path, &st) && S_ISREG(st.st_mode))
		unlink(r->path);
}

/* The trace's time begins with what was seen first. */
static void set_zero(struct record *r)
{
	const struct snapshot *s = &r->session.snapshot;

	r->zero_ns = s->n_events ? s->events[0].t_ns : s->now_ns;
	r->wall_ns = r->zero_ns + s->wall_offset_ns;
	r->last_ns = T_NEVER;
}

static int run_record(struct record *r)
{
	const struct session_wants wants = {.is_raw = true};
	char duration[TEXT_DURATION_LEN];
	int err, close_err;

	/* before a target is waited for */
	err = create(r);
	if (err)
		return err;
	err = open_filter(r);
	if (!err)
		err = session_open(&r->session, &r->options, &wants);
	if (err) {
		remove_file(r);
		return err;
	}
	set_zero(r);
	fprintf(stderr, "recording to %s, ports %s\n", r->name, r->session.ports);
	err = write_header(r);
	if (!err)
		err = record(r);
	close_err = trace_file_close(r->file);
	r->file = NULL;
	if (!err && close_err)
		err = fail_write(r, close_err);
	if (!err)
		fprintf(stderr, "recorded %s: %" PRIu64 " connections, %" PRIu64 " events lost\n",
			text_duration(r->session.snapshot.now_ns - r->zero_ns, duration),
			r->n_opened, r->n_lost);
	return err;
}

int cmd_record(int argc, char **argv)
{
	const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.options = own_options,
		.parser = parse,
		.args_doc = "FILE",
		.children = children,
		.doc = "Write what is seen to a trace, which `connleak replay` and --replay read.\v"
		       "FILE that ends in .gz is compressed; - is stdout. A trace holds names of "
		       "processes, addresses, times and byte counts; never what was sent, a "
		       "command "
		       "line or an environment."};
	struct record r = {0};
	const char *shown;
	int err;

	options_init(&r.options);
	options_parse(&argp, argc, argv, 0, &r);
	shown = strcmp(r.path, "-") ? r.path : "stdout";
	text_clean(r.name, sizeof(r.name), shown, strlen(shown));
	err = run_record(&r);
	trace_file_close(r.file);
	trace_filter_free(r.filter);
	snapshot_release(&r.wanted);
	strbuf_release(&r.text);
	session_close(&r.session);
	options_release(&r.options);
	return err;
}
