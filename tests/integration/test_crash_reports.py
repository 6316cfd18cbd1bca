"""A program that dies by a fatal signal is reported with its stack, and dies as it would have without us."""

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, sys.path[0] + "/../support")
from stack import Stack, get_json, sum_of, wait_until

# way to end, the signal reported, a function of the stack
REPORTED = [
    ("null", "SIGSEGV", "write_to_nowhere"),
    ("abort", "SIGABRT", "end_abort"),
    ("overflow", "SIGSEGV", "recurse"),
    ("thread", "SIGSEGV", "in_thread"),
    ("thread-overflow", "SIGSEGV", "recurse"),
    ("handler", "SIGSEGV", "end_handler"),
    ("malloc", "SIGABRT", "end_malloc"),
    ("fpe", "SIGFPE", "end_fpe"),
    ("ill", "SIGILL", "end_ill"),
    ("call", "SIGSEGV", "end_call"),
    ("sent", "SIGBUS", "end_sent"),
    ("own-exit", "SIGSEGV", "write_to_nowhere"),
    ("own-raise", "SIGSEGV", "write_to_nowhere"),
    ("own-asked", "SIGSEGV", "write_to_nowhere"),
    ("own-once", "SIGSEGV", "write_to_nowhere"),
]
SURVIVED = ["own-jump", "own-mend"]
QUIET = ["quit", "ignored"]  # whoever ignores a signal hears nothing of us


def alone(stack, how):
    """Status and output without us."""
    done = subprocess.run([stack.build / "tests/crashing", how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env={"SONDE_BLACKBOX": "false"}, timeout=180, check=False)
    return done.returncode, done.stdout


class Telemetry:
    """Takes what the agent passes on: .got is a list of (headers, body)."""

    def __enter__(self):
        self.got = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/api/v2/apmtelemetry" and self.headers["DD-Telemetry-Request-Type"] == "logs":
                    outer.got.append((dict(self.headers), json.loads(body)))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def logs(self):
        return [(body, log) for _, body in list(self.got) for log in body["payload"]["logs"]]

    def reports(self):
        return [(body, log, json.loads(log["message"])) for body, log in self.logs() if log["is_crash"]]


class CrashReports(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.telemetry = self.enterContext(Telemetry())
        self.socket = self.stack.dir / "apm.socket"

    def start(self, intake=False):
        if intake:
            self.stack.start_intake()
        self.stack.start_agent(DD_APM_RECEIVER_SOCKET=str(self.socket), DD_APM_TELEMETRY_DD_URL=self.telemetry.url)

    def crash_status(self):
        return self.stack.agent_status()["crash"]

    def environment(self, **env):
        return {"DD_TRACE_AGENT_URL": f"unix://{self.socket}", "DD_ENV": "prod", "DD_CRASHTRACKING_ENABLED": "true",
                "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false",
                "DD_PROFILING_ENABLED": "false", "XDG_RUNTIME_DIR": str(self.stack.dir),
                "LD_PRELOAD": str(self.stack.build / "lib" / "libsonde-profiler.so"), **env}

    def crash(self, how, **env):
        return self.stack.start_program("crashing", how, env=self.environment(**env))

    def fates(self):
        counts = self.crash_status()
        self.assertGreaterEqual(counts["reports_received"], sum_of(counts["reports"]))
        return counts["reports"]

    def ends_like_alone(self, program, how):
        """The agent has looked at it by then: whoever is reaped first tells no status."""
        status, output = alone(self.stack, how)
        self.assertEqual(program.wait(status), output, how)

    def report_of(self, how, **env):
        before = len(self.telemetry.reports())
        program = self.crash(how, **env)
        wait_until(lambda: f"a report of {how}: {self.crash_status()}",
                   lambda: len(self.telemetry.reports()) == before + 1)
        self.ends_like_alone(program, how)
        return program, *self.telemetry.reports()[-1]

    def test_every_way_to_die_is_reported_and_ends_as_without_us(self):
        self.start()
        for how, name, function in REPORTED:
            with self.subTest(how):
                program, body, log, report = self.report_of(how)
                self.assertEqual(report["sig_info"]["si_signo_human_readable"], name)
                self.assertEqual(report["proc_info"]["pid"], program.pid)
                names = [f.get("function") for f in report["error"]["stack"]["frames"]]
                self.assertIn(function, names)
                if how not in ("overflow", "thread-overflow"):
                    self.assertFalse(report["error"]["stack"]["incomplete"], names)
        wait_until(lambda: self.crash_status(), lambda: self.fates()["sent"] == len(REPORTED) and
                   self.crash_status()["connections"] == 0)

    def test_a_report_says_what_section_20_asks_for(self):
        self.start()
        program, body, log, report = self.report_of("null", DD_VERSION="1.2.3")
        wait_until(lambda: self.telemetry.got, lambda: len(self.telemetry.got) == 2)  # in any order
        headers = next(h for h, b in self.telemetry.got if b == body)
        self.assertEqual(headers["DD-Telemetry-Request-Type"], "logs")
        self.assertEqual(headers["DD-Telemetry-API-Version"], "v2")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(body["api_version"], "v2")
        self.assertEqual(body["request_type"], "logs")
        self.assertEqual(body["application"]["service_name"], "crashing")
        self.assertEqual(body["application"]["env"], "prod")
        self.assertEqual(body["application"]["service_version"], "1.2.3")
        self.assertEqual((log["level"], log["is_sensitive"], log["is_crash"], log["count"]), ("ERROR", True, True, 1))
        tags = dict(t.split(":") for t in log["tags"].split(","))  # exactly one colon each
        self.assertEqual(tags["uuid"], report["uuid"])
        self.assertEqual((tags["si_signo"], tags["si_code"], tags["si_addr"]), ("11", "1", "0x0"))
        self.assertEqual(tags["si_code_human_readable"], "SEGV_MAPERR")
        self.assertEqual((tags["data_schema_version"], tags["incomplete"]), (report["data_schema_version"], "false"))
        self.assertRegex(report["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
        error = report["error"]
        self.assertEqual((error["is_crash"], error["kind"], error["source_type"]), (True, "UnixSignal", "Crashtracking"))
        self.assertEqual(error["message"], "process terminated by SIGSEGV (SEGV_MAPERR)")
        self.assertEqual(error["thread_name"], "crashing")
        self.assertEqual(error["stack"]["format"], "Datadog Crashtracker 1.0")
        first = error["stack"]["frames"][0]
        self.assertEqual(first["function"], "write_to_nowhere")
        self.assertTrue(first["path"].endswith("/tests/crashing"), first)
        self.assertTrue(first["file"].endswith("crashing.c"), first)
        self.assertGreater(first["line"], 0)
        self.assertEqual(int(first["ip"], 16), int(first["module_base_address"], 16) + int(first["relative_address"], 16))
        self.assertRegex(first["build_id"], "^[0-9a-f]{40}$")
        registers = report["ucontext"]["registers"]
        pc = registers["rip" if report["ucontext"]["arch"] == "x86_64" else "pc"]
        self.assertEqual(int(pc, 16), int(first["ip"], 16))
        self.assertIn("service:crashing", report["metadata"]["tags"])
        self.assertEqual(report["span_ids"], [])
        ping_log = next(entry for _, entry in self.telemetry.logs() if not entry["is_crash"])
        ping = json.loads(ping_log["message"])
        self.assertIn("is_crash_ping:true", ping_log["tags"].split(","))
        self.assertEqual((ping["crash_uuid"], ping["kind"], ping["version"]), (report["uuid"], "UnixSignal", "1.0"))
        self.assertEqual(ping["siginfo"], report["sig_info"])

    def test_a_program_that_lives_on_is_not_reported(self):
        self.start()
        for i, how in enumerate(SURVIVED):
            with self.subTest(how):
                program = self.crash(how)
                wait_until(lambda: self.crash_status(), lambda: self.fates()["survived"] == i + 1)
                self.ends_like_alone(program, how)
        for how in QUIET:
            with self.subTest(how):
                self.ends_like_alone(self.crash(how), how)
        self.assertEqual(self.telemetry.got, [])

    def test_a_forked_child_is_reported_as_itself(self):
        self.start()
        program = self.crash("fork")
        wait_until(lambda: self.crash_status(), lambda: len(self.telemetry.reports()) == 1)
        self.ends_like_alone(program, "fork")
        self.assertNotEqual(self.telemetry.reports()[0][2]["proc_info"]["pid"], program.pid)

    def test_open_spans_are_named_and_the_active_one_has_the_stack(self):
        self.start(intake=True)
        program = self.stack.start_program("crashing", "null", "open", env=self.environment(DD_TRACE_DEBUG="true"))
        wait_until(program.tail, lambda: "the agent has the black box" in program.log.read_text(errors="replace"))
        ids = program.ask("go")
        wait_until(lambda: self.crash_status(), lambda: len(self.telemetry.reports()) == 1)
        program.wait(-signal.SIGSEGV)
        report = self.telemetry.reports()[0][2]
        self.assertIn(ids["span"], [s["id"] for s in report["span_ids"]])
        self.assertEqual([t["id"] for t in report["trace_ids"]], [ids["trace"]])

        def look():
            try:
                trace = get_json(self.stack.intake_port, f"/api/sonde/v1/traces/{ids['trace']}")
            except AssertionError:
                return None
            return {s["name"]: s for s in trace["spans"]} if len(trace["spans"]) == 2 else None
        spans = wait_until(lambda: self.crash_status(), look)
        self.assertEqual(spans["inner"]["meta"]["sonde.end_cause"], "signal:SIGSEGV")
        stack = spans["inner"]["meta"]["error.stack"]
        self.assertRegex(stack, re.compile(r"^#0 0x[0-9a-f]{16} in write_to_nowhere at .*crashing\.c:\d+ \(.*\+0x[0-9a-f]+\)$", re.M))
        self.assertNotIn("error.stack", spans["outer"]["meta"])

    def test_profiling_at_the_same_time(self):
        self.start()
        program, _, _, report = self.report_of("thread", DD_PROFILING_ENABLED="true")
        self.assertEqual(report["sig_info"]["si_signo"], 11)

    def test_without_an_agent_it_ends_all_the_same(self):
        for how in "null", "abort", "thread-overflow", "own-exit", "own-raise":
            with self.subTest(how):
                self.ends_like_alone(self.crash(how), how)

    def test_off_unless_asked_for(self):
        self.start()
        for env in {"DD_CRASHTRACKING_ENABLED": "false"}, {"DD_CRASHTRACKING_ENABLED": ""}:
            self.ends_like_alone(self.crash("null", **env), "null")
        self.assertEqual(self.crash_status()["reports_received"], 0)


class CrashGuard(unittest.TestCase):
    """Who crashes as soon as it is profiled is profiled less; nobody reports anything here."""

    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.marks = lambda: list(self.stack.dir.glob("sonde-crash-*"))

    def run_it(self, *command, kill=None, **env):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "SONDE_"))} | {
            "DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "SONDE_PROFILING_CRASH_GUARD": "true", "SONDE_BLACKBOX": "false",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "XDG_RUNTIME_DIR": str(self.stack.dir),
            "LD_PRELOAD": str(self.stack.build / "lib" / "libsonde-profiler.so"), **env}
        program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
        if kill:
            maps = Path("/proc") / str(program.pid) / "task"
            wait_until("it is profiled", lambda: len(list(maps.iterdir())) > 1)
            program.send_signal(kill)
        said = program.communicate(timeout=180)[1]
        return program.returncode, said

    def crashing(self, how, **env):
        return self.run_it(self.stack.build / "tests/crashing", how, **env)

    def test_first_less_then_nothing_for_an_hour(self):
        self.assertEqual(self.crashing("null"), (-signal.SIGSEGV, ""))
        status, said = self.crashing("thread-overflow")
        self.assertEqual(status, -signal.SIGSEGV)
        self.assertIn("profiling CPU only: the last run crashed within 10 s of its start", said)
        status, said = self.crashing("abort")
        self.assertEqual(status, -signal.SIGABRT)
        self.assertIn("not profiling: the last two runs crashed", said)
        mark, = self.marks()
        self.assertIn(f'again_now="rm {mark}"', said)
        an_hour_ago = time.time() - 3601
        os.utime(mark, (an_hour_ago, an_hour_ago))
        status, said = self.crashing("own-mend")
        self.assertEqual(status, 0)
        self.assertIn("profiling CPU only", said)
        self.assertEqual(self.marks(), [])  # it ended in order
        self.assertEqual(self.crashing("own-mend"), (0, ""))

    def test_who_is_killed_or_just_ends_has_not_crashed(self):
        for end in signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV:  # the last two from outside
            self.assertEqual(self.run_it("sleep", "600", kill=end), (-end, ""))
        self.assertEqual(self.run_it("sh", "-c", "exit 3"), (3, ""))
        self.assertEqual(self.crashing("own-exit")[1], "")  # its own handler ends it
        self.assertEqual(self.marks(), [])

    def test_switched_off_it_neither_writes_nor_reads(self):
        off = {"SONDE_PROFILING_CRASH_GUARD": "false"}
        self.assertEqual(self.crashing("null", **off), (-signal.SIGSEGV, ""))
        self.assertEqual(self.crashing("null", SONDE_PROFILING_CRASH_GUARD="auto"), (-signal.SIGSEGV, ""))  # no reports
        self.assertEqual(self.marks(), [])
        self.crashing("null")
        self.assertEqual(len(self.marks()), 1)
        self.assertEqual(self.crashing("null", **off), (-signal.SIGSEGV, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
