/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_THREADS 64

struct queue {
	struct job *jobs;
	size_t n;
	atomic_size_t next, done;
	atomic_int err;
	const char *what;
};

static void show(struct queue *q, size_t done)
{
	if (q->what && isatty(STDERR_FILENO))
		fprintf(stderr, "\r%s: %zu of %zu%s", q->what, done, q->n,
			done == q->n ? "\n" : "");
}

static void *work(void *arg)
{
	struct queue *q = arg;
	size_t i;

	while ((i = atomic_fetch_add(&q->next, 1)) < q->n && !atomic_load(&q->err)) {
		int err = trial_run(&q->jobs[i].opts, q->jobs[i].result);

		if (err)
			atomic_store(&q->err, err);
		show(q, atomic_fetch_add(&q->done, 1) + 1);
	}
	return NULL;
}

int jobs_run(struct job *jobs, size_t n, int threads, const char *what)
{
	struct queue q = {.jobs = jobs, .n = n, .what = what};
	pthread_t ids[MAX_THREADS];
	int n_started = 0;

	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	for (; n_started < threads - 1; n_started++)
		if (pthread_create(&ids[n_started], NULL, work, &q))
			break;
	work(&q);
	while (n_started)
		pthread_join(ids[--n_started], NULL);
	return atomic_load(&q.err);
}
