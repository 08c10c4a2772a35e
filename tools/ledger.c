/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.c - connections that go every way there is, and the true count of them
 *
 * ledger PORT CONNECTS SEED: workers open at least CONNECTS connections in bursts to a listener that
 * this program starts, and end them in all ways: close, reset, by the server, half-closed first, by
 * exit, by kill -9, handed to a child. One in a hundred is never closed. When all are made it
 * prints {"opened":N,"open":N,"processes":N}, holds what is open until stdin ends, and lets go.
 *
 * A worker is killed only by itself, between two steps, so that what it did is known exactly.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS	      8	   /* at a time */
#define PER_WORKER    2000 /* connections; 20 of them leak */
#define BURST	      50
#define LEAK_ONE_IN   100
#define PAUSE_NS      (20 * 1000 * 1000)
#define CHILD_LIFE_NS (1500 * 1000 * 1000L)

/* What the processes count together. */
struct truth {
	_Atomic unsigned long opened, open, processes, failed;
	_Atomic int active; /* workers that still open */
	_Atomic bool is_over;
};

struct worker {
	struct truth *truth;
	int port;
	unsigned seed;
	int kept[PER_WORKER / LEAK_ONE_IN + 1];
	int n_kept;
};

enum ending { END_CLOSE, END_RESET, END_BY_SERVER, END_RESET_BY_SERVER, END_HALF_CLOSED, ENDINGS };

static void die(const char *what)
{
	fprintf(stderr, "ledger: %s: %s\n", what, strerror(errno));
	exit(5);
}

static void nap(long ns)
{
	struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	nanosleep(&t, NULL);
}

static void reset_close(int fd)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

/* --- the server: closes or resets when asked to, else when its client has closed --- */

static void serve(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 1 && byte == 'r')
		reset_close(fd);
	else if (n != 1 || byte == 'c')
		close(fd);
}

static void run_server(int listener)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, events[64];
	int epoll = epoll_create1(0);

	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != listener) {
				serve(fd);
				continue;
			}
			while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				ev = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
			}
		}
	}
}

static int listen_on(int port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (void *)&any, sizeof(any)) || listen(fd, 4096))
		die("cannot listen");
	return fd;
}

/* --- a worker --- */

/* From an address of its own, so that ports suffice. */
static int open_one(struct worker *w)
{
	struct sockaddr_in from = {.sin_family = AF_INET},
			   to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	from.sin_addr.s_addr = htonl(0x7f000000u | (uint32_t)(getpid() & 0xffff) << 8 | 1);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (fd < 0 || bind(fd, (void *)&from, sizeof(from)) ||
	    connect(fd, (void *)&to, sizeof(to))) {
		w->truth->failed++;
		if (fd >= 0)
			close(fd);
		return -1;
	}
	w->truth->opened++;
	return fd;
}

/* Until the server has closed its end. */
static void await_end(int fd, const char *ask)
{
	char byte;

	if (send(fd, ask, 1, MSG_NOSIGNAL) == 1)
		while (recv(fd, &byte, 1, 0) > 0)
			;
}

static void end_one(struct worker *w, int fd)
{
	switch (rand_r(&w->seed) % ENDINGS) {
	case END_CLOSE:
		/* the server first learns of it by the FIN */
		send(fd, "x", 1, MSG_NOSIGNAL);
		reset_close(fd);
		break;
	case END_RESET:
		reset_close(fd);
		break;
	case END_BY_SERVER:
		await_end(fd, "c");
		close(fd);
		break;
	case END_RESET_BY_SERVER:
		await_end(fd, "r");
		close(fd);
		break;
	default:
		shutdown(fd, SHUT_WR);
		close(fd);
	}
}

static bool one_in(struct worker *w, unsigned n)
{
	return rand_r(&w->seed) % n == 0;
}

/* What a child inherits, it holds on to for a while after its parent let go. */
static void hand_to_child(int fd)
{
	if (fork() == 0) {
		nap(CHILD_LIFE_NS);
		_exit(0);
	}
	close(fd);
}

static void burst(struct worker *w)
{
	int fds[BURST], n = 0;

	for (int i = 0; i < BURST; i++) {
		fds[n] = open_one(w);
		n += fds[n] >= 0;
	}
	for (int i = 0; i < n; i++) {
		if (one_in(w, LEAK_ONE_IN) && w->n_kept < PER_WORKER / LEAK_ONE_IN)
			w->kept[w->n_kept++] = fds[i];
		else if (one_in(w, 2000))
			hand_to_child(fds[i]);
		else
			end_one(w, fds[i]);
	}
}

/* Never returns. A mortal one ends in the middle of it, with all that it has open. */
static void work(struct worker *w, bool is_mortal)
{
	int die_after = is_mortal ? (int)(rand_r(&w->seed) % PER_WORKER) : PER_WORKER;

	signal(SIGCHLD, SIG_IGN);
	for (int done = 0; done < PER_WORKER && done < die_after; done += BURST) {
		burst(w);
		if (one_in(w, 4))
			nap(PAUSE_NS);
	}
	w->truth->processes++;
	if (!is_mortal)
		w->truth->open += (unsigned long)w->n_kept;
	w->truth->active--;
	if (is_mortal && one_in(w, 2))
		kill(getpid(), SIGKILL);
	while (!is_mortal && !w->truth->is_over)
		nap(PAUSE_NS);
	_exit(0);
}

/* --- all of it --- */

static void run_workers(struct truth *t, int port, unsigned long n_connects, unsigned seed)
{
	for (unsigned id = 0; t->opened < n_connects; id++) {
		struct worker w = {.truth = t, .port = port, .seed = seed + id};
		pid_t pid;

		while (t->active >= WORKERS)
			nap(PAUSE_NS / 4);
		t->active++;
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid)
			work(&w, id % 8 == 7);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	while (t->active)
		nap(PAUSE_NS);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct truth *t;
	pid_t server;
	int listener;
	char byte;

	if (argc != 4) {
		fprintf(stderr, "usage: ledger PORT CONNECTS SEED\n");
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t == MAP_FAILED)
		die("mmap");
	listener = listen_on(atoi(argv[1]));
	server = fork();
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_server(listener);
	}
	close(listener);
	run_workers(t, atoi(argv[1]), strtoul(argv[2], NULL, 10), (unsigned)atoi(argv[3]));
	/* what children inherited ends with them */
	nap(2 * CHILD_LIFE_NS);
	printf("{\"opened\":%lu,\"open\":%lu,\"processes\":%lu,\"failed\":%lu}\n", t->opened,
	       t->open, t->processes, t->failed);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	t->is_over = true;
	nap(10 * PAUSE_NS);
	kill(server, SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
