"""Batches of the profiler to an agent, profiles of the agent to an intake: the whole way over sockets.

The worked example of docs/spec/profile-batch.md arrives as a pprof that says field by field what the batch said; a
batch nobody can use is refused by reason; and every row is uploaded or counted.
"""

import gzip
import http.server
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import pprof  # noqa: E402
import spb  # noqa: E402
from profile_intake import ProfileIntake  # noqa: E402
from stack import Stack, get_json, request, sum_of, wait_until  # noqa: E402

PATH = "/sonde/profiling/v1/batch"
PROTO = Path(__file__).resolve().parents[2] / "common/codec/proto"
SESSION = b"0123456789abcdef"
SECOND = 10**9


class Agent:
    """A Stack whose profiles go to a recording intake; windows of a second."""

    def __enter__(self):
        self.intake = ProfileIntake().__enter__()
        self.stack = Stack().__enter__()
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)
        self.intake.__exit__(*what)

    def start(self, **env):
        self.stack.start_agent(DD_APM_DD_URL="http://127.0.0.1:9", DD_APM_PROFILING_DD_URL=self.intake.url,
                               **{"SONDE_AGENT_PROFILING_WINDOW": "1", **env})

    def post(self, body, **headers):
        return request(self.stack.agent_port, "POST", PATH, body,
                       {"Content-Type": "application/msgpack", **{k.replace("_", "-"): v for k, v in headers.items()}})

    def endpoints(self):
        return get_json(self.stack.agent_port, "/info")["endpoints"]

    def forwarder(self):
        """Of profiles; None before there was one."""
        f = self.stack.agent_status()["profile_forwarder"][0]
        return f if "profiles" in f else None

    def await_delivered(self, profiles):
        """Until the forwarder knows it; returns its numbers."""
        wait_until("profiles are delivered",
                   lambda: self.forwarder() and self.forwarder()["profiles"]["delivered"]["payloads"] == profiles)
        return self.forwarder()

    def counters(self):
        return self.stack.agent_status()["profiles"]

    def assert_law(self, test):
        c = self.counters()
        test.assertEqual(c["batches_received"], c["batches_taken"] + c["batches_repeated"] + c["batches_resync"] +
                         sum_of(c["batches_refused"]), c)
        test.assertEqual(c["rows_received"], c["rows_uploaded"] + sum_of(c["rows_dropped"]) + c["rows_held"], c)
        return c


class FileServer:
    """Answers every GET with the same bytes, on loopback."""

    def __init__(self, data):
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *what):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Profiles(unittest.TestCase):
    def test_the_worked_example_arrives_as_a_pprof(self):
        with Agent() as a:
            a.start(SONDE_CONTAINER_TAGS="kube_namespace:shop")
            self.assertEqual(a.endpoints()[-1], PATH)

            self.assertEqual(a.post(spb.EXAMPLE, Datadog_Container_ID="c" * 64), (200, b'{"ack":7}'))

            upload = a.intake.await_uploads(1)[0]
            self.check_contract(upload)
            self.check_profile(upload.profile)
            if shutil.which("protoc"):
                self.check_with_protoc(upload)
            if shutil.which("go"):
                self.check_with_go(upload)
            a.await_delivered(1)
            wait_until("the rows are counted", lambda: a.counters()["rows_uploaded"] == 2)
            a.assert_law(self)

    def check_contract(self, upload):
        self.assertEqual(upload.path, "/api/v2/profile")
        for name, value in {"DD-API-KEY": "key-of-a-test", "DD-EVP-ORIGIN": "sonde-profiler"}.items():
            self.assertEqual(upload.headers[name], value, name)
        self.assertRegex(upload.headers["User-Agent"], r"^Sonde/\d")
        self.assertRegex(upload.headers["Via"], r"^trace-agent \d")
        self.assertRegex(upload.headers["X-Datadog-Additional-Tags"], r"^host:[^,]+,default_env:none,agent_version:\d")
        self.assertEqual(upload.headers["X-Datadog-Container-Tags"], "kube_namespace:shop,container_id:" + "c" * 64)
        self.assertNotIn("Transfer-Encoding", upload.headers)
        self.assertEqual(list(upload.parts), ["event", "profile.pprof"])
        self.assertEqual(upload.parts["event"][:2], ("event.json", "application/json"))
        self.assertEqual(upload.parts["profile.pprof"][:2], ("profile.pprof", None))
        self.assertEqual(upload.packed[:4], b"\x28\xb5\x2f\xfd")
        e = upload.event
        self.assertEqual({k: e[k] for k in ("version", "family", "attachments", "start", "end", "endpoint_counts")},
                         {"version": "4", "family": "native", "attachments": ["profile.pprof"],
                          "start": "2026-01-01T00:00:00.000000000Z", "end": "2026-01-01T00:00:10.000000000Z",
                          "endpoint_counts": {"GET /": 1}})
        self.assertEqual({k: upload.tags.get(k) for k in ("language", "runtime", "profile_seq", "process_id", "remote_symbols",
                                                          "include_kernel", "service", "host")},
                         {"language": "native", "runtime": "native", "profile_seq": "0", "process_id": "4242",
                          "remote_symbols": "yes", "include_kernel": "false", "service": None, "host": None})

    def check_profile(self, p):
        self.assertEqual(p.sample_types, [("cpu-samples", "count"), ("cpu-time", "nanoseconds")])
        self.assertEqual((p.time_nanos, p.duration_nanos), (1767225600 * SECOND, 10 * SECOND))
        self.assertEqual(p.period_type, ("cpu-time", "nanoseconds"))
        self.assertEqual(p.default_sample_type, "cpu-time")
        self.assertEqual(list(p.mappings.values()), [
            {"id": 1, "start": 0x401000, "limit": 0x402000, "offset": 0x1000, "filename": "/opt/app/demo",
             "build_id": "1f2e3d4c5b6a7988", "has_functions": 0, "has_filenames": 0, "has_line_numbers": 0,
             "has_inline_frames": 0}])
        self.assertEqual([s["value"] for s in p.samples], [[2, 20000000]])
        self.assertEqual([(p.locations[i]["mapping_id"], p.locations[i]["address"], p.locations[i]["line"])
                          for i in p.samples[0]["location_id"]], [(1, 0x401136, []), (1, 0x401180, [])])
        self.assertEqual(p.samples[0]["label"], {
            "span id": 0x0A0B0C0D0E0F1011, "local root span id": 0x0102030405060708, "trace endpoint": "GET /",
            "thread id": 4242, "thread native id": 4242, "thread name": "worker-1", "thread_name": "worker-1",
            "process_id": "4242", "container_id": "c" * 64})

    def check_with_protoc(self, upload):
        said = subprocess.run(["protoc", f"--proto_path={PROTO}", "--decode=sonde.pprof.Profile", "pprof.proto"],
                              input=pprof.unpack(upload.packed), capture_output=True, check=True).stdout.decode()
        self.assertIn('string_table: "/opt/app/demo"', said)
        self.assertIn(f"address: {0x401136}", said)
        self.assertNotRegex(said, r"(?m)^\s*\d+:")  # a field the description does not have

    def check_with_go(self, upload):
        with tempfile.NamedTemporaryFile() as file:
            file.write(pprof.unpack(upload.packed))
            file.flush()
            said = subprocess.run(["go", "tool", "pprof", "-raw", file.name], capture_output=True, text=True)
        if any(why in said.stderr for why in ("unknown command", "no such tool", "build cache")):  # which is in HOME
            return
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("cpu-samples/count cpu-time/nanoseconds", said.stdout)
        self.assertRegex(said.stdout, r"(?m)^\s*2\s+20000000: 1 2")

    def test_names_are_found_though_file_and_process_are_gone_a_moment_later(self):
        if not shutil.which("gcc"):
            self.skipTest("no gcc")
        with Agent() as a, tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "short_lived"
            source = Path(folder) / "short_lived.c"
            source.write_text("int work(int x) { return x * 3; } int main(void) { return work(0); }")
            subprocess.run(["gcc", "-O0", "-Wl,--build-id", "-o", program, source], check=True)
            symbols = dict(line.split()[::2][::-1] for line in subprocess.run(
                ["nm", program], check=True, capture_output=True, text=True).stdout.splitlines() if len(line.split()) == 3)
            build_id = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True).stdout
            build_id = bytes.fromhex(build_id.split("Build ID: ")[1].split()[0])
            a.start()
            body = spb.batch(SESSION, 1, 100 * SECOND, 110 * SECOND, [1, 1, [str(program)]],
                             [2, [[2, 0x555555554000, 0x1000, 0, 0x555555554000, 9, 1, build_id]]],
                             [4, 1, [0, 2, int(symbols["main"], 16) + 4, 1, 2, int(symbols["work"], 16) + 4]],
                             [5, 1, 105 * SECOND, [0, 0, 0, 2, 1, 7]])
            self.assertEqual(a.post(body)[0], 200)
            program.unlink()
            p = a.intake.await_uploads(1)[0].profile
            self.assertEqual([stack for stack, _, _ in p.rows()], [["main", "work"]])
            self.assertEqual(p.mappings[1]["has_functions"], 1)

    def test_debug_files_are_fetched_where_that_is_wanted_only(self):
        if not shutil.which("gcc"):
            self.skipTest("no gcc")
        for wanted in "false", "true":
            with self.subTest(wanted=wanted), Agent() as a, tempfile.TemporaryDirectory() as folder:
                program, debug, source = (Path(folder) / n for n in ("stripped", "debug", "stripped.c"))
                source.write_text("int work(int x) { return x * 3; } int main(void) { return work(0); }")
                subprocess.run(["gcc", "-O0", "-Wl,--build-id", "-o", program, source], check=True)
                symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
                work = int(re.search(r"(\S+) T work", symbols)[1], 16)
                notes = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True).stdout
                build_id = notes.split("Build ID: ")[1].split()[0]
                subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
                subprocess.run(["strip", program], check=True)
                with FileServer(debug.read_bytes()) as server:
                    a.start(SONDE_AGENT_PROFILING_DEBUGINFOD=wanted, DEBUGINFOD_URLS=server.url)
                    body = spb.batch(SESSION, 1, 100 * SECOND, 110 * SECOND, [1, 1, [str(program)]],
                                     [2, [[2, 0x555555554000, 0x1000, 0, 0x555555554000, 9, 1, bytes.fromhex(build_id)]]],
                                     [4, 1, [0, 2, work]], [5, 1, 105 * SECOND, [0, 0, 0, 1, 1, 7]])
                    self.assertEqual(a.post(body)[0], 200)
                    before = a.intake.await_uploads(1)[0].profile  # it does not wait
                    if wanted == "true":
                        wait_until("the debug file is there", lambda: a.counters()["symbols"]["debuginfod"]["fetched"] == 1)
                    body = spb.batch(SESSION, 2, 110 * SECOND, 120 * SECOND, [5, 1, 115 * SECOND, [0, 0, 0, 1, 1, 7]],
                                     first=False)
                    self.assertEqual(a.post(body)[0], 200)
                    after = a.intake.await_uploads(2)[1].profile
                self.assertEqual([stack for stack, _, _ in before.rows()], [[hex(work)]])
                self.assertEqual([stack for stack, _, _ in after.rows()], [["work"]] if wanted == "true" else [[hex(work)]])
                self.assertEqual(server.asked, [f"/buildid/{build_id}/debuginfo"] if wanted == "true" else [])
                self.assertEqual("debuginfod" in a.counters()["symbols"], wanted == "true")

    def test_a_timeline_says_when_each_sample_was_taken(self):
        with Agent() as a:
            a.start()
            body = spb.batch(SESSION, 1, 100 * SECOND, 110 * SECOND, [4, 1, [0, 0, 16]],
                             [5, 1, 105 * SECOND, [1, 0, 0, 1, 1, 10, 1, 0, 0, 1, 1, 10]], k18=1)
            self.assertEqual(a.post(body)[0], 200)
            p = a.intake.await_uploads(1)[0].profile
            self.assertEqual([s["label"]["end_timestamp_ns"] for s in p.samples], [105 * SECOND + 1, 105 * SECOND + 2])

    def test_tags_of_the_user_stand_behind_ours_and_never_in_their_place(self):
        with Agent() as a:
            a.start()
            self.assertEqual(a.post(spb.batch(
                SESSION, 1, 100 * SECOND, 110 * SECOND, [4, 1, [0, 0, 16]], [5, 1, 105 * SECOND, [0, 0, 0, 1, 1, 1]],
                k7="a,b", k8=" ", k10="rid", k11=["team:x", "runtime-id:forged", "profile_seq:9", ""], k13="arm64", k19=5,
                k21="entrypoint.name:x", k17={1: 10101010}))[0], 200)
            upload = a.intake.await_uploads(1)[0]
            self.assertEqual(upload.event["tags_profiler"].split(","), [
                "language:native", "runtime:native", "service:a_b", "runtime-id:rid", "profile_seq:5", "process_id:1",
                "cpu_arch:arm64", "include_kernel:false", "runtime_os:linux", "team:x",
                "runtime_platform:aarch64-unknown-linux-gnu"])
            self.assertEqual(upload.event["process_tags"], "entrypoint.name:x")
            self.assertEqual(upload.profile.period, 10101010)

    def test_packed_bodies_are_unpacked(self):
        with Agent() as a:
            a.start()
            self.assertEqual(a.post(gzip.compress(spb.EXAMPLE), Content_Encoding="gzip"), (200, b'{"ack":7}'))
            self.assertEqual(a.post(gzip.compress(spb.EXAMPLE)[:-9], Content_Encoding="gzip")[0], 400)
            self.assertEqual(a.post(gzip.compress(bytes(9 << 20)), Content_Encoding="gzip")[0], 413)
            self.assertEqual(a.post(spb.EXAMPLE, Content_Encoding="br")[0], 415)
            refused = a.assert_law(self)["batches_refused"]
            self.assertEqual([refused[k] for k in ("malformed", "too_big", "encoding")], [1, 1, 1])

    def test_what_is_no_batch_is_refused_and_does_no_harm(self):
        with Agent() as a:
            a.start()
            chance = random.Random(7)
            for _ in range(300):
                body = bytearray(spb.EXAMPLE)
                for _ in range(chance.randint(1, 4)):
                    body[chance.randrange(len(body))] = chance.randrange(256)
                self.assertIn(a.post(bytes(body))[0], (200, 400, 409, 413))
            for body in b"", b"\x00", spb.EXAMPLE[:-3], spb.EXAMPLE + b"\x00":
                self.assertEqual(a.post(body)[0], 400, body)
            self.assertEqual(a.post(bytes((8 << 20) + 1))[0], 413)
            self.assertEqual(a.post(spb.batch(SESSION, 1, 0, SECOND, [1, 1, ["x" * 5000]]))[0], 413)
            a.assert_law(self)
            self.assertEqual(a.post(spb.batch(b"another session!", 1, 0, SECOND))[0], 200)

    def test_after_a_restart_of_the_agent_the_client_begins_anew(self):
        with Agent() as a:
            a.start()
            self.assertEqual(a.post(spb.batch(SESSION, 1, 0, SECOND, [4, 1, [0, 0, 16]]))[0], 200)
            later = spb.batch(SESSION, 2, SECOND, 2 * SECOND, [5, 1, SECOND, [0, 0, 0, 1, 1, 1]], first=False)
            self.assertEqual(a.post(later)[0], 200)
            a.stack.agent.stop()
            a.start()
            self.assertEqual(a.post(later), (409, b'{"resync":true}'))

    def test_a_profile_waits_for_an_intake_that_is_down(self):
        with Agent() as a:
            a.start()
            a.intake.answers = [503, 500, 429]
            self.assertEqual(a.post(spb.EXAMPLE)[0], 200)
            self.assertEqual(len(a.intake.await_uploads(1)), 1)
            self.assertEqual(a.intake.requests, 4)
            self.assertEqual(a.await_delivered(1)["retries"], 3)

    def test_a_profile_the_intake_does_not_want_is_counted(self):
        with Agent() as a:
            a.start()
            a.intake.answers = [400]
            self.assertEqual(a.post(spb.EXAMPLE)[0], 200)
            wait_until("it is refused", lambda: a.forwarder() and a.forwarder()["profiles"]["dropped"].get("refused"))
            self.assertEqual(a.forwarder()["profiles"]["dropped"]["refused"]["items"], 2)

    def test_what_is_open_when_the_agent_stops_is_sent(self):
        with Agent() as a:
            a.start(SONDE_AGENT_PROFILING_WINDOW="3600")
            self.assertEqual(a.post(spb.EXAMPLE)[0], 200)
            a.stack.agent.stop()
            self.assertEqual(len(a.intake.uploads()), 1)

    def test_nothing_is_listed_when_profiles_have_nowhere_to_go(self):
        for env in {"DD_APM_PROFILING_SEND_TO_MAIN_ENDPOINT": "false"}, {"SONDE_AGENT_PROFILING": "false"}:
            with self.subTest(env=env), Agent() as a:
                a.start(**env)
                self.assertNotIn(PATH, a.endpoints())
                self.assertEqual(a.post(spb.EXAMPLE)[0], 404)


if __name__ == "__main__":
    unittest.main()
