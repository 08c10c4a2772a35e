#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_healthy.sh - no healthy client is called a leak, all of them at work side by side
. "$(dirname "$0")/lib.sh"
need "$TOOLS/pool" pgbench psql go setpriv ss

go_client=$work/goclient
"$e2e/clients/build_go.sh" "$go_client" || {
	echo "the Go client does not build"
	exit 1
}
pg_start 150 || exit 1
pgbench -iq -s 1 >/dev/null 2>&1 || exit 1

psql_loop()
{
	while :; do
		psql -XAtqc 'select 1' >/dev/null
		sleep 0.5
	done
}

# All are watched by one canary, and the pool, which never closes one, by one of its own.
canary all --for 200s --detect 3
wait_for 30 attached all
start pool_lazy "$TOOLS/pool" --size 30 --fill-time 20 --qps 20
canary pool --pid "${run_pid[pool_lazy]}" --for 190s --detect 3
start pool_eager "$TOOLS/pool" --size 15 --fill-time 25 --qps 10 --eager --order fifo
start pool_random "$TOOLS/pool" --size 10 --fill-time 5 --qps 10 --order random
start service "$TOOLS/order-service" --version v2.3.8 --rate 60 --threads 4
start fixed "$TOOLS/order-service" --version v2.3.10 --rate 60
start bench pgbench -n -S -c 4 -j 2 -T 600 -R 20
start bench_connect pgbench -n -S -C -c 2 -T 600 -R 4
start psql psql_loop
start go_pq "$go_client" pq healthy 60
start go_pgx "$go_client" pgx healthy 60
start python "$PYTHON" "$e2e/clients/client.py" healthy 60
start python_persistent "$PYTHON" "$e2e/clients/client.py" persistent 60

wait_for 60 has_connections 30 "${run_pid[pool_lazy]}"
check_equal "the pool opened" 30 "$(connections "${run_pid[pool_lazy]}")"

end pool
check_verdict pool pass 0
check_json "findings about the pool" 0 "$work/pool.out" 'len(d["findings"])'
check_json "closed by the pool" 0 "$work/pool.out" 'd["closed"]'
check_match "opened by the pool, those before the watch apart" '^(2[0-9]|30)$' \
	"$(json "$work/pool.out" 'd["opened"]')"
end all
check_verdict all pass 0
check_json "lost events" 0 "$work/all.out" 'd["lost_events"]'
check_json "findings about anyone" '[]' "$work/all.out" 'd["findings"]'
check_json "all clients were seen" true "$work/all.out" 'd["holders"] >= 12 and d["opened"] > 400'
check_json "no finding was printed" 1 "$work/all.out" 'len(all)'
check_equal "the pool still has its connections" 30 "$(connections "${run_pid[pool_lazy]}")"
finish
