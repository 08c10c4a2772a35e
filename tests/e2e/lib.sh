# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the end-to-end tests share; sourced by bash scripts of this folder
#
# A test starts what it needs, checks what it finds with the check functions (each failure says
# what was expected and what was found, and the test goes on), and ends with `finish`.
# Everything that it started is stopped on any exit. Exit 0 passed, 1 failed, 77 skipped.
# shellcheck shell=bash

set -u
e2e=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$e2e/../.." && pwd)
CONNLEAK=$(realpath -m -- "${CONNLEAK:-$root/build/connleak}")
TOOLS=$(realpath -m -- "${TOOLS:-$root/build/tools}")
PYTHON=/usr/bin/python3
# shellcheck source=tools/pg.sh
. "$root/tools/pg.sh"
PATH=$PG_BIN:$PATH

work=$(mktemp -d "${TMPDIR:-/tmp}/connleak-e2e.XXXXXX") || exit 1
chmod 755 "$work"
n_checks=0 n_failed=0
declare -A run_pid
status=0

clean_up()
{
	trap '' INT TERM
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	pg_stop
	wait
	if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip() # REASON
{
	echo "skip: $1"
	exit 77
}

# need THING... - programs in PATH or files; a test that lacks one is skipped, with the reason
need()
{
	local thing
	[ "$(id -u)" = 0 ] || skip "needs root"
	[ -x "$CONNLEAK" ] || skip "needs $CONNLEAK (make)"
	for thing in "$@"; do
		command -v "$thing" >/dev/null || [ -e "$thing" ] || skip "needs $thing"
	done
}

finish()
{
	echo "$n_checks checks, $n_failed failed"
	[ "$n_failed" = 0 ] && [ "$n_checks" -gt 0 ]
	exit
}

failed() # WHAT EXPECTED FOUND
{
	n_failed=$((n_failed + 1))
	printf 'FAILED: %s\n    expected: %s\n    found:    %s\n' "$1" "$2" "$3"
}

check_equal() # WHAT EXPECTED FOUND
{
	n_checks=$((n_checks + 1))
	[ "$2" = "$3" ] || failed "$1" "$2" "$3"
}

check_match() # WHAT EXTENDED-REGEX TEXT
{
	n_checks=$((n_checks + 1))
	grep -qE -- "$2" <<<"$3" || failed "$1" "text that matches: $2" "$3"
}

check_at_most() # WHAT LIMIT FOUND
{
	n_checks=$((n_checks + 1))
	awk "BEGIN { exit !($3 <= $2) }" || failed "$1" "at most $2" "$3"
}

# wait_for SECONDS COMMAND... - until the command succeeds; 1 if it has not by then
wait_for()
{
	local until=$((SECONDS + $1 + 1))
	shift
	while ! "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.1
	done
}

# json FILE EXPRESSION - prints a Python expression over a file of JSON Lines; `d` is the last
# object, `all` the list of them. None prints as null, other values as JSON, strings bare.
json()
{
	"$PYTHON" - "$1" "$2" <<-'PY'
		import json, sys
		try:
		    all = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
		    d = all[-1] if all else None
		    value = eval(sys.argv[2])
		except Exception as e:
		    value = "no answer: %s: %s" % (type(e).__name__, e)
		print(value if isinstance(value, str) else json.dumps(value))
	PY
}

check_json() # WHAT EXPECTED FILE EXPRESSION
{
	check_equal "$1" "$2" "$(json "$3" "$4")"
}

# check_schema FILE - each line is what its schema in docs/ says; the last two are also spoilt in
# every way there is, which must be refused
check_schema()
{
	local name out lines="$work/schema_lines" n=0
	n_checks=$((n_checks + 1))
	for name in finding connection verdict snapshot doctor; do
		grep -E "^\{\"schema\": *\"connleak\.$name/v1\"" "$1" >"$lines" || continue
		n=$((n + $(wc -l <"$lines")))
		out=$("$PYTHON" "$root/tests/schema_check.py" "$root/docs/$name.schema.json" \
			<"$lines" 2>&1 &&
			tail -2 "$lines" | "$PYTHON" "$root/tests/schema_check.py" \
				"$root/docs/$name.schema.json" --mutate 2>&1) ||
			failed "$name lines of $(basename "$1")" "valid, and mutations refused" "$out"
	done
	if [ "$n" = 0 ] || [ "$n" != "$(wc -l <"$1")" ]; then
		failed "lines of $(basename "$1")" "each begins with a known schema" \
			"$(head -c 300 "$1")"
	fi
}

# start NAME COMMAND... - in the background, output to $work/NAME.out and .err; descriptor 9 is the
# test's own
start()
{
	local name=$1
	shift
	# there for who looks at once
	: >"$work/$name.out" 2>"$work/$name.err"
	"$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null 9>&- &
	run_pid[$name]=$!
}

# end NAME - waits for it; leaves its exit code in $status
end()
{
	wait "${run_pid[$1]}" 2>/dev/null
	status=$?
}

# stop NAME [SIGNAL] - as `end`, after a signal
stop()
{
	kill -"${2:-TERM}" "${run_pid[$1]}" 2>/dev/null
	end "$1"
}

# run NAME COMMAND... - in the foreground, for a minute at most; as `end`
run()
{
	local name=$1
	shift
	start "$name" timeout 60 "$@"
	end "$name"
}

# canary NAME OPTION... - starts `connleak canary --json` on the test's server
canary()
{
	local name=$1
	shift
	start "$name" "$CONNLEAK" canary --json --port "$PGPORT" "$@"
}

out_of()
{
	cat "$work/$1.out" "$work/$1.err"
}

# check_verdict NAME VERDICT EXIT-CODE - of an ended canary; prints its talk when it is another
check_verdict()
{
	local name=$1 before=$n_failed
	check_equal "exit code of canary $name" "$3" "$status"
	check_json "verdict of canary $name" "$2" "$work/$name.out" 'd["verdict"]'
	check_schema "$work/$name.out"
	[ "$before" = "$n_failed" ] || out_of "$name" | tail -5
}

connections() # [CLIENT] - how many the kernel has to the test's server, of all or of one pid
{
	ss -tnpH state established "( dport = :$PGPORT )" | grep -c "${1:+pid=$1,}"
}

has_connections() # N [PID] - at least
{
	[ "$(connections "${2:-}")" -ge "$1" ]
}

# attached NAME - has the canary begun to watch? A line on stderr says so.
attached()
{
	grep -q '^watching' "$work/$1.err"
}
