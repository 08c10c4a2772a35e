/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_canary_doc.c - every number of docs/canary.md is what the program computes
 * objects: core/power.o core/baseline.o core/stats.o core/ladder.o core/text.o
 *
 * Runs from the top of the tree. PRINT=1 prints the lines as they must stand in the document.
 */
#include "t.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../user/core/baseline.h"
#include "../../user/core/power.h"
#include "../../user/core/stats.h"
#include "../../user/core/text.h"

#define DETECT	   0.5 /* --detect, as it is when not given */
#define OUTAGE	   1.3 /* leaked a minute */
#define CONFIDENCE 0.99

static char *doc;

static int setup(void **state)
{
	FILE *f = fopen("docs/canary.md", "r");
	size_t n;

	(void)state;
	doc = calloc(1, 1 << 20);
	if (!doc || !f)
		return -1;
	n = fread(doc, 1, (1 << 20) - 1, f);
	fclose(f);
	/* a sentence goes on in the next line */
	for (size_t i = 0; i < n; i++)
		if (doc[i] == '\n')
			doc[i] = ' ';
	return n ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(doc);
	return 0;
}

static int n_wrong;

/* The document has this. */
static void __attribute__((format(printf, 1, 2))) says(const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (getenv("PRINT"))
		printf("%s\n", text);
	if (strstr(doc, text))
		return;
	n_wrong++;
	print_error("docs/canary.md does not say: %s\n", text);
}

static const char *rate(double per_min)
{
	static char buf[8][TEXT_DURATION_LEN];
	static int i;

	i = (i + 1) % 8;
	if (!isfinite(per_min))
		return "none";
	return text_rate(per_min, buf[i]);
}

/* Rounded up: who watches for so long has watched long enough. */
static const char *span(double s)
{
	static char buf[8][TEXT_DURATION_LEN];
	static int i;
	long minutes = (long)ceil(s / 60 - 1e-9);

	i = (i + 1) % 8;
	if (minutes < 60)
		snprintf(buf[i], sizeof(buf[i]), "%ldm", minutes);
	else
		snprintf(buf[i], sizeof(buf[i]), "%ldh %02ldm", minutes / 60, minutes % 60);
	return buf[i];
}

static const char *percent(double p)
{
	static char buf[8][16];
	static int i;

	i = (i + 1) % 8;
	if (p < 0.0005)
		return "0 %";
	if (p < 0.0995)
		snprintf(buf[i], sizeof(buf[i]), "%.1f %%", 100 * p);
	else
		snprintf(buf[i], sizeof(buf[i]), "%.0f %%", fmin(99, 100 * p));
	return p >= 0.995 ? "more than 99 %" : buf[i];
}

static double excludes(double window_min, uint64_t left, double confidence)
{
	const struct power_seen seen = {.window_s = 60 * window_min, .left = left, .late = left};

	return power_detectable(&seen, confidence);
}

static double names(double window_min, uint32_t threads, double confidence)
{
	const struct power_rule r = {.window_s = 60 * window_min, .threads = threads};

	return power_named(&r, confidence);
}

static double needed_s(double detect)
{
	return power_needed(&(struct power_seen){0}, detect, CONFIDENCE);
}

static void what_a_watch_excludes_and_names(void **state)
{
	static const double window_min[] = {2, 5, 10, 15, 30, 60, 180};

	(void)state;
	for (size_t i = 0; i < T_COUNT(window_min); i++) {
		double w = window_min[i];

		says("| %.0fm | %s | %s | %s | %s | %s | %s |", w, rate(excludes(w, 0, 0.9)),
		     rate(excludes(w, 1, 0.9)), rate(names(w, 8, 0.9)), rate(excludes(w, 0, 0.99)),
		     rate(excludes(w, 1, 0.99)), rate(names(w, 8, 0.99)));
	}
	says("With one opening thread 15 minutes name %s a minute, with 64 threads %s.",
	     rate(names(15, 1, 0.99)), rate(names(15, 64, 0.99)));
	says("shorter than 90 seconds");
	assert_true(isnan(names(1.5, 1, 0.5)));
	assert_true(isfinite(names(1.7, 1, 0.5)));
}

static double is_named(double window_min, double per_min)
{
	const struct power_rule r = {.window_s = 60 * window_min};

	return power_named_p(&r, per_min);
}

/* At most: what is named does not pass, and is part of what left little. */
static double passes(double window_min, double per_min, double detect)
{
	double early = per_min * window_min / 3, late = per_min * (window_min * 2 / 3 - 0.5), p = 0;
	double p_early = exp(-early);

	for (uint64_t e = 0; e < 40; p_early *= early / (double)++e) {
		double p_late = exp(-late);

		for (uint64_t l = 0; l < 40; p_late *= late / (double)++l) {
			const struct power_seen seen = {
				.window_s = 60 * window_min, .left = e + l, .late = l};

			if (power_detectable(&seen, CONFIDENCE) > detect * (1 + 1e-9))
				break;
			p += p_early * p_late;
		}
	}
	return fmin(p, 1 - is_named(window_min, per_min));
}

static void the_outage_as_canaries_see_it(void **state)
{
	static const double window_min[] = {5, 15, 30, 60, 180, 360};

	(void)state;
	for (size_t i = 0; i < T_COUNT(window_min); i++) {
		double w = window_min[i], part = 0.05 * OUTAGE;

		says("| %.0fm | %.1f | %s | %s | %.1f | %s | %s | %s |", w, OUTAGE * w,
		     percent(is_named(w, OUTAGE)), percent(passes(w, OUTAGE, DETECT)), part * w,
		     percent(is_named(w, part)), percent(passes(w, part, DETECT)),
		     percent(passes(w, part, 0.05 * DETECT)));
	}
	says("`--detect 0.025`");
}

/* The window in which so slow a leak is named with this confidence. */
static double named_within_s(double per_min)
{
	double lo = 2, hi = 1e5;

	while (hi - lo > 0.2) {
		double mid = (lo + hi) / 2;

		if (names(mid, 8, CONFIDENCE) > per_min)
			lo = mid;
		else
			hi = mid;
	}
	return hi * 60;
}

static void a_part_of_the_traffic_needs_longer(void **state)
{
	static const double share[] = {1, 0.5, 0.25, 0.1, 0.05, 0.01};

	(void)state;
	for (size_t i = 0; i < T_COUNT(share); i++)
		says("| %.0f %% | %.3g | `--detect %g` | %s | %s |", 100 * share[i],
		     share[i] * OUTAGE, share[i] * DETECT, span(needed_s(share[i] * DETECT)),
		     span(named_within_s(share[i] * OUTAGE)));
}

/* The fewest of the candidate's that are worse than @control_n of @n controls, each as busy. */
static uint64_t fewest(uint64_t n, uint64_t control_n)
{
	for (uint64_t m = 1;; m++) {
		const struct comparison_side candidate = {
			.holders = 1, .abandoned = m, .exchanges = 1000};
		const struct comparison_side control = {
			.holders = 1, .abandoned = control_n, .exchanges = 1000 * n};
		struct comparison c;

		baseline_compare(&candidate, &control, &c);
		if (c.result == COMPARISON_WORSE)
			return m;
	}
}

static void few_replicas_and_a_control(void **state)
{
	static const uint64_t controls[] = {1, 2, 4, 9, 19};

	(void)state;
	for (size_t i = 0; i < T_COUNT(controls); i++)
		says("| %d | %d | %d | %d |", (int)controls[i], (int)fewest(controls[i], 0),
		     (int)fewest(controls[i], 1), (int)fewest(controls[i], 5));
}

static void what_is_left_idle_lengthens_it(void **state)
{
	(void)state;
	for (uint64_t m = 0; m <= 6; m += m < 2 ? 1 : 2) {
		const struct power_seen all = {.window_s = 900, .left = m, .late = m};
		const struct power_seen early = {.window_s = 900, .left = m, .late = 0};

		says("| %d | %s | %s |", (int)m, span(power_needed(&all, DETECT, CONFIDENCE)),
		     span(power_needed(&early, DETECT, CONFIDENCE)));
	}
}

static void the_numbers_in_the_text(void **state)
{
	char exact[TEXT_DURATION_LEN];

	(void)state;
	says("%s are needed at least",
	     text_duration((int64_t)ceil(needed_s(DETECT)) * 1000000000LL, exact));
	says("5 minutes rule out a leak of %s a minute", rate(excludes(5, 0, CONFIDENCE)));
	says("names %s of such leaks", percent(is_named(5, OUTAGE)));
	says("15 minutes name %s", percent(is_named(15, OUTAGE)));
	says("a leak of %s a minute is sure to be named", rate(names(5, 8, CONFIDENCE)));
	says("U(0) = %.2f, U(1) = %.2f, U(2) = %.2f", stats_poisson_upper(0, 0.99),
	     stats_poisson_upper(1, 0.99), stats_poisson_upper(2, 0.99));
	says("In 5 minutes %.1f connections had leaked", 5 * OUTAGE);
	says("After 15 minutes %.1f have leaked", 15 * OUTAGE);
	says("5 %% of the traffic sees %.3g leaked a minute", 0.05 * OUTAGE);
	says("%d against 0 with one control, %d against 0 with nine", (int)fewest(1, 0),
	     (int)fewest(9, 0));
	says("Half of the traffic for %.0f minutes", ceil(needed_s(DETECT / 2) / 60));
}

static void no_number_was_wrong(void **state)
{
	(void)state;
	assert_int_equal(n_wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_watch_excludes_and_names),
		cmocka_unit_test(the_outage_as_canaries_see_it),
		cmocka_unit_test(a_part_of_the_traffic_needs_longer),
		cmocka_unit_test(few_replicas_and_a_control),
		cmocka_unit_test(what_is_left_idle_lengthens_it),
		cmocka_unit_test(the_numbers_in_the_text),
		cmocka_unit_test(no_number_was_wrong),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
