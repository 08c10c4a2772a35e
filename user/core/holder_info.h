/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holder_info.h - who a holder is, as far as anybody knows
 *
 * A plain value: every string is NULL (not known) or owned by the struct. Text is foreign (a
 * process names itself): it was cleaned by text_clean() at the collector and is escaped again by
 * each encoder. Command lines and environments are never in here.
 */
#ifndef CONNLEAK_HOLDER_INFO_H
#define CONNLEAK_HOLDER_INFO_H

#include <stdbool.h>
#include <stdint.h>

#define HOLDER_COMM_LEN 64 /* 15 bytes, each possibly shown as \xNN */

struct holder_info {
	uint32_t pid;	    /* tgid in the host's pid namespace */
	int64_t start_ns;   /* start of the process, on the events' clock */
	int64_t uid;	    /* -1: not known */
	bool is_descendant; /* of the program that a canary started */
	char comm[HOLDER_COMM_LEN];
	char *exe;	      /* path as the process sees it, without " (deleted)" */
	char *script;	      /* interpreters: script, module or main class */
	char *build_id;	      /* hex */
	char *cgroup;	      /* path */
	char *container;      /* id, hex */
	char *container_name; /* Kubernetes' name of it */
	char *namespace;      /* Kubernetes */
	char *pod;
	char *pod_uid;
	char *workload;
	char *unit; /* systemd service; never a session or login scope */
	char *version;
	char *group; /* docs/json.md's group, without kind, host and peer */
};

/* Frees the strings and zeroes @h. Accepts NULL and zeroed structs. */
void holder_info_release(struct holder_info *h);

/* Deep copy into @ret (uninitialised before). Returns 0 or -ENOMEM; @ret untouched on failure. */
int holder_info_copy(const struct holder_info *h, struct holder_info *ret);

#endif
