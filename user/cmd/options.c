/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <connleak/exit_codes.h>

#include "../core/event.h"
#include "../core/text.h"

enum {
	KEY_TARGET = 0x100, /* + enum target_kind */
	KEY_PORT = 0x200,
	KEY_PEER,
	KEY_BUDGET,
	KEY_INTERVAL,
	KEY_WAIT,
	KEY_REPLAY,
	KEY_SPEED,
	KEY_STRICT,
	KEY_SKIP_BAD,
	KEY_JSON,
	KEY_NO_STACKS
};

static const struct argp_option shared_options[] = {
	{NULL, 0, NULL, 0, "Which processes (all of them where none is named):", 10},
	{"pid", KEY_TARGET + TARGET_PID, "N", 0, "this process (repeatable)", 0},
	{"comm", KEY_TARGET + TARGET_COMM, "NAME", 0, "processes of this name", 0},
	{"exe", KEY_TARGET + TARGET_EXE, "PATH", 0, "processes of this executable", 0},
	{"unit", KEY_TARGET + TARGET_UNIT, "NAME", 0, "a systemd service", 0},
	{"cgroup", KEY_TARGET + TARGET_CGROUP, "PATH", 0, "a cgroup and what is below it", 0},
	{"container", KEY_TARGET + TARGET_CONTAINER, "ID-OR-NAME", 0, "a container", 0},
	{"pod", KEY_TARGET + TARGET_POD, "[NAMESPACE/]NAME", 0, "a Kubernetes pod", 0},
	{"wait", KEY_WAIT, "DURATION", OPTION_ARG_OPTIONAL,
	 "wait for a target that does not exist yet (for ever, or so long)", 0},
	{NULL, 0, NULL, 0, "Which connections:", 20},
	{"port", KEY_PORT, "PORT,...", 0, "ports to watch (default 5432,6432)", 0},
	{"peer", KEY_PEER, "ADDRESS[:PORT]", 0, "only connections to this server (repeatable)", 0},
	{NULL, 0, NULL, 0, "What there is to lose:", 30},
	{"budget", KEY_BUDGET, "[PEER=]N", 0,
	 "this node's share of a server's connections (repeatable; bare: each server's)", 0},
	{NULL, 0, NULL, 0, "A recording instead of the live kernel:", 40},
	{"replay", KEY_REPLAY, "FILE", 0, "read this trace (- is stdin; gzip is told by itself)",
	 0},
	{"speed", KEY_SPEED, "N", 0,
	 "N seconds of the trace in one; 0: as fast as possible (default 0, in top 1)", 0},
	{"strict", KEY_STRICT, NULL, 0, "refuse a trace that was cut off", 0},
	{"skip-bad", KEY_SKIP_BAD, NULL, 0, "count and skip corrupt lines", 0},
	{NULL, 0, NULL, 0, "Form:", 50},
	{"json", KEY_JSON, NULL, 0, "JSON Lines on stdout", 0},
	{"interval", KEY_INTERVAL, "DURATION", 0, "time between two looks (default 1s)", 0},
	{"no-stacks", KEY_NO_STACKS, NULL, 0, "take no stacks (this version takes none)", 0},
	{0},
};

void options_init(struct options *o)
{
	*o = (struct options){
		.interval_ns = NS_PER_S, .ports = {5432, 6432}, .n_ports = 2, .speed = -1};
}

void options_release(struct options *o)
{
	target_release(&o->target);
}

void options_refuse(struct argp_state *state, const char *option, const char *text, const char *why)
{
	char shown[256];

	text_clean(shown, sizeof(shown), text, strlen(text));
	argp_error(state, "%s%s%s: %s", option, *option ? " " : "", shown, why);
}

int64_t options_duration(struct argp_state *state, const char *option, const char *text)
{
	int64_t ns = 0;

	if (text_parse_duration(text, &ns))
		options_refuse(state, option, text, "not a duration (like 90s, 15m, 2h)");
	return ns;
}

double options_real(struct argp_state *state, const char *option, const char *text, double min)
{
	char *end, why[48];
	double value = strtod(text, &end);

	if (end != text && !*end && value >= min && value <= 1e6)
		return value;
	snprintf(why, sizeof(why), min > 0 ? "not a number above 0" : "not a number, 0 or more");
	options_refuse(state, option, text, why);
	return 0;
}

/* A whole number of @min to @max with nothing behind it. */
static int parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *ret)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || n < min || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

static void add_ports(struct options *o, struct argp_state *state, const char *list)
{
	char copy[256], *rest = copy, *word;
	unsigned long port;

	if (strlen(list) >= sizeof(copy))
		argp_error(state, "--port: the list is too long");
	snprintf(copy, sizeof(copy), "%s", list);
	o->n_ports = 0;
	o->has_ports = true;
	while ((word = strsep(&rest, ","))) {
		if (parse_number(word, 1, UINT16_MAX, &port))
			options_refuse(state, "--port", word, "not a port (1 to 65535)");
		if (o->n_ports == OPTIONS_MAX_PORTS)
			argp_error(state, "--port: more than %d ports", OPTIONS_MAX_PORTS);
		o->ports[o->n_ports++] = (uint16_t)port;
	}
}

/* "1.2.3.4", "1.2.3.4:5432", "::1", "[::1]:5432" */
static int parse_peer(const char *text, struct endpoint *ret)
{
	char with_port[ENDPOINT_STRLEN + 8];

	if (!endpoint_parse(text, ret))
		return 0;
	snprintf(with_port, sizeof(with_port), "%s:1", text);
	if (endpoint_parse(with_port, ret)) {
		snprintf(with_port, sizeof(with_port), "[%s]:1", text);
		if (endpoint_parse(with_port, ret))
			return -EINVAL;
	}
	ret->port = 0;
	return 0;
}

static void add_peer(struct options *o, struct argp_state *state, const char *text)
{
	if (o->n_peers == OPTIONS_MAX_PEERS)
		argp_error(state, "--peer: more than %d servers", OPTIONS_MAX_PEERS);
	if (parse_peer(text, &o->peers[o->n_peers]))
		options_refuse(state, "--peer", text,
			       "not an address (like 10.0.4.12, 10.0.4.12:5432, [::1]:5432; names "
			       "are not looked up)");
	o->n_peers++;
}

static void add_budget(struct options *o, struct argp_state *state, const char *text)
{
	struct budget_option b = {0};
	const char *equals = strrchr(text, '='), *number = equals ? equals + 1 : text;
	char peer[ENDPOINT_STRLEN];
	unsigned long limit;

	if (o->n_budgets == OPTIONS_MAX_BUDGETS)
		argp_error(state, "--budget: more than %d budgets", OPTIONS_MAX_BUDGETS);
	if (equals) {
		snprintf(peer, sizeof(peer), "%.*s", (int)(equals - text), text);
		if ((size_t)(equals - text) >= sizeof(peer) || endpoint_parse(peer, &b.peer))
			options_refuse(state, "--budget", text, "not ADDRESS:PORT=N");
	}
	if (parse_number(number, 1, 1000000, &limit))
		options_refuse(state, "--budget", text,
			       "not a number of connections (1 to 1000000)");
	b.limit = (uint32_t)limit;
	o->budgets[o->n_budgets++] = b;
}

static void add_target(struct options *o, struct argp_state *state, int kind, const char *text)
{
	int err = target_add(&o->target, kind, text);
	char option[32];

	snprintf(option, sizeof(option), "--%s", target_kind_name(kind));
	if (err == -EINVAL)
		options_refuse(state, option, text,
			       kind == TARGET_PID ? "not a process id" : "a name is missing");
	if (err == -E2BIG)
		options_refuse(state, option, text, "too many targets (64 at most)");
	if (err)
		argp_failure(state, EXIT_FAILED, -err, "%s", option);
}

static error_t parse_shared(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key >= KEY_TARGET && key < KEY_TARGET + TARGET_KINDS) {
		add_target(o, state, key - KEY_TARGET, arg);
		return 0;
	}
	switch (key) {
	case KEY_PORT:
		add_ports(o, state, arg);
		break;
	case KEY_PEER:
		add_peer(o, state, arg);
		break;
	case KEY_BUDGET:
		add_budget(o, state, arg);
		break;
	case KEY_INTERVAL:
		o->interval_ns = options_duration(state, "--interval", arg);
		if (o->interval_ns < NS_PER_S / 10 || o->interval_ns > 3600 * NS_PER_S)
			options_refuse(state, "--interval", arg, "not from 100ms to 1h");
		break;
	case KEY_WAIT:
		o->wait_ns = arg ? options_duration(state, "--wait", arg) : INT64_MAX;
		break;
	case KEY_REPLAY:
		o->replay_path = arg;
		break;
	case KEY_SPEED:
		o->speed = options_real(state, "--speed", arg, 0);
		break;
	case KEY_STRICT:
		o->is_strict = true;
		break;
	case KEY_SKIP_BAD:
		o->is_skip_bad = true;
		break;
	case KEY_JSON:
		o->is_json = true;
		break;
	case KEY_NO_STACKS:
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp options_argp = {.options = shared_options, .parser = parse_shared};

void options_parse(const struct argp *argp, int argc, char **argv, unsigned flags, void *input)
{
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(argp, argc, argv, flags, NULL, input);
}

void options_ports_text(const struct options *o, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = 0;
	for (size_t i = 0; i < o->n_ports && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%u", i ? ", " : "", o->ports[i]);
}

/* Live, only the ports asked for are seen at all; a recording has those of its own. */
static bool wants_port(const struct options *o, uint16_t port)
{
	if (!o->replay_path || !o->has_ports)
		return true;
	for (size_t i = 0; i < o->n_ports; i++)
		if (o->ports[i] == port)
			return true;
	return false;
}

bool options_wants_peer(const struct options *o, const struct endpoint *peer)
{
	if (!wants_port(o, peer->port))
		return false;
	for (size_t i = 0; i < o->n_peers; i++) {
		struct endpoint want = o->peers[i];

		if (!want.port)
			want.port = peer->port;
		if (endpoint_equal(&want, peer))
			return true;
	}
	return !o->n_peers;
}
