#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh CONNLEAK TOOLS-FOLDER - the outage of v2.3.9, caught before it happens
#
# Three versions of an order service and a connection pool work against one private PostgreSQL;
# four canaries watch them side by side. Exit 0 only if each verdict is what it must be.
set -u

connleak=$(realpath -- "$1")
tools=$(realpath -- "$2")
. "$(dirname "$0")/pg.sh"

versions="v2.3.8 v2.3.9 v2.3.10"
rate_per_min=10
window_s=180
leak_within_s=150
budget=97 # max_connections 100, less the 3 that PostgreSQL keeps for superusers

say()
{
	printf '%s\n' "$@"
}

[ "$(id -u)" = 0 ] || {
	say "connleak loads kernel programs, which needs root. Run:  sudo make demo" >&2
	exit 3
}

clean_up()
{
	trap '' INT TERM
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	pg_stop
	wait
	rm -rf "$work"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/connleak-demo.XXXXXX") || exit 5
chmod 755 "$work"
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# as_nobody COMMAND... - the applications need no privilege and get none
as_nobody()
{
	exec setpriv --reuid 65534 --regid 65534 --clear-groups --pdeathsig TERM -- "$@"
}

declare -A canary_pid status took

start_apps()
{
	local v
	cp "$tools/pool" "$work/pool"
	(PGAPPNAME=pool as_nobody "$work/pool" --size 30 --fill-time 20 --qps 20) >/dev/null &
	for v in $versions; do
		# One executable each, so that --exe tells them apart.
		cp "$tools/order-service" "$work/orders-$v"
		(DD_VERSION=$v PGAPPNAME=orders-$v as_nobody "$work/orders-$v" \
			--rate "$rate_per_min") >/dev/null &
	done
}

start_canaries()
{
	local app
	for app in $apps; do
		"$connleak" canary --exe "$work/$app" --port "$PGPORT" --budget "$budget" \
			--for "${window_s}s" --detect 3 >"$work/$app.out" 2>"$work/$app.err" &
		canary_pid[$app]=$!
	done
}

# wait_for_canaries - fills in status and took as they end
wait_for_canaries()
{
	local app pid left=4 start=$SECONDS
	while [ "$left" -gt 0 ]; do
		wait -n -p pid "${canary_pid[@]}"
		local code=$?
		for app in $apps; do
			[ "${canary_pid[$app]:-}" = "$pid" ] || continue
			status[$app]=$code took[$app]=$((SECONDS - start))
			left=$((left - 1))
			unset "canary_pid[$app]"
			[ "$code" != 1 ] || say "" "*** the canary of $app has its verdict after" \
				"    ${took[$app]} s; the others go on to the end of their 3 minutes" ""
			break
		done
	done
}

name_of()
{
	case $1 in
	0) echo pass ;;
	1) echo leak ;;
	4) echo inconclusive ;;
	*) echo "exit code $1" ;;
	esac
}

# judge APP EXPECTED-EXIT-CODE EXPECTED-IN-WORDS - one line of the summary; 1 if not as expected
judge()
{
	local app=$1 want=$2 words=$3 result=ok
	[ "${status[$app]}" = "$want" ] || result="NOT AS EXPECTED"
	[ "$want" != 1 ] || [ "${took[$app]}" -le "$leak_within_s" ] || result="TOO LATE"
	printf '%-16s %-20s %-24s %s\n' "$app" "$words" \
		"$(name_of "${status[$app]}") after ${took[$app]} s" "$result"
	[ "$result" = ok ]
}

summary()
{
	local bad=0
	printf '\n%-16s %-20s %-24s\n' APPLICATION EXPECTED FOUND
	judge orders-v2.3.8 0 pass || bad=1
	judge orders-v2.3.9 1 "leak within ${leak_within_s} s" || bad=1
	judge orders-v2.3.10 0 pass || bad=1
	judge pool 0 pass || bad=1
	return $bad
}

apps="orders-v2.3.8 orders-v2.3.9 orders-v2.3.10 pool"
say "connleak's demo: an outage, caught before it happens. About 3 and a half minutes." \
	"" \
	"A private PostgreSQL (max_connections 100, of which $budget are for applications) and" \
	"  orders-v2.3.8    an order service, $rate_per_min requests a minute; closes each connection" \
	"  orders-v2.3.9    the same; its cleanup dies silently, each connection is lost" \
	"  orders-v2.3.10   the same, fixed" \
	"  pool             a healthy pool: opens 30 connections and closes none" \
	"Four canaries (connleak canary --exe ... --for 3m --detect 3) watch one each. They" \
	"must pass all but v2.3.9. Three minutes exclude a leak of 1.8 to 2.7 a" \
	"minute, not the 0.5 a minute that connleak excludes by default: that takes 15." \
	""
pg_start 100 || exit
say "PostgreSQL is up on port $PGPORT. The live view, every 20 s:"
start_apps
start_canaries
COLUMNS=80 "$connleak" top -b -n 10 --interval 20s --port "$PGPORT" --budget "$budget" &
top_pid=$!
wait_for_canaries
kill "$top_pid" 2>/dev/null
say "" "The server's own count, before anything is stopped:"
pg_sql "select format('  %-16s %s connections', application_name, count(*)) from pg_stat_activity
	where client_addr is not null group by application_name order by application_name"
for app in $apps; do
	say "" "--- connleak canary --exe .../$app"
	cat "$work/$app.out"
	# What went wrong is in the talk, the verdict is not.
	[ -s "$work/$app.out" ] || cat "$work/$app.err"
done
summary || {
	say "" "The demo FAILED: see the lines above."
	exit 1
}
say "" "As expected: the leak was found with process, rate and the time that is left," \
	"and neither the healthy versions nor the pool were blamed."
