"""What released clients were seen to send, byte for byte, and what they need to be answered: the agent takes it, and
names, ids, tags, priorities and statistics come out at the intake as they went in.

Each client is a row: its method, header lines as written and in order, framing, transport, and its forms of msgpack.
tests/interop runs some of them for real.
"""

import gzip
import json
import struct
import sys
import time
import unittest
import zlib

sys.path.insert(0, sys.path[0] + "/../support")
import wire
from stack import Stack, free_port, get_json, wait_until
from test_doors import FakeIntake
from wire import Forms, ask, request

NOW = time.time_ns() // 256 * 256  # clients in JavaScript tell no finer times
LONG = "a value of more than thirty-one bytes, and then some: " + "x" * 6000

# -- one trace, as every client has it ----------------------------------------------------------------------


def trace(trace_id, priority=1):
    """A request that failed, its statement and an untyped step, in the order they were started."""
    base = {"service": "shop-web", "trace_id": trace_id, "start": NOW, "error": 0}
    return [
        base | {"name": "web.request", "resource": "GET /items/{id}", "type": "web", "span_id": trace_id + 1, "parent_id": 0,
                "duration": 70000, "error": 1,
                "meta": {"env": "prod", "version": "1.2.3", "span.kind": "server", "error.message": "index 7 is out of range",
                         "unicode.tag": "grüße ✓", "long.tag": LONG, "_dd.p.dm": "-1"},
                "metrics": {"_sampling_priority_v1": priority, "http.status_code": 500, "item.weight": 2.5, "below.zero": -3,
                            "large": 1 << 40, "_dd.agent_psr": 1}},
        base | {"name": "pg.query", "resource": "SELECT name FROM items WHERE id = 42", "type": "sql", "span_id": trace_id + 2,
                "parent_id": trace_id + 1, "duration": 255, "meta": {"env": "prod", "span.kind": "client"},
                "metrics": {"_sampling_priority_v1": priority, "db.row_count": 1}},
        base | {"name": "render", "resource": "render", "span_id": trace_id + 3, "parent_id": trace_id + 1, "duration": 0,
                "start": NOW - 256,  # clocks: before its parent
                "meta": {"env": "prod"}, "metrics": {"_sampling_priority_v1": priority}},
    ]


AS_STORED = {"SELECT name FROM items WHERE id = 42": "SELECT name FROM items WHERE id = ?"}

# -- clients ------------------------------------------------------------------------------------------------

JS_ORDER = ("type", "trace_id", "span_id", "parent_id", "name", "resource", "error", "meta", "metrics", "start", "duration",
            "service")
JS = Forms(JS_ORDER, wire.js_text, wire.uint64, lambda n: wire.uint64(n) if n > 1 << 32 else wire.unsigned(n), number=wire.mixed,
           array=wire.array32, tags=wire.map32)
CPP = Forms(text=wire.wide_text, ids=wire.uint64, times=wire.int64, error=wire.int64, array=wire.array32, span=wire.map32,
            tags=wire.map32)
OPENTRACING = Forms(("name", "service", "resource", "type", "start", "duration", "meta", "metrics", "span_id", "trace_id",
                     "parent_id", "error"))
GO = Forms(("name", "service", "resource", "type", "start", "duration", "meta", "metrics", "span_id", "trace_id", "parent_id",
            "error"), ids=wire.unsigned, times=wire.signed, error=wire.signed,
           extra=[("meta_struct", b"\x80"), ("span_links", b"\x90")])
JAVA = Forms(ids=wire.signed, times=wire.signed, error=wire.signed, number=lambda x: wire.signed(int(x))
             if float(x).is_integer() else wire.float64(x))
RUBY = Forms(("span_id", "parent_id", "trace_id", "name", "service", "resource", "type", "meta", "metrics", "meta_struct",
              "error", "start", "duration"), text=wire.binary, times=wire.uint64)
PHP = Forms(array=wire.array32)
PYTHON = Forms(("trace_id", "parent_id", "span_id", "service", "resource", "name", "error", "start", "duration", "type",
                "meta", "metrics"), nil=("parent_id", "type"), number=wire.mixed)
DOTNET = Forms(("trace_id", "span_id", "name", "resource", "service", "type", "start", "duration", "parent_id", "error", "meta",
                "metrics"), extra=[("from_the_future", b"\xc7\x03\x05abc")])  # an ext, behind a key nobody knows
JS_HEAD = ["Content-Type: application/msgpack", "Datadog-Meta-Tracer-Version: 5.132.0", "X-Datadog-Trace-Count: 1",
           "Datadog-Meta-Lang: nodejs", "Datadog-Meta-Lang-Version: v20.20.2", "Datadog-Meta-Lang-Interpreter: v8", "@",
           "Datadog-Entity-ID: in-4026531835", "Host: localhost", "Connection: keep-alive"]

#       label, its language, over the Unix socket, request line, header lines, framing, forms, version
CLIENTS = [
    ("libdatadog", "rust", True, "POST /v0.4/traces HTTP/1.1",
     ["host: 2f7661722f72756e2f64617461646f672f61706d2e736f636b6574", "content-type: application/msgpack",
      "datadog-rates-payload-version: 0", "datadog-meta-lang: rust", "datadog-meta-tracer-version: 1.0.0", "datadog-send-real-http-status: true",
      "x-datadog-trace-count: 1", "user-agent: Libdatadog/24.0.0", "@"], "lower", Forms(), "v04"),
    ("dd-trace-js 5", "nodejs", False, "PUT /v0.4/traces HTTP/1.1", JS_HEAD, "length", JS, "v04"),
    ("dd-trace-js 5, socket", "nodejs", True, "PUT /v0.4/traces HTTP/1.1", JS_HEAD, "length", JS, "v04"),
    ("dd-trace-js 5, v0.5", "nodejs", False, "PUT /v0.5/traces HTTP/1.1", JS_HEAD, "length", JS, "v05"),
    ("dd-trace-cpp", "cpp", False, "POST /v0.4/traces HTTP/1.1",
     ["Host: localhost:8126", "Accept: */*", "Content-Type: application/msgpack", "X-Datadog-Trace-Count: 1",
      "Datadog-Meta-Lang: cpp", "Datadog-Meta-Lang-Version: 201703", "Datadog-Meta-Tracer-Version: v2.2.1", "@"],
     "length", CPP, "v04"),
    ("dd-trace-cpp, large", "cpp", False, "POST /v0.4/traces HTTP/1.1",
     ["Host: localhost:8126", "Accept: */*", "Content-Type: application/msgpack", "X-Datadog-Trace-Count: 1",
      "Datadog-Meta-Lang: cpp", "@", "Expect: 100-continue"], "length", CPP, "v04"),
    ("dd-opentracing-cpp", "cpp", True, "POST /v0.4/traces HTTP/1.1",
     ["Host: localhost", "Accept: */*", "Content-Type: application/msgpack", "Datadog-Meta-Lang: cpp",
      "Datadog-Meta-Lang-Version: 201402", "Datadog-Meta-Tracer-Version: v1.3.6", "X-Datadog-Trace-Count: 1", "@"],
     "length", OPENTRACING, "v04"),
    ("dd-trace-go", "go", True, "POST /v0.4/traces HTTP/1.1",
     ["Host: UDS__var_run_datadog_apm.socket", "User-Agent: Go-http-client/1.1", "@", "Content-Type: application/msgpack",
      "Datadog-Client-Computed-Top-Level: t", "Datadog-Meta-Lang: go", "Datadog-Meta-Lang-Interpreter: gc-amd64-linux",
      "Datadog-Meta-Lang-Version: 1.26.8", "Datadog-Meta-Tracer-Version: v2.12.0", "X-Datadog-Trace-Count: 1",
      "Accept-Encoding: gzip"], "length", GO, "v04"),
    ("dd-trace-java", "java", False, "PUT /v0.4/traces HTTP/1.1",
     ["Datadog-Client-Computed-Top-Level: true", "Datadog-Client-Dropped-P0-Traces: 0", "Datadog-Client-Dropped-P0-Spans: 0",
      "Datadog-Meta-Lang: java", "Datadog-Meta-Lang-Version: 17.0.15", "Datadog-Meta-Lang-Interpreter: OpenJDK 64-Bit Server VM",
      "Datadog-Meta-Lang-Interpreter-Vendor: Debian", "Datadog-Meta-Tracer-Version: 1.50.0~f16",
      "X-Datadog-Trace-Count: 1", "Content-Type: application/msgpack", "@", "Host: localhost:8126", "Connection: Keep-Alive",
      "Accept-Encoding: gzip", "User-Agent: okhttp/3.12.15"], "length", JAVA, "v04"),
    ("dd-trace-java, v0.5", "java", False, "PUT /v0.5/traces HTTP/1.1",
     ["Datadog-Meta-Lang: java", "X-Datadog-Trace-Count: 1", "Content-Type: application/msgpack", "@", "Host: localhost:8126"],
     "length", JAVA, "v05"),
    ("dd-trace-rb", "ruby", False, "POST /v0.4/traces HTTP/1.1",
     ["Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "Accept: */*", "User-Agent: Ruby",
      "Datadog-Meta-Lang: ruby", "Datadog-Meta-Lang-Version: 3.4.1", "Datadog-Meta-Lang-Interpreter: ruby-x86_64-linux",
      "Datadog-Client-Computed-Top-Level: 1", "X-Datadog-Trace-Count: 1", "Content-Type: application/msgpack",
      "Connection: close", "Host: 127.0.0.1:8126", "@"], "length", RUBY, "v04"),
    ("dd-trace-php", "php", False, "POST /v0.4/traces HTTP/1.1",
     ["Host: localhost:8126", "Accept: */*", "Datadog-Meta-Lang: php", "Datadog-Meta-Lang-Version: 8.4.1",
      "Datadog-Meta-Lang-Interpreter: cli-server", "X-Datadog-Trace-Count: 1", "@", "Content-Type: application/msgpack"],
     "chunked", PHP, "v04"),
    ("dd-trace-dotnet", ".NET", False, "POST /v0.4/traces HTTP/1.1",
     ["Host: localhost:8126", "Datadog-Meta-Lang: .NET", "x-datadog-tracing-enabled: false",
      "Datadog-Meta-Tracer-Version: 3.20.0.0", "Datadog-Client-Computed-Top-Level: 1", "X-Datadog-Trace-Count: 1",
      "Content-Type: application/msgpack", "@"], "length", DOTNET, "v04"),
    ("dd-trace-py", "python", True, "PUT /v0.4/traces HTTP/1.1",
     ["Host: ", "Accept-Encoding: identity", "@", "Datadog-Meta-Lang: python", "Datadog-Meta-Lang-Version: 3.11.7",
      "Datadog-Meta-Lang-Interpreter: CPython", "Datadog-Meta-Tracer-Version: 2.21.11",
      "Datadog-Client-Computed-Top-Level: yes", "Content-Type: application/msgpack", "X-Datadog-Trace-Count: 1"],
     "length", PYTHON, "v04"),
]


class Agent(unittest.TestCase):
    """One agent, and an intake that stores, for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack())
        cls.stack.start_intake()
        cls.socket = str(cls.stack.dir / "apm.socket")
        cls.otlp = free_port()
        cls.stack.start_agent(DD_APM_RECEIVER_SOCKET=cls.socket,
                              DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT=f"127.0.0.1:{cls.otlp}")
        cls.port = cls.stack.agent_port
        cls.addClassCleanup(cls.end)

    @classmethod
    def end(cls):
        """The agent stops and hands out what it holds."""
        if cls.stack.agent.popen.poll() is None:
            cls.stack.agent.stop()

    def receiver(self):
        return self.stack.agent_status()["receiver"]

    def stored_spans(self, trace_id, count):
        def whole():
            try:
                spans = get_json(self.stack.intake_port, f"/api/sonde/v1/traces/{trace_id:016x}")["spans"]
            except AssertionError:  # 404
                return None
            return spans if len(spans) == count else None
        return {s["span_id"]: s for s in wait_until(f"the trace {trace_id:x} is stored", whole)}


# -- traces -------------------------------------------------------------------------------------------------


class Traces(Agent):
    def check_span(self, label, sent, got):
        def same(what, a, b):
            self.assertEqual(a, b, (label, sent["name"], what))
        for key in ("service", "name", "error"):
            same(key, sent[key], got[key])
        same("resource", AS_STORED.get(sent["resource"], sent["resource"]), got["resource"])
        same("type", sent.get("type", ""), got["type"])
        same("parent", str(sent["parent_id"]), got["parent_id"])
        same("start", str(sent["start"]), got["start_unix_ns"])
        same("duration", sent["duration"], got["duration_ns"])
        for key, value in sent["meta"].items():
            same(key, value, got["meta"].get(key))
        for key, value in sent["metrics"].items():
            same(key, value, got["metrics"].get(key))
        top_level = 1 if sent["parent_id"] == 0 else None
        same("top level", top_level, got["metrics"].get("_top_level"))

    def test_every_clients_spans_are_stored_as_it_sent_them(self):
        before = self.receiver()
        for i, (label, _, by_socket, line, lines, framing, forms, version) in enumerate(CLIENTS):
            spans = trace(0xF000000000000000 + i * 16)  # ids beyond 2^63 are negative to some
            if "Top-Level" in str(lines):
                spans[0]["metrics"]["_dd.top_level"] = 1
            body = getattr(forms, version)([spans])
            status, headers, answer = ask(self.socket if by_socket else self.port, request(line, lines, body, framing))
            self.assertEqual((status, headers["content-type"]), (200, "application/json"), label)
            self.assertIn("rate_by_service", json.loads(answer), label)
            if "rates-payload-version" not in str(lines):
                self.assertNotIn("datadog-rates-payload-version", headers, label)
            got = self.stored_spans(spans[0]["trace_id"], len(spans))
            for span in spans:
                self.check_span(label, span, got[str(span["span_id"])])
        after = self.receiver()
        self.assertEqual(after["payloads_accepted"] - before["payloads_accepted"], len(CLIENTS))
        self.assertEqual(after["spans_received"] - before["spans_received"], 3 * len(CLIENTS))
        self.assertEqual(sum(after["payloads_dropped"].values()), sum(before["payloads_dropped"].values()))

    def test_one_connection_serves_all_of_them_in_turn(self):
        keeping = [c for c in CLIENTS if "Connection: close" not in c[4]]
        with wire.Connection(self.socket) as connection:
            for i, (label, _, _, line, lines, framing, forms, version) in enumerate(keeping):
                body = getattr(forms, version)([trace(0x7100000000000000 + i * 16)])
                connection.send(request(line, lines, body, framing))
                self.assertEqual(connection.answer()[0], 200, label)

    def test_a_count_of_traces_that_is_wrong_changes_nothing(self):
        for i, count in enumerate(["0", "17", "-1", "many", "", "99999999999999999999"]):
            lines = [line.replace("Trace-Count: 1", f"Trace-Count: {count}") for line in JS_HEAD]
            trace_id = 0x7200000000000000 + i * 16
            status, _, _ = ask(self.port, request("PUT /v0.4/traces HTTP/1.1", lines, JS.v04([trace(trace_id)])))
            self.assertEqual(status, 200, count)
            self.stored_spans(trace_id, 3)

    def test_what_feature_discovery_sends_is_answered_and_goes_nowhere(self):
        """Some clients ask an endpoint for its existence with a list of nothing."""
        before = self.receiver()
        for path, body in [("/v0.3/traces", b"\x90"), ("/v0.4/traces", b"\x90"), ("/v0.4/traces", wire.array32(0)),
                           ("/v0.5/traces", b"\x92\x90\x90"), ("/v0.5/traces", b"\x92\x91\xa0\x90"), ("/v0.7/traces", b"\x80"),
                           ("/v1.0/traces", b"\x80")]:
            for method in "PUT", "POST":
                status, _, answer = ask(self.port, request(f"{method} {path} HTTP/1.1", JS_HEAD, body))
                self.assertEqual(status, 200, (path, answer))
        self.assertEqual(self.receiver()["spans_received"], before["spans_received"])


# -- HTTP as clients, proxies and people write it ---------------------------------------------------------------

MSGPACK = "Content-Type: application/msgpack"
EMPTY = b"\x90"


class Http(Agent):
    def check(self, label, data, status, to=None, to_head=False):
        got, _, body = ask(to or self.port, data, to_head)
        self.assertEqual(got, status, (label, body))
        return body

    def test_a_path_is_known_however_it_is_written(self):
        for target, status in [
                ("/v0.4/traces", 200), ("/v0.4/traces?a=b&c", 200), ("/v0.4/traces?", 200), ("//v0.4/traces", 200),
                ("/./v0.4/../v0.4//traces", 200), ("/v0%2E4/traces", 200), ("http://localhost:8126/v0.4/traces", 200),
                ("http://localhost:8126//v0.4/traces?x=http://y", 200), ("/v0.4/traces/", 404), ("/V0.4/traces", 404),
                ("/v0.4", 404), ("/", 404), ("*", 404), ("/info/", 404), ("//info", 200)]:
            self.check(target, request(f"PUT {target} HTTP/1.1", ["Host: x", MSGPACK, "@"], EMPTY), status)
        body = self.check("nowhere", request("GET /nowhere HTTP/1.1", ["Host: x"]), 404)
        self.assertEqual(body, b"404 page not found\n")

    def test_any_method_will_do(self):
        for method in "PUT", "POST", "GET", "OPTIONS", "DELETE", "PATCH", "PURGE":
            for path in "/v0.4/traces", "/v0.3/services", "/info":
                data = request(f"{method} {path} HTTP/1.1", ["Host: x", MSGPACK, "@"], EMPTY)
                self.assertNotEqual(self.check(method, data, 200), b"", method)
        for path in "/info", "/v0.3/services":
            with wire.Connection(self.port) as connection:
                for line in f"HEAD {path} HTTP/1.1", f"GET {path} HTTP/1.1":
                    connection.send(request(line, ["Host: x"]))
                    status, headers, body = connection.answer(to_head=line.startswith("HEAD"))
                    self.assertEqual((status, len(body) if body else int(headers["content-length"])),
                                     (200, int(headers["content-length"])), line)

    def test_any_host_will_do_over_a_unix_socket(self):
        for host in ("localhost", "", "unix", "localhost:8126", "UDS__var_run_datadog_apm.socket", "/var/run/datadog/apm.socket",
                     "%2Fvar%2Frun%2Fdatadog%2Fapm.socket", "http+unix://%2Fvar%2Frun", "[::1]"):
            data = request("PUT /v0.4/traces HTTP/1.1", [f"Host: {host}", MSGPACK, "@"], EMPTY)
            self.check(host, data, 200, to=self.socket)

    def test_old_and_odd_ways_to_send_a_body(self):
        chunks = b"1;name=value\r\n\x90\r\n0\r\nX-Trailer: 1\r\n\r\n"
        rows = [
            ("HTTP/1.0", b"PUT /v0.4/traces HTTP/1.0\r\nContent-Type: application/msgpack\r\nContent-Length: 1\r\n\r\n\x90"),
            ("no space after the colon, no capital",
             b"PUT /v0.4/traces HTTP/1.1\r\nhost:x\r\ncontent-type:application/msgpack\r\ncontent-length:1\r\n\r\n\x90"),
            ("blanks around values",
             b"PUT /v0.4/traces HTTP/1.1\r\nHost: x\r\nContent-Type: \t application/msgpack \t\r\nContent-Length: 1\r\n\r\n\x90"),
            ("an empty line before", b"\r\nPUT /v0.4/traces HTTP/1.1\r\nHost: x\r\n" + MSGPACK.encode()
             + b"\r\nContent-Length: 1\r\n\r\n\x90"),
            ("chunks with extensions and a trailer", b"PUT /v0.4/traces HTTP/1.1\r\nHost: x\r\n" + MSGPACK.encode()
             + b"\r\nTransfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n" + chunks),
            ("a media type with parameters", request("PUT /v0.4/traces HTTP/1.1", [
                "Host: x", "Content-Type: Application/MsgPack; charset=utf-8", "@"], EMPTY)),
            ("an offer to talk HTTP/2", request("PUT /v0.4/traces HTTP/1.1", [
                "Host: x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA",
                MSGPACK, "@"], EMPTY)),
            ("JSON without a type", request("PUT /v0.4/traces HTTP/1.1", ["Host: x", "@"], b"[]")),
            ("JSON in chunks", request("PUT /v0.4/traces HTTP/1.1", ["Host: x", "Content-Type: text/json", "@"], b"[]", "chunked")),
        ]
        for label, data in rows:
            self.check(label, data, 200)
        with wire.Connection(self.port) as connection:
            connection.send(rows[0][1])
            self.assertEqual(connection.answer()[1]["connection"].lower(), "close")
            self.assertTrue(connection.is_at_end())

    def test_requests_may_follow_without_waiting(self):
        good = request("PUT /v0.4/traces HTTP/1.1", ["Host: x", MSGPACK, "@"], EMPTY)
        bad = request("PUT /v0.4/traces HTTP/1.1", ["Host: x", MSGPACK, "@"], b"\xc1", "chunked")
        with wire.Connection(self.port) as connection:
            connection.send(good + bad + good + request("GET /info HTTP/1.1", ["Host: x"]) + good)
            self.assertEqual([connection.answer()[0] for _ in range(5)], [200, 400, 200, 200, 200])

    def test_a_client_that_asks_first_is_told_to_go_on(self):
        data = request("POST /v0.4/traces HTTP/1.1", ["Host: x", MSGPACK, "@", "Expect: 100-continue"], EMPTY)
        head, _, body = data.partition(b"\r\n\r\n")
        with wire.Connection(self.port) as connection:
            connection.send(head + b"\r\n\r\n")
            self.assertEqual(connection.head()[0], 100)
            connection.send(body)
            self.assertEqual(connection.answer()[0], 200)

    def test_a_packed_body_of_traces_is_no_body(self):
        """Content-Encoding means nothing to these endpoints, as with Datadog's agent."""
        packed = gzip.compress(JS.v04([trace(0x7300000000000000)]))
        for path in "/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/v0.7/traces", "/v1.0/traces":
            lines = ["Host: x", MSGPACK, "Content-Encoding: gzip", "@"]
            self.check(path, request(f"PUT {path} HTTP/1.1", lines, packed), 400)
        self.check("told so, but plain", request("PUT /v0.4/traces HTTP/1.1", lines, EMPTY), 200)


# -- statistics -----------------------------------------------------------------------------------------------

NO_ERRORS = bytes.fromhex("0a1409fd4a815abf52f03f1100000000000000001800120218001a021800210000000000000000")


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def js_sketch(bins, offset):
    """As dd-trace-js writes it: mapping first, one block of 128 counts padded with zeros, the empty store, zeros."""
    counts = struct.pack("<128d", *(bins + [0] * (128 - len(bins))))
    store = b"\x12" + varint(len(counts)) + counts + b"\x18" + varint(offset << 1)
    return (bytes.fromhex("0a1409fd4a815abf52f03f11000000000000000018" "00") + b"\x12" + varint(len(store)) + store
            + bytes.fromhex("1a021800" "210000000000000000"))


class Stats(Agent):
    def js_body(self):
        t, n = wire.js_text, wire.unsigned

        def table(entries):
            return wire.map32(len(entries)) + b"".join(t(k) + v for k, v in entries)
        group = table([
            ("Service", t("node-stats")), ("Name", t("web.request")), ("Resource", t("GET /items/{id}")),
            ("HTTPStatusCode", struct.pack(">BI", 0xCE, 200)), ("Type", t("web")), ("Hits", n(7)), ("Errors", n(0)),
            ("Duration", wire.uint64(7_000_000)), ("OkSummary", wire.binary(js_sketch([3, 4], 690))),
            ("ErrorSummary", wire.binary(NO_ERRORS)), ("Synthetics", b"\xc2"), ("TopLevelHits", n(7)), ("HTTPMethod", t("GET")),
            ("HTTPEndpoint", t("/items/{id}")), ("srv_src", t("")), ("SpanKind", t("server")), ("GRPCStatusCode", t(""))])
        start = time.time_ns() // 10**10 * 10**10
        bucket = table([("Start", wire.uint64(start)), ("Duration", wire.uint64(10**10)), ("Stats", wire.array32(1) + group)])
        return table([
            ("Hostname", t("h1")), ("Env", t("prod")), ("Version", t("1.2.3")), ("Stats", wire.array32(1) + bucket),
            ("Lang", t("javascript")), ("TracerVersion", t("5.132.0")), ("RuntimeID", t("6f1c")), ("Sequence", n(1)),
            ("ProcessTags", t("entrypoint.name:app"))])

    def test_what_dd_trace_js_counted_is_what_the_intake_has(self):
        lines = ["Datadog-Meta-Lang: javascript", "Datadog-Meta-Tracer-Version: 5.132.0", MSGPACK, "@",
                 "Datadog-Entity-ID: in-4026531835", "Host: localhost", "Connection: keep-alive"]
        status, _, answer = ask(self.port, request("PUT /v0.6/stats HTTP/1.1", lines, self.js_body()))
        self.assertEqual((status, answer), (200, b""))
        counted = wait_until("they are counted", lambda: (
            c := self.stack.agent_status()["client_aggregator"])["groups_in"] and c)
        self.assertEqual((counted["groups_in"], counted["hits_in"], counted["hits_counted"], counted["sketches_lost"]),
                         (1, 7, 7, 0))

        self.end()  # else it would wait 20 s for others of that time

        def row():
            answer = get_json(self.stack.intake_port, "/api/sonde/v1/services/node-stats/resources?from=now-1h&to=now")
            return answer["resources"] and answer["resources"][0]
        got = wait_until("they are stored", row)
        self.assertEqual([got[k] for k in ("name", "resource", "type", "span_kind", "hits", "errors", "top_level")],
                         ["web.request", "GET /items/{id}", "web", "server", 7, 0, True])
        self.assertEqual(got["duration_ns"]["avg"], 1_000_000)


# -- remote configuration ----------------------------------------------------------------------------------------

JS_CONFIG = {"client": {
    "state": {"root_version": 1, "targets_version": 0, "config_states": [], "has_error": False, "error": "",
              "backend_client_state": ""},
    "id": "c9e1f6a2-5bf0-4b6a-8c55-6bb0a7a6f0b1", "products": ["APM_TRACING", "AGENT_CONFIG", "AGENT_TASK"],
    "is_tracer": True,
    "client_tracer": {"runtime_id": "6f1c", "language": "node", "tracer_version": "5.132.0", "service": "shop-web",
                      "env": "prod", "app_version": "1.2.3", "extra_services": ["pg"], "tags": ["a:b"],
                      "process_tags": ["entrypoint.name:app"]},
    "capabilities": "IAjkAA=="}, "cached_target_files": []}
CPP_CONFIG = {"client": {
    "capabilities": [0, 0, 0, 0, 32, 8, 144, 0],  # no text
    "client_tracer": {"app_version": "", "env": "prod", "language": "cpp", "runtime_id": "6f1c", "service": "x",
                      "tracer_version": "v2.2.1"},
    "id": "c9e1", "is_tracer": True, "products": ["APM_TRACING"], "state": {"root_version": 1, "targets_version": 0}}}


class RemoteConfiguration(Agent):
    def test_there_is_never_any_however_it_is_asked_for(self):
        rows = [
            ("dd-trace-js", "POST", ["Content-Type: application/json; charset=utf-8", "@", "Datadog-Entity-ID: in-1", "Host: x"],
             JS_CONFIG),
            ("dd-trace-cpp", "POST", ["Host: x", "Accept: */*", "@", "Content-Type: application/json"], CPP_CONFIG),
            ("dd-trace-go", "GET", ["Host: x", "User-Agent: Go-http-client/1.1", "@", "Accept-Encoding: gzip"], JS_CONFIG),
            ("curl", "POST", ["Host: x", "@", "Content-Type: application/x-www-form-urlencoded"], CPP_CONFIG),
        ]
        for label, method, lines, what in rows:
            for framing in "length", "chunked":
                with wire.Connection(self.port) as connection:
                    for _ in range(3):  # for ever, on one connection
                        connection.send(request(f"{method} /v0.7/config HTTP/1.1", lines, json.dumps(what).encode(), framing))
                        status, headers, body = connection.answer()
                        self.assertEqual((status, headers["content-type"], body), (200, "application/json", b"{}"), label)
        self.assertNotIn("/v0.7/config", get_json(self.port, "/info")["endpoints"])


# -- what is passed on ----------------------------------------------------------------------------------------------

ENVELOPE = {"api_version": "v2", "naming_schema_version": "v0", "tracer_time": 1795643353, "runtime_id": "6f1c", "seq_id": 1,
            "application": {"service_name": "s", "env": "prod", "language_name": "nodejs", "process_tags": {"a": "b"}},
            "host": {"hostname": "h", "os": "Linux"}}
JS_TELEMETRY = ["DD-Client-Library-Language: nodejs", "DD-Client-Library-Version: 5.132.0", "content-type: application/json",
                "dd-telemetry-api-version: v2", "dd-telemetry-request-type: {}", "dd-session-id: 6f1c", "@",
                "Datadog-Entity-ID: in-1", "Host: localhost", "Connection: keep-alive"]
CPP_TELEMETRY = ["Host: localhost:8126", "Accept: */*", "Content-Type: application/json", "DD-Telemetry-API-Version: v2",
                 "DD-Client-Library-Language: cpp", "DD-Client-Library-Version: v2.2.1", "DD-Telemetry-Request-Type: {}",
                 "DD-Session-ID: 6f1c", "@"]
#             header lines, type in the head, type in the body
TELEMETRY = [(JS_TELEMETRY, kind, kind) for kind in (
    "app-started", "app-dependencies-loaded", "app-endpoints", "generate-metrics", "sketches", "app-heartbeat",
    "app-of-the-future", "app-closing")] + [(CPP_TELEMETRY, "app-started", "message-batch"),
                                           (CPP_TELEMETRY, "app-closing", "message-batch")]

BOUNDARY = "4f7d4c1e9a3b2c5d"


def profile_body():
    def part(name, kind, data):
        return (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name[0]}"; filename="{name[1]}"\r\n'
                f"Content-Type: {kind}\r\n\r\n").encode() + data + b"\r\n"
    event = json.dumps({"attachments": ["wall.pprof", "space.pprof"], "family": "node", "version": "4",
                        "tags_profiler": "language:javascript,profile_seq:0"}).encode()
    return (part(("event", "event.json"), "application/json", event)
            + part(("wall.pprof", "wall.pprof"), "application/octet-stream", gzip.compress(bytes(range(256)) * 60))
            + part(("space.pprof", "space.pprof"), "application/octet-stream", gzip.compress(b"\x0a\x00"))
            + f"--{BOUNDARY}--\r\n".encode())


class PassedOn(unittest.TestCase):
    def setUp(self):
        self.intake = self.enterContext(FakeIntake())
        self.stack = self.enterContext(Stack())
        to = f"http://127.0.0.1:{self.intake.port}"
        self.stack.start_agent(
            DD_API_KEY="key-of-a-test", DD_APM_DD_URL=to, DD_APM_PROFILING_DD_URL=f"{to}/profile", DD_APM_TELEMETRY_DD_URL=to,
            DD_EVP_PROXY_CONFIG_DD_URL=f"http://localhost:{self.intake.port}", DD_APM_DEBUGGER_DD_URL=f"{to}/logs",
            DD_APM_DEBUGGER_DIAGNOSTICS_DD_URL=f"{to}/diagnostics", DD_APM_SYMDB_DD_URL=f"{to}/symdb")
        self.port = self.stack.agent_port
        self.addCleanup(self.stack.agent.stop)

    def only_one(self):
        """What came to the intake since the last call: lower-case headers."""
        wait_until("it is passed on", lambda: self.intake.got)
        (path, headers, body), = self.intake.got
        self.intake.got.clear()
        self.assertEqual({k.lower(): v for k, v in headers.items()}["dd-api-key"], "key-of-a-test")
        return path, {k.lower(): v for k, v in headers.items()}, body

    def test_telemetry_of_every_type_arrives_as_it_was_sent(self):
        for lines, head_type, body_type in TELEMETRY:
            body = json.dumps(ENVELOPE | {"request_type": body_type, "payload": {}}).encode()
            data = request("POST /telemetry/proxy/api/v2/apmtelemetry HTTP/1.1", [line.format(head_type) for line in lines], body)
            status, _, answer = ask(self.port, data)
            self.assertEqual((status, answer), (200, b"{}"), body_type)
            path, headers, got = self.only_one()
            self.assertEqual((path, got), ("/api/v2/apmtelemetry", body), body_type)
            self.assertEqual(headers["dd-telemetry-request-type"], head_type)
            self.assertEqual((headers["dd-telemetry-api-version"], headers["dd-session-id"]), ("v2", "6f1c"))
            self.assertEqual(headers["content-type"], "application/json")
            self.assertIn("dd-agent-hostname", headers)

    def test_a_profile_in_chunks_arrives_whole(self):
        body = profile_body()
        lines = ["DD-EVP-ORIGIN: dd-trace-js", "DD-EVP-ORIGIN-VERSION: 5.132.0",
                 f"Content-Type: multipart/form-data; boundary={BOUNDARY}", "Datadog-Entity-ID: in-1", "Host: localhost",
                 "Connection: keep-alive", "@"]
        status, _, _ = ask(self.port, request("POST /profiling/v1/input HTTP/1.1", lines, body, "chunked"))
        self.assertEqual(status, 200)
        path, headers, got = self.only_one()
        self.assertEqual((path, got), ("/profile", body))
        self.assertEqual(headers["content-type"], f"multipart/form-data; boundary={BOUNDARY}")
        self.assertEqual((headers["dd-evp-origin"], headers["dd-evp-origin-version"]), ("dd-trace-js", "5.132.0"))
        self.assertEqual(headers["content-length"], str(len(body)))
        self.assertNotIn("transfer-encoding", headers)
        self.assertTrue(headers["x-datadog-additional-tags"].startswith("host:"))

    def test_events_and_pipeline_statistics_arrive_as_they_were_sent(self):
        event = b'[{"ml_app":"shop","spans":[]}]'
        status, _, _ = ask(self.port, request("POST /evp_proxy/v2/api/v2/llmobs HTTP/1.1", [
            "Content-Type: application/json", "X-Datadog-EVP-Subdomain: llmobs-intake", "@", "Datadog-Entity-ID: in-1",
            "Host: localhost"], event))
        self.assertEqual(status, 202)
        path, headers, got = self.only_one()
        self.assertEqual((path, got, headers["host"].split(".")[0]), ("/api/v2/llmobs", event, "llmobs-intake"))

        packed = gzip.compress(b"\x84\xa3Env\xa4prod")
        status, _, _ = ask(self.port, request("POST /v0.1/pipeline_stats HTTP/1.1", [
            "Datadog-Meta-Lang: javascript", "Datadog-Meta-Tracer-Version: 5.132.0", MSGPACK, "Content-Encoding: gzip", "@",
            "Host: localhost"], packed))
        self.assertEqual(status, 202)
        path, headers, got = self.only_one()
        self.assertEqual((path, got, headers["content-encoding"]), ("/api/v0.1/pipeline_stats", packed, "gzip"))

    def test_without_a_dogstatsd_clients_are_told_to_try_again_later(self):
        """503 and not 404: with 404 dd-trace-js sends datagrams for ever.  A body is larger than any datagram."""
        lines = b"runtime.node.cpu.user:45.34|g|#service:shop-web,env:test|c:in-1\n" * 480
        for path in "/dogstatsd/v2/proxy", "/dogstatsd/v1/proxy":
            status, _, _ = ask(self.port, request(f"POST {path} HTTP/1.1", ["@", "Datadog-Entity-ID: in-1", "Host: x"], lines))
            self.assertEqual(status, 503)


# -- OpenTelemetry's exporters --------------------------------------------------------------------------------------


def field(n, data):
    """Of protobuf: bytes, or a varint for a number."""
    return varint(n << 3 | 2) + varint(len(data)) + data if isinstance(data, bytes) else varint(n << 3) + varint(data)


def fixed64(n, value):
    return varint(n << 3 | 1) + struct.pack("<Q", value)


def pb_text(key, value):
    return field(1, key.encode()) + field(2, field(1, value.encode()))


def pb_export(high, low):
    """Child before parent, as spans end; optional fields that are there and empty."""
    trace_id = struct.pack(">QQ", high, low)

    def span(span_id, parent, name, kind, attributes, more=b""):
        return field(2, field(1, trace_id) + field(2, struct.pack(">Q", span_id))
                     + (field(4, struct.pack(">Q", parent)) if parent else b"") + field(5, name.encode()) + field(6, kind)
                     + fixed64(7, NOW) + fixed64(8, NOW + 70000) + b"".join(field(9, a) for a in attributes) + more
                     + field(10, 0) + field(12, 0) + field(14, 0))
    retries = field(1, b"retries") + field(2, field(3, 3))
    spans = (span(low + 2, low + 1, "SELECT items", 3, [pb_text("db.system", "postgresql"), retries,
                                                        pb_text("db.query.text", "SELECT * FROM items WHERE id = 42")],
                  field(15, field(3, 2)))
             + span(low + 1, 0, "handle", 2, [pb_text("http.request.method", "GET"), pb_text("http.route", "/items/{id}")],
                    field(15, b"")))
    resource = field(1, field(1, pb_text("service.name", "otel-shop")) + field(1, pb_text("deployment.environment", "prod"))
                     + field(2, 0))
    return field(1, resource + field(2, field(1, field(1, b"scope") + field(2, b"1.2")) + spans))


def json_export(high, low, numbers=str, span_id="{:016x}".format, kinds=(3, 2), codes=(2, 0)):
    """As OpenTelemetry's JavaScript has it; with other values the freedoms that JSON of protobuf leaves."""
    def text(key, value):
        return {"key": key, "value": {"stringValue": value}}

    def span(own, parent, name, kind, code, attributes):
        return {"traceId": span_id(high) + span_id(low), "spanId": span_id(own), "parentSpanId": parent and span_id(parent) or "",
                "name": name, "kind": kind, "startTimeUnixNano": numbers(NOW), "endTimeUnixNano": numbers(NOW + 70000),
                "attributes": attributes, "droppedAttributesCount": 0, "events": [], "droppedEventsCount": 0,
                "status": {"code": code}, "links": [], "droppedLinksCount": 0, "flags": 257}
    spans = [span(low + 2, low + 1, "SELECT items", kinds[0], codes[0], [
                 text("db.system", "postgresql"), {"key": "retries", "value": {"intValue": 3 if numbers is str else "3"}},
                 text("db.query.text", "SELECT * FROM items WHERE id = 42")]),
             span(low + 1, 0, "handle", kinds[1], codes[1], [
                 text("http.request.method", "GET"), text("http.route", "/items/{id}")])]
    return json.dumps({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "otel-shop"), text("deployment.environment", "prod")],
                     "droppedAttributesCount": 0},
        "scopeSpans": [{"scope": {"name": "scope", "version": "1.2"}, "spans": spans}]}]}).encode()


PB, JSON = "application/x-protobuf", "application/json"


def upper(n):
    return f"{n:016X}"


#                label, media type, encoding, framing, header lines, body
EXPORTERS = [
    ("JavaScript", PB, None, "chunked", ["User-Agent: OTel-OTLP-Exporter-JavaScript/0.223.0", "Connection: keep-alive"], pb_export),
    ("JavaScript, gzip", PB, "gzip", "chunked", ["User-Agent: OTel-OTLP-Exporter-JavaScript/0.223.0"], pb_export),
    ("JavaScript, JSON", JSON, None, "chunked", ["User-Agent: OTel-OTLP-Exporter-JavaScript/0.223.0"], json_export),
    ("JavaScript, JSON, gzip", JSON, "gzip", "chunked", [], json_export),
    ("Java", PB, "gzip", "chunked", ["User-Agent: OTel-OTLP-Exporter-Java/1.68.0", "Accept-Encoding: gzip, identity"], pb_export),
    ("Go", PB, "gzip", "length", ["User-Agent: OTel OTLP Exporter Go/1.38.0", "Accept-Encoding: gzip"], pb_export),
    ("Python", PB, "deflate", "length", ["User-Agent: OTel-OTLP-Exporter-Python/1.45.2", "Accept: */*"], pb_export),
    ("C++", PB, None, "length", ["Accept: */*", "Expect: 100-continue"], pb_export),
    ("Rust", PB, None, "lower", ["accept: */*"], pb_export),
    ("with parameters", JSON + "; charset=utf-8", None, "length", [], json_export),
    ("times as numbers, integers as text", JSON, None, "length", [], lambda h, n: json_export(h, n, int)),
    ("ids in capitals", JSON, None, "length", [], lambda h, n: json_export(h, n, span_id=upper)),
    ("enumerations by name", JSON, None, "length", [], lambda h, n: json_export(
        h, n, kinds=("SPAN_KIND_CLIENT", "SPAN_KIND_SERVER"), codes=("STATUS_CODE_ERROR", "STATUS_CODE_UNSET"))),
]


class Exporters(Agent):
    def post(self, kind, encoding, framing, lines, body):
        packed = {None: lambda b: b, "gzip": gzip.compress, "deflate": zlib.compress}[encoding](body)
        lines = [f"Host: localhost:{self.otlp}", f"Content-Type: {kind}", *lines, "@"]
        return ask(self.otlp, request("POST /v1/traces HTTP/1.1",
                                      lines + ([f"Content-Encoding: {encoding}"] if encoding else []), packed, framing))

    def test_every_exporters_spans_are_stored(self):
        for i, (label, kind, encoding, framing, lines, make) in enumerate(EXPORTERS):
            high, low = 0xF123456789ABCDEF, 0xE000000000000000 + i * 16
            status, headers, answer = self.post(kind, encoding, framing, lines, make(high, low))
            self.assertEqual((status, headers["content-type"], answer),
                             (200, kind.split(";")[0], b"{}" if JSON in kind else b""), label)
            spans = self.stored_spans(low, 2)
            handle, select = spans[str(low + 1)], spans[str(low + 2)]
            for span in handle, select:
                self.assertEqual((span["service"], span["env"], span["start_unix_ns"], span["duration_ns"]),
                                 ("otel-shop", "prod", str(NOW), 70000), label)
                self.assertEqual((span["meta"]["otel.trace_id"], span["meta"]["otel.library.name"]),
                                 (f"{high:016x}{low:016x}", "scope"), label)
            self.assertEqual([handle[k] for k in ("name", "resource", "type", "error", "parent_id")],
                             ["http.server.request", "GET /items/{id}", "web", 0, "0"], label)
            self.assertEqual([select[k] for k in ("name", "resource", "type", "error", "parent_id")],
                             ["postgresql.query", "SELECT * FROM items WHERE id = ?", "sql", 1, str(low + 1)], label)
            self.assertEqual(select["metrics"]["retries"], 3, label)

    def test_a_request_of_nothing_is_taken(self):
        for kind, body, answer in [(PB, b"", b""), (PB, field(1, b""), b""), (JSON, b"{}", b"{}"),
                                   (JSON, b'{"resourceSpans":[]}', b"{}"), (JSON, b'{"resourceSpans":null}', b"{}")]:
            for framing in "length", "chunked":
                status, headers, got = self.post(kind, None, framing, [], body)
                self.assertEqual((status, headers["content-type"], got), (200, kind, answer), body)

    def test_what_it_has_no_room_for_does_not_exist(self):
        for path in "/v1/metrics", "/v1/logs", "/v1/profiles", "/":
            status, _, _ = ask(self.otlp, request(f"POST {path} HTTP/1.1", ["Host: x", f"Content-Type: {PB}", "@"], b"", "chunked"))
            self.assertEqual(status, 404, path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
