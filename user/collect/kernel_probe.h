/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_probe.h - what this kernel and these privileges allow, and why not
 *
 * Never by version: what the programs need is tried.
 */
#ifndef CONNLEAK_KERNEL_PROBE_H
#define CONNLEAK_KERNEL_PROBE_H

#include <stdint.h>

#include "../core/doctor.h"

/*
 * kernel_probe_basics - what can be told before anything is loaded
 * @why: [size] on failure one sentence with what to do
 * Returns 0, -EPERM (CAP_BPF or CAP_PERFMON missing), -ENOSYS (no BTF), -EXDEV (not in the host's
 * pid namespace, where no process would be seen).
 */
int kernel_probe_basics(char *why, size_t size);

/* From now on libbpf's words are kept instead of printed. */
void kernel_probe_listen(void);

/* A failed load or attach as one sentence, with libbpf's last word. */
void kernel_probe_explain(int err, char *why, size_t size);

/* Tries everything the live commands depend on. Leaves nothing loaded. */
void kernel_probe_report(struct doctor_report *ret);

#endif
