/* SPDX-License-Identifier: Apache-2.0 */
#include "podname.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ID_MIN 12

/* Kubernetes' names are of these, so the underscores between them are never part of one. */
static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
	}
	return n > 0;
}

/* The text before the first @sep, and where the rest begins; NULL: no such name. */
static const char *split(const char *s, char sep, size_t *ret_n)
{
	const char *end = strchr(s, sep);

	if (!end || !is_name(s, (size_t)(end - s)))
		return NULL;
	*ret_n = (size_t)(end - s);
	return end + 1;
}

static int fill(struct podname p, bool complete, struct podname *ret)
{
	if (!complete) {
		podname_release(&p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

int podname_from_log(const char *file, const char *id, struct podname *ret)
{
	size_t pod_n, namespace_n, id_n = strlen(id);
	const char *namespace, *container, *dash;
	struct podname p;

	namespace = split(file, '_', &pod_n);
	container = namespace ? split(namespace, '_', &namespace_n) : NULL;
	dash = container ? strrchr(container, '-') : NULL;
	if (!dash || !is_name(container, (size_t)(dash - container)))
		return -ENOENT;
	if (id_n < ID_MIN || strncmp(dash + 1, id, id_n) != 0)
		return -ENOENT;
	p = (struct podname){
		.pod = strndup(file, pod_n),
		.namespace = strndup(namespace, namespace_n),
		.container = strndup(container, (size_t)(dash - container)),
	};
	return fill(p, p.pod && p.namespace && p.container, ret);
}

int podname_from_folder(const char *folder, const char *uid, struct podname *ret)
{
	size_t namespace_n, pod_n;
	const char *pod, *rest;
	struct podname p;

	pod = split(folder, '_', &namespace_n);
	rest = pod ? split(pod, '_', &pod_n) : NULL;
	if (!rest || !*uid || strcmp(rest, uid) != 0)
		return -ENOENT;
	p = (struct podname){
		.namespace = strndup(folder, namespace_n),
		.pod = strndup(pod, pod_n),
	};
	return fill(p, p.namespace && p.pod, ret);
}

void podname_release(struct podname *p)
{
	if (!p)
		return;
	free(p->namespace);
	free(p->pod);
	free(p->container);
	*p = (struct podname){0};
}
