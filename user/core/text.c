/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_IN_MS 1000000LL
#define NS_IN_S	 1000000000LL

/*
 * The ranges of the second byte are Table 3-7 of the Unicode standard: they exclude overlong
 * forms, surrogates, and what lies above U+10FFFF.
 */
size_t text_utf8(const unsigned char *s, size_t n, uint32_t *ret_cp)
{
	unsigned char low = 0x80, high = 0xbf;
	uint32_t cp;
	size_t len;

	if (s[0] < 0x80) {
		*ret_cp = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
		cp = s[0] & 0x1f;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		cp = s[0] & 0x0f;
		low = s[0] == 0xe0 ? 0xa0 : low;
		high = s[0] == 0xed ? 0x9f : high;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		cp = s[0] & 0x07;
		low = s[0] == 0xf0 ? 0x90 : low;
		high = s[0] == 0xf4 ? 0x8f : high;
	} else {
		return 0;
	}
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (s[i] < low || s[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	*ret_cp = cp;
	return len;
}

/* Would it move the cursor, reorder its neighbours, hide, or look like our own escape? */
static bool is_unsafe(uint32_t cp)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x0000, 0x001f}, {'\\', '\\'},	    {0x007f, 0x009f},
		{0x061c, 0x061c}, {0x180e, 0x180e}, {0x200b, 0x200f},
		{0x2028, 0x202e}, {0x2060, 0x2069}, {0xfeff, 0xfeff},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (cp >= ranges[i].first && cp <= ranges[i].last)
			return true;
	return false;
}

size_t text_clean(char *dst, size_t size, const char *src, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *s = (const unsigned char *)src;
	size_t out = 0, i = 0;

	if (!size)
		return 0;
	while (i < n && s[i]) {
		uint32_t cp = 0;
		size_t len = text_utf8(s + i, n - i, &cp);
		bool escape = !len || is_unsafe(cp);

		len = len ? len : 1;
		if ((escape ? 4 * len : len) >= size - out)
			break;
		for (size_t j = 0; j < len; j++) {
			unsigned char c = s[i + j];

			if (escape) {
				dst[out++] = '\\';
				dst[out++] = 'x';
				dst[out++] = hex[c >> 4];
				dst[out++] = hex[c & 15];
			} else {
				dst[out++] = (char)c;
			}
		}
		i += len;
	}
	dst[out] = '\0';
	return out;
}

char *text_clean_dup(const char *src, size_t n)
{
	size_t len = strnlen(src, n);
	char *dst, *fit;

	if (len > (SIZE_MAX - 1) / 4)
		return NULL;
	dst = malloc(4 * len + 1);
	if (!dst)
		return NULL;
	len = text_clean(dst, 4 * len + 1, src, len);
	fit = realloc(dst, len + 1);
	return fit ? fit : dst;
}

char *text_duration(int64_t ns, char buf[static TEXT_DURATION_LEN])
{
	int64_t s = ns < 0 ? 0 : ns / NS_IN_S;

	if (ns > 0 && ns < NS_IN_S)
		snprintf(buf, TEXT_DURATION_LEN, "%d ms", ns < NS_IN_MS ? 1 : (int)(ns / NS_IN_MS));
	else if (s < 60)
		snprintf(buf, TEXT_DURATION_LEN, "%ds", (int)s);
	else if (s < 3600)
		snprintf(buf, TEXT_DURATION_LEN, "%dm %02ds", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		snprintf(buf, TEXT_DURATION_LEN, "%dh %dm", (int)(s / 3600), (int)(s / 60 % 60));
	else
		snprintf(buf, TEXT_DURATION_LEN, "%" PRId64 "d %dh", s / 86400,
			 (int)(s / 3600 % 24));
	return buf;
}

/* The step that an estimate of @s seconds is rounded to: near 10 %, on a clock's own marks. */
static double about_step(double s)
{
	static const struct {
		double below, step;
	} steps[] = {
		{10, 1},      {60, 5},	     {180, 10},	     {600, 30},	      {3600, 60},
		{10800, 600}, {36000, 1800}, {172800, 3600}, {864000, 43200},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (s < steps[i].below)
			return steps[i].step;
	return 86400;
}

char *text_about(double s, char buf[static TEXT_DURATION_LEN])
{
	static const struct {
		int64_t s, sub;
		char unit, sub_unit;
	} units[] = {{86400, 3600, 'd', 'h'}, {3600, 60, 'h', 'm'}, {60, 1, 'm', 's'}};
	double step;
	int64_t whole;

	if (isnan(s) || isinf(s) || s > 1e9) {
		snprintf(buf, TEXT_DURATION_LEN, "%s", isnan(s) ? "-" : "never");
		return buf;
	}
	s = s < 0 ? 0 : s;
	step = about_step(s);
	whole = (int64_t)(round(s / step) * step);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		int n = (int)(whole / units[i].s);
		int rest = (int)(whole % units[i].s / units[i].sub);

		/* "36h" says more than "1d 12h" while hours are what counts. */
		if (whole < units[i].s * (units[i].unit == 'd' ? 2 : 1))
			continue;
		if (rest)
			snprintf(buf, TEXT_DURATION_LEN, "%d%c %d%c", n, units[i].unit, rest,
				 units[i].sub_unit);
		else
			snprintf(buf, TEXT_DURATION_LEN, "%d%c", n, units[i].unit);
		return buf;
	}
	snprintf(buf, TEXT_DURATION_LEN, "%ds", (int)whole);
	return buf;
}

char *text_bytes(uint64_t bytes, char buf[static TEXT_DURATION_LEN])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)bytes;
	size_t u = 0;

	/* 999.5 and more would print as 1000. */
	while (value >= 999.5 && u + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		u++;
	}
	snprintf(buf, TEXT_DURATION_LEN, "%.*f %s", u && value < 9.95 ? 1 : 0, value, units[u]);
	return buf;
}

char *text_rate(double per_min, char buf[static TEXT_DURATION_LEN])
{
	double size = fabs(per_min);
	int digits = 1;

	if (!isfinite(per_min) || size >= 1e15) {
		snprintf(buf, TEXT_DURATION_LEN, "-");
		return buf;
	}
	/* The limits stand where two digits round up to the next power of ten. */
	if (size >= 9.95)
		digits = 0;
	for (double limit = 0.995; digits && digits < 6 && size > 0 && size < limit; limit /= 10)
		digits++;
	snprintf(buf, TEXT_DURATION_LEN, "%.*f", digits, per_min);
	return buf;
}

char *text_count(uint64_t n, char buf[static TEXT_DURATION_LEN])
{
	char digits[TEXT_DURATION_LEN];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	size_t out = 0;

	/* 20 digits and 6 commas do not fit; such a number is no count. */
	if (len > 18) {
		snprintf(buf, TEXT_DURATION_LEN, "%s", digits);
		return buf;
	}
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	buf[out] = '\0';
	return buf;
}

char *text_time(int64_t wall_ns, char buf[static 32])
{
	int64_t ms = wall_ns / NS_IN_MS - (wall_ns % NS_IN_MS < 0);
	time_t s = ms / 1000 - (ms % 1000 < 0);
	struct tm tm = {0};

	gmtime_r(&s, &tm);
	snprintf(buf, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100, (unsigned)(ms - (int64_t)s * 1000) % 1000);
	return buf;
}

int text_parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {{"ms", NS_IN_MS},
		     {"s", NS_IN_S},
		     {"m", 60 * NS_IN_S},
		     {"h", 3600 * NS_IN_S},
		     {"d", 86400 * NS_IN_S}};
	const int64_t max_ns = 366 * 86400 * NS_IN_S;
	int64_t n = 0;
	const char *p = text;

	for (; isdigit((unsigned char)*p); p++) {
		n = n * 10 + (*p - '0');
		if (n > max_ns / NS_IN_MS)
			return -EINVAL;
	}
	if (p == text || n == 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(p, units[i].name))
			continue;
		if (n > max_ns / units[i].ns)
			return -EINVAL;
		*ret_ns = n * units[i].ns;
		return 0;
	}
	return -EINVAL;
}

size_t text_width(const char *s)
{
	size_t width = 0;

	for (; *s; s++)
		width += ((unsigned char)*s & 0xc0) != 0x80;
	return width;
}
