// tools/dev_server.mjs - serves the UI from the source tree, for working on it without building the program.
//
//   node tools/dev_server.mjs [--port 8128] [--api http://127.0.0.1:8127]
//
// With --api the queries go to a running intake; without, tools/fake_api.mjs answers them.

import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fakeApi } from './fake_api.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: options } = parseArgs({
  options: { port: { type: 'string', default: '8128' }, api: { type: 'string' } },
});
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
};
const VENDOR = {
  '/ui/vendor/preact.js': 'node_modules/htm/preact/standalone.module.js',
  '/ui/vendor/uplot.js': 'node_modules/uplot/dist/uPlot.esm.js',
};
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function forward(req, res) {
  const up = request(
    options.api + req.url,
    { method: req.method, headers: { ...req.headers, host: new URL(options.api).host } },
    (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    },
  );
  up.on('error', (error) => {
    res.writeHead(503, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ errors: [error.message] }));
  });
  req.pipe(up);
}

async function serveFile(path, res) {
  const file =
    VENDOR[path] ??
    (path.startsWith('/ui/') ? join('web', normalize(path.slice(3))) : 'web/index.html');
  try {
    const body = await readFile(join(root, file));
    res.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': CSP,
      'cache-control': 'no-store',
    });
    res.end(body);
  } catch {
    res.writeHead(404).end('no such file');
  }
}

const server = createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  if (!url.pathname.startsWith('/api/')) return serveFile(url.pathname, res);
  if (options.api) return forward(req, res);
  const { status, body } = fakeApi(url);
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
});
server.listen(Number(options.port), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);
