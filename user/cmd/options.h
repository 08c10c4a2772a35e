/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the options that all commands share: target, peers, budget, form
 *
 * An argp child: each command's own parser takes it in, so that every command reads and explains
 * them alike. Wrong values end the program with exit code 2 and name what is wrong.
 */
#ifndef CONNLEAK_OPTIONS_H
#define CONNLEAK_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "../core/endpoint.h"
#include "target.h"

#define OPTIONS_MAX_PORTS   64
#define OPTIONS_MAX_PEERS   16
#define OPTIONS_MAX_BUDGETS 16

struct budget_option {
	struct endpoint peer; /* family 0: each peer without one of its own */
	uint32_t limit;
};

struct options {
	struct target target;
	uint16_t ports[OPTIONS_MAX_PORTS];
	size_t n_ports;
	struct endpoint peers[OPTIONS_MAX_PEERS]; /* port 0: any; none: all */
	size_t n_peers;
	struct budget_option budgets[OPTIONS_MAX_BUDGETS];
	size_t n_budgets;
	int64_t interval_ns;
	int64_t wait_ns; /* for a target that does not exist yet; 0: do not; INT64_MAX: for ever */
	bool is_json;
	bool has_ports;		 /* --port was given */
	const char *replay_path; /* NULL: the live kernel */
	double speed; /* of a replay, in trace seconds per second; 0: as fast as possible; negative:
			 not given */
	bool is_strict, is_skip_bad; /* of a replay */
};

/* The defaults: ports 5432 and 6432, every second. */
void options_init(struct options *o);
void options_release(struct options *o);

/* For `children` of a command's argp; its input is a struct options. */
extern const struct argp options_argp;

/* Keys of commands' own options start here, away from the shared ones. */
#define OPTIONS_OWN_KEY 0x1000

/*
 * options_parse - run a command's own parser, which has options_argp as its first child
 * @input: the command's settings, handed to its parser as input
 * Returns when all was well (also for --help it does not return).
 */
void options_parse(const struct argp *argp, int argc, char **argv, unsigned flags, void *input);

/* "5432, 6432" */
void options_ports_text(const struct options *o, char *buf, size_t size);

/* Is the peer among those asked for? */
bool options_wants_peer(const struct options *o, const struct endpoint *peer);

/* Wrong usage: ends the program with "OPTION TEXT: WHY". @option "": an argument. */
void options_refuse(struct argp_state *state, const char *option, const char *text,
		    const char *why);

/*
 * A real number option (@option with its dashes), at least @min, above 0 where @min is so; ends the
 * program when @text is none.
 */
double options_real(struct argp_state *state, const char *option, const char *text, double min);

/* A duration option (@option with its dashes); ends the program when @text is none. */
int64_t options_duration(struct argp_state *state, const char *option, const char *text);

#endif
