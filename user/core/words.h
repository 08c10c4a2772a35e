/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h - findings, verdicts and connections as a person reads them
 *
 * Text goes into a caller's FILE-less buffer (struct strbuf), so that every view shares it and
 * tests hold it against golden bytes.
 */
#ifndef CONNLEAK_WORDS_H
#define CONNLEAK_WORDS_H

#include "canary.h"
#include "detector.h"
#include "strbuf.h"

/* What to call a holder in one word: its script, else its comm, else its executable. Borrowed. */
const char *words_name(const struct holder_info *h);

/* Where it runs: pod, else unit, else container (name, or 12 digits of its id), else "-". */
#define WORDS_WHERE_LEN 256
char *words_where(const struct holder_info *h, char buf[static WORDS_WHERE_LEN]);

/* "10.0.4.20:6432", and " -> pgbouncer (988)" behind it where it ends in @via; NULL: not known. */
#define WORDS_SERVER_LEN 320
char *words_server(const struct endpoint *ep, const struct holder *via,
		   char buf[static WORDS_SERVER_LEN]);

/* ESTABLISHED, CLOSE_WAIT, CLOSE, FIN_WAIT2. @fin_ns T_NEVER: ESTABLISHED. */
const char *words_conn_state(int64_t fin_ns, uint8_t fin_how);

/* "order-service (pid 4711, v2.3.9, container 9c1d)": what is known of a holder. */
int words_holder(struct strbuf *sb, const struct holder_info *h);

/* docs/json.md's `summary`: one sentence, no newline. */
int words_summary(struct strbuf *sb, const struct finding *f);

/*
 * words_finding - a finding as a block: first line LEAK/FD LEAK/BUDGET..., then the numbers
 * Ends in a newline. Lines for what is not known are left out.
 */
int words_finding(struct strbuf *sb, const struct finding *f);

/*
 * words_verdict - the canary's last lines
 * @f: the worst finding of the target, or NULL
 * @h: the worst or only holder of the target, or NULL
 */
int words_verdict(struct strbuf *sb, const struct verdict *v, const struct finding *f,
		  const struct holder *h);

/*
 * words_cannot_pass - what canary_can_pass() said no to, no newline: "5m is too short to pass at
 *	0.5 a minute (99 %): 9m 43s are needed at least"
 */
int words_cannot_pass(struct strbuf *sb, const struct canary_params *p, double needed_s);

/*
 * words_row - the line under top's table, no newline: "order-service (4711) leaks 7.6/min: 42
 *	opened, 0 closed in 5m 00s, 40 idle"
 */
int words_row(struct strbuf *sb, const struct finding *f);

/* The moving line of a canary, no newline. */
int words_progress(struct strbuf *sb, const struct canary_progress *p);

#endif
