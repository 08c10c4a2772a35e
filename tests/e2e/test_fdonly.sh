#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_fdonly.sh - what the server has ended costs it nothing, and the client a descriptor
. "$(dirname "$0")/lib.sh"
need ss setpriv
pg_start 100 || exit 1

client() # NAME BEHAVIOUR [N]
{
	start "$1" "$PYTHON" "$e2e/clients/server_gone.py" "${@:2}"
	wait_for 20 grep -q ready "$work/$1.out" || failed "$1 is ready" yes "$(out_of "$1")"
}

in_state() # STATE PID - how many the kernel has in it to the test's server
{
	ss -tnpH state "$1" "( dport = :$PGPORT )" | grep -c "pid=$2,"
}
all_wait() # PID N
{
	[ "$(in_state close-wait "$1")" = "$2" ]
}

start top "$CONNLEAK" top -b --json -n 1000 --port "$PGPORT" --budget 50
wait_for 20 grep -q snapshot "$work/top.out"
client keeper keep 3
client pool pool 8
keeper=${run_pid[keeper]} pool=${run_pid[pool]}
canary watch_pool --pid "$pool" --for 90s
wait_for 20 attached watch_pool

# row PID FIELD - of the last frame
row()
{
	echo "next((r for r in d['rows'] if r['holder']['pid'] == $1), {}).get('$2')"
}
slots='[d["peers"][0][k] for k in ("open", "slots")] + [d["peers"][0]["budget"]["used"]]'
top_is() # EXPRESSION VALUE
{
	[ "$(json "$work/top.out" "$1")" = "$2" ]
}
wait_for 10 top_is "$slots" '[11, 11, 11]'
check_json "open, slots, budget.used before" '[11, 11, 11]' "$work/top.out" "$slots"

# --- the server ends the keeper's three
backends=$(ss -tnpH state established "( dport = :$PGPORT )" | grep "pid=$keeper," |
	awk '{ print $3 }' | sed 's/.*://' | paste -sd,)
pg_sql "select pg_terminate_backend(pid) from pg_stat_activity where client_port in ($backends)" \
	>/dev/null
wait_for 10 all_wait "$keeper" 3
check_equal "the kernel has them in CLOSE_WAIT" 3 "$(in_state close-wait "$keeper")"
wait_for 10 top_is "$slots" '[11, 8, 8]'
check_json "open, slots, budget.used after" '[11, 8, 8]' "$work/top.out" "$slots"
check_json "not fd_only at once" '[3, 0]' "$work/top.out" \
	"[$(row "$keeper" open), $(row "$keeper" fd_only)]"
run ls "$CONNLEAK" ls --json --port "$PGPORT" --pid "$keeper"
check_schema "$work/ls.out"
check_json "still listed, as what they are" '[["CLOSE_WAIT", [true]]]' "$work/ls.out" \
	"sorted({(s, tuple({o['held_by'] == [$keeper] for o in all if o['state'] == s})) \
	for s in {o['state'] for o in all}})"
check_json "all three" 3 "$work/ls.out" 'len(all)'

# --- the server starts again; the pool learns of it one by one
kill -INT "$pg_pid"
wait "$pg_pid"
(pg_as setsid "$PG_BIN/postgres" -D "$PGDATA") >>"$pg_dir/log" 2>&1 </dev/null &
pg_pid=$!
up()
{
	pg_sql 'select 1' >/dev/null 2>&1
}
wait_for 20 up || failed "the server is back" yes "$(tail -5 "$pg_dir/log")"
check_match "the pool's have ended, it does not know of all" '^[1-8]$' \
	"$(in_state close-wait "$pool")"
client leak leak
canary watch_leak --pid "${run_pid[leak]}" --for 3m --budget 50

# --- a minute later
wait_for 75 top_is "$(row "$keeper" fd_only)" 3
check_json "fd_only after a minute: open, fd_only" '[3, 3]' "$work/top.out" \
	"[$(row "$keeper" open), $(row "$keeper" fd_only)]"
check_json "never any in between" '[0, 3]' "$work/top.out" \
	"sorted({r['fd_only'] for o in all for r in o['rows'] if r['holder']['pid'] == $keeper})"
cat >"$work/seconds.py" <<'PY'
import json, sys
from datetime import datetime

def first(frames, is_it):
    frame = next(f for f in frames if is_it(f))
    return datetime.fromisoformat(frame["time"].replace("Z", "+00:00"))

frames = [json.loads(line) for line in open(sys.argv[1])]
ended = first(frames, lambda f: any(p["slots"] < p["open"] for p in f["peers"]))
told = first(frames, lambda f: any(r["fd_only"] for r in f["rows"]))
print((told - ended).total_seconds())
PY
seconds=$("$PYTHON" "$work/seconds.py" "$work/top.out")
check_at_most "seconds until then, least" "$seconds" 58
check_at_most "seconds until then, most" 66 "$seconds"
check_json "open counts what is in a descriptor, slots what the server pays for" '[]' \
	"$work/top.out" "[p for o in all for p in o['peers'] if not \
	p['slots'] == p['budget']['used'] <= p['open']]"
check_json "no finding about keeper or pool, and no suspicion" '[]' "$work/top.out" \
	"sorted({r['state'] for o in all for r in o['rows'] if r['holder']['pid'] in \
	($keeper, $pool)} - {'ok', 'pool', 'filling'})"

# --- the verdicts
end watch_pool
check_json "a pool that learns of a restart at its next use is no finding" '[]' \
	"$work/watch_pool.out" 'd["findings"]'
check_match "nor a leak" '^(pass|inconclusive)$' "$(json "$work/watch_pool.out" 'd["verdict"]')"
check_schema "$work/watch_pool.out"
end watch_leak
check_verdict watch_leak leak 1
check_json "descriptors that pile up are a finding of their own kind" '["fd_leak"]' \
	"$work/watch_leak.out" 'sorted({o["kind"] for o in all[:-1]})'
check_json "about their holder" "${run_pid[leak]}" "$work/watch_leak.out" \
	'all[0]["holder"]["pid"]'
check_json "of no slot: many open, few used" true "$work/watch_leak.out" \
	'all[0]["evidence"]["open"] >= 20 and all[0]["budget"]["used"] <= 15 and \
	all[0]["budget"]["exhausted_in_s"] is None'
stop keeper
wait_for 10 top_is "$(row "$keeper" open)" null
check_match "gone with the process" '^(null|0)$' "$(json "$work/top.out" "$(row "$keeper" open)")"
stop top INT
check_schema "$work/top.out"
finish
