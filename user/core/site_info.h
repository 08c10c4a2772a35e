/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site_info.h - a call site: the user-space stack that opened, or first used, a connection
 *
 * A plain value: every string is NULL (not known) or owned by the struct. Text is foreign; it was
 * cleaned by text_clean() at the collector and is escaped again by each encoder.
 */
#ifndef CONNLEAK_SITE_INFO_H
#define CONNLEAK_SITE_INFO_H

#include <stdbool.h>
#include <stdint.h>

#define SITE_MAX_FRAMES 32

enum site_role { SITE_OPENED_BY, SITE_FIRST_USED_BY };

struct site_frame {
	char *function;
	char *file;
	char *module;	  /* path of the executable or library */
	uint32_t line;	  /* 0: not known */
	uint64_t address; /* 0: not known */
};

struct site_info {
	enum site_role role;
	char *thread;		   /* name of the thread */
	struct site_frame *frames; /* [n_frames], innermost first; owned */
	uint32_t n_frames;	   /* SITE_MAX_FRAMES at most */
};

/* Frees what @s owns and zeroes it. Accepts NULL and zeroed structs. */
void site_info_release(struct site_info *s);

/* Deep copy into @ret (uninitialised before). Returns 0 or -ENOMEM; @ret untouched on failure. */
int site_info_copy(const struct site_info *s, struct site_info *ret);

/*
 * site_info_key - the same for the same place in the code, in another process or version too
 *
 * A hash over function and module's file name of each frame that is the application's (of all of
 * them where none is): drivers, pools and runtimes reach one line of source by several paths. Never
 * over addresses or lines, which a rebuild moves. A frame without a function counts by its module alone. Never 0. Without
 * frames @id is hashed.
 */
uint64_t site_info_key(const struct site_info *s, uint64_t id);

#endif
