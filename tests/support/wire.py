"""What released clients put on the wire, by hand: msgpack in the forms each of them prefers, requests byte for byte.

    body = V04(JAVA).body([[span, ...]])
    answer = send(tcp(port), head_and_body("PUT", "/v0.4/traces", [("Host", "localhost"), ...], body))

A span is a dictionary with the keys of v0.4; nothing here knows what an agent makes of it.
"""

import socket
import struct

PATIENCE_S = 60

# -- msgpack ------------------------------------------------------------------------------------------


def _sized(n, fix, u8, u16, u32):
    """The head of something with `n` elements in the shortest of the forms given (None: a form not used)."""
    if fix is not None and n <= fix[1]:
        return bytes([fix[0] | n])
    if u8 is not None and n < 1 << 8:
        return struct.pack(">BB", u8, n)
    if u16 is not None and n < 1 << 16:
        return struct.pack(">BH", u16, n)
    return struct.pack(">BI", u32, n)


def unsigned(n):
    """The shortest form, non-negative numbers as uint."""
    if n < 0:
        return signed(n)
    if n < 128:
        return bytes([n])
    for bits, code, form in (8, 0xCC, "B"), (16, 0xCD, "H"), (32, 0xCE, "I"):
        if n < 1 << bits:
            return struct.pack(">B" + form, code, n)
    return struct.pack(">BQ", 0xCF, n)


def signed(n):
    """The shortest form, everything as int, as Go and Java write; what is larger than int64 wraps."""
    if n >= 1 << 63:
        n -= 1 << 64
    if -32 <= n < 128:
        return struct.pack(">b", n)
    for bits, code, form in (8, 0xD0, "b"), (16, 0xD1, "h"), (32, 0xD2, "i"):
        if -(1 << bits - 1) <= n < 1 << bits - 1:
            return struct.pack(">B" + form, code, n)
    return struct.pack(">Bq", 0xD3, n)


def uint64(n):
    return struct.pack(">BQ", 0xCF, n)


def int64(n):
    return struct.pack(">Bq", 0xD3, n)


def float64(x):
    return struct.pack(">Bd", 0xCB, x)


def short_text(s):
    b = s.encode()
    return _sized(len(b), (0xA0, 31), 0xD9, 0xDA, 0xDB) + b


def js_text(s):
    """fixstr, and then str32 at once."""
    b = s.encode()
    return _sized(len(b), (0xA0, 31), None, None, 0xDB) + b


def wide_text(s):
    b = s.encode()
    return _sized(len(b), None, None, None, 0xDB) + b


def binary(s):
    """Text that its client holds for bytes."""
    b = s if isinstance(s, bytes) else s.encode()
    return _sized(len(b), None, 0xC4, 0xC5, 0xC6) + b


def short_array(n):
    return _sized(n, (0x90, 15), None, 0xDC, 0xDD)


def short_map(n):
    return _sized(n, (0x80, 15), None, 0xDE, 0xDF)


def array32(n):
    return struct.pack(">BI", 0xDD, n)


def map32(n):
    return struct.pack(">BI", 0xDF, n)


def mixed(x):
    """Whole numbers as integers, the others as float64."""
    return unsigned(int(x)) if float(x).is_integer() else float64(x)


V04_ORDER = ("service", "name", "resource", "trace_id", "span_id", "parent_id", "start", "duration", "error", "meta",
             "metrics", "type")


class Forms:
    """How one client writes: `order` of the keys, and the form of each kind of value.  `nil`: keys that are nil where
    they are empty; `extra`: what else each span has, packed."""

    def __init__(self, order=V04_ORDER, text=short_text, ids=unsigned, times=unsigned, error=unsigned, number=float64,
                 array=short_array, span=short_map, tags=short_map, nil=(), extra=()):
        self.order, self.text, self.ids, self.times, self.error, self.number = order, text, ids, times, error, number
        self.array, self.span, self.tags, self.nil, self.extra = array, span, tags, nil, extra

    def tagged(self, tags, value):
        return self.tags(len(tags)) + b"".join(self.text(k) + value(v) for k, v in tags.items())

    def field(self, key, value):
        if key in self.nil and not value:
            return b"\xc0"
        if key == "meta":
            return self.tagged(value, self.text)
        if key == "metrics":
            return self.tagged(value, self.number)
        if key in ("trace_id", "span_id", "parent_id"):
            return self.ids(value)
        if key in ("start", "duration"):
            return self.times(value)
        return self.error(value) if key == "error" else self.text(value)

    def packed_span(self, span):
        keys = [k for k in self.order if k in span]
        return (self.span(len(keys) + len(self.extra)) + b"".join(self.text(k) + self.field(k, span[k]) for k in keys)
                + b"".join(self.text(k) + v for k, v in self.extra))

    def v04(self, chunks):
        return self.array(len(chunks)) + b"".join(
            self.array(len(c)) + b"".join(self.packed_span(s) for s in c) for c in chunks)

    def v05(self, chunks):
        texts = {"": 0}

        def at(s):
            return unsigned(texts.setdefault(s, len(texts)))

        def span(s):
            return (self.array(12) + at(s["service"]) + at(s["name"]) + at(s["resource"]) + self.ids(s["trace_id"])
                    + self.ids(s["span_id"]) + self.ids(s["parent_id"]) + self.times(s["start"])
                    + self.times(s["duration"]) + self.error(s["error"])
                    + self.tags(len(s["meta"])) + b"".join(at(k) + at(v) for k, v in s["meta"].items())
                    + self.tags(len(s["metrics"])) + b"".join(at(k) + self.number(v) for k, v in s["metrics"].items())
                    + at(s.get("type", "")))

        spans = self.array(len(chunks)) + b"".join(self.array(len(c)) + b"".join(map(span, c)) for c in chunks)
        return b"\x92" + self.array(len(texts)) + b"".join(self.text(t) for t in texts) + spans


# -- HTTP ---------------------------------------------------------------------------------------------


def chunked(body, size=4096):
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def request(line, lines, body=b"", framing="length"):
    """`lines` are header lines as sent; "@" among them stands where the client names the body's length."""
    length = {"length": f"Content-Length: {len(body)}", "lower": f"content-length: {len(body)}",
              "chunked": "Transfer-Encoding: chunked", "none": None}[framing]
    lines = [length if line == "@" else line for line in lines]
    head = "\r\n".join([line] + [line for line in lines if line]) + "\r\n\r\n"
    return head.encode("latin-1") + (chunked(body) if framing == "chunked" else body)


class Connection:
    """To a port of the loopback, or a Unix socket by its path."""

    def __init__(self, to):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(to, str) else socket.AF_INET)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(to if isinstance(to, str) else ("127.0.0.1", to))
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def head(self):
        """(status, {lower-case name: value}); the status is 0 when the connection ended instead."""
        line = self.stream.readline()
        if not line:
            return 0, {}
        headers = {}
        while (field := self.stream.readline().strip()):
            name, _, value = field.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split()[1]), headers

    def answer(self, to_head=False):
        """(status, headers, body) of the next one that is no interim answer."""
        status, headers = self.head()
        while status == 100:
            status, headers = self.head()
        length = 0 if to_head else int(headers.get("content-length", 0))
        return status, headers, self.stream.read(length)

    def is_at_end(self):
        return self.stream.read(1) == b""


def ask(to, data, to_head=False):
    with Connection(to) as connection:
        connection.send(data)
        return connection.answer(to_head)
