/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "idmap.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void endpoint_set(struct endpoint *ep, int family, const uint8_t *addr, uint16_t port)
{
	struct endpoint e = {.port = port};

	if (family == 6 && !memcmp(addr, mapped, sizeof(mapped))) {
		family = 4;
		addr += sizeof(mapped);
	}
	if (family == 4 || family == 6) {
		e.family = (uint8_t)family;
		memcpy(e.addr, addr, family == 4 ? 4 : 16);
	}
	*ep = e;
}

char *endpoint_address(const struct endpoint *ep, char buf[static ENDPOINT_STRLEN])
{
	int af = ep->family == 6 ? AF_INET6 : AF_INET;

	if (!ep->family || !inet_ntop(af, ep->addr, buf, ENDPOINT_STRLEN))
		memcpy(buf, "-", 2);
	return buf;
}

char *endpoint_format(const struct endpoint *ep, char buf[static ENDPOINT_STRLEN])
{
	char address[ENDPOINT_STRLEN];
	bool is_v6 = ep->family == 6;

	if (!ep->family)
		return endpoint_address(ep, buf);
	endpoint_address(ep, address);
	snprintf(buf, ENDPOINT_STRLEN, "%s%.45s%s:%u", is_v6 ? "[" : "", address, is_v6 ? "]" : "",
		 (unsigned int)ep->port);
	return buf;
}

/* One to five digits and nothing else; -1 if it is not that, or above 65535. */
static int parse_port(const char *text)
{
	size_t n = strspn(text, "0123456789");
	int port = 0;

	if (n < 1 || n > 5 || text[n])
		return -1;
	for (size_t i = 0; i < n; i++)
		port = port * 10 + (text[i] - '0');
	return port <= UINT16_MAX ? port : -1;
}

int endpoint_parse(const char *text, struct endpoint *ret)
{
	int family = text[0] == '[' ? 6 : 4;
	const char *from = family == 6 ? text + 1 : text;
	const char *end = strchr(text, family == 6 ? ']' : ':');
	char address[ENDPOINT_STRLEN];
	uint8_t bytes[16] = {0};
	int port;

	if (!end || (size_t)(end - from) >= sizeof(address))
		return -EINVAL;
	memcpy(address, from, (size_t)(end - from));
	address[end - from] = '\0';
	if (inet_pton(family == 6 ? AF_INET6 : AF_INET, address, bytes) != 1)
		return -EINVAL;
	if (family == 6)
		end++;
	if (*end != ':')
		return -EINVAL;
	port = parse_port(end + 1);
	if (port < 0)
		return -EINVAL;
	endpoint_set(ret, family, bytes, (uint16_t)port);
	return 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->port == b->port &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}

uint64_t endpoint_hash(const struct endpoint *ep)
{
	uint64_t half[2];

	memcpy(half, ep->addr, sizeof(half));
	return idmap_hash(idmap_hash(idmap_hash(half[0]) ^ half[1]) ^
			  ((uint64_t)ep->family << 16 | ep->port));
}
