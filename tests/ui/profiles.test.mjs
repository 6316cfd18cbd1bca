// Journeys through profiles: an empty store, a flame graph and what is done with it, a comparison, the code of a trace.
//
// Profiles are made up, so every number on the screen is known; the trace is a real one of the shop.
// UPDATE_SCREENSHOTS=1 renews docs/screenshots/.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as node from 'node:test';
import { openBrowser, openPage, texts } from './browser.mjs';
import { Bench, waitFor } from './harness.mjs';
import { pprof, upload } from './pprof.mjs';

const TYPES = [
  ['cpu-samples', 'count'],
  ['cpu-time', 'nanoseconds'],
];
const MS = 1e6;
const MINUTE = 60000;
const REQUESTS = 12;

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
  await page.screenshot({ path: `${dir}${name}.png`, clip: { x: 0, y: 0, width: 1440, height } });
}

const SERVE = ['_start', 'main', 'server_run', 'handle_request'];

// `slow`: how much longer the database takes.
function shopProfile(slow = 1) {
  const sample = (tail, n, labels) => ({
    stack: [...SERVE, ...tail],
    values: [n, n * 10 * MS],
    labels,
  });
  const worker = { 'thread name': 'worker', 'trace endpoint': 'POST /orders' };
  const step = ['libsqlite3.so.0!sqlite3_step', 'libsqlite3.so.0!sqlite3VdbeExec'];
  return pprof(TYPES, [
    sample(['place_order', 'json_parse', 'parse_string'], 9, worker),
    sample(['place_order', 'json_parse', 'parse_number', 'libc.so.6!strtod'], 3, worker),
    sample(['place_order', ...step, 'libsqlite3.so.0!btree_move', 'libc.so.6!memcmp'], 20 * slow, worker),
    sample(['place_order', ...step, 'libsqlite3.so.0!btree_next'], 10, worker),
    sample(['show_order', ...step, 'libsqlite3.so.0!btree_next'], 16, { 'thread name': 'worker', 'trace endpoint': 'GET /orders/?' }),
    sample(['show_order', 'render_reply', 'libc.so.6!vfprintf'], 14, { 'thread name': 'worker', 'trace endpoint': 'GET /orders/?' }),
    sample(['show_order', 'libssl.so.3!SSL_write', 'libcrypto.so.3!EVP_EncryptUpdate'], 26, { 'thread name': 'worker' }),
    { stack: ['_start', 'main', 'libc.so.6!epoll_wait'], values: [2, 20 * MS], labels: { 'thread name': 'main' } },
  ]);
}

const ago = (minutes) => new Date(Date.now() - minutes * MINUTE);
const graph = () => page.getByRole('img', { name: /flame graph/ });

// Waits until the first element's text is, or matches, what is wanted.
const comes = (locator, want) =>
  waitFor(async () => {
    const text = (await texts(locator))[0];
    return want instanceof RegExp ? want.test(text) : text === want;
  }, `the text ${want}`);

// Clicks into a row of the flame graph, at a share of its width.
async function clickRow(depth, share) {
  const box = await graph().boundingBox();
  await graph().click({ position: { x: box.width * share, y: depth * 20 + 10 } });
}

test('without profiles the screen says how to get one', async () => {
  await page.goto('/profiles');

  await page.getByRole('heading', { name: 'No profiles in this time range' }).waitFor();
  assert.match(await page.locator('.notice').innerText(), /DD_PROFILING_ENABLED=1/);
  page.expectQuiet();
});

test('the profiles of a service are one flame graph', async () => {
  await upload(bench.uiUrl, 'shop', ago(3), ago(2), shopProfile());
  await upload(bench.uiUrl, 'shop', ago(2), ago(1), shopProfile());
  await page.goto('/services');
  await page.getByRole('link', { name: 'Profiles' }).click();

  await graph().waitFor();
  await comes(page.locator('.head'), /2\.00 s in 16 samples of 2 profiles/);
  await graph().hover({ position: { x: 300, y: 5 * 20 + 10 } });
  await comes(page.getByRole('tooltip'), /^show_order .* total 1\.12 s 56\.0 %/);
  await screenshot('profile-flamegraph', 560);
  page.expectQuiet();
});

test('search tells the share of what it finds', async () => {
  const said = [
    ['^sqlite3', '46.0 %'],
    ['nobody', 'no match'],
    ['(', ''],
    ['', ''],
  ];
  for (const [pattern, want] of said) {
    await page.getByLabel('find functions').fill(pattern);
    await comes(page.locator('.tools .count'), want);
  }
  page.expectQuiet();
});

test('a click zooms and shows the function; keys walk and reset', async () => {
  await clickRow(5, 0.9); // place_order is the narrower one
  await page.getByRole('heading', { name: 'place_order' }).waitFor();
  await comes(page.locator('.side .facts2'), /^total here 840 ms 42\.0 %/);

  await page.keyboard.press('ArrowDown');
  await page.getByRole('heading', { name: 'sqlite3_step' }).waitFor();
  await page.keyboard.press('0');
  await page.locator('button:disabled', { hasText: 'Reset zoom' }).waitFor();
  page.expectQuiet();
});

test('callers and callees of a function stand one above the other', async () => {
  await page.getByRole('button', { name: 'Callers and callees' }).click();

  await page.getByRole('region', { name: 'Callers' }).getByRole('img').waitFor();
  await page.getByRole('region', { name: 'Callees' }).getByRole('img').waitFor();
  await comes(page.locator('.focus'), /sqlite3_step 920 ms/);
  await screenshot('profile-sandwich', 700);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Inverted' }).waitFor();
  page.expectQuiet();
});

test('filters leave out threads, endpoints and libraries', async () => {
  const total = (want) => comes(page.locator('.head b'), want);
  await page.getByLabel('thread').selectOption('main');
  await total('40.0 ms');
  await page.getByLabel('thread').selectOption('');
  await page.getByLabel('endpoint').selectOption('GET /orders/?');
  await total('600 ms');
  await page.getByLabel('library').selectOption('libc.so.6');
  await total('280 ms');
  await page.goto('/profiles');
  await total('2.00 s');
  page.expectQuiet();
});

test('the table of functions is sorted by their own time', async () => {
  await page.getByRole('button', { name: 'Functions' }).click();

  await page.locator('.functions tbody tr').first().waitFor();
  const rows = await texts(page.locator('.functions tbody tr'));
  assert.deepEqual(
    rows.slice(0, 3).map((r) => r.split(' ')[0]),
    ['btree_next', 'EVP_EncryptUpdate', 'memcmp'],
    'a tie stays in the order of first sight',
  );
  assert.match(rows[0], /libsqlite3\.so\.0 520 ms 26\.0% 520 ms 26\.0%$/);
  await page.getByRole('button', { name: 'Total' }).click();
  await comes(page.locator('.functions tbody tr'), /^_start /);
  page.expectQuiet();
});

test('a comparison shows what takes a larger share than before', async () => {
  await upload(bench.uiUrl, 'shop', ago(63), ago(62), shopProfile());
  await upload(bench.uiUrl, 'late', ago(64), ago(63), shopProfile());
  await upload(bench.uiUrl, 'late', ago(2), ago(1), shopProfile(3));
  await page.goto('/profiles?service=late&from=now-15m');
  await graph().waitFor();
  const [from, to] = [65, 60].map((m) => Math.floor(ago(m) / 1000));
  await page.goto(`/profiles?service=late&from=now-15m&base_from=${from}&base_to=${to}&view=top&sort=change`);

  const first = page.locator('.functions tbody tr').first();
  await first.waitFor();
  // 60 of 140 samples, before 20 of 100
  await comes(first, /^memcmp libc\.so\.6 600 ms 42\.9% 600 ms 42\.9% \+22\.9points$/);
  await page.getByRole('button', { name: 'Flame graph' }).click();
  await graph().waitFor();
  await screenshot('profile-comparison', 560);
  page.expectQuiet();
});

test('what is downloaded opens without the intake', async () => {
  await page.goto('/profiles?service=shop');
  await page.getByRole('button', { name: 'Download' }).click();
  const waiting = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: /one HTML file/ }).click();
  const file = `${bench.dir}/shop.html`;
  await (await waiting).saveAs(file);
  assert.match(readFileSync(file, 'utf8'), /const answer = \{"name":"shop"/);

  const alone = await openPage(browser, 'file://');
  await alone.goto(`file://${file}`);
  await alone.getByRole('heading', { name: 'shop · cpu-time' }).waitFor();
  assert.match(await alone.locator('#about').innerText(), /^2 s in 16 samples/);
  await alone.getByLabel('find functions').fill('^sqlite3');
  await comes(alone.locator('#share'), '46.00 %');
  await alone.context().close();
  page.expectQuiet();
});

test('the code of one trace is in its hotspots, and a function leads back to it', async () => {
  await bench.startShop();
  await bench.load(REQUESTS);
  const { traces } = await waitFor(async () => {
    const found = await bench.api('traces?from=now-15m&query=service:orders');
    return found.traces.length > 0 && found;
  }, 'a trace');
  const trace = await bench.api(`traces/${traces[0].trace_id}`);
  const root = trace.spans.find((s) => s.service === 'gateway');
  const at = BigInt(root.start_unix_ns);
  const labels = {
    'span id': BigInt(root.span_id),
    'local root span id': BigInt(root.span_id),
    'trace endpoint': root.resource,
    end_timestamp_ns: at,
  };
  const start = new Date(Number(at / 1000000n) - 30000);
  const profile = pprof(TYPES, [
    { stack: ['main', 'route', 'proxy'], values: [3, 30 * MS], labels },
    { stack: ['main', 'other'], values: [2, 20 * MS], labels: { ...labels, 'local root span id': 1n } },
  ]);
  await upload(bench.uiUrl, 'gateway', start, new Date(+start + MINUTE), profile);

  await page.goto(`/traces/${trace.trace_id}`);
  await page.getByRole('button', { name: 'Code hotspots' }).click();
  await graph().waitFor();
  await comes(page.locator('.hotspots .tools'), /30\.0 ms in 1 sample\b/);
  await screenshot('trace-hotspots', 560);
  const span = page.locator('.side').getByRole('button', { name: root.resource });
  await span.click();
  await page.getByText('100.0 % of the trace').waitFor();

  await page.goto('/profiles?service=gateway&from=now-15m');
  await graph().waitFor();
  await clickRow(1, 0.5);
  await page.getByRole('heading', { name: 'main' }).waitFor();
  await page.locator('.side').getByRole('link', { name: root.resource }).first().click();
  await page.getByRole('listbox', { name: 'traces' }).waitFor();
  assert.match(decodeURIComponent(page.url()), /query=span_id/);
  page.expectQuiet();
});
