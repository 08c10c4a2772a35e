/* SPDX-License-Identifier: Apache-2.0 */
/* truth.c - what really happened, and the parameters that it was drawn with */
#include "world_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- parameters --- */

void param_note(struct world *w, const char *name, double value)
{
	char *params = w->truth.params;
	size_t n = strlen(params);

	if (w->is_replica)
		return;
	snprintf(params + n, sizeof(w->truth.params) - n, "%s%s=%.4g", n ? " " : "", name, value);
}

double param_log(struct world *w, const char *name, double lo, double hi)
{
	double x = rng_log(&w->param_rng, lo, hi);

	param_note(w, name, x);
	return x;
}

double param_between(struct world *w, const char *name, double lo, double hi)
{
	double x = rng_between(&w->param_rng, lo, hi);

	param_note(w, name, x);
	return x;
}

int param_int(struct world *w, const char *name, int lo, int hi)
{
	int x = rng_int(&w->param_rng, lo, hi);

	param_note(w, name, x);
	return x;
}

int param_int_log(struct world *w, const char *name, int lo, int hi)
{
	int x = (int)rng_log(&w->param_rng, lo, (double)hi + 1);

	x = x > hi ? hi : x;
	param_note(w, name, x);
	return x;
}

bool param_chance(struct world *w, const char *name, double p)
{
	bool x = rng_chance(&w->param_rng, p);

	param_note(w, name, x);
	return x;
}

void world_mark_params(struct world *w)
{
	w->first_param_rng = w->param_rng;
}

void world_begin_replica(struct world *w)
{
	w->param_rng = w->first_param_rng;
	w->is_replica = true;
}

struct rng *world_param_rng(struct world *w)
{
	return &w->param_rng;
}

/* --- leaks --- */

void world_set_family(struct world *w, const char *family, bool is_leaky, bool is_known_hard)
{
	w->truth.family = family;
	w->truth.is_leaky = is_leaky;
	w->truth.is_known_hard = is_known_hard;
}

void world_leak_begins(struct world *w)
{
	if (w->truth.begin_ns == T_NEVER)
		w->truth.begin_ns = w->now_ns;
}

void world_leak_rate(struct world *w, double per_min)
{
	w->truth.nominal_per_min = per_min;
}

static void list_holder(struct gen_truth *t, struct gen_proc *p)
{
	if (p->is_listed || t->n_holders == GEN_MAX_HOLDERS)
		return;
	p->is_listed = true;
	t->holders[t->n_holders++] = p->id;
}

void gen_lose(struct gen_conn *c)
{
	struct gen_truth *t = &c->w->truth;

	if (c->is_leaked || !c->is_open)
		return;
	c->is_leaked = true;
	c->owner = NULL;
	c->on_fin = NULL;
	list_holder(t, c->proc);
	if (t->begin_ns == T_NEVER)
		t->begin_ns = c->last_use_ns;
	c->w->last_leak_ns = c->last_use_ns;
	t->n_leaked++;
	t->n_leaked_open++;
	if (t->n_leaks == GEN_MAX_LEAKS)
		return;
	t->leaks[t->n_leaks++] = (struct gen_leak){
		.conn = c->id,
		.holder = c->proc->id,
		.opened_ns = c->opened_ns,
		.last_use_ns = c->last_use_ns,
		.slot_ns = c->has_fin ? c->w->now_ns : T_NEVER,
		.end_ns = T_NEVER,
	};
	c->leak = t->n_leaks;
}

void truth_of_leak_use(struct gen_conn *c)
{
	if (c->is_leaked)
		c->w->truth.n_broken++;
}

void truth_of_slot_end(struct gen_conn *c)
{
	if (c->leak && c->w->truth.leaks[c->leak - 1].slot_ns == T_NEVER)
		c->w->truth.leaks[c->leak - 1].slot_ns = c->w->now_ns;
}

void truth_of_end(struct gen_conn *c)
{
	if (!c->is_leaked)
		return;
	truth_of_slot_end(c);
	c->w->truth.n_leaked_open--;
	if (c->leak)
		c->w->truth.leaks[c->leak - 1].end_ns = c->w->now_ns;
}

void truth_of_limit(struct gen_server *s)
{
	struct gen_truth *t = &s->w->truth;

	if (t->limit_ns != T_NEVER)
		return;
	t->limit_ns = s->w->now_ns;
	t->limit = s->conf.limit;
}

const struct gen_truth *world_truth(struct world *w)
{
	struct gen_truth *t = &w->truth;
	double min;

	t->duration_ns = w->now_ns;
	t->rate_per_min = (double)NAN;
	if (t->nominal_per_min < 0)
		t->nominal_per_min = (double)NAN;
	if (t->n_leaked < 2)
		return t;
	min = (double)(w->last_leak_ns - t->begin_ns) / NS_PER_S / 60;
	if (min > 0)
		t->rate_per_min = (double)t->n_leaked / min;
	return t;
}
