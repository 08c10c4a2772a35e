#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_usage.sh - wrong usage is exit 2 and names the wrong thing; missing privilege is exit 3
. "$(dirname "$0")/lib.sh"
need setpriv

# wrong REGEX ARGUMENT... - exit 2, nothing on stdout, and the message matches
wrong()
{
	local regex=$1
	shift
	run wrong "$CONNLEAK" "$@"
	check_equal "connleak $*: exit code" 2 "$status"
	check_equal "connleak $*: stdout" "" "$(cat "$work/wrong.out")"
	check_match "connleak $*: message" "$regex" "$(cat "$work/wrong.err")"
}

# fine REGEX ARGUMENT... - exit 0, and stdout matches
fine()
{
	local regex=$1
	shift
	run fine "$CONNLEAK" "$@"
	check_equal "connleak $*: exit code" 0 "$status"
	check_match "connleak $*: stdout" "$regex" "$(cat "$work/fine.out")"
}

wrong frobnicate frobnicate
wrong '--frobnicate' ls --frobnicate
wrong extra ls extra
wrong 54322x ls --port 54322x
wrong 'not a port \(1 to 65535\)' ls --port 54322x
wrong 65536 ls --port 65536
wrong '--port' ls --port 0
wrong '--port' ls --port ''
wrong '--port' ls --port 5432,
wrong '--port' ls --port
wrong 'abc' ls --pid abc
wrong '--pid' ls --pid 0
wrong '--pid' ls --pid -5
wrong 'soon' canary --for soon
wrong '--for' canary --for 0s
wrong '--for' canary --for -1m
wrong '--for' canary --for 15
wrong '--detect' canary --detect 0
wrong '--detect' canary --detect x
wrong '--detect' canary --detect nan
wrong '--confidence' canary --confidence 1
wrong '--confidence' canary --confidence 0
wrong '--budget' canary --budget many
wrong '--budget' canary --budget -1
wrong '--inconclusive' canary --inconclusive perhaps
wrong '--wait' canary --comm x --wait=never
wrong '-n' top -b -n x
wrong '--' canary --for 5s --

fine '^connleak [0-9]+\.[0-9]+' --version
fine canary --help
fine detect canary --help
fine port ls --help
run doctor "$CONNLEAK" doctor
check_equal "doctor as root" 0 "$status"
run doctor_json "$CONNLEAK" doctor --json
check_json "doctor's schema" connleak.doctor/v1 "$work/doctor_json.out" 'd["schema"]'
check_schema "$work/doctor_json.out"
timeout 60 "$CONNLEAK" ls --port "$(pg_free_port)" >/dev/full 2>"$work/full.err"
check_match "ls to a full disk: exit code" '^(0|5)$' "$?"
"$CONNLEAK" --version >/dev/full 2>"$work/full.err"
check_equal "output that cannot be written" 5 "$?"

# --- without privilege
install -m 755 "$CONNLEAK" "$work/connleak"
for command in "canary --for 5s" ls "top -b -n 1"; do
	# shellcheck disable=SC2086
	run powerless setpriv --reuid 65534 --regid 65534 --clear-groups \
		--bounding-set -all --inh-caps -all "$work/connleak" $command
	check_equal "$command without privilege: exit code" 3 "$status"
	check_equal "$command without privilege: stdout" "" "$(cat "$work/powerless.out")"
	check_match "$command without privilege: message" 'CAP_BPF.*CAP_PERFMON' \
		"$(cat "$work/powerless.err")"
done
run powerless setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all \
	--inh-caps -all "$work/connleak" doctor
check_equal "doctor without privilege: exit code" 3 "$status"
check_match "doctor without privilege" 'CAP_BPF' "$(cat "$work/powerless.out")"
finish
