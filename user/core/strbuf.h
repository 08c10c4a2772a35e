/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strbuf.h - a growable byte buffer that remembers its first failure
 *
 * Zero-initialise, add, look at `buf`, release. After a failed addition the content stays as it
 * was before, and every further addition fails too, so that a caller may check once at the end.
 */
#ifndef CONNLEAK_STRBUF_H
#define CONNLEAK_STRBUF_H

#include <stddef.h>

struct strbuf {
	char *buf; /* NUL-terminated; NULL while nothing was added */
	size_t len;
	size_t cap;
	int err; /* 0 or -ENOMEM: something is missing */
};

/* Each returns 0 or -ENOMEM. */
int strbuf_add(struct strbuf *sb, const char *bytes, size_t n);
int strbuf_puts(struct strbuf *sb, const char *s);
int strbuf_printf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Pads with spaces, or does nothing if @s is wider than @width; text counts by text_width(). */
int strbuf_left(struct strbuf *sb, const char *s, size_t width);
int strbuf_right(struct strbuf *sb, const char *s, size_t width);

/* Empties, keeps the memory, forgets the failure. */
void strbuf_clear(struct strbuf *sb);
void strbuf_release(struct strbuf *sb);

#endif
