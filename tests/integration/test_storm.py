"""Threads, fork, exec, exit, signals, stop and start, no memory: storm.c does them, a real agent counts.

With --valgrind the same storms, smaller, under memcheck: no error, nothing leaked, in any process.
"""

import shutil
import struct
import sys
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import SANITIZED, SOAK, Stack

VALGRIND = "--valgrind" in sys.argv
# A slow agent's answer is waited for: what is sent again is received twice, what is given up perhaps received.
PATIENCE = {"DD_TRACE_AGENT_TIMEOUT": "300", "SONDE_TRACE_EXIT_TIMEOUT_MS": "300000"}
ROOM = {"SONDE_TRACE_MEMORY": "512MiB"}  # what it cannot take in time waits
MEMCHECK = ("valgrind", "--quiet", "--error-exitcode=99", "--trace-children=yes", "--leak-check=full",
            "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect",
            "--fair-sched=yes")  # not "possible": libc's own blocks of threads that still run at the exit


class Storm(unittest.TestCase):
    def storm(self, part, scale, **env):
        """Runs the part and compares the books of all its processes with those of the agent."""
        if VALGRIND:
            scale = max(1, scale // 20)
        elif SOAK:
            scale *= 10
        with Stack() as stack:
            stack.start_intake()
            stack.start_agent()
            totals = stack.dir / "totals"
            environment = {"DD_TRACE_LOG_LEVEL": "error", "TSAN_OPTIONS": "die_after_fork=0",
                           "UBSAN_OPTIONS": "print_stacktrace=1", **PATIENCE, **env}
            program = stack.start_program("storm", part, scale, totals, env=environment,
                                          under=MEMCHECK if VALGRIND else ())
            program.wait()
            processes, finished, delivered, dropped, failures = struct.unpack("5Q", totals.read_bytes())
            self.assertEqual(0, failures, program.tail())
            self.assertEqual("", program.tail())
            self.assertEqual(finished, delivered + dropped)
            agent = stack.await_drained(received=delivered)
            self.assertEqual(delivered, agent["received"]["spans"])
            self.assertEqual(agent["received"], agent["forwarded"])
            self.assertEqual({"spans": 0, "chunks": 0}, agent["dropped"])
            stack.agent.stop()
            stack.intake.stop()
            print(f"  {processes} processes, {finished} spans, {dropped} dropped")
            return processes, delivered, dropped

    def test_ten_thousand_threads_that_trace_to_their_very_end(self):
        _, delivered, dropped = self.storm("threads", 10000, **ROOM)
        self.assertEqual(0, dropped)

    @unittest.skipIf(SANITIZED, "their run times do not survive a fork among threads: a lock of their own stays held")
    def test_forks_from_threads_with_open_spans_and_children_that_fork(self):
        processes, _, dropped = self.storm("fork", 40, **ROOM)
        self.assertGreater(processes, 4)
        self.assertEqual(0, dropped)

    def test_programs_replaced_and_started_while_spans_are_open(self):
        _, _, dropped = self.storm("exec", 10, **ROOM)
        self.assertEqual(0, dropped)

    def test_every_way_to_end_without_a_stop(self):
        self.storm("exit", 5)

    def test_signals_that_interrupt_every_call(self):
        _, _, dropped = self.storm("signals", 4000, **ROOM)
        self.assertEqual(0, dropped)

    def test_stop_and_start_while_threads_trace(self):
        self.storm("cycles", 100)

    def test_a_library_that_is_loaded_closed_and_loaded_again_while_it_traces(self):
        with Stack() as stack:
            stack.start_intake()
            stack.start_agent()
            program = stack.start_program("storm_dlopen", stack.build / "lib/libsonde-trace.so", 5 if VALGRIND else 50,
                                          env={"DD_TRACE_LOG_LEVEL": "error", **PATIENCE, **ROOM},
                                          under=MEMCHECK if VALGRIND else ())
            finished, delivered = map(int, program.wait().split())
            self.assertEqual("", program.tail())
            self.assertEqual(finished, delivered)
            self.assertEqual(delivered, stack.await_drained(received=delivered)["received"]["spans"])
            print(f"  {finished} spans")

    @unittest.skipIf(SANITIZED or VALGRIND, "needs an address space without shadow")
    def test_a_system_without_memory(self):
        self.storm("memory", 5000)


if __name__ == "__main__":
    if VALGRIND:
        sys.argv.remove("--valgrind")
        if not shutil.which("valgrind"):
            print("skipped: valgrind is not installed (apt-get install valgrind)")
            sys.exit(77)
    unittest.main(verbosity=2)
