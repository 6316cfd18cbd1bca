"""dd_trace_client.py - the program of dd_trace_client.cjs in Python."""

from ddtrace import tracer

with tracer.trace("web.request", resource="GET /items/{id}", span_type="web") as web:
    web.set_tag("span.kind", "server")
    web.set_tag("http.status_code", 200)
    web.set_tag("item.weight", 2.5)
    with tracer.trace("pg.query", resource="SELECT * FROM items WHERE id = ?", span_type="sql") as query:
        query.set_tag("span.kind", "client")
        query.set_tag("db.row_count", 1)
    with tracer.trace("render") as render:
        render.set_tag("unicode.tag", "grüße ✓")

try:
    with tracer.trace("job.run", resource="nightly", span_type="worker"):
        raise IndexError("index 7 is out of range")
except IndexError:
    pass

tracer.flush()
