// SPDX-License-Identifier: GPL-2.0-only
/*
 * iter_file.bpf.c - connections that were open before we looked, and who holds them
 *
 * Two passes over all descriptors of all processes, chosen by `file_pass`: the first notes the
 * ports that are listened on, the second adopts. iter/tcp would see one network namespace only and
 * knows no owner.
 */
#include "holder.bpf.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64); /* network namespace << 16 | port */
	__type(value, __u8);
} listening SEC(".maps");

struct holder_scratch_map adopt_scratch SEC(".maps");

__u32 file_pass = 0;  /* 0: note listeners; 1: adopt */
__u64 files_seen = 0; /* descriptors of processes that the walk met, for doctor */
__u64 files_adopted = 0;

static __always_inline __u64 listen_key(const struct sock *sk)
{
	return (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) << 16 |
	       sk->__sk_common.skc_num;
}

static __always_inline void note_listener(const struct sock *sk)
{
	__u64 key = listen_key(sk);
	__u8 one = 1;

	if (bpf_map_update_elem(&listening, &key, &one, BPF_ANY))
		count_drop(CL_DROP_LISTEN);
}

static __always_inline __u32 flags_of_state(int state)
{
	switch (state) {
	case TCP_SYN_SENT:
		return CL_CONNECTING | CL_FD;
	case TCP_ESTABLISHED:
		return CL_ADOPTED | CL_SLOT | CL_FD;
	case TCP_CLOSE_WAIT:
		return CL_ADOPTED | CL_FD;
	default:
		return 0;
	}
}

/* The oldest of several holders owns an adopted connection. */
static __always_inline void take_over(struct cl_conn *c, struct task_struct *task, struct sock *sk)
{
	struct cl_holder_key key;
	struct cl_holder *from, *to;

	holder_key_of(task, &key);
	if (!(c->flags & CL_ADOPTED) || key.start_ns >= c->holder.start_ns)
		return;
	from = bpf_map_lookup_elem(&holders, &c->holder);
	to = holder_get(&key, task, sk, &adopt_scratch);
	if (!from || !to)
		return;
	__sync_fetch_and_add(&from->adopted, -1);
	__sync_fetch_and_add(&to->adopted, 1);
	c->holder = key;
}

static __always_inline void adopt(struct task_struct *task, struct sock *sk, __u32 flags)
{
	struct cl_holder *h;
	struct cl_conn *c;

	c = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (c) {
		take_over(c, task, sk);
		return;
	}
	c = bpf_sk_storage_get(&conns, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c) {
		count_drop(CL_DROP_STORAGE);
		return;
	}
	/* a live program may have come first: a storage that was just made is all zero */
	if (c->id)
		return;
	c->id = __sync_fetch_and_add(&next_conn_id, 1);
	c->flags = flags;
	c->lport = sk->__sk_common.skc_num;
	c->rport = sock_dport(sk);
	holder_key_of(task, &c->holder);
	h = holder_get(&c->holder, task, sk, &adopt_scratch);
	if (flags & CL_CONNECTING) {
		c->tid = task->pid;
		return;
	}
	c->opened_ns = bpf_ktime_get_boot_ns();
	if (!(flags & CL_SLOT)) {
		c->slot_end_ns = c->opened_ns;
		c->how = CL_HOW_FIN;
	}
	__sync_fetch_and_add(&files_adopted, 1);
	if (h)
		__sync_fetch_and_add(&h->adopted, 1);
}

/*
 * Hook: iter/task_file, run by user space.
 * Context: the reader's; sees the reader's pid namespace and every network namespace.
 * Writes: listening, or conns and holders.
 * Kernel: 5.11 (bpf_sock_from_file).
 */
SEC("iter/task_file")
int walk_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	__u32 flags;
	__u64 key;
	int state;

	if (!task || !file || task->tgid != task->pid)
		return 0;
	__sync_fetch_and_add(&files_seen, 1);
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_tcp(sk))
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	state = sk->__sk_common.skc_state;
	if (!file_pass) {
		if (state == TCP_LISTEN)
			note_listener(sk);
		return 0;
	}
	flags = flags_of_state(state);
	if (!flags || !is_watched(sock_dport(sk)))
		return 0;
	key = listen_key(sk);
	if (bpf_map_lookup_elem(&listening, &key))
		return 0;
	adopt(task, sk, flags);
	return 0;
}
