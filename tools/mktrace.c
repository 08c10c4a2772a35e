/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mktrace.c - write a simulated scenario as a trace, and beside it what is true of it
 *
 * mktrace FAMILY FILE [--seed N] [--hours H] [--sites]: the events go to FILE as docs/trace.md has
 * them (compressed if it ends in ".gz"), the truth to FILE.truth.json. The same arguments give the
 * same bytes.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "gen/trace_out.h"

#define EXIT_USAGE  2
#define EXIT_FAILED 5
#define MAX_HOURS   1000.0

struct job {
	const struct family *family;
	const char *path;
	uint64_t seed;
	double hours; /* 0: the family's own */
	bool has_sites;
};

/* A plain file or a compressed one. */
struct output {
	const char *path;
	FILE *plain;
	gzFile packed;
};

__attribute__((format(printf, 2, 3), noreturn)) static void die(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("mktrace: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

/* --- the trace --- */

static bool is_packed(const char *path)
{
	size_t n = strlen(path);

	return n > 3 && !strcmp(path + n - 3, ".gz");
}

static void open_output(struct output *o, const char *path)
{
	*o = (struct output){.path = path};
	/* The compressor's header holds no name and no time: the same bytes each time. */
	if (is_packed(path))
		o->packed = gzopen(path, "wb9");
	else
		o->plain = fopen(path, "w");
	if (!o->packed && !o->plain)
		die(EXIT_FAILED, "cannot write %s: %s", path, strerror(errno));
}

static int write_output(void *arg, const char *bytes, size_t n)
{
	struct output *o = arg;

	if (o->packed ? gzwrite(o->packed, bytes, (unsigned)n) != (int)n
		      : fwrite(bytes, 1, n, o->plain) != n)
		return errno ? -errno : -EIO;
	return 0;
}

static void close_output(struct output *o)
{
	if (o->packed ? gzclose(o->packed) != Z_OK : fclose(o->plain) != 0)
		die(EXIT_FAILED, "cannot write %s: %s", o->path, strerror(errno));
}

/* --- the truth --- */

static void put_time(FILE *f, const char *name, int64_t t_ns, int64_t zero_ns)
{
	if (t_ns == T_NEVER)
		fprintf(f, "\"%s\":null", name);
	else
		fprintf(f, "\"%s\":%lld", name, (long long)(t_ns - zero_ns));
}

static void put_number(FILE *f, const char *name, double v)
{
	if (isnan(v))
		fprintf(f, "\"%s\":null", name);
	else
		fprintf(f, "\"%s\":%.4g", name, v);
}

static void put_leaks(FILE *f, const struct gen_truth *t)
{
	fputs("\"leaks\":[", f);
	for (uint32_t i = 0; i < t->n_leaks; i++) {
		const struct gen_leak *l = &t->leaks[i];

		fprintf(f, "%s\n {\"conn\":%llu,\"holder\":%llu,", i ? "," : "",
			(unsigned long long)l->conn, (unsigned long long)l->holder);
		put_time(f, "opened_ns", l->opened_ns, t->watch_ns);
		fputc(',', f);
		put_time(f, "last_use_ns", l->last_use_ns, t->watch_ns);
		fputc(',', f);
		put_time(f, "slot_ns", l->slot_ns, t->watch_ns);
		fputc(',', f);
		put_time(f, "end_ns", l->end_ns, t->watch_ns);
		fputc('}', f);
	}
	fputs("]", f);
}

static void put_holders(FILE *f, const struct gen_truth *t)
{
	fputs("\"holders\":[", f);
	for (uint32_t i = 0; i < t->n_holders; i++)
		fprintf(f, "%s%llu", i ? "," : "", (unsigned long long)t->holders[i]);
	fputs("]", f);
}

/* Times are t_ns of the trace: since its first moment. */
static void put_truth(FILE *f, const struct gen_truth *t)
{
	fprintf(f, "{\"schema\":\"connleak.truth/v1\",\"family\":\"%s\",\"seed\":%llu,", t->family,
		(unsigned long long)t->seed);
	fprintf(f, "\"is_leaky\":%s,\"is_known_hard\":%s,", t->is_leaky ? "true" : "false",
		t->is_known_hard ? "true" : "false");
	fprintf(f, "\"params\":\"%s\",\n ", t->params);
	put_time(f, "duration_ns", t->duration_ns, t->watch_ns);
	fputc(',', f);
	put_time(f, "begin_ns", t->begin_ns, t->watch_ns);
	fputc(',', f);
	put_time(f, "limit_ns", t->limit_ns, t->watch_ns);
	if (t->limit)
		fprintf(f, ",\"limit\":%u,\n ", t->limit);
	else
		fputs(",\"limit\":null,\n ", f);
	put_number(f, "rate_per_min", t->rate_per_min);
	fputc(',', f);
	put_number(f, "nominal_per_min", t->nominal_per_min);
	fprintf(f, ",\"leaked\":%llu,\"leaked_open\":%llu,\n ", (unsigned long long)t->n_leaked,
		(unsigned long long)t->n_leaked_open);
	put_holders(f, t);
	fputs(",\n ", f);
	put_leaks(f, t);
	fputs("}\n", f);
}

static void write_truth(const char *trace_path, const struct gen_truth *t)
{
	char path[4096];
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s.truth.json", trace_path) >= sizeof(path))
		die(EXIT_USAGE, "%.40s...: too long for a path", trace_path);
	f = fopen(path, "w");
	if (!f)
		die(EXIT_FAILED, "cannot write %s: %s", path, strerror(errno));
	put_truth(f, t);
	if (ferror(f) | fclose(f))
		die(EXIT_FAILED, "cannot write %s: %s", path, strerror(errno));
}

/* --- what was asked for --- */

static void run(const struct job *job)
{
	static struct gen_truth truth;
	struct output out;
	struct trace_out to = {.family = job->family,
			       .seed = job->seed,
			       .hours = job->hours,
			       .has_sites = job->has_sites,
			       .write = write_output,
			       .arg = &out};
	int err;

	open_output(&out, job->path);
	err = trace_out_run(&to, &truth);
	if (err)
		die(EXIT_FAILED, "cannot write %s: %s", job->path, strerror(-err));
	close_output(&out);
	write_truth(job->path, &truth);
}

static void list(void)
{
	const struct family *f;

	for (uint32_t i = 0; (f = family_at(i)); i++)
		printf("%-22s %-8s %5.1f h  %s\n", f->name,
		       f->is_leaky ? "leaky" : (f->is_known_hard ? "hard" : "healthy"), f->hours,
		       f->about);
}

static void usage(FILE *to)
{
	fputs("usage: mktrace FAMILY FILE [--seed N] [--hours H] [--sites]\n"
	      "       mktrace --list\n"
	      "Writes a simulated scenario as a trace to FILE (compressed if it ends in .gz), and "
	      "what\n"
	      "is true of it to FILE.truth.json.\n"
	      "  --seed N    another draw of the family's parameters (1)\n"
	      "  --hours H   how long it lasts, at most 1000 (the family's own, see --list)\n"
	      "  --sites     with call sites; without, all are null\n"
	      "  --list      the families: name, healthy or leaky, hours, what they are\n"
	      "The same arguments give the same bytes.\n",
	      to);
}

static uint64_t parse_seed(const char *text)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9')
		die(EXIT_USAGE, "--seed %s: not a whole number", text);
	return n;
}

static double parse_hours(const char *text)
{
	char *end;
	double h = strtod(text, &end);

	if (end == text || *end || !(h > 0) || h > MAX_HOURS)
		die(EXIT_USAGE, "--hours %s: not a time (more than 0, at most %.0f)", text,
		    MAX_HOURS);
	return h;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'}, {"hours", required_argument, NULL, 'H'},
		{"sites", no_argument, NULL, 'c'},	{"list", no_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},	{0},
	};
	struct job job = {.seed = 1};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			job.seed = parse_seed(optarg);
			break;
		case 'H':
			job.hours = parse_hours(optarg);
			break;
		case 'c':
			job.has_sites = true;
			break;
		case 'l':
			list();
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	job.family = family_find(argv[optind]);
	if (!job.family)
		die(EXIT_USAGE, "no family \"%s\" (mktrace --list names them)", argv[optind]);
	job.path = argv[optind + 1];
	run(&job);
	return 0;
}
