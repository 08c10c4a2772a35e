/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_detector.c - does the detector find leaks, and only leaks? `make bench-detector`
 *
 * Runs families of healthy and leaky behaviour, drawn at random from printed seeds, through the
 * engine and through what else a team could have alerted on, and prints what each of them did.
 * Exits 0 whatever the result is: it measures. 2: wrong usage; 5: it could not.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gen/bench.h"

enum {
	OPT_HOURS = 256,
	OPT_RUNS,
	OPT_LEAK_HOURS,
	OPT_SEED,
	OPT_FAMILY,
	OPT_QUICK,
	OPT_MARKDOWN,
	OPT_SITES,
	OPT_ALONE,
	OPT_THREADS,
	OPT_LIST,
	OPT_NO_CANARY
};

static const struct option options[] = {
	{"hours", required_argument, NULL, OPT_HOURS},
	{"leak-hours", required_argument, NULL, OPT_LEAK_HOURS},
	{"runs", required_argument, NULL, OPT_RUNS},
	{"seed", required_argument, NULL, OPT_SEED},
	{"family", required_argument, NULL, OPT_FAMILY},
	{"sites", required_argument, NULL, OPT_SITES},
	{"threads", required_argument, NULL, OPT_THREADS},
	{"quick", no_argument, NULL, OPT_QUICK},
	{"markdown", no_argument, NULL, OPT_MARKDOWN},
	{"alone", no_argument, NULL, OPT_ALONE},
	{"no-canary", no_argument, NULL, OPT_NO_CANARY},
	{"list", no_argument, NULL, OPT_LIST},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void usage(FILE *f)
{
	fprintf(f, "usage: bench_detector [--hours N] [--runs N] [--seed N] [--family NAME] "
		   "[--quick]\n"
		   "  --hours N       healthy hours in all (10,000)\n"
		   "  --runs N        of each leaky family (50)\n"
		   "  --leak-hours N  a leaky run ends N hours after leaking began (its family's)\n"
		   "  --seed N        of the first run of each family (1)\n"
		   "  --family NAME   only that one, without the canary section\n"
		   "  --quick         about a minute on two cores: few hours and runs\n"
		   "  --sites both|on|off   are call sites told? both: every other run\n"
		   "  --alone         connleak without the baselines: half the time\n"
		   "  --no-canary     without the canary section\n"
		   "  --threads N     (all cores)\n"
		   "  --markdown      tables for docs/detector.md\n"
		   "  --list          the families\n"
		   "  -v              each run\n");
}

static int list(void)
{
	const struct family *f;

	for (uint32_t i = 0; (f = family_at(i)); i++)
		printf("%-28s %s%s, %g h: %s\n", f->name, f->is_leaky ? "leaky" : "healthy",
		       f->is_known_hard ? ", known hard" : "", f->hours, f->about);
	return 0;
}

static int parse_sites(const char *arg, enum bench_sites *ret)
{
	static const char *const names[] = {"both", "on", "off"};

	for (int i = 0; i < 3; i++)
		if (!strcmp(arg, names[i])) {
			*ret = (enum bench_sites)i;
			return 0;
		}
	return -EINVAL;
}

static int take_option(struct bench_opts *o, int c, const char *arg)
{
	switch (c) {
	case OPT_HOURS:
		o->hours = atof(arg);
		return 0;
	case OPT_RUNS:
		o->runs = atoi(arg);
		return 0;
	case OPT_LEAK_HOURS:
		o->leak_hours = atof(arg);
		return 0;
	case OPT_SEED:
		o->seed = strtoull(arg, NULL, 0);
		return 0;
	case OPT_FAMILY:
		o->family = arg;
		return 0;
	case OPT_SITES:
		return parse_sites(arg, &o->sites);
	case OPT_THREADS:
		o->threads = atoi(arg);
		return 0;
	case OPT_QUICK:
		o->is_quick = true;
		return 0;
	case OPT_MARKDOWN:
		o->is_markdown = true;
		return 0;
	case OPT_ALONE:
		o->is_alone = true;
		return 0;
	case OPT_NO_CANARY:
		o->has_canary = false;
		return 0;
	case 'v':
		o->is_verbose = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static double seconds_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

static void print_all(const struct bench *b)
{
	bench_print_detectors(b);
	bench_print_healthy(b);
	bench_print_leaky(b);
	bench_print_intervals(b);
	bench_print_misses(b);
	bench_print_canaries(b);
	if (!b->o.family)
		bench_print_goals(b);
}

static int bench(const struct bench_opts *o)
{
	struct timespec begin;
	struct bench b;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	err = bench_plan(&b, o);
	if (!err) {
		printf("seed %" PRIu64 ", %.0f healthy hours, %d runs of each leaky family\n",
		       o->seed, o->hours, o->runs ? o->runs : BENCH_RUNS);
		if (o->leak_hours > 0)
			printf("leaky runs end %g h after leaking began\n", o->leak_hours);
		fflush(stdout);
		err = bench_run(&b);
	}
	if (!err)
		print_all(&b);
	bench_release(&b);
	if (err == -ENOENT)
		fprintf(stderr, "bench_detector: no family is named %s: see --list\n", o->family);
	else if (err)
		fprintf(stderr, "bench_detector: %s\n", strerror(-err));
	else
		printf("\n%.0f s on %d threads\n", seconds_since(&begin), o->threads);
	return err == -ENOENT ? 2 : err ? 5 : 0;
}

int main(int argc, char **argv)
{
	struct bench_opts o = {.seed = 1, .has_canary = true};
	int c;

	o.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	while ((c = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == OPT_LIST)
			return list();
		if (take_option(&o, c, optarg)) {
			usage(stderr);
			return 2;
		}
	}
	if (o.is_quick && !o.leak_hours)
		o.leak_hours = 4;
	if (!o.hours)
		o.hours = o.is_quick ? 300 : BENCH_HOURS;
	/* Of one family the runs are counted, if they were asked for, else its hours. */
	if (!o.runs && !o.family)
		o.runs = o.is_quick ? 8 : BENCH_RUNS;
	if (o.hours < 0 || o.runs < 0 || o.threads < 1 || optind != argc) {
		usage(stderr);
		return 2;
	}
	return bench(&o);
}
