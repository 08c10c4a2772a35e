#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# record_incident.sh CONNLEAK TOOLS-FOLDER FILE.trace.gz - the outage of v2.3.9 in a quarter of an hour,
# recorded live: the order service of the demo against a private PostgreSQL
#
# v2.3.8 works for 5 minutes at 10 requests a minute, beside a pool of 20; then v2.3.9 takes its
# place and loses a connection at each, until the server has none left (max_connections 60).
# Host name, port and paths are those of namespaces of its own, so that no recording says where it
# was made.
set -u

[ $# = 3 ] || { echo "usage: record_incident.sh CONNLEAK TOOLS-FOLDER FILE.trace.gz" >&2 && exit 2; }
[ "$(id -u)" = 0 ] || { echo "record_incident.sh: loads kernel programs: run it as root" >&2 && exit 3; }
if [ -z "${IN_NAMESPACES:-}" ]; then
	mkdir -p /opt/app && IN_NAMESPACES=1 exec unshare --net --uts --mount --propagation private \
		-- "$0" "$(realpath -- "$1")" "$(realpath -- "$2")" "$(realpath -m -- "$3")"
fi
hostname app-node-07
ip link set lo up
connleak=$1 tools=$2 file=$3
. "$(dirname "$0")/pg.sh"

clean_up()
{
	trap '' INT TERM
	# shellcheck disable=SC2046
	kill $(jobs -p) 2>/dev/null
	pg_stop
	wait
	umount /opt/app
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mount -t tmpfs connleak /opt/app || exit 5
cp "$tools/order-service" "$tools/pool" /opt/app/
PG_WANT_PORT=5432 pg_start 60 || exit
# other namespaces of this machine may have connections to this port, too
"$connleak" record --exe /opt/app/order-service --exe /opt/app/pool --wait --port "$PGPORT" "$file" &
recorder=$!
sleep 1
/opt/app/pool --size 20 --fill-time 20 --qps 20 >/dev/null &
DD_VERSION=v2.3.8 /opt/app/order-service --rate 10 --duration 300 >/dev/null
DD_VERSION=v2.3.9 /opt/app/order-service --rate 10 --duration 330 >/dev/null
kill -INT "$recorder"
wait "$recorder"
