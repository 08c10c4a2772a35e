#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_held.sh - a connection is the process's that holds it now, whoever opened it
. "$(dirname "$0")/lib.sh"
need ss setpriv
pg_start 400 || exit 1

parent="" child="" children=()
trap 'kill "${children[@]}" 2>/dev/null; clean_up' EXIT

# family NAME BEHAVIOUR [N] - starts the two; sets $parent and $child
family()
{
	start "$1" "$PYTHON" "$e2e/clients/family.py" "${@:2}"
	wait_for 20 grep -q ready "$work/$1.out" || failed "$1 is ready" yes "$(out_of "$1")"
	read -r _ parent child <"$work/$1.out"
	children+=("$child")
}

# --- leaks of a child; the verdicts are read at the end
family worker worker 2
worker=$child
canary watch_worker --pid "$worker" --for 3m
family passed passed 0
passed=$child
canary watch_passed --pid "$passed" --for 3m

# --- who holds what, seen by one that looks once, and by one that watches
start top "$CONNLEAK" top -b --json -n 1000 --port "$PGPORT"
wait_for 20 grep -q snapshot "$work/top.out"

family handover handover 5
giver=$parent taker=$child
family orphan orphan 4
end orphan
gone=$parent orphan=$child
family shared shared 3
elder=$parent younger=$child

run ls "$CONNLEAK" ls --json --port "$PGPORT"
check_equal "exit code of ls" 0 "$status"
check_schema "$work/ls.out"
held() # WHAT HOLDER EXPECTED-NUMBER-AND-HELD_BY
{
	check_json "$1" "$3" "$work/ls.out" \
		"[len([o for o in all if o['holder']['pid'] == $2]), \
		sorted({tuple(o['held_by']) for o in all if o['holder']['pid'] == $2})]"
}
held "closed by the parent: the child's" "$taker" "[5, [[$taker]]]"
held "the parent's: none" "$giver" '[0, []]'
held "the parent exited: the child's" "$orphan" "[4, [[$orphan]]]"
held "of who is gone: none" "$gone" '[0, []]'
held "held by both: the elder's" "$elder" "[3, [[$elder, $younger]]]"
held "and not the child's" "$younger" '[0, []]'
run ls_text "$CONNLEAK" ls --port "$PGPORT"
check_equal "ls shows both pids of each of the three" 3 \
	"$(grep -w "$elder" "$work/ls_text.out" | grep -cw "$younger")"

# The one that watched has seen them with the parents: a comparison of every 5 to 30 s moves them.
row="{r['holder']['pid']: r['open'] for r in d['rows']}"
moved="[$row.get(p, 0) for p in ($taker, $giver, $orphan, $gone, $elder, $younger)]"
has_moved()
{
	[ "$(json "$work/top.out" "$moved")" = '[5, 0, 4, 0, 3, 0]' ]
}
wait_for 40 has_moved
check_json "top: child, parent, child, gone parent, elder, younger" '[5, 0, 4, 0, 3, 0]' \
	"$work/top.out" "$moved"
check_json "who took them over has a name" '["python3", "python3"]' "$work/top.out" \
	"[r['holder']['comm'] for r in d['rows'] if r['holder']['pid'] in ($taker, $orphan)]"

# --- the elder goes too: the younger's
kill -KILL "$elder"
end shared
younger_has()
{
	[ "$(json "$work/top.out" "[$row.get(p, 0) for p in ($elder, $younger)]")" = '[0, 3]' ]
}
wait_for 40 younger_has
check_json "top, after the elder was killed: the younger's" '[0, 3]' "$work/top.out" \
	"[$row.get(p, 0) for p in ($elder, $younger)]"

# --- and the children too: nothing is left of them, and the books balance
kill -KILL "$taker" "$orphan" "$younger"
none_left()
{
	[ "$(json "$work/top.out" "[$row.get(p, 0) for p in ($taker, $orphan, $younger)]")" = \
		'[0, 0, 0]' ] && [ "$(json "$work/top.out" 'd["drift"]')" != null ]
}
wait_for 40 none_left
check_json "nothing is left" '[0, 0, 0]' "$work/top.out" \
	"[$row.get(p, 0) for p in ($taker, $orphan, $younger)]"

# --- the leaks
for name in worker passed; do
	end "watch_$name"
	out=$work/watch_$name.out
	check_verdict "watch_$name" leak 1
	check_json "$name: the finding is about the child" "${!name}" "$out" \
		'all[0]["holder"]["pid"]'
done
check_json "what came from elsewhere is in moved_in" true "$work/watch_passed.out" \
	'all[0]["evidence"]["moved_in"] >= 10'
check_json "each is held by the child only" "[[$passed]]" "$work/watch_passed.out" \
	'sorted({tuple(c["held_by"]) for c in all[0]["connections"]})'

stop top INT
check_schema "$work/top.out"
check_json "each frame: opened + adopted + moved_in = closed + open + moved_out + lost" '[]' \
	"$work/top.out" '[l for l in (o["ledger"] for o in all) if l["opened"] + l["adopted"] + \
	l["moved_in"] != l["closed"] + l["open"] + l["moved_out"] + l["lost"]]'
check_json "as many moved out as moved in, those twelve and more" true "$work/top.out" \
	'd["ledger"]["moved_in"] == d["ledger"]["moved_out"] >= 12'
check_json "lost" 0 "$work/top.out" 'd["ledger"]["lost"]'
check_json "drift, in all frames" '[0]' "$work/top.out" \
	'sorted({o["drift"] for o in all} - {None})'
finish
