#!/usr/bin/env python3
"""banned - functions that are not called in this house, and what to call instead.

Exceptions are lines `file function  # why` in tests/lint/banned_allowed.txt; one that is not needed
any more is a violation too.
"""
import re

import lint

ALLOWED = "tests/lint/banned_allowed.txt"

INSTEAD = {
    "strcpy strcat sprintf vsprintf gets": "use sonde_buf, sonde_arena_copy or snprintf",
    "strtok": "use sonde_str_cut",
    "atoi atol atoll atof strtol strtoul strtoll strtoull strtod strtof sscanf": "use base/parse.h",
    "gmtime localtime ctime asctime": "use base/format.h or the _r form",
    "rand srand random srandom drand48": "use base/rng.h",
    "alloca": "use an arena or a buffer with a ceiling",
    "signal": "use sigaction",
    "tmpnam mktemp tempnam": "use mkstemp",
}
IN_PRODUCT_ONLY = {
    "malloc calloc realloc strdup strndup asprintf vasprintf reallocarray": "use base/alloc.h",
    "free": "use sonde_free, or list the libc function whose result it frees",
    "system popen": "start no shell",
    "setenv putenv unsetenv": "the environment belongs to the host program",
    "assert": "use SONDE_ASSERT or SONDE_CHECK",
    "setlocale": "the locale belongs to the host program",
}


def expand(groups):
    return {name: advice for names, advice in groups.items() for name in names.split()}


def pattern(names):
    return re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")


everywhere, product = expand(INSTEAD), expand(INSTEAD) | expand(IN_PRODUCT_ONLY)
everywhere_pattern, product_pattern = pattern(everywhere), pattern(product)
lint.parse(lint.arguments(__doc__))
allowed = {tuple(words[:2]): number for number, words in lint.table(ALLOWED)}
used = set()

for path in lint.files(".c", ".h"):
    in_product = path.startswith(lint.PRODUCT_FOLDERS)
    for number, line in enumerate(lint.code(path).splitlines(), 1):
        for match in (product_pattern if in_product else everywhere_pattern).finditer(line):
            name = match.group(1)
            if (path, name) in allowed:
                used.add((path, name))
            elif not (name == "free" and "(*free)" in line):
                lint.report(path, number, f"{name} is banned; {product[name]}")
for entry in sorted(allowed.keys() - used):
    lint.report(ALLOWED, allowed[entry], f"{entry[0]} does not call {entry[1]} any more; delete the line")
lint.finish()
