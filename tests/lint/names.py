#!/usr/bin/env python3
"""names - no file names a package registry's host or a path of somebody's machine.

Which registry to use is the business of whoever builds; lock files leave the address out
(omit-lockfile-registry-resolved).  The names are put together here so that this file passes.
"""
import re

import lint

DOT, SLASH = r"\.", "/"
REGISTRIES = [("registry", "npmjs", "org"), ("registry", "yarnpkg", "com"), ("pypi", "org"),
              ("files", "pythonhosted", "org"), ("static", "crates", "io"), ("index", "crates", "io"),
              ("proxy", "golang", "org"), ("rubygems", "org"), ("deb", "debian", "org"),
              ("archive", "ubuntu", "com"), ("registry-1", "docker", "io"), ("repo1", "maven", "org")]
PLACES = [SLASH + "work" + SLASH, SLASH + "tmp" + SLASH + "sonde" + SLASH, SLASH + "home" + SLASH + "[a-z]",
          SLASH + "Users" + SLASH + "[A-Za-z]"]

registry = re.compile(r"\b(" + "|".join(DOT.join(host) for host in REGISTRIES) + r")\b")
place = re.compile(r"(?:^|[\s\"'`(=:,])(" + "|".join(PLACES) + r")")

lint.parse(lint.arguments(__doc__))
for path in lint.files():
    source = lint.text(path)
    if "\0" in source:
        continue
    for number, line in enumerate(source.splitlines(), 1):
        found = registry.search(line)
        if found:
            lint.report(path, number, f"{found.group(1)} is a package registry; leave the address to who builds")
        found = place.search(line)
        if found:
            lint.report(path, number, f"{found.group(1)} is a path of one machine; use a relative path or a variable")
lint.finish()
