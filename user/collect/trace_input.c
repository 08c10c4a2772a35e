/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../core/trace.h"

#define CHUNK_SIZE  (64 * 1024)
#define GZIP_WINDOW (MAX_WBITS + 16) /* zlib: gzip only */
#define MAGIC_LEN   6

struct trace_input {
	int fd;
	int wake_fd;
	bool is_stdin;
	bool is_gzip;
	bool is_in_member; /* of a gzip file; false: between two of them */
	bool is_at_end;	   /* no more text comes */
	bool is_broken;
	bool is_damaged;  /* broken by its content, not by its length */
	bool is_skipping; /* inside a line that was refused for its length */
	bool is_unended;
	int err; /* of reading; it stays */
	uint64_t line_no;
	z_stream z;
	size_t raw_at, raw_end; /* bytes of the file that are not text yet */
	size_t at, end;		/* text that was not returned yet */
	size_t searched;	/* no newline before this */
	unsigned char raw[CHUNK_SIZE];
	char text[TRACE_MAX_LINE + 1 + CHUNK_SIZE];
};

/* --- bytes of the file --- */

/* Returns how many, 0 at the end, or a negative errno. */
static ssize_t read_some(const struct trace_input *in, void *to, size_t size)
{
	for (;;) {
		struct pollfd p[] = {{.fd = in->fd, .events = POLLIN},
				     {.fd = in->wake_fd, .events = POLLIN}};
		ssize_t n;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (!p[0].revents && p[1].revents)
			return -EINTR;
		if (!p[0].revents)
			continue;
		n = read(in->fd, to, size);
		if (n >= 0)
			return n;
		/* whoever gave us stdin may have made it non-blocking, and shares it */
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

/* At least the magic bytes, if there are so many: a pipe may bring them one by one. */
static int read_start(struct trace_input *in)
{
	ssize_t n;

	do {
		n = read_some(in, in->raw + in->raw_end, CHUNK_SIZE - in->raw_end);
		if (n < 0)
			return (int)n;
		in->raw_end += (size_t)n;
	} while (n && in->raw_end < MAGIC_LEN);
	return 0;
}

static bool starts_with(const struct trace_input *in, const char *magic, size_t n)
{
	return in->raw_end >= n && !memcmp(in->raw, magic, n);
}

const char *trace_input_foreign(const struct trace_input *in)
{
	if (in->line_no || in->is_gzip)
		return NULL;
	if (starts_with(in, "\x28\xb5\x2f\xfd", 4))
		return "zstd";
	if (starts_with(in, "\3757zXZ\0", 6))
		return "xz";
	return starts_with(in, "BZh", 3) ? "bzip2" : NULL;
}

/* Without blocking: a FIFO that nobody writes to yet is waited for where a signal ends the wait. */
static int open_path(const char *path)
{
	int fd;

	do
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd;
}

int trace_input_open(const char *path, int wake_fd, struct trace_input **ret)
{
	struct trace_input *in = malloc(sizeof(*in));
	int err;

	if (!in)
		return -ENOMEM;
	memset(in, 0, offsetof(struct trace_input, raw));
	in->wake_fd = wake_fd;
	in->is_stdin = !strcmp(path, "-");
	in->fd = in->is_stdin ? STDIN_FILENO : open_path(path);
	err = in->fd < 0 ? -errno : read_start(in);
	in->is_gzip = !err && starts_with(in, "\x1f\x8b", 2);
	if (in->is_gzip && inflateInit2(&in->z, GZIP_WINDOW) != Z_OK) {
		in->is_gzip = false;
		err = -ENOMEM;
	}
	if (err)
		trace_input_close(in);
	else
		*ret = in;
	return err;
}

void trace_input_close(struct trace_input *in)
{
	if (!in)
		return;
	if (in->is_gzip)
		inflateEnd(&in->z);
	if (in->fd >= 0 && !in->is_stdin)
		close(in->fd);
	free(in);
}

/* --- bytes of the text: each of these returns how many, 0 at the end, or a negative errno --- */

/* The first bytes stand in raw, since they were looked at; the others go straight to @to. */
static ssize_t read_plain(struct trace_input *in, char *to, size_t size)
{
	size_t n = in->raw_end - in->raw_at;

	if (!n)
		return read_some(in, to, size);
	if (n > size)
		n = size;
	memcpy(to, in->raw + in->raw_at, n);
	in->raw_at += n;
	return (ssize_t)n;
}

/* Something to inflate. Returns 1, 0 at the file's end, or a negative errno. */
static int fill_raw(struct trace_input *in)
{
	ssize_t n;

	if (in->raw_at < in->raw_end)
		return 1;
	n = read_some(in, in->raw, CHUNK_SIZE);
	if (n <= 0)
		return (int)n;
	in->raw_at = 0;
	in->raw_end = (size_t)n;
	return 1;
}

/* One step of zlib's. Returns 0 or -ENOMEM. */
static int inflate_step(struct trace_input *in)
{
	int rc = Z_OK;

	if (!in->is_in_member)
		rc = inflateReset(&in->z);
	in->is_in_member = true;
	in->z.next_in = in->raw + in->raw_at;
	in->z.avail_in = (unsigned int)(in->raw_end - in->raw_at);
	if (rc == Z_OK)
		rc = inflate(&in->z, Z_NO_FLUSH);
	in->raw_at = in->raw_end - in->z.avail_in;
	if (rc == Z_STREAM_END)
		in->is_in_member = false;
	else if (rc != Z_OK && rc != Z_BUF_ERROR)
		in->is_broken = in->is_damaged = true;
	return rc == Z_MEM_ERROR ? -ENOMEM : 0;
}

static ssize_t read_gzip(struct trace_input *in, char *to, size_t size)
{
	in->z.next_out = (unsigned char *)to;
	in->z.avail_out = (unsigned int)size;
	while (in->z.avail_out == size && !in->is_broken) {
		int err = fill_raw(in);

		if (err == 0) {
			in->is_broken = in->is_in_member;
			break;
		}
		if (err > 0)
			err = inflate_step(in);
		if (err < 0)
			return err;
	}
	return (ssize_t)(size - in->z.avail_out);
}

/* --- lines --- */

/* More text behind what there is; at most TRACE_MAX_LINE bytes may wait for their newline. */
static int fill_text(struct trace_input *in)
{
	ssize_t n;

	/* not onto itself: a pipe may bring a long line in small pieces */
	if (in->at)
		memmove(in->text, in->text + in->at, in->end - in->at);
	in->end -= in->at;
	in->searched -= in->at;
	in->at = 0;
	n = in->is_gzip ? read_gzip(in, in->text + in->end, CHUNK_SIZE)
			: read_plain(in, in->text + in->end, CHUNK_SIZE);
	if (n < 0)
		return in->err = (int)n;
	in->is_at_end = n == 0;
	in->end += (size_t)n;
	return 0;
}

/* The text up to its newline, or its end; false: more text is needed to know. */
static bool take_line(struct trace_input *in, const char **ret, size_t *ret_len)
{
	const char *from = in->text + in->at;
	const char *newline = memchr(in->text + in->searched, '\n', in->end - in->searched);
	size_t len = newline ? (size_t)(newline - from) : in->end - in->at;

	if (!newline && !in->is_at_end && len <= TRACE_MAX_LINE) {
		in->searched = in->end;
		return false;
	}
	*ret = from;
	*ret_len = len;
	in->is_unended = !newline;
	in->at += len + !in->is_unended;
	in->searched = in->at;
	return true;
}

int trace_input_line(struct trace_input *in, const char **ret, size_t *ret_len)
{
	for (;;) {
		const char *line;
		size_t len;
		bool was_skipping = in->is_skipping;

		if (in->err)
			return in->err;
		if (in->is_at_end && in->at == in->end)
			return 0;
		if (!take_line(in, &line, &len)) {
			if (fill_text(in))
				return in->err;
			continue;
		}
		/* a piece of a line that is too long, or its rest */
		in->is_skipping = in->is_unended && !in->is_at_end;
		if (was_skipping)
			continue;
		in->line_no++;
		if (len > TRACE_MAX_LINE)
			return -EMSGSIZE;
		*ret = line;
		*ret_len = len;
		return 1;
	}
}

uint64_t trace_input_line_no(const struct trace_input *in)
{
	return in->line_no;
}

bool trace_input_is_unended(const struct trace_input *in)
{
	return in->is_unended;
}

bool trace_input_is_broken(const struct trace_input *in)
{
	return in->is_broken;
}

bool trace_input_is_damaged(const struct trace_input *in)
{
	return in->is_damaged;
}
