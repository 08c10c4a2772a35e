/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_detector.h - a detector that says what a test wants said
 *
 * Stands in for detector.c and canary.c where a test is about what is shown, not about who leaks:
 * views and findings are set by the test, by usage slot.
 */
#ifndef CONNLEAK_TEST_FAKE_DETECTOR_H
#define CONNLEAK_TEST_FAKE_DETECTOR_H

#include <errno.h>
#include <stdlib.h>

#include "../../user/core/canary.h"

#define FAKE_MAX 8

struct detector {
	struct usage_view views[FAKE_MAX];
	struct finding findings[FAKE_MAX]; /* their holder is copied, the test keeps its own */
	uint32_t about[FAKE_MAX];	   /* usage slot of each finding */
	uint32_t n_findings;
	int fails_with; /* what detector_finding() returns, if not 0 */
};

void detector_usage(const struct detector *d, const struct proctab *pt, uint32_t usage,
		    struct usage_view *ret)
{
	(void)pt;
	*ret = d->views[usage];
}

uint32_t detector_n_findings(const struct detector *d)
{
	return d->n_findings;
}

uint64_t detector_lost(const struct detector *d)
{
	(void)d;
	return 0;
}

uint32_t detector_find(const struct detector *d, uint32_t usage)
{
	for (uint32_t i = 0; i < d->n_findings; i++)
		if (d->about[i] == usage && d->findings[i].status == FINDING_FIRING)
			return i;
	return SLOT_NONE;
}

int detector_finding(const struct detector *d, const struct proctab *pt, uint32_t i,
		     struct finding *ret)
{
	struct holder_info *copy = NULL;

	(void)pt;
	if (d->fails_with)
		return d->fails_with;
	if (d->findings[i].holder) {
		copy = malloc(sizeof(*copy));
		if (!copy || holder_info_copy(d->findings[i].holder, copy)) {
			free(copy);
			return -ENOMEM;
		}
	}
	*ret = d->findings[i];
	ret->holder = copy;
	return 0;
}

const char *usage_state_name(enum usage_state s)
{
	static const char *const names[USAGE_STATE_MAX] = {"ok",   "pool",    "filling",  "suspect",
							   "LEAK", "FD LEAK", "resolved", "blind"};

	return names[s];
}

const char *verdict_name(enum verdict_kind k)
{
	static const char *const names[] = {"pass", "leak", "inconclusive"};

	return names[k];
}

#endif
