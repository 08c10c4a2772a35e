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
deploy     request: a healthy process for 5 minutes, then another one, which leaks
restart    request: a new process every 150 s, each of which leaks
reaped     request, from a server that ends a connection after 40 s of idleness
grow       psycopg_pool, requests of 2 s, from the given rate to 8 times as many in 10 minutes
burst      psycopg_pool, 25 requests at once about every 2 minutes besides the others
stall      psycopg_pool, one request in 25 keeps its connection for 40 to 120 s between two queries
killed     psycopg_pool, all of whose connections the server ends every 3 minutes
batch      opens 30 within 4 minutes, gives each its work, and keeps them

A failed request is kept with its traceback, as error reporters do, and so with its connection:
nothing is closed by losing the last reference. Each leak is told on stdout as
"leak UNIX-SECONDS". Settings are libpq's.
"""
import os
import queue
import random
import select
import subprocess
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


def guarded(handle, *args):
    """What a framework does around a handler: reports what it raises, and goes on."""
    try:
        handle(*args)
    except Exception as e:
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


def run_reaped(requests, per_minute, seconds):
    os.environ["PGOPTIONS"] = "-c idle_session_timeout=40s"
    run_request(requests, per_minute, seconds)


class Pooled:
    """Requests on 40 threads, from a psycopg_pool of 4 to 100 connections."""

    def __init__(self, requests, threads=40, **options):
        from psycopg_pool import ConnectionPool

        self.requests = requests
        self.todo = queue.Queue()
        self.pool = ConnectionPool("application_name=" + sys.argv[1], min_size=4, max_size=100,
                                   max_idle=60, max_lifetime=240, **options)
        for _ in range(threads):
            threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while True:
            guarded(self.handle, *self.todo.get())

    def handle(self, query_s, thinks_s):
        conn = self.pool.getconn()
        try:
            for think_s in thinks_s:
                conn.execute("select id, item, pg_sleep(%s) from orders where id = %s",
                             (query_s, random.randint(1, 900)))
                time.sleep(think_s)
            conn.commit()
        except Exception:
            self.pool.putconn(conn)
            raise
        self.requests.reject()
        self.pool.putconn(conn)

    def serve(self, query_s=0.03, thinks_s=(0,)):
        self.todo.put((query_s, thinks_s))


def run_pool(requests, per_minute, seconds):
    pooled = Pooled(requests, threads=4)
    for _ in arrivals(per_minute / 1.2, seconds):
        for _ in range(3 if random.random() < 0.1 else 1):
            pooled.serve()


def run_grow(requests, per_minute, seconds):
    pooled, start = Pooled(requests), time.monotonic()
    while (age_s := time.monotonic() - start) < seconds:
        time.sleep(random.expovariate(per_minute / 60 * (1 + 7 * min(age_s / 600, 1))))
        pooled.serve(query_s=2)


def run_burst(requests, per_minute, seconds):
    pooled = Pooled(requests)
    burst_at = time.monotonic() + 60
    for _ in arrivals(per_minute, seconds):
        pooled.serve()
        if time.monotonic() > burst_at:
            burst_at += random.uniform(60, 180)
            for _ in range(25):
                pooled.serve(query_s=1)


def run_stall(requests, per_minute, seconds):
    pooled = Pooled(requests)
    for _ in arrivals(per_minute, seconds):
        is_slow = random.random() < 1 / 25
        pooled.serve(thinks_s=(random.uniform(40, 120) if is_slow else 0, 0))


def run_killed(requests, per_minute, seconds):
    pooled = Pooled(requests)
    kill_at = time.monotonic() + 180
    for _ in arrivals(per_minute, seconds):
        pooled.serve()
        if time.monotonic() > kill_at:
            kill_at += 180
            conn = connect()
            conn.cursor().execute("""select pg_terminate_backend(pid) from pg_stat_activity
                                     where application_name = 'killed'""")
            conn.close()


def run_batch(_requests, _per_minute, seconds):
    conns = []
    for _ in range(30):
        conns.append(connect())
        for _ in range(random.randint(1, 5)):
            ask(conns[-1])
        time.sleep(random.uniform(4, 9))
    time.sleep(seconds)


def run_again(behaviour, per_minute, seconds):
    """A process of its own that handles requests."""
    subprocess.run([sys.executable, sys.argv[0], "request", behaviour, str(per_minute),
                    str(seconds)], check=False)


def run_deploy(_requests, per_minute, seconds):
    run_again("healthy", per_minute, 300)
    run_again(sys.argv[2], per_minute, seconds - 300)


def run_restart(_requests, per_minute, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run_again(sys.argv[2], per_minute, 150)


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
