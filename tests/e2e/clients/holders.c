/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holders.c - holders PORT N: N processes that hold one connection each, to a listener of this one
 *
 * Prints {"holders":N} once all are there, and lets go of all when stdin ends.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(5);
}

/* Accepts all in a process of its own, so that no holder inherits any. */
static void run_server(int listener)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (accept4(listener, NULL, NULL, SOCK_CLOEXEC) >= 0)
		;
	die("accept");
}

static void hold(const struct sockaddr_in *to, int told)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	if (write(told, "x", 1) != 1)
		_exit(5);
	for (;;)
		pause();
}

static int listen_at(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) || listen(fd, 4096))
		die("listen");
	return fd;
}

static void start_holders(const struct sockaddr_in *at, int n)
{
	int told[2];
	char byte;

	if (pipe(told))
		die("pipe");
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			hold(at, told[1]);
	}
	close(told[1]);
	for (int i = 0; i < n; i++)
		if (read(told[0], &byte, 1) != 1)
			die("a holder ended");
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int n = argc == 3 ? atoi(argv[2]) : 0, listener;
	struct rlimit files;
	char byte;

	if (n <= 0)
		return 2;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGCHLD, SIG_IGN);
	at.sin_port = htons((uint16_t)atoi(argv[1]));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = listen_at(&at);
	if (!fork())
		run_server(listener);
	close(listener);
	start_holders(&at, n);
	printf("{\"holders\":%d}\n", n);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
