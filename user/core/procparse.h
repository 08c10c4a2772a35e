/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procparse.h - the bytes of a process's files in /proc
 */
#ifndef CONNLEAK_PROCPARSE_H
#define CONNLEAK_PROCPARSE_H

#include <stddef.h>
#include <stdint.h>

/*
 * procparse_start_ns - start time from the bytes of /proc/PID/stat (comm may hold anything)
 * @ticks_per_s: sysconf(_SC_CLK_TCK)
 * Returns 0 or -EINVAL.
 */
int procparse_start_ns(const char *stat, size_t n, long ticks_per_s, int64_t *ret_ns);

/*
 * procparse_env - one variable out of the bytes of /proc/PID/environ
 * @ret: caller's, cleaned text, at most 4096 bytes of the value; written on success only.
 * An empty value counts as none. Returns 0, -ENOENT, -ENOMEM.
 */
int procparse_env(const char *env, size_t n, const char *name, char **ret);

/* version out of OTEL_RESOURCE_ATTRIBUTES ("service.version=1.2,..."). As procparse_env(). */
int procparse_otel_version(const char *value, char **ret);

/*
 * procparse_script - script, module or main class of an interpreter's command line
 * @exe:     path of the executable
 * @cmdline: @n bytes of /proc/PID/cmdline, NUL-separated
 * Only that one word ever leaves this function. Python (file, -m), node, ruby, perl, php, java
 * (main class, -jar), shells. Returns 0, -ENOENT (no interpreter, or no script), -ENOMEM.
 */
int procparse_script(const char *exe, const char *cmdline, size_t n, char **ret);

#endif
