/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64

void snapshot_init(struct snapshot *s)
{
	*s = (struct snapshot){.drift = -1, .unheld = -1};
}

static void clear_infos(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_infos; i++) {
		holder_info_release(s->infos[i]);
		free(s->infos[i]);
	}
	s->n_infos = 0;
	for (size_t i = 0; i < s->n_sites; i++) {
		site_info_release(s->sites[i]);
		free(s->sites[i]);
	}
	s->n_sites = 0;
}

/* One busy tick (the adoption at the start) must not keep its memory for good. */
static void shrink_events(struct snapshot *s)
{
	size_t cap = s->cap_events / 2;
	struct event *events;

	if (cap < CAP_MIN || s->n_events > cap / 2)
		return;
	events = reallocarray(s->events, cap, sizeof(*events));
	if (!events)
		return;
	s->events = events;
	s->cap_events = cap;
}

void snapshot_clear(struct snapshot *s)
{
	clear_infos(s);
	shrink_events(s);
	s->n_events = 0;
	s->now_ns = 0;
	s->wall_offset_ns = 0;
	s->drift = -1;
	s->unheld = -1;
	s->repaired = 0;
}

void snapshot_release(struct snapshot *s)
{
	if (!s)
		return;
	clear_infos(s);
	free(s->infos);
	free(s->sites);
	free(s->events);
	*s = (struct snapshot){0};
}

int snapshot_push(struct snapshot *s, const struct event *ev)
{
	if (s->n_events == s->cap_events) {
		size_t cap = s->cap_events ? s->cap_events + s->cap_events / 2 : CAP_MIN;
		struct event *events = reallocarray(s->events, cap, sizeof(*events));

		if (!events)
			return -ENOMEM;
		s->events = events;
		s->cap_events = cap;
	}
	s->events[s->n_events++] = *ev;
	return 0;
}

/* Room for one more pointer in the list @list. Returns 0 or -ENOMEM. */
static int grow_list(void *list, size_t n, size_t *cap)
{
	void **old, **grown;
	size_t want = *cap ? *cap * 2 : 8;

	if (n < *cap)
		return 0;
	memcpy(&old, list, sizeof(old));
	grown = reallocarray(old, want, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memcpy(list, &grown, sizeof(grown));
	*cap = want;
	return 0;
}

int snapshot_push_holder(struct snapshot *s, int64_t t_ns, uint64_t holder,
			 const struct holder_info *info)
{
	struct event ev = {.t_ns = t_ns, .kind = EV_HOLDER, .holder = holder};
	struct holder_info *copy = calloc(1, sizeof(*copy));
	int err = copy ? holder_info_copy(info, copy) : -ENOMEM;

	if (!err)
		err = grow_list(&s->infos, s->n_infos, &s->cap_infos);
	ev.info = copy;
	if (!err)
		err = snapshot_push(s, &ev);
	if (!err) {
		s->infos[s->n_infos++] = copy;
		return 0;
	}
	holder_info_release(copy);
	free(copy);
	return err;
}

int snapshot_push_site(struct snapshot *s, int64_t t_ns, uint64_t site,
		       const struct site_info *info)
{
	struct event ev = {.t_ns = t_ns, .kind = EV_SITE, .site = site};
	struct site_info *copy = calloc(1, sizeof(*copy));
	int err = copy ? site_info_copy(info, copy) : -ENOMEM;

	if (!err)
		err = grow_list(&s->sites, s->n_sites, &s->cap_sites);
	ev.site_info = copy;
	if (!err)
		err = snapshot_push(s, &ev);
	if (!err) {
		s->sites[s->n_sites++] = copy;
		return 0;
	}
	site_info_release(copy);
	free(copy);
	return err;
}

/* Sorting these 16 bytes instead of whole events keeps the extra memory small. */
struct key {
	int64_t t_ns;
	size_t from;
};

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

static bool is_sorted(const struct snapshot *s)
{
	for (size_t i = 1; i < s->n_events; i++)
		if (s->events[i - 1].t_ns > s->events[i].t_ns)
			return false;
	return true;
}

/* Moves every event to its place, cycle by cycle; spends @keys. */
static void permute(struct event *events, struct key *keys, size_t n)
{
	for (size_t start = 0; start < n; start++) {
		struct event first = events[start];
		size_t to = start;

		while (keys[to].from != start) {
			size_t from = keys[to].from;

			events[to] = events[from];
			keys[to].from = to;
			to = from;
		}
		events[to] = first;
		keys[to].from = to;
	}
}

int snapshot_sort(struct snapshot *s)
{
	struct key *keys;

	if (is_sorted(s))
		return 0;
	keys = reallocarray(NULL, s->n_events, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_events; i++)
		keys[i] = (struct key){s->events[i].t_ns, i};
	qsort(keys, s->n_events, sizeof(*keys), compare_keys);
	permute(s->events, keys, s->n_events);
	free(keys);
	return 0;
}
