/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - a healthy connection pool: opens --size connections, closes none, and uses them
 *
 * Demand grows from nothing to the whole pool over --fill-time and is then random. Each round
 * borrows as many connections as are wanted, asks something on each, and gives them back. The
 * pool opens one only when no idle one is left; --eager opens them evenly over --fill-time, asked
 * for or not. --order says which idle one is borrowed next. Settings are libpq's (PGHOST ...).
 */
#include <getopt.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum order { ORDER_LIFO, ORDER_FIFO, ORDER_RANDOM, ORDER_MAX };
static const char *const order_names[ORDER_MAX] = {"lifo", "fifo", "random"};

struct pool {
	const char *dsn;
	int size;
	double fill_s, qps, duration_s;
	enum order order;
	bool is_eager;
	PGconn **idle; /* [size], the longest idle first */
	PGconn **busy; /* [size], what a round has borrowed */
	int n_idle, n_open;
	unsigned long n_queries, n_errors;
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Returns a new connection, or NULL (counted). */
static PGconn *open_one(struct pool *p)
{
	PGconn *conn = PQconnectdb(p->dsn);

	if (PQstatus(conn) == CONNECTION_OK) {
		p->n_open++;
		return conn;
	}
	if (!p->n_errors++)
		fprintf(stderr, "pool: %s", PQerrorMessage(conn));
	PQfinish(conn);
	return NULL;
}

/* Returns an idle connection by the pool's order, a new one if none is left, or NULL. */
static PGconn *borrow(struct pool *p)
{
	PGconn *conn;
	int i = p->n_idle - 1;

	if (!p->n_idle)
		return p->n_open < p->size ? open_one(p) : NULL;
	if (p->order == ORDER_FIFO)
		i = 0;
	else if (p->order == ORDER_RANDOM)
		i = rand() % p->n_idle;
	conn = p->idle[i];
	memmove(&p->idle[i], &p->idle[i + 1], (size_t)(--p->n_idle - i) * sizeof(conn));
	return conn;
}

static void give_back(struct pool *p, PGconn *conn)
{
	p->idle[p->n_idle++] = conn;
}

/* Asks on @want connections at a time, then gives all back. Returns how many were asked. */
static int work(struct pool *p, int want)
{
	PGresult *result;
	int n = 0;

	while (n < want && (p->busy[n] = borrow(p)))
		if (!PQsendQuery(p->busy[n++], "select count(*) from pg_class"))
			p->n_errors++;
	for (int i = 0; i < n; i++) {
		while ((result = PQgetResult(p->busy[i])))
			PQclear(result);
		give_back(p, p->busy[i]);
	}
	p->n_queries += (unsigned long)n;
	return n;
}

/* How many connections are wanted at @age_s: rising to all of them, then any number. */
static int demand(const struct pool *p, double age_s)
{
	if (age_s < p->fill_s)
		return 1 + (int)(p->size * age_s / p->fill_s) % p->size;
	if (p->n_open < p->size)
		return p->size;
	return 1 + rand() % p->size;
}

static void open_eagerly(struct pool *p, double age_s)
{
	int due = age_s < p->fill_s ? (int)(p->size * age_s / p->fill_s) : p->size;
	PGconn *conn;

	while (p->n_open < due && (conn = open_one(p)))
		give_back(p, conn);
}

/* Runs until a signal of @ends or the end of the duration. */
static void run(struct pool *p, const sigset_t *ends)
{
	double start = now_s(), pause;
	struct timespec ts;
	int n;

	do {
		if (p->is_eager)
			open_eagerly(p, now_s() - start);
		n = work(p, demand(p, now_s() - start));
		pause = (n ? n : 1) / p->qps;
		/* While it fills, each step of the demand is taken. */
		if (now_s() - start < p->fill_s && pause > p->fill_s / p->size)
			pause = p->fill_s / p->size;
		ts = (struct timespec){(time_t)pause, (long)((pause - (time_t)pause) * 1e9)};
		if (sigtimedwait(ends, NULL, &ts) > 0)
			break;
	} while (!p->duration_s || now_s() - start < p->duration_s);
}

static int usage(const char *what)
{
	fprintf(stderr,
		"pool: %s\n"
		"usage: pool [--size N] [--fill-time SECONDS] [--eager] [--qps N]\n"
		"       [--order lifo|fifo|random] [--duration SECONDS] [--dsn DSN]\n",
		what);
	return 2;
}

static int parse_order(const char *name, enum order *ret)
{
	for (int o = 0; o < ORDER_MAX; o++)
		if (!strcmp(name, order_names[o])) {
			*ret = o;
			return 0;
		}
	return usage("--order: not lifo, fifo or random");
}

static int parse_args(struct pool *p, int argc, char **argv)
{
	static const struct option options[] = {
		{"size", 1, NULL, 's'},	 {"fill-time", 1, NULL, 'f'},
		{"eager", 0, NULL, 'e'}, {"qps", 1, NULL, 'q'},
		{"order", 1, NULL, 'o'}, {"duration", 1, NULL, 'd'},
		{"dsn", 1, NULL, 'D'},	 {0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			p->size = atoi(optarg);
			break;
		case 'f':
			p->fill_s = atof(optarg);
			break;
		case 'e':
			p->is_eager = true;
			break;
		case 'q':
			p->qps = atof(optarg);
			break;
		case 'o':
			if (parse_order(optarg, &p->order))
				return 2;
			break;
		case 'd':
			p->duration_s = atof(optarg);
			break;
		case 'D':
			p->dsn = optarg;
			break;
		default:
			return usage("unknown option");
		}
	}
	if (optind < argc || p->size < 1 || p->size > 10000 || p->qps <= 0 || p->fill_s < 0 ||
	    p->duration_s < 0)
		return usage("a number is out of range, or an argument too many");
	return 0;
}

int main(int argc, char **argv)
{
	struct pool p = {.dsn = "", .size = 30, .fill_s = 20, .qps = 20};
	sigset_t ends;
	int err = parse_args(&p, argc, argv);

	if (err)
		return err;
	p.idle = calloc((size_t)p.size, sizeof(*p.idle));
	p.busy = calloc((size_t)p.size, sizeof(*p.busy));
	if (!p.idle || !p.busy)
		return 5;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	run(&p, &ends);
	printf("pool: %d opened, 0 closed, %lu queries, %lu failed\n", p.n_open, p.n_queries,
	       p.n_errors);
	while (p.n_idle)
		PQfinish(p.idle[--p.n_idle]);
	free(p.idle);
	free(p.busy);
	return 0;
}
