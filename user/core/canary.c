/* SPDX-License-Identifier: Apache-2.0 */
#include "canary_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "power.h"

#define PROGRESS_NEEDED 5
#define USUAL_GAP_NS                                                                               \
	(120 * NS_PER_S) /* between two exchanges; more of it is time without traffic */

struct canary *canary_new(const struct canary_params *p)
{
	struct canary *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->p = *p;
	c->now_ns = c->last_exchange_ns = T_NEVER;
	return c;
}

static void side_release(struct side *s)
{
	idmap_release(&s->ids);
	free(s->holders);
}

void canary_free(struct canary *c)
{
	if (!c)
		return;
	side_release(&c->target);
	side_release(&c->control);
	free(c);
}

const char *verdict_name(enum verdict_kind k)
{
	static const char *const names[] = {"pass", "leak", "inconclusive"};

	return (unsigned)k < 3 ? names[k] : "unknown";
}

bool canary_can_pass(const struct canary_params *p, double *ret_needed_s)
{
	const struct power_seen nothing = {.window_s = (double)p->window_ns / NS_PER_S};

	*ret_needed_s = power_needed(&nothing, p->detect_per_min, p->confidence);
	return power_detectable(&nothing, p->confidence) <= p->detect_per_min * (1 + 1e-9);
}

/* --- who is watched --- */

static struct watched *find_watched(const struct side *s, uint64_t holder_id)
{
	uint32_t pos, i = idmap_first(&s->ids, idmap_hash(holder_id), &pos);

	while (i != IDMAP_NONE && s->holders[i].holder_id != holder_id)
		i = idmap_next(&s->ids, idmap_hash(holder_id), &pos);
	return i == IDMAP_NONE ? NULL : &s->holders[i];
}

static struct watched *add_watched(struct side *s, const struct holder *h)
{
	const char *service = h->info.group ? h->info.group : h->info.comm;

	if (s->n == s->cap) {
		uint32_t cap = s->cap ? 2 * s->cap : 8;
		struct watched *v = reallocarray(s->holders, cap, sizeof(*v));

		if (!v)
			return NULL;
		s->holders = v;
		s->cap = cap;
	}
	if (idmap_put(&s->ids, idmap_hash(h->id), s->n))
		return NULL;
	s->holders[s->n] = (struct watched){.holder_id = h->id,
					    .service = hash_mix(hash_part(HASH_BASIS, service))};
	return &s->holders[s->n++];
}

/* Was it at work before the window? Then what it did until now is not of the window. */
static bool was_there_before(const struct canary *c, const struct proctab *pt,
			     const struct holder *h)
{
	for (uint32_t i = h->first_usage; i != SLOT_NONE;
	     i = proctab_usage(pt, i)->next_of_holder) {
		const struct usage *u = proctab_usage(pt, i);

		if (u->first_open_ns != T_NEVER && u->first_open_ns < c->p.start_ns)
			return true;
	}
	return false;
}

static bool passes(const struct canary *c, canary_filter filter, const struct proctab *pt,
		   uint32_t usage)
{
	const struct usage *u = proctab_usage(pt, usage);

	return filter(proctab_holder(pt, u->holder), proctab_peer(pt, u->peer), c->p.arg);
}

enum role canary_role(const struct canary *c, const struct proctab *pt, uint32_t usage)
{
	if (!c->p.is_target || passes(c, c->p.is_target, pt, usage))
		return ROLE_TARGET;
	return c->p.is_control && passes(c, c->p.is_control, pt, usage) ? ROLE_CONTROL : ROLE_NONE;
}

static bool has_role(const struct canary *c, const struct proctab *pt, const struct holder *h,
		     enum role role)
{
	for (uint32_t i = h->first_usage; i != SLOT_NONE; i = proctab_usage(pt, i)->next_of_holder)
		if (canary_role(c, pt, i) == role)
			return true;
	return false;
}

/*
 * The rule `service` adds up over all processes of a service, candidate and control alike: beside
 * a control with rungs of its own it says nothing about the candidate alone.
 */
bool canary_counts_finding(const struct canary *c, const struct detector *d, uint32_t usage,
			   const struct usage_view *v)
{
	if (detector_find(d, usage) == SLOT_NONE)
		return false;
	return v->rule != RULE_SERVICE || !c->control_k;
}

/* --- each tick --- */

static void add_counts(struct counts *sum, const struct counts *n)
{
	sum->opened += n->opened;
	sum->closed += n->closed;
	sum->adopted += n->adopted;
	sum->failed += n->failed;
	sum->rejected += n->rejected;
	sum->open += n->open;
	sum->fd_only += n->fd_only;
}

static void name_leak(struct canary *c, const struct proctab *pt, const struct detector *d,
		      uint32_t usage, const struct usage_view *v)
{
	struct named *n = &c->named;
	struct finding f;
	uint32_t i;

	if (v->abandoned >= n->abandoned) {
		n->abandoned = v->abandoned;
		n->rate_per_min = v->rate_per_min;
		n->usage = usage;
		n->holder_id = proctab_holder(pt, proctab_usage(pt, usage)->holder)->id;
	}
	if (detector_finding(d, pt, detector_find(d, usage), &f)) {
		c->is_out_of_memory = true;
		return;
	}
	for (i = 0; i < n->n_findings && strcmp(n->findings[i], f.id); i++)
		;
	if (i == n->n_findings && i < 16)
		memcpy(n->findings[n->n_findings++], f.id, sizeof(f.id));
	finding_release(&f);
}

/* Who opened what was opened since the last tick and still is open. */
static void sample_openers(const struct canary *c, const struct proctab *pt, const struct usage *u,
			   struct watched *w)
{
	const struct conn *conn;

	for (uint32_t i = u->last_conn; i != SLOT_NONE; i = conn->prev) {
		uint64_t bit;

		conn = proctab_conn(pt, i);
		if (conn->adopted || conn->opened_ns <= c->now_ns)
			return;
		bit = idmap_hash(conn->tid) % CANARY_THREAD_BITS;
		w->threads[bit / 64] |= 1ULL << bit % 64;
		w->n_sampled++;
	}
}

static void watch_target(struct canary *c, const struct proctab *pt, const struct detector *d,
			 uint32_t usage, const struct usage_view *v)
{
	struct canary_progress *p = &c->progress;

	if (v->longest_idle_ns > c->longest_idle_ns)
		c->longest_idle_ns = v->longest_idle_ns;
	if (v->tx_ns > c->tx_ns || (v->tx_ns == c->tx_ns && v->tail_demand > c->tail_demand)) {
		c->tx_ns = v->tx_ns;
		c->longest_absence_ns = v->longest_absence_ns;
		c->tail_demand = v->tail_demand;
	}
	if (v->k_own > p->k)
		p->k = v->k_own;
	if (c->p.is_control && passes(c, c->p.is_control, pt, usage))
		c->n_excluded++;
	if (!canary_counts_finding(c, d, usage, v))
		return;
	p->is_leak = true;
	name_leak(c, pt, d, usage, v);
}

static void watch_usages(struct canary *c, const struct proctab *pt, const struct detector *d,
			 const struct holder *h, enum role role, struct watched *w)
{
	uint32_t left_idle = 0;
	bool has_unseen = false;

	w->exchanges = 0;
	w->now = (struct counts){0};
	for (uint32_t i = h->first_usage; i != SLOT_NONE;
	     i = proctab_usage(pt, i)->next_of_holder) {
		struct usage_view v;

		if (canary_role(c, pt, i) != role)
			continue;
		detector_usage(d, pt, i, &v);
		left_idle += detector_left_idle(d, pt, i, c->p.start_ns);
		has_unseen = has_unseen || detector_has_unseen(d, pt, i, c->p.start_ns);
		add_counts(&w->now, &proctab_usage(pt, i)->counts);
		w->exchanges += v.exchanges;
		sample_openers(c, pt, proctab_usage(pt, i), w);
		if (role == ROLE_TARGET)
			watch_target(c, pt, d, i, &v);
		else if (v.k_own > c->control_k)
			c->control_k = v.k_own;
	}
	/* Its end closes everything: what it had left behind until then is what counts. */
	w->has_ended = h->exit_ns != T_NEVER;
	if (w->has_ended)
		return;
	w->left_idle = left_idle;
	w->has_unseen = has_unseen;
}

static void watch_holder(struct canary *c, const struct proctab *pt, const struct detector *d,
			 const struct holder *h, enum role role)
{
	struct side *s = role == ROLE_TARGET ? &c->target : &c->control;
	struct watched *w;
	bool is_old;

	if (!has_role(c, pt, h, role))
		return;
	w = find_watched(s, h->id);
	if (w) {
		watch_usages(c, pt, d, h, role, w);
		return;
	}
	w = add_watched(s, h);
	if (!w) {
		c->is_out_of_memory = true;
		return;
	}
	is_old = was_there_before(c, pt, h);
	watch_usages(c, pt, d, h, role, w);
	if (!is_old)
		return;
	w->base = w->now;
	/* Adopted ones are part of what was watched, whenever they were found. */
	w->base.adopted = 0;
	w->base_exchanges = w->exchanges;
}

static uint64_t less(uint64_t now, uint64_t base)
{
	return now > base ? now - base : 0;
}

void canary_sum_side(const struct side *s, struct side_sum *ret)
{
	*ret = (struct side_sum){0};
	for (uint32_t i = 0; i < s->n; i++) {
		const struct watched *w = &s->holders[i];
		const struct counts of_window = {
			.opened = less(w->now.opened, w->base.opened),
			.closed = less(w->now.closed, w->base.closed),
			.adopted = less(w->now.adopted, w->base.adopted),
			.failed = less(w->now.failed, w->base.failed),
			.rejected = less(w->now.rejected, w->base.rejected),
			.open = w->now.open,
			.fd_only = w->now.fd_only,
		};

		add_counts(&ret->counts, &of_window);
		ret->exchanges += less(w->exchanges, w->base_exchanges);
		ret->left_idle += w->left_idle;
	}
}

static double seconds(int64_t ns)
{
	return (double)ns / NS_PER_S;
}

static void sum_progress(struct canary *c)
{
	struct canary_progress *p = &c->progress;
	struct side_sum sum;

	canary_sum_side(&c->target, &sum);
	p->watched_s = seconds(c->now_ns - c->p.start_ns);
	p->window_s = seconds(c->p.window_ns);
	p->holders = c->target.n;
	p->k_needed = PROGRESS_NEEDED;
	p->opened = sum.counts.opened;
	p->closed = sum.counts.closed;
	p->open = sum.counts.open;
	p->exchanges = sum.exchanges;
}

/* Whoever is no longer in the table holds nothing. */
static void settle_gone(struct side *s, const struct proctab *pt, double tick_s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		if (proctab_find_holder(pt, s->holders[i].holder_id) == SLOT_NONE) {
			s->holders[i].now.open = 0;
			s->holders[i].has_ended = true;
		}
		if (!s->holders[i].has_ended)
			s->alive_s += tick_s;
	}
}

static int64_t gap_beyond_usual(const struct canary *c, int64_t until_ns)
{
	int64_t since_ns = c->last_exchange_ns == T_NEVER ? c->p.start_ns : c->last_exchange_ns;

	return until_ns - since_ns > USUAL_GAP_NS ? until_ns - since_ns - USUAL_GAP_NS : 0;
}

int64_t canary_quiet_ns(const struct canary *c)
{
	return c->now_ns == T_NEVER ? 0 : c->quiet_ns + gap_beyond_usual(c, c->now_ns);
}

static void note_exchanges(struct canary *c, uint64_t before)
{
	if (c->progress.exchanges == before)
		return;
	c->quiet_ns += gap_beyond_usual(c, c->now_ns);
	c->last_exchange_ns = c->now_ns;
}

uint32_t canary_threads(const struct canary *c)
{
	double most = 0;

	for (uint32_t i = 0; i < c->target.n; i++) {
		const struct watched *w = &c->target.holders[i];
		uint32_t unset = CANARY_THREAD_BITS;

		if (w->n_sampled < CANARY_THREADS_SAMPLE)
			continue;
		for (uint32_t bit = 0; bit < CANARY_THREAD_BITS; bit++)
			unset -= w->threads[bit / 64] >> bit % 64 & 1;
		/* So many threads leave so many bits unset, on the average. */
		most = fmax(most, CANARY_THREAD_BITS *
					  log((double)CANARY_THREAD_BITS / (unset ? unset : 1)));
	}
	return (uint32_t)lround(most);
}

void canary_tick(struct canary *c, const struct proctab *pt, const struct detector *d,
		 int64_t now_ns)
{
	uint64_t exchanges = c->progress.exchanges;
	uint32_t excluded = c->n_excluded;
	double tick_s;

	if (now_ns < c->p.start_ns)
		return;
	if (c->now_ns == T_NEVER) {
		c->base_lost = proctab_lost(pt) + detector_lost(d);
		c->now_ns = c->p.start_ns;
	}
	tick_s = seconds(now_ns - c->now_ns);
	c->lost = proctab_lost(pt) + detector_lost(d) - c->base_lost;
	c->progress = (struct canary_progress){0};
	c->tx_ns = c->longest_absence_ns = 0;
	c->tail_demand = 0;
	c->n_excluded = 0;
	for (uint32_t i = 0; i < proctab_n_holders(pt); i++) {
		const struct holder *h = proctab_holder(pt, i);

		if (!h)
			continue;
		watch_holder(c, pt, d, h, ROLE_TARGET);
		if (c->p.is_control)
			watch_holder(c, pt, d, h, ROLE_CONTROL);
	}
	if (c->n_excluded < excluded)
		c->n_excluded = excluded;
	c->now_ns = now_ns;
	settle_gone(&c->target, pt, tick_s);
	settle_gone(&c->control, pt, tick_s);
	sum_progress(c);
	note_exchanges(c, exchanges);
}

void canary_get_progress(const struct canary *c, struct canary_progress *ret)
{
	*ret = c->progress;
	ret->window_s = seconds(c->p.window_ns);
	ret->k_needed = PROGRESS_NEEDED;
}
