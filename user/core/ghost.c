/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ghost.c - abandoned connections that the server has ended: rungs for some minutes more
 *
 * A server that ends idle connections hides a leak: few of them lie there at one time. That nobody
 * came back to one as long as it lay there remains true after its end.
 */
#include "detector_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool ghost_is_due(const struct detector *d, const struct cohort *co, const struct track *t,
		  int64_t now_ns)
{
	return t->exp_ns != T_NEVER && now_ns - t->exp_ns >= cohort_tx_ns(d, co, now_ns);
}

/*
 * The server ended an abandoned connection, and its descriptor went with it: nobody came back to
 * it, so it goes on being a rung for a while. Of many that end at once, as when a server restarts,
 * one counts; and of those whose program finds them dead later, at their next use, none.
 */
static bool is_reaped(const struct detector *d, const struct cohort *co, const struct track *t,
		      const struct conn *c, const struct event *ev)
{
	const struct ghost *last = co->n_ghosts ? &co->ghosts[co->n_ghosts - 1] : NULL;

	if (t->exp_ns == T_NEVER || t->opener == SLOT_NONE || t->is_unheld)
		return false;
	if (last && ev->t_ns - last->ended_ns < LADDER_DELTA_NS)
		return false;
	if (t->reaped_ns != T_NEVER)
		return ev->t_ns - t->reaped_ns <= NS_PER_S && ev->close != CLOSE_EXIT;
	return ev->close == CLOSE_PEER && c && conn_has_slot(c) && ghost_is_due(d, co, t, ev->t_ns);
}

int ghost_note_close(struct detector *d, struct cohort *co, uint32_t slot, const struct conn *c,
		     const struct event *ev)
{
	const struct track *t = &d->tracks[slot];
	const struct opener *o;

	if (!is_reaped(d, co, t, c, ev))
		return 0;
	if (!co->ghosts)
		co->ghosts = calloc(MAX_GHOSTS, sizeof(*co->ghosts));
	if (!co->ghosts)
		return -ENOMEM;
	if (co->n_ghosts == MAX_GHOSTS)
		memmove(co->ghosts, co->ghosts + 1, --co->n_ghosts * sizeof(*co->ghosts));
	o = opener_at(d, t->opener);
	co->ghosts[co->n_ghosts++] = (struct ghost){
		.opened_ns = c->opened_ns,
		.use_end_ns = t->use_end_ns,
		.ended_ns = ev->t_ns,
		.grown_before = t->grown_before,
		.is_warm = o->has_ended || o->last_open_ns >= t->use_end_ns + d->p.tmin_ns,
		.has_worked = track_has_worked(t, co),
	};
	return 0;
}

void ghost_expire(struct cohort *co, int64_t now_ns)
{
	uint32_t n = 0;

	while (n < co->n_ghosts && now_ns - co->ghosts[n].ended_ns >= GHOST_NS)
		n++;
	co->n_ghosts -= n;
	if (n && co->n_ghosts)
		memmove(co->ghosts, co->ghosts + n, co->n_ghosts * sizeof(*co->ghosts));
}
