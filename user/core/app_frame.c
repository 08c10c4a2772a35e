/* SPDX-License-Identifier: Apache-2.0 */
#include "app_frame.h"

#include <stdio.h>
#include <string.h>

#define FUNCTION_MAX 150 /* bytes shown */
#define FILE_MAX     80

/* What language a file's name tells. Where none is told, every list of functions applies. */
enum lang { LANG_ANY, LANG_GO, LANG_JVM, LANG_NATIVE, LANG_DOTNET, LANG_PYTHON, LANG_JS };

static const struct {
	const char *suffix;
	enum lang lang;
} suffixes[] = {
	{".go", LANG_GO},      {".s", LANG_GO},	      {".java", LANG_JVM},   {".kt", LANG_JVM},
	{".scala", LANG_JVM},  {".groovy", LANG_JVM}, {".clj", LANG_JVM},    {".c", LANG_NATIVE},
	{".h", LANG_NATIVE},   {".cc", LANG_NATIVE},  {".cpp", LANG_NATIVE}, {".cxx", LANG_NATIVE},
	{".hpp", LANG_NATIVE}, {".rs", LANG_NATIVE},  {".S", LANG_NATIVE},   {".cs", LANG_DOTNET},
	{".py", LANG_PYTHON},  {".pyx", LANG_PYTHON}, {".js", LANG_JS},	     {".mjs", LANG_JS},
	{".cjs", LANG_JS},     {".ts", LANG_JS},
};

/* Lists of words, a space between them: how the name of a function begins. */
static const char go_functions[] =
	"runtime. runtime/ syscall. internal/ net/ crypto/ database/sql. golang.org/x/ "
	"github.com/lib/pq. github.com/jackc/ github.com/go-pg/ github.com/jmoiron/sqlx "
	"github.com/uptrace/bun github.com/XSAM/otelsql go.opentelemetry.io/ "
	"gopkg.in/DataDog/dd-trace-go github.com/DataDog/dd-trace-go gorm.io/ xorm.io/ entgo.io/";
/* Names that other languages use, too: only where the file is a Go file. */
static const char go_short[] = "net. os. io. bufio. context. sync. time. reflect.";
static const char jvm_functions[] =
	"java. javax. jakarta. jdk. sun. com.sun. kotlin. kotlinx. scala. org.postgresql. "
	"com.zaxxer. org.apache.tomcat. org.apache.commons.dbcp org.apache.commons.pool "
	"com.mchange. com.alibaba.druid. io.agroal. io.r2dbc. io.netty. io.vertx. reactor. "
	"org.hibernate. org.springframework. org.jooq.";
static const char native_functions[] =
	"_start __libc_ __connect PQconnect PQreset PQexec PQsend PQping PQgetResult "
	"connectDBStart connectDBComplete pqConnect pqFlush pqSend pqsecure_ pqxx:: std:: core:: "
	"alloc:: tokio:: futures:: futures_ mio:: postgres:: tokio_postgres:: sqlx:: sqlx_ "
	"deadpool:: deadpool_ r2d2:: r2d2_ bb8:: bb8_ diesel::";
static const char dotnet_functions[] = "System. Microsoft. Npgsql";

/* At the beginning of a file's path or after a slash in it. */
static const char python_files[] =
	"psycopg2/ psycopg/ psycopg_pool/ psycopg_c/ asyncpg/ aiopg/ pg8000/ sqlalchemy/ "
	"django/db/ peewee.py asyncio/ concurrent/futures/ threading.py socketserver.py";
static const char js_files[] =
	"node: node_modules/pg/ node_modules/pg-pool/ node_modules/postgres/ node_modules/knex/ "
	"node_modules/sequelize/ node_modules/typeorm/ node_modules/@prisma/";

/* File names of libraries and interpreters; a version may follow. */
static const char modules[] =
	"libpq libpqxx libpgtypes libecpg libodbc psqlodbcw psqlodbca _psycopg libc libm "
	"libpthread ld-linux-x86-64 ld-linux-aarch64 ld-musl-x86_64 ld-musl-aarch64 libstdc++ "
	"libgcc_s libssl libcrypto libgssapi_krb5 libkrb5 libldap libuv libevent libglib "
	"libpython python libjvm libjava libjli libnet libnio node libnode ruby libruby php "
	"php-fpm libcoreclr [vdso]";

/* The length of the next word of @words, which is moved there; 0: there is none. */
static size_t next_word(const char **words)
{
	*words += strspn(*words, " ");
	return strcspn(*words, " ");
}

static bool begins_with_any(const char *s, const char *words)
{
	size_t n;

	for (; (n = next_word(&words)) != 0; words += n)
		if (!strncmp(s, words, n))
			return true;
	return false;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static enum lang lang_of(const char *file)
{
	size_t len = file ? strlen(file) : 0;

	if (file && !strncmp(file, "node:", 5))
		return LANG_JS;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i].suffix);

		if (len > n && !strcmp(file + len - n, suffixes[i].suffix))
			return suffixes[i].lang;
	}
	return LANG_ANY;
}

static bool is_go_runtime(const char *function, enum lang lang)
{
	static const char vendor[] = "/vendor/";
	const char *vendored = strstr(function, vendor);

	if (lang == LANG_GO && begins_with_any(function, go_short))
		return true;
	if (vendored && begins_with_any(vendored + sizeof(vendor) - 1, go_functions))
		return true;
	return begins_with_any(function, go_functions);
}

static bool is_runtime_function(const char *function, enum lang lang)
{
	bool is_any = lang == LANG_ANY;

	if ((is_any || lang == LANG_GO) && is_go_runtime(function, lang))
		return true;
	if ((is_any || lang == LANG_JVM) && begins_with_any(function, jvm_functions))
		return true;
	if ((is_any || lang == LANG_DOTNET) && begins_with_any(function, dotnet_functions))
		return true;
	/* Rust writes <tokio::net::TcpStream as ...> */
	return (is_any || lang == LANG_NATIVE) &&
	       begins_with_any(function + (function[0] == '<'), native_functions);
}

static bool has_part(const char *path, const char *words)
{
	for (const char *slash; !begins_with_any(path, words); path = slash + 1) {
		slash = strchr(path, '/');
		if (!slash)
			return false;
	}
	return true;
}

static bool is_runtime_file(const char *file, enum lang lang)
{
	if (lang == LANG_JS)
		return has_part(file, js_files);
	/* Python's own library: what is installed beside it lies in site-packages or the like. */
	if (strstr(file, "/lib/python3") && !strstr(file, "-packages/"))
		return true;
	return has_part(file, python_files);
}

/* libpq.so.5, libssl-3a7f.so.3, python3.11, node; not libpqueue.so, node-exporter. */
static bool is_runtime_module(const char *path)
{
	const char *name = file_name(path), *words = modules;
	size_t n;

	for (; (n = next_word(&words)) != 0; words += n) {
		char next = strncmp(name, words, n) ? 'x' : name[n];

		if (!next || next == '.' || (next >= '0' && next <= '9') ||
		    (next == '-' && name[0] == 'l'))
			return true;
	}
	return false;
}

bool site_frame_is_runtime(const struct site_frame *f)
{
	enum lang lang = lang_of(f->file);

	if (f->function && is_runtime_function(f->function, lang))
		return true;
	if (lang == LANG_PYTHON || lang == LANG_JS)
		return is_runtime_file(f->file, lang);
	/* A script's or a class's frame lies in no library, whatever runs it. */
	return (lang == LANG_NATIVE || lang == LANG_ANY) && f->module &&
	       is_runtime_module(f->module);
}

static bool has_text(const char *s)
{
	return s && s[0];
}

const struct site_frame *app_frame(const struct site_info *s)
{
	for (uint32_t i = 0; s && i < s->n_frames; i++)
		if (has_text(s->frames[i].function) && !site_frame_is_runtime(&s->frames[i]))
			return &s->frames[i];
	return NULL;
}

/* The innermost one with a function, before all others one with a file. */
static const struct site_frame *any_frame(const struct site_info *s)
{
	const struct site_frame *named = NULL;

	for (uint32_t i = 0; s && i < s->n_frames; i++) {
		const struct site_frame *f = &s->frames[i];

		if (!has_text(f->function))
			continue;
		if (has_text(f->file))
			return f;
		named = named ? named : f;
	}
	return named;
}

const struct site_frame *app_frame_of(const struct site_info *opened, const struct site_info *used,
				      enum site_role *ret_role)
{
	const struct site_frame *f = app_frame(opened);
	enum site_role role = SITE_OPENED_BY;

	if (!f) {
		f = app_frame(used);
		role = SITE_FIRST_USED_BY;
	}
	if (!f) {
		f = any_frame(opened);
		role = SITE_OPENED_BY;
	}
	if (!f) {
		f = any_frame(used);
		role = SITE_FIRST_USED_BY;
	}
	if (f)
		*ret_role = role;
	return f;
}

/* The length of what of @s fits into @max bytes, never ending inside a character. */
static int fitting(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n > max)
		for (n = max; n && ((unsigned char)s[n] & 0xc0) == 0x80; n--)
			;
	return (int)n;
}

char *app_frame_format(const struct site_frame *f, const char *gap, char buf[static APP_FRAME_LEN])
{
	int n = fitting(f->function, FUNCTION_MAX);
	const char *cut = f->function[n] ? "..." : "", *file = f->file ? file_name(f->file) : "";

	if (!file[0])
		snprintf(buf, APP_FRAME_LEN, "%.*s%s", n, f->function, cut);
	else if (f->line)
		snprintf(buf, APP_FRAME_LEN, "%.*s%s%s%.*s:%u", n, f->function, cut, gap,
			 fitting(file, FILE_MAX), file, f->line);
	else
		snprintf(buf, APP_FRAME_LEN, "%.*s%s%s%.*s", n, f->function, cut, gap,
			 fitting(file, FILE_MAX), file);
	return buf;
}
