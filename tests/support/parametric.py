"""One scenario of a conformance suite: an agent that keeps what it is sent, and sonde-parametric.

    with Scenario({"DD_SERVICE": "web"}) as s:
        with s.span("op", resource="GET /") as span:
            s.set_meta(span, "k", "v")
        s.flush()
        s.find("op")["meta"]["k"]

The agent answers /info as a recent one does, or as `info` says; unsampled traces are dropped by the tracer then,
unless a scenario switches statistics off.  Everything is on the loopback.  Needs nothing but Python's own library.
"""

import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import threading

from stack import BUILD_DIR, PATIENCE_S, free_port, wait_until

INFO = {
    "version": "test",
    "endpoints": ["/v0.4/traces", "/v0.5/traces", "/v0.7/traces", "/v0.6/stats", "/telemetry/proxy/", "/v0.7/config",
                  "/tracer_flare/v1", "/evp_proxy/v2/", "/evp_proxy/v4/"],
    "feature_flags": [],
    "config": {},
    "client_drop_p0s": True,
    "peer_tags": ["db.name", "mongodb.db", "messaging.system"],
    "span_events": True,
}


# -- msgpack --------------------------------------------------------------------------------------------------


class Unpacker:
    """What msgpack says, as Python values; anything malformed raises."""

    FIXED = {0xc0: None, 0xc2: False, 0xc3: True}
    NUMBERS = {0xca: ">f", 0xcb: ">d", 0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q", 0xd0: ">b", 0xd1: ">h",
               0xd2: ">i", 0xd3: ">q"}
    SIZES = {0xc4: ">B", 0xc5: ">H", 0xc6: ">I", 0xd9: ">B", 0xda: ">H", 0xdb: ">I", 0xdc: ">H", 0xdd: ">I",
             0xde: ">H", 0xdf: ">I"}

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("msgpack ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self):
        tag = self.take(1)[0]
        if tag <= 0x7f:
            return tag
        if tag >= 0xe0:
            return tag - 256
        if tag <= 0x8f:
            return self.map(tag & 15)
        if tag <= 0x9f:
            return self.array(tag & 15)
        if tag <= 0xbf:
            return self.take(tag & 31).decode()
        if tag in self.FIXED:
            return self.FIXED[tag]
        if tag in self.NUMBERS:
            return self.number(self.NUMBERS[tag])
        size = self.number(self.SIZES[tag])
        if tag >= 0xde:
            return self.map(size)
        if tag >= 0xdc:
            return self.array(size)
        data = self.take(size)
        return data.decode() if tag >= 0xd9 else data

    def map(self, n):
        return {self.value(): self.value() for _ in range(n)}

    def array(self, n):
        return [self.value() for _ in range(n)]


def unpack(data):
    unpacker = Unpacker(data)
    value = unpacker.value()
    if unpacker.at != len(data):
        raise ValueError("msgpack goes on behind its end")
    return value


# -- the agent ------------------------------------------------------------------------------------------------


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body


class FakeAgent(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, info=INFO, rates=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.info, self.rates = info, rates
        self.mu = threading.Lock()
        self.kept = []  # of Request
        self.remote = {}  # path -> the configuration, as JSON
        self.has_remote = False  # there was one, now or before
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()

    def requests(self, path):
        with self.mu:
            return [r for r in self.kept if r.path == path]

    def traces(self):
        """{128-bit trace id or its low half: [span]}, in the order in which they came."""
        found = {}
        for request in self.requests("/v0.4/traces"):
            chunks = unpack(request.body)
            if int(request.headers["X-Datadog-Trace-Count"]) != len(chunks):
                raise AssertionError("X-Datadog-Trace-Count does not say how many chunks there are")
            for chunk in chunks:
                for span in chunk:
                    found.setdefault(span["trace_id"], []).append(span)
        return found

    def stats(self):
        return [unpack(r.body) for r in self.requests("/v0.6/stats")]

    def telemetry(self):
        """Events in the order in which they came, batches taken apart."""
        events = []
        for request in self.requests("/telemetry/proxy/api/v2/apmtelemetry"):
            event = json.loads(request.body)
            events += event["payload"] if event["request_type"] == "message-batch" else [event]
        return events

    def set_remote(self, product, config_id, what):
        """What a poll answers from now on; None takes a configuration away."""
        path = f"datadog/2/{product}/{config_id}/config"
        with self.mu:
            self.has_remote = True
            self.remote.pop(path, None)
            if what is not None:
                self.remote[path] = json.dumps(what).encode()

    def config_answer(self):
        targets = {path: {"custom": {"v": 1}, "hashes": {"sha256": hashlib.sha256(raw).hexdigest()}, "length": len(raw)}
                   for path, raw in self.remote.items()}
        signed = {"signed": {"custom": {"opaque_backend_state": ""}, "targets": targets, "version": len(self.kept)}}
        return {
            "targets": base64.b64encode(json.dumps(signed).encode()).decode(),
            "target_files": [{"path": p, "raw": base64.b64encode(raw).decode()} for p, raw in self.remote.items()],
            "client_configs": list(self.remote),
        }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self):
        if self.path == "/info":
            return self.server.info
        if self.path == "/v0.7/config":
            return self.server.config_answer() if self.server.has_remote else {}
        if self.path.startswith("/v0.4/") and self.server.rates:
            return {"rate_by_service": self.server.rates}
        return {}

    def do_GET(self):
        with self.server.mu:
            self.server.kept.append(Request(self.path, self.headers, self.body()))
            answer = self.answer()
        data = json.dumps(answer or {}).encode()
        self.send_response(200 if answer is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


# -- the program ----------------------------------------------------------------------------------------------


class Refused(AssertionError):
    def __init__(self, status, body):
        super().__init__(f"{status} {body!r}")
        self.status, self.body = status, body


class Scenario:
    """A `with` of it starts both; the end stops the program with SIGTERM, which has to work."""

    def __init__(self, env=None, info=INFO, rates=None, arguments=(), start=True):
        self.env, self.arguments, self.start_now = env or {}, arguments, start
        self.info, self.rates = info, rates
        self.process = None

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.dir = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="sonde-parametric-")))
        self.agent = FakeAgent(self.info, self.rates)
        self.stack.callback(self.agent.close)
        if self.start_now:
            self.start()
        return self

    def __exit__(self, kind, value, trace):
        try:
            if self.process and self.process.poll() is None:
                self.stop(check=kind is None)
        finally:
            self.stack.close()

    def start(self):
        self.port = free_port()
        env = {
            "PATH": os.environ.get("PATH", ""),
            "DD_TRACE_DEBUG": "true",
            "DD_TRACE_STATS_COMPUTATION_ENABLED": "true",  # the agent's version is no version
            "DD_TRACE_AGENT_URL": self.agent.url,
            "DD_AGENT_HOST": "127.0.0.1",
            "DD_TRACE_AGENT_PORT": str(self.agent.server_address[1]),
            "DD_TRACE_OTEL_ENABLED": "true",
            "APM_TEST_CLIENT_SERVER_PORT": str(self.port),
        }
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        env.update(self.env)
        env = {k: str(v) for k, v in env.items() if v is not None}
        program = pathlib.Path(BUILD_DIR) / "bin/sonde-parametric"
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([program, *self.arguments], env=env, cwd=self.dir, stdout=log, stderr=log)
        wait_until(self.log, self.is_ready)

    def is_ready(self):
        try:
            return self.raw("GET", "/not-an-endpoint")[0] == 404
        except OSError:
            if self.process.poll() is not None:
                raise AssertionError(f"sonde-parametric ended: {self.log()}") from None
            return False

    def stop(self, check=True):
        self.process.terminate()
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"SIGTERM did not end it: {self.log()}") from None
        if check and status != 0:
            raise AssertionError(f"sonde-parametric ended with {status}: {self.log()}")

    def log(self):
        return (self.dir / "log").read_text(errors="replace")

    def raw(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, path, what=None, method="POST"):
        status, body = self.raw(method, path, json.dumps(what) if what is not None else None)
        if status != 200:
            raise Refused(status, body)
        return json.loads(body)

    def get(self, path, what=None):
        return self.call(path, what, "GET")

    # -- spans ------------------------------------------------------------------------------------------------

    def start_span(self, name, parent=None, tags=(), **fields):
        return self.call("/trace/span/start", {"name": name, "parent_id": parent, "span_tags": list(tags),
                                               "service": None, "resource": None, "type": None, **fields})["span_id"]

    @contextlib.contextmanager
    def span(self, name, parent=None, tags=(), **fields):
        span = self.start_span(name, parent, tags, **fields)
        yield span
        self.finish(span)

    def finish(self, span):
        self.call("/trace/span/finish", {"span_id": span})

    def set_meta(self, span, key, value):
        self.call("/trace/span/set_meta", {"span_id": span, "key": key, "value": value})

    def set_metric(self, span, key, value):
        self.call("/trace/span/set_metric", {"span_id": span, "key": key, "value": value})

    def inject(self, span):
        return dict(self.call("/trace/span/inject_headers", {"span_id": span})["http_headers"])

    def extract(self, headers):
        return self.call("/trace/span/extract_headers", {"http_headers": headers})["span_id"]

    def propagate(self, headers):
        """Headers that a child of the received context sends on."""
        with self.span("op", self.extract(headers)) as span:
            return self.inject(span)

    @contextlib.contextmanager
    def otel_span(self, name, end=True, **fields):
        answer = self.call("/trace/otel/start_span", {"name": name, "timestamp": None, "parent_id": None, "span_kind": None,
                                                      "links": [], "events": [], "attributes": {}, **fields})
        yield answer["span_id"]
        if end:
            self.call("/trace/otel/end_span", {"id": answer["span_id"], "timestamp": None})

    def otel(self, what, **fields):
        return self.call(f"/trace/otel/{what}", fields)

    def config(self):
        return self.get("/trace/config")["config"]

    # -- what came --------------------------------------------------------------------------------------------

    def flush(self):
        self.call("/trace/span/flush", {})
        self.call("/trace/stats/flush", {})

    def spans(self):
        return [span for trace in self.agent.traces().values() for span in trace]

    def find(self, name):
        """The one span of that name that came."""
        spans = [s for s in self.spans() if s["name"] == name]
        if len(spans) != 1:
            raise AssertionError(f"{len(spans)} spans are called {name}, of {[s['name'] for s in self.spans()]}")
        return spans[0]

    def only(self):
        spans = self.spans()
        if len(spans) != 1:
            raise AssertionError(f"{len(spans)} spans came, not 1: {[s['name'] for s in spans]}")
        return spans[0]

    def groups(self):
        """The groups of all statistics that came."""
        return [g for payload in self.agent.stats() for bucket in payload["Stats"] for g in bucket["Stats"]]


def tracestate(header):
    """[(key, value)] of a tracestate."""
    return [tuple(member.split("=", 1)) for member in re.split(r"\s*,\s*", header) if member]


def dd_member(header):
    """{sub-key: value} of the member dd."""
    return dict(item.split(":", 1) for item in dict(tracestate(header)).get("dd", "").split(";") if item)
