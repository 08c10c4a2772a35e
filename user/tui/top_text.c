/* SPDX-License-Identifier: Apache-2.0 */
#include "top_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../core/text.h"
#include "../core/words.h"
#include "table.h"

#define MAX_PEER_LINES 8
#define BAR_MAX	       42
#define BAR_MIN	       10
#define ROOMY_WIDTH    100 /* from here on every column is shown */
#define NO_WIDTH       4096
#define HEADER_LEAST   4

static unsigned width_of(const struct top_text_options *o)
{
	return o->width ? o->width : NO_WIDTH;
}

/* One line of at most the terminal's width. */
static int add_line(struct strbuf *sb, const struct strbuf *line, const struct top_text_options *o)
{
	if (line->err)
		return sb->err = sb->err ? sb->err : line->err;
	table_cut(sb, line->buf ? line->buf : "", width_of(o), o->is_ascii);
	return strbuf_puts(sb, "\n");
}

static void add_number(struct strbuf *sb, const char *before, uint64_t n, const char *after)
{
	char buf[TEXT_DURATION_LEN];

	strbuf_printf(sb, "%s%s%s", before, text_count(n, buf), after);
}

static const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

/* @detail: 0 all of it, HEADER_LEAST the least. */
static void make_header(struct strbuf *sb, const struct top_model *m,
			const struct top_text_options *o, int detail)
{
	char time[32], every[TEXT_DURATION_LEN];

	text_time(m->now_ns + m->wall_offset_ns + o->utc_offset_s * NS_PER_S, time);
	strbuf_puts(sb, "connleak  ");
	if (detail < HEADER_LEAST && o->host)
		strbuf_printf(sb, "%s  ", o->host);
	strbuf_printf(sb, "%.8s", strchr(time, 'T') + 1);
	if (detail < 1 && o->interval_ns > 0)
		strbuf_printf(sb, "   every %s", text_duration(o->interval_ns, every));
	add_number(sb, "   ", m->processes, plural(m->processes, " process", " processes"));
	add_number(sb, ", ", m->connections, plural(m->connections, " connection", " connections"));
	if (detail < 2)
		add_number(sb, " to ", m->n_peers, plural(m->n_peers, " server", " servers"));
	if (m->is_lost_measured)
		add_number(sb, "   lost ", m->lost, "");
	else
		strbuf_puts(sb, "   lost -");
	if (m->drift >= 0)
		add_number(sb, "  drift ", (uint64_t)m->drift, "");
	if (m->unheld > 0)
		add_number(sb, "  unheld ", (uint64_t)m->unheld, "");
	if (detail < 3)
		add_number(sb, "  adopted ", m->adopted, "");
}

int top_text_header(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o)
{
	struct strbuf line = {0};

	for (int detail = 0; detail <= HEADER_LEAST; detail++) {
		strbuf_clear(&line);
		make_header(&line, m, o, detail);
		if (line.err || text_width(line.buf) <= width_of(o))
			break;
	}
	add_line(sb, &line, o);
	strbuf_release(&line);
	return sb->err;
}

/* --- budgets --- */

/* What stands behind the bar: "79 of 97 usable   LEAKING 7.6/min   full in 2m 20s (...)" */
static void peer_tail(struct strbuf *sb, const struct top_peer *t, bool has_interval)
{
	char a[TEXT_DURATION_LEN], b[TEXT_DURATION_LEN];
	int64_t used = peer_used(t->peer);

	if (!t->peer->limit)
		strbuf_printf(sb, "%" PRIu32 " open", t->peer->open);
	else if (used < 0)
		strbuf_printf(sb, "- of %" PRIu32, t->peer->limit);
	else
		strbuf_printf(sb, "%" PRId64 " of %" PRIu32, used, t->peer->limit);
	if (t->peer->limit && t->peer->scope == SCOPE_SERVER)
		strbuf_puts(sb, " usable");
	if (isfinite(t->rate_per_min))
		strbuf_printf(sb, "   LEAKING %s/min", text_rate(t->rate_per_min, a));
	if (used >= 0 && t->peer->limit && used >= t->peer->limit) {
		strbuf_puts(sb, "   none left");
		return;
	}
	if (!isfinite(t->exhausted_in_s))
		return;
	strbuf_printf(sb, "   full in %s", text_about(t->exhausted_in_s, a));
	if (has_interval && !isnan(t->exhausted_in_low_s) && !isnan(t->exhausted_in_high_s))
		strbuf_printf(sb, " (%s to %s)", text_about(t->exhausted_in_low_s, a),
			      text_about(t->exhausted_in_high_s, b));
}

static void add_bar(struct strbuf *sb, const struct peer *p, size_t bar, bool is_ascii)
{
	int64_t used = peer_used(p);
	double part = used < 0 ? 0 : (double)used / p->limit;
	size_t full = part >= 1 ? bar : (size_t)(part * (double)bar + 0.5);

	/* Something used shows; full is full only when nothing is left. */
	if (used > 0 && !full)
		full = 1;
	if (part < 1 && full == bar)
		full = bar - 1;
	for (size_t i = 0; i < bar; i++)
		if (is_ascii)
			strbuf_puts(sb, i < full ? "#" : ".");
		else
			strbuf_puts(sb, i < full ? "█" : "░");
}

struct peer_layout {
	size_t address, bar;
	uint32_t n;
	bool has_interval;
};

/* How wide a bar fits beside every line's words. */
static int peer_layout(const struct top_model *m, const struct top_text_options *o,
		       struct peer_layout *l)
{
	struct strbuf tail = {0};
	char address[ENDPOINT_STRLEN];
	size_t room, widest = 0;
	int err = 0;

	l->address = 0;
	for (uint32_t i = 0; i < l->n; i++) {
		size_t n = strlen(endpoint_format(&m->peers[i].peer->endpoint, address));

		l->address = n > l->address ? n : l->address;
		strbuf_clear(&tail);
		peer_tail(&tail, &m->peers[i], l->has_interval);
		err = err ? err : tail.err;
		if (!err && m->peers[i].peer->limit && text_width(tail.buf) > widest)
			widest = text_width(tail.buf);
	}
	strbuf_release(&tail);
	room = l->address + 2 + 2 + widest;
	l->bar = room < width_of(o) ? width_of(o) - room : 0;
	l->bar = l->bar > BAR_MAX ? BAR_MAX : l->bar;
	return err;
}

static void peer_line(struct strbuf *sb, const struct top_peer *t, const struct peer_layout *l,
		      const struct top_text_options *o)
{
	char address[ENDPOINT_STRLEN];

	strbuf_left(sb, endpoint_format(&t->peer->endpoint, address), l->address);
	strbuf_puts(sb, "  ");
	if (t->peer->limit && l->bar >= BAR_MIN) {
		add_bar(sb, t->peer, l->bar, o->is_ascii);
		strbuf_puts(sb, "  ");
	}
	peer_tail(sb, t, l->has_interval);
}

int top_text_budgets(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o)
{
	struct peer_layout l = {.n = m->n_peers < MAX_PEER_LINES ? m->n_peers : MAX_PEER_LINES,
				.has_interval = true};
	bool is_unknown = false;
	struct strbuf line = {0};
	int err = peer_layout(m, o, &l);

	if (!err && l.bar < BAR_MIN) {
		l.has_interval = false;
		err = peer_layout(m, o, &l);
	}
	if (err)
		return sb->err = sb->err ? sb->err : err;
	for (uint32_t i = 0; i < l.n; i++) {
		strbuf_clear(&line);
		peer_line(&line, &m->peers[i], &l, o);
		add_line(sb, &line, o);
	}
	for (uint32_t i = 0; i < m->n_peers; i++)
		is_unknown = is_unknown || !m->peers[i].peer->limit;
	if (m->n_peers > l.n) {
		strbuf_clear(&line);
		add_number(&line, "and ", m->n_peers - l.n, " more servers");
		add_line(sb, &line, o);
	}
	if (is_unknown) {
		strbuf_clear(&line);
		strbuf_puts(&line, "budget unknown: --budget N shows how many are left");
		add_line(sb, &line, o);
	}
	strbuf_release(&line);
	return sb->err;
}

/* --- the table --- */

enum {
	COL_PID,
	COL_COMMAND,
	COL_WHERE,
	COL_SERVER,
	COL_OPEN,
	COL_IDLE,
	COL_OPENED,
	COL_CLOSED,
	COL_RATE,
	COL_OLDEST,
	COL_STATE,
	COL_MAX
};

static const struct table_column columns[COL_MAX] = {
	[COL_PID] = {"PID", .is_right = true},
	[COL_COMMAND] = {"COMMAND", .min_width = 8},
	[COL_WHERE] = {"WHERE", .min_width = 12, .keep = 1},
	[COL_SERVER] = {"SERVER", .min_width = 14, .keep = 4},
	[COL_OPEN] = {"OPEN", .is_right = true},
	[COL_IDLE] = {"IDLE", .is_right = true, .keep = 3},
	[COL_OPENED] = {"OPENED", .is_right = true},
	[COL_CLOSED] = {"CLOSED", .is_right = true},
	[COL_RATE] = {"LEAK/MIN", .is_right = true},
	[COL_OLDEST] = {"OLDEST", .keep = 2},
	[COL_STATE] = {"STATE"},
};

static void count_cell(struct table *t, uint64_t n)
{
	char buf[TEXT_DURATION_LEN];

	snprintf(buf, sizeof(buf), "%" PRIu64, n);
	table_cell(t, buf);
}

static void oldest_cell(struct table *t, const struct usage_view *v, int64_t now_ns)
{
	char age[TEXT_DURATION_LEN], cell[TEXT_DURATION_LEN + 4] = "-";

	if (v->oldest_opened_ns != T_NEVER)
		snprintf(cell, sizeof(cell), "%s%s", v->oldest_is_lower_bound ? ">=" : "",
			 text_duration(now_ns - v->oldest_opened_ns, age));
	table_cell(t, cell);
}

/* Where a row's text would say nothing new and the width is needed, the column is left out. */
struct shown {
	bool where, server;
};

static struct shown choose_columns(const struct top_model *m, const struct top_text_options *o)
{
	struct shown s = {.server = m->n_peers > 1 || width_of(o) >= ROOMY_WIDTH,
			  .where = width_of(o) >= ROOMY_WIDTH};
	char where[WORDS_WHERE_LEN];

	for (uint32_t i = 0; i < m->n_rows && !s.where; i++)
		s.where = strcmp(words_where(&m->rows[i].holder->info, where), "-") != 0;
	return s;
}

static void row_cells(struct table *t, const struct top_row *r, struct shown shown, int64_t now_ns)
{
	char where[WORDS_WHERE_LEN], server[WORDS_SERVER_LEN], rate[TEXT_DURATION_LEN];

	count_cell(t, r->holder->info.pid);
	table_cell(t, words_name(&r->holder->info));
	if (shown.where)
		table_cell(t, words_where(&r->holder->info, where));
	if (shown.server)
		table_cell(t, words_server(&r->peer->endpoint, r->via, server));
	count_cell(t, r->counts->open);
	count_cell(t, r->view.idle);
	count_cell(t, r->counts->opened);
	count_cell(t, r->counts->closed);
	table_cell(t, text_rate(r->view.rate_per_min, rate));
	oldest_cell(t, &r->view, now_ns);
	table_cell(t, usage_state_name(r->view.state));
}

int top_text_table(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o)
{
	const struct shown shown = choose_columns(m, o);
	struct table_column chosen[COL_MAX];
	struct table t;
	size_t n = 0;
	int err;

	for (size_t i = 0; i < COL_MAX; i++)
		if ((i != COL_WHERE || shown.where) && (i != COL_SERVER || shown.server))
			chosen[n++] = columns[i];
	table_init(&t, chosen, n);
	for (uint32_t i = 0; i < m->n_rows; i++)
		row_cells(&t, &m->rows[i], shown, m->now_ns);
	err = table_print(&t, sb, o->width, o->is_ascii);
	table_release(&t);
	return err;
}

int top_text_row(struct strbuf *sb, const struct top_row *row, const struct top_text_options *o)
{
	struct strbuf line = {0};

	if (row->detail)
		words_row(&line, row->detail);
	else if (row->view.state == USAGE_SUSPECT)
		strbuf_printf(&line,
			      "%s (%" PRIu32 "): %" PRIu32 " of %" PRIu64 " idle, %" PRIu32
			      " passed over by later ones: not sure yet",
			      words_name(&row->holder->info), row->holder->info.pid, row->view.idle,
			      row->counts->open, row->view.passed_over);
	else
		return sb->err;
	add_line(sb, &line, o);
	strbuf_release(&line);
	return sb->err;
}

/* Which row's sentence is told where none is selected: a leak's, another finding's, a suspicion. */
static int telling(const struct top_row *r)
{
	if (r->detail)
		return r->view.state == USAGE_LEAK ? 3 : 2;
	return r->view.state == USAGE_SUSPECT;
}

int top_text_blind(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o)
{
	struct strbuf line = {0};

	if (!m->blind[0])
		return sb->err;
	strbuf_printf(&line, "blind: %s", m->blind);
	add_line(sb, &line, o);
	strbuf_release(&line);
	return sb->err;
}

int top_text_nothing(struct strbuf *sb, const struct top_text_options *o)
{
	struct strbuf line = {0};

	strbuf_puts(&line, "nothing is open");
	if (o->ports && o->ports[0])
		strbuf_printf(&line, " on port%s %s", strchr(o->ports, ',') ? "s" : "", o->ports);
	add_line(sb, &line, o);
	strbuf_release(&line);
	return sb->err;
}

int top_text(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o)
{
	const struct top_row *worst = NULL;

	top_text_header(sb, m, o);
	top_text_budgets(sb, m, o);
	strbuf_puts(sb, "\n");
	if (!m->connections)
		top_text_nothing(sb, o);
	if (m->n_rows)
		top_text_table(sb, m, o);
	for (uint32_t i = 0; i < m->n_rows; i++) {
		const struct top_row *r = &m->rows[i];

		if (telling(r) > (worst ? telling(worst) : 0))
			worst = r;
	}
	if (worst)
		top_text_row(sb, worst, o);
	return top_text_blind(sb, m, o);
}
