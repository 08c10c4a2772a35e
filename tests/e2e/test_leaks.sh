#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test_leaks.sh - every leaking client is found, in time, by its name, started late or not
. "$(dirname "$0")/lib.sh"
need "$TOOLS/order-service" go setpriv ss

go_client=$work/goclient
"$e2e/clients/build_go.sh" "$go_client" || {
	echo "the Go client does not build"
	exit 1
}
pg_start 600 || exit 1
# database/sql over lib/pq opens from several threads, and only rungs of one thread count.
declare -A within_s=([go_pq]=240)
rate='all[0]["evidence"]["leak_rate_per_min"]'
rate_low='all[0]["evidence"]["leak_rate_low"]'
rate_high='all[0]["evidence"]["leak_rate_high"]'

# The one that connleak comes late to: its connections are there before the watch.
start late env DD_VERSION=v2.3.9 "$TOOLS/order-service" --rate 30
start service env DD_VERSION=v2.3.9 "$TOOLS/order-service" --rate 12
start partly "$TOOLS/order-service" --version v2.3.9 --rate 60 --leak-fraction 0.4
start go_pq "$go_client" pq leak 30
start go_pgx "$go_client" pgx leak 30
start python "$PYTHON" "$e2e/clients/client.py" leak 20
for name in service partly go_pq go_pgx python; do
	canary "watch_$name" --pid "${run_pid[$name]}" --for 5m --budget 600
done
start text "$CONNLEAK" canary --port "$PGPORT" --pid "${run_pid[service]}" --for 5m --budget 600
wait_for 60 has_connections 8 "${run_pid[late]}"
late_had=$(connections "${run_pid[late]}")
canary watch_late --pid "${run_pid[late]}" --for 5m --budget 600

for name in service partly go_pq go_pgx python late; do
	end "watch_$name"
	out=$work/watch_$name.out
	check_verdict "watch_$name" leak 1
	check_at_most "seconds until $name was found" "${within_s[$name]:-150}" "$(json "$out" 'd["watched_s"]')"
	check_json "one finding, then the verdict" '["connleak.finding/v1", "connleak.verdict/v1"]' \
		"$out" '[o["schema"] for o in all]'
	check_json "$name: the verdict names the finding" true "$out" 'd["findings"] == [all[0]["id"]]'
	check_json "$name: kind and status" "leak firing" "$out" \
		'all[0]["kind"] + " " + all[0]["status"]'
	check_json "$name: the process" "${run_pid[$name]}" "$out" 'all[0]["holder"]["pid"]'
	check_json "$name: the peer" "127.0.0.1:$PGPORT" "$out" \
		'"%s:%d" % (all[0]["peer"]["address"], all[0]["peer"]["port"])'
	check_json "$name: no more leaked than open" true "$out" \
		'0 < all[0]["evidence"]["leaked"] <= all[0]["evidence"]["open"]'
	check_json "$name: the rate has an interval around it" true "$out" \
		"0 < $rate_low <= $rate <= $rate_high"
	check_json "$name: budget of this node" "node 600" "$out" \
		'"%s %d" % (all[0]["budget"]["scope"], all[0]["budget"]["limit"])'
done
end text
check_equal "exit code of the text form" 1 "$status"
text=$(cat "$work/text.out")
check_match "the text names the process, its version and the server" \
	"^LEAK +order-service \\(pid ${run_pid[service]}, v2.3.9.*\\) -> 127.0.0.1:$PGPORT\$" "$text"
check_match "the text says how fast" 'opened [0-9]+, closed 0(, [0-9]+ there before)? in .*: [0-9.]+/min leaking' "$text"
check_match "the text says how long it lasts" '[0-9]+ left: at this rate gone in about [0-9]' "$text"
check_json "the version" v2.3.9 "$work/watch_service.out" 'all[0]["holder"]["version"]'
check_json "12 a minute are within the rate's interval" true "$work/watch_service.out" \
	"$rate_low <= 13 and $rate_high >= 11"
check_json "adopted, not opened: what was there before" true "$work/watch_late.out" \
	"all[0]['evidence']['adopted'] >= $late_had - 2"
check_match "the script of an interpreter" 'client.py$' \
	"$(json "$work/watch_python.out" 'all[0]["holder"]["script"]')"
finish
