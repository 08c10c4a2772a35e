/* SPDX-License-Identifier: GPL-2.0-only */
/* maps.bpf.h - the maps and settings that several programs share; defined in maps.bpf.c */
#ifndef CONNLEAK_MAPS_BPF_H
#define CONNLEAK_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <connleak/abi.h>

struct storage_map {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct cl_conn);
};

struct holders_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, struct cl_holder_key);
	__type(value, struct cl_holder);
};

/*
 * Threads that have connected. A thread that changes its id by exec leaves an entry for ever, so the
 * one that was not used for longest may go: what it costs is that one thread's end is not told.
 */
struct openers_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u8);
};

struct records_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
};

struct drops_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8); /* CL_DROP_MAX, rounded up */
	__type(key, __u32);
	__type(value, __u64);
};

extern struct storage_map conns SEC(".maps");
extern struct holders_map holders SEC(".maps");
extern struct openers_map openers SEC(".maps");
extern struct records_map records SEC(".maps");
extern struct drops_map drops SEC(".maps");

extern const volatile __u64 watched_ports[1024];
extern const volatile __u32 ancestor_tgid;
extern const volatile __u64 wakeup_bytes;
extern __u64 next_conn_id;

/* Is this destination port (host order) watched? */
static __always_inline bool is_watched(__u16 port)
{
	return watched_ports[port >> 6] & (1ULL << (port & 63));
}

static __always_inline void count_drop(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&drops, &reason);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/* Nobody is woken for a record, but above a fill level the reader is. */
static __always_inline __u64 wakeup_flags(void)
{
	return bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) >= wakeup_bytes ? BPF_RB_FORCE_WAKEUP
									      : BPF_RB_NO_WAKEUP;
}

#endif
