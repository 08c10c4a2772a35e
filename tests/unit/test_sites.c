/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_sites.c - call sites from the event to the finding: told apart, inherited, named
 * objects: core/detector.o core/cohort.o core/track.o core/passed.o core/ghost.o core/rungs.o
 * objects: core/ladder.o core/judge.o
 * objects: core/service.o core/budget.o core/evidence.o core/usage_view.o core/finding.o
 * objects: core/stats.o core/minheap.o core/idmap.o core/slots.o core/proctab.o
 * objects: core/proctab_store.o core/endpoint.o core/holder_info.o core/site_info.o core/text.o
 * objects: core/sitetab.o core/app_frame.o core/evidence_site.o
 */
#include "t.h"

#include "../../user/core/app_frame.h"
#include "../../user/core/detector_impl.h"
#include "stream.h"

/* The slow place opens one every 30 s and uses each again after 150. */
#define SLOW_OPEN_S 30
#define SLOW_USE_S  150

/* A stack as a process of another build has it: other addresses, other lines, another path. */
static void tells_stack(struct stream *s, double t_s, uint64_t id, const char *function, int build)
{
	struct site_frame frames[3] = {
		{"database/sql.(*DB).conn", "/go/sql.go", NULL, 1300, 0},
		{(char *)function, "/src/order.go", NULL, 20, 0},
		{"main.main", "/src/main.go", NULL, 9, 0},
	};
	struct site_info info = {.frames = frames, .n_frames = 3};

	for (int i = 0; i < 3; i++) {
		frames[i].address = 0x400000 + 0x1000 * (uint64_t)(build * 10 + i);
		frames[i].line += (uint32_t)build;
		frames[i].module = build % 2 ? "/app/v1/orders" : "/app/v2/orders";
	}
	stream_event(s, t_s, (struct event){.kind = EV_SITE, .site = id, .site_info = &info});
}

static uint64_t key_of(const char *function)
{
	struct site_frame frames[3] = {
		{"database/sql.(*DB).conn", NULL, "orders", 0, 0},
		{(char *)function, NULL, "orders", 0, 0},
		{"main.main", NULL, "orders", 0, 0},
	};

	return site_info_key(&(struct site_info){.frames = frames, .n_frames = 3}, 0);
}

static void opens_at(struct stream *s, double t_s, uint64_t conn, uint64_t holder_id, uint64_t site)
{
	stream_event(s, t_s,
		     (struct event){.kind = EV_OPEN,
				    .conn = conn,
				    .holder = holder_id,
				    .tid = 1,
				    .site = site,
				    .open.peer = stream_pg});
}

/* A request: it opens, asks, closes. */
static void request(struct stream *s, double t_s, uint64_t conn, uint64_t holder_id, uint64_t site)
{
	opens_at(s, t_s, conn, holder_id, site);
	query(s, t_s + 0.01, conn, 200);
	closes(s, t_s + 0.03, conn);
}

static const struct cohort *cohort_of(const struct stream *s, uint64_t conn)
{
	return cohort_at(s->d, s->d->tracks[proctab_find_conn(s->pt, conn)].cohort);
}

static const struct service *service_of(const struct stream *s, uint64_t holder_id)
{
	const struct holder *h = proctab_holder(s->pt, proctab_find_holder(s->pt, holder_id));

	return service_at(s->d, s->d->usages[h->first_usage].service);
}

/*
 * Ten minutes of a service with two places: one opens and closes, at the other a connection is
 * passed over after half a minute and used again two minutes later.
 */
static void ten_minutes(struct stream *s, double t_s, uint64_t holder_id, uint64_t first_site)
{
	uint64_t conn = holder_id * 100000, slow = conn + 50000;

	for (int i = 0; i < 600; i++) {
		request(s, t_s + i, conn++, holder_id, first_site);
		if (i % SLOW_OPEN_S)
			continue;
		opens_at(s, t_s + i + 0.2, slow, holder_id, first_site + 1);
		query(s, t_s + i + 0.21, slow, 200);
		if (i >= SLOW_USE_S)
			query(s, t_s + i + 0.3, slow - SLOW_USE_S / SLOW_OPEN_S, 100);
		slow++;
	}
}

static void habits_of_a_place_are_inherited_over_a_new_version(void **state)
{
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	tells_stack(&s, 0, 1, "main.request", 1);
	tells_stack(&s, 0, 2, "main.report", 1);
	ten_minutes(&s, 1, 1, 1);
	exits(&s, 610, 1);
	for (uint64_t c = 150000; c < 150000 + 600 / SLOW_OPEN_S; c++)
		closes_by(&s, 610.1, c, CLOSE_EXIT);

	/* The new version: the same functions elsewhere, and one that the old one did not have. */
	holder(&s, 620, 2, "shop/orders/app");
	tells_stack(&s, 620, 11, "main.request", 2);
	tells_stack(&s, 620, 12, "main.report", 2);
	tells_stack(&s, 620, 13, "main.refund", 2);
	opens_at(&s, 621, 1, 2, 11);
	opens_at(&s, 621, 2, 2, 12);
	opens_at(&s, 621, 3, 2, 13);
	assert_true(cohort_of(&s, 1)->site == key_of("main.request"));
	assert_true(cohort_of(&s, 2)->site == key_of("main.report"));
	/* Each place has its own: quick and much there, slow and little here. */
	assert_int_equal(cohort_of(&s, 1)->n_inh, INHERIT_MAX);
	assert_true(cohort_of(&s, 1)->tx_ns == 15 * NS_PER_S);
	assert_true(cohort_of(&s, 2)->n_inh > 0 && cohort_of(&s, 2)->n_inh < 20);
	assert_true(cohort_of(&s, 2)->tx_ns > 200 * NS_PER_S);
	/* What is new inherits the service's longest. */
	assert_int_equal(cohort_of(&s, 3)->n_inh, INHERIT_MAX);
	assert_true(cohort_of(&s, 3)->tx_ns == cohort_of(&s, 2)->tx_ns);
	assert_int_equal(service_of(&s, 2)->n_sites, 3);
	stream_release(&s);
}

static void two_processes_with_other_addresses_are_one_service_site(void **state)
{
	const struct site_info *info;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	holder(&s, 0, 2, "shop/orders/app");
	tells_stack(&s, 0, 1, "main.request", 1);
	tells_stack(&s, 0, 2, "main.request", 2);
	opens_at(&s, 1, 1, 1, 1);
	opens_at(&s, 2, 2, 2, 2);
	assert_ptr_not_equal(cohort_of(&s, 1), cohort_of(&s, 2));
	assert_true(cohort_of(&s, 1)->site == cohort_of(&s, 2)->site);
	assert_int_equal(service_of(&s, 1)->n_sites, 1);
	assert_ptr_equal(service_of(&s, 1), service_of(&s, 2));
	/* what is shown of it is the newest */
	info = proctab_site(s.pt, key_of("main.request"));
	assert_int_equal(info->frames[1].line, 22);
	stream_release(&s);
}

/* A second each: one place returns what it opens, ten a minute are lost at the other. */
static void busy_with_one_leak(struct stream *s, double to_s)
{
	tells_stack(s, 0, 1, "main.request", 1);
	tells_stack(s, 0, 2, "main.refund", 2);
	for (int i = 0; 1 + i < to_s; i++) {
		request(s, 1 + i, 10000 + (uint64_t)i, 1, 1);
		if (i % 6)
			continue;
		opens_at(s, 1.2 + i, 1 + (uint64_t)i, 1, 2);
		query(s, 1.25 + i, 1 + (uint64_t)i, 150);
	}
	stream_run(s, to_s);
}

static void a_leak_at_one_place_of_a_busy_process_is_named(void **state)
{
	struct finding_origin origin;
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	busy_with_one_leak(&s, 300);
	f = finding_of(&s, 0);
	stream_release(&s);
	/* The finding has its own copy of all that it shows. */
	assert_int_equal(f.n_sites, 2);
	assert_int_equal(f.sites_total, 2);
	assert_true(f.sites[0].site == key_of("main.refund"));
	assert_int_equal(f.sites[0].role, SITE_OPENED_BY);
	assert_int_equal(f.sites[0].closed, 0);
	assert_int_equal(f.sites[0].open, 50);
	assert_true(f.sites[0].leaked > 40 && f.sites[0].leaked == f.leaked);
	assert_true(f.sites[0].idle >= f.sites[0].leaked);
	/* the other one opened more, and nothing of it is left */
	assert_true(f.sites[1].site == key_of("main.request"));
	assert_true(f.sites[1].opened > f.sites[0].opened);
	assert_int_equal(f.sites[1].open + f.sites[1].leaked + f.sites[1].idle, 0);
	assert_string_equal(f.sites[0].info.frames[1].function, "main.refund");
	assert_true(finding_origin(&f, &origin));
	assert_ptr_equal(origin.site, &f.sites[0]);
	assert_ptr_equal(origin.frame, &f.sites[0].info.frames[1]);
	assert_non_null(strstr(f.reason, "; they come from main.refund order.go:22"));
	for (uint32_t i = 0; i < f.n_conns; i++)
		assert_true(f.conns[i].site == f.sites[0].site && !f.conns[i].first_used);
	finding_release(&f);
	assert_int_equal(f.n_sites, 0);
}

/*
 * One that comes back after an hour makes an hour's absence usual. The others lie there still, the
 * finding is about them, and so is the place that it names.
 */
static void a_late_return_does_not_clear_the_place(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, false);
	tells_stack(&s, 0, 1, "main.request", 1);
	tells_stack(&s, 0, 2, "main.refund", 2);
	for (int i = 0; i < 3990; i++) {
		request(&s, 1 + i, 10000 + (uint64_t)i, 1, 1);
		/* the place has closed what it opened, until the 300th second */
		if (i < 300)
			request(&s, 1.3 + i, 20000 + (uint64_t)i, 1, 2);
		if (i == 3964)
			query(&s, 1.5 + i, 1 + 300 / 60, 500);
		if (i < 300 || i % 60)
			continue;
		opens_at(&s, 1.2 + i, 1 + (uint64_t)i / 60, 1, 2);
		query(&s, 1.25 + i, 1 + (uint64_t)i / 60, 150);
	}
	stream_run(&s, 4000);
	f = finding_of(&s, 0);
	assert_true(f.leaked >= 50);
	assert_true(f.sites[0].site == key_of("main.refund"));
	assert_true(f.sites[0].leaked == f.leaked);
	assert_true(f.sites[1].opened > f.sites[0].opened);
	finding_release(&f);
	stream_release(&s);
}

/* A leak, and nobody told where anything was opened. */
static void without_stacks_all_is_as_before(void **state)
{
	struct finding_origin origin;
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	leak(&s, 1, 300, 6, 1);
	f = finding_of(&s, 0);
	assert_int_equal(f.n_sites, 1);
	assert_true(f.sites[0].site == 0);
	assert_int_equal(f.sites[0].opened, f.opened);
	assert_int_equal(f.sites_total, 0);
	assert_false(finding_origin(&f, &origin));
	assert_null(strstr(f.reason, "they come from"));
	assert_int_equal(proctab_sites_lost(s.pt), 0);
	finding_release(&f);
	stream_release(&s);
}

/* Of what leaks nothing is known, of what does not something: that must not be blamed. */
static void what_is_not_known_blames_nobody_else(void **state)
{
	struct finding_origin origin;
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	tells_stack(&s, 0, 1, "main.request", 1);
	for (int i = 0; i < 300; i++) {
		request(&s, 1 + i, 10000 + (uint64_t)i, 1, 1);
		if (i % 6)
			continue;
		opens(&s, 1.2 + i, 1 + (uint64_t)i);
		query(&s, 1.25 + i, 1 + (uint64_t)i, 150);
	}
	stream_run(&s, 301);
	f = finding_of(&s, 0);
	assert_true(f.sites[0].site == 0 && f.sites[1].site == key_of("main.request"));
	assert_int_equal(f.sites_total, 1);
	assert_false(finding_origin(&f, &origin));
	finding_release(&f);
	stream_release(&s);
}

static void a_pools_leak_is_named_by_its_first_use(void **state)
{
	struct site_frame pool = {"com.zaxxer.hikari.pool.PoolEntryCreator.call", "HikariPool.java",
				  NULL, 725, 0};
	struct site_frame load = {"Invoice.load", "Invoice.java", NULL, 88, 0};
	struct site_info opened = {.frames = &pool, .n_frames = 1};
	struct site_info used = {.frames = &load, .n_frames = 1, .role = SITE_FIRST_USED_BY};
	struct finding_origin origin;
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	stream_event(&s, 0, (struct event){.kind = EV_SITE, .site = 1, .site_info = &opened});
	stream_event(&s, 0, (struct event){.kind = EV_SITE, .site = 2, .site_info = &used});
	for (uint64_t c = 1; c <= 50; c++) {
		opens_at(&s, (double)c * 6, c, 1, 1);
		stream_event(&s, (double)c * 6 + 0.01,
			     (struct event){.kind = EV_USE, .conn = c, .site = 2});
		query(&s, (double)c * 6 + 0.02, c, 150);
	}
	stream_run(&s, 320);
	f = finding_of(&s, 0);
	assert_int_equal(f.n_sites, 2);
	assert_int_equal(f.sites[0].role, SITE_OPENED_BY);
	assert_int_equal(f.sites[1].role, SITE_FIRST_USED_BY);
	assert_int_equal(f.sites[1].open, 50);
	assert_true(f.sites[1].leaked == f.sites[0].leaked && f.sites[1].idle == f.sites[0].idle);
	assert_true(f.conns[0].first_used == f.sites[1].site);
	assert_true(finding_origin(&f, &origin));
	assert_ptr_equal(origin.site, &f.sites[1]);
	assert_non_null(strstr(f.reason, "; first used by Invoice.load Invoice.java:88"));
	finding_release(&f);
	stream_release(&s);
}

/* One leaks among many that do not: the list is cut, and not where it matters. */
static void the_leaking_one_is_never_cut_off(void **state)
{
	struct finding f;
	struct stream s;

	(void)state;
	stream_begin(&s, true);
	for (uint64_t site = 1; site <= 30; site++)
		tells_site(&s, 0, site, NULL);
	for (int i = 0; i < 300; i++) {
		request(&s, 1 + i, 10000 + (uint64_t)i, 1, 1 + (uint64_t)i % 29);
		request(&s, 1.1 + i, 20000 + (uint64_t)i, 1, 1 + (uint64_t)i % 29);
		if (i % 12)
			continue;
		opens_at(&s, 1.2 + i, 1 + (uint64_t)i, 1, 30);
		query(&s, 1.25 + i, 1 + (uint64_t)i, 150);
	}
	stream_run(&s, 301);
	f = finding_of(&s, 0);
	assert_int_equal(f.n_sites, FINDING_MAX_SITES);
	assert_int_equal(f.sites_total, 30);
	assert_int_equal(f.sites[0].open, 25);
	assert_true(f.sites[0].leaked > 15);
	finding_release(&f);
	stream_release(&s);
}

/* Sites come and go in a table of two: what is open, and what is counted, stays exact. */
static void a_full_table_costs_names_and_no_counts(void **state)
{
	const struct proctab_limits limits = {.max_sites = 2};
	const struct usage *u;
	struct stream s;

	(void)state;
	stream_init(&s, true, &limits);
	holder(&s, 0, 1, "shop/orders/app");
	for (uint64_t c = 1; c <= 40; c++) {
		tells_site(&s, (double)c, c, NULL);
		opens_at(&s, (double)c + 0.1, c, 1, c);
		/* Two stay; the others come while these hold the table. */
		if (c > 2)
			closes(&s, (double)c + 0.2, c);
	}
	u = proctab_usage(s.pt, 0);
	assert_int_equal(u->counts.opened, 40);
	assert_int_equal(u->counts.closed, 38);
	assert_int_equal(u->counts.open, 2);
	assert_int_equal(proctab_sites_lost(s.pt), 38);
	assert_int_equal(proctab_lost(s.pt), 0);
	assert_true(cohort_of(&s, 1)->site && cohort_of(&s, 2)->site);
	assert_true(cohort_of(&s, 1)->site != cohort_of(&s, 2)->site);
	stream_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(habits_of_a_place_are_inherited_over_a_new_version),
		cmocka_unit_test(two_processes_with_other_addresses_are_one_service_site),
		cmocka_unit_test(a_leak_at_one_place_of_a_busy_process_is_named),
		cmocka_unit_test(a_late_return_does_not_clear_the_place),
		cmocka_unit_test(without_stacks_all_is_as_before),
		cmocka_unit_test(what_is_not_known_blames_nobody_else),
		cmocka_unit_test(a_pools_leak_is_named_by_its_first_use),
		cmocka_unit_test(the_leaking_one_is_never_cut_off),
		cmocka_unit_test(a_full_table_costs_names_and_no_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
