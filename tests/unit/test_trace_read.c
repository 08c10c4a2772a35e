/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_trace_read.c - lines become events, field by field, whoever wrote them; what is refused is
 * test_trace_refuse.c's
 * objects: core/trace_read.o core/trace_scan.o core/trace_check.o core/trace_fields.o
 * objects: core/trace_text.o core/trace_write.o core/jsonscan.o core/text.o core/strbuf.o
 * objects: core/event.o core/holder_info.o core/site_info.o core/endpoint.o core/identity.o
 * objects: core/idmap.o core/slots.o
 * objects: core/app_frame.o
 */
#include "t.h"

#include <errno.h>
#include <stdio.h>

#include "trace_fix.h"

/* --- what is read is what was written --- */

static void same_text(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void same_info(const struct holder_info *a, const struct holder_info *b)
{
	assert_int_equal(a->pid, b->pid);
	assert_true(a->start_ns == b->start_ns);
	assert_true(a->uid == b->uid);
	assert_int_equal(a->is_descendant, b->is_descendant);
	assert_string_equal(a->comm, b->comm);
	same_text(a->exe, b->exe);
	same_text(a->script, b->script);
	same_text(a->build_id, b->build_id);
	same_text(a->cgroup, b->cgroup);
	same_text(a->container, b->container);
	same_text(a->container_name, b->container_name);
	same_text(a->namespace, b->namespace);
	same_text(a->pod, b->pod);
	same_text(a->pod_uid, b->pod_uid);
	same_text(a->workload, b->workload);
	same_text(a->unit, b->unit);
	same_text(a->version, b->version);
}

static void same_site(const struct site_info *a, const struct site_info *b)
{
	assert_int_equal(a->role, b->role);
	same_text(a->thread, b->thread);
	assert_int_equal(a->n_frames, b->n_frames);
	for (uint32_t i = 0; i < a->n_frames; i++) {
		same_text(a->frames[i].function, b->frames[i].function);
		same_text(a->frames[i].file, b->frames[i].file);
		same_text(a->frames[i].module, b->frames[i].module);
		assert_int_equal(a->frames[i].line, b->frames[i].line);
		assert_true(a->frames[i].address == b->frames[i].address);
	}
}

/* What belongs to the kind; the rest of the union is nobody's. */
static void same_event(const struct event *a, const struct event *b)
{
	assert_true(a->t_ns == b->t_ns);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->tid, b->tid);
	assert_true(a->conn == b->conn && a->holder == b->holder && a->site == b->site);
	switch (a->kind) {
	case EV_HOLDER:
		same_info(a->info, b->info);
		break;
	case EV_SITE:
		same_site(a->site_info, b->site_info);
		break;
	case EV_OPEN:
		assert_memory_equal(&a->open.local, &b->open.local, sizeof(a->open.local));
		assert_memory_equal(&a->open.peer, &b->open.peer, sizeof(a->open.peer));
		assert_int_equal(a->open.adopted, b->open.adopted);
		break;
	case EV_IO:
		assert_true(a->io.tx_ns == b->io.tx_ns && a->io.rx_ns == b->io.rx_ns);
		assert_true(a->io.tx == b->io.tx && a->io.rx == b->io.rx);
		assert_int_equal(a->io.last, b->io.last);
		break;
	case EV_FIN:
		assert_int_equal(a->fin, b->fin);
		break;
	case EV_CLOSE:
		assert_int_equal(a->close, b->close);
		break;
	case EV_FAIL:
		assert_memory_equal(&a->fail.peer, &b->fail.peer, sizeof(a->fail.peer));
		assert_int_equal(a->fail.err, b->fail.err);
		break;
	case EV_HELD:
		assert_memory_equal(&a->held, &b->held, sizeof(a->held));
		break;
	case EV_VIA:
		assert_true(a->via == b->via);
		break;
	case EV_BUDGET:
		assert_memory_equal(&a->budget.peer, &b->budget.peer, sizeof(a->budget.peer));
		assert_int_equal(a->budget.limit, b->budget.limit);
		assert_true(a->budget.used == b->budget.used);
		assert_int_equal(a->budget.scope, b->budget.scope);
		assert_int_equal(a->budget.source, b->budget.source);
		break;
	case EV_LOST:
		assert_true(a->lost.events == b->lost.events);
		assert_int_equal(a->lost.where, b->lost.where);
		break;
	case EV_COUNT:
		assert_memory_equal(&a->count, &b->count, sizeof(a->count));
		break;
	default:
		break;
	}
}

static void every_kind_comes_back_field_by_field(void **state)
{
	struct trace_reader *r = fix_reader();
	struct strbuf sb = {0};
	struct snapshot s, back;
	int64_t last_ns = T_NEVER;
	bool has_kind[EV_MAX] = {false};

	(void)state;
	fix_begin(&s);
	fix_every_kind(&s);
	assert_int_equal(trace_write_snapshot(&sb, &s, 0, FIX_WALL_NS, &last_ns), 0);
	fix_read_all(r, sb.buf, &back);
	assert_int_equal(back.n_events, s.n_events);
	for (size_t i = 0; i < s.n_events; i++) {
		same_event(&s.events[i], &back.events[i]);
		has_kind[s.events[i].kind] = true;
	}
	for (int i = 0; i < EV_END; i++)
		assert_true(has_kind[i]);
	assert_string_equal(back.events[0].info->group, "shop/orders/app");
	snapshot_release(&s);
	snapshot_release(&back);
	strbuf_release(&sb);
	trace_reader_free(r);
}

static void a_clock_with_another_zero_comes_back_shifted(void **state)
{
	struct trace_reader *r = fix_reader();
	struct holder_info info = fix_info();
	struct strbuf sb = {0};
	struct snapshot s, back;
	const int64_t zero_ns = 1000 * NS_PER_S;
	int64_t last_ns = T_NEVER;

	(void)state;
	snapshot_init(&s);
	info.start_ns = zero_ns - 5;
	assert_int_equal(snapshot_push_holder(&s, zero_ns + 1, 1, &info), 0);
	assert_int_equal(trace_write_snapshot(&sb, &s, zero_ns, FIX_WALL_NS, &last_ns), 0);
	fix_read_all(r, sb.buf, &back);
	assert_int_equal(back.events[0].t_ns, 1);
	assert_int_equal(back.events[0].info->start_ns, -5);
	snapshot_release(&s);
	snapshot_release(&back);
	strbuf_release(&sb);
	trace_reader_free(r);
}

static void the_header_comes_back(void **state)
{
	struct trace_reader *r = trace_reader_new();
	const struct trace_header *h;
	struct event ev;

	(void)state;
	assert_null(trace_reader_header(r));
	assert_false(fix_take(r, "", &ev));
	assert_null(trace_reader_header(r));
	assert_false(fix_take(r, FIX_HEADER, &ev));
	h = trace_reader_header(r);
	assert_non_null(h);
	assert_true(h->wall_ns == FIX_WALL_NS);
	assert_string_equal(h->host, "app-node-07");
	assert_string_equal(h->source, "live");
	assert_string_equal(h->writer, "connleak 0.1.0");
	assert_true(h->interval_ns == NS_PER_S);
	assert_false(h->is_grid);
	assert_int_equal(h->n_ports, 2);
	assert_int_equal(h->ports[0], 5432);
	assert_int_equal(h->ports[1], 6432);
	trace_reader_free(r);
}

/* The lines of the last ```json of docs/trace.md. */
static void the_documents_example_is_read_whole(void **state)
{
	struct trace_reader *r = trace_reader_new();
	struct trace_reader_state st;
	char line[2000], all[20000] = "";
	FILE *f = fopen("docs/trace.md", "r");
	bool is_in = false;
	struct snapshot s;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "```", 3)) {
			is_in = !is_in && !strncmp(line, "```json", 7);
			all[0] = is_in ? '\0' : all[0];
		} else if (is_in) {
			assert_true(strlen(all) + strlen(line) < sizeof(all));
			strcat(all, line);
		}
	}
	fclose(f);
	fix_read_all(r, all, &s);
	trace_reader_state(r, &st);
	assert_true(st.has_end);
	assert_int_equal(st.n_unknown, 0);
	assert_in_range(st.lines, 8, 30);
	assert_int_equal(s.n_events, st.lines - 1);
	assert_int_equal(s.events[0].kind, EV_BUDGET);
	snapshot_release(&s);
	trace_reader_free(r);
}

/* --- what other writers may do --- */

static void fields_come_in_any_order_with_blanks_and_strangers(void **state)
{
	struct trace_reader *r = fix_reader();
	struct event ev;

	(void)state;
	assert_true(fix_take(r,
			     " { \"comm\" : \"a\" , \"x\":[1,{\"y\":1e5}], \"pid\": 7,\"holder\":3,"
			     "\"start_time\":\"2026-02-08T13:30:01Z\", \"ev\":\"holder\", "
			     "\"exe\":\"/a\",\"t_ns\":4 ,\"z\":null}\r",
			     &ev));
	assert_int_equal(ev.kind, EV_HOLDER);
	assert_int_equal(ev.t_ns, 4);
	assert_int_equal(ev.holder, 3);
	assert_int_equal(ev.info->pid, 7);
	assert_true(ev.info->start_ns == NS_PER_S);
	assert_string_equal(ev.info->comm, "a");
	assert_string_equal(ev.info->exe, "/a");
	assert_true(fix_take(r,
			     "{\"\\u0065v\":\"open\",\"t_ns\":5,\"peer\":\"1.2.3.4:5\","
			     "\"conn\":8,\"holder\":3,\"limit\":\"of another kind of line\"}",
			     &ev));
	assert_int_equal(ev.kind, EV_OPEN);
	assert_int_equal(ev.conn, 8);
	assert_int_equal(ev.open.peer.port, 5);
	/* the same name may be another kind's field of another type */
	assert_true(fix_take(r, "{\"adopted\":7,\"t_ns\":5,\"conn\":8,\"ev\":\"fin\"}", &ev));
	assert_int_equal(ev.fin, FIN_PEER);
	trace_reader_free(r);
}

static void what_is_not_known_may_be_left_out(void **state)
{
	static const char *const lines[] = {
		"{\"t_ns\":0,\"ev\":\"holder\",\"holder\":1,\"pid\":7,\"comm\":\"\","
		"\"start_time\":\"2026-02-08T13:30:00Z\",\"exe\":null,\"uid\":null}",
		"{\"t_ns\":0,\"ev\":\"site\",\"site\":1}",
		"{\"t_ns\":0,\"ev\":\"open\",\"conn\":1,\"holder\":1,\"peer\":\"1.2.3.4:5\"}",
		"{\"t_ns\":0,\"ev\":\"io\",\"conn\":1,\"tx_ns\":null,\"rx_ns\":null,\"tx\":0,"
		"\"rx\":0}",
		"{\"t_ns\":0,\"ev\":\"fail\",\"holder\":1,\"peer\":\"1.2.3.4:5\"}",
		"{\"t_ns\":0,\"ev\":\"budget\",\"peer\":null,\"limit\":9,\"scope\":\"node\"}",
		"{\"t_ns\":0,\"ev\":\"lost\",\"events\":3,\"where\":\"another writer's place\"}",
		"{\"t_ns\":0,\"ev\":\"tick\"}",
	};
	struct trace_reader *r = fix_reader();
	struct trace_reader_state st;
	struct event ev[T_COUNT(lines)];

	(void)state;
	for (size_t i = 0; i < T_COUNT(lines); i++) {
		assert_true(fix_take(r, lines[i], &ev[i]));
		if (ev[i].kind != EV_HOLDER)
			continue;
		assert_true(ev[i].info->uid == -1);
		assert_null(ev[i].info->exe);
		assert_string_equal(ev[i].info->group, "?");
	}
	assert_int_equal(ev[2].tid, 0);
	assert_int_equal(ev[2].site, 0);
	assert_int_equal(ev[2].open.local.family, 0);
	assert_true(ev[3].io.tx_ns == T_NEVER && ev[3].io.rx_ns == T_NEVER);
	assert_int_equal(ev[3].io.last, IO_LAST_UNKNOWN);
	assert_int_equal(ev[4].fail.err, 0);
	assert_int_equal(ev[5].budget.peer.family, 0);
	assert_true(ev[5].budget.used == -1);
	assert_int_equal(ev[5].budget.source, BUDGET_FLAG);
	assert_int_equal(ev[6].lost.where, LOST_RING);
	trace_reader_state(r, &st);
	assert_int_equal(st.drift, -1);
	assert_int_equal(st.unheld, -1);
	trace_reader_free(r);
}

static void unknown_kinds_are_counted_and_the_first_is_named(void **state)
{
	struct trace_reader *r = fix_reader();
	struct trace_reader_state st;
	struct parse_err err = {0};
	struct event ev;

	(void)state;
	assert_false(fix_take(r, "{\"t_ns\":3,\"ev\":\"wa\\u001bit\",\"conn\":\"x\"}", &ev));
	assert_false(fix_take(r, "{\"conn\":1,\"ev\":\"other\",\"t_ns\":3}", &ev));
	assert_false(fix_take(r, "{\"t_ns\":3,\"ev\":\"\"}", &ev));
	trace_reader_state(r, &st);
	assert_int_equal(st.n_unknown, 3);
	assert_string_equal(st.unknown_ev, "wa\\x1Bit");
	assert_int_equal(st.lines, 4);
	/* they have a time, too */
	assert_int_equal(fix_read(r, "{\"t_ns\":2,\"ev\":\"y\"}", 19, &ev, &err), -EBADMSG);
	assert_int_equal(fix_read(r, "{\"ev\":\"y\"}", 10, &ev, &err), -EBADMSG);
	assert_string_equal(err.msg, "expected the field \"t_ns\", found }");
	trace_reader_state(r, &st);
	assert_int_equal(st.n_unknown, 3);
	trace_reader_free(r);
}

static void a_tick_tells_what_was_compared(void **state)
{
	struct trace_reader *r = fix_reader();
	struct trace_reader_state st;
	struct event ev;

	(void)state;
	assert_true(fix_take(
		r, "{\"t_ns\":1,\"ev\":\"tick\",\"drift\":0,\"unheld\":2,\"repaired\":3}", &ev));
	trace_reader_state(r, &st);
	assert_int_equal(st.drift, 0);
	assert_int_equal(st.unheld, 2);
	assert_int_equal(st.repaired, 3);
	assert_true(fix_take(r, "{\"t_ns\":1,\"ev\":\"tick\"}", &ev));
	trace_reader_state(r, &st);
	assert_int_equal(st.drift, -1);
	assert_int_equal(st.unheld, -1);
	assert_int_equal(st.repaired, 0);
	trace_reader_free(r);
}

static void names_are_made_as_live_where_they_are_missing(void **state)
{
	struct trace_reader *r = fix_reader();
	struct event ev;

	(void)state;
	assert_true(fix_take(r,
			     "{\"t_ns\":1,\"ev\":\"holder\",\"holder\":1,\"pid\":1,\"comm\":\"c\","
			     "\"start_time\":\"2026-02-08T13:30:00Z\",\"namespace\":\"shop\","
			     "\"pod\":\"orders-7d9f8b6c5d-x2x4z\",\"container_name\":\"app\"}",
			     &ev));
	assert_string_equal(ev.info->workload, "orders");
	assert_string_equal(ev.info->group, "shop/orders/app");
	assert_true(fix_take(r,
			     "{\"t_ns\":1,\"ev\":\"holder\",\"holder\":2,\"pid\":1,\"comm\":\"c\","
			     "\"start_time\":\"2026-02-08T13:30:00Z\",\"pod\":\"orders-1\","
			     "\"workload\":\"mine\",\"group\":\"given\"}",
			     &ev));
	assert_string_equal(ev.info->workload, "mine");
	assert_string_equal(ev.info->group, "given");
	trace_reader_free(r);
}

static void text_is_cleaned_and_stays_what_was_cleaned_before(void **state)
{
	struct trace_reader *r = fix_reader();
	struct event ev;

	(void)state;
	assert_true(fix_take(r,
			     "{\"t_ns\":1,\"ev\":\"holder\",\"holder\":1,\"pid\":1,"
			     "\"start_time\":\"2026-02-08T13:30:00Z\","
			     "\"comm\":\"a name that is longer than any that a kernel gives to a "
			     "proces\\u00e9\",\"exe\":\"/a\\\\x5Cb\\\\c\\u001b[0m"
			     "\\u202e\\\\x1b\\\\x1\",\"unit\":\"\\u00e9\"}",
			     &ev));
	/* cut before the character that does not fit into its 64 bytes */
	assert_string_equal(ev.info->comm,
			    "a name that is longer than any that a kernel gives to a proces");
	assert_string_equal(ev.info->exe, "/a\\x5Cb\\x5Cc\\x1B[0m\\xE2\\x80\\xAE\\x5Cx1b\\x5Cx1");
	assert_string_equal(ev.info->unit, "\xc3\xa9");
	trace_reader_free(r);
}

static void frames_beyond_the_limit_are_left_out(void **state)
{
	char line[3000] = "{\"t_ns\":1,\"ev\":\"site\",\"site\":9,\"frames\":[{\"line\":1}";
	struct trace_reader *r = fix_reader();
	struct event ev;

	(void)state;
	for (int i = 2; i <= SITE_MAX_FRAMES + 8; i++)
		sprintf(line + strlen(line), ",{\"line\":%d,\"function\":\"f\"}", i);
	strcat(line, "]}");
	assert_true(fix_take(r, line, &ev));
	assert_int_equal(ev.site_info->n_frames, SITE_MAX_FRAMES);
	assert_int_equal(ev.site_info->frames[0].line, 1);
	assert_int_equal(ev.site_info->frames[SITE_MAX_FRAMES - 1].line, SITE_MAX_FRAMES);
	trace_reader_free(r);
}

static void moments_are_read_as_rfc_3339(void **state)
{
	static const struct {
		const char *time;
		int64_t ns; /* after FIX_WALL_NS; T_NEVER: refused */
	} cases[] = {
		{"2026-02-08T13:30:00Z", 0},
		{"2026-02-08t13:30:00z", 0},
		{"2026-02-08T13:30:00.1Z", 100 * NS_PER_MS},
		{"2026-02-08T13:30:00.000000001Z", 1},
		{"2026-02-08T13:29:59.999999999Z", -1},
		{"2026-02-08T15:30:00+02:00", 0},
		{"2026-02-08T08:00:00.5-05:30", NS_PER_S / 2},
		{"2026-02-08T13:29:60Z", 0},
		{"2026-02-07T13:30:00-00:00", -86400 * NS_PER_S},
		{"2024-02-29T13:30:00Z", -710 * 86400 * NS_PER_S},
		{"2026-02-08T13:30:00", T_NEVER},
		{"2026-02-08 13:30:00Z", T_NEVER},
		{"2026-02-08T13:30Z", T_NEVER},
		{"2026-02-08T13:30:00.Z", T_NEVER},
		{"2026-02-08T13:30:00.0000000001Z", T_NEVER},
		{"2026-02-29T13:30:00Z", T_NEVER},
		{"2026-04-31T13:30:00Z", T_NEVER},
		{"2026-00-08T13:30:00Z", T_NEVER},
		{"2026-13-08T13:30:00Z", T_NEVER},
		{"2026-02-00T13:30:00Z", T_NEVER},
		{"2026-02-08T24:00:00Z", T_NEVER},
		{"2026-02-08T13:60:00Z", T_NEVER},
		{"2026-02-08T13:30:61Z", T_NEVER},
		{"2026-02-08T13:30:00+24:00", T_NEVER},
		{"2026-02-08T13:30:00+0200", T_NEVER},
		{"2026-02-08T13:30:00ZZ", T_NEVER},
		{"1899-12-31T23:59:59Z", T_NEVER},
		{"1900-01-01T00:00:00+01:00", T_NEVER},
		{"2101-01-01T00:00:00Z", T_NEVER},
		{"26-02-08T13:30:00Z", T_NEVER},
		{"", T_NEVER},
	};
	struct trace_reader *r = fix_reader();

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		char line[200];
		struct parse_err err = {0};
		struct event ev;
		int n;

		snprintf(line, sizeof(line),
			 "{\"t_ns\":0,\"ev\":\"holder\",\"holder\":%zu,\"pid\":1,\"comm\":\"c\","
			 "\"start_time\":\"%s\"}",
			 i + 1, cases[i].time);
		n = fix_read(r, line, strlen(line), &ev, &err);
		if (n != (cases[i].ns == T_NEVER ? -EBADMSG : 1) ||
		    (n == 1 && ev.info->start_ns != cases[i].ns))
			fail_msg("%s: %d, %s", cases[i].time, n, n < 0 ? err.msg : "");
	}
	trace_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_comes_back_field_by_field),
		cmocka_unit_test(a_clock_with_another_zero_comes_back_shifted),
		cmocka_unit_test(the_header_comes_back),
		cmocka_unit_test(the_documents_example_is_read_whole),
		cmocka_unit_test(fields_come_in_any_order_with_blanks_and_strangers),
		cmocka_unit_test(what_is_not_known_may_be_left_out),
		cmocka_unit_test(unknown_kinds_are_counted_and_the_first_is_named),
		cmocka_unit_test(a_tick_tells_what_was_compared),
		cmocka_unit_test(names_are_made_as_live_where_they_are_missing),
		cmocka_unit_test(text_is_cleaned_and_stays_what_was_cleaned_before),
		cmocka_unit_test(frames_beyond_the_limit_are_left_out),
		cmocka_unit_test(moments_are_read_as_rfc_3339),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
