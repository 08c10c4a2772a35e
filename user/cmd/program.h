/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - the program that a canary starts, and its descendants
 *
 * connleak becomes the reaper of orphans below it, so that every descendant stays one, and the
 * watch ends when none is left.
 */
#ifndef CONNLEAK_PROGRAM_H
#define CONNLEAK_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

struct program {
	pid_t pid; /* 0: none was started */
	bool is_reaped;
	bool is_gone;	 /* it and all its descendants */
	bool is_stopped; /* was asked to end */
	int status;	 /* exit status; -1: none yet, or ended by a signal */
	int signal;	 /* that ended it; -1: none */
};

/* Makes this process the reaper of orphans below it. Returns 0 or a negative errno. */
int program_prepare(void);

/*
 * program_start - run @argv in a process group of its own, its stdout on our stderr
 * @user: run as this user; NULL: as the one who called sudo, else as ourselves
 *
 * Signals that this process has blocked are not blocked there. Returns 0, or a negative errno of
 * whatever kept it from starting (-ENOENT: no such program; -ESRCH: no such user), in which case
 * nothing runs.
 */
int program_start(struct program *p, char *const argv[], const char *user);

/* Collects what has ended. Call it at each SIGCHLD. */
void program_reap(struct program *p);

/* Asks it and its descendants to end, waits up to 5 s, then kills them. Once is enough. */
void program_stop(struct program *p);

#endif
