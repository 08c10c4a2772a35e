// SPDX-License-Identifier: GPL-2.0-only
/*
 * sockstate.bpf.c - a connection's life: attempt, opening, the slot's end, the descriptor's end
 *
 * Two programs on one tracepoint, because a program that is interrupted by itself on one cpu is
 * skipped: an opening in process context must not cost a closing in softirq.
 *
 *	7>2	conn_attempt	the connecting thread: the one moment that knows the owner
 *	2>1	conn_state	opened: the server spends a slot from here on
 *	2>7	conn_state	failed
 *	1>4	conn_state	slot given up by the application (close, exit, shutdown)
 *	1>7	conn_state	the same (unread data, SO_LINGER 0, AF_UNSPEC); with sk_err: reset
 *	1>8	conn_state	slot taken by the peer's FIN; the descriptor is still held
 *	8>9 8>7	conn_state	... and now given up
 *	destroy	conn_destroy	a reset socket's descriptor is gone, too
 *
 * Counting at 1>4 and not at the last transition matters: that is when the server gets its slot
 * back; FIN_WAIT2 may last a minute.
 */
#include "holder.bpf.h"
#include <bpf/bpf_tracing.h>

struct holder_scratch_map attempt_scratch SEC(".maps");

static __always_inline void fill_head(struct cl_rec *head, __u32 kind, const struct cl_conn *c,
				      __u64 now)
{
	head->kind = kind;
	head->tid = c->tid;
	head->t_ns = now;
	head->holder = c->holder;
}

static __always_inline void send_open(const struct sock *sk, const struct cl_conn *c, __u64 now)
{
	struct cl_rec_open *r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);

	if (!r) {
		count_drop(CL_DROP_RING);
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	fill_head(&r->head, CL_REC_OPEN, c, now);
	r->id = c->id;
	r->family = sk->__sk_common.skc_family;
	r->lport = c->lport;
	r->rport = sock_dport(sk);
	sock_laddr(sk, r->laddr);
	sock_raddr(sk, r->raddr);
	__builtin_memcpy(r->thread_comm, c->thread_comm, sizeof(r->thread_comm));
	bpf_ringbuf_submit(r, wakeup_flags());
}

/* @t: the final counts, or NULL where nothing was ever exchanged */
static __always_inline void send_end(struct sock *sk, const struct cl_conn *c, __u32 kind,
				     const struct traffic *t, __u64 now)
{
	struct cl_rec_end *r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);

	if (!r) {
		count_drop(CL_DROP_RING);
		return;
	}
	__builtin_memset(r, 0, sizeof(*r));
	fill_head(&r->head, kind, c, now);
	r->id = c->id;
	if (t) {
		r->tx_bytes = t->tx_bytes;
		r->rx_bytes = t->rx_bytes;
		r->tx_age_jiffies = t->tx_age_jiffies;
		r->rx_age_jiffies = t->rx_age_jiffies;
		r->last = t->last;
	}
	r->how = c->how;
	r->err = sk->sk_err;
	r->family = sk->__sk_common.skc_family;
	r->rport = sock_dport(sk);
	sock_raddr(sk, r->raddr);
	bpf_ringbuf_submit(r, wakeup_flags());
}

static __always_inline void socket_traffic(struct sock *sk, struct traffic *t)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (tp)
		sock_traffic(tp, t);
}

static __always_inline void count_lifetime(struct cl_holder *h, __u64 lifetime_ns)
{
	__u64 us = lifetime_ns / 1000;
	__u32 bin = 0;

	/* floor(log2(us)), by halves */
	for (int shift = 16; shift; shift >>= 1) {
		if (us >> shift) {
			us >>= shift;
			bin += shift;
		}
	}
	if (us > 1 || bin >= CL_LIFETIME_BINS)
		bin = CL_LIFETIME_BINS - 1;
	__sync_fetch_and_add(&h->lifetime[bin & (CL_LIFETIME_BINS - 1)], 1);
}

static __always_inline void remember_opener(__u32 tid)
{
	__u8 one = 1;

	if (!bpf_map_lookup_elem(&openers, &tid))
		bpf_map_update_elem(&openers, &tid, &one, BPF_ANY);
}

/*
 * Hook: tp_btf/inet_sock_set_state, 7>2.
 * Context: the connecting thread, always (also non-blocking, Fast Open, io_uring).
 * Writes: conns (afresh: storage survives a refused attempt), holders, openers.
 * Kernel: 5.12 (storage in tracing programs; atomic fetch).
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(conn_attempt, const struct sock *csk, int oldstate, int newstate)
{
	struct sock *sk = (struct sock *)csk;
	struct task_struct *task;
	struct cl_holder *h;
	struct cl_conn *c;

	if (newstate != TCP_SYN_SENT || oldstate == newstate)
		return 0;
	if (!is_watched(sock_dport(sk)) || !is_tcp(sk))
		return 0;
	c = bpf_sk_storage_get(&conns, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c) {
		count_drop(CL_DROP_STORAGE);
		return 0;
	}
	task = bpf_get_current_task_btf();
	__builtin_memset(c, 0, sizeof(*c));
	c->id = __sync_fetch_and_add(&next_conn_id, 1);
	c->flags = CL_CONNECTING | CL_FD;
	holder_key_of(task, &c->holder);
	c->tid = task->pid;
	bpf_get_current_comm(c->thread_comm, sizeof(c->thread_comm));
	remember_opener(c->tid);
	h = holder_get(&c->holder, task, sk, &attempt_scratch);
	if (!h)
		return 0;
	if (__sync_fetch_and_add(&h->attempts, 1) == 0) {
		h->cgroup_id = bpf_get_current_cgroup_id();
		h->uid = bpf_get_current_uid_gid();
	}
	return 0;
}

static __always_inline void opened(struct sock *sk, struct cl_conn *c)
{
	struct cl_holder *h = bpf_map_lookup_elem(&holders, &c->holder);

	c->opened_ns = bpf_ktime_get_boot_ns();
	c->flags = CL_SLOT | CL_FD;
	c->lport = sk->__sk_common.skc_num;
	c->rport = sock_dport(sk);
	if (h) {
		__sync_fetch_and_add(&h->established, 1);
		h->last_open_ns = c->opened_ns;
	}
	send_open(sk, c, c->opened_ns);
}

static __always_inline void failed(struct sock *sk, struct cl_conn *c)
{
	struct cl_holder *h = bpf_map_lookup_elem(&holders, &c->holder);

	c->flags = 0;
	if (h)
		__sync_fetch_and_add(&h->failed, 1);
	send_end(sk, c, CL_REC_FAIL, NULL, bpf_ktime_get_boot_ns());
}

static __always_inline __u32 how_ended(struct sock *sk, int newstate)
{
	struct task_struct *task;

	if (newstate == TCP_CLOSE_WAIT)
		return CL_HOW_FIN;
	if (newstate == TCP_CLOSE && sk->sk_err)
		return sk->sk_err == ETIMEDOUT ? CL_HOW_TIMEOUT : CL_HOW_RESET;
	task = bpf_get_current_task_btf();
	return task->flags & PF_EXITING ? CL_HOW_EXIT : CL_HOW_APP;
}

/*
 * "Too many clients" arrives after the TCP open, and it is mostly the client that then closes: an
 * end by FIN, or by anyone who has read no more than an error message.
 */
static __always_inline bool is_rejected(const struct cl_conn *c, const struct traffic *t)
{
	if (c->flags & CL_ADOPTED || c->slot_end_ns - c->opened_ns >= CL_REJECT_NS)
		return false;
	return c->how == CL_HOW_FIN || t->rx_bytes < CL_REJECT_BYTES;
}

static __always_inline void slot_ended(struct sock *sk, struct cl_conn *c, __u32 how)
{
	struct cl_holder *h = bpf_map_lookup_elem(&holders, &c->holder);
	__u64 now = bpf_ktime_get_boot_ns();
	struct traffic t = {};
	bool by_app;

	socket_traffic(sk, &t);
	c->how = how;
	c->slot_end_ns = now;
	c->flags &= ~CL_SLOT;
	by_app = how == CL_HOW_APP || how == CL_HOW_EXIT || how == CL_HOW_UNKNOWN;
	if (by_app)
		c->flags &= ~CL_FD;
	if (h) {
		__sync_fetch_and_add(by_app ? &h->closed_app : &h->closed_peer, 1);
		h->last_close_ns = now;
		count_lifetime(h, now - c->opened_ns);
		if (is_rejected(c, &t))
			__sync_fetch_and_add(&h->rejected, 1);
	}
	send_end(sk, c, CL_REC_SLOT_END, &t, now);
}

/* The peer had taken the slot; now the descriptor goes. */
static __always_inline void fd_ended(struct sock *sk, struct cl_conn *c)
{
	struct cl_holder *h = bpf_map_lookup_elem(&holders, &c->holder);

	struct traffic t = {};

	socket_traffic(sk, &t);
	c->flags &= ~CL_FD;
	if (h)
		__sync_fetch_and_add(&h->fd_closed, 1);
	send_end(sk, c, CL_REC_FD_END, &t, bpf_ktime_get_boot_ns());
}

/*
 * Hook: tp_btf/inet_sock_set_state, all but 7>2.
 * Context: anyone's (softirq, another process): the owner comes from the storage.
 * Writes: conns, holders, a record at 2>1 and one at each end.
 * Kernel: 5.12.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(conn_state, const struct sock *csk, int oldstate, int newstate)
{
	struct sock *sk = (struct sock *)csk;
	struct cl_conn *c;

	/* only what leaves SYN_SENT, ESTABLISHED or CLOSE_WAIT says anything */
	if (!((1 << oldstate) & (1 << TCP_SYN_SENT | 1 << TCP_ESTABLISHED | 1 << TCP_CLOSE_WAIT)) ||
	    oldstate == newstate)
		return 0;
	if (!is_watched(sock_dport(sk)) || !is_tcp(sk))
		return 0;
	c = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!c)
		return 0;
	/* leaving ESTABLISHED while still connecting: its 2>1 was skipped, see above */
	if (c->flags & CL_CONNECTING &&
	    (newstate == TCP_ESTABLISHED || oldstate == TCP_ESTABLISHED))
		opened(sk, c);
	if (oldstate == TCP_SYN_SENT && newstate == TCP_CLOSE)
		failed(sk, c);
	else if (oldstate == TCP_ESTABLISHED && c->flags & CL_SLOT)
		slot_ended(sk, c, how_ended(sk, newstate));
	else if (oldstate == TCP_CLOSE_WAIT && c->flags & CL_FD && !sk->sk_err)
		fd_ended(sk, c);
	return 0;
}

/*
 * Hook: tp_btf/tcp_destroy_sock.
 * Context: whoever lets the socket go.
 * Writes: conns, holders, a record for a descriptor that outlived its slot, or for a slot whose end
 *	was missed.
 * Kernel: 5.12.
 */
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(conn_destroy, struct sock *sk)
{
	struct cl_conn *c;

	if (!is_watched(sock_dport(sk)) || !is_tcp(sk))
		return 0;
	c = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!c || c->flags & CL_CONNECTING)
		return 0;
	/* the program that saw its end was skipped: better late than never */
	if (c->flags & CL_SLOT)
		slot_ended(sk, c, CL_HOW_UNKNOWN);
	else if (c->flags & CL_FD)
		fd_ended(sk, c);
	return 0;
}
