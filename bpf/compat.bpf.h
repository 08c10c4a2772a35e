/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.bpf.h - what differs between kernels, and what it takes to read one thing on all of them
 *
 * One helper a difference. The rest of bpf/ does not know kernel versions.
 */
#ifndef CONNLEAK_COMPAT_BPF_H
#define CONNLEAK_COMPAT_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <connleak/abi.h>

#define AF_INET	    2
#define AF_INET6    10
#define IPPROTO_TCP 6
#define PF_EXITING  0x00000004
#define ETIMEDOUT   110

enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING
};

/*
 * sk_protocol was a bit field of 8 bits until bf9765145b85 (5.6) made it a u16. An MPTCP socket is
 * 262 and is not counted; its first subflow, which is a TCP socket of its own, is.
 */
static __always_inline bool is_tcp(const struct sock *sk)
{
	return sk->sk_protocol == IPPROTO_TCP;
}

static __always_inline __u32 sock_netns(const struct sock *sk)
{
	return sk->__sk_common.skc_net.net->ns.inum;
}

static __always_inline __u16 sock_dport(const struct sock *sk)
{
	return bpf_ntohs(sk->__sk_common.skc_dport);
}

/* Plain loads: @sk is a typed pointer, and a helper's call costs more than all of them. */
static __always_inline void copy_in6(const struct in6_addr *from, __u32 *to)
{
	to[0] = from->in6_u.u6_addr32[0];
	to[1] = from->in6_u.u6_addr32[1];
	to[2] = from->in6_u.u6_addr32[2];
	to[3] = from->in6_u.u6_addr32[3];
}

/* @dst: 16 bytes, zeroed, aligned to 4 */
static __always_inline void sock_raddr(const struct sock *sk, __u8 *dst)
{
	if (sk->__sk_common.skc_family == AF_INET6)
		copy_in6(&sk->__sk_common.skc_v6_daddr, (__u32 *)dst);
	else
		*(__u32 *)dst = sk->__sk_common.skc_daddr;
}

static __always_inline void sock_laddr(const struct sock *sk, __u8 *dst)
{
	if (sk->__sk_common.skc_family == AF_INET6)
		copy_in6(&sk->__sk_common.skc_v6_rcv_saddr, (__u32 *)dst);
	else
		*(__u32 *)dst = sk->__sk_common.skc_rcv_saddr;
}

struct traffic {
	__u64 tx_bytes, rx_bytes;
	__u32 tx_age_jiffies, rx_age_jiffies;
	__u32 last;
};

/*
 * Payload byte counts and the ages of the last segments. bytes_acked counts the SYN, and unlike
 * bytes_sent no retransmission. Where both ages are equal, the length of the last segment that
 * moved the send window tells what came last: 0 is a bare ACK, so payload out.
 */
static __always_inline void sock_traffic(const struct tcp_sock *tp, struct traffic *t)
{
	__u64 acked = tp->bytes_acked;
	__u32 now = bpf_jiffies64();

	t->tx_bytes = acked ? acked - 1 : 0;
	t->rx_bytes = tp->bytes_received;
	t->tx_age_jiffies = now - tp->lsndtime;
	t->rx_age_jiffies = now - tp->inet_conn.icsk_ack.lrcvtime;
	t->last = tp->rcv_nxt == tp->snd_wl1 ? CL_LAST_TX : CL_LAST_RX;
	if (!t->tx_bytes && !t->rx_bytes)
		t->last = CL_LAST_UNKNOWN;
}

#endif
