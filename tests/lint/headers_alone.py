#!/usr/bin/env python3
"""headers_alone - every header compiles by itself as C11 with our warnings, public ones also as C++17.

Each is included twice, so that a missing guard shows.  --build gives the include roots of generated
headers, --cc and --cxx the compilers; without a C++ compiler that half is left out, with a message.
"""
import concurrent.futures
import glob
import os
import shutil
import subprocess
import tempfile

import lint

WARNINGS = ("-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wpointer-arith -Wwrite-strings -Wvla "
            "-Wformat=2 -Wundef -Werror").split()
C_ONLY = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
MODULES = "msgpack libprotobuf-c libcurl libmicrohttpd zlib libzstd libfyaml sqlite3 cmocka".split()


def include_flags(build):
    folders = ["common", ".", "tests", "common/base/include", "libtrace/include", "profiler/include"]
    flags = ["-I" + lint.full(f) for f in folders if os.path.isdir(lint.full(f))]
    for room in sorted(glob.glob(os.path.join(build, "rooms", "*"))) if build else []:
        flags += ["-I", room]
    for module in MODULES:
        found = subprocess.run(["pkg-config", "--cflags-only-I", module], capture_output=True, text=True)
        flags += found.stdout.split() if found.returncode == 0 else []
    return flags


def first_error(output, path):
    """(line in the header, message) of the first thing the compiler said."""
    for line in output.splitlines():
        if ": error:" in line or ": fatal error:" in line:
            place, message = line.split("error:", 1)
            numbers = [p for p in place.split(":")[1:] if p.isdigit()]
            where = place.split(":")[0]
            inside = os.path.realpath(where) == os.path.realpath(lint.full(path))
            return (numbers[0] if inside and numbers else 1), message.strip()
    return 1, output.strip().splitlines()[0] if output.strip() else "the compiler failed"


def compile_alone(command, path):
    with tempfile.NamedTemporaryFile("w", suffix=".c") as unit:
        unit.write(f'#include "{lint.full(path)}"\n#include "{lint.full(path)}"\ntypedef int sonde_not_empty;\n')
        unit.flush()
        done = subprocess.run(command + [unit.name], capture_output=True, text=True)
    return None if done.returncode == 0 else first_error(done.stderr, path)


parser = lint.arguments(__doc__)
parser.add_argument("--build", default="")
parser.add_argument("--cc", default="cc")
parser.add_argument("--cxx", default="")
args = lint.parse(parser)
flags = include_flags(args.build)
cxx = args.cxx or shutil.which("g++") or shutil.which("clang++")
jobs = []
for header in lint.files(".h"):
    jobs.append((header, "C11", [args.cc, "-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c"] + WARNINGS +
                 C_ONLY + flags))
    if "/include/sonde/" in header and cxx:
        jobs.append((header, "C++17", [cxx, "-std=c++17", "-fsyntax-only", "-x", "c++"] + WARNINGS + flags))
if not cxx:
    print("no C++ compiler here: public headers were not tried as C++17")
with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
    results = pool.map(lambda job: compile_alone(job[2], job[0]), jobs)
    for (header, language, _), error in zip(jobs, results):
        if error:
            lint.report(header, error[0], f"does not compile alone as {language}: {error[1]}; include what it uses")
lint.finish()
