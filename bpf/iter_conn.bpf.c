// SPDX-License-Identifier: GPL-2.0-only
/*
 * iter_conn.bpf.c - the snapshot: every tracked socket into an array that user space has mapped
 *
 * An object of its own: the array cannot grow, so a larger one means to open this object again,
 * while state and counters stay where they are, in the maps it shares with the live programs.
 */
#include "compat.bpf.h"
#include "maps.bpf.h"
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct cl_sock);
} socks SEC(".maps");

__u32 n_socks = 0;  /* written in this pass; user space sets it to 0 before one */
__u32 n_missed = 0; /* in this pass, for want of room */

/*
 * The program that counts openings is skipped when it is interrupted by itself: what is established
 * and not counted yet is counted here, one pass late.
 */
static __always_inline void count_skipped_open(struct sock *sk, struct cl_conn *c)
{
	struct cl_holder *h = bpf_map_lookup_elem(&holders, &c->holder);

	c->opened_ns = bpf_ktime_get_boot_ns();
	c->flags = CL_SLOT | CL_FD;
	c->lport = sk->__sk_common.skc_num;
	c->rport = sock_dport(sk);
	if (h)
		__sync_fetch_and_add(&h->established, 1);
}

/* Likewise a slot that ended: the state is stored after the event, so the event has been and gone. */
static __always_inline void count_skipped_end(struct sock *sk, struct cl_conn *c, int state)
{
	struct cl_holder *h = bpf_map_lookup_elem(&holders, &c->holder);
	bool by_app = state != TCP_CLOSE_WAIT && !(state == TCP_CLOSE && sk->sk_err);

	c->slot_end_ns = bpf_ktime_get_boot_ns();
	c->flags &= ~CL_SLOT;
	c->how = by_app ? CL_HOW_APP : state == TCP_CLOSE_WAIT ? CL_HOW_FIN : CL_HOW_RESET;
	if (by_app)
		c->flags &= ~CL_FD;
	if (h)
		__sync_fetch_and_add(by_app ? &h->closed_app : &h->closed_peer, 1);
}

/*
 * Hook: iter/bpf_sk_storage_map, run by user space at each tick.
 * Context: the reader's. The pass is not atomic over all sockets.
 * Writes: socks, n_socks; conns and holders for what the live programs skipped.
 * Kernel: 5.12.
 */
SEC("iter/bpf_sk_storage_map")
int walk_conns(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct cl_conn *c = ctx->value;
	struct sock *sk = ctx->sk;
	struct traffic t = {};
	struct tcp_sock *tp;
	struct cl_sock *s;
	__u32 flags, i;
	int state;

	if (!sk || !c)
		return 0;
	/*
	 * The state first: it is stored after its event's programs have run, so what the flags do
	 * not know of a state that is read before them was skipped and is not just on its way.
	 */
	state = sk->__sk_common.skc_state;
	flags = *(volatile __u32 *)&c->flags;
	if (flags & CL_CONNECTING && state == TCP_ESTABLISHED)
		count_skipped_open(sk, c);
	else if (flags & CL_SLOT && state != TCP_ESTABLISHED)
		count_skipped_end(sk, c, state);
	flags = c->flags & ~CL_FD;
	if (sk->sk_socket)
		flags |= CL_FD;
	if (flags & CL_CONNECTING || !(flags & (CL_SLOT | CL_FD)) || !c->opened_ns)
		return 0;
	/* disconnected by its process, and perhaps connected to something else by now */
	if (!(flags & CL_SLOT) && sock_dport(sk) != c->rport)
		return 0;
	i = n_socks;
	s = bpf_map_lookup_elem(&socks, &i);
	if (!s) {
		n_missed++;
		return 0;
	}
	n_socks = i + 1;
	__builtin_memset(s, 0, sizeof(*s));
	s->id = c->id;
	s->opened_ns = c->opened_ns;
	s->slot_end_ns = c->slot_end_ns;
	s->holder = c->holder;
	s->tid = c->tid;
	s->lport = c->lport;
	s->rport = sock_dport(sk);
	s->family = sk->__sk_common.skc_family == AF_INET6 ? 6 : 4;
	s->state = state;
	s->flags = flags;
	s->how = c->how;
	s->netns = sock_netns(sk);
	sock_laddr(sk, s->laddr);
	sock_raddr(sk, s->raddr);
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	sock_traffic(tp, &t);
	s->tx_bytes = t.tx_bytes;
	s->rx_bytes = t.rx_bytes;
	s->tx_age_jiffies = t.tx_age_jiffies;
	s->rx_age_jiffies = t.rx_age_jiffies;
	s->last = t.last;
	return 0;
}
