"""What a process was doing when it was killed arrives as unfinished spans; one that ends in order leaves none."""

import signal
import sys
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import SANITIZED, Stack, get_json, wait_until

OPEN = 3


class CrashSpans(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.stack.start_intake()
        self.socket = self.stack.dir / "apm.socket"
        self.stack.start_agent(DD_APM_RECEIVER_SOCKET=str(self.socket))

    def crash_status(self):
        return self.stack.agent_status()["crash"]

    def start(self, **env):
        program = self.stack.start_program("open_spans", env={
            "DD_TRACE_AGENT_URL": f"unix://{self.socket}", "DD_ENV": "prod", "DD_TAGS": "team:a", **env})
        ids = program.ask(f"open {OPEN}")
        return program, ids

    def seen(self):
        counts = self.crash_status()
        return sum(counts["deaths"].values()) + counts["ends_in_order"] + counts["detached"]

    def end(self, program, how, status, seen=True):
        """Waits for it only when the agent has looked: before Linux 6.15 the status of somebody else's child can be
        read while it is a zombie, and no longer."""
        before = self.seen()
        program.popen.stdin.write(f"end {how}\n".encode())
        program.popen.stdin.flush()
        if seen:
            wait_until("the agent to see the end", lambda: self.seen() == before + 1)
        program.wait(status)

    def stored(self, trace_id, spans):
        def look():
            try:
                trace = get_json(self.stack.intake_port, f"/api/sonde/v1/traces/{trace_id}")
            except AssertionError:
                return None
            return trace if len(trace["spans"]) == spans else None
        return wait_until(lambda: f"{spans} spans of {trace_id}; {self.crash_status()}", look)

    def test_info_names_the_socket(self):
        info = get_json(self.stack.agent_port, "/info")
        self.assertEqual(info["sonde"]["crash_socket"], str(self.stack.dir / "crash.socket"))

    def check_unfinished(self, how, status, cause):
        program, ids = self.start()
        self.end(program, how, status)
        trace = self.stored(ids["trace"], OPEN)
        spans = {s["name"]: s for s in trace["spans"]}
        self.assertEqual(sorted(spans), [f"outer_{i}" for i in range(OPEN)])
        self.assertEqual(spans["outer_1"]["parent_id"], spans["outer_0"]["span_id"])
        for span in spans.values():
            self.assertEqual(span["service"], "open_spans")
            self.assertEqual(span["resource"], "GET /killed")
            self.assertEqual(span["error"], 1)
            self.assertEqual(span["meta"]["error.type"], "unfinished")
            self.assertEqual(span["meta"]["sonde.end_cause"], cause)
            self.assertEqual(span["meta"]["error.message"],
                             f"process {program.pid} ended with this span open: {cause}")
            self.assertEqual(span["meta"]["team"], "a")
            self.assertEqual(span["env"], "prod")
            self.assertEqual(span["metrics"]["sonde.unfinished"], 1)
            self.assertEqual(span["metrics"]["process_id"], program.pid)
            self.assertGreater(span["duration_ns"], 0)
        counts = self.crash_status()
        self.assertEqual(counts["spans"], OPEN)
        self.assertEqual(sum(counts["deaths"].values()), 1)
        self.assertEqual(counts["connections"], 0)

    def test_after_sigkill(self):
        self.check_unfinished("kill", -signal.SIGKILL, "signal:SIGKILL")

    @unittest.skipIf(SANITIZED, "the sanitizers catch it")
    def test_after_a_wrong_write(self):
        self.check_unfinished("segv", -signal.SIGSEGV, "signal:SIGSEGV")

    def test_after_an_exit_with_an_error(self):
        self.check_unfinished("exit", 3, "exit:3")

    def test_a_process_that_ends_in_order_leaves_none(self):
        for how in ("quit", "return"):
            with self.subTest(how):
                program, _ = self.start()
                self.end(program, how, 0)
                self.assertEqual(sum(self.crash_status()["deaths"].values()), 0)
                self.assertEqual(self.crash_status()["spans"], 0)

    def test_switched_off_nothing_is_offered_or_taken(self):
        program, _ = self.start(SONDE_BLACKBOX="false")
        self.end(program, "kill", -signal.SIGKILL, seen=False)
        self.assertEqual(sum(self.crash_status()["deaths"].values()), 0)

    def test_exec_is_no_death(self):
        """The connection is closed, the process lives on."""
        import socket
        import struct
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.connect(str(self.stack.dir / "crash.socket"))
            peer.send(struct.pack("=IHHII16s", 0x31424253, 1, 1, 1, 0, b"r" * 16))
            self.assertEqual(struct.unpack("=IHHI", peer.recv(64)), (0x31424253, 1, 2, 0))
        wait_until("the connection to be given up", lambda: self.crash_status()["detached"] == 1)
        self.assertEqual(self.crash_status()["connections"], 0)

    def test_what_is_no_packet_is_refused(self):
        import socket
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.connect(str(self.stack.dir / "crash.socket"))
            peer.send(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(peer.recv(64), b"")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.connect(str(self.stack.dir / "crash.socket"))
            peers = [peer]
            for _ in range(4):
                peers.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                peers[-1].connect(str(self.stack.dir / "crash.socket"))
            self.assertEqual(peers[-1].recv(64)[8:], b"\x04\0\0\0")  # too many of one process
            for p in peers[1:]:
                p.close()
        self.assertEqual(self.crash_status()["refused"]["packet"], 1)
        self.assertEqual(self.crash_status()["refused"]["too_many"], 1)


unittest.main(verbosity=2)
