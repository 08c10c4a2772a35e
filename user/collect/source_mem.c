/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <stdlib.h>

struct source_mem {
	const struct event *events;
	size_t n;
	size_t next;
};

static int push(struct snapshot *s, const struct event *ev)
{
	if (ev->kind == EV_HOLDER && ev->info)
		return snapshot_push_holder(s, ev->t_ns, ev->holder, ev->info);
	return snapshot_push(s, ev);
}

static int mem_next(void *arg, struct snapshot *s)
{
	struct source_mem *m = arg;
	const struct event *ev;
	int err;

	if (m->next == m->n)
		return 0;
	do {
		ev = &m->events[m->next++];
		err = push(s, ev);
		if (err)
			return err;
	} while (ev->kind != EV_TICK && m->next < m->n);
	s->now_ns = ev->t_ns;
	return 1;
}

static int mem_fd(void *arg)
{
	(void)arg;
	return -1;
}

static void mem_close(void *arg)
{
	free(arg);
}

static const struct source_ops mem_ops = {.next = mem_next, .fd = mem_fd, .close = mem_close};

int source_mem_open(struct source *s, const struct event *events, size_t n)
{
	struct source_mem *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = (struct source_mem){.events = events, .n = n};
	*s = (struct source){.ops = &mem_ops, .arg = m};
	return 0;
}
