"""Programs that use a known amount of CPU time in known functions, preloaded and linked, against what arrives.

Where samples fall is chance: a share is compared within six standard deviations of it, a sum within a few periods.
Samples that a machine without time to spare lost are counted by the profiler, and allowed for.
"""

import json
import math
import platform
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from profile_intake import ProfileIntake  # noqa: E402
from stack import Stack, wait_until  # noqa: E402

HZ = 250
PERIOD = 10**9 // HZ
TICK = 10**7  # of the slowest kernel: a timer fires at one
STOCK = {"endpoints": ["/v0.4/traces", "/profiling/v1/input"]}


def cpu_of(uploads, function, where=lambda labels: True):
    return sum(values["cpu-time"] for u in uploads for stack, values, labels in u.profile.rows()
               if function in stack and where(labels))


def lost(uploads):
    """Nanoseconds of CPU samples that found no room."""
    return sum(u.event["internal"].get(key, 0) for u in uploads for key in ("lost_value_cpu",)) + \
        sum(u.event["internal"].get("lost_cpu", 0) for u in uploads) * PERIOD


class Case(unittest.TestCase):
    def environment(self, stack, agent, **more):
        return {"DD_TRACE_AGENT_URL": agent, "SONDE_PROFILING_CPU_FREQUENCY": str(HZ),
                "SONDE_PROFILING_BATCH_INTERVAL_MS": "300", "DD_PROFILING_UPLOAD_PERIOD": "1", "DD_SERVICE": "burner",
                **more}

    def preload(self, stack):
        return {"LD_PRELOAD": str(stack.build / "lib" / "libsonde-profiler.so")}

    def end(self, program):
        program.popen.stdin.write(b"end\n")
        program.popen.stdin.flush()
        program.wait()

    def await_all(self, intake, end, pid=None):
        """Until a profile arrives that began after `end`: those before came before it."""
        def later():
            return any(u.profile.time_nanos >= end for u in intake.uploads()
                       if pid is None or u.tags["process_id"] == str(pid))
        wait_until("a profile of later", later)
        return [u for u in intake.uploads() if pid is None or u.tags["process_id"] == str(pid)]

    def near(self, value, want, slack, what):
        self.assertLessEqual(abs(value - want), slack, (what, value, want))

    def check_split(self, uploads, truth):
        both = truth["path_a"] + truth["path_b"]
        share = truth["path_a"] / both
        chance = math.sqrt(both / max(PERIOD, TICK) * share * (1 - share)) * max(PERIOD, TICK)
        edges = 10 * PERIOD + 2 * TICK + lost(uploads)
        a, b = cpu_of(uploads, "path_a"), cpu_of(uploads, "path_b")
        self.near(a + b, both, edges, "all")
        self.near(a, truth["path_a"], 6 * chance + edges, "path_a")
        self.near(b, truth["path_b"], 6 * chance + edges, "path_b")

    def check_stacks(self, uploads):
        for u in uploads:
            for stack, values, labels in u.profile.rows():
                if "path_a" in stack and values["cpu-time"]:
                    self.assertIn("main", stack[:stack.index("path_a")])
                    self.assertEqual(labels["thread id"], int(u.tags["process_id"]))
                    self.assertEqual(labels["thread name"], "profiled_cpu")


class Preloaded(Case):
    def test_batches_to_our_agent_become_profiles(self):
        with ProfileIntake() as intake, Stack() as stack:
            stack.start_agent(DD_APM_DD_URL="http://127.0.0.1:9", DD_APM_PROFILING_DD_URL=intake.url,
                              SONDE_AGENT_PROFILING_WINDOW="1")
            program = stack.start_program("profiled_cpu", env=self.environment(
                stack, f"http://127.0.0.1:{stack.agent_port}", **self.preload(stack)))
            truth = program.ask("burn 3000")
            self.await_all(intake, truth["end"])
            wait_until("those before it have come", lambda: intake.has_all(stack.agent_status()))  # uploads are made side by side
            uploads = intake.uploads()
            self.end(program)
        self.check_split(uploads, truth)
        self.check_stacks(uploads)
        self.assertEqual({u.tags["service"] for u in uploads}, {"burner"})

    def test_a_stock_agent_gets_whole_profiles(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(stack, agent.base, DD_ENV="test",
                                                                               **self.preload(stack)))
            truth = program.ask("burn 3000")
            uploads = self.await_all(agent, truth["end"])
            self.end(program)
        self.check_split(uploads, truth)
        self.check_stacks(uploads)
        first = uploads[0]
        self.assertEqual(first.path, "/profiling/v1/input")
        self.assertEqual(first.headers["DD-EVP-ORIGIN"], "sonde-profiler")
        self.assertEqual(first.headers["User-Agent"][:6], "Sonde/")
        self.assertEqual(list(first.parts), ["event", "profile.pprof"])
        self.assertEqual(first.parts["event"][:2], ("event.json", "application/json"))
        self.assertEqual(first.parts["profile.pprof"][:2], ("profile.pprof", None))
        self.assertEqual(first.packed[:2], b"\x1f\x8b")
        self.assertEqual((first.event["version"], first.event["family"]), ("4", "native"))
        self.assertEqual(first.tags["env"], "test")
        self.assertEqual([u.tags["profile_seq"] for u in uploads], [str(i) for i in range(len(uploads))])
        for before, after in zip(uploads, uploads[1:]):  # windows touch
            self.assertEqual(before.event["end"], after.event["start"])
            self.assertEqual(before.profile.time_nanos + before.profile.duration_nanos, after.profile.time_nanos)
        for u in uploads:
            self.assertEqual(u.profile.period_type, ("cpu-time", "nanoseconds"))
            main = next(iter(u.profile.mappings.values()))
            self.assertTrue(main["filename"].endswith("profiled_cpu") and main["build_id"])

    def test_threads_are_sampled_alike_and_have_their_names(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(stack, agent.base, **self.preload(stack)))
            truth = program.ask("threads 4 700")
            uploads = self.await_all(agent, truth["end"])
            self.end(program)
        for i, used in enumerate(truth["used"]):
            got = cpu_of(uploads, "in_thread", lambda labels: labels.get("thread name") == f"worker-{i}")
            self.near(got, used, 10 * PERIOD + 2 * TICK + lost(uploads), f"worker-{i}")

    def test_a_forked_child_is_a_process_of_its_own(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(stack, agent.base, **self.preload(stack)))
            before = program.ask("burn 300")
            truth = program.ask("fork 1000")
            uploads = self.await_all(agent, truth["end"], truth["pid"])
            of_parent = self.await_all(agent, truth["end"], program.pid)
            self.end(program)
        self.near(cpu_of(uploads, "in_child"), truth["in_child"], 10 * PERIOD + 2 * TICK + lost(uploads), "the child's")
        self.assertEqual(cpu_of(uploads, "path_a"), 0)
        self.assertEqual(cpu_of(of_parent, "in_child"), 0)
        self.assertGreater(cpu_of(of_parent, "path_b"), before["path_b"] / 2)
        self.assertNotEqual(uploads[0].tags["runtime-id"], of_parent[0].tags["runtime-id"])
        self.assertEqual(uploads[0].tags["profile_seq"], "0")

    def test_a_child_that_only_computes_is_profiled_while_it_does(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(
                stack, agent.base, DD_PROFILING_WALLTIME_ENABLED="0", **self.preload(stack)))
            pids = program.ask("alone")["pids"]
            for pid in pids:  # no allocation, no lock, no I/O and no exit: only the timer knows it
                wait_until(f"the child {pid} sends profiles", lambda: cpu_of(
                    [u for u in agent.uploads() if u.tags["process_id"] == str(pid)], "in_alone") > 0)
            self.end(program)

    def test_between_requests_it_has_no_descriptor_open(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(stack, agent.base, **self.preload(stack)))
            program.ask("burn 100")
            agent.await_uploads(2)
            folder = Path("/proc") / str(program.pid) / "fd"
            wait_until("only the standard ones are open", lambda: {f.name for f in folder.iterdir()} == {"0", "1", "2"})
            self.end(program)

    def test_a_program_that_is_over_at_once_sends_nothing(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(
                stack, agent.base, DD_PROFILING_WALLTIME_ENABLED="0", DD_PROFILING_CPU_ENABLED="0",
                DD_PROFILING_ALLOCATION_ENABLED="0", **self.preload(stack)))
            self.end(program)
            self.assertEqual(agent.requests + agent.asked, 0)

    def test_on_its_own_judgement_it_leaves_young_programs_alone(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(
                stack, agent.base, DD_PROFILING_ENABLED="auto", **self.preload(stack)))
            program.ask("burn 300")
            tasks = (Path("/proc") / str(program.pid) / "task").iterdir()
            names = {(t / "comm").read_text().strip() for t in tasks}
            self.end(program)
            self.assertEqual(names, {"profiled_cpu", "sonde-drain"})  # nobody samples
            self.assertEqual(agent.requests, 0)

    def test_switched_off_it_is_not_there(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_cpu", env=self.environment(
                stack, agent.base, DD_PROFILING_ENABLED="false", **self.preload(stack)))
            program.ask("burn 50")
            names = {(Path("/proc") / str(program.pid) / "task" / t.name / "comm").read_text().strip()
                     for t in (Path("/proc") / str(program.pid) / "task").iterdir()}
            self.end(program)
            self.assertEqual(names, {"profiled_cpu"})
            self.assertEqual(agent.requests, 0)


class Linked(Case):
    def test_it_runs_when_it_is_told_and_every_event_is_accounted_for(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_linked", env=self.environment(stack, agent.base))
            self.assertEqual(program.ask("counters")["running"], 0)
            self.assertEqual(program.ask("flush")["status"], 3)
            self.assertEqual(program.ask("start")["status"], 0)
            truth = program.ask("burn 500")
            self.assertEqual(program.ask("flush")["status"], 0)
            self.assertEqual(program.ask("stop")["status"], 0)
            c = program.ask("counters")
            self.assertEqual(c["running"], 0)
            self.assertEqual(c["taken"], c["sent"] + c["lost"] + c["waiting"])
            self.assertEqual(c["waiting"], 0)
            uploads = agent.uploads()
            self.near(cpu_of(uploads, "path_a") + cpu_of(uploads, "path_b"), truth["path_a"] + truth["path_b"],
                      10 * PERIOD + 2 * TICK + lost(uploads), "all")
            self.assertEqual(program.ask("start")["status"], 0)  # and again
            program.ask("burn 300")
            self.assertEqual(program.ask("flush")["status"], 0)
            again = program.ask("counters")
            self.assertGreater(again["sent"], c["sent"])
            self.end(program)

    def test_code_that_is_made_has_the_name_it_was_given(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_linked", env=self.environment(stack, agent.base))
            self.assertEqual(program.ask("start")["status"], 0)
            truth = program.ask("made 300")
            self.assertEqual(program.ask("flush")["status"], 0)
            uploads = agent.uploads()
            self.end(program)
        self.near(cpu_of(uploads, "made_code"), truth["made_code"], 10 * PERIOD + 2 * TICK + lost(uploads), "made_code")

    @unittest.skipUnless(platform.machine() == "x86_64", "the code is x86-64's")
    def test_stacks_through_registered_code_are_whole_as_soon_as_it_is_known(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_linked", env=self.environment(stack, agent.base))
            self.assertEqual(program.ask("start")["status"], 0)

            def is_whole():
                before = len(agent.uploads())
                program.ask("jit 300")
                self.assertEqual(program.ask("flush")["status"], 0)
                stacks = [s for u in agent.uploads()[before:] for s, values, _ in u.profile.rows()
                          if "below_made" in s and values["cpu-time"]]
                return stacks and all({"main", "over_made"} <= set(s) for s in stacks)

            for _ in range(3):
                wait_until("every stack is whole", is_whole)
                self.assertEqual(program.ask("unjit")["status"], 0)  # the next is made anew
            self.end(program)

    def test_samples_carry_the_span_they_served_and_its_endpoint(self):
        with ProfileIntake() as agent, Stack() as stack:
            agent.info = STOCK
            program = stack.start_program("profiled_linked", env=self.environment(
                stack, agent.base, DD_PROFILING_UPLOAD_PERIOD="3600"))  # one window: an endpoint is known when its request ends
            self.assertEqual(program.ask("start")["status"], 0)
            truth = program.ask("span 500")
            self.assertEqual(program.ask("flush")["status"], 0)
            wait_until("the tracer says who it is", agent.runtime_id)
            uploads = agent.uploads()
            self.end(program)
        ids = {u.tags["runtime-id"] for u in uploads}
        self.assertEqual(ids, {agent.runtime_id()})  # the tracer's
        span = truth["span"] - (1 << 64) if truth["span"] >> 63 else truth["span"]
        rows = [(values, labels) for u in uploads for stack, values, labels in u.profile.rows()
                if "in_span" in stack and values["cpu-time"]]
        self.assertTrue(rows)
        for _, labels in rows:
            self.assertEqual((labels.get("span id"), labels.get("local root span id")), (span, span))
        self.assertEqual({labels.get("trace endpoint") for _, labels in rows}, {"GET /shop"})
        self.assertEqual(sum(u.event["endpoint_counts"].get("GET /shop", 0) for u in uploads), 1)


if __name__ == "__main__":
    unittest.main()
