"""Malformed, truncated, oversized, nested and endless requests to the real agent and the real intake.

Each gets the status its protocol page gives (docs/spec/receiver.md for the agent), and one reason's counter
goes up.  The process stays, and good requests work on the same and on new connections.
"""

import contextlib
import gzip
import json
import resource
import socket
import struct
import sys
import time
import unittest
import zlib

sys.path.insert(0, sys.path[0] + "/../support")
from stack import PATIENCE_S, SOAK, Stack, wait_until

MANY = 10000 if SOAK else 1000  # idle connections
LIMIT = 1 << 20  # the agent's apm_config.max_payload_size here
READ_TIMEOUT_S = 2

# -- bodies, by hand --------------------------------------------------------------------------------


def text(s):
    b = s.encode()
    return (bytes([0xA0 | len(b)]) if len(b) < 32 else b"\xd9" + bytes([len(b)])) + b


def number(n):
    return b"\xcf" + struct.pack(">Q", n)


SPAN = {"service": "web", "name": "http.request", "resource": "GET /", "type": "web", "trace_id": 11, "span_id": 12,
        "parent_id": 0, "start": 1700000000000000000, "duration": 1500, "error": 0}


def packed_span(**extra):
    """A v0.4 span; values of `extra` are packed already."""
    fields = {k: text(v) if isinstance(v, str) else number(v) for k, v in SPAN.items()} | extra
    return bytes([0x80 | len(fields)]) + b"".join(text(k) + v for k, v in fields.items())


V04 = b"\x91\x91" + packed_span(meta=b"\x81" + text("k") + text("v"))
V05 = (b"\x92\x95" + text("") + text("web") + text("GET /") + text("k") + text("v") + b"\x91\x91\x9c"
       + bytes([1, 1, 2, 11, 12, 0]) + number(SPAN["start"]) + bytes([5, 0]) + b"\x81\x03\x04" + b"\x80" + b"\x01")
JSON = json.dumps([[SPAN | {"meta": {"k": "v"}}]]).encode()


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(n, data):
    """A field of protobuf: bytes, or a varint for a number."""
    return varint(n << 3 | 2) + varint(len(data)) + data if isinstance(data, bytes) else varint(n << 3) + varint(data)


PB_SPAN = (field(1, b"web") + field(2, b"http.request") + field(3, b"GET /") + field(4, 11) + field(5, 12)
           + field(7, SPAN["start"]) + field(8, 1500) + field(10, field(1, b"k") + field(2, b"v")))
PB_HEAD = field(1, b"host") + field(2, b"prod")
PB = PB_HEAD + field(5, field(2, b"go") + field(6, field(1, 1) + field(3, PB_SPAN)))


def zstd_bomb(bytes_inflated):
    """A frame of RLE blocks: four bytes each for 128 KiB of zeros."""
    blocks = bytes_inflated >> 17
    return b"\x28\xb5\x2f\xfd" + b"\x00\x58" + b"".join(
        struct.pack("<I", (i == blocks - 1) | 1 << 1 | 1 << 17 << 3)[:3] + b"\0" for i in range(blocks))


def samples(body, most=200):
    """Lengths to cut it at: all when it is short, the ends and some between when it is long."""
    step = max(1, len(body) // most)
    return sorted({1, len(body) - 1, *range(1, len(body), step)})


# -- a client without manners ---------------------------------------------------------------------------


class Raw:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        with contextlib.suppress(ConnectionError):  # it answered and hung up meanwhile
            self.socket.sendall(data)

    def end(self):
        """Nothing more will be sent; an answer is still awaited."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def answer(self):
        """(status, body), or (0, b"") when the connection ends without one."""
        try:
            line = self.stream.readline()
            if not line:
                return 0, b""
            length = 0
            while (head := self.stream.readline().strip()):
                name, _, value = head.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            return int(line.split()[1]), self.stream.read(length)
        except ConnectionError:
            return 0, b""


def post(path, body, headers=None, chunks=None):
    head = {"Host": "localhost", "Content-Length": len(body), **(headers or {})}
    if chunks:
        del head["Content-Length"]
        head["Transfer-Encoding"] = "chunked"
        body = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + chunks]), body[i:i + chunks])
                        for i in range(0, len(body), chunks)) + b"0\r\n\r\n"
    lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Hostile(unittest.TestCase):
    """What both servers have in common; a subclass says which one."""

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * MANY + 1000), hard))
        self.stack = self.enterContext(Stack())
        self.stack.start_intake()
        self.stack.start_agent(DD_APM_MAX_PAYLOAD_SIZE=str(LIMIT), DD_APM_RECEIVER_TIMEOUT=str(READ_TIMEOUT_S),
                               DD_APM_MAX_CONNECTIONS=str(2 * MANY))
        self.use()
        self.connection = None

    def tearDown(self):
        if self.connection:
            self.connection.close()
        self.check_good()
        self.stack.agent.stop()
        self.stack.intake.stop()

    def check_good(self, connection=None):
        with contextlib.nullcontext(connection) if connection else Raw(self.port) as raw:
            raw.send(self.good())
            self.assertEqual(200, raw.answer()[0], "a good request")

    def quick(self):
        """A good request that is answered at once."""
        return self.good()

    def ask(self, raw_request, label):
        """Sends it on the connection in hand; when the server keeps that, a good request must work on it."""
        self.connection = self.connection or Raw(self.port)
        self.connection.send(raw_request)
        status, body = self.connection.answer()
        with self.subTest(label):
            self.connection.send(self.quick())
            if self.connection.answer()[0] != 200:
                self.connection.close()
                self.connection = None
                self.check_good()
        return status, body

    def check_rows(self, rows):
        """Rows of (label, request, status, reason): the status, and as often the reason's counter."""
        before, expected = self.reasons(), {}
        for label, raw_request, want, reason in rows:
            status, body = self.ask(raw_request, label)
            with self.subTest(label):
                self.assertEqual(want, status, body)
            expected[reason] = expected.get(reason, 0) + 1
        after = self.reasons()
        self.assertEqual(expected, {k: after[k] - before[k] for k in after if after[k] != before[k]})
        print(f"  {sum(expected.values())} requests: {expected}")

    # -- heads -------------------------------------------------------------------------------------------

    def test_heads_that_are_none(self):
        """An error, the end of the connection, or silence while more could come; never a 2xx."""
        good = self.good()
        heads = {
            "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            "one word": b"GARBAGE\r\n\r\n",
            "no version": b"POST /\r\n\r\n",
            "another version": good.replace(b"HTTP/1.1", b"HTTP/9.9", 1),
            "a head of 100 KiB": good.replace(b"\r\n", b"\r\nX-Long: " + b"x" * 102400 + b"\r\n", 1),
            "ten thousand headers": good.replace(b"\r\n", b"\r\n" + b"A: b\r\n" * 10000, 1),
            "a path of 100 KiB": good.replace(b" HTTP", b"x" * 102400 + b" HTTP", 1),
            "a negative length": good.replace(b"Content-Length: ", b"Content-Length: -", 1),
            "a length that is no number": good.replace(b"Content-Length: ", b"Content-Length: x", 1),
            "a length of 2^64": good.replace(b"Content-Length: ", b"Content-Length: 18446744073709551616", 1),
            "a chunk size of 2^64": post(self.path, b"")[:-4].replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            + b"\r\n\r\nffffffffffffffffff\r\nxx",
            "a chunk size that is none": post(self.path, b"")[:-4].replace(
                b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"\r\n\r\nzz\r\nxx",
        }
        for label, head in heads.items():
            with self.subTest(label), Raw(self.port) as raw:
                raw.socket.settimeout(0.5)
                raw.send(head)
                try:
                    status, _ = raw.answer()
                except TimeoutError:
                    status = 0
                self.assertTrue(status in (0, 505) or 400 <= status < 500, status)
            self.check_good()

    # -- those who do not hurry, and those who do nothing ------------------------------------------------------

    def be_patient(self):
        """From now on a connection that says nothing is kept for longer than the test takes."""

    def test_many_idle_connections_keep_nobody_out(self):
        self.be_patient()
        idle = [Raw(self.port) for _ in range(self.most_idle)]
        self.check_good()
        for raw in idle[::50]:
            self.check_good(raw)
        for raw in idle:
            raw.close()

    def test_a_slow_loris_keeps_nobody_out_and_is_sent_away(self):
        head, _, body = self.good().partition(b"\r\n\r\n")
        slow = [Raw(self.port) for _ in range(60)]
        pieces = [head[:1], head[:20], head, head + b"\r\n\r\n", head + b"\r\n\r\n" + body[:-1], b""]
        for i, raw in enumerate(slow):
            raw.send(pieces[i % len(pieces)])
        self.check_good()
        end = time.monotonic() + self.read_timeout_s + 1
        while time.monotonic() < end:  # one byte now and then is no excuse
            for raw in slow[::len(pieces)]:
                raw.send(b"x")
            self.check_good()
            time.sleep(0.1)
        for i, raw in enumerate(slow):
            if pieces[i % len(pieces)]:
                self.assertIn(raw.answer()[0], (0, 400, 408), pieces[i % len(pieces)])
            raw.close()

    def test_connections_that_end_in_the_middle(self):
        good = self.good()
        for cut in samples(good, 60):
            with Raw(self.port) as raw:
                raw.send(good[:cut])
                if cut % 2 == 0:  # a reset instead of an end
                    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def test_clients_that_close_their_half_in_the_middle(self):
        good = self.good()
        end_of_head = good.index(b"\r\n\r\n") + 4
        for cut in (1, end_of_head - 3, end_of_head, end_of_head + 1, len(good) - 1):
            with Raw(self.port) as raw:  # it still listens for an answer
                raw.send(good[:cut])
                raw.end()
                # libmicrohttpd does not always notice an end that comes together with bytes: then it is the time-out
                self.assertIn(raw.answer()[0], (0, 400, 408))


class Agent(Hostile):
    path = "/v0.4/traces"
    most_idle = MANY
    read_timeout_s = READ_TIMEOUT_S

    def use(self):
        self.port = self.stack.agent_port

    def be_patient(self):
        self.stack.agent.stop()
        self.stack.start_agent(DD_APM_MAX_CONNECTIONS=str(2 * MANY), DD_APM_RECEIVER_TIMEOUT=str(10 * PATIENCE_S))

    def good(self):
        return self.traces(V04)

    def traces(self, body, path="/v0.4/traces", kind="application/msgpack", **more):
        return post(path, body, {"Content-Type": kind, "X-Datadog-Trace-Count": 1}, **more)

    def reasons(self):
        return self.stack.agent_status()["receiver"]["payloads_dropped"]

    def test_good_bodies_are_good(self):
        for raw_request in (self.traces(V04), self.traces(V04, chunks=7), self.traces(V05, "/v0.5/traces"),
                            self.traces(JSON, kind="application/json"), self.traces(V04 + b"\xc1 behind the body")):
            self.assertEqual(200, self.ask(raw_request, "good")[0])

    def test_bodies_cut_off_at_every_byte(self):
        rows = []
        for cut in samples(V04):
            rows.append((f"v0.4 {cut}", self.traces(V04[:cut]), 400, "decoding_error"))
            rows.append((f"v0.4 chunked {cut}", self.traces(V04[:cut], chunks=50), 400, "decoding_error"))
        for cut in samples(V05):
            rows.append((f"v0.5 {cut}", self.traces(V05[:cut], "/v0.5/traces"), 400, "decoding_error"))
        for cut in samples(JSON):
            rows.append((f"JSON {cut}", self.traces(JSON[:cut], kind="application/json"), 400, "unexpected_eof"))
        self.check_rows(rows)
        status, body = self.ask(self.traces(V04[:-1]), "the text")
        self.assertEqual((400, b"msgp: too few bytes left to read object\n"), (status, body))
        status, body = self.ask(self.traces(JSON[:-1], kind="application/json"), "the text")
        self.assertEqual((400, b"unexpected-eof\n"), (status, body))

    def test_counts_and_depths_that_lie(self):
        lies = {
            "4 G chunks": b"\xdd\xff\xff\xff\xff",
            "4 G spans": b"\x91\xdd\xff\xff\xff\xff" + packed_span(),
            "4 G fields": b"\x91\x91\xdf\xff\xff\xff\xff",
            "4 GiB of text": b"\x91\x91\x81" + text("name") + b"\xdb\xff\xff\xff\xff",
            "4 GiB of bytes": b"\x91\x91\x81" + text("name") + b"\xc6\xff\xff\xff\xff",
            "4 G tags": b"\x91\x91" + packed_span(meta=b"\xdf\xff\xff\xff\xff"),
            "4 GiB of an unknown kind": b"\x91\x91\x81" + text("new") + b"\xc9\xff\xff\xff\xff\x05",
            "100 000 deep": b"\x91" * 100000,
            "100 000 deep behind an unknown key": b"\x91\x91\x81" + text("new") + b"\x91" * 100000,
            "100 000 deep in maps": b"\x91\x91" + (b"\x81" + text("new")) * 100000,
            "a reserved byte": b"\xc1",
            "a map for an array": b"\x81" + text("a") + text("b"),
            "text for a number": b"\x91\x91" + packed_span(start=text("now")),
            "a number for text": b"\x91\x91" + packed_span(name=number(1)),
            "a span that is a number": b"\x91\x91\x05",
        }
        rows = [(label, self.traces(body), 400, "decoding_error") for label, body in lies.items()]
        index = b"\x92\x91" + text("") + b"\x91\x91\x9c" + bytes([9] * 12)
        v05 = {
            "4 G texts": b"\x92\xdd\xff\xff\xff\xff",
            "an index behind the table": index,
            "eleven elements": index.replace(b"\x9c", b"\x9b"),
            "100 000 deep": b"\x92\x90" + b"\x91" * 100000,
        }
        rows += [("v0.5: " + label, self.traces(body, "/v0.5/traces"), 400, "decoding_error") for label, body in v05.items()]
        texts = {
            "100 000 deep": (b"[" * 100000 + b"]" * 100000, "decoding_error"),
            "100 000 deep in maps": (b'[[{"x":' * 30000 + b"1" + b"}]]" * 30000, "decoding_error"),
            "no JSON": (b"<xml/>", "decoding_error"),
            "a number too large": (b'[[{"trace_id":184467440737095516160}]]', "decoding_error"),
            "nothing": (b"", "unexpected_eof"),
        }
        rows += [("JSON: " + label, self.traces(body, kind="application/json"), 400, reason)
                 for label, (body, reason) in texts.items()]
        self.check_rows(rows)

    def test_bodies_beyond_the_limit(self):
        large = b"\x91" + bytes(LIMIT)
        status, body = self.ask(self.traces(large), "the text")
        self.assertEqual((413, b"payload-too-large\n"), (status, body))
        self.check_rows([
            ("declared and sent", self.traces(large), 413, "payload_too_large"),
            ("in chunks", self.traces(large, chunks=50000), 413, "payload_too_large"),
            ("declared only, a terabyte", self.traces(b"").replace(b"Content-Length: 0", b"Content-Length: 1099511627776"),
             413, "payload_too_large")])

    def test_media_and_origins_that_are_refused(self):
        self.check_rows([
            ("msgpack where only JSON was spoken", self.traces(V04, "/v0.2/traces"), 415, "media_type"),
            ("another site's page", self.traces(V04).replace(b"\r\n", b"\r\nSec-Fetch-Site: cross-site\r\n", 1), 403,
             "cross_site")])
        self.assertEqual(404, self.ask(post("/v0.9/traces", V04), "unknown")[0])

    def test_beyond_the_most_connections_the_next_waits_for_one_to_close(self):
        self.stack.agent.stop()
        self.stack.start_agent(DD_APM_MAX_CONNECTIONS="20")
        idle = [Raw(self.port) for _ in range(25)]
        time.sleep(0.2)
        with Raw(self.port) as late:
            late.send(self.good())
            for raw in idle[:10]:
                raw.close()
            self.assertEqual(200, late.answer()[0])
        for raw in idle[10:]:
            raw.close()

    def test_what_is_refused_is_explained_by_the_counters(self):
        for raw_request in (self.traces(V04), self.traces(V04[:-1]), self.traces(b""), self.traces(bytes(LIMIT + 1))):
            self.ask(raw_request, "mixed")
        r = self.stack.agent_status()["receiver"]
        self.assertEqual(r["payloads_received"], r["payloads_accepted"] + sum(r["payloads_dropped"].values()))


class Intake(Hostile):
    path = "/api/v0.2/traces"
    most_idle = min(MANY, 900)  # its limit of connections is 1000
    read_timeout_s = 30

    def use(self):
        self.port = self.stack.intake_port

    def good(self):
        return self.traces(PB)

    def traces(self, body, encoding=None, path="/api/v0.2/traces", key="k", **more):
        headers = {"Content-Type": "application/x-protobuf", "DD-Api-Key": key, "Content-Encoding": encoding}
        return post(path, body, {k: v for k, v in headers.items() if v}, **more)

    def quick(self):
        return b"GET /api/v1/validate?api_key=k HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def reasons(self):
        return self.stack.intake_counters()["dropped"]["payloads"]

    def stored(self):
        return self.stack.intake_counters()["stored"]["spans"]

    @unittest.skipUnless(SOAK, "the intake gives half a minute")
    def test_clients_that_close_their_half_in_the_middle(self):
        super().test_clients_that_close_their_half_in_the_middle()

    @unittest.skipUnless(SOAK, "the intake gives half a minute")
    def test_a_slow_loris_keeps_nobody_out_and_is_sent_away(self):
        super().test_a_slow_loris_keeps_nobody_out_and_is_sent_away()

    def test_good_bodies_are_good(self):
        for raw_request in (self.traces(PB), self.traces(gzip.compress(PB), "gzip"), self.traces(zlib.compress(PB), "deflate"),
                            self.traces(PB, chunks=9), self.traces(b"")):
            self.assertEqual(200, self.ask(raw_request, "good")[0])

    def test_payloads_cut_off_at_every_byte(self):
        whole = {len(field(1, b"host")), len(PB_HEAD)}  # the ends of fields: shorter, yet well formed
        rows = [(f"protobuf {cut}", self.traces(PB[:cut]), 400, "malformed") for cut in samples(PB, 60) if cut not in whole]
        packed = gzip.compress(PB)
        rows += [(f"gzip {cut}", self.traces(packed[:cut], "gzip"), 400, "malformed") for cut in samples(packed, 40)]
        self.check_rows(rows)
        for cut in whole:
            self.assertEqual(200, self.ask(self.traces(PB[:cut]), "whole fields")[0])

    def test_bombs_and_bodies_beyond_the_limit(self):
        zeros = bytes(80 << 20)
        self.check_rows([
            ("gzip", self.traces(gzip.compress(zeros, 1), "gzip"), 413, "too_big"),
            ("deflate", self.traces(zlib.compress(zeros, 1), "deflate"), 413, "too_big"),
            ("zstd", self.traces(zstd_bomb(80 << 20), "zstd"), 413, "too_big"),
            ("zstd, a terabyte", self.traces(zstd_bomb(1 << 40 >> 9), "zstd"), 413, "too_big"),
            ("gzip cut off", self.traces(gzip.compress(zeros, 1)[:-9], "gzip"), 413, "too_big")])
        terabyte = self.traces(b"").replace(b"Content-Length: 0", b"Content-Length: 1099511627776")
        status, _ = self.ask(terabyte, "declared only")
        self.assertEqual(413, status)

    def test_payloads_that_lie(self):
        def chunk(body):
            return field(5, field(6, field(3, body)))
        lies = {
            "a length of 2^63": b"\x2a" + b"\xff" * 8 + b"\x7f",
            "a varint without end": b"\x08" + b"\xff" * 20,
            "field number 0": b"\x00\x00",
            "a group that never ends": b"\x0b" * 100000,
            "wire type 7": b"\x0f",
            "a span that is cut off": chunk(PB_SPAN[:-1]),
            "a tag that is cut off": chunk(PB_SPAN + field(10, b"\x0a\x05k")),
        }
        rows = [(label, self.traces(body), 400, "malformed") for label, body in lies.items()]
        stats = {
            "a reserved byte": b"\xc1",
            "4 G entries": b"\xdf\xff\xff\xff\xff",
            "cut off": b"\x81" + text("Stats") + b"\x91",
            "no gzip": b"\x1f\x8b",
        }
        rows += [("stats: " + label, self.traces(body, path="/api/v0.2/stats"), 400, "malformed")
                 for label, body in stats.items()]
        rows.append(("stats: 100 000 deep", self.traces(b"\x81" + text("Stats") + b"\x91" * 100000, path="/api/v0.2/stats"),
                     413, "too_big"))
        self.check_rows(rows)

    def test_keys_and_encodings_that_are_refused(self):
        self.check_rows([
            ("no key", self.traces(PB, key=None), 403, "forbidden"),
            ("an unknown encoding", self.traces(PB, "br"), 415, "encoding"),
            ("gzip that is none", self.traces(PB, "gzip"), 400, "malformed"),
            ("zstd that is none", self.traces(PB, "zstd"), 400, "malformed")])
        self.assertEqual(202, self.ask(self.traces(b"\xff", path="/api/v2/series"), "unknown POST")[0])
        self.assertEqual(404, self.ask(b"GET /api/v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "unknown GET")[0])

    def test_searches_that_lie(self):
        rows = {
            "no JSON": b"{", "another shape": b"[]", "100 000 deep": b"[" * 100000,
            "a query without end": json.dumps({"filter": {"query": "(" * 50000}}).encode(),
            "a limit below nothing": json.dumps({"data": {"attributes": {"page": {"limit": -1}}}}).encode(),
            "a cursor nobody gave": json.dumps({"data": {"attributes": {"page": {"cursor": "%%%"}}}}).encode(),
        }
        for label, body in rows.items():
            with self.subTest(label):
                status, answer = self.ask(post("/api/v2/spans/events/search", body, {"Content-Type": "application/json"}), label)
                self.assertEqual(413 if "deep" in label else 400, status, answer)
                self.assertIn("errors", json.loads(answer))

    def test_nothing_of_it_is_stored_and_good_payloads_are(self):
        before = self.stored()
        for body in (PB[:-1], PB, b"\xff", PB, b"\x0b", PB):
            self.ask(self.traces(body), "by turns")
        wait_until("three spans more", lambda: self.stored() == before + 3)


del Hostile  # not itself a test

if __name__ == "__main__":
    unittest.main(verbosity=2)
