#!/usr/bin/env python3
"""documented - every exported function has a man page, and a word of explanation on it.

Reads the public headers as docs/reference/reference.py does.  A function is explained by the comment
above its block, a comment beside it, or the text of the `-- title ---` it stands below.
"""
import os
import sys

import lint

HEADERS = ("libtrace/include/sonde/", "profiler/include/sonde/", "common/base/include/sonde/")
OURS = "sonde_"  # other names are a variable for outside readers, and hooks, which mean what libc's mean

parser = lint.arguments(__doc__)
parser.add_argument("listings", nargs="*", metavar="EXPORTS_TXT")
args = lint.parse(parser)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "reference"))
import reference  # noqa: E402

explained, bare = set(), {}
for path in lint.files(".h"):
    if not path.startswith(HEADERS):
        continue
    page = reference.read(os.path.join(lint.root, path))
    titled = False
    for item in page.items:
        titled = bool(item.text.parts) if item.title else titled
        for name in reference.functions_in(item.code):
            if titled or item.text.parts or f"{name}(" in "".join(l for l in item.code.split("\n") if "/*" in l):
                explained.add(name)
            else:
                bare[name] = path

for listing in args.listings:
    for number, words in lint.table(listing):
        name = words[0]
        if not name.startswith(OURS) or name in explained or name.endswith("_"):  # x_: ours, in a public header
            continue
        if name in bare:
            lint.report(bare[name], 1, f"{name} has no word of explanation; write what it means, or group it below a title")
        else:
            lint.report(listing, number, f"{name} is in no public header; declare and explain it there")
lint.finish()
