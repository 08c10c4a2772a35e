/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - rows of text cells laid out in columns for a terminal of some width
 *
 * table_init(), then n_columns table_cell() calls a row, table_print(), table_release(). Columns
 * are as wide as what is in them. Too wide for the terminal: columns that may shrink do, their
 * texts cut with an ellipsis; where that is not enough, columns are left out, lowest `keep`
 * first. A failed addition is remembered and told by table_print().
 */
#ifndef CONNLEAK_TABLE_H
#define CONNLEAK_TABLE_H

#include <stdbool.h>

#include "../core/strbuf.h"

#define TABLE_MAX_COLUMNS 16
#define TABLE_KEEP	  0 /* never left out */

struct table_column {
	const char *title;
	bool is_right;	    /* aligned; a number */
	unsigned min_width; /* may shrink to this; 0: never shrinks */
	unsigned keep;	    /* 1 is left out first; TABLE_KEEP never */
};

struct table {
	const struct table_column *columns; /* borrowed for the table's life */
	size_t n_columns;		    /* at most TABLE_MAX_COLUMNS */
	struct strbuf text;		    /* the cells, each ended by a NUL */
	size_t n_cells;
};

void table_init(struct table *t, const struct table_column *columns, size_t n_columns);
/* The next cell, from left to right, from top to bottom. Returns 0 or -ENOMEM. */
int table_cell(struct table *t, const char *text);
/*
 * table_print - the header and every row, each ended by a newline, without spaces at its end
 * @width:    of the terminal; 0: without limit
 * @is_ascii: characters outside ASCII print as '?', the ellipsis as '~'
 * Returns 0 or -ENOMEM.
 */
int table_print(const struct table *t, struct strbuf *sb, unsigned width, bool is_ascii);
void table_release(struct table *t);

/* Adds @s, or what of it fits into @width columns with an ellipsis at its end. */
int table_cut(struct strbuf *sb, const char *s, size_t width, bool is_ascii);

#endif
