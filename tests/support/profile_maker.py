"""Makes pprof messages and uploads of profilers by hand, for tests that need profiles whose content is known.

    p = ProfileMaker([("cpu-samples", "count"), ("cpu-time", "nanoseconds")])
    p.sample(["main", "work"], [1, 10_000_000], {"thread name": "worker"})   # root first
    send(url, event(service="shop", start=..., end=...), {"profile.pprof": gzip.compress(p.message())})
"""

import http.client
import json
import urllib.parse


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def chunk(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


class ProfileMaker:
    def __init__(self, types):
        self.types = types
        self._strings, self._functions, self._locations, self._mappings = {"": 0}, {}, {}, {}
        self._samples = []

    def _string(self, text):
        return self._strings.setdefault(text, len(self._strings))

    def _mapping(self, path):
        return self._mappings.setdefault(path, len(self._mappings) + 1)

    def _location(self, frame):
        """A frame: "function", ("function", "object", "file.c"), or (None, "object", address); "outer+inner": inlined into it."""
        if isinstance(frame, str):
            frame = (frame, "/usr/bin/demo", "demo.c")
        return self._locations.setdefault(frame, len(self._locations) + 1)

    def sample(self, stack, values, labels=None):
        assert len(values) == len(self.types)
        ids = [self._location(f) for f in reversed(stack)]
        body = chunk(1, b"".join(varint(i) for i in ids)) + chunk(2, b"".join(varint(v) for v in values))
        for key, value in (labels or {}).items():
            text = isinstance(value, str)
            body += chunk(3, number(1, self._string(key)) + number(2 if text else 3,
                                                                  self._string(value) if text else value))
        self._samples.append(body)

    def message(self):
        out = b"".join(chunk(1, number(1, self._string(t)) + number(2, self._string(u))) for t, u in self.types)
        out += b"".join(chunk(2, s) for s in self._samples)
        for (name, path, file), i in self._locations.items():
            body = number(1, i) + number(2, self._mapping(path))
            if name is None:
                body += number(3, file)
            else:
                body += number(3, 0x1000 + i)
                for line in reversed(name.split("+")):  # innermost first
                    body += chunk(4, number(1, self._function(line, file)))
            out += chunk(4, body)
        for (name, file), i in self._functions.items():
            out += chunk(5, number(1, i) + number(2, self._string(name)) + number(4, self._string(file)))
        for path, i in self._mappings.items():
            out += chunk(3, number(1, i) + number(5, self._string(path)))
        return out + b"".join(chunk(6, s.encode()) for s in self._strings)

    def _function(self, name, file):
        return self._functions.setdefault((name, file), len(self._functions) + 1)


def rfc3339(unix_ns):
    import datetime
    at = datetime.datetime.fromtimestamp(unix_ns // 10**9, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + f".{unix_ns % 10**9:09d}Z"


def event(service, start, end, env="prod", version="1.0", runtime_id="00112233-4455-6677-8899-aabbccddeeff",
          attachments=("profile.pprof",), **tags):
    """event.json of a profile from `start` to `end`, Unix nanoseconds."""
    known = {"language": "native", "service": service, "env": env, "version": version, "runtime-id": runtime_id, **tags}
    return {"version": "4", "family": "native", "start": rfc3339(start), "end": rfc3339(end),
            "attachments": list(attachments), "tags_profiler": ",".join(f"{k}:{v}" for k, v in known.items()),
            "endpoint_counts": None, "internal": {}, "info": {}}


def body(event_json, attachments, boundary="sonde-7f3a9c0d51e24b68"):
    parts = [("event", "event.json", json.dumps(event_json).encode())]
    parts += [(name, name, data) for name, data in attachments.items()]
    out = b""
    for name, filename, data in parts:
        out += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'.encode()
                + data + b"\r\n")
    return out + f"--{boundary}--\r\n".encode()


def send(url, event_json, attachments, boundary="sonde-7f3a9c0d51e24b68", path="/api/v2/profile", headers=None):
    """POSTs an upload; (status, text of the answer)."""
    to = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(to.hostname, to.port, timeout=60)
    connection.request("POST", path, body(event_json, attachments, boundary),
                       {"Content-Type": f"multipart/form-data; boundary={boundary}", "DD-API-KEY": "k", **(headers or {})})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text
