"""lint.py - what the lints share: the files of the tree, C code without comments, the report.

Every lint takes --root DIR (default: this repository), prints each violation as

    file:line: what is wrong; how to mend it

and ends with status 1 when there was one.  Files are what git tracks or would track, so build trees
and node_modules are never looked at; without git the folders are walked.
"""
import argparse
import os
import re
import subprocess
import sys

SKIPPED_FOLDERS = {".git", "build", "node_modules"}
PRODUCT_FOLDERS = ("common/", "libtrace/", "profiler/", "integrations/", "agent/", "dashboards/")

root = "."
violations = 0


def arguments(description):
    """The parser every lint starts from; call parse() with it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", default=os.path.join(os.path.dirname(__file__), "..", ".."))
    return parser


def parse(parser):
    global root
    args = parser.parse_args()
    root = os.path.realpath(args.root)
    return args


def report(path, line, message):
    global violations
    violations += 1
    print(f"{path}:{line}: {message}")


def finish():
    if violations:
        print(f"{violations} violation{'s' if violations > 1 else ''}")
    sys.exit(1 if violations else 0)


def files(*suffixes):
    """Paths below the root, sorted, that end in one of `suffixes` (all without)."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "-co", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode == 0:
        paths = listed.stdout.split("\0")
    else:
        paths = []
        for folder, subfolders, names in os.walk(root):
            subfolders[:] = [f for f in subfolders if f not in SKIPPED_FOLDERS]
            paths += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return sorted(p for p in set(paths)
                  if p and (not suffixes or p.endswith(suffixes)) and os.path.isfile(full(p)))


def full(path):
    return os.path.join(root, path)


def text(path):
    with open(full(path), encoding="utf-8", errors="replace") as f:
        return f.read()


def table(path):
    """The rows of a list: (line number, words), without empty lines and # comments."""
    if not os.path.isfile(full(path)):
        return
    for number, line in enumerate(text(path).splitlines(), 1):
        words = line.split("#")[0].split()
        if words:
            yield number, words


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(source):
    """`source` with comments blanked; lines keep their numbers."""
    def blank(match):
        token = match.group()
        return re.sub(r"[^\n]", " ", token) if token[0] == "/" else token
    return _TOKEN.sub(blank, source)


def code(path):
    """The C code of a file with comments and the inside of literals blanked."""
    def blank(match):
        token = match.group()
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        return token[0] + " " * (len(token) - 2) + token[0]
    return _TOKEN.sub(blank, text(path))


def includes(path):
    """(line number, '<' or '"', name) of every #include."""
    for number, line in enumerate(without_comments(text(path)).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


_ATTRIBUTES = re.compile(r"__attribute__\s*\(\(.*?\)\)|\bSONDE_[A-Z_]+\([^()]*\)")


def functions(path):
    """(name, first line, last line, is static) of every function, as clang-format lays them out: the
    opening and the closing brace stand alone in the first column."""
    lines = code(path).splitlines()
    at = 0
    while at < len(lines):
        if lines[at].rstrip() != "{":
            at += 1
            continue
        first = at
        while first > 0 and lines[first - 1].strip() and not re.search(r"[;}]\s*$|^\s*#|\\$", lines[first - 1]):
            first -= 1
        last = at
        while last < len(lines) - 1 and lines[last].rstrip() != "}":
            last += 1
        head = _ATTRIBUTES.sub(" ", " ".join(lines[first:at]))
        name = re.search(r"(\w+)\s*\(", head)
        if name:
            yield name.group(1), first + 1, last + 1, bool(re.search(r"\bstatic\b", head))
        at = last + 1
