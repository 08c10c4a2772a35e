/* SPDX-License-Identifier: Apache-2.0 */
#include "strbuf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Makes room for @n more bytes and a NUL. */
static int strbuf_grow(struct strbuf *sb, size_t n)
{
	size_t need, cap;
	char *buf;

	if (sb->err)
		return sb->err;
	if (__builtin_add_overflow(sb->len, n, &need) || need > SIZE_MAX / 4)
		return sb->err = -ENOMEM;
	need++;
	if (need <= sb->cap)
		return 0;
	cap = sb->cap ? sb->cap : 64;
	while (cap < need)
		cap *= 2;
	buf = realloc(sb->buf, cap);
	if (!buf)
		return sb->err = -ENOMEM;
	sb->buf = buf;
	sb->cap = cap;
	return 0;
}

int strbuf_add(struct strbuf *sb, const char *bytes, size_t n)
{
	int err = strbuf_grow(sb, n);

	if (err)
		return err;
	if (n)
		memcpy(sb->buf + sb->len, bytes, n);
	sb->len += n;
	sb->buf[sb->len] = '\0';
	return 0;
}

int strbuf_puts(struct strbuf *sb, const char *s)
{
	return strbuf_add(sb, s, strlen(s));
}

int strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;
	int n, err;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return sb->err = sb->err ? sb->err : -ENOMEM;
	err = strbuf_grow(sb, (size_t)n);
	if (err)
		return err;
	va_start(ap, fmt);
	vsnprintf(sb->buf + sb->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	sb->len += (size_t)n;
	return 0;
}

/* @s and its padding, or neither. */
static int strbuf_pad(struct strbuf *sb, const char *s, size_t width, int is_right)
{
	size_t n = strlen(s), have = text_width(s);
	size_t pad = have < width ? width - have : 0;
	int err = pad > SIZE_MAX / 4 ? -ENOMEM : strbuf_grow(sb, n + pad);

	if (err)
		return sb->err = err;
	memset(sb->buf + sb->len + (is_right ? 0 : n), ' ', pad);
	memcpy(sb->buf + sb->len + (is_right ? pad : 0), s, n);
	sb->len += n + pad;
	sb->buf[sb->len] = '\0';
	return 0;
}

int strbuf_left(struct strbuf *sb, const char *s, size_t width)
{
	return strbuf_pad(sb, s, width, 0);
}

int strbuf_right(struct strbuf *sb, const char *s, size_t width)
{
	return strbuf_pad(sb, s, width, 1);
}

void strbuf_clear(struct strbuf *sb)
{
	sb->len = 0;
	sb->err = 0;
	if (sb->buf)
		sb->buf[0] = '\0';
}

void strbuf_release(struct strbuf *sb)
{
	if (!sb)
		return;
	free(sb->buf);
	memset(sb, 0, sizeof(*sb));
}
