#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh CONNLEAK TOOLS-FOLDER [--markdown] - what connleak costs, against its goals, in one run
#
# Beside it, over the same connects: tcplife, tcplife -D and tcpstates of libbpf-tools, and programs
# that do nothing on the same hooks. The kernel itself accounts the time of each program, so the
# ratios hold on a noisy machine; the nanoseconds do not. --markdown prints the table of docs/cost.md.
# FULL=1 adds 480,000 open connections and 10,000 holders: 5 minutes and 6 GiB more.
# CONNECTS and ROUNDS say how much is churned, PORT where.
set -u

connleak=$1
tools=$2
markdown=${3:-}
connects=${CONNECTS:-40000}
rounds=${ROUNDS:-3}
port=${PORT:-24400}
unwatched=$((port - 1))
per_process=19000 # connections kept: both ends have a limit of descriptors, often 20,000
hold_ports=$(seq -s ' ' $((port + 1)) $((port + 26)))
watched=$port,${hold_ports// /,}
stats=/proc/sys/kernel/bpf_stats_enabled
bpftool=$(command -v bpftool || echo /usr/sbin/bpftool)

[ "$(id -u)" = 0 ] || { echo "bench.sh: loads kernel programs: run it as root" >&2 && exit 3; }
tcplife=$(command -v tcplife || echo /usr/sbin/tcplife)
tcpstates=$(command -v tcpstates || echo /usr/sbin/tcpstates)
[ -x "$tcplife" ] && [ -x "$tcpstates" ] || {
	echo "bench.sh: no tcplife or tcpstates: apt-get install libbpf-tools" >&2
	exit 3
}
stats_before=$(cat "$stats") || exit 3
work=$(mktemp -d "${TMPDIR:-/tmp}/connleak-bench.XXXXXX") || exit 5
mkfifo "$work/hold"

# their tracepoint is found through tracefs
tracefs=
if [ ! -e /sys/kernel/tracing/available_events ]; then
	mount -t tracefs nodev /sys/kernel/tracing && tracefs=/sys/kernel/tracing
fi

clean_up()
{
	exec 9>&-
	# shellcheck disable=SC2046
	kill -TERM $(jobs -p) 2>/dev/null
	wait
	[ -z "$tracefs" ] || umount "$tracefs"
	echo "$stats_before" >"$stats"
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say()
{
	echo "bench.sh: $*" >&2
}

# --- the table ---

# section TITLE
section()
{
	say "$*"
	if [ "$markdown" ]; then
		printf '\n**%s**\n\n| figure | goal | measured | |\n|---|---|---|---|\n' "$1"
	else
		printf '\n%s\n' "$1"
	fi
}

# row FIGURE GOAL MEASURED [VALUE LIMIT] - with a value and its limit it says met or missed
row()
{
	local result=
	[ $# -lt 5 ] || result=$(awk -v v="$4" -v l="$5" 'BEGIN {
		if (v <= l) print "met"; else printf "missed: %.2f times the goal\n", v / l }')
	if [ "$markdown" ]; then
		printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "$result"
	else
		printf '  %-52s %-28s %-44s %s\n' "$1" "$2" "$3" "$result"
	fi
}

calc() # EXPRESSION [FORMAT]
{
	awk "BEGIN { printf \"${2:-%.2f}\", $1 }"
}

median() # of the numbers on stdin
{
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# --- what the kernel says about a process ---

# programs_of PID - ids of the kernel programs that it holds; other tracers may be running
programs_of()
{
	cat /proc/"$1"/fdinfo/* 2>/dev/null | sed -n 's/^prog_id:[[:space:]]*//p' | sort -u
}

# map_kib PID - of its maps, without and with the arrays that a pass writes
map_kib()
{
	cat /proc/"$1"/fdinfo/* 2>/dev/null | awk '
		function note() { if (id && !(id in seen)) {
			seen[id] = 1; all += mem
			if (!(type == 2 && flags == "0x400" && entries > 1)) maps += mem } id = 0 }
		$1 == "pos:" { note() } $1 == "map_type:" { type = $2 } $1 == "map_flags:" { flags = $2 }
		$1 == "max_entries:" { entries = $2 } $1 == "memlock:" { mem = $2 } $1 == "map_id:" { id = $2 }
		END { note(); printf "%d %d\n", maps / 1024, all / 1024 }'
}

# rss_kib PID
rss_kib()
{
	awk '/^RssAnon/ { print $2 }' "/proc/$1/status"
}

# cpu_ms PID - user and system
cpu_ms()
{
	cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%d", n / 1e6 }'
}

# Of the general caches, which the state in the sockets comes from; all of the machine's.
slab_kib()
{
	awk '/^kmalloc-/ { n += $2 * $4 } END { printf "%d", n / 1024 }' /proc/slabinfo
}

# programs - "ID NAME NS RUNS" of each kernel program so far
programs()
{
	"$bpftool" prog show -j | /usr/bin/python3 -c '
import json, sys
for p in json.load(sys.stdin):
    print(p["id"], p.get("name", "-"), p.get("run_time_ns", 0), p.get("run_cnt", 0))'
}

# spent PID - "NAME NS RUNS" of its programs between the files before and after
spent()
{
	programs_of "$1" | awk 'FILENAME == "-" { mine[$1] = 1; next }
		!($1 in mine) { next }
		FILENAME ~ /before$/ { ns[$1] = $3; runs[$1] = $4; next }
		{ print $2, $3 - ns[$1], $4 - runs[$1] }' - "$work/before" "$work/after"
}

# --- what runs ---

await() # PID - until it has attached its programs
{
	for _ in $(seq 100); do
		grep -qs '^link_type\|^prog_id' /proc/"$1"/fdinfo/* && sleep 1 && return
		sleep 0.1
	done
	say "process $1 has loaded nothing"
	cat "$work"/talk* >&2
	exit 5
}

# start NAME - one of the tools; leaves its pid in $pid
start()
{
	case $1 in
	connleak) "$connleak" canary --port "$watched" --for 1h --json >"$work/verdict" 2>"$work/talk" 9>&- & ;;
	tcplife) "$tcplife" >"$work/talk-$1" 2>&1 9>&- & ;;
	"tcplife -D") "$tcplife" -D "$port" >"$work/talk-$1" 2>&1 9>&- & ;;
	tcpstates) "$tcpstates" >"$work/talk-$1" 2>&1 9>&- & ;;
	empty) "$tools/bench_empty" <"$work/hold" >"$work/talk-$1" 2>&1 9>&- & ;;
	esac
	pid=$!
	await "$pid"
}

stop() # PID...
{
	kill -INT "$@" 2>/dev/null
	wait "$@" 2>/dev/null
}

# churn PORT N [OPTION...] - and leaves its connects per second in $per_s
churn()
{
	local to=$1 n=$2
	shift 2
	"$tools/churn" --listen "$to" --connects "$n" "$@" >"$work/churn" || exit 5
	per_s=$(sed 's/.*"connects":\([0-9]*\).*"seconds":\([0-9.]*\).*/\1 \2/' "$work/churn" |
		awk '{ printf "%d", $1 / $2 }')
}

# hold N - opens N connections, by as many processes as it takes, until let_go
hold()
{
	local n_processes=$((($1 + per_process - 1) / per_process)) n left=$1 to
	holding=
	exec 9<>"$work/hold"
	for to in $(echo "$hold_ports" | cut -d ' ' -f "1-$n_processes"); do
		n=$((left < per_process ? left : per_process))
		left=$((left - n))
		rm -f "$work/held-$to"
		"$tools/churn" --listen "$to" --connects "$n" --keep "$n" --source $((to - port)) \
			<"$work/hold" >"$work/held-$to" 9>&- &
		holding="$holding $!"
		while [ ! -s "$work/held-$to" ]; do sleep 0.05; done
		grep -q "\"kept\":$n," "$work/held-$to" || { cat "$work/held-$to" >&2 && exit 5; }
	done
}

let_go()
{
	exec 9>&-
	# shellcheck disable=SC2086
	wait $holding
	sleep 2
}

# timed COMMAND... - leaves its wall time in $wall_ms
timed()
{
	local begin=${EPOCHREALTIME/./}
	"$@" >"$work/out" 2>"$work/talk" || { cat "$work/talk" >&2 && exit 5; }
	wall_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
}

# --- what is measured ---

# spent_per NAME N - ns of NAME's live programs for each of N connections between two looks
spent_per()
{
	spent "$1" | awk -v n="$2" '!/^walk_/ { t += $2 } END { printf "%.0f", t / n }'
}

# warn_of_others N - the programs run ten times a connection, both of its ends on this machine
warn_of_others()
{
	awk -v n="$1" '$1 == "conn_state" { exit $3 < 10.5 * n }' "$work/spent" || return
	row "**not a quiet machine**: others connected meanwhile" "" "the figures above are too high"
}

# The kernel's accounting: connleak and tcplife -D over the same connects, the others alone, because
# what tcpstates does to the caches makes everybody slower.
bench_lifecycle()
{
	local ours theirs ours_ns theirs_ns name t runs ratio n=$((connects * rounds))
	section "Kernel time per connection lifecycle, $n connects"
	start connleak && ours=$pid
	start "tcplife -D" && theirs=$pid
	programs >"$work/before"
	for _ in $(seq "$rounds"); do
		churn "$port" "$connects"
	done
	sleep 1 # the last transitions
	programs >"$work/after"
	ours_ns=$(spent_per "$ours" "$n")
	theirs_ns=$(spent_per "$theirs" "$n")
	ratio=$(calc "$ours_ns / $theirs_ns")
	row "connleak, live programs" "4,000 ns" "$ours_ns ns" "$ours_ns" 4000
	row "... against tcplife -D, the same connects" "0.25 times" "$ratio times its $theirs_ns ns" "$ratio" 0.25
	spent "$ours" >"$work/spent"
	stop "$theirs"
	sleep 1
	row "RssAnon 1 s after them" "6 MiB" "$(calc "$(rss_kib "$ours") / 1024") MiB" "$(rss_kib "$ours")" 6144
	sleep 9
	row "... 10 s after them" "6 MiB" "$(calc "$(rss_kib "$ours") / 1024") MiB" "$(rss_kib "$ours")" 6144
	stop "$ours"
	for name in tcplife tcpstates; do
		start "$name"
		programs >"$work/before"
		churn "$port" "$connects"
		sleep 1
		programs >"$work/after"
		theirs_ns=$(spent_per "$pid" "$connects")
		row "... against $name, alone" "" "$(calc "$ours_ns / $theirs_ns") times its $theirs_ns ns"
		stop "$pid"
	done
	while read -r name t runs; do
		[ "$runs" = 0 ] || row "$name" "" \
			"$(calc "$t / $n" %.0f) ns a connection, $(calc "$runs / $n" %.1f) runs of $(calc "$t / $runs" %.0f) ns"
	done <"$work/spent"
	warn_of_others "$n"
	row "connects told of $n" "all" "$(/usr/bin/python3 - "$work/verdict" <<'PY'
import json, sys
v = json.loads(open(sys.argv[1]).read().splitlines()[-1])
print(f"opened {v['opened']}, closed {v['closed']}, lost events {v['lost_events']}")
PY
)"
}

# Connections to a port that nobody watches, beside empty programs attached before and after ours.
bench_unrelated()
{
	local ours first second name t runs empty_ns total=0 empty_total=0 ratio
	section "Kernel time per unrelated connection, each program beside an empty one on its hook"
	exec 9<>"$work/hold"
	start empty && first=$pid
	start connleak && ours=$pid
	start empty && second=$pid
	programs >"$work/before"
	churn "$unwatched" "$connects"
	churn "$unwatched" "$connects"
	for _ in $(seq 2000); do (:); done
	sleep 1
	programs >"$work/after"
	spent "$ours" >"$work/spent"
	{ spent "$first" && spent "$second"; } >"$work/empty"
	while read -r name t runs; do
		[ "${name#walk_}" = "$name" ] || continue
		empty_ns=$(awk -v name="$name" '$1 == name { t += $2; n += $3 } END { print t / n }' "$work/empty")
		ratio=$(calc "$t / $runs / $empty_ns")
		if [ "$name" = task_exit ]; then # not on a connection's way: no goal
			row "task_exit, per exit of a process" "" \
				"$(calc "$t / $runs" %.0f) ns a run, empty $(calc "$empty_ns" %.0f)"
			continue
		fi
		row "$name" "1.2 times empty" \
			"$(calc "$t / $runs" %.1f) ns a run, empty $(calc "$empty_ns" %.1f): $ratio times" "$ratio" 1.2
		total=$(calc "$total + $t / $connects / 2" %.0f)
		empty_total=$(calc "$empty_total + $empty_ns * $runs / $connects / 2" %.0f)
	done <"$work/spent"
	row "all three of a connection, per connection" "1.2 times empty" \
		"$total ns, empty $empty_total ns: $(calc "$total / $empty_total") times" "$(calc "$total / $empty_total")" 1.2
	warn_of_others $((connects * 2))
	exec 9>&- # the empty ones end
	stop "$ours" "$first" "$second"
}

# Interleaved rounds, one tool at a time.
bench_rate()
{
	local names=(none connleak "tcplife -D" tcplife tcpstates) name none rate
	section "Connects per second kept, one tool at a time, median of $rounds interleaved rounds of $connects"
	for _ in $(seq "$rounds"); do
		for name in "${names[@]}"; do
			[ "$name" = none ] || start "$name"
			churn "$port" "$connects"
			echo "$per_s" >>"$work/rate-$name"
			[ "$name" = none ] || stop "$pid"
		done
	done
	none=$(median <"$work/rate-none")
	for name in "${names[@]}"; do
		rate=$(median <"$work/rate-$name")
		row "$name" "" "$rate/s ($(calc "100 * $rate / $none" %.0f) %)"
	done
}

# What the process itself costs while nothing, and then a usual load, goes on.
bench_idle()
{
	local cpu slab maps arrays
	section "The process: idle, and at 1,000 connects a second for 10 s"
	slab=$(slab_kib)
	start connleak
	sleep 3
	slab_idle=$(($(slab_kib) - slab))
	cpu=$(cpu_ms "$pid")
	sleep 4
	row "cpu, idle" "" "$(calc "($(cpu_ms "$pid") - $cpu) / 40") % of a core"
	rss_idle=$(rss_kib "$pid")
	row "RssAnon, idle" "6 MiB" "$(calc "$rss_idle / 1024") MiB" "$rss_idle" 6144
	read -r maps arrays < <(map_kib "$pid")
	row "kernel memory, idle: its maps" "2 MiB + arrays" \
		"$(calc "$maps / 1024") MiB, $(calc "($arrays - $maps) / 1024") MiB of arrays" "$maps" 2048
	cpu=$(cpu_ms "$pid")
	churn "$port" 10000 --rate 1000
	row "cpu, user and system, at 1,000 connects/s" "1 % of a core" \
		"$(calc "($(cpu_ms "$pid") - $cpu) / 100") %" "$(calc "($(cpu_ms "$pid") - $cpu) / 100")" 1
	stop "$pid"
}

# bench_record - what recording costs beside watching, at the same load
bench_record()
{
	local cpu n_lines name
	section "Recording at 1,000 connects a second for 10 s"
	for name in trace trace.gz; do
		"$connleak" record --port "$watched" "$work/$name" 2>"$work/talk" 9>&- &
		pid=$!
		await "$pid"
		sleep 2
		cpu=$(cpu_ms "$pid")
		churn "$port" 10000 --rate 1000
		cpu=$(($(cpu_ms "$pid") - cpu))
		stop "$pid"
		row "record to $name, cpu" "" "$(calc "$cpu / 100") % of a core, $(calc "$(stat -c %s "$work/$name") / 10000" %.0f) bytes a connection"
	done
	n_lines=$(wc -l <"$work/trace")
	row "lines" "" "$(calc "$n_lines / 10000") a connection"
}

# user_s COMMAND... - leaves user and system seconds of it in $cpu_s; exit codes 0 and 1 are good
user_s()
{
	local times
	times=$(TIMEFORMAT='%U %S'; { time "$@" >"$work/out" 2>"$work/talk"; } 2>&1)
	cpu_s=$(awk '{ print $1 + $2 }' <<<"$times")
}

# bench_replay - a busy day of a service, plain and compressed
bench_replay()
{
	local n name
	section "Replay"
	"$tools/mktrace" request-short "$work/replay.trace" --hours 24 --seed 5 >/dev/null || exit 5
	gzip -k "$work/replay.trace"
	n=$(wc -l <"$work/replay.trace")
	for name in replay.trace replay.trace.gz; do
		user_s "$connleak" replay "$work/$name"
		row "$name, $n lines" "1,000,000 lines/s" "$(calc "$n / $cpu_s" %.0f) lines a second of cpu" \
			"$(calc "1000000 * $cpu_s / $n")" 1
	done
	user_s gzip -dc "$work/replay.trace.gz"
	row "... of which gzip -dc alone takes" "" "$cpu_s s for $n lines"
}

# bench_tick - the detector alone
bench_tick()
{
	local line what figure
	section "A tick of the detector"
	"$tools/bench_tick" >"$work/tick" || exit 5
	while read -r line; do
		what=${line%%: *} figure=${line#*: }
		case $figure in
		median*) row "$what" "20 ms" "$figure" "$(awk '{ print $2 }' <<<"$figure")" 20 ;;
		*) row "$what" "" "$figure" ;;
		esac
	done <"$work/tick"
}

# bench_watching N - what the process costs while N connections are open; before anything else has
# looked at them, because the storage of an earlier look would still be in the slabs
bench_watching()
{
	local n=$1 slab rss cpu maps arrays
	slab=$(slab_kib)
	start connleak
	sleep 10
	rss=$(rss_kib "$pid")
	row "RssAnon" "6 MiB + 256 B each" \
		"$(calc "$rss / 1024") MiB: idle + $(calc "($rss - $rss_idle) * 1024 / $n" %.0f) B each" \
		"$rss" "$(calc "6144 + $n / 4")"
	slab=$(($(slab_kib) - slab - slab_idle))
	row "kernel memory: slab" "512 B each" "$(calc "$slab * 1024 / $n" %.0f) B each" "$slab" "$(calc "$n / 2")"
	read -r maps arrays < <(map_kib "$pid")
	row "kernel memory: its maps" "2 MiB + arrays" \
		"$(calc "$maps / 1024") MiB, $(calc "($arrays - $maps) / 1024") MiB of arrays" "$maps" 2048
	cpu=$(cpu_ms "$pid")
	sleep 10
	row "cpu, watching them" "" "$(calc "($(cpu_ms "$pid") - $cpu) / 100") % of a core"
	stop "$pid"
}

# answer_row N FIGURE - what took $wall_ms; the goal is for 100,000 open connections
answer_row()
{
	if [ "$1" -le 100000 ]; then
		row "$2" "2 s" "$(calc "$wall_ms / 1000") s" "$wall_ms" 2000
	else
		row "$2" "2 s at 100,000" "$(calc "$wall_ms / 1000") s"
	fi
}

# bench_open N - connections that stay open
bench_open()
{
	local n=$1 s ports
	hold "$n"
	section "$n open connections, held by $(echo "$holding" | wc -w)"
	bench_watching "$n"
	# shellcheck disable=SC2086
	ports=$(echo $hold_ports | cut -d ' ' -f "1-$(echo "$holding" | wc -w)")
	# shellcheck disable=SC2086
	"$tools/bench_snapshot" $ports >"$work/snapshot" || exit 5
	s=$(sed 's/[{}"]//g; s/:/=/g; s/,/ /g' "$work/snapshot")
	local open=0 held=0 start_wall=0 start_cpu=0 pass_wall=0 pass_cpu=0 walk_wall=0 walk_cpu=0
	# shellcheck disable=SC2086
	local $s
	[ "$open" = "$n" ] || { say "the pass sees $open of $n" && exit 5; }
	row "snapshot (kernel_pass)" "1 us cpu each" "$pass_cpu ms cpu, $pass_wall ms wall" "$pass_cpu" "$(calc "$n / 1000")"
	row "walk over descriptors (kernel_walk)" "" "$walk_cpu ms cpu, $walk_wall ms wall, $held held"
	row "load, attach, adopt (kernel_open)" "" "$start_cpu ms cpu, $start_wall ms wall"
	timed bash -c '"$0" ls --port "$1" --json | head -1' "$connleak" "$watched"
	answer_row "$n" "first answer: ls --json, first line"
	timed "$connleak" ls --port "$watched" --json
	row "... and all $(wc -l <"$work/out") lines" "" "$(calc "$wall_ms / 1000") s"
	timed "$connleak" top --port "$watched" -b -n 1
	answer_row "$n" "first answer: top -b -n 1"
	let_go
}

# bench_holders N - processes with one connection each
bench_holders()
{
	local to=${hold_ports%% *} user system
	exec 9<>"$work/hold"
	section "$1 processes with one connection each"
	rm -f "$work/held-$to"
	"$tools/churn" --listen "$to" --holders "$1" <"$work/hold" >"$work/held-$to" 9>&- &
	holding=$!
	while [ ! -s "$work/held-$to" ]; do sleep 0.1; done
	grep -q "\"kept\":$1," "$work/held-$to" || { cat "$work/held-$to" >&2 && exit 5; }
	timed bash -c 'TIMEFORMAT="%U %S"; time "$0" top --port "$1" -b -n 1 2>&1 >/dev/null' "$connleak" "$watched"
	row "first answer: top -b -n 1" "2 s" "$(calc "$wall_ms / 1000") s" "$wall_ms" 2000
	timed bash -c 'TIMEFORMAT="%U %S"; time "$0" top --port "$1" -b -n 2 2>&1 >/dev/null' "$connleak" "$watched"
	read -r user system <"$work/talk"
	row "top -b -n 2" "" "$(calc "$wall_ms / 1000") s wall, $user s user, $system s system"
	start connleak
	sleep 3
	row "RssAnon" "" "$(calc "$(rss_kib "$pid") / 1024") MiB"
	stop "$pid"
	let_go
}

begin=$SECONDS
echo "$(uname -srm), $(nproc) cpus$(grep -q '^flags.* hypervisor' /proc/cpuinfo && echo ', virtual'), $(date -u +%F)"
echo 1 >"$stats"
bench_lifecycle
bench_unrelated
echo "$stats_before" >"$stats"
bench_rate
bench_idle
bench_record
bench_tick
bench_replay
bench_open 10000
bench_open 100000
if [ "${FULL:-}" ]; then
	bench_open 480000
	bench_holders 10000
fi
say "$((SECONDS - begin)) s"
