#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_restart.sh - killed and started again under churn: all that is open is there at once, once
. "$(dirname "$0")/lib.sh"
need "$TOOLS/churn" ss

kept_n=200
mkfifo "$work/hold"
port=$(pg_free_port)
"$TOOLS/churn" --listen "$port" --connects $kept_n --keep $kept_n --bytes 20 <"$work/hold" \
	>"$work/kept.out" &
exec 9>"$work/hold"
kept=$!
wait_for 20 grep -q established "$work/kept.out" || failed "kept connections" yes none

# More come and go, of another process to the same port, all the time.
cat >"$work/churn.py" <<'PY'
import socket, sys, time
while True:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
            s.sendall(b"x")
            s.recv(1)
    time.sleep(0.02)
PY
start churn "$PYTHON" "$work/churn.py" "$port"

ports_of_kept()
{
	ss -tnpH state established "( dport = :$port )" | grep "pid=$kept," | awk '{ print $3 }' |
		sed 's/.*://' | sort | paste -sd' '
}
truth=$(ports_of_kept)
check_equal "kept connections, by the kernel" $kept_n "$(wc -w <<<"$truth")"

n_frames() # NAME N - has it printed that many?
{
	[ "$(grep -c '^{.*}$' "$work/$1.out")" -ge "$2" ]
}
of_kept="[r for r in all[0]['rows'] if r['holder']['pid'] == $kept]"

check_ls() # WHEN FILE
{
	check_equal "$1: local ports, equal to ss, none twice" "$truth" "$(json "$2" \
		"' '.join(sorted([o['local'].rsplit(':', 1)[1] for o in all \
		if o['holder']['pid'] == $kept]))")"
}

for round in 1 2 3; do
	start "top$round" "$CONNLEAK" top -b --json -n 1000 --port "$port"
	wait_for 20 n_frames "top$round" 1 || failed "round $round: a frame" yes \
		"$(out_of "top$round")"
	check_json "round $round, first frame: one row, open, adopted, opened, closed" \
		"[[$kept_n, $kept_n, 0, 0]]" "$work/top$round.out" \
		"[[r[k] for k in ('open', 'adopted', 'opened', 'closed')] for r in $of_kept]"
	run "ls$round" "$CONNLEAK" ls --json --port "$port"
	check_schema "$work/ls$round.out"
	check_ls "round $round, ls beside top" "$work/ls$round.out"
	# in the middle of a churn that it has begun to count
	wait_for 20 n_frames "top$round" 3
	check_json "round $round, later: still the same" "[[$kept_n, $kept_n, 0, 0]]" \
		"$work/top$round.out" \
		"[[r[k] for k in ('open', 'adopted', 'opened', 'closed')] for r in \
		d['rows'] if r['holder']['pid'] == $kept]"
	check_json "round $round, later: the churn is seen" true "$work/top$round.out" \
		"max(r['opened'] for r in d['rows'] if r['holder']['pid'] == ${run_pid[churn]}) > 100"
	stop "top$round" KILL
	# its last line may be half a frame
	sed -i '/^{.*}$/!d' "$work/top$round.out"
	check_schema "$work/top$round.out"
	check_json "round $round: the books balance in each frame" '[]' "$work/top$round.out" \
		'[l for l in (o["ledger"] for o in all) if l["opened"] + l["adopted"] + \
		l["moved_in"] != l["closed"] + l["open"] + l["moved_out"] + l["lost"]]'
done

# --- two side by side see the same, of before and of after their start
start one "$CONNLEAK" top -b --json -n 1000 --port "$port"
start two "$CONNLEAK" top -b --json -n 1000 --port "$port"
wait_for 20 n_frames one 1
wait_for 20 n_frames two 1
cat >"$work/more.py" <<'PY'
import socket, sys, time
kept = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(50)]
print("ready", flush=True)
time.sleep(600)
PY
start more "$PYTHON" "$work/more.py" "$port"
wait_for 20 grep -q ready "$work/more.out"
counts="[[sum(r[k] for r in d['rows'] if r['holder']['pid'] == p) for k in \
	('open', 'adopted', 'opened', 'closed')] for p in ($kept, ${run_pid[more]})]"
sees_all() # NAME
{
	[ "$(json "$work/$1.out" "$counts")" = "[[$kept_n, $kept_n, 0, 0], [50, 0, 50, 0]]" ]
}
for name in one two; do
	wait_for 10 sees_all $name
	check_json "$name of two side by side" "[[$kept_n, $kept_n, 0, 0], [50, 0, 50, 0]]" \
		"$work/$name.out" "$counts"
done
stop churn
# killing one takes nothing from the other
stop one KILL
stop more
sees_end()
{
	[ "$(json "$work/two.out" 'd["connections"]')" = $kept_n ]
}
wait_for 10 sees_end
check_json "the other, once the rest has closed" "[$kept_n, 0]" "$work/two.out" \
	'[d["connections"], d["lost"]]'
run ls "$CONNLEAK" ls --json --port "$port"
check_ls "at the end" "$work/ls.out"
stop two INT
check_schema "$work/two.out"
exec 9>&-
finish
