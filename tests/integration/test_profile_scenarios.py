"""Scenarios as prof-correctness has them (support/expectation.py reads the same expectations), and CPU time against what the
kernel and the program counted (profiled_scenarios.c).

What is expected is made of what the program counted, with margins of six standard deviations: samples fall at the kernel's
ticks, whatever the period; samples that it lost are counted by the profiler, and allowed for.

SONDE_SOAK=1: ten thousand short threads instead of two.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import expectation  # noqa: E402
import pprof  # noqa: E402
from stack import PATIENCE_S  # noqa: E402

BUILD = Path(os.environ.get("SONDE_BUILD_DIR", "build/dev"))
PROGRAM = BUILD / "tests/profiled_scenarios"
PERIOD = 10**9 // 250
CLOCK_MONOTONIC_COARSE = 6  # moves with the tick
TICK = max(PERIOD, round(time.clock_getres(CLOCK_MONOTONIC_COARSE) * 10**9))
SIGMAS = 6


def signed(number):
    return str(number - (1 << 64) if number >> 63 else number)


class Run:
    """One life of the program: what it said, its profiles, what they have lost."""

    def __init__(self, *arguments, **env):
        with tempfile.TemporaryDirectory() as folder:
            environment = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "SONDE_"))} | {
                "DD_PROFILING_ENABLED": "true", "DD_PROFILING_OUTPUT_DIR": folder, "DD_PROFILING_DO_EXPORT": "false",
                "DD_PROFILING_UPLOAD_PERIOD": "3600", "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
                "SONDE_PROFILING_WIRE": "pprof", "SONDE_PROFILING_CPU_FREQUENCY": "250", "DD_TRACE_LOG_LEVEL": "off",
                "DD_PROFILING_WALLTIME_ENABLED": "0", "SONDE_PROFILING_MAX_OVERHEAD": "100", "DD_TRACE_STARTUP_LOGS": "false",
                "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false", **env}
            done = subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment,
                                  timeout=PATIENCE_S * 4, check=True)
            self.truth = json.loads(done.stdout)
            folders = sorted(Path(folder).iterdir(), key=lambda f: int(f.name.split(".")[1]))
            self.profiles = [pprof.read((f / "profile.pprof").read_bytes()) for f in folders]
            internal = [json.loads((f / "event.json").read_text())["internal"] for f in folders]
        self.lost = sum(i.get("lost_value_cpu", 0) + i.get("lost_cpu", 0) * PERIOD for i in internal)
        self.seconds = sum(p.duration_nanos for p in self.profiles) / 1e9

    def cpu(self, where=lambda stack, labels: True):
        return sum(values["cpu-time"] for p in self.profiles for stack, values, labels in p.rows() if where(stack, labels))

    def expected(self, kind, of_all, margin, rows):
        """rows: (expression, what the program counted, labels); percent and value of each."""
        def content(expression, counted, labels):
            share = counted / of_all
            chance = SIGMAS * math.sqrt(share * (1 - share) * TICK / of_all) if kind == "cpu-time" else 0
            entry = {"regular_expression": expression, "labels": labels}
            return [{**entry, "percent": 100 * share, "error_margin": margin + 100 * chance},
                    {**entry, "value": counted / self.seconds, "error_margin": margin + 100 * chance / share}]

        return {"test_name": kind, "scale_by_duration": True, "stacks": [
            {"profile-type": kind, "stack-content": [c for row in rows for c in content(*row)]}]}


class Scenarios(unittest.TestCase):
    def assert_as_expected(self, run, expected):
        self.assertEqual(expectation.check(run.profiles, expected), [])

    def edges(self, run, of_all):
        """Percent: the begin and the end of each thread, and what was lost."""
        return 100 * (10 * PERIOD + 2 * TICK + run.lost) / of_all

    def test_a_third_and_two_thirds(self):
        run = Run("ab", 2000)
        both = run.truth["a"] + run.truth["b"]
        expected = run.expected("cpu-time", both, self.edges(run, both), [
            ("(^|;)main;a$|(^|;)main;a;", run.truth["a"], []), ("(^|;)main;b$|(^|;)main;b;", run.truth["b"], [])])
        self.assert_as_expected(run, expected)
        wrong = json.loads(json.dumps(expected).replace("main;a", "main;c"))
        self.assertEqual(len(expectation.check(run.profiles, wrong)), 2)  # it can fail

    def test_functions_that_are_inlined(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "out.pb.gz"
            done = subprocess.run([BUILD / "bin/sonde", "profile", "-e", "cpu", "-F", "250", "-o", file, "--", PROGRAM, "inline",
                                   "2000"], capture_output=True, text=True, timeout=PATIENCE_S * 4)
            self.assertEqual(done.returncode, 0, done.stderr)
            truth = json.loads(done.stdout.splitlines()[-1])
            both = truth["a"] + truth["b"]
            points = 100 * (SIGMAS * math.sqrt(2 / 9 * TICK / both) + (10 * PERIOD + 2 * TICK) / both)
            wrong = expectation.check_files({"stacks": [{"profile-type": "cpu-time", "error-margin": points, "stack-content": [
                {"regular_expression": "main;work;inlined_a", "percent": 100 * truth["a"] / both},
                {"regular_expression": "main;work;inlined_b", "percent": 100 * truth["b"] / both}]}]}, [file])
        self.assertEqual(wrong, [])

    def test_a_leak(self):
        run = Run("leak", 64 << 10, DD_PROFILING_HEAP_SAMPLE_SIZE="65536")
        samples = run.truth["bytes"] / 65536
        margin = 100 * SIGMAS / math.sqrt(samples)
        rows = [("(^|;)leak$|(^|;)leak;", 100, run.truth["bytes"])]
        self.assert_as_expected(run, {"stacks": [
            {"profile-type": "inuse-space", "value-matching-sum": run.truth["bytes"] / run.seconds, "error-margin": margin,
             "stack-content": [{"regular_expression": e, "percent": p, "error_margin": 5} for e, p, _ in rows] +
             [{"regular_expression": "balanced", "percent": 0, "error_margin": 0.01}]},
            {"profile-type": "inuse-objects", "error-margin": margin,
             "stack-content": [{"regular_expression": rows[0][0], "value": run.truth["objects"] / run.seconds}]}]})

    def test_nine_loops_in_a_span_each(self):
        """Files beside batches: each refers to the one before."""
        run = Run("spans", 3000, SONDE_PROFILING_WIRE="spb", SONDE_PROFILING_BATCH_INTERVAL_MS="300")
        self.assertGreater(len(run.profiles), 3)
        of_all = sum(loop["used"] for loop in run.truth["loops"])
        root = {"key": "local root span id", "values": [signed(run.truth["root"])]}
        rows = [(f"loop_{i}($|;)", loop["used"], [{"key": "span id", "values": [signed(loop["span"])]}, root])
                for i, loop in enumerate(run.truth["loops"])]
        self.assert_as_expected(run, run.expected("cpu-time", of_all, self.edges(run, of_all), rows))
        samples = expectation.Samples(run.profiles, "cpu-time")
        for expression, _, labels in rows:  # every one, and no other
            self.assertEqual(samples.matching(expression, labels), samples.matching(expression, []), expression)

    def test_samples_of_a_request_have_its_endpoint(self):
        run = Run("spans", 500)
        root = {"key": "local root span id", "values": [signed(run.truth["root"])]}
        of_last = sum(values["cpu-time"] for stack, values, _ in run.profiles[-1].rows() if any("loop_" in s for s in stack))
        self.assertEqual(expectation.check(run.profiles[-1:], {"stacks": [  # the request has ended in it
            {"profile-type": "cpu-time", "stack-content": [
                {"regular_expression": "loop_", "value": of_last / (run.profiles[-1].duration_nanos / 1e9),
                 "error_margin": 0.001, "labels": [root, {"key": "trace endpoint", "values_regex": "^GET /loops$"}]}]}]}), [])

    def test_no_sample_has_a_span_that_was_never_active_on_its_thread(self):
        """Wall samples are read from another thread, while the spans change."""
        run = Run("switch", 250, 8, DD_PROFILING_WALLTIME_ENABLED="1", SONDE_PROFILING_WALL_INTERVAL_MS="1",
                  SONDE_PROFILING_CPU_FREQUENCY="1000")
        ids = {thread: ({signed(span) for span in spans}, signed(spans[-1])) for *spans, thread in run.truth}
        seen = set()
        for p in run.profiles:
            for _, _, labels in p.rows():
                if "span id" not in labels:
                    continue
                spans, root = ids[labels["thread id"]]
                self.assertIn(str(labels["span id"]), spans, labels)
                self.assertEqual(str(labels["local root span id"]), root, labels)
                seen.add(labels["thread id"])
        self.assertEqual(seen, set(ids))


class Accuracy(unittest.TestCase):
    def check_equal(self, threads, ms):
        run = Run("equal", ms, threads)
        used = dict(run.truth["threads"])
        got = dict.fromkeys(used, 0)
        for p in run.profiles:
            for _, values, labels in p.rows():
                if labels.get("thread id") in used:  # what lives has none
                    got[labels["thread id"]] += values["cpu-time"]
        for thread, of_it in used.items():
            self.assertLessEqual(abs(got[thread] - of_it), 3 * (PERIOD + TICK) + run.lost, (threads, got[thread], of_it))
        slack = SIGMAS * TICK * math.sqrt(threads) + run.lost
        self.assertLessEqual(abs(sum(got.values()) - sum(used.values())), slack, (threads, got, used))
        # The kernel, of the same time: main() and our own threads, too, and of those is nothing in a profile.
        process = run.truth["process"] - run.truth["own"]
        self.assertLessEqual(sum(got.values()), process * 1.02 + slack, (threads, run.truth))
        self.assertGreaterEqual(run.cpu(), process * 0.98 - slack, (threads, run.truth))

    def test_one_thread(self):
        self.check_equal(1, 1000)

    def test_two_threads(self):
        self.check_equal(2, 800)

    def test_eight_threads(self):
        self.check_equal(8, 300)

    def test_sixty_four_threads(self):
        self.check_equal(64, 50)

    def test_two_hundred_threads(self):
        self.check_equal(200, 15)

    def test_threads_that_live_two_milliseconds(self):
        threads = 10000 if os.environ.get("SONDE_SOAK") == "1" else 2000
        run = Run("brief", 2000, threads)
        chance = SIGMAS * TICK / 2 * math.sqrt(threads)
        self.assertLessEqual(abs(run.cpu() - run.truth["used"]), chance + 0.02 * run.truth["used"] + run.lost)


if __name__ == "__main__":
    unittest.main()
