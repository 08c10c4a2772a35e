/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_text.h - a frame of `top` as plain text: batch mode, pipes, and what the screen draws
 *
 * The screen's layout without colour or cursor: header, budgets, an empty line, the table, the
 * sentences about the most suspicious row and about what could not be counted. Pure; foreign text was cleaned by the collector.
 */
#ifndef CONNLEAK_TOP_TEXT_H
#define CONNLEAK_TOP_TEXT_H

#include "../core/strbuf.h"
#include "top_model.h"

struct top_text_options {
	const char *host;     /* borrowed */
	const char *ports;    /* watched, "5432, 6432"; borrowed */
	int64_t interval_ns;  /* between frames; 0: not said */
	int32_t utc_offset_s; /* of the clock in the header; 0: UTC */
	unsigned width;	      /* of the terminal; 0: without limit */
	bool is_ascii;	      /* no character outside ASCII */
};

/* The whole frame. Returns 0 or -ENOMEM. */
int top_text(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o);

/* Its parts, each of whole lines; the parts for which there is nothing to say add nothing. */
int top_text_header(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o);
int top_text_budgets(struct strbuf *sb, const struct top_model *m,
		     const struct top_text_options *o);
/* The table's header line, then one line a row, in the model's order. */
int top_text_table(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o);
/* The sentence that stands in for a table without rows. */
int top_text_nothing(struct strbuf *sb, const struct top_text_options *o);
/* Why counts are estimates, in one sentence. */
int top_text_blind(struct strbuf *sb, const struct top_model *m, const struct top_text_options *o);
/* The finding of one row, or what is suspected of it, in one sentence; nothing where nothing is. */
int top_text_row(struct strbuf *sb, const struct top_row *row, const struct top_text_options *o);

#endif
