/* SPDX-License-Identifier: Apache-2.0 */
/* gobuild.h - Go build information as the linker of Go 1.18 and later writes it */
#ifndef CONNLEAK_TEST_GOBUILD_H
#define CONNLEAK_TEST_GOBUILD_H

#include <stdint.h>
#include <string.h>

static inline size_t gobuild_string(unsigned char *out, const char *s, size_t n)
{
	size_t at = 0, len = n;

	for (; len >= 0x80; len >>= 7)
		out[at++] = (unsigned char)(len | 0x80);
	out[at++] = (unsigned char)len;
	memcpy(out + at, s, n);
	return at + n;
}

/* @module: the text between the marks. Returns the length. */
static inline size_t gobuild_blob(unsigned char *out, const char *module)
{
	static const unsigned char begin[] = {0x30, 0x77, 0xaf, 0x0c, 0x92, 0x74, 0x08, 0x02,
					      0x41, 0xe1, 0xc1, 0x07, 0xe6, 0xd6, 0x18, 0xe6};
	static const unsigned char end[] = {0xf9, 0x32, 0x43, 0x31, 0x86, 0x18, 0x20, 0x72,
					    0x00, 0x82, 0x42, 0x10, 0x41, 0x16, 0xd8, 0xf2};
	char text[4096];
	size_t n = strlen(module), at = 32;

	memset(out, 0, at);
	memcpy(out, "\xff Go buildinf:", 14);
	out[14] = 8;
	out[15] = 2;
	at += gobuild_string(out + at, "go1.22.1", 8);
	memcpy(text, begin, 16);
	memcpy(text + 16, module, n);
	memcpy(text + 16 + n, end, 16);
	return at + gobuild_string(out + at, text, n + 32);
}

#endif
