// browser.mjs - the system's Chromium, headless, with a fresh profile, kept off the network; every console error is collected.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function openBrowser() {
  return chromium.launch({
    executablePath: process.env.SONDE_CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
  });
}

// A page that fails the test's last check when it logged an error or asked another origin for anything.
export async function openPage(browser, baseURL, options = {}) {
  const context = await browser.newContext({
    baseURL,
    viewport: { width: 1440, height: 860 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    colorScheme: 'light',
    ...options,
  });
  const page = await context.newPage();
  const trouble = [];
  page.setDefaultTimeout(60000);
  page.on('pageerror', (error) => trouble.push(error.stack));
  page.on('console', (message) => {
    if (message.type() === 'error') trouble.push(message.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(baseURL).origin)
      trouble.push(`asked for ${request.url()}`);
  });
  page.expectQuiet = () => assert.deepEqual(trouble.splice(0), []);
  page.forgive = (pattern) => {
    // an error the test caused on purpose
    const at = trouble.findIndex((t) => pattern.test(t));
    if (at >= 0) trouble.splice(at, 1);
  };
  return page;
}

// The text of each element, blanks made plain.
export async function texts(locator) {
  return (await locator.allInnerTexts()).map((t) => t.replace(/[\s\u202f]+/g, ' ').trim());
}
