/* SPDX-License-Identifier: Apache-2.0 */
/* words_impl.h - what words.c and words_verdict.c share */
#ifndef CONNLEAK_WORDS_IMPL_H
#define CONNLEAK_WORDS_IMPL_H

#include <math.h>

#include "text.h"
#include "words.h"

#define INDENT "      " /* of the lines under a block's first */

static inline int64_t ns_from_s(double s)
{
	return isfinite(s) && fabs(s) < 9e9 ? (int64_t)(s * 1e9) : 0;
}

static inline void add_count(struct strbuf *sb, const char *before, uint64_t n, const char *after)
{
	char buf[TEXT_DURATION_LEN];

	strbuf_printf(sb, "%s%s%s", before, text_count(n, buf), after);
}

#endif
