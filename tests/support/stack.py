"""The whole path as real processes: a traced program, `sonde agent`, `sonde intake`, and its store.

    with Stack(build_dir) as stack:
        stack.start_intake()
        stack.start_agent()
        load = stack.start_program("traced_load", "2000", "2")
        ...
        stack.await_drained()
        stack.counts(program=load.ask("counters"))

Everything listens on a free port of the loopback and keeps its files in a folder of its own, which is
removed at the end.  A process that should end and does not, or ends with another status than expected
(a sanitizer's report is one), fails the test with the end of its log.  Needs nothing but Python's own
library.

Environment: SONDE_BUILD_DIR names the build tree (build/release), SONDE_SANITIZE what it is instrumented
with, and SONDE_SOAK=1 asks for the long forms.
"""

import fcntl
import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD_DIR = os.environ.get("SONDE_BUILD_DIR", pathlib.Path(__file__).resolve().parents[2] / "build/release")
SANITIZED = os.environ.get("SONDE_SANITIZE", "OFF") != "OFF"
SOAK = os.environ.get("SONDE_SOAK") == "1"
PATIENCE_S = 180  # for what takes a moment, valgrind on a busy machine included: beyond it something hangs
SHORT = None if len(tempfile.gettempdir()) <= 20 else "/tmp"  # paths of sockets have at most 107 bytes

SLICES, SLICE_PORTS, FIRST_PORT = 64, 352, 10240


def own_ports():
    """Ports no other test process asks for while this one lives: a slice, held by the lock of a file."""
    folder = pathlib.Path(tempfile.gettempdir()) / f"sonde-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for i in range(SLICES):
        number = (os.getpid() + i) % SLICES
        held = open(folder / str(number), "w")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.close()
            continue
        first = FIRST_PORT + number * SLICE_PORTS
        return held, itertools.cycle(range(first, first + SLICE_PORTS))
    raise AssertionError(f"{SLICES} test processes run at once")


PORTS_LOCK, PORTS = own_ports()


def free_port():
    """A port nothing listens on.  Others may take it before it is used: this is for tests.

    Below those the kernel gives to outgoing connections, so that none of them takes it meanwhile, and not among those
    of other processes.
    """
    for port in PORTS:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_until(what, condition, seconds=PATIENCE_S, step=0.02):
    """Polls until condition() is true and returns its value; fails with what(), or what, after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up after {seconds} s: {what() if callable(what) else what}")
        time.sleep(step)


def request(port, method, path, body=None, headers=None):
    """One request on a connection of its own: (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get_json(port, path):
    status, body = request(port, "GET", path)
    if status != 200:
        raise AssertionError(f"GET {path}: {status} {body[:200]!r}")
    return json.loads(body)


def post_json(port, path, what):
    status, body = request(port, "POST", path, json.dumps(what), {"Content-Type": "application/json"})
    if status != 200:
        raise AssertionError(f"POST {path}: {status} {body[:200]!r}")
    return json.loads(body)


def sum_of(tree):
    """The sum of all numbers in it."""
    if isinstance(tree, dict):
        return sum(sum_of(v) for v in tree.values())
    if isinstance(tree, list):
        return sum(sum_of(v) for v in tree)
    return tree if isinstance(tree, (int, float)) else 0


class Process:
    """A program with its output in a log, and a line-wise conversation over its standard input."""

    def __init__(self, name, log, arguments, env):
        self.name, self.log = name, log
        self.output = open(log, "ab")
        self.popen = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.output,
                                      env=env)

    @property
    def pid(self):
        return self.popen.pid

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def ask(self, line):
        """Sends a line and returns the JSON object it is answered with."""
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()
        answer = self.popen.stdout.readline()
        if not answer:
            raise AssertionError(f"{self.name} ended instead of answering {line!r}: {self.tail()}")
        return json.loads(answer)

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """kill -9."""
        self.popen.kill()
        self._release(self.popen.wait())

    def stop(self, expect=0):
        """SIGTERM; the process must end by itself and say `expect`."""
        if self.popen.poll() is None:
            self.popen.terminate()
        return self.wait(expect)

    def wait(self, expect=0):
        """Waits for the end; returns what was left of its standard output."""
        try:
            rest, _ = self.popen.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end: {self.tail()}") from None
        self._release(self.popen.returncode)
        if self.popen.returncode != expect:
            raise AssertionError(f"{self.name} ended with {self.popen.returncode}, not {expect}: {self.tail()}")
        return rest

    def _release(self, _status):
        for pipe in (self.popen.stdin, self.popen.stdout, self.output):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class Stack:
    def __init__(self, build_dir=None):
        self.build = pathlib.Path(build_dir or BUILD_DIR)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sonde-stack-", dir=SHORT))
        self.intake_port, self.agent_port = free_port(), free_port()
        self.intake = self.agent = None
        self.processes = []
        self.failed = False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in self.processes:
            if process.popen.poll() is None:
                process.signal(signal.SIGCONT)
                process.kill()
        if kind is None:
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            print(f"logs are kept in {self.dir}")

    # -- processes ----------------------------------------------------------------------------------

    def start(self, name, arguments, env):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "SONDE_"))}
        process = Process(name, self.dir / f"{name}.log", [str(a) for a in arguments], {**clean, **env})
        self.processes.append(process)
        return process

    def _await_answer(self, process, port, path):
        def answers():
            if process.popen.poll() is not None:
                raise AssertionError(f"{process.name} ended while starting: {process.tail()}")
            try:
                return get_json(port, path)
            except OSError:
                return None
        return wait_until(f"{process.name} answers", answers)

    def start_intake(self, **env):
        """On the same store and port as before."""
        self.intake = self.start(
            "intake", [self.build / "bin/sonde", "intake", "--port", self.intake_port, "--data-dir", self.dir / "store"],
            env)
        self._await_answer(self.intake, self.intake_port, "/api/sonde/v1/counters")

    def start_agent(self, *arguments, **env):
        """Sends everything at once and keeps every trace, so that counts can be compared; `env` wins, and what is
        None in it is not set."""
        settings = {
            "DD_API_KEY": "key-of-a-test",
            "DD_APM_DD_URL": f"http://127.0.0.1:{self.intake_port}",
            "DD_APM_RECEIVER_PORT": str(self.agent_port),
            "DD_APM_RECEIVER_SOCKET": "",
            "DD_BIND_HOST": "127.0.0.1",
            "DD_APM_TARGET_TPS": "1000000",
            "DD_APM_TRACE_WRITER_FLUSH_PERIOD_SECONDS": "0.2",
            "DD_FORWARDER_BACKOFF_BASE": "0.2",
            "DD_FORWARDER_BACKOFF_MAX": "1",
            "SONDE_DATA_DIR": str(self.dir / "agent"),
            "DD_FORWARDER_STORAGE_MAX_SIZE_IN_BYTES": "0",  # memory only
        }
        self.agent = self.start("agent", [self.build / "bin/sonde", "agent", *arguments],
                                {k: v for k, v in {**settings, **env}.items() if v is not None})
        self._await_answer(self.agent, self.agent_port, "/info")
        # it answers before all of its rooms are open; the last of them has the last row of the status
        wait_until("the agent's status is whole", lambda: "process" in self.agent_status())

    def start_program(self, name, *arguments, env=None, under=()):
        """A program of the build's test folder, traced by the agent; `under` goes before it (valgrind)."""
        return self.start(name, [*under, self.build / "tests" / name, *arguments], {
            "DD_SERVICE": name, "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{self.agent_port}", **(env or {})})

    # -- what each stage counted ----------------------------------------------------------------------

    def agent_status(self):
        return get_json(self.agent_port, "/sonde/v1/status")

    def intake_counters(self):
        return get_json(self.intake_port, "/api/sonde/v1/counters")

    def agent_counts(self):
        """Spans and chunks received, forwarded, dropped and waiting, of the agent's present life."""
        a = self.agent_status()
        traces = [e["traces"] for e in a["forwarder"]]
        sampled_out = sum(n for fate, n in a["sampler"].items() if fate.startswith("dropped_"))
        reduced = a["sampler"]["spans_seen"] - a["sampler"]["spans_out"]
        return {
            "received": {"spans": a["receiver"]["spans_received"], "chunks": a["receiver"]["traces_received"]},
            "forwarded": {"spans": sum(t["delivered"]["items"] for t in traces),
                          "chunks": sum(t["delivered"]["chunks"] for t in traces)},
            "dropped": {
                "spans": reduced + sum_of(a["processor"]["spans_dropped"]) + sum_of(a["trace_writer"]["spans_dropped"])
                + sum(d["items"] for t in traces for d in t["dropped"].values()),
                "chunks": sum_of(a["receiver"]["traces_dropped"]) + sum_of(a["processor"]["chunks_dropped"]) + sampled_out
                + sum(d["chunks"] for t in traces for d in t["dropped"].values())},
            "waiting": a["queue"]["waiting"] + a["trace_writer"]["spans_waiting"] + sum(t["queued"]["items"] for t in traces),
        }

    def await_drained(self, received=None):
        """Until nothing waits in agent and intake (and so many spans were received); returns agent_counts()."""
        def drained():
            counts, intake = self.agent_counts(), self.intake_counters()
            done = counts["waiting"] == 0 and intake["queued"]["spans"] == 0
            # between two rooms a payload is counted by neither: what came in must have come out
            done = done and counts["received"]["spans"] == counts["forwarded"]["spans"] + counts["dropped"]["spans"]
            return counts if done and (received is None or counts["received"]["spans"] >= received) else None
        return wait_until(lambda: f"everything is delivered: {self.agent_counts()}", drained, step=0.1)

    # -- the store, through the query API ---------------------------------------------------------------

    def stored(self):
        """{low half of the trace id: {span id: how often it is stored}} of everything.

        Exact for spans stored once; one that is stored again can be missed where a page of the search ends.
        """
        traces, cursor = {}, None
        while True:
            page = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
            attributes = {"filter": {"query": "*", "from": "now-6h", "to": "now"}, "sort": "timestamp", "page": page}

            def search():  # it has a deadline of its own, for people: a sanitized intake may take longer
                answer = post_json(self.intake_port, "/api/v2/spans/events/search",
                                   {"data": {"type": "search_request", "attributes": attributes}})
                return answer if answer["meta"]["status"] == "done" else None
            answer = wait_until("the search ends", search)
            for event in answer["data"]:
                span = event["attributes"]
                spans = traces.setdefault(int(span["trace_id"][-16:], 16), {})
                spans[span["span_id"]] = spans.get(span["span_id"], 0) + 1
            cursor = answer["meta"].get("page", {}).get("after")
            if not cursor:
                return traces
