/* SPDX-License-Identifier: Apache-2.0 */
/* words_verdict.c - a canary's lines: its verdict, its progress, what it cannot do */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "words_impl.h"

#define SUSPECT_FROM_RUNGS   3
#define CANARY_MIN_EXCHANGES 20

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
