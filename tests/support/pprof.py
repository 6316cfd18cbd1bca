"""Reads a pprof message and a profile upload, with nothing of the code under test: protobuf's wire format and
multipart by hand.

    profile = pprof.read(message)          # sample_types, samples, mappings, ... with strings in place of indices
    profile.rows()                         # [(stack of names, root first, {type: value}, {label: value})]
"""

import ctypes
import ctypes.util
import gzip
import re


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            if value >= 1 << 64:
                raise ValueError("a varint of more than 64 bits")
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint of more than ten bytes")


def fields(data):
    """[(number, wire type, value)]; a value is an int, or bytes."""
    found, at = [], 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError("field 0")
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            size, at = varint(data, at)
            value = data[at:at + size]
            if len(value) != size:
                raise ValueError("a field is cut off")
            at += size
        else:
            raise ValueError(f"wire type {wire} has no place in pprof")
        found.append((number, wire, value))
    return found


def signed(value):
    return value - (1 << 64) if value >= 1 << 63 else value


def packed(values):
    """Repeated numbers: packed, one by one, or both."""
    numbers = []
    for wire, value in values:
        if wire == 0:
            numbers.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            numbers.append(number)
    return numbers


def message(data, scalars):
    """The fields of a message: {name: value}, absent ones 0; names of lists end in []."""
    result = {name.rstrip("[]"): [] if name.endswith("[]") else 0 for name in scalars.values()}
    for number, wire, value in fields(data):
        name = scalars.get(number)
        if name is None:
            raise ValueError(f"unknown field {number}")
        if name.endswith("[]"):
            result[name[:-2]].append((wire, value))
        else:
            result[name] = value
    return result


class Profile:
    def __init__(self, data):
        top = message(data, {1: "sample_type[]", 2: "sample[]", 3: "mapping[]", 4: "location[]", 5: "function[]",
                             6: "string_table[]", 7: "drop_frames", 8: "keep_frames", 9: "time_nanos",
                             10: "duration_nanos", 11: "period_type", 12: "period", 13: "comment[]",
                             14: "default_sample_type", 15: "doc_url"})
        self.strings = [value.decode("utf-8") for _, value in top["string_table"]]
        if not self.strings or self.strings[0] != "":
            raise ValueError("string 0 is not empty")
        self.time_nanos, self.duration_nanos = signed(top["time_nanos"]), signed(top["duration_nanos"])
        self.period = signed(top["period"])
        self.period_type = self._value_type(top["period_type"]) if top["period_type"] else None
        self.default_sample_type = self.strings[top["default_sample_type"]]
        self.sample_types = [self._value_type(v) for _, v in top["sample_type"]]
        self.mappings = self._table(top["mapping"], {
            1: "id", 2: "start", 3: "limit", 4: "offset", 5: "filename", 6: "build_id", 7: "has_functions",
            8: "has_filenames", 9: "has_line_numbers", 10: "has_inline_frames"}, ("filename", "build_id"))
        self.functions = self._table(top["function"], {1: "id", 2: "name", 3: "system_name", 4: "filename",
                                                       5: "start_line"}, ("name", "system_name", "filename"))
        self.locations = self._table(top["location"], {1: "id", 2: "mapping_id", 3: "address", 4: "line[]",
                                                       5: "is_folded"}, ())
        for location in self.locations.values():
            location["line"] = [self._line(v) for _, v in location["line"]]
            if location["mapping_id"] and location["mapping_id"] not in self.mappings:
                raise ValueError("a location of no mapping")
        self.samples = [self._sample(v) for _, v in top["sample"]]

    def _value_type(self, data):
        t = message(data, {1: "type", 2: "unit"})
        return self.strings[t["type"]], self.strings[t["unit"]]

    def _table(self, items, names, texts):
        table = {}
        for _, data in items:
            item = message(data, names)
            for text in texts:
                item[text] = self.strings[item[text]]
            if item["id"] == 0 or item["id"] in table:
                raise ValueError(f"id {item['id']} is zero or there twice")
            table[item["id"]] = item
        return table

    def _line(self, data):
        line = message(data, {1: "function_id", 2: "line", 3: "column"})
        if line["function_id"] not in self.functions:
            raise ValueError("a line of no function")
        return line

    def _sample(self, data):
        s = message(data, {1: "location_id[]", 2: "value[]", 3: "label[]"})
        s["location_id"] = packed(s["location_id"])
        s["value"] = [signed(v) for v in packed(s["value"])]
        if len(s["value"]) != len(self.sample_types):
            raise ValueError("a sample has another number of values than there are types")
        if any(i not in self.locations for i in s["location_id"]):
            raise ValueError("a sample of no location")
        labels = {}
        for _, label in s["label"]:
            l = message(label, {1: "key", 2: "str", 3: "num", 4: "num_unit"})
            key = self.strings[l["key"]]
            if key in labels:
                raise ValueError(f"label {key} twice")
            if bool(l["str"]) == bool(l["num"]):
                raise ValueError(f"label {key} is neither a text nor a number, or both")
            labels[key] = self.strings[l["str"]] if l["str"] else signed(l["num"])
        s["label"] = labels
        return s

    def names(self, location_id):
        """Of one location, the innermost function first; the address where nobody knows a name."""
        location = self.locations[location_id]
        if not location["line"]:
            return [hex(location["address"])]
        return [self.functions[line["function_id"]]["name"] for line in location["line"]]

    def rows(self):
        found = []
        for s in self.samples:
            stack = [name for i in s["location_id"] for name in self.names(i)][::-1]
            values = {t: v for (t, _), v in zip(self.sample_types, s["value"])}
            found.append((stack, values, s["label"]))
        return found

    def total(self, sample_type):
        return sum(values[sample_type] for _, values, _ in self.rows())


def unpack(data):
    """By its magic, as intakes do it."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return unpack_zstd(data)
    return data


def unpack_zstd(data):
    zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    zstd.ZSTD_decompress.restype = ctypes.c_size_t
    zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    size = zstd.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data)))
    room = ctypes.create_string_buffer(size if size < 1 << 30 else 1 << 26)
    n = zstd.ZSTD_decompress(room, ctypes.c_size_t(len(room)), data, ctypes.c_size_t(len(data)))
    if n > len(room):
        raise ValueError("not zstd")
    return room.raw[:n]


def read(data):
    return Profile(unpack(data))


def parts(content_type, body):
    """{name: (filename, content type or None, bytes)} of a multipart body, strictly: every line end CRLF, nothing
    before, between and behind the parts."""
    boundary = re.fullmatch(r'multipart/form-data; boundary=([0-9A-Za-z\'()+_,./:=?-]{1,70})', content_type)
    if not boundary:
        raise ValueError(f"content type {content_type!r}")
    mark = b"--" + boundary[1].encode()
    if not body.startswith(mark + b"\r\n") or not body.endswith(b"\r\n" + mark + b"--\r\n"):
        raise ValueError("the body does not begin or end with its boundary")
    inner = body[len(mark) + 2:-(len(mark) + 6)]
    found = {}
    for part in inner.split(b"\r\n" + mark + b"\r\n"):
        head, _, content = part.partition(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
        said = re.fullmatch(rb'form-data; name="([^"]+)"; filename="([^"]+)"', lines.pop(b"Content-Disposition"))
        kind = lines.pop(b"Content-Type", None)
        if lines or not said or said[1].decode() in found:
            raise ValueError(f"the head of a part: {head!r}")
        found[said[1].decode()] = (said[2].decode(), kind.decode() if kind else None, content)
    return found
