/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_file.h - bytes into a trace's file: plain, compressed, or stdout
 *
 * "-" is stdout; a name that ends in ".gz" is compressed. What exists is not overwritten: a regular
 * file, a block device, a socket or a symbolic link that leads nowhere is -EEXIST, a folder
 * -EISDIR. A pipe or a character device is written to. New files are the owner's alone (0600).
 *
 * Whoever writes to pipes ignores SIGPIPE: a reader that went away is -EPIPE then.
 */
#ifndef CONNLEAK_TRACE_FILE_H
#define CONNLEAK_TRACE_FILE_H

#include <stddef.h>

struct trace_file;

/*
 * Returns 0, -ENOMEM, or the negative errno of opening the file. A named pipe that nobody reads is
 * waited for. The caller owes trace_file_close().
 */
int trace_file_create(const char *path, struct trace_file **ret);

/*
 * All of it, or a negative errno; after a failure every further write fails alike. Plain bytes go
 * to the kernel at once: hand over many lines at a time. Compressed ones wait for a full block or
 * trace_file_flush().
 */
int trace_file_write(struct trace_file *f, const char *bytes, size_t n);

/*
 * What was written so far can be read, even if nothing follows (a power failure aside: nothing
 * waits for the disk). Returns 0 or a negative errno. Compressed, it costs about 5 bytes of file.
 */
int trace_file_flush(struct trace_file *f);

/* Ends and frees @f; accepts NULL. Returns 0, or the first error that there was. */
int trace_file_close(struct trace_file *f);

#endif
