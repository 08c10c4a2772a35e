/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define OUT_SIZE (64 * 1024)
/*
 * Measured on 60 MB of lines as a busy node writes them (100 kB a tick, flushed at each): level 1
 * takes 6 ms of cpu for a MB and makes it 4.6 times smaller; level 3: 9 ms, 5.0; level 6, zlib's
 * default: 25 ms, 5.8. The cpu is the watched machine's. Other strategies were worse or the same.
 */
#define LEVEL	    1
#define MEM_LEVEL   8		     /* zlib's default; 9 took longer for the same size */
#define GZIP_WINDOW (MAX_WBITS + 16) /* zlib: with a gzip header and CRC */
#define PART_MAX    (1u << 30)	     /* zlib counts in unsigned int */

struct trace_file {
	int fd;
	int err; /* the first failure; it stays */
	bool is_stdout;
	bool is_gzip;
	z_stream z;
	unsigned char out[OUT_SIZE];
};

/* Is it one of those that are written to although they exist? Returns 0 or a negative errno. */
static int check_kind(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	return S_ISFIFO(st->st_mode) || S_ISCHR(st->st_mode) ? 0 : -EEXIST;
}

/* Looked at before, so that nothing else is opened, and after, because it may have changed. */
static int open_existing(const char *path)
{
	struct stat st;
	int fd, err;

	if (stat(path, &st))
		return -EEXIST;
	err = check_kind(&st);
	if (err)
		return err;
	do
		fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) ? -errno : check_kind(&st);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int open_path(const char *path)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, fd;

	do
		fd = open(path, flags, 0600);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		return fd;
	return errno == EEXIST ? open_existing(path) : -errno;
}

static bool ends_in_gz(const char *path)
{
	size_t n = strlen(path);

	return n >= 3 && !strcmp(path + n - 3, ".gz");
}

int trace_file_create(const char *path, struct trace_file **ret)
{
	struct trace_file *f = malloc(sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	memset(f, 0, offsetof(struct trace_file, out));
	f->is_stdout = !strcmp(path, "-");
	f->is_gzip = !f->is_stdout && ends_in_gz(path);
	if (f->is_gzip &&
	    deflateInit2(&f->z, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEM_LEVEL, Z_DEFAULT_STRATEGY)) {
		free(f);
		return -ENOMEM;
	}
	/* last, so that no failure leaves an empty file */
	f->fd = f->is_stdout ? STDOUT_FILENO : open_path(path);
	if (f->fd >= 0) {
		*ret = f;
		return 0;
	}
	err = f->fd;
	if (f->is_gzip)
		deflateEnd(&f->z);
	free(f);
	return err;
}

/* Whoever gave us stdout may have made it non-blocking. */
static int wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

static int put(struct trace_file *f, const unsigned char *bytes, size_t n)
{
	while (n && !f->err) {
		ssize_t done = write(f->fd, bytes, n);

		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		} else if (done == 0) {
			f->err = -EIO;
		} else if (errno == EAGAIN) {
			f->err = wait_writable(f->fd);
		} else if (errno != EINTR) {
			f->err = -errno;
		}
	}
	return f->err;
}

/* Takes all that z's input has; until nothing is left inside for @flush to bring out. */
static int compress_input(struct trace_file *f, int flush)
{
	int rc;

	do {
		f->z.next_out = f->out;
		f->z.avail_out = OUT_SIZE;
		rc = deflate(&f->z, flush);
		if (rc == Z_STREAM_ERROR)
			f->err = -EIO;
		put(f, f->out, OUT_SIZE - f->z.avail_out);
	} while (!f->err && f->z.avail_out == 0);
	return f->err;
}

int trace_file_write(struct trace_file *f, const char *bytes, size_t n)
{
	if (f->err || !f->is_gzip)
		return put(f, (const unsigned char *)bytes, n);
	while (n && !f->err) {
		unsigned int part = n < PART_MAX ? (unsigned int)n : PART_MAX;

		f->z.next_in = (unsigned char *)bytes;
		f->z.avail_in = part;
		compress_input(f, Z_NO_FLUSH);
		bytes += part;
		n -= part;
	}
	return f->err;
}

int trace_file_flush(struct trace_file *f)
{
	/* zlib writes nothing if nothing came since the last one */
	return f->err || !f->is_gzip ? f->err : compress_input(f, Z_SYNC_FLUSH);
}

int trace_file_close(struct trace_file *f)
{
	int err;

	if (!f)
		return 0;
	if (f->is_gzip && !f->err)
		compress_input(f, Z_FINISH);
	if (f->is_gzip)
		deflateEnd(&f->z);
	/* some file systems tell only now that the disk is full; EINTR: it is closed all the same */
	if (!f->is_stdout && close(f->fd) && errno != EINTR && !f->err)
		f->err = -errno;
	err = f->err;
	free(f);
	return err;
}
