/* SPDX-License-Identifier: Apache-2.0 */
#include "procparse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define NS_PER_S   INT64_C(1000000000)
#define VALUE_MAX  4096
#define START_TIME 22 /* its number in proc(5) */

/*
 * How an interpreter's command line names its script. Letters can stand together in one word
 * (-lne); words are matched whole, up to a "=". Where the program is given as text there is no
 * script, and nothing of the command line may be taken for one: it can hold a password.
 */
struct interpreter {
	char name[8];	     /* digits and dots may follow */
	char code[8];	     /* letters: the program is text or standard input */
	char script[8];	     /* letters: the script is what they take */
	char arg[8];	     /* letters: take the rest of the word, else the next one */
	char rest[8];	     /* letters: take the rest of the word */
	char code_words[80]; /* the same for words, each between spaces */
	char script_words[24];
	char arg_words[240];
};

#define SHELL(NAME)                                                                                \
	{                                                                                          \
		.name = NAME, .code = "cs", .arg = "oO", .arg_words = " --rcfile --init-file "     \
	}
#define PYTHON(NAME)                                                                               \
	{                                                                                          \
		.name = NAME, .code = "c", .script = "m", .arg = "WX",                             \
		.arg_words = " --check-hash-based-pycs "                                           \
	}
#define NODE(NAME)                                                                                 \
	{                                                                                          \
		.name = NAME,                                                                      \
		.code_words = " -e --eval -p --print -pe -i --interactive --run --test ",          \
		.arg_words = " -r --require --import --loader --experimental-loader -C "           \
			     "--conditions --env-file --title --inspect-port --input-type "        \
			     "--icu-data-dir --openssl-config "                                    \
	}

static const struct interpreter interpreters[] = {
	PYTHON("python"),
	PYTHON("pypy"),
	NODE("node"),
	NODE("nodejs"),
	SHELL("sh"),
	SHELL("bash"),
	SHELL("dash"),
	SHELL("ash"),
	SHELL("ksh"),
	SHELL("mksh"),
	SHELL("zsh"),
	{
		.name = "ruby",
		.code = "e",
		.arg = "ICEr",
		.rest = "FKTWix",
		.arg_words = " --encoding --external-encoding --internal-encoding --enable "
			     "--disable --backtrace-limit ",
	},
	{
		.name = "perl",
		.code = "eE",
		.arg = "I",
		.rest = "MmiFDVx",
	},
	{
		.name = "php",
		.code = "rBREa",
		.script = "fF",
		.arg = "cdztSTg",
		.code_words = " --run --process-begin --process-code --process-end --interactive ",
		.script_words = " --file --process-file ",
		.arg_words = " --define --php-ini --server --docroot --zend-extension --rf --rc "
			     "--re --rz --ri --timing ",
	},
	{
		.name = "java", /* -jar only says what the first other word is */
		.script_words = " -m --module ",
		.arg_words = " -cp -classpath --class-path -p --module-path "
			     "--upgrade-module-path --add-modules --add-exports --add-opens "
			     "--add-reads --limit-modules --patch-module --source "
			     "--enable-native-access -d --describe-module ",
	},
};

struct words {
	const char *p;
	size_t n;
};

enum option { OPTION_PLAIN, OPTION_ARG, OPTION_SCRIPT, OPTION_CODE };

/* The next word, NUL-terminated or the last; false at the end. */
static bool take(struct words *w, struct words *ret)
{
	const char *end;

	if (w->n == 0)
		return false;
	end = memchr(w->p, '\0', w->n);
	*ret = (struct words){w->p, end ? (size_t)(end - w->p) : w->n};
	w->p += ret->n + (end != NULL);
	w->n -= ret->n + (end != NULL);
	return true;
}

static bool is(struct words w, const char *text)
{
	return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

static bool has_letter(const char *letters, char c)
{
	return c && strchr(letters, c);
}

/* @list: words with a space before and after each */
static bool has_word(const char *list, struct words w)
{
	for (const char *at = list; at[0] && at[1];) {
		const char *end = strchr(at + 1, ' ');
		size_t n = (size_t)(end - at - 1);

		if (n == w.n && memcmp(at + 1, w.p, n) == 0)
			return true;
		at = end;
	}
	return false;
}

/* What @word, from "-" or "+" on, is to @in; @value: what it takes of itself, empty for none. */
static enum option long_option(const struct interpreter *in, struct words word, struct words *value)
{
	const char *eq = memchr(word.p, '=', word.n);
	struct words name = {word.p, eq ? (size_t)(eq - word.p) : word.n};

	*value = (struct words){0};
	if (eq)
		*value = (struct words){eq + 1, word.n - name.n - 1};
	if (has_word(in->code_words, name))
		return OPTION_CODE;
	if (has_word(in->script_words, name))
		return OPTION_SCRIPT;
	return !eq && has_word(in->arg_words, name) ? OPTION_ARG : OPTION_PLAIN;
}

static enum option letters(const struct interpreter *in, struct words word, struct words *value)
{
	*value = (struct words){0};
	for (size_t i = 1; i < word.n; i++) {
		char c = word.p[i];

		if (has_letter(in->code, c))
			return OPTION_CODE;
		if (has_letter(in->rest, c))
			return OPTION_PLAIN;
		if (has_letter(in->arg, c))
			return i + 1 == word.n ? OPTION_ARG : OPTION_PLAIN;
		if (has_letter(in->script, c)) {
			*value = (struct words){word.p + i + 1, word.n - i - 1};
			return OPTION_SCRIPT;
		}
	}
	return OPTION_PLAIN;
}

static enum option option(const struct interpreter *in, struct words word, struct words *value)
{
	enum option o = long_option(in, word, value);

	if (o != OPTION_PLAIN || word.p[1] == '-')
		return o;
	return letters(in, word, value);
}

static bool is_option(const struct interpreter *in, struct words word)
{
	if (word.n && word.p[0] == '@' && strcmp(in->name, "java") == 0)
		return true;
	return word.n > 1 && (word.p[0] == '-' || word.p[0] == '+');
}

/* The word of @rest, what follows argv[0], that names the script; false for none. */
static bool find_script(const struct interpreter *in, struct words rest, struct words *ret)
{
	struct words word, value;

	while (take(&rest, &word)) {
		if (is(word, "-"))
			return false;
		if (is(word, "--"))
			return take(&rest, ret);
		if (!is_option(in, word)) {
			*ret = word;
			return true;
		}
		switch (option(in, word, &value)) {
		case OPTION_CODE:
			return false;
		case OPTION_SCRIPT:
			*ret = value;
			return value.n || take(&rest, ret);
		case OPTION_ARG:
			take(&rest, &word);
			break;
		case OPTION_PLAIN:
			break;
		}
	}
	return false;
}

static struct words base_name(struct words path)
{
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;

	if (!slash)
		return path;
	return (struct words){slash + 1, path.n - (size_t)(slash + 1 - path.p)};
}

static const struct interpreter *find_interpreter(struct words base)
{
	for (size_t i = 0; i < sizeof(interpreters) / sizeof(interpreters[0]); i++) {
		size_t n = strlen(interpreters[i].name);

		if (base.n < n || memcmp(base.p, interpreters[i].name, n) != 0)
			continue;
		while (n < base.n && ((base.p[n] >= '0' && base.p[n] <= '9') || base.p[n] == '.'))
			n++;
		if (n == base.n)
			return &interpreters[i];
	}
	return NULL;
}

static int dup_value(struct words value, char **ret)
{
	char *s;

	if (value.n == 0)
		return -ENOENT;
	s = text_clean_dup(value.p, value.n < VALUE_MAX ? value.n : VALUE_MAX);
	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

int procparse_script(const char *exe, const char *cmdline, size_t n, char **ret)
{
	struct words rest = {cmdline, n}, argv0, base, script;
	const struct interpreter *in;

	if (!exe || !take(&rest, &argv0))
		return -ENOENT;
	base = base_name((struct words){exe, strlen(exe)});
	/* busybox is many programs, and only its first word says which */
	if (is(base, "busybox"))
		base = base_name(argv0);
	in = find_interpreter(base);
	if (!in || !find_script(in, rest, &script))
		return -ENOENT;
	return dup_value(script, ret);
}

int procparse_env(const char *env, size_t n, const char *name, char **ret)
{
	struct words rest = {env, n}, entry;
	size_t len = strlen(name);

	while (take(&rest, &entry)) {
		/* one without an end was cut, and so may its value be */
		if (entry.p + entry.n == env + n)
			break;
		if (entry.n > len && entry.p[len] == '=' && memcmp(entry.p, name, len) == 0)
			return dup_value((struct words){entry.p + len + 1, entry.n - len - 1}, ret);
	}
	return -ENOENT;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Values of the list are percent-encoded. */
static int dup_decoded(const char *value, size_t n, char **ret)
{
	char *buf = malloc(n + 1);
	size_t len = 0;
	int err;

	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int hi = value[i] == '%' && i + 2 < n ? hex_value(value[i + 1]) : -1;
		int lo = hi >= 0 ? hex_value(value[i + 2]) : -1;

		if (lo >= 0 && (hi || lo)) {
			buf[len++] = (char)(hi * 16 + lo);
			i += 2;
		} else {
			buf[len++] = value[i];
		}
	}
	err = dup_value((struct words){buf, len}, ret);
	free(buf);
	return err;
}

int procparse_otel_version(const char *value, char **ret)
{
	static const char key[] = "service.version=";

	while (*value) {
		size_t n;

		value += strspn(value, ", ");
		n = strcspn(value, ",");
		if (strncmp(value, key, sizeof(key) - 1) == 0) {
			value += sizeof(key) - 1;
			n -= sizeof(key) - 1;
			while (n && value[n - 1] == ' ')
				n--;
			return dup_decoded(value, n, ret);
		}
		value += n;
	}
	return -ENOENT;
}

/* @s: digits up to a space or line end; false where they are cut or too many */
static bool take_number(const char *s, const char *end, int64_t *ret)
{
	int64_t v = 0;
	const char *at = s;

	for (; at < end && *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *at - '0', &v))
			return false;
	if (at == s || at == end || (*at != ' ' && *at != '\n'))
		return false;
	*ret = v;
	return true;
}

int procparse_start_ns(const char *stat, size_t n, long ticks_per_s, int64_t *ret_ns)
{
	const char *at = n ? memrchr(stat, ')', n) : NULL, *end = stat + n;
	int64_t ticks, s_ns, ns;

	if (!at || ticks_per_s <= 0 || ticks_per_s > NS_PER_S)
		return -EINVAL;
	at++; /* the space before field 3 */
	for (int field = 3; field <= START_TIME; field++) {
		at = at < end ? memchr(at, ' ', (size_t)(end - at)) : NULL;
		if (!at)
			return -EINVAL;
		at++;
	}
	if (!take_number(at, end, &ticks))
		return -EINVAL;
	ns = ticks % ticks_per_s * NS_PER_S / ticks_per_s;
	if (__builtin_mul_overflow(ticks / ticks_per_s, NS_PER_S, &s_ns) ||
	    __builtin_add_overflow(s_ns, ns, &ns))
		return -EINVAL;
	*ret_ns = ns;
	return 0;
}
