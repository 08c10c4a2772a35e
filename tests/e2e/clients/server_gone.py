# SPDX-License-Identifier: Apache-2.0
"""server_gone.py BEHAVIOUR [N]: what is left of connections that the server ended first.

keep  opens N and never looks at them again
pool  opens N, uses one every 10 s, the one not used for longest; replaces one that it finds ended
leak  opens one a second, has the server end it 2 s later, and keeps its descriptor
Settings are libpq's (PGHOST ...).
"""
import os
import sys
import time

import psycopg2

behaviour = sys.argv[1]
n = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def ask(conn, sql="select count(*) from pg_class"):
    with conn.cursor() as cursor:
        cursor.execute(sql)
        cursor.fetchall()
    conn.commit()


def opened():
    conn = psycopg2.connect("")
    ask(conn)
    return conn


def use(conn):
    """Returns the connection, or one in its place."""
    try:
        ask(conn)
        return conn
    except psycopg2.Error:
        conn.close()
    while True:
        try:
            return opened()
        except psycopg2.OperationalError:
            time.sleep(0.5)  # the server is not back yet


conns = [opened() for _ in range(n)]
print("ready", flush=True)
kept = []
while behaviour == "pool":
    time.sleep(10)
    conns.append(use(conns.pop(0)))
while behaviour == "leak":
    conns.append(opened())
    if len(conns) > 2:
        conn = conns.pop(0)
        kept.append(os.dup(conn.fileno()))
        try:
            ask(conn, "select pg_terminate_backend(pg_backend_pid())")
        except psycopg2.Error:
            conn.close()
    time.sleep(1)
time.sleep(600)
