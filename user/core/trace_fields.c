/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_fields.h"

#include <string.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#define FIELD_(name_, type_, flags_, of, member, words_, n_)                                       \
	{                                                                                          \
		name_, sizeof(name_) - 1, type_, flags_, sizeof(((of *)0)->member),                \
			offsetof(of, member), words_, n_                                           \
	}
#define LINE(name, type, flags, member) FIELD_(name, type, flags, struct trace_line, member, 0, 0)
#define HEADER(name, type, flags, member)                                                          \
	FIELD_(name, type, flags, struct trace_header, member, 0, 0)
#define FRAME(name, type, member)                                                                  \
	FIELD_(name, type, TF_NULL | TF_OMIT, struct site_frame, member, 0, 0)
#define WORD(name, flags, member, words)                                                           \
	FIELD_(name, TT_WORD, flags, struct trace_line, member, words, COUNT_OF(words))
/* Text that is there when it is known. */
#define TEXT(name, member) LINE(name, TT_TEXT, TF_NULL | TF_OMIT, member)

/* clang-format off */
#define EVERY_LINE                                                                                 \
	LINE("t_ns", TT_TIME, TF_REQUIRED, ev.t_ns),                                               \
	LINE("ev", TT_EV, TF_REQUIRED, ev.kind)
#define CONN   LINE("conn", TT_ID, TF_REQUIRED, ev.conn)
#define HOLDER LINE("holder", TT_ID, TF_REQUIRED, ev.holder)
#define TID    LINE("tid", TT_U32, TF_NULL, ev.tid)
#define SITE   LINE("site", TT_REF, TF_NULL, ev.site)
/* clang-format on */

/* Each in the order of its enum: value i is words[i]. */
static const char *const fin_words[] = {"fin", "reset", "timeout", "shutdown"};
static const char *const close_words[] = {"app", "peer", "reset", "timeout", "exit"};
static const char *const last_words[] = {"", "rx", "tx"};
static const char *const scope_words[] = {"node", "server"};
static const char *const source_words[] = {"flag", "postgresql", "pgbouncer"};
static const char *const role_words[] = {"opened_by", "first_used_by"};
static const char *const tick_words[] = {"explicit", "grid"};
static const char *const where_words[] = {"ring",   "storage",	"holder",
					  "listen", "snapshot", "table"};

_Static_assert(FIN_SHUTDOWN == COUNT_OF(fin_words) - 1, "every enum fin_how has its word");
_Static_assert(CLOSE_EXIT == COUNT_OF(close_words) - 1, "every enum close_by has its word");
_Static_assert(IO_LAST_TX == COUNT_OF(last_words) - 1, "every enum io_last has its word");
_Static_assert(SCOPE_SERVER == COUNT_OF(scope_words) - 1, "every enum budget_scope has its word");
_Static_assert(BUDGET_PGBOUNCER == COUNT_OF(source_words) - 1, "every budget_source has its word");
_Static_assert(SITE_FIRST_USED_BY == COUNT_OF(role_words) - 1, "every enum site_role has its word");
_Static_assert(LOST_MAX == COUNT_OF(where_words), "every enum lost_where has its word");

static const struct trace_field holder_fields[] = {
	EVERY_LINE,
	HOLDER,
	LINE("pid", TT_PID, TF_REQUIRED, info.pid),
	LINE("start_time", TT_WALL, TF_REQUIRED, info.start_ns),
	LINE("comm", TT_CHARS, TF_REQUIRED, info.comm),
	TEXT("group", info.group),
	TEXT("exe", info.exe),
	TEXT("script", info.script),
	TEXT("build_id", info.build_id),
	LINE("uid", TT_KNOWN, TF_NULL | TF_OMIT, info.uid),
	TEXT("cgroup", info.cgroup),
	TEXT("container", info.container),
	TEXT("container_name", info.container_name),
	TEXT("namespace", info.namespace),
	TEXT("pod", info.pod),
	TEXT("pod_uid", info.pod_uid),
	TEXT("workload", info.workload),
	TEXT("unit", info.unit),
	TEXT("version", info.version),
	LINE("descendant", TT_BOOL, TF_OMIT, info.is_descendant),
};

static const struct trace_field exit_fields[] = {EVERY_LINE, HOLDER};

static const struct trace_field thread_exit_fields[] = {
	EVERY_LINE,
	HOLDER,
	LINE("tid", TT_U32, TF_REQUIRED, ev.tid),
};

static const struct trace_field site_fields[] = {
	EVERY_LINE,
	LINE("site", TT_ID, TF_REQUIRED, ev.site),
	WORD("role", 0, site.role, role_words),
	TEXT("thread", site.thread),
	LINE("frames", TT_FRAMES, TF_NULL, site),
};

static const struct trace_field open_fields[] = {
	EVERY_LINE,
	CONN,
	HOLDER,
	TID,
	SITE,
	LINE("local", TT_ENDPOINT, TF_NULL, ev.open.local),
	LINE("peer", TT_ENDPOINT, TF_REQUIRED, ev.open.peer),
	LINE("adopted", TT_BOOL, TF_OMIT, ev.open.adopted),
};

static const struct trace_field io_fields[] = {
	EVERY_LINE,
	CONN,
	LINE("tx_ns", TT_IO_TIME, TF_REQUIRED | TF_NULL, ev.io.tx_ns),
	LINE("rx_ns", TT_IO_TIME, TF_REQUIRED | TF_NULL, ev.io.rx_ns),
	LINE("tx", TT_COUNT, TF_REQUIRED, ev.io.tx),
	LINE("rx", TT_COUNT, TF_REQUIRED, ev.io.rx),
	WORD("last", TF_NULL, ev.io.last, last_words),
};

static const struct trace_field use_fields[] = {
	EVERY_LINE,
	CONN,
	LINE("site", TT_REF, TF_REQUIRED | TF_NULL, ev.site),
};

static const struct trace_field fin_fields[] = {
	EVERY_LINE,
	CONN,
	WORD("how", 0, ev.fin, fin_words),
};

static const struct trace_field close_fields[] = {
	EVERY_LINE,
	CONN,
	WORD("by", TF_REQUIRED, ev.close, close_words),
};

static const struct trace_field fail_fields[] = {
	EVERY_LINE,
	HOLDER,
	TID,
	SITE,
	LINE("peer", TT_ENDPOINT, TF_REQUIRED, ev.fail.peer),
	LINE("errno", TT_ERRNO, TF_NULL, ev.fail.err),
};

static const struct trace_field move_fields[] = {EVERY_LINE, CONN, HOLDER};

static const struct trace_field held_fields[] = {
	EVERY_LINE,
	CONN,
	LINE("pids", TT_PIDS, TF_REQUIRED, ev.held),
	LINE("total", TT_LIMIT, TF_REQUIRED, ev.held.total),
};

static const struct trace_field via_fields[] = {
	EVERY_LINE,
	CONN,
	LINE("via", TT_COUNT, TF_REQUIRED, ev.via),
};

static const struct trace_field budget_fields[] = {
	EVERY_LINE,
	LINE("peer", TT_ENDPOINT, TF_REQUIRED | TF_NULL, ev.budget.peer),
	LINE("limit", TT_LIMIT, TF_REQUIRED, ev.budget.limit),
	LINE("used", TT_KNOWN, TF_NULL, ev.budget.used),
	WORD("scope", TF_REQUIRED, ev.budget.scope, scope_words),
	WORD("source", 0, ev.budget.source, source_words),
};

static const struct trace_field lost_fields[] = {
	EVERY_LINE,
	LINE("events", TT_COUNT, TF_REQUIRED, ev.lost.events),
	FIELD_("where", TT_ANY_WORD, TF_NULL, struct trace_line, ev.lost.where, where_words,
	       COUNT_OF(where_words)),
};

static const struct trace_field count_fields[] = {
	EVERY_LINE,
	HOLDER,
	LINE("opened", TT_COUNT, TF_REQUIRED, ev.count.opened),
	LINE("closed", TT_COUNT, TF_REQUIRED, ev.count.closed),
	LINE("adopted", TT_COUNT, TF_REQUIRED, ev.count.adopted),
	LINE("failed", TT_COUNT, TF_REQUIRED, ev.count.failed),
	LINE("rejected", TT_COUNT, TF_REQUIRED, ev.count.rejected),
	LINE("moved_in", TT_COUNT, TF_REQUIRED, ev.count.moved_in),
	LINE("moved_out", TT_COUNT, TF_REQUIRED, ev.count.moved_out),
	LINE("open", TT_COUNT, TF_REQUIRED, ev.count.open),
	LINE("fd_only", TT_COUNT, TF_REQUIRED, ev.count.fd_only),
};

static const struct trace_field tick_fields[] = {
	EVERY_LINE,
	LINE("drift", TT_KNOWN, TF_NULL | TF_OMIT, drift),
	LINE("unheld", TT_KNOWN, TF_NULL | TF_OMIT, unheld),
	LINE("repaired", TT_KNOWN, TF_NULL | TF_OMIT, repaired),
};

static const struct trace_field bare_fields[] = {EVERY_LINE};

static const struct trace_field header_fields[] = {
	FIELD_("schema", TT_SCHEMA, TF_REQUIRED, struct trace_header, host, 0, 0),
	HEADER("time", TT_WALL, TF_REQUIRED, wall_ns),
	HEADER("host", TT_CHARS, TF_NULL, host),
	HEADER("source", TT_CHARS, TF_NULL, source),
	HEADER("writer", TT_CHARS, TF_NULL, writer),
	HEADER("interval_ns", TT_INTERVAL, TF_REQUIRED, interval_ns),
	FIELD_("ticks", TT_WORD, TF_REQUIRED, struct trace_header, is_grid, tick_words,
	       COUNT_OF(tick_words)),
	HEADER("ports", TT_PORTS, TF_NULL, ports),
};

static const struct trace_field frame_fields[] = {
	FRAME("function", TT_TEXT, function),  FRAME("file", TT_TEXT, file),
	FRAME("line", TT_U32, line),	       FRAME("module", TT_TEXT, module),
	FRAME("address", TT_ADDRESS, address),
};

struct kind {
	const char *name;
	struct trace_table table;
};

#define KIND(name, fields)                                                                         \
	{                                                                                          \
		name,                                                                              \
		{                                                                                  \
			fields, COUNT_OF(fields)                                                   \
		}                                                                                  \
	}
static const struct kind kinds[EV_MAX + 1] = {
	[EV_HOLDER] = KIND("holder", holder_fields),
	[EV_EXIT] = KIND("exit", exit_fields),
	[EV_THREAD_EXIT] = KIND("thread_exit", thread_exit_fields),
	[EV_SITE] = KIND("site", site_fields),
	[EV_OPEN] = KIND("open", open_fields),
	[EV_IO] = KIND("io", io_fields),
	[EV_USE] = KIND("use", use_fields),
	[EV_FIN] = KIND("fin", fin_fields),
	[EV_CLOSE] = KIND("close", close_fields),
	[EV_FAIL] = KIND("fail", fail_fields),
	[EV_MOVE] = KIND("move", move_fields),
	[EV_HELD] = KIND("held", held_fields),
	[EV_VIA] = KIND("via", via_fields),
	[EV_BUDGET] = KIND("budget", budget_fields),
	[EV_LOST] = KIND("lost", lost_fields),
	[EV_COUNT] = KIND("count", count_fields),
	[EV_TICK] = KIND("tick", tick_fields),
	[EV_END] = KIND("end", bare_fields),
	[EV_MAX] = KIND("", bare_fields),
};

const struct trace_table *trace_table_event(enum event_kind kind)
{
	return &kinds[kind].table;
}

const struct trace_table *trace_table_header(void)
{
	static const struct trace_table table = {header_fields, COUNT_OF(header_fields)};

	return &table;
}

const struct trace_table *trace_table_frame(void)
{
	static const struct trace_table table = {frame_fields, COUNT_OF(frame_fields)};

	return &table;
}

const char *trace_kind_name(enum event_kind kind)
{
	return kinds[kind].name;
}

enum event_kind trace_kind(const char *name, size_t len)
{
	for (int i = 0; i < EV_MAX; i++)
		if (kinds[i].name[0] == name[0] && !strncmp(kinds[i].name, name, len) &&
		    !kinds[i].name[len])
			return (enum event_kind)i;
	return EV_MAX;
}

const struct trace_number trace_numbers[TT_N_NUMBERS] = {
	[TT_TIME] = {0, TRACE_MAX_NS - 1, -1, "a time from 0 to below 2^53"},
	[TT_ID] = {1, TRACE_MAX_ID, 0, "an id from 1 to 2^53"},
	[TT_REF] = {0, TRACE_MAX_ID, 0, "an id of at most 2^53"},
	[TT_U32] = {0, UINT32_MAX, 0, "a number from 0 to 4294967295"},
	[TT_PID] = {1, UINT32_MAX, 0, "a pid from 1 to 4294967295"},
	[TT_LIMIT] = {0, UINT32_MAX, -1, "a number from 0 to 4294967295"},
	[TT_COUNT] = {0, TRACE_MAX_ID, -1, "a number from 0 to 2^53"},
	[TT_KNOWN] = {0, TRACE_MAX_ID, -1, "a number from 0 to 2^53"},
	[TT_IO_TIME] = {-TRACE_MAX_NS, TRACE_MAX_NS, T_NEVER, "a time within 2^53 ns"},
	[TT_ERRNO] = {1, 4095, 0, "an errno from 1 to 4095"},
	[TT_INTERVAL] = {NS_PER_MS, 86400 * NS_PER_S, 0, "1 ms to 1 day in nanoseconds"},
};
