/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - what a holder is called and what stays the same over its restarts
 */
#ifndef CONNLEAK_IDENTITY_H
#define CONNLEAK_IDENTITY_H

#include <stddef.h>

#include "holder_info.h"

/* What a cgroup path says. Strings are the caller's to free (cgroup_names_release). */
struct cgroup_names {
	char *path;	 /* the one that names something, else the v2 or first path */
	char *container; /* 64 hex digits, or as many as there are (>= 12) */
	char *pod_uid;	 /* with dashes */
	char *unit;	 /* *.service; no session, login or user scope */
};

/*
 * cgroup_parse - bytes of /proc/PID/cgroup, of v1, hybrid or v2 machines
 * @text: @n bytes, any content
 * Knows the layouts of Docker, containerd, CRI-O and podman, under systemd's and cgroupfs' naming.
 * Returns 0 or -ENOMEM; nothing recognised is not an error. @ret is written on success only.
 */
int cgroup_parse(const char *text, size_t n, struct cgroup_names *ret);
void cgroup_names_release(struct cgroup_names *c);

/*
 * procparse_start_ns - start time from the bytes of /proc/PID/stat (comm may hold anything)
 * @ticks_per_s: sysconf(_SC_CLK_TCK)
 * Returns 0 or -EINVAL.
 */
int procparse_start_ns(const char *stat, size_t n, long ticks_per_s, int64_t *ret_ns);

/*
 * procparse_env - one variable out of the bytes of /proc/PID/environ
 * @ret: caller's, cleaned text; written on success only. Returns 0, -ENOENT, -ENOMEM.
 */
int procparse_env(const char *env, size_t n, const char *name, char **ret);

/* version out of OTEL_RESOURCE_ATTRIBUTES ("service.version=1.2,..."). As procparse_env(). */
int procparse_otel_version(const char *value, char **ret);

/*
 * procparse_script - script, module or main class of an interpreter's command line
 * @exe:     path of the executable
 * @cmdline: @n bytes of /proc/PID/cmdline, NUL-separated
 * Only that one word ever leaves this function. Python (file, -m), node, ruby, perl, php, java
 * (main class, -jar), shells. Returns 0, -ENOENT (no interpreter, or no script), -ENOMEM.
 */
int procparse_script(const char *exe, const char *cmdline, size_t n, char **ret);

/* pod name less its ReplicaSet, DaemonSet or ordinal suffix (product.md). Caller frees; NULL: none.
 */
char *identity_workload(const char *pod);

/*
 * identity_group - fill @h->group: namespace/workload/container name, or unit, else executable
 *	path and script, else comm
 * Never a pid, a container id, a version or a count. Returns 0 or -ENOMEM.
 */
int identity_group(struct holder_info *h);

/*
 * buildid_from_notes - hex of the GNU build-id out of a PT_NOTE segment's bytes
 * Returns 0, -ENOENT, -EINVAL (not notes). @ret: at least 2 * 20 + 1 bytes are needed; longer
 * ids are cut to what fits. @align: 4 or 8.
 */
int buildid_from_notes(const unsigned char *notes, size_t n, unsigned align, char *ret,
		       size_t size);

/*
 * gobuildinfo_version - the main module's version out of a Go binary's build information
 * @data: @n bytes of the section .go.buildinfo and what follows (inline strings, Go 1.18 on)
 * Returns 0 ("v1.2.3"; "(devel)" counts as none), -ENOENT, -ENOMEM.
 */
int gobuildinfo_version(const unsigned char *data, size_t n, char **ret);

#endif
