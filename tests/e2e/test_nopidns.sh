#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_nopidns.sh - from within another pid namespace nothing can be told, and that is said
. "$(dirname "$0")/lib.sh"
need unshare
unshare --pid --fork --mount-proc true 2>"$work/unshare.err" ||
	skip "needs pid namespaces: $(cat "$work/unshare.err")"

for command in ls "ls --json" "top -b -n 1" "top -b -n 1 --json" "canary --for 5s" \
	"canary --json --for 5s"; do
	# shellcheck disable=SC2086
	run apart unshare --pid --fork --mount-proc "$CONNLEAK" $command
	check_equal "$command: exit code" 3 "$status"
	check_equal "$command: stdout" "" "$(cat "$work/apart.out")"
	check_match "$command: what to do" hostPID "$(cat "$work/apart.err")"
	check_match "$command: why" 'pid namespace' "$(cat "$work/apart.err")"
done

# With the host's /proc in sight, as with a mounted host folder, it is no better.
run apart unshare --pid --fork "$CONNLEAK" ls
check_equal "ls, the host's /proc in sight: exit code" 3 "$status"
check_match "ls, the host's /proc in sight: what to do" hostPID "$(cat "$work/apart.err")"

run doctor unshare --pid --fork --mount-proc "$CONNLEAK" doctor
check_equal "doctor: exit code" 3 "$status"
check_match "doctor says what to do" hostPID "$(cat "$work/doctor.out")"
check_match "doctor says why" 'pid namespace' "$(cat "$work/doctor.out")"
run doctor_json unshare --pid --fork --mount-proc "$CONNLEAK" doctor --json
check_equal "doctor --json: exit code" 3 "$status"
check_schema "$work/doctor_json.out"
check_json "not ready, for one reason" '[false, ["pid_namespace"]]' "$work/doctor_json.out" \
	'[d["ready"], [c["code"] for c in d["checks"] if c["status"] == "missing"]]'

run home "$CONNLEAK" doctor --json
check_json "in the host's it is ready" true "$work/home.out" 'd["ready"]'
finish
