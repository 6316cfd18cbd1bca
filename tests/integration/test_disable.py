#!/usr/bin/env python3
"""test_disable - with SONDE_DISABLE a program refers to nothing of ours, and its code is as if never traced.

Arguments: CC SOURCE_DIR [CXX].  Every exported function but those of <sonde/test.h> must be compiled out; a
name that ends in _ is a variable, which only inline functions of the headers read.
"""
import os
import re
import subprocess
import sys
import tempfile

cc, root = sys.argv[1:3]
compilers = [[cc, "-std=c11"]] + [[cxx, "-x", "c++", "-std=c++17"] for cxx in sys.argv[3:] if cxx]
includes = ["-I" + os.path.join(root, "libtrace/include"), "-I" + os.path.join(root, "common/base/include")]
warnings = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -DSONDE_DISABLE".split()
source = os.path.join(root, "tests/integration/disabled.c")
failures = []


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def listing(path):
    """The instructions of work(), without what aligns the next function."""
    out = run("objdump", "-d", "--no-show-raw-insn", "--no-addresses", path)
    return re.search(r"<(?:work|_Z4worki)>:\n(.*?\tret)", out, re.S).group(1)


with open(os.path.join(root, "libtrace/exports.txt")) as f:
    exports = [line.strip() for line in f if re.match("sonde_(?!test_|trace_profiler_).*[^_]$", line.strip())]
with open(os.path.join(root, "libtrace/include/sonde/disable.h")) as f:
    defined = set(re.findall(r"#\s*define (sonde_\w+)\(", f.read()))
failures += [f"disable.h does not compile out {name}" for name in exports if name not in defined]

with tempfile.TemporaryDirectory() as folder:
    plain = os.path.join(folder, "plain.c")
    with open(plain, "w") as f:
        f.write("int work(int n);\nint work(int n) { return n + 1; }\n")
    for compiler in compilers:
        objects = [os.path.join(folder, name) for name in ("disabled.o", "plain.o")]
        for level in ("-O0", "-O2"):
            program = os.path.join(folder, "disabled" + level)
            run(*compiler, level, *warnings, *includes, "-c", source, "-o", objects[0])
            left = re.findall(r"\bU (sonde_\w+)", run("nm", objects[0]))
            failures += [f"{compiler[0]} {level}: {name} is still referred to" for name in left]
            run(compiler[0], objects[0], "-o", program)
            run(program)
        run(*compiler, level, "-c", plain, "-o", objects[1])
        if listing(objects[0]) != listing(objects[1]):
            failures.append(f"{compiler[0]} {level}: work() has instructions left")
for failure in failures:
    print(failure)
sys.exit(bool(failures))
