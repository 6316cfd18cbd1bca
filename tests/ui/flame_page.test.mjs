// The page `sonde profile -o x.html` writes, in Chromium: it draws, zooms, searches, inverts and compares by itself.
//
// Made from collapsed stacks by `sonde profile diff`, so every number on it is known.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
