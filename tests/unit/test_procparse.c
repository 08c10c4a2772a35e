/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects: core/procparse.o core/text.o
 */
#include "t.h"

#include <errno.h>
#include <stdlib.h>

#include "mutate.h"
#include "../../user/core/procparse.h"

#define TICKS	   100
#define STAT_HEAD  "4711 (order-service) "
#define STAT_TAIL  "S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 123456 99 88 1844 1 1\n"
#define NS_OF_STAT INT64_C(1234560000000)

static void start_time_is_field_22(void **state)
{
	static const char *const heads[] = {STAT_HEAD,		"4711 () ",
					    "4711 (a b) ",	"4711 (x) S 1 2 3) ",
					    "4711 (\n)\xff) (", "4711 ()))))))) "};
	char stat[512];

	(void)state;
	for (size_t i = 0; i < T_COUNT(heads); i++) {
		int64_t ns = -1;

		/* the one odd head ends inside its comm */
		strcpy(stat, heads[i]);
		strcat(stat, stat[strlen(stat) - 1] == '(' ? ") " STAT_TAIL : STAT_TAIL);
		assert_int_equal(procparse_start_ns(stat, strlen(stat), TICKS, &ns), 0);
		assert_int_equal(ns, NS_OF_STAT);
	}
}

static void start_time_keeps_the_ticks_of_any_clock(void **state)
{
	static const char stat[] = STAT_HEAD STAT_TAIL;
	int64_t ns;

	(void)state;
	assert_int_equal(procparse_start_ns(stat, sizeof(stat) - 1, 1000, &ns), 0);
	assert_int_equal(ns, INT64_C(123456000000));
	assert_int_equal(procparse_start_ns(stat, sizeof(stat) - 1, 300, &ns), 0);
	assert_int_equal(ns, INT64_C(411520000000));
}

static void cut_or_absurd_stat_is_refused(void **state)
{
	static const char stat[] = STAT_HEAD STAT_TAIL;
	static const char huge[] = "1 (x) S 1 1 1 0 -1 1 1 2 3 4 5 6 7 8 20 0 9 0 "
				   "9223372036854775807 99\n";
	static const char more[] = "1 (x) S 1 1 1 0 -1 1 1 2 3 4 5 6 7 8 20 0 9 0 "
				   "99999999999999999999999 99\n";
	static const char negative[] = "1 (x) S 1 1 1 0 -1 1 1 2 3 4 5 6 7 8 20 0 9 0 -5 99\n";
	size_t whole = (size_t)(strstr(stat, "123456") - stat) + 7;
	int64_t ns = 42;

	(void)state;
	for (size_t n = 0; n < whole; n++)
		assert_int_equal(procparse_start_ns(stat, n, TICKS, &ns), -EINVAL);
	assert_int_equal(procparse_start_ns(huge, sizeof(huge) - 1, TICKS, &ns), -EINVAL);
	assert_int_equal(procparse_start_ns(more, sizeof(more) - 1, TICKS, &ns), -EINVAL);
	assert_int_equal(procparse_start_ns(negative, sizeof(negative) - 1, TICKS, &ns), -EINVAL);
	assert_int_equal(procparse_start_ns(stat, sizeof(stat) - 1, 0, &ns), -EINVAL);
	assert_int_equal(ns, 42);
}

#define ENV "PATH=/bin\0XDD_VERSION=x\0DD_VERSION_=y\0DD_VERSION=v2.3.9\0EMPTY=\0LAST=1"

static void environment_yields_one_whole_variable(void **state)
{
	static const char env[] = ENV;
	char *s = NULL;

	(void)state;
	assert_int_equal(procparse_env(env, sizeof(env), "DD_VERSION", &s), 0);
	assert_string_equal(s, "v2.3.9");
	free(s);
	assert_int_equal(procparse_env(env, sizeof(env), "LAST", &s), 0);
	assert_string_equal(s, "1");
	free(s);
}

static void absent_empty_and_cut_variables_are_none(void **state)
{
	static const char env[] = ENV;
	char *s = NULL;

	(void)state;
	assert_int_equal(procparse_env(env, sizeof(env), "DD", &s), -ENOENT);
	assert_int_equal(procparse_env(env, sizeof(env), "EMPTY", &s), -ENOENT);
	assert_int_equal(procparse_env(env, sizeof(env) - 1, "LAST", &s), -ENOENT);
	assert_int_equal(procparse_env(env, 0, "PATH", &s), -ENOENT);
	assert_null(s);
}

static void otel_version_is_one_attribute(void **state)
{
	static const struct {
		const char *value, *version;
	} cases[] = {
		{"service.version=1.2", "1.2"},
		{"service.name=x,service.version=1.2,a=b", "1.2"},
		{"a=b, service.version=1.2 ,c=d", "1.2"},
		{"service.version=1.2%2Bdirty", "1.2+dirty"},
		{"service.version=1%2", "1%2"},
		{"service.version=1%00", "1%00"},
		{"service.version=%1b[m", "\\x1B[m"},
		{"service.version=", NULL},
		{"service.version=,service.version=2", NULL},
		{"my.service.version=1", NULL},
		{"service.version", NULL},
		{",,, ,", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		char *s = NULL;
		int err = procparse_otel_version(cases[i].value, &s);

		assert_int_equal(err, cases[i].version ? 0 : -ENOENT);
		if (cases[i].version)
			assert_string_equal(s, cases[i].version);
		free(s);
	}
}

/* Words are separated by "|" here. */
static const struct script_case {
	const char *exe, *cmdline, *script;
} scripts[] = {
	{"/usr/bin/python3.11", "python3|/srv/orders.py|--password=x", "/srv/orders.py"},
	{"/usr/bin/python3.11", "python3|-u|-W|ignore|-Xdev|orders.py", "orders.py"},
	{"/usr/bin/python3.11", "python3|-m|gunicorn|app:app", "gunicorn"},
	{"/usr/bin/python3.11", "python3|-um|gunicorn", "gunicorn"},
	{"/usr/bin/python3.11", "python3|-mgunicorn", "gunicorn"},
	{"/usr/bin/python3.11", "python3|-c|connect('password=x')", NULL},
	{"/usr/bin/python3.11", "python3|-Buc|connect('password=x')", NULL},
	{"/usr/bin/python3.11", "python3|-cconnect('password=x')|word", NULL},
	{"/usr/bin/python3.11", "python3|-|word", NULL},
	{"/usr/bin/python3.11", "python3|--|orders.py", "orders.py"},
	{"/usr/bin/python3.11", "python3|--check-hash-based-pycs|always|o.py", "o.py"},
	{"/usr/bin/python3.11", "gunicorn: worker [app]", NULL},
	{"/usr/bin/python3.11", "gunicorn: worker [app]|||", NULL},
	{"/usr/bin/python3.11", "python3", NULL},
	{"/usr/bin/python3.11", "python3|-m", NULL},
	{"/opt/pypy/bin/pypy3.9", "pypy3|x.py", "x.py"},
	{"/usr/bin/node", "node|--max-old-space-size=4096|-r|dotenv/config|server.js|x",
	 "server.js"},
	{"/usr/bin/node", "node|--require=ts-node|server.ts", "server.ts"},
	{"/usr/bin/node", "node|-e|secret()|word", NULL},
	{"/usr/bin/node", "node|--eval=secret()|word", NULL},
	{"/usr/bin/nodejs", "nodejs|-pe|secret()", NULL},
	{"/usr/bin/ruby3.1", "ruby|-rbundler/setup|-I|lib|-W2|app.rb|start", "app.rb"},
	{"/usr/bin/ruby3.1", "ruby|-ne|secret", NULL},
	{"/usr/bin/perl", "perl|-w|-MDBI|-Ilib|orders.pl", "orders.pl"},
	{"/usr/bin/perl", "perl|-MDBI|-lne|secret|file", NULL},
	{"/usr/bin/perl", "perl|-0777e|secret", NULL},
	{"/usr/bin/php8.2", "php|-d|memory_limit=1G|artisan|queue:work", "artisan"},
	{"/usr/bin/php8.2", "php|-f|job.php", "job.php"},
	{"/usr/bin/php8.2", "php|--file=job.php", "job.php"},
	{"/usr/bin/php8.2", "php|-r|secret();", NULL},
	{"/usr/bin/php8.2", "php|-nr|secret();", NULL},
	{"/usr/sbin/php-fpm8.2", "php-fpm: pool www|x", NULL},
	{"/usr/lib/jvm/bin/java", "java|-Xmx1g|-Dpw=x|-cp|a.jar:b.jar|com.shop.Orders|x",
	 "com.shop.Orders"},
	{"/usr/lib/jvm/bin/java", "java|-jar|-Xmx1g|/app/orders.jar", "/app/orders.jar"},
	{"/usr/lib/jvm/bin/java", "java|@args|--module-path|mods|-m|shop/com.shop.Main|x",
	 "shop/com.shop.Main"},
	{"/usr/lib/jvm/bin/java", "java|-version", NULL},
	{"/usr/bin/bash", "bash|/srv/run.sh|x", "/srv/run.sh"},
	{"/usr/bin/bash", "-bash", NULL},
	{"/usr/bin/bash", "bash|-euo|pipefail|run.sh", "run.sh"},
	{"/usr/bin/bash", "bash|+o|posix|--rcfile|x|run.sh", "run.sh"},
	{"/usr/bin/bash", "bash|-ec|psql 'password=x'|word", NULL},
	{"/usr/bin/dash", "sh|-c|psql 'password=x'", NULL},
	{"/bin/busybox", "/bin/sh|run.sh", "run.sh"},
	{"/bin/busybox", "wget|http://x", NULL},
	{"/app/order-service", "order-service|-m|x", NULL},
	{"/usr/bin/pythonic", "pythonic|x.py", NULL},
	{"/usr/bin/", "x|y", NULL},
	{"", "x|y", NULL},
	{"/usr/bin/python3", "", NULL},
	{"/usr/bin/python3", "python3|\x1b[31m.py", "\\x1B[31m.py"},
};

static size_t words(const char *cmdline, char *buf)
{
	size_t n = strlen(cmdline);

	memcpy(buf, cmdline, n + 1);
	for (size_t i = 0; i < n; i++)
		if (buf[i] == '|')
			buf[i] = '\0';
	return n ? n + 1 : 0;
}

static void script_is_the_one_word_that_names_it(void **state)
{
	char buf[256];

	(void)state;
	for (size_t i = 0; i < T_COUNT(scripts); i++) {
		const struct script_case *c = &scripts[i];
		char *s = NULL;
		int err = procparse_script(c->exe, buf, words(c->cmdline, buf), &s);

		if (err != (c->script ? 0 : -ENOENT) || (s && strcmp(s, c->script) != 0))
			fail_msg("%s: %s (%d), wanted %s", c->cmdline, s ? s : "none", err,
				 c->script ? c->script : "none");
		free(s);
	}
}

static void script_of_an_unknown_executable_is_none(void **state)
{
	char *s = NULL;

	(void)state;
	assert_int_equal(procparse_script(NULL, "python3\0x.py", 13, &s), -ENOENT);
	assert_null(s);
}

static void long_words_are_cut(void **state)
{
	size_t n = 100000;
	char *cmdline = malloc(n), *s = NULL;

	(void)state;
	assert_non_null(cmdline);
	memset(cmdline, 'x', n);
	memcpy(cmdline, "python3", 8);
	assert_int_equal(procparse_script("/usr/bin/python3", cmdline, n, &s), 0);
	assert_int_equal(strlen(s), 4096);
	free(s);
	free(cmdline);
}

static void damaged_stat_is_survived(void **state)
{
	static const char stat[] = STAT_HEAD STAT_TAIL;
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < MUTATE_ROUNDS; i++) {
		size_t n;
		unsigned char *bad = mutate(&seed, stat, sizeof(stat) - 1, &n);
		int64_t ns = -1;

		if (procparse_start_ns((char *)bad, n, TICKS, &ns) == 0)
			assert_true(ns >= 0);
		else
			assert_int_equal(ns, -1);
		free(bad);
	}
}

static void damaged_environment_is_survived(void **state)
{
	static const char env[] = ENV "\0OTEL_RESOURCE_ATTRIBUTES=a=b,service.version=1%2B2,c";
	uint64_t seed = 2;

	(void)state;
	for (int i = 0; i < MUTATE_ROUNDS; i++) {
		char *s = NULL, *version = NULL;
		size_t n;
		unsigned char *bad = mutate(&seed, env, sizeof(env), &n);

		procparse_env((char *)bad, n, "DD_VERSION", &s);
		free(s);
		s = NULL;
		if (!procparse_env((char *)bad, n, "OTEL_RESOURCE_ATTRIBUTES", &s))
			procparse_otel_version(s, &version);
		free(version);
		free(s);
		free(bad);
	}
}

static void damaged_command_line_is_survived(void **state)
{
	uint64_t seed = 3;
	char buf[256];

	(void)state;
	for (size_t i = 0; i < MUTATE_ROUNDS; i++) {
		const struct script_case *c = &scripts[i % T_COUNT(scripts)];
		size_t n = words(c->cmdline, buf);
		unsigned char *bad = mutate(&seed, buf, n, &n);
		char *s = NULL;

		procparse_script(c->exe, (char *)bad, n, &s);
		free(s);
		free(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_time_is_field_22),
		cmocka_unit_test(start_time_keeps_the_ticks_of_any_clock),
		cmocka_unit_test(cut_or_absurd_stat_is_refused),
		cmocka_unit_test(environment_yields_one_whole_variable),
		cmocka_unit_test(absent_empty_and_cut_variables_are_none),
		cmocka_unit_test(otel_version_is_one_attribute),
		cmocka_unit_test(script_is_the_one_word_that_names_it),
		cmocka_unit_test(script_of_an_unknown_executable_is_none),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(damaged_stat_is_survived),
		cmocka_unit_test(damaged_environment_is_survived),
		cmocka_unit_test(damaged_command_line_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
