/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_snapshot.c PORT... - what it costs to take what is open, to pass over it, and to walk over
 *	the descriptors: wall time and cpu, in milliseconds, as one JSON object
 *
 * Loads connleak's kernel programs by itself, so that nothing but kernel.c is measured. Passes and
 * walks are medians of ROUNDS, after one that makes room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../user/collect/kernel.h"

#define ROUNDS 5

struct cost {
	double wall_ms, cpu_ms;
};

static double now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static struct cost cost_now(void)
{
	return (struct cost){now_ms(CLOCK_MONOTONIC), now_ms(CLOCK_PROCESS_CPUTIME_ID)};
}

static struct cost cost_since(struct cost start)
{
	struct cost now = cost_now();

	return (struct cost){now.wall_ms - start.wall_ms, now.cpu_ms - start.cpu_ms};
}

static int by_cpu(const void *va, const void *vb)
{
	const struct cost *a = va, *b = vb;

	return a->cpu_ms < b->cpu_ms ? -1 : a->cpu_ms > b->cpu_ms;
}

static int pass(struct kernel *k, uint32_t *ret_n)
{
	const struct cl_sock *socks;
	uint32_t missed;

	return kernel_pass(k, &socks, ret_n, &missed);
}

static int walk(struct kernel *k, uint32_t *ret_n)
{
	const struct cl_held *held;
	uint32_t adopted;

	return kernel_walk(k, CL_FILES_COMPARE, &held, ret_n, &adopted);
}

/* Returns what the median run of @what costs, and how much it saw. */
static struct cost median(struct kernel *k, int (*what)(struct kernel *k, uint32_t *ret_n),
			  uint32_t *ret_n)
{
	struct cost costs[ROUNDS];
	int err = what(k, ret_n);

	for (int i = 0; !err && i < ROUNDS; i++) {
		struct cost start = cost_now();

		err = what(k, ret_n);
		costs[i] = cost_since(start);
	}
	if (err) {
		fprintf(stderr, "bench_snapshot: %s\n", strerror(-err));
		exit(5);
	}
	qsort(costs, ROUNDS, sizeof(*costs), by_cpu);
	return costs[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	struct cost start = cost_now(), opened, passed, walked;
	struct kernel_params p = {0};
	uint32_t n_open, n_held;
	uint16_t ports[64];
	char why[512] = "";
	struct kernel *k;

	for (int i = 1; i < argc && p.n_ports < 64; i++)
		ports[p.n_ports++] = (uint16_t)atoi(argv[i]);
	p.ports = ports;
	if (kernel_open(&p, &k, why, sizeof(why))) {
		fprintf(stderr, "bench_snapshot: %s\n", why);
		return 3;
	}
	opened = cost_since(start);
	passed = median(k, pass, &n_open);
	walked = median(k, walk, &n_held);
	printf("{\"open\":%u,\"held\":%u,\"start_wall\":%.1f,\"start_cpu\":%.1f,"
	       "\"pass_wall\":%.1f,\"pass_cpu\":%.1f,\"walk_wall\":%.1f,\"walk_cpu\":%.1f}\n",
	       n_open, n_held, opened.wall_ms, opened.cpu_ms, passed.wall_ms, passed.cpu_ms,
	       walked.wall_ms, walked.cpu_ms);
	kernel_close(k);
	return 0;
}
