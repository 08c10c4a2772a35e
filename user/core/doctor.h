/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - what this machine allows: a list of checks, made by collect/kernel_probe.c
 */
#ifndef CONNLEAK_DOCTOR_H
#define CONNLEAK_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

enum check_status {
	CHECK_OK,
	CHECK_PART,    /* works, with something missing */
	CHECK_MISSING, /* the live commands cannot run without it */
	CHECK_UNKNOWN  /* could not be told */
};

#define DOCTOR_MAX_CHECKS 16

struct check {
	const char *name; /* static text: "kernel BTF" */
	const char *code; /* static text for JSON: "btf" */
	enum check_status status;
	char detail[256]; /* what was found */
	char remedy[256]; /* what to do; "" when nothing is to do */
};

struct doctor_report {
	char kernel[128]; /* release */
	char machine[65]; /* x86_64 */
	struct check checks[DOCTOR_MAX_CHECKS];
	size_t n_checks;
	bool is_ready;	   /* the live commands can run */
	char summary[256]; /* "yes", "yes, without names for ...", "no: ..." */
};

/* "ok", "part", "missing", "unknown" */
const char *check_status_name(enum check_status s);

struct strbuf;

/* The page: one line a check, its remedy below it, `ready:` last. Returns 0 or -ENOMEM. */
int doctor_text(struct strbuf *sb, const struct doctor_report *r, const char *version);

#endif
