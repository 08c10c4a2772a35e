/* SPDX-License-Identifier: Apache-2.0 */
/*
 * track.c - one connection's life, as docs/detector.md sections 3 and 4.2 see it
 *
 *	open --> waiting --(idle >= tmin, another opens)--> passed over --(Tx)--> abandoned
 *	            ^                                            |                    |
 *	            +------------------ used again --------------+--------------------+
 *
 * A connection in the server's turn is neither; it stands in no list, or in `waiting` until an
 * open finds it there and throws it out. One that nobody holds stands in no list either.
 */
#include "detector_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEARTBEAT_REPEATS 3
#define HEARTBEAT_MAX_DT  256
#define HEARTBEAT_MAX_DR  512
#define HEARTBEAT_MIN_NS  (4 * NS_PER_S)
#define REPLACE_NS	  (5 * NS_PER_S) /* between the close and the open in its place */
#define PAUSE_NS	  NS_PER_S	 /* a pause that a use may end and count as a return */

/* --- leaving --- */

static void note_left(struct detector *d, const struct cohort *co, const struct track *t,
		      enum resolved_because why)
{
	if (co->usage != SLOT_NONE && t->exp_ns != T_NEVER)
		d->usages[co->usage].left_by = why;
}

/* It came back (was used again, or closed by its own program): others may stay away as long. */
static void note_return(struct detector *d, struct cohort *co, const struct track *t, bool by_close,
			int64_t now_ns)
{
	struct comeback c = {.absence_ns = t->exp_ns == T_NEVER ? 0 : now_ns - t->exp_ns};
	bool is_first_use = !by_close && co->sign_on != UINT64_MAX && !track_has_worked(t, co);

	c.is_first = by_close || is_first_use;
	cohort_rotate(d, co, now_ns);
	if (c.absence_ns)
		habit_note(&co->habit, now_ns, c.absence_ns);
	co->returns.n++;
	co->closes_ret.n += by_close;
	co->first_uses.n += is_first_use;
	if (co->usage == SLOT_NONE)
		return;
	d->usages[co->usage].n_ret++;
	service_note_return(d, &d->usages[co->usage], co, now_ns, &c);
}

static void note_idle(struct detector *d, const struct cohort *co, int64_t idle_ns)
{
	if (co->usage != SLOT_NONE && idle_ns > d->usages[co->usage].longest_idle_ns)
		d->usages[co->usage].longest_idle_ns = idle_ns;
}

/* Takes the connection out of everything. */
static int forget(struct detector *d, uint32_t slot)
{
	struct track *t = &d->tracks[slot];
	uint32_t cohort = t->cohort;
	struct cohort *co = cohort_at(d, cohort);
	int err;

	passed_remove(d, co, slot);
	minheap_remove(&co->waiting, waiting_pos(d), slot);
	opener_unref(d, t->opener);
	t->cohort = SLOT_NONE;
	cohort_leave(d, cohort);
	if (co->usage != SLOT_NONE)
		detector_unref(d, co->usage);
	err = cohort_mark(d, cohort);
	if (co->usage == SLOT_NONE && !co->n_open)
		cohort_free(d, cohort);
	return err;
}

/* --- events --- */

static struct track *find_track(struct detector *d, const struct proctab_change *ch)
{
	if (ch->conn >= d->n_tracks || d->tracks[ch->conn].cohort == SLOT_NONE)
		return NULL;
	return &d->tracks[ch->conn];
}

static void init_track(struct detector *d, const struct proctab *pt, uint32_t slot, uint32_t cohort)
{
	const struct conn *c = proctab_conn(pt, slot);
	const struct counts *counts = &proctab_usage(pt, c->usage)->counts;

	d->tracks[slot] = (struct track){
		.use_end_ns = c->opened_ns,
		.exp_ns = T_NEVER,
		.io_ns = c->opened_ns,
		.cohort = cohort,
		.opener = SLOT_NONE,
		.heap_pos = SLOT_NONE,
		.prev = SLOT_NONE,
		.next = SLOT_NONE,
		.tick = d->n_ticks,
		.reaped_ns = T_NEVER,
		.opened_before = (uint32_t)counts->opened - !c->adopted,
		.closed_before = (uint32_t)counts->closed,
		.app_closed_before = (uint32_t)d->usages[c->usage].app_closed,
		.grown_before = usage_grown(d, pt, c->usage) - !c->adopted,
		.is_client = true,
	};
}

/*
 * Does this open stand in for one that the server had ended and its program has just closed? After
 * a restart of the server a pool does so at each next use, for minutes: it does not grow, so that
 * says nothing about the others that lie there.
 */
static bool takes_place(struct cohort *co, int64_t now_ns)
{
	if (now_ns - co->vacated_ns > REPLACE_NS)
		co->n_vacated = 0;
	if (!co->n_vacated)
		return false;
	co->n_vacated--;
	return true;
}

static void note_vacated(struct cohort *co, const struct conn *c, const struct event *ev)
{
	if (ev->close != CLOSE_APP || !c || conn_has_slot(c) || c->fin_how == FIN_SHUTDOWN)
		return;
	if (ev->t_ns - co->vacated_ns > REPLACE_NS)
		co->n_vacated = 0;
	co->n_vacated++;
	co->vacated_ns = ev->t_ns;
}

/* Passes over the others, and is from then on one of them. */
static int count_open(struct detector *d, uint32_t cohort, uint32_t slot, const struct event *ev)
{
	struct cohort *co = cohort_at(d, cohort);
	int err = opener_ref(d, cohort, ev->tid, &d->tracks[slot].opener);

	co->opens++;
	d->usages[co->usage].last_open_ns = ev->t_ns;
	if (takes_place(co, ev->t_ns))
		return err;
	if (!err)
		opener_at(d, d->tracks[slot].opener)->last_open_ns = ev->t_ns;
	co->last_open_ns = ev->t_ns;
	return passed_by_open(d, co, ev->t_ns, ev->t_ns) ? -ENOMEM : err;
}

int track_open(struct detector *d, const struct proctab *pt, const struct event *ev,
	       const struct proctab_change *ch)
{
	uint32_t cohort, n = d->n_tracks;
	int err;

	if (ch->conn == SLOT_NONE || ch->usage == SLOT_NONE)
		return 0;
	err = detector_grow(&d->tracks, &d->n_tracks, ch->conn, sizeof(*d->tracks));
	if (err)
		return err;
	for (; n < d->n_tracks; n++)
		d->tracks[n].cohort = SLOT_NONE;
	if (d->tracks[ch->conn].cohort != SLOT_NONE)
		forget(d, ch->conn);
	err = cohort_get(d, ch->usage, proctab_opened_by(pt, proctab_conn(pt, ch->conn)), ev->t_ns,
			 &cohort);
	if (err)
		return err == -ENOSPC ? 0 : err; /* not followed, and counted */
	init_track(d, pt, ch->conn, cohort);
	detector_ref(d, ch->usage);
	cohort_enter(d, cohort);
	cohort_at(d, cohort)->last_ns = ev->t_ns;
	/* Nobody saw in which order adopted ones were opened, or past which others. */
	if (!ev->open.adopted)
		err = count_open(d, cohort, ch->conn, ev);
	if (passed_wait(d, cohort_at(d, cohort), ch->conn) || cohort_mark(d, cohort))
		err = -ENOMEM;
	return err;
}

static uint32_t saturate(uint64_t now, uint64_t before)
{
	uint64_t d = now > before ? now - before : 0;

	return d < UINT32_MAX ? (uint32_t)d : UINT32_MAX;
}

static bool is_repeat(const struct track *t, uint32_t dt, uint32_t dr, int64_t per_ns)
{
	int64_t diff_ns = per_ns > t->per_ns ? per_ns - t->per_ns : t->per_ns - per_ns;

	return dt == t->dt && dr == t->dr && dt <= HEARTBEAT_MAX_DT && dr <= HEARTBEAT_MAX_DR &&
	       per_ns >= HEARTBEAT_MIN_NS && diff_ns <= per_ns / 4 + NS_PER_S;
}

/*
 * Did this exchange end a pause in the client's turn? Of a connection that is busy all the time a
 * snapshot shows only its last query: a whole tick without any must lie between.
 */
static bool ends_pause(const struct detector *d, const struct track *t, const struct conn *c,
		       uint32_t dt)
{
	return dt && t->is_client && c->tx_ns != T_NEVER && c->tx_ns - t->io_ns >= PAUSE_NS &&
	       d->n_ticks - t->tick >= 2;
}

static void use(struct detector *d, struct cohort *co, uint32_t slot, const struct conn *c,
		int64_t now_ns)
{
	struct track *t = &d->tracks[slot];
	uint32_t dt = saturate(c->tx, t->tx);
	bool is_counted = t->exp_ns != T_NEVER || ends_pause(d, t, c, dt);

	if (dt && co->usage != SLOT_NONE)
		d->usages[co->usage].exchanges++;
	if (dt && t->is_client && c->tx_ns != T_NEVER)
		note_idle(d, co, c->tx_ns - t->use_end_ns);
	if (is_counted)
		note_return(d, co, t, false, now_ns);
	t->is_counted = is_counted;
	t->is_used = true;
	note_left(d, co, t, RESOLVED_USED_AGAIN);
	passed_remove(d, co, slot);
	if (c->rx_ns != T_NEVER && c->rx_ns > t->use_end_ns)
		t->use_end_ns = c->rx_ns;
}

/* Bytes moved: a use, or the beat of a heart. */
static int exchange(struct detector *d, uint32_t slot, const struct conn *c, int64_t now_ns)
{
	struct track *t = &d->tracks[slot];
	uint32_t cohort = t->cohort, dt = saturate(c->tx, t->tx), dr = saturate(c->rx, t->rx);
	struct cohort *co = cohort_at(d, cohort);
	int64_t per_ns = conn_last_io_ns(c) - t->io_ns;

	t->is_pending = false;
	if (!is_repeat(t, dt, dr, per_ns))
		t->hb = 0;
	else if (t->hb < UINT8_MAX)
		t->hb++;
	if (t->tx && d->n_ticks - t->tick >= 2)
		passed_note_quiet(co, t);
	if (t->hb < HEARTBEAT_REPEATS)
		use(d, co, slot, c, now_ns);
	t->per_ns = per_ns;
	t->io_ns = conn_last_io_ns(c);
	t->dt = dt;
	t->dr = dr;
	t->tx = c->tx;
	t->rx = c->rx;
	t->tick = d->n_ticks;
	t->is_client = conn_is_clients_turn(c);
	co->last_ns = now_ns;
	if (!t->is_client)
		passed_remove(d, co, slot);
	if (passed_wait(d, co, slot))
		return -ENOMEM;
	return cohort_mark(d, cohort);
}

/* An adopted one's first numbers are from before the watch: where it stands, not a use. */
static bool take_baseline(struct track *t, const struct conn *c)
{
	if (!c->adopted || t->is_used || t->tx || t->rx || conn_last_io_ns(c) > c->opened_ns)
		return false;
	t->tx = c->tx;
	t->rx = c->rx;
	t->io_ns = conn_last_io_ns(c);
	if (c->rx_ns != T_NEVER)
		t->use_end_ns = c->rx_ns;
	t->is_client = conn_is_clients_turn(c);
	return true;
}

/*
 * A heartbeat that was sent and not yet answered when the snapshot came. Half of it would look like
 * a use, end the idle time, and teach that such connections come back.
 */
static bool is_half_beat(const struct track *t, const struct conn *c)
{
	return t->hb >= HEARTBEAT_REPEATS && t->is_client && !conn_is_clients_turn(c) &&
	       c->rx == t->rx && saturate(c->tx, t->tx) == t->dt;
}

static int set_pending(struct detector *d, uint32_t slot)
{
	if (d->tracks[slot].is_pending)
		return 0;
	if (d->n_pending == d->cap_pending) {
		uint32_t cap = d->cap_pending ? 2 * d->cap_pending : 16;
		uint32_t *v = reallocarray(d->pending, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		d->pending = v;
		d->cap_pending = cap;
	}
	d->pending[d->n_pending++] = slot;
	d->tracks[slot].is_pending = true;
	return 0;
}

int track_io(struct detector *d, const struct proctab *pt, const struct event *ev,
	     const struct proctab_change *ch)
{
	struct track *t = find_track(d, ch);
	const struct conn *c;
	struct cohort *co;

	if (!t)
		return 0;
	c = proctab_conn(pt, ch->conn);
	co = cohort_at(d, t->cohort);
	if (take_baseline(t, c)) {
		/* use_end went back in time: its key must not be later. */
		minheap_remove(&co->waiting, waiting_pos(d), ch->conn);
		return passed_wait(d, co, ch->conn);
	}
	if (c->tx <= t->tx && c->rx <= t->rx) {
		t->is_client = conn_is_clients_turn(c);
		return passed_wait(d, co, ch->conn);
	}
	if (is_half_beat(t, c))
		return 0; /* the answer brings the whole */
	if (c->tx <= t->tx && !conn_has_slot(c)) {
		t->rx = c->rx; /* parting words, read late */
		return 0;
	}
	if (c->tx <= t->tx && t->is_client && conn_is_clients_turn(c))
		return set_pending(d, ch->conn);
	return exchange(d, ch->conn, c, ev->t_ns);
}

int track_settle_pending(struct detector *d, const struct proctab *pt, int64_t now_ns)
{
	uint32_t kept = 0;
	int err = 0;

	for (uint32_t i = 0; i < d->n_pending; i++) {
		uint32_t slot = d->pending[i];
		const struct conn *c = proctab_conn(pt, slot);

		if (!c || d->tracks[slot].cohort == SLOT_NONE || !d->tracks[slot].is_pending)
			continue;
		if (now_ns - conn_last_io_ns(c) < NS_PER_S)
			d->pending[kept++] = slot;
		else if (exchange(d, slot, c, now_ns))
			err = -ENOMEM;
	}
	d->n_pending = kept;
	return err;
}

int track_fin(struct detector *d, const struct proctab *pt, const struct event *ev,
	      const struct proctab_change *ch)
{
	struct track *t = find_track(d, ch);
	const struct conn *c;

	if (!t)
		return 0;
	c = proctab_conn(pt, ch->conn);
	if (t->is_pending) {
		t->is_pending = false;
		t->tx = c->tx;
		t->rx = c->rx;
	}
	/* As long as the server owed an answer, it did not lie idle. */
	if (!t->is_client && ev->t_ns > t->use_end_ns)
		t->use_end_ns = ev->t_ns;
	t->is_client = true;
	if (ev->fin == FIN_PEER && ghost_is_due(d, cohort_at(d, t->cohort), t, ev->t_ns))
		t->reaped_ns = ev->t_ns;
	if (passed_wait(d, cohort_at(d, t->cohort), ch->conn))
		return -ENOMEM;
	return cohort_mark(d, t->cohort);
}

/*
 * Its program came back to it and found that the server had ended it: it was not lost. A driver
 * that closes at once has not come back, it has just been told.
 */
static bool is_found_dead(const struct track *t, const struct conn *c, const struct event *ev)
{
	return ev->close == CLOSE_APP && c && !conn_has_slot(c) && c->fin_how != FIN_SHUTDOWN &&
	       t->exp_ns != T_NEVER && ev->t_ns - c->fin_ns >= NS_PER_S;
}

int track_close(struct detector *d, const struct proctab *pt, const struct event *ev,
		const struct proctab_change *ch)
{
	struct track *t = find_track(d, ch);
	const struct conn *c;
	struct cohort *co;
	int err = 0;

	if (!t)
		return 0;
	c = proctab_conn(pt, ch->conn);
	co = cohort_at(d, t->cohort);
	co->closes++;
	co->last_ns = ev->t_ns;
	note_vacated(co, c, ev);
	if (ev->close == CLOSE_APP && c && conn_has_slot(c) && !ch->is_rejected) {
		if (co->usage != SLOT_NONE)
			d->usages[co->usage].app_closed++;
		if (t->is_client)
			note_idle(d, co, ev->t_ns - t->use_end_ns);
		/* Its goodbye to the server, just before, may have counted already. */
		if (!t->is_counted || ev->t_ns - t->io_ns >= PAUSE_NS)
			note_return(d, co, t, true, ev->t_ns);
	} else if (is_found_dead(t, c, ev)) {
		note_return(d, co, t, true, ev->t_ns);
	}
	if (ghost_note_close(d, co, ch->conn, c, ev))
		err = -ENOMEM;
	note_left(d, co, t, RESOLVED_DRAINED);
	return forget(d, ch->conn) ? -ENOMEM : err;
}

/* --- who holds it --- */

static int set_unheld(struct detector *d, uint32_t slot, bool is_unheld)
{
	struct track *t = &d->tracks[slot];
	struct cohort *co = cohort_at(d, t->cohort);

	if (t->is_unheld == is_unheld)
		return 0;
	t->is_unheld = is_unheld;
	if (is_unheld) {
		passed_remove(d, co, slot);
		minheap_remove(&co->waiting, waiting_pos(d), slot);
	}
	if (passed_wait(d, co, slot))
		return -ENOMEM;
	return cohort_mark(d, t->cohort);
}

int track_held(struct detector *d, const struct proctab *pt, const struct proctab_change *ch)
{
	if (!find_track(d, ch))
		return 0;
	return set_unheld(d, ch->conn, proctab_conn(pt, ch->conn)->is_unheld);
}

static void leave_holder(struct detector *d, const struct proctab *pt, const struct track *t,
			 int64_t now_ns)
{
	const struct cohort *co = cohort_at(d, t->cohort);

	note_left(d, co, t, RESOLVED_DRAINED);
	if (co->usage == SLOT_NONE)
		return;
	d->usages[co->usage].has_handed_on = true;
	if (t->exp_ns != T_NEVER && d->usages[co->usage].has_exited)
		service_uncarry(d, pt, co->usage, now_ns);
}

/*
 * A process that is handed connections one by one, and leaves them, opens none: what it was handed
 * passes over, by its opening, what lay idle with it then.
 */
static int hand_over(struct detector *d, const struct proctab *pt, uint32_t slot, int64_t now_ns)
{
	struct cohort *co = cohort_at(d, d->tracks[slot].cohort);
	const struct conn *c = proctab_conn(pt, slot);

	if (c->adopted)
		return 0;
	if (co->last_open_ns < c->opened_ns)
		co->last_open_ns = c->opened_ns;
	return passed_by_open(d, co, c->opened_ns, now_ns);
}

static int join_holder(struct detector *d, const struct proctab *pt, uint32_t slot, uint32_t cohort,
		       int64_t exp_ns)
{
	struct cohort *co = cohort_at(d, cohort);
	struct track *t = &d->tracks[slot];
	const struct counts *counts = &proctab_usage(pt, co->usage)->counts;

	t->cohort = cohort;
	t->opened_before = (uint32_t)counts->opened;
	t->closed_before = (uint32_t)counts->closed;
	t->app_closed_before = (uint32_t)d->usages[co->usage].app_closed;
	t->grown_before = usage_grown(d, pt, co->usage) - 1;
	detector_ref(d, co->usage);
	cohort_enter(d, cohort);
	if (exp_ns != T_NEVER)
		passed_add(d, co, slot, exp_ns);
	if (passed_wait(d, co, slot))
		return -ENOMEM;
	return cohort_mark(d, cohort);
}

/*
 * Another process is charged from now on, and a finding names that one. What is known of the
 * connection goes with it: who opened it, past which others, and since when it lies idle; and what
 * the opener's cohort has learned goes to the new one, as the same code opened it.
 */
int track_move(struct detector *d, const struct proctab *pt, const struct event *ev,
	       const struct proctab_change *ch)
{
	struct track *t = find_track(d, ch);
	uint32_t to, opener = SLOT_NONE;
	int64_t exp_ns;
	int err;

	if (!t)
		return 0;
	err = track_held(d, pt, ch);
	if (cohort_at(d, t->cohort)->usage == ch->usage)
		return err;
	err = cohort_get(d, ch->usage, cohort_at(d, t->cohort)->site, ev->t_ns, &to);
	if (err == -ENOSPC) {
		leave_holder(d, pt, t, ev->t_ns);
		return forget(d, ch->conn);
	}
	if (err)
		return err;
	if (t->opener != SLOT_NONE)
		err = opener_move(d, t->opener, to, &opener);
	cohort_teach(cohort_at(d, t->cohort), cohort_at(d, to), ev->t_ns);
	leave_holder(d, pt, t, ev->t_ns);
	exp_ns = t->exp_ns;
	if (forget(d, ch->conn))
		err = -ENOMEM;
	t->opener = opener;
	t->cohort = to;
	if (hand_over(d, pt, ch->conn, ev->t_ns))
		err = -ENOMEM;
	return join_holder(d, pt, ch->conn, to, exp_ns) ? -ENOMEM : err;
}
