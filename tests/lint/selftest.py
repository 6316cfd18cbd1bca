#!/usr/bin/env python3
"""selftest - every lint passes a clean tree and refuses each of the violations below.

A lint that finds nothing looks like a clean tree; this is the test of the tests.  Each case is a small
tree of its own, the clean one with some files replaced, and a piece of the message that must appear.
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

CLEAN = {
    "docs/floors.txt": "common/base 0 -\ncommon/codec 1 common/base\nagent/a 3 common/*\nagent/b 3 common/*\n"
                       "tests/unit 9 -\ndoor curl curl/* in agent/b/*\n",
    "common/base/CMakeLists.txt": "sonde_add_library(base SOURCES x.c)\n",
    "common/base/README.md": "# base\n\n[codec](../codec/README.md#the-codec)\n",
    "common/base/x.h": "#ifndef X_H\n#define X_H\nint x_one(void);\n#endif\n",
    "common/base/x.c": '#include "base/x.h"\n\nint x_one(void)\n{\n    return 1;\n}\n',
    "common/codec/CMakeLists.txt": "sonde_add_library(codec SOURCES y.c\n    PUBLIC room::base)\n",
    "common/codec/README.md": "# The codec\n",
    "common/codec/y.c": '#include "base/x.h"\n\nint main(void)\n{\n    return x_one(); /* not "malloc(1)" */\n}\n',
    "agent/a/a.h": "#ifndef A_H\n#define A_H\n#endif\n",
    "agent/b/b.c": '#include <curl/curl.h>\n\nstatic const char *text = "strcpy(a, b)";\n',
}

LONG = "int x_one(void)\n{\n" + "    ;\n" * 100 + "    return 1;\n}\n"

HEADER = {"libtrace/include/sonde/x.h": "/* sonde/x.h - x. */\n\n/* One. */\nvoid sonde_x(void);\n\nvoid sonde_y(void);\n"}
LISTINGS = {"documented": ["libtrace/exports.txt"]}

# lint, what replaces the clean files, a piece of the message
CASES = [
    ("include_floors", {"common/base/x.h": '#include "codec/y.h"\n', "common/codec/y.h": "\n"}, "is in common/codec"),
    ("include_floors", {"common/codec/y.c": '#include "../base/x.h"\n'}, "goes round the floors"),
    ("include_floors", {"agent/b/b.c": '#include "agent/a/a.h"\n'}, "agent/b may see"),
    ("include_floors", {"common/codec/y.c": "#include <curl/curl.h>\n"}, "only agent/b/* may include curl"),
    ("include_floors", {"common/codec/y.c": '#include "base/none.h"\n'}, "is not in the tree"),
    ("include_floors", {"agent/c/c.c": "\n"}, "has no line in docs/floors.txt"),
    ("include_floors", {"agent/b/CMakeLists.txt": "sonde_add_library(agent_b PRIVATE room::agent_a)\n",
                        "agent/a/CMakeLists.txt": "sonde_add_library(agent_a SOURCES a.c)\n"}, "room::agent_a is agent/a"),
    ("include_floors", {"common/codec/CMakeLists.txt": "sonde_add_library(codec PRIVATE dep::curl)\n"}, "dep::curl belongs to"),
    ("include_floors", {"docs/floors.txt": "common/base 0 common/codec\ncommon/codec 1 common/base\n"}, "may not look up"),
    ("include_floors", {"docs/floors.txt": CLEAN["docs/floors.txt"].replace("agent/a 3 ", "agent/a 3 agent/b ")
                        .replace("agent/b 3 ", "agent/b 3 agent/a "), "agent/a/a.h": '#include "agent/b/b.h"\n',
                        "agent/b/b.h": '#include "agent/a/a.h"\n'}, "rooms depend on each other: agent/a -> agent/b -> agent/a"),
    ("include_floors", {"tests/unit/agent/a/test_a.c": '#include "agent/b/b.h"\n', "agent/b/b.h": "\n"}, "agent/a may see"),
    ("headers_alone", {"common/base/x.h": "#ifndef X_H\n#define X_H\nsize_t x_one(void);\n#endif\n"}, "as C11: unknown type name"),
    ("headers_alone", {"common/base/x.h": "struct x {\n    int a;\n};\n"}, "redefinition"),
    ("headers_alone", {"common/base/include/sonde/x.h": "#ifndef X_H\n#define X_H\nint x(int class);\n#endif\n"}, "as C++17"),
    ("documented", {**HEADER, "libtrace/exports.txt": "sonde_x\nsonde_y\n"}, "sonde_y has no word of explanation"),
    ("documented", {**HEADER, "libtrace/exports.txt": "sonde_z\n"}, "sonde_z is in no public header"),
    ("banned", {"common/base/x.c": "void f(char *a)\n{\n    strcpy(a, a);\n}\n"}, "x.c:3: strcpy is banned"),
    ("banned", {"common/base/x.c": "void *f(void)\n{\n    return malloc (1);\n}\n"}, "malloc is banned; use base/alloc.h"),
    ("banned", {"tests/lint/banned_allowed.txt": "common/base/x.c free\n"}, "delete the line"),
    ("single_use", {"common/codec/y.c": "\n"}, "x.c:3: x_one is used in this file only"),
    ("single_use", {"tests/lint/single_use_allowed.txt": "x_one\n"}, "needs no exception"),
    ("no_new_longs", {"common/base/x.c": LONG}, "x_one has 104 lines"),
    ("no_new_longs", {"common/base/x.c": LONG, "tests/lint/long_functions.txt": "common/base/x.c x_one 103\n"}, "grew from 103"),
    ("no_new_longs", {"common/base/x.c": LONG, "tests/lint/long_functions.txt": "common/base/x.c x_one 105\n"}, "lower its entry"),
    ("no_new_longs", {"tests/lint/long_functions.txt": "common/base/x.c x_two 101\n"}, "no function x_two"),
    ("format", {"dev": "echo hello \n"}, "dev:1: blanks at the end"),
    ("format", {"dev": "echo hello"}, "no newline at the end"),
    ("docs_links", {"common/base/README.md": "[there](nowhere.md)\n"}, "there is no common/base/nowhere.md"),
    ("docs_links", {"common/base/README.md": "[there](../codec/README.md#no)\n"}, "has no heading #no"),
    ("docs_links", {"common/net/CMakeLists.txt": "\n"}, "common/net has no README.md"),
    ("names", {"dev": "curl https://registry." + "npmjs.org/\n"}, "is a package registry"),
    ("names", {"dev": "cd /wo" + "rk/main\n"}, "is a path of one machine"),
]
if shutil.which("clang-format-14"):
    CASES.append(("format", {"common/base/x.c": "int  x;\n"}, "x.c:1: not as clang-format 14"))


def run(lint, changes, *more):
    """Status and output of a lint over the clean tree with `changes`."""
    with tempfile.TemporaryDirectory() as tree:
        for path, content in {**CLEAN, **changes}.items():
            os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
            with open(os.path.join(tree, path), "w", encoding="utf-8") as f:
                f.write(content)
        shutil.copy(os.path.join(HERE, "..", "..", ".clang-format"), tree)
        done = subprocess.run([sys.executable, os.path.join(HERE, lint + ".py"), "--root", tree, *more],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def check_exports():
    """exports needs a library; one function more or less than the list must be refused."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "libx.so")
        subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input="int a, b;", text=True, check=True)
        yield run("exports", {"exports.txt": "a\nb\n"}, library + "=exports.txt"), 0, ""
        yield run("exports", {"exports.txt": "a\n"}, library + "=exports.txt"), 1, "b is exported and not listed"
        yield run("exports", {"exports.txt": "a\nb\nc\n"}, library + "=exports.txt"), 1, "c is listed and not exported"


def check_sigsafe():
    """sigsafe needs objects; a call that is not listed, and a line nobody needs, must be refused."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    allowed = "tests/lint/sigsafe_allowed.txt"
    with tempfile.TemporaryDirectory() as folder:
        for name, code in ("a_sig", "int a(void){extern int b(void), c(void); return b() + c();}"), ("b_sig", "int b(void){return 1;}"):
            subprocess.run([compiler, "-c", "-x", "c", "-o", os.path.join(folder, name + ".c.o"), "-"], input=code, text=True, check=True)
        yield run("sigsafe", {allowed: "c\n"}, "--objects", folder), 0, ""
        yield run("sigsafe", {}, "--objects", folder), 1, "a_sig.c:1: calls c, which may not"
        yield run("sigsafe", {allowed: "c\nd\n"}, "--objects", folder), 1, "d is not called any more"


failures = 0
results = [(lint, run(lint, {}), None, "") for lint in sorted({case[0] for case in CASES})]
results += [(lint, run(lint, changes, *LISTINGS.get(lint, [])), 1, message) for lint, changes, message in CASES]
results += [("exports", result, want, message) for result, want, message in check_exports()]
results += [("sigsafe", result, want, message) for result, want, message in check_sigsafe()]
for lint, (status, output), want, message in results:
    clean = not want and status in (0, 77)
    if not clean and (status != want or message not in output):
        failures += 1
        print(f"{lint}: wanted {message or 'no violation'!r}, status {want or 0}; got status {status}:\n{output}")
print(f"{len(results)} cases, {failures} failed")
sys.exit(1 if failures else 0)
