/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podlog.h - what Kubernetes calls a container, from the kubelet's log folders on this node
 */
#ifndef CONNLEAK_PODLOG_H
#define CONNLEAK_PODLOG_H

#include "../core/podname.h"

/*
 * podlog_find - names of a container or pod, without asking any API
 * @root:      folder that holds containers/ and pods/ (PODLOG_ROOT)
 * @container: id, or NULL
 * @pod_uid:   or NULL
 * @ret:       what is known of the names; written on success only
 *
 * The container stays unknown where only the pod is found and it has several. At most
 * 8192 entries of a folder are looked at. Returns 0, -ENOENT, -ENOMEM.
 */
int podlog_find(const char *root, const char *container, const char *pod_uid, struct podname *ret);

#define PODLOG_ROOT "/var/log"

#endif
