/* SPDX-License-Identifier: Apache-2.0 */
#include "session_replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <connleak/exit_codes.h>

#include "../collect/source_replay.h"
#include "../core/text.h"

static void ports_text(const struct trace_header *h, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = 0;
	for (size_t i = 0; i < h->n_ports && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%u", i ? ", " : "", h->ports[i]);
}

int session_replay_open(struct session *s)
{
	const struct options *o = s->options;
	const struct replay_options ro = {
		.is_strict = o->is_strict, .is_skip_bad = o->is_skip_bad, .wake_fd = s->signal_fd};
	struct trace_header header;
	char why[640] = "out of memory";
	int err = source_replay_open(&s->source, o->replay_path, &ro, &header, why, sizeof(why));

	if (err == -EINTR) {
		fprintf(stderr, "connleak: interrupted before the trace began\n");
		return EXIT_FAILED;
	}
	if (err) {
		fprintf(stderr, "connleak: %s\n", why);
		/* what is no trace is a failure; a file that cannot be opened is wrong usage */
		return err == -EBADMSG || err == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
	}
	s->is_replay = true;
	snprintf(s->host, sizeof(s->host), "%s", header.host);
	ports_text(&header, s->ports, sizeof(s->ports));
	s->json.wall_offset_ns = header.wall_ns;
	return 0;
}

static bool is_overruled(const struct options *o, const struct endpoint *peer)
{
	for (size_t i = 0; i < o->n_budgets; i++)
		if (!o->budgets[i].peer.family || endpoint_equal(&o->budgets[i].peer, peer))
			return true;
	return false;
}

void session_replay_drop_budgets(struct session *s)
{
	struct event *events = s->snapshot.events;
	size_t n = 0;

	if (!s->options->n_budgets)
		return;
	for (size_t i = 0; i < s->snapshot.n_events; i++)
		if (events[i].kind != EV_BUDGET ||
		    !is_overruled(s->options, &events[i].budget.peer))
			events[n++] = events[i];
	s->snapshot.n_events = n;
}

int session_replay_fail(const struct session *s, int err)
{
	struct replay_report r;

	source_replay_report(&s->source, &r);
	fprintf(stderr, "connleak: %s\n", r.error[0] ? r.error : strerror(-err));
	return EXIT_FAILED;
}

void session_replay_say(const struct session *s)
{
	const char *path = s->options->replay_path;
	struct replay_report r;
	char name[256];

	source_replay_report(&s->source, &r);
	text_clean(name, sizeof(name), path, strlen(path));
	if (r.n_unknown)
		fprintf(stderr,
			"connleak: %s: %" PRIu64
			" lines of an unknown kind (\"%s\"), passed over\n",
			name, r.n_unknown, r.unknown_ev);
	if (r.n_skipped)
		fprintf(stderr, "connleak: %s\nconnleak: %s: %" PRIu64 " corrupt line%s skipped\n",
			r.first_bad, name, r.n_skipped, r.n_skipped == 1 ? "" : "s");
	if (s->has_ended && !r.has_end)
		fprintf(stderr,
			"connleak: %s: was cut off%s, no end is recorded; used as far as it goes\n",
			name, r.is_cut ? " within a line" : "");
}
