/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sitetab.h - call sites: from the ids that a source gives to keys, and what is known of each key
 *
 * An id is one stack as a source saw it, with the addresses of one process. Its key (site_info_key)
 * is the same for the same place in the code in every process and version, so many ids may share
 * one key, and its frames are stored once.
 *
 *	ids	id -> key; full: the id that was not named for longest gives way
 *	sites	key -> what is known, and how many connections refer to it; full: the one without
 *		connections that has been so for longest gives way, with nobody to give way the new
 *		one has no place
 *
 * A site that connections refer to stays, so a reference never dangles. An id outlives its site: it
 * still names the key, and only the frames are gone until they are told again.
 */
#ifndef CONNLEAK_SITETAB_H
#define CONNLEAK_SITETAB_H

#include "idmap.h"
#include "site_info.h"
#include "slots.h"

#define SITE_NONE	   0 /* "no call site" as a reference; a zeroed one is that */
#define SITETAB_IDS_A_SITE 4 /* ids kept, as a multiple of the sites */

struct sitetab_list {
	uint32_t first, last; /* longest first */
};

struct sitetab {
	struct slots sites, ids;
	struct idmap key_map, id_map;
	struct sitetab_list unused; /* sites that no connection refers to */
	struct sitetab_list recent; /* ids, in the order in which they were last named */
	uint64_t lost;
};

/* Allocates nothing. @max: sites at most. */
void sitetab_init(struct sitetab *t, uint32_t max);
/* Frees what @t owns and zeroes it. Accepts NULL. */
void sitetab_release(struct sitetab *t);

/*
 * sitetab_define - from now on @id names the site that @info tells of
 * @id:   not 0; may be told again
 * @info: copied; of several with one key the last one that has frames is kept
 *
 * Returns 0, -ENOSPC (every site has connections: what comes from this one will have none) or
 * -ENOMEM. O(1) and the copy.
 */
int sitetab_define(struct sitetab *t, uint64_t id, const struct site_info *info);

/*
 * sitetab_ref - a reference to the site that @id names, to be given back
 * Returns SITE_NONE for id 0 and, counted in sitetab.lost, where the id is not known or its site
 * found no place. O(1).
 */
uint32_t sitetab_ref(struct sitetab *t, uint64_t id);
/* Gives it back. Accepts SITE_NONE. */
void sitetab_unref(struct sitetab *t, uint32_t ref);

/* The key behind a reference; 0 for SITE_NONE. */
uint64_t sitetab_key(const struct sitetab *t, uint32_t ref);
/* What is known of a key, without frames perhaps; NULL: nothing. Borrowed until the next
 * define or ref. */
const struct site_info *sitetab_find(const struct sitetab *t, uint64_t key);

#endif
