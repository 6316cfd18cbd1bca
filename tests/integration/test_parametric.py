"""sonde-parametric, endpoint by endpoint, and what libtrace does behind it, as conformance suites look at it.

Spans and headers; what else passes between libtrace and an agent is in test_parametric_agent.py.
`python3 test_parametric.py otel` runs those whose name has that word.
"""

import json
import signal
import socket
import sys
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from parametric import INFO, Refused, Scenario, dd_member, tracestate
from parametric_cases import CASES, case, run_cases, same
from stack import SANITIZED, wait_until

NO_STATS = {"DD_TRACE_STATS_COMPUTATION_ENABLED": "false"}
BOTH = {"DD_TRACE_PROPAGATION_STYLE": "tracecontext,datadog"}
TP = "00-12345678901234567890123456789012-1234567890123456-01"
TP_0 = TP[:-1] + "0"


def refused(status, function, *arguments):
    try:
        function(*arguments)
    except Refused as e:
        same(e.status, status)
        assert json.loads(e.body)["error"]
    else:
        raise AssertionError(f"was not refused with {status}")


# -- the process ----------------------------------------------------------------------------------------------


@case(arguments=["-Darg=value", "--x"])
def process_ignores_arguments_and_answers_404_for_unknown_paths(s):
    for method, path in (("GET", "/"), ("GET", "/non-existent"), ("POST", "/ffe/start"), ("POST", "/metrics/otel/get_meter")):
        same(s.raw(method, path, "{}" if method == "POST" else None)[0], 404)


@case()
def process_refuses_bad_input_and_lives_on(s):
    start = "/trace/span/start"
    same(s.raw("POST", start, "{")[0], 400)
    same(s.raw("POST", start, "[]")[0], 400)
    same(s.raw("POST", start, b"\xff\xfe")[0], 400)
    same(s.raw("POST", start, "[" * 100)[0], 400)
    same(s.raw("POST", start, " " * (1 << 20) + "{}")[0], 413)
    refused(422, s.call, start, {"parent_id": 1})
    refused(422, s.call, start, {"name": 5})
    refused(422, s.call, "/trace/span/finish", {})
    refused(422, s.call, "/trace/span/finish", {"span_id": {}})
    refused(422, s.call, "/trace/span/finish", {"span_id": "12x"})
    refused(422, s.call, "/trace/span/finish", {"span_id": 1 << 64})
    refused(404, s.call, "/trace/span/finish", {"span_id": (1 << 64) - 1})
    refused(404, s.call, "/trace/otel/is_recording", {"span_id": 12345})
    refused(422, s.call, "/trace/span/extract_headers", {"http_headers": [["a"]]})
    with s.span("after"):
        pass
    s.flush()
    s.find("after")


@case(start=False)
def process_starts_and_stops_though_the_agent_hangs(s):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        s.env = {"DD_TRACE_AGENT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
                 "DD_TRACE_AGENT_TIMEOUT": "1000"}  # longer than anybody waits here
        s.start()
        with s.span("op"):
            pass
        s.stop()


@case()
def process_is_what_it_says_it_is(s):
    s.flush()
    with s.span("op"):
        pass
    s.flush()
    request = s.agent.requests("/v0.4/traces")[0]
    same(request.headers["Datadog-Meta-Lang"], "c")
    same(s.only()["meta"]["language"], "c")


@case({"SONDE_TEST_LANGUAGE": "cpp", "SONDE_TEST_TRACER_VERSION": "9.9.9"})
def process_presents_itself_as_another_library(s):
    with s.span("op"):
        pass
    s.flush()
    request = s.agent.requests("/v0.4/traces")[0]
    same((request.headers["Datadog-Meta-Lang"], request.headers["Datadog-Meta-Tracer-Version"]), ("cpp", "9.9.9"))
    same(s.only()["meta"]["language"], "cpp")
    stats = s.agent.stats()[0]
    same((stats["Lang"], stats["TracerVersion"]), ("cpp", "9.9.9"))


def crash(s):
    try:
        s.raw("GET", "/trace/crash")
        raise AssertionError("it answered")
    except OSError:
        pass
    assert s.process.wait(60) in ([1, 66, -signal.SIGSEGV] if SANITIZED else [-signal.SIGSEGV])  # sanitizers end it themselves
    return [log for e in s.agent.telemetry() if e["request_type"] == "logs" for log in e["payload"]["logs"]]


@case({"DD_CRASHTRACKING_ENABLED": "false"})
def process_crashes_when_asked(s):
    same([log for log in crash(s) if "si_signo" in log["tags"]], [])


@case({"DD_CRASHTRACKING_ENABLED": "true", "DD_SERVICE": "svc"})
def process_reports_that_it_crashed(s):
    if SANITIZED:  # the profiler does not start beside sanitizers
        return
    for _ in range(5):  # four seconds for a report, which a busy machine may need for other things
        logs = crash(s)
        if logs and logs[-1]["is_crash"]:
            break
        s.start()
    ping, report = logs[-2:]
    assert "is_crash_ping:true" in ping["tags"].split(",")
    tags = dict(item.split(":") for item in report["tags"].split(","))
    same((tags["si_signo"], tags["is_crash"]), ("11", "true"))
    said = json.loads(report["message"])
    same(said["error"]["is_crash"], True)
    assert "service:svc" in said["metadata"]["tags"]
    assert "control_crash" in [f.get("function") for f in said["error"]["stack"]["frames"]]


@case({"DD_CRASHTRACKING_ENABLED": "true"}, start=False)
def process_that_crashed_does_not_wait_for_an_agent_that_hangs(s):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        s.env = {**s.env, "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        s.start()
        same(crash(s), [])


@case({"DD_TRACE_AGENT_URL": "http://127.0.0.1:1"})
def process_says_that_the_agent_is_away(s):
    same(s.get("/trace/agent/ensure_agent_info")["ready"], False)
    with s.span("op"):
        pass
    s.flush()
    assert "DATADOG TRACER CONFIGURATION - {" in s.log()
    assert "DATADOG TRACER DIAGNOSTIC - Agent not reachable at http://127.0.0.1:1" in s.log()


@case()
def process_knows_the_agent_before_the_first_span(s):
    assert s.agent.requests("/info")
    same(s.get("/trace/agent/ensure_agent_info"), {"ready": True})


@case({"DD_TRACE_ENABLED": "false"})
def process_with_tracing_off_still_hands_out_ids(s):
    with s.span("op") as span:
        assert span > 0
        same(s.get("/trace/span/current"), {"span_id": 0, "trace_id": 0})
        same(s.inject(span), {})
        s.set_meta(span, "a", "b")
    s.flush()
    same(s.spans(), [])


# -- spans ----------------------------------------------------------------------------------------------------


@case({"DD_SERVICE": "svc"})
def span_start_takes_every_field(s):
    with s.span("parent") as p:
        with s.span("child", p, [("hello", "monkeys"), ("num", "1")], service="s2", resource="r", type="web") as c:
            pass
    s.flush()
    child = s.find("child")
    same([child[k] for k in ("service", "resource", "type", "parent_id", "span_id")], ["s2", "r", "web", p, c])
    same((child["meta"]["hello"], child["meta"]["num"]), ("monkeys", "1"))
    parent = s.find("parent")
    same([parent[k] for k in ("service", "resource", "type", "parent_id")], ["svc", "parent", "", 0])


@case({"DD_SERVICE": "svc"})
def span_start_takes_empty_and_zero_as_not_given(s):
    with s.span("op", 0, service="", resource="", type=""):
        with s.span("root", 0):
            pass
    s.flush()
    same([s.find("op")[k] for k in ("service", "resource")], ["svc", "op"])
    same(s.find("root")["parent_id"], 0)


@case()
def span_ids_may_be_numbers_and_texts(s):
    with s.span("a") as a:
        with s.span("b", str(a)) as b:
            with s.span("c", hex(b)):
                s.set_meta(hex(a), "k", "v")
    s.flush()
    same(s.find("b")["parent_id"], a)
    same(s.find("c")["parent_id"], b)
    same(s.find("a")["meta"]["k"], "v")


@case()
def span_children_start_after_the_parent_was_finished_and_sent(s):
    with s.span("a") as a:
        pass
    s.flush()
    with s.span("b", a):
        pass
    s.flush()
    same(s.find("b")["parent_id"], a)
    same(s.find("b")["trace_id"], s.find("a")["trace_id"])


@case()
def span_tags_have_types(s):
    with s.span("op") as span:
        for key, value in {"t": "x", "yes": True, "no": False, "list": ["a", ["b", "c"]], "gone": "x", "big": (1 << 53) + 1, "huge": 1 << 70,
                           "http.status_code": 200}.items():
            s.set_meta(span, key, value)
        s.set_metric(span, "m", 1)
        s.set_metric(span, "f", 1.5)
        s.set_metric(span, "ns", [1, 2])
        s.set_metric(span, "gonem", 3)
        s.set_meta(span, "gone", None)
        s.set_metric(span, "gonem", None)
        s.call("/trace/span/set_resource", {"span_id": span, "resource": "new"})
    s.flush()
    got = s.only()
    for key, value in {"t": "x", "yes": "true", "no": "false", "list.0": "a", "list.1.0": "b", "list.1.1": "c",
                       "big": str((1 << 53) + 1), "huge": str(1 << 70), "http.status_code": "200"}.items():
        same(got["meta"].get(key), value)
    for key, value in {"m": 1, "f": 1.5, "ns.0": 1, "ns.1": 2}.items():
        same(got["metrics"].get(key), value)
    assert "gone" not in got["meta"] and "gonem" not in got["metrics"]
    same(got["resource"], "new")


@case()
def span_special_tags_act(s):
    with s.span("op", tags=[("service.name", "s2"), ("resource.name", "r2"), ("span.type", "t2"), ("analytics.event", "true")]):
        pass
    s.flush()
    got = s.only()
    same([got[k] for k in ("service", "resource", "type")], ["s2", "r2", "t2"])
    same(got["metrics"]["_dd1.sr.eausr"], 1)
    assert "service.name" not in got["meta"]


@case()
def span_error_sets_the_three_texts(s):
    with s.span("op") as span:
        s.call("/trace/span/error", {"span_id": span, "type": "T", "message": "M", "stack": "S"})
    s.flush()
    got = s.only()
    same([got["error"]] + [got["meta"][f"error.{k}"] for k in ("type", "message", "stack")], [1, "T", "M", "S"])


@case()
def span_finish_is_final(s):
    with s.span("op") as span:
        pass
    s.set_meta(span, "late", "x")
    s.finish(span)
    s.flush()
    assert "late" not in s.only()["meta"]


@case()
def span_current_follows_start_and_finish(s):
    def current():
        return s.get("/trace/span/current")["span_id"]
    same(current(), 0)
    with s.span("a") as a:
        same(current(), a)
        with s.span("b", a) as b:
            same(current(), b)
            with s.span("root") as root:
                same(current(), root)
                with s.span("c", b) as c:
                    same(current(), c)
                same(current(), b)  # the parent, though the root was the one before
            same(current(), b)
        same(current(), a)
    same(s.get("/trace/span/current"), {"span_id": 0, "trace_id": 0})


@case()
def span_links_lead_to_spans_and_contexts(s):
    context = s.extract([["traceparent", TP], ["tracestate", "foo=1,dd=s:2;t.dm:-4"]])
    with s.span("a") as a:
        pass
    with s.span("b") as b:
        for to, attributes in ((a, {"k": "v", "n": [1, [True, "x"]]}), (context, None)):
            s.call("/trace/span/add_link", {"span_id": b, "parent_id": to, "attributes": attributes})
        refused(404, s.call, "/trace/span/add_link", {"span_id": b, "parent_id": 99})
    s.flush()
    first, second = s.find("b")["span_links"]
    same(first["attributes"], {"k": "v", "n.0": "1", "n.1.0": "true", "n.1.1": "x"})
    same((first["trace_id"], first["span_id"], first["flags"]), (s.find("a")["trace_id"], a, 0x80000001))
    same((second["trace_id_high"], second["trace_id"], second["span_id"]),
         (0x1234567890123456, 0x7890123456789012, 0x1234567890123456))
    same(second["flags"], 0x80000001)
    same((dict(tracestate(second["tracestate"]))["foo"], dd_member(second["tracestate"])["t.dm"]), ("1", "-4"))


@case()
def span_events_are_native_where_the_agent_takes_them(s):
    with s.span("op") as span:
        s.call("/trace/span/add_event", {"span_id": span, "name": "e", "timestamp": 1700000000000000001, "attributes": {
            "s": "x", "b": True, "i": 1, "d": 1.5, "l": ["p", "q"], "mixed": [1, "x"], "nested": [["a"]], "big": 2 << 65, "small": -2 << 65}})
    s.flush()
    (event,) = s.only()["span_events"]
    same((event["name"], event["time_unix_nano"]), ("e", 1700000000000000001))
    same(event["attributes"], {
        "s": {"type": 0, "string_value": "x"}, "b": {"type": 1, "bool_value": True}, "i": {"type": 2, "int_value": 1},
        "d": {"type": 3, "double_value": 1.5},
        "l": {"type": 4, "array_value": {"values": [{"type": 0, "string_value": "p"}, {"type": 0, "string_value": "q"}]}}})


@case(info={**INFO, "span_events": False})
def span_events_are_a_tag_elsewhere(s):
    with s.span("op") as span:
        s.call("/trace/span/add_event", {"span_id": span, "name": "e", "timestamp": 7, "attributes": {"i": 1, "l": ["p"]}})
    s.flush()
    same(json.loads(s.only()["meta"]["events"]), [{"name": "e", "time_unix_nano": 7, "attributes": {"i": 1, "l": ["p"]}}])


# -- headers --------------------------------------------------------------------------------------------------


@case()
def headers_of_a_new_trace(s):
    with s.span("op") as span:
        headers = s.inject(span)
    s.flush()
    tid = s.only()["meta"]["_dd.p.tid"]
    same(headers["x-datadog-trace-id"], str(s.only()["trace_id"]))
    same(headers["x-datadog-parent-id"], str(span))
    same(headers["x-datadog-sampling-priority"], "1")
    same(headers["x-datadog-tags"], f"_dd.p.tid={tid},_dd.p.dm=-0")
    same(headers["traceparent"], f"00-{tid}{span:016x}-{span:016x}-01")
    same(dd_member(headers["tracestate"]), {"s": "1", "p": f"{span:016x}", "t.dm": "-0"})


@case()
def headers_of_a_finished_or_unknown_span(s):
    with s.span("op") as span:
        pass
    same(s.inject(span)["x-datadog-parent-id"], str(span))
    same(s.inject(99), {})


@case()
def headers_without_a_context_give_none_and_without_a_parent_an_id(s):
    same(s.extract([]), None)
    same(s.extract([["x-datadog-trace-id", "nonsense"]]), None)
    only_baggage = s.extract([["baggage", "a=b"]])
    assert only_baggage
    with s.span("op", only_baggage) as span:
        same(s.get("/trace/span/get_all_baggage", {"span_id": span}), {"baggage": {"a": "b"}})
    synthetic = s.extract([["x-datadog-trace-id", "7"], ["x-datadog-parent-id", "0"], ["x-datadog-origin", "synthetics"]])
    with s.span("synthetic", synthetic):
        pass
    s.flush()
    same((s.find("synthetic")["trace_id"], s.find("synthetic")["parent_id"]), (7, 0))


@case({"DD_TRACE_PROPAGATION_STYLE": "tracecontext"})
def headers_repeated_reach_the_tracer_as_they_are(s):
    same(s.extract([["traceparent", TP], ["traceparent", TP]]), None)
    out = s.propagate([["traceparent", TP], ["tracestate", "a=1"], ["tracestate", "b=2"], ["TraceState", "c=3"]])
    same(tracestate(out["tracestate"])[1:], [("a", "1"), ("b", "2"), ("c", "3")])


# What goes on when that came: (label, env, headers in, {header: expected}); None: not there.
CARRIED = [
    ("datadog keeps", BOTH, {"x-datadog-trace-id": "7890", "x-datadog-parent-id": "1", "x-datadog-sampling-priority": "2"},
     {"x-datadog-sampling-priority": "2", "flags": "01", "s": "2"}),
    ("datadog drops", BOTH, {"x-datadog-trace-id": "7890", "x-datadog-parent-id": "1", "x-datadog-sampling-priority": "-1"},
     {"x-datadog-sampling-priority": "-1", "flags": "00", "s": "-1"}),
    ("sampled, no dd", BOTH, {"traceparent": TP}, {"x-datadog-sampling-priority": "1", "flags": "01"}),
    ("sampled, s < 0", BOTH, {"traceparent": TP, "tracestate": "foo=1,dd=s:-1"}, {"x-datadog-sampling-priority": "1", "s": "1"}),
    ("sampled, s:2", BOTH, {"traceparent": TP, "tracestate": "foo=1,dd=s:2"}, {"x-datadog-sampling-priority": "2", "s": "2"}),
    ("unsampled, no dd", BOTH, {"traceparent": TP_0}, {"x-datadog-sampling-priority": "0", "flags": "00"}),
    ("unsampled, s:-1", BOTH, {"traceparent": TP_0, "tracestate": "dd=s:-1"}, {"x-datadog-sampling-priority": "-1", "s": "-1"}),
    ("unsampled, s:1", BOTH, {"traceparent": TP_0, "tracestate": "dd=s:1"}, {"x-datadog-sampling-priority": "0", "flags": "00"}),
    ("dm reset", BOTH, {"traceparent": TP, "tracestate": "dd=s:-1;t.dm:-4;t.usr.id:baz64~~"},
     {"t.dm": "-0", "t.usr.id": "baz64~~", "x-datadog-sampling-priority": "1"}),
    ("dm dropped", BOTH, {"traceparent": TP_0, "tracestate": "dd=s:2;t.dm:-4;t.url:http://localhost"},
     {"t.dm": None, "t.url": "http://localhost", "x-datadog-tags": "_dd.p.tid=1234567890123456,_dd.p.url=http://localhost"}),
    ("origin is escaped", BOTH, {"x-datadog-trace-id": "7", "x-datadog-parent-id": "1", "x-datadog-origin": "synthetics~;=web,z"},
     {"x-datadog-origin": "synthetics~;=web,z", "o": "synthetics__~web_z"}),
    ("tags go on", BOTH, {"x-datadog-trace-id": "7", "x-datadog-parent-id": "1", "x-datadog-sampling-priority": "1",
                          "x-datadog-tags": "_dd.p.dm=-4,_dd.p.usr.id=baz64==,other=1"},
     {"x-datadog-tags": "_dd.p.dm=-4,_dd.p.usr.id=baz64==", "t.usr.id": "baz64~~", "t.dm": "-4"}),
    ("trailing ;", BOTH, {"traceparent": TP, "tracestate": "foo=1,dd=s:2;o:some;"}, {"s": "2", "o": "some", "foo": "1"}),
    ("trailing ; and blanks", BOTH, {"traceparent": TP, "tracestate": "dd=s:2;o:some; \t,x=y"}, {"s": "2", "o": "some", "x": "y"}),
    ("double ;", BOTH, {"traceparent": TP, "tracestate": "dd=s:2;;o:some"}, {"s": "2", "o": "some"}),
    ("leading ;", BOTH, {"traceparent": TP, "tracestate": "dd=;s:2;o:some"}, {"s": "2", "o": "some"}),
    ("empty member", BOTH, {"traceparent": TP, "tracestate": "foo=1,,dd=s:2"}, {"s": "2", "foo": "1"}),
    ("blanks around members", BOTH, {"traceparent": TP, "tracestate": "foo=1 , dd=s:2 , bar=2"}, {"s": "2", "foo": "1", "bar": "2"}),
    ("blanks inside dd", BOTH, {"traceparent": TP, "tracestate": "foo=1,dd=s:0; t.dm:934086a686-4"},
     {"x-datadog-sampling-priority": "1", "t.dm": "-0", "foo": "1"}),
    ("blanks between later items", BOTH, {"traceparent": TP, "tracestate": "dd=s:0;t.dm:934086a686-4;  t.x:y"},
     {"x-datadog-sampling-priority": "1", "t.x": None}),
    ("wrong version", BOTH, {"traceparent": "ff" + TP[2:]}, {"new": True}),
    ("future version", BOTH, {"traceparent": "cc" + TP[2:] + "-what"}, {"flags": "01", "new": False}),
    ("zero trace id", BOTH, {"traceparent": "00-" + "0" * 32 + "-1234567890123456-01"}, {"new": True}),
    ("tid of 128 bits", {}, {"x-datadog-trace-id": "1234", "x-datadog-parent-id": "5", "x-datadog-tags": "_dd.p.tid=640cfd8d00000000"},
     {"traceparent-id": "640cfd8d0000000000000000000004d2"}),
    ("malformed tid", {}, {"x-datadog-trace-id": "1234", "x-datadog-parent-id": "5", "x-datadog-tags": "_dd.p.tid=XXXX"},
     {"traceparent-id": "000000000000000000000000000004d2"}),
    ("b3 single", {"DD_TRACE_PROPAGATION_STYLE": "b3"}, {"b3": "000000000000000000000000075bcd15-000000003ade68b1-1"},
     {"b3-rest": "-1", "traceparent": None}),
    ("b3 multi", {"DD_TRACE_PROPAGATION_STYLE": "b3multi"},
     {"x-b3-traceid": "000000000000000000000000075bcd15", "x-b3-spanid": "000000003ade68b1", "x-b3-sampled": "0"},
     {"x-b3-traceid": "000000000" "75bcd15", "x-b3-sampled": "0"}),
    ("none", {"DD_TRACE_PROPAGATION_STYLE": "none"}, {"x-datadog-trace-id": "1", "x-datadog-parent-id": "2"},
     {"x-datadog-trace-id": None, "traceparent": None, "baggage": None}),
    ("baggage", {}, {"baggage": "a=%20x%20,b=2;p=1"}, {"baggage": "a=%20x%20,b=2"}),
    ("malformed baggage", {}, {"baggage": "a=b,=2"}, {"baggage": None}),
    ("baggage off", {"DD_TRACE_PROPAGATION_STYLE": "datadog"}, {"baggage": "a=b"}, {"baggage": None}),
    ("first of two", {"DD_TRACE_PROPAGATION_STYLE": "datadog,tracecontext"},
     {"x-datadog-trace-id": str(0x7890123456789012), "x-datadog-parent-id": "5", "x-datadog-tags": "_dd.p.tid=1234567890123456",
      "traceparent": TP, "tracestate": "foo=1"}, {"foo": "1", "traceparent-id": TP[3:35]}),
    ("extract first", {"DD_TRACE_PROPAGATION_STYLE": "datadog,tracecontext", "DD_TRACE_PROPAGATION_EXTRACT_FIRST": "true"},
     {"x-datadog-trace-id": str(0x7890123456789012), "x-datadog-parent-id": "5", "traceparent": TP, "tracestate": "foo=1"},
     {"foo": None}),
    ("restart", {"DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT": "restart"}, {"traceparent": TP, "baggage": "a=b"},
     {"new": True, "baggage": "a=b"}),
    ("ignore", {"DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT": "ignore"}, {"traceparent": TP, "baggage": "a=b"},
     {"new": True, "baggage": None}),
]


def what_went_on(out, span, sent):
    """Everything CARRIED may ask for."""
    seen = dict(out)
    parent = out.get("traceparent", "").split("-")
    if len(parent) == 4:
        seen.update({"flags": parent[3], "traceparent-id": parent[1], "new": parent[1] != sent.get("traceparent", "")[3:35]})
    seen.update({"b3-rest": out.get("b3", "")[49:] if len(out.get("b3", "")) > 49 else out.get("b3", "")[33:]})
    seen.update(tracestate(out.get("tracestate", "")))
    seen.update(dd_member(out.get("tracestate", "")))
    return seen


def add_carried(label, env, sent, expected):
    @case(env)
    def carried(s):
        with s.span("op", s.extract(list(sent.items()))) as span:
            seen = what_went_on(s.inject(span), span, sent)
        for key, value in expected.items():
            if seen.get(key) != value:
                raise AssertionError(f"{key} is {seen.get(key)!r}, want {value!r}; sent on: {seen}")
    CASES[-1] = (f"headers: {label}", *CASES[-1][1:])


for row in CARRIED:
    add_carried(*row)


@case(BOTH)
def headers_tracestate_has_at_most_32_members(s):
    others = ",".join(f"key{i}=value{i}" for i in range(1, 33))
    out = s.propagate([["traceparent", TP], ["tracestate", others]])["tracestate"]
    same(len(tracestate(out)), 32)
    assert out.startswith("dd=") and "key31=" in out and "key32=" not in out


@case({"DD_TRACE_PROPAGATION_STYLE": "datadog,tracecontext"})
def headers_of_two_traces_make_a_link(s):
    id_ = s.extract([["x-datadog-trace-id", "1"], ["x-datadog-parent-id", "2"], ["traceparent", TP]])
    with s.span("op", id_):
        pass
    s.flush()
    (link,) = s.only()["span_links"]
    same((s.only()["trace_id"], link["trace_id"]), (1, 0x7890123456789012))
    same(link["attributes"], {"reason": "terminated_context", "context_headers": "tracecontext"})


@case()
def headers_leave_the_last_datadog_parent(s):
    id_ = s.extract([["traceparent", TP], ["tracestate", "dd=s:2;p:0123456789abcdef,foo=1"]])
    with s.span("op", id_):
        pass
    s.flush()
    same(s.only()["meta"]["_dd.parent_id"], "0123456789abcdef")


@case({"DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED": "false"})
def headers_of_64_bits(s):
    with s.span("op") as span:
        same(s.inject(span)["traceparent"][3:19], "0" * 16)
    s.flush()
    assert "_dd.p.tid" not in s.only()["meta"]


# -- baggage --------------------------------------------------------------------------------------------------


@case()
def baggage_is_set_read_removed_and_sent_on(s):
    with s.span("op") as span:
        set_to = lambda k, v: s.call("/trace/span/set_baggage", {"span_id": span, "key": k, "value": v})
        read = lambda k: s.get("/trace/span/get_baggage", {"span_id": span, "key": k})["baggage"]
        same(read("a"), None)
        set_to("a", "1")
        set_to("ser ver", "é,")
        same((read("a"), read("ser ver")), ("1", "é,"))
        same(s.get("/trace/span/get_all_baggage", {"span_id": span})["baggage"], {"a": "1", "ser ver": "é,"})
        same(s.inject(span)["baggage"], "a=1,ser%20ver=%C3%A9%2C")
        with s.span("child", span) as child:
            same(s.get("/trace/span/get_baggage", {"span_id": child, "key": "a"})["baggage"], "1")
        s.call("/trace/span/remove_baggage", {"span_id": span, "key": "a"})
        same(read("a"), None)
        s.call("/trace/span/remove_all_baggage", {"span_id": span})
        assert "baggage" not in s.inject(span)
    same(s.get("/trace/span/get_all_baggage", {"span_id": span}), {"baggage": {}})


@case({"DD_TRACE_BAGGAGE_TAG_KEYS": "user.id,x"})
def baggage_becomes_tags_of_the_first_span(s):
    with s.span("op", s.extract([["baggage", "user.id=7,x=1,y=2"]])) as span:
        with s.span("child", span):
            pass
    s.flush()
    meta = s.find("op")["meta"]
    same((meta["baggage.user.id"], meta["baggage.x"], "baggage.y" in meta), ("7", "1", False))
    assert "baggage.x" not in s.find("child")["meta"]


# -- sampling -------------------------------------------------------------------------------------------------

RULE = '[{"service":"web*","name":"op?","resource":"GET *","tags":{"k":"v*"},"sample_rate":%s}]'

# (label, env, fields of start, tags, {metric: value}, dm)
SAMPLED = [
    ("default", {}, {}, [], {"_sampling_priority_v1": 1, "_dd.agent_psr": 1}, "-0"),
    ("rate 1", {"DD_TRACE_SAMPLE_RATE": "1"}, {}, [], {"_sampling_priority_v1": 2, "_dd.rule_psr": 1, "_dd.limit_psr": 1}, "-3"),
    ("rate 0", {"DD_TRACE_SAMPLE_RATE": "0"}, {}, [], {"_sampling_priority_v1": -1, "_dd.rule_psr": 0}, None),
    ("tiny rate", {"DD_TRACE_SAMPLE_RATE": "1e-06"}, {}, [], {"_sampling_priority_v1": -1, "_dd.rule_psr": 1e-06}, None),
    ("limit 0", {"DD_TRACE_SAMPLE_RATE": "1", "DD_TRACE_RATE_LIMIT": "0"}, {}, [],
     {"_sampling_priority_v1": -1, "_dd.rule_psr": 1, "_dd.limit_psr": 0}, None),
    ("rule matches", {"DD_TRACE_SAMPLING_RULES": RULE % 0}, {"service": "WEBSERVER", "resource": "get x"}, [("k", "Vx")],
     {"_sampling_priority_v1": -1, "_dd.rule_psr": 0}, None),
    ("rule does not match", {"DD_TRACE_SAMPLING_RULES": RULE % 0, "DD_TRACE_SAMPLE_RATE": "1"}, {"service": "web"}, [],
     {"_sampling_priority_v1": 2, "_dd.rule_psr": 1}, "-3"),
    ("manual keep", {"DD_TRACE_SAMPLE_RATE": "0"}, {}, [("manual.keep", None)], {"_sampling_priority_v1": 2}, "-4"),
    ("manual drop", {}, {}, [("manual.drop", "1")], {"_sampling_priority_v1": -1}, None),
]


def add_sampled(label, env, fields, tags, metrics, dm):
    @case({**NO_STATS, **env})
    def sampled(s):
        with s.span("op1", tags=tags, **fields):
            pass
        s.flush()
        got = s.only()
        for key, value in metrics.items():
            assert abs(got["metrics"].get(key, 1e9) - value) < 1e-9, f"{key} is {got['metrics'].get(key)}, want {value}"
        same(got["meta"].get("_dd.p.dm"), dm)
    CASES[-1] = (f"sampling: {label}", *CASES[-1][1:])


for row in SAMPLED:
    add_sampled(*row)


@case(NO_STATS)
def sampling_by_hand_overrides_what_was_decided_elsewhere(s):
    for path, headers, priority, dm in (
            ("manual_keep", [["x-datadog-sampling-priority", "-1"]], "2", "_dd.p.dm=-4"),
            ("manual_drop", [["x-datadog-sampling-priority", "2"], ["x-datadog-tags", "_dd.p.dm=-4"]], "-1", None)):
        id_ = s.extract([["x-datadog-trace-id", "7"], ["x-datadog-parent-id", "9"], *headers])
        with s.span("op", id_) as span:
            s.call(f"/trace/span/{path}", {"span_id": span})
            out = s.inject(span)
        same((out["x-datadog-sampling-priority"], out.get("x-datadog-tags")), (priority, dm))


@case(NO_STATS, rates={"service:,env:": 0.5, "service:never,env:": 0})
def sampling_follows_the_agent(s):
    with s.span("first"):
        pass
    s.flush()
    with s.span("second", service="never"):
        pass
    s.flush()
    got = s.find("second")
    same((got["metrics"]["_sampling_priority_v1"], got["metrics"]["_dd.agent_psr"]), (0, 0))


@case({"DD_TRACE_SAMPLE_RATE": "0", "DD_SPAN_SAMPLING_RULES": '[{"service":"web*","name":"ch*","max_per_second":50}]', **NO_STATS})
def sampling_of_single_spans(s):
    with s.span("root", service="web") as root:
        with s.span("child", root):
            pass
    s.flush()
    metrics = s.find("child")["metrics"]
    same([metrics.get(f"_dd.span_sampling.{k}") for k in ("mechanism", "rule_rate", "max_per_second")], [8, 1, 50])
    assert "_dd.span_sampling.mechanism" not in s.find("root")["metrics"]


@case({"DD_TRACE_SAMPLE_RATE": "0", "DD_SPAN_SAMPLING_RULES": '[{"name":"child"}]'})
def sampling_of_single_spans_where_the_rest_is_dropped(s):
    with s.span("root", service="web") as root:
        with s.span("child", root):
            pass
    s.flush()
    same(s.only()["name"], "child")
    same(s.only()["metrics"]["_sampling_priority_v1"], -1)
    same({g["Name"] for g in s.groups()}, {"root"})


# -- statistics, chunks ---------------------------------------------------------------------------------------


@case({"DD_SERVICE": "web", "DD_ENV": "prod", "DD_VERSION": "1", "DD_TRACE_REPORT_HOSTNAME": "true", "DD_HOSTNAME": "h"})
def stats_are_sent_on_demand_and_only_when_there_are_any(s):
    s.call("/trace/stats/flush", {})
    same(s.agent.stats(), [])
    with s.span("op", resource="/users", type="web") as span:
        s.set_meta(span, "http.status_code", "200")
        s.set_meta(span, "http.method", "GET")
        s.set_meta(span, "http.endpoint", "/users")
        with s.span("inner", span) as inner:
            s.set_metric(inner, "_dd.measured", 1)
        with s.span("other", span):
            pass
    s.call("/trace/stats/flush", {})
    (payload,) = s.agent.stats()
    same([payload[k] for k in ("Hostname", "Env", "Version", "Service", "Sequence")], ["h", "prod", "1", "web", 1])
    groups = {g["Name"]: g for g in s.groups()}
    same(set(groups), {"op", "inner"})
    same([groups["op"][k] for k in ("Resource", "Hits", "TopLevelHits", "Errors", "HTTPStatusCode", "HTTPMethod", "HTTPEndpoint", "Type")],
         ["/users", 1, 1, 0, 200, "GET", "/users", "web"])
    same(groups["inner"]["TopLevelHits"], 0)
    same(s.spans(), [])
    s.flush()
    same((len(s.spans()), len(s.agent.stats())), (3, 1))


@case()
def stats_see_an_origin_that_was_set_as_a_tag_and_no_partial_snapshots(s):
    with s.span("op") as span:
        s.set_meta(span, "_dd.origin", "synthetics")
    with s.span("snapshot") as span:
        s.set_metric(span, "_dd.partial_version", 0)
    s.flush()
    (group,) = s.groups()
    same((group["Name"], group["Synthetics"]), ("op", True))


@case({"DD_TRACE_SAMPLE_RATE": "0"})
def stats_count_what_is_not_sent(s):
    with s.span("op"):
        pass
    s.flush()
    same((s.spans(), [g["Hits"] for g in s.groups()]), ([], [1]))


@case({"DD_TRACE_STATS_COMPUTATION_ENABLED": None, "DD_TRACE_SAMPLE_RATE": "0"})
def stats_are_left_to_an_agent_of_no_known_version(s):
    with s.span("op"):
        pass
    s.flush()
    same((len(s.spans()), s.agent.stats()), (1, []))


@case(NO_STATS)
def stats_may_be_off(s):
    with s.span("op"):
        pass
    s.flush()
    same((len(s.spans()), s.agent.stats()), (1, []))


@case({"DD_TRACE_PARTIAL_FLUSH_ENABLED": "true", "DD_TRACE_PARTIAL_FLUSH_MIN_SPANS": "1"})
def partial_flush_sends_what_is_finished(s):
    with s.span("root") as root:
        with s.span("child", root):
            pass
        s.flush()
        same([x["name"] for x in s.spans()], ["child"])
        assert "_dd.p.tid" in s.only()["meta"] and s.only()["metrics"]["_sampling_priority_v1"] == 1
    s.flush()
    same([x["name"] for x in s.spans()], ["child", "root"])


# -- OpenTelemetry --------------------------------------------------------------------------------------------


@case()
def otel_span_has_times_resource_and_kind(s):
    with s.otel_span("operation", end=False, span_kind=3, timestamp=12345, attributes={"k": "v"}) as span:
        same(s.otel("is_recording", span_id=span), {"is_recording": True})
        s.otel("end_span", id=span, timestamp=12345 + 6789)
        s.otel("end_span", id=span, timestamp=12345 + 99999)
        same(s.otel("is_recording", span_id=span), {"is_recording": False})
        s.otel("set_name", span_id=span, name="late")
        s.otel("set_attributes", span_id=span, attributes={"late": 1})
    s.flush()
    got = s.only()
    same([got[k] for k in ("name", "resource", "start", "duration")], ["producer", "operation", 12345000, 6789000])
    same((got["meta"]["span.kind"], got["meta"]["k"], "late" in got["metrics"]), ("producer", "v", False))


NAMES = [
    ("http.server.request", 1, {"http.request.method": "GET"}), ("http.client.request", 2, {"http.request.method": "GET"}),
    ("redis.query", 2, {"db.system": "Redis"}),
    ("kafka.receive", 4, {"messaging.system": "Kafka", "messaging.operation": "Receive"}),
    ("aws.s3.request", 2, {"rpc.system": "aws-api", "rpc.service": "S3"}), ("aws.client.request", 2, {"rpc.system": "aws-api"}),
    ("grpc.client.request", 2, {"rpc.system": "GRPC"}), ("grpc.server.request", 1, {"rpc.system": "GRPC"}),
    ("aws.my-function.invoke", 2, {"faas.invoked_provider": "aws", "faas.invoked_name": "My-Function"}),
    ("datasource.invoke", 1, {"faas.trigger": "Datasource"}), ("graphql.server.request", 1, {"graphql.operation.type": "query"}),
    ("amqp.server.request", 1, {"network.protocol.name": "Amqp"}), ("server.request", 1, {}),
    ("amqp.client.request", 2, {"network.protocol.name": "Amqp"}), ("client.request", 2, {}), ("internal", 0, {}),
    ("consumer", 4, {}), ("producer", 3, {}), ("internal", None, {}),
]


@case()
def otel_names_follow_from_kind_and_attributes(s):
    for i, (_, kind, attributes) in enumerate(NAMES):
        with s.otel_span(f"r{i}", span_kind=kind, attributes={}) as span:
            s.otel("set_attributes", span_id=span, attributes=attributes)
    s.flush()
    got = {x["resource"]: x["name"] for x in s.spans()}
    same([got[f"r{i}"] for i in range(len(NAMES))], [name for name, _, _ in NAMES])


@case()
def otel_reserved_attributes_act(s):
    with s.otel_span("op", span_kind=1) as span:
        for key, value in {"http.request.method": "GET", "resource.name": "new.name", "operation.name": "Given.Name",
                           "service.name": "new.service", "span.type": "new.type", "analytics.event": "True",
                           "http.response.status_code": 404}.items():
            s.otel("set_attributes", span_id=span, attributes={key: value})
    with s.otel_span("odd") as span:
        s.otel("set_attributes", span_id=span, attributes={"analytics.event": "trUe"})
    s.flush()
    got = s.find("given.name")
    same([got[k] for k in ("resource", "service", "type")], ["new.name", "new.service", "new.type"])
    same((got["metrics"]["_dd1.sr.eausr"], got["meta"]["http.status_code"]), (1, "404"))
    for key in ("resource.name", "operation.name", "service.name", "span.type", "analytics.event", "http.response.status_code"):
        assert key not in got["meta"] and key not in got["metrics"], key
    assert "_dd1.sr.eausr" not in s.find("internal")["metrics"]


@case()
def otel_attributes_have_types(s):
    with s.otel_span("op") as span:
        s.otel("set_attributes", span_id=span, attributes={
            "s": "x", "empty": "", "b": True, "i": 0, "d": 4.2, "ls": ["a", "b"], "lb": [True, False], "ld": [10.1],
            "lnest": [["a"], ["b"]], "nil": None, "gone": 1})
        s.otel("set_attributes", span_id=span, attributes={"gone": None})
    s.flush()
    meta, metrics = s.only()["meta"], s.only()["metrics"]
    same([meta.get(k) for k in ("s", "empty", "b", "ls.0", "ls.1", "lb.0", "lb.1", "lnest.0.0", "lnest.1.0")],
         ["x", "", "true", "a", "b", "true", "false", "a", "b"])
    same([metrics.get(k) for k in ("i", "d", "ld.0", "gone")], [0, 4.2, 10.1, None])


@case()
def otel_status_ok_is_final_and_unset_is_nothing(s):
    def statuses(name, *codes):
        with s.otel_span(name) as span:
            for code, description in codes:
                s.otel("set_status", span_id=span, code=code, description=description)
    statuses("bad", ("ERROR", "why"), ("UNSET", "x"))
    statuses("good", ("OK", "fine"), ("ERROR", "late"))
    statuses("mended", ("ERROR", "why"), ("OK", ""))
    s.flush()
    got = {x["resource"]: (x["error"], x["meta"].get("error.message")) for x in s.spans()}
    same(got, {"bad": (1, "why"), "good": (0, None), "mended": (0, None)})


@case(info={**INFO, "span_events": False})
def otel_events_and_exceptions(s):
    with s.otel_span("op", events=[{"name": "zero", "time_unix_nano": 5, "attributes": {"a": 1}}]) as span:
        s.otel("add_event", span_id=span, name="first", timestamp=None, attributes=None)
        s.otel("add_event", span_id=span, name="second", timestamp=2, attributes={"l": ["5"]})
        s.otel("record_exception", span_id=span, message="woof", attributes={"exception.stacktrace": "st", "k": "v"})
        s.otel("record_exception", span_id=span, message="no", attributes={"exception.message": "yes"})
    s.flush()
    zero, first, second, exception, last = json.loads(s.only()["meta"]["events"])
    same(zero, {"name": "zero", "time_unix_nano": 5, "attributes": {"a": 1}})
    assert first["time_unix_nano"] > 1e18 and "attributes" not in first
    same(second, {"name": "second", "time_unix_nano": 2000, "attributes": {"l": ["5"]}})
    same((exception["name"], exception["attributes"]["exception.message"], exception["attributes"]["k"]), ("exception", "woof", "v"))
    same(last["attributes"]["exception.message"], "yes")
    same([s.only()["error"]] + [s.only()["meta"].get(f"error.{k}") for k in ("message", "stack")], [0, "yes", "st"])
    assert s.only()["meta"]["error.type"]


@case()
def otel_links_lead_to_spans_and_headers(s):
    with s.otel_span("a") as a:
        pass
    with s.otel_span("b", parent_id=a, links=[
            {"parent_id": a, "attributes": {"k": [1, 2]}},
            {"http_headers": [["x-datadog-trace-id", "1234567890"], ["x-datadog-parent-id", "9876543210"],
                              ["x-datadog-sampling-priority", "2"], ["x-datadog-tags", "_dd.p.tid=0000000000000010"]]}]):
        pass
    s.flush()
    got = next(x for x in s.spans() if x["resource"] == "b")
    same(got["parent_id"], a)
    same((got["span_links"][0]["span_id"], got["span_links"][0]["attributes"]), (a, {"k.0": "1", "k.1": "2"}))
    same([got["span_links"][1][k] for k in ("trace_id", "trace_id_high", "span_id")], [1234567890, 16, 9876543210])


@case()
def otel_span_context_is_in_hex(s):
    id_ = s.extract([["traceparent", TP], ["tracestate", "foo=1"]])
    with s.span("dd", id_) as span:
        same(s.get("/trace/otel/current_span")["span_id"], span)
        context = s.otel("span_context", span_id=span)
    same(context, {"span_id": f"{span:016x}", "trace_id": TP[3:35], "trace_flags": "01", "trace_state": context["trace_state"],
                   "remote": False})
    assert "foo=1" in context["trace_state"]
    same(s.otel("span_context", span_id=span)["span_id"], f"{span:016x}")


@case()
def otel_and_native_calls_mix(s):
    with s.otel_span("o") as o:
        same(s.get("/trace/span/current")["span_id"], o)
        s.call("/trace/span/set_resource", {"span_id": o, "resource": "r"})
        s.set_meta(o, "m", "x")
        s.finish(o)
        same(s.otel("is_recording", span_id=o), {"is_recording": False})
    same(s.get("/trace/otel/current_span"), {"span_id": 0, "trace_id": 0})
    same(s.otel("flush", seconds=1), {"success": True})
    same([s.only()[k] for k in ("name", "resource")], ["internal", "r"])


@case()
def otel_baggage_is_baggage(s):
    with s.otel_span("o") as o:
        same(s.otel("otel_set_baggage", span_id=o, key="foo", value="bar"), {"value": "bar"})
        same(s.inject(o)["baggage"], "foo=bar")


# -- configuration --------------------------------------------------------------------------------------------


CONFIGURED = [
    ("defaults", {"DD_TRACE_DEBUG": None}, {"dd_trace_enabled": "true", "dd_trace_rate_limit": "100", "dd_trace_sample_rate": None,
                                            "dd_trace_debug": "false", "dd_env": None, "dd_tags": None, "dd_log_level": "info"}),
    ("given", {"DD_SERVICE": "s", "DD_ENV": "e", "DD_VERSION": "v", "DD_TRACE_SAMPLE_RATE": "0.5", "DD_TAGS": "a:1,b:2"},
     {"dd_service": "s", "dd_env": "e", "dd_version": "v", "dd_trace_sample_rate": "0.5", "dd_tags": "a:1,b:2",
      "dd_trace_debug": "true", "dd_log_level": "debug"}),
    ("styles", {"OTEL_PROPAGATORS": "b3,tracecontext"}, {"dd_trace_propagation_style": "b3,tracecontext"}),
    ("address", {"DD_TRACE_AGENT_URL": "http://random-host:9999/"}, {"dd_trace_agent_url": "http://random-host:9999"}),
    ("socket", {"DD_TRACE_AGENT_URL": "unix:///var/run/datadog/none.socket"}, {"dd_trace_agent_url": "unix:///var/run/datadog/none.socket"}),
    ("IPv6", {"DD_TRACE_AGENT_URL": None, "DD_AGENT_HOST": "::1", "DD_TRACE_AGENT_PORT": "5000"},
     {"dd_trace_agent_url": "http://[::1]:5000"}),
    ("IPv6 address", {"DD_TRACE_AGENT_URL": "http://[::1]:5000"}, {"dd_trace_agent_url": "http://[::1]:5000"}),
    ("metrics", {"DD_AGENT_HOST": "localhost"}, {"dd_dogstatsd_host": "localhost", "dd_dogstatsd_port": "8125"}),
    ("metrics elsewhere", {"DD_DOGSTATSD_HOST": "192.0.2.1", "DD_DOGSTATSD_PORT": "8150"},
     {"dd_dogstatsd_host": "192.0.2.1", "dd_dogstatsd_port": "8150"}),
    ("switches", {"DD_PROFILING_ENABLED": "True", "DD_DATA_STREAMS_ENABLED": "yes", "OTEL_SDK_DISABLED": "true", "DD_TRACE_OTEL_ENABLED": None},
     {"dd_profiling_enabled": "true", "dd_data_streams_enabled": "true", "dd_trace_otel_enabled": "false"}),
    ("OTEL", {"OTEL_SERVICE_NAME": "o", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1",
              "OTEL_TRACES_EXPORTER": "none", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=t,k=v%2Cw%3Dx"},
     {"dd_service": "o", "dd_trace_sample_rate": "0.1", "dd_trace_enabled": "false", "dd_env": "t",
      "dd_tags": "env:t,k:v,w=x"}),
]


def add_configured(label, env, expected):
    @case(env)
    def configured(s):
        config = s.config()
        for key, value in config.items():
            assert value is None or isinstance(value, str), f"{key} is neither text nor null"
        for key, value in expected.items():
            same((key, config[key]), (key, value))
    CASES[-1] = (f"configuration: {label}", *CASES[-1][1:])


for row in CONFIGURED:
    add_configured(*row)


class Parametric(unittest.TestCase):
    def test_every_case(self):
        run_cases(self, at_least=60)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
