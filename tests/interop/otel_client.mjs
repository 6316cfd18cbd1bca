// otel_client.mjs http|json|grpc <url> <service> - a program traced by OpenTelemetry's SDK; one trace, then the exporter's end.

import { SpanKind, SpanStatusCode, trace, ROOT_CONTEXT } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [protocol, url, service] = process.argv.slice(2);
const packages = {
  http: '@opentelemetry/exporter-trace-otlp-proto',
  json: '@opentelemetry/exporter-trace-otlp-http',
  grpc: '@opentelemetry/exporter-trace-otlp-grpc',
};
const { OTLPTraceExporter } = await import(packages[protocol]);
const exporter = new OTLPTraceExporter({ url, compression: protocol === 'json' ? 'none' : 'gzip' });
const provider = new BasicTracerProvider({
  resource: resourceFromAttributes({
    'service.name': service,
    'service.version': '7',
    'deployment.environment.name': 'interop',
  }),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
const tracer = provider.getTracer('interop-scope', '1.2');

const web = tracer.startSpan('handle', {
  kind: SpanKind.SERVER,
  attributes: { 'http.request.method': 'GET', 'http.route': '/items/{id}', 'item.weight': 2.5 },
});
const inWeb = trace.setSpan(ROOT_CONTEXT, web);
const query = tracer.startSpan(
  'SELECT items',
  {
    kind: SpanKind.CLIENT,
    attributes: { 'db.system': 'postgresql', 'db.query.text': 'SELECT * FROM items WHERE id = ?' },
    links: [{ context: web.spanContext(), attributes: { why: 'test' } }],
  },
  inWeb,
);
query.setAttribute('unicode.tag', 'grüße ✓');
query.setAttribute('list', ['a', 'b']);
query.recordException(new RangeError('index 7 is out of range'));
query.setStatus({ code: SpanStatusCode.ERROR });
query.end();
web.end();
await provider.shutdown();
console.log(web.spanContext().traceId);
