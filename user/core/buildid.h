/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buildid.h - what an executable's own bytes say about the build it comes from
 */
#ifndef CONNLEAK_BUILDID_H
#define CONNLEAK_BUILDID_H

#include <stddef.h>

/*
 * buildid_from_notes - hex of the GNU build-id out of a PT_NOTE segment's bytes
 * Returns 0, -ENOENT, -EINVAL (not notes). @ret: at least 2 * 20 + 1 bytes are needed; longer
 * ids are cut to what fits. @align: 4 or 8.
 */
int buildid_from_notes(const unsigned char *notes, size_t n, unsigned align, char *ret,
		       size_t size);

/*
 * gobuildinfo_version - the main module's version out of a Go binary's build information
 * @data: @n bytes of the section .go.buildinfo and what follows, or of the data segment's start
 *        (inline strings, Go 1.18 on)
 * Returns 0 ("v1.2.3"; for "(devel)" 12 digits of the commit, where there is one), -ENOENT,
 * -ENOMEM.
 * Source: Go's debug/buildinfo.
 */
int gobuildinfo_version(const unsigned char *data, size_t n, char **ret);

#endif
