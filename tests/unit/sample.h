/* SPDX-License-Identifier: Apache-2.0 */
/* sample.h - an incident as values, for the tests of what is printed */
#ifndef CONNLEAK_TEST_SAMPLE_H
#define CONNLEAK_TEST_SAMPLE_H

#include "../../user/core/canary.h"

#define SAMPLE_WALL_NS 1770557412418000000LL /* 2026-02-08T13:30:12.418Z */

static inline struct endpoint sample_endpoint(uint8_t a, uint8_t b, uint8_t c, uint8_t d,
					      uint16_t port)
{
	const uint8_t bytes[4] = {a, b, c, d};
	struct endpoint ep;

	endpoint_set(&ep, 4, bytes, port);
	return ep;
}

/* Its strings are literals: never to be released. */
static inline struct holder_info sample_info(void)
{
	return (struct holder_info){
		.pid = 4711,
		.start_ns = -30 * NS_PER_S,
		.uid = 1000,
		.comm = "order-service",
		.exe = (char *)"/app/order-service",
		.build_id = (char *)"1f3a",
		.cgroup = (char *)"/kube/pod1",
		.container = (char *)"9c1d",
		.version = (char *)"v2.3.9",
	};
}

/*
 * Stacks: of the handler that places orders and never closes, of a pool's thread that opened, and
 * of who used such a connection first. Their strings are literals, their frames are borrowed.
 */
static inline struct site_info sample_site(struct site_frame frames[2])
{
	frames[0] = (struct site_frame){.function = (char *)"net.(*Dialer).DialContext",
					.file = (char *)"/go/src/net/dial.go",
					.module = (char *)"/app/order-service",
					.line = 457,
					.address = 0x5021aa};
	frames[1] = (struct site_frame){.function = (char *)"main.placeOrder",
					.file = (char *)"/src/order.go",
					.module = (char *)"/app/order-service",
					.line = 22,
					.address = 0x6a41c2};
	return (struct site_info){
		.thread = (char *)"order-service", .frames = frames, .n_frames = 2};
}

static inline struct site_info sample_pool_site(struct site_frame frames[1])
{
	frames[0] = (struct site_frame){
		.function = (char *)"com.zaxxer.hikari.pool.HikariPool$PoolEntryCreator.call",
		.file = (char *)"HikariPool.java",
		.line = 725};
	return (struct site_info){
		.thread = (char *)"HikariPool-1 co", .frames = frames, .n_frames = 1};
}

static inline struct site_info sample_user_site(struct site_frame frames[1])
{
	frames[0] = (struct site_frame){
		.function = (char *)"Invoice.load", .file = (char *)"Invoice.java", .line = 88};
	return (struct site_info){.role = SITE_FIRST_USED_BY, .frames = frames, .n_frames = 1};
}

static inline struct finding sample_finding(struct holder_info *info)
{
	struct finding f = {
		.id = "5b1c5b1c5b1c5b1c",
		.group = "5e075e075e075e07",
		.kind = FINDING_LEAK,
		.severity = SEVERITY_CRITICAL,
		.rule = RULE_WARM,
		.time_ns = 300 * NS_PER_S,
		.since_ns = 0,
		.fired_ns = 100 * NS_PER_S,
		.holder_id = 1,
		.holder = info,
		.peer = sample_endpoint(10, 0, 4, 12, 5432),
		.window_s = 300.04,
		.opened = 42,
		.open = 42,
		.idle = 40,
		.oldest_s = 299.6,
		.leaked = 37,
		.leak_rate_per_min = 7.6,
		.leak_rate_low = 5.6,
		.leak_rate_high = 10.1,
		.leak_fraction = 1,
		.score = 74.71,
		.threshold = 13.8155,
		.reason = "7 idle connections were passed over",
		.limit = 97,
		.used = 42,
		.scope = SCOPE_SERVER,
		.source = BUDGET_POSTGRESQL,
		.exhausted_in_s = 434.2,
		.exhausted_in_low_s = 234,
		.exhausted_in_high_s = 739,
		.n_sites = 1,
		.n_conns = 2,
		.conns_total = 42,
	};

	f.sites[0] = (struct finding_site){.opened = 42, .open = 42, .idle = 40};
	f.conns[0] = (struct finding_conn){
		.local = sample_endpoint(10, 0, 1, 7, 53412),
		.peer = f.peer,
		.opened_ns = NS_PER_S * 4 / 10,
		.idle_ns = 299400 * NS_PER_MS,
		.has_io = true,
		.fin_ns = T_NEVER,
		.tx = 211,
		.rx = 480,
		.held_by = {4711},
		.n_held_by = 1,
	};
	f.conns[1] = (struct finding_conn){
		.local = sample_endpoint(10, 0, 1, 7, 53418),
		.peer = f.peer,
		.opened_ns = -5 * NS_PER_S,
		.idle_ns = T_NEVER,
		.age_is_lower_bound = true,
		.fin_ns = 10 * NS_PER_S,
		.fin_how = FIN_PEER,
		.held_by = {4711},
		.n_held_by = 1,
	};
	return f;
}

static inline struct verdict sample_verdict(enum verdict_kind kind)
{
	return (struct verdict){
		.kind = kind,
		.time_ns = 900 * NS_PER_S,
		.window_s = 900,
		.watched_s = 900.2,
		.reason = "nothing looks abandoned",
		.why = "0 connections were idle and passed over",
		.holders = 1,
		.opened = 1204,
		.closed = 1203,
		.open = 1,
		.exchanges = 5000,
		.longest_idle_ns = 84 * NS_PER_MS,
		.detectable_leak_per_min = 0.4579,
		.named_leak_per_min = 1.379,
		.confidence = 0.99,
		.detect_per_min = 0.5,
		.needed_window_s = 827.1,
		.usage = SLOT_NONE,
	};
}

#endif
