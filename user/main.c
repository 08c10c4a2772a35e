/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the command table: dispatch and help come from it */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <connleak/exit_codes.h>

#include "cmd/cmd.h"
#include "core/text.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

static const struct command commands[] = {
	{"top", cmd_top, "live view, sorted by suspicion; what `connleak` alone runs"},
	{"ls", cmd_ls, "every open connection once: holder, age, idle time, state"},
	{"canary", cmd_canary, "watch for a bounded time, end with a verdict and its power"},
	{"record", cmd_record, "write what is seen to a trace"},
	{"replay", cmd_replay, "run a trace through the detector"},
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

/* Output that cannot be written is a failure, also of --help, which libc prints and exits after. */
static void check_stdout(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return;
	fprintf(stderr, "connleak: cannot write to stdout\n");
	_exit(EXIT_FAILED);
}

/* libc's parser shows an unknown option as it is; what a terminal would obey is refused here. */
static bool has_unprintable_option(int argc, char **argv)
{
	char shown[256];

	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		size_t n = strlen(argv[i]);

		if (argv[i][0] != '-' || strchr(argv[i], '=') || strchr(argv[i], '\\') ||
		    n >= sizeof(shown) || text_clean(shown, sizeof(shown), argv[i], n) == n)
			continue;
		fprintf(stderr, "connleak: %s: no such option\n", shown);
		return true;
	}
	return false;
}

/*
 * A descriptor of ours in the place of a closed stderr would get what is said there: a recording's
 * file, for one. These fail when they are used, as the closed ones would.
 */
static bool fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	static char name[] = "connleak"; /* what messages start with, whatever the file is called */
	const struct command *command;
	char shown[256];

	if (!fill_standard_fds())
		return EXIT_FAILED;
	atexit(check_stdout);
	/* what a burst took goes back to the system, not to libc's own store */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	/* a reader that went away is output that cannot be written, not a silent death */
	signal(SIGPIPE, SIG_IGN);
	if (has_unprintable_option(argc, argv))
		return EXIT_USAGE;

	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("connleak " CONNLEAK_VERSION "\n");
		return EXIT_CLEAN;
	}
	if (argc > 1 &&
	    (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))) {
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
		text_clean(shown, sizeof(shown), argv[1], strlen(argv[1]));
		fprintf(stderr, "connleak: %s: no such command (connleak --help lists them)\n",
			shown);
		return EXIT_USAGE;
	}
	argv[1] = name;
	return command->run(argc - 1, argv + 1);
}
