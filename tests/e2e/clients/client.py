# SPDX-License-Identifier: Apache-2.0
"""client.py BEHAVIOUR REQUESTS-PER-MINUTE: a psycopg2 client, until it is killed.

healthy     opens a connection for each request and closes it
persistent  uses one connection for all of them
leak        opens one for each and keeps a reference to it
Settings are libpq's (PGHOST ...).
"""
import sys
import time

import psycopg2

behaviour, per_minute = sys.argv[1], float(sys.argv[2])
kept = []


def ask(conn):
    with conn.cursor() as cursor:
        cursor.execute("select relname from pg_class limit 5")
        cursor.fetchall()
    conn.commit()


persistent = psycopg2.connect("") if behaviour == "persistent" else None
while True:
    conn = persistent or psycopg2.connect("")
    ask(conn)
    if behaviour == "leak":
        kept.append(conn)
    elif behaviour == "healthy":
        conn.close()
    time.sleep(60 / per_minute)
