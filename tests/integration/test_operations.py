"""What operators do with the agent: check its configuration, reload it, look into it."""

import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import unittest
import zipfile

sys.path.insert(0, sys.path[0] + "/../support")
from stack import PATIENCE_S, SANITIZED, Stack, free_port, get_json, request, wait_until

KEY = "0123456789abcdef0123456789abcdef"  # of the tests: must never be seen again
SPAN = {"trace_id": 7, "span_id": 8, "parent_id": 0, "name": "op", "resource": "r", "service": "s", "start": 1,
        "duration": 1, "error": 0, "metrics": {"_sampling_priority_v1": 1}}


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
        file = self.write("datadog.yaml", f"api_key: {KEY}\nenv: one\ntls_handshake_timeout: 5s\n")
        self.write("conf.d/10.yaml", "site: two.example\n")
        status, out, _ = self.run_sonde("agent", "-c", file, "--check-config", DD_APM_ERROR_TPS="3")
        self.assertEqual(status, 0, out)
        self.assertIn("api_key: ***cdef  # ", out)
        self.assertIn(f"env: one  # {file}:2:1", out)
        self.assertIn(f"site: two.example  # {file.parent}/conf.d/10.yaml:1:1", out)
        self.assertIn("apm_config.errors_per_second: 3  # DD_APM_ERROR_TPS", out)
        self.assertIn(f"note: {file}:3:1: tls_handshake_timeout has no effect here: a request to an intake has 10 s in all", out)
        self.assertIn("configuration is good", out)

    def test_what_is_wrong_makes_the_exit_status(self):
        for text, says in [("apm_config:\n  receiver_port: http\n", "warning: "),
                           ("nonsense: 1\n", "unknown key"),
                           ("apm_config:\n  ignore_resources: ['(']\n", "datadog.yaml:2:3: apm_config.ignore_resources: pattern"),
                           ("apm_config:\n  replace_tags: [{name: a, pattern: '('}]\n",
                            "datadog.yaml:2:3: apm_config.replace_tags: pattern"),
                           ("sonde:\n  local:\n    enabled: false\n", "nowhere to send"),
                           (f"api_key: {KEY}\napm_config:\n  receiver_port: 0\n  receiver_socket: ''\n",
                            "nowhere to listen")]:
            status, out, _ = self.run_sonde("agent", "-c", self.write("datadog.yaml", text), "--check-config")
            self.assertEqual(status, 1, out)
            self.assertIn(says, out)
        status, _, error = self.run_sonde("agent", "-c", self.write("datadog.yaml", "a: ["), "--check-config")
        self.assertEqual(status, 1)
        self.assertIn("datadog.yaml:", error)

    def test_an_empty_file_is_a_good_one(self):
        status, out, error = self.run_sonde("agent", "-c", self.write("datadog.yaml", "# nothing yet\n"), "--check-config")
        self.assertEqual(status, 0, out)
        self.assertNotIn("ERR", out + error)


class Log(Operations):
    def test_it_goes_to_file_console_and_syslog_as_configured_and_again_after_a_reload(self):
        path, kept = self.stack.dir / "syslog", self.stack.dir / "agent.txt"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(str(path))
            daemon.settimeout(120)
            text = (f"api_key: {KEY}\nlog_file: {kept}\nlog_to_syslog: true\nsyslog_uri: unixgram://{path}\n"
                    "apm_config:\n  apm_dd_url: http://127.0.0.1:1\n")
            file = self.write("datadog.yaml", text)
            self.stack.start_agent("-c", file, DD_API_KEY=None, DD_APM_DD_URL=None)
            line = daemon.recv(65536).decode()
            self.assertRegex(line, rf"^<30>sonde-agent\[{self.stack.agent.pid}\]: info sonde agent: ")
            message = line.partition("]: ")[2]
            self.assertIn(message, kept.read_text())
            self.assertNotIn(message, self.log())
            self.write("datadog.yaml", text.replace("log_to_syslog: true", "log_to_console: true"))
            self.stack.agent.signal(signal.SIGHUP)
            wait_until(self.log, lambda: "reload done" in self.log() and "reload done" in kept.read_text())
            daemon.setblocking(False)
            with self.assertRaises(BlockingIOError):
                while True:
                    self.assertNotIn(b"reload done", daemon.recv(65536))


class Completion(Operations):
    def complete(self, *words):
        """What bash offers for the last of the words."""
        script = ('eval "$("$0" completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sonde; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script, str(self.sonde), "sonde", *words], capture_output=True, text=True,
                              timeout=60, cwd=self.stack.dir, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_completes_commands_options_files_and_words(self):
        self.write("conf.yaml", "")
        self.assertEqual(self.complete("do"), ["doctor"])
        self.assertEqual(self.complete("agent", "--check"), ["--check-config"])
        self.assertEqual(self.complete("agent", "--config", "con"), ["conf.yaml"])
        self.assertEqual(self.complete("replay", "con"), ["conf.yaml"])
        self.assertEqual(self.complete("agent", "--log-level", "d"), ["debug"])
        self.assertEqual(self.complete("agent", "--port", ""), [])
        self.assertEqual(self.complete("completion", ""), ["bash", "zsh", "fish", "--help"])
        self.assertEqual(self.complete("help", "fl"), ["flare"])
        self.assertIn("diff", self.complete("profile", "dif"))
        self.assertEqual(self.complete("profile", "diff", "con"), ["conf.yaml"])
        self.assertEqual(self.complete("profile", "diff", "--ro"), ["--rows"])  # not what `sonde profile` has
        self.assertEqual(self.complete("profile", "diff", "--rows", ""), [])

    def test_every_command_and_option_of_the_help_is_completed_in_every_shell(self):
        _, commands, _ = self.run_sonde("help")
        commands = re.findall(r"^  ([a-z]+) ", commands, re.M)
        self.assertIn("completion", commands)
        for shell in ["bash", "zsh", "fish"]:
            status, script, _ = self.run_sonde("completion", shell)
            self.assertEqual(status, 0)
            for command in [*commands, "profile diff"]:
                self.assertIn(command.split()[-1], script)
                _, text, _ = self.run_sonde(*command.split(), "--help")
                if command == "help":
                    continue
                for option in re.findall(r"^ +(?:-[a-z], )?--([a-z-]+)", text, re.M):
                    self.assertIn(f"-l {option}" if shell == "fish" else f"--{option}", script, command)

    def test_the_scripts_are_the_shells_language(self):
        for shell in ["bash", "zsh", "fish"]:
            if shutil.which(shell):
                _, script, _ = self.run_sonde("completion", shell)
                path = self.write(f"completion.{shell}", script)
                done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, ""), shell)

    def test_another_shell_and_none_are_mistakes_that_say_what_there_is(self):
        status, _, error = self.run_sonde("completion", "csh")
        self.assertEqual(status, 2)
        self.assertIn("bash zsh fish", error)
        status, _, error = self.run_sonde("completion")
        self.assertEqual(status, 2)
        self.assertIn("SHELL is missing", error)


class CommandLine(Operations):
    def test_a_value_that_cannot_be_is_a_mistake_of_the_command_line(self):
        for arguments, says in [(["agent", "--port", "http"], "--port http: expected an integer"),
                                (["agent", "-p", "70000"], "--port 70000: out of range"),
                                (["agent", "--log-level", "loud"], "--log-level loud: expected trace"),
                                (["status", "-p", "x"], "--port x: expected an integer"),
                                (["intake", "--retention", "long"], "--retention long: expected a duration")]:
            status, out, error = self.run_sonde(*arguments)
            self.assertEqual((status, out), (2, ""), error)
            self.assertIn(f"sonde {arguments[0]}: {says}", error)

    def test_only_a_terminal_gets_colours(self):
        _, out, _ = self.run_sonde("doctor", "--port", free_port(), TERM="xterm")
        self.assertNotIn("\033", out)
        master, terminal = os.openpty()
        subprocess.run([str(self.sonde), "doctor", "--port", str(free_port())], stdout=terminal, timeout=60,
                       env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "HOME": str(self.stack.dir)})
        os.close(terminal)
        shown = b""
        try:
            while part := os.read(master, 65536):
                shown += part
        except OSError:  # how a terminal ends that nobody writes to any more
            pass
        os.close(master)
        self.assertIn(b"\033[31mfailed", shown)


class EchoingIntake:
    """Refuses everything, and says in its answer with which key it came."""

    def __enter__(self):
        self.keys = set()
        intake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                key = self.headers.get("DD-API-KEY") or self.headers.get("Authorization", "").removeprefix("Bearer ")
                intake.keys.add(key)
                answer = f"no account has the key {key}".encode()
                self.send_response(400)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_PUT = do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Secrets(Operations):
    NAMES = ["main", "traces", "second", "third", "proxied", "profiling", "telemetry", "evp", "evp_more", "lineage", "debugger",
             "debugger_more", "diagnostics", "symdb", "app", "proxy_password", "proxy_password_2", "url_password"]

    def setUp(self):
        super().setUp()
        self.intake = self.enterContext(EchoingIntake())
        # each is shaped as a real key and told apart from all others, its end too
        self.secret = {name: hashlib.md5(name.encode()).hexdigest() for name in self.NAMES}

    def configuration(self):
        url, s = self.intake.url, self.secret
        any_host = url.replace("127.0.0.1", "localhost")  # to have something in front of it
        return self.write("datadog.yaml", f"""api_key: {s["main"]}
app_key: {s["app"]}
log_level: trace
log_file: {self.stack.dir}/agent.txt
proxy:
  http: http://user:{s["proxy_password"]}@127.0.0.1:1
  https: http://user:{s["proxy_password_2"]}@127.0.0.1:1
  no_proxy: [127.0.0.1, "sub.{any_host.removeprefix("http://")}"]
apm_config:
  api_key: {s["traces"]}
  apm_dd_url: {url}
  additional_endpoints: {{"{url}": [{s["second"]}, {s["third"]}], "http://behind.proxy.invalid": [{s["proxied"]}]}}
  profiling_dd_url: {url}/api/v2/profile
  profiling_additional_endpoints: {{"{url}/p": [{s["profiling"]}]}}
  telemetry: {{dd_url: "{url}", additional_endpoints: {{"{url}": [{s["telemetry"]}]}}}}
  debugger_dd_url: {url}/d
  debugger_api_key: {s["debugger"]}
  debugger_additional_endpoints: {{"{url}/d": [{s["debugger_more"]}]}}
  debugger_diagnostics_dd_url: {url}/g
  debugger_diagnostics_api_key: {s["diagnostics"]}
  symdb_dd_url: {url}/s
  symdb_api_key: {s["symdb"]}
evp_proxy_config: {{dd_url: "{any_host}", api_key: {s["evp"]}, additional_endpoints: {{"{any_host}": [{s["evp_more"]}]}}}}
ol_proxy_config: {{dd_url: "{url}", api_key: {s["lineage"]}}}
vector: {{traces: {{url: "http://user:{s["url_password"]}@127.0.0.1:1"}}}}
""")

    def assert_clean(self, what, text):
        for name, secret in self.secret.items():
            self.assertNotIn(secret, text, f"{what} holds the secret {name}")

    def use_every_door(self):
        port = self.stack.agent_port
        request(port, "PUT", "/v0.4/traces", json.dumps([[SPAN]]), {"Content-Type": "application/json"})
        for path in ["/profiling/v1/input", "/telemetry/proxy/api/v2/apmtelemetry", "/evp_proxy/v2/x", "/v0.1/pipeline_stats",
                     "/openlineage/api/v1/lineage", "/debugger/v1/input", "/debugger/v1/diagnostics", "/symdb/v1/input"]:
            request(port, "POST", path, b"x", {"X-Datadog-EVP-Subdomain": "sub", "DD-Api-Key": self.secret["app"]})
        asked = set(self.secret) - {"app", "proxied", "proxy_password", "proxy_password_2", "url_password"}
        wait_until(lambda: f"all keys at the intake but {[n for n in asked if self.secret[n] not in self.intake.keys]}",
                   lambda: {self.secret[name] for name in asked} <= self.intake.keys)

    def test_no_secret_is_ever_printed(self):
        file = self.configuration()
        self.stack.start_agent("-c", file, DD_API_KEY=None, DD_APM_DD_URL=None, DD_PROXY_NO_PROXY=None)
        self.use_every_door()
        wait_until("what the intake refused is logged",
                   lambda: all(text in (self.stack.dir / "agent.txt").read_text()
                               for text in ["answer=", "intake not reached"]))
        self.stack.agent.signal(signal.SIGHUP)
        wait_until("reload", lambda: "reload done" in (self.stack.dir / "agent.txt").read_text())
        for path in ["/info", "/metrics", "/debug/vars", "/sonde/v1/status", "/sonde/v1/log"]:
            self.assert_clean(path, request(self.stack.agent_port, "GET", path)[1].decode())
        flare = self.stack.dir / "flare.zip"
        for command in [["status"], ["status", "--json"], ["doctor", "--wait", "1s"], ["doctor", "--json", "--wait", "1s"],
                        ["agent", "--check-config"], ["agent", "--show-config"], ["flare", "-o", flare]]:
            at = [] if command[0] == "agent" else ["--port", self.stack.agent_port]
            _, out, error = self.run_sonde(*command, "-c", file, *at, DD_BIND_HOST="127.0.0.1")
            self.assertTrue(out, error)
            self.assert_clean(" ".join(map(str, command)), out + error)
        with zipfile.ZipFile(flare) as z:
            for name in z.namelist():
                self.assert_clean(f"{name} of the flare", z.read(name).decode())
        self.stack.agent.stop()
        self.assert_clean("the log file", (self.stack.dir / "agent.txt").read_text())
        self.assert_clean("standard error", self.log())


class Switches(Operations):
    def test_an_agent_that_is_switched_off_ends_at_once_and_well(self):
        status, _, error = self.run_sonde("agent", DD_APM_ENABLED="false", DD_API_KEY=KEY)
        self.assertEqual(status, 0, error)
        self.assertIn("nothing to do: apm_config.enabled is false", error)

    def test_a_port_that_is_taken_ends_the_start_and_names_its_key(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            status, _, error = self.run_sonde("agent", DD_API_KEY=KEY, DD_APM_RECEIVER_SOCKET="",
                                              DD_APM_RECEIVER_PORT=str(taken.getsockname()[1]))
        self.assertEqual(status, 1, error)
        self.assertRegex(error, r"cannot listen on .* \(bind_host, apm_config.receiver_port\)\n")

    def test_info_tells_tracers_what_statistics_are_made(self):
        self.stack.start_intake()
        self.stack.start_agent(DD_APM_PEER_TAGS='["my.peer"]', DD_APM_COMPUTE_STATS_BY_SPAN_KIND="false")
        info = get_json(self.stack.agent_port, "/info")
        self.assertIn("my.peer", info["peer_tags"])
        self.assertEqual(info["peer_tags"], sorted(info["peer_tags"]))
        self.assertIsNone(info["span_kinds_stats_computed"])

    def test_without_aggregation_by_peers_info_lists_none(self):
        self.stack.start_intake()
        self.stack.start_agent(DD_APM_PEER_TAGS_AGGREGATION="false")
        info = get_json(self.stack.agent_port, "/info")
        self.assertIsNone(info["peer_tags"])
        self.assertEqual(len(info["span_kinds_stats_computed"]), 4)


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
        self.reload("apm_config:\n  ignore_resources: [^health]\n", "reload done")
        self.assertIn("reload: apm_config.ignore_resources changed", self.log())
        for resource in ["health", "other"]:
            request(self.stack.agent_port, "PUT", "/v0.4/traces", json.dumps([[{**SPAN, "resource": resource}]]),
                    {"Content-Type": "application/json"})
        wait_until("one is counted and one is not",
                   lambda: self.stack.agent_status()["stats"]["spans_in"] == 1
                   and self.stack.agent_status()["queue"]["processed"] == 2)
        self.reload("log_level: [", "reload failed, going on as before")
        self.assertRegex(self.log(), r"Z error sonde agent: configuration: .*datadog.yaml:\d+:\d+: ")
        self.reload("log_level: info\n", "reload done: changes=1")
        self.assertNotIn(KEY, self.log())


class Stop(Operations):
    def test_requests_under_way_are_finished_before_the_end(self):
        self.stack.start_intake()
        self.stack.start_agent(SONDE_SHUTDOWN_TIMEOUT="120", DD_APM_RECEIVER_TIMEOUT="60")
        body = json.dumps([[SPAN]]).encode()
        head = f"PUT /v0.4/traces HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", self.stack.agent_port), timeout=PATIENCE_S) as s:
            s.sendall(head + body[:10])
            wait_until("its body is awaited", lambda: self.stack.agent_status()["receiver"]["http"]["budget_used_bytes"])
            self.stack.agent.signal(signal.SIGTERM)
            wait_until("it is told", lambda: "stopping" in self.log())
            wait_until("its port is closed", self._is_refused)
            s.sendall(body[10:])
            answer = b"".join(iter(lambda: s.recv(4096), b""))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        self.assertIn(b"rate_by_service", answer)
        self.stack.agent.wait()
        self.assertEqual(self.stack.intake_counters()["stored"]["spans"], 1)

    def _is_refused(self):
        try:
            socket.create_connection(("127.0.0.1", self.stack.agent_port), timeout=PATIENCE_S).close()
            return False
        except OSError:
            return True


class Pages(Operations):
    def test_metrics_vars_and_log_tell_of_a_trace_and_never_the_key(self):
        self.stack.start_intake()
        self.stack.start_agent(DD_API_KEY=KEY, DD_LOG_LEVEL="debug")
        status, _ = request(self.stack.agent_port, "PUT", "/v0.4/traces", json.dumps([[SPAN]]),
                            {"Content-Type": "application/json", "X-Datadog-Trace-Count": "1", "Datadog-Meta-Lang": "c",
                             "Datadog-Meta-Lang-Version": "11"})
        self.assertEqual(status, 200)
        request(self.stack.agent_port, "PUT", "/v0.4/traces", b"nonsense", {"X-Datadog-Trace-Count": "3"})
        self.stack.await_drained(received=1)
        status, page = request(self.stack.agent_port, "GET", "/metrics")
        page = page.decode()
        self.assertEqual(status, 200)
        self.assertTrue(page.endswith("# EOF\n"))
        whose = 'lang="c",lang_version="11",endpoint_version="v0.4",connection_type="tcp",service="s"'
        for line in ["receiver_trace_total{%s} 1", "receiver_spans_received_total{%s} 1", "receiver_traces_priority_total{%s,priority=\"1\"} 1",
                     "receiver_serve_traces_ms_count{%s,success=\"true\"} 1", "receiver_payload_accepted_total{%s} 1"]:
            self.assertIn(f"\ndatadog_trace_agent_{line % whose}\n", page)
        for line in 'receiver_tcp_connections_total{status="accepted"} ', "receiver_rate_response_bytes_count 1", "trace_writer_queue_fill ", "stats_writer_connection_fill ":
            self.assertIn(f"\ndatadog_trace_agent_{line}", page)
        self.assertIn('normalizer_traces_dropped_total{endpoint_version="v0.4",connection_type="tcp",reason="decoding_error"} 3\n', page)
        wait_until("the payload's time is counted",  # when all else of it is done
                   lambda: b"\ndatadog_trace_agent_internal_process_payload_ms_count 1\n" in
                   request(self.stack.agent_port, "GET", "/metrics")[1])
        self.assertIn('\ndatadog_trace_agent_sampler_kept_total{sampler="priority",sampling_priority="auto_keep",'
                      'target_service="s",target_env="none"} 1\n', page)
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
        self.stack.start_agent(DD_OTLP_CONFIG_RECEIVER_PROTOCOLS_HTTP_ENDPOINT=f"127.0.0.1:{free_port()}")
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

    def test_sockets_of_systemd_are_listened_on(self):
        tcp = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(tcp.close)
        port = tcp.getsockname()[1]
        script = ("import os, sys\n"
                  "os.dup2(int(sys.argv[1]), 3)\n"
                  "os.set_inheritable(3, True)\n"
                  "os.environ['LISTEN_FDS'] = '1'\n"
                  "os.environ['LISTEN_PID'] = str(os.getpid())\n"
                  "os.execv(sys.argv[2], [sys.argv[2], 'agent'])\n")
        os.set_inheritable(tcp.fileno(), True)
        env = {"PATH": "/usr/bin:/bin", "DD_API_KEY": KEY, "DD_APM_DD_URL": "http://127.0.0.1:1",
               "DD_APM_RECEIVER_SOCKET": "", "SONDE_DATA_DIR": str(self.stack.dir)}
        agent = subprocess.Popen([sys.executable, "-c", script, str(tcp.fileno()), str(self.sonde)], close_fds=False, env=env,
                                 stderr=subprocess.DEVNULL)
        try:
            info = wait_until("it answers", lambda: self._info(port))
            self.assertIn("endpoints", info)
        finally:
            agent.terminate()
            self.assertEqual(agent.wait(60), 0)

    def _info(self, port):
        try:
            return get_json(port, "/info")
        except OSError:
            return None

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


class Doctor(Operations):
    def doctor(self, *arguments, **env):
        status, out, error = self.run_sonde("doctor", "--json", "--port", self.stack.agent_port, *arguments,
                                            DD_BIND_HOST="127.0.0.1", **env)
        found = json.loads(out)
        self.assertEqual(status, 0 if found["ok"] else 1, out + error)
        return found, {step["step"]: step for step in found["steps"]}

    def test_a_trace_is_followed_to_the_intake(self):
        self.stack.start_intake()
        self.stack.start_agent(DD_API_KEY=KEY)
        found, steps = self.doctor(DD_API_KEY=KEY)
        self.assertTrue(found["ok"], found)
        for step in ["configuration", "resolve", "connect", "info", "probe", "statistics", "delivery"]:
            self.assertEqual(steps[step]["state"], "ok", found)
        status, out, _ = self.run_sonde("doctor", "--no-probe", "--port", self.stack.agent_port, DD_API_KEY=KEY)
        self.assertEqual(status, 0)
        self.assertIn("Everything works.", out)
        self.assertNotIn("probe", out)

    def test_in_local_mode_the_trace_is_found_in_the_store(self):
        local = {"SONDE_LOCAL_PORT": str(self.stack.intake_port)}
        self.stack.start_agent(DD_API_KEY=None, DD_APM_DD_URL=None, SONDE_DATA_DIR=str(self.stack.dir / "data"), **local)
        found, steps = self.doctor(**local)
        self.assertTrue(found["ok"], found)
        self.assertEqual(steps["intake"]["state"], "ok")

    def test_the_failing_step_is_named_with_its_fix(self):
        found, steps = self.doctor()
        self.assertEqual(found["failed"], "connect")
        self.assertIn("sonde agent", steps["connect"]["fix"])
        self.assertEqual(steps["info"]["state"], "skipped")

        self.stack.start_agent(DD_API_KEY=KEY, DD_APM_DD_URL="http://127.0.0.1:1")  # where nobody is
        found, steps = self.doctor("--wait", "2s", DD_API_KEY=KEY)
        self.assertEqual(found["failed"], "delivery", found)
        self.assertIn("http://127.0.0.1:1", steps["delivery"]["detail"])
        self.assertIn("cannot be reached", steps["delivery"]["fix"])

    def test_something_else_on_the_port_is_not_taken_for_an_agent(self):
        self.stack.start_intake()
        status, out, _ = self.run_sonde("doctor", "--json", "--port", self.stack.intake_port, DD_BIND_HOST="127.0.0.1")
        self.assertEqual(status, 1)
        self.assertEqual(json.loads(out)["failed"], "info")


class RecordAndReplay(Operations):
    def test_what_was_recorded_arrives_again(self):
        self.stack.start_intake()
        self.stack.start_agent()
        file, port = self.stack.dir / "recording", free_port()
        recorder = self.stack.start("record", [self.sonde, "record", "--listen", port, "--port", self.stack.agent_port,
                                               file], {"DD_BIND_HOST": "127.0.0.1"})
        wait_until("the recorder hands on", lambda: self._answers(port))
        for i in range(3):
            status, body = request(port, "PUT", "/v0.4/traces", json.dumps([[{**SPAN, "trace_id": 7 + i}]]), {
                "Content-Type": "application/json", "X-Datadog-Trace-Count": "1", "DD-Api-Key": KEY})
            self.assertEqual(status, 200)
            self.assertIn(b"rate_by_service", body)
        self.stack.await_drained(received=3)
        recorder.signal(signal.SIGTERM)
        recorder.wait()
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(KEY.encode(), file.read_bytes())
        self.assertIn("requests=3", recorder.log.read_text())

        status, out, _ = self.run_sonde("replay", "--list", file)
        self.assertEqual((status, len(out.splitlines())), (0, 3), out)
        status, out, error = self.run_sonde("replay", "--fast", "--port", self.stack.agent_port, file, DD_BIND_HOST="127.0.0.1")
        self.assertEqual(status, 0, error)
        self.assertIn("requests=3", out)
        self.stack.await_drained(received=6)

        with open(file, "r+b") as f:
            f.seek(60)
            f.write(b"\xff\xff")
        status, _, error = self.run_sonde("replay", "--list", file)
        self.assertEqual(status, 1)
        self.assertIn("damaged", error)
        self.assertEqual(self.run_sonde("record", "--no-agent", "--listen", "0", file)[0], 1)  # it is not overwritten

    def _answers(self, port):
        try:
            return request(port, "GET", "/info")[0] == 200
        except OSError:
            return False


class Flare(Operations):
    def archive(self, *arguments, **env):
        file = self.stack.dir / "flare.zip"
        status, out, error = self.run_sonde("flare", "-o", file, "--port", self.stack.agent_port, *arguments,
                                            DD_BIND_HOST="127.0.0.1", **env)
        self.assertEqual((status, out.strip()), (0, str(file)), error)
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        with zipfile.ZipFile(file) as z:
            self.assertIsNone(z.testzip())
            return {name: z.read(name).decode() for name in z.namelist()}

    def test_the_archive_helps_and_holds_no_secret(self):
        other = "another-key-of-the-tests"
        file = self.write("datadog.yaml", f"""api_key: {KEY}
log_file: {self.stack.dir}/agent.txt
apm_config:
  additional_endpoints:
    "http://127.0.0.1:1": ["{other}"]
""")
        self.stack.start_intake()
        self.stack.start_agent("-c", file, DD_API_KEY=None)
        with open(self.stack.dir / "agent.txt", "a") as log:
            log.write(f"somebody logged {KEY} and {other}\n")
        files = self.archive("-c", file)
        self.assertEqual({"configuration.yaml", "system.txt", "status.json", "status.txt", "info.json", "metrics.txt",
                          "vars.json", "log.txt", "log-file.txt"}, set(files))
        for name, text in files.items():
            self.assertNotIn(KEY, text, name)
            self.assertNotIn(other, text, name)
        self.assertIn("somebody logged *** and ***", files["log-file.txt"])
        self.assertIn("receiver", json.loads(files["status.json"]))
        self.assertIn("endpoints", json.loads(files["info.json"]))
        self.assertIn("agent ready", files["log.txt"])
        self.assertIn(f"log_file: {self.stack.dir}/agent.txt  # {file}:2:1", files["configuration.yaml"])

    def test_without_an_agent_the_archive_says_so(self):
        files = self.archive(DD_API_KEY=KEY)
        self.assertIn("GET http://127.0.0.1", files["status.json"])
        self.assertNotIn(KEY, "".join(files.values()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
