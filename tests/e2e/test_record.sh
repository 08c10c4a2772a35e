#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_record.sh - what is recorded and replayed gives what was seen live; recordings that are broken
. "$(dirname "$0")/lib.sh"
need "$TOOLS/order-service" "$TOOLS/pool" ss
pg_start 200 || exit 1

record() # NAME OPTION... FILE - in the background
{
	local name=$1
	shift
	start "$name" "$CONNLEAK" record --port "$PGPORT" "$@"
}

is_recording() # NAME
{
	grep -q '^recording' "$work/$1.err"
}

# --- live: one leaks, one does not; three recorders and a canary see the same
start service env DD_VERSION=v2.3.9 "$TOOLS/order-service" --rate 30
start pool "$TOOLS/pool" --size 10 --fill-time 5 --qps 5
record all --for 125s "$work/all.trace.gz"
record one --for 125s --pid "${run_pid[service]}" "$work/one.trace"
record killed "$work/killed.trace.gz"
canary live --pid "${run_pid[service]}" --for 3m
wait_for 20 is_recording all || failed "the recorder starts" "a line on stderr" "$(out_of all)"

# --- meanwhile: what record refuses, and how it ends
record stopped "$work/stopped.trace"
wait_for 20 is_recording stopped
sleep 2
stop stopped INT
check_equal "SIGINT ends a recording in good order" 0 "$status"
check_match "its last line is the end" '"ev":"end"' "$(tail -1 "$work/stopped.trace")"
check_equal "a recording is its owner's alone" 600 "$(stat -c %a "$work/stopped.trace")"
run again "$CONNLEAK" record --port "$PGPORT" --for 1s "$work/stopped.trace"
check_equal "a file that exists is not written over" 2 "$status"
check_match "it is named" 'stopped.trace: is there already' "$(cat "$work/again.err")"
run full "$CONNLEAK" record --port "$PGPORT" --for 2s /dev/full
check_equal "a full disk is a failure" 5 "$status"
run deaf sh -c "exec \"$CONNLEAK\" record --port $PGPORT --for 1s \"$work/deaf.trace\" 2>&-"
check_match "what is said goes nowhere, and not into the file" '^{"schema"' \
	"$(head -1 "$work/deaf.trace")"
run blind sh -c "exec \"$CONNLEAK\" replay - <&-"
check_equal "no stdin to read a trace from" 2 "$status"
run nobody "$CONNLEAK" record --port "$PGPORT" --pid 4194303 --for 1s "$work/nobody.trace"
check_equal "no such target" 3 "$status"
check_equal "no empty file stays behind" "" "$(ls "$work/nobody.trace" 2>/dev/null)"
run stdout "$CONNLEAK" record --port "$PGPORT" --for 2s -
check_equal "record to stdout" 0 "$status"
check_json "a trace, from header to end" '["connleak.trace/v1", "end"]' "$work/stdout.out" \
	'[all[0]["schema"], d["ev"]]'

# --- the recorder that is killed leaves what can be read
kill -9 "${run_pid[killed]}"
end killed
run cut "$CONNLEAK" ls --json --replay "$work/killed.trace.gz"
check_equal "a recording that was cut off is used as far as it goes" 0 "$status"
check_match "and that is said" 'cut off' "$(cat "$work/cut.err")"
check_at_most "it has its first connections" "$(wc -l <"$work/cut.out")" 1
run strict "$CONNLEAK" ls --json --strict --replay "$work/killed.trace.gz"
check_equal "--strict refuses it" 5 "$status"

# --- live and replayed say the same
end live
check_verdict live leak 1
end all
check_equal "the recording ends after its time" 0 "$status"
end one
check_equal "so does the other" 0 "$status"
start ls_live "$CONNLEAK" ls --json --port "$PGPORT" --pid "${run_pid[service]}"
end ls_live

replay_canary() # NAME OPTION...
{
	run "$1" "$CONNLEAK" canary --json --for 3m "${@:2}"
}
replay_canary again_all --replay "$work/all.trace.gz" --pid "${run_pid[service]}"
check_verdict again_all leak 1
replay_canary again_one --replay "$work/one.trace"
check_verdict again_one leak 1
for name in again_all again_one; do
	check_json "$name: the same finding" "$(json "$work/live.out" 'all[0]["id"]')" \
		"$work/$name.out" 'all[0]["id"]'
	check_at_most "$name: seconds between live and replayed" 6 \
		"$(awk "BEGIN { d = $(json "$work/live.out" 'd["watched_s"]') - \
			$(json "$work/$name.out" 'd["watched_s"]'); print d < 0 ? -d : d }")"
done
replay_canary pool_again --replay "$work/all.trace.gz" --pid "${run_pid[pool]}"
check_json "the pool is no leak in a recording either" true "$work/pool_again.out" \
	'd["verdict"] != "leak"'
run twice "$CONNLEAK" canary --json --for 3m --replay "$work/all.trace.gz" \
	--pid "${run_pid[service]}"
check_equal "the same trace gives the same bytes" "$(md5sum <"$work/again_all.out")" \
	"$(md5sum <"$work/twice.out")"
check_match "the other holder is not in the recording of one" '^1$' \
	"$(grep -c '"ev":"holder"' "$work/one.trace")"

run agent "$CONNLEAK" replay --json "$work/all.trace.gz"
check_equal "by the agent's rules two minutes of a stranger are too early" 0 "$status"
check_equal "so nothing is said" "" "$(cat "$work/agent.out")"
run ls_again "$CONNLEAK" ls --json --replay "$work/all.trace.gz" --pid "${run_pid[service]}"
check_schema "$work/ls_again.out"
check_at_most "connections at the end, recorded and live, differ by" 3 \
	"$(($(wc -l <"$work/ls_live.out") - $(wc -l <"$work/ls_again.out")))"
run frames "$CONNLEAK" top -b -n 2 --json --replay "$work/all.trace.gz"
check_schema "$work/frames.out"
check_json "the last frames, a second apart" 2 "$work/frames.out" 'len({s["time"] for s in all})'
run slow "$CONNLEAK" top -b --json --speed 1000 --replay "$work/all.trace.gz"
check_json "no frame is told twice" 0 "$work/slow.out" \
	'len(all) - len({s["time"] for s in all})'
start stopped_replay "$CONNLEAK" replay --speed 1 "$work/all.trace.gz"
sleep 2
stop stopped_replay INT
check_equal "a replay that is stopped does not say that the rest is clean" 4 "$status"
check_equal "nor in words" "" "$(cat "$work/stopped_replay.out")"
check_match "it says where it stands" 'interrupted' "$(cat "$work/stopped_replay.err")"
check_match "the last frame says what it suspects" 'suspect|LEAK' "$(tail -1 "$work/frames.out")"

# --- a target that never comes, a pipe that stays silent, the end on a terminal
run in_vain "$CONNLEAK" canary --wait --pid 4194303 --replay "$work/one.trace"
check_equal "waited for to the end of the recording" 3 "$status"
check_match "that is said" 'no connection of pid 4194303' "$(cat "$work/in_vain.err")"
run too_late "$CONNLEAK" canary --wait=1s --pid 4194303 --replay "$work/one.trace"
check_equal "waited for as long as was asked" 3 "$status"
mkfifo "$work/silent"
exec 8<>"$work/silent"
for what in replay "ls --replay" "canary --replay" "top -b --replay"; do
	# shellcheck disable=SC2086
	start silent "$CONNLEAK" $what "$work/silent"
	sleep 0.5
	kill -INT "${run_pid[silent]}"
	is_over() { ! kill -0 "${run_pid[silent]}" 2>/dev/null; }
	wait_for 5 is_over || failed "SIGINT ends $what at a silent pipe" "it ends" "it waits"
	stop silent KILL
	check_equal "$what: nothing was judged" 5 "$status"
done
exec 8>&-
sed '12q' "$work/one.trace" >"$work/short.trace"
run view "$PYTHON" "$e2e/clients/view_end.py" "$CONNLEAK" top --speed 0 --replay "$work/short.trace"
check_match "the view stands still at the end of a recording: ticks of cpu in 2 s" \
	'^end, exit 0, [0-9] ticks$' "$(cat "$work/view.out")"

# --- traces that are not as they should be
run missing "$CONNLEAK" replay "$work/nothing-here"
check_equal "a trace that cannot be opened" 2 "$status"
run not_one "$CONNLEAK" replay /etc/passwd
check_equal "not a trace" 5 "$status"
check_match "that is said" '/etc/passwd.*not a connleak trace' "$(cat "$work/not_one.err")"
sed '20i{"t_ns":5,"ev":"open"}' "$work/one.trace" >"$work/bad.trace"
run bad "$CONNLEAK" replay "$work/bad.trace"
check_equal "a corrupt line" 5 "$status"
check_match "names file and line" 'bad.trace:20: ' "$(cat "$work/bad.err")"
run skipped "$CONNLEAK" replay --skip-bad "$work/bad.trace"
check_equal "--skip-bad goes on" 0 "$status"
check_match "and counts" '1 corrupt line' "$(cat "$work/skipped.err")"
sed '1s,trace/v1,trace/v2,' "$work/one.trace" >"$work/v2.trace"
run v2 "$CONNLEAK" replay "$work/v2.trace"
check_equal "another version" 5 "$status"
check_match "is named" 'trace/v2' "$(cat "$work/v2.err")"
finish
