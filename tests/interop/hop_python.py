"""hop_python.py - one service of a chain (see hop.c), traced by PyPI's ddtrace."""
import http.server
import json
import signal
import urllib.request

from ddtrace.constants import MANUAL_DROP_KEY, MANUAL_KEEP_KEY
from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import tracer


def call(url, chain):
    with tracer.trace("hop.call") as span:
        span.set_tag("span.kind", "client")
        headers = {"x-chain": chain} if chain else {}
        HTTPPropagator.inject(span.context, headers)
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=120) as response:
            return json.load(response)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        headers = {name.lower(): value for name, value in self.headers.items()}
        tracer.context_provider.activate(HTTPPropagator.extract(headers))
        with tracer.trace("hop.serve", span_type="web") as span:
            span.set_tag("span.kind", "server")
            decide = headers.get("x-decide")
            if decide:
                span.set_tag(MANUAL_KEEP_KEY if decide == "keep" else MANUAL_DROP_KEY)
                span.context.set_baggage_item("user.id", "ann-7")
            chain = headers.get("x-chain", "").split()
            behind = call(chain[0], " ".join(chain[1:])) if chain else []
            mine = {"by": "python", "trace": format(span.trace_id, "032x"), "span": str(span.span_id),
                    "user": span.context.get_baggage_item("user.id") or ""}
        tracer.context_provider.activate(None)
        body = json.dumps([mine, *behind]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def stop(*_):
    tracer.flush()
    raise SystemExit(0)


signal.signal(signal.SIGTERM, stop)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
