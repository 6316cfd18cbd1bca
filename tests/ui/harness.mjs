// harness.mjs - starts a real `sonde agent` in local mode and the shop's services for a test, and stops them by pid.
//
// Everything is on loopback, on free ports, with its own data directory; logs are kept when a test fails.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const PROGRAMS = ['sonde', 'shop-gateway', 'shop-orders', 'shop-load'];

export function missingPrograms(buildDir) {
  return PROGRAMS.filter((name) => !existsSync(join(buildDir ?? '', 'bin', name)));
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Asks until `probe` gives something true; fails with `what` and the last error after `ms`.
export async function waitFor(probe, what, ms = 180000) {
  const end = Date.now() + ms;
  let last = '';
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = ` (${error.message})`;
    }
    await sleep(150);
  }
  assert.fail(`gave up waiting for ${what}${last}`);
}

export async function getJson(url) {
  const response = await fetch(url);
  const body = await response.json();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${body.errors?.join('; ')}`);
  return body;
}

function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer()
      .once('error', fail)
      .listen(0, '127.0.0.1', () => {
        const { port } = probe.address();
        probe.close(() => done(port));
      });
  });
}

export class Bench {
  constructor() {
    this.buildDir = process.env.SONDE_BUILD_DIR;
    this.dir = mkdtempSync(join(tmpdir(), 'sonde-test-'));
    this.children = [];
    this.failed = false;
  }

  // node:test's test() or hook, noting when it fails: then the logs are kept.
  noting(register) {
    return (...args) => {
      const run = args.pop();
      return register(...args, async (t) => {
        try {
          await run(t);
        } catch (error) {
          this.failed = true;
          await this.onFailure?.().catch(() => {});
          throw error;
        }
      });
    };
  }

  // Starts build/bin/<program>; its output goes to <dir>/<name>.log.
  start(program, args, env = {}, name = program) {
    const log = join(this.dir, `${name}.log`);
    const out = openSync(log, 'a');
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([key]) => !/^(DD_|SONDE_)/.test(key)),
    );
    const child = spawn(join(this.buildDir, 'bin', program), args, {
      stdio: ['ignore', out, out],
      env: { ...clean, ...env },
    });
    const ended = new Promise((done) => child.once('exit', (code, signal) => done(code ?? signal)));
    const entry = { name, child, log, ended, text: () => readFileSync(log, 'utf8') };
    this.children.push(entry);
    return entry;
  }

  // `more`: further lines of its configuration.
  async startAgent(more = []) {
    const [tracePort, uiPort] = [await freePort(), await freePort()];
    this.agentUrl = `http://127.0.0.1:${tracePort}`;
    this.uiUrl = `http://127.0.0.1:${uiPort}`;
    const config = join(this.dir, 'datadog.yaml');
    writeFileSync(
      config,
      [
        'apm_config:',
        `  receiver_port: ${tracePort}`,
        '  receiver_socket: ""',
        '  target_traces_per_second: 10000',
        'sonde:',
        `  data_dir: ${join(this.dir, 'data')}`,
        '  local:',
        `    port: ${uiPort}`,
        ...more,
        '',
      ].join('\n'),
    );
    this.agent = this.start(
      'sonde',
      ['agent', '--config', config],
      { DD_APM_TRACE_WRITER_FLUSH_PERIOD_SECONDS: '0.2' },
      'agent',
    );
    await waitFor(
      () => this.alive(this.agent) && getJson(`${this.agentUrl}/info`),
      'the agent to answer /info',
    );
    await waitFor(() => getJson(`${this.uiUrl}/api/sonde/v1/counters`), 'the intake to answer');
  }

  alive({ child, name, text }) {
    if (child.exitCode === null && child.signalCode === null) return true;
    assert.fail(`${name} ended: ${text().slice(-2000)}`);
  }

  // A service of the shop; returns its URL.
  async startService(name, args = []) {
    const service = this.start(
      `shop-${name}`,
      ['0', ...args],
      { DD_SERVICE: name, DD_ENV: 'demo', DD_VERSION: '1.0', DD_TRACE_AGENT_URL: this.agentUrl },
      name,
    );
    const port = await waitFor(
      () => this.alive(service) && /listening on 127\.0\.0\.1:(\d+)/.exec(service.text())?.[1],
      `${name} to listen`,
    );
    return `http://127.0.0.1:${port}`;
  }

  async startShop() {
    this.ordersUrl = await this.startService('orders', [join(this.dir, 'orders.db')]);
    this.gatewayUrl = await this.startService('gateway', [this.ordersUrl]);
  }

  // Sends `count` requests and waits until every span of the services is delivered to the agent.
  async load(count, rate = 150) {
    const load = this.start(
      'shop-load',
      ['--url', this.gatewayUrl, '--count', String(count), '--rate', String(rate)],
      {},
      'load',
    );
    await load.ended;
    await waitFor(async () => {
      const all = await Promise.all(
        [this.gatewayUrl, this.ordersUrl].map((url) => getJson(`${url}/counters`)),
      );
      return (
        all.every(
          (c) =>
            c.spans_finished > 0 && c.spans_open === 0 && c.spans_finished === c.spans_delivered,
        ) && all
      );
    }, 'the services to deliver their spans');
    return JSON.parse(load.text().trim().split('\n').pop());
  }

  api(path) {
    return getJson(`${this.uiUrl}/api/sonde/v1/${path}`);
  }

  // Ends what was started, newest first; keeps the logs when something failed.
  async stop() {
    for (const { child, ended } of this.children.reverse()) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 60000);
      await ended;
      clearTimeout(late);
    }
    if (this.failed) console.error(`logs are in ${this.dir}`);
    else rmSync(this.dir, { recursive: true, force: true });
  }
}
