/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_doctor.c - what this kernel and these privileges allow, and what is missing and why */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <connleak/exit_codes.h>

#include "../collect/kernel_probe.h"
#include "../core/strbuf.h"
#include "cmd.h"
#include "session.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = state->input;
		return 0;
	}
	if (key == ARGP_KEY_ARG)
		options_refuse(state, "", arg, "not an option of doctor");
	return ARGP_ERR_UNKNOWN;
}

static int print_report(const struct doctor_report *report, bool is_json)
{
	struct json_context ctx = {0};
	struct strbuf sb = {0};
	struct timespec now;
	char host[256] = "";
	char *line;
	int err;

	if (!is_json) {
		err = doctor_text(&sb, report, CONNLEAK_VERSION) ? EXIT_FAILED
								 : session_print(sb.buf);
		strbuf_release(&sb);
		return err;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gethostname(host, sizeof(host) - 1);
	ctx.host = host;
	line = json_doctor(&ctx, report, CONNLEAK_VERSION, now.tv_sec * NS_PER_S + now.tv_nsec);
	err = line ? session_print_line(line) : EXIT_FAILED;
	free(line);
	return err;
}

int cmd_doctor(int argc, char **argv)
{
	const struct argp_child children[] = {{&options_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.parser = parse,
		.children = children,
		.doc = "What this kernel and these privileges allow, and what is missing and why.\v"
		       "Exits with 0 when the live commands can run, with 3 when they cannot."};
	struct doctor_report report;
	struct options options;
	int err;

	options_init(&options);
	options_parse(&argp, argc, argv, 0, &options);
	kernel_probe_report(&report);
	err = print_report(&report, options.is_json);
	options_release(&options);
	return err ? err : report.is_ready ? EXIT_CLEAN : EXIT_CANNOT;
}
