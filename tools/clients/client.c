/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - client KIND healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS, over libpq
 *
 * threads  a thread and a connection for each request, one arrival in ten brings three at once;
 *          the leak returns on an error without PQfinish
 * long     3 workers with a connection each run queries of 20 to 60 s with short pauses (the rate
 *          is not used); the leak opens another connection after an error and forgets the old one
 *
 * Each leak is told on stdout as "leak UNIX-SECONDS". Settings are libpq's.
 */
#include <libpq-fe.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_LONG 3

static atomic_int n_requests;
static int fails_one_in; /* 0: never */

/* Counts a request and says whether it is one that fails. */
static bool next_fails(void)
{
	int n = atomic_fetch_add(&n_requests, 1) + 1;

	return fails_one_in && n % fails_one_in == 0;
}

static void tell_leak(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	printf("leak %lld.%03ld\n", (long long)now.tv_sec, now.tv_nsec / 1000000);
	fflush(stdout);
}

/* A connection, or NULL after having said why not. */
static PGconn *connect_to_server(void)
{
	PGconn *conn = PQconnectdb("");

	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	fprintf(stderr, "%s", PQerrorMessage(conn));
	PQfinish(conn);
	return NULL;
}

static void ask(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fprintf(stderr, "%s", PQerrorMessage(conn));
	PQclear(result);
}

static void *serve_request(void *unused)
{
	PGconn *conn = connect_to_server();

	if (!conn)
		return unused;
	ask(conn, "select id, item, pg_sleep(0.03) from orders where id = 17");
	if (next_fails()) {
		tell_leak();
		return unused;
	}
	PQfinish(conn);
	return unused;
}

static double uniform(unsigned int *seed)
{
	return rand_r(seed) / (RAND_MAX + 1.0);
}

static void sleep_for(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds};

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
}

static void *run_long_queries(void *arg)
{
	unsigned int seed = *(unsigned int *)arg;
	PGconn *conn = connect_to_server();
	char sql[64];

	while (conn) {
		snprintf(sql, sizeof(sql), "select pg_sleep(%.3f)", 20 + 40 * uniform(&seed));
		ask(conn, sql);
		if (next_fails()) {
			tell_leak();
			conn = connect_to_server();
		}
		sleep_for(0.05 + 2 * uniform(&seed));
	}
	return NULL;
}

static void start_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg) == 0)
		pthread_detach(thread);
}

static void serve_requests(double per_minute, time_t end)
{
	unsigned int seed = 7;

	while (time(NULL) < end) {
		/* 1.2 requests an arrival */
		sleep_for(-log(1 - uniform(&seed)) * 1.2 * 60 / per_minute);
		for (int n = uniform(&seed) < 0.1 ? 3 : 1; n > 0; n--)
			start_thread(serve_request, NULL);
	}
}

int main(int argc, char **argv)
{
	static unsigned int seeds[N_LONG] = {7, 8, 9};
	time_t end;

	if (argc != 5 || (strcmp(argv[1], "threads") && strcmp(argv[1], "long"))) {
		fprintf(stderr,
			"client threads|long healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS\n");
		return 2;
	}
	if (!strncmp(argv[2], "leak=1/", 7))
		fails_one_in = atoi(argv[2] + 7);
	end = time(NULL) + atoi(argv[4]);
	if (!strcmp(argv[1], "threads"))
		serve_requests(atof(argv[3]), end);
	for (int i = 0; i < N_LONG && time(NULL) < end; i++)
		start_thread(run_long_queries, &seeds[i]);
	while (time(NULL) < end)
		sleep_for(1);
	return 0;
}
