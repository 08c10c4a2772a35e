// SPDX-License-Identifier: GPL-2.0-only
/* taskexit.bpf.c - the end of processes that hold connections, and of threads that opened some */
#include "holder.bpf.h"
#include <bpf/bpf_tracing.h>

static __always_inline void send_exit(__u32 kind, const struct cl_holder_key *key, __u32 tid)
{
	struct cl_rec *r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);

	if (!r) {
		count_drop(CL_DROP_RING);
		return;
	}
	r->kind = kind;
	r->tid = tid;
	r->t_ns = bpf_ktime_get_boot_ns();
	r->holder = *key;
	bpf_ringbuf_submit(r, wakeup_flags());
}

/*
 * Hook: tp_btf/sched_process_exit.
 * Context: the exiting thread. A process's exit comes before the closes that it causes.
 * Writes: openers, holders, a record.
 * Kernel: 5.12.
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(task_exit, struct task_struct *task)
{
	struct cl_holder_key key;
	struct cl_holder *h;
	__u32 tid = task->pid;
	bool is_opener;

	/* looked up first: a deletion takes a lock, and most processes never connect */
	is_opener = bpf_map_lookup_elem(&openers, &tid) != NULL;
	if (is_opener)
		bpf_map_delete_elem(&openers, &tid);
	if (task->signal->live.counter > 0) {
		if (is_opener) {
			holder_key_of(task, &key);
			send_exit(CL_REC_THREAD_EXIT, &key, tid);
		}
		return 0;
	}
	holder_key_of(task, &key);
	h = bpf_map_lookup_elem(&holders, &key);
	if (h)
		h->exit_ns = bpf_ktime_get_boot_ns();
	/* one that found the holder table full is known to user space all the same */
	if (h || is_opener)
		send_exit(CL_REC_EXIT, &key, tid);
	return 0;
}
