#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pg.sh - a private PostgreSQL for the demo and the tests, to be sourced by a bash script
#
#	. tools/pg.sh
#	trap pg_stop EXIT
#	pg_start [MAX_CONNECTIONS] [CONF-LINES]
#
# pg_start makes a cluster in a temporary folder, listening on 127.0.0.1 and ::1, trusting
# loopback, and waits until it answers. Port: $PG_WANT_PORT, else a free one. It runs as the
# unprivileged user postgres (or nobody) when root calls, and dies with the shell that called.
# Afterwards PGHOST, PGPORT, PGUSER (app, an ordinary role), PGDATABASE and PGDATA are exported,
# so that every client finds it. pg_sql asks as superuser over the Unix socket: it is in no TCP
# count and works when the server is full. No cluster of the system is touched.

PG_BIN=${PG_BIN:-/usr/lib/postgresql/15/bin}
pg_dir="" pg_pid=""

# pg_as COMMAND... - replaces the (sub)shell by the command, as the server's user
pg_as()
{
	local user=postgres
	[ "$(id -u)" = 0 ] || exec "$@"
	id "$user" >/dev/null 2>&1 || user=nobody
	# The working directory may be closed to that user.
	cd /
	exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups \
		--pdeathsig QUIT -- "$@"
}

# pg_free_port - prints a port below the ephemeral ones on which nobody listens
pg_free_port()
{
	local port
	while :; do
		port=$((15000 + RANDOM % 15000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

pg_configure() # MAX_CONNECTIONS CONF-LINES
{
	cat >>"$PGDATA/postgresql.conf" <<-CONF
		listen_addresses = '127.0.0.1,::1'
		port = $PGPORT
		unix_socket_directories = '$pg_dir'
		max_connections = $1
		shared_buffers = 16MB
		fsync = off
		synchronous_commit = off
		full_page_writes = off
		autovacuum = off
		max_wal_senders = 0
		wal_level = minimal
		jit = off
		$2
	CONF
}

pg_start() # [MAX_CONNECTIONS] [CONF-LINES]
{
	[ -x "$PG_BIN/postgres" ] || {
		echo "pg.sh: no PostgreSQL 15 in $PG_BIN: apt-get install postgresql-15" >&2
		return 3
	}
	unset PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE PGHOSTADDR
	pg_dir=$(mktemp -d "${TMPDIR:-/tmp}/connleak-pg.XXXXXX") || return 5
	chmod 755 "$pg_dir"
	export PGHOST=127.0.0.1 PGUSER=app PGDATABASE=postgres PGDATA=$pg_dir/data
	export PGPORT=${PG_WANT_PORT:-$(pg_free_port)}
	install -d -m 700 "$PGDATA"
	[ "$(id -u)" != 0 ] || chown -R "$(id -u postgres 2>/dev/null || id -u nobody)" "$pg_dir"
	(pg_as "$PG_BIN/initdb" -D "$PGDATA" -U postgres -A trust -E UTF8 --locale=C --no-sync \
		--no-instructions) >"$pg_dir/initdb.log" 2>&1 || {
		cat "$pg_dir/initdb.log" >&2
		pg_stop
		return 5
	}
	pg_configure "${1:-100}" "${2:-}"
	# Out of the terminal's process group: Ctrl-C is for the script, which then stops it.
	(pg_as setsid "$PG_BIN/postgres" -D "$PGDATA") >"$pg_dir/log" 2>&1 </dev/null &
	pg_pid=$!
	until pg_sql 'create role app login; grant all on schema public to app' >/dev/null 2>&1; do
		kill -0 "$pg_pid" 2>/dev/null || {
			cat "$pg_dir/log" >&2
			pg_stop
			return 5
		}
		sleep 0.05
	done
}

# pg_sql SQL - unaligned rows only; as superuser, over the Unix socket
pg_sql()
{
	"$PG_BIN/psql" -h "$pg_dir" -U postgres -d postgres -XAtq -v ON_ERROR_STOP=1 -c "$1"
}

# pg_stop - may be called at any time, and twice; the data is thrown away
pg_stop()
{
	if [ -n "$pg_pid" ]; then
		kill -QUIT "$pg_pid" 2>/dev/null
		wait "$pg_pid" 2>/dev/null
	fi
	[ -z "$pg_dir" ] || rm -rf "$pg_dir"
	pg_pid="" pg_dir=""
}
