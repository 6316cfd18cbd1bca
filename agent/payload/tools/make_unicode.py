#!/usr/bin/env python3
"""Writes agent/payload/unicode_tables.h from this Python's unicodedata: run it and redirect.

Letters are the categories L*, digits Nd; the lower-case table holds upper-case letters (Lu) whose
lower case takes as many bytes of UTF-8, as runs of equal distance.
"""
import unicodedata


def ranges(wanted):
    out, start = [], None
    for rune in range(0x80, 0x110001):
        inside = rune < 0x110000 and wanted(unicodedata.category(chr(rune)))
        if inside and start is None:
            start = rune
        elif not inside and start is not None:
            out.append((start, rune - 1))
            start = None
    return out


def lower_runs():
    out = []
    for rune in range(0x80, 0x110000):
        if unicodedata.category(chr(rune)) != "Lu":
            continue
        low = chr(rune).lower()
        if len(low) != 1 or low == chr(rune) or len(low.encode()) != len(chr(rune).encode()):
            continue
        delta = ord(low) - rune
        if out:
            first, last, step, have = out[-1]
            gap = rune - last
            if have == delta and gap in (1, 2) and (first == last or gap == step):
                out[-1] = (first, rune, gap, delta)
                continue
        out.append((rune, rune, 1, delta))
    return out


def table(kind, name, rows):
    print(f"static const {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        cell = " { " + ", ".join(str(v) if i >= 2 else f"0x{v:x}" for i, v in enumerate(row)) + " },"
        if len(line) + len(cell) > 100:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};\n")


print(f"""/* unicode_tables.h - made by tools/make_unicode.py from Unicode {unicodedata.unidata_version}; do not edit. */
#ifndef SONDE_AGENT_PAYLOAD_UNICODE_TABLES_H
#define SONDE_AGENT_PAYLOAD_UNICODE_TABLES_H

#include <stdint.h>

typedef struct unicode_range {{
    uint32_t first;
    uint32_t last;
}} unicode_range;

typedef struct unicode_run {{
    uint32_t first;
    uint32_t last;
    uint32_t step;
    int32_t delta;
}} unicode_run;

/* clang-format off */""")
table("unicode_range", "unicode_letters", ranges(lambda c: c[0] == "L"))
table("unicode_range", "unicode_digits", ranges(lambda c: c == "Nd"))
table("unicode_run", "unicode_lower", lower_runs())
print("/* clang-format on */\n\n#endif /* SONDE_AGENT_PAYLOAD_UNICODE_TABLES_H */")
