"""Stacks by our unwind tables are those of libgcc's unwinder: C and C++ compiled in the ways people compile them, and OpenSSL's
assembly beside C++ (stack_oracle.c, stack_work*.c).

SONDE_SOAK=1: at every level of optimisation, with five times the samples."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("SONDE_BUILD_DIR", "build/dev"))
SOAK = os.environ.get("SONDE_SOAK") == "1"
SAMPLES = 10000 if SOAK else 2000
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os") if SOAK else ("-O0", "-O2")


class Stacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="sonde-stacks-")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def module(self, compiler, source, *flags):
        """The path of the module; skips where there is no such compiler."""
        if not shutil.which(compiler):
            self.skipTest(f"there is no {compiler}")
        path = f"{self.folder.name}/work.so"
        done = subprocess.run([compiler, "-shared", "-fPIC", "-o", path, HERE / source, *flags], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path

    def share(self, module):
        """How many of the stacks are equal, the whole answer."""
        done = subprocess.run([BUILD / "tests/stack_oracle", module, str(SAMPLES)], capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        answer = json.loads(done.stdout)
        return answer["equal"] / answer["samples"], answer

    def check(self, least, compiler, source, *flags):
        with self.subTest(compiler=compiler, source=source, flags=flags):
            share, answer = self.share(self.module(compiler, source, *flags))
            print(f"  {100 * share:.2f} % of {answer['samples']} equal: {compiler} {source} {' '.join(flags)}", flush=True)
            self.assertGreaterEqual(share, least, answer["different"])

    def test_c_however_it_is_compiled(self):
        for compiler in ("gcc", "clang"):
            for level in LEVELS:
                for frames in ("-fomit-frame-pointer", "-fno-omit-frame-pointer"):
                    self.check(0.999, compiler, "stack_work.c", level, frames)
            self.check(0.999, compiler, "stack_work.c", "-O2", "-flto")

    def test_cxx(self):
        for compiler in ("g++", "clang++"):
            for level in ("-O0", "-O2"):
                self.check(0.999, compiler, "stack_work.cpp", level)

    def test_assembly(self):
        self.check(0.98, "gcc", "stack_work_crypto.c", "-O2", "-l:libcrypto.so.3")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + ["-v"] + sys.argv[1:])
