// The page `sonde profile -o x.html` writes, in Chromium: it draws, zooms, searches, inverts and compares by itself.
//
// Made from collapsed stacks by `sonde profile diff`, so every number on it is known.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as node from 'node:test';
import { openBrowser } from './browser.mjs';

const dir = mkdtempSync(join(tmpdir(), 'sonde-flame-'));
const trouble = [];
let browser, page;

node.before(async () => {
  writeFileSync(join(dir, 'before.txt'), 'main;grows;deep 40\nmain;shrinks 60\nmain;gone 100\n');
  writeFileSync(join(dir, 'after.txt'), 'main;grows;deep 120\nmain;shrinks 80\n');
  const sonde = join(process.env.SONDE_BUILD_DIR, 'bin', 'sonde');
  const words = ['profile', 'diff', '-o', 'out.html', 'before.txt', 'after.txt'];
  const done = spawnSync(sonde, words, { cwd: dir, encoding: 'utf8' });
  assert.deepEqual([done.status, done.stderr], [0, '']);

  browser = await openBrowser();
  page = await browser.newPage({ viewport: { width: 1000, height: 500 }, locale: 'en-GB' });
  page.on('pageerror', (error) => trouble.push(error.stack));
  page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith('file:')) trouble.push(`asked for ${request.url()}`);
  });
  await page.goto(pathToFileURL(join(dir, 'out.html')).href);
});
node.after(async () => {
  await browser?.close();
  rmSync(dir, { recursive: true });
});

// The page with other data in it.
async function show(data) {
  const mark = '<script type="application/json" id="profile">';
  const [head, rest] = readFileSync(join(dir, 'out.html'), 'utf8').split(mark);
  const code = rest.slice(rest.indexOf('</script>'));
  writeFileSync(join(dir, 'other.html'), head + mark + JSON.stringify(data) + code);
  await page.goto(pathToFileURL(join(dir, 'other.html')).href);
}

const status = () => page.locator('#status').innerText();

node.test('the graph has rows, a title and no error', async () => {
  assert.equal(await page.title(), 'before.txt → after.txt');
  assert.equal(await page.locator('#graph').evaluate((c) => c.clientHeight), 4 * 18);
  assert.deepEqual(trouble, []);
});

node.test('arrow keys and Enter zoom to a function, Escape goes back', async () => {
  await page.locator('#graph').focus();
  for (const name of ['all', 'main', 'grows']) {
    // the widest child each time
    await page.keyboard.press('ArrowDown');
    assert.match(await status(), new RegExp(`^${name} `));
  }
  await page.keyboard.press('Enter');
  assert.match(await status(), /^grows .* before 40.* \(20\.00 %\), after 120.* \(60\.00 %\) .* \+40\.00 points/);
  await page.keyboard.press('Escape');
  await page.keyboard.press('ArrowDown');
  assert.match(await status(), /^all /);
});

node.test('a search says how much of the profile it matches', async () => {
  await page.keyboard.press('/');
  await page.keyboard.type('^(grows|deep)$');
  assert.equal(await page.locator('#found').innerText(), '60.00 % match');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#found').innerText(), '');
});

node.test('a click zooms, the tooltip names what is below the mouse', async () => {
  const box = await page.locator('#graph').boundingBox();
  await page.mouse.move(box.x + 5, box.y + 18 + 9);
  assert.match(await page.locator('#tip').innerText(), /^main\n/);
  await page.mouse.click(box.x + 5, box.y + 18 + 9);
  assert.match(await status(), /^main /);
  await page.locator('#reset').click();
});

node.test('inverted, what does the work is at the top', async () => {
  await page.locator('#invert').click();
  assert.equal(await page.locator('#invert').getAttribute('aria-pressed'), 'true');
  await page.locator('#graph').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  assert.match(await status(), /^deep /);
  assert.deepEqual(trouble, []);
});

node.test('of several threads, one can be looked at alone', async () => {
  const data = {
    title: 'threads',
    note: '',
    compared: false,
    flames: [
      {
        type: 'cpu-time',
        unit: 'nanoseconds',
        texts: ['', 'main', 'busy', 'one (7)', 'two (8)'],
        names: [0, 1, 2],
        objects: [0, 0, 0],
        up: [0, 0, 1],
        frame: [0, 1, 2],
        inlined: [0, 0, 0],
        self: [0, 30, 70],
        parts: [1, 3, 30, 2, 3, 20, 2, 4, 50],
      },
    ],
  };
  await show(data);

  const main = async () => {
    await page.locator('#graph').focus();
    await page.keyboard.press('Escape');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    return status();
  };
  const threads = page.locator('#thread');
  assert.deepEqual(await threads.locator('option').allInnerTexts(), ['all threads', 'one (7)', 'two (8)']);
  assert.match(await main(), /^main .*total 100 ns \(100\.00 %\) .*self 30 ns \(30\.00 %\)/);
  await threads.selectOption('two (8)');
  assert.match(await main(), /^main .*total 50 ns \(100\.00 %\) .*self 0 ns/);
  await threads.selectOption('one (7)');
  assert.match(await main(), /^main .*total 50 ns .*self 30 ns \(60\.00 %\)/);
  assert.deepEqual(trouble, []);
});

node.test('inlined functions, the kernel and generated code have colours of their own, and a legend', async () => {
  await show({
    title: 'kinds',
    note: '',
    compared: false,
    flames: [
      {
        type: 'cpu-time',
        unit: 'nanoseconds',
        texts: ['', 'main', 'add', 'sys_read', 'jitted', '0x7f00', 'demo', '[kernel.kallsyms]'],
        names: [0, 1, 2, 3, 4, 5],
        objects: [0, 6, 6, 7, 0, 0],
        up: [0, 0, 1, 2, 3, 4],
        frame: [0, 1, 2, 3, 4, 5],
        inlined: [0, 0, 1, 0, 0, 0],
        self: [0, 5, 5, 20, 10, 10],
      },
    ],
  });
  const colors = await page.locator('#graph').evaluate((canvas) =>
    [1, 2, 3, 4, 5].map((row) => [...canvas.getContext('2d').getImageData(2, row * 18 + 2, 1, 1).data].join()),
  );
  assert.equal(new Set(colors).size, 5, colors.join(' '));
  assert.equal(await page.locator('#legend').innerText().then((t) => t.replace(/\s+/g, ' ')), '[kernel.kallsyms] demo inlined');
  await page.locator('#graph').focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowDown');
  assert.match(await status(), /^add .* demo, inlined /);
  assert.deepEqual(trouble, []);
});
