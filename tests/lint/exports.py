#!/usr/bin/env python3
"""exports - a library exports exactly what its exports.txt lists.

Arguments: LIBRARY=EXPORTS_TXT pairs.  Reads the dynamic symbol table with nm; the node of the version
script is no symbol of ours.  otel_thread_ctx_v1, where it is listed, must be thread-local: outside
readers look for it there.
"""
import re
import subprocess

import lint

THREAD_LOCAL = "otel_thread_ctx_v1"


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    names = set()
    for line in out.splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":  # the version node
            names.add(name.split("@")[0])
    return names


def is_thread_local(library, name):
    out = subprocess.run(["readelf", "--dyn-syms", "-W", library], capture_output=True, text=True, check=True).stdout
    return bool(re.search(rf"\bTLS\b.*\b{name}\b", out))


def check(library, listing):
    wanted = {words[0]: number for number, words in lint.table(listing)}
    found = exported(library)
    for name in sorted(found - wanted.keys()):
        lint.report(listing, 1, f"{name} is exported and not listed; make it hidden, or list it: it is ABI from then on")
    for name in sorted(wanted.keys() - found):
        lint.report(listing, wanted[name], f"{name} is listed and not exported; define it with SONDE_API")
    if THREAD_LOCAL in wanted and THREAD_LOCAL in found and not is_thread_local(library, THREAD_LOCAL):
        lint.report(listing, wanted[THREAD_LOCAL], f"{THREAD_LOCAL} is not thread-local; define it with __thread")


parser = lint.arguments(__doc__)
parser.add_argument("pairs", nargs="*", metavar="LIBRARY=EXPORTS_TXT")
for pair in lint.parse(parser).pairs:
    check(*pair.split("="))
lint.finish()
