/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "connleak.skel.h"
#include "iter_conn.skel.h"
#include "iter_file.skel.h"
#include "kernel_probe.h"

#define MIN_ENTRIES 16384
#define MAX_SOCKS   500000
#define WALK_TRIES  3
#define MAX_HELD    1000000 /* a socket may have several holders */

/* Ids of what a walk finds, apart from those of what is opened under our eyes. */
#define FIRST_FOUND_ID (1ULL << 48)

/* The array that the programs of one pass write, as this process sees it. */
struct mapped {
	const void *at;
	size_t bytes;
	uint32_t cap; /* entries */
};

struct kernel {
	struct connleak_bpf *skel;
	struct ring_buffer *ring;
	struct iter_conn_bpf *conn_pass; /* over tracked sockets */
	struct bpf_link *conn_link;
	struct mapped socks;		 /* struct cl_sock */
	struct iter_file_bpf *file_pass; /* over descriptors */
	struct bpf_link *file_link;
	struct mapped held; /* struct cl_held */
	uint64_t missed;    /* that no array had room for: the most at one time, summed up */
	uint32_t missed_socks, missed_held; /* in the last pass */
	uint64_t refused;     /* sockets for whose state there was no memory, in all */
	uint32_t refused_now; /* in the last walk */
	uint16_t ports[64];
	size_t n_ports;
	uint32_t ancestor_tgid;
	void (*take)(void *arg, const struct cl_rec *r, size_t size);
	void *take_arg;
};

/* Reads an iterator to its end; its programs write elsewhere. */
static int run_iterator(struct bpf_link *link)
{
	char nothing[64];
	ssize_t n;
	int fd, err = 0;

	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		return -errno;
	do
		n = read(fd, nothing, sizeof(nothing));
	while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	if (n < 0)
		err = -errno;
	close(fd);
	return err;
}

static void unmap(struct mapped *m)
{
	if (m->at)
		munmap((void *)m->at, m->bytes);
	*m = (struct mapped){0};
}

static int map_array(struct mapped *m, const struct bpf_map *map)
{
	size_t page = sysconf(_SC_PAGESIZE);
	uint32_t cap = bpf_map__max_entries(map);
	size_t bytes = (cap * (size_t)bpf_map__value_size(map) + page - 1) / page * page;
	void *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		return -errno;
	*m = (struct mapped){at, bytes, cap};
	return 0;
}

/* Every map that the live programs have too is theirs. */
static int share_maps(const struct kernel *k, struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		const struct bpf_map *shared;
		int err;

		if (bpf_map__is_internal(map))
			continue;
		shared = bpf_object__find_map_by_name(k->skel->obj, bpf_map__name(map));
		err = shared ? bpf_map__reuse_fd(map, bpf_map__fd(shared)) : 0;
		if (err)
			return err;
	}
	return 0;
}

static void set_ports(const struct kernel *k, const volatile __u64 *bitmap)
{
	__u64 *bits = (__u64 *)bitmap;

	for (size_t i = 0; i < k->n_ports; i++)
		bits[k->ports[i] >> 6] |= 1ULL << (k->ports[i] & 63);
}

/* --- the pass over tracked sockets --- */

static void conn_pass_close(struct kernel *k)
{
	unmap(&k->socks);
	bpf_link__destroy(k->conn_link);
	k->conn_link = NULL;
	iter_conn_bpf__destroy(k->conn_pass);
	k->conn_pass = NULL;
}

static struct bpf_link *attach_conn_pass(struct kernel *k)
{
	union bpf_iter_link_info info = {.map.map_fd = bpf_map__fd(k->skel->maps.conns)};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	return bpf_program__attach_iter(k->conn_pass->progs.walk_conns, &opts);
}

static int conn_pass_open(struct kernel *k, uint32_t cap)
{
	int err;

	k->conn_pass = iter_conn_bpf__open();
	if (!k->conn_pass)
		return -errno;
	err = share_maps(k, k->conn_pass->obj);
	if (!err)
		err = bpf_map__set_max_entries(k->conn_pass->maps.socks, cap);
	if (!err)
		err = iter_conn_bpf__load(k->conn_pass);
	if (!err) {
		k->conn_link = attach_conn_pass(k);
		err = k->conn_link ? 0 : -errno;
	}
	if (!err)
		err = map_array(&k->socks, k->conn_pass->maps.socks);
	if (err)
		conn_pass_close(k);
	return err;
}

static int conn_pass_run(struct kernel *k)
{
	k->conn_pass->bss->n_socks = 0;
	k->conn_pass->bss->n_missed = 0;
	return run_iterator(k->conn_link);
}

/* Room for twice what was wanted, so that growth is rare. */
static uint32_t larger(uint32_t wanted, uint32_t max)
{
	return wanted > max / 2 ? max : wanted * 2;
}

/* The same sockets find no room at each pass: only more of them is news. */
static void count_missed(uint64_t *sum, uint32_t *before, uint32_t now)
{
	if (now > *before)
		*sum += now - *before;
	*before = now;
}

int kernel_pass(struct kernel *k, const struct cl_sock **ret, uint32_t *ret_n, uint32_t *ret_missed)
{
	uint32_t wanted;
	int err;

	err = conn_pass_run(k);
	if (err)
		return err;
	wanted = k->conn_pass->bss->n_socks + k->conn_pass->bss->n_missed;
	if (wanted > k->socks.cap && k->socks.cap < MAX_SOCKS) {
		conn_pass_close(k);
		err = conn_pass_open(k, larger(wanted, MAX_SOCKS));
		if (!err)
			err = conn_pass_run(k);
		if (err)
			return err;
	}
	count_missed(&k->missed, &k->missed_socks, k->conn_pass->bss->n_missed);
	*ret = k->socks.at;
	*ret_n = k->conn_pass->bss->n_socks;
	*ret_missed = k->missed_socks;
	return 0;
}

/* --- the walk over descriptors --- */

static void file_pass_close(struct kernel *k)
{
	unmap(&k->held);
	bpf_link__destroy(k->file_link);
	k->file_link = NULL;
	iter_file_bpf__destroy(k->file_pass);
	k->file_pass = NULL;
}

static int file_pass_open(struct kernel *k, uint32_t cap, uint64_t first_id)
{
	int err;

	k->file_pass = iter_file_bpf__open();
	if (!k->file_pass)
		return -errno;
	set_ports(k, k->file_pass->rodata->watched_ports);
	k->file_pass->rodata->ancestor_tgid = k->ancestor_tgid;
	k->file_pass->data->next_conn_id = first_id;
	err = share_maps(k, k->file_pass->obj);
	if (!err)
		err = bpf_map__set_max_entries(k->file_pass->maps.held, cap);
	if (!err)
		err = iter_file_bpf__load(k->file_pass);
	if (!err) {
		k->file_link = bpf_program__attach_iter(k->file_pass->progs.walk_files, NULL);
		err = k->file_link ? 0 : -errno;
	}
	if (!err)
		err = map_array(&k->held, k->file_pass->maps.held);
	if (err)
		file_pass_close(k);
	return err;
}

static int file_pass_run(struct kernel *k, enum cl_file_pass purpose)
{
	k->file_pass->bss->file_pass = purpose;
	k->file_pass->bss->n_held = 0;
	k->file_pass->bss->n_held_missed = 0;
	k->file_pass->bss->n_refused = 0;
	return run_iterator(k->file_link);
}

/* A larger array means a new object; ids go on where the old one stood. */
static int file_pass_grow(struct kernel *k, uint32_t wanted)
{
	uint64_t next_id = k->file_pass->data->next_conn_id;
	int err;

	file_pass_close(k);
	err = file_pass_open(k, larger(wanted, MAX_HELD), next_id);
	/* the ports that are listened on are in the object, too */
	return err ? err : file_pass_run(k, CL_FILES_LISTENERS);
}

int kernel_walk(struct kernel *k, enum cl_file_pass purpose, const struct cl_held **ret,
		uint32_t *ret_n, uint32_t *ret_adopted)
{
	uint32_t wanted, adopted;
	int err = 0;

	if (purpose == CL_FILES_ADOPT)
		err = file_pass_run(k, CL_FILES_LISTENERS);
	k->file_pass->bss->n_files_adopted = 0;
	if (!err)
		err = file_pass_run(k, purpose);
	if (err)
		return err;
	/* the kernel may refuse memory in one moment and give it in the next */
	for (int i = 0; i < WALK_TRIES && k->file_pass->bss->n_refused; i++) {
		err = file_pass_run(k, purpose);
		if (err)
			return err;
	}
	adopted = k->file_pass->bss->n_files_adopted;
	wanted = k->file_pass->bss->n_held + k->file_pass->bss->n_held_missed;
	if (wanted > k->held.cap && k->held.cap < MAX_HELD) {
		err = file_pass_grow(k, wanted);
		if (!err)
			err = file_pass_run(k, purpose);
		if (err)
			return err;
		adopted += k->file_pass->bss->n_files_adopted;
	}
	count_missed(&k->missed, &k->missed_held, k->file_pass->bss->n_held_missed);
	count_missed(&k->refused, &k->refused_now, k->file_pass->bss->n_refused);
	*ret = k->held.at;
	*ret_n = k->file_pass->bss->n_held;
	*ret_adopted = adopted;
	return 0;
}

/* --- the live programs --- */

static int on_record(void *arg, void *data, size_t size)
{
	struct kernel *k = arg;

	if (size >= sizeof(struct cl_rec))
		k->take(k->take_arg, data, size);
	return 0;
}

static int load_and_attach(struct kernel *k)
{
	int err;

	k->skel = connleak_bpf__open();
	if (!k->skel)
		return -errno;
	set_ports(k, k->skel->rodata->watched_ports);
	k->skel->rodata->ancestor_tgid = k->ancestor_tgid;
	err = connleak_bpf__load(k->skel);
	if (!err)
		err = connleak_bpf__attach(k->skel);
	if (err)
		return err;
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.records), on_record, k, NULL);
	return k->ring ? 0 : -errno;
}

static int open_all(struct kernel *k)
{
	const struct cl_held *held;
	uint32_t n_held, adopted;
	int err;

	err = load_and_attach(k);
	if (!err)
		err = file_pass_open(k, MIN_ENTRIES, FIRST_FOUND_ID);
	if (!err)
		err = kernel_walk(k, CL_FILES_ADOPT, &held, &n_held, &adopted);
	if (!err)
		err = conn_pass_open(k, adopted > MIN_ENTRIES / 2 ? larger(adopted, MAX_SOCKS)
								  : MIN_ENTRIES);
	return err;
}

int kernel_open(const struct kernel_params *p, struct kernel **ret, char *why, size_t why_size)
{
	struct kernel *k;
	int err;

	err = kernel_probe_basics(why, why_size);
	if (err)
		return err;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->n_ports = p->n_ports < 64 ? p->n_ports : 64;
	memcpy(k->ports, p->ports, k->n_ports * sizeof(*k->ports));
	k->ancestor_tgid = p->ancestor_tgid;
	kernel_probe_listen();
	err = open_all(k);
	if (err) {
		kernel_probe_explain(err, why, why_size);
		kernel_close(k);
		return err;
	}
	*ret = k;
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	conn_pass_close(k);
	file_pass_close(k);
	ring_buffer__free(k->ring);
	connleak_bpf__destroy(k->skel);
	free(k);
}

int kernel_fd(const struct kernel *k)
{
	return ring_buffer__epoll_fd(k->ring);
}

int kernel_drain(struct kernel *k, void (*take)(void *arg, const struct cl_rec *r, size_t size),
		 void *arg)
{
	int n;

	k->take = take;
	k->take_arg = arg;
	n = ring_buffer__consume(k->ring);
	return n < 0 ? n : 0;
}

int kernel_holder(const struct kernel *k, const struct cl_holder_key *key, struct cl_holder *ret)
{
	struct cl_holder h;

	if (bpf_map__lookup_elem(k->skel->maps.holders, key, sizeof(*key), &h, sizeof(h), 0))
		return -ENOENT;
	*ret = h;
	return 0;
}

int kernel_next_holder(const struct kernel *k, const struct cl_holder_key *key,
		       struct cl_holder_key *ret)
{
	struct cl_holder_key next;

	if (bpf_map__get_next_key(k->skel->maps.holders, key, &next, sizeof(next)))
		return -ENOENT;
	*ret = next;
	return 0;
}

void kernel_watch_holder(struct kernel *k, const struct cl_holder_key *key)
{
	struct cl_holder nothing = {0};

	bpf_map__update_elem(k->skel->maps.holders, key, sizeof(*key), &nothing, sizeof(nothing),
			     BPF_NOEXIST);
}

void kernel_forget_holder(struct kernel *k, const struct cl_holder_key *key)
{
	bpf_map__delete_elem(k->skel->maps.holders, key, sizeof(*key), 0);
}

int kernel_set_program(struct kernel *k, const char *name, bool is_attached)
{
	struct bpf_object_skeleton *s = k->skel->skeleton;

	for (int i = 0; i < s->prog_cnt; i++) {
		struct bpf_link **link = s->progs[i].link;

		if (strcmp(s->progs[i].name, name))
			continue;
		bpf_link__destroy(*link);
		*link = is_attached ? bpf_program__attach(*s->progs[i].prog) : NULL;
		return is_attached && !*link ? -errno : 0;
	}
	return -ENOENT;
}

void kernel_drops(const struct kernel *k, uint64_t ret[CL_DROP_MAX])
{
	for (uint32_t i = 0; i < CL_DROP_MAX; i++) {
		uint64_t n = 0;

		bpf_map__lookup_elem(k->skel->maps.drops, &i, sizeof(i), &n, sizeof(n), 0);
		ret[i] = n;
	}
	ret[CL_DROP_SNAPSHOT] += k->missed;
	ret[CL_DROP_STORAGE] += k->refused;
}
