#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cron.sh SECONDS - short jobs, a process and a connection each, one about every 9 s; no leak
end=$(($(date +%s) + $1))
while [ "$(date +%s)" -lt "$end" ]; do
	psql -XAtq -c "select count(*) from orders" -c "select pg_sleep(0.2 + 4 * random())" >/dev/null
	sleep "$(shuf -i 3-11 -n 1)"
done
