// One trace through libtrace, npm's dd-trace and PyPI's ddtrace over HTTP, in both directions, for each style
// of headers: ids, decision, tags and baggage arrive everywhere, and the store has one trace of all of it.
//
// Without the Python packages (tests/interop/python.sh) the chains with Python are skipped.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as node from 'node:test';
import { Bench, waitFor } from '../ui/harness.mjs';

const bench = new Bench();
const [test, before] = [bench.noting(node.test), bench.noting(node.before)];
before(() => bench.startAgent());
node.after(() => bench.stop());

const python = join(process.env.SONDE_BUILD_DIR, '../interop-python/bin/python');
const hasPython = existsSync(python);
if (!hasPython)
  console.log('chains with Python skipped: ddtrace is not installed (PyPI was not reached)');

const commands = {
  c: [join(process.env.SONDE_BUILD_DIR, 'bin/interop-hop')],
  node: [process.execPath, 'hop_node.cjs'],
  python: [python, 'hop_python.py'],
};

// Starts a service of the chain; returns its address.
async function startHop(by, style) {
  const log = join(bench.dir, `${by}-${style}.log`);
  const out = openSync(log, 'a');
  const child = spawn(commands[by][0], commands[by].slice(1), {
    stdio: ['ignore', out, out],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME ?? '/',
      DD_SERVICE: `${by}-hop`,
      DD_ENV: 'interop',
      DD_TRACE_AGENT_URL: bench.agentUrl,
      // dd-trace calls both forms of B3 "b3", unless the single header is asked for by this name.
      DD_TRACE_PROPAGATION_STYLE: by === 'node' && style === 'b3' ? 'b3 single header' : style,
      DD_TRACE_SAMPLE_RATE: '1',
      SONDE_TRACE_FLUSH_INTERVAL_MS: '100',
      DD_TRACE_WRITER_INTERVAL_SECONDS: '0.1',
      DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
      DD_REMOTE_CONFIGURATION_ENABLED: 'false',
    },
  });
  const ended = new Promise((done) => child.once('exit', (code, signal) => done(code ?? signal)));
  const text = () => readFileSync(log, 'utf8');
  const entry = { name: by, child, log, ended, text };
  bench.children.push(entry);
  const port = await waitFor(
    () => bench.alive(entry) && /listening on 127\.0\.0\.1:(\d+)/.exec(text())?.[1],
    `${by} to listen`,
  );
  return `http://127.0.0.1:${port}/`;
}

async function walk(urls, decide) {
  const headers = { 'x-chain': urls.slice(1).join(' ') };
  if (decide) headers['x-decide'] = decide;
  const response = await fetch(urls[0], { headers });
  return response.json();
}

// The stored trace, once all `spans` of it are there.
function stored(traceId, spans) {
  return waitFor(async () => {
    const trace = await bench.api(`traces/${traceId}`);
    return trace.spans.length === spans && trace;
  }, `${spans} spans of ${traceId}`);
}

const styles = [
  ['datadog', { tags: true }],
  ['tracecontext', { tags: true }],
  ['b3multi', {}],
  ['b3', {}],
  ['datadog,tracecontext,baggage', { tags: true, baggage: true }],
];
const chains = [
  ['c', 'node', 'c'],
  ['node', 'c', 'node'],
  ['c', 'python', 'c'],
  ['python', 'c', 'python'],
  ['c', 'node', 'c', 'python', 'c'],
];

for (const [style, carries] of styles) {
  let urls;
  test(`${style}: services start`, async () => {
    const names = hasPython ? ['c', 'node', 'python'] : ['c', 'node'];
    const started = await Promise.all(names.map((by) => startHop(by, style)));
    urls = Object.fromEntries(names.map((by, at) => [by, started[at]]));
  });

  for (const chain of chains) {
    const skip = !hasPython && chain.includes('python') && 'ddtrace is not installed';

    test(`${style}: ${chain.join(' → ')} is one kept trace`, { skip }, async () => {
      const reports = await walk(
        chain.map((by) => urls[by]),
        'keep',
      );
      assert.deepEqual(
        reports.map((r) => r.by),
        chain,
      );
      const [{ trace: id }] = reports;
      assert.match(id, /^(?!0{16})[0-9a-f]{32}$/, 'a 128-bit trace id');
      for (const report of reports) assert.equal(report.trace, id);
      if (carries.baggage) for (const report of reports) assert.equal(report.user, 'ann-7');

      const trace = await stored(id, 2 * chain.length - 1);
      const serves = reports.map((r) => trace.spans.find((s) => s.span_id === r.span));
      assert.equal(serves[0].parent_id, '0');
      for (let at = 1; at < serves.length; at++) {
        const call = trace.spans.find((s) => s.span_id === serves[at].parent_id);
        assert.equal(call.name, 'hop.call');
        assert.equal(call.parent_id, serves[at - 1].span_id);
        assert.equal(call.service, `${chain[at - 1]}-hop`);
      }
      // A tracer writes the decision on the first span of a chunk; Python sends all it has of a trace as one.
      for (const by of new Set(chain)) {
        const own = trace.spans.filter((s) => s.service === `${by}-hop`);
        const priorities = own.map((s) => s.metrics._sampling_priority_v1).filter((p) => p != null);
        const makers = own.map((s) => s.meta['_dd.p.dm']).filter((m) => m != null);

        assert.ok(priorities.length > 0 && priorities.every((p) => p > 0), `kept by ${by}`);
        if (!carries.tags) continue;
        assert.deepEqual(new Set(priorities), new Set([2]), `the priority at ${by}`);
        assert.deepEqual(new Set(makers), new Set(['-4']), `decided by hand, at ${by}`);
      }
    });
  }

  test(`${style}: what the first service drops is dropped by all`, async () => {
    const reports = await walk([urls.c, urls.node, urls.c], 'drop');
    const kept = await walk([urls.node, urls.c, urls.node], 'keep');
    await stored(kept[0].trace, 5);
    const answer = await fetch(`${bench.uiUrl}/api/sonde/v1/traces/${reports[0].trace}`);
    assert.equal(answer.status, 404);
  });
}
