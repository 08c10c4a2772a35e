/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c - processes, threads and call sites of the simulated node */
#include "world_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/core/identity.h"

char *world_text(struct world *w, const char *prefix, const char *s, const char *suffix)
{
	size_t size = strlen(prefix) + strlen(s) + strlen(suffix) + 1;
	char *copy = world_alloc(w, size);

	snprintf(copy, size, "%s%s%s", prefix, s, suffix);
	return copy;
}

static void describe(struct gen_proc *p, const struct gen_proc_conf *conf)
{
	struct holder_info *info = &p->info;
	struct world *w = p->w;
	char *group;

	*info = (struct holder_info){.pid = p->pid, .start_ns = p->started_ns, .uid = 1000};
	/* As long as the kernel keeps it. */
	snprintf(info->comm, sizeof(info->comm), "%.15s", conf->comm ? conf->comm : conf->service);
	info->exe = world_text(w, "/usr/local/bin/", conf->service, "");
	info->unit = world_text(w, "", conf->service, ".service");
	info->cgroup = world_text(w, "/system.slice/", conf->service, ".service");
	info->version = conf->version ? world_text(w, "", conf->version, "") : NULL;
	if (identity_group(info))
		abort();
	/* Everything else of it is the world's, so this is to be. */
	group = info->group;
	info->group = world_text(w, "", group, "");
	free(group);
}

struct gen_proc *gen_proc_new(struct world *w, const struct gen_proc_conf *conf)
{
	struct gen_proc *p = world_alloc(w, sizeof(*p));

	p->w = w;
	p->pid = w->next_pid += (uint32_t)rng_int(&w->rng, 1, 20);
	p->started_ns = w->now_ns;
	p->exited_ns = T_NEVER;
	p->next = w->procs;
	if (p->next)
		p->next->prev = p;
	w->procs = p;
	describe(p, conf);
	return p;
}

/* A thread's id is a pid of the kernel's; those of one process lie near each other. */
uint32_t gen_thread_new(struct gen_proc *p)
{
	if (!p->last_tid)
		return p->last_tid = p->pid;
	return p->last_tid = p->w->next_pid += 1;
}

void gen_thread_exit(struct gen_proc *p, uint32_t tid)
{
	struct event ev = {.kind = EV_THREAD_EXIT, .holder = p->id, .tid = tid};

	if (p->is_told && !p->is_exited)
		world_emit(p->w, &ev);
}

static double hours_of(const struct world *w, const struct gen_proc *p)
{
	int64_t from_ns = p->started_ns > w->watch_ns ? p->started_ns : w->watch_ns;
	int64_t until_ns = p->is_exited ? p->exited_ns : w->now_ns;

	return until_ns > from_ns ? (double)(until_ns - from_ns) / NS_PER_S / 3600 : 0;
}

double world_process_hours(const struct world *w)
{
	double hours = w->ended_process_hours;

	for (const struct gen_proc *p = w->procs; p; p = p->next)
		hours += hours_of(w, p);
	return hours;
}

void gen_proc_exit(struct gen_proc *p)
{
	struct event ev = {.kind = EV_EXIT, .holder = p->id};
	struct world *w = p->w;

	if (p->is_exited)
		return;
	p->is_exited = true;
	p->exited_ns = w->now_ns;
	if (p->is_told)
		world_emit(w, &ev);
	conn_end_of_proc(p);
	w->ended_process_hours += hours_of(w, p);
	if (p->next)
		p->next->prev = p->prev;
	*(p->prev ? &p->prev->next : &w->procs) = p->next;
}

void world_tell_proc(struct gen_proc *p)
{
	struct event ev = {.kind = EV_HOLDER};

	if (!p->id)
		p->id = ++p->w->next_holder;
	if (p->is_told || !p->w->is_watching)
		return;
	p->is_told = true;
	ev.holder = p->id;
	ev.info = &p->info;
	world_emit(p->w, &ev);
}

/* --- call sites --- */

uint64_t gen_site(struct gen_proc *p, const char *function)
{
	struct world *w = p->w;
	struct site *s;

	if (!w->opts.has_sites)
		return 0;
	for (s = w->sites; s; s = s->next)
		if (!strcmp(s->function, function))
			return s->id;
	s = world_alloc(w, sizeof(*s));
	s->function = world_text(w, "", function, "");
	s->id = ++w->next_site;
	s->next = w->sites;
	w->sites = s;
	return s->id;
}

void world_tell_site(struct world *w, uint64_t site)
{
	struct site_frame frame = {0};
	struct site_info info = {.frames = &frame, .n_frames = 1};
	struct event ev = {.kind = EV_SITE, .site = site, .site_info = &info};

	if (!site || !w->is_watching)
		return;
	for (struct site *s = w->sites; s; s = s->next) {
		if (s->id != site || s->is_told)
			continue;
		s->is_told = true;
		frame.function = (char *)s->function;
		world_emit(w, &ev);
	}
}
