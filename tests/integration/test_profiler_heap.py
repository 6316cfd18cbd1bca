"""A program that links nothing of ours, run with the profiler preloaded: its heap profile against what it did.

Samples are random, so sums are compared within six standard deviations of what the sampling itself allows: a correct
profiler fails this once in 5e8 runs, one that weights wrongly at once.
"""

import math
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from profile_intake import ProfileIntake  # noqa: E402
from stack import Stack, wait_until  # noqa: E402

MEAN = 65536

# function: [(how many, bytes each)] allocated, and what of it is left at the end
DONE = {
    "small_and_freed": ([(2_000_000, 64)], []),
    "large_and_freed": ([(200, 1_000_000)], []),
    "kept_blocks": ([(20_000, 1000), (20_000, 3000)], [(20_000, 1000), (20_000, 3000)]),
    "half_kept": ([(20_000, 4096)], [(10_000, 4096)]),
    "grown": ([(2000, 2500), (2000, 5000), (2000, 7500), (2000, 10_000)], [(2000, 10_000)]),
    "mapped": ([(1, 8 << 20)], [(1, 6 << 20)]),
}


def expected(blocks):
    """Objects and bytes with their standard deviations."""
    odds = [(n, s, 1 / math.expm1(s / MEAN)) for n, s in blocks]
    return ((sum(n for n, _, _ in odds), math.sqrt(sum(n * x for n, _, x in odds))),
            (sum(n * s for n, s, _ in odds), math.sqrt(sum(n * s * s * x for n, s, x in odds))))


class Heap(unittest.TestCase):
    def close_to(self, value, want, what):
        mean, deviation = want
        self.assertLessEqual(abs(value - mean), 6 * deviation + 1 + self.slack, (what, value, want))

    def totals(self, uploads, kind):
        """By function: the sum over the uploads of a column."""
        sums = {}
        for upload in uploads:
            for stack, values, _ in upload.profile.rows():
                for function in DONE:
                    if function in stack:
                        sums[function] = sums.get(function, 0) + values.get(kind, 0)
        return sums

    def test_what_was_allocated_and_what_lives(self):
        with ProfileIntake() as intake, Stack() as stack:
            stack.start_agent(DD_APM_DD_URL="http://127.0.0.1:9", DD_APM_PROFILING_DD_URL=intake.url,
                              SONDE_AGENT_PROFILING_WINDOW="1")
            program = stack.start_program("profiled_heap", env={
                "LD_PRELOAD": str(stack.build / "lib" / "libsonde-profiler.so"),
                "DD_PROFILING_HEAP_SAMPLE_SIZE": str(MEAN), "SONDE_PROFILING_BATCH_INTERVAL_MS": "500",
                "DD_PROFILING_CPU_ENABLED": "0", "DD_PROFILING_WALLTIME_ENABLED": "0"})
            self.assertEqual(program.ask("go")["kept"], 40_000 + 10_000 + 2000)
            program.popen.stdin.write(b"end\n")
            program.popen.stdin.flush()
            self.assertEqual(program.popen.wait(timeout=60), 0)
            held = lambda: stack.agent_status()["profiles"]["rows_held"]  # noqa: E731
            wait_until("the agent has sent all profiles", lambda: held() == 0 and intake.uploads())
            uploads = intake.uploads()
        # On a machine that does not let the drainer run, rings overflow; what is missing then is said.
        lost = sum(u.event["internal"].get("lost_value_alloc", 0) for u in uploads)
        objects, space = self.totals(uploads, "alloc-samples"), self.totals(uploads, "alloc-space")
        for function, (blocks, _) in DONE.items():
            want_objects, want_bytes = expected(blocks)
            self.slack = lost
            self.close_to(space[function], want_bytes, (function, "bytes"))
            self.slack = lost / min(size for _, size in blocks)
            self.close_to(objects[function], want_objects, (function, "objects"))
        last = [u for u in uploads if self.totals([u], "inuse-space")][-1]
        objects, space = self.totals([last], "inuse-objects"), self.totals([last], "inuse-space")
        for function, (_, blocks) in DONE.items():
            want_objects, want_bytes = expected(blocks)
            self.slack = lost
            self.close_to(space.get(function, 0), want_bytes, (function, "live bytes"))
            self.slack = lost / min((size for _, size in blocks), default=1)
            self.close_to(objects.get(function, 0), want_objects, (function, "live objects"))


if __name__ == "__main__":
    unittest.main()
