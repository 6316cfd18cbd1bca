"""A traced program whose agent lies: garbage, errors, answers that never come or never end, and wrong ones.

Each door of the agent lies in each manner: what it can do (/info), traces, telemetry, statistics, remote
configuration, flares and the crash socket.  Whatever it does, the threads of the program make no network call and go
on producing, the tracer's books balance, its memory stays below the cap; and what lies at one door costs nothing at
the others.  SONDE_SOAK=1: for half a minute each.
"""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import SANITIZED, SOAK, Stack, sum_of, wait_until

RATE = 400 if SOAK and not SANITIZED else 100  # traces a second of each program, 2.5 spans each
LIE_S = 30 if SOAK else 1  # how long, once every door has lied

BESIDE = 8 << 20  # what a process grows by beyond the memory counted: docs/spec/memory.md

INFO, TRACES, STATS, TELEMETRY, REMOTE, FLARE = (
    "/info", "/v0.4/traces", "/v0.6/stats", "/telemetry/proxy/api/v2/apmtelemetry", "/v0.7/config", "/tracer_flare/v1")
CRASH = "crash socket"

# -- manners ------------------------------------------------------------------------------------------------------

ENDLESS = b"x" * 65536
STATUSES = {"301": 301, "404": 404, "413": 413, "429": 429, "500": 500, "999": 999}
STREAMS = {  # what is sent, and how often its last part; 0: until the other end has enough
    "garbage": ([b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n"], 1),
    "nothing": ([b""], 1),  # hangs up
    "half a head": ([b"HTTP/1.1 200 OK\r\nContent-Le"], 1),
    "half a body": ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"], 1),
    "endless head": ([b"HTTP/1.1 200 OK\r\n", b"X-Long: " + ENDLESS + b"\r\n"], 0),
    "endless body": ([b"HTTP/1.1 200 OK\r\n\r\n", ENDLESS], 0),
    "endless chunks": ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + ENDLESS + b"\r\n"], 0),
    "a length of 2^63": ([b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n", ENDLESS], 0),
    "a negative length": ([b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"], 1),
}
SLOW, NEVER, WRONG = "a byte a second", "never", "wrong answers"
MANNERS = [*STATUSES, *STREAMS, SLOW, NEVER, WRONG]

DEEP = b"[" * 100000
WRONG_BODIES = {
    INFO: [b"{}", b"null", DEEP, b'{"endpoints":7,"client_drop_p0s":"yes","peer_tags":[[[]]],"config":{"statsd_port":1e99}}',
           json.dumps({"filter_tags_regex": {"reject": ["((((", "a" * 100000]}, "ignore_resources": ["(" * 5000] * 100}).encode(),
           json.dumps({"filter_tags": {"reject": ["k:v"] * 100000}}).encode(),
           json.dumps({"endpoints": ["/" + "e" * 1000] * 1000}).encode(), b"\xff\xfe" * 1000],
    TRACES: [b'{"rate_by_service":{"service:,env:":1e999}}', b'{"rate_by_service":[', DEEP,
             json.dumps({"rate_by_service": {f"service:{i},env:": 0.5 for i in range(100000)}}).encode()],
    STATS: [DEEP], TELEMETRY: [DEEP], FLARE: [DEEP],
    REMOTE: [b"[]", DEEP, b'{"targets":"%%%%"}', b'{"targets":"' + base64.b64encode(DEEP) + b'"}',
             b'{"targets":"' + b"QUFB" * 100000 + b'"}',
             json.dumps({"targets": base64.b64encode(b'{"signed":{"version":-1,"targets":{"a":[]}}}').decode(),
                         "client_configs": ["datadog/2/APM_TRACING/" + "x" * 10000 + "/config"] * 100}).encode(),
             json.dumps({"target_files": [{"path": "datadog/2/APM_TRACING/a/config", "raw": "QQ=="}] * 1000,
                         "client_configs": ["datadog/2/APM_TRACING/a/config"]}).encode()],
}
ACK_HEAD = struct.pack("<IHH", 0x31424253, 1, 2)  # SBB1, docs/spec/black-box.md
CRASH_PACKETS = {"garbage": b"garbage", "nothing": None, SLOW: b"S", NEVER: b"", WRONG: ACK_HEAD + b"\xff" * 60000,
                 "404": ACK_HEAD + struct.pack("<I", 404), "429": ACK_HEAD + struct.pack("<I", 4)}


class Agent:
    """Honest but at the doors in `lying`."""

    def __init__(self, folder, manner, lying):
        self.manner, self.lying = manner, lying
        self.path, self.crash_path = folder / "apm.socket", folder / "crash.socket"
        self.mu = threading.Lock()
        self.lies = {door: 0 for door in lying}
        self.wrong = {door: itertools.cycle(bodies) for door, bodies in WRONG_BODIES.items()}
        self.states = itertools.count()
        self.chunks_taken = 0
        self.over = threading.Event()
        self.listeners = [self.listen(self.path, socket.SOCK_STREAM, self.converse),
                          self.listen(self.crash_path, socket.SOCK_SEQPACKET, self.take_box)]

    def listen(self, path, kind, serve):
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(str(path))
        listener.listen(64)

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self.guarded, args=(serve, connection), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return listener

    def close(self):
        self.over.set()
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def guarded(self, serve, connection):
        with connection, contextlib.suppress(OSError, ValueError):
            serve(connection)

    def note_lie(self, door):
        with self.mu:
            self.lies[door] += 1

    # -- requests -----------------------------------------------------------------------------------------------

    def converse(self, connection):
        stream = connection.makefile("rb")
        while line := stream.readline():
            door = line.split()[1].decode()
            head = {}
            while (field := stream.readline().strip()):
                name, _, value = field.partition(b":")
                head[name.lower()] = value.strip()
            stream.read(int(head.get(b"content-length", 0)))
            if door in self.lying:
                self.note_lie(door)
                if not self.lie(connection, door):
                    return
            else:
                self.tell(connection, 200, self.truth(door, head))

    def tell(self, connection, status, body):
        """Each answer says that the agent is another one now, so that /info is asked again."""
        connection.sendall(b"HTTP/1.1 %d X\r\nDatadog-Agent-State: %d\r\nContent-Length: %d\r\n\r\n%s"
                           % (status, next(self.states), len(body), body))

    def truth(self, door, head):
        if door == INFO:
            return json.dumps({"version": "7.65.0", "endpoints": [TRACES, STATS, "/telemetry/proxy/", REMOTE, FLARE],
                               "client_drop_p0s": True, "sonde": {"crash_socket": str(self.crash_path)}}).encode()
        if door == TRACES:
            with self.mu:
                self.chunks_taken += int(head[b"x-datadog-trace-count"])
        return self.flare_task() if door == REMOTE else b"{}"

    def flare_task(self):
        files = {"datadog/2/AGENT_CONFIG/flare-log-level.debug/config": b'{"name":"flare-log-level.debug","config":{"log_level":"debug"}}',
                 "datadog/2/AGENT_TASK/t/config": b'{"task_type":"tracer_flare","uuid":"u","args":{"case_id":"1","hostname":"h","user_handle":"u"}}'}
        targets = {p: {"custom": {"v": 1}, "length": len(raw), "hashes": {"sha256": hashlib.sha256(raw).hexdigest()}}
                   for p, raw in files.items()}
        signed = {"signed": {"version": 1, "custom": {"opaque_backend_state": ""}, "targets": targets}}
        return json.dumps({"targets": base64.b64encode(json.dumps(signed).encode()).decode(), "client_configs": list(files),
                           "target_files": [{"path": p, "raw": base64.b64encode(raw).decode()} for p, raw in files.items()]}).encode()

    def lie(self, connection, door):
        """True when the connection can go on."""
        if self.manner in STATUSES:
            self.tell(connection, STATUSES[self.manner], b'{"error":"no"}')
        elif self.manner == WRONG:
            with self.mu:
                body = next(self.wrong[door])
            self.tell(connection, 200, body)
        elif self.manner == NEVER:
            self.over.wait()
            return False
        elif self.manner == SLOW:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
                connection.sendall(bytes([byte]))
                if self.over.wait(1):
                    return False
        else:
            parts, times = STREAMS[self.manner]
            for part in parts:
                connection.sendall(part)
            while times == 0 and not self.over.is_set():
                connection.sendall(parts[-1])
            return False
        return True

    # -- the crash socket -----------------------------------------------------------------------------------------

    def take_box(self, connection):
        _, descriptors, _, _ = socket.recv_fds(connection, 4096, 4)
        for fd in descriptors:
            os.close(fd)
        if CRASH not in self.lying:
            connection.sendall(ACK_HEAD + struct.pack("<I", 0))
            self.over.wait()
            return
        self.note_lie(CRASH)
        packet = CRASH_PACKETS.get(self.manner, b"garbage")
        if packet:
            connection.sendall(packet)
        if packet is not None:
            self.over.wait()


# -- the program ----------------------------------------------------------------------------------------------------

PARTIES = {  # who lies
    "what it can do": (INFO,),
    "beside traces": (TELEMETRY, FLARE, STATS, CRASH),
    "remote configuration": (REMOTE,),
    "everybody": (INFO, TRACES, STATS, TELEMETRY, REMOTE),
}
AT_THE_STOP = STATS  # sent each ten seconds and at the stop: not waited for


class LyingAgent(unittest.TestCase):
    def start(self, stack, manner, party):
        folder = stack.dir / f"{manner}-{party}".replace(" ", "_")[:40]
        folder.mkdir()
        agent = Agent(folder, manner, PARTIES[party])
        self.addCleanup(agent.close)
        timeout = "1" if TRACES in agent.lying else "5"  # an honest answer must not come too late
        load = stack.start_program("traced_load", RATE, 2, folder / "ids", env={
            "DD_TRACE_AGENT_URL": f"unix://{agent.path}", "DD_TRACE_AGENT_TIMEOUT": timeout, "DD_TRACE_LOG_LEVEL": "off",
            "DD_TELEMETRY_HEARTBEAT_INTERVAL": "0.2", "DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS": "0.2"})
        return agent, load

    def check(self, load, agent, before):
        """The books, the memory, the threads of the program, and what honest doors got."""
        wait_until("the program goes on", lambda: load.ask("counters")["spans_started"] > before["spans_started"])
        c = load.ask("stop")
        load.wait()
        self.assertIn(c["network_calls"], (0, -1))
        self.assertLessEqual(c["memory_peak_bytes"], c["memory_max_bytes"])
        if not SANITIZED:
            self.assertLessEqual(c["hwm_grown_kib"] * 1024, c["memory_peak_bytes"] + BESIDE)
        self.assertEqual(0, c["spans_open"] + c["spans_queued"])
        self.assertEqual(c["spans_started"], c["spans_finished"])
        self.assertEqual(c["spans_finished"], c["spans_delivered"] + sum_of(c["spans_dropped"]))
        self.assertEqual(c["chunks_queued_total"], c["chunks_delivered"] + sum_of(c["chunks_dropped"]))
        if TRACES not in agent.lying:
            self.assertEqual(0, sum_of(c["spans_dropped"]))
            self.assertEqual(c["chunks_delivered"], agent.chunks_taken)
        elif agent.manner != WRONG:  # a wrong answer to traces is still one
            self.assertLessEqual(set(k for k, n in c["spans_dropped"].items() if n),
                                 {"agent_unreachable", "agent_busy", "agent_refused", "stopped", "no_memory"})
            self.assertEqual(0, c["spans_delivered"])
        return c

    def lie(self, manner):
        with Stack() as stack:
            programs = {party: self.start(stack, manner, party) for party in PARTIES}
            before = {party: load.ask("counters") for party, (_, load) in programs.items()}
            for party, (agent, load) in programs.items():
                doors = [d for d in agent.lying if d != AT_THE_STOP]
                wait_until(lambda: f"{party} to lie: {agent.lies}", lambda: all(agent.lies[d] for d in doors))
            time.sleep(LIE_S)
            for party, (agent, load) in programs.items():
                with self.subTest(manner=manner, party=party):
                    c = self.check(load, agent, before[party])
                    print(f"  {manner}, {party}: {c['spans_finished']} spans, {sum_of(c['spans_dropped'])} dropped, "
                          f"peak {c['memory_peak_bytes'] >> 10} KiB, process {c['hwm_grown_kib']} KiB, lies {list(agent.lies.values())}")


def add_test(manner):
    def test(self):
        self.lie(manner)
    setattr(LyingAgent, "test_" + "".join(c if c.isalnum() else "_" for c in manner), test)


for each in MANNERS:
    add_test(each)

if __name__ == "__main__":
    unittest.main(verbosity=2)
