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
#include "kernel_probe.h"

#define MIN_SOCKS 16384
#define MAX_SOCKS 500000

struct kernel {
	struct connleak_bpf *skel;
	struct ring_buffer *ring;
	struct bpf_link *files; /* iterator over descriptors */
	struct iter_conn_bpf *array;
	struct bpf_link *conns; /* iterator over tracked sockets, into the array */
	const struct cl_sock *socks;
	size_t socks_bytes;
	uint32_t cap_socks;
	uint64_t missed_socks; /* that no array had room for, in all */
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

static void array_close(struct kernel *k)
{
	if (k->socks)
		munmap((void *)k->socks, k->socks_bytes);
	k->socks = NULL;
	bpf_link__destroy(k->conns);
	k->conns = NULL;
	iter_conn_bpf__destroy(k->array);
	k->array = NULL;
}

static struct bpf_link *attach_storage_iterator(struct kernel *k)
{
	union bpf_iter_link_info info = {
		.map.map_fd = bpf_map__fd(k->skel->maps.conns),
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	return bpf_program__attach_iter(k->array->progs.walk_conns, &opts);
}

static int array_open(struct kernel *k, uint32_t cap)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *mapped;
	int err;

	k->array = iter_conn_bpf__open();
	if (!k->array)
		return -errno;
	err = bpf_map__reuse_fd(k->array->maps.conns, bpf_map__fd(k->skel->maps.conns));
	if (!err)
		err = bpf_map__reuse_fd(k->array->maps.holders, bpf_map__fd(k->skel->maps.holders));
	if (!err)
		err = bpf_map__set_max_entries(k->array->maps.socks, cap);
	if (!err)
		err = iter_conn_bpf__load(k->array);
	if (err)
		goto out;
	k->conns = attach_storage_iterator(k);
	if (!k->conns) {
		err = -errno;
		goto out;
	}
	k->socks_bytes = (cap * sizeof(struct cl_sock) + page - 1) / page * page;
	mapped = mmap(NULL, k->socks_bytes, PROT_READ, MAP_SHARED,
		      bpf_map__fd(k->array->maps.socks), 0);
	if (mapped == MAP_FAILED) {
		err = -errno;
		goto out;
	}
	k->socks = mapped;
	k->cap_socks = cap;
out:
	if (err)
		array_close(k);
	return err;
}

static int pass_once(struct kernel *k)
{
	k->array->bss->n_socks = 0;
	k->array->bss->n_missed = 0;
	return run_iterator(k->conns);
}

int kernel_pass(struct kernel *k, const struct cl_sock **ret, uint32_t *ret_n)
{
	uint32_t wanted;
	int err;

	err = pass_once(k);
	if (err)
		return err;
	wanted = k->array->bss->n_socks + k->array->bss->n_missed;
	if (wanted > k->cap_socks && k->cap_socks < MAX_SOCKS) {
		uint32_t cap = wanted > MAX_SOCKS / 2 ? MAX_SOCKS : wanted * 2;

		array_close(k);
		err = array_open(k, cap);
		if (!err)
			err = pass_once(k);
		if (err)
			return err;
	}
	k->missed_socks += k->array->bss->n_missed;
	*ret = k->socks;
	*ret_n = k->array->bss->n_socks;
	return 0;
}

static int adopt(struct kernel *k)
{
	int err;

	k->skel->bss->file_pass = 0;
	err = run_iterator(k->files);
	if (err)
		return err;
	k->skel->bss->file_pass = 1;
	return run_iterator(k->files);
}

static void set_params(struct kernel *k, const struct kernel_params *p)
{
	struct connleak_bpf__rodata *ro = k->skel->rodata;

	for (size_t i = 0; i < p->n_ports; i++)
		ro->watched_ports[p->ports[i] >> 6] |= 1ULL << (p->ports[i] & 63);
	ro->ancestor_tgid = p->ancestor_tgid;
}

static int on_record(void *arg, void *data, size_t size)
{
	struct kernel *k = arg;

	if (size >= sizeof(struct cl_rec))
		k->take(k->take_arg, data, size);
	return 0;
}

static int load_and_attach(struct kernel *k, const struct kernel_params *p)
{
	int err;

	k->skel = connleak_bpf__open();
	if (!k->skel)
		return -errno;
	set_params(k, p);
	/* the walk over descriptors is attached apart: it is run, not left to run */
	bpf_program__set_autoattach(k->skel->progs.walk_files, false);
	err = connleak_bpf__load(k->skel);
	if (!err)
		err = connleak_bpf__attach(k->skel);
	if (err)
		return err;
	k->files = bpf_program__attach_iter(k->skel->progs.walk_files, NULL);
	if (!k->files)
		return -errno;
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.records), on_record, k, NULL);
	return k->ring ? 0 : -errno;
}

int kernel_open(const struct kernel_params *p, struct kernel **ret, char *why, size_t why_size)
{
	uint64_t adopted;
	struct kernel *k;
	int err;

	err = kernel_probe_basics(why, why_size);
	if (err)
		return err;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	kernel_probe_listen();
	err = load_and_attach(k, p);
	if (!err)
		err = adopt(k);
	if (!err) {
		adopted = k->skel->bss->files_adopted;
		err = array_open(k, adopted > MIN_SOCKS / 2 ? (uint32_t)adopted * 2 : MIN_SOCKS);
	}
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
	array_close(k);
	ring_buffer__free(k->ring);
	bpf_link__destroy(k->files);
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

void kernel_forget_holder(struct kernel *k, const struct cl_holder_key *key)
{
	bpf_map__delete_elem(k->skel->maps.holders, key, sizeof(*key), 0);
}

void kernel_drops(const struct kernel *k, uint64_t ret[CL_DROP_MAX])
{
	for (uint32_t i = 0; i < CL_DROP_MAX; i++) {
		uint64_t n = 0;

		bpf_map__lookup_elem(k->skel->maps.drops, &i, sizeof(i), &n, sizeof(n), 0);
		ret[i] = n;
	}
	ret[CL_DROP_SNAPSHOT] += k->missed_socks;
}

static uint64_t misses_of(const struct bpf_program *prog)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size))
		return 0;
	return info.recursion_misses;
}

uint64_t kernel_misses(const struct kernel *k)
{
	return misses_of(k->skel->progs.conn_attempt) + misses_of(k->skel->progs.conn_state) +
	       misses_of(k->skel->progs.conn_destroy) + misses_of(k->skel->progs.task_exit);
}
