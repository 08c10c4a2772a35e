#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_recordings.sh - what the recordings of real clients in tests/data/clients are judged to be
#
# expected.tsv there has one line for each: what `replay` and what `canary` must find, and how late
# at most, with the reason. NAME.truth says when a connection was leaked. CONNLEAK names the program
# (default build/connleak); VERBOSE=1 prints what was found. No root, no network.
set -u
cd "$(dirname "$0")/.." || exit 1
connleak=${CONNLEAK:-build/connleak}
data=tests/data/clients
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n_checks=0 n_failed=0

check() # WHAT EXPECTED FOUND
{
	n_checks=$((n_checks + 1))
	[ "$2" = "$3" ] && return
	n_failed=$((n_failed + 1))
	printf 'FAILED: %s\n    expected: %s\n    found:    %s\n' "$1" "$2" "$3"
}

check_at_most() # WHAT LIMIT FOUND
{
	[ "$2" = - ] || check "$1: $3, at most $2" 1 "$(awk "BEGIN { print $3 <= $2 }")"
}

# first_leak TRACE OUTPUT - the first leak finding of JSON Lines: "UNIT KIND RULE SECONDS LEAKED N",
# or "none": seconds from the first leaked connection (or the trace's start, whichever is later) to
# the finding, how many were leaked by then, how many services are named in all
first_leak()
{
	/usr/bin/python3 - "$data/$1" "$2" <<-'PY'
		import datetime, gzip, json, sys

		def seconds(text):
		    return datetime.datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()

		trace, output = sys.argv[1:]
		with gzip.open(trace + ".trace.gz", "rt") as lines:
		    start = seconds(json.loads(next(lines))["time"])
		with open(trace + ".truth") as truth:
		    at = truth.read().rstrip("\n").split("\t")[5]
		leaked = [] if at == "-" else [float(s) for s in at.split(",")]
		found = [json.loads(line) for line in open(output)]
		found = [f for f in found if f.get("kind") in ("leak", "fd_leak")]
		if not found:
		    print("none")
		    sys.exit()
		f = found[0]
		fired = seconds(f["fired_at"]) - start
		print(f["holder"]["unit"], f["kind"], f["evidence"]["rule"],
		      "%.0f" % (fired - max(0, leaked[0] if leaked else 0)),
		      sum(s <= fired for s in leaked), len({g["holder"]["unit"] for g in found}))
	PY
}

# judge NAME HOW WHAT EXIT MAX-S MAX-LEAKED - of $work/out, which ended with EXIT
judge()
{
	local unit kind rule s leaked n
	read -r unit kind rule s leaked n < <(first_leak "$1" "$work/out")
	[ -z "${VERBOSE:-}" ] || printf '%-34s %-10s exit %s %s\n' "$1" "$2" "$4" \
		"$unit${rule:+ $rule after $s s, $leaked leaked}"
	if [ "$3" = silent ] || [ "$3" = inconclusive ]; then
		check "$1: leak found by $2" "none" "$unit${rule:+ $rule}"
		return
	fi
	check "$1: exit code of $2" 1 "$4"
	check "$1: who leaks what, says $2" "$1.service $3 1" "$unit${kind:+ $kind $n}"
	[ "$unit" = none ] && return
	check_at_most "$1: seconds until $2 found it" "$5" "$s"
	check_at_most "$1: connections leaked until then" "$6" "$leaked"
}

# A recording is whole, long enough, of a healthy ledger, and says nothing about where it was made.
check_trace() # NAME
{
	local last
	zcat "$data/$1.trace.gz" >"$work/trace" || {
		check "$1.trace.gz" readable missing
		return 1
	}
	last=$(tail -1 "$work/trace")
	check "$1: ends in good order after 10 minutes or more" 1 \
		"$(grep -cE '"t_ns":([6-9][0-9]{11}|[0-9]{13,}),"ev":"end"' <<<"$last")"
	check "$1: events lost" 0 "$(grep -c '"ev":"lost"' "$work/trace")"
	check "$1: host" '"host":"app-node-07"' "$(head -1 "$work/trace" | grep -o '"host":"[^"]*"')"
	check "$1: other paths than the client's" "" \
		"$(grep -oE '"(exe|script|cgroup)":"/[^"]*"' "$work/trace" |
			grep -vE '"/(opt/app|usr/(s?bin|lib)|system.slice)/' | sort -u)"
	return 0
}

check_replay() # NAME WHAT MAX-S MAX-LEAKED
{
	local status
	"$connleak" replay --json "$data/$1.trace.gz" >"$work/out" 2>"$work/err"
	status=$?
	judge "$1" replay "$2" $status "$3" "$4"
	[ "$2" != silent ] || check "$1: exit code of replay" 0 $status
	"$connleak" replay --json "$data/$1.trace.gz" >"$work/again" 2>/dev/null
	check "$1: two replays differ" "" "$(cmp "$work/out" "$work/again" 2>&1)"
}

# A healthy client is called a leak in no window, long or short.
check_canary() # NAME WHAT MAX-S MAX-LEAKED
{
	local status window
	for window in 3m 5m 10m; do
		[ "$2" = silent ] || [ $window = 10m ] || continue
		"$connleak" canary --json --for $window --replay "$data/$1.trace.gz" >"$work/out" \
			2>"$work/err"
		status=$?
		judge "$1" "canary" "$2" $status "$3" "$4"
		case $2$status in
		silent0 | silent4 | inconclusive4 | leak1 | fd_leak1) n_checks=$((n_checks + 1)) ;;
		*) check "$1: exit code of canary, $window" "of $2" $status ;;
		esac
	done
}

[ -x "$connleak" ] || { echo "skip: needs $connleak (make)" && exit 77; }
while IFS=$'\t' read -r name replay replay_s replay_leaked canary canary_s canary_leaked _; do
	case $name in '#'* | '') continue ;; esac
	check_trace "$name" || continue
	check_replay "$name" "$replay" "$replay_s" "$replay_leaked"
	check_canary "$name" "$canary" "$canary_s" "$canary_leaked"
done <"$data/expected.tsv"
check "recordings without a line in expected.tsv" "" "$(cd $data && for f in *.trace.gz; do
	grep -q "^${f%.trace.gz}	" expected.tsv || echo "$f"; done)"
echo "$n_checks checks, $n_failed failed"
[ $n_failed = 0 ] && [ $n_checks -gt 100 ]
