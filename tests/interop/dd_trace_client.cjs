// dd_trace_client.cjs - a program traced by Datadog's own library: one request with a query below it, and a failed job.

'use strict';
const tracer = require(process.env.DD_TRACE_PACKAGE ?? 'dd-trace').init({
  plugins: false,
  runtimeMetrics: false,
  startupLogs: false,
  flushInterval: 100,
});

tracer.trace(
  'web.request',
  {
    resource: 'GET /items/{id}',
    type: 'web',
    tags: { 'span.kind': 'server', 'http.status_code': 200, 'item.weight': 2.5 },
  },
  () => {
    tracer.trace(
      'pg.query',
      {
        resource: 'SELECT * FROM items WHERE id = ?',
        type: 'sql',
        tags: { 'span.kind': 'client', 'db.row_count': 1 },
      },
      () => {},
    );
    tracer.trace('render', { tags: { 'unicode.tag': 'grüße ✓' } }, () => {});
  },
);

try {
  tracer.trace('job.run', { resource: 'nightly', type: 'worker' }, () => {
    throw new RangeError('index 7 is out of range');
  });
} catch {
  /* the span keeps it */
}

// dd-trace flushes every 100 ms.  Many short waits: on a busy machine one long one could end before the flush began.
function exitAfter(turns) {
  if (turns > 0) setTimeout(exitAfter, 100, turns - 1);
  else process.exit(0);
}
exitAfter(Number(process.env.STAY_MS ?? 1500) / 100);
