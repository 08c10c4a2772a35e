/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_bpf.h - the live kernel as a source
 */
#ifndef CONNLEAK_SOURCE_BPF_H
#define CONNLEAK_SOURCE_BPF_H

#include "kernel.h"
#include "source.h"
#include "translate.h"

/*
 * source_bpf_open - load the kernel programs and adopt what is open
 * @interval_ns: nominal time between two snapshots
 * @why:         [why_size] on failure one sentence with what to do
 * Returns as kernel_open().
 */
int source_bpf_open(struct source *s, const struct kernel_params *p, int64_t interval_ns, char *why,
		    size_t why_size);

/* Now, on the clock of this source's events (CLOCK_BOOTTIME). */
int64_t source_bpf_now_ns(void);
/* Wall clock less that clock, ns. */
int64_t source_bpf_wall_offset_ns(void);

/* What is behind it; borrowed. */
struct kernel *source_bpf_kernel(const struct source *s);
/* Compare with the kernel's tables of descriptors at the next look, however early. */
void source_bpf_compare(const struct source *s);

#endif
