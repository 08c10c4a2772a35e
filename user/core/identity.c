/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS	 "0123456789"
#define HEX	 DIGITS "abcdef"
#define ALPHANUM DIGITS "abcdefghijklmnopqrstuvwxyz"

/*
 * Length of @s (@n bytes) less "-" and @min to @max bytes of @set at its end; @n where it has no
 * such end, or nothing would be left.
 */
static size_t less_suffix(const char *s, size_t n, const char *set, size_t min, size_t max)
{
	size_t len = 0;

	while (len < n && len <= max && strchr(set, s[n - 1 - len]))
		len++;
	if (len < min || len > max || n < len + 2 || s[n - 1 - len] != '-')
		return n;
	return n - len - 1;
}

char *identity_workload(const char *pod)
{
	size_t n = pod ? strlen(pod) : 0, random, hash;

	if (n == 0)
		return NULL;
	random = less_suffix(pod, n, ALPHANUM, 5, 5);
	hash = less_suffix(pod, random, HEX, 8, 10);
	if (random < n)
		return strndup(pod, hash);
	return strndup(pod, less_suffix(pod, n, DIGITS, 1, n));
}

/* What is known of three @parts, with @sep between. NULL without memory. */
static char *join(const char *const parts[static 3], char sep)
{
	size_t size = 1, n = 0;
	char *s;

	for (int i = 0; i < 3; i++)
		size += parts[i] ? strlen(parts[i]) + 1 : 0;
	s = malloc(size);
	if (!s)
		return NULL;
	for (int i = 0; i < 3; i++) {
		if (!parts[i])
			continue;
		if (n)
			s[n++] = sep;
		memcpy(s + n, parts[i], strlen(parts[i]));
		n += strlen(parts[i]);
	}
	s[n] = '\0';
	return s;
}

int identity_group(struct holder_info *h)
{
	char *group;

	if (h->namespace || h->workload)
		group = join((const char *[3]){h->namespace, h->workload, h->container_name}, '/');
	else if (h->unit)
		group = strdup(h->unit);
	else if (h->exe)
		group = join((const char *[3]){h->exe, h->script, NULL}, ' ');
	else
		group = h->comm[0] ? strndup(h->comm, sizeof(h->comm)) : strdup("?");
	if (!group)
		return -ENOMEM;
	free(h->group);
	h->group = group;
	return 0;
}
