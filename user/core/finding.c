/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_frame.h"
#include "hash.h"

void finding_release(struct finding *f)
{
	if (!f)
		return;
	if (f->holder)
		holder_info_release(f->holder);
	free(f->holder);
	for (uint32_t i = 0; i < f->n_sites; i++)
		site_info_release(&f->sites[i].info);
	memset(f, 0, sizeof(*f));
}

/* The first of @role, which is the one that leaks most; NULL: none. */
static const struct finding_site *worst_site(const struct finding *f, enum site_role role)
{
	for (uint32_t i = 0; i < f->n_sites; i++)
		if (f->sites[i].role == role)
			return &f->sites[i];
	return NULL;
}

bool finding_origin(const struct finding *f, struct finding_origin *ret)
{
	const struct finding_site *opened = worst_site(f, SITE_OPENED_BY);
	const struct finding_site *used = worst_site(f, SITE_FIRST_USED_BY);
	const struct site_frame *frame;
	enum site_role role;

	/* Nothing that leaks was first used there: it is no answer to where the leak is. */
	if (used && opened && opened->leaked && !used->leaked)
		used = NULL;
	frame = app_frame_of(opened ? &opened->info : NULL, used ? &used->info : NULL, &role);
	if (!frame)
		return false;
	ret->site = role == SITE_OPENED_BY ? opened : used;
	ret->frame = frame;
	return true;
}

const char *finding_kind_name(enum finding_kind k)
{
	switch (k) {
	case FINDING_LEAK:
		return "leak";
	case FINDING_FD_LEAK:
		return "fd_leak";
	case FINDING_BUDGET:
		return "budget";
	case FINDING_RATE:
		return "rate";
	case FINDING_BLIND:
		return "blind";
	}
	return "unknown";
}

const char *finding_status_name(enum finding_status s)
{
	return s == FINDING_FIRING ? "firing" : "resolved";
}

const char *severity_name(enum severity s)
{
	static const char *const names[] = {"info", "warning", "error", "critical"};

	return (unsigned)s < 4 ? names[s] : "unknown";
}

const char *rule_name(enum rule r)
{
	static const char *const names[RULE_MAX] = {
		[RULE_NONE] = "none",
		[RULE_WARM] = "warm",
		[RULE_WARM_ANY] = "warm_any",
		[RULE_COLD] = "cold",
		[RULE_PROCESS] = "process",
		[RULE_SERVICE] = "service",
		[RULE_CANARY] = "canary",
		[RULE_BUDGET_70] = "budget_70",
		[RULE_BUDGET_90] = "budget_90",
		[RULE_RATE] = "rate",
		[RULE_LOST_EVENTS] = "lost_events",
		[RULE_TABLE_FULL] = "table_full",
	};

	return (unsigned)r < RULE_MAX ? names[r] : "unknown";
}

const char *resolved_because_name(enum resolved_because r)
{
	switch (r) {
	case RESOLVED_NOT:
		return NULL;
	case RESOLVED_DRAINED:
		return "drained";
	case RESOLVED_USED_AGAIN:
		return "used_again";
	case RESOLVED_HOLDER_EXITED:
		return "holder_exited";
	}
	return NULL;
}

static void hex(char ret[static 17], uint64_t h)
{
	snprintf(ret, 17, "%016llx", (unsigned long long)h);
}

/* Whole seconds of wall time: the two clocks drift by less than that over an agent's restart. */
static long long start_s(const struct holder_info *h, int64_t wall_offset_ns)
{
	return (h->start_ns + wall_offset_ns) / NS_PER_S;
}

void finding_ids(struct finding *f, const char *host, int64_t wall_offset_ns)
{
	/* A server's own count is the same wherever it is read: there the node is no part. */
	bool is_about_server = !f->holder && f->peer.family && f->scope == SCOPE_SERVER;
	char peer[ENDPOINT_STRLEN] = "", who[64] = "";
	uint64_t h = HASH_BASIS;

	if (f->peer.family)
		endpoint_format(&f->peer, peer);
	h = hash_part(h, finding_kind_name(f->kind));
	h = hash_part(h, is_about_server ? "" : host);
	h = hash_part(h, f->holder ? f->holder->group : "");
	h = hash_part(h, peer);
	hex(f->group, hash_mix(h));

	if (f->rule == RULE_SERVICE)
		snprintf(who, sizeof(who), "service");
	else if (f->holder)
		snprintf(who, sizeof(who), "%u/%lld", f->holder->pid,
			 start_s(f->holder, wall_offset_ns));
	h = hash_part(hash_part(HASH_BASIS, f->group), who);
	hex(f->id, hash_mix(h));
}
