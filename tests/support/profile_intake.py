"""An intake for profiles that records what it gets: answers 202, or what it is told.

    with ProfileIntake() as intake:
        ... DD_APM_PROFILING_DD_URL = intake.url ...
        upload = intake.await_uploads(1)[0]     # .headers, .event, .profile
"""

import http.server
import json
import re
import threading

import pprof
import stack


class Upload:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.parts = pprof.parts(headers["Content-Type"], body)
        self.event = json.loads(self.parts["event"][2])
        self.packed = self.parts["profile.pprof"][2]
        self.profile = pprof.read(self.packed)

    @property
    def tags(self):
        return dict(t.split(":", 1) for t in self.event["tags_profiler"].split(","))


class ProfileIntake:
    def __init__(self):
        self.answers = []  # statuses of the next requests; then 202
        self.info = None  # what GET /info answers: for a profiler this is the agent then
        self.requests = 0
        self.asked = 0  # GET /info
        self._uploads, self._others, self._lock = [], [], threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer._take(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                outer.asked += 1
                body = json.dumps(outer.info).encode()
                self.send_response(404 if outer.info is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # an agent that goes away in the middle is no news
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self):
        return f"{self.base}/api/v2/profile"

    @property
    def base(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _take(self, path, headers, body):
        with self._lock:
            if "profil" not in path:  # of the tracer in the same program
                self._others.append(body)
                return 200
            self.requests += 1
            status = self.answers.pop(0) if self.answers else 202
            if status == 202:
                self._uploads.append((path, headers, body))
            return status

    def uploads(self):
        with self._lock:
            return [Upload(*u) for u in self._uploads]

    def has_all(self, agent_status):
        """What the agent has made and handed to its uploads has come."""
        return agent_status["profiles"]["profiles_uploaded"] <= self.requests

    def runtime_id(self):
        """What a tracer of the same program calls it, in its telemetry; None before that came."""
        with self._lock:
            found = [re.search(rb'"runtime_id":"([^"]+)"', body) for body in self._others]
        return next((f.group(1).decode() for f in found if f), None)

    def await_uploads(self, count):
        stack.wait_until(f"{count} profiles arrive", lambda: len(self._uploads) >= count)
        return self.uploads()
