// SPDX-License-Identifier: GPL-2.0-only
/*
 * iter_file.bpf.c - the kernel's own tables of descriptors: what is open, and who holds it
 *
 * A walk over all descriptors of all processes, the same for three purposes (`file_pass`):
 *
 *	FILES_LISTENERS	note the ports that are listened on
 *	FILES_ADOPT	take what is open before we looked; the oldest of several holders owns it
 *	FILES_COMPARE	later, again and again: take what was missed, tell who holds what
 *
 * iter/tcp would see one network namespace only and knows no owner.
 */
#include "holder.bpf.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64); /* network namespace << 16 | port */
	__type(value, __u8);
} listening SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct cl_held);
} held SEC(".maps");

struct holder_scratch_map adopt_scratch SEC(".maps");

__u32 file_pass = 0;	   /* enum cl_file_pass */
__u32 n_held = 0;	   /* written in this pass; user space sets it to 0 before one */
__u32 n_held_missed = 0;   /* in this pass, for want of room */
__u32 n_files_adopted = 0; /* in this pass */
__u32 n_refused = 0;	   /* in this pass, for want of memory: it may be there a moment later */

static __always_inline __u64 listen_key(const struct sock *sk)
{
	return (__u64)sock_netns(sk) << 16 | sk->__sk_common.skc_num;
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

/* @c was just made, and is all zero. */
static __always_inline void adopt(struct cl_conn *c, struct task_struct *task, struct sock *sk,
				  __u32 flags)
{
	struct cl_holder *h;

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
	n_files_adopted++;
	if (h)
		__sync_fetch_and_add(&h->adopted, 1);
}

static __always_inline struct cl_held *next_held(struct task_struct *task)
{
	__u32 i = n_held;
	struct cl_held *e = bpf_map_lookup_elem(&held, &i);

	if (!e) {
		n_held_missed++;
		return NULL;
	}
	n_held = i + 1;
	__builtin_memset(e, 0, sizeof(*e));
	holder_key_of(task, &e->holder);
	return e;
}

/* A socket with a watched port at its other end. */
static __always_inline void on_client(struct task_struct *task, struct sock *sk, int state)
{
	__u32 flags = flags_of_state(state);
	__u64 key = listen_key(sk);
	struct cl_held *e;
	struct cl_conn *c;

	c = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!c) {
		/* accepted from a client whose own port happens to be watched */
		if (!flags || bpf_map_lookup_elem(&listening, &key))
			return;
		c = bpf_sk_storage_get(&conns, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (!c) {
			n_refused++;
			return;
		}
		/* a live program may have come first */
		if (!c->id)
			adopt(c, task, sk, flags);
	} else if (file_pass == CL_FILES_ADOPT) {
		take_over(c, task, sk);
	}
	/* connecting, refused, or disconnected and gone elsewhere: no connection, see iter_conn */
	if (!c->opened_ns || (!(c->flags & CL_SLOT) && sock_dport(sk) != c->rport))
		return;
	e = next_held(task);
	if (e)
		e->id = c->id;
}

/* What a holder has accepted: connections that may end in it and go on from there. */
static __always_inline void on_server(struct task_struct *task, struct sock *sk)
{
	struct cl_holder_key key;
	struct cl_held *e;

	holder_key_of(task, &key);
	if (!bpf_map_lookup_elem(&holders, &key))
		return;
	e = next_held(task);
	if (!e)
		return;
	e->family = sk->__sk_common.skc_family == AF_INET6 ? 6 : 4;
	e->netns = sock_netns(sk);
	e->rport = sock_dport(sk);
	sock_raddr(sk, e->raddr);
}

/*
 * Hook: iter/task_file, run by user space.
 * Context: the reader's; sees the reader's pid namespace and every network namespace.
 * Writes: listening, or conns, holders and held.
 * Kernel: 5.12 (bpf_sock_from_file is 5.11).
 */
SEC("iter/task_file")
int walk_files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	int state;

	/* threads that share their leader's files are left out by the iterator itself */
	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_tcp(sk))
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_LISTEN)
		note_listener(sk);
	else if (file_pass == CL_FILES_LISTENERS)
		return 0;
	else if (is_watched(sock_dport(sk)))
		on_client(task, sk, state);
	else if (state == TCP_ESTABLISHED && file_pass == CL_FILES_COMPARE)
		on_server(task, sk);
	return 0;
}
