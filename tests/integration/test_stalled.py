"""The agent's hard cap: an intake that takes connections and requests and never answers, and tracers that go on.

Memory and disk fill up to their budgets and stay there: the process never has more than SONDE_MEMORY_LIMIT in
memory, what does not fit is dropped and counted, and what is held arrives when the intake answers again.

The short form ends as soon as all budgets were used up; SONDE_SOAK=1 keeps it up for an hour, with the agent's own
budgets, bursts, and bodies for the other doors.
"""

import http.client
import os
import random
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import PATIENCE_S, SANITIZED, SOAK, Stack, sum_of, wait_until

LIMIT_KIB = 64 << 10  # sonde.memory_limit
STALLED_S = float(os.environ.get("SONDE_STALLED_S", "3600" if SOAK else "0"))
BODIES_PER_S = 20 if SOAK else 200
TRACES, SPANS_A_TRACE = 100, 5  # of a body
BURST = 100  # bodies at once
TICK_S = 10

# -- bodies, by hand --------------------------------------------------------------------------------


def text(s):
    b = s.encode()
    return (bytes([0xA0 | len(b)]) if len(b) < 32 else b"\xda" + struct.pack(">H", len(b))) + b


def pack(v):
    if isinstance(v, str):
        return text(v)
    if isinstance(v, float):
        return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, int):
        return b"\xcf" + struct.pack(">Q", v)
    return bytes([0x80 | len(v)]) + b"".join(text(k) + pack(x) for k, x in v.items())


def span(rng, trace, id, parent, now):
    kind, resource = rng.choice((("sql", f"SELECT a, b FROM t{id} WHERE c = 'x{trace}' AND d IN (1, 2, {trace})"),
                                 ("web", f"GET /orders/{{id}}/{rng.randrange(2000)}")))
    return pack({
        "service": f"shop-{rng.randrange(20)}", "name": f"{kind}.request", "resource": resource, "type": kind,
        "trace_id": trace, "span_id": id, "parent_id": parent, "start": now, "duration": rng.randrange(10**8),
        "error": int(rng.random() < 0.02),
        "meta": {"env": "prod", "version": "1.2.3", "component": "tests", "language": "python",
                 "http.url": f"http://shop/orders/{trace}?card=4111111111111111", "db.statement": resource,
                 "http.status_code": str(rng.choice((200, 200, 200, 404, 503))), "out.host": f"db-{rng.randrange(9)}",
                 "who": f"{rng.getrandbits(256):064x}"},  # does not compress
        "metrics": {"_sampling_priority_v1": 1.0, "process_id": 4711.0}})


def body(rng):
    """TRACES traces of SPANS_A_TRACE spans, v0.4."""
    out, now = b"\xdc" + struct.pack(">H", TRACES), time.time_ns()
    for _ in range(TRACES):
        trace = rng.getrandbits(63) | 1
        out += bytes([0x90 | SPANS_A_TRACE])
        out += b"".join(span(rng, trace, n + 1, n, now) for n in range(SPANS_A_TRACE))
    return out


# -- the intake ------------------------------------------------------------------------------------------


class Sink:
    """Reads requests; answers them while `answering`, and lets them wait for ever while not."""

    def __init__(self):
        self.answering = False
        self.taken = 0  # answered with 202, for traces and statistics
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                while self._one(connection, stream):
                    pass
        except (OSError, ValueError):
            pass

    def _one(self, connection, stream):
        line, length = stream.readline(), 0
        while (head := stream.readline().strip()):
            name, _, value = head.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not line or len(stream.read(length)) < length:
            return False
        if not self.answering:
            stream.read(1)  # until whoever asked hangs up
            return False
        with self.lock:
            self.taken += b"/api/v0.2/" in line
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}")
        return True

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


# -- those who go on ---------------------------------------------------------------------------------------


class Senders:
    """Connections to the agent: one paced, three more for bursts; in the long form two with other things."""

    def __init__(self, port):
        self.port, self.rng = port, random.Random(4)
        self.pool = [body(self.rng) for _ in range(16)]
        self.counts, self.lock = {}, threading.Lock()  # answers to bodies of traces, by status
        self.stop, self.burst = threading.Event(), threading.Barrier(4)
        self.failed = []
        jobs = [self._paced] + [self._bursts] * 3 + ([self._profiles, self._telemetry] if SOAK else [])
        self.threads = [threading.Thread(target=self._guarded, args=(job,), daemon=True) for job in jobs]
        for t in self.threads:
            t.start()

    def _guarded(self, job):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            job(connection)
        except threading.BrokenBarrierError:
            pass
        except Exception as e:  # the main thread asserts
            self.failed.append(e)
        finally:
            connection.close()

    def _ask(self, connection, *request):
        """The status; on another connection when this one was idle, and may be being closed."""
        if time.monotonic() - getattr(connection, "used", 0) > 2:
            connection.close()
        connection.request(*request)
        answer = connection.getresponse()
        answer.read()
        connection.used = time.monotonic()
        return answer.status

    def _send(self, connection, what):
        status = self._ask(connection, "PUT", "/v0.4/traces", what, {
            "Content-Type": "application/msgpack", "X-Datadog-Trace-Count": str(TRACES),
            "Datadog-Send-Real-Http-Status": "1"})
        with self.lock:
            self.counts[status] = self.counts.get(status, 0) + 1

    def _paced(self, connection):
        due, n = time.monotonic(), 0
        while not self.stop.is_set():
            n += 1
            if n % BODIES_PER_S == 0:
                self.pool[n // BODIES_PER_S % len(self.pool)] = body(self.rng)
            if n % (60 * BODIES_PER_S) == 0:
                self.burst.wait()
                for i in range(BURST):
                    self._send(connection, self.pool[i % len(self.pool)])
            self._send(connection, self.pool[n % len(self.pool)])
            due = max(due + 1 / BODIES_PER_S, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
        self.burst.abort()

    def _bursts(self, connection):
        while True:
            self.burst.wait()
            for i in range(BURST):
                self._send(connection, self.pool[i % len(self.pool)])

    def _others(self, connection, path, what, kind):
        while not self.stop.wait(1):
            self._ask(connection, "POST", path, what, {"Content-Type": kind, "DD-Telemetry-Request-Type": "app-heartbeat"})

    def _profiles(self, connection):
        what = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + os.urandom(2 << 20) + b"\r\n--b--\r\n"
        self._others(connection, "/profiling/v1/input", what, "multipart/form-data; boundary=b")

    def _telemetry(self, connection):
        self._others(connection, "/telemetry/proxy/api/v2/apmtelemetry", b'{"x":"' + b"y" * (1 << 20) + b'"}', "application/json")

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(2 * PATIENCE_S)
        if self.failed:
            raise self.failed[0]
        return self.counts


class Stalled(unittest.TestCase):
    def resident(self):
        """(now, highest) in KiB."""
        with open(f"/proc/{self.stack.agent.pid}/status", encoding="utf-8") as f:
            lines = dict(line.split(":", 1) for line in f)
        return int(lines["VmRSS"].split()[0]), int(lines["VmHWM"].split()[0])

    def start(self):
        self.stack = self.enterContext(Stack())
        self.sink = Sink()
        self.addCleanup(self.sink.close)
        here = f"http://127.0.0.1:{self.sink.port}"
        own = dict.fromkeys(("DD_APM_TRACE_WRITER_FLUSH_PERIOD_SECONDS", "DD_FORWARDER_BACKOFF_BASE",
                             "DD_FORWARDER_BACKOFF_MAX", "DD_FORWARDER_STORAGE_MAX_SIZE_IN_BYTES"))
        small = {"DD_FORWARDER_STORAGE_MAX_SIZE_IN_BYTES": "4MiB", "DD_FORWARDER_RETRY_QUEUE_PAYLOADS_MAX_SIZE": "2MiB",
                 "DD_FORWARDER_TIMEOUT": "2"}
        self.stack.start_agent(**(own if SOAK else small), DD_APM_DD_URL=here, DD_FORWARDER_STORAGE_MAX_DISK_RATIO="1",
                               DD_APM_PROFILING_DD_URL=here + "/api/v2/profile", DD_APM_TELEMETRY_DD_URL=here)

    def traces(self):
        return self.stack.agent_status()["forwarder"][0]["traces"]

    def check_books(self, sent):
        """Everything that came in is somewhere."""
        a = self.stack.agent_status()
        self.assertEqual(sent.get(200, 0) * TRACES * SPANS_A_TRACE, a["receiver"]["spans_received"])
        self.assertLessEqual(set(sent), {200, 429})
        self.assertEqual(sent.get(429, 0), sum_of(a["receiver"]["payloads_dropped"]))
        for kind in ("traces", "stats"):
            books = a["forwarder"][0][kind]
            for unit in ("payloads", "items", "chunks", "bytes"):
                out = books["delivered"][unit] + books["queued"][unit] + sum(d[unit] for d in books["dropped"].values())
                self.assertEqual(books["accepted"][unit], out, (kind, unit, books))

    def is_balanced(self):
        n = self.stack.agent_counts()
        return n["received"]["spans"] == n["forwarded"]["spans"] + n["dropped"]["spans"] + n["waiting"]

    def test_with_an_intake_that_never_answers_memory_stays_below_its_cap_and_everything_is_counted(self):
        self.start()
        senders, highest, since = Senders(self.stack.agent_port), 0, time.monotonic()

        wait_until(lambda: f"all budgets are used up: {self.traces()}",
                   lambda: senders.failed or self.traces()["dropped"].get("disk_budget"), seconds=max(PATIENCE_S, STALLED_S),
                   step=0.2)
        print(f"  budgets used up after {time.monotonic() - since:.0f} s, {self.resident()[0]} KiB resident", flush=True)
        for tick in range(int(STALLED_S / TICK_S)):
            if senders.failed or time.monotonic() > since + STALLED_S:
                break
            now, highest = self.resident()
            if not tick % 30:
                print(f"  {time.monotonic() - since:5.0f} s: {now} KiB, at most {highest} KiB", flush=True)
            self.assertLessEqual(highest, LIMIT_KIB)
            time.sleep(TICK_S)

        sent = senders.end()
        wait_until(lambda: f"the rooms are empty: {self.stack.agent_counts()}", self.is_balanced)
        self.assertEqual(0, self.traces()["delivered"]["payloads"])
        self.check_books(sent)
        highest = self.resident()[1]
        if not SANITIZED:
            self.assertLessEqual(highest, LIMIT_KIB)

        self.sink.answering = True
        wait_until(lambda: f"what was held is delivered: {self.traces()}", lambda: not self.traces()["queued"]["payloads"],
                   seconds=4 * PATIENCE_S)
        wait_until("the rooms are empty", self.is_balanced)
        self.check_books(sent)
        f = self.stack.agent_status()["forwarder"][0]
        self.assertGreaterEqual(self.sink.taken, f["traces"]["delivered"]["payloads"])
        self.assertEqual(0, f["disk"]["errors"])
        self.stack.agent.stop()
        print(f"  {sum(sent.values())} bodies: {sent}; {f['traces']['delivered']['items']} spans held and delivered, "
              f"{sum(d['items'] for d in f['traces']['dropped'].values())} dropped; at most {highest} KiB resident")


if __name__ == "__main__":
    unittest.main(verbosity=2)
