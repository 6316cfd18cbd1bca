// Journeys through the UI, in the order a person meets them: an empty store, services, a search, one failed trace.
//
// A real agent in local mode is fed by the shop with 300 requests, of which a known number fails.
// UPDATE_SCREENSHOTS=1 renews docs/screenshots/.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as node from 'node:test';
import { openBrowser, openPage, texts } from './browser.mjs';
import { Bench, waitFor } from './harness.mjs';

const REQUESTS = 300; // 200 orders placed and 100 looked at
const FAILED = 4; // placed orders number 7, 57, 107, 157

const bench = new Bench();
const [test, before] = [bench.noting(node.test), bench.noting(node.before)];
let browser, page;

before(async () => {
  await bench.startAgent();
  browser = await openBrowser();
  page = await openPage(browser, bench.uiUrl);
  bench.onFailure = () => page.screenshot({ path: `${bench.dir}/failed.png` });
});
node.after(async () => {
  await browser?.close();
  await bench.stop();
});

async function screenshot(name, height) {
  if (!process.env.UPDATE_SCREENSHOTS) return;
  const dir = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
  mkdirSync(dir, { recursive: true });
  await page.mouse.move(720, 700); // nothing is hovered
  await page.screenshot({ path: `${dir}${name}.png`, clip: { x: 0, y: 0, width: 1440, height } });
}

test('an empty store says how to send the first trace', async () => {
  await page.goto('/');

  await page.getByRole('heading', { name: 'No traces have arrived yet' }).waitFor();
  assert.match(await page.locator('.notice').innerText(), /export DD_TRACE_AGENT_URL=http:/);
  assert.equal(new URL(page.url()).pathname, '/services');
  page.expectQuiet();
});

test('the services list counts every request exactly, by itself', async () => {
  await bench.startShop();
  const load = await bench.load(REQUESTS);
  assert.equal(load.requests, REQUESTS);
  assert.equal(load.failed, FAILED);
  // statistics travel in buckets of 10 s
  await waitFor(
    async () => {
      const { services } = await bench.api('services?from=now-15m');
      return services.length >= 2 && services.every((s) => s.hits >= REQUESTS);
    },
    'the statistics of both services',
  );

  await page.getByRole('link', { name: 'gateway' }).waitFor(); // the empty page noticed
  await page.reload(); // it may have noticed after the first of several buckets
  await page.getByRole('link', { name: 'gateway' }).waitFor();
  const rows = await texts(page.locator('tbody tr'));
  assert.equal(rows.length, 2);
  const gateway = rows.find((r) => r.startsWith('gateway'));
  assert.match(
    gateway,
    new RegExp(`^gateway web .*\\b${REQUESTS}\\b .*${((100 * FAILED) / REQUESTS).toFixed(2)}%`),
  );

  await page.getByRole('button', { name: 'Service' }).click();
  assert.match(page.url(), /sort=service/);
  assert.deepEqual(await texts(page.locator('tbody tr td:first-child')), ['gateway', 'orders']);
  await screenshot('services', 300);
  page.expectQuiet();
});

test('a service has charts, and its resources with their own errors', async () => {
  await page.getByRole('link', { name: 'orders' }).click();

  await page.locator('.chart canvas').nth(2).waitFor();
  assert.deepEqual(await texts(page.locator('.chart h2 > span:first-child')), [
    'Requests per second',
    'Error rate',
    'Latency',
  ]);
  const place = (await texts(page.locator('tbody tr'))).find((r) => r.startsWith('POST /orders'));
  assert.match(place, /http\.request server .*\b200\b .*2\.00%/);
  page.expectQuiet();
});

test('a search for errors finds the failed requests and only those', async () => {
  await page.goto('/traces');
  const box = page.getByRole('combobox', { name: 'search spans' });

  await box.focus();
  await box.pressSequentially('serv');
  await page.getByRole('option', { name: /^service:/ }).waitFor();
  await page.keyboard.press('Tab');
  await page.getByRole('option', { name: 'service:gateway' }).waitFor();
  await box.pressSequentially('gat');
  await page.keyboard.press('Tab');
  await box.pressSequentially('status:error');
  await page.keyboard.press('Enter');

  await page.waitForURL(/query=service%3Agateway\+status%3Aerror/);
  await page.getByText(`${FAILED} traces, all shown`).waitFor();
  const rows = await texts(page.locator('.trow'));
  assert.equal(rows.length, FAILED);
  for (const row of rows) assert.match(row, /gateway POST \/orders http\.request 502 \d errors/);
  await screenshot('search', 540);
  page.expectQuiet();
});

test('filters, order and back button work through the address', async () => {
  await page.getByRole('button', { name: 'error', exact: true }).click();
  await page.waitForURL((url) => url.searchParams.get('query') === 'service:gateway');
  await page.getByRole('combobox', { name: 'order' }).selectOption('-duration');
  await page.waitForURL(/sort=-duration/);
  const shown = await waitFor(async () => {
    const { traces } = await bench.api('traces?query=service:gateway&sort=-duration&limit=1');
    const first = (await texts(page.locator('.trow').first()))[0];
    return first.includes(traces[0].resource) && traces[0];
  }, 'the slowest trace to be first');
  assert.ok(shown.duration_ns > 0);

  await page.goBack();
  await page.goBack();
  await page.waitForURL(/status%3Aerror/);
  await page.getByText(`${FAILED} traces, all shown`).waitFor();
  page.expectQuiet();
});

test('a query that cannot be read is answered with the reason', async () => {
  await page.goto('/traces?query=service:(');

  const alert = await page.getByRole('alert').innerText();
  assert.match(alert, /Could not load this\. .{8,}/);
  page.forgive(/400/);
  page.expectQuiet();
});

test('the waterfall of a failed order crosses both services and shows where it failed', async () => {
  await page.goto('/traces?query=service:gateway%20status:error');
  await page.locator('.trow').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');

  await page.getByRole('tree', { name: 'spans' }).waitFor();
  const rows = await page
    .locator('.sr')
    .evaluateAll((all) =>
      all.map((row) => [
        Number(row.getAttribute('aria-level')),
        row.querySelector('.t-name').textContent,
        row.classList.contains('bad'),
        row.classList.contains('origin'),
      ]),
    );
  assert.deepEqual(rows, [
    [1, 'http.request', true, false],
    [2, 'auth.check', false, false],
    [2, 'http.client', true, false],
    [3, 'http.request', true, false],
    [4, 'sqlite.query', false, false],
    [4, 'payment.charge', true, true],
  ]);
  assert.deepEqual((await texts(page.locator('.sum tbody tr td:first-child'))).sort(), [
    'gateway',
    'orders',
  ]);
  page.expectQuiet();
});

test('keys walk the waterfall: next error, its message, folding, zoom', async () => {
  for (let i = 0; i < 4; i++) await page.keyboard.press('e');
  const panel = page.getByRole('complementary', { name: 'span' });
  assert.match(await panel.innerText(), /payment\.charge/);
  const fault = await page.getByLabel('error', { exact: true }).innerText();
  assert.match(fault, /payment\.timeout/);
  assert.match(fault, /did not answer within 12 ms/);
  assert.match(await panel.innerText(), /payment\.cents/);
  await screenshot('trace', 720);

  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await page.locator('.sr').count(), 1);
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.locator('.sr').count(), 6);
  await page.keyboard.press('+');
  await page.getByRole('button', { name: 'Whole trace' }).click();

  await page.getByRole('searchbox', { name: 'find in this trace' }).fill('db.system');
  await page.getByText('of 1').waitFor();
  assert.equal(await page.locator('.sr.hit').count(), 1);
  page.expectQuiet();
});

test('an order that went well is shipped on another thread, in the same trace', async () => {
  const { traces } = await bench.api('traces?query=operation_name:order.ship&limit=1');
  assert.equal(traces.length, 1);
  await page.goto(`/traces/${traces[0].trace_id}`);

  await page.locator('.sr').nth(7).waitFor();
  const rows = await page
    .locator('.sr')
    .evaluateAll((all) =>
      all.map(
        (row) => `${row.getAttribute('aria-level')} ${row.querySelector('.t-name').textContent}`,
      ),
    );
  assert.deepEqual(rows.slice(0, 4), [
    '1 http.request',
    '2 auth.check',
    '2 http.client',
    '3 http.request',
  ]);
  assert.ok(rows.includes('4 order.ship') && rows.includes('5 sqlite.query'), rows.join('; '));
  page.expectQuiet();
});

test('a live list shows new traces by itself', async () => {
  await page.goto('/traces');
  await page.locator('.trow').first().waitFor();
  const newest = () => page.locator('.trow').first().getAttribute('href');
  const before = await newest();

  await page.getByRole('button', { name: 'Live' }).click();
  await page.waitForURL(/live=1/);
  await bench.load(30);

  await waitFor(async () => (await newest()) !== before, 'a newer trace at the top');
  page.expectQuiet();
});

test('a trace that is not there says what may have happened to it', async () => {
  await page.goto('/traces/000000000000000000000000000000ff');

  await page.getByRole('heading', { name: 'This trace is not in the store' }).waitFor();
  page.forgive(/404/);
  page.expectQuiet();
});

test('the dark theme follows the system', async () => {
  const dark = await openPage(browser, bench.uiUrl, { colorScheme: 'dark' });
  await dark.goto('/services');
  await dark.getByRole('link', { name: 'gateway' }).waitFor();

  assert.equal(
    await dark.evaluate(() => getComputedStyle(document.body).backgroundColor),
    'rgb(15, 19, 24)',
  );
  console.log(
    `# first contentful paint: ${await dark.evaluate(() => Math.round(performance.getEntriesByName('first-contentful-paint')[0].startTime))} ms`,
  );
  dark.expectQuiet();
});

test('an intake that is gone is named', async () => {
  await page.goto('/traces');
  await page.locator('.trow').first().waitFor();
  bench.agent.child.kill('SIGTERM');
  await bench.agent.ended;

  await page.getByRole('combobox', { name: 'order' }).selectOption('-duration');

  await page.getByRole('alert').waitFor();
  assert.match(await page.getByRole('alert').innerText(), /the intake does not answer/);
  page.forgive(/ERR_CONNECTION_REFUSED/);
});
