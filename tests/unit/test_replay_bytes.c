/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace's bytes: plain, compressed, cut off anywhere, damaged, from a pipe; and how much memory
 * reading them takes.
 * objects: collect/source_replay.o collect/trace_input.o collect/trace_file.o
 * objects: core/trace_read.o core/trace_write.o core/trace_check.o core/trace_fields.o
 * objects: core/trace_text.o core/jsonscan.o core/slots.o core/idmap.o core/identity.o
 * objects: core/trace_scan.o core/endpoint.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/text.o core/strbuf.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include "mutate.h"
#include "replay_run.h"
#include "trace_dir.h"
#include "../../user/collect/trace_file.h"

/* A sanitizer keeps freed memory for a while and is slower. */
#ifndef __has_feature
#define __has_feature(x) 0 /* gcc's macro is the other one */
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define STREAM_MB     60
#define STREAM_MAX_KB (64 * 1024)
#else
#define STREAM_MB     300
#define STREAM_MAX_KB (8 * 1024)
#endif

static const char sample[] = TRACE(EXPLICIT, TICK);
static const struct replay_options no_options = {0};
static const struct replay_options strict = {.is_strict = true};

static struct replay_run run_bytes(void **state, const void *bytes, size_t n,
				   struct replay_options o)
{
	return replay_run(trace_dir_put(state, "a.trace", bytes, n), o);
}

static struct replay_run run_sample(void **state)
{
	return run_bytes(state, sample, sizeof(sample) - 1, no_options);
}

/* The sample as the recorder writes it: readable up to each of its lines. To be freed. */
static char *flushed_gzip(void **state, size_t *ret_n)
{
	const char *path = trace_dir_path(state, "flushed.gz");
	struct trace_file *f;
	char *bytes;

	assert_int_equal(trace_file_create(path, &f), 0);
	for (const char *line = sample; *line; line = strchr(line, '\n') + 1) {
		size_t n = (size_t)(strchr(line, '\n') - line) + 1;

		assert_int_equal(trace_file_write(f, line, n), 0);
		assert_int_equal(trace_file_flush(f), 0);
	}
	assert_int_equal(trace_file_close(f), 0);
	bytes = trace_dir_get(path, ret_n);
	unlink(path);
	return bytes;
}

static void assert_whole(const struct replay_run *run, const struct replay_run *want)
{
	assert_int_equal(run->opened, 0);
	assert_int_equal(run->last, 0);
	assert_int_equal(run->n_events, want->n_events);
	assert_same_events(run, want, want->n_events);
	assert_true(run->report.has_end);
	assert_false(run->report.is_cut);
	assert_int_equal(run->report.lines, want->report.lines);
}

static void compressed_is_the_same_trace(void **state)
{
	struct replay_run want = run_sample(state), run;
	size_t n;
	void *bytes = trace_dir_gzip(sample, sizeof(sample) - 1, &n);

	run = run_bytes(state, bytes, n, strict);
	assert_whole(&run, &want);
	free(bytes);
	bytes = flushed_gzip(state, &n);
	run = run_bytes(state, bytes, n, strict);
	assert_whole(&run, &want);
	free(bytes);
}

/* Wherever the text was divided, in the middle of a line too; an empty member is nothing. */
static void gzip_members_are_one_text(void **state)
{
	struct replay_run want = run_sample(state), run;
	char both[8192];

	for (size_t at = 0; at < sizeof(sample); at += 7) {
		size_t n1, n2;
		unsigned char *first = trace_dir_gzip(sample, at, &n1);
		unsigned char *second = trace_dir_gzip(sample + at, sizeof(sample) - 1 - at, &n2);

		assert_true(n1 + n2 <= sizeof(both));
		memcpy(both, first, n1);
		memcpy(both + n1, second, n2);
		run = run_bytes(state, both, n1 + n2, strict);
		assert_whole(&run, &want);
		free(first);
		free(second);
	}
}

/* Lines of the first @n bytes of the sample that can be read, and whether a piece is left over. */
static size_t whole_lines(size_t n, bool *ret_is_cut)
{
	size_t lines = 0, last = 0;

	for (size_t i = 0; i < n; i++)
		if (sample[i] == '\n') {
			lines++;
			last = i + 1;
		}
	/* only its newline is missing */
	if (last < n && sample[n] == '\n') {
		lines++;
		last = n;
	}
	*ret_is_cut = last < n;
	return lines;
}

static void assert_refused_by_strict(void **state, const void *bytes, size_t n)
{
	struct replay_run run = run_bytes(state, bytes, n, strict);
	const char *path = trace_dir_path(state, "a.trace");

	assert_int_equal(run.opened, 0);
	assert_int_equal(run.last, -EBADMSG);
	assert_memory_equal(run.report.error, path, strlen(path));
	assert_non_null(strstr(run.report.error, ": expected "));
}

static void plain_may_be_cut_off_anywhere(void **state)
{
	struct replay_run want = run_sample(state), run;

	for (size_t n = 0; n < sizeof(sample); n++) {
		bool is_cut;
		size_t lines = whole_lines(n, &is_cut);

		run = run_bytes(state, sample, n, no_options);
		assert_int_equal(run.opened, lines ? 0 : -EBADMSG);
		if (!lines) {
			assert_non_null(strstr(run.why, n ? "breaks off" : "it is empty"));
			continue;
		}
		assert_int_equal(run.last, 0);
		assert_int_equal(run.n_events, lines - 1);
		assert_same_events(&run, &want, run.n_events);
		assert_int_equal(run.report.is_cut, is_cut);
		assert_int_equal(run.report.has_end, lines == want.report.lines);
		assert_int_equal(run.report.lines, lines + is_cut);
		if (is_cut || !run.report.has_end)
			assert_refused_by_strict(state, sample, n);
	}
}

/* Whatever part of a compressed trace is there, its events are the first of the whole's. */
static void assert_first_part(void **state, const void *bytes, size_t n,
			      const struct replay_run *whole)
{
	struct replay_run run = run_bytes(state, bytes, n, no_options);

	if (run.opened) {
		assert_int_equal(run.opened, -EBADMSG);
		assert_true(run.why[0]);
		return;
	}
	assert_int_equal(run.last, 0);
	assert_true(run.report.is_cut);
	assert_same_events(&run, whole, run.n_events);
	assert_refused_by_strict(state, bytes, n);
}

static void compressed_may_be_cut_off_anywhere(void **state)
{
	struct replay_run whole = run_sample(state);
	size_t n, n_flushed;
	void *bytes = trace_dir_gzip(sample, sizeof(sample) - 1, &n);
	void *flushed = flushed_gzip(state, &n_flushed);

	for (size_t i = 0; i < n; i++)
		assert_first_part(state, bytes, i, &whole);
	for (size_t i = 0; i < n_flushed; i++)
		assert_first_part(state, flushed, i, &whole);
	free(bytes);
	free(flushed);
}

/* Killed between two ticks, the recorder leaves all of the last flush. */
static void what_was_flushed_is_read(void **state)
{
	struct replay_run whole = run_sample(state), run;
	const char *path = trace_dir_path(state, "killed.gz");
	size_t n = strlen(sample) * 3 / 4;
	struct trace_file *f;
	bool is_cut;

	assert_int_equal(trace_file_create(path, &f), 0);
	assert_int_equal(trace_file_write(f, sample, n), 0);
	assert_int_equal(trace_file_flush(f), 0);
	run = replay_run(path, no_options);
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, whole_lines(n, &is_cut) - 1);
	assert_true(run.n_events > 3);
	assert_same_events(&run, &whole, run.n_events);
	assert_true(run.report.is_cut);
	assert_int_equal(trace_file_close(f), 0);
}

/* What could be read was read; that it is not as it was written is no cut, but damage. */
static void assert_damaged(void **state, const void *bytes, size_t n, size_t n_events)
{
	const struct replay_options skip = {.is_skip_bad = true};
	struct replay_run run = run_bytes(state, bytes, n, no_options);

	assert_int_equal(run.last, -EBADMSG);
	assert_non_null(strstr(run.report.error, "found damaged ones"));
	run = run_bytes(state, bytes, n, skip);
	assert_int_equal(run.last, 0);
	assert_int_equal(run.n_events, n_events);
	assert_int_equal(run.report.n_skipped, 1);
	assert_true(run.report.is_cut);
}

static void a_bad_checksum_is_damage(void **state)
{
	struct replay_run whole = run_sample(state);
	size_t n;
	unsigned char *bytes = trace_dir_gzip(sample, sizeof(sample) - 1, &n);

	/* CRC and length: the last 8 bytes */
	for (size_t i = n - 8; i < n; i++) {
		bytes[i] ^= 1;
		assert_damaged(state, bytes, n, whole.n_events);
		bytes[i] ^= 1;
	}
	free(bytes);
}

static void bytes_behind_gzip_are_damage(void **state)
{
	static const char *const behind[] = {"xx", "{\"t_ns\":9}\n", "\x1f\x8bnonsense"};
	struct replay_run whole = run_sample(state);
	size_t n;
	unsigned char *bytes = trace_dir_gzip(sample, sizeof(sample) - 1, &n);
	char all[4096];

	for (size_t i = 0; i < T_COUNT(behind); i++) {
		assert_true(n + strlen(behind[i]) <= sizeof(all));
		memcpy(all, bytes, n);
		memcpy(all + n, behind[i], strlen(behind[i]));
		assert_damaged(state, all, n + strlen(behind[i]), whole.n_events);
	}
	free(bytes);
}

/* Opens or not, reads or refuses, and ends: nothing else. */
static void assert_survives(void **state, const void *bytes, size_t n, struct replay_options o)
{
	struct replay_run run = run_bytes(state, bytes, n, o);

	assert_true(run.opened == 0 || run.opened == -EBADMSG);
	assert_true(run.last == 0 || (run.last == -EBADMSG && !o.is_skip_bad));
	assert_true(!run.opened == !run.why[0]);
	assert_true(!run.last == !run.report.error[0]);
	assert_true(!run.report.n_skipped == !run.report.first_bad[0]);
}

static void damaged_bytes_are_survived(void **state)
{
	static const char grid[] = TRACE(GRID, NO);
	const struct replay_options skip = {.is_skip_bad = true};
	uint64_t seed = 5;
	size_t n, n_packed;
	char *packed = flushed_gzip(state, &n_packed);

	for (int i = 0; i < MUTATE_ROUNDS; i++) {
		unsigned char *bytes;

		bytes = mutate(&seed, i % 2 ? sample : grid,
			       (i % 2 ? sizeof(sample) : sizeof(grid)) - 1, &n);
		assert_survives(state, bytes, n, i % 4 < 2 ? no_options : skip);
		free(bytes);
		bytes = mutate(&seed, packed, n_packed, &n);
		assert_survives(state, bytes, n, i % 2 ? no_options : skip);
		free(bytes);
	}
	free(packed);
}

static void what_is_no_trace_is_said(void **state)
{
	static const struct {
		const char *text;
		size_t n; /* 0: strlen() */
		const char *want;
	} cases[] = {
		{"\n" EXPLICIT, 0, "not a connleak trace (first line is empty)"},
		{"hello\n", 0, "not a connleak trace (first line is no JSON object)"},
		{"\177ELF\x02\x01\x01\0\0\0\n", 11, "(first line is no JSON object)"},
		{"[1]\n", 0, "(first line is no JSON object)"},
		{"{\"a\":1}\n", 0, ":1: "},
		{"{\"a\":1}", 0, ":1: "},
		{"{\"schema\":\"connleak.trace/v2\"}\n", 0,
		 "found \"connleak.trace/v2\": no trace that"},
		{"{\"schema\":\"connleak.trace/v1\"}\n", 0, ":1: "},
		{LOST("1"), 0, ":1: "},
		{"{\"schema\":\"connl", 0, "breaks off in its first line"},
		{"\x28\xb5\x2f\xfd\x04\x58", 0, "compressed with zstd, but only gzip is read"},
		{"\3757zXZ\0\0", 7, "compressed with xz"},
		{"BZh91AY", 0, "compressed with bzip2"},
		{"\x1f\x8b", 0, "breaks off"},
	};

	for (size_t i = 0; i < T_COUNT(cases); i++) {
		size_t n = cases[i].n ? cases[i].n : strlen(cases[i].text);
		struct replay_run run = run_bytes(state, cases[i].text, n, no_options);

		assert_int_equal(run.opened, -EBADMSG);
		if (!strstr(run.why, cases[i].want) || !strstr(run.why, *state))
			fail_msg("\"%s\", wanted \"%s\"", run.why, cases[i].want);
	}
}

static void what_cannot_be_read_is_said(void **state)
{
	struct replay_run run = replay_run(*state, no_options);

	assert_int_equal(run.opened, -EISDIR);
	assert_non_null(strstr(run.why, "is a folder"));
	run = replay_run(trace_dir_path(state, "none"), no_options);
	assert_int_equal(run.opened, -ENOENT);
	assert_non_null(strstr(run.why, "none: No such file"));
	/* opens, and fails to be read: nothing is mapped at 0 */
	run = replay_run("/proc/self/mem", no_options);
	assert_int_equal(run.opened, -EIO);
	assert_non_null(strstr(run.why, "/proc/self/mem"));
	/* a line without end */
	run = replay_run("/dev/zero", no_options);
	assert_int_equal(run.opened, -EBADMSG);
	assert_non_null(strstr(run.why, "first line is too long"));
}

static void a_name_cannot_move_the_cursor(void **state)
{
	const char *path = trace_dir_path(state, "a\x1b[31m\n\xff.trace");
	static const char text[] = EXPLICIT "bad\n";
	struct replay_run run = replay_run(path, no_options);

	assert_non_null(strstr(run.why, "/a\\x1B[31m\\x0A\\xFF.trace"));
	trace_dir_put(state, "a\x1b[31m\n\xff.trace", text, sizeof(text) - 1);
	run = replay_run(path, no_options);
	assert_non_null(strstr(run.report.error, "/a\\x1B[31m\\x0A\\xFF.trace:2: "));
	run = replay_run(path, (struct replay_options){.is_skip_bad = true});
	assert_non_null(strstr(run.report.first_bad, "/a\\x1B[31m\\x0A\\xFF.trace:2: "));
	trace_dir_put(state, "a\x1b[31m\n\xff.trace", "x", 1);
	run = replay_run(path, no_options);
	assert_non_null(strstr(run.why, "/a\\x1B[31m\\x0A\\xFF.trace: not a"));
}

/* --- pipes --- */

/*
 * A child that writes @bytes in pieces of @piece, into a pipe; or into a socket that keeps them
 * apart, so that each read gets one. Returns the end to read from.
 */
static int start_writer(const char *bytes, size_t n, size_t piece, bool is_apart, pid_t *ret_pid)
{
	int ends[2];

	assert_int_equal(is_apart ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)
				  : pipe2(ends, O_CLOEXEC),
			 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (*ret_pid == 0) {
		close(ends[0]);
		for (size_t at = 0; at < n; at += piece)
			if (write(ends[1], bytes + at, n - at < piece ? n - at : piece) < 0)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

static void a_pipe_is_read_like_a_file(void **state)
{
	struct replay_run want = run_sample(state), run;
	size_t n;
	char *packed = flushed_gzip(state, &n), path[32];

	for (int i = 0; i < 4; i++) {
		pid_t pid;
		int fd = start_writer(i & 1 ? packed : sample, i & 1 ? n : sizeof(sample) - 1,
				      i & 2 ? 1 : 100, false, &pid);

		snprintf(path, sizeof(path), "/dev/fd/%d", fd);
		run = replay_run(path, strict);
		assert_whole(&run, &want);
		assert_int_equal(trace_dir_wait(pid), 0);
		close(fd);
	}
	free(packed);
}

/* Also where reading does not block. */
static void stdin_may_bring_it_byte_by_byte(void **state)
{
	struct replay_run want = run_sample(state), run;
	int old_stdin = dup(STDIN_FILENO);
	size_t n;
	char *packed = flushed_gzip(state, &n);

	assert_true(old_stdin >= 0);
	for (int i = 0; i < 4; i++) {
		pid_t pid;
		int fd = start_writer(i & 1 ? packed : sample, i & 1 ? n : sizeof(sample) - 1, 1,
				      true, &pid);

		assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
		close(fd);
		if (i & 2)
			fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
		run = replay_run("-", strict);
		assert_whole(&run, &want);
		assert_int_equal(trace_dir_wait(pid), 0);
	}
	dup2(old_stdin, STDIN_FILENO);
	close(old_stdin);
	free(packed);
}

/* Before its first byte, and where no one has opened the other end of a FIFO. */
static void a_silent_pipe_is_not_waited_for_once_awake(void **state)
{
	const char *path = trace_dir_path(state, "fifo");
	struct replay_run run;
	int wake[2], fd;

	assert_int_equal(pipe(wake), 0);
	assert_int_equal(write(wake[1], "x", 1), 1);
	assert_int_equal(mkfifo(path, 0600), 0);
	run = replay_run(path, (struct replay_options){.wake_fd = wake[0]});
	assert_int_equal(run.opened, -EINTR);
	/* what is there is read all the same */
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, sample, sizeof(sample) - 1), sizeof(sample) - 1);
	run = replay_run(path, (struct replay_options){.wake_fd = wake[0]});
	assert_int_equal(run.opened, 0);
	assert_int_equal(run.last, -EINTR);
	assert_true(run.n_events > 0);
	close(fd);
	close(wake[0]);
	close(wake[1]);
}

static void stdin_is_named(void **state)
{
	static const char text[] = EXPLICIT "bad\n";
	int old_stdin = dup(STDIN_FILENO);
	struct replay_run run;
	pid_t pid;
	int fd = start_writer(text, sizeof(text) - 1, 100, false, &pid);

	(void)state;
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	run = replay_run("-", no_options);
	assert_int_equal(run.last, -EBADMSG);
	assert_memory_equal(run.report.error, "stdin:2: ", 9);
	/* it is not ours to close */
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	assert_int_equal(trace_dir_wait(pid), 0);
	dup2(old_stdin, STDIN_FILENO);
	close(old_stdin);
	close(fd);
}

/* --- memory --- */

/*
 * A second of a busy node: a process comes and goes, 30 connections are opened, used and closed.
 * Returns how many bytes.
 */
static int put_second(FILE *f, uint64_t second)
{
	const uint64_t t_ns = second * NS_PER_S;
	int n;

	n = fprintf(f,
		    "{\"t_ns\":%ju,\"ev\":\"holder\",\"holder\":%ju,\"pid\":4711,\"start_time\":"
		    "\"2026-02-08T13:29:58.113Z\",\"comm\":\"order-service\",\"exe\":"
		    "\"/app/order-service\",\"version\":\"v2.3.9\"}\n",
		    t_ns, second);
	for (uint64_t conn = second * 30; conn < second * 30 + 30; conn++) {
		n += fprintf(f,
			     "{\"t_ns\":%ju,\"ev\":\"open\",\"conn\":%ju,\"holder\":%ju,"
			     "\"tid\":4711,\"site\":null,\"local\":\"10.0.1.7:53412\","
			     "\"peer\":\"10.0.4.12:5432\"}\n",
			     t_ns, conn, second);
		n += fprintf(f,
			     "{\"t_ns\":%ju,\"ev\":\"io\",\"conn\":%ju,\"tx_ns\":%ju,"
			     "\"rx_ns\":%ju,\"tx\":211,\"rx\":480,\"last\":\"rx\"}\n"
			     "{\"t_ns\":%ju,\"ev\":\"close\",\"conn\":%ju,\"by\":\"app\"}\n",
			     t_ns, conn, t_ns, t_ns, t_ns, conn);
	}
	return n + fprintf(f,
			   "{\"t_ns\":%ju,\"ev\":\"exit\",\"holder\":%ju}\n"
			   "{\"t_ns\":%ju,\"ev\":\"tick\"}\n",
			   t_ns, second, t_ns);
}

/* In a child. */
static void write_stream(int fd, long mb)
{
	FILE *f = fdopen(fd, "w");
	long n = 0;

	fputs(EXPLICIT, f);
	for (uint64_t second = 1; n < mb * 1000000; second++)
		n += put_second(f, second);
	_exit(fclose(f) != 0);
}

static long peak_kb(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

static void memory_does_not_grow_with_the_trace(void **state)
{
	struct replay_run run;
	char path[32];
	long before_kb;
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_stream(ends[1], STREAM_MB);
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	before_kb = peak_kb();
	run = replay_run(path, no_options);
	assert_true(peak_kb() - before_kb < STREAM_MAX_KB);
	assert_int_equal(run.opened, 0);
	assert_int_equal(run.last, 0);
	assert_true(run.n_events > STREAM_MB * 5000);
	assert_int_equal(trace_dir_wait(pid), 0);
	close(ends[0]);
}

#define in_dir(f) cmocka_unit_test_setup_teardown(f, trace_dir_setup, trace_dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: no other test has raised the peak yet */
		cmocka_unit_test(memory_does_not_grow_with_the_trace),
		in_dir(compressed_is_the_same_trace),
		in_dir(gzip_members_are_one_text),
		in_dir(plain_may_be_cut_off_anywhere),
		in_dir(compressed_may_be_cut_off_anywhere),
		in_dir(what_was_flushed_is_read),
		in_dir(a_bad_checksum_is_damage),
		in_dir(bytes_behind_gzip_are_damage),
		in_dir(damaged_bytes_are_survived),
		in_dir(what_is_no_trace_is_said),
		in_dir(what_cannot_be_read_is_said),
		in_dir(a_name_cannot_move_the_cursor),
		in_dir(a_pipe_is_read_like_a_file),
		in_dir(stdin_may_bring_it_byte_by_byte),
		in_dir(a_silent_pipe_is_not_waited_for_once_awake),
		cmocka_unit_test(stdin_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
