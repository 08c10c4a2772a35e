/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_view.h - the live view on a terminal: draws a model, reads keys, decides nothing
 *
 * The text is top_text.c's; this adds a selected row, colour by meaning and scrolling. The terminal
 * is restored by top_view_close(), which every way out of the command goes through.
 */
#ifndef CONNLEAK_TOP_VIEW_H
#define CONNLEAK_TOP_VIEW_H

#include "top_model.h"
#include "top_text.h"

struct top_view {
	enum top_sort sort;
	uint64_t selected_holder; /* id; the selection stays on its row when rows move */
	uint32_t selected_usage;
	uint32_t first_row; /* scrolled away above */
	bool is_paused;
	bool is_ended; /* a recording's end is shown */
	bool is_help;
	bool has_colour;
};

enum top_key { TOP_KEY_NONE, TOP_KEY_REDRAW, TOP_KEY_QUIT };

/* Takes the terminal over. Returns 0 or -ENOTTY. */
int top_view_open(struct top_view *v);
/* Gives the terminal back; harmless when it was not taken. */
void top_view_close(struct top_view *v);

void top_view_draw(struct top_view *v, const struct top_model *m, const struct top_text_options *o);

/* Takes all waiting keys. */
enum top_key top_view_keys(struct top_view *v, const struct top_model *m);

#endif
