/* SPDX-License-Identifier: Apache-2.0 */
#include "top_view.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLOUR_LEAK = 1, COLOUR_SUSPECT, COLOUR_QUIET };

static const char keys_line[] = "s sort   p pause   ? help   q quit";

static const char *const help_lines[] = {
	"OPEN    open connections",
	"IDLE    of these: nothing asked, nothing owed, for 15 s or more",
	"OPENED  since the watch began; CLOSED by either side",
	"OLDEST  age of the oldest one; >= where it was open before the watch",
	"",
	"STATE   ok        opens and closes keep pace",
	"        pool      a plateau of connections that are used again",
	"        filling   opening, nothing to compare with yet",
	"        suspect   evidence is growing",
	"        LEAK      the line at the bottom says why",
	"        FD LEAK   the server has its slots back, the descriptors are kept",
	"        resolved  was a leak within the last ten minutes",
	"        blind     counts are estimates",
	"",
	"Up, Down, PgUp, PgDn select   s sort   p pause   ? back   q quit",
};

int top_view_open(struct top_view *v)
{
	const char *no_colour = getenv("NO_COLOR");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	setlocale(LC_ALL, "");
	if (!newterm(NULL, stdout, stdin))
		return -ENOTTY;
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	v->has_colour = has_colors() && !(no_colour && *no_colour);
	if (v->has_colour) {
		start_color();
		use_default_colors();
		init_pair(COLOUR_LEAK, COLOR_RED, -1);
		init_pair(COLOUR_SUSPECT, COLOR_YELLOW, -1);
		init_pair(COLOUR_QUIET, COLOR_CYAN, -1);
	}
	return 0;
}

void top_view_close(struct top_view *v)
{
	(void)v;
	if (stdscr && !isendwin())
		endwin();
}

static attr_t attr_of(const struct top_view *v, enum usage_state state)
{
	switch (state) {
	case USAGE_LEAK:
	case USAGE_FD_LEAK:
		return A_BOLD | (v->has_colour ? COLOR_PAIR(COLOUR_LEAK) : 0);
	case USAGE_SUSPECT:
	case USAGE_BLIND:
		return v->has_colour ? COLOR_PAIR(COLOUR_SUSPECT) : A_NORMAL;
	case USAGE_RESOLVED:
		return v->has_colour ? COLOR_PAIR(COLOUR_QUIET) : A_NORMAL;
	default:
		return A_NORMAL;
	}
}

/* Index of the selected row; the first where it is gone. */
static uint32_t selected_row(const struct top_view *v, const struct top_model *m)
{
	for (uint32_t i = 0; i < m->n_rows; i++)
		if (m->rows[i].usage == v->selected_usage &&
		    m->rows[i].holder->id == v->selected_holder)
			return i;
	return 0;
}

static void select_row(struct top_view *v, const struct top_model *m, int64_t row)
{
	if (!m->n_rows)
		return;
	if (row < 0)
		row = 0;
	if (row >= m->n_rows)
		row = m->n_rows - 1;
	v->selected_usage = m->rows[row].usage;
	v->selected_holder = m->rows[row].holder->id;
}

/* Puts one line of @text at screen row @y; returns what follows its newline. */
static const char *put_line(int y, attr_t attr, const char *text)
{
	const char *end = strchrnul(text, '\n');

	attron(attr);
	mvaddnstr(y, 0, text, (int)(end - text));
	attroff(attr);
	return *end ? end + 1 : end;
}

static int put_lines(int y, int bottom, const char *text)
{
	while (text && *text && y < bottom)
		text = put_line(y++, A_NORMAL, text);
	return y;
}

static void draw_rows(struct top_view *v, const struct top_model *m, const char *table, int y,
		      int bottom)
{
	uint32_t selected = selected_row(v, m), room;

	if (y >= bottom)
		return;
	table = put_line(y++, A_BOLD, table);
	room = bottom > y ? (uint32_t)(bottom - y) : 0;
	if (selected < v->first_row)
		v->first_row = selected;
	if (room && selected >= v->first_row + room)
		v->first_row = selected - room + 1;
	for (uint32_t i = 0; i < m->n_rows && *table; i++) {
		attr_t attr = attr_of(v, m->rows[i].view.state);

		if (i < v->first_row) {
			table = strchrnul(table, '\n');
			table += *table == '\n';
			continue;
		}
		if (y >= bottom)
			return;
		table = put_line(y++, attr | (i == selected ? A_REVERSE : 0), table);
	}
}

static void draw_help(int y, int bottom)
{
	for (size_t i = 0; i < sizeof(help_lines) / sizeof(help_lines[0]) && y < bottom; i++)
		mvaddstr(y++, 0, help_lines[i]);
}

/* What could not be counted, above the selected row's sentence; returns where the rows end. */
static int draw_blind(const struct top_model *m, const struct top_text_options *o, int bottom)
{
	struct strbuf sb = {0};

	if (m->blind[0] && bottom > 3 && !top_text_blind(&sb, m, o) && sb.buf)
		put_line(--bottom, A_NORMAL, sb.buf);
	strbuf_release(&sb);
	return bottom;
}

/* The last two lines: the selected row's sentence, and the keys. */
static void draw_foot(const struct top_view *v, const struct top_model *m,
		      const struct top_text_options *o)
{
	struct strbuf sb = {0};

	if (m->n_rows && LINES > 3 && !top_text_row(&sb, &m->rows[selected_row(v, m)], o) && sb.buf)
		put_line(LINES - 2, A_NORMAL, sb.buf);
	strbuf_release(&sb);
	mvprintw(LINES - 1, 0, "%s   sorted by %s%s", keys_line, top_sort_name(v->sort),
		 v->is_paused  ? "   PAUSED"
		 : v->is_ended ? "   END OF THE RECORDING"
			       : "");
}

void top_view_draw(struct top_view *v, const struct top_model *m, const struct top_text_options *o)
{
	struct top_text_options options = *o;
	struct strbuf head = {0}, table = {0};
	int y, bottom = LINES - 2;

	options.width = (unsigned)COLS;
	erase();
	top_text_header(&head, m, &options);
	top_text_budgets(&head, m, &options);
	bottom = draw_blind(m, &options, bottom);
	y = put_lines(0, bottom, head.buf) + 1;
	if (m->n_rows)
		top_text_table(&table, m, &options);
	else
		top_text_nothing(&table, &options);
	if (v->is_help)
		draw_help(y, bottom);
	else if (table.buf)
		draw_rows(v, m, table.buf, y, bottom);
	draw_foot(v, m, &options);
	refresh();
	strbuf_release(&head);
	strbuf_release(&table);
}

static enum top_key on_key(struct top_view *v, const struct top_model *m, int key)
{
	int64_t row = selected_row(v, m);

	switch (key) {
	case 'q':
		return TOP_KEY_QUIT;
	case 's':
		v->sort = (v->sort + 1) % TOP_SORT_MAX;
		break;
	case 'p':
		v->is_paused = !v->is_paused;
		break;
	case '?':
	case 'h':
		v->is_help = !v->is_help;
		break;
	case KEY_UP:
	case 'k':
		select_row(v, m, row - 1);
		break;
	case KEY_DOWN:
	case 'j':
		select_row(v, m, row + 1);
		break;
	case KEY_PPAGE:
		select_row(v, m, row - LINES / 2);
		break;
	case KEY_NPAGE:
		select_row(v, m, row + LINES / 2);
		break;
	}
	return TOP_KEY_REDRAW;
}

enum top_key top_view_keys(struct top_view *v, const struct top_model *m)
{
	enum top_key did = TOP_KEY_NONE;
	int key;

	while ((key = getch()) != ERR) {
		enum top_key one = on_key(v, m, key);

		if (one == TOP_KEY_QUIT)
			return one;
		did = one;
	}
	return did;
}
