/* SPDX-License-Identifier: Apache-2.0 */
/*
 * app_frame.h - which frame of a stack is the application's, and how it is written
 *
 * A connection is opened deep inside a driver, a pool and a language's runtime. What a person
 * wants to read is the innermost frame that is none of these. They are known by lists of names:
 * of functions (Go, Java, C, Rust, .NET), of files (Python, JavaScript) and of libraries.
 */
#ifndef CONNLEAK_APP_FRAME_H
#define CONNLEAK_APP_FRAME_H

#include "site_info.h"

/* Does the frame belong to a database driver, a pool, or the language's own library? */
bool site_frame_is_runtime(const struct site_frame *f);

/* The innermost frame of the application with a function's name; NULL: none. Accepts NULL. */
const struct site_frame *app_frame(const struct site_info *s);

/*
 * app_frame_of - the frame to show for a connection
 * @opened, @used: the sites that it was opened, first used from; NULL: not known
 * @ret_role:      which of them the frame is from; written unless NULL is returned
 *
 * The application's where it opened it, else (a pool did) where it first used it; else the
 * innermost frame there is, best with its file. NULL: no frame has a name.
 */
const struct site_frame *app_frame_of(const struct site_info *opened, const struct site_info *used,
				      enum site_role *ret_role);

/*
 * app_frame_format - "main.placeOrder", @gap, "order.go:22"; without a file the function alone
 * Of the file its name only; what is longer than a line can hold is cut. Returns @buf.
 */
#define APP_FRAME_LEN 256
char *app_frame_format(const struct site_frame *f, const char *gap, char buf[static APP_FRAME_LEN]);

#endif
