/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app_frame.h"
#include "text.h"

#define INDENT		     "      "
#define CONTAINER_ID_DIGITS  12
#define SUSPECT_FROM_RUNGS   3
#define CANARY_MIN_EXCHANGES 20

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

static int64_t ns_from_s(double s)
{
	return isfinite(s) && fabs(s) < 9e9 ? (int64_t)(s * 1e9) : 0;
}

static void add_count(struct strbuf *sb, const char *before, uint64_t n, const char *after)
{
	char buf[TEXT_DURATION_LEN];

	strbuf_printf(sb, "%s%s%s", before, text_count(n, buf), after);
}

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

/* --- the canary --- */

/* A length of time as one says it: "15m", "2m 20s", "2h 30m". */
static const char *span_text(double s, char buf[static TEXT_DURATION_LEN])
{
	int64_t whole = isfinite(s) && s > 0 && s < 1e9 ? llround(s) : 0;

	if (whole >= 60 && whole < 3600 && whole % 60 == 0)
		snprintf(buf, TEXT_DURATION_LEN, "%dm", (int)(whole / 60));
	else if (whole >= 3600 && whole < 86400 && whole % 3600 == 0)
		snprintf(buf, TEXT_DURATION_LEN, "%dh", (int)(whole / 3600));
	else
		text_duration(whole * NS_PER_S, buf);
	return buf;
}

/* A watch ends with the first tick after its window: to a person that is the window. */
static double watched_s(const struct verdict *v)
{
	return fabs(v->watched_s - v->window_s) < 2 ? v->window_s : v->watched_s;
}

/* PASS and INCONCLUSIVE: who, "1,204 opened, 1,203 closed in 15m" */
static void verdict_line(struct strbuf *sb, const struct verdict *v, const struct holder *h)
{
	char span[TEXT_DURATION_LEN];

	if (h && v->holders <= 1)
		words_holder(sb, &h->info);
	else if (v->holders)
		add_count(sb, "", v->holders, v->holders == 1 ? " process" : " processes");
	else
		strbuf_puts(sb, "no process with a connection");
	strbuf_puts(sb, ": ");
	if (v->opened || v->closed) {
		add_count(sb, "", v->opened, " opened, ");
		add_count(sb, "", v->closed, " closed");
	} else {
		strbuf_puts(sb, "nothing opened");
	}
	strbuf_printf(sb, " in %s", span_text(watched_s(v), span));
}

static void verdict_pass(struct strbuf *sb, const struct verdict *v, const struct holder *h)
{
	char buf[TEXT_DURATION_LEN];

	strbuf_puts(sb, "PASS  ");
	verdict_line(sb, v, h);
	if (v->idle)
		add_count(sb, "; ", v->idle, " idle at the end");
	else if (v->longest_idle_ns > 0)
		strbuf_printf(sb, "; nothing idle longer than %s",
			      text_duration(v->longest_idle_ns, buf));
	strbuf_puts(sb, "\n");
	if (isfinite(v->detectable_leak_per_min))
		strbuf_printf(sb,
			      INDENT "a leak of %s/min or more would not have passed (%.4g %%)\n",
			      text_rate(v->detectable_leak_per_min, buf), 100 * v->confidence);
}

/* Only the length of the watch stands between it and `pass`. */
static bool is_too_short(const struct verdict *v)
{
	return !v->lost_events && v->exchanges >= CANARY_MIN_EXCHANGES &&
	       watched_s(v) >= v->window_s && isfinite(v->needed_window_s) &&
	       v->needed_window_s > v->watched_s && v->detectable_leak_per_min > v->detect_per_min;
}

static void verdict_inconclusive(struct strbuf *sb, const struct verdict *v, const struct holder *h)
{
	char span[TEXT_DURATION_LEN], rate[TEXT_DURATION_LEN], need[TEXT_DURATION_LEN];
	long long s = isfinite(v->watched_s) ? llround(watched_s(v)) : 0;

	strbuf_puts(sb, "INCONCLUSIVE  ");
	verdict_line(sb, v, h);
	strbuf_puts(sb, "\n" INDENT);
	if (!is_too_short(v)) {
		strbuf_printf(sb, "%s\n", v->reason[0] ? v->reason : "too little was seen");
		return;
	}
	if (v->left_idle)
		add_count(sb, "", v->left_idle,
			  v->left_idle == 1 ? " connection looks abandoned; "
					    : " connections look abandoned; ");
	if (s >= 60 && s < 7200 && s % 60 == 0)
		strbuf_printf(sb, "%lld minute%s", s / 60, s == 60 ? "" : "s");
	else
		strbuf_puts(sb, span_text(watched_s(v), span));
	if (v->quiet_s >= 1)
		strbuf_printf(sb, ", %s of it without traffic,", span_text(v->quiet_s, span));
	strbuf_printf(sb,
		      " rule%s out a leak of %s/min, not the %.4g/min asked for: watch for %s\n",
		      s == 60 ? "s" : "", text_rate(v->detectable_leak_per_min, rate),
		      v->detect_per_min, span_text(60 * ceil(v->needed_window_s / 60), need));
}

/* "10 left idle in 1,204 exchanges" */
static void add_side(struct strbuf *sb, const struct comparison *b, uint64_t n, double exposure)
{
	char span[TEXT_DURATION_LEN];

	add_count(sb, "", n, " left idle in ");
	if (b->is_in_minutes)
		strbuf_puts(sb, span_text(60 * exposure, span));
	else
		add_count(sb, "", (uint64_t)exposure, exposure == 1 ? " exchange" : " exchanges");
}

/* What ran beside it, in a line. */
static void verdict_baseline(struct strbuf *sb, const struct verdict *v)
{
	const struct comparison *b = &v->baseline;

	if (!v->control)
		return;
	if (b->result == COMPARISON_UNKNOWN) {
		strbuf_printf(sb, INDENT "not compared with %s: %s\n", v->control,
			      b->why ? b->why : "nothing is known of it");
		return;
	}
	strbuf_puts(sb, INDENT);
	add_side(sb, b, b->abandoned, b->exposure);
	strbuf_printf(sb, ", by %s ", v->control);
	add_side(sb, b, b->control_abandoned, b->control_exposure);
	strbuf_printf(sb, ": %s (p %.2g)\n",
		      b->result == COMPARISON_WORSE ? "worse" : "no difference to be told", b->p);
}

static void verdict_leak(struct strbuf *sb, const struct verdict *v, const struct finding *f,
			 const struct holder *h)
{
	const struct holder_info *who = f && f->holder ? f->holder : h ? &h->info : NULL;
	char span[TEXT_DURATION_LEN];

	if (f) {
		words_finding(sb, f);
	} else {
		strbuf_puts(sb, "LEAK  ");
		verdict_line(sb, v, h);
		/* the process is gone: the reason is all there is */
		strbuf_printf(sb, "\n" INDENT "%s\n", v->reason);
	}
	if (f && v->filled_s > 0)
		strbuf_printf(sb,
			      INDENT "all of it within %s of its start: until it stops, a pool "
				     "that fills looks the same\n",
			      span_text(v->filled_s, span));
	if (v->n_findings > 1)
		strbuf_printf(sb, INDENT "and %u more (--json names each)\n", v->n_findings - 1);
	verdict_baseline(sb, v);
	strbuf_puts(sb, INDENT "next: roll back");
	if (who)
		strbuf_printf(sb, "; then  connleak ls --pid %" PRIu32, who->pid);
	strbuf_puts(sb, "\n");
}

int words_verdict(struct strbuf *sb, const struct verdict *v, const struct finding *f,
		  const struct holder *h)
{
	switch (v->kind) {
	case VERDICT_PASS:
		verdict_pass(sb, v, h);
		verdict_baseline(sb, v);
		break;
	case VERDICT_LEAK:
		verdict_leak(sb, v, f, h);
		break;
	case VERDICT_INCONCLUSIVE:
		verdict_inconclusive(sb, v, h);
		verdict_baseline(sb, v);
		break;
	}
	return sb->err;
}

int words_cannot_pass(struct strbuf *sb, const struct canary_params *p, double needed_s)
{
	char span[TEXT_DURATION_LEN], needed[TEXT_DURATION_LEN];

	return strbuf_printf(
		sb, "%s is too short to pass at %.4g a minute (%.4g %%): %s are needed at least",
		span_text((double)p->window_ns / NS_PER_S, span), p->detect_per_min,
		100 * p->confidence, span_text(ceil(needed_s), needed));
}

int words_progress(struct strbuf *sb, const struct canary_progress *p)
{
	char watched[TEXT_DURATION_LEN], window[TEXT_DURATION_LEN];

	strbuf_printf(sb, "  %s of %s   ", text_duration(ns_from_s(p->watched_s), watched),
		      span_text(p->window_s, window));
	if (!p->holders)
		return strbuf_puts(sb, "no connection yet");
	add_count(sb, "opened ", p->opened, "");
	add_count(sb, "  closed ", p->closed, "");
	add_count(sb, "  open ", p->open, "");
	if (p->is_leak)
		strbuf_puts(sb, "   leaks");
	else if (p->k >= SUSPECT_FROM_RUNGS && p->k < p->k_needed)
		strbuf_printf(sb, "   looks like a leak, not sure yet (%u of %u)", p->k,
			      p->k_needed);
	else if (p->k >= SUSPECT_FROM_RUNGS)
		strbuf_puts(sb, "   looks like a leak, not sure yet");
	return sb->err;
}
