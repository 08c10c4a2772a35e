/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_gen_trace.c - scenarios as traces: every line can be read again, to the very events
 *
 * Run from the top folder: tests/data/incident.trace.gz must be what the generator writes. After a
 * change of the generator that means it: build/tools/mktrace incident tests/data/incident.trace.gz
 * objects: tools/gen/world.o tools/gen/proc.o tools/gen/server.o tools/gen/conn.o
 * objects: tools/gen/truth.o tools/gen/rng.o tools/gen/pool.o tools/gen/traffic.o
 * objects: tools/gen/proxy.o tools/gen/family.o tools/gen/incident.o tools/gen/healthy.o
 * objects: tools/gen/healthy_request.o tools/gen/healthy_pool.o tools/gen/healthy_held.o
 * objects: tools/gen/healthy_server.o tools/gen/healthy_procs.o
 * objects: tools/gen/trace_out.o tools/gen/batch.o core/ALL
 */
#include "../../tools/gen/rng.h"

#include "t.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "../../tools/gen/trace_out.h"
#include "../../user/core/trace.h"

#define INCIDENT "tests/data/incident.trace.gz"
#define HOURS	 0.2

static int collect(void *arg, const char *bytes, size_t n)
{
	return strbuf_add(arg, bytes, n);
}

static void write_trace(const char *family, double hours, bool has_sites, struct strbuf *ret)
{
	static struct gen_truth truth;
	struct trace_out o = {.family = family_find(family),
			      .seed = 1,
			      .hours = hours,
			      .has_sites = has_sites,
			      .write = collect,
			      .arg = ret};

	assert_non_null(o.family);
	assert_int_equal(trace_out_run(&o, &truth), 0);
	assert_string_equal(truth.family, family);
}

/* What the lines say again, and what the world told. */
struct tally {
	uint64_t n[EV_MAX], bytes;
	int64_t time_sum;
};

static void add(struct tally *t, const struct event *ev, int64_t zero_ns)
{
	t->n[ev->kind]++;
	t->time_sum += (ev->t_ns - zero_ns) / 1000;
	if (ev->kind == EV_IO)
		t->bytes += ev->io.tx + ev->io.rx;
}

static void read_back(const char *family, const struct strbuf *text, struct tally *ret)
{
	struct trace_reader *r = trace_reader_new();
	struct parse_err err;
	struct event ev;

	assert_non_null(r);
	for (const char *at = text->buf, *end; at < text->buf + text->len; at = end + 1) {
		int got;

		end = strchr(at, '\n');
		assert_non_null(end);
		got = trace_read(r, at, (size_t)(end - at), &ev, &err);
		if (got < 0)
			fail_msg("%s, line %llu: %s", family, (unsigned long long)err.line,
				 err.msg);
		if (got == 1)
			add(ret, &ev, 0);
	}
	trace_reader_free(r);
}

struct listener {
	struct tally tally;
	int64_t zero_ns;
};

static void on_event(void *arg, const struct event *ev)
{
	struct listener *l = arg;

	add(&l->tally, ev, l->zero_ns);
}

static void every_line_is_read_again(void **state)
{
	const struct family *f;

	(void)state;
	for (uint32_t i = 0; (f = family_at(i)); i++) {
		double hours = f->is_leaky ? f->hours : HOURS;
		struct listener l = {.zero_ns = 0};
		struct tally read = {0};
		struct strbuf text = {0};
		struct world *w;

		write_trace(f->name, hours, true, &text);
		read_back(f->name, &text, &read);
		strbuf_release(&text);
		w = world_new(&(struct world_opts){
			.seed = 1, .has_sites = true, .event = on_event, .arg = &l});
		family_start(f, w, hours);
		l.zero_ns = world_watch_ns(w);
		world_run(w, world_duration(w));
		world_free(w);
		/* The trace's own last line. */
		assert_int_equal(read.n[EV_END], 1);
		for (int k = 0; k < EV_END; k++)
			if (read.n[k] != l.tally.n[k])
				fail_msg("%s, kind %d: %llu told, %llu read", f->name, k,
					 (unsigned long long)l.tally.n[k],
					 (unsigned long long)read.n[k]);
		assert_true(read.bytes == l.tally.bytes);
		assert_true(read.n[EV_SITE] > 0);
	}
}

static void unpack(const char *path, struct strbuf *ret)
{
	gzFile f = gzopen(path, "rb");
	char buf[65536];
	int n;

	if (!f)
		fail_msg("cannot open %s (run it from the top folder)", path);
	while ((n = gzread(f, buf, sizeof(buf))) > 0)
		assert_int_equal(strbuf_add(ret, buf, (size_t)n), 0);
	assert_int_equal(n, 0);
	gzclose(f);
}

static void the_incident_on_disk_is_the_generators(void **state)
{
	struct strbuf disk = {0}, made = {0};

	(void)state;
	unpack(INCIDENT, &disk);
	write_trace("incident", 0, false, &made);
	if (disk.len != made.len || memcmp(disk.buf, made.buf, made.len) != 0)
		fail_msg("%s is not what mktrace incident writes", INCIDENT);
	strbuf_release(&disk);
	strbuf_release(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_is_read_again),
		cmocka_unit_test(the_incident_on_disk_is_the_generators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
