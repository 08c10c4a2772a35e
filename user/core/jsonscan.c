/* SPDX-License-Identifier: Apache-2.0 */
#include "jsonscan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

#define FOUND_MAX 40 /* bytes of the line that a message shows */

void jsonscan_init(struct jsonscan *js, const char *text, size_t n)
{
	*js = (struct jsonscan){.p = text, .start = text, .end = text + n};
}

int jsonscan_fail(struct jsonscan *js, const char *at, const char *want)
{
	js->at = at;
	js->want = want;
	return -EINVAL;
}

/* Takes the byte @c if it comes next. */
static inline bool take(struct jsonscan *js, char c)
{
	if (jsonscan_here(js) == js->end || *js->p != c)
		return false;
	js->p++;
	return true;
}

static int enter(struct jsonscan *js, char c, const char *want)
{
	if (!take(js, c))
		return jsonscan_fail(js, js->p, want);
	js->is_first = true;
	return 0;
}

int jsonscan_object(struct jsonscan *js)
{
	return enter(js, '{', "an object");
}

int jsonscan_array(struct jsonscan *js)
{
	return enter(js, '[', "an array");
}

/* Past a comma to the next member: 1; past the closing byte: 0. */
static int next_member(struct jsonscan *js, char close, const char *want)
{
	bool is_first = js->is_first;

	js->is_first = false;
	if (take(js, close))
		return 0;
	if (!is_first && !take(js, ','))
		return jsonscan_fail(js, js->p, want);
	return 1;
}

int jsonscan_element(struct jsonscan *js)
{
	return next_member(js, ']', "',' or ']'");
}

/* --- strings --- */

static inline bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at @p; -1: there are not four. */
static int32_t hex4(const struct jsonscan *js, const char *p)
{
	int32_t v = 0;

	if (js->end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(p[i]);

		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

static size_t encode_utf8(uint32_t cp, char out[static 4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

/* The \u at js->p, or the two of a surrogate pair. Returns its bytes in @out, or -EINVAL. */
static int unicode_escape(struct jsonscan *js, char out[static 4])
{
	const char *at = js->p;
	int32_t low, cp = hex4(js, at + 2);

	if (cp < 0)
		return jsonscan_fail(js, at, "four hexadecimal digits after \\u");
	js->p += 6;
	if (cp < 0xd800 || cp > 0xdfff)
		return (int)encode_utf8((uint32_t)cp, out);
	low = js->end - js->p > 2 && js->p[0] == '\\' && js->p[1] == 'u' ? hex4(js, js->p + 2) : -1;
	if (cp > 0xdbff || low < 0xdc00 || low > 0xdfff)
		return jsonscan_fail(js, at, "a pair of surrogates");
	js->p += 6;
	cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
	return (int)encode_utf8((uint32_t)cp, out);
}

/* What is not plain at js->p: an escape, or a character of several bytes. As above. */
static int special(struct jsonscan *js, char out[static 4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const unsigned char c = (unsigned char)*js->p;
	const char *escape;
	uint32_t cp;
	size_t len;

	if (c < 0x20)
		return jsonscan_fail(js, js->p, "a string without control characters");
	if (c != '\\') {
		len = text_utf8((const unsigned char *)js->p, (size_t)(js->end - js->p), &cp);
		if (!len)
			return jsonscan_fail(js, js->p, "UTF-8");
		memcpy(out, js->p, len);
		js->p += len;
		return (int)len;
	}
	if (js->end - js->p > 1 && js->p[1] == 'u')
		return unicode_escape(js, out);
	escape = js->end - js->p > 1 && js->p[1] ? strchr(from, js->p[1]) : NULL;
	if (!escape)
		return jsonscan_fail(js, js->p, "an escape that JSON knows");
	out[0] = to[escape - from];
	js->p += 2;
	return 1;
}

/* Where a string is decoded to; @buf NULL: nowhere. */
struct target {
	char *buf;
	size_t size, len;
	bool is_full, has_nul;
};

static inline void put(struct target *t, const char *bytes, size_t n)
{
	if (!t->buf)
		return;
	if (n >= t->size - t->len) {
		t->is_full = true;
		return;
	}
	memcpy(t->buf + t->len, bytes, n);
	t->len += n;
}

static int scan_string(struct jsonscan *js, struct target *t)
{
	char bytes[4];
	int n;

	if (!take(js, '"'))
		return jsonscan_fail(js, js->p, "a string");
	for (;;) {
		const char *run = js->p, *p = run;

		while (p < js->end && is_plain((unsigned char)*p))
			p++;
		js->p = p;
		put(t, run, (size_t)(p - run));
		if (js->p == js->end)
			return jsonscan_fail(js, js->p, "'\"' at the end of a string");
		if (*js->p == '"')
			break;
		n = special(js, bytes);
		if (n < 0)
			return n;
		if (!bytes[0])
			t->has_nul = true;
		put(t, bytes, (size_t)n);
	}
	js->p++;
	return 0;
}

int jsonscan_string(struct jsonscan *js, char *buf, size_t size, size_t *ret_len)
{
	struct target t = {.buf = buf, .size = size};
	const char *at = jsonscan_here(js);
	int err = scan_string(js, &t);

	if (err)
		return err;
	if (t.has_nul)
		return jsonscan_fail(js, at, "a string without U+0000");
	if (t.is_full) {
		jsonscan_fail(js, at, "a shorter string");
		return -E2BIG;
	}
	buf[t.len] = '\0';
	*ret_len = t.len;
	return 0;
}

/* --- keys --- */

bool jsonscan_is_key(struct jsonscan *js, const char *name, size_t len)
{
	const char *p = js->p;

	if (!js->is_first) {
		if (p == js->end || *p != ',')
			return false;
		p++;
	}
	/* the blanks that other writers put after ',' and ':' */
	if (p < js->end && *p == ' ')
		p++;
	if ((size_t)(js->end - p) < len + 4 || p[0] != '"' || p[len + 1] != '"' ||
	    p[len + 2] != ':' || memcmp(p + 1, name, len))
		return false;
	js->is_first = false;
	js->p = p + len + 3;
	return true;
}

int jsonscan_key(struct jsonscan *js, char buf[static JSONSCAN_KEY])
{
	struct target t = {.buf = buf, .size = JSONSCAN_KEY};
	int n = next_member(js, '}', "',' or '}'"), err;

	if (n <= 0)
		return n;
	if (jsonscan_here(js) == js->end || *js->p != '"')
		return jsonscan_fail(js, js->p, "a key");
	err = scan_string(js, &t);
	if (err)
		return err;
	/* no key that anybody asks for is as long, or has a NUL in it */
	buf[t.is_full || t.has_nul ? 0 : t.len] = '\0';
	if (!take(js, ':'))
		return jsonscan_fail(js, js->p, "':'");
	return 1;
}

/* --- numbers and words --- */

static inline bool is_digit(const struct jsonscan *js)
{
	return js->p < js->end && *js->p >= '0' && *js->p <= '9';
}

/* What goes on after a whole number is no whole number. */
static inline bool is_number_over(const struct jsonscan *js)
{
	if (js->p == js->end)
		return true;
	switch (*js->p) {
	case '0' ... '9':
	case '.':
	case 'e':
	case 'E':
	case '+':
	case '-':
		return false;
	default:
		return true;
	}
}

int jsonscan_int(struct jsonscan *js, int64_t *ret)
{
	static const char want[] = "a whole number";
	const char *at = jsonscan_here(js), *p = at, *digits;
	bool is_negative = p < js->end && *p == '-';
	const char *full;
	uint64_t v = 0;

	digits = p += is_negative;
	/* 19 digits always fit */
	full = js->end - p > 19 ? p + 19 : js->end;
	while (p < full && *p >= '0' && *p <= '9')
		v = v * 10 + (uint64_t)(*p++ - '0');
	js->p = p;
	if (p == digits || (*digits == '0' && p - digits > 1))
		return jsonscan_fail(js, at, want);
	if (is_digit(js) || v > (uint64_t)INT64_MAX + is_negative)
		return jsonscan_fail(js, at, "a number of 64 bits");
	if (!is_number_over(js))
		return jsonscan_fail(js, at, want);
	*ret = is_negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

/* At least one digit. */
static bool skip_digits(struct jsonscan *js)
{
	const char *from = js->p;

	while (is_digit(js))
		js->p++;
	return js->p > from;
}

static int skip_number(struct jsonscan *js)
{
	const char *at = js->p, *digits;
	bool is_good;

	if (*js->p == '-')
		js->p++;
	digits = js->p;
	is_good = skip_digits(js) && (*digits != '0' || js->p == digits + 1);
	if (is_good && js->p < js->end && *js->p == '.') {
		js->p++;
		is_good = skip_digits(js);
	}
	if (is_good && js->p < js->end && (*js->p | 0x20) == 'e') {
		js->p++;
		if (js->p < js->end && (*js->p == '+' || *js->p == '-'))
			js->p++;
		is_good = skip_digits(js);
	}
	return is_good && is_number_over(js) ? 0 : jsonscan_fail(js, at, "a number");
}

static bool take_word(struct jsonscan *js, const char *word)
{
	size_t n = strlen(word);

	jsonscan_here(js);
	if ((size_t)(js->end - js->p) < n || memcmp(js->p, word, n))
		return false;
	js->p += n;
	return true;
}

int jsonscan_bool(struct jsonscan *js, bool *ret)
{
	bool is_true = take_word(js, "true");

	if (!is_true && !take_word(js, "false"))
		return jsonscan_fail(js, js->p, "true or false");
	*ret = is_true;
	return 0;
}

bool jsonscan_null(struct jsonscan *js)
{
	return take_word(js, "null");
}

/* --- what nobody asked for --- */

static int skip_scalar(struct jsonscan *js)
{
	struct target nowhere = {0};
	bool ignored;

	if (jsonscan_here(js) == js->end)
		return jsonscan_fail(js, js->p, "a value");
	switch (*js->p) {
	case '"':
		return scan_string(js, &nowhere);
	case 'n':
		return jsonscan_null(js) ? 0 : jsonscan_fail(js, js->p, "a value");
	case 't':
	case 'f':
		return jsonscan_bool(js, &ignored);
	case '-':
	case '0' ... '9':
		return skip_number(js);
	default:
		return jsonscan_fail(js, js->p, "a value");
	}
}

/* Where a value that is skipped stands: inside of how many containers, and of which kinds. */
struct nest {
	uint32_t objects; /* a bit for each depth, the innermost lowest: an object, not an array */
	int depth;
};

static int skip_into(struct jsonscan *js, struct nest *nest)
{
	if (nest->depth == JSONSCAN_DEPTH)
		return jsonscan_fail(js, js->p, "a value of less depth");
	nest->objects = nest->objects << 1 | (*js->p == '{');
	nest->depth++;
	js->p++;
	js->is_first = true;
	return 0;
}

/* To the next value inside: 1; everything was left: 0. */
static int skip_on(struct jsonscan *js, struct nest *nest)
{
	char key[JSONSCAN_KEY];

	while (nest->depth) {
		int n = nest->objects & 1 ? jsonscan_key(js, key) : jsonscan_element(js);

		if (n)
			return n;
		nest->objects >>= 1;
		nest->depth--;
	}
	return 0;
}

int jsonscan_skip(struct jsonscan *js)
{
	struct nest nest = {0};
	int n;

	do {
		bool is_inner = jsonscan_here(js) < js->end && (*js->p == '{' || *js->p == '[');

		n = is_inner ? skip_into(js, &nest) : skip_scalar(js);
		if (!n)
			n = skip_on(js, &nest);
	} while (n > 0);
	return n;
}

int jsonscan_end(struct jsonscan *js)
{
	return jsonscan_here(js) == js->end ? 0 : jsonscan_fail(js, js->p, "the end of the line");
}

/* --- failures --- */

static bool is_word_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       strchr("+-._\\", c) != NULL || c >= 0x80;
}

/* Bytes of what stands at @p: a string, a word or number, or one byte. */
static size_t found_len(const char *p, size_t n)
{
	size_t len = 1;

	if (*p == '"') {
		while (len < n && p[len] != '"')
			len += p[len] == '\\' ? 2 : 1;
		len++;
	} else if (*p && is_word_byte((unsigned char)*p)) {
		while (len < n && p[len] && is_word_byte((unsigned char)p[len]))
			len++;
	}
	return len < n ? len : n;
}

void jsonscan_error(const struct jsonscan *js, struct parse_err *ret)
{
	size_t n = (size_t)(js->end - js->at);
	char found[4 * FOUND_MAX + 1] = "the end of the line";
	size_t len = n ? found_len(js->at, n) : 0;
	bool is_cut = len > FOUND_MAX;

	if (n && !*js->at)
		memcpy(found, "a NUL", 6);
	else if (n)
		text_clean(found, is_cut ? FOUND_MAX : sizeof(found), js->at, len);
	ret->col = (uint32_t)(js->at - js->start) + 1;
	snprintf(ret->msg, sizeof(ret->msg), "expected %.90s, found %.70s%s", js->want, found,
		 is_cut ? "..." : "");
}
