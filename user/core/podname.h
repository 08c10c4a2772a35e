/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podname.h - Kubernetes' names out of the names of the kubelet's log files
 */
#ifndef CONNLEAK_PODNAME_H
#define CONNLEAK_PODNAME_H

/* Zero-initialise; strings are the struct's (podname_release). NULL: not known. */
struct podname {
	char *namespace;
	char *pod;
	char *container;
};

/*
 * podname_from_log - /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
 * @file: the name of the file, any bytes
 * @id:   container id; its first 12 or more digits are enough
 * Returns 0, -ENOENT (another container's, or not such a name), -ENOMEM. @ret is written on
 * success only.
 */
int podname_from_log(const char *file, const char *id, struct podname *ret);

/* The same for /var/log/pods/NAMESPACE_POD_UID; the container stays NULL. */
int podname_from_folder(const char *folder, const char *uid, struct podname *ret);

void podname_release(struct podname *p);

#endif
