#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_via.sh - a connection that ends in a pooler or proxy of this machine says so, and a leak
# through it is the application's
. "$(dirname "$0")/lib.sh"
need "$TOOLS/order-service" "$TOOLS/pool" pgbouncer haproxy ip iptables setpriv ss psql
pg_start 300 || exit 1

bouncer_port=$(pg_free_port)
proxy_port=$(pg_free_port)
sidecar_port=$(pg_free_port)
netns=connleak-e2e-$$
conf=$work/conf
install -d -m 755 "$conf"

# --- PgBouncer, not as root: it refuses that
echo '"app" ""' >"$conf/users"
cat >"$conf/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$PGPORT
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir =
auth_type = trust
auth_file = $conf/users
pool_mode = session
default_pool_size = 200
max_client_conn = 200
INI
start bouncer pg_as pgbouncer "$conf/pgbouncer.ini"

proxy_conf() # PORT SERVER
{
	cat <<-CFG
		global
		    maxconn 200
		defaults
		    mode tcp
		    timeout connect 5s
		    timeout client 1h
		    timeout server 1h
		listen pg
		    bind 127.0.0.1:$1
		    server pg $2
	CFG
}
proxy_conf "$proxy_port" "127.0.0.1:$PGPORT" >"$conf/proxy.cfg"
start proxy pg_as haproxy -db -f "$conf/proxy.cfg"

answers() # PORT [COMMAND TO RUN IT IN...]
{
	local port=$1
	shift
	"$@" psql -XAtq -p "$port" -c 'select 1' >/dev/null 2>&1
}
wait_for 10 answers "$bouncer_port" || failed "PgBouncer answers" yes "$(out_of bouncer)"
wait_for 10 answers "$proxy_port" || failed "haproxy answers" yes "$(out_of proxy)"

# --- the leak through the pooler; its verdict is read at the end
start all "$CONNLEAK" canary --json --full --for 110s --port "$bouncer_port,$PGPORT"
wait_for 20 attached all || failed "the canary watches" yes "$(out_of all)"
start app env PGPORT="$bouncer_port" "$TOOLS/order-service" --version v2.3.9 --rate 40
app=${run_pid[app]} bouncer=${run_pid[bouncer]} proxy=${run_pid[proxy]}
start proxied env PGPORT="$proxy_port" "$TOOLS/pool" --size 3 --fill-time 0 --eager --qps 1
proxied=${run_pid[proxied]}

established() # PORT N [COMMAND TO RUN IT IN...] - are there at least N to that port
{
	local port=$1 n=$2
	shift 2
	[ "$("$@" ss -tnH state established "( dport = :$port )" | wc -l)" -ge "$n" ]
}
wait_for 20 established "$bouncer_port" 4 || failed "leaked connections" 4 "$(out_of app)"
wait_for 20 established "$proxy_port" 3 || failed "proxied connections" 3 "$(out_of proxied)"

# vias FILE LIST PID PORT - the peer.via of what this process has at this port, without doubles
vias()
{
	json "$1" "sorted({json.dumps(o['peer']['via']) for o in $2 \
		if o['holder']['pid'] == $3 and o['peer']['port'] == $4})"
}

check_vias() # WHAT FILE LIST
{
	local what=$1
	shift
	check_equal "$what: the application's end in PgBouncer" \
		"$(json /dev/null "[json.dumps({'pid': $bouncer, 'comm': 'pgbouncer'})]")" \
		"$(vias "$@" "$app" "$bouncer_port")"
	check_equal "$what: PgBouncer's end in the server, which is no holder" '["null"]' \
		"$(vias "$@" "$bouncer" "$PGPORT")"
	check_equal "$what: the pool's end in haproxy" \
		"$(json /dev/null "[json.dumps({'pid': $proxy, 'comm': 'haproxy'})]")" \
		"$(vias "$@" "$proxied" "$proxy_port")"
	check_equal "$what: haproxy's end in the server" '["null"]' \
		"$(vias "$@" "$proxy" "$PGPORT")"
}

ports=$bouncer_port,$proxy_port,$PGPORT
run ls "$CONNLEAK" ls --json --port "$ports"
check_schema "$work/ls.out"
check_vias "ls --json" "$work/ls.out" all
run ls_text "$CONNLEAK" ls --port "$ports"
check_match "ls names the pooler" "pgbouncer.*$bouncer|$bouncer.*pgbouncer" \
	"$(grep ":$bouncer_port" "$work/ls_text.out")"
run top "$CONNLEAK" top -b --json -n 3 --port "$ports"
check_schema "$work/top.out"
check_vias "top --json, the first frame" "$work/top.out" 'all[0]["rows"]'
check_vias "top --json, the last frame" "$work/top.out" 'd["rows"]'

# one that sees the connections open, instead of finding them
start live "$CONNLEAK" top -b --json -n 1000 --port "$ports"
wait_for 20 grep -q snapshot "$work/live.out"
start late env PGPORT="$bouncer_port" "$TOOLS/pool" --size 2 --fill-time 0 --eager --qps 1
late=${run_pid[late]}
late_via()
{
	[ "$(json "$work/live.out" "[r['peer']['via'] for r in d['rows'] \
		if r['holder']['pid'] == $late]")" = \
	  "[{\"pid\": $bouncer, \"comm\": \"pgbouncer\"}]" ]
}
# the kernel's tables are compared every 5 to 30 s
wait_for 35 late_via || failed "via of what opened during the watch" "pgbouncer $bouncer" \
	"$(json "$work/live.out" "[(r['holder']['pid'], r['peer']) for r in d['rows']]")"
n_checks=$((n_checks + 1))
stop live INT

# --- a redirect in a network namespace: the client does not know of its sidecar, which goes on to
# the same address and port and is not redirected, for its user
end_netns()
{
	# shellcheck disable=SC2046
	kill $(ip netns pids "$netns" 2>/dev/null) 2>/dev/null
	ip netns del "$netns" 2>/dev/null
	clean_up
}
redirected_port=5432
in_netns=(ip netns exec "$netns")
trap end_netns EXIT
if ! ip netns add "$netns" 2>"$work/netns.err" ||
	! "${in_netns[@]}" ip link set lo up 2>>"$work/netns.err" ||
	! "${in_netns[@]}" iptables -t nat -A OUTPUT -p tcp --dport $redirected_port \
		-m owner ! --uid-owner nobody -j REDIRECT --to-ports "$sidecar_port" 2>>"$work/netns.err"; then
	echo "skip: NAT redirect: this kernel cannot: $(head -1 "$work/netns.err")"
else
	as_nobody=(setpriv --reuid nobody --regid nogroup --clear-groups --pdeathsig TERM --)
	# The server's Unix socket is the way out of the namespace.
	# shellcheck disable=SC2154
	proxy_conf $redirected_port "unix@$pg_dir/.s.PGSQL.$PGPORT" >"$conf/relay.cfg"
	proxy_conf "$sidecar_port" "127.0.0.1:$redirected_port" >"$conf/sidecar.cfg"
	for name in relay sidecar; do
		start $name "${in_netns[@]}" "${as_nobody[@]}" haproxy -db -f "$conf/$name.cfg"
	done
	wait_for 10 answers $redirected_port "${in_netns[@]}" ||
		failed "the redirected port answers" yes "$(out_of sidecar)"
	start redirected "${in_netns[@]}" env PGPORT=$redirected_port "$TOOLS/pool" --size 3 \
		--fill-time 0 --eager --qps 1
	wait_for 10 established $redirected_port 3 "${in_netns[@]}"
	run ls_nat "$CONNLEAK" ls --json --port $redirected_port
	check_schema "$work/ls_nat.out"
	redirected=${run_pid[redirected]} sidecar=${run_pid[sidecar]}
	check_json "the redirected ones, and the sidecar's" '[3, 3]' "$work/ls_nat.out" \
		"[len([o for o in all if o['holder']['pid'] == p]) for p in ($redirected, $sidecar)]"
	check_equal "behind a NAT redirect: they end in the sidecar" \
		"$(json /dev/null "[json.dumps({'pid': $sidecar, 'comm': 'haproxy'})]")" \
		"$(vias "$work/ls_nat.out" all "$redirected" $redirected_port)"
	check_equal "the sidecar's own end in what holds nothing" '["null"]' \
		"$(vias "$work/ls_nat.out" all "$sidecar" $redirected_port)"
fi

# --- the verdict
end all
check_verdict all leak 1
out=$work/all.out
of_app="o.get('kind') == 'leak' and o['holder']['pid'] == $app"
of_bouncer="o.get('kind') == 'leak' and o['holder']['pid'] == $bouncer"
firing='[o for o in all if o["schema"] == "connleak.finding/v1" and o["status"] == "firing"]'
check_json "the application's leak is found, once" 1 "$out" \
	"len({o['id'] for o in $firing if $of_app})"
check_json "it ends in PgBouncer" "[[$bouncer, \"pgbouncer\"]]" "$out" \
	"sorted({(o['peer']['via']['pid'], o['peer']['via']['comm']) for o in $firing if $of_app})"
check_json "it follows from no other" '[null]' "$out" \
	"list({o['downstream_of'] for o in $firing if $of_app})"
check_json "PgBouncer's, if it is one, follows from the application's" true "$out" \
	"{o['downstream_of'] for o in $firing if $of_bouncer} <= {o['id'] for o in $firing if $of_app}"
check_json "nobody else's" 0 "$out" \
	"len([o for o in $firing if not ($of_app) and not ($of_bouncer)])"
echo "PgBouncer's own findings: $(json "$out" "len([o for o in $firing if $of_bouncer])")"
finish
