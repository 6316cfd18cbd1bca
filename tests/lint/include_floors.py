#!/usr/bin/env python3
"""include_floors - nobody includes or links what stands above them, and third-party headers have one door.

The rules are the table docs/floors.txt.  Checked: every #include of a .c or .h file, every room:: and
dep:: in the link lists of CMakeLists.txt, and that rooms do not depend on each other in a circle.
"""
import fnmatch
import os
import re

import lint

TABLE = "docs/floors.txt"
ANY = "*"


class Room:
    def __init__(self, floor, may):
        self.floor, self.may = floor, may


rooms = {}         # folder -> Room
doors = {}         # dependency -> (header patterns, places)
edges = {}         # folder -> {folder it depends on: "file:line"}
library_room = {}  # name in room::name -> folder


def read_table():
    for number, words in lint.table(TABLE):
        if words[0] == "door":
            split = words.index("in")
            doors[words[1]] = (words[2:split], words[split + 1:])
        elif len(words) < 3 or not words[1].isdigit():
            lint.report(TABLE, number, "write: FOLDER FLOOR FOLDER... or: door NAME HEADER... in PLACE...")
        else:
            rooms[words[0]] = Room(int(words[1]), [w for w in words[2:] if w != "-"])
    for name, room in rooms.items():
        for other in room.may:
            other = other.removesuffix("/*")
            if other in rooms and rooms[other].floor > room.floor:
                lint.report(TABLE, 1, f"{name} (floor {room.floor}) may not look up to {other} "
                                      f"(floor {rooms[other].floor})")


def room_of(path):
    """The longest folder of the table that holds `path`, or None."""
    folder = os.path.dirname(path)
    while folder and folder not in rooms:
        folder = os.path.dirname(folder)
    return folder or None


def tested_room(path):
    """The room whose unit tests `path` belongs to, or None."""
    if not path.startswith("tests/unit/"):
        return None
    folder = os.path.dirname(path).removeprefix("tests/unit/")
    for candidate in (folder, "common/" + folder, folder + "/src"):
        if candidate in rooms:
            return candidate
    return None


def listed(target, may):
    for entry in may:
        if entry == ANY or target == entry or target == entry + "/include":
            return True
        if entry.endswith("/*") and (target == entry[:-2] or target.startswith(entry[:-1])):
            return True
    return False


def allowed(path, room, target):
    """Whether file `path` of `room` may depend on room `target`."""
    tested = tested_room(path)
    if tested:
        if target == tested or rooms[target].floor < rooms[tested].floor or listed(target, rooms[tested].may):
            return True
    return target == room or target == room + "/include" or listed(target, rooms[room].may)


def mend(room):
    return f"{room} may see: {' '.join(rooms[room].may) or 'nothing'} ({TABLE}); move what both need down a floor"


def resolve(path, name):
    """The file an #include "name" of `path` means, or None."""
    here = os.path.dirname(path)
    for base in (here, "common", "", "tests", "common/base/include", "libtrace/include", "profiler/include"):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(lint.full(candidate)):
            return candidate
    return None


def door_of(name):
    for dependency, (patterns, places) in doors.items():
        if any(fnmatch.fnmatch(name, p) or fnmatch.fnmatch(os.path.basename(name), p) for p in patterns):
            return dependency, places
    return None, None


def depend(path, line, room, target, what):
    if not allowed(path, room, target):
        lint.report(path, line, f"{what} is in {target}; {mend(tested_room(path) or room)}")
    if target != room and not path.startswith("tests/"):
        edges.setdefault(room, {}).setdefault(target, f"{path}:{line}")


def check_include(path, line, room, kind, name):
    dependency, places = door_of(name)
    if dependency:
        if not any(fnmatch.fnmatch(path, p) for p in places):
            lint.report(path, line, f"{name}: only {' '.join(places)} may include {dependency}; use their interface")
        return
    if ".." in name.split("/"):
        lint.report(path, line, f'"{name}" goes round the floors; include it by its path below the source root')
        return
    if kind == "<" and not name.startswith("sonde/"):
        return
    target = resolve(path, name)
    if not target:
        lint.report(path, line, f'"{name}" is not in the tree; use <> for headers of others')
        return
    if room_of(target):
        depend(path, line, room, room_of(target), f'"{name}"')


def check_sources():
    for path in lint.files(".c", ".h"):
        room = room_of(path)
        if not room:
            lint.report(path, 1, f"{os.path.dirname(path)} has no line in {TABLE}; add one")
            continue
        for line, kind, name in lint.includes(path):
            check_include(path, line, room, kind, name)


COMMAND = re.compile(r"^[ \t]*(\w+)[ \t]*\(([^)]*)\)", re.M)


def commands(path):
    """(line, command, words) of a CMakeLists.txt, comments left out."""
    source = re.sub(r"#[^\n]*", "", lint.text(path))
    for match in COMMAND.finditer(source):
        yield source.count("\n", 0, match.start()) + 1, match.group(1), match.group(2).split()


def check_links():
    lists = [p for p in lint.files("CMakeLists.txt") if not p.startswith("tests/")]
    for path in lists:
        for _, command, words in commands(path):
            if command == "sonde_add_library":
                library_room[words[0]] = os.path.dirname(path)
    for path in lists:
        room = room_of(path)
        for line, command, words in commands(path):
            if command in ("sonde_add_fuzzer", "sonde_add_bench") or not room:
                continue
            user = path
            if command == "sonde_add_tests":
                user = f"tests/unit/{os.path.dirname(path).removeprefix('common/').removesuffix('/src')}/x"
            for word in words:
                check_link(path, line, room, user, word)


def check_link(path, line, room, user, word):
    if word.startswith("dep::") and word[5:] in doors:
        places = doors[word[5:]][1]
        inside = os.path.dirname(user) + "/"
        if not any(fnmatch.fnmatch(inside + "x.c", p) or p.startswith(inside) for p in places):
            lint.report(path, line, f"{word} belongs to {' '.join(places)}; use their interface")
    elif word.startswith("room::") and word[6:] in library_room:
        target = room_of(library_room[word[6:]] + "/x")
        if target and not allowed(user, room_of(user) or room, target):
            lint.report(path, line, f"{word} is {target}; {mend(room)}")
        elif target and target != room and user == path:
            edges.setdefault(room, {}).setdefault(target, f"{path}:{line}")


def find_cycles():
    done = set()

    def visit(room, trail):
        if room in trail:
            circle = trail[trail.index(room):] + [room]
            file, line = edges[circle[-2]][room].split(":")
            lint.report(file, line, f"rooms depend on each other: {' -> '.join(circle)}; move what both need down")
            return
        if room in done:
            return
        for target in sorted(edges.get(room, ())):
            visit(target, trail + [room])
        done.add(room)

    for room in sorted(edges):
        visit(room, [])


lint.parse(lint.arguments(__doc__))
read_table()
check_sources()
check_links()
find_cycles()
lint.finish()
