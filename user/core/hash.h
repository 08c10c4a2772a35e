/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - 64 bits of FNV-1a over parts, finished by a mixer: ids that stay the same everywhere
 *
 *	uint64_t h = HASH_BASIS;
 *	h = hash_part(h, "a"), h = hash_part(h, "b");
 *	id = hash_mix(h);
 */
#ifndef CONNLEAK_HASH_H
#define CONNLEAK_HASH_H

#include <stdint.h>

#define HASH_BASIS 0xcbf29ce484222325ULL
#define HASH_PRIME 0x100000001b3ULL

/* Adds @s and the NUL that ends it; NULL counts as "". */
static inline uint64_t hash_part(uint64_t h, const char *s)
{
	for (s = s ? s : "";; s++) {
		h ^= (unsigned char)*s;
		h *= HASH_PRIME;
		if (!*s)
			return h;
	}
}

/* The finisher of MurmurHash3: FNV's high bits hardly move for short parts. */
static inline uint64_t hash_mix(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 33;
}

#endif
