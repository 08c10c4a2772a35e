/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - the detector and its rivals over all families: what is run, and the tables of it
 *
 * bench_plan() chooses the trials, bench_run() runs them, the others print. Numbers in a table are
 * computed from the trials and nothing else.
 */
#ifndef CONNLEAK_GEN_BENCH_H
#define CONNLEAK_GEN_BENCH_H

#include "jobs.h"
#include "leaky.h"
#include "sums.h"

#define BENCH_HOURS 10000
#define BENCH_RUNS  50

enum bench_sites { SITES_BOTH, SITES_ON, SITES_OFF };

struct bench_opts {
	double hours;	   /* healthy hours in all, over the healthy families */
	double leak_hours; /* a leaky run ends so long after leaking began; 0: its family's hours */
	int runs;	   /* of each leaky family; of the only one, whatever it is */
	uint64_t seed;
	const char *family; /* NULL: all */
	enum bench_sites sites;
	bool is_quick, is_markdown, is_verbose;
	bool is_alone; /* no baselines */
	bool has_canary;
	int threads;
};

/* What is counted together. Known hard ones and mixtures have totals of their own. */
enum bench_group {
	GROUP_HEALTHY,
	GROUP_LEAKY,
	GROUP_MIXED_HEALTHY,
	GROUP_MIXED_LEAKY,
	GROUP_HARD_HEALTHY,
	GROUP_HARD_LEAKY,
	GROUP_MAX
};

struct bench_family {
	const struct family *f;
	enum bench_group group;
	double hours;	      /* process-hours wanted; 0: @n was asked for */
	struct trial *trials; /* [n], room for more until bench_run() knows how many it takes */
	uint32_t n;
};

/* Canaries: of a healthy family's start, or of a leak of one rate. */
struct bench_canary {
	const struct family *f; /* NULL: a leak of a rate */
	enum bench_group group; /* of the family */
	struct leaky_at at;
	double window_s;
	struct trial *trials;
	uint32_t n;
};

struct bench {
	struct bench_opts o;
	struct bench_family *families;
	uint32_t n_families;
	struct bench_canary *canaries;
	uint32_t n_canaries;
};

/* Returns 0, -ENOENT (no such family), -ENOMEM. */
int bench_plan(struct bench *b, const struct bench_opts *o);
int bench_run(struct bench *b);
void bench_release(struct bench *b);

/* One detector over one group. */
struct bench_total {
	double hours;
	uint64_t false_alarms;
	uint32_t runs, found;
	uint32_t ran_out, found_of_those; /* leaks that took a server's last slot in their run */
	struct sums found_s, leaked;	  /* a leak that is not found counts as never: INFINITY */
};

/* The caller owes bench_total_release(). */
void bench_total(const struct bench *b, enum bench_group g, int detector, struct bench_total *ret);
void bench_total_of_family(const struct bench_family *bf, int detector, struct bench_total *ret);
void bench_total_release(struct bench_total *t);
/* The highest rate per 1,000 h that @n alarms in @hours are no surprise for, at 95 %. */
double bench_upper(uint64_t n, double hours);
/* False alarms per 1,000 h; NAN without hours. */
double bench_rate(const struct bench_total *t);
const struct bench_family *bench_find(const struct bench *b, const char *family);

#define BENCH_NUMBER 64
/* "0.3", "409", "never" for INFINITY, "-" for NAN. @buf has BENCH_NUMBER bytes; returned. */
const char *bench_number(char *buf, double x);
/* Median and 95th percentile: "409 / 531". */
const char *bench_two(char *buf, struct sums *s);
/* "12.5 %"; "-" of none. */
const char *bench_percent(char *buf, double n, double of);
/* A title, and the head of a table with @columns: "| a | b |". */
void bench_head(const struct bench *b, const char *title, const char *columns);

void bench_print_detectors(const struct bench *b);
void bench_print_healthy(const struct bench *b);
void bench_print_leaky(const struct bench *b);
/* Each trial that went wrong: what reproduces it, what was said, and its parameters. */
void bench_print_misses(const struct bench *b);
/* --- bench_intervals.c --- */
void bench_print_intervals(const struct bench *b);
/* Of the leaks of constant rate: those at @m whose interval covers the truth, of how many. */
void bench_coverage(const struct bench *b, enum trial_moment m, bool is_eta, uint32_t *ret_covered,
		    uint32_t *ret_n);
/* --- bench_canary.c --- */
void bench_print_canaries(const struct bench *b);
/* --- bench_goals.c --- */
void bench_print_goals(const struct bench *b);

#endif
