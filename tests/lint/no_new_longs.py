#!/usr/bin/env python3
"""no_new_longs - no function has more than 100 lines, but for those in tests/lint/long_functions.txt.

That list, `file function lines`, may only shrink: an entry is the function's exact length, so one that
grew is refused and one that shrank asks for its line to be lowered or deleted.
"""
import lint

LIST = "tests/lint/long_functions.txt"
LINES_MAX = 100

lint.parse(lint.arguments(__doc__))
known = {(words[0], words[1]): (int(words[2]), number) for number, words in lint.table(LIST)}
seen = set()
for path in lint.files(".c", ".h"):
    for name, first, last, _ in lint.functions(path):
        length = last - first + 1
        if (path, name) in known:
            recorded, number = known[path, name]
            seen.add((path, name))
            if length > recorded:
                lint.report(path, first, f"{name} grew from {recorded} to {length} lines; take a part out that has a name")
            elif length <= LINES_MAX:
                lint.report(LIST, number, f"{name} has {length} lines now; delete its line")
            elif length < recorded:
                lint.report(LIST, number, f"{name} has {length} lines now; lower its entry")
        elif length > LINES_MAX:
            lint.report(path, first, f"{name} has {length} lines, more than {LINES_MAX}; take a part out that has a name")
for entry in sorted(known.keys() - seen):
    lint.report(LIST, known[entry][1], f"{entry[0]} has no function {entry[1]}; delete the line")
lint.finish()
