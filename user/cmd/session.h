/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - what every watching command does: open a source, the live kernel or a recording,
 *	look at each tick, wait in between
 *
 * No code runs in signal context: signals are read from a descriptor by session_wait().
 */
#ifndef CONNLEAK_SESSION_H
#define CONNLEAK_SESSION_H

#include "../collect/source.h"
#include "../core/engine.h"
#include "../core/json_out.h"
#include "options.h"

struct session {
	struct options *options; /* borrowed */
	struct source source;
	struct engine engine;
	struct snapshot snapshot; /* the last one */
	struct json_context json;
	char host[256];
	char ports[256]; /* "5432, 6432" */
	int64_t next_tick_ns;
	int signal_fd;
	bool is_raw; /* no engine: whoever asked takes the snapshots as they are */
	bool is_replay;
	bool has_ended; /* of a replay: nothing follows, and the last look brought nothing */
	double speed;	/* of a replay; 0: as fast as possible */
	/* of a replay: the real clock and the trace's, when they went side by side; 0: not yet */
	int64_t pace_from_ns, pace_trace_ns;
};

enum wake { WAKE_TICK, WAKE_SIGNAL, WAKE_CHILD, WAKE_INPUT, WAKE_FAILED };

/* What a command asks of a session beyond the options. */
struct session_wants {
	bool is_canary;
	bool is_raw;
	double speed;		/* of a replay where --speed is not given */
	uint32_t ancestor_tgid; /* 0: none */
};

/*
 * session_open - find the target, load, adopt, take the first look; or open the recording
 * Returns an exit code: EXIT_CLEAN, or what the command ends with, after a message on stderr. The
 * caller owes session_close() in either case, for a session that was zeroed before.
 */
int session_open(struct session *s, struct options *o, const struct session_wants *w);
void session_close(struct session *s);

/*
 * One look: a snapshot through table and detector; at the end of a replay has_ended is set instead.
 * Returns 0 or an exit code, after a message.
 */
int session_look(struct session *s);
/* The same in two steps, where the message has to wait: a negative errno, then its message. */
int session_try_look(struct session *s);
int session_fail_look(const struct session *s, int err);
/* Did the last look end with a tick, so that the detector has decided? */
bool session_has_decided(const struct session *s);

/*
 * session_wait - until the next tick, a signal, a child's end, or input on @input_fd (-1: none);
 *	behind the end of a recording until one of the others, or, without @input_fd, not at all
 * @ret_signal: the signal's number with WAKE_SIGNAL
 */
enum wake session_wait(struct session *s, int input_fd, int *ret_signal);

/* May a finding or row about @h to @peer be shown? The options' target and peers say. */
bool session_shows(const struct options *o, const struct holder *h, const struct endpoint *peer);

/* Writes a line, or all of @text, to stdout at once. Returns 0 or EXIT_FAILED. */
int session_print(const char *text);
int session_print_line(const char *text);

#endif
