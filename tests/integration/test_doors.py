"""Every endpoint of the agent, as a client finds it: without a body, with one that is too large, of the wrong kind;
with somewhere to send to, with nowhere, and switched off.  And what of it arrives at an intake."""

import hashlib
import http.client
import http.server
import json
import socket
import sys
import threading
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import Stack, free_port, get_json, request, wait_until
from wire import Forms

KEY = "0123456789abcdef0123456789abcdef"  # of the tests: must never be seen again
RATES = b'{"rate_by_service":{}}\n'
EOF, SHORT = b"unexpected-eof\n", b"msgp: too few bytes left to read object\n"
NO_KEY = b"not passed on: there is no api_key\n"
MSGPACK = {"Content-Type": "application/msgpack"}

# path, status and body for: no body as JSON, no body as msgpack
TRACES = [
    ("/spans", (400, EOF), (415, b'unsupported media type: "application/msgpack"\n')),
    ("/v0.1/spans", (400, EOF), (415, b'unsupported media type: "application/msgpack"\n')),
    ("/v0.2/traces", (400, EOF), (415, b'unsupported media type: "application/msgpack"\n')),
    ("/v0.3/traces", (400, EOF), (400, SHORT)),
    ("/v0.4/traces", (400, EOF), (400, SHORT)),
    ("/v0.5/traces", (400, SHORT), (400, SHORT)),
    ("/v0.7/traces", (400, SHORT), (400, SHORT)),
    ("/v1.0/traces", (400, SHORT), (400, SHORT)),
    ("/v0.6/stats", (400, SHORT), (400, SHORT)),
]
SERVICES = ["/services", "/v0.1/services", "/v0.2/services", "/v0.3/services", "/v0.4/services"]
PASSED_ON = ["/profiling/v1/input", "/v0.1/pipeline_stats", "/openlineage/api/v1/lineage", "/evp_proxy/v1/x", "/evp_proxy/v2/x",
             "/evp_proxy/v3/x", "/evp_proxy/v4/x", "/debugger/v1/input", "/debugger/v1/diagnostics",
             "/debugger/v2/input", "/symdb/v1/input"]
EVP = {"X-Datadog-EVP-Subdomain": "sub"}


class FakeIntake:
    """Takes everything and remembers (path, headers, body)."""

    def __enter__(self):
        self.got = []
        intake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                intake.got.append((self.path, dict(self.headers), body))
                self.send_response(202)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Doors(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())

    def tearDown(self):
        self.stack.agent.stop()
        self.assertNotIn(KEY, self.stack.agent.log.read_text(errors="replace"))

    def ask(self, path, body=b"", headers=None, method="POST"):
        return request(self.stack.agent_port, method, path, body, headers)

    def start_with_intake(self, intake, **env):
        to = f"http://127.0.0.1:{intake.port}"
        self.stack.start_agent(
            DD_API_KEY=KEY, DD_APM_DD_URL=to, DD_APM_PROFILING_DD_URL=f"{to}/profile", DD_APM_TELEMETRY_DD_URL=to,
            DD_EVP_PROXY_CONFIG_DD_URL=f"http://localhost:{intake.port}", DD_OL_PROXY_CONFIG_DD_URL=to,
            DD_APM_DEBUGGER_DD_URL=f"{to}/logs", DD_APM_DEBUGGER_DIAGNOSTICS_DD_URL=f"{to}/diagnostics",
            DD_APM_SYMDB_DD_URL=f"{to}/symdb", **env)

    def info(self):
        status, body = self.ask("/info", method="GET")
        self.assertEqual(status, 200)
        return body, json.loads(body)


class TraceEndpoints(Doors):
    def test_without_a_body_each_says_what_the_protocol_says(self):
        self.stack.start_agent()
        for path, as_json, as_msgpack in TRACES:
            for method in "PUT", "POST":
                self.assertEqual(self.ask(path, method=method), as_json, path)
                self.assertEqual(self.ask(path, headers=MSGPACK, method=method), as_msgpack, path)
        for path in SERVICES:
            self.assertEqual(self.ask(path), (200, b"OK\n"), path)
        self.assertEqual(self.ask("/v0.7/config", b"{}"), (200, b"{}"))
        self.assertEqual(self.ask("/v0.7/config", b"{"), (400, b"the body is not a JSON object\n"))
        self.assertEqual(self.ask("/nothing"), (404, b"404 page not found\n"))
        self.assertEqual(self.ask("/v0.4/traces", b"\x90", MSGPACK), (200, RATES))

    def test_a_body_over_the_limit_is_413_declared_or_not(self):
        self.stack.start_agent()
        for path, _, _ in TRACES:
            self.assertEqual(self.ask(path, b"x" * (26214400 + 1), {"Content-Type": "application/json"}),
                             (413, b"payload-too-large\n"), path)
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        with socket.create_connection(("127.0.0.1", self.stack.agent_port)) as s:
            s.sendall(b"PUT /v0.4/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(26):
                s.sendall(chunk)
            s.sendall(b"0\r\n\r\n")
            answer = http.client.HTTPResponse(s)
            answer.begin()
            self.assertEqual((answer.status, answer.read()), (413, b"payload-too-large\n"))

    def test_of_a_body_over_the_limit_the_whole_traces_are_taken_if_so_configured(self):
        limit, many = 8192, 20
        self.stack.start_agent(DD_APM_MAX_PAYLOAD_SIZE=str(limit), SONDE_KEEP_LARGE_PAYLOADS="true")

        def chunk(trace_id, size):
            return [{"service": "large", "name": "web.request", "resource": "GET /", "type": "web", "trace_id": trace_id,
                     "span_id": trace_id, "parent_id": 0, "start": 1700000000000000000, "duration": 1, "error": 0,
                     "meta": {"blob": "x" * size}, "metrics": {}}]
        for path, pack in ("/v0.4/traces", Forms().v04), ("/v0.5/traces", Forms().v05):
            before = self.receiver()
            body = pack([chunk(n + 1, 1000) for n in range(many)] if "4" in path else
                        [chunk(n + 1, 0) for n in range(50 * many)])
            sent = many if "4" in path else 50 * many
            headers = {"Content-Type": "application/msgpack", "X-Datadog-Trace-Count": str(sent)}
            self.assertEqual(self.ask(path, body, headers)[0], 200, path)
            after = self.receiver()
            taken = after["traces_received"] - before["traces_received"]
            self.assertTrue(0 < taken < sent, taken)
            self.assertEqual(after["traces_dropped"]["payload_too_large"] - before["traces_dropped"]["payload_too_large"],
                             sent - taken)
            self.assertEqual(after["payloads_cut"] - before["payloads_cut"], 1)
            self.assertEqual(after["largest_payload_bytes"], max(len(body), before["largest_payload_bytes"]))
        before = self.receiver()
        for body, kind in [(Forms().v04([chunk(1, 2 * limit)]), "application/msgpack"),  # no trace is whole
                           (json.dumps([chunk(n + 1, 1000) for n in range(many)]).encode(), "application/json")]:
            self.assertEqual(self.ask("/v0.4/traces", body, {"Content-Type": kind, "X-Datadog-Trace-Count": "3"}),
                             (413, b"payload-too-large\n"), kind)
        after = self.receiver()
        self.assertEqual(after["payloads_dropped"]["payload_too_large"], before["payloads_dropped"]["payload_too_large"] + 2)
        self.assertEqual(after["payloads_received"], after["payloads_accepted"] + sum(after["payloads_dropped"].values()))
        self.assertRegex(self.stack.agent.log.read_text(), r'payload too large: endpoint=/v0.4/traces bytes=\d+ max_bytes=8192 '
                         r'traces_taken=\d+ .*service="?large"?')

    def receiver(self):
        return get_json(self.stack.agent_port, "/sonde/v1/status")["receiver"]

    def test_what_browsers_send_from_elsewhere_is_refused(self):
        self.stack.start_agent()
        for path in [t[0] for t in TRACES if t[0] != "/v0.6/stats"] + SERVICES:
            self.assertEqual(self.ask(path, b"[]", {"Sec-Fetch-Site": "cross-site"}),
                             (403, b"cross-site request rejected\n"), path)

    def test_a_head_that_never_ends_is_431(self):
        self.stack.start_agent()
        with socket.create_connection(("127.0.0.1", self.stack.agent_port)) as s:
            s.sendall(b"PUT /v0.4/traces HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 33000)
            self.assertIn(b" 431 ", s.recv(100))


class Info(Doors):
    def test_the_state_is_the_digest_of_a_body_that_does_not_change(self):
        self.stack.start_agent()
        body, said = self.info()
        self.assertEqual(self.info()[0], body)
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.agent_port)
        connection.request("PUT", "/v0.4/traces", b"[]")
        answer = connection.getresponse()
        self.assertEqual(answer.headers["Datadog-Agent-State"], hashlib.sha256(body).hexdigest())
        self.assertEqual(answer.headers["Datadog-Agent-Version"], said["version"])
        answer.read()
        connection.request("GET", "/info")
        answer = connection.getresponse()
        self.assertIsNone(answer.headers["Datadog-Agent-State"])
        connection.close()

    def test_a_container_is_told_the_digest_of_its_tags(self):
        self.stack.start_agent(SONDE_CONTAINER_TAGS="kube_namespace:shop,image_name:x,short_image:web,service:api")
        for headers, expected in [({}, None), ({"Datadog-Entity-ID": "ci-abc"},
                                               "9d330eef707f70878c8622b37c41100785b0aeed2548522f7c363c9ff2662847")]:
            connection = http.client.HTTPConnection("127.0.0.1", self.stack.agent_port)
            connection.request("GET", "/info", headers=headers)
            self.assertEqual(connection.getresponse().headers["Datadog-Container-Tags-Hash"], expected)
            connection.close()

    def test_only_what_is_served_is_listed(self):
        self.stack.start_agent(DD_API_KEY=None, DD_APM_DD_URL=None, SONDE_LOCAL_PORT=str(free_port()))
        profiles = ["/profiling/v1/input", "/sonde/profiling/v1/batch"]  # the intake in the agent takes them
        for path in self.info()[1]["endpoints"]:
            self.assertTrue(path.startswith("/v") or path in profiles, path)
            self.assertNotEqual(self.ask(path)[0], 404, path)


class PassedOn(Doors):
    def test_every_door_reaches_the_intake_with_the_agents_key(self):
        with FakeIntake() as intake:
            self.start_with_intake(intake)
            for path in PASSED_ON:
                intake.got.clear()
                expected = 200 if path == "/profiling/v1/input" else 202
                self.assertEqual(self.ask(path, b"body", EVP), (expected, b"ok"), path)
                (_, headers, body), = intake.got
                self.assertEqual(body, b"body", path)
                self.assertTrue(headers.get("DD-API-KEY") == KEY or headers.get("Authorization") == f"Bearer {KEY}", path)
                self.assertEqual(self.ask(path, b"", EVP), (expected, b"ok"), path)
            intake.got.clear()
            self.assertEqual(self.ask("/telemetry/proxy/api/v2/apmtelemetry", b"{}"), (200, b"{}"))
            wait_until("telemetry arrives", lambda: intake.got)
            self.assertEqual(intake.got[0][0], "/api/v2/apmtelemetry")
            listed = self.info()[1]["endpoints"]
            self.assertEqual(listed.index("/telemetry/proxy/") + 1, listed.index("/v0.6/stats"))
            self.assertIn("/evp_proxy/v2/", listed)
            self.assertIn("/tracer_flare/v1", listed)
            self.assertNotIn("/dogstatsd/v2/proxy", listed)
            self.assertNotIn("/v0.7/config", listed)
            for counts in get_json(self.stack.agent_port, "/sonde/v1/status")["proxies"].values():
                self.assertEqual(counts["received"], counts["passed_on"] + counts["discarded"] +
                                 sum(counts["dropped"].values()) + counts["held"])

    def test_with_nowhere_to_send_to_each_says_so(self):
        self.stack.start_agent(DD_API_KEY=None, DD_APM_DD_URL=None, SONDE_LOCAL_PORT=str(free_port()))
        for path in PASSED_ON + ["/tracer_flare/v1"]:
            if path != "/profiling/v1/input":  # the intake in the agent takes profiles
                self.assertEqual(self.ask(path, b"x", EVP), (404, NO_KEY), path)
        self.assertEqual(self.ask("/telemetry/proxy/api/v2/apmtelemetry", b"{}"), (200, b"{}"))
        for path in "/dogstatsd/v1/proxy", "/dogstatsd/v2/proxy":
            self.assertEqual(self.ask(path, b"a:1|c"),
                             (503, b"DogStatsD is not known: neither dogstatsd_port nor dogstatsd_socket is set\n"))

    def test_metrics_go_to_the_dogstatsd_that_is_configured(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
            statsd.bind(("127.0.0.1", 0))
            statsd.settimeout(120)
            self.stack.start_agent(DD_DOGSTATSD_PORT=str(statsd.getsockname()[1]), SONDE_LOCAL_PORT=str(free_port()))
            self.assertIn("/dogstatsd/v2/proxy", self.info()[1]["endpoints"])
            self.assertEqual(self.ask("/dogstatsd/v2/proxy", b"shop.orders:1|c|#a:b\nshop.open:2|g\n"), (200, b""))
            got = statsd.recv(65536)
            while b"shop." not in got:  # the agent's own go there, too
                got = statsd.recv(65536)
            self.assertEqual(got, b"shop.orders:1|c|#a:b\nshop.open:2|g\n")

    def test_switched_off_each_says_so(self):
        with FakeIntake() as intake:
            self.start_with_intake(intake, DD_EVP_PROXY_CONFIG_ENABLED="false", DD_OL_PROXY_CONFIG_ENABLED="false",
                                   DD_APM_TELEMETRY_ENABLED="false", DD_LOGS_ENABLED="false",
                                   DD_APM_PROFILING_SEND_TO_MAIN_ENDPOINT="false")
            self.assertEqual(self.ask("/evp_proxy/v2/x", b"", EVP),
                             (405, b"EVPProxy is disabled: Has been disabled in config\n"))
            self.assertEqual(self.ask("/openlineage/api/v1/lineage")[0], 500)
            self.assertEqual(self.ask("/profiling/v1/input")[0], 500)
            self.assertEqual(self.ask("/telemetry/proxy/x"), (404, b"404 page not found\n"))
            self.assertEqual(self.ask("/debugger/v1/input", b"x"), (200, b""))
            self.assertEqual(intake.got, [])

    def test_bodies_over_the_limit_are_refused(self):
        with FakeIntake() as intake:
            self.start_with_intake(intake)
            large = b"x" * (10 * 1024 * 1024 + 1)
            self.assertEqual(self.ask("/evp_proxy/v2/x", large, EVP), (502, b""))
            self.assertEqual(self.ask("/symdb/v1/input", b"x" * (26214400 + 1)), (413, b"payload-too-large\n"))
            self.assertEqual(self.ask("/telemetry/proxy/x", large), (429, b"{}"))
            self.assertEqual(intake.got, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
