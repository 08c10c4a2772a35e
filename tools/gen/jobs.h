/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.h - many trials, on all cores */
#ifndef CONNLEAK_GEN_JOBS_H
#define CONNLEAK_GEN_JOBS_H

#include "trial.h"

struct job {
	struct trial_opts opts;
	struct trial *result;
};

/*
 * jobs_run - run them all, each by itself: results do not depend on @threads
 * @what: for the progress line on stderr; NULL: none
 * Returns 0 or the first error (-ENOMEM, or what pthread_create() gave).
 */
int jobs_run(struct job *jobs, size_t n, int threads, const char *what);

#endif
