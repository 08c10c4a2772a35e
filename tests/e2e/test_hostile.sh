#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_hostile.sh - names that processes choose reach no terminal and no JSON unescaped
. "$(dirname "$0")/lib.sh"
need "$TOOLS/pool" setpriv
pg_start 50 || exit 1

# A process with a name of control bytes, quotes and broken UTF-8, and a script named like that.
script=$work/$'evil\033]0;x\007"\\\n.py'
cat >"$script" <<'PY'
import sys, time
import psycopg2
conn = psycopg2.connect("")
open("/proc/self/comm", "wb").write(b'\x1b[31m"\n\\\xff\xc3a\x9bm\r')
print("ready", flush=True)
time.sleep(600)
PY
start named "$PYTHON" "$script"
# An executable whose path is no better.
cp "$TOOLS/pool" "$work/"$'p\033[2J"\377ool'
start pathed "$work/"$'p\033[2J"\377ool' --size 2 --fill-time 0 --eager --qps 1
wait_for 20 grep -q ready "$work/named.out"
wait_for 20 has_connections 3

# Bytes below space but newline, DEL, and the C1 controls, raw or as UTF-8: none may come out.
clean() # WHAT FILE
{
	n_checks=$((n_checks + 1))
	"$PYTHON" - "$2" <<-'PY' || failed "$1" "printable UTF-8" "$(cat -v "$2")"
		import sys
		text = open(sys.argv[1], "rb").read().decode("utf-8")
		bad = [c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160]
		sys.exit(1 if bad else 0)
	PY
}

run ls "$CONNLEAK" ls --port "$PGPORT"
clean "ls" "$work/ls.out"
check_equal "ls prints one line a connection, a heading and a sum" 5 "$(wc -l <"$work/ls.out")"
run top "$CONNLEAK" top -b -n 1 --port "$PGPORT"
clean "top -b" "$work/top.out"
run ls_json "$CONNLEAK" ls --json --port "$PGPORT"
clean "ls --json" "$work/ls_json.out"
check_schema "$work/ls_json.out"
check_json "three objects" 3 "$work/ls_json.out" 'len(all)'
check_json "the process is there, and its name is not lost" true "$work/ls_json.out" \
	"any(o['holder']['pid'] == ${run_pid[named]} and '[31m' in o['holder']['comm'] for o in all)"
check_json "the path is there" true "$work/ls_json.out" \
	"any(o['holder']['pid'] == ${run_pid[pathed]} and 'ool' in o['holder']['exe'] for o in all)"
run top_json "$CONNLEAK" top -b -n 1 --json --port "$PGPORT"
clean "top -b --json" "$work/top_json.out"
check_schema "$work/top_json.out"

# The same names in an error message and in a target.
run canary_text "$CONNLEAK" canary --port "$PGPORT" --pid "${run_pid[named]}" --for 3s
clean "canary, stdout" "$work/canary_text.out"
clean "canary, stderr" "$work/canary_text.err"
run target "$CONNLEAK" canary --port "$PGPORT" --comm $'no\033[31m\nsuch' --for 3s
check_equal "a target that is not there" 3 "$status"
clean "its name in the message" "$work/target.err"
run command "$CONNLEAK" $'fro\033[31m'
check_equal "an unknown command" 2 "$status"
clean "its name in the message" "$work/command.err"
finish
