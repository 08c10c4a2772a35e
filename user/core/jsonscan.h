/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonscan.h - a strict JSON scanner over bytes in memory
 *
 * No tree and no allocation: the caller asks for what it expects and is told where it stands if
 * something else is there. Strict is RFC 8259: no comments, no trailing commas, no lone surrogates,
 * no bytes that are no UTF-8.
 *
 *	jsonscan_init(&js, line, len);
 *	jsonscan_object(&js);
 *	while ((n = jsonscan_key(&js, key)) > 0)
 *		if (!strcmp(key, "t_ns"))
 *			jsonscan_int(&js, &t_ns);
 *		else
 *			jsonscan_skip(&js);
 *	jsonscan_end(&js);
 *
 * Every function that can fail returns -EINVAL, notes what it wanted and where (jsonscan_error()),
 * and leaves the scanner useless but safe.
 */
#ifndef CONNLEAK_JSONSCAN_H
#define CONNLEAK_JSONSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parse_err.h"

#define JSONSCAN_KEY   64 /* bytes of a key with its NUL; a longer one is told as "" */
#define JSONSCAN_DEPTH 16 /* arrays and objects in a value that is skipped */

struct jsonscan {
	const char *p; /* the next byte */
	const char *start, *end;
	bool is_first;	  /* nothing of the innermost object or array was read yet */
	const char *want; /* after a failure: what was expected; static text */
	const char *at;	  /* and where */
};

/* @text: [@n], borrowed; need not be NUL-terminated. */
void jsonscan_init(struct jsonscan *js, const char *text, size_t n);

/* Enter an object or an array. 0 or -EINVAL. */
int jsonscan_object(struct jsonscan *js);
int jsonscan_array(struct jsonscan *js);

/*
 * jsonscan_key - the next key of the object, decoded
 * Returns 1 (its value comes next), 0 (the object is over and was left) or -EINVAL.
 */
int jsonscan_key(struct jsonscan *js, char buf[static JSONSCAN_KEY]);

/*
 * Takes the next key if it is @name, written plainly; its value comes next. False: nothing was
 * taken, ask jsonscan_key(). For objects whose keys mostly come in a known order.
 */
bool jsonscan_is_key(struct jsonscan *js, const char *name, size_t len);

/* Returns 1 (an element comes next), 0 (the array is over and was left) or -EINVAL. */
int jsonscan_element(struct jsonscan *js);

/*
 * jsonscan_string - decode a string into @buf, NUL-terminated
 * @ret_len: without the NUL
 *
 * Returns 0; -E2BIG: more than @size - 1 bytes; -EINVAL. A U+0000 in it is refused: what is
 * decoded is a C string.
 */
int jsonscan_string(struct jsonscan *js, char *buf, size_t size, size_t *ret_len);

/* A whole number without fraction or exponent, in the range of int64_t. 0 or -EINVAL. */
int jsonscan_int(struct jsonscan *js, int64_t *ret);
int jsonscan_bool(struct jsonscan *js, bool *ret);

/* Takes a null if one comes next. */
bool jsonscan_null(struct jsonscan *js);

/* Passes over a value of any kind, checked as strictly as any other. 0 or -EINVAL. */
int jsonscan_skip(struct jsonscan *js);

/* Nothing but white space is left. 0 or -EINVAL. */
int jsonscan_end(struct jsonscan *js);

/* Passes over white space; returns where the next value begins. */
static inline const char *jsonscan_here(struct jsonscan *js)
{
	const char *p = js->p;

	while (p < js->end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return js->p = p;
}

/* Notes a failure of the caller's own at @at. Returns -EINVAL. */
int jsonscan_fail(struct jsonscan *js, const char *at, const char *want);

/* Writes column and message, "expected X, found Y", of the failure noted; the line is left. */
void jsonscan_error(const struct jsonscan *js, struct parse_err *ret);

#endif
