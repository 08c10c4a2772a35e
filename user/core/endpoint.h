/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - an IP address and a port
 *
 * Invariant: an IPv4-mapped IPv6 address never stands in an endpoint; endpoint_set() turns it
 * into IPv4, so one peer has one name. IPv4 uses the first four bytes, the rest are 0.
 */
#ifndef CONNLEAK_ENDPOINT_H
#define CONNLEAK_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint {
	uint8_t addr[16]; /* network order */
	uint16_t port;	  /* host order */
	uint8_t family;	  /* 4, 6, or 0: unset */
	uint8_t pad;
};

#define ENDPOINT_STRLEN 56 /* "[" 45 "]:" 5 and the NUL, rounded up */

/* Sets @ep from raw bytes; @family 4 reads 4 bytes of @addr, 6 reads 16. Unmaps ::ffff:a.b.c.d. */
void endpoint_set(struct endpoint *ep, int family, const uint8_t *addr, uint16_t port);

/* Writes "address:port", IPv6 in brackets; "-" if it is unset. Returns @buf. */
char *endpoint_format(const struct endpoint *ep, char buf[static ENDPOINT_STRLEN]);

/* Writes the address alone, without brackets; "-" if it is unset. Returns @buf. */
char *endpoint_address(const struct endpoint *ep, char buf[static ENDPOINT_STRLEN]);

/*
 * endpoint_parse - read "1.2.3.4:5432" or "[::1]:5432"; no names are resolved
 * @text: NUL-terminated
 * @ret:  written on success only
 *
 * Returns 0 or -EINVAL.
 */
int endpoint_parse(const char *text, struct endpoint *ret);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* A 64-bit hash; equal endpoints hash alike. */
uint64_t endpoint_hash(const struct endpoint *ep);

#endif
