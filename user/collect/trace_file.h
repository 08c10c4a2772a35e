/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_file.h - bytes into a trace's file: plain, compressed, or stdout
 *
 * "-" is stdout; a name that ends in ".gz" is compressed. A file that exists is not overwritten
 * (-EEXIST), but a pipe or a device is written to. New files are the owner's alone (0600).
 */
#ifndef CONNLEAK_TRACE_FILE_H
#define CONNLEAK_TRACE_FILE_H

#include <stddef.h>

struct trace_file;

/* Returns 0 or a negative errno. The caller owes trace_file_close(). */
int trace_file_create(const char *path, struct trace_file **ret);

/* All of it, or a negative errno; after a failure every further write fails alike. */
int trace_file_write(struct trace_file *f, const char *bytes, size_t n);

/* What was written so far can be read, even if nothing follows. Returns 0 or a negative errno. */
int trace_file_flush(struct trace_file *f);

/* Ends and frees @f; accepts NULL. Returns 0, or the first error that there was. */
int trace_file_close(struct trace_file *f);

#endif
