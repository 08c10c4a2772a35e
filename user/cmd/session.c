/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <connleak/exit_codes.h>

#include "../collect/kernel_probe.h"
#include "../collect/source_bpf.h"
#include "../core/text.h"
#include "session_replay.h"

#define TARGET_POLL_MS 250

static int fail(int exit_code, const char *what)
{
	fprintf(stderr, "connleak: %s\n", what);
	return exit_code;
}

static int out_of_memory(void)
{
	return fail(EXIT_FAILED, "out of memory");
}

static int read_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

/* Does a signal ask to end, within this time? */
static bool is_interrupted(struct session *s, int timeout_ms)
{
	struct pollfd fd = {.fd = s->signal_fd, .events = POLLIN};
	int signal;

	if (poll(&fd, 1, timeout_ms) <= 0)
		return false;
	signal = read_signal(s);
	return signal && signal != SIGCHLD;
}

/* Waits for the target as long as the options allow. */
static int await_target(struct session *s)
{
	struct options *o = s->options;
	int64_t give_up_ns = o->wait_ns == INT64_MAX ? INT64_MAX : source_bpf_now_ns() + o->wait_ns;
	char what[256], text[320];
	const char *name;
	uint32_t pid;
	int err;

	if (!o->target.n)
		return 0;
	while ((err = target_find(&o->target, &pid)) == -ESRCH && o->wait_ns &&
	       source_bpf_now_ns() < give_up_ns)
		if (is_interrupted(s, TARGET_POLL_MS))
			return fail(EXIT_CANNOT, "interrupted before the target appeared");
	if (!err)
		return 0;
	target_describe(&o->target, what, sizeof(what));
	/* a pid is named by its number alone */
	name = strncmp(what, "pid ", 4) ? what : what + 4;
	if (err != -ESRCH)
		snprintf(text, sizeof(text), "cannot look for %s: %s", what, strerror(-err));
	else if (o->wait_ns)
		snprintf(text, sizeof(text), "no such process: %s (waited in vain)", name);
	else
		snprintf(text, sizeof(text), "no such process: %s (use --wait to wait for it)",
			 name);
	return fail(EXIT_CANNOT, text);
}

static bool is_ignored(int signal)
{
	struct sigaction now;

	return !sigaction(signal, NULL, &now) && now.sa_handler == SIG_IGN;
}

static int open_signals(struct session *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	/* a recording has no child to wait for, and what wakes its reader ends it */
	if (!s->options->replay_path)
		sigaddset(&set, SIGCHLD);
	/* nohup means it */
	if (!is_ignored(SIGHUP))
		sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

static int open_source(struct session *s, const struct session_wants *w)
{
	const struct options *o = s->options;
	struct kernel_params p = {
		.ports = o->ports, .n_ports = o->n_ports, .ancestor_tgid = w->ancestor_tgid};
	char why[512] = "out of memory";
	int err;

	err = source_bpf_open(&s->source, &p, o->interval_ns, why, sizeof(why));
	if (!err)
		return 0;
	return fail(err == -ENOMEM ? EXIT_FAILED : EXIT_CANNOT, why);
}

/* The budgets of the command line, as events like any other. */
static int apply_budgets(struct session *s, int64_t now_ns)
{
	struct snapshot budgets;
	int err = 0;

	snapshot_init(&budgets);
	budgets.now_ns = now_ns;
	budgets.wall_offset_ns = s->json.wall_offset_ns;
	for (size_t i = 0; i < s->options->n_budgets && !err; i++) {
		const struct budget_option *b = &s->options->budgets[i];
		struct event ev = {.t_ns = budgets.now_ns, .kind = EV_BUDGET};

		ev.budget.peer = b->peer;
		ev.budget.limit = b->limit;
		ev.budget.used = -1;
		ev.budget.scope = SCOPE_NODE;
		ev.budget.source = BUDGET_FLAG;
		err = snapshot_push(&budgets, &ev);
	}
	if (!err)
		err = engine_step(&s->engine, &budgets);
	snapshot_release(&budgets);
	return err ? out_of_memory() : 0;
}

static int open_live(struct session *s, const struct session_wants *w)
{
	char why[512];
	int err;

	if (gethostname(s->host, sizeof(s->host) - 1))
		snprintf(s->host, sizeof(s->host), "localhost");
	options_ports_text(s->options, s->ports, sizeof(s->ports));
	s->json.wall_offset_ns = source_bpf_wall_offset_ns();
	/* nobody should wait for a target that could not be watched */
	if (kernel_probe_basics(why, sizeof(why)))
		return fail(EXIT_CANNOT, why);
	err = await_target(s);
	return err ? err : open_source(s, w);
}

static int start_engine(struct session *s, const struct session_wants *w)
{
	struct detector_params params = {
		.canary = w->is_canary, .host = s->host, .wall_offset_ns = s->json.wall_offset_ns};

	if (engine_init(&s->engine, NULL, &params))
		return out_of_memory();
	return apply_budgets(s, s->is_replay ? 0 : source_bpf_now_ns());
}

/* These say something about a recording only. */
static int check_options(const struct options *o)
{
	const char *option = o->speed >= 0    ? "--speed"
			     : o->is_strict   ? "--strict"
			     : o->is_skip_bad ? "--skip-bad"
					      : NULL;

	if (o->replay_path || !option)
		return 0;
	fprintf(stderr, "connleak: %s: for a recording (--replay FILE)\n", option);
	return EXIT_USAGE;
}

int session_open(struct session *s, struct options *o, const struct session_wants *w)
{
	int err = check_options(o);

	*s = (struct session){.options = o, .signal_fd = -1, .is_raw = w->is_raw};
	s->json.host = s->host;
	s->speed = o->speed >= 0 ? o->speed : w->speed;
	if (err)
		return err;
	if (open_signals(s))
		return fail(EXIT_FAILED, "cannot read signals");
	err = o->replay_path ? session_replay_open(s) : open_live(s, w);
	if (!err && !s->is_raw)
		err = start_engine(s, w);
	return err ? err : session_look(s);
}

void session_close(struct session *s)
{
	if (s->is_replay)
		session_replay_say(s);
	source_close(&s->source);
	engine_release(&s->engine);
	snapshot_release(&s->snapshot);
	if (s->signal_fd > 0)
		close(s->signal_fd);
	s->signal_fd = -1;
}

/* Of a replay: the trace's time plays at `speed`, gaps included; but never later than a clock can tell. */
static void plan_replay(struct session *s)
{
	int64_t now_ns = source_bpf_now_ns();
	double ns;

	if (!(s->speed > 0))
		return;
	if (!s->pace_from_ns) {
		s->pace_from_ns = now_ns;
		s->pace_trace_ns = s->snapshot.now_ns;
	}
	ns = (double)(s->snapshot.now_ns - s->pace_trace_ns + s->source.interval_ns) / s->speed;
	s->next_tick_ns = s->pace_from_ns + (ns < 1e17 ? (int64_t)ns : 100000000 * NS_PER_S);
	/* what could not keep up, or was stopped, goes on from here */
	if (s->next_tick_ns < now_ns - NS_PER_S)
		s->pace_from_ns = 0;
}

/* When the next look is due, by the real clock. */
static void plan_next(struct session *s)
{
	if (s->is_replay) {
		plan_replay(s);
		return;
	}
	s->next_tick_ns += s->source.interval_ns;
	/* a machine that stood still is looked at once, not once for each missed tick */
	if (s->next_tick_ns <= s->snapshot.now_ns)
		s->next_tick_ns = s->snapshot.now_ns + s->source.interval_ns;
}

int session_try_look(struct session *s)
{
	int err;

	snapshot_clear(&s->snapshot);
	err = s->source.ops->next(s->source.arg, &s->snapshot);
	s->has_ended = err == 0;
	/* a signal while a pipe was silent: session_wait() tells which */
	if (err == -EINTR)
		return 0;
	if (err <= 0)
		return err;
	if (s->is_replay)
		session_replay_drop_budgets(s);
	err = s->is_raw ? 0 : engine_step(&s->engine, &s->snapshot);
	if (err)
		return err;
	s->json.wall_offset_ns = s->snapshot.wall_offset_ns;
	plan_next(s);
	return 0;
}

bool session_has_decided(const struct session *s)
{
	size_t n = s->snapshot.n_events;

	return n && s->snapshot.events[n - 1].kind == EV_TICK;
}

int session_fail_look(const struct session *s, int err)
{
	char text[128];

	if (err == -ENOMEM)
		return out_of_memory();
	if (s->is_replay)
		return session_replay_fail(s, err);
	snprintf(text, sizeof(text), "cannot read the kernel's tables: %s", strerror(-err));
	return fail(EXIT_FAILED, text);
}

int session_look(struct session *s)
{
	int err = session_try_look(s);

	return err ? session_fail_look(s, err) : 0;
}

/* Milliseconds until the next look, rounded up; 0: it is due; -1: only input is waited for. */
static int wait_ms(const struct session *s, int input_fd)
{
	int64_t left_ms = (s->next_tick_ns - source_bpf_now_ns() + NS_PER_MS - 1) / NS_PER_MS;

	if (s->has_ended)
		return input_fd < 0 ? 0 : -1;
	if (left_ms > INT_MAX)
		return INT_MAX;
	return left_ms <= 0 ? 0 : (int)left_ms;
}

enum wake session_wait(struct session *s, int input_fd, int *ret_signal)
{
	struct pollfd fds[] = {
		{.fd = s->signal_fd, .events = POLLIN},
		{.fd = s->source.ops->fd(s->source.arg), .events = POLLIN},
		{.fd = input_fd, .events = POLLIN},
	};

	for (;;) {
		int ms = wait_ms(s, input_fd), signal, n;

		n = poll(fds, 3, ms);
		/* a window's new size arrives as an interrupted wait */
		if (n < 0 && errno == EINTR)
			return WAKE_INPUT;
		if (n < 0)
			return WAKE_FAILED;
		if (fds[0].revents && (signal = read_signal(s))) {
			*ret_signal = signal;
			return signal == SIGCHLD ? WAKE_CHILD : WAKE_SIGNAL;
		}
		if (fds[1].revents && s->source.ops->drain(s->source.arg))
			return WAKE_FAILED;
		if (fds[2].revents)
			return WAKE_INPUT;
		if (!ms)
			return WAKE_TICK;
	}
}

bool session_shows(const struct options *o, const struct holder *h, const struct endpoint *peer)
{
	return target_matches(&o->target, &h->info) && options_wants_peer(o, peer);
}

/* What failed is said once, when the program ends and finds stdout in error: main.c. */
int session_print(const char *text)
{
	return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

int session_print_line(const char *text)
{
	if (fputs(text, stdout) >= 0 && fputc('\n', stdout) >= 0 && fflush(stdout) == 0)
		return 0;
	return EXIT_FAILED;
}
