// Several major versions of npm's dd-trace and PyPI's ddtrace, each over v0.4 and v0.5, dd-trace-go over v0.4 and v1.0, and a
// C++ tracer: the same program leaves the same spans and the same statistics, whichever of them traced it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import * as node from 'node:test';
import { Bench, waitFor } from '../ui/harness.mjs';

const bench = new Bench();
const [test, before] = [bench.noting(node.test), bench.noting(node.before)];
before(() => bench.startAgent());
node.after(() => bench.stop());

const python = join(process.env.SONDE_BUILD_DIR, '../interop-python');
const inPython = (version, folder) => ({
  name: `python-${version}`,
  command: [join(python, 'bin/python'), 'dd_trace_client.py'],
  env: folder ? { PYTHONPATH: join(python, folder) } : {},
  skip: !existsSync(join(python, folder ?? 'versions')) && 'no such ddtrace (PyPI was not reached, or only ./dev soak installs it)',
});
const inNode = (version, name) => ({
  name: `node-${version}`,
  command: [process.execPath, 'dd_trace_client.cjs'],
  env: { DD_TRACE_PACKAGE: name },
  skip: !existsSync(join('node_modules', name)) && `no ${name} (npm was not reached)`,
});
const compiled = join(process.env.SONDE_BUILD_DIR, '../interop-compiled');
const asProgram = (name, program, protocols, env = {}) => ({
  name,
  command: [join(compiled, program)],
  env,
  protocols,
  skip: !existsSync(join(compiled, program)) && 'not built (compiled.sh)',
});
const tracers = [
  inNode(3, 'dd-trace-v3'),
  inNode(4, 'dd-trace-v4'),
  inNode(5, 'dd-trace'),
  inPython(1, 'ddtrace-1'),
  inPython(2, 'ddtrace-2'),
  inPython(3, 'ddtrace-3'),
  inPython(4),
  // What dd-trace-go sends when it stops does not say that it counted it: both would count.
  asProgram('go-2', 'go', ['0.4', '1.0'], { DD_TRACE_STATS_COMPUTATION_ENABLED: 'false' }),
  asProgram('cpp-opentracing', 'cpp', ['0.4']),
];
const runs = tracers.flatMap((tracer) =>
  (tracer.protocols ?? ['0.4', '0.5']).map((protocol) => ({
    ...tracer,
    protocol,
    service: `${tracer.name}-v${protocol}`,
  })),
);

function runClient({ command, env, service, protocol }) {
  const done = spawnSync(command[0], command.slice(1), {
    encoding: 'utf8',
    timeout: 180000,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME ?? '/',
      DD_SERVICE: service,
      DD_ENV: 'interop',
      DD_VERSION: '7',
      DD_TRACE_AGENT_URL: bench.agentUrl,
      DD_TRACE_AGENT_PROTOCOL_VERSION: protocol, // npm's and Go's
      DD_TRACE_API_VERSION: `v${protocol}`, // PyPI's
      DD_TRACE_STARTUP_LOGS: 'false',
      DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
      DD_REMOTE_CONFIGURATION_ENABLED: 'false',
      ...env,
    },
  });
  assert.equal(done.status, 0, done.stderr);
}

// All spans of a service by their names, once the last one is there.
const spansOf = (service) =>
  waitFor(async () => {
    const { traces } = await bench.api(`traces?query=${encodeURIComponent(`service:${service}`)}`);
    const whole = await Promise.all(traces.map((t) => bench.api(`traces/${t.trace_id}`)));
    const spans = whole.flatMap((t) => t.spans);
    return spans.length >= 4 && spans;
  }, `the spans of ${service}`);

const acceptedBy = async (path) =>
  (await (await fetch(`${bench.agentUrl}/sonde/v1/status`)).json()).receiver.accepted_by_endpoint[path];

for (const run of runs) {
  test(`${run.name} over v${run.protocol}: every span as it was made`, { skip: run.skip }, async () => {
    const path = `/v${run.protocol}/traces`;
    const accepted = await acceptedBy(path);
    runClient(run);
    const spans = await spansOf(run.service);
    assert.ok((await acceptedBy(path)) > accepted, `nothing came to ${path}`);

    assert.equal(spans.length, 4);
    const [web, query, render, job] = ['web.request', 'pg.query', 'render', 'job.run'].map((name) =>
      spans.find((s) => s.name === name),
    );
    assert.deepEqual([web.parent_id, query.parent_id, render.parent_id], ['0', web.span_id, web.span_id]);
    assert.deepEqual(
      [web, query, render, job].map((s) => [s.service, s.resource, s.type, s.error, s.env]),
      [
        ['GET /items/{id}', 'web', 0],
        ['SELECT * FROM items WHERE id = ?', 'sql', 0],
        ['render', '', 0],
        ['nightly', 'worker', 1],
      ].map((row) => [run.service, ...row, 'interop']),
    );
    assert.deepEqual([web.meta['span.kind'], query.meta['span.kind']], ['server', 'client']);
    assert.equal(String(web.meta['http.status_code'] ?? web.metrics['http.status_code']), '200');
    assert.equal(Number(web.metrics['item.weight'] ?? web.meta['item.weight']), 2.5); // C++: text
    assert.equal(render.meta['unicode.tag'], 'grüße ✓');
    assert.match(
      job.meta['error.type'],
      /^(RangeError|builtins\.IndexError|\*errors\.errorString|std::out_of_range)$/,
    );
    assert.equal(job.meta['error.message'] ?? job.meta['error.msg'], 'index 7 is out of range');
    assert.match(job.meta['error.stack'] ?? job.meta['error.handling_stack'], /dd_trace_client|main/);
    assert.deepEqual([web, job].map((s) => s.metrics._sampling_priority_v1), [1, 1]);
  });
}

const isCounted = ({ parent_id, meta, metrics }) =>
  parent_id === '0' || metrics['_dd.measured'] === 1 || ['server', 'client'].includes(meta['span.kind']);

// 10 s of the agent's bucket, and two more until it is closed.
test('statistics of all of them are those of their spans', async () => {
  for (const { service } of runs.filter((run) => !run.skip)) {
    const spans = (await spansOf(service)).filter(isCounted);
    const rows = await waitFor(async () => {
      const { resources } = await bench.api(`services/${service}/resources`);
      return resources?.length >= spans.length && resources;
    }, `the statistics of ${service}`);
    assert.deepEqual(
      rows.map((r) => [r.name, r.hits, r.errors]).sort(),
      spans.map((s) => [s.name, 1, s.error]).sort(),
      service,
    );
  }
});

test('nothing was refused or lost on the way', async () => {
  const { receiver } = await (await fetch(`${bench.agentUrl}/sonde/v1/status`)).json();
  assert.deepEqual(
    Object.values(receiver.payloads_dropped).filter((n) => n > 0),
    [],
  );
  assert.equal(receiver.spans_received, 4 * runs.filter((run) => !run.skip).length);
});
