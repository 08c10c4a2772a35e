#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_canary.sh - the canary's ends: no data, no target, a program that ends, crashes or forks
. "$(dirname "$0")/lib.sh"
need psql setpriv
pg_start 50 || exit 1

# --- no data never passes
start quiet sleep 600
canary nothing --pid "${run_pid[quiet]}" --for 6s
canary mapped --pid "${run_pid[quiet]}" --for 6s --inconclusive pass
canary mapped_fail --pid "${run_pid[quiet]}" --for 6s --inconclusive fail
canary everybody --for 6s
canary interrupted --pid "${run_pid[quiet]}" --for 10m

# --- targets that are not there, or come later
canary gone --pid 4194303 --for 5s
canary no_comm --comm nobody-has-it --for 5s
canary no_exe --exe /nonexistent/program --for 5s
canary waited --comm nobody-has-it --wait=2s --for 5s
canary waiting --comm late-comer --wait --for 4s

# --- a program of its own
watch_program() # NAME PROGRAM [ARGUMENT...]
{
	local name=$1
	shift
	canary "$name" --for 60s -- "$@"
}
watch_program ends psql -XAtc 'select 42'
watch_program fails sh -c 'exit 7'
watch_program crashes sh -c 'psql -XAtc "select 1"; kill -SEGV $$'
watch_program forks sh -c 'for i in 1 2 3; do psql -XAtc "select 1"; done; exit 0'
watch_program orphan sh -c '(sleep 3; psql -XAtc "select 1") & exit 0'
watch_program missing /nonexistent/program
canary as_user --for 60s --as nobody -- id -un
canary leaks --for 5m -- "$TOOLS/order-service" --version v2.3.9 --rate 30 --duration 8

for name in nothing everybody; do
	end $name
	check_verdict $name inconclusive 4
	check_json "$name: findings" '[]' "$work/$name.out" 'd["findings"]'
done
check_json "how long it should have been is said, or why not" true "$work/nothing.out" \
	'bool(d["reason"]) and "power" in d'
end mapped
check_verdict mapped inconclusive 0
end mapped_fail
check_verdict mapped_fail inconclusive 1
stop interrupted INT
check_verdict interrupted inconclusive 4
check_json "interrupted: planned and watched" true "$work/interrupted.out" \
	'd["window_s"] == 600 and d["watched_s"] < 60'

for name in gone no_comm no_exe waited; do
	end $name
	check_equal "$name: exit code" 3 "$status"
	check_equal "$name: nothing on stdout" "" "$(cat "$work/$name.out")"
done
check_match "the message names the process and --wait" 'no such process.*4194303.*--wait' \
	"$(cat "$work/gone.err")"
check_match "the message names the name" nobody-has-it "$(cat "$work/no_comm.err")"
check_match "the message names the path" /nonexistent/program "$(cat "$work/no_exe.err")"

cp "$(command -v sleep)" "$work/late-comer"
start late_comer "$work/late-comer" 60
end waiting
check_verdict waiting inconclusive 4
check_json "--wait comes before the window" true "$work/waiting.out" '3 <= d["watched_s"] < 6'

status_of='[d["command"]["status"], d["command"]["signal"]]'
end ends
check_verdict ends inconclusive 4
check_json "its exit code and signal" '[0, null]' "$work/ends.out" "$status_of"
check_json "opened and closed" '[1, 1]' "$work/ends.out" '[d["opened"], d["closed"]]'
check_match "its output is on stderr" '^42$' "$(cat "$work/ends.err")"
check_at_most "the watch ends with the program, seconds" 15 \
	"$(json "$work/ends.out" 'd["watched_s"]')"
end fails
check_verdict fails inconclusive 4
check_json "its exit code and signal" '[7, null]' "$work/fails.out" "$status_of"
end crashes
check_verdict crashes inconclusive 4
check_json "no exit code, a signal" '[null, true]' "$work/crashes.out" \
	'[d["command"]["status"], d["command"]["signal"] == 11]'
end forks
check_verdict forks inconclusive 4
check_json "what its children open is counted" '[3, 3]' "$work/forks.out" \
	'[d["opened"], d["closed"]]'
end orphan
check_verdict orphan inconclusive 4
check_json "a child that outlives it is watched to its end" '[1, 1]' "$work/orphan.out" \
	'[d["opened"], d["closed"]]'
end missing
check_equal "a program that cannot be started" 2 "$status"
check_match "it is named" /nonexistent/program "$(cat "$work/missing.err")"
end as_user
check_match "--as nobody" '^nobody$' "$(cat "$work/as_user.err")"
end leaks
check_json "too short to be sure: opened, none closed" true "$work/leaks.out" \
	'd["verdict"] == "inconclusive" and d["opened"] >= 3 and d["closed"] <= d["opened"]'

# --- what a person reads
run text "$CONNLEAK" canary --port "$PGPORT" --pid "${run_pid[quiet]}" --for 3s
check_equal "exit code of the text form" 4 "$status"
check_match "the verdict is on stdout" '^INCONCLUSIVE' "$(cat "$work/text.out")"
finish
