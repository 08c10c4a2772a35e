# SPDX-License-Identifier: Apache-2.0
"""family.py BEHAVIOUR [N]: two processes and PostgreSQL connections, until they are killed.

handover  the parent opens N, forks, closes its own descriptors and lives on; the child keeps them
orphan    the same, but the parent exits, kept connections and all
shared    the parent opens N and forks; both keep them
worker    the parent opens N and forks; the child opens one more a second and closes none
passed    the parent opens one a second, asks it something, sends it to the child over a Unix
          socket (SCM_RIGHTS) and closes its own; the child keeps them all
Prints "ready PARENT CHILD" once that is so. Settings are libpq's (PGHOST ...).
"""
import os
import signal
import socket
import sys
import time

import psycopg2

behaviour = sys.argv[1]
n = int(sys.argv[2]) if len(sys.argv) > 2 else 0
kept = []


def ask():
    conn = psycopg2.connect("")
    with conn.cursor() as cursor:
        cursor.execute("select 1")
    conn.commit()
    return conn


def ready(parent, child):
    print("ready", parent, child, flush=True)


for _ in range(n):
    kept.append(ask())
parent = os.getpid()
ours, theirs = socket.socketpair()
child = os.fork()

if child == 0:
    ours.close()
    while behaviour == "worker":
        kept.append(ask())
        time.sleep(1)
    while behaviour == "passed":
        message, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        if not message:
            break
        kept.extend(fds)
    signal.pause()
    os._exit(0)

theirs.close()
if behaviour == "handover":
    for conn in kept:
        os.close(conn.fileno())
ready(parent, child)
if behaviour == "orphan":
    os._exit(0)
while behaviour == "passed":
    conn = ask()
    socket.send_fds(ours, [b"x"], [conn.fileno()])
    os.close(conn.fileno())
    kept.append(conn)
    time.sleep(1)
signal.pause()
