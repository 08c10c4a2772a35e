/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baseline.h - what else a team could have alerted on, each as a careful engineer would set it up
 *
 * Every rule sees what the detector sees, through the same process table, at the same ticks. Rules
 * on a level exist for one process and for all connections to one server; the age of an idle
 * connection and a server's limit have one scope each. All get what makes an alert bearable, and
 * the detector has too: a condition must have been false for ten minutes before it is a new alarm.
 */
#ifndef CONNLEAK_GEN_BASELINE_H
#define CONNLEAK_GEN_BASELINE_H

#include "../../user/core/proctab.h"

enum baseline_rule {
	BASELINE_STATIC_90,    /* 90 % of the limit in use */
	BASELINE_OLD_RULE,     /* the outage's: the same, after a canary of five minutes */
	BASELINE_STATIC_70,    /* 70 % */
	BASELINE_RISE_PROCESS, /* ten connections more than five minutes ago */
	BASELINE_RISE_SERVER,
	BASELINE_IDLE_60S,	/* some connection idle for a minute */
	BASELINE_IDLE_30MIN,	/* half an hour */
	BASELINE_TREND_PROCESS, /* Mann-Kendall and Sen's slope over 30 minutes */
	BASELINE_TREND_SERVER,
	BASELINE_LOW_WATER_PROCESS, /* lowest of each of four times five minutes rises each time */
	BASELINE_LOW_WATER_SERVER,
	BASELINE_NO_CLOSES_PROCESS, /* ten or more opened in ten minutes, at most a tenth closed */
	BASELINE_NO_CLOSES_SERVER,
	BASELINE_MAX
};

/* A rule begins or ceases to speak. */
struct baseline_alarm {
	enum baseline_rule rule;
	uint64_t holder; /* id; 0: the rule is about the server */
	struct endpoint peer;
	int64_t t_ns;
	bool is_on;
};

typedef void (*baseline_fn)(const struct baseline_alarm *a, void *arg);

struct baselines;

/* @fn is called from baselines_tick(), @arg is handed on. Returns NULL without memory. */
struct baselines *baselines_new(baseline_fn fn, void *arg);
void baselines_free(struct baselines *b);

/*
 * baselines_tick - look at the table as it is at @now_ns
 * To be called when all events up to the tick are in. Linear in usages and, where something is
 * idle for long, in their connections. Returns 0 or -ENOMEM.
 */
int baselines_tick(struct baselines *b, const struct proctab *pt, int64_t now_ns);

/* "90 % of the limit", ... ; as a row of a table. */
const char *baseline_name(enum baseline_rule r);

#endif
