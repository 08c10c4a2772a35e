/* SPDX-License-Identifier: Apache-2.0 */
/* parse_err.h - what a parser of foreign text could not take: where, what was expected and found */
#ifndef CONNLEAK_PARSE_ERR_H
#define CONNLEAK_PARSE_ERR_H

#include <stdint.h>

struct parse_err {
	uint64_t line; /* from 1; 0: not known */
	uint32_t col;  /* from 1, in bytes; 0: the whole line */
	char msg[192]; /* "expected X, found Y"; foreign text in it is cleaned */
};

#endif
