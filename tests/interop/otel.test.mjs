// OpenTelemetry's exporters through our agent: protobuf, JSON and gRPC say the same.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import * as node from 'node:test';
import { Bench, waitFor } from '../ui/harness.mjs';

const bench = new Bench();
const [test, before] = [bench.noting(node.test), bench.noting(node.before)];
const skip =
  !existsSync('node_modules/@opentelemetry/sdk-trace-base') && 'no npm packages of OpenTelemetry';

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

let ports;
before(async () => {
  ports = { http: await freePort(), grpc: await freePort() };
  await bench.startAgent([
    'otlp_config:',
    '  receiver:',
    '    protocols:',
    `      http: { endpoint: "127.0.0.1:${ports.http}" }`,
    `      grpc: { endpoint: "127.0.0.1:${ports.grpc}" }`,
  ]);
});
node.after(() => bench.stop());

const url = (protocol) =>
  protocol === 'grpc'
    ? `http://127.0.0.1:${ports.grpc}`
    : `http://127.0.0.1:${ports.http}/v1/traces`;

const python = join(process.env.SONDE_BUILD_DIR, '../interop-python/bin/python');
const noPython =
  spawnSync(python, ['-c', 'import opentelemetry.exporter.otlp']).status !== 0 &&
  'no environment with OpenTelemetry for Python (python.sh)';

const clients = [
  { name: 'node', protocol: 'http', command: [process.execPath, 'otel_client.mjs'], skip },
  { name: 'node', protocol: 'json', command: [process.execPath, 'otel_client.mjs'], skip },
  { name: 'node', protocol: 'grpc', command: [process.execPath, 'otel_client.mjs'], skip },
  { name: 'python', protocol: 'http', command: [python, 'otel_client.py'], skip: noPython },
  { name: 'python', protocol: 'grpc', command: [python, 'otel_client.py'], skip: noPython },
];
const running = clients.filter((client) => !client.skip);

for (const { name, protocol, command, skip } of clients) {
  test(`${name}, ${protocol}: a trace keeps names, parents, tags and error`, { skip }, async () => {
    const service = `${name}-${protocol}`;
    const [program, ...args] = [...command, protocol, url(protocol), service];
    const done = spawnSync(program, args, {
      encoding: 'utf8',
      timeout: 180000,
      env: { PATH: process.env.PATH },
    });
    assert.equal(done.status, 0, done.stderr);
    assert.equal(done.stderr, '');

    const spans = await waitFor(async () => {
      const { traces } = await bench.api(`traces?query=${encodeURIComponent(`service:${service}`)}`);
      const trace = traces[0] && (await bench.api(`traces/${traces[0].trace_id}`));
      return trace?.spans.length >= 2 && trace.spans; // each may come by itself
    }, `the trace of ${service}`);
    const [web, query] = ['http.server.request', 'postgresql.query'].map((name) =>
      spans.find((s) => s.name === name),
    );

    assert.equal(spans.length, 2);
    assert.deepEqual(
      [web.service, web.resource, web.type, web.env, web.version, web.error],
      [service, 'GET /items/{id}', 'web', 'interop', '7', 0],
    );
    assert.equal(web.parent_id, '0');
    assert.equal(query.parent_id, web.span_id);
    assert.deepEqual([query.type, query.error], ['sql', 1]);
    assert.equal(query.resource, 'SELECT * FROM items WHERE id = ?');
    assert.equal(web.meta['otel.trace_id'], done.stdout.trim());
    assert.equal(web.meta['otel.library.name'], 'interop-scope');
    assert.equal(web.metrics['item.weight'], 2.5);
    assert.equal(query.meta['unicode.tag'], 'grüße ✓');
    assert.equal(query.meta.list, '["a","b"]');
    assert.equal(query.meta['error.type'], 'RangeError');
    assert.equal(query.meta['error.msg'], 'index 7 is out of range');
    assert.equal(JSON.parse(query.meta['_dd.span_links'])[0].attributes.why, 'test');
  });
}

test('metrics are refused as by a receiver without them', async () => {
  const response = await fetch(`http://127.0.0.1:${ports.http}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  assert.equal(response.status, 404);
});

test('nothing was refused or lost on the way', async () => {
  const { otlp } = await (await fetch(`${bench.agentUrl}/sonde/v1/status`)).json();

  assert.equal(otlp.requests_received, running.length);
  assert.equal(otlp.requests_accepted, running.length);
  assert.equal(otlp.spans_accepted, 2 * running.length);
  assert.equal(otlp.grpc.handled, running.filter(({ protocol }) => protocol === 'grpc').length);
});
