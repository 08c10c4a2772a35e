/* SPDX-License-Identifier: Apache-2.0 */
/* trace_text.h - text and moments of a trace: private to trace_read.c and trace_write.c */
#ifndef CONNLEAK_TRACE_TEXT_H
#define CONNLEAK_TRACE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * trace_clean - text_clean() that leaves the escapes of an earlier cleaning as they are
 *
 * A trace's text was cleaned when it was recorded. text_clean() alone would make \x5Cx41 of its
 * \x41: each reading would change it. Parameters and return as text_clean(); cleaning twice is
 * cleaning once, cut where it may be.
 */
size_t trace_clean(char *dst, size_t size, const char *src, size_t n);

#define TRACE_TIME_LEN 40
/* "2026-02-08T13:30:00.000000000Z"; years 1900 to 2100, what lies beyond is put at their ends. */
char *trace_time_format(int64_t wall_ns, char buf[static TRACE_TIME_LEN]);

/*
 * trace_time_parse - RFC 3339 in those years: 'Z' or an offset, 0 to 9 digits of a second
 * Returns 0 or -EINVAL; @ret_wall_ns: ns since 1970, written on success only.
 */
int trace_time_parse(const char *text, int64_t *ret_wall_ns);

#endif
