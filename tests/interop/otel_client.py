"""otel_client.py http|grpc URL SERVICE - the program of otel_client.mjs in Python, whose gRPC is the C core."""

import importlib
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context

protocol, url, service = sys.argv[1:]
package = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter")
compression = importlib.import_module(
    "grpc" if protocol == "grpc" else "opentelemetry.exporter.otlp.proto.http").Compression.Gzip
exporter = package.OTLPSpanExporter(endpoint=url, compression=compression)
provider = TracerProvider(resource=Resource.create({
    "service.name": service, "service.version": "7", "deployment.environment.name": "interop"}))
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("interop-scope", "1.2")

web = tracer.start_span("handle", kind=SpanKind.SERVER, attributes={
    "http.request.method": "GET", "http.route": "/items/{id}", "item.weight": 2.5})
query = tracer.start_span(
    "SELECT items", context=set_span_in_context(web), kind=SpanKind.CLIENT,
    attributes={"db.system": "postgresql", "db.query.text": "SELECT * FROM items WHERE id = ?"},
    links=[Link(web.get_span_context(), {"why": "test"})])
query.set_attribute("unicode.tag", "grüße ✓")
query.set_attribute("list", ["a", "b"])
query.add_event("exception", {"exception.type": "RangeError",
                              "exception.message": "index 7 is out of range"})
query.set_status(Status(StatusCode.ERROR))
query.end()
web.end()
provider.shutdown()
print(f"{web.get_span_context().trace_id:032x}")
