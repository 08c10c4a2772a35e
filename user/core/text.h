/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - foreign text made safe, and numbers made readable
 */
#ifndef CONNLEAK_TEXT_H
#define CONNLEAK_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * text_clean - foreign bytes to text that can stand in a terminal, JSON or a log line
 * @dst: @size bytes, always NUL-terminated when @size > 0; never cut inside a character or escape
 * @src: @n bytes, any content; stops at a NUL
 *
 * Valid UTF-8 passes; control characters (C0, DEL, C1), bidi and zero-width characters, line and
 * paragraph separators, invalid UTF-8 and backslashes become \xNN of their bytes.
 * Returns the length written, without the NUL.
 */
size_t text_clean(char *dst, size_t size, const char *src, size_t n);

/*
 * Bytes of the well-formed UTF-8 character that begins the @n bytes (1 at least) at @s, or 0: there
 * is none. @ret_cp: written when it is.
 */
size_t text_utf8(const unsigned char *s, size_t n, uint32_t *ret_cp);

/* As text_clean(), into memory the caller frees. NULL without memory. */
char *text_clean_dup(const char *src, size_t n);

#define TEXT_DURATION_LEN 24
/* "84 ms", "42s", "5m 00s", "3h 12m", "2d 4h". Negative counts as 0. Returns @buf. */
char *text_duration(int64_t ns, char buf[static TEXT_DURATION_LEN]);
/* "2m", "4m 30s": an interval's end, rounded to what it is good for. Returns @buf. */
char *text_about(double s, char buf[static TEXT_DURATION_LEN]);
/* "211 B", "1.2 MB" (powers of 1000). Returns @buf. */
char *text_bytes(uint64_t bytes, char buf[static TEXT_DURATION_LEN]);
/* 7.6, 12, 0.46: two significant digits, none after the point from 10 on. Returns @buf. */
char *text_rate(double per_min, char buf[static TEXT_DURATION_LEN]);
/* "1,204". Returns @buf. */
char *text_count(uint64_t n, char buf[static TEXT_DURATION_LEN]);
/* RFC 3339, UTC, milliseconds: "2026-02-08T13:35:12.000Z". Returns @buf. */
char *text_time(int64_t wall_ns, char buf[static 32]);

/*
 * text_parse_duration - "90s", "15m", "2h", "1d", "500ms"; one number and one unit
 * Returns 0 (@ret_ns > 0), or -EINVAL (also for 0, for no unit, and above 366 days).
 */
int text_parse_duration(const char *text, int64_t *ret_ns);

/* Columns that UTF-8 @s takes on a terminal: one a character, text_clean()ed text assumed. */
size_t text_width(const char *s);

#endif
