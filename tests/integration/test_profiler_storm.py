"""What programs do that profilers trip over (profiler_storm.c): with the profiler preloaded each part says and returns what it
does without, and samples were taken.

SONDE_SOAK=1: for SONDE_SOAK_MINUTES (30), parts, sizes, the malloc and the engine by chance (SONDE_SOAK_SEED), of every malloc that is
installed; by timers or by perf events at 10 kHz (where these are refused that is timers again; SONDE_SOAK_ENGINE chooses one).
"""

import ctypes.util
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("SONDE_BUILD_DIR", "build/dev"))
SOAK = os.environ.get("SONDE_SOAK") == "1"
MINUTES = float(os.environ.get("SONDE_SOAK_MINUTES", "30"))
PROFILER = BUILD / "lib/libsonde-profiler.so"
PARTS = ("threads", "forks", "spawn", "exec", "dlopen", "altstack", "deep", "fibers", "signals", "files", "memory",
         "overflow", "stopped", "undumpable", "fetched", "throw", "churn", "libraries", "descriptors", "chroot", "addresses",
         "seccomp", "killed")
SOURCES = Path(__file__).resolve().parent
FASTEST = {"SONDE_PROFILING_CPU_FREQUENCY": "1000", "SONDE_PROFILING_WALL_INTERVAL_MS": "1",
           "DD_PROFILING_HEAP_SAMPLE_SIZE": "65536", "SONDE_PROFILING_IO_ENABLED": "1",
           "DD_PROFILING_EXCEPTION_ENABLED": "1", "SONDE_PROFILING_LOCK_INTERVAL_US": "100", "SONDE_PROFILING_IO_INTERVAL_US": "100",
           "SONDE_PROFILING_MAX_OVERHEAD": "100",
           "SONDE_PROFILING_BATCH_INTERVAL_MS": "200", "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
           "DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL": "off"}
ENGINES = {"timer": {}, "perf": {"SONDE_PROFILING_CPU_ENGINE": "perf", "SONDE_PROFILING_CPU_FREQUENCY": "10000"}}
MALLOCS = ("jemalloc", "tcmalloc_minimal", "mimalloc")


def run(part, scale, module, *preloaded, engine="timer", **env):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "SONDE_"))} | env
    if preloaded:
        environment |= {**FASTEST, **ENGINES[engine], "LD_PRELOAD": ":".join(str(p) for p in preloaded)}
    done = subprocess.run([BUILD / "tests/profiler_storm", part, str(scale), module], capture_output=True, text=True,
                          env=environment, timeout=1200)
    return done.returncode, done.stdout, done.stderr


class Storm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.thrower = folder / "libthrow.so"
        cls.clock = folder / "clock"
        compiler = next(filter(shutil.which, ("c++", "g++", "clang++")), None)
        if compiler:
            subprocess.run([compiler, "-O2", "-fPIC", "-shared", "-o", cls.thrower, SOURCES / "profiler_storm_throw.cpp"], check=True)

    def check(self, part, scale, *mallocs, engine="timer"):
        module = self.thrower if part == "throw" else BUILD / "tests/libprofiler_storm_module.so"
        if not module.exists():
            self.skipTest("there is no C++ compiler")
        self.assertEqual(run(part, scale, module, *mallocs)[:2], (0, f"{part}: good\n"))
        self.assertEqual(run(part, scale, module, PROFILER, *mallocs, engine=engine), (0, f"{part}: good\n", "sampled\n"))

    def test_a_clock_that_jumps(self):
        """That of this process only."""
        step_clock = BUILD / "tests/libstep_clock.so"
        if not step_clock.exists():
            self.skipTest("libstep_clock.so is not built")
        self.clock.write_bytes(bytes(8))
        is_over = threading.Event()

        def jump():
            with open(self.clock, "r+b", buffering=0) as file:
                hours = random.Random(1)
                while not is_over.wait(0.01):
                    file.seek(0)
                    file.write(struct.pack("=q", hours.randrange(-1000, 1000) * 3600 * 10**9))

        thread = threading.Thread(target=jump)
        thread.start()
        try:
            for part in "memory", "threads", "forks":
                self.assertEqual(run(part, 1, "", PROFILER, step_clock, STEP_CLOCK_FILE=str(self.clock)),
                                 (0, f"{part}: good\n", "sampled\n"))
        finally:
            is_over.set()
            thread.join()

    def test_perf_events_at_10_kHz(self):
        for part in "exec", "threads", "forks", "spawn", "signals", "files", "fetched":
            with self.subTest(part=part):
                self.check(part, 1, engine="perf")

    def test_soak(self):
        if not SOAK:
            self.skipTest("SONDE_SOAK=1 asks for it")
        found = [[], *([lib] for lib in map(ctypes.util.find_library, MALLOCS) if lib)]
        seed = int(os.environ.get("SONDE_SOAK_SEED", random.randrange(1 << 30)))
        chance = random.Random(seed)
        engines = os.environ.get("SONDE_SOAK_ENGINE", "timer perf").split()
        end = time.time() + MINUTES * 60
        runs = 0
        print(f"  SONDE_SOAK_SEED={seed}", flush=True)
        while time.time() < end:
            part, malloc, scale = chance.choice(PARTS), chance.choice(found), chance.randrange(1, 6)
            engine = chance.choice(engines)
            with self.subTest(part=part, malloc=malloc, scale=scale, engine=engine, run=runs, seed=seed):
                self.check(part, scale, *malloc, engine=engine)
            runs += 1
        print(f"  {runs} runs under glibc's malloc {' '.join(m for malloc in found for m in malloc)}")


def test_of(part):
    return lambda self: self.check(part, 1)


for name in PARTS:
    setattr(Storm, f"test_{name}", test_of(name))

if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + ["-v"] + sys.argv[1:])
