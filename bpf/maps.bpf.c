// SPDX-License-Identifier: GPL-2.0-only
/* maps.bpf.c - maps, settings, licence */
#include "maps.bpf.h"

struct storage_map conns SEC(".maps");
struct holders_map holders SEC(".maps");
struct openers_map openers SEC(".maps");
struct records_map records SEC(".maps");
struct drops_map drops SEC(".maps");

/* Settings, written before the load. */
const volatile __u64 watched_ports[1024] = {}; /* a bit for each destination port */
const volatile __u32 ancestor_tgid = 0;	       /* whose descendants are marked; 0: nobody's */
const volatile __u64 wakeup_bytes = 1 << 19;   /* records waiting above which the reader is woken */

__u64 next_conn_id = 1;

char LICENSE[] SEC("license") = "GPL";
