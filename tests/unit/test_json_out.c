/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json_out.c - each object's bytes, and that they parse strictly
 * With a folder as its argument it writes the lines there, one file a schema, for schema_check.py.
 * objects: core/json_out.o core/json_part.o core/json_views.o core/words.o core/doctor.o
 * objects: core/text.o core/strbuf.o core/finding.o core/endpoint.o core/holder_info.o core/site_info.o
 * objects: core/proctab.o core/proctab_store.o core/slots.o core/idmap.o core/event.o
 * objects: core/sitetab.o core/app_frame.o core/baseline.o core/stats.o
 */
#include "t.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../user/core/json_out.h"
#include "../../user/tui/top_model.h"
#include "fake_detector.h"
#include "sample.h"

static const char *out_dir;
static const struct json_context ctx = {"app-node-07", SAMPLE_WALL_NS};

/* Strictly parsed; kept for the schema when asked for. */
static void assert_line(const char *schema, const char *line)
{
	json_error_t error;
	json_t *value;
	char path[512], field[64];
	FILE *f;

	assert_non_null(line);
	assert_null(strchr(line, '\n'));
	value = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	if (!value)
		fail_msg("%s: %s", error.text, line);
	snprintf(field, sizeof(field), "connleak.%s/v1", schema);
	assert_string_equal(json_string_value(json_object_get(value, "schema")), field);
	json_decref(value);
	if (!out_dir)
		return;
	snprintf(path, sizeof(path), "%s/%s.jsonl", out_dir, schema);
	f = fopen(path, "a");
	assert_non_null(f);
	fprintf(f, "%s\n", line);
	assert_int_equal(fclose(f), 0);
}

static void assert_json(const char *schema, char *line, const char *want)
{
	assert_line(schema, line);
	assert_string_equal(line, want);
	free(line);
}

#define SAMPLE_HOLDER                                                                              \
	"{\"pid\":4711,\"start_time\":\"2026-02-08T13:29:42.418Z\",\"comm\":\"order-service\","    \
	"\"exe\":\"/app/order-service\",\"build_id\":\"1f3a\",\"uid\":1000,"                       \
	"\"cgroup\":\"/kube/pod1\",\"container\":\"9c1d\",\"container_name\":null,"                \
	"\"namespace\":null,\"pod\":null,\"workload\":null,\"unit\":null,\"version\":\"v2.3.9\","  \
	"\"script\":null}"
#define SAMPLE_PEER "{\"address\":\"10.0.4.12\",\"port\":5432,\"via\":null}"
#define SAMPLE_LEDGER                                                                              \
	"\"ledger\":{\"opened\":60,\"adopted\":14,\"moved_in\":0,\"closed\":30,\"open\":42,"       \
	"\"moved_out\":0,\"lost\":2}"
#define SAMPLE_BUDGET                                                                              \
	"{\"scope\":\"server\",\"limit\":97,\"used\":42,\"source\":\"postgresql\","                \
	"\"exhausted_in_s\":434,\"exhausted_in_low_s\":234,\"exhausted_in_high_s\":739}"

static void a_finding_has_the_contracts_fields_in_its_order(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);

	(void)state;
	assert_json(
		"finding", json_finding(&ctx, &f),
		"{\"schema\":\"connleak.finding/v1\",\"id\":\"5b1c5b1c5b1c5b1c\",\"kind\":\"leak\","
		"\"status\":\"firing\",\"severity\":\"critical\","
		"\"time\":\"2026-02-08T13:35:12.418Z\",\"since\":\"2026-02-08T13:30:12.418Z\","
		"\"fired_at\":\"2026-02-08T13:31:52.418Z\",\"host\":\"app-node-07\","
		"\"group\":\"5e075e075e075e07\",\"summary\":\"order-service (pid 4711) leaks 7.6 "
		"connections/min: 42 opened, 0 closed in 300 s\",\"holder\":" SAMPLE_HOLDER
		",\"peer\":" SAMPLE_PEER
		",\"downstream_of\":null,\"evidence\":{\"window_s\":300.04,"
		"\"opened\":42,\"closed\":0,\"adopted\":0,\"failed\":0,\"rejected\":0,"
		"\"moved_in\":0,\"moved_out\":0,\"open\":42,\"fd_only\":0,\"idle\":40,"
		"\"oldest_s\":299.6,\"leaked\":37,\"leak_rate_per_min\":7.6,\"leak_rate_low\":5.6,"
		"\"leak_rate_high\":10.1,\"leak_fraction\":1.0,\"score\":74.7,\"threshold\":13.8,"
		"\"rule\":\"warm\",\"reason\":\"7 idle connections were passed over\"},"
		"\"budget\":" SAMPLE_BUDGET ",\"call_sites\":[],\"call_sites_total\":0,"
		"\"connections\":[{\"local\":\"10.0.1.7:53412\",\"peer\":\"10.0.4.12:5432\","
		"\"age_s\":299.6,\"age_is_lower_bound\":false,\"idle_s\":299.4,"
		"\"state\":\"ESTABLISHED\",\"bytes_sent\":211,\"bytes_received\":480,"
		"\"opened_by\":null,\"first_used_by\":null,\"held_by\":[4711],\"server\":null},"
		"{\"local\":\"10.0.1.7:53418\",\"peer\":\"10.0.4.12:5432\",\"age_s\":305.0,"
		"\"age_is_lower_bound\":true,\"idle_s\":null,\"state\":\"CLOSE_WAIT\","
		"\"bytes_sent\":null,\"bytes_received\":null,\"opened_by\":null,"
		"\"first_used_by\":null,\"held_by\":[4711],\"server\":null}],"
		"\"connections_total\":42,\"sql\":null,\"resolved_because\":null,"
		"\"runbook\":\"docs/runbook.md#leak\"}");
}

static json_t *parsed(char *line)
{
	json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(value);
	free(line);
	return value;
}

static json_t *at(json_t *value, const char *a, const char *b)
{
	value = json_object_get(value, a);
	return b ? json_object_get(value, b) : value;
}

static void what_was_not_measured_is_null(void **state)
{
	struct holder_info info = {.pid = 1, .uid = -1, .start_ns = T_NEVER};
	struct finding f = sample_finding(&info);
	char *line;
	json_t *v;

	(void)state;
	f.window_s = f.oldest_s = f.leak_rate_per_min = f.leak_rate_low = NAN;
	f.leak_rate_high = INFINITY;
	f.leak_fraction = f.score = f.threshold = NAN;
	f.exhausted_in_s = f.exhausted_in_low_s = NAN;
	f.exhausted_in_high_s = INFINITY;
	f.used = -1;
	f.since_ns = T_NEVER;
	f.reason[0] = '\0';
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	v = parsed(line);
	assert_true(json_is_null(at(v, "since", NULL)));
	assert_true(json_is_null(at(v, "holder", "uid")));
	assert_true(json_is_null(at(v, "holder", "comm")));
	assert_true(json_is_null(at(v, "holder", "start_time")));
	assert_true(json_is_null(at(v, "evidence", "window_s")));
	assert_true(json_is_null(at(v, "evidence", "leak_rate_per_min")));
	assert_true(json_is_null(at(v, "evidence", "leak_rate_high")));
	assert_true(json_is_null(at(v, "evidence", "reason")));
	assert_true(json_is_null(at(v, "budget", "used")));
	assert_true(json_is_null(at(v, "budget", "exhausted_in_s")));
	assert_true(json_is_null(at(v, "budget", "exhausted_in_high_s")));
	json_decref(v);

	f.limit = 0;
	f.holder = NULL;
	f.peer.family = 0;
	f.kind = FINDING_BLIND;
	f.rule = RULE_LOST_EVENTS;
	f.n_conns = f.conns_total = 0;
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	v = parsed(line);
	assert_true(json_is_null(at(v, "budget", NULL)));
	assert_true(json_is_null(at(v, "holder", NULL)));
	assert_true(json_is_null(at(v, "peer", NULL)));
	json_decref(v);
}

/* What stands in the finding is told as it is; what is not known of it is null. */
static void call_sites_have_their_frames_and_roles(void **state)
{
	struct site_frame frames[2], unknown = {0};
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	char *line;

	(void)state;
	f.sites[0] = (struct finding_site){
		.site = 0xabc, .info = sample_site(frames), .opened = 41, .open = 41, .idle = 39};
	f.sites[1] = (struct finding_site){.site = 0xdef, .role = SITE_FIRST_USED_BY, .open = 40};
	f.sites[1].info = (struct site_info){.frames = &unknown, .n_frames = 1};
	f.n_sites = f.sites_total = 2;
	f.conns[0].site = 0xabc;
	f.conns[0].first_used = 0xdef;
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	assert_non_null(strstr(
		line,
		"\"call_sites\":[{\"id\":\"0000000000000abc\",\"role\":\"opened_by\","
		"\"opened\":41,\"closed\":0,\"open\":41,\"idle\":39,"
		"\"thread\":\"order-service\",\"frames\":["
		"{\"function\":\"net.(*Dialer).DialContext\",\"file\":\"/go/src/net/dial.go\","
		"\"line\":457,\"module\":\"/app/order-service\",\"address\":\"0x5021aa\"},"
		"{\"function\":\"main.placeOrder\",\"file\":\"/src/order.go\",\"line\":22,"
		"\"module\":\"/app/order-service\",\"address\":\"0x6a41c2\"}]},"
		"{\"id\":\"0000000000000def\",\"role\":\"first_used_by\",\"opened\":null,"
		"\"closed\":null,\"open\":40,\"idle\":0,\"thread\":null,\"frames\":["
		"{\"function\":null,\"file\":null,\"line\":null,\"module\":null,"
		"\"address\":null}]}],\"call_sites_total\":2,"));
	assert_non_null(strstr(line, "\"opened_by\":\"0000000000000abc\","
				     "\"first_used_by\":\"0000000000000def\","));
	free(line);
}

static void a_known_call_site_is_listed_and_no_stack_is_not(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	char *line;
	json_t *v;

	(void)state;
	f.sites[1] = (struct finding_site){.site = 0xabc, .opened = 1};
	f.n_sites = 2;
	f.sites_total = 12;
	f.status = FINDING_RESOLVED;
	f.resolved_because = RESOLVED_USED_AGAIN;
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	v = parsed(line);
	assert_int_equal(json_array_size(at(v, "call_sites", NULL)), 1);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(at(v, "call_sites", NULL), 0), "id")),
			    "0000000000000abc");
	assert_int_equal(json_integer_value(at(v, "call_sites_total", NULL)), 12);
	assert_string_equal(json_string_value(at(v, "resolved_because", NULL)), "used_again");
	json_decref(v);
}

static void foreign_text_cannot_break_out(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	char *line;
	json_t *v;

	(void)state;
	strcpy(info.comm, "a\"b\\\n\x1b\x7f");
	info.exe = (char *)"\xff\xfe/x";
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	v = parsed(line);
	assert_string_equal(json_string_value(at(v, "holder", "comm")), "a\"b\\\n\x1b\x7f");
	assert_string_equal(json_string_value(at(v, "holder", "exe")), "\\xFF\\xFE/x");
	json_decref(v);
}

static void numbers_are_rounded_to_what_they_are_good_for(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	char *line;

	(void)state;
	f.window_s = 1.0 / 3;
	f.leak_rate_per_min = 0.123456;
	f.leak_rate_low = 1e-12;
	f.leak_rate_high = 12345.6;
	f.opened = UINT64_MAX;
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	assert_non_null(strstr(line, "\"window_s\":0.333,"));
	assert_non_null(strstr(line, "\"leak_rate_per_min\":0.123,"));
	assert_non_null(strstr(line, "\"leak_rate_low\":0.0,"));
	assert_non_null(strstr(line, "\"leak_rate_high\":12346.0,"));
	assert_non_null(strstr(line, "\"opened\":9223372036854775807,"));
	free(line);
}

static void apply(struct proctab *pt, struct event ev)
{
	struct proctab_change ch;

	assert_int_equal(proctab_apply(pt, &ev, &ch), 0);
}

/* One connection of order-service, adopted, with traffic; pgbouncer lives beside it. */
static struct proctab *one_connection(void)
{
	const struct holder_info info = sample_info();
	const struct holder_info bouncer = {.pid = 988, .comm = "pgbouncer"};
	struct event open = {.kind = EV_OPEN, .conn = 1, .holder = 1};
	struct event io = {.kind = EV_IO, .conn = 1};
	struct proctab *pt = proctab_new(NULL);

	assert_non_null(pt);
	apply(pt, (struct event){.kind = EV_HOLDER, .holder = 1, .info = &info});
	apply(pt, (struct event){.kind = EV_HOLDER, .holder = 2, .info = &bouncer});
	open.open.local = sample_endpoint(10, 0, 1, 7, 53412);
	open.open.peer = sample_endpoint(10, 0, 4, 12, 5432);
	open.open.adopted = true;
	apply(pt, open);
	io.io.tx_ns = 10 * NS_PER_S;
	io.io.rx_ns = 20 * NS_PER_S;
	io.io.tx = 211;
	io.io.rx = 480;
	apply(pt, io);
	return pt;
}

static void a_connection_is_a_line_of_ls(void **state)
{
	struct proctab *pt = one_connection();

	(void)state;
	assert_json("connection", json_connection(&ctx, 300 * NS_PER_S, pt, 0),
		    "{\"schema\":\"connleak.connection/v1\",\"time\":\"2026-02-08T13:35:12.418Z\","
		    "\"host\":\"app-node-07\",\"holder\":" SAMPLE_HOLDER ",\"peer\":" SAMPLE_PEER
		    ",\"local\":\"10.0.1.7:53412\",\"age_s\":300.0,\"age_is_lower_bound\":true,"
		    "\"idle_s\":280.0,\"state\":\"ESTABLISHED\",\"bytes_sent\":211,"
		    "\"bytes_received\":480,\"opened_by\":null,\"first_used_by\":null,"
		    "\"held_by\":[4711],\"server\":null}");
	proctab_free(pt);
}

static void a_line_of_ls_says_who_holds_it_and_where_it_ends(void **state)
{
	struct proctab *pt = one_connection();
	char *line;

	(void)state;
	apply(pt, (struct event){.kind = EV_HELD,
				 .conn = 1,
				 .held = {.pids = {4711, 4712}, .n = 2, .total = 2}});
	apply(pt, (struct event){.kind = EV_VIA, .conn = 1, .via = 2});
	line = json_connection(&ctx, 300 * NS_PER_S, pt, 0);
	assert_line("connection", line);
	assert_non_null(strstr(line, "\"via\":{\"pid\":988,\"comm\":\"pgbouncer\"}}"));
	assert_non_null(strstr(line, "\"held_by\":[4711,4712],"));
	free(line);
	apply(pt, (struct event){.kind = EV_HELD, .conn = 1});
	line = json_connection(&ctx, 300 * NS_PER_S, pt, 0);
	assert_line("connection", line);
	assert_non_null(strstr(line, "\"held_by\":[],"));
	free(line);
	proctab_free(pt);
}

/* Another one, of which nothing is measured. */
static void open_second(struct proctab *pt, uint64_t site)
{
	struct event open = {.kind = EV_OPEN, .conn = 2, .holder = 1, .site = site};

	open.open.peer = sample_endpoint(10, 0, 4, 12, 5432);
	open.open.local = sample_endpoint(10, 0, 1, 7, 53413);
	apply(pt, open);
}

static void a_line_of_ls_has_its_call_sites_whole(void **state)
{
	struct proctab *pt = one_connection();
	struct site_frame frames[2], user_frames[1];
	struct site_info opened = sample_site(frames), used = sample_user_site(user_frames);
	char *line, id[17];

	(void)state;
	apply(pt, (struct event){.kind = EV_SITE, .site = 1, .site_info = &opened});
	apply(pt, (struct event){.kind = EV_SITE, .site = 2, .site_info = &used});
	open_second(pt, 1);
	apply(pt, (struct event){.kind = EV_USE, .conn = 2, .site = 2});
	line = json_connection(&ctx, 300 * NS_PER_S, pt, 1);
	assert_line("connection", line);
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)site_info_key(&opened, 1));
	assert_memory_equal(strstr(line, "\"opened_by\":{\"id\":\"") + 19, id, 16);
	assert_non_null(strstr(line, "\"role\":\"opened_by\",\"opened\":null,\"closed\":null,"
				     "\"open\":null,\"idle\":null,\"thread\":\"order-service\","
				     "\"frames\":[{\"function\":\"net.(*Dialer).DialContext\","));
	assert_non_null(strstr(line, "\"thread\":null,\"frames\":[{\"function\":\"Invoice.load\","
				     "\"file\":\"Invoice.java\",\"line\":88,\"module\":null,"
				     "\"address\":null}]},\"held_by\""));
	free(line);
	proctab_free(pt);
}

static void what_was_not_measured_of_a_connection_is_null(void **state)
{
	struct proctab *pt = one_connection();
	char *line;

	(void)state;
	open_second(pt, 0);
	apply(pt, (struct event){.t_ns = 1, .kind = EV_FIN, .conn = 2, .fin = FIN_SHUTDOWN});
	line = json_connection(&ctx, 300 * NS_PER_S, pt, 1);
	assert_line("connection", line);
	assert_non_null(strstr(line, "\"idle_s\":null,\"state\":\"FIN_WAIT2\",\"bytes_sent\":null,"
				     "\"bytes_received\":null,"));
	free(line);
	proctab_free(pt);
}

static void a_finding_behind_a_pooler_says_so(void **state)
{
	struct holder_info info = sample_info();
	struct finding f = sample_finding(&info);
	char *line;

	(void)state;
	f.via_pid = 988;
	strcpy(f.via_comm, "pgbouncer");
	strcpy(f.downstream_of, "00000000000000aa");
	f.conns[0].n_held_by = 0;
	f.conns[1].held_by[1] = 4712;
	f.conns[1].n_held_by = 2;
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	assert_non_null(strstr(line, "\"via\":{\"pid\":988,\"comm\":\"pgbouncer\"}},"
				     "\"downstream_of\":\"00000000000000aa\","));
	assert_non_null(strstr(line, "\"held_by\":[],"));
	assert_non_null(strstr(line, "\"held_by\":[4711,4712],"));
	free(line);
	f.via_comm[0] = '\0';
	line = json_finding(&ctx, &f);
	assert_line("finding", line);
	assert_non_null(strstr(line, "\"via\":{\"pid\":988,\"comm\":null}}"));
	free(line);
}

static void a_verdict_carries_its_power(void **state)
{
	const struct command_status cmd = {.pid = 99, .status = 3, .signal = -1};
	struct verdict v = sample_verdict(VERDICT_LEAK);
	char *line;

	(void)state;
	v.n_findings = 1;
	strcpy(v.findings[0], "5b1c5b1c5b1c5b1c");
	assert_json("verdict", json_verdict(&ctx, &v, NULL),
		    "{\"schema\":\"connleak.verdict/v1\",\"verdict\":\"leak\","
		    "\"time\":\"2026-02-08T13:45:12.418Z\",\"window_s\":900.0,\"watched_s\":900.2,"
		    "\"reason\":\"nothing looks abandoned\",\"holders\":1,\"opened\":1204,"
		    "\"closed\":1203,\"power\":{\"detectable_leak_per_min\":0.458,"
		    "\"named_leak_per_min\":1.38,\"confidence\":0.99,\"needed_window_s\":828,"
		    "\"why\":\"0 connections were idle and passed over\"},\"baseline\":null,"
		    "\"lost_events\":0,\"findings\":[\"5b1c5b1c5b1c5b1c\"],\"command\":null}");
	v.needed_window_s = v.detectable_leak_per_min = v.named_leak_per_min = NAN;
	line = json_verdict(&ctx, &v, &cmd);
	assert_line("verdict", line);
	assert_non_null(strstr(line, "\"needed_window_s\":null,"));
	assert_non_null(strstr(line, "\"command\":{\"pid\":99,\"status\":3,\"signal\":null}}"));
	free(line);
}

static void a_verdict_carries_its_comparison(void **state)
{
	struct verdict v = sample_verdict(VERDICT_PASS);
	char *line;

	(void)state;
	v.control = "unit=orders";
	v.baseline = (struct comparison){.result = COMPARISON_WORSE,
					 .abandoned = 10,
					 .exposure = 1204,
					 .control_exposure = 1180,
					 .p = 0.0009766};
	line = json_verdict(&ctx, &v, NULL);
	assert_line("verdict", line);
	assert_non_null(strstr(line, "\"baseline\":{\"target\":\"unit=orders\","
				     "\"result\":\"worse\",\"abandoned\":10,\"exposure\":1204,"
				     "\"control_abandoned\":0,\"control_exposure\":1180,"
				     "\"p\":0.000977},\"lost_events\":0"));
	free(line);
	v.baseline = (struct comparison){
		.result = COMPARISON_UNKNOWN, .is_in_minutes = true, .exposure = 14.98, .p = NAN};
	line = json_verdict(&ctx, &v, NULL);
	assert_line("verdict", line);
	assert_non_null(strstr(line,
			       "\"result\":\"unknown\",\"abandoned\":0,\"exposure\":14.98,"
			       "\"control_abandoned\":0,\"control_exposure\":0.0,\"p\":null}"));
	free(line);
}

static void a_snapshot_holds_peers_and_rows(void **state)
{
	const struct holder h = {.id = 1, .info = sample_info(), .exit_ns = T_NEVER};
	const struct peer p = {.endpoint = sample_endpoint(10, 0, 4, 12, 5432),
			       .open = 42,
			       .slots = 42,
			       .limit = 97,
			       .server_used = 42,
			       .scope = SCOPE_SERVER,
			       .source = BUDGET_POSTGRESQL};
	const struct counts counts = {.opened = 42, .open = 42};
	struct finding detail = {.id = "5b1c5b1c5b1c5b1c"};
	const struct holder bouncer = {.id = 2, .info = {.pid = 988, .comm = "pgbouncer"}};
	struct top_row rows[2] = {
		{&h,
		 &p,
		 &counts,
		 0,
		 {.state = USAGE_LEAK,
		  .rule = RULE_CANARY,
		  .idle = 40,
		  .rate_per_min = 7.6,
		  .rate_low = 5.6,
		  .rate_high = 10.1,
		  .oldest_opened_ns = 0},
		 0,
		 NULL,
		 &detail},
		{&h,
		 &p,
		 &counts,
		 1,
		 {.state = USAGE_POOL,
		  .rate_per_min = NAN,
		  .rate_low = NAN,
		  .rate_high = NAN,
		  .oldest_opened_ns = T_NEVER},
		 SLOT_NONE,
		 &bouncer,
		 NULL},
	};
	struct top_peer peers[1] = {{&p, 7.6, 434, 234, 739}};
	struct top_model m = {.now_ns = 300 * NS_PER_S,
			      .wall_offset_ns = SAMPLE_WALL_NS,
			      .rows = rows,
			      .n_rows = 2,
			      .peers = peers,
			      .n_peers = 1,
			      .processes = 1,
			      .connections = 42,
			      .adopted = 14,
			      .drift = -1,
			      .unheld = -1,
			      .ledger = {.opened = 60, .adopted = 14, .closed = 30, .open = 42}};

	(void)state;
	assert_json("snapshot", json_snapshot(&ctx, &m),
		    "{\"schema\":\"connleak.snapshot/v1\",\"time\":\"2026-02-08T13:35:12.418Z\","
		    "\"host\":\"app-node-07\",\"processes\":1,\"connections\":42,\"lost\":null,"
		    "\"drift\":null,\"unheld\":null,\"repaired\":0,\"adopted\":14," SAMPLE_LEDGER
		    ",\"peers\":[{\"address\":\"10.0.4.12\",\"port\":5432,"
		    "\"open\":42,\"slots\":42,\"leak_rate_per_min\":7.6,\"budget\":" SAMPLE_BUDGET
		    "}],\"rows\":[{\"holder\":" SAMPLE_HOLDER ",\"peer\":" SAMPLE_PEER
		    ",\"state\":\"leak\",\"rule\":\"canary\",\"opened\":42,\"closed\":0,"
		    "\"adopted\":0,\"failed\":0,\"rejected\":0,\"open\":42,\"fd_only\":0,"
		    "\"idle\":40,\"leak_rate_per_min\":7.6,\"leak_rate_low\":5.6,"
		    "\"leak_rate_high\":10.1,\"oldest_s\":300.0,\"oldest_is_lower_bound\":false,"
		    "\"finding\":\"5b1c5b1c5b1c5b1c\"},{\"holder\":" SAMPLE_HOLDER
		    ",\"peer\":{\"address\":\"10.0.4.12\",\"port\":5432,"
		    "\"via\":{\"pid\":988,\"comm\":\"pgbouncer\"}},\"state\":\"pool\",\"rule\":"
		    "null,\"opened\":42,"
		    "\"closed\":0,\"adopted\":0,\"failed\":0,\"rejected\":0,\"open\":42,"
		    "\"fd_only\":0,\"idle\":0,\"leak_rate_per_min\":null,\"leak_rate_low\":null,"
		    "\"leak_rate_high\":null,\"oldest_s\":null,\"oldest_is_lower_bound\":null,"
		    "\"finding\":null}]}");
	m.n_rows = m.n_peers = 0;
	m.is_lost_measured = true;
	m.drift = 3;
	m.unheld = 1;
	m.repaired = 4;
	assert_json("snapshot", json_snapshot(&ctx, &m),
		    "{\"schema\":\"connleak.snapshot/v1\",\"time\":\"2026-02-08T13:35:12.418Z\","
		    "\"host\":\"app-node-07\",\"processes\":1,\"connections\":42,\"lost\":0,"
		    "\"drift\":3,\"unheld\":1,\"repaired\":4,\"adopted\":14," SAMPLE_LEDGER
		    ",\"peers\":[],\"rows\":[]}");
}

static void doctors_report_lists_its_checks(void **state)
{
	const struct doctor_report r = {
		.kernel = "6.1.0",
		.machine = "x86_64",
		.checks = {{"kernel BTF", "btf", CHECK_MISSING, "none", "use another kernel"},
			   {"ports", "ports", CHECK_OK, "", ""}},
		.n_checks = 2,
		.summary = "no: kernel BTF",
	};

	(void)state;
	assert_json("doctor", json_doctor(&ctx, &r, "0.1.0", SAMPLE_WALL_NS),
		    "{\"schema\":\"connleak.doctor/v1\",\"time\":\"2026-02-08T13:30:12.418Z\","
		    "\"host\":\"app-node-07\",\"version\":\"0.1.0\",\"kernel\":\"6.1.0\","
		    "\"machine\":\"x86_64\",\"ready\":false,\"summary\":\"no: kernel BTF\","
		    "\"checks\":[{\"code\":\"btf\",\"name\":\"kernel BTF\",\"status\":\"missing\","
		    "\"detail\":\"none\",\"remedy\":\"use another kernel\"},{\"code\":\"ports\","
		    "\"name\":\"ports\",\"status\":\"ok\",\"detail\":null,\"remedy\":null}]}");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_finding_has_the_contracts_fields_in_its_order),
		cmocka_unit_test(what_was_not_measured_is_null),
		cmocka_unit_test(call_sites_have_their_frames_and_roles),
		cmocka_unit_test(a_known_call_site_is_listed_and_no_stack_is_not),
		cmocka_unit_test(foreign_text_cannot_break_out),
		cmocka_unit_test(numbers_are_rounded_to_what_they_are_good_for),
		cmocka_unit_test(a_connection_is_a_line_of_ls),
		cmocka_unit_test(a_line_of_ls_says_who_holds_it_and_where_it_ends),
		cmocka_unit_test(a_line_of_ls_has_its_call_sites_whole),
		cmocka_unit_test(what_was_not_measured_of_a_connection_is_null),
		cmocka_unit_test(a_finding_behind_a_pooler_says_so),
		cmocka_unit_test(a_verdict_carries_its_power),
		cmocka_unit_test(a_verdict_carries_its_comparison),
		cmocka_unit_test(a_snapshot_holds_peers_and_rows),
		cmocka_unit_test(doctors_report_lists_its_checks),
	};

	out_dir = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
