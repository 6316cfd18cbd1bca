"""What the agent sends, read by protoc with the published schemas; what the intake reads, with fields nobody knows in it.

Every format of the receiver carries everything it can, and in each of its maps keys from the future.
"""

import codecs
import json
import pathlib
import re
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from bad_intake import BadIntake, fields, varint
from stack import Stack, free_port, post_json, request, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTOS = ROOT / "common/codec/proto"
NOW = time.time_ns()

# -- msgpack, by hand ---------------------------------------------------------------------------------


class Raw(bytes):
    """Bytes that are msgpack already."""


def pack(v):
    if isinstance(v, Raw):
        return bytes(v)
    if v is None or isinstance(v, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[v]
    if isinstance(v, int):
        return b"\xd3" + struct.pack(">q", v) if v < 0 else b"\xcf" + struct.pack(">Q", v)
    if isinstance(v, float):
        return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, str):
        return b"\xdb" + struct.pack(">I", len(v.encode())) + v.encode()
    if isinstance(v, bytes):
        return b"\xc6" + struct.pack(">I", len(v)) + v
    if isinstance(v, dict):
        return b"\xdf" + struct.pack(">I", len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())
    return b"\xdd" + struct.pack(">I", len(v)) + b"".join(map(pack, v))


def unpack(data, at=0):
    """(value, where it ends)."""
    tag = data[at]
    at += 1
    if tag < 0x80 or tag >= 0xe0:
        return tag - (256 if tag >= 0xe0 else 0), at
    if tag in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[tag], at
    if 0xca <= tag <= 0xd3:
        form = ">" + {0xca: "f", 0xcb: "d", 0xcc: "B", 0xcd: "H", 0xce: "I", 0xcf: "Q", 0xd0: "b", 0xd1: "h", 0xd2: "i",
                      0xd3: "q"}[tag]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    if tag < 0xc0:
        kind, n = (("map", tag & 15), ("array", tag & 15), ("str", tag & 31), ("str", tag & 31))[(tag >> 4) - 8]
    else:
        kind, width = {0xc4: ("bin", 1), 0xc5: ("bin", 2), 0xc6: ("bin", 4), 0xd9: ("str", 1), 0xda: ("str", 2),
                       0xdb: ("str", 4), 0xdc: ("array", 2), 0xdd: ("array", 4), 0xde: ("map", 2), 0xdf: ("map", 4)}[tag]
        n, at = int.from_bytes(data[at:at + width], "big"), at + width
    if kind in ("str", "bin"):
        return data[at:at + n].decode() if kind == "str" else data[at:at + n], at + n
    items = []
    for _ in range(n * (2 if kind == "map" else 1)):
        item, at = unpack(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if kind == "map" else items), at


FUTURE = {"a": [1, -1, None, b"\x01", 2.5, True, {"b": "c"}], "ext": Raw(b"\xd6\x05abcd")}
NEW = {"zz_new": FUTURE, "zz_newer": "text"}  # keys of a map in a later version
NEW_V10 = {99: FUTURE, 100: 7}

# -- one span, in every format ---------------------------------------------------------------------------

BLOB = b"\x81\xa1k\x01"
LINK = {"trace_id": 11, "trace_id_high": 12, "span_id": 13, "attributes": {"la": "lb"}, "tracestate": "dd=s:1", "flags": 1}
EVENT = {"time_unix_nano": NOW, "name": "event", "attributes": {
    "text": {"type": 0, "string_value": "x"}, "yes": {"type": 1, "bool_value": True}, "int": {"type": 2, "int_value": -3},
    "number": {"type": 3, "double_value": 0.5},
    "list": {"type": 4, "array_value": {"values": [{"type": 2, "int_value": 1}, {"type": 0, "string_value": "y"}]}}}}


def with_new(value):
    """The same with keys nobody knows in it, but not in maps of the user's."""
    event = {**EVENT, **NEW, "attributes": {k: {**v, **NEW} for k, v in EVENT["attributes"].items()}}
    return {**value, **NEW, "span_links": [{**LINK, **NEW}], "span_events": [event]} if "span_links" in value else {**value, **NEW}


def span(trace, everything=True):
    rest = {"meta_struct": {"blob": BLOB}, "span_links": [LINK], "span_events": [EVENT]} if everything else {}
    return {"service": "wire", "name": "wire.op", "resource": "GET /wire", "type": "web", "trace_id": trace, "span_id": trace + 1,
            "parent_id": 0, "start": NOW, "duration": 1500, "error": 1, "meta": {"k": "v", "env": "prod"},
            "metrics": {"n": 1.5, "_sampling_priority_v1": 2}, **rest}


def v04(trace):
    return [[with_new(span(trace))]]


def v05(trace):
    s = span(trace)
    table = ["", "wire", "wire.op", "GET /wire", "web", "k", "v", "env", "prod", "n", "_sampling_priority_v1"]
    return [table, [[[1, 2, 3, trace, trace + 1, 0, s["start"], s["duration"], 1, {5: 6, 7: 8}, {9: 1.5, 10: 2}, 4]]]]


def v07(trace):
    chunk = {"priority": 2, "origin": "rum", "spans": [with_new(span(trace))], "tags": {"ck": "cv"}, "dropped_trace": False}
    return {"container_id": "ci", "language_name": "go", "language_version": "1.22", "tracer_version": "2.0", "runtime_id": "rid",
            "chunks": [{**chunk, **NEW}], "tags": {"pk": "pv"}, "env": "prod", "hostname": "pod", "app_version": "7", **NEW}


def v10(trace):
    link = {1: struct.pack(">QQ", 12, 11), 2: 13, 3: ["la", 1, "lb"], 4: "dd=s:1", 5: 1, **NEW_V10}
    event = {1: NOW, 2: "event", 3: ["text", 1, "x", "yes", 2, True, "int", 4, -3, "number", 3, 0.5, "list", 6, [4, 1, 1, "y"]],
             **NEW_V10}
    one = {1: "wire", 2: "wire.op", 3: "GET /wire", 4: trace + 1, 5: 0, 6: NOW, 7: 1500, 8: True,
           9: ["k", 1, "v", "n", 3, 1.5, "blob", 5, BLOB], 10: "web", 11: [link], 12: [event], 13: "prod", 14: "8", 15: "comp", 16: 2,
           **NEW_V10}
    chunk = {1: 2, 2: "rum", 3: ["ck", 1, "cv"], 4: [one], 5: False, 6: struct.pack(">QQ", 5, trace), 7: 4, **NEW_V10}
    return {2: "ci", 3: "go", 4: "1.22", 5: "2.0", 6: "rid", 7: "prod", 8: "pod", 9: "7", 10: ["pk", 1, "pv"], 11: [chunk], **NEW_V10}


def as_json(trace):
    s = {k: v for k, v in span(trace).items() if k != "meta_struct"}
    new = {"zz_new": {"a": [1, None, True, {"b": "c"}]}, "zz_newer": "text"}
    event = {**EVENT, **new, "attributes": {k: {**v, **new} for k, v in EVENT["attributes"].items()}}
    return [[{**s, **new, "span_links": [{**LINK, **new}], "span_events": [event]}]]


def otlp(trace):
    one = {"traceId": f"{trace:032x}", "spanId": f"{trace + 1:016x}", "name": "wire.op", "kind": 2, "startTimeUnixNano": str(NOW),
           "endTimeUnixNano": str(NOW + 1500), "status": {"code": 2, "zzNew": {}}, "zzNew": [1, {"a": None}],
           "attributes": [{"key": k, "value": {"stringValue": v}, "zzNew": 1} for k, v in
                          (("k", "v"), ("operation.name", "wire.op"), ("resource.name", "GET /wire"))]
           + [{"key": "n", "value": {"doubleValue": 1.5, "zzNew": 1}}]}
    return {"resourceSpans": [{"resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "wire"}},
        {"key": "deployment.environment.name", "value": {"stringValue": "prod"}}], "zzNew": 1},
        "scopeSpans": [{"spans": [one], "zzNew": {}}], "zzNew": "x"}], "zzNew": 1}


STATS = {"Hostname": "h", "Env": "prod", "Version": "1", "Lang": "go", "TracerVersion": "2", "RuntimeID": "rid", "Sequence": 1,
         "Service": "wire", **NEW, "Stats": [{"Start": NOW // 10**10 * 10**10, "Duration": 10**10, **NEW, "Stats": [{
             "Service": "wire", "Name": "wire.op", "Resource": "GET /wire", "HTTPStatusCode": 200, "Type": "web", "Hits": 3, "Errors": 1,
             "Duration": 4500, "TopLevelHits": 3, "SpanKind": "server", "PeerTags": ["db.name:a"], "IsTraceRoot": 1, **NEW,
             "OkSummary": bytes.fromhex("0a0909fd4a815abf52f03f120d1208000000000000f03f18e40a1a00"),
             "ErrorSummary": bytes.fromhex("0a0909fd4a815abf52f03f12001a00")}]}]}

FORMATS = {  # name: (path, media type, body of a trace, trace)
    "v0.4": ("/v0.4/traces", "application/msgpack", lambda t: pack(v04(t)), 100),
    "v0.3": ("/v0.3/traces", "application/msgpack", lambda t: pack(v04(t)), 200),
    "v0.5": ("/v0.5/traces", "application/msgpack", lambda t: pack(v05(t)), 300),
    "v0.7": ("/v0.7/traces", "application/msgpack", lambda t: pack(v07(t)), 400),
    "v1.0": ("/v1.0/traces", "application/msgpack", lambda t: pack(v10(t)), 500),
    "JSON": ("/v0.4/traces", "application/json", lambda t: json.dumps(as_json(t)), 600),
    "v0.1": ("/v0.1/spans", "application/json", lambda t: json.dumps(as_json(t)[0]), 700),
    "OTLP": ("/v1/traces", "application/json", lambda t: json.dumps(otlp(t)), 800),
}

# -- what protoc says ------------------------------------------------------------------------------------


def protoc(message, file, data):
    done = subprocess.run(["protoc", f"--decode={message}", f"-I{PROTOS}", file], input=data, capture_output=True, check=True)
    return parse(done.stdout.decode())


def parse(text):
    """protoc's text as {field: [value]}; messages are of the same form, texts and bytes are bytes."""
    stack = [{}]
    for line in map(str.strip, text.splitlines()):
        if line == "}":
            stack.pop()
        elif line.endswith("{"):
            stack.append(stack[-1].setdefault(line[:-2], []) or stack[-1][line[:-2]])
            stack[-1].append({})
            stack[-1] = stack[-1][-1]
        elif line:
            name, _, value = line.partition(": ")
            value = codecs.escape_decode(value[1:-1])[0] if value[0] == '"' else value
            stack[-1].setdefault(name, []).append(value)
    return stack[0]


def strangers(tree):
    """Fields that have a number instead of a name."""
    for name, values in tree.items():
        if name.isdigit():
            yield name
        for v in values:
            if isinstance(v, dict):
                yield from strangers(v)


def one(tree, name, default=None):
    return tree.get(name, [default])[-1]


def map_of(tree, name):
    return {one(e, "key", b"").decode(): one(e, "value", b"") for e in tree.get(name, [])}


class Wire(unittest.TestCase):
    def setUp(self):
        try:
            subprocess.run(["protoc", "--version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("no protoc")
        self.stack = self.enterContext(Stack())

    def send_everything(self):
        """What the intake of Datadog would get: (AgentPayloads, statistics)."""
        intake = BadIntake()
        self.addCleanup(intake.close)
        http = free_port()
        self.stack.start_agent(DD_APM_MODE="edge", DD_APM_ENABLE_RARE_SAMPLER="true", DD_ENV="agent-env", DD_HOSTNAME="agent-host",
                               DD_APM_ERROR_TPS="7", DD_APM_DD_URL=f"http://127.0.0.1:{intake.port}", DD_APM_TRACE_WRITER_FLUSH_PERIOD_SECONDS="0.05",
                               DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT=f"127.0.0.1:{http}")
        for name, (path, kind, body, trace) in FORMATS.items():
            status, answer = request(http if name == "OTLP" else self.stack.agent_port, "POST", path, body(trace),
                                     {"Content-Type": kind})
            self.assertEqual(200, status, f"{name}: {answer}")
        status, answer = request(self.stack.agent_port, "POST", "/v0.6/stats", pack(STATS))
        self.assertEqual(200, status, answer)
        wait_until("every trace is there", lambda: len(intake.acknowledged) == len(FORMATS))
        self.stack.agent.stop()  # and statistics are sent
        return ([plain for target, plain in intake.bodies if target.endswith("/traces")],
                [plain for target, plain in intake.bodies if target.endswith("/stats")])


class Sent(Wire):
    def test_everything_sent_decodes_with_the_schemas_and_is_what_came_in(self):
        bodies, stats = self.send_everything()
        payloads = [protoc("datadog.trace.AgentPayload", "agent_payload.proto", body) for body in bodies]
        found = {}
        for payload in payloads:
            self.assertEqual([], list(strangers(payload)))
            self.assertEqual([b"agent-host", b"agent-env", "1000000", "7", "true"], [one(payload, f) for f in (
                "hostName", "env", "targetTPS", "errorTPS", "rareSamplerEnabled")])
            self.assertEqual({"_dd.apm_mode": b"edge"}, map_of(payload, "tags"))
            for tracer in payload["tracerPayloads"]:
                for chunk in tracer["chunks"]:
                    found[int(one(chunk["spans"][0], "traceID"))] = (tracer, chunk, chunk["spans"][0])
        self.assertEqual({trace for *_, trace in FORMATS.values()}, set(found))
        for name, (*_, trace) in FORMATS.items():
            with self.subTest(name):
                self.check_span(name, found[trace][2], trace)
                if name in ("v0.7", "v1.0"):
                    self.check_payload(*found[trace][:2])
        self.check_stats(stats)

    def check_span(self, name, s, trace):
        self.assertEqual([b"wire", b"wire.op", b"GET /wire", b"web"], [one(s, f) for f in ("service", "name", "resource", "type")])
        self.assertEqual([trace + 1, NOW, 1500, 1], [int(one(s, f)) for f in ("spanID", "start", "duration", "error")])
        meta, metrics = map_of(s, "meta"), map_of(s, "metrics")
        self.assertEqual((b"v", b"prod", "1.5"), (meta["k"], meta["env"], metrics["n"]))
        if name == "v1.0":
            self.assertEqual({"version": b"8", "component": b"comp", "span.kind": b"server", "_dd.p.tid": b"0000000000000005",
                              "_dd.p.dm": b"-4"}, {k: meta[k] for k in ("version", "component", "span.kind", "_dd.p.tid", "_dd.p.dm")})
        if name in ("v0.5", "OTLP"):
            return
        if name not in ("JSON", "v0.1"):
            self.assertEqual({"blob": BLOB}, map_of(s, "meta_struct"))
        link, event = one(s, "spanLinks"), one(s, "spanEvents")
        self.assertEqual(["11", "12", "13"], [one(link, f) for f in ("traceID", "traceID_high", "spanID")])
        self.assertEqual(({"la": b"lb"}, b"dd=s:1", 1), (map_of(link, "attributes"), one(link, "tracestate"),
                                                         int(one(link, "flags")) & 0x7fffffff))
        self.assertEqual((str(NOW), b"event"), (one(event, "time_unix_nano"), one(event, "name")))
        values = map_of(event, "attributes")
        self.assertEqual({"text": b"x", "yes": "true", "int": "-3", "number": "0.5"},
                         {k: one(values[k], f) for k, f in (("text", "string_value"), ("yes", "bool_value"), ("int", "int_value"),
                                                            ("number", "double_value"))})
        self.assertEqual(["BOOL_VALUE", "INT_VALUE", "DOUBLE_VALUE", "ARRAY_VALUE"],
                         [one(values[k], "type") for k in ("yes", "int", "number", "list")])
        items = one(values["list"], "array_value")["values"]
        self.assertEqual(("1", b"y"), (one(items[0], "int_value"), one(items[1], "string_value")))

    def check_payload(self, tracer, chunk):
        self.assertEqual([b"ci", b"go", b"1.22", b"2.0", b"rid", b"prod", b"pod", b"7"],
                         [one(tracer, f) for f in ("containerID", "languageName", "languageVersion", "tracerVersion", "runtimeID", "env",
                                                   "hostname", "appVersion")])
        self.assertEqual(b"pv", map_of(tracer, "tags")["pk"])
        self.assertEqual(("2", b"rum", b"cv"), (one(chunk, "priority"), one(chunk, "origin"), map_of(chunk, "tags")["ck"]))

    def check_stats(self, bodies):
        """msgpack on the wire; the schema has its names, and the sketches inside are protobuf."""
        payload = {"AgentHostname", "AgentEnv", "Stats", "AgentVersion", "ClientComputed", "SplitPayload"}
        client = {"Hostname", "Env", "Version", "Stats", "Lang", "TracerVersion", "RuntimeID", "Sequence", "AgentAggregation", "Service",
                  "ContainerID", "Tags", "GitCommitSha", "ImageTag", "ProcessTagsHash", "ProcessTags"}
        bucket = {"Start", "Duration", "Stats", "AgentTimeShift"}
        group = {"Service", "Name", "Resource", "HTTPStatusCode", "Type", "DBType", "Hits", "Errors", "Duration", "OkSummary",
                 "ErrorSummary", "Synthetics", "TopLevelHits", "SpanKind", "PeerTags", "IsTraceRoot", "GRPCStatusCode", "HTTPMethod",
                 "HTTPEndpoint", "srv_src", "SpanDerivedPrimaryTags", "AdditionalMetricTags"}
        computed = hits = 0
        for body in bodies:
            p, end = unpack(body)
            self.assertEqual(len(body), end)
            self.assertLessEqual(set(p), payload)
            for c in p["Stats"]:
                self.assertLessEqual(set(c), client)
                for b in c["Stats"]:
                    self.assertLessEqual(set(b), bucket)
                    for g in b["Stats"]:
                        self.assertLessEqual(set(g), group)
                        for summary in (g["OkSummary"], g["ErrorSummary"]):
                            self.assertEqual([], list(strangers(protoc(self.sketch(), "ddsketch.proto", summary))))
                        computed += g["Hits"] if p.get("ClientComputed") else 0
                        hits += 0 if p.get("ClientComputed") else g["Hits"]
        self.assertEqual((3, len(FORMATS)), (computed, hits))

    def sketch(self):
        package = re.search(r"(?m)^package ([\w.]+);", (PROTOS / "ddsketch.proto").read_text())
        return (package[1] + "." if package else "") + "DDSketch"


# -- the schemas themselves ------------------------------------------------------------------------------

STATS_FIELDS = {  # as Datadog numbers them
    "StatsPayload": "agentHostname agentEnv stats agentVersion clientComputed splitPayload",
    "ClientStatsPayload": "hostname env version stats lang tracerVersion runtimeID sequence agentAggregation service containerID tags "
                          "git_commit_sha image_tag process_tags_hash process_tags",
    "ClientStatsBucket": "start duration stats agentTimeShift",
    "ClientGroupedStats": "service name resource HTTP_status_code type DB_type hits errors duration okSummary errorSummary synthetics "
                          "topLevelHits - span_kind peer_tags is_trace_root GRPC_status_code HTTP_method HTTP_endpoint service_source "
                          "span_derived_primary_tags additional_metric_tags",
}


class Schemas(unittest.TestCase):
    def numbers(self, file):
        """{message: {number: name}}."""
        messages = {}
        for message, body in re.findall(r"(?ms)^message (\w+) \{(.*?)^\}", (PROTOS / file).read_text()):
            body = re.sub(r"(?s)enum \w+ \{.*?\}", "", body)
            messages[message] = {int(n): name for name, n in re.findall(r"(\w+) = (\d+);", body)}
        return messages

    def test_the_schema_of_traces_has_the_numbers_of_its_page(self):
        page = (ROOT / "docs/spec/agent-payload.md").read_text()
        rows = dict(re.findall(r"(?m)^\| ([\w.]+) \| (1 .*) \|$", page))
        plain, idx = self.numbers("agent_payload.proto"), self.numbers("idx_payload.proto")
        for message in ("AgentPayload", "TracerPayload", "TraceChunk", "Span", "SpanLink", "SpanEvent", "ContainerDebug",
                        "idx.TracerPayload", "idx.TraceChunk", "idx.Span", "idx.SpanLink", "idx.SpanEvent"):
            with self.subTest(message):
                said = {int(n): name for n, name in re.findall(r"(?:^|· )(\d+) (\w+)", rows[message])}
                schema = idx[message[4:]] if message.startswith("idx.") else plain[message]
                self.assertEqual(schema, said)

    def test_the_schema_of_statistics_has_datadogs_numbers(self):
        schema = self.numbers("stats.proto")
        for message, names in STATS_FIELDS.items():
            with self.subTest(message):
                self.assertEqual({i + 1: n for i, n in enumerate(names.split()) if n != "-"}, schema[message])


# -- fields from the future, on the way in ------------------------------------------------------------------

NESTED = {"payload": {5: "tracer", 6: "entry"}, "tracer": {6: "chunk", 7: "entry"}, "chunk": {3: "span", 4: "entry"},
          "span": {10: "entry", 11: "entry", 13: "entry", 14: "link", 15: "event"}, "link": {4: "entry"}, "event": {3: "entry"},
          "entry": {}}
STRANGERS = b"\xf8\x01\x05" b"\xc2\x3e\x03new" b"\xc9\x3e" + b"\x07" * 8 + b"\xcd\x3e" + b"\x07" * 4  # one of each wire type


def put_varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def with_strangers(data, kind="payload"):
    """The message with unknown fields before, between and behind its own, and those of the messages in it."""
    out, at = STRANGERS, 0
    while at < len(data):
        start = at
        key, at = varint(data, at)
        if key & 7 != 2:
            at = {0: lambda: varint(data, at)[1], 1: lambda: at + 8, 5: lambda: at + 4}[key & 7]()
            out += data[start:at] + STRANGERS
            continue
        length, at = varint(data, at)
        body, at = data[at:at + length], at + length
        inner = NESTED[kind].get(key >> 3)
        body = with_strangers(body, inner) if inner else body
        out += put_varint(key) + put_varint(len(body)) + body + STRANGERS
    return out


class Received(Wire):
    def test_fields_from_the_future_change_nothing_that_is_known(self):
        bodies, _ = self.send_everything()
        self.stack.start_intake()
        spans = 0
        for body in bodies:
            strange = with_strangers(body)
            self.assertGreater(len(list(fields(strange))), len(list(fields(body))))
            for what in (body, strange):
                status, answer = request(self.stack.intake_port, "POST", "/api/v0.2/traces", what,
                                         {"DD-Api-Key": "k", "Content-Type": "application/x-protobuf"})
                self.assertEqual(200, status, answer)
        found = self.stored()
        for trace, events in found.items():
            with self.subTest(trace):
                self.assertEqual(2, len(events))
                self.assertEqual(events[0], events[1])
                self.assertEqual("wire", events[0]["service"])
            spans += len(events)
        self.assertEqual(2 * len(FORMATS), spans)

    def stored(self):
        attributes = {"filter": {"query": "*", "from": "now-6h", "to": "now"}, "sort": "timestamp", "page": {"limit": 1000}}

        def search():
            answer = post_json(self.stack.intake_port, "/api/v2/spans/events/search",
                               {"data": {"type": "search_request", "attributes": attributes}})
            return answer if answer["meta"]["status"] == "done" else None
        found = {}
        for event in wait_until("the search ends", search)["data"]:
            found.setdefault(event["attributes"]["trace_id"], []).append(event["attributes"])
        return found


if __name__ == "__main__":
    unittest.main(verbosity=2)
