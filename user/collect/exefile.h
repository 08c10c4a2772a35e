/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exefile.h - build id and version of an executable
 */
#ifndef CONNLEAK_EXEFILE_H
#define CONNLEAK_EXEFILE_H

/*
 * exefile_read - read what an ELF file says about its build
 * @fd: open for reading; stays the caller's. Anything but a regular file is refused. The content is
 *      not trusted, and read, not mapped: it may change or shrink meanwhile.
 * @ret_build_id: hex, caller frees; @ret_version: as gobuildinfo_version(). Each is written only
 *	where the file holds it.
 * Returns 0 (found or not), -EINVAL (no such ELF file), -ENOMEM.
 */
int exefile_read(int fd, char **ret_build_id, char **ret_version);

#endif
