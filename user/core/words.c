/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app_frame.h"
#include "text.h"
#include "words_impl.h"

#define CONTAINER_ID_DIGITS 12

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

const char *words_name(const struct holder_info *h)
{
	if (h->script && h->script[0])
		return base_name(h->script);
	if (h->comm[0])
		return h->comm;
	return h->exe && h->exe[0] ? base_name(h->exe) : "-";
}

char *words_where(const struct holder_info *h, char buf[static WORDS_WHERE_LEN])
{
	if (h->pod || h->unit || h->container_name)
		snprintf(buf, WORDS_WHERE_LEN, "%s",
			 h->pod	   ? h->pod
			 : h->unit ? h->unit
				   : h->container_name);
	else if (h->container)
		snprintf(buf, WORDS_WHERE_LEN, "%.*s", CONTAINER_ID_DIGITS, h->container);
	else
		snprintf(buf, WORDS_WHERE_LEN, "-");
	return buf;
}

char *words_server(const struct endpoint *ep, const struct holder *via,
		   char buf[static WORDS_SERVER_LEN])
{
	char address[ENDPOINT_STRLEN];

	endpoint_format(ep, address);
	if (via)
		snprintf(buf, WORDS_SERVER_LEN, "%s -> %s (%" PRIu32 ")", address,
			 words_name(&via->info), via->info.pid);
	else
		snprintf(buf, WORDS_SERVER_LEN, "%s", address);
	return buf;
}

const char *words_conn_state(int64_t fin_ns, uint8_t fin_how)
{
	if (fin_ns == T_NEVER)
		return "ESTABLISHED";
	switch ((enum fin_how)fin_how) {
	case FIN_PEER:
		return "CLOSE_WAIT";
	case FIN_SHUTDOWN:
		return "FIN_WAIT2";
	case FIN_RESET:
	case FIN_TIMEOUT:
		break;
	}
	return "CLOSE";
}

int words_holder(struct strbuf *sb, const struct holder_info *h)
{
	strbuf_printf(sb, "%s (pid %" PRIu32, words_name(h), h->pid);
	if (h->version)
		strbuf_printf(sb, ", %s", h->version);
	if (h->pod)
		strbuf_printf(sb, ", pod %s", h->pod);
	else if (h->container)
		strbuf_printf(sb, ", container %.*s", CONTAINER_ID_DIGITS, h->container);
	return strbuf_puts(sb, ")");
}

/* --- findings --- */

static void add_peer(struct strbuf *sb, const struct finding *f)
{
	char buf[ENDPOINT_STRLEN];

	strbuf_puts(sb, endpoint_format(&f->peer, buf));
}

/* "order-service (pid 4711)"; of a finding over several processes, its peer. */
static void add_subject(struct strbuf *sb, const struct finding *f)
{
	if (f->holder)
		strbuf_printf(sb, "%s (pid %" PRIu32 ")", words_name(f->holder), f->holder->pid);
	else if (f->peer.family)
		add_peer(sb, f);
	else
		strbuf_puts(sb, "this node");
}

static const char *why_resolved(const struct finding *f)
{
	switch (f->resolved_because) {
	case RESOLVED_DRAINED:
		return "its idle connections were closed";
	case RESOLVED_USED_AGAIN:
		return "its idle connections are in use again";
	case RESOLVED_HOLDER_EXITED:
		return "the process has ended";
	case RESOLVED_NOT:
		break;
	}
	return NULL; /* a level, or a rate: it is just over */
}

/* " from main.placeOrder order.go:22", ", first used by Invoice.load Invoice.java:88" */
static void add_origin(struct strbuf *sb, const struct finding *f)
{
	struct finding_origin origin;
	char frame[APP_FRAME_LEN];

	if (!finding_origin(f, &origin))
		return;
	strbuf_puts(sb, origin.site->role == SITE_OPENED_BY ? " from " : ", first used by ");
	strbuf_puts(sb, app_frame_format(origin.frame, " ", frame));
}

/* It opened none of them: all came from another process. */
static bool is_taken_over(const struct finding *f)
{
	return f->moved_in && !f->opened;
}

static void summary_leak(struct strbuf *sb, const struct finding *f)
{
	char rate[TEXT_DURATION_LEN];

	add_subject(sb, f);
	if (isfinite(f->leak_rate_per_min))
		strbuf_printf(sb, " leaks %s connections/min",
			      text_rate(f->leak_rate_per_min, rate));
	else
		strbuf_puts(sb, " leaks connections");
	add_origin(sb, f);
	strbuf_printf(sb, ": %" PRIu64 " %s, %" PRIu64 " closed",
		      is_taken_over(f) ? f->moved_in : f->opened,
		      is_taken_over(f) ? "taken over" : "opened", f->closed);
	if (isfinite(f->window_s))
		strbuf_printf(sb, " in %.0f s", f->window_s);
}

static void summary_fd_leak(struct strbuf *sb, const struct finding *f)
{
	add_subject(sb, f);
	strbuf_puts(sb, " leaks file descriptors");
	add_origin(sb, f);
	strbuf_printf(
		sb, ": %" PRIu64 " of its %" PRIu64 " connections have ended and were never closed",
		f->fd_only, f->open);
}

static void summary_budget(struct strbuf *sb, const struct finding *f)
{
	add_subject(sb, f);
	if (f->limit > 0 && f->used >= 0)
		strbuf_printf(sb, ": %" PRId64 " of %" PRId64 " connections are used", f->used,
			      f->limit);
	else
		strbuf_puts(sb, ": the connections run out");
}

static void summary_rate(struct strbuf *sb, const struct finding *f)
{
	char about[TEXT_DURATION_LEN];

	add_subject(sb, f);
	if (isfinite(f->exhausted_in_s))
		strbuf_printf(sb, ": at this rate no connection is left in about %s",
			      text_about(f->exhausted_in_s, about));
	else
		strbuf_puts(sb, ": at this rate no connection is left soon");
}

int words_summary(struct strbuf *sb, const struct finding *f)
{
	if (f->status == FINDING_RESOLVED) {
		const char *why = why_resolved(f);

		add_subject(sb, f);
		return strbuf_printf(sb, ": %s is over%s%s", finding_kind_name(f->kind),
				     why ? ", " : "", why ? why : "");
	}
	switch (f->kind) {
	case FINDING_LEAK:
		summary_leak(sb, f);
		break;
	case FINDING_FD_LEAK:
		summary_fd_leak(sb, f);
		break;
	case FINDING_BUDGET:
		summary_budget(sb, f);
		break;
	case FINDING_RATE:
		summary_rate(sb, f);
		break;
	case FINDING_BLIND:
		strbuf_printf(sb, "counts are estimates%s%s", f->reason[0] ? ": " : "", f->reason);
		break;
	}
	return sb->err;
}

static const char *headline(const struct finding *f)
{
	if (f->status == FINDING_RESOLVED)
		return "RESOLVED";
	switch (f->kind) {
	case FINDING_LEAK:
		return "LEAK";
	case FINDING_FD_LEAK:
		return "FD LEAK";
	case FINDING_BUDGET:
		return "BUDGET";
	case FINDING_RATE:
		return "RATE";
	case FINDING_BLIND:
		break;
	}
	return "BLIND";
}

/* "7.6/min leaking (5.6 to 10)" */
static void add_rate(struct strbuf *sb, const struct finding *f)
{
	char rate[TEXT_DURATION_LEN], low[TEXT_DURATION_LEN], high[TEXT_DURATION_LEN];

	strbuf_printf(sb, "%s/min leaking", text_rate(f->leak_rate_per_min, rate));
	if (isfinite(f->leak_rate_low) && isfinite(f->leak_rate_high))
		strbuf_printf(sb, " (%s to %s)", text_rate(f->leak_rate_low, low),
			      text_rate(f->leak_rate_high, high));
}

/* What was counted: "opened 42, closed 0 in 5m 00s: 7.6/min leaking (5.6 to 10), 40 idle" */
static void finding_counts(struct strbuf *sb, const struct finding *f)
{
	char span[TEXT_DURATION_LEN];

	if (is_taken_over(f))
		add_count(sb, INDENT "took over ", f->moved_in, " from another process");
	else
		add_count(sb, INDENT "opened ", f->opened, "");
	add_count(sb, ", closed ", f->closed, "");
	if (f->adopted)
		add_count(sb, ", ", f->adopted, " there before");
	if (f->moved_in && !is_taken_over(f))
		add_count(sb, ", ", f->moved_in, " taken over from another process");
	if (isfinite(f->window_s))
		strbuf_printf(sb, " in %s", text_duration(ns_from_s(f->window_s), span));
	if (f->kind == FINDING_FD_LEAK) {
		add_count(sb, ": ", f->fd_only, " ended and still held");
	} else {
		strbuf_puts(sb, ": ");
		if (isfinite(f->leak_rate_per_min))
			add_rate(sb, f);
		else
			add_count(sb, "", f->leaked, " leaked");
		add_count(sb, ", ", f->idle, " idle");
	}
	strbuf_puts(sb, "\n");
}

/*
 * "from main.placeOrder  order.go:22  (41 of 42)", of what was opened. Where that was not counted,
 * of what is open.
 */
static void finding_from(struct strbuf *sb, const struct finding *f)
{
	struct finding_origin origin;
	char frame[APP_FRAME_LEN];
	bool is_opener, is_counted;

	if (!finding_origin(f, &origin))
		return;
	is_opener = origin.site->role == SITE_OPENED_BY;
	is_counted = is_opener && origin.site->opened;
	strbuf_printf(sb, INDENT "%s %s", is_opener ? "from" : "first used by",
		      app_frame_format(origin.frame, "  ", frame));
	add_count(sb, "  (", is_counted ? origin.site->opened : origin.site->open, " of ");
	add_count(sb, "", is_counted ? f->opened : f->open, is_counted ? ")\n" : " open)\n");
}

/* "97 slots usable, 55 left: at this rate gone in about 7m (4m to 12m)" */
static void finding_budget(struct strbuf *sb, const struct finding *f)
{
	char about[TEXT_DURATION_LEN], low[TEXT_DURATION_LEN], high[TEXT_DURATION_LEN];
	int64_t left = f->limit - f->used;

	if (f->limit <= 0)
		return;
	strbuf_printf(sb, INDENT "%" PRId64 " %s", f->limit,
		      f->scope == SCOPE_SERVER ? "slots usable"
					       : "connections are this node's share");
	if (f->used >= 0 && left > 0)
		strbuf_printf(sb, ", %" PRId64 " left", left);
	else if (f->used >= 0)
		strbuf_puts(sb, ", none left");
	if (isfinite(f->exhausted_in_s) && left > 0) {
		strbuf_printf(sb, ": at this rate gone in about %s",
			      text_about(f->exhausted_in_s, about));
		if (!isnan(f->exhausted_in_low_s) && !isnan(f->exhausted_in_high_s))
			strbuf_printf(sb, " (%s to %s)", text_about(f->exhausted_in_low_s, low),
				      text_about(f->exhausted_in_high_s, high));
	}
	strbuf_puts(sb, "\n");
}

int words_finding(struct strbuf *sb, const struct finding *f)
{
	strbuf_printf(sb, "%s  ", headline(f));
	if (f->holder) {
		words_holder(sb, f->holder);
		if (f->peer.family)
			strbuf_puts(sb, " -> ");
	}
	if (f->peer.family)
		add_peer(sb, f);
	else if (!f->holder)
		strbuf_puts(sb, "this node");
	if (f->via_pid)
		strbuf_printf(sb, " via %s (pid %" PRIu32 ")", f->via_comm[0] ? f->via_comm : "-",
			      f->via_pid);
	strbuf_puts(sb, "\n");

	if (f->status == FINDING_RESOLVED)
		return strbuf_printf(sb, INDENT "%s is over: %s\n", finding_kind_name(f->kind),
				     why_resolved(f));
	if (f->kind == FINDING_BLIND)
		strbuf_printf(sb, INDENT "counts are estimates%s%s\n", f->reason[0] ? ": " : "",
			      f->reason);
	if (f->kind == FINDING_LEAK || f->kind == FINDING_FD_LEAK) {
		finding_counts(sb, f);
		finding_from(sb, f);
	}
	if (f->downstream_of[0])
		strbuf_printf(sb, INDENT "it holds what its clients leak: finding %s\n",
			      f->downstream_of);
	if (f->kind != FINDING_FD_LEAK && f->kind != FINDING_BLIND)
		finding_budget(sb, f);
	return sb->err;
}

int words_row(struct strbuf *sb, const struct finding *f)
{
	char buf[TEXT_DURATION_LEN];

	if (f->kind != FINDING_LEAK || f->status == FINDING_RESOLVED)
		return words_summary(sb, f);
	if (f->holder)
		strbuf_printf(sb, "%s (%" PRIu32 ")", words_name(f->holder), f->holder->pid);
	else
		add_subject(sb, f);
	strbuf_puts(sb, " leaks");
	if (isfinite(f->leak_rate_per_min))
		strbuf_printf(sb, " %s/min", text_rate(f->leak_rate_per_min, buf));
	add_origin(sb, f);
	if (is_taken_over(f))
		add_count(sb, ": ", f->moved_in, " taken over, ");
	else
		add_count(sb, ": ", f->opened, " opened, ");
	add_count(sb, "", f->closed, " closed");
	if (isfinite(f->window_s))
		strbuf_printf(sb, " in %s", text_duration(ns_from_s(f->window_s), buf));
	add_count(sb, ", ", f->idle, " idle");
	return sb->err;
}
