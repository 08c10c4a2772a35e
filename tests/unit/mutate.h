/* SPDX-License-Identifier: Apache-2.0 */
/* mutate.h - the same damage to an input at every run, for parsers of hostile bytes */
#ifndef CONNLEAK_TEST_MUTATE_H
#define CONNLEAK_TEST_MUTATE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUTATE_ROUNDS 3000

/* xorshift64*: Vigna, 2016 */
static inline uint64_t mutate_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/*
 * A copy of @bytes with up to 8 bits flipped, bytes replaced, a piece doubled or the end cut. It
 * fills its memory to the last byte, so that a sanitizer sees the first one read behind it.
 */
static inline unsigned char *mutate(uint64_t *state, const void *bytes, size_t n, size_t *ret_n)
{
	size_t keep = n && mutate_random(state) % 3 == 0 ? mutate_random(state) % n : n;
	size_t again = keep && mutate_random(state) % 4 == 0 ? mutate_random(state) % keep : 0;
	unsigned char *out = malloc(keep + again ? keep + again : 1);
	uint64_t edits = mutate_random(state) % 9;

	if (!out)
		abort();
	memcpy(out, bytes, keep);
	memcpy(out + keep, (const unsigned char *)bytes + (keep - again), again);
	*ret_n = keep + again;
	for (uint64_t i = 0; *ret_n && i < edits; i++) {
		uint64_t r = mutate_random(state);
		unsigned char *at = &out[(r >> 16) % *ret_n];

		*at = r & 1 ? (unsigned char)(r >> 8) : *at ^ (unsigned char)(1 << (r >> 8 & 7));
	}
	return out;
}

#endif
