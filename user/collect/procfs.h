/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs.h - who a process is, read once from /proc and its executable
 */
#ifndef CONNLEAK_PROCFS_H
#define CONNLEAK_PROCFS_H

#include "../core/holder_info.h"

/*
 * procfs_identify - fill @h as far as /proc of @h->pid allows
 * @h: pid and start_ns (CLOCK_BOOTTIME) are set; comm and uid as the kernel side saw them. Fields
 *     that cannot be read stay NULL.
 *
 * Reads /proc/PID/{stat,exe,cmdline,cgroup,environ} and the executable's notes through
 * /proc/PID/exe. The start time is compared before and after (to a clock tick): a reused pid gives
 * -ESRCH and leaves @h as it was, but for group. Always sets group. Files are opened O_NONBLOCK,
 * regular files only where an ELF is parsed; sizes are bounded.
 * Returns 0, -ESRCH (gone, or another process by now), -EACCES (no privilege for exe, cgroup or
 * environ: what could be read is filled), -ENOMEM.
 */
int procfs_identify(struct holder_info *h);

/*
 * procfs_look - a process that was found by its pid: start time and name
 * @h: pid is set; start_ns and comm are written on success only
 * Returns 0 or -ESRCH.
 */
int procfs_look(struct holder_info *h);

#endif
