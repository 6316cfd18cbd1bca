// npm's dd-trace through our agent: what it sends as v0.4 and as v0.5 is stored, found, and shown; so are the
// statistics it computes.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as node from 'node:test';
import { Bench, waitFor } from '../ui/harness.mjs';

const bench = new Bench();
const [test, before] = [bench.noting(node.test), bench.noting(node.before)];
before(() => bench.startAgent());
node.after(() => bench.stop());

function runClient(service, protocol, more = {}) {
  const done = spawnSync(process.execPath, ['dd_trace_client.cjs'], {
    encoding: 'utf8',
    timeout: 180000,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME ?? '/',
      DD_SERVICE: service,
      DD_ENV: 'interop',
      DD_VERSION: '7',
      DD_TRACE_AGENT_URL: bench.agentUrl,
      DD_TRACE_AGENT_PROTOCOL_VERSION: protocol,
      DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
      DD_REMOTE_CONFIGURATION_ENABLED: 'false',
      ...more,
    },
  });
  assert.equal(done.status, 0, done.stderr);
}

const find = (service, operation) =>
  waitFor(async () => {
    const { traces } = await bench.api(
      `traces?query=${encodeURIComponent(`service:${service} operation_name:${operation}`)}`,
    );
    return traces[0];
  }, `the ${operation} of ${service}`);

for (const protocol of ['0.4', '0.5']) {
  const service = `node-v${protocol.replace('.', '')}`;

  test(`v${protocol}: nested spans keep their parents, types and tags`, async () => {
    runClient(service, protocol);
    const found = await find(service, 'web.request');
    const trace = await bench.api(`traces/${found.trace_id}`);

    const [web, query, render] = ['web.request', 'pg.query', 'render'].map((name) =>
      trace.spans.find((s) => s.name === name),
    );
    assert.equal(trace.spans.length, 3);
    assert.equal(web.parent_id, '0');
    assert.equal(query.parent_id, web.span_id);
    assert.equal(render.parent_id, web.span_id);
    assert.deepEqual(
      [web.service, web.resource, web.type, web.env, web.version, web.error],
      [service, 'GET /items/{id}', 'web', 'interop', '7', 0],
    );
    assert.deepEqual([query.type, query.resource], ['sql', 'SELECT * FROM items WHERE id = ?']);
    assert.equal(web.meta['span.kind'], 'server');
    assert.equal(web.metrics['item.weight'], 2.5);
    assert.equal(render.meta['unicode.tag'], 'grüße ✓');
    assert.ok(query.duration_ns >= 0 && web.duration_ns >= query.duration_ns);
  });

  test(`v${protocol}: a thrown error is kept with its type, message and stack`, async () => {
    const found = await find(service, 'job.run');
    assert.equal(found.status, 'error');
    const {
      spans: [job],
    } = await bench.api(`traces/${found.trace_id}`);

    assert.equal(job.error, 1);
    assert.equal(job.meta['error.type'], 'RangeError');
    assert.equal(job.meta['error.message'], 'index 7 is out of range');
    assert.match(job.meta['error.stack'], /dd_trace_client\.cjs/);
  });
}

const statusOf = (room) =>
  fetch(`${bench.agentUrl}/sonde/v1/status`).then(async (r) => (await r.json())[room]);

// 10 s of dd-trace's bucket, and up to 20 s of ours.
test('statistics dd-trace computes are those of its spans, and the agent adds none', async () => {
  const agents = (await statusOf('stats')).spans_counted;
  const service = 'node-stats';
  runClient(service, '0.4', { DD_TRACE_STATS_COMPUTATION_ENABLED: 'true', STAY_MS: '12000' });
  assert.equal((await statusOf('stats')).spans_counted, agents);
  const counted = await statusOf('client_aggregator');
  assert.equal(counted.hits_in, counted.hits_counted);
  assert.equal(counted.sketches_lost, 0);

  const resources = await waitFor(async () => {
    const answer = await bench.api(`services/${service}/resources`);
    return answer.resources?.length >= 2 && answer.resources;
  }, 'the statistics');
  const found = await find(service, 'web.request');
  const { spans } = await bench.api(`traces/${found.trace_id}`);
  const web = spans.find((s) => s.name === 'web.request');
  const row = resources.find((r) => r.resource === 'GET /items/{id}');
  const job = resources.find((r) => r.resource === 'nightly');

  assert.deepEqual([row.hits, row.errors, row.type], [1, 0, 'web']);
  // its sketches round the logarithm up, the agent's down: a bin of 2 % more, as with Datadog's agent
  assert.ok(Math.abs(row.duration_ns.p50 - web.duration_ns) <= 0.032 * web.duration_ns);
  assert.deepEqual([job.hits, job.errors, job.type], [1, 1, 'worker']);
});

test("Datadog's span search finds them by tag", async () => {
  const response = await fetch(`${bench.uiUrl}/api/v2/spans/events/search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      data: {
        type: 'search_request',
        attributes: {
          filter: { query: 'service:node-* @item.weight:>2', from: 'now-15m', to: 'now' },
          page: { limit: 10 },
        },
      },
    }),
  });
  const { data } = await response.json();

  assert.equal(response.status, 200);
  assert.deepEqual(data.map((d) => d.attributes.service).sort(), ['node-stats', 'node-v04', 'node-v05']);
});

test(
  'the page shows the trace',
  { skip: !existsSync('../ui/node_modules/playwright-core') && 'tests/ui has no npm packages' },
  async () => {
    const { openBrowser, openPage } = await import('../ui/browser.mjs');
    const browser = await openBrowser();
    try {
      const page = await openPage(browser, bench.uiUrl);
      await page.goto('/traces?query=service:node-v05%20status:error');
      await page.locator('.trow', { hasText: 'nightly' }).click();
      await page.locator('.sr.origin').click();
      assert.match(
        await page.getByLabel('error', { exact: true }).innerText(),
        /RangeError\s+index 7 is out of range/,
      );
      page.expectQuiet();
    } finally {
      await browser.close();
    }
  },
);

test('nothing was refused or lost on the way', async () => {
  const { dropped, received, stored } = await bench.api('counters');
  assert.deepEqual(
    Object.values(dropped.spans).filter((n) => n > 0),
    [],
  );
  assert.equal(stored.spans, received.spans);
});
