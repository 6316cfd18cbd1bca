"""A program whose agent is not ours is reported too, by a copy of itself; and dies as it would have without us."""

import contextlib
import http.server
import json
import os
import pathlib
import signal
import socket
import socketserver
import sys
import threading
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import Stack
from test_crash_reports import QUIET, REPORTED, SURVIVED, alone

TRIES = 5  # a copy has four seconds, which a busy machine may need for other things

# Whoever ends by exit() in a handler of its own cannot be told from one that lives on.
NEVER_GIVEN_UP = ["own-exit", "own-asked"]


def children_of(pid):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                found.append(stat.parent)
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "-"


class OverUnix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class StockAgent:
    """Knows the telemetry proxy and no crash socket.  `.got`: (path, headers, body)."""

    def __init__(self, unix=None, status=202):
        self.server = OverUnix(str(unix), Handler) if unix else http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.got, self.server.status = [], status
        self.url = f"unix://{unix}" if unix else f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def take(self):
        """What came since the last time, as (path, headers, body, the log, its message)."""
        got, self.server.got[:] = list(self.server.got), []
        return [(path, headers, body, log, json.loads(log["message"]))
                for path, headers, body in got for log in body["payload"]["logs"]]


class CrashReceiver(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())

    def crash(self, how, url, **env):
        program = self.stack.start_program("crashing", how, env={
            "DD_TRACE_AGENT_URL": url, "DD_ENV": "prod", "DD_VERSION": "1.2.3", "DD_CRASHTRACKING_ENABLED": "true",
            "DD_PROFILING_ENABLED": "false", "LD_PRELOAD": str(self.stack.build / "lib" / "libsonde-profiler.so"), **env})
        status, output = alone(self.stack, how)
        self.assertEqual(program.wait(status), output, how)
        return program

    def report_of(self, how, agent, name, function, url=None, **env):
        for _ in range(TRIES):
            program = self.crash(how, url or agent.url, **env)
            got = [g for g in agent.take() if g[0].startswith("/telemetry/")]
            if len(got) == 2:
                break
        return program, self.look_at(got, name, function)

    def look_at(self, got, name, function):
        self.assertEqual([log["level"] for *_, log, _ in got], ["DEBUG", "ERROR"])  # the ping goes first
        _, _, _, _, ping = got[0]
        path, headers, body, log, report = got[1]
        self.assertEqual(path, "/telemetry/proxy/api/v2/apmtelemetry")
        self.assertEqual(headers["DD-Telemetry-Request-Type"], "logs")
        self.assertEqual(headers["DD-Telemetry-API-Version"], "v2")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["DD-Client-Library-Language"], "native")
        self.assertEqual((body["request_type"], body["application"]["service_name"]), ("logs", "crashing"))
        self.assertEqual((body["application"]["env"], body["application"]["service_version"]), ("prod", "1.2.3"))
        tags = dict(t.split(":") for t in log["tags"].split(","))
        self.assertEqual(tags["si_signo_human_readable"], name)
        self.assertEqual((tags["uuid"], tags["uuid"]), (report["uuid"], ping["crash_uuid"]))
        self.assertIn(function, [f.get("function") for f in report["error"]["stack"]["frames"]])
        return report

    def reported_by(self, agent):
        for how, name, function in REPORTED:
            if how in NEVER_GIVEN_UP:
                continue
            with self.subTest(how):
                program, report = self.report_of(how, agent, name, function)
                self.assertEqual(report["proc_info"]["pid"], program.pid)

    def test_every_way_to_die_is_reported_over_tcp(self):
        with StockAgent() as agent:
            self.reported_by(agent)

    def test_every_way_to_die_is_reported_over_a_unix_socket(self):
        with StockAgent(unix=self.stack.dir / "apm.socket") as agent:
            self.reported_by(agent)

    def test_the_fault_is_reported_and_not_the_raise_of_a_handler(self):
        with StockAgent() as agent:
            _, report = self.report_of("own-raise", agent, "SIGSEGV", "write_to_nowhere")
            self.assertEqual(report["sig_info"]["si_code_human_readable"], "SEGV_MAPERR")
            self.assertEqual(report["error"]["stack"]["frames"][0]["function"], "write_to_nowhere")

    def test_one_that_lives_on_or_ends_by_itself_is_not(self):
        with StockAgent() as agent:
            for how in NEVER_GIVEN_UP + SURVIVED + QUIET:
                with self.subTest(how):
                    self.crash(how, agent.url)
                    self.assertEqual(agent.take(), [])

    def test_a_forked_child_is_reported_as_itself(self):
        with StockAgent() as agent:
            program, report = self.report_of("fork", agent, "SIGSEGV", "write_to_nowhere")
            self.assertNotEqual(report["proc_info"]["pid"], program.pid)

    def test_beside_profiles_and_an_agent_known_by_its_name(self):
        with StockAgent() as agent:
            url = agent.url.replace("127.0.0.1", "localhost")
            self.report_of("thread", agent, "SIGSEGV", "in_thread", url, DD_PROFILING_ENABLED="true")

    def test_an_agent_that_refuses_or_never_answers_keeps_nobody_alive(self):
        with StockAgent(status=500) as agent:
            self.crash("null", agent.url)
            self.assertLessEqual(len(agent.take()), 1)  # the report is not even tried
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.crash("null", f"http://127.0.0.1:{silent.getsockname()[1]}")
            connection, _ = silent.accept()
            with connection:  # the copy has let go of it, so it is gone
                connection.settimeout(60)
                self.assertTrue(b"".join(iter(lambda: connection.recv(65536), b"")).startswith(b"POST /telemetry/proxy/"))
        self.crash("null", "http://127.0.0.1:1")

    def test_the_copy_has_nothing_of_the_program(self):
        """While an agent keeps it waiting: no descriptor, and a name of its own."""
        for _ in range(TRIES):
            with contextlib.suppress(OSError):  # the copy was gone by then
                name, descriptors = self.look_at_a_copy()
                self.assertEqual(name, "sonde-crash\n")
                self.assertIn(descriptors, (None, 1))
                return
        self.fail("no copy was met")

    def look_at_a_copy(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            program = self.stack.start_program("crashing", "null", env={
                "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "DD_CRASHTRACKING_ENABLED": "true",
                "DD_PROFILING_ENABLED": "false", "LD_PRELOAD": str(self.stack.build / "lib" / "libsonde-profiler.so")})
            try:
                connection, _ = silent.accept()
                with connection:
                    for copy in children_of(program.pid):
                        is_open = os.access(copy / "fd", os.R_OK)  # what is not dumpable is root's to look at
                        return (copy / "comm").read_text(), len(list((copy / "fd").iterdir())) if is_open else None
            finally:
                program.wait(-signal.SIGSEGV)
        raise OSError


if __name__ == "__main__":
    unittest.main(verbosity=2)
