/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_out.h - the JSON objects of docs/json.md as text, one line each
 *
 * Every function returns one line without newline that the caller frees, or NULL without memory.
 * What was not measured is null. Keys stand in docs/json.md's order; numbers are rounded to what
 * they are good for (seconds to 3 digits, rates to 2 significant-enough digits, never NaN).
 * Schemas: docs/<name>.schema.json.
 */
#ifndef CONNLEAK_JSON_OUT_H
#define CONNLEAK_JSON_OUT_H

#include "canary.h"
#include "doctor.h"
#include "finding.h"
#include "proctab.h"

struct top_model;

struct json_context {
	const char *host;	/* borrowed */
	int64_t wall_offset_ns; /* wall clock = event time + this */
};

/* The program that `canary -- PROGRAM` started. */
struct command_status {
	int pid;
	int status; /* exit status; -1: none */
	int signal; /* that ended it; -1: none */
};

/* connleak.finding/v1. `sql`, `server` are null until a database is asked. */
char *json_finding(const struct json_context *ctx, const struct finding *f);
/* connleak.connection/v1, a line of `ls --json`. @conn: slot of an open connection. */
char *json_connection(const struct json_context *ctx, int64_t now_ns, const struct proctab *pt,
		      uint32_t conn);
/* connleak.verdict/v1; @cmd NULL: no program was started. */
char *json_verdict(const struct json_context *ctx, const struct verdict *v,
		   const struct command_status *cmd);
/* connleak.snapshot/v1, a frame of `top -b --json`. */
char *json_snapshot(const struct json_context *ctx, const struct top_model *m);
/* connleak.doctor/v1. @version: of connleak. @now_wall_ns: ns since 1970. */
char *json_doctor(const struct json_context *ctx, const struct doctor_report *r,
		  const char *version, int64_t now_wall_ns);

#endif
