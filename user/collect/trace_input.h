/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_input.h - a trace's bytes, plain or gzip, as lines
 *
 * Reads a file, a pipe or stdin once, in order, with about 450 KiB of memory whatever its length.
 * gzip is told by its magic bytes; members that follow each other are one text.
 *
 * Not a contract of its own: it is source_replay's half that knows files.
 */
#ifndef CONNLEAK_TRACE_INPUT_H
#define CONNLEAK_TRACE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace_input;

/*
 * trace_input_open - open @path; "-" is stdin
 * @wake_fd: while there is nothing to read yet and this is readable, reading ends with -EINTR; -1:
 *	     never. Borrowed for the input's life.
 *
 * Waits for the first bytes. Returns 0, -EISDIR, -ENOMEM, or the negative errno of opening or
 * reading it. The caller owes trace_input_close().
 */
int trace_input_open(const char *path, int wake_fd, struct trace_input **ret);
void trace_input_close(struct trace_input *in);

/* "zstd", "xz", "bzip2": what it is compressed with instead of gzip, by its first bytes. NULL: no.
 */
const char *trace_input_foreign(const struct trace_input *in);

/*
 * trace_input_line - the next line
 * @ret: borrowed until the next call; without its newline, not NUL-terminated
 *
 * Returns 1; 0: the end; -EMSGSIZE: longer than TRACE_MAX_LINE, the next call goes on behind it;
 * -ENOMEM; or the negative errno of reading, which stays.
 */
int trace_input_line(struct trace_input *in, const char **ret, size_t *ret_len);

/* Number of the last line returned, -EMSGSIZE included; from 1. */
uint64_t trace_input_line_no(const struct trace_input *in);
/* The last line returned ended with the text, not with a newline. */
bool trace_input_is_unended(const struct trace_input *in);
/* The gzip file broke off, is damaged, or goes on with something else: what comes is not all. */
bool trace_input_is_broken(const struct trace_input *in);
/* ... and not because it broke off. */
bool trace_input_is_damaged(const struct trace_input *in);

#endif
