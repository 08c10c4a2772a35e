/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <errno.h>

int engine_init(struct engine *e, const struct proctab_limits *limits,
		const struct detector_params *params)
{
	struct engine init = {.wall_offset_ns = params->wall_offset_ns, .drift = -1, .unheld = -1};

	init.table = proctab_new(limits);
	init.detector = detector_new(params);
	if (!init.table || !init.detector) {
		engine_release(&init);
		return -ENOMEM;
	}
	*e = init;
	return 0;
}

void engine_release(struct engine *e)
{
	if (!e)
		return;
	detector_free(e->detector);
	proctab_free(e->table);
	*e = (struct engine){0};
}

static int step_event(struct engine *e, const struct event *ev)
{
	struct proctab_change change;
	int err = proctab_apply(e->table, ev, &change);

	if (err) {
		e->bad_events++;
		return err == -ENOMEM ? err : 0;
	}
	return detector_event(e->detector, e->table, ev, &change);
}

static void forget_exited(struct engine *e)
{
	if (!proctab_n_exited(e->table))
		return;
	for (uint32_t i = 0; i < proctab_n_holders(e->table); i++) {
		const struct holder *h = proctab_holder(e->table, i);

		/* What still has something open is refused by the table itself. */
		if (h && h->exit_ns != T_NEVER && detector_is_done_with(e->detector, i))
			proctab_forget_holder(e->table, i);
	}
}

/* A snapshot without a comparison leaves what the last one found. */
static void take_comparison(struct engine *e, const struct snapshot *s)
{
	if (s->drift >= 0)
		e->drift = s->drift;
	if (s->unheld >= 0)
		e->unheld = s->unheld;
	if (s->repaired > e->repaired)
		e->repaired = s->repaired;
}

int engine_step(struct engine *e, const struct snapshot *s)
{
	int err = 0;

	/* before, not after: whoever counts must have seen a holder's last tick */
	forget_exited(e);
	e->now_ns = s->now_ns;
	e->wall_offset_ns = s->wall_offset_ns;
	take_comparison(e, s);
	/* One event that found no memory is no reason to lose the others. */
	for (size_t i = 0; i < s->n_events; i++) {
		int event_err = step_event(e, &s->events[i]);

		if (event_err)
			err = event_err;
	}
	return err;
}
