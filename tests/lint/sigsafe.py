#!/usr/bin/env python3
"""sigsafe - what runs in a signal handler calls nothing but what may run there.

The undefined symbols of every object of a `*_sig.c` file must be defined in another one, or stand in
tests/lint/sigsafe_allowed.txt (`name  # why`).  A line that is not needed any more is a violation too.  Objects of a build with a
sanitizer or coverage call those at every step: then nothing is checked.
"""
import glob
import os
import subprocess
import sys

import lint

ALLOWED = "tests/lint/sigsafe_allowed.txt"
SKIPPED = 77
INSTRUMENTED = ("__asan_", "__tsan_", "__ubsan_", "__sanitizer_", "__gcov_", "llvm_gcda")
BY_THE_COMPILER = {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail", "__stack_chk_guard", "memcpy", "memset", "memmove"}


def symbols(path, *options):
    out = subprocess.run(["nm", *options, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in out.splitlines() if line.split()}


parser = lint.arguments(__doc__)
parser.add_argument("--objects", required=True, help="the build folder of the profiler")
folder = lint.parse(parser).objects
objects = sorted(glob.glob(os.path.join(folder, "**", "*_sig.c.o"), recursive=True))
if not objects:
    sys.exit(SKIPPED)
undefined = {path: symbols(path, "-u") for path in objects}
if any(name.startswith(INSTRUMENTED) for names in undefined.values() for name in names):
    sys.exit(SKIPPED)
defined = {name for path in objects for name in symbols(path, "--defined-only", "-g")}
allowed = {words[0]: number for number, words in lint.table(ALLOWED)}
for path, names in undefined.items():
    for name in sorted(names - defined - BY_THE_COMPILER - allowed.keys()):
        source = os.path.basename(path)[:-2]
        lint.report(source, 1, f"calls {name}, which may not run in a signal handler; do without, or list it with its reason in {ALLOWED}")
for name in sorted(allowed.keys() - {name for names in undefined.values() for name in names}):
    lint.report(ALLOWED, allowed[name], f"{name} is not called any more; delete the line")
lint.finish()
