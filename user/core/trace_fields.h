/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_fields.h - the lines of docs/trace.md as tables: which fields, of what type, where to
 *
 * Private to trace_read.c and trace_write.c, which walk the same tables: what one writes the other
 * reads. A table's order is the order of writing; a line in that order is read fastest.
 */
#ifndef CONNLEAK_TRACE_FIELDS_H
#define CONNLEAK_TRACE_FIELDS_H

#include "trace.h"

#define TRACE_MAX_FIELDS 32	     /* of one object */
#define TRACE_MAX_ID	 (1LL << 53) /* and of counts and bytes: what every JSON reader keeps */
#define TRACE_JIFFY_NS	 (10 * NS_PER_MS)

enum trace_type {
	/* whole numbers, described by trace_numbers[] */
	TT_TIME,     /* t_ns */
	TT_ID,	     /* of a conn, holder, site: not 0 */
	TT_REF,	     /* an id, or 0: none */
	TT_U32,	     /* 0 is null */
	TT_PID,	     /* not 0 */
	TT_LIMIT,    /* 32 bits */
	TT_COUNT,    /* 64 bits */
	TT_KNOWN,    /* as TT_COUNT; -1 is null */
	TT_IO_TIME,  /* relative to t_ns 0; T_NEVER is null */
	TT_ERRNO,    /* 0 is null */
	TT_INTERVAL, /* ns */
	TT_N_NUMBERS,
	/* the others */
	TT_BOOL = TT_N_NUMBERS,
	TT_WORD,     /* an enum by name; its words' order is the enum's */
	TT_ANY_WORD, /* as TT_WORD; one that is not known is the first */
	TT_WALL,     /* RFC 3339; in memory a time on the events' clock */
	TT_TEXT,     /* char *, NULL is null */
	TT_CHARS,    /* char[size] */
	TT_ENDPOINT,
	TT_ADDRESS, /* "0x..", a uint64_t */
	TT_PIDS,    /* event.held */
	TT_FRAMES,  /* struct site_info */
	TT_PORTS,   /* struct trace_header */
	TT_EV,	    /* the line's kind */
	TT_SCHEMA,
};

enum {
	TF_REQUIRED = 1,
	TF_NULL = 2, /* null may stand there; what is absent is null */
	TF_OMIT = 4, /* what is null is not written */
};

struct trace_field {
	const char *name;
	uint8_t len; /* of the name */
	uint8_t type;
	uint8_t flags;
	uint16_t size;		  /* of the member, bytes */
	uint16_t offset;	  /* in what the table is about */
	const char *const *words; /* TT_WORD, by value; "": null */
	uint32_t n_words;
};

struct trace_table {
	const struct trace_field *fields;
	uint32_t n;
};

struct trace_number {
	int64_t min, max, none; /* none: what is null in memory */
	const char *want;
};

/* What an event's table is about. */
struct trace_line {
	struct event ev;
	struct holder_info info; /* EV_HOLDER */
	struct site_info site;	 /* EV_SITE */
	/* EV_TICK; -1: not measured */
	int64_t drift, unheld, repaired;
};

/*
 * The fields of an event's line; @kind EV_MAX: of an unknown one, which are those that every table
 * begins with: t_ns and ev.
 */
const struct trace_table *trace_table_event(enum event_kind kind);
/* About a struct trace_header. */
const struct trace_table *trace_table_header(void);
/* About a struct site_frame. */
const struct trace_table *trace_table_frame(void);

extern const struct trace_number trace_numbers[TT_N_NUMBERS];

/* The word of `ev`. */
const char *trace_kind_name(enum event_kind kind);
/* EV_MAX: unknown. @name: [@len] */
enum event_kind trace_kind(const char *name, size_t len);

static inline bool trace_is_number(enum trace_type type)
{
	return type < TT_N_NUMBERS;
}

#endif
