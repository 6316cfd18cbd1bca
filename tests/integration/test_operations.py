"""What operators do with the agent: check its configuration, reload it, look into it."""

import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import SANITIZED, Stack, get_json, request, wait_until

KEY = "0123456789abcdef0123456789abcdef"  # of the tests: must never be seen again


class Operations(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.sonde = self.stack.build / "bin/sonde"

    def run_sonde(self, *arguments, **env):
        """(exit status, standard output, standard error) of a command that ends by itself."""
        done = subprocess.run([str(self.sonde), *map(str, arguments)], capture_output=True, text=True, timeout=120,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.stack.dir), **env})
        self.assertNotIn(KEY, done.stdout + done.stderr)
        return done.returncode, done.stdout, done.stderr

    def write(self, name, text):
        path = self.stack.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def log(self):
        return self.stack.agent.log.read_text(errors="replace")


class CheckConfig(Operations):
    def test_every_key_is_shown_with_its_value_and_origin(self):
        file = self.write("datadog.yaml", f"api_key: {KEY}\nenv: one\nlog_to_syslog: true\n")
        self.write("conf.d/10.yaml", "site: two.example\n")
        status, out, _ = self.run_sonde("agent", "-c", file, "--check-config", DD_APM_ERROR_TPS="3")
        self.assertEqual(status, 0, out)
        self.assertIn("api_key: ***cdef  # ", out)
        self.assertIn(f"env: one  # {file}:2:1", out)
        self.assertIn(f"site: two.example  # {file.parent}/conf.d/10.yaml:1:1", out)
        self.assertIn("apm_config.errors_per_second: 3  # DD_APM_ERROR_TPS", out)
        self.assertIn("log_to_syslog has no effect here", out)
        self.assertIn("configuration is good", out)

    def test_what_is_wrong_makes_the_exit_status(self):
        for text, says in [("apm_config:\n  receiver_port: http\n", "warning: "),
                           ("nonsense: 1\n", "unknown key"),
                           ("sonde:\n  local:\n    enabled: false\n", "nowhere to send"),
                           (f"api_key: {KEY}\napm_config:\n  receiver_port: 0\n  receiver_socket: ''\n",
                            "nowhere to listen")]:
            status, out, _ = self.run_sonde("agent", "-c", self.write("datadog.yaml", text), "--check-config")
            self.assertEqual(status, 1, out)
            self.assertIn(says, out)
        status, _, error = self.run_sonde("agent", "-c", self.write("datadog.yaml", "a: ["), "--check-config")
        self.assertEqual(status, 1)
        self.assertIn("datadog.yaml:", error)


class Reload(Operations):
    def reload(self, text, says):
        self.file.write_text(text)
        before = self.log().count(says)
        self.stack.agent.signal(signal.SIGHUP)
        wait_until(lambda: f"{says!r} in {self.log()}", lambda: self.log().count(says) > before)

    def test_sighup_takes_over_what_it_can_and_names_the_rest(self):
        self.file = self.write("datadog.yaml", "log_level: info\n")
        self.stack.start_intake()
        self.stack.start_agent("-c", self.file, DD_API_KEY=KEY, DD_APM_TARGET_TPS=None)
        self.reload("log_level: debug\nenv: other\napm_config:\n  target_traces_per_second: 3\n",
                    "reload done: changes=3")
        self.assertIn("reload: log_level changed", self.log())
        self.assertIn("reload: env changed, which takes a restart", self.log())
        self.reload("log_level: [", "reload failed, going on as before")
        self.reload("log_level: info\n", "reload done: changes=3")
        self.assertNotIn(KEY, self.log())


class Pages(Operations):
    def test_metrics_vars_and_log_tell_of_a_trace_and_never_the_key(self):
        self.stack.start_intake()
        self.stack.start_agent(DD_API_KEY=KEY, DD_LOG_LEVEL="debug")
        span = {"trace_id": 7, "span_id": 8, "parent_id": 0, "name": "op", "resource": "r", "service": "s", "start": 1,
                "duration": 1, "error": 0, "metrics": {"_sampling_priority_v1": 1}}
        status, _ = request(self.stack.agent_port, "PUT", "/v0.4/traces", json.dumps([[span]]),
                            {"Content-Type": "application/json", "X-Datadog-Trace-Count": "1"})
        self.assertEqual(status, 200)
        self.stack.await_drained(received=1)
        status, page = request(self.stack.agent_port, "GET", "/metrics")
        page = page.decode()
        self.assertEqual(status, 200)
        self.assertTrue(page.endswith("# EOF\n"))
        self.assertIn("\ndatadog_trace_agent_receiver_spans_received_total 1\n", page)
        self.assertIn('\ndatadog_trace_agent_sampler_kept_total{sampler="priority"} 1\n', page)
        self.assertIn('\nsonde_agent_status{path="receiver.spans_received"} 1\n', page)
        families = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")]
        self.assertEqual(len(families), len(set(families)))
        variables = get_json(self.stack.agent_port, "/debug/vars")
        self.assertEqual(variables["trace_writer"]["Spans"], 1)
        self.assertEqual(variables["pid"], str(self.stack.agent.pid))
        self.assertIn("ratebyservice", variables)
        for path in ["/metrics", "/debug/vars", "/sonde/v1/log", "/info", "/sonde/v1/status"]:
            self.assertNotIn(KEY, request(self.stack.agent_port, "GET", path)[1].decode())
        self.assertIn("agent ready", request(self.stack.agent_port, "GET", "/sonde/v1/log")[1].decode())
        self.assertEqual(request(self.stack.agent_port, "GET", "/metrics", headers={"Sec-Fetch-Site": "cross-site"})[0], 403)
        self.assertNotIn(KEY, self.log())

    def test_every_row_of_the_table_of_metrics_finds_its_number(self):
        self.stack.start_intake()
        self.stack.start_agent()
        have = set()

        def walk(path, tree):
            if isinstance(tree, dict):
                for key, value in tree.items():
                    walk(path + [key], value)
            elif isinstance(tree, list):
                for item in tree:
                    walk(path + ["*"], item)
            else:
                have.add(tuple(path))
        walk([], self.stack.agent_status())
        table = (pathlib.Path(__file__).parents[2] / "agent/ops/series.c").read_text()
        for path in re.findall(r'^    { "([a-z0-9_.*]+)",', table, re.M):
            parts = path.split(".")
            found = any(len(h) == len(parts) and all(p in (q, "*") for p, q in zip(parts, h)) for h in have)
            self.assertTrue(found or "dropped.*" in path, f"no room reports {path}")


class Supervised(Operations):
    def test_a_supervisor_is_told_of_the_whole_life(self):
        path = str(self.stack.dir / "notify")
        supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(supervisor.close)
        supervisor.bind(path)
        supervisor.settimeout(60)
        heard = []

        def hear(what):
            while not any(what in message for message in heard):
                heard.append(supervisor.recv(4096).decode())
        self.stack.start_intake()
        self.stack.start_agent(NOTIFY_SOCKET=path, WATCHDOG_USEC="1500000")
        hear("READY=1")
        hear("WATCHDOG=1")
        heard.clear()
        self.stack.agent.signal(signal.SIGHUP)
        hear("RELOADING=1\nMONOTONIC_USEC=")
        hear("READY=1")
        self.stack.agent.signal(signal.SIGTERM)
        hear("STOPPING=1")

    @unittest.skipIf(SANITIZED, "most of the memory is the sanitizer's")
    def test_too_much_memory_ends_the_process_with_status_1(self):
        self.stack.start_intake()
        self.stack.start_agent(DD_APM_MAX_MEMORY="1000", DD_APM_CONFIG_WATCHDOG_CHECK_DELAY="0.1")
        wait_until("the agent ends", lambda: self.stack.agent.popen.poll() is not None)
        self.assertEqual(self.stack.agent.popen.returncode, 1)
        self.assertIn("watchdog: out of memory", self.log())

    def test_the_log_goes_to_its_file_and_is_opened_anew(self):
        file = self.stack.dir / "agent.txt"
        self.stack.start_intake()
        self.stack.start_agent(DD_LOG_FILE=str(file), DD_API_KEY=KEY)
        self.assertIn("agent ready", file.read_text())
        file.rename(self.stack.dir / "agent.txt.1")
        self.stack.agent.signal(signal.SIGHUP)
        wait_until("the new file", lambda: file.exists() and "reload done" in file.read_text())
        self.assertNotIn(KEY, file.read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
