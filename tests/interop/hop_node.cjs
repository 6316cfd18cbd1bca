// hop_node.cjs - one service of a chain (see hop.c), traced by npm's dd-trace.

'use strict';
const tracer = require('dd-trace').init({ plugins: false, startupLogs: false, flushInterval: 100 });
const http = require('node:http');

function call(url, chain, parent) {
  return new Promise((done) => {
    const span = tracer.startSpan('hop.call', { childOf: parent, tags: { 'span.kind': 'client' } });
    const headers = chain ? { 'x-chain': chain } : {};
    tracer.inject(span, 'http_headers', headers);
    http.get(url, { headers }, (response) => {
      let text = '';
      response.on('data', (part) => (text += part));
      response.on('end', () => {
        span.finish();
        done(JSON.parse(text));
      });
    });
  });
}

const server = http.createServer(async (request, response) => {
  tracer.removeAllBaggageItems(); // they belong to the connection's asynchronous context
  const childOf = tracer.extract('http_headers', request.headers);
  const span = tracer.startSpan('hop.serve', {
    childOf,
    tags: { 'span.kind': 'server', 'span.type': 'web' },
  });
  const decide = request.headers['x-decide'];
  if (decide) {
    span.setTag(`manual.${decide}`, true);
    tracer.setBaggageItem('user.id', 'ann-7');
  }
  const [next, ...rest] = (request.headers['x-chain'] ?? '').split(' ').filter(Boolean);
  const behind = next ? await call(next, rest.join(' '), span) : [];
  const context = span.context();
  const mine = {
    by: 'node',
    trace: context.toTraceId(true),
    span: context.toSpanId(),
    user: tracer.getBaggageItem('user.id') ?? '',
  };
  span.finish();
  response.end(JSON.stringify([mine, ...behind]));
});

server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));

// dd-trace flushes every 100 ms.  Several short waits: on a busy machine one long one could end before the flush began.
function exitAfter(turns) {
  if (turns > 0) setTimeout(exitAfter, 100, turns - 1);
  else process.exit(0);
}
process.on('SIGTERM', () => exitAfter(5));
