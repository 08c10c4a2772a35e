/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence_site.c - the call sites of a finding: where its connections come from, the worst first
 */
#include "detector_impl.h"

#include <stdio.h>
#include <string.h>

#include "app_frame.h"

#define MAX_FIRST_USERS 64 /* told apart; what first used the rest is not listed */

/* Was it told as leaked: abandoned now, or one of those that hold the finding still? */
static bool is_leaked(const struct detector *d, const struct alert *a, const struct track *t)
{
	if (t->cohort == SLOT_NONE || t->exp_ns == T_NEVER)
		return false;
	if (track_is_abandoned(t, cohort_at(d, t->cohort), d->now_ns))
		return true;
	return a->status == FINDING_FIRING && t->exp_ns <= a->abandoned_exp_ns;
}

static uint64_t count_leaked(const struct detector *d, const struct alert *a,
			     const struct cohort *co)
{
	uint64_t n = 0;

	/* in order of exp_ns: after the first that is not leaked none is */
	for (uint32_t c = co->exp_first; c != SLOT_NONE && is_leaked(d, a, &d->tracks[c]);
	     c = d->tracks[c].next)
		n++;
	return n;
}

/* What leaks first; then those that opened, the ones that opened most first. */
static bool is_larger(const struct finding_site *a, const struct finding_site *b)
{
	if (a->leaked != b->leaked)
		return a->leaked > b->leaked;
	if (a->role != b->role)
		return a->role == SITE_OPENED_BY;
	return a->role == SITE_OPENED_BY ? a->opened > b->opened : a->open > b->open;
}

/* Insertion among the largest; @site may fall off the end. */
static void add_site(struct finding *f, const struct finding_site *site)
{
	uint32_t i = f->n_sites;

	/* Site 0 collects what was opened without a stack: no place in the code. */
	f->sites_total += site->site != 0;
	while (i && is_larger(site, &f->sites[i - 1])) {
		if (i < FINDING_MAX_SITES)
			f->sites[i] = f->sites[i - 1];
		i--;
	}
	if (i < FINDING_MAX_SITES)
		f->sites[i] = *site;
	if (f->n_sites < FINDING_MAX_SITES)
		f->n_sites++;
}

/*
 * The window is the usage's. A cohort counts from its own beginning, so its part of the window is
 * known to be no more than the whole; of the only cohort of a usage it is the whole.
 */
static void add_openers(const struct detector *d, const struct alert *a, struct finding *f)
{
	for (uint32_t i = d->usages[a->usage].first_cohort; i != SLOT_NONE;
	     i = cohort_at(d, i)->next_of_usage) {
		const struct cohort *co = cohort_at(d, i);
		struct finding_site site = {
			.site = co->site,
			.role = SITE_OPENED_BY,
			.opened = co->opens < f->opened ? co->opens : f->opened,
			.closed = co->closes < f->closed ? co->closes : f->closed,
			.open = co->n_open,
			.leaked = count_leaked(d, a, co),
		};

		add_site(f, &site);
	}
}

/* The entry of @key among the @n first users, made if there is room; NULL: there is none. */
static struct finding_site *first_user(struct finding_site *users, uint32_t *n, uint64_t key)
{
	for (uint32_t i = 0; i < *n; i++)
		if (users[i].site == key)
			return &users[i];
	if (!key || *n == MAX_FIRST_USERS)
		return NULL;
	users[*n] = (struct finding_site){.site = key, .role = SITE_FIRST_USED_BY};
	return &users[(*n)++];
}

static void add_idle(struct finding *f, uint64_t site)
{
	for (uint32_t i = 0; i < f->n_sites; i++)
		if (f->sites[i].site == site)
			f->sites[i].idle++;
}

/* Goes over the usage's open connections: who is idle, and who used them first. */
static void add_connections(const struct detector *d, const struct proctab *pt,
			    const struct alert *a, struct finding *f)
{
	struct finding_site users[MAX_FIRST_USERS], *user;
	const struct usage *pu = proctab_usage(pt, a->usage);
	uint32_t n = 0;

	for (uint32_t i = pu ? pu->first_conn : SLOT_NONE; i != SLOT_NONE;
	     i = proctab_conn(pt, i)->next) {
		bool is_tracked = i < d->n_tracks && d->tracks[i].cohort != SLOT_NONE;
		bool is_idle = is_tracked && track_is_idle(d, i);

		if (is_idle)
			add_idle(f, cohort_at(d, d->tracks[i].cohort)->site);
		user = first_user(users, &n, proctab_first_used_by(pt, proctab_conn(pt, i)));
		if (!user)
			continue;
		user->open++;
		user->idle += is_idle;
		user->leaked += is_tracked && is_leaked(d, a, &d->tracks[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		add_site(f, &users[i]);
}

/* Appends where it comes from to the reason, if that is known and there is room for it. */
static void name_origin(struct finding *f)
{
	struct finding_origin origin;
	size_t len = strlen(f->reason);
	char frame[APP_FRAME_LEN];
	int n;

	if (!finding_origin(f, &origin))
		return;
	n = snprintf(f->reason + len, sizeof(f->reason) - len, "; %s %s",
		     origin.site->role == SITE_OPENED_BY ? "they come from" : "first used by",
		     app_frame_format(origin.frame, " ", frame));
	if (n < 0 || (size_t)n >= sizeof(f->reason) - len)
		f->reason[len] = '\0';
}

int evidence_sites(const struct detector *d, const struct proctab *pt, const struct alert *a,
		   struct finding *f)
{
	add_openers(d, a, f);
	add_connections(d, pt, a, f);
	for (uint32_t i = 0; i < f->n_sites; i++) {
		const struct site_info *info = proctab_site(pt, f->sites[i].site);
		int err = info ? site_info_copy(info, &f->sites[i].info) : 0;

		if (err)
			return err;
	}
	name_origin(f);
	return 0;
}
