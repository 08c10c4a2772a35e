/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the command table: dispatch and help come from it */
#include <stdio.h>
#include <string.h>

#include <connleak/exit_codes.h>

#include "cmd/cmd.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

static const struct command commands[] = {
	{"top", cmd_top, "live view, sorted by suspicion; what `connleak` alone runs"},
	{"ls", cmd_ls, "every open connection once: holder, age, idle time, state"},
	{"canary", cmd_canary, "watch for a bounded time, end with a verdict and its power"},
	{"doctor", cmd_doctor, "what this kernel and these privileges allow, and what is missing"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
	fprintf(to, "connleak finds the process that opens PostgreSQL connections and never closes "
		    "them.\n\nUsage: connleak [COMMAND] [OPTION...]\n\nCommands:\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\nconnleak COMMAND --help lists the options of a command; connleak(8) is the "
		    "reference.\n\n"
		    "Exit codes: 0 clean or pass, 1 leak, 2 wrong usage, 3 this machine cannot do "
		    "it,\n4 inconclusive, 5 failed while running.\n");
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	static char name[] = "connleak"; /* what messages start with, whatever the file is called */
	const struct command *command;

	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("connleak " CONNLEAK_VERSION "\n");
		return EXIT_CLEAN;
	}
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
			 !strcmp(argv[1], "help"))) {
		print_help(stdout);
		return EXIT_CLEAN;
	}
	if (argc < 2 || argv[1][0] == '-') {
		if (argc > 0)
			argv[0] = name;
		return cmd_top(argc, argv);
	}
	command = find_command(argv[1]);
	if (!command) {
		fprintf(stderr, "connleak: %s: no such command (connleak --help lists them)\n",
			argv[1]);
		return EXIT_USAGE;
	}
	argv[1] = name;
	return command->run(argc - 1, argv + 1);
}
