#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_counts.sh - what connleak counts is what the kernel and PostgreSQL count, once it is quiet
. "$(dirname "$0")/lib.sh"
need "$TOOLS/pool" "$TOOLS/churn" ss setpriv
pg_start 100 || exit 1

ls_json() # [OPTION...]
{
	run ls "$CONNLEAK" ls --json --port "$PGPORT" "$@"
	check_equal "exit code of ls" 0 "$status"
	[ ! -s "$work/ls.out" ] || check_schema "$work/ls.out"
}

ports_by_connleak()
{
	json "$work/ls.out" '" ".join(sorted(o["local"].rsplit(":", 1)[1] for o in all))'
}

ports_by_kernel()
{
	ss -tnH state established "( dport = :$PGPORT )" | awk '{ print $3 }' | sed 's/.*://' |
		sort | paste -sd' '
}

ports_by_postgresql()
{
	pg_sql "select client_port from pg_stat_activity where client_addr is not null" |
		sort | paste -sd' '
}

compare() # WHEN
{
	ls_json
	check_equal "$1: local ports, ss and connleak" "$(ports_by_kernel)" "$(ports_by_connleak)"
	check_equal "$1: local ports, pg_stat_activity and connleak" "$(ports_by_postgresql)" \
		"$(ports_by_connleak)"
}

server_has() # N connections
{
	[ "$(pg_sql "select count(*) from pg_stat_activity where client_addr is not null")" = "$1" ]
}

# --- connections that were there before; IPv4 and IPv6
start four "$TOOLS/pool" --size 12 --fill-time 0 --eager --qps 0.02
start six env PGHOST=::1 "$TOOLS/pool" --size 5 --fill-time 0 --eager --qps 0.02
wait_for 20 server_has 17 || failed "17 connections" 17 "$(ports_by_postgresql)"
compare "open before the start"
check_json "all adopted: ages are lower bounds" '[true]' "$work/ls.out" \
	'sorted({o["age_is_lower_bound"] for o in all})'
check_json "IPv4 and IPv6 peers" '["127.0.0.1", "::1"]' "$work/ls.out" \
	'sorted({o["peer"]["address"] for o in all})'
check_json "holders" true "$work/ls.out" \
	"{o['holder']['pid'] for o in all} == {${run_pid[four]}, ${run_pid[six]}}"
check_json "both ends are ESTABLISHED" '["ESTABLISHED"]' "$work/ls.out" \
	'sorted({o["state"] for o in all})'
ls_json --pid "${run_pid[six]}"
check_json "of one process only" 5 "$work/ls.out" 'len(all)'
check_match "an IPv6 local address" '^\[::1\]:[0-9]+$' "$(json "$work/ls.out" 'd["local"]')"

# --- the same while a connleak runs, which sees them open: age 0 to now, no lower bound
start top "$CONNLEAK" top -b --json --interval 1s -n 1000 --port "$PGPORT"
wait_for 20 grep -q snapshot "$work/top.out"
start more "$TOOLS/pool" --size 4 --fill-time 0 --eager --qps 0.02
wait_for 20 server_has 21
compare "opened during a watch of another connleak"
frame()
{
	[ "$(json "$work/top.out" "$1")" = true ]
}
total='sum(u["open"] for u in d["rows"])'
wait_for 10 frame "$total == 21" ||
	failed "top counts what opened" 21 "$(json "$work/top.out" "$total")"

# --- what ends disappears: by a close, and with the process
stop more
kill -KILL "${run_pid[six]}"
end six
wait_for 10 server_has 12
compare "after an exit and a kill"
wait_for 10 frame "$total == 12" ||
	failed "top counts what ended" 12 "$(json "$work/top.out" "$total")"

# --- failed connects, to a port where nobody listens, are counted as that and open nothing
closed_port=$(pg_free_port)
start failing "$CONNLEAK" top -b --json --interval 1s -n 1000 --port "$PGPORT,$closed_port"
wait_for 20 grep -q snapshot "$work/failing.out"
cat >"$work/refused.py" <<'PY'
import socket, sys, time
for _ in range(25):
    with socket.socket() as s:
        try:
            s.connect(("127.0.0.1", int(sys.argv[1])))
        except ConnectionRefusedError:
            print("refused", flush=True)
time.sleep(60)
PY
start refused "$PYTHON" "$work/refused.py" "$closed_port"
tried='max([sum(u["failed"] for u in s["rows"]) for s in all])'
seen_failing()
{
	[ "$(json "$work/failing.out" "$tried")" = 25 ]
}
wait_for 10 seen_failing || failed "failed connects" 25 "$(json "$work/failing.out" "$tried")"
check_equal "refused, by the client" 25 "$(grep -c refused "$work/refused.out")"
check_json "failed connects open nothing" 0 "$work/failing.out" \
	'sum(u["opened"] for u in d["rows"] if u["failed"])'
stop failing
check_schema "$work/failing.out"

# --- many at once: opened - closed = open, to the last one
port=$(pg_free_port)
start many "$CONNLEAK" top -b --json --interval 1s -n 1000 --port "$port"
wait_for 20 grep -q snapshot "$work/many.out"
mkfifo "$work/hold"
"$TOOLS/churn" --listen "$port" --connects 5000 --keep 200 --concurrency 8 --bytes 20 \
	<"$work/hold" >"$work/churn.out" &
exec 9>"$work/hold"
all_opened()
{
	[ "$(json "$work/many.out" 'sum(u["opened"] for u in d["rows"])')" = 5000 ]
}
wait_for 20 all_opened || failed "opened" 5000 "$(json "$work/many.out" 'd["rows"]')"
check_json "opened, closed, open" '[5000, 4800, 200]' "$work/many.out" \
	'[sum(u[k] for u in d["rows"]) for k in ("opened", "closed", "open")]'
check_json "lost" 0 "$work/many.out" 'd["lost"]'
exec 9>&-
none_open()
{
	[ "$(json "$work/many.out" 'sum(u["open"] for u in d["rows"])')" = 0 ]
}
wait_for 10 none_open || failed "open after the end" 0 "$(json "$work/many.out" 'd["rows"]')"

stop top INT
check_equal "SIGINT ends top with" 0 "$status"
check_schema "$work/top.out"
finish
