/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <string.h>

#include "../core/text.h"

struct layout {
	size_t width[TABLE_MAX_COLUMNS];
	bool is_out[TABLE_MAX_COLUMNS];
};

void table_init(struct table *t, const struct table_column *columns, size_t n_columns)
{
	memset(t, 0, sizeof(*t));
	t->columns = columns;
	t->n_columns = n_columns;
}

int table_cell(struct table *t, const char *text)
{
	int err = strbuf_add(&t->text, text, strlen(text) + 1);

	if (!err)
		t->n_cells++;
	return err;
}

void table_release(struct table *t)
{
	if (t)
		strbuf_release(&t->text);
}

/* Where the character after the one at @s begins. */
static const char *next_char(const char *s)
{
	s++;
	while (((unsigned char)*s & 0xc0) == 0x80)
		s++;
	return s;
}

static int add_text(struct strbuf *sb, const char *s, const char *end, bool is_ascii)
{
	if (!is_ascii)
		return strbuf_add(sb, s, (size_t)(end - s));
	for (; s < end; s = next_char(s))
		strbuf_add(sb, (unsigned char)*s < 0x80 ? s : "?", 1);
	return sb->err;
}

int table_cut(struct strbuf *sb, const char *s, size_t width, bool is_ascii)
{
	const char *end = s;

	if (text_width(s) <= width)
		return add_text(sb, s, s + strlen(s), is_ascii);
	if (!width)
		return 0;
	for (size_t i = 0; i + 1 < width; i++)
		end = next_char(end);
	add_text(sb, s, end, is_ascii);
	return strbuf_puts(sb, is_ascii ? "~" : "…");
}

static size_t layout_width(const struct table *t, const struct layout *l)
{
	size_t sum = 0;

	for (size_t i = 0; i < t->n_columns; i++)
		if (!l->is_out[i])
			sum += l->width[i] + (sum ? 1 : 0);
	return sum;
}

/* Takes one column from the widest of those that may give. Returns false when none may. */
static bool shrink_one(const struct table *t, struct layout *l)
{
	size_t widest = t->n_columns;

	for (size_t i = 0; i < t->n_columns; i++) {
		if (l->is_out[i] || !t->columns[i].min_width ||
		    l->width[i] <= t->columns[i].min_width)
			continue;
		if (widest == t->n_columns || l->width[i] > l->width[widest])
			widest = i;
	}
	if (widest == t->n_columns)
		return false;
	l->width[widest]--;
	return true;
}

/* Leaves out the column that matters least. Returns false when all have to stay. */
static bool drop_one(const struct table *t, struct layout *l)
{
	size_t least = t->n_columns;

	for (size_t i = 0; i < t->n_columns; i++) {
		if (l->is_out[i] || t->columns[i].keep == TABLE_KEEP)
			continue;
		if (least == t->n_columns || t->columns[i].keep < t->columns[least].keep)
			least = i;
	}
	if (least == t->n_columns)
		return false;
	l->is_out[least] = true;
	return true;
}

static void natural_widths(const struct table *t, struct layout *l)
{
	const char *cell = t->text.buf;

	for (size_t i = 0; i < t->n_columns; i++)
		l->width[i] = text_width(t->columns[i].title);
	for (size_t i = 0; i < t->n_cells; i++, cell += strlen(cell) + 1) {
		size_t width = text_width(cell);

		if (width > l->width[i % t->n_columns])
			l->width[i % t->n_columns] = width;
	}
}

static void make_layout(const struct table *t, struct layout *ret, unsigned width)
{
	struct layout natural = {0};

	natural_widths(t, &natural);
	*ret = natural;
	while (width && layout_width(t, ret) > width) {
		if (shrink_one(t, ret))
			continue;
		/* What a column gave before another one went is given back. */
		if (!drop_one(t, &natural))
			return;
		*ret = natural;
	}
}

/* Adds cell @i of a line; the spaces before it wait in @pending until something follows them. */
static void print_cell(struct strbuf *sb, const struct table_column *column, size_t width,
		       const char *text, size_t *pending, bool is_ascii)
{
	size_t have = text_width(text);
	size_t pad = have < width ? width - have : 0;

	if (column->is_right)
		*pending += pad;
	if (have && width) {
		strbuf_left(sb, "", *pending);
		*pending = 0;
		table_cut(sb, text, width, is_ascii);
	}
	*pending += (column->is_right ? 0 : pad) + 1;
}

int table_print(const struct table *t, struct strbuf *sb, unsigned width, bool is_ascii)
{
	const char *cell = t->text.buf;
	struct layout layout;
	size_t pending = 0;

	if (t->text.err)
		return t->text.err;
	make_layout(t, &layout, width);
	for (size_t i = 0; i < t->n_columns; i++)
		if (!layout.is_out[i])
			print_cell(sb, &t->columns[i], layout.width[i], t->columns[i].title,
				   &pending, is_ascii);
	strbuf_puts(sb, "\n");
	for (size_t i = 0; i < t->n_cells; i++, cell += strlen(cell) + 1) {
		size_t c = i % t->n_columns;

		if (c == 0)
			pending = 0;
		if (!layout.is_out[c])
			print_cell(sb, &t->columns[c], layout.width[c], cell, &pending, is_ascii);
		if (c + 1 == t->n_columns)
			strbuf_puts(sb, "\n");
	}
	return sb->err;
}
