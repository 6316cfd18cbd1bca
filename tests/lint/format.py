#!/usr/bin/env python3
"""format - C as clang-format 14 lays it out; every text file ends lines with LF and without blanks.

Without clang-format-14 the C half cannot be checked: status 77, which ctest shows as skipped.
"""
import re
import shutil
import subprocess
import sys

import lint

MAY_END_IN_BLANKS = (".md", ".patch", ".svg")
BINARY = (".png", ".ico", ".bin", ".gz", ".zst", ".woff2", ".pb")


def check_whitespace(path):
    source = lint.text(path)
    if "\0" in source or not source or "/corpus/" in path or "/golden/" in path:
        return
    for number, line in enumerate(source.split("\n"), 1):
        if line.endswith("\r"):
            lint.report(path, number, "ends in CR LF; end lines with LF")
        elif re.search(r"[ \t]$", line) and not path.endswith(MAY_END_IN_BLANKS):
            lint.report(path, number, "blanks at the end of the line; delete them")
    if not source.endswith("\n"):
        lint.report(path, source.count("\n") + 1, "no newline at the end of the file; add it")


def check_layout(tool, paths):
    done = subprocess.run([tool, "--dry-run", "-Werror"] + paths, cwd=lint.root, capture_output=True, text=True)
    for place in re.finditer(r"^([^\s:]+):(\d+):\d+: error: code should be clang-formatted", done.stderr, re.M):
        lint.report(place.group(1), place.group(2), "not as clang-format 14 lays it out; run ./dev format")


lint.parse(lint.arguments(__doc__))
for path in lint.files():
    if not path.endswith(BINARY):
        check_whitespace(path)
tool = shutil.which("clang-format-14")
sources = lint.files(".c", ".h")
if tool and sources:
    check_layout(tool, sources)
if lint.violations == 0 and not tool:
    print("clang-format-14 was not found: install it (`./dev deps` does it)")
    sys.exit(77)
lint.finish()
