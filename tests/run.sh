#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh TEST... - run each, count passed, failed and skipped (exit 77), print why
# A test is a program: a cmocka binary or a script. Its output is shown when it fails (or with V=1).
# PARALLEL=N runs N at a time, for tests that mostly wait.
set -u
passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
declare -A name_of=() started=()

report() # NAME STATUS
{
	local log=$logs/$1 took=$(($(date +%s) - started[$1])) n
	[ -z "${V:-}" ] || cat "$log"
	case $2 in
	0)
		passed=$((passed + 1))
		n=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log" | tail -1)
		echo "ok    $1 ${n:+($n tests) }${took}s"
		;;
	77)
		skipped=$((skipped + 1))
		echo "skip  $1: $(grep -i 'skip' "$log" | tail -1)"
		;;
	*)
		failed=$((failed + 1))
		echo "FAIL  $1 (exit $2) ${took}s"
		[ -n "${V:-}" ] || sed 's/^/    /' "$log" | tail -80
		;;
	esac
}

await_one()
{
	local pid status
	wait -n -p pid
	status=$?
	report "${name_of[$pid]}" "$status"
	unset "name_of[$pid]"
}

for t in "$@"; do
	[ "${#name_of[@]}" -lt "${PARALLEL:-1}" ] || await_one
	name=$(basename "$t")
	started[$name]=$(date +%s)
	"$t" >"$logs/$name" 2>&1 </dev/null &
	name_of[$!]=$name
done
while [ "${#name_of[@]}" -gt 0 ]; do
	await_one
done
echo "$passed passed, $failed failed, $skipped skipped"
[ -z "${COUNTS:-}" ] || echo "$passed $failed $skipped" >>"$COUNTS"
[ "$failed" = 0 ] && [ $((passed + skipped)) = $# ]
