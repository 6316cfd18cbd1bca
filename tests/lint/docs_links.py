#!/usr/bin/env python3
"""docs_links - relative links in Markdown lead somewhere, and every room has a README.

A link is [text](target); a target with a scheme is not followed.  #anchors are looked up among the
headings of the page they point into.
"""
import os
import re

import lint

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)")


def prose(path):
    """The page with fenced blocks and `code` blanked; lines keep their numbers."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", blank, lint.text(path), flags=re.S | re.M)


def anchors(path):
    """What GitHub makes of the headings of a page."""
    found, counts = set(), {}
    source = re.sub(r"^(```|~~~).*?^\1", "", lint.text(path), flags=re.S | re.M)
    for heading in re.findall(r"^#+\s+(.*?)\s*#*$", source, re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = counts.get(slug, 0)
        counts[slug] = number + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found | set(re.findall(r'<a (?:name|id)="([^"]+)"', source))


def check_link(path, line, target):
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return
    file, _, anchor = target.partition("#")
    there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
    if not os.path.exists(lint.full(there)):
        lint.report(path, line, f"dead link {target}: there is no {there}")
    elif anchor and there.endswith(".md") and anchor not in anchors(there):
        lint.report(path, line, f"dead link {target}: {there} has no heading #{anchor}")


lint.parse(lint.arguments(__doc__))
for path in lint.files(".md"):
    for number, line in enumerate(prose(path).splitlines(), 1):
        for match in LINK.finditer(line):
            check_link(path, number, match.group(1))
for path in lint.files("CMakeLists.txt"):
    folder = os.path.dirname(path)
    if folder and not any(os.path.isfile(lint.full(os.path.join(f, "README.md")))
                          for f in (folder, folder.removesuffix("/src"))):
        lint.report(path, 1, f"{folder} has no README.md; one screen: job, in, out, not here, limits")
lint.finish()
