/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - container, pod and unit out of a cgroup path
 */
#ifndef CONNLEAK_CGROUP_H
#define CONNLEAK_CGROUP_H

#include <stddef.h>

/* What a cgroup path says. Strings are the caller's to free (cgroup_names_release). */
struct cgroup_names {
	char *path;	 /* the one that names something, else the v2 or first path */
	char *container; /* 64 hex digits, or as many as there are (>= 12) */
	char *pod_uid;	 /* with dashes; a static pod's is 32 hex digits without */
	char *unit;	 /* *.service; no session, login or user scope */
};

/*
 * cgroup_parse - bytes of /proc/PID/cgroup, of v1, hybrid or v2 machines
 * @text: @n bytes, any content
 * Knows the layouts of Docker, containerd, CRI-O and podman, under systemd's and cgroupfs' naming.
 * Where they are nested (kind, minikube, Docker in a pod) the innermost one counts. The unit of a
 * container runtime is one only for the runtime itself.
 * Returns 0 or -ENOMEM; nothing recognised is not an error. @ret is written on success only.
 */
int cgroup_parse(const char *text, size_t n, struct cgroup_names *ret);
void cgroup_names_release(struct cgroup_names *c);

#endif
