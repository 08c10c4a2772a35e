/* SPDX-License-Identifier: Apache-2.0 */
#include "baseline.h"

#include <math.h>
#include <stddef.h>

#include "stats.h"

#define WORSE_P	      1.001e-3
#define MIN_ABANDONED 3

const char *comparison_name(enum comparison_result r)
{
	static const char *const names[] = {"same", "worse", "unknown"};

	return (unsigned)r < 3 ? names[r] : "unknown";
}

/* Why nothing can be said, or NULL. */
static const char *what_is_missing(const struct comparison_side *candidate,
				   const struct comparison_side *control)
{
	if (!candidate->holders)
		return "no connection of the candidate was seen";
	if (!control->holders && control->n_excluded)
		return "every process of the control is watched as the candidate";
	if (!control->holders)
		return "no connection of the control was seen";
	if (candidate->exchanges && !control->exchanges)
		return "the control had no traffic";
	if (!candidate->exchanges && control->exchanges)
		return "the candidate had no traffic";
	if (!candidate->exchanges && !(candidate->holder_min > 0 && control->holder_min > 0))
		return "neither was seen for long enough";
	return NULL;
}

void baseline_compare(const struct comparison_side *candidate,
		      const struct comparison_side *control, struct comparison *ret)
{
	*ret = (struct comparison){
		.result = COMPARISON_UNKNOWN,
		.abandoned = candidate->abandoned,
		.control_abandoned = control->abandoned,
		.is_in_minutes = !candidate->exchanges && !control->exchanges,
		.p = NAN,
		.why = what_is_missing(candidate, control),
	};
	ret->exposure = ret->is_in_minutes ? candidate->holder_min : (double)candidate->exchanges;
	ret->control_exposure =
		ret->is_in_minutes ? control->holder_min : (double)control->exchanges;
	if (ret->why)
		return;
	ret->p = stats_binomial_tail(ret->abandoned, ret->abandoned + ret->control_abandoned,
				     ret->exposure / (ret->exposure + ret->control_exposure));
	ret->result = ret->p <= WORSE_P && ret->abandoned >= MIN_ABANDONED ? COMPARISON_WORSE
									   : COMPARISON_SAME;
}

bool baseline_control_leaks(const struct comparison *c)
{
	return c->result == COMPARISON_SAME && c->abandoned >= MIN_ABANDONED &&
	       c->control_abandoned >= MIN_ABANDONED &&
	       2 * (double)c->control_abandoned * c->exposure >=
		       (double)c->abandoned * c->control_exposure;
}
