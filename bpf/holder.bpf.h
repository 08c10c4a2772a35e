/* SPDX-License-Identifier: GPL-2.0-only */
/* holder.bpf.h - the entry of a process in the holder table */
#ifndef CONNLEAK_HOLDER_BPF_H
#define CONNLEAK_HOLDER_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"

#define MAX_ANCESTORS 32

static __always_inline void holder_key_of(struct task_struct *task, struct cl_holder_key *key)
{
	key->start_ns = task->group_leader->start_boottime;
	key->tgid = task->tgid;
	key->pad = 0;
}

static __always_inline __u32 is_descendant(struct task_struct *task)
{
	struct task_struct *p = task;

	if (!ancestor_tgid)
		return 0;
	for (int i = 0; i < MAX_ANCESTORS; i++) {
		p = BPF_CORE_READ(p, group_leader, real_parent);
		if (!p)
			return 0;
		__u32 tgid = BPF_CORE_READ(p, tgid);

		if (tgid == ancestor_tgid)
			return 1;
		if (tgid <= 1)
			return 0;
	}
	return 0;
}

/* A holder is too large for the stack; programs that use this cannot nest on one cpu. */
struct holder_scratch_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cl_holder);
};

/*
 * Finds @key's entry or makes it, with the names that @task has now. @scratch: the calling
 * program's own. NULL: the table is full, which is counted.
 */
static __always_inline struct cl_holder *holder_get(const struct cl_holder_key *key,
						    struct task_struct *task, const struct sock *sk,
						    void *scratch)
{
	struct cl_holder *h = bpf_map_lookup_elem(&holders, key);
	__u32 zero = 0;

	if (h)
		return h;
	h = bpf_map_lookup_elem(scratch, &zero);
	if (!h)
		return NULL;
	__builtin_memset(h, 0, sizeof(*h));
	h->first_ns = bpf_ktime_get_boot_ns();
	h->netns = sock_netns(sk);
	h->is_descendant = is_descendant(task);
	bpf_probe_read_kernel_str(h->comm, sizeof(h->comm), task->group_leader->comm);
	BPF_CORE_READ_STR_INTO(&h->nodename, task, nsproxy, uts_ns, name.nodename);
	bpf_map_update_elem(&holders, key, h, BPF_NOEXIST);
	h = bpf_map_lookup_elem(&holders, key);
	if (!h)
		count_drop(CL_DROP_HOLDER);
	return h;
}

#endif
