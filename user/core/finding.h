/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finding.h - one thing found, with its evidence, from firing to resolved
 *
 * A self-contained value: what it points to is its own, so it outlives the process it is about.
 * "Not measured" is NAN for numbers, T_NEVER for times, NULL for text, -1 where said; never 0.
 * docs/finding.schema.json is its JSON form.
 */
#ifndef CONNLEAK_FINDING_H
#define CONNLEAK_FINDING_H

#include "event.h"

#define FINDING_MAX_CONNS 20
#define FINDING_MAX_SITES 10
#define FINDING_MAX_HELD  8

enum finding_kind { FINDING_LEAK, FINDING_FD_LEAK, FINDING_BUDGET, FINDING_RATE, FINDING_BLIND };
enum finding_status { FINDING_FIRING, FINDING_RESOLVED };
enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_ERROR, SEVERITY_CRITICAL };
enum resolved_because {
	RESOLVED_NOT,
	RESOLVED_DRAINED,
	RESOLVED_USED_AGAIN,
	RESOLVED_HOLDER_EXITED
};

/* The rule that fired. Codes and conditions: docs/detector.md section 4.4. */
enum rule {
	RULE_NONE,
	RULE_WARM,
	RULE_WARM_ANY,
	RULE_COLD,
	RULE_PROCESS,
	RULE_SERVICE,
	RULE_CANARY,
	RULE_BUDGET_70,
	RULE_BUDGET_90,
	RULE_RATE,
	RULE_LOST_EVENTS,
	RULE_TABLE_FULL,
	RULE_MAX
};

struct finding_conn {
	struct endpoint local, peer;
	int64_t opened_ns;
	int64_t idle_ns; /* T_NEVER: not measured */
	bool age_is_lower_bound;
	bool has_io;
	int64_t fin_ns;			    /* T_NEVER: ESTABLISHED */
	uint8_t fin_how;		    /* enum fin_how */
	uint64_t tx, rx;		    /* valid with has_io */
	uint64_t site, first_used;	    /* keys of call sites; 0: not known */
	uint32_t held_by[FINDING_MAX_HELD]; /* pids, oldest process first */
	uint32_t n_held_by;		    /* 0: nobody holds it, in flight */
};

struct finding_site {
	uint64_t site; /* key; 0: no stack was taken */
	enum site_role role;
	struct site_info info;	 /* owned; zero: nothing is known of it */
	uint64_t opened, closed; /* SITE_OPENED_BY only: else not counted */
	uint64_t open, idle;
	uint64_t leaked; /* of the open ones */
};

struct finding {
	char id[17];	/* hex */
	char group[17]; /* hex; what sinks key on */
	enum finding_kind kind;
	enum finding_status status;
	enum severity severity;
	enum rule rule;
	enum resolved_because resolved_because;
	int64_t time_ns;  /* when this state of it was made */
	int64_t since_ns; /* the first abandoned open */
	int64_t fired_ns;
	uint64_t holder_id;	    /* 0: about a server */
	struct holder_info *holder; /* owned; NULL: about a server */
	struct endpoint peer;	    /* family 0: about no peer (blind) */
	uint32_t via_pid;	    /* the connections end in this process; 0: not known */
	char via_comm[HOLDER_COMM_LEN];
	char downstream_of[17]; /* id of the finding that this one is a consequence of; "" */

	double window_s;
	uint64_t opened, closed; /* in the window */
	uint64_t adopted, failed, rejected, moved_in,
		moved_out;	      /* since the holder was first seen */
	uint64_t open, fd_only, idle; /* now */
	double oldest_s;
	uint64_t leaked;					 /* abandoned now */
	double leak_rate_per_min, leak_rate_low, leak_rate_high; /* 90 % interval */
	double leak_fraction;
	double score, threshold;
	char reason[256]; /* one sentence; foreign text in it is cleaned */

	int64_t limit; /* -1: budget not known */
	int64_t used;  /* -1 */
	enum budget_scope scope;
	enum budget_source source;
	double exhausted_in_s, exhausted_in_low_s, exhausted_in_high_s;

	struct finding_site sites[FINDING_MAX_SITES]; /* what leaks most first, then the largest */
	uint32_t n_sites, sites_total;		      /* in the total: those with a key */
	struct finding_conn conns[FINDING_MAX_CONNS]; /* oldest first */
	uint32_t n_conns, conns_total;
};

/* Frees what @f owns and zeroes it. Accepts a zeroed struct. */
void finding_release(struct finding *f);

/* The place in the code that a finding's words name. */
struct finding_origin {
	const struct finding_site *site;
	const struct site_frame *frame; /* has a function */
};

/*
 * finding_origin - where the connections come from that leak most
 * The application's frame where they were opened, else where they were first used: app_frame_of().
 * @ret: borrowed from @f. Returns false where that is not known.
 */
bool finding_origin(const struct finding *f, struct finding_origin *ret);

/* Product words: "leak", "firing", "warning", "warm_any", "drained"; NULL for RESOLVED_NOT. */
const char *finding_kind_name(enum finding_kind k);
const char *finding_status_name(enum finding_status s);
const char *severity_name(enum severity s);
const char *rule_name(enum rule r);
const char *resolved_because_name(enum resolved_because r);

/*
 * finding_ids - the stable hashes of docs/detector.md section 4.5
 * @host:   node name, part of the group unless the finding is about a server
 * @f:      kind, holder, peer must be set; id and group are written
 *
 * group = hash(kind, host, holder's group key, peer); id = hash(group, pid, start time).
 * A hash is 64 bits of FNV-1a over the parts, each ended by a NUL, finished by a mixer, in hex.
 */
void finding_ids(struct finding *f, const char *host, int64_t wall_offset_ns);

#endif
