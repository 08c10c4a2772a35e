/* SPDX-License-Identifier: Apache-2.0 */
/*
 * churn.c - connects and closes against a TCP listener of its own, for kernel tests and bench
 *
 * The listener is a child process that echoes what it gets and closes what its peer closed. The
 * counts are printed as one JSON object once all connects are made; with --keep the kept
 * connections stay open until stdin ends. --refused starts no listener: every connect must fail.
 * --rate paces the connects, so many a second. --holders makes that many processes with one
 * connection each, kept. --source is the first source address (127.0.N.1): with one of its own each
 * of several has all ports to itself.
 * Beyond 20,000 connects the source address moves on through 127.0.0.0/8, so that ports suffice
 * (IPv6 has one loopback address: about 28,000 within a minute). What may be kept open is bounded
 * by the hard limit of descriptors: run several for more.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTS_PER_ADDRESS 20000

struct churn {
	int port, n_connects, n_threads, n_keep, n_bytes, n_holders;
	int n_source; /* the source is 127.0.N.1; 0: the system's choice */
	int rate;     /* connects a second; 0: as fast as it goes */
	bool is_ipv6, is_rst, is_refused, peer_closes;
};

struct worker {
	const struct churn *c;
	pthread_t thread;
	int first, end; /* its share of the connects: [first, end) */
	int n_ok, n_refused, n_failed, n_kept;
};

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t loopback(const struct churn *c, int port, union address *ret)
{
	*ret = (union address){0};
	if (c->is_ipv6) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_addr = in6addr_loopback;
		ret->in6.sin6_port = htons((uint16_t)port);
		return sizeof(ret->in6);
	}
	ret->in.sin_family = AF_INET;
	ret->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ret->in.sin_port = htons((uint16_t)port);
	return sizeof(ret->in);
}

static void die(const char *what)
{
	fprintf(stderr, "churn: %s: %s\n", what, strerror(errno));
	exit(5);
}

/* Returns a bound socket, listening unless all is to be refused; fills in the port if it was 0. */
static int open_listener(struct churn *c)
{
	union address a;
	socklen_t len = loopback(c, c->port, &a);
	int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, &a.sa, len) || (!c->is_refused && listen(fd, 4096)) ||
	    getsockname(fd, &a.sa, &len))
		die("cannot listen");
	c->port = ntohs(c->is_ipv6 ? a.in6.sin6_port : a.in.sin_port);
	return fd;
}

static void echo(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n <= 0 || write(fd, buf, (size_t)n) != n)
		close(fd);
}

static void serve(const struct churn *c, int listener)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, got[256];
	int ep = epoll_create1(0), n, fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev))
		die("epoll");
	for (;;) {
		n = epoll_wait(ep, got, 256, -1);
		for (int i = 0; i < n; i++) {
			if (got[i].data.fd != listener) {
				echo(got[i].data.fd);
				continue;
			}
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			ev.data.fd = fd;
			if (fd >= 0 && (c->peer_closes || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)))
				close(fd);
		}
	}
}

/* Moves on to another source address for each CONNECTS_PER_ADDRESS connects. */
static int bind_source(const struct churn *c, int fd, int i)
{
	int on = 1;
	struct sockaddr_in a = {.sin_family = AF_INET};
	int n = c->n_source + i / CONNECTS_PER_ADDRESS;

	if (c->is_ipv6 || !n)
		return 0;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256u * (uint32_t)n);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

/* Sends the bytes and reads them back; with --peer-closes waits for the end instead. */
static void exchange(const struct churn *c, int fd)
{
	char buf[4096] = {0};
	ssize_t n;

	if (c->peer_closes) {
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		return;
	}
	if (!c->n_bytes || write(fd, buf, (size_t)c->n_bytes) != c->n_bytes)
		return;
	for (int left = c->n_bytes; left > 0; left -= (int)n) {
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return;
	}
}

static void connect_once(struct worker *w, int i)
{
	const struct churn *c = w->c;
	struct linger rst = {.l_onoff = 1, .l_linger = 0};
	union address a;
	socklen_t len = loopback(c, c->port, &a);
	int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind_source(c, fd, i) || connect(fd, &a.sa, len)) {
		if (errno == ECONNREFUSED)
			w->n_refused++;
		else
			w->n_failed++;
		if (fd >= 0)
			close(fd);
		return;
	}
	w->n_ok++;
	exchange(c, fd);
	if (i < c->n_keep) {
		w->n_kept++;
		return;
	}
	if (c->is_rst)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
	close(fd);
}

/* The threads share the rate; each keeps to its own share, whatever a connect takes. */
static void pace(const struct churn *c, const struct timespec *start, int i_done)
{
	long long ns = start->tv_nsec + i_done * 1000000000LL * c->n_threads / c->rate;
	struct timespec due = {start->tv_sec + ns / 1000000000, ns % 1000000000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = w->first; i < w->end; i++) {
		if (w->c->rate)
			pace(w->c, &start, i - w->first);
		connect_once(w, i);
	}
	return NULL;
}

/* A process with one connection, as long as its parent lives. */
static void hold_one(const struct churn *c, int i, int ready)
{
	struct worker w = {.c = c};
	char said;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	connect_once(&w, i);
	said = w.n_kept ? 'k' : w.n_refused ? 'r' : 'f';
	if (write(ready, &said, 1) == 1 && w.n_kept)
		pause();
	_exit(0);
}

static struct worker run_holders(const struct churn *c, int listener)
{
	struct worker sum = {0};
	int ready[2];
	char said;

	if (pipe(ready))
		die("pipe");
	for (int i = 0; i < c->n_holders; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			close(listener);
			hold_one(c, i, ready[1]);
		}
	}
	close(ready[1]);
	for (int i = 0; i < c->n_holders && read(ready[0], &said, 1) == 1; i++) {
		sum.n_kept += said == 'k';
		sum.n_refused += said == 'r';
		sum.n_failed += said == 'f';
	}
	sum.n_ok = sum.n_kept;
	return sum;
}

static struct worker run_workers(const struct churn *c)
{
	struct worker *w = calloc((size_t)c->n_threads, sizeof(*w)), sum = {0};
	int per = c->n_connects / c->n_threads, extra = c->n_connects % c->n_threads, at = 0;

	if (!w)
		die("workers");
	for (int i = 0; i < c->n_threads; i++) {
		w[i].c = c;
		w[i].first = at;
		w[i].end = at += per + (i < extra);
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			die("threads");
	}
	for (int i = 0; i < c->n_threads; i++) {
		pthread_join(w[i].thread, NULL);
		sum.n_ok += w[i].n_ok;
		sum.n_refused += w[i].n_refused;
		sum.n_failed += w[i].n_failed;
		sum.n_kept += w[i].n_kept;
	}
	free(w);
	return sum;
}

static int usage(const char *what)
{
	fprintf(stderr,
		"churn: %s\n"
		"usage: churn [--listen PORT] [--connects N] [--concurrency N] [--keep N]\n"
		"       [--rate N] [--holders N] [--bytes N] [--ipv6] [--rst] [--refused]\n"
		"       [--peer-closes] [--source N]\n",
		what);
	return 2;
}

static int parse_args(struct churn *c, int argc, char **argv)
{
	static const struct option options[] = {{"listen", 1, NULL, 'l'},
						{"connects", 1, NULL, 'n'},
						{"concurrency", 1, NULL, 'c'},
						{"keep", 1, NULL, 'k'},
						{"bytes", 1, NULL, 'b'},
						{"ipv6", 0, NULL, '6'},
						{"rst", 0, NULL, 'r'},
						{"refused", 0, NULL, 'R'},
						{"peer-closes", 0, NULL, 'p'},
						{"rate", 1, NULL, 'a'},
						{"holders", 1, NULL, 'h'},
						{"source", 1, NULL, 's'},
						{0}};
	int opt, *number;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		number = opt == 'l'   ? &c->port
			 : opt == 'n' ? &c->n_connects
			 : opt == 'c' ? &c->n_threads
			 : opt == 'k' ? &c->n_keep
			 : opt == 'b' ? &c->n_bytes
			 : opt == 'a' ? &c->rate
			 : opt == 'h' ? &c->n_holders
			 : opt == 's' ? &c->n_source
				      : NULL;
		if (opt == '?')
			return usage("unknown option");
		if (number)
			*number = atoi(optarg);
		c->is_ipv6 |= opt == '6';
		c->is_rst |= opt == 'r';
		c->is_refused |= opt == 'R';
		c->peer_closes |= opt == 'p';
	}
	if (optind < argc || c->port < 0 || c->port > 65535 || c->n_connects < 0 ||
	    c->n_threads < 1 || c->n_keep < 0 || c->n_bytes < 0 || c->n_bytes > 4096 ||
	    c->rate < 0 || c->n_holders < 0 || c->n_source < 0 || c->n_source > 255)
		return usage("a number is out of range, or an argument too many");
	if (c->n_holders)
		c->n_connects = c->n_keep = c->n_holders;
	return 0;
}

int main(int argc, char **argv)
{
	struct churn c = {.n_connects = 1000, .n_threads = 1};
	struct timespec start, end;
	struct rlimit files;
	struct worker sum;
	int listener, err = parse_args(&c, argc, argv);
	char drain[64];

	if (err)
		return err;
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	listener = open_listener(&c);
	if (!c.is_refused && !fork())
		serve(&c, listener);
	clock_gettime(CLOCK_MONOTONIC, &start);
	sum = c.n_holders ? run_holders(&c, listener) : run_workers(&c);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("{\"pid\":%d,\"port\":%d,\"connects\":%d,\"established\":%d,\"refused\":%d,"
	       "\"failed\":%d,\"kept\":%d,\"seconds\":%.3f}\n",
	       (int)getpid(), c.port, c.n_connects, sum.n_ok, sum.n_refused, sum.n_failed,
	       sum.n_kept,
	       (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	fflush(stdout);
	while (c.n_keep && read(0, drain, sizeof(drain)) > 0)
		;
	return 0;
}
