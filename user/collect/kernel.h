/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - the kernel programs' life: load, attach, adopt, and the passes over what they keep
 *
 * kernel_open() attaches first and then walks the descriptors, so that nothing opened in between
 * is missed; the storage in the socket is what keeps it from being counted twice.
 */
#ifndef CONNLEAK_KERNEL_H
#define CONNLEAK_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <connleak/abi.h>

struct kernel_params {
	const uint16_t *ports; /* [n_ports], host order */
	size_t n_ports;
	uint32_t ancestor_tgid; /* mark its descendants; 0: nobody's */
};

struct kernel;

/*
 * kernel_open - load, attach, take what is open already (a first kernel_walk())
 * @why:  [why_size] on failure one sentence that says what is missing and what to do
 *
 * Returns 0 or a negative errno: -EPERM no privilege, -ENOSYS the kernel lacks something,
 * -EXDEV not in the host's pid namespace, others as they came. Takes about 50 ms, and 2 us for
 * each descriptor on the machine.
 */
int kernel_open(const struct kernel_params *p, struct kernel **ret, char *why, size_t why_size);
void kernel_close(struct kernel *k);

/* Readable when records should be drained before the next tick. */
int kernel_fd(const struct kernel *k);

/* Calls @take for each waiting record (borrowed for the call). Returns 0 or a negative errno. */
int kernel_drain(struct kernel *k, void (*take)(void *arg, const struct cl_rec *r, size_t size),
		 void *arg);

/*
 * kernel_pass - one pass over all tracked sockets
 * @ret: [*ret_n], mapped memory, valid until the next pass
 * @ret_missed: sockets that the largest array has no room for
 * Makes the array larger and passes again when it was too small. Returns 0 or a negative errno.
 */
int kernel_pass(struct kernel *k, const struct cl_sock **ret, uint32_t *ret_n,
		uint32_t *ret_missed);

/*
 * kernel_walk - one walk over all descriptors of all processes
 * @purpose: CL_FILES_ADOPT or CL_FILES_COMPARE
 * @ret:     [*ret_n], mapped memory, valid until the next walk: who holds what
 * @ret_adopted: sockets that nobody had counted before
 * Notes the listening ports first when adopting. Makes the array larger and walks again when it
 * was too small. About 1.5 us a descriptor. Returns 0 or a negative errno.
 */
int kernel_walk(struct kernel *k, enum cl_file_pass purpose, const struct cl_held **ret,
		uint32_t *ret_n, uint32_t *ret_adopted);

/* Copies a holder's entry. Returns 0 or -ENOENT. */
int kernel_holder(const struct kernel *k, const struct cl_holder_key *key, struct cl_holder *ret);
/* The key after @key (NULL: the first). Returns 0 or -ENOENT; @ret may be @key. */
int kernel_next_holder(const struct kernel *k, const struct cl_holder_key *key,
		       struct cl_holder_key *ret);
/* Makes an entry for a process that has not connected, so that its exit is told. */
void kernel_watch_holder(struct kernel *k, const struct cl_holder_key *key);
/* Frees a dead holder's place in the kernel's table. */
void kernel_forget_holder(struct kernel *k, const struct cl_holder_key *key);

/*
 * Takes one of the live programs away, or attaches it again: for the tests that prove that what it
 * missed is found. Returns 0, -ENOENT, or a negative errno.
 */
int kernel_set_program(struct kernel *k, const char *name, bool is_attached);

/* Totals since the start, by enum cl_drop. */
void kernel_drops(const struct kernel *k, uint64_t ret[CL_DROP_MAX]);
#endif
