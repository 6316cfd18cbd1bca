"""What programs do that profilers trip over (profiler_storm.c): with the profiler preloaded each part says and returns what it
does without, and samples were taken.

SONDE_SOAK=1: for SONDE_SOAK_MINUTES (30), under every malloc that is installed.
"""

import ctypes.util
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

BUILD = Path(os.environ.get("SONDE_BUILD_DIR", "build/dev"))
SOAK = os.environ.get("SONDE_SOAK") == "1"
MINUTES = float(os.environ.get("SONDE_SOAK_MINUTES", "30"))
PROFILER = BUILD / "lib/libsonde-profiler.so"
PARTS = ("threads", "forks", "spawn", "exec", "dlopen", "altstack", "deep", "fibers", "signals", "files", "memory",
         "overflow", "stopped", "undumpable", "fetched")
FASTEST = {"SONDE_PROFILING_CPU_FREQUENCY": "1000", "SONDE_PROFILING_WALL_INTERVAL_MS": "1",
           "DD_PROFILING_HEAP_SAMPLE_SIZE": "65536", "SONDE_PROFILING_MAX_OVERHEAD": "100",
           "SONDE_PROFILING_BATCH_INTERVAL_MS": "200", "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
           "DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL": "off"}
MALLOCS = ("jemalloc", "tcmalloc_minimal", "mimalloc")


def run(part, scale, *preloaded):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "SONDE_"))}
    if preloaded:
        environment |= {**FASTEST, "LD_PRELOAD": ":".join(str(p) for p in preloaded)}
    done = subprocess.run([BUILD / "tests/profiler_storm", part, str(scale), BUILD / "tests/libprofiler_storm_module.so"],
                          capture_output=True, text=True, env=environment, timeout=1200)
    return done.returncode, done.stdout, done.stderr


class Storm(unittest.TestCase):
    def check(self, part, scale, *mallocs):
        self.assertEqual(run(part, scale, *mallocs)[:2], (0, f"{part}: good\n"))
        self.assertEqual(run(part, scale, PROFILER, *mallocs), (0, f"{part}: good\n", "sampled\n"))

    def test_soak(self):
        if not SOAK:
            self.skipTest("SONDE_SOAK=1 asks for it")
        found = [lib for lib in map(ctypes.util.find_library, MALLOCS) if lib]
        end = time.time() + MINUTES * 60
        rounds = 0
        while time.time() < end:
            for malloc in [[], *([lib] for lib in found)]:
                for part in PARTS:
                    with self.subTest(part=part, malloc=malloc, round=rounds):
                        self.check(part, 5, *malloc)
            rounds += 1
        print(f"  {rounds} rounds under glibc's malloc {' '.join(found)}")


def test_of(part):
    return lambda self: self.check(part, 1)


for name in PARTS:
    setattr(Storm, f"test_{name}", test_of(name))

if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + ["-v"] + sys.argv[1:])
