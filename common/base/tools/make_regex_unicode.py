#!/usr/bin/env python3
"""Writes common/base/regex_unicode_table.h: run it and redirect.

General categories are this Python's unicodedata; scripts are those of the machine's perl, which has to know the same Unicode.
A run is its first rune, shifted by 5 bits, and its category; runs of upper and lower case by turns are one.
"""
import subprocess
import unicodedata

CATEGORIES = "Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs".split()
LU_LL, LL_LU = len(CATEGORIES), len(CATEGORIES) + 1
SCRIPTS = "Arabic Armenian Bengali Cyrillic Devanagari Georgian Greek Han Hangul Hebrew Hiragana Katakana Latin Tamil Thai".split()
RUNES = 0x110000


def runs():
    """[first, last, kind]"""
    out = []
    for rune in range(RUNES):
        kind = CATEGORIES.index(unicodedata.category(chr(rune)))
        if out and out[-1][2] == kind:
            out[-1][1] = rune
        else:
            out.append([rune, rune, kind])
    return out


def by_turns(plain):
    """Single letters of upper and lower case in turn, four or more, become one run."""
    lu, ll = CATEGORIES.index("Lu"), CATEGORIES.index("Ll")
    out, i = [], 0
    while i < len(plain):
        end = i
        while end < len(plain) and plain[end][0] == plain[end][1] and plain[end][2] == (ll, lu)[(end - i) % 2 == (plain[i][2] != lu)]:
            end += 1
        if end - i >= 4:
            out.append((plain[i][0], LU_LL if plain[i][2] == lu else LL_LU))
            i = end
        else:
            out.append((plain[i][0], plain[i][2]))
            i += 1
    return out


def script_ranges(name):
    code = ("my ($in, $from) = (0, 0); for my $r (0 .. 0x110000) { my $is = $r < 0x110000 && !($r >= 0xd800 && $r <= 0xdfff) && "
            "chr($r) =~ /\\p{Script=" + name + "}/ ? 1 : 0; if ($is && !$in) { $from = $r } elsif ($in && !$is) { print \"$from \", $r - 1, \"\\n\" } $in = $is }")
    done = subprocess.run(["perl", "-e", "no warnings; " + code], capture_output=True, text=True, check=True)
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def rows(cells):
    line = "   "
    for cell in cells:
        if len(line) + len(cell) + 1 > 120:
            print(line)
            line = "   "
        line += " " + cell
    print(line)


perl_unicode = subprocess.run(["perl", "-MUnicode::UCD", "-e", "print Unicode::UCD::UnicodeVersion()"], capture_output=True, text=True, check=True).stdout
assert perl_unicode == unicodedata.unidata_version, (perl_unicode, unicodedata.unidata_version)
print(f"""/* regex_unicode_table.h - made by tools/make_regex_unicode.py from Unicode {unicodedata.unidata_version}; do not edit. */
#ifndef SONDE_BASE_REGEX_UNICODE_TABLE_H
#define SONDE_BASE_REGEX_UNICODE_TABLE_H

#include <stdint.h>

#define KIND_BITS 5
#define LU_LL     {LU_LL}u /* a run of single letters, upper and lower case by turns */
#define LL_LU     {LL_LU}u

/* clang-format off */
static const char kind_names[][3] = {{
    {" ".join(f'"{c}",' for c in CATEGORIES)}
}};

/* The first rune of a run << KIND_BITS, and its kind; it ends where the next one begins. */
static const uint32_t runs[] = {{""")
rows(f"0x{first << 5 | kind:x}," for first, kind in by_turns(runs()))
print("};\n\nstatic const uint32_t script_ranges[][2] = {")
at, scripts = 0, []
cells = []
for name in SCRIPTS:
    ranges = script_ranges(name)
    scripts.append((name, at, len(ranges)))
    at += len(ranges)
    cells += [f"{{ 0x{lo:x}, 0x{hi:x} }}," for lo, hi in ranges]
rows(cells)
print("};\n\nstatic const struct {\n    const char *name;\n    uint16_t first, len; /* in script_ranges */\n} scripts[] = {")
rows(f'{{ "{name}", {first}, {length} }},' for name, first, length in scripts)
print("};\n/* clang-format on */\n\n#endif /* SONDE_BASE_REGEX_UNICODE_TABLE_H */")
