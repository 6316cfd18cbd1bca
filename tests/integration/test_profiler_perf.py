"""CPU samples by perf events: as many as were asked for, with the kernel's frames, and never at the program's cost.

Skipped where perf_event_open is refused.  What is lost because the machine has no time for the drainer is counted by the profiler,
and allowed for.
"""

import ctypes
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from pprof import Profile  # noqa: E402
from profile_intake import ProfileIntake  # noqa: E402
from stack import Stack, wait_until  # noqa: E402

BUILD = Path(os.environ.get("SONDE_BUILD_DIR", "build/dev"))
PROFILER = BUILD / "lib/libsonde-profiler.so"
HZ = 10000
PERIOD = 10**9 // HZ
NOBODY = 65534
MEASURED = {"burn", "burning", "burning_together", "read_zeros"}


class Run:
    """A program that was profiled: what it printed, its profiles, what the profiler said."""

    def __init__(self, *command, hz=HZ, engine="perf", preexec=None, user=None, **more):
        self.period = 10**9 // hz
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            environment = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "SONDE_"))}
            environment |= {"LD_PRELOAD": str(PROFILER.resolve()), "DD_PROFILING_OUTPUT_DIR": folder, "DD_PROFILING_DO_EXPORT": "false",
                            "SONDE_PROFILING_CPU_ENGINE": engine, "SONDE_PROFILING_CPU_FREQUENCY": str(hz),
                            "SONDE_PROFILING_MAX_OVERHEAD": "100", "DD_PROFILING_WALLTIME_ENABLED": "false",
                            "DD_PROFILING_ALLOCATION_ENABLED": "false", "DD_PROFILING_LOCK_ENABLED": "false",
                            "DD_PROFILING_TIMELINE_ENABLED": "false", **more}
            self.done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, preexec_fn=preexec,
                                       user=user)
            self.profiles, self.events = [], []
            for path in sorted(Path(folder).iterdir()):
                data = (path / "profile.pprof").read_bytes()
                self.profiles.append(Profile(gzip.decompress(data)))
                self.events.append(json.loads((path / "event.json").read_text()))

    def rows(self):
        return [row for p in self.profiles for row in p.rows()]

    def internal(self, key):
        return [e["internal"].get(key, 0) for e in self.events]

    def sum(self, column="cpu-time"):
        """Of what the program measures itself; not, for instance, what it costs the kernel to wait for a child on a busy machine."""
        return sum(values[column] for stack, values, _ in self.rows() if MEASURED.intersection(stack))

    def lost(self):
        return sum(self.internal("lost_cpu")) * self.period


def program(*arguments, **more):
    return Run(BUILD / "tests/profiled_kernel", *map(str, arguments), **more)


def deny_all_but_nothing():
    """A seccomp filter that allows everything: what matters is that there is one."""
    libc = ctypes.CDLL(None, use_errno=True)
    allow = (ctypes.c_uint64 * 1)(0x7FFF000000000006)

    class Filter(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    f = Filter(1, ctypes.addressof(allow))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(f), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


class Perf(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mode = program("read", 20).internal("cpu_engine")[-1]
        if cls.mode == 0:
            print("perf_event_open is refused here: skipped")
            sys.exit(77)

    def well(self, run):
        self.assertEqual(run.done.returncode, 0, run.done.stderr)
        return int(run.done.stdout)

    def near(self, run, truth, threads=1, more=0):
        """Each thread's time to a few periods."""
        have, slack = run.sum() + run.lost(), threads * 20 * PERIOD + more + truth // 50
        self.assertGreaterEqual(have, truth - slack, (have, truth, run.events))
        self.assertLessEqual(have, truth + slack + 20 * 10**6, (have, truth, run.events))

    def test_ten_thousand_a_second_are_ten_thousand(self):
        run = program("threads", 1, 2000)
        self.near(run, self.well(run))
        self.assertEqual(run.sum(), run.sum("cpu-samples") * PERIOD)
        self.assertGreater(sum(1 for row in run.rows() if "burn" in row[0]), 0)

    def test_the_kernels_frames_stand_above_the_programs(self):
        run = program("read", 500)
        truth = self.well(run)
        self.near(run, truth)
        self.assertEqual(run.internal("cpu_engine")[-1], self.mode)
        kernel = [(stack, p) for p in run.profiles for s in p.samples
                  for stack in [[p.locations[i] for i in s["location_id"]]]
                  if any(p.mappings.get(l["mapping_id"], {}).get("filename") == "[kernel.kallsyms]" for l in stack)]
        if self.mode == 1:
            self.assertEqual(kernel, [])
            return
        self.assertTrue(kernel)
        self.assertIn("include_kernel:true", run.events[-1]["tags_profiler"])
        for stack, p in kernel:  # the innermost first: the kernel's, then only the program's
            files = [p.mappings.get(l["mapping_id"], {}).get("filename") == "[kernel.kallsyms]" for l in stack]
            self.assertEqual(files, sorted(files, reverse=True))
            self.assertTrue(all(l["address"] == 0 for l, is_kernel in zip(stack, files) if is_kernel))
        names = {name for stack, p in kernel for l in stack for name in p.names(l["id"])}
        in_reads = [s for s, _, _ in run.rows() if "read_zeros" in s]
        self.assertTrue(in_reads)
        with open("/proc/kallsyms", encoding="ascii") as f:
            shown = int(f.readline().split()[0], 16) != 0
        if shown:
            self.assertTrue(any("read" in name and name not in ("read", "read_zeros") for name in names), names)
        else:
            self.assertIn("[kernel]", names)

    def test_they_come_through_our_agent_too(self):
        if not (BUILD / "bin/sonde").exists():
            self.skipTest("there is no agent in this build")
        with ProfileIntake() as intake, Stack() as stack:
            stack.start_agent(DD_APM_DD_URL="http://127.0.0.1:9", DD_APM_PROFILING_DD_URL=intake.url, SONDE_AGENT_PROFILING_WINDOW="1")
            run = program("read", 1000, hz=250, DD_PROFILING_DO_EXPORT="true", SONDE_PROFILING_BATCH_INTERVAL_MS="200",
                          DD_TRACE_AGENT_URL=f"http://127.0.0.1:{stack.agent_port}", SONDE_PROFILING_WIRE="spb")
            self.well(run)
            wait_until("all of the program's time has come", lambda: sum(
                u.profile.total("cpu-time") for u in intake.uploads()) >= 9 * 10**8)
            uploads = intake.uploads()
        self.assertEqual({u.event["internal"]["cpu_engine"] for u in uploads}, {self.mode})
        self.assertEqual({u.tags["include_kernel"] for u in uploads}, {"true" if self.mode == 2 else "false"})
        files = {m["filename"] for u in uploads for m in u.profile.mappings.values()}
        self.assertEqual("[kernel.kallsyms]" in files, self.mode == 2)

    def test_threads_that_live_a_moment_are_seen_in_full(self):
        run = program("threads", 200, 3)
        self.near(run, self.well(run), threads=200)

    def test_a_crowd_is_seen_in_full(self):
        run = program("crowd", 60, 30)
        self.near(run, self.well(run), threads=60)

    def test_who_executes_another_program_takes_no_signal_along(self):
        run = program("exec", 150)
        self.assertEqual((run.done.returncode, run.done.stdout), (0, "0\n"), run.done.stderr)

    def test_children_have_their_own(self):
        run = program("forks", 20, 60)
        self.near(run, self.well(run), threads=60)

    def test_threads_without_a_descriptor_keep_their_timer(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (12, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        run = program("crowd", 60, 60, preexec=few)
        self.near(run, self.well(run), threads=60, more=60 * 10**7)  # timers tell at their ticks
        self.assertEqual(run.internal("cpu_engine")[-1], self.mode)
        self.assertGreater(run.internal("event_failures")[-1], 0)

    def test_who_may_not_see_the_kernel_is_sampled_all_the_same(self):
        if os.getuid() != 0 or int(Path("/proc/sys/kernel/perf_event_paranoid").read_text()) != 2:
            self.skipTest("needs root to be somebody else, and perf_event_paranoid 2")
        try:
            run = program("read", 500, user=NOBODY)
        except PermissionError:
            self.skipTest("the build is not for others to read")
        if not run.events:
            self.skipTest("the build is not for others to read")
        self.near(run, self.well(run), more=20 * 10**6)
        self.assertEqual(run.internal("cpu_engine")[-1], 1)
        self.assertIn("include_kernel:false", run.events[-1]["tags_profiler"])

    def test_where_they_cannot_be_had_timers_are_and_it_is_said_once(self):
        for why, more in (("real-time signal", {"SONDE_PROFILING_SIGNAL": "40"}),
                          ("descriptor table", {"preexec": deny_all_but_nothing})):
            with self.subTest(why=why):
                run = program("read", 1000, hz=100, **more)
                self.near(run, self.well(run), more=10 * 10**7)
                self.assertEqual(run.internal("cpu_engine")[-1], 0)
                self.assertEqual(run.done.stderr.count("no perf events, CPU samples by timers"), 1, run.done.stderr)
                self.assertIn(why, run.done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + ["-v"] + sys.argv[1:])
