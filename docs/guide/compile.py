#!/usr/bin/env python3
"""compile.py - every block of C in the guide compiles without a warning; every whole program runs.

    compile.py --cc CC --library FOLDER --include FOLDER...

A block with a main() is a program: it is linked and run, with no agent to be found, and must end with 0.
The others are fragments of a program, compiled below prelude.h.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BLOCK = re.compile(r"^```c\n(.*?)^```", re.M | re.S)
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]


def blocks():
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            yield page.name, text[: found.start(1)].count("\n") + 1, found.group(1)


def check(args, folder, page, line, code):
    """What is wrong with a block, as text; "" when nothing is."""
    program = "int main(" in code
    source, out = folder / "block.c", folder / "block"
    prelude = "" if program else '#include "prelude.h"\n'
    source.write_text(f'{prelude}#line {line} "{page}"\n{code}', encoding="utf-8")
    include = [f"-I{path}" for path in [*args.include, HERE]]
    end = ["-o", out, f"-L{args.library}", "-lsonde-trace", "-lsonde-profiler", f"-Wl,-rpath,{args.library}"] if program else ["-fsyntax-only"]
    done = subprocess.run([args.cc, *FLAGS, *args.flag, *include, source, *end], capture_output=True, text=True)
    if done.returncode or not program:
        return done.stderr
    env = {**os.environ, "DD_TRACE_AGENT_URL": f"unix://{folder}/nobody", "SONDE_TRACE_EXIT_TIMEOUT_MS": "100"}
    ran = subprocess.run([out], env=env, capture_output=True, text=True, timeout=60)
    return "" if ran.returncode == 0 else f"{page}:{line}: the program ended with {ran.returncode}\n{ran.stdout}{ran.stderr}"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--cc", default="cc")
parser.add_argument("--library", required=True)
parser.add_argument("--include", nargs="+", default=[])
parser.add_argument("--flag", nargs="*", default=[])
arguments = parser.parse_args()
seen = failed = 0
with tempfile.TemporaryDirectory() as tmp:
    for block in blocks():
        seen += 1
        wrong = check(arguments, pathlib.Path(tmp), *block)
        failed += bool(wrong)
        print(wrong, end="")
print(f"{seen} blocks, {failed} failed")
sys.exit(1 if failed or seen < 10 else 0)
