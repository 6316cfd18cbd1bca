"""Statistics of a recorded run, whoever counted: recomputed here from the raw spans that were stored.

Every trace is kept, so what the intake stores is what was sent; counts and durations must then agree exactly and
percentiles within the sketch's 1 % of the values that go into it (docs/spec/sketch.md cuts them).  Where the tracer counts and
drops traces itself, its own numbers take the place of the raw spans.
"""

import array
import collections
import json
import math
import random
import struct
import sys
import time
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import Stack, get_json, request, wait_until

KINDS = ("server", "client", "producer", "consumer")
QUANTILES = {"p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}
TOLERANCE = 0.01 + 1e-9  # of the sketch
ROUNDED = 1  # the query API answers in whole nanoseconds
HOUR = "from=now-1h&to=now"


def as_sketched(ns):
    """The double with its mantissa cut, as sketches take it."""
    bits, = struct.unpack("<Q", struct.pack("<d", ns))
    return struct.unpack("<d", struct.pack("<Q", bits & 0xFFFFF80000000000))[0]


def counted(spans):
    """The spans of one trace that belong into statistics, by the rules of docs/spec/stats-concentrator.md."""
    by_id = {s["span_id"]: s for s in spans}
    for s in spans:
        parent = by_id.get(s["parent_id"])
        top_level = s["parent_id"] == "0" or parent is None or parent["service"] != s["service"]
        if top_level or s["metrics"].get("_dd.measured") == 1 or s["meta"].get("span.kind", "").lower() in KINDS:
            yield s, top_level


class Totals:
    def __init__(self):
        self.hits = self.errors = 0
        self.durations = []

    def add(self, span):
        self.hits += 1
        self.errors += span["error"] != 0
        self.durations.append(as_sketched(span["duration_ns"]))

    def quantile(self, q):
        return sorted(self.durations)[math.floor(q * (len(self.durations) - 1))]


class Recount(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.stack.start_intake()

    def get(self, path):
        return get_json(self.stack.intake_port, "/api/sonde/v1/" + path)

    def raw_spans(self):
        """All that is stored, trace by trace, as the query API has them."""
        for trace_id in self.stack.stored():
            yield self.get(f"traces/{trace_id:016x}")["spans"]

    def recompute(self):
        groups = collections.defaultdict(Totals)
        for spans in self.raw_spans():
            for s, top_level in counted(spans):
                key = (s["service"], s["name"], s["resource"], s["type"], s["meta"].get("span.kind", ""))
                groups[key].add(s)
        return groups

    def stored_groups(self, services):
        groups = {}
        for service in services:
            answer = self.get(f"services/{service}/resources?{HOUR}")
            self.assertFalse(answer.get("truncated"))
            for r in answer["resources"]:
                groups.setdefault((service, r["name"], r["resource"], r["type"], r["span_kind"]), []).append(r)
        return groups

    def check(self, want, got):
        self.assertEqual(sorted(want), sorted(got))
        for key, totals in want.items():
            rows = got[key]
            self.assertEqual(totals.hits, sum(r["hits"] for r in rows), key)
            self.assertEqual(totals.errors, sum(r["errors"] for r in rows), key)
            if len(rows) > 1:
                continue  # top-level and not: two rows of one key here
            for name, q in QUANTILES.items():
                exact = totals.quantile(q)
                self.assertLessEqual(abs(rows[0]["duration_ns"][name] - exact), TOLERANCE * exact + ROUNDED, (key, name))

    def end(self):
        """The agent stops and hands out what it holds; the intake stores it."""
        self.agent = self.stack.agent_status()
        self.stack.agent.stop()
        wait_until("the intake has stored all",
                   lambda: (c := self.stack.intake_counters())["queued"]["spans"] == 0 and
                   c["received"]["stats_groups"] == c["stored"]["stats_groups"] > 0)

    # -- the agent counts -----------------------------------------------------------------------------

    def trace(self, rng, now_ns):
        spans, trace_id = [], rng.getrandbits(63) | 1
        for i in range(rng.randint(1, 8)):
            parent = rng.choice(spans) if spans else None
            span = {"service": rng.choice(["web", "orders"]), "name": rng.choice(["http.request", "step"]),
                    "resource": f"r{rng.randint(0, 5)}", "type": rng.choice(["web", "custom"]), "trace_id": trace_id,
                    "span_id": rng.getrandbits(63) | 1, "parent_id": parent["span_id"] if parent else 0,
                    "start": now_ns - rng.randint(0, 10**9), "duration": int(rng.lognormvariate(15, 2)),
                    "error": int(rng.random() < 0.1), "meta": {}, "metrics": {}}
            if rng.random() < 0.3:
                span["meta"]["span.kind"] = rng.choice(["server", "client", "Producer", "internal", "consumer"])
            if rng.random() < 0.1:
                span["metrics"]["_dd.measured"] = 1
            spans.append(span)
        spans[0]["metrics"]["_sampling_priority_v1"] = 2
        return spans

    def test_the_agents_statistics_are_those_of_the_raw_spans(self):
        rng = random.Random(4)
        self.stack.start_agent()
        for _ in range(20):
            body = [self.trace(rng, time.time_ns()) for _ in range(50)]
            status, _ = request(self.stack.agent_port, "POST", "/v0.4/traces", json.dumps(body),
                                {"Content-Type": "application/json"})
            self.assertEqual(status, 200)
        self.stack.await_drained()
        self.end()
        self.assertEqual(self.agent["client_aggregator"]["groups_in"], 0)
        self.check(self.recompute(), self.stored_groups(["web", "orders"]))

    # -- libtrace counts ------------------------------------------------------------------------------

    def run_program(self, seconds, rate, **env):
        """Runs it to its end; how many traces it made."""
        ids = self.stack.dir / "ids"
        load = self.stack.start_program("traced_load", rate, 1, ids, env=env)
        time.sleep(seconds)
        self.program = load.ask("stop")
        load.wait()
        made = array.array("Q")
        made.frombytes(ids.read_bytes())
        return len(made)

    def check_counted_once(self, traces):
        agent = self.agent
        self.assertEqual(agent["stats"]["spans_counted"], 0, "the agent counted what its tracer had counted")
        self.assertEqual(agent["client_aggregator"]["hits_counted"], traces)
        self.assertEqual(agent["client_aggregator"]["hits_in"], traces)
        self.assertEqual(agent["client_aggregator"]["sketches_lost"], 0)

    def run_libtrace(self, protocol, endpoint):
        self.stack.start_agent()
        traces = self.run_program(3, 100, DD_TRACE_API_VERSION=protocol)
        self.stack.await_drained()
        self.end()
        self.check_counted_once(traces)
        for path, accepted in self.agent["receiver"]["accepted_by_endpoint"].items():
            self.assertEqual(accepted > 0, path in (endpoint, "/v0.6/stats"), path)
        want = self.recompute()
        self.assertEqual(sum(t.hits for t in want.values()), traces)
        self.check(want, self.stored_groups(["traced_load"]))

    def test_libtraces_statistics_are_those_of_the_raw_spans(self):
        self.run_libtrace("v0.4", "/v0.4/traces")

    def test_and_so_they_are_over_v1(self):
        self.run_libtrace("v1", "/v1.0/traces")

    def test_what_the_tracer_drops_is_counted_all_the_same(self):
        self.stack.start_agent()
        traces = self.run_program(3, 300, DD_TRACE_SAMPLE_RATE="0.1")
        self.stack.await_drained()
        self.end()
        self.check_counted_once(traces)
        stored = len(self.stack.stored())
        self.assertGreater(stored, 0)
        self.assertLess(stored, traces / 2)
        # how many were dropped travels with the next payload: behind the last one there is none
        self.assertLessEqual(stored + self.agent["receiver"]["client_dropped_p0_traces"], traces)
        self.assertGreater(stored + self.agent["receiver"]["client_dropped_p0_traces"], traces / 2)
        got = self.stored_groups(["traced_load"])
        self.assertEqual(sum(r["hits"] for rows in got.values() for r in rows), traces)

    def test_rates_are_moved_by_what_the_tracer_dropped(self):
        """Once the tracer drops itself, the few traces that still come must not look like all the traffic."""
        self.stack.start_agent(DD_APM_TARGET_TPS="5")
        load = self.stack.start_program("traced_load", 300, 1, self.stack.dir / "ids")

        def rate():
            _, body = request(self.stack.agent_port, "POST", "/v0.4/traces", "[]", {"Content-Type": "application/json"})
            rates = json.loads(body)["rate_by_service"]
            return next((r for key, r in rates.items() if key.startswith("service:traced_load")), 1)

        wait_until("the rate follows the load", lambda: rate() < 0.2)
        for _ in range(12):  # more than two of the sampler's periods
            time.sleep(1)
            self.assertLess(rate(), 0.2)
        load.ask("stop")
        load.wait()
        self.assertGreater(self.stack.agent_status()["receiver"]["client_dropped_p0_traces"], 0)


if __name__ == "__main__":
    unittest.main()
