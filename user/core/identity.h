/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - what a holder is called and what stays the same over its restarts
 */
#ifndef CONNLEAK_IDENTITY_H
#define CONNLEAK_IDENTITY_H

#include "holder_info.h"

/* pod name less its ReplicaSet, DaemonSet, ordinal suffix (docs/json.md). Caller frees; NULL: none
 * (no pod, or no memory).
 */
char *identity_workload(const char *pod);

/*
 * identity_group - fill @h->group: namespace/workload/container name, or unit, else executable
 *	path and script, else comm
 * Never a pid, a container id, a version or a count. An earlier group is replaced.
 * Returns 0 or -ENOMEM.
 */
int identity_group(struct holder_info *h);

#endif
