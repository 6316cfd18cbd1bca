#!/usr/bin/env python3
"""single_use - a function without `static` is called from another file than its own.

Otherwise it should be static, or it is dead.  Exempt: what exports.txt lists, main, and the names in
tests/lint/single_use_allowed.txt (`name  # why`).
"""
import re

import lint

ALLOWED = "tests/lint/single_use_allowed.txt"

lint.parse(lint.arguments(__doc__))
allowed = {words[0]: number for number, words in lint.table(ALLOWED)}
exempt = {"main"} | {words[0] for path in lint.files("exports.txt") for _, words in lint.table(path)}

words_of = {path: set(re.findall(r"\w+", lint.code(path))) for path in lint.files(".c")}
in_headers = {}
for path in lint.files(".h"):
    for word in re.findall(r"\w+", lint.code(path)):
        in_headers[word] = in_headers.get(word, 0) + 1

needed = set()
for path in words_of:
    if not path.startswith(lint.PRODUCT_FOLDERS):
        continue
    for name, first, _, is_static in lint.functions(path):
        if is_static or name in exempt:
            continue
        # A prototype is one mention; a second one is an inline function or a macro that calls it.
        if in_headers.get(name, 0) > 1 or any(name in w for p, w in words_of.items() if p != path):
            continue
        if name in allowed:
            needed.add(name)
        else:
            lint.report(path, first, f"{name} is used in this file only; make it static, or delete it")
for name in sorted(allowed.keys() - needed):
    lint.report(ALLOWED, allowed[name], f"{name} needs no exception any more; delete the line")
lint.finish()
