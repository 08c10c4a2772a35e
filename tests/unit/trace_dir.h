/* SPDX-License-Identifier: Apache-2.0 */
/* trace_dir.h - a folder of its own for a test, and files in it */
#ifndef CONNLEAK_TEST_TRACE_DIR_H
#define CONNLEAK_TEST_TRACE_DIR_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

static inline int trace_dir_setup(void **state)
{
	char path[] = "/tmp/connleak-test-XXXXXX";

	if (!mkdtemp(path))
		return -1;
	*state = strdup(path);
	return *state ? 0 : -1;
}

static inline int trace_dir_remove_one(const char *path, const struct stat *st, int type,
				       struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static inline int trace_dir_teardown(void **state)
{
	nftw(*state, trace_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(*state);
	return 0;
}

/* The path of @name in the folder; good until the next call but three. */
static inline const char *trace_dir_path(void **state, const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned int at;
	char *path = paths[at++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", (const char *)*state, name);
	return path;
}

/* Writes @name anew. Returns its path. */
static inline const char *trace_dir_put(void **state, const char *name, const void *bytes, size_t n)
{
	const char *path = trace_dir_path(state, name);
	int fd;

	/* some file systems write a file that is truncated and filled anew to the disk at once */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	return path;
}

/* All of the file, to be freed. */
static inline char *trace_dir_get(const char *path, size_t *ret_n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *bytes;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	*ret_n = (size_t)st.st_size;
	return bytes;
}

/* @text as one gzip member, to be freed. */
static inline unsigned char *trace_dir_gzip(const void *text, size_t n, size_t *ret_n)
{
	size_t size = n + n / 100 + 1024;
	unsigned char *out = malloc(size);
	z_stream z = {.next_in = (unsigned char *)text, .avail_in = (unsigned int)n};

	assert_non_null(out);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_out = out;
	z.avail_out = (unsigned int)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	*ret_n = size - z.avail_out;
	deflateEnd(&z);
	return out;
}

/* The exit status of a child of ours that ended by itself. */
static inline int trace_dir_wait(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#endif
