/* SPDX-License-Identifier: Apache-2.0 */
#include "top_model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far up a state stands: the most suspicious first. */
static int suspicion(enum usage_state s)
{
	static const enum usage_state order[] = {USAGE_OK,	 USAGE_POOL,	USAGE_FILLING,
						 USAGE_RESOLVED, USAGE_SUSPECT, USAGE_BLIND,
						 USAGE_FD_LEAK,	 USAGE_LEAK};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (order[i] == s)
			return (int)i;
	return 0;
}

/* For qsort: larger first. What is not measured counts as less than anything. */
static int larger_first(double a, double b)
{
	a = isnan(a) ? -INFINITY : a;
	b = isnan(b) ? -INFINITY : b;
	return (a < b) - (a > b);
}

static int older_first(int64_t a, int64_t b)
{
	a = a == T_NEVER ? INT64_MAX : a;
	b = b == T_NEVER ? INT64_MAX : b;
	return (a > b) - (a < b);
}

static int pid_order(const struct top_row *a, const struct top_row *b)
{
	return larger_first(b->holder->info.pid, a->holder->info.pid);
}

static int suspicion_order(const struct top_row *a, const struct top_row *b)
{
	int by = suspicion(b->view.state) - suspicion(a->view.state);

	by = by ? by : larger_first(a->view.rate_per_min, b->view.rate_per_min);
	return by ? by : larger_first((double)a->counts->open, (double)b->counts->open);
}

static int compare_rows(const void *va, const void *vb, void *arg)
{
	const struct top_row *a = va, *b = vb;
	int by = 0;

	switch (*(const enum top_sort *)arg) {
	case TOP_SORT_OPEN:
		by = larger_first((double)a->counts->open, (double)b->counts->open);
		break;
	case TOP_SORT_IDLE:
		by = larger_first(a->view.idle, b->view.idle);
		break;
	case TOP_SORT_OPENED:
		by = larger_first((double)a->counts->opened, (double)b->counts->opened);
		break;
	case TOP_SORT_RATE:
		by = larger_first(a->view.rate_per_min, b->view.rate_per_min);
		break;
	case TOP_SORT_OLDEST:
		by = older_first(a->view.oldest_opened_ns, b->view.oldest_opened_ns);
		break;
	case TOP_SORT_PID:
		by = pid_order(a, b);
		break;
	case TOP_SORT_SUSPICION:
	case TOP_SORT_MAX:
		break;
	}
	by = by ? by : suspicion_order(a, b);
	by = by ? by : pid_order(a, b);
	/* Equal rows keep one order from frame to frame. */
	return by ? by : (a->usage > b->usage) - (a->usage < b->usage);
}

static double fullness(const struct peer *p)
{
	int64_t used = peer_used(p);

	return p->limit && used >= 0 ? (double)used / p->limit : NAN;
}

static int compare_peers(const void *va, const void *vb)
{
	const struct top_peer *a = va, *b = vb;
	int by = larger_first(fullness(a->peer), fullness(b->peer));

	by = by ? by : larger_first(a->peer->open, b->peer->open);
	return by ? by : memcmp(&a->peer->endpoint, &b->peer->endpoint, sizeof(struct endpoint));
}

/* Fills @row for a usage. Returns 1 if it is to be shown, 0 if not, or -ENOMEM. */
static int make_row(struct top_row *row, const struct engine *e, uint32_t slot)
{
	const struct usage *u = proctab_usage(e->table, slot);
	int err;

	memset(row, 0, sizeof(*row));
	row->holder = proctab_holder(e->table, u->holder);
	row->peer = proctab_peer(e->table, u->peer);
	if (!row->holder || !row->peer)
		return 0;
	row->counts = &u->counts;
	row->via = proctab_via(e->table, u);
	row->usage = slot;
	detector_usage(e->detector, e->table, slot, &row->view);
	row->finding = detector_find(e->detector, slot);
	if (row->holder->exit_ns != T_NEVER && !u->counts.open && row->finding == SLOT_NONE &&
	    row->view.state != USAGE_RESOLVED)
		return 0;
	if (row->finding == SLOT_NONE)
		return 1;
	row->detail = malloc(sizeof(*row->detail));
	if (!row->detail)
		return -ENOMEM;
	err = detector_finding(e->detector, e->table, row->finding, row->detail);
	if (err) {
		free(row->detail);
		row->detail = NULL;
	}
	return err == -ENOMEM ? err : 1;
}

static int add_rows(struct top_model *m, const struct engine *e, top_filter *filter, void *arg)
{
	uint32_t n = proctab_n_usages(e->table);

	m->rows = calloc(n ? n : 1, sizeof(*m->rows));
	if (!m->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct usage *u = proctab_usage(e->table, i);
		const struct holder *h = u ? proctab_holder(e->table, u->holder) : NULL;
		int shown;

		if (!h || (filter && !filter(h, proctab_peer(e->table, u->peer), arg)))
			continue;
		shown = make_row(&m->rows[m->n_rows], e, i);
		if (shown < 0)
			return shown;
		m->n_rows += (uint32_t)shown;
	}
	return 0;
}

/* What the header says; needs the rows in order of pid, so that a process counts once. */
static void count_rows(struct top_model *m)
{
	const struct holder *last = NULL;
	enum top_sort by_pid = TOP_SORT_PID;

	qsort_r(m->rows, m->n_rows, sizeof(*m->rows), compare_rows, &by_pid);
	/* A reused pid: two holders, whose rows may alternate. Exited ones have nothing open. */
	for (uint32_t i = 0; i < m->n_rows; i++) {
		const struct top_row *r = &m->rows[i];

		m->connections += r->counts->open;
		m->adopted += r->counts->adopted;
		if (r->counts->open && r->holder != last) {
			m->processes++;
			last = r->holder;
		}
	}
}

static bool has_row(const struct top_model *m, const struct peer *p)
{
	for (uint32_t i = 0; i < m->n_rows; i++)
		if (m->rows[i].peer == p)
			return true;
	return false;
}

static int add_peers(struct top_model *m, const struct engine *e, bool is_filtered)
{
	uint32_t n = proctab_n_peers(e->table);

	m->peers = calloc(n ? n : 1, sizeof(*m->peers));
	if (!m->peers)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct peer *p = proctab_peer(e->table, i);

		if (!p || (!p->open && !p->limit) || (is_filtered && !has_row(m, p)))
			continue;
		m->peers[m->n_peers++] = (struct top_peer){
			.peer = p,
			.rate_per_min = NAN,
			.exhausted_in_s = NAN,
			.exhausted_in_low_s = NAN,
			.exhausted_in_high_s = NAN,
		};
	}
	return 0;
}

static void add_leak(struct top_peer *t, const struct finding *f)
{
	if (isfinite(f->leak_rate_per_min))
		t->rate_per_min =
			(isnan(t->rate_per_min) ? 0 : t->rate_per_min) + f->leak_rate_per_min;
	/* The same in each finding of a peer: it is about the peer's whole budget. */
	if (!isnan(f->exhausted_in_s)) {
		t->exhausted_in_s = f->exhausted_in_s;
		t->exhausted_in_low_s = f->exhausted_in_low_s;
		t->exhausted_in_high_s = f->exhausted_in_high_s;
	}
}

/* Leaks of holders that the filter hides eat the same budget, so all findings count. */
static int add_findings(struct top_model *m, const struct engine *e)
{
	for (uint32_t i = 0; i < detector_n_findings(e->detector); i++) {
		struct finding f;
		int err = detector_finding(e->detector, e->table, i, &f);

		if (err == -ENOMEM)
			return err;
		if (err)
			continue;
		for (uint32_t p = 0; p < m->n_peers; p++)
			if (f.kind == FINDING_LEAK && f.status == FINDING_FIRING &&
			    endpoint_equal(&f.peer, &m->peers[p].peer->endpoint))
				add_leak(&m->peers[p], &f);
		if (f.kind == FINDING_BLIND && f.status == FINDING_FIRING)
			snprintf(m->blind, sizeof(m->blind), "%s", f.reason);
		finding_release(&f);
	}
	return 0;
}

int top_model_build(struct top_model *m, const struct engine *e, enum top_sort sort,
		    top_filter *filter, void *arg)
{
	struct top_model new = {
		.now_ns = e->now_ns,
		.wall_offset_ns = e->wall_offset_ns,
		.lost = proctab_lost(e->table) + detector_lost(e->detector),
		.is_lost_measured = true,
		.drift = e->drift,
		.unheld = e->unheld,
		.repaired = e->repaired,
	};
	int err = add_rows(&new, e, filter, arg);

	proctab_ledger(e->table, &new.ledger);
	if (err)
		goto out;
	count_rows(&new);
	err = add_peers(&new, e, filter != NULL);
	if (err)
		goto out;
	err = add_findings(&new, e);
	if (err)
		goto out;
	qsort_r(new.rows, new.n_rows, sizeof(*new.rows), compare_rows, &sort);
	qsort(new.peers, new.n_peers, sizeof(*new.peers), compare_peers);
	*m = new;
	return 0;
out:
	top_model_release(&new);
	return err;
}

void top_model_release(struct top_model *m)
{
	if (!m)
		return;
	/* A row that was being made when memory ran out is not counted and owns nothing. */
	for (uint32_t i = 0; i < m->n_rows; i++) {
		if (m->rows[i].detail)
			finding_release(m->rows[i].detail);
		free(m->rows[i].detail);
	}
	free(m->rows);
	free(m->peers);
	memset(m, 0, sizeof(*m));
}

const char *top_sort_name(enum top_sort s)
{
	static const char *const names[TOP_SORT_MAX] = {
		[TOP_SORT_SUSPICION] = "suspicion",
		[TOP_SORT_OPEN] = "open",
		[TOP_SORT_IDLE] = "idle",
		[TOP_SORT_OPENED] = "opened",
		[TOP_SORT_RATE] = "rate",
		[TOP_SORT_OLDEST] = "oldest",
		[TOP_SORT_PID] = "pid",
	};

	return (unsigned)s < TOP_SORT_MAX ? names[s] : NULL;
}
