#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh CONNLEAK TOOLS-FOLDER - what connleak costs, beside tcplife -D, in one run
#
# Both watch the same connects at the same time, and the kernel itself accounts the time of each
# program, so that the ratio holds on a noisy machine; the nanoseconds do not.
set -u

connleak=$1
tools=$2
connects=${CONNECTS:-40000}
rounds=${ROUNDS:-3}
port=${PORT:-15999}
stats=/proc/sys/kernel/bpf_stats_enabled
stats_before=$(cat "$stats") || exit 3
bpftool=$(command -v bpftool || echo /usr/sbin/bpftool)
tcplife=$(command -v tcplife || echo /usr/sbin/tcplife)

[ "$(id -u)" = 0 ] || { echo "bench.sh: loads kernel programs: run it as root" >&2 && exit 3; }
[ -x "$tcplife" ] || { echo "bench.sh: no tcplife: apt-get install libbpf-tools" >&2 && exit 3; }
work=$(mktemp -d "${TMPDIR:-/tmp}/connleak-bench.XXXXXX") || exit 5

# tcplife's tracepoint is found through tracefs
tracefs=
if [ ! -e /sys/kernel/tracing/available_events ]; then
	mount -t tracefs nodev /sys/kernel/tracing && tracefs=/sys/kernel/tracing
fi

clean_up()
{
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	wait
	[ -z "$tracefs" ] || umount "$tracefs"
	echo "$stats_before" >"$stats"
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# programs_of PID - ids of the programs that a process holds; other tracers may be running
programs_of()
{
	cat /proc/"$1"/fdinfo/* 2>/dev/null | sed -n 's/^prog_id:[[:space:]]*//p' | sort -u
}

# run_ns ID... - run time of these programs so far, summed
run_ns()
{
	"$bpftool" prog show -j | /usr/bin/python3 -c '
import json, sys
ids = set(map(int, sys.argv[1:]))
print(sum(p.get("run_time_ns", 0) for p in json.load(sys.stdin) if p["id"] in ids))' "$@"
}

await() # PID - until it has attached its programs
{
	for _ in $(seq 100); do
		grep -qs '^link_type\|^prog_id' /proc/"$1"/fdinfo/* && sleep 1 && return
		sleep 0.1
	done
	echo "bench.sh: process $1 has loaded nothing" >&2
	cat "$work"/* >&2
	exit 5
}

echo 1 >"$stats"
"$connleak" canary --port "$port" --for 1h --json >"$work/verdict" 2>"$work/talk" &
canary=$!
"$tcplife" -D "$port" >"$work/tcplife" 2>&1 &
tcplife_pid=$!
await "$canary"
await "$tcplife_pid"
ours=$(programs_of "$canary") theirs=$(programs_of "$tcplife_pid")

printf '%-8s %22s %22s %8s\n' round "connleak ns/connection" "tcplife -D ns/conn." ratio
for round in $(seq "$rounds"); do
	# shellcheck disable=SC2086
	a=$(run_ns $ours) b=$(run_ns $theirs)
	"$tools/churn" --listen "$port" --connects "$connects" >"$work/churn" || exit 5
	sleep 1 # FIN_WAIT's last transitions
	# shellcheck disable=SC2086
	a=$(($(run_ns $ours) - a)) b=$(($(run_ns $theirs) - b))
	awk -v r="$round" -v a="$a" -v b="$b" -v n="$connects" 'BEGIN {
		printf "%-8s %22.0f %22.0f %8.2f\n", r, a / n, b / n, a / b }'
done

hz=$(getconf CLK_TCK)
awk -v hz="$hz" -v n=$((connects * rounds)) '{
	printf "connleak in user space: %.2f s of cpu for %d connections\n", ($14 + $15) / hz, n }' \
	"/proc/$canary/stat"
awk '/^RssAnon/ { printf "connleak anonymous memory: %.1f MiB\n", $2 / 1024 }' \
	"/proc/$canary/status"
kill -INT "$canary"
wait "$canary"
/usr/bin/python3 - "$work/verdict" $((connects * rounds)) <<'PY'
import json, sys
v = json.loads(open(sys.argv[1]).read().splitlines()[-1])
want = int(sys.argv[2])
print(f"opened {v['opened']} of {want}, closed {v['closed']}, lost events {v['lost_events']}")
sys.exit(v["opened"] != want or v["closed"] != want)
PY
