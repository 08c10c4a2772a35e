/* SPDX-License-Identifier: Apache-2.0 */
#include "holder_info.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const size_t strings[] = {
	offsetof(struct holder_info, exe),	 offsetof(struct holder_info, script),
	offsetof(struct holder_info, build_id),	 offsetof(struct holder_info, cgroup),
	offsetof(struct holder_info, container), offsetof(struct holder_info, container_name),
	offsetof(struct holder_info, namespace), offsetof(struct holder_info, pod),
	offsetof(struct holder_info, pod_uid),	 offsetof(struct holder_info, workload),
	offsetof(struct holder_info, unit),	 offsetof(struct holder_info, version),
	offsetof(struct holder_info, group),
};
#define N_STRINGS (sizeof(strings) / sizeof(strings[0]))

_Static_assert(sizeof(struct holder_info) ==
		       offsetof(struct holder_info, exe) + N_STRINGS * sizeof(char *),
	       "every string of holder_info is in the list, and they stand last");

static char **string_at(struct holder_info *h, size_t i)
{
	return (char **)((char *)h + strings[i]);
}

void holder_info_release(struct holder_info *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < N_STRINGS; i++)
		free(*string_at(h, i));
	memset(h, 0, sizeof(*h));
}

int holder_info_copy(const struct holder_info *h, struct holder_info *ret)
{
	struct holder_info copy = *h;

	for (size_t i = 0; i < N_STRINGS; i++)
		*string_at(&copy, i) = NULL;
	for (size_t i = 0; i < N_STRINGS; i++) {
		const char *from = *string_at((struct holder_info *)h, i);

		if (!from)
			continue;
		*string_at(&copy, i) = strdup(from);
		if (!*string_at(&copy, i)) {
			holder_info_release(&copy);
			return -ENOMEM;
		}
	}
	*ret = copy;
	return 0;
}
