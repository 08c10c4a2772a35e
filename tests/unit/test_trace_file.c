/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace's file as it is written: what is left on the disk, in a pipe, and after a failure.
 * objects: collect/trace_file.o
 */
#include "t.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "mutate.h"
#include "trace_dir.h"
#include "../../user/collect/trace_file.h"

#define BIG_SIZE (3u << 20)

/* Lines that compress about as well as a trace's. To be freed. */
static char *big_text(size_t n)
{
	char *text = malloc(n);
	uint64_t seed = 1;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = i % 90 == 89	? '\n'
			  : i % 90 < 60 ? (char)('a' + i % 90 % 26)
					: (char)('0' + mutate_random(&seed) % 10);
	return text;
}

/* What inflates out of the file, at most @size bytes, whether it ends in good order or not. */
static size_t gunzip(const char *path, char *to, size_t size, bool *ret_is_whole)
{
	size_t n;
	char *bytes = trace_dir_get(path, &n);
	z_stream z = {.next_in = (unsigned char *)bytes, .avail_in = (unsigned int)n};

	assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned int)size;
	*ret_is_whole = inflate(&z, Z_SYNC_FLUSH) == Z_STREAM_END;
	inflateEnd(&z);
	free(bytes);
	return size - z.avail_out;
}

static void plain_bytes_arrive_as_they_are(void **state)
{
	const char *path = trace_dir_path(state, "a.trace");
	struct trace_file *f;
	struct stat st;
	size_t n;
	char *got;

	assert_int_equal(trace_file_create(path, &f), 0);
	assert_int_equal(trace_file_write(f, "one\n", 4), 0);
	assert_int_equal(trace_file_write(f, "", 0), 0);
	assert_int_equal(trace_file_write(f, "two\n", 4), 0);
	got = trace_dir_get(path, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(got, "one\ntwo\n", 8);
	free(got);
	assert_int_equal(trace_file_flush(f), 0);
	assert_int_equal(trace_file_close(f), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_name_in_gz_is_compressed(void **state)
{
	const char *path = trace_dir_path(state, "a.trace.gz");
	char *text = big_text(BIG_SIZE), *got = malloc(BIG_SIZE + 1);
	struct trace_file *f;
	bool is_whole;
	struct stat st;

	assert_int_equal(trace_file_create(path, &f), 0);
	for (size_t at = 0, n = 1; at < BIG_SIZE; at += n, n = n * 3 + 1) {
		n = n < BIG_SIZE - at ? n : BIG_SIZE - at;
		assert_int_equal(trace_file_write(f, text + at, n), 0);
	}
	assert_int_equal(trace_file_close(f), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < BIG_SIZE / 2);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(gunzip(path, got, BIG_SIZE + 1, &is_whole), BIG_SIZE);
	assert_true(is_whole);
	assert_memory_equal(got, text, BIG_SIZE);
	free(got);
	free(text);
}

static void an_empty_gz_is_gzip_all_the_same(void **state)
{
	const char *path = trace_dir_path(state, ".gz");
	struct trace_file *f;
	bool is_whole;
	char got[8];

	assert_int_equal(trace_file_create(path, &f), 0);
	assert_int_equal(trace_file_flush(f), 0);
	assert_int_equal(trace_file_close(f), 0);
	assert_int_equal(gunzip(path, got, sizeof(got), &is_whole), 0);
	assert_true(is_whole);
	assert_int_equal(trace_file_close(NULL), 0);
}

/* A recorder that is killed leaves all that it flushed. */
static void what_was_flushed_can_be_read(void **state)
{
	const char *path = trace_dir_path(state, "a.gz");
	char *text = big_text(4000), got[4001];
	struct trace_file *f;
	struct stat before, after;
	bool is_whole;

	assert_int_equal(trace_file_create(path, &f), 0);
	for (size_t at = 0; at < 4000; at += 1000) {
		assert_int_equal(trace_file_write(f, text + at, 1000), 0);
		assert_int_equal(gunzip(path, got, sizeof(got), &is_whole), at);
		assert_int_equal(trace_file_flush(f), 0);
		assert_int_equal(gunzip(path, got, sizeof(got), &is_whole), at + 1000);
		assert_false(is_whole);
		assert_memory_equal(got, text, at + 1000);
	}
	/* nothing new: nothing more to store */
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(trace_file_flush(f), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(trace_file_close(f), 0);
	assert_int_equal(gunzip(path, got, sizeof(got), &is_whole), 4000);
	assert_true(is_whole);
	free(text);
}

static void put_socket(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(strlen(path) < sizeof(to.sun_path));
	memcpy(to.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	close(fd);
}

static void what_exists_is_not_overwritten(void **state)
{
	static const struct {
		const char *name;
		int err;
	} cases[] = {
		{"file", -EEXIST},   {"link", -EEXIST},	  {"nowhere", -EEXIST},
		{"socket", -EEXIST}, {"folder", -EISDIR}, {"none/a.trace", -ENOENT},
	};
	const char *file = trace_dir_put(state, "file", "precious", 8);
	struct trace_file *f = NULL;
	size_t n;
	char *got;

	assert_int_equal(symlink("file", trace_dir_path(state, "link")), 0);
	assert_int_equal(symlink("elsewhere", trace_dir_path(state, "nowhere")), 0);
	assert_int_equal(mkdir(trace_dir_path(state, "folder"), 0700), 0);
	put_socket(trace_dir_path(state, "socket"));
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		const char *path = trace_dir_path(state, cases[i].name);

		assert_int_equal(trace_file_create(path, &f), cases[i].err);
		assert_null(f);
	}
	file = trace_dir_path(state, "file");
	got = trace_dir_get(file, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(got, "precious", 8);
	free(got);
	assert_int_equal(access(trace_dir_path(state, "elsewhere"), F_OK), -1);
}

static void a_full_disk_is_an_error_that_stays(void **state)
{
	struct trace_file *f;

	(void)state;
	assert_int_equal(trace_file_create("/dev/full", &f), 0);
	assert_int_equal(trace_file_write(f, "x\n", 2), -ENOSPC);
	assert_int_equal(trace_file_write(f, "y\n", 2), -ENOSPC);
	assert_int_equal(trace_file_flush(f), -ENOSPC);
	assert_int_equal(trace_file_close(f), -ENOSPC);
}

/* What fails with -EFBIG: every write behind this many bytes of a file. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_fits_is_written(void **state)
{
	const char *path = trace_dir_path(state, "limited");
	char *text = big_text(5000);
	struct trace_file *f;
	struct stat st;

	assert_int_equal(trace_file_create(path, &f), 0);
	limit_files(3000);
	assert_int_equal(trace_file_write(f, text, 5000), -EFBIG);
	limit_files(RLIM_INFINITY);
	assert_int_equal(trace_file_write(f, text, 5000), -EFBIG);
	assert_int_equal(trace_file_close(f), -EFBIG);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 3000);
	free(text);
}

/* 15 bytes hold gzip's header, but not what was written behind it. */
static void compressed_it_shows_at_the_flush_or_the_end(void **state)
{
	char *text = big_text(BIG_SIZE);
	struct trace_file *f;

	assert_int_equal(trace_file_create(trace_dir_path(state, "flush.gz"), &f), 0);
	limit_files(15);
	assert_int_equal(trace_file_write(f, text, 100), 0);
	assert_int_equal(trace_file_flush(f), -EFBIG);
	limit_files(RLIM_INFINITY);
	assert_int_equal(trace_file_flush(f), -EFBIG);
	assert_int_equal(trace_file_write(f, text, 100), -EFBIG);
	assert_int_equal(trace_file_close(f), -EFBIG);

	assert_int_equal(trace_file_create(trace_dir_path(state, "close.gz"), &f), 0);
	limit_files(15);
	assert_int_equal(trace_file_write(f, text, 100), 0);
	assert_int_equal(trace_file_close(f), -EFBIG);

	assert_int_equal(trace_file_create(trace_dir_path(state, "write.gz"), &f), 0);
	assert_int_equal(trace_file_write(f, text, BIG_SIZE), -EFBIG);
	assert_int_equal(trace_file_close(f), -EFBIG);
	limit_files(RLIM_INFINITY);
	free(text);
}

static void a_device_and_a_pipe_are_written_to(void **state)
{
	struct trace_file *f;
	int ends[2];
	char path[32], got[8];

	(void)state;
	assert_int_equal(trace_file_create("/dev/null", &f), 0);
	assert_int_equal(trace_file_write(f, "x\n", 2), 0);
	assert_int_equal(trace_file_close(f), 0);

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
	assert_int_equal(trace_file_create(path, &f), 0);
	assert_int_equal(trace_file_write(f, "x\n", 2), 0);
	assert_int_equal(read(ends[0], got, sizeof(got)), 2);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(trace_file_write(f, "x\n", 2), -EPIPE);
	assert_int_equal(trace_file_close(f), -EPIPE);
	close(ends[1]);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Interrupts what blocks, every millisecond. */
static void start_interrupting(void)
{
	const struct itimerval every = {{0, 1000}, {0, 1000}};
	struct sigaction act = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* In a child whose stdout is a pipe: "-", and what is written after that was closed. */
static void write_to_stdout(int pipe_fd, const char *text, bool is_nonblocking)
{
	struct trace_file *f;
	int err = dup2(pipe_fd, STDOUT_FILENO) < 0;

	if (is_nonblocking)
		fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
	start_interrupting();
	err = err || trace_file_create("-", &f) || trace_file_write(f, text, BIG_SIZE) ||
	      trace_file_flush(f) || trace_file_close(f);
	/* stdout is not ours to close */
	err = err || trace_file_create("-", &f) || trace_file_write(f, "!", 1) ||
	      trace_file_close(f) || fcntl(STDOUT_FILENO, F_GETFD) < 0;
	_exit(err);
}

/*
 * A reader slower than the writer, so that the pipe is full most of the time; at first so slow that
 * a write that waits for room is interrupted before it wrote anything.
 */
static size_t read_slowly(int fd, char *to, size_t size)
{
	size_t got = 0;
	ssize_t n;

	while ((n = read(fd, to + got, size - got < 50000 ? size - got : 50000)) > 0) {
		got += (size_t)n;
		usleep(got < 500000 ? 3000 : 200);
	}
	return got;
}

static void stdout_may_be_slow_interrupted_and_non_blocking(void **state)
{
	char *text = big_text(BIG_SIZE), *got = malloc(BIG_SIZE + 2);

	(void)state;
	for (int is_nonblocking = 0; is_nonblocking < 2; is_nonblocking++) {
		int ends[2];
		pid_t pid;

		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		pid = fork();
		if (pid == 0)
			write_to_stdout(ends[1], text, is_nonblocking);
		assert_true(pid > 0);
		close(ends[1]);
		assert_int_equal(read_slowly(ends[0], got, BIG_SIZE + 2), BIG_SIZE + 1);
		assert_memory_equal(got, text, BIG_SIZE);
		assert_int_equal(got[BIG_SIZE], '!');
		assert_int_equal(trace_dir_wait(pid), 0);
		close(ends[0]);
	}
	free(got);
	free(text);
}

#define in_dir(f) cmocka_unit_test_setup_teardown(f, trace_dir_setup, trace_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_dir(plain_bytes_arrive_as_they_are),
		in_dir(a_name_in_gz_is_compressed),
		in_dir(an_empty_gz_is_gzip_all_the_same),
		in_dir(what_was_flushed_can_be_read),
		in_dir(what_exists_is_not_overwritten),
		cmocka_unit_test(a_full_disk_is_an_error_that_stays),
		in_dir(what_fits_is_written),
		in_dir(compressed_it_shows_at_the_flush_or_the_end),
		cmocka_unit_test(a_device_and_a_pipe_are_written_to),
		cmocka_unit_test(stdout_may_be_slow_interrupted_and_non_blocking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
