# SPDX-License-Identifier: Apache-2.0
"""client.py KIND healthy|leak=1/N REQUESTS-PER-MINUTE SECONDS: made-up requests, Python drivers.

pool       psycopg_pool, 4 to 100 connections, 4 threads; the leak forgets putconn on an error
request    psycopg2, a connection for each request; the leak forgets close on an error
listen     psycopg2: one connection LISTENs and gets a NOTIFY a minute, the requests use a pool;
           the leak forgets putconn on an error
relisten   as listen, but the leak is the listener's: after an error it opens another connection
           and forgets the old one, which goes on getting every NOTIFY
prefork    4 workers, each with a connection that it replaces after a minute, each itself replaced
           after 120 requests; the leak opens another connection after an error
ping       psycopg2, a pool of 8; every connection gets a ping each 20 s, lent or not; the leak
           forgets putconn on an error
scheduler  jobs within one process, a connection for each run; the leak forgets close on an error

A failed request is kept with its traceback, as error reporters do, and so with its connection:
nothing is closed by losing the last reference. Each leak is told on stdout as
"leak UNIX-SECONDS". Settings are libpq's.
"""
import os
import queue
import random
import select
import sys
import threading
import time

import psycopg2
import psycopg2.pool

ORDER = "select id, item, pg_sleep(0.03) from orders where id = %s"
reported = []


class Rejected(Exception):
    pass


class Requests:
    """Counts requests; every Nth fails."""

    def __init__(self, behaviour):
        self.one_in = 0 if behaviour == "healthy" else int(behaviour.removeprefix("leak=1/"))
        self.count = 0
        self.lock = threading.Lock()

    def reject(self):
        """Raises if the request of now is one that fails, and tells it."""
        with self.lock:
            self.count += 1
            fails = self.one_in and self.count % self.one_in == 0
        if fails:
            os.write(1, b"leak %.3f\n" % time.time())
            raise Rejected()


def guarded(handle):
    """What a framework does around a handler: reports what it raises, and goes on."""
    try:
        handle()
    except (Rejected, psycopg2.Error) as e:
        reported.append(e)
        if not isinstance(e, Rejected):
            print(e, file=sys.stderr, flush=True)


def connect():
    conn = psycopg2.connect("")
    conn.autocommit = True
    return conn


def ask(conn):
    with conn.cursor() as cursor:
        cursor.execute(ORDER, (random.randint(1, 900),))
        cursor.fetchall()


def arrivals(per_minute, seconds):
    """Yields for each request, at random times."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(random.expovariate(per_minute / 60))
        yield


def run_request(requests, per_minute, seconds):
    def handle():
        conn = connect()
        ask(conn)
        requests.reject()
        conn.close()

    for _ in arrivals(per_minute, seconds):
        guarded(handle)


def run_pool(requests, per_minute, seconds):
    from psycopg_pool import ConnectionPool

    pool = ConnectionPool("", min_size=4, max_size=100, max_idle=60, max_lifetime=240)
    todo = queue.Queue()

    def handle():
        conn = pool.getconn()
        conn.execute(ORDER, (random.randint(1, 900),))
        conn.commit()
        requests.reject()
        pool.putconn(conn)

    def work():
        while True:
            todo.get()
            guarded(handle)

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    for _ in arrivals(per_minute / 1.2, seconds):
        for _ in range(3 if random.random() < 0.1 else 1):
            todo.put(None)


def serve_from(pool, requests, per_minute, seconds):
    def handle():
        conn = pool.getconn()
        conn.autocommit = True
        ask(conn)
        requests.reject()
        pool.putconn(conn)

    for _ in arrivals(per_minute, seconds):
        guarded(handle)


def listening():
    conn = connect()
    conn.cursor().execute("listen orders")
    return conn


def hear(conn, until):
    while time.monotonic() < until:
        if select.select([conn], [], [], 1)[0]:
            conn.poll()


def notify_each_minute():
    while True:
        conn = connect()
        conn.cursor().execute("notify orders, 'reload'")
        conn.close()
        time.sleep(60)


def run_listen(requests, per_minute, seconds):
    pool = psycopg2.pool.ThreadedConnectionPool(3, 100, "")
    threading.Thread(target=notify_each_minute, daemon=True).start()
    threading.Thread(target=hear, args=(listening(), float("inf")), daemon=True).start()
    serve_from(pool, requests, per_minute, seconds)


def run_relisten(requests, per_minute, seconds):
    def handle():
        conn = listening()
        until = time.monotonic() + 60 / per_minute
        hear(conn, until)
        requests.reject()
        conn.close()

    threading.Thread(target=notify_each_minute, daemon=True).start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        guarded(handle)


def prefork_worker(requests, per_minute, seconds):
    conn, opened = connect(), time.monotonic()

    def handle():
        ask(conn)
        requests.reject()

    for _ in arrivals(per_minute, seconds):
        n_reported = len(reported)
        guarded(handle)
        if len(reported) > n_reported:
            reported.append(conn)
            conn, opened = connect(), time.monotonic()
        elif time.monotonic() - opened > 60:
            conn.close()
            conn, opened = connect(), time.monotonic()
        if requests.count == 120:
            break


def run_prefork(requests, per_minute, seconds):
    end = time.monotonic() + seconds
    workers = 0
    while time.monotonic() < end:
        if workers == 4:
            os.wait()
            workers -= 1
        if os.fork() == 0:
            random.seed(os.getpid())
            # out of step: not all of them fail at once
            requests.count = random.randrange(20)
            prefork_worker(requests, per_minute / 4, end - time.monotonic())
            os._exit(0)
        workers += 1


class PingedPool(psycopg2.pool.ThreadedConnectionPool):
    """Pings every connection that it ever opened, lent ones too."""

    every = []

    def _connect(self, key=None):
        conn = super()._connect(key)
        conn.autocommit = True
        self.every.append(conn)
        return conn

    def ping(self):
        while True:
            time.sleep(20)
            for conn in list(self.every):
                if not conn.closed:
                    conn.cursor().execute("select 1")


def run_ping(requests, per_minute, seconds):
    pool = PingedPool(8, 100, "")
    threading.Thread(target=pool.ping, daemon=True).start()
    serve_from(pool, requests, per_minute, seconds)


def run_scheduler(requests, per_minute, seconds):
    def job():
        conn = connect()
        for _ in range(random.randint(1, 20)):
            ask(conn)
            time.sleep(random.random() / 10)
        requests.reject()
        conn.close()

    for _ in arrivals(per_minute, seconds):
        threading.Thread(target=guarded, args=(job,), daemon=True).start()


def main():
    kind, behaviour, per_minute, seconds = sys.argv[1:]
    random.seed(7)
    run = globals()["run_" + kind]
    run(Requests(behaviour), float(per_minute), float(seconds))
    os._exit(0)


main()
