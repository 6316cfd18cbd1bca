"""Programs that link nothing of ours, run with the profiler preloaded: heap and lock profiles against what they did.

Samples are random, so sums are compared within six standard deviations of what the sampling itself allows: a correct
profiler fails this once in 5e8 runs, one that weights wrongly at once.
"""

import collections
import errno
import math
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from profile_intake import ProfileIntake  # noqa: E402
from stack import BUILD_DIR, Stack, wait_until  # noqa: E402

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


class Profiled(unittest.TestCase):
    """Runs a program to its end; `uploads` are what the agent sent of it."""

    by_preload = True

    def how_it_comes(self, stack):
        library = str(stack.build / "lib" / "libsonde-profiler.so")
        return {"LD_PRELOAD": library} if self.by_preload else {"SONDE_LATE": library, "DD_PROFILING_ENABLED": "1"}

    def run_program(self, name, **env):
        with ProfileIntake() as intake, Stack() as stack:
            stack.start_agent(DD_APM_DD_URL="http://127.0.0.1:9", DD_APM_PROFILING_DD_URL=intake.url,
                              SONDE_AGENT_PROFILING_WINDOW="1")
            program = stack.start_program(name, env={
                **self.how_it_comes(stack), "SONDE_PROFILING_BATCH_INTERVAL_MS": "500",
                "DD_PROFILING_CPU_ENABLED": "0", "DD_PROFILING_WALLTIME_ENABLED": "0",
                "SONDE_PROFILING_MAX_OVERHEAD": "100", **env})  # the mean stays what the odds are computed with
            said = program.ask("go")
            seen = lambda: stack.agent_status()["profiles"]  # noqa: E731
            batches = seen()["batches_taken"]
            # the second batch from here on began after all was done
            wait_until("what was done is sent", lambda: seen()["batches_taken"] >= batches + 2)
            wait_until("the agent has made all profiles", lambda: seen()["rows_held"] == 0 and seen()["profiles_uploaded"] > 0)
            wait_until("they have come", lambda: intake.has_all(stack.agent_status()))
            self.uploads = intake.uploads()
            program.popen.stdin.write(b"end\n")
            program.popen.stdin.flush()
            self.assertEqual(program.popen.wait(timeout=60), 0)
        return said

    def totals(self, functions, kind, uploads=None):
        """By function: the sum over the uploads of a column."""
        sums = dict.fromkeys(functions, 0)
        for upload in uploads or self.uploads:
            for stack, values, _ in upload.profile.rows():
                for function in functions:
                    if function in stack:
                        sums[function] += values.get(kind, 0)
        return sums

    def lost(self, kind):
        """On a machine that does not let the drainer run, rings overflow; what is missing then is said."""
        return sum(u.event["internal"].get("lost_value_" + kind, 0) for u in self.uploads)


class Heap(Profiled):
    def close_to(self, value, want, slack, what):
        mean, deviation = want
        self.assertLessEqual(abs(value - mean), 6 * deviation + 1 + slack, (what, value, want))

    def compare(self, objects, space, blocks, what):
        want_objects, want_bytes = expected(blocks)
        lost = self.lost("alloc")
        self.close_to(space, want_bytes, lost, (what, "bytes"))
        self.close_to(objects, want_objects, lost / min((size for _, size in blocks), default=1), (what, "objects"))

    def test_what_was_allocated_and_what_lives(self):
        said = self.run_program("profiled_heap", DD_PROFILING_HEAP_SAMPLE_SIZE=str(MEAN))
        self.assertEqual(said["kept"], 40_000 + 10_000 + 2000)
        objects, space = self.totals(DONE, "alloc-samples"), self.totals(DONE, "alloc-space")
        for function, (blocks, _) in DONE.items():
            self.compare(objects[function], space[function], blocks, function)
        last = [[u] for u in self.uploads if any(self.totals(DONE, "inuse-space", [u]).values())][-1]
        objects, space = self.totals(DONE, "inuse-objects", last), self.totals(DONE, "inuse-space", last)
        for function, (_, blocks) in DONE.items():
            self.compare(objects[function], space[function], blocks, (function, "alive"))


class Locks(Profiled):
    TYPES = {"mutex": "mutex", "rwlock": "rwlock read", "semaphore": "semaphore", "spin": "spin", "condition": "condition"}

    def sums(self, kind):
        """By function at the end of the stack and by type of the lock: a column."""
        sums = collections.Counter()
        for upload in self.uploads:
            for stack, values, label in upload.profile.rows():
                if values.get(kind):
                    sums[stack[-1], label["lock type"]] += values[kind]
        return sums

    def test_waits_are_where_they_were_waited_and_free_locks_nowhere(self):
        waited = self.run_program("profiled_locks", DD_PROFILING_ALLOCATION_ENABLED="0")
        ns, times = self.sums("lock-acquire-wait"), self.sums("lock-acquire")
        lost = self.lost("lock")
        for name in ("mutex", "rwlock", "semaphore"):
            key, want = ("wait_for_" + name, self.TYPES[name]), waited[name]
            # 60 waits of 4 ms and a mean of 1 ms: nearly all are sampled; the program's own clock readings are wider
            self.assertLessEqual(abs(ns[key] - want), 0.25 * want + lost, (name, ns, waited))
            self.assertGreater(times[key], 20, (name, times))
        locks = {(label["lock type"], label["lock name"]) for u in self.uploads for stack, _, label in u.profile.rows()
                 if stack[-1].startswith("wait_for_")}
        self.assertEqual(locks, {("mutex", "mutex"), ("rwlock read", "rwlock"), ("semaphore", "semaphore")})
        self.assertEqual([key for key in times if key[0] == "nobody_holds" or key[1] in ("spin", "condition")], [])

    def test_who_lets_go_is_told_what_others_waited(self):
        waited = self.run_program("profiled_locks", DD_PROFILING_ALLOCATION_ENABLED="0",
                                  SONDE_PROFILING_LOCK_KINDS="mutex,rwlock,sem,spin,cond")
        by_waiter, by_releaser = self.sums("lock-acquire-wait"), self.sums("lock-release-wait")
        lost = self.lost("lock"), self.lost("release")
        for name, kind in self.TYPES.items():
            mine, theirs = by_waiter["wait_for_" + name, kind], by_releaser["lets_go_of_" + name, kind]
            self.assertLessEqual(abs(mine - waited[name]), 0.25 * waited[name] + lost[0], (name, by_waiter, waited))
            # what is missing was waited when nobody held it any more, until the machine let the waiter run
            self.assertGreater(theirs, 0.5 * mine - lost[1], (name, by_releaser, by_waiter))
        if lost == (0, 0):
            self.assertEqual(sum(by_releaser.values()), sum(by_waiter.values()))
            for kind in self.TYPES.values():
                self.assertEqual(sum(v for (_, k), v in by_releaser.items() if k == kind),
                                 sum(v for (_, k), v in by_waiter.items() if k == kind), kind)

    def test_errors_are_those_of_libc(self):
        build = Path(BUILD_DIR)
        run = lambda **env: subprocess.run(  # noqa: E731
            [build / "tests" / "lock_errors"], env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
        alone = run()
        self.assertIn("ETIMEDOUT", alone.replace(" %d\n" % errno.ETIMEDOUT, "ETIMEDOUT"))
        for kinds in ("", "mutex,rwlock,sem,spin,cond"):
            self.assertEqual(run(LD_PRELOAD=str(build / "lib" / "libsonde-profiler.so"), DD_PROFILING_DO_EXPORT="0",
                                 SONDE_PROFILING_LOCK_KINDS=kinds), alone, kinds)


class HeapLate(Heap):
    """The library is loaded when the program is running."""

    by_preload = False

    def test_what_was_allocated_and_what_lives(self):
        super().test_what_was_allocated_and_what_lives()
        self.assertGreater(self.uploads[-1].event["internal"]["heap_started_late_ms"], 0)


class HeapLateWithAnother(HeapLate):
    """The program has an allocator of its own: its blocks are given back to that one."""

    ALLOCATORS = ("libjemalloc.so.2", "libmimalloc.so.2", "libtcmalloc_minimal.so.4")

    def how_it_comes(self, stack):
        return {"LD_PRELOAD": self.allocator, **super().how_it_comes(stack)}

    def test_what_was_allocated_and_what_lives(self):
        for allocator in self.ALLOCATORS:
            with self.subTest(allocator):
                if subprocess.run(["/bin/true"], env={"LD_PRELOAD": allocator}, stderr=subprocess.PIPE, check=True).stderr:
                    self.skipTest(f"{allocator} is not installed")
                self.allocator = allocator
                super().test_what_was_allocated_and_what_lives()


class LocksLate(Locks):
    by_preload = False


if __name__ == "__main__":
    unittest.main()
