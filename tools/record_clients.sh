#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# record_clients.sh OUTDIR [NAME...] - record real PostgreSQL clients, healthy and leaking
#
# Runs the clients of tools/clients/table.txt against a PostgreSQL 15 and PgBouncers of its own, a
# batch after the other, each from its first connection on, each in its own recording:
# OUTDIR/NAME.trace.gz, and the truth beside it in NAME.truth (one line, tab-separated: name,
# driver, healthy or leak, nominal leaks a minute, requests a minute, seconds of the trace at which a
# connection was leaked). NAMEs record only those. SECONDS_EACH=720, CONNLEAK=build/connleak.
#
# Needs root and the Debian packages of `tools/deps.sh build demo test record`. Everything runs in
# namespaces of its own (network, host name, mounts), so that ports are the usual ones and no trace
# says where it was made; in the cgroup tree it makes system.slice/NAME.service for each client.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
seconds=${SECONDS_EACH:-720}
late_s=${LATE_S:-240}
host="app-node-07"
app=/opt/app
user=www-data

[ $# -ge 1 ] || {
	sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
	exit 2
}
# node-pg of the distribution cannot be installed beside another Node.js than the distribution's.
# All that is needed of it are JavaScript files: unpacked, they serve any Node.js.
fetch_node_pg()
{
	[ ! -d /usr/share/nodejs/pg ] || return 0
	mkdir "$scratch/deb" && cd "$scratch/deb" && apt-get download -qq node-pg node-split2 &&
		for deb in *.deb; do dpkg-deb -x "$deb" . || return; done
}

if [ -z "${IN_NAMESPACES:-}" ]; then
	[ "$(id -u)" = 0 ] || { echo "record_clients.sh: needs root" >&2 && exit 3; }
	connleak=$(realpath -e -- "${CONNLEAK:-$root/build/connleak}") || exit 3
	scratch=$(mktemp -d) && mkdir -p "$1" || exit 2
	(fetch_node_pg) 2>"$scratch/fetch" || cat "$scratch/fetch" >&2
	IN_NAMESPACES=$(hostname) SCRATCH=$scratch CONNLEAK=$connleak exec unshare --net --uts \
		--mount --propagation private -- "$0" "$(realpath -- "$1")" "${@:2}"
fi
out=$1 here_host=$IN_NAMESPACES scratch=$SCRATCH
shift
hostname $host
ip link set lo up
cgroups=$(findmnt -nro TARGET -t cgroup2 | head -1)/system.slice
# shellcheck source=tools/pg.sh
. "$root/tools/pg.sh"
pids=() units=() n_unusable=0

clean_up()
{
	trap '' INT TERM
	stop_batch
	pg_stop
	rm -rf "$scratch"
	rmdir "$cgroups" 2>/dev/null
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what is built and started once ---

build_clients()
{
	local jars=/usr/share/java
	mount -t tmpfs -o mode=755 tmpfs /opt && mkdir -p $app || return
	cp "$root"/tools/clients/client.{py,js} "$root/tools/clients/cron.sh" $app &&
		gcc -O2 -I"$(pg_config --includedir)" "$root/tools/clients/client.c" -lpq -lpthread -lm \
			-o $app/client &&
		javac -cp $jars/HikariCP.jar:$jars/postgresql.jar -d $app "$root/tools/clients/Client.java" &&
		(cd "$root/tools/clients/go" && GO111MODULE=off GOPATH=/usr/share/gocode GOPROXY=off \
			GOFLAGS="" GOCACHE="$scratch/go" go build -trimpath -o $app/goclient main.go) &&
		if [ -d "$scratch/deb" ]; then mv "$scratch/deb/usr/share/nodejs" $app/node_modules; fi
}

pgbouncer_conf() # PORT
{
	cat >"$app/pgbouncer-$1.ini" <<-CONF
		[databases]
		* = host=127.0.0.1 port=5432 user=app
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $1
		unix_socket_dir =
		auth_type = any
		pool_mode = transaction
		default_pool_size = 10
		server_idle_timeout = 60
		server_lifetime = 300
		max_client_conn = 300
	CONF
}

# --- one client ---

# in_unit NAME COMMAND... - replaces the subshell by the command, as an ordinary user in a unit of
# its own, once the batch is let go
in_unit()
{
	local unit=$cgroups/$1.service
	shift
	mkdir -p "$unit" && echo $BASHPID >"$unit/cgroup.procs" || exit 5
	until [ -e "$scratch/go_now" ]; do sleep 0.05; done
	cd $app || exit 5
	exec setpriv --reuid $user --regid $user --clear-groups -- "$@"
}

command_of() # PROGRAM:KIND LEAKS RATE - sets the array `command`
{
	local program=${1%%:*} kind=${1#*:} jars=/usr/share/java run_s=$((seconds + late_s + 120))
	local behaviour=healthy heap=-Xmx64m
	[ "$2" = - ] || behaviour=leak=$2
	# how often the collector runs of itself
	case $kind in
	tenured) heap="-Xmx48m -Xmn6m" ;;
	finalizer*) heap="-Xmx256m -Xmn128m" ;;
	esac
	case $program in
	goclient) command=("$app/goclient") ;;
	client) command=("$app/client") ;;
	client.py) command=(/usr/bin/python3 "$app/client.py") ;;
	client.js) command=(env NODE_PATH="$app/node_modules:/usr/share/nodejs" node "$app/client.js") ;;
	Client)
		# shellcheck disable=SC2206
		command=(java $heap -XX:+UseSerialGC -XX:-UsePerfData -cp
			"$app:$jars/HikariCP.jar:$jars/postgresql.jar:$jars/slf4j-api.jar:$jars/slf4j-nop.jar" Client)
		;;
	cron.sh) command=("$app/cron.sh" "$run_s") && return ;;
	pgbench)
		command=("$PG_BIN/pgbench" -n -f "$app/pgbench.sql" -c 4 -R 1 -T "$run_s")
		[ "$kind" = - ] || command+=("$kind")
		return
		;;
	esac
	command+=("$kind" "$behaviour" "$3" "$run_s")
}

# record NAME - in the background
record()
{
	rm -f "$out/$1.trace.gz"
	"$CONNLEAK" record --unit "$1" --port 5432,6432,6433 --for "${seconds}s" \
		"$out/$1.trace.gz" 2>"$scratch/$1.record" </dev/null &
	pids+=($!)
}

is_recording() # NAME
{
	grep -qs "^recording to" "$scratch/$1.record"
}

start_pooler() # NAME PORT
{
	in_unit "$1" pgbouncer -q "$app/pgbouncer-$2.ini" >"$scratch/$1.out" 2>&1 </dev/null &
	disown
	units+=("$1")
}

start_client() # NAME LEAKS PROGRAM:KIND RATE
{
	local command port=5432
	command_of "$3" "$2" "$4"
	case $1 in
	pgbouncer-app-healthy) port=6432 && start_pooler pgbouncer-pooler-healthy $port ;;
	pgbouncer-app-leak) port=6433 && start_pooler pgbouncer-pooler-of-leak-healthy $port ;;
	esac
	PGPORT=$port in_unit "$1" "${command[@]}" >"$scratch/$1.out" 2>"$scratch/$1.err" </dev/null &
	disown
	units+=("$1")
}

# --- a batch ---

write_truth() # NAME LEAKS RATE DRIVER
{
	local start what=${1##*-}
	start=$(date -d "$(zcat "$out/$1.trace.gz" 2>/dev/null | head -1 |
		sed 's/.*"time":"\([^"]*\)".*/\1/')" +%s.%N)
	awk -v start="$start" -v name="$1" -v what="$what" -v leaks="$2" -v rate="$3" -v driver="$4" '
		BEGIN { split(leaks, part, "/"); FS = " " }
		$1 == "leak" && $2 - start < '"$seconds"' { at = at (at ? "," : "") sprintf("%.1f", $2 - start) }
		END {
			printf "%s\t%s\t%s\t%s\t%s\t%s\n", name, driver, what, \
				leaks == "-" ? 0 : rate / part[2], rate, at ? at : "-"
		}' "$scratch/$1.out" >"$out/$1.truth"
}

# check_client NAME - says what a client complained of, and whether it lived through its recording
check_client()
{
	grep -v 'order rejected' "$scratch/$1.err" 2>/dev/null | tail -3 | sed "s/^/$1: /" >&2
	grep -q . "$cgroups/$1.service/cgroup.procs" &&
		zcat "$out/$1.trace.gz" | tail -1 | grep -q '"ev":"end"' && return
	echo "$1 has ended before its recording, or that has: not usable" >&2
	n_unusable=$((n_unusable + 1))
}

# stop_unit NAME - a parent may start a child while it is asked to end: until nobody is left; 5 s
stop_unit()
{
	local pid tries
	for ((tries = 0; tries < 50; tries++)); do
		while read -r pid; do kill -KILL "$pid"; done <"$cgroups/$1.service/cgroup.procs"
		rmdir "$cgroups/$1.service" && return
		sleep 0.1
	done 2>/dev/null
	echo "$1 does not end" >&2
}

stop_batch()
{
	local unit pid
	for unit in "${units[@]}"; do stop_unit "$unit"; done
	for pid in "${pids[@]}"; do kill "$pid" && wait "$pid"; done 2>/dev/null
	pids=() units=()
}

# rows BATCH - of the table, of those asked for
rows()
{
	awk -v batch="$1" -v only=" ${names[*]} " '
		$1 == batch && (only ~ /^ *$/ || index(only, " " $2 " "))' "$root/tools/clients/table.txt"
}

await_recordings() # NAME... - until each says so; 20 s
{
	local name tries
	for name; do
		for ((tries = 0; tries < 200; tries++)); do
			is_recording "$name" && break
			sleep 0.1
		done
		is_recording "$name" || { echo "$name is not recorded:" && cat "$scratch/$name.record"; } >&2
	done
}

record_batch() # BATCH
{
	local batch name leaks program rate driver recorded=() late=() seconds=$seconds
	[ "$1" != long ] || seconds=$((2 * seconds))
	rm -f "$scratch/go_now"
	while read -r batch name leaks program rate driver; do
		start_client "$name" "$leaks" "$program" "$rate"
	done < <(rows "$1")
	[ ${#units[@]} != 0 ] || return 0
	sleep 1
	for name in "${units[@]}"; do
		case $name in
		*-late-*) late+=("$name") && continue ;;
		esac
		record "$name"
		recorded+=("$name")
	done
	await_recordings "${recorded[@]}"
	echo "batch $1: ${#units[@]} clients, ${seconds} s, $(date +%T)" >&2
	touch "$scratch/go_now"
	if [ ${#late[@]} != 0 ]; then
		sleep "$late_s"
		for name in "${late[@]}"; do record "$name"; done
	fi
	wait "${pids[@]}"
	while read -r batch name leaks program rate driver; do
		write_truth "$name" "$leaks" "$rate" "$driver"
	done < <(rows "$1")
	for name in "${units[@]}"; do
		case $name in
		pgbouncer-pooler-*) : >"$scratch/$name.out" && write_truth "$name" - 0 "PgBouncer" ;;
		esac
		check_client "$name"
	done
	stop_batch
}

# check_neutral - does any trace say where it was made?
check_neutral()
{
	local file found=0
	for file in "$out"/*.trace.gz; do
		zcat "$file" | grep -m1 -nE "\"$here_host\"|$root|$scratch|/tmp/|/home/|/root/" >&2 || continue
		echo "$file says where it was made" >&2
		found=1
	done
	return $found
}

names=("$@")
build_clients || { echo "record_clients.sh: the clients do not build" >&2 && exit 5; }
echo "select id, item, pg_sleep(0.03) from orders where id = 17;" >$app/pgbench.sql
pgbouncer_conf 6432
pgbouncer_conf 6433
PATH=$PG_BIN:$PATH
export PG_WANT_PORT=5432
pg_start 500 || exit
pg_sql "create table orders as select id, 'item ' || id as item from generate_series(1, 1000) id;
	create index on orders (id); grant all on orders to app; analyze orders"
for batch in $(awk '/^[a-z]/ { print $1 }' "$root/tools/clients/table.txt" | sort -u); do
	record_batch "$batch"
done
check_neutral && [ $n_unusable = 0 ]
