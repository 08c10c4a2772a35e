/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order-service.c - the service of the incident, in the three versions of that day
 *
 * Each request opens a connection to PostgreSQL, asks two things, and closes the connection.
 *   v2.3.8   closes it in place.
 *   v2.3.9   leaves that to a cleanup thread, with the request's context to log under. The
 *            request is over by then and its context NULL: the cleanup faults, the fault is
 *            recovered without a word (as a goroutine's panic is by a middleware), and the close
 *            behind it never runs. Requests succeed, nothing is logged, one connection is lost.
 *   v2.3.10  asks first whether there is a context.
 * The version is --version, else DD_VERSION. Connection settings are libpq's: --dsn or PGHOST ...
 */
#include <getopt.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum version { V2_3_8, V2_3_9, V2_3_10, VERSION_MAX };
static const char *const version_names[VERSION_MAX] = {"v2.3.8", "v2.3.9", "v2.3.10"};

struct service {
	enum version version;
	const char *dsn;
	double rate_per_min;
	double leak_frac;  /* of the requests, how many are over before their cleanup runs */
	double duration_s; /* 0: until SIGTERM */
	int n_threads;
	atomic_ulong n_requests, n_errors;
};

struct request_context {
	unsigned long id;
	atomic_ulong n_finished;
};

struct cleanup_job {
	enum version version;
	PGconn *conn;
	struct request_context *context; /* NULL when the request is over */
};

static _Thread_local sigjmp_buf recover_point;
static _Thread_local volatile sig_atomic_t is_recovering;

static void on_fault(int sig)
{
	if (is_recovering)
		siglongjmp(recover_point, 1);
	signal(sig, SIG_DFL); /* a fault of our own: dies of it on return */
}

static void finish_request(struct request_context *volatile context)
{
	atomic_fetch_add(&context->n_finished, 1);
}

static void *cleanup_thread(void *arg)
{
	struct cleanup_job *job = arg;

	if (!sigsetjmp(recover_point, 1)) {
		is_recovering = 1;
		if (job->version == V2_3_9 || job->context)
			finish_request(job->context);
		PQfinish(job->conn);
	}
	free(job->context);
	free(job);
	return NULL;
}

/* Takes @conn and @context. */
static void clean_up_later(enum version version, PGconn *conn, struct request_context *context)
{
	struct cleanup_job *job = calloc(1, sizeof(*job));
	pthread_attr_t attr;
	pthread_t thread;

	if (!job) {
		PQfinish(conn);
		free(context);
		return;
	}
	*job = (struct cleanup_job){version, conn, context};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, cleanup_thread, job))
		cleanup_thread(job);
	pthread_attr_destroy(&attr);
}

static bool query(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;

	PQclear(result);
	return ok;
}

static void place_order(struct service *s, unsigned int *seed)
{
	unsigned long id = atomic_fetch_add(&s->n_requests, 1);
	struct request_context *context = calloc(1, sizeof(*context));
	PGconn *conn = PQconnectdb(s->dsn);

	/* A full server ("too many clients already") ends here: the customer tries again. */
	if (!context || PQstatus(conn) != CONNECTION_OK ||
	    !query(conn, "select count(*) from pg_class where relname = 'stock'") ||
	    !query(conn, "select now()")) {
		atomic_fetch_add(&s->n_errors, 1);
		PQfinish(conn);
		free(context);
		return;
	}
	context->id = id;
	if (s->version == V2_3_8) {
		finish_request(context);
		PQfinish(conn);
		free(context);
		return;
	}
	if (rand_r(seed) < s->leak_frac * RAND_MAX) {
		free(context);
		context = NULL;
	}
	clean_up_later(s->version, conn, context);
}

static void sleep_s(double seconds)
{
	struct timespec ts = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};

	nanosleep(&ts, NULL);
}

/* Requests arrive at an even pace, each gap off by up to a fifth. */
static void *serve(void *arg)
{
	struct service *s = arg;
	double gap_s = 60 * s->n_threads / s->rate_per_min;
	unsigned int seed = (unsigned int)(pthread_self() ^ (unsigned long)time(NULL));

	sleep_s(gap_s * rand_r(&seed) / RAND_MAX);
	for (;;) {
		place_order(s, &seed);
		sleep_s(gap_s * (0.8 + 0.4 * rand_r(&seed) / RAND_MAX));
	}
	return NULL;
}

static int usage(const char *what)
{
	fprintf(stderr,
		"order-service: %s\n"
		"usage: order-service [--version v2.3.8|v2.3.9|v2.3.10] [--rate PER_MIN]\n"
		"       [--leak-fraction F] [--threads N] [--duration SECONDS] [--dsn DSN]\n",
		what);
	return 2;
}

static int parse_version(const char *name, enum version *ret)
{
	for (int v = 0; name && v < VERSION_MAX; v++)
		if (!strcmp(name, version_names[v])) {
			*ret = v;
			return 0;
		}
	return usage("--version (or DD_VERSION): none of the three");
}

static int parse_args(struct service *s, int argc, char **argv)
{
	static const struct option options[] = {{"version", 1, NULL, 'v'},
						{"rate", 1, NULL, 'r'},
						{"leak-fraction", 1, NULL, 'f'},
						{"threads", 1, NULL, 't'},
						{"duration", 1, NULL, 'd'},
						{"dsn", 1, NULL, 'D'},
						{0}};
	const char *version = getenv("DD_VERSION");
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'v':
			version = optarg;
			break;
		case 'r':
			s->rate_per_min = atof(optarg);
			break;
		case 'f':
			s->leak_frac = atof(optarg);
			break;
		case 't':
			s->n_threads = atoi(optarg);
			break;
		case 'd':
			s->duration_s = atof(optarg);
			break;
		case 'D':
			s->dsn = optarg;
			break;
		default:
			return usage("unknown option");
		}
	}
	if (optind < argc || s->rate_per_min <= 0 || s->n_threads < 1 || s->duration_s < 0)
		return usage("a number is out of range, or an argument too many");
	return parse_version(version, &s->version);
}

/* Waits for SIGTERM or SIGINT, which every thread has blocked, or for the duration to pass. */
static void wait_for_end(const struct service *s, const sigset_t *ends)
{
	struct timespec ts = {(time_t)s->duration_s,
			      (long)((s->duration_s - (time_t)s->duration_s) * 1e9)};

	if (s->duration_s > 0)
		sigtimedwait(ends, NULL, &ts);
	else
		sigwaitinfo(ends, NULL);
}

int main(int argc, char **argv)
{
	static struct service s = {.dsn = "", .rate_per_min = 10, .leak_frac = 1, .n_threads = 1};
	struct sigaction recover = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
	pthread_t thread;
	sigset_t ends;
	int err = parse_args(&s, argc, argv);

	if (err)
		return err;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	sigaction(SIGSEGV, &recover, NULL);
	for (int i = 0; i < s.n_threads; i++)
		if (pthread_create(&thread, NULL, serve, &s))
			return 5;
	wait_for_end(&s, &ends);
	printf("order-service %s: %lu requests, %lu failed\n", version_names[s.version],
	       atomic_load(&s.n_requests), atomic_load(&s.n_errors));
	fflush(stdout);
	/* The threads are still at work; what they hold goes with the process. */
	_exit(0);
}
