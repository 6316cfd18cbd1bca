"""An intake that misbehaves on demand, and remembers what it took.

    intake = BadIntake()
    intake.mode = "hang"
    intake.refuse(); intake.accept()

Modes: "ok"; "late", a little later; a status, 503; "hang", no answer; "sip", takes a byte a second; "reset", in the
middle of a body; "cut", an answer that ends in its first line; "slow", one that comes a byte a second; "head" and
"drip", one that ends, or goes on a byte a second, behind its head.

A body counts as acknowledged when the head of an answer with a 2xx was handed to the kernel; `acknowledged` holds its
spans, `received` the digest of every body that came in whole, and both tell when one came again.  Bodies are read
without help of the code under test: zstd through the system's library, protobuf by the walker below.
"""

import collections
import ctypes
import gzip
import hashlib
import select
import socket
import ssl
import struct
import threading
import time

from stack import free_port

ANSWER = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

_zstd = ctypes.CDLL("libzstd.so.1")
_zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
_zstd.ZSTD_decompress.restype = ctypes.c_size_t
BOUND = 64 << 20


def unzstd(data):
    size = _zstd.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data)))
    size = size if size <= BOUND else BOUND
    out = ctypes.create_string_buffer(size or 1)
    got = _zstd.ZSTD_decompress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    if got > size:
        raise AssertionError("a body is no zstd")
    return out.raw[:got]


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of a protobuf message; nested messages stay bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = data[at:at + 8], at + 8
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        else:
            value, at = data[at:at + 4], at + 4
        yield key >> 3, value


def span_ids(agent_payload):
    """(trace id, span id) of every span of an AgentPayload."""
    for number, tracer in fields(agent_payload):
        if number != 5:
            continue
        for chunk in (v for n, v in fields(tracer) if n == 6):
            for span in (v for n, v in fields(chunk) if n == 3):
                ids = dict(f for f in fields(span) if f[0] in (4, 5))
                yield ids.get(4, 0), ids.get(5, 0)


class BadIntake:
    def __init__(self, tls=None, port=0, receive_bytes=0):
        """receive_bytes: how much the kernel takes ahead, so that large bodies are stopped on their way."""
        self.mode, self.tls, self.port, self.receive_bytes = "ok", tls, port or free_port(), receive_bytes
        self.lock = threading.Lock()
        self.acknowledged = collections.Counter()  # (trace id, span id)
        self.received = collections.Counter()  # digest of a body
        self.acknowledged_bodies = collections.Counter()
        self.stats_bodies = self.most_spans = 0  # most in one body
        self.requests, self.keys, self.targets, self.bodies = 0, set(), [], []  # bodies: (target, decompressed)
        self.listener, self.connections = None, set()
        self.accept()

    # -- the listener ---------------------------------------------------------------------------------

    def accept(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        if self.receive_bytes:  # connections inherit it
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_bytes)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(self.listener,), daemon=True).start()

    def refuse(self):
        """Nobody listens any more, and whoever was connected is not."""
        if not self.listener:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None
        with self.lock:
            connections, self.connections = self.connections, set()
        for c in connections:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    close = refuse

    def _listen(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with self.lock:
                self.connections.add(connection)
            if self.tls:
                connection.settimeout(10)
                connection = self.tls.wrap_socket(connection, server_side=True)
                connection.settimeout(None)
            while self._one(connection):
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()

    # -- a request --------------------------------------------------------------------------------------

    def _one(self, c):
        head = b""
        while b"\r\n\r\n" not in head:
            more = c.recv(1024)
            if not more:
                return False
            head += more
        head, body = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        mode = self.mode
        with self.lock:
            self.requests += 1
            self.targets.append(lines[0].split(" ")[1])
            self.keys.add(headers.get("dd-api-key"))
        while mode == "sip" and self.mode == mode:
            if not c.recv(1):
                return False
            time.sleep(1)
        if mode in ("reset", "sip"):
            while len(body) < length // 2:
                body += c.recv(1024) or bytes(length)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        while len(body) < length:
            more = c.recv(65536)
            if not more:
                return False
            body += more
        digest = hashlib.sha256(body).digest()
        with self.lock:
            self.received[digest] += 1
        return self._answer(c, mode, lines[0].split(" ")[1], headers, digest, body)

    def _answer(self, c, mode, target, headers, digest, body):
        if mode == "hang":
            while self.mode == "hang" and not select.select([c], [], [], 0.02)[0]:
                pass  # it still waits
            return False
        if mode == "slow":
            for byte in ANSWER % 200:
                if self.mode != "slow":
                    return False
                c.sendall(bytes([byte]))
                time.sleep(1)
            return False
        if mode == "cut":
            c.sendall((ANSWER % 200)[:8])  # before the status: nobody can know
            return False
        if mode == "late":
            time.sleep(0.05)
        status = mode if isinstance(mode, int) else 200
        if status == 200 and not self._take(c, target, headers, digest, body):
            return False
        if mode in ("head", "drip"):
            c.sendall((ANSWER % 200)[:-1])
            if mode == "drip":
                select.select([c], [], [], 60)  # until it has heard enough
            return False
        c.sendall(ANSWER % status)
        return True

    def _take(self, c, target, headers, digest, body):
        """False when nobody waits for the answer any more: then it is none."""
        if target.endswith("/api/v0.2/traces"):
            plain = unzstd(body) if headers.get("content-encoding") == "zstd" else body
            spans = list(span_ids(plain))
        else:
            plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            spans = []
        if select.select([c], [], [], 0)[0]:
            return False
        with self.lock:
            self.acknowledged_bodies[digest] += 1
            self.acknowledged.update(spans)
            self.most_spans = max(self.most_spans, len(spans))
            self.stats_bodies += not spans
            self.bodies.append((target, plain))
        return True

    # -- what is known ------------------------------------------------------------------------------------

    def spans(self):
        with self.lock:
            return set(self.acknowledged)

    def again(self):
        """Bodies that came in after they had been acknowledged."""
        with self.lock:
            return sum(n - 1 for n in self.acknowledged_bodies.values() if n > 1)
