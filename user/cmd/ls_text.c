/* SPDX-License-Identifier: Apache-2.0 */
#include "ls_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/app_frame.h"
#include "../core/text.h"
#include "../core/words.h"
#include "../tui/table.h"

enum {
	COL_PID,
	COL_COMMAND,
	COL_SERVER,
	COL_LOCAL,
	COL_AGE,
	COL_IDLE,
	COL_STATE,
	COL_SENT,
	COL_RECV,
	COL_OPENED_BY, /* the last: left out where no call site is known */
	COL_MAX
};

static const struct table_column columns[COL_MAX] = {
	[COL_PID] = {"PID", .is_right = true},
	[COL_COMMAND] = {"COMMAND", .min_width = 8},
	[COL_SERVER] = {"SERVER", .min_width = 14},
	[COL_LOCAL] = {"LOCAL", .is_right = true},
	[COL_AGE] = {"AGE"},
	[COL_IDLE] = {"IDLE"},
	[COL_STATE] = {"STATE"},
	[COL_SENT] = {"SENT", .is_right = true, .keep = 1},
	[COL_RECV] = {"RECV", .is_right = true, .keep = 2},
	[COL_OPENED_BY] = {"OPENED BY", .min_width = 14, .keep = 3},
};

#define SHOWN_PIDS 3

struct found {
	const struct conn *conn;
	const struct holder *holder;
	const struct peer *peer;
	const struct holder *via; /* NULL: not known */
	uint32_t slot;
};

static bool look_up(const struct proctab *pt, uint32_t slot, struct found *ret)
{
	const struct conn *c = proctab_conn(pt, slot);
	const struct usage *u = c ? proctab_usage(pt, c->usage) : NULL;

	if (!u)
		return false;
	ret->conn = c;
	ret->holder = proctab_holder(pt, u->holder);
	ret->peer = proctab_peer(pt, u->peer);
	ret->via = proctab_via(pt, u);
	ret->slot = slot;
	return ret->holder && ret->peer;
}

static int earlier_first(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int larger_first(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

/* Where idle times are not measured they come last. */
static int idle_order(const struct conn *a, const struct conn *b)
{
	if (a->has_io != b->has_io)
		return a->has_io ? -1 : 1;
	return a->has_io ? earlier_first(conn_last_io_ns(a), conn_last_io_ns(b)) : 0;
}

static int compare_found(const void *va, const void *vb, void *arg)
{
	const struct found *a = va, *b = vb;
	int by = 0;

	switch (*(const enum ls_sort *)arg) {
	case LS_SORT_IDLE:
		by = idle_order(a->conn, b->conn);
		break;
	case LS_SORT_PID:
		by = larger_first(b->holder->info.pid, a->holder->info.pid);
		break;
	case LS_SORT_SENT:
		by = larger_first(a->conn->has_io ? a->conn->tx : 0,
				  b->conn->has_io ? b->conn->tx : 0);
		break;
	case LS_SORT_RECEIVED:
		by = larger_first(a->conn->has_io ? a->conn->rx : 0,
				  b->conn->has_io ? b->conn->rx : 0);
		break;
	case LS_SORT_AGE:
	case LS_SORT_MAX:
		break;
	}
	by = by ? by : earlier_first(conn_open_since_ns(a->conn), conn_open_since_ns(b->conn));
	return by ? by : (a->conn->id > b->conn->id) - (a->conn->id < b->conn->id);
}

/* As ls_select(), with what the slots stand for. */
static int select_found(const struct proctab *pt, const struct ls_options *o,
			struct found **ret_found, size_t *ret_n)
{
	uint32_t n_slots = proctab_n_conns(pt);
	struct found *found = malloc((proctab_open(pt) + 1) * sizeof(*found));
	enum ls_sort sort = o->sort;
	size_t n = 0;

	if (!found)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < n_slots && n < proctab_open(pt); slot++) {
		if (!look_up(pt, slot, &found[n]))
			continue;
		if (!o->is_shown || o->is_shown(found[n].holder, found[n].peer, o->arg))
			n++;
	}
	qsort_r(found, n, sizeof(*found), compare_found, &sort);
	*ret_found = found;
	*ret_n = n;
	return 0;
}

int ls_select(const struct proctab *pt, const struct ls_options *o, uint32_t **ret_slots,
	      size_t *ret_n)
{
	struct found *found = NULL;
	uint32_t *slots;
	size_t n;
	int err = select_found(pt, o, &found, &n);

	if (err)
		return err;
	slots = malloc((n + 1) * sizeof(*slots));
	if (!slots) {
		free(found);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		slots[i] = found[i].slot;
	free(found);
	*ret_slots = slots;
	*ret_n = n;
	return 0;
}

static void bytes_cell(struct table *t, const struct conn *c, uint64_t n)
{
	char buf[TEXT_DURATION_LEN];

	table_cell(t, c->has_io ? text_bytes(n, buf) : "-");
}

/* "4711"; of a shared one "4711,4712", with how many more there are; "-": in nobody's hands. */
static void pids_cell(struct table *t, const struct proctab *pt, uint32_t slot)
{
	uint32_t pids[SHOWN_PIDS], total = proctab_held_by(pt, slot, pids, SHOWN_PIDS);
	uint32_t n = total < SHOWN_PIDS ? total : SHOWN_PIDS;
	char cell[SHOWN_PIDS * 12 + 16] = "-";
	size_t at = 0;

	for (uint32_t i = 0; i < n; i++)
		at += (size_t)snprintf(cell + at, sizeof(cell) - at, "%s%" PRIu32, i ? "," : "",
				       pids[i]);
	if (total > n)
		snprintf(cell + at, sizeof(cell) - at, "+%" PRIu32, total - n);
	table_cell(t, cell);
}

static bool has_site(const struct conn *c, const struct proctab *pt)
{
	return proctab_opened_by(pt, c) || proctab_first_used_by(pt, c);
}

/* "main.placeOrder order.go:22"; of a pool's "HikariPool-1 (first used by load Invoice.java:88)" */
static void site_cell(struct table *t, const struct proctab *pt, const struct conn *c)
{
	const struct site_info *opened = proctab_site(pt, proctab_opened_by(pt, c));
	const struct site_info *used = proctab_site(pt, proctab_first_used_by(pt, c));
	const char *thread = opened && opened->thread ? opened->thread : "-";
	enum site_role role = SITE_OPENED_BY;
	const struct site_frame *f = app_frame_of(opened, used, &role);
	char frame[APP_FRAME_LEN];
	struct strbuf cell = {0};

	if (!f)
		strbuf_puts(&cell, thread);
	else if (role == SITE_OPENED_BY)
		strbuf_puts(&cell, app_frame_format(f, " ", frame));
	else
		strbuf_printf(&cell, "%s (first used by %s)", thread,
			      app_frame_format(f, " ", frame));
	table_cell(t, cell.err ? "-" : cell.buf);
	strbuf_release(&cell);
}

static void add_row(struct table *t, const struct proctab *pt, const struct found *f,
		    int64_t now_ns)
{
	char server[WORDS_SERVER_LEN], span[TEXT_DURATION_LEN], cell[TEXT_DURATION_LEN + 4];
	const struct conn *c = f->conn;

	pids_cell(t, pt, f->slot);
	table_cell(t, words_name(&f->holder->info));
	table_cell(t, words_server(&f->peer->endpoint, f->via, server));
	snprintf(cell, sizeof(cell), "%u", c->local.port);
	table_cell(t, cell);
	snprintf(cell, sizeof(cell), "%s%s", c->adopted ? ">=" : "",
		 text_duration(now_ns - conn_open_since_ns(c), span));
	table_cell(t, cell);
	table_cell(t, c->has_io ? text_duration(now_ns - conn_last_io_ns(c), span) : "-");
	table_cell(t, c->is_unheld ? "UNHELD" : words_conn_state(c->fin_ns, c->fin_how));
	bytes_cell(t, c, c->tx);
	bytes_cell(t, c, c->rx);
}

static int by_holder(const void *va, const void *vb)
{
	const struct found *a = va, *b = vb;

	return (a->holder > b->holder) - (a->holder < b->holder);
}

static int by_peer(const void *va, const void *vb)
{
	const struct found *a = va, *b = vb;

	return (a->peer > b->peer) - (a->peer < b->peer);
}

/* Sorts @found by @cmp and counts what differs. */
static size_t count_distinct(struct found *found, size_t n,
			     int (*cmp)(const void *a, const void *b))
{
	size_t distinct = n ? 1 : 0;

	qsort(found, n, sizeof(*found), cmp);
	for (size_t i = 1; i < n; i++)
		distinct += cmp(&found[i - 1], &found[i]) != 0;
	return distinct;
}

static void add_sum(struct strbuf *sb, size_t n, const char *one, const char *many)
{
	char buf[TEXT_DURATION_LEN];

	strbuf_printf(sb, "%s %s", text_count(n, buf), n == 1 ? one : many);
}

/* Says what the word means where it is seen, which is rarely. */
static void add_unheld(struct strbuf *sb, const struct found *found, size_t n)
{
	size_t unheld = 0;

	for (size_t i = 0; i < n; i++)
		unheld += found[i].conn->is_unheld;
	if (!unheld)
		return;
	add_sum(sb, unheld, "is", "are");
	strbuf_puts(sb, " UNHELD: in no process's descriptors; COMMAND had it last\n");
}

int ls_text(struct strbuf *sb, const struct proctab *pt, const struct ls_options *o)
{
	struct found *found = NULL;
	bool has_sites = false;
	struct table t;
	size_t n;
	int err = select_found(pt, o, &found, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n && !has_sites; i++)
		has_sites = has_site(found[i].conn, pt);
	table_init(&t, columns, has_sites ? COL_MAX : COL_OPENED_BY);
	if (!n) {
		strbuf_puts(sb, "no open connections");
		if (o->ports && o->ports[0])
			strbuf_printf(sb, " on port%s %s", strchr(o->ports, ',') ? "s" : "",
				      o->ports);
		err = strbuf_puts(sb, "\n");
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		add_row(&t, pt, &found[i], o->now_ns);
		if (has_sites)
			site_cell(&t, pt, found[i].conn);
	}
	err = table_print(&t, sb, o->width, o->is_ascii);
	add_sum(sb, n, "connection", "connections");
	strbuf_puts(sb, ", ");
	add_sum(sb, count_distinct(found, n, by_holder), "process", "processes");
	strbuf_puts(sb, ", ");
	add_sum(sb, count_distinct(found, n, by_peer), "server", "servers");
	strbuf_puts(sb, "\n");
	add_unheld(sb, found, n);
	err = err ? err : sb->err;
out:
	table_release(&t);
	free(found);
	return err;
}

const char *ls_sort_name(enum ls_sort s)
{
	static const char *const names[LS_SORT_MAX] = {
		[LS_SORT_AGE] = "age",	 [LS_SORT_IDLE] = "idle",	  [LS_SORT_PID] = "pid",
		[LS_SORT_SENT] = "sent", [LS_SORT_RECEIVED] = "received",
	};

	return (unsigned)s < LS_SORT_MAX ? names[s] : NULL;
}
