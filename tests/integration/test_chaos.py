"""What becomes of what the agent accepted while intake, disk, certificates or the agent itself fail.

After each: every span the agent took is acknowledged by the intake, or counted as dropped or lost; and nothing the
intake acknowledged was sent again, but for requests whose answer a kill cut off.

Short forms take seconds; SONDE_SOAK=1 stops the agent for a minute and kills it more often.
"""

import itertools
import json
import os
import random
import signal
import ssl
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from bad_intake import BadIntake
from stack import SANITIZED, SOAK, Stack, free_port, request, wait_until

KEY = "0123456789abcdefsecret9876543210"
UPLOADS = 4  # DD_FORWARDER_MAX_CONCURRENT_REQUESTS
ids = itertools.count(1)


class Chaos(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.intake = BadIntake()
        self.addCleanup(lambda: self.intake.close())
        self.accepted, self.step_ns = set(), 0
        self.data = self.stack.dir / "agent"

    # -- the agent ------------------------------------------------------------------------------------

    def start(self, **env):
        self.env = {"DD_API_KEY": KEY, "DD_APM_DD_URL": f"http://127.0.0.1:{self.intake.port}",
                    "DD_APM_TRACE_WRITER_FLUSH_PERIOD_SECONDS": "0.05", "DD_FORWARDER_BACKOFF_BASE": "0.05",
                    "DD_FORWARDER_BACKOFF_MAX": "0.3", "DD_FORWARDER_STORAGE_MAX_SIZE_IN_BYTES": "64MiB",
                    "DD_FORWARDER_STORAGE_MAX_DISK_RATIO": "1", **env}
        self.restart()

    def restart(self):
        self.stack.start_agent(**self.env)

    def send(self, traces=10):
        """Spans of a payload the agent said yes to."""
        spans = [(next(ids), 1) for _ in range(traces)]
        now = time.time_ns() + self.step_ns
        body = json.dumps([[{
            "trace_id": t, "span_id": s, "parent_id": 0, "service": "chaos", "name": "n", "type": "web",
            "resource": f"r{random.getrandbits(200):x}", "start": now, "duration": 1000, "error": 0,
            "meta": {}, "metrics": {"_sampling_priority_v1": 2}}] for t, s in spans])
        status, _ = request(self.stack.agent_port, "PUT", "/v0.4/traces", body,
                            {"Content-Type": "application/json", "X-Datadog-Trace-Count": str(traces)})
        self.assertEqual(200, status)
        self.accepted.update(spans)
        return spans

    def forwarder(self):
        return self.stack.agent_status()["forwarder"][0]

    def wait_for(self, what, condition):
        return wait_until(lambda: f"{what}: {self.stack.agent_status()['forwarder'][0]}", condition)

    def failures(self, kind):
        return self.forwarder()["failures"].get(kind, 0)

    # -- the books --------------------------------------------------------------------------------------

    def counted(self):
        """Spans dropped by the forwarder in this life, and lost by former ones."""
        status = self.stack.agent_status()
        traces = status["forwarder"][0]["all_lives"]["traces"]
        return (traces["dropped"]["items"] + traces["lost_crash"]["items"]
                + status["ledger"]["spans"]["lost_crash"] + status["ledger"]["spans"]["dropped"])

    def is_drained(self):
        counts = self.stack.agent_counts()
        return counts["waiting"] == 0

    def check(self, dropped=0, again=0, lost=None):
        """Nothing is missing but what was counted; nothing acknowledged came again."""
        self.wait_for("everything is delivered", lambda: self.is_drained() and (
            lost is not None or len(self.intake.spans()) + dropped >= len(self.accepted)))
        missing = self.accepted - self.intake.spans()
        self.assertLessEqual(self.intake.spans(), self.accepted)
        if lost is None:
            self.assertEqual(dropped, len(missing))
            self.assertEqual(dropped, self.counted())
        else:  # a kill: what was in flight is counted as lost, and may have arrived
            self.assertLessEqual(len(missing), self.counted())
            self.assertLessEqual(self.counted() - len(missing), lost())
        self.assertLessEqual(self.intake.again(), again)
        self.check_secrets()

    def check_secrets(self):
        """The key is in no log, page or file."""
        pages = {path: request(self.stack.agent_port, "GET", path)[1] for path in ("/info", "/sonde/v1/status", "/metrics")}
        for path, body in pages.items():
            self.assertNotIn(KEY.encode(), body, path)
        for path in self.stack.dir.rglob("*"):
            if path.is_file():
                self.assertNotIn(KEY.encode(), path.read_bytes(), path)
        text = subprocess.run([self.stack.build / "bin/sonde", "status", "--port", str(self.stack.agent_port)],
                              capture_output=True, check=False, timeout=30)
        self.assertNotIn(KEY.encode(), text.stdout + text.stderr)

    def bodies_on_disk(self):
        return sorted((self.data / "forwarder").glob("*/*.body"))


class Answers(Chaos):
    def test_a_status_that_passes_is_waited_for_and_one_that_does_not_is_counted(self):
        self.start()
        dropped = 0
        for status, kind in ((403, "key"), (408, "busy"), (429, "busy"), (500, "server"), (503, "server")):
            before = self.failures(kind)
            self.intake.mode = status
            self.send()
            self.wait_for(f"{status} is met", lambda: self.failures(kind) >= before + 2)
            self.assertIn(self.forwarder()["breaker"], ("open", "half_open"))
            self.intake.mode = "ok"
            self.check(dropped)
        for status in (400, 404, 413):
            before = self.forwarder()["traces"]["dropped"].get("refused", {"items": 0})["items"]
            self.intake.mode = status
            self.send()
            self.wait_for(f"{status} is met", lambda: self.forwarder()["traces"]["dropped"].get(
                "refused", {"items": 0})["items"] == before + 10)
            self.intake.mode = "ok"
            dropped += 10
            self.check(dropped)

    def test_an_intake_that_is_not_there_is_tried_again(self):
        self.start(DD_FORWARDER_STORAGE_MAX_SIZE_IN_BYTES="0")
        self.intake.refuse()
        self.send()
        self.wait_for("it is met", lambda: self.failures("connect") >= 2)
        self.send()
        self.intake.accept()
        self.check()

    def test_an_intake_that_hangs_or_takes_or_answers_a_byte_a_second_is_given_up_and_tried_again(self):
        self.intake.close()
        self.intake = BadIntake(receive_bytes=4096)
        self.start(DD_FORWARDER_TIMEOUT="1")
        for mode in ("hang", "slow", "sip"):
            before = self.failures("timeout")
            self.intake.mode = mode
            self.send(5000 if mode == "sip" else 10)
            self.wait_for("the timeout is met", lambda: self.failures("timeout") >= before + 2)
            self.send()
            self.intake.mode = "ok"
            self.check()

    def test_connections_reset_in_the_middle_of_a_body_and_answers_cut_off_lose_nothing(self):
        self.intake.close()
        self.intake = BadIntake(receive_bytes=4096)
        self.start()
        for mode in ("reset", "cut"):
            before = sum(self.forwarder()["failures"].values())
            self.intake.mode = mode
            for _ in range(3):
                self.send(1000)
            self.wait_for("it is met", lambda: sum(self.forwarder()["failures"].values()) >= before + 2)
            self.intake.mode = "ok"
            self.check()

    def test_an_answer_is_one_when_its_head_came(self):
        self.start(DD_FORWARDER_TIMEOUT="2")
        for mode in ("head", "drip"):
            self.intake.mode = mode
            self.send()
            self.wait_for("it is delivered", lambda: self.intake.spans() == self.accepted and self.is_drained())
            self.intake.mode = "ok"
            self.send()
            self.check()

    def test_after_four_attempts_a_body_is_dropped_when_that_is_set(self):
        self.start(DD_APM_MAX_SENDER_RETRIES="4")
        self.intake.mode = 503
        self.send()
        self.wait_for("it is given up", lambda: self.forwarder()["traces"]["dropped"].get("retries"))
        requests = self.intake.requests
        self.assertLessEqual(4, requests)
        self.intake.mode = "ok"
        self.send()
        self.check(dropped=10)

    def test_every_endpoint_and_key_has_its_own_copy_and_its_own_fate(self):
        second = BadIntake()
        self.addCleanup(second.close)
        self.start(DD_APM_ADDITIONAL_ENDPOINTS=json.dumps({f"http://127.0.0.1:{second.port}": ["k1", "k2"]}))
        second.mode = 503
        self.send()
        self.wait_for("the first has it", lambda: self.intake.spans() == self.accepted)
        self.assertEqual({KEY}, self.intake.keys)
        second.mode = "ok"
        wait_until("both copies", lambda: len(second.spans()) == 10 and min(second.acknowledged.values()) == 2)
        self.assertEqual({"k1", "k2"}, second.keys)
        self.assertEqual(3, len(list((self.data / "forwarder").glob("127.0.0.1-*"))))


class Disk(Chaos):
    SMALL = {"DD_FORWARDER_RETRY_QUEUE_PAYLOADS_MAX_SIZE": "64KiB", "DD_FORWARDER_FLUSH_TO_DISK_MEM_RATIO": "0.01"}

    def spool_some(self):
        self.intake.refuse()

        def sends_another():
            self.send()
            time.sleep(0.08)  # it goes into a body of its own, most of the time
            return len(self.bodies_on_disk()) >= 3
        self.wait_for("bodies are on disk", sends_another)

    def test_what_is_on_disk_survives_the_agent_and_is_sent_once(self):
        self.start(**self.SMALL)
        self.spool_some()
        self.stack.agent.stop()
        files = self.bodies_on_disk()
        self.assertLess(1, len(files))
        for path in files:
            self.assertEqual(0o600, path.stat().st_mode & 0o777)
            self.assertEqual(0o700, path.parent.stat().st_mode & 0o777)
        self.restart()
        self.assertEqual(0, self.forwarder()["all_lives"]["traces"]["lost_crash"]["items"])
        self.intake.accept()
        self.send()
        self.check()
        self.assertEqual([], self.bodies_on_disk())

    def test_a_killed_agent_loses_what_memory_held_and_counts_it(self):
        self.start(**self.SMALL)
        self.spool_some()
        self.stack.agent.kill()
        part = self.bodies_on_disk()[0].with_suffix(".part")
        part.write_bytes(b"SNDSPL01")  # as if it had been writing
        self.bodies_on_disk()[-1].write_bytes(b"not whole")
        parts = len(list(part.parent.glob("*.part")))  # it may have been writing
        self.restart()
        self.assertEqual((parts, 1), (self.forwarder()["disk"]["partial"], self.forwarder()["disk"]["corrupt"]))
        self.assertFalse(part.exists())
        self.intake.accept()
        self.check(lost=lambda: 0)

    def test_a_budget_that_is_used_up_drops_the_oldest_and_counts_it(self):
        self.start(**self.SMALL, DD_FORWARDER_STORAGE_MAX_SIZE_IN_BYTES="16KiB")
        self.intake.refuse()

        def sends_more():
            self.send(30)
            time.sleep(0.06)
            return self.forwarder()["traces"]["dropped"].get("disk_budget")
        self.wait_for("the budget is used up", sends_more)
        self.assertLessEqual(self.forwarder()["disk"]["bytes"], 16384)
        self.intake.accept()
        self.wait_for("drained", self.is_drained)
        dropped = self.counted()
        self.assertGreater(dropped, 0)
        self.check(dropped=dropped)
        missing = self.accepted - self.intake.spans()
        self.assertLess(max(missing), max(self.intake.spans()))

    def test_without_a_folder_there_is_memory(self):
        self.start(DD_FORWARDER_STORAGE_PATH="/proc/nothing/here")
        self.send()
        self.check_log("payloads wait in memory only")
        self.wait_for("delivered", lambda: self.intake.spans() == self.accepted)

    def test_a_second_agent_does_not_touch_the_folder_of_the_first(self):
        self.start(**self.SMALL)
        self.spool_some()
        first, port = self.stack.agent, self.stack.agent_port
        self.stack.agent_port = free_port()
        self.restart()
        self.check_log("another agent uses it")
        self.assertNotIn("disk", self.forwarder())
        self.stack.agent.stop()
        self.stack.agent, self.stack.agent_port = first, port
        self.intake.accept()
        self.check()

    def fail_to_spool(self):
        def sends_another():
            self.send()
            time.sleep(0.06)
            return self.forwarder()["disk"]["errors"]
        self.wait_for("the disk is met", sends_another)

    def check_log(self, text):
        self.assertIn(text, self.stack.agent.log.read_text())

    def mount(self, folder, options):
        """A file system of our own."""
        folder.mkdir(parents=True, exist_ok=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True,
                          check=False).returncode:
            self.skipTest("no right to mount a file system")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", folder], capture_output=True, check=False))
        return folder

    def test_a_full_disk_is_counted_and_memory_does_its_part(self):
        folder = self.mount(self.stack.dir / "small", "size=128k")
        self.start(**self.SMALL, DD_FORWARDER_STORAGE_PATH=str(folder / "forwarder"))
        fill = os.open(folder / "fill", os.O_WRONLY | os.O_CREAT)
        with self.assertRaises(OSError):
            while True:
                os.write(fill, b"x" * 4096)
        os.close(fill)
        self.intake.refuse()
        self.fail_to_spool()
        self.assertIn("No space left", self.forwarder()["disk"]["last_error"])
        self.assertFalse(self.forwarder()["disk"]["usable"])
        self.check_log("payloads stay in memory, no room on disk")
        self.intake.accept()
        self.check()

    def test_a_disk_that_is_read_only_is_counted_and_memory_does_its_part(self):
        self.start(**self.SMALL)
        folder, = (self.data / "forwarder").glob("127.0.0.1-*")
        self.mount(folder, "ro")
        self.intake.refuse()
        self.fail_to_spool()
        self.assertIn("Read-only", self.forwarder()["disk"]["last_error"])
        self.intake.accept()
        self.check()


class Life(Chaos):
    def test_an_agent_that_stands_still_goes_on_where_it_was(self):
        self.start()
        self.intake.mode = "late"
        for _ in range(5):
            self.send()
        self.stack.agent.signal(signal.SIGSTOP)
        time.sleep(60 if SOAK else 2)
        self.stack.agent.signal(signal.SIGCONT)
        for _ in range(5):
            self.send()
        self.check()  # a minute is longer than a request may take, but the answers were there

    def test_kills_while_it_is_flushing_lose_nothing_uncounted_and_repeat_only_what_was_cut_off(self):
        self.start(DD_FORWARDER_RETRY_QUEUE_PAYLOADS_MAX_SIZE="1MiB", DD_FORWARDER_FLUSH_TO_DISK_MEM_RATIO="0.01")
        rng = random.Random(7)
        modes = ("late", "ok", 503, "hang") * (12 if SOAK else 2)
        for mode in modes:
            self.intake.mode = mode
            end = time.monotonic() + rng.uniform(0.6, 1.6)
            while time.monotonic() < end:
                self.send(5)
                time.sleep(0.005)
            self.stack.agent.kill()
            self.intake.mode = "ok"
            self.restart()
        # what was in flight at a kill counts as lost although it may have arrived
        self.check(again=len(modes) * UPLOADS, lost=lambda: len(modes) * UPLOADS * self.intake.most_spans)
        self.assertGreater(len(self.intake.spans()), 0)
        print(f"  {len(self.accepted)} spans, {len(self.accepted - self.intake.spans())} lost, {self.counted()} counted, "
              f"{self.intake.again()} bodies again")


@unittest.skipIf(SANITIZED, "a sanitizer wants to be loaded first, before step_clock")
class Clock(Chaos):
    """The wall clock is set, back and forth; the monotonic one is nobody's to set."""

    def start_with_steps(self, **env):
        self.step = self.stack.dir / "step"
        self.step.write_bytes(struct.pack("=q", 0))
        self.start(LD_PRELOAD=str(self.stack.build / "tests/libstep_clock.so"), STEP_CLOCK_FILE=str(self.step), **env)

    def set_clock(self, step_s):
        self.step_ns = step_s * 10**9  # the tracer's clock is the same
        with open(self.step, "r+b") as f:
            f.write(struct.pack("=q", self.step_ns))

    def stats(self, name):
        return self.stack.agent_status()["stats"][name]

    def test_a_clock_that_is_set_loses_nothing_and_holds_nothing_up(self):
        self.start_with_steps(**Disk.SMALL)
        for step_s in (3600, 0, -86400, 30 * 86400, 0):
            self.intake.refuse()
            self.send()
            self.wait_for("they are counted", lambda: self.stats("spans_counted") == len(self.accepted))
            before = self.stats("buckets_out")
            self.set_clock(step_s)
            # no bucket is full so soon, but the time of those that are open is over
            self.wait_for("statistics go on", lambda: self.stats("buckets_out") > before)
            self.send()
            self.intake.accept()
            self.check()
        self.wait_for("statistics arrived", lambda: self.intake.stats_bodies >= 5)

    def test_what_is_on_disk_while_the_clock_is_set_is_sent_or_counted_as_expired(self):
        self.start_with_steps(**Disk.SMALL)
        for step_s, dropped in ((-86400, 0), (-86400 + 3600, 0), (86400, 10)):
            self.intake.refuse()
            self.send()
            self.stack.agent.stop()
            self.assertTrue(self.bodies_on_disk())
            self.set_clock(step_s)
            self.restart()
            self.intake.accept()
            self.check(dropped)


def certificate(folder, name, start, end):
    """A self-signed one for localhost; (certificate, key)."""
    key, ask, out, config = (folder / f"{name}.{e}" for e in ("key", "csr", "pem", "cnf"))
    (folder / f"{name}.index").write_text("")
    config.write_text(f"""[ca]
default_ca = d
[d]
new_certs_dir = {folder}
database = {folder}/{name}.index
rand_serial = yes
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
subjectAltName = DNS:localhost,IP:127.0.0.1
basicConstraints = critical,CA:TRUE
[req]
distinguished_name = n
[n]
""")

    def openssl(*arguments):
        done = subprocess.run(["openssl", *[str(a) for a in arguments]], capture_output=True, check=False)
        if done.returncode:
            raise AssertionError(done.stderr.decode())

    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
            "-out", ask, "-subj", "/CN=localhost", "-config", config)
    openssl("ca", "-batch", "-notext", "-config", config, "-selfsign", "-keyfile", key, "-in", ask, "-out", out,
            "-startdate", start, "-enddate", end)
    return out, key


class Tls(Chaos):
    def setUp(self):
        super().setUp()
        self.good = certificate(self.stack.dir, "good", "20200101000000Z", "20990101000000Z")
        self.expired = certificate(self.stack.dir, "expired", "20200101000000Z", "20200102000000Z")

    def serve(self, certificate_and_key, **options):
        self.intake.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate_and_key)
        for name, value in options.items():
            setattr(context, name, value)
        self.intake = BadIntake(tls=context)
        return f"https://localhost:{self.intake.port}"

    def test_an_expired_certificate_is_counted_and_said_and_nothing_is_lost_when_it_is_renewed(self):
        both = self.stack.dir / "ca.pem"
        both.write_bytes(self.good[0].read_bytes() + self.expired[0].read_bytes())
        url = self.serve(self.expired)
        self.start(DD_APM_DD_URL=url, SONDE_CA_FILE=str(both))
        self.send()
        self.wait_for("it is met", lambda: self.failures("tls") >= 2)
        self.assertIn("certificate has expired", self.stack.agent.log.read_text())
        self.assertEqual(0, self.intake.requests)
        self.intake.tls.load_cert_chain(*self.good)
        self.check()

    def test_a_certificate_nobody_vouches_for_is_refused_unless_told_otherwise(self):
        url = self.serve(self.good)
        self.start(DD_APM_DD_URL=url)
        self.send()
        self.wait_for("it is met", lambda: self.failures("tls") >= 1)
        self.stack.agent.stop()
        self.env["DD_SKIP_SSL_VALIDATION"] = "true"
        self.restart()
        self.check()

    def test_an_old_tls_is_refused(self):
        url = self.serve(self.good, maximum_version=ssl.TLSVersion.TLSv1_2)
        self.start(DD_APM_DD_URL=url, SONDE_CA_FILE=str(self.good[0]), DD_MIN_TLS_VERSION="tlsv1.3")
        self.send()
        self.wait_for("it is met", lambda: self.failures("tls") >= 1)
        self.assertEqual(0, self.intake.requests)
        self.intake.tls.maximum_version = ssl.TLSVersion.TLSv1_3
        self.check()


class Proxies(Chaos):
    def test_an_intake_is_reached_through_the_proxy_but_not_one_that_needs_none(self):
        self.start(DD_APM_DD_URL="http://intake.invalid/prefix", HTTP_PROXY=f"http://u:p4ss@127.0.0.1:{self.intake.port}")
        self.send()
        self.check()
        self.assertEqual({"http://intake.invalid/prefix/api/v0.2/traces"},
                         {t for t in self.intake.targets if t.endswith("traces")})
        self.assertNotIn("p4ss", self.stack.agent.log.read_text())
        self.stack.agent.stop()
        self.env["NO_PROXY"] = "other.example,intake.invalid"
        self.restart()
        self.send()
        self.wait_for("no name, or nobody to ask for it", lambda: self.failures("connect") + self.failures("timeout") >= 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
