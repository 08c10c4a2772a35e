/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - which processes a command is about
 *
 * Every criterion given must hold (--unit api --comm worker: both); of one criterion given several
 * times any may. An empty target means all processes.
 */
#ifndef CONNLEAK_TARGET_H
#define CONNLEAK_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../core/holder_info.h"

enum target_kind {
	TARGET_PID,
	TARGET_COMM,
	TARGET_EXE,
	TARGET_UNIT,
	TARGET_CGROUP,
	TARGET_CONTAINER,
	TARGET_POD,
	TARGET_KINDS
};

#define TARGET_MAX 64

struct target_value {
	enum target_kind kind;
	char *text; /* owned; cleaned like what it is compared with; an --exe is resolved */
	uint32_t pid;
	int64_t start_ns; /* of that pid when the watch began; -1: not known yet */
};

struct target {
	struct target_value values[TARGET_MAX];
	size_t n;
	bool is_descendants; /* of the program that was started, whoever they are */
};

/* The option's name without dashes: "pid", "comm" ... */
const char *target_kind_name(enum target_kind kind);

/*
 * target_add - one criterion
 * Returns 0, -EINVAL (not a pid, or empty), -E2BIG (too many), -ENOMEM.
 */
int target_add(struct target *t, enum target_kind kind, const char *text);
void target_release(struct target *t);

bool target_matches(const struct target *t, const struct holder_info *h);

/*
 * target_find - is there a process that matches, connected or not?
 * @ret_pid: of the first that was found
 * Walks /proc. Notes the start time of pids, so that a reused one is another process.
 * Returns 0, -ESRCH, or another negative errno.
 */
int target_find(struct target *t, uint32_t *ret_pid);

/* Writes "--comm api --unit web" or "all processes"; cut to @size. Foreign text is cleaned. */
void target_describe(const struct target *t, char *buf, size_t size);

#endif
