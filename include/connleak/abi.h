/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * abi.h - the records and constants that kernel programs and user space share
 *
 * The only file that both sides include. Fixed widths, explicit padding, no pointers, no bool.
 * Times are CLOCK_BOOTTIME nanoseconds unless a name says otherwise; addresses are in network
 * order (IPv4 in the first four bytes, the rest 0); ports are in host order.
 */
#ifndef CONNLEAK_ABI_H
#define CONNLEAK_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define CL_ABI_VERSION	 1
#define CL_COMM_LEN	 16
#define CL_NODENAME_LEN	 64
#define CL_REJECT_NS	 1000000000ULL /* a connection that ends sooner ... */
#define CL_REJECT_BYTES	 300	       /* ... having read less than this was refused a session */
#define CL_LIFETIME_BINS 32	       /* bin i counts lifetimes in [2^i, 2^(i+1)) microseconds */

/* Bits of a connection. What they mean and when they change: sockstate.bpf.c. */
enum cl_conn_flag {
	CL_SLOT = 1 << 0,      /* the server spends a slot on it */
	CL_FD = 1 << 1,	       /* a descriptor (or a task in flight) holds the socket */
	CL_ADOPTED = 1 << 2,   /* was there before we looked: opened_ns is the moment we did */
	CL_CONNECTING = 1 << 3 /* SYN sent, not established: costs the server nothing yet */
};

/* How a connection's slot, and then its descriptor, went. */
enum cl_how {
	CL_HOW_NONE,
	CL_HOW_APP,	/* the application closed (or shut down) first */
	CL_HOW_EXIT,	/* the same, by a process that is exiting */
	CL_HOW_FIN,	/* the peer closed first */
	CL_HOW_RESET,	/* the peer, or something on the way, reset it */
	CL_HOW_TIMEOUT, /* retransmissions or keep-alives went unanswered */
	CL_HOW_UNKNOWN, /* the socket is gone and nobody saw how */
	CL_HOW_MAX
};

/* What came last, payload in or payload out (kernel side of an equal-jiffy tie). */
enum cl_last { CL_LAST_UNKNOWN, CL_LAST_RX, CL_LAST_TX };

/* Reasons for which the kernel side could not keep something. Indexes of `drops`. */
enum cl_drop {
	CL_DROP_RING,	  /* ring buffer full: a record is missing, the counters are right */
	CL_DROP_STORAGE,  /* no memory for a socket's state: the next walk repairs it */
	CL_DROP_HOLDER,	  /* holder table full: no counters; the records are all there is */
	CL_DROP_LISTEN,	  /* table of listening ports full: an accepted socket may be adopted */
	CL_DROP_SNAPSHOT, /* snapshot array full: the connection is not in this pass */
	CL_DROP_MAX
};

struct cl_holder_key {
	__u64 start_ns; /* of the group leader, CLOCK_BOOTTIME */
	__u32 tgid;	/* as the host's pid namespace sees it */
	__u32 pad;
};

/* Per holder: identity as of its first connect, counters ever since. Never reset. */
struct cl_holder {
	__u64 cgroup_id;
	__u64 first_ns; /* first attempt or adoption */
	__u64 last_open_ns;
	__u64 last_close_ns;
	__u64 exit_ns; /* 0 while it lives */
	__u64 attempts;
	__u64 established; /* reached ESTABLISHED under our eyes; excludes adopted */
	__u64 adopted;
	__u64 closed_app;  /* slot given up by the application, exits included */
	__u64 closed_peer; /* slot taken by the peer: FIN, reset, timeout */
	__u64 fd_closed;   /* of closed_peer: the descriptor went too */
	__u64 failed;
	__u64 rejected; /* slot gone within 1 s, by the peer's FIN or with an error message's worth
			   read */
	__u32 netns;	/* inode number of the network namespace of its first connect */
	__u32 uid;
	__u32 is_descendant; /* of the process in `ancestor_tgid`, see settings in maps.bpf.c */
	__u32 pad;
	char comm[CL_COMM_LEN]; /* of the group leader */
	char nodename[CL_NODENAME_LEN];
	__u64 lifetime[CL_LIFETIME_BINS];
};

/* Per socket, in SK_STORAGE. Freed with the socket. */
struct cl_conn {
	__u64 id;	 /* unique in one run; a reconnect on the same socket gets a new one */
	__u64 opened_ns; /* ESTABLISHED, or adopted; 0 before */
	__u64 slot_end_ns;
	struct cl_holder_key holder;
	__u32 tid; /* thread that called connect; 0 when adopted */
	__u32 flags;
	__u32 how; /* enum cl_how of the slot's end */
	__u16 lport;
	__u16 rport; /* a disconnected socket may go elsewhere later */
	char thread_comm[CL_COMM_LEN];
};

enum cl_rec_kind {
	CL_REC_OPEN = 1, /* reached ESTABLISHED */
	CL_REC_SLOT_END, /* slot gone; the descriptor too if how is APP or EXIT */
	CL_REC_FD_END,	 /* descriptor gone after the peer had taken the slot */
	CL_REC_FAIL,	 /* never reached ESTABLISHED */
	CL_REC_EXIT,	 /* a holder's process ended */
	CL_REC_THREAD_EXIT
};

/* Purposes of a walk over descriptors: iter_file.bpf.c. */
enum cl_file_pass { CL_FILES_LISTENERS, CL_FILES_ADOPT, CL_FILES_COMPARE };

/* Common head of all ring records. */
struct cl_rec {
	__u32 kind; /* enum cl_rec_kind */
	__u32 tid;
	__u64 t_ns;
	struct cl_holder_key holder;
};

struct cl_rec_open {
	struct cl_rec head;
	__u64 id;
	__u64 site; /* call-site id; 0: no stack taken */
	__u8 laddr[16];
	__u8 raddr[16];
	__u16 lport;
	__u16 rport;
	__u16 family; /* AF_INET or AF_INET6, as the kernel has it (mapped addresses included) */
	__u16 pad;
	char thread_comm[CL_COMM_LEN];
};

struct cl_rec_end {
	struct cl_rec head;
	__u64 id;
	__u64 tx_bytes; /* payload the peer acknowledged */
	__u64 rx_bytes;
	__u32 tx_age_jiffies; /* since the last payload segment sent; meaningless if tx_bytes is 0
			       */
	__u32 rx_age_jiffies;
	__u32 how; /* enum cl_how */
	__s32 err; /* the socket's error, positive errno; of CL_REC_FAIL the reason */
	__u8 raddr[16];
	__u16 rport;
	__u16 family;
	__u32 last; /* enum cl_last */
};

/* One connection in the snapshot array. */
struct cl_sock {
	__u64 id;
	__u64 opened_ns;
	__u64 slot_end_ns; /* 0 while the slot is held */
	struct cl_holder_key holder;
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u32 tx_age_jiffies; /* at the moment the record was written */
	__u32 rx_age_jiffies;
	__u32 tid;
	__u16 lport;
	__u16 rport;
	__u8 family; /* 4 or 6 */
	__u8 state;  /* TCP state number */
	__u8 flags;  /* enum cl_conn_flag */
	__u8 last;   /* enum cl_last */
	__u8 how;
	__u8 pad[3];
	__u32 netns; /* inode number */
	__u32 pad2;
	__u8 laddr[16];
	__u8 raddr[16];
};

/*
 * One descriptor that a walk over all descriptors met: of a tracked socket (id), or a connection
 * that a holder accepted (id 0, and who is at its other end).
 */
struct cl_held {
	__u64 id;
	struct cl_holder_key holder; /* the process whose descriptor it is */
	__u8 raddr[16];
	__u32 netns;
	__u16 rport;
	__u8 family; /* 4 or 6 */
	__u8 pad;
};

_Static_assert(sizeof(struct cl_holder_key) == 16, "holder key");
_Static_assert(sizeof(struct cl_holder) == 13 * 8 + 16 + 16 + 64 + 32 * 8, "holder");
_Static_assert(sizeof(struct cl_conn) == 72, "connection");
_Static_assert(sizeof(struct cl_rec) == 32, "record head");
_Static_assert(sizeof(struct cl_rec_open) == 104, "open record");
_Static_assert(sizeof(struct cl_rec_end) == 96, "end record");
_Static_assert(sizeof(struct cl_held) == 48, "descriptor");
_Static_assert(sizeof(struct cl_sock) == 120, "snapshot record");
_Static_assert(CL_DROP_MAX <= 8, "drop counters fit their array");

#endif
