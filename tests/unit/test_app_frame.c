/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_app_frame.c - the application's frame is found below drivers, pools and runtimes
 * objects: core/site_info.o core/app_frame.o
 */
#include "t.h"

#include "../../user/core/app_frame.h"

#define MAX_FRAMES 10

struct stack {
	const char *name;
	struct site_frame frames[MAX_FRAMES];
	const char *want; /* function; NULL: none is the application's */
};

/* Real stacks, cut in their middle. */
static const struct stack stacks[] = {
	{"Go, lib/pq by database/sql",
	 {{"syscall.RawSyscall6", "/usr/lib/go/src/runtime/asm_amd64.s", NULL, 1, 0},
	  {"net.(*netFD).connect", "/usr/lib/go/src/net/fd_unix.go", NULL, 118, 0},
	  {"github.com/lib/pq.dial", "/root/go/pkg/mod/github.com/lib/pq/conn.go", NULL, 1, 0},
	  {"database/sql.(*DB).conn", "/usr/lib/go/src/database/sql/sql.go", NULL, 1, 0},
	  {"main.placeOrder", "/src/order.go", "/app/order-service", 22, 0},
	  {"net/http.HandlerFunc.ServeHTTP", "/usr/lib/go/src/net/http/server.go", NULL, 1, 0},
	  {"runtime.goexit", "/usr/lib/go/src/runtime/asm_amd64.s", NULL, 1594, 0}},
	 "main.placeOrder"},
	{"Go, vendored pgx",
	 {{"shop/vendor/github.com/jackc/pgx/v5.connect", "vendor/pgx/conn.go", NULL, 1, 0},
	  {"shop/vendor/example.com/repo.Open", "vendor/repo/repo.go", NULL, 9, 0}},
	 "shop/vendor/example.com/repo.Open"},
	{"Go, the helper goroutine that dials",
	 {{"net.(*sysDialer).dialParallel.func1", "/usr/lib/go/src/net/dial.go", NULL, 1, 0},
	  {"runtime.goexit", "/usr/lib/go/src/runtime/asm_amd64.s", NULL, 1, 0}},
	 NULL},
	{"Java, JDBC without a pool",
	 {{"connect", NULL, "/usr/lib/x86_64-linux-gnu/libc.so.6", 0, 1},
	  {"Java_sun_nio_ch_Net_connect0", NULL, "/opt/jdk/lib/libnio.so", 0, 2},
	  {"sun.nio.ch.Net.connect", "Net.java", NULL, 579, 0},
	  {"org.postgresql.core.PGStream.<init>", "PGStream.java", NULL, 99, 0},
	  {"java.sql.DriverManager.getConnection", "DriverManager.java", NULL, 1, 0},
	  {"net.acme.Orders.load", "Orders.java", NULL, 31, 0}},
	 "net.acme.Orders.load"},
	{"Java, HikariCP",
	 {{"org.postgresql.Driver.connect", "Driver.java", NULL, 1, 0},
	  {"com.zaxxer.hikari.pool.HikariPool$PoolEntryCreator.call", "HikariPool.java", NULL, 1,
	   0},
	  {"java.lang.Thread.run", "Thread.java", NULL, 840, 0}},
	 NULL},
	{"Java, without files",
	 {{"sun.nio.ch.Net.connect", NULL, NULL, 0, 0}, {"io.acme.Orders.load", NULL, NULL, 0, 0}},
	 "io.acme.Orders.load"},
	{"Python, psycopg2 below SQLAlchemy",
	 {{"__connect", NULL, "/usr/lib/x86_64-linux-gnu/libc.so.6", 0, 1},
	  {"psyco_connect", NULL, "/x/psycopg2/_psycopg.cpython-311-x86_64-linux-gnu.so", 0, 2},
	  {"_PyEval_EvalFrameDefault", NULL, "/usr/bin/python3.11", 0, 3},
	  {"connect", "/usr/lib/python3/dist-packages/psycopg2/__init__.py", NULL, 122, 0},
	  {"_do_get", "/v/lib/python3.11/site-packages/sqlalchemy/pool/impl.py", NULL, 1, 0},
	  {"OrderRepo.open", "/srv/app.py", "/usr/bin/python3.11", 5, 0},
	  {"Thread.run", "/usr/lib/python3.11/threading.py", NULL, 975, 0}},
	 "OrderRepo.open"},
	{"Python, asyncio only",
	 {{"Handle._run", "/usr/lib/python3.11/asyncio/events.py", NULL, 80, 0},
	  {"run", "/usr/lib/python3.11/runpy.py", NULL, 1, 0}},
	 NULL},
	{"C, libpq, with files",
	 {{"connect", "connect.c", "/lib/x86_64-linux-gnu/libc.so.6", 26, 1},
	  {"PQconnectPoll", "fe-connect.c", "/usr/lib/x86_64-linux-gnu/libpq.so.5.15", 1, 2},
	  {"place_order", "order.c", "/app/order-service", 22, 3},
	  {"main", "order.c", "/app/order-service", 99, 4}},
	 "place_order"},
	{"C, stripped of files; a library that only sounds like libpq",
	 {{"PQconnectdb", NULL, "/app/order-service", 0, 1},
	  {"enqueue", NULL, "/opt/lib/libpqueue.so.1", 0, 2},
	  {"main", NULL, "/app/order-service", 0, 3}},
	 "enqueue"},
	{"Rust, tokio-postgres",
	 {{"<tokio::net::TcpStream as core::ops::Drop>::x", "stream.rs", "/app/shop", 1, 1},
	  {"tokio_postgres::connect::connect", "connect.rs", "/app/shop", 1, 2},
	  {"shop::orders::place", "orders.rs", "/app/shop", 22, 3}},
	 "shop::orders::place"},
	{"Node: nothing of the script is on the stack",
	 {{"uv_tcp_connect", NULL, "/usr/bin/node", 0, 1},
	  {"internalConnect", "node:net", "/usr/bin/node", 1, 0},
	  {"startup", "/srv/node_modules/pg/lib/connection.js", NULL, 151, 0}},
	 NULL},
	{"a program whose name begins like an interpreter's",
	 {{"main", NULL, "/usr/bin/node-exporter", 0, 1}},
	 "main"},
	{"frames without a name are passed by",
	 {{NULL, NULL, "/app/order-service", 0, 1},
	  {"", NULL, NULL, 0, 2},
	  {"f", "f.c", NULL, 1, 3}},
	 "f"},
	{"an empty stack", {{0}}, NULL},
};

static struct site_info site_of(const struct stack *s)
{
	struct site_info info = {.frames = (struct site_frame *)s->frames};

	for (; info.n_frames < MAX_FRAMES; info.n_frames++) {
		const struct site_frame *f = &s->frames[info.n_frames];

		if (!f->function && !f->module)
			break;
	}
	return info;
}

static void the_innermost_frame_that_is_the_applications(void **state)
{
	(void)state;
	for (size_t i = 0; i < T_COUNT(stacks); i++) {
		const struct site_info info = site_of(&stacks[i]);
		const struct site_frame *f = app_frame(&info);
		const char *got = f ? f->function : "none";

		if (strcmp(got, stacks[i].want ? stacks[i].want : "none") != 0)
			fail_msg("%s: %s", stacks[i].name, got);
	}
	assert_null(app_frame(NULL));
}

static void a_pools_stack_gives_way_to_the_first_use(void **state)
{
	struct site_frame pool[] = {{"poll", NULL, NULL, 0, 0},
				    {"java.lang.Thread.run", "Thread.java", NULL, 840, 0}};
	struct site_frame app[] = {{"org.postgresql.x", "X.java", NULL, 1, 0},
				   {"Invoice.load", "Invoice.java", NULL, 88, 0}};
	struct site_info opened = {.frames = pool + 1, .n_frames = 1};
	struct site_info used = {.frames = app, .n_frames = 2};
	enum site_role role = SITE_OPENED_BY;

	(void)state;
	assert_ptr_equal(app_frame_of(&opened, &used, &role), &app[1]);
	assert_int_equal(role, SITE_FIRST_USED_BY);
	/* its own frame, if there is one, comes first */
	assert_ptr_equal(app_frame_of(&used, &opened, &role), &app[1]);
	assert_int_equal(role, SITE_OPENED_BY);
	/* neither has one: what there is, best with its file */
	used.n_frames = 1;
	pool[0].function = (char *)"java.net.Socket.connect";
	opened = (struct site_info){.frames = pool, .n_frames = 2};
	assert_ptr_equal(app_frame_of(&opened, &used, &role), &pool[1]);
	assert_int_equal(role, SITE_OPENED_BY);
	assert_ptr_equal(app_frame_of(NULL, &used, &role), &app[0]);
	assert_int_equal(role, SITE_FIRST_USED_BY);
	assert_null(app_frame_of(NULL, NULL, &role));
}

static void it_is_written_in_one_line(void **state)
{
	struct site_frame f = {"main.placeOrder", "/src/order.go", NULL, 22, 0};
	char buf[APP_FRAME_LEN], name[1000], file[1000];

	(void)state;
	assert_string_equal(app_frame_format(&f, "  ", buf), "main.placeOrder  order.go:22");
	f.line = 0;
	assert_string_equal(app_frame_format(&f, " ", buf), "main.placeOrder order.go");
	f.file = (char *)"";
	assert_string_equal(app_frame_format(&f, " ", buf), "main.placeOrder");
	f.file = NULL;
	assert_string_equal(app_frame_format(&f, " ", buf), "main.placeOrder");
	/* 149 bytes, then two of one character: it does not fit */
	memset(name, 'f', sizeof(name));
	memcpy(name + 149, "\xc3\xa4", 2);
	name[999] = '\0';
	memset(file, 'x', sizeof(file));
	file[999] = '\0';
	f = (struct site_frame){.function = name, .file = file, .line = UINT32_MAX};
	app_frame_format(&f, "  ", buf);
	assert_int_equal(strspn(buf, "f"), 149);
	assert_memory_equal(buf + 149, "...  x", 6);
	assert_non_null(strstr(buf, "x:4294967295"));
}

static void the_way_through_the_driver_is_no_part_of_the_place(void **state)
{
	struct site_frame pooled[] = {{"database/sql.(*DB).conn", NULL, "/app/orders", 0, 0},
				      {"main.placeOrder", NULL, "/app/orders", 0, 0}};
	struct site_frame direct[] = {{"database/sql.(*DB).Conn", NULL, "/app/orders", 0, 0},
				      {"database/sql.(*DB).grabConn", NULL, "/app/orders", 0, 0},
				      {"main.placeOrder", NULL, "/app/orders", 0, 0}};
	const struct site_info a = {.frames = pooled, .n_frames = 2};
	const struct site_info b = {.frames = direct, .n_frames = 3};
	const struct site_info driver = {.frames = direct, .n_frames = 2};

	(void)state;
	assert_true(site_info_key(&a, 1) == site_info_key(&b, 2));
	/* without a frame of the application the driver's are all there is */
	assert_true(site_info_key(&driver, 1) != site_info_key(&b, 1));
	pooled[1].function = "main.refund";
	assert_true(site_info_key(&a, 1) != site_info_key(&b, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_way_through_the_driver_is_no_part_of_the_place),
		cmocka_unit_test(the_innermost_frame_that_is_the_applications),
		cmocka_unit_test(a_pools_stack_gives_way_to_the_first_use),
		cmocka_unit_test(it_is_written_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
