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
    ['(', 'not a pattern'],
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

  await page.goto('/profiles?service=late&from=now-15m&compare=7d&view=top');
  await comes(page.locator('.alert'), 'There is no profile to compare with in that time.');
  await first.waitFor();
  assert.equal(await page.getByText('Change of self').count(), 0, 'there is nothing it changed from');
  page.expectQuiet();
});

test('the sum above the functions is theirs, also when profiles came meanwhile', async () => {
  await upload(bench.uiUrl, 'growing', ago(3), ago(2), shopProfile());
  await page.goto('/profiles?service=growing&from=now-15m');
  await comes(page.locator('.head'), /1\.00 s in 8 samples of 1 profile/);
  await upload(bench.uiUrl, 'growing', ago(2), ago(1), shopProfile());
  await page.getByRole('button', { name: 'Functions' }).click();
  await comes(page.locator('.functions tbody tr'), /^btree_next .* 520 ms 26\.0%$/);
  await comes(page.locator('.head'), /2\.00 s in 16 samples of 2 profiles/);
  page.expectQuiet();
});

test('what one looked at stays when the time moves on, and goes with the address', async () => {
  await upload(bench.uiUrl, 'moving', ago(3), ago(2), shopProfile());
  await page.goto('/profiles?service=moving&find=%5Esqlite3&live=1');
  await comes(page.locator('.tools .count'), '46.0 %');
  await clickRow(5, 0.9);
  await page.getByRole('heading', { name: 'place_order' }).waitFor();
  await comes(page.locator('.side .facts2'), /^total here 420 ms 42\.0 %/);
  await upload(bench.uiUrl, 'moving', ago(2), ago(1), shopProfile());
  await comes(page.locator('.head'), /2\.00 s in 16 samples of 2 profiles/);
  await comes(page.locator('.side .facts2'), /^total here 840 ms 42\.0 %/);
  assert.ok(await page.getByRole('button', { name: 'Reset zoom' }).isEnabled());

  await page.getByRole('button', { name: 'Live' }).click();
  await page.locator('.head').click(); // not into the graph: the keys are the page's
  await page.keyboard.press('0');
  for (const [key, name] of [['n', 'sqlite3_step'], ['n', 'sqlite3VdbeExec'], ['N', 'sqlite3_step']]) {
    await page.keyboard.press(key);
    await page.getByRole('heading', { name, exact: true }).waitFor();
  }
  page.expectQuiet();
});

test('inlined functions, the kernel and generated code look different, and the legend says how', async () => {
  const kinds = pprof(TYPES, [
    { stack: ['main', 'serve+parse+skip', '[kernel.kallsyms]!read'], values: [3, 30 * MS] },
    { stack: ['main', 'serve'], values: [1, 10 * MS] },
    { stack: ['main', 'libc.so.6!memcpy'], values: [1, 10 * MS] },
  ]);
  await upload(bench.uiUrl, 'kinds', ago(2), ago(1), kinds);
  await page.goto('/profiles?service=kinds&from=now-15m');
  await graph().waitFor();
  await comes(page.getByLabel('legend'), /^(demo libc\.so\.6|libc\.so\.6 demo) kernel inlined$/);

  const colors = await graph().evaluate((canvas) =>
    [1, 2, 3, 4, 5].map((row) => [...canvas.getContext('2d').getImageData(3, row * 20 + 2, 1, 1).data].join()),
  );
  assert.equal(colors[2], colors[3], 'parse and skip are both inlined');
  assert.equal(new Set(colors).size, 3, `main and serve, inlined ones, the kernel: ${colors}`);
  await clickRow(4, 0.1);
  await comes(page.locator('.side header .line'), /^demo, inlined/);
  await graph().hover({ position: { x: 30, y: 5 * 20 + 10 } });
  await comes(page.getByRole('tooltip'), /^read \[kernel\.kallsyms\]/);

  await page.getByRole('button', { name: 'Download' }).click();
  await page.getByRole('menu').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('menu').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Download' }).click();
  const waiting = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: /one HTML file/ }).click();
  const file = `${bench.dir}/kinds.html`;
  await (await waiting).saveAs(file);
  const alone = await openPage(browser, 'file://');
  await alone.goto(`file://${file}`);
  const inFile = await alone.locator('#graph').evaluate((canvas) =>
    [1, 2, 3, 4, 5].map((row) => [...canvas.getContext('2d').getImageData(3, row * 20 + 2, 1, 1).data].join()),
  );
  assert.equal(inFile[2], inFile[3]);
  assert.equal(new Set(inFile).size, 3, `${inFile}`);
  alone.expectQuiet();
  await alone.context().close();

  await page.getByLabel('legend').getByRole('button', { name: 'libc.so.6' }).click();
  await comes(page.locator('.head b'), '10.0 ms');
  page.expectQuiet();
});

test('a lane for each thread shows when it ran and waited, and leads to its flame graph', async () => {
  const types = [['cpu-time', 'nanoseconds'], ['wall-time', 'nanoseconds']];
  const from = Math.floor(ago(3) / 1000);
  const at = (s, more) => ({ end_timestamp_ns: BigInt(from + s) * 1000000000n, ...more });
  const busy = { 'thread name': 'busy', 'thread id': 11n };
  const idle = { 'thread name': 'idle', 'thread id': 12n };
  const second = 1000 * MS;
  const ran = (name, end) =>
    Array.from({ length: 10 }, (_, i) => ({ stack: ['main', name], values: [second, 0], labels: at(end - i, busy) }));
  const lock = { stack: ['main', 'lock'], values: [0, 10 * second], labels: at(30, { ...busy, 'thread state': 'lock' }) };
  const rest = { stack: ['main', 'rest'], values: [0, 60 * second], labels: at(60, { ...idle, 'thread state': 'sleep' }) };
  const start = new Date(from * 1000);
  await upload(bench.uiUrl, 'lanes', start, new Date(+start + MINUTE), pprof(types, [...ran('early', 20), ...ran('late', 50), lock, rest]));

  await page.goto(`/profiles?service=lanes&from=${from}&to=${from + 60}`);
  await page.getByRole('button', { name: 'Threads' }).click();
  const lanes = page.getByLabel('threads', { exact: true }).getByRole('listitem');
  await comes(lanes, 'busy');
  assert.deepEqual(await texts(lanes), ['busy', 'idle'], 'the busiest first');
  const strip = lanes.first().locator('.strip');
  const box = await strip.boundingBox();
  const x = (s) => box.x + (box.width * s) / 60.25; // one step of 250 ms more than was asked for
  const y = box.y + box.height / 2;
  for (const [s, want] of [[15, /^busy .* running 100 %$/], [25, /^busy .* lock, condition, join 100 %$/], [5, /no sample$/]]) {
    await page.mouse.move(x(s), y);
    await comes(page.locator('.lanes [role=status]'), want);
  }
  await screenshot('profile-threads', 360);

  await page.mouse.move(x(40.5), y); // what it did from second 40 to 48
  await page.mouse.down();
  await page.mouse.move(x(47.5), y);
  await page.mouse.up();
  await graph().waitFor();
  await comes(page.locator('.head b'), '8.00 s');
  await page.getByLabel('find functions').fill('^late$');
  await comes(page.locator('.tools .count'), '100.0 %');
  assert.equal(await page.getByLabel('thread', { exact: true }).inputValue(), 'busy');

  await page.goto(`/profiles?service=lanes&from=${from}&to=${from + 60}&view=threads`);
  await lanes.nth(1).getByRole('link', { name: 'idle' }).press('Enter'); // by keyboard
  await page.getByRole('heading', { name: 'No samples match' }).waitFor(); // it used no CPU time
  page.expectQuiet();
});

test('in a narrow window everything can be reached', async () => {
  const narrow = await openPage(browser, bench.uiUrl, { viewport: { width: 480, height: 800 } });
  await narrow.goto('/profiles?service=shop');
  await narrow.getByRole('img', { name: /flame graph/ }).waitFor();
  for (const name of ['Live', 'keyboard help', 'Download', 'Inverted', 'Threads']) {
    const box = await narrow.getByRole('button', { name }).boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 480, `${name}: ${JSON.stringify(box)}`);
  }
  const box = await narrow.getByRole('img', { name: /flame graph/ }).boundingBox();
  await narrow.mouse.click(box.x + 200, box.y + 30);
  const panel = await narrow.locator('.side').boundingBox();
  assert.equal(panel.width, 480, 'below the graph, not beside it');
  narrow.expectQuiet();
  await narrow.context().close();
});

test('what is downloaded opens without the intake', async () => {
  await page.goto('/profiles?service=shop');
  await page.getByRole('button', { name: 'Download' }).click();
  await page.getByRole('menu').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('menu').waitFor({ state: 'detached' });
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
  const [trace, other] = await waitFor(async () => {
    const { traces } = await bench.api('traces?from=now-15m&query=service:orders');
    const found = await Promise.all(traces.map((t) => bench.api(`traces/${t.trace_id}`)));
    const whole = found.filter((t) => t.spans.some((s) => s.service === 'gateway'));
    return whole.length > 1 && whole; // the spans of each service come by themselves
  }, 'two traces through both services');
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

  // one that only waited has no CPU time: its waits are shown
  const waits = other.spans.find((s) => s.service === 'gateway');
  const moment = BigInt(waits.start_unix_ns);
  const wall = pprof(
    [['cpu-time', 'nanoseconds'], ['wall-time', 'nanoseconds']],
    [{
      stack: ['main', 'route', 'poll'],
      values: [0, 50 * MS],
      labels: { 'span id': BigInt(waits.span_id), 'local root span id': BigInt(waits.span_id), end_timestamp_ns: moment },
    }],
  );
  const began = new Date(Number(moment / 1000000n) - 30000);
  await upload(bench.uiUrl, 'gateway', began, new Date(+began + MINUTE), wall);
  await page.goto(`/traces/${other.trace_id}?tab=hotspots`);
  await comes(page.locator('.hotspots .tools'), /50\.0 ms in 1 sample\b/);
  assert.equal(await page.getByLabel('sample type').inputValue(), 'wall-time');

  await page.goto('/profiles?service=gateway&from=now-15m');
  await graph().waitFor();
  await clickRow(1, 0.5);
  await page.getByRole('heading', { name: 'main' }).waitFor();
  await page.locator('.side').getByRole('link', { name: root.resource }).first().click();
  await page.getByRole('listbox', { name: 'traces' }).waitFor();
  assert.match(decodeURIComponent(page.url()), /query=span_id/);
  page.expectQuiet();
});
