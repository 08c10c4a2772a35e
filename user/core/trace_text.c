/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "text.h"

#define NS_IN_S 1000000000LL
/* Any two moments of these years are less than 2^63 ns apart. */
#define FIRST_YEAR 1900
#define LAST_YEAR  2100
#define FIRST_S	   (-2208988800LL) /* 1900-01-01T00:00:00Z */
#define LAST_S	   4133980799LL	   /* 2100-12-31T23:59:59Z */

static bool is_upper_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* As text_clean() writes them: \xNN with capital letters. */
static bool is_escape(const char *s, size_t n)
{
	return n >= 4 && s[0] == '\\' && s[1] == 'x' && is_upper_hex(s[2]) && is_upper_hex(s[3]);
}

static bool is_clean(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || s[i] == '\\')
			return false;
	return true;
}

size_t trace_clean(char *dst, size_t size, const char *src, size_t n)
{
	size_t out = 0, i = 0;

	if (!size)
		return 0;
	if (n < size && is_clean(src, n)) {
		memcpy(dst, src, n);
		out = i = n;
	}
	dst[out] = '\0';
	while (i < n) {
		size_t before = out, step = 4;
		uint32_t cp;

		if (!is_escape(src + i, n - i)) {
			step = text_utf8((const unsigned char *)src + i, n - i, &cp);
			step = step ? step : 1;
			out += text_clean(dst + out, size - out, src + i, step);
		} else if (size - out > step) {
			memcpy(dst + out, src + i, step);
			out += step;
			dst[out] = '\0';
		}
		/* no room any more, or a NUL */
		if (out == before)
			break;
		i += step;
	}
	return out;
}

char *trace_time_format(int64_t wall_ns, char buf[static TRACE_TIME_LEN])
{
	time_t s = wall_ns / NS_IN_S - (wall_ns % NS_IN_S < 0);
	int64_t ns = wall_ns - s * NS_IN_S;
	struct tm tm = {0};

	if (s < FIRST_S || s > LAST_S) {
		ns = s < FIRST_S ? 0 : NS_IN_S - 1;
		s = s < FIRST_S ? FIRST_S : LAST_S;
	}
	gmtime_r(&s, &tm);
	snprintf(buf, TRACE_TIME_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100, (unsigned)ns % 1000000000);
	return buf;
}

/* @n digits at *@p, a number from @min to @max; past it. */
static bool take_number(const char **p, int n, int min, int max, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return v >= min && v <= max;
}

static bool take_char(const char **p, const char *any_of)
{
	if (!**p || !strchr(any_of, **p))
		return false;
	(*p)++;
	return true;
}

/* A point and 1 to 9 digits, or nothing. */
static bool take_fraction(const char **p, int64_t *ret_ns)
{
	int64_t ns = 0, unit = NS_IN_S;

	*ret_ns = 0;
	if (!take_char(p, "."))
		return true;
	for (; **p >= '0' && **p <= '9' && unit > 1; (*p)++) {
		unit /= 10;
		ns += unit * (**p - '0');
	}
	*ret_ns = ns;
	return unit < NS_IN_S;
}

/* Seconds that the local time is ahead of UTC. */
static bool take_offset(const char **p, int *ret_s)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	*ret_s = 0;
	if (take_char(p, "Zz"))
		return true;
	if (!take_char(p, "+-") || !take_number(p, 2, 0, 23, &hours) || !take_char(p, ":") ||
	    !take_number(p, 2, 0, 59, &minutes))
		return false;
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool take_date(const char **p, struct tm *tm)
{
	if (!take_number(p, 4, FIRST_YEAR, LAST_YEAR, &tm->tm_year) || !take_char(p, "-") ||
	    !take_number(p, 2, 1, 12, &tm->tm_mon) || !take_char(p, "-") ||
	    !take_number(p, 2, 1, 31, &tm->tm_mday) || !take_char(p, "Tt"))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return true;
}

/* 60 is a leap second: the next one's beginning, since ours have none. */
static bool take_clock(const char **p, struct tm *tm)
{
	return take_number(p, 2, 0, 23, &tm->tm_hour) && take_char(p, ":") &&
	       take_number(p, 2, 0, 59, &tm->tm_min) && take_char(p, ":") &&
	       take_number(p, 2, 0, 60, &tm->tm_sec);
}

int trace_time_parse(const char *text, int64_t *ret_wall_ns)
{
	struct tm tm = {0}, normal;
	int64_t ns = 0, s;
	int ahead_s = 0;

	if (!take_date(&text, &tm) || !take_clock(&text, &tm) || !take_fraction(&text, &ns) ||
	    !take_offset(&text, &ahead_s) || *text)
		return -EINVAL;
	normal = tm;
	/* the 31st of a month of 30 days: noon of it is in another month */
	normal.tm_hour = 12;
	timegm(&normal);
	if (normal.tm_mday != tm.tm_mday)
		return -EINVAL;
	s = timegm(&tm) - ahead_s;
	if (s < FIRST_S || s > LAST_S)
		return -EINVAL;
	*ret_wall_ns = s * NS_IN_S + ns;
	return 0;
}
