/* SPDX-License-Identifier: Apache-2.0 */
/* session_replay.h - a session whose source is a recording: part of session.c */
#ifndef CONNLEAK_SESSION_REPLAY_H
#define CONNLEAK_SESSION_REPLAY_H

#include "session.h"

/* Opens the trace of the options. Returns 0 or an exit code, after a message. */
int session_replay_open(struct session *s);

/* The command line's budgets win over those of the recording: takes the latter out. */
void session_replay_drop_budgets(struct session *s);

/* Why the last look failed. Returns an exit code, after a message. */
int session_replay_fail(const struct session *s, int err);

/* What was not as it should be in the recording, on stderr. */
void session_replay_say(const struct session *s);

#endif
