// tools/fake_api.mjs - answers of docs/spec/sonde-api.md from made-up data, the same at every start.

const SERVICES = [
  ['gateway', 'web', 48, 0.021, 4.2],
  ['orders', 'web', 46, 0.018, 3.1],
  ['stock', 'web', 12.4, 0, 1.4],
  ['payments', 'web', 6.1, 0.064, 21],
  ['mailer', 'worker', 0.8, 0, 180],
  ['sqlite', 'sql', 92, 0.002, 0.3],
];

let seed = 7;
const random = () => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return seed / 2 ** 32;
};
const latency = (ms) => ({
  avg: ms * 1.3e6,
  p50: ms * 1e6,
  p75: ms * 1.6e6,
  p95: ms * 3.4e6,
  p99: ms * 9.1e6,
  max: ms * 31e6,
});

function services() {
  const list = SERVICES.map(([service, type, perSecond, errorRate, ms]) => {
    const hits = Array.from({ length: 60 }, (_, i) =>
      Math.round(perSecond * 60 * (0.7 + 0.3 * Math.sin(i / 9) + 0.25 * random())),
    );
    const errors = hits.map((n) => Math.round(n * errorRate * 2 * random()));
    const sum = (a) => a.reduce((x, y) => x + y, 0);
    return {
      service,
      type,
      envs: ['demo'],
      hits: sum(hits),
      errors: sum(errors),
      error_rate: sum(errors) / sum(hits),
      per_second: perSecond,
      duration_ns: latency(ms),
      spark: { step_s: 60, start: 0, hits, errors },
    };
  });
  return { from: 0, to: 3600, services: list };
}

function series() {
  const start = Math.floor(Date.now() / 1000 / 20) * 20 - 3600;
  return {
    step_s: 20,
    points: Array.from({ length: 180 }, (_, i) => {
      const quiet = i > 60 && i < 64;
      const hits = quiet ? 0 : Math.round(900 + 200 * Math.sin(i / 14) + 130 * random());
      const ms = 3 + Math.sin(i / 11) + random();
      const q = (k) => (quiet ? null : ms * k * 1e6);
      return {
        t: start + i * 20,
        hits,
        errors: Math.round(hits * 0.02 * random()),
        p50: q(1),
        p75: q(1.5),
        p95: q(3.2 + random()),
        p99: q(7 + 4 * random()),
      };
    }),
  };
}

function resources() {
  return ['GET /orders/?', 'POST /orders', 'GET /products', 'GET /health', 'DELETE /orders/?'].map(
    (resource, i) => ({
      name: 'http.request',
      resource,
      type: 'web',
      span_kind: 'server',
      top_level: true,
      hits: Math.round(90000 / (i + 1) ** 2),
      errors: i === 1 ? 901 : 3 * i,
      error_rate: i === 1 ? 0.04 : 0.0001 * i,
      per_second: 25 / (i + 1) ** 2,
      duration_ns: latency(2 + i * 1.7),
    }),
  );
}

const hex = (n) => n.toString(16).padStart(16, '0');
const traceId = (i) => hex(0x6925aaf300000000n + BigInt(i)) + hex(0x51c0ffee00000000n + BigInt(i));

function traces(url) {
  const offset = Number(url.searchParams.get('cursor') || 0);
  const now = Date.now();
  const all = Array.from({ length: 400 }, (_, i) => {
    seed = i * 977 + 1;
    for (let k = 0; k < 3; k++) random();
    const bad = random() < 0.06,
      slow = random() < 0.05;
    const ms = (slow ? 90 : 4) * (0.5 + random() ** 3 * 4);
    return {
      trace_id: traceId(i),
      start_unix_ns: `${now - i * 431}${String((i * 7919) % 1000000).padStart(6, '0')}`,
      duration_ns: Math.round(ms * 1e6),
      service: 'gateway',
      name: 'http.request',
      resource: i % 3 ? 'POST /orders' : 'GET /orders/?',
      type: 'web',
      env: 'demo',
      status: bad ? 'error' : 'ok',
      error_spans: bad ? 3 : 0,
      spans: i % 3 ? 8 : 5,
      services: i % 3 ? ['gateway', 'orders', 'payments'] : ['gateway', 'orders'],
      http_status: bad ? '502' : '200',
    };
  });
  const bad = (url.searchParams.get('query') ?? '').includes('status:error');
  const list = bad ? all.filter((t) => t.status === 'error') : all;
  if ((url.searchParams.get('query') ?? '').includes('(((')) return null;
  const next = offset + 100 < list.length ? String(offset + 100) : '';
  return { traces: list.slice(offset, offset + 100), next };
}

function span(i, parent, service, name, resource, startUs, us, more = {}) {
  return {
    span_id: String(1000 + i),
    parent_id: parent === 0 ? '0' : String(1000 + parent),
    service,
    name,
    resource,
    type: more.type ?? 'web',
    env: 'demo',
    version: '1.4.2',
    host: 'host-1',
    start_unix_ns: String(1764080000000000000n + BigInt(startUs) * 1000n),
    duration_ns: us * 1000,
    error: more.error ? 1 : 0,
    meta: {
      'span.kind': more.kind ?? 'internal',
      component: 'shop',
      'runtime-id': '6c8be0e8-5e6f-4bb1-9c1d-3b5c1f6d2a10',
      ...more.meta,
    },
    metrics: { _sampling_priority_v1: 1, ...more.metrics },
    links: more.links ?? [],
    events: more.events ?? [],
  };
}

function trace(id) {
  const refused = {
    'error.type': 'payment.refused',
    'error.message': 'card declined by issuer (code 51)',
  };
  const http = { 'http.method': 'POST', 'http.url': '/orders', 'http.status_code': '502' };
  const spans = [
    span(1, 0, 'gateway', 'http.request', 'POST /orders', 0, 41300, {
      kind: 'server',
      error: 1,
      meta: { ...http, 'error.type': 'http.502', 'error.message': 'orders answered 502' },
    }),
    span(2, 1, 'gateway', 'auth.check', 'auth.check', 180, 900),
    span(3, 1, 'gateway', 'http.client', 'POST http://orders/orders', 1250, 39500, {
      kind: 'client',
      error: 1,
      meta: { ...http, 'error.type': 'http.502', 'error.message': '502 Bad Gateway' },
    }),
    span(4, 3, 'orders', 'http.request', 'POST /orders', 1600, 38700, {
      kind: 'server',
      error: 1,
      meta: { ...http, 'error.type': 'payment.refused', 'error.message': refused['error.message'] },
    }),
    span(
      5,
      4,
      'orders',
      'sqlite.query',
      'INSERT INTO orders (customer, total) VALUES (?, ?)',
      2100,
      1900,
      {
        type: 'sql',
        kind: 'client',
        meta: { 'db.system': 'sqlite' },
      },
    ),
    span(6, 4, 'orders', 'sqlite.query', 'SELECT stock FROM products WHERE id = ?', 4300, 700, {
      type: 'sql',
      kind: 'client',
      meta: { 'db.system': 'sqlite' },
    }),
    span(7, 4, 'orders', 'payment.charge', 'payment.charge', 5200, 33800, {
      error: 1,
      kind: 'client',
      meta: refused,
      events: [{ time_unix_ns: '1764080000012000000', name: 'retry', attributes: { attempt: 2 } }],
    }),
    span(8, 7, 'payments', 'http.request', 'POST /charge', 5700, 32900, {
      error: 1,
      kind: 'server',
      meta: {
        ...refused,
        'error.stack':
          '#0 charge (payments.c:212)\n#1 handle_charge (payments.c:98)\n#2 worker (server.c:41)',
      },
    }),
    span(9, 4, 'orders', 'order.ship', 'order.ship', 30000, 26000, { type: 'worker' }),
  ];
  if (id.endsWith('ff')) {
    // a big one
    for (let i = 10; i < 8000; i++)
      spans.push(
        span(
          i,
          i < 40 ? 4 : i - 30,
          i % 3 ? 'orders' : 'stock',
          'loop.step',
          `step ${i}`,
          2000 + i * 4,
          400 - (i % 300),
        ),
      );
  }
  return {
    trace_id: id,
    start_unix_ns: spans[0].start_unix_ns,
    duration_ns: 56e6,
    services: ['gateway', 'orders', 'payments'],
    truncated: false,
    spans,
  };
}

// Stacks of a service, root first, and their milliseconds.
const STACKS = [
  ['main serve place_order json_parse parse_string', 900],
  ['main serve place_order sqlite3_step VdbeExec btree_move memcmp', 1800],
  ['main serve place_order sqlite3_step VdbeExec btree_next', 700],
  ['main serve show_order render vfprintf', 800],
  ['main serve show_order SSL_write EVP_EncryptUpdate', 1100],
  ['main epoll_wait', 120],
];
const OBJECTS = { sqlite3_step: 'libsqlite3.so.0', VdbeExec: 'libsqlite3.so.0', btree_move: 'libsqlite3.so.0',
  btree_next: 'libsqlite3.so.0', memcmp: 'libc.so.6', vfprintf: 'libc.so.6', epoll_wait: 'libc.so.6',
  SSL_write: 'libssl.so.3', EVP_EncryptUpdate: 'libcrypto.so.3' };

// What every answer about merged profiles begins with, and the tree.
function flamegraph({ searchParams }) {
  const frames = [['', '', '']];
  const nodes = [[0, 0, 0, 0]];
  const focus = searchParams.get('focus');
  for (const [text, ms] of STACKS) {
    let names = text.split(' ');
    const at = names.indexOf(focus);
    if (focus && at < 0) continue;
    const inverted = searchParams.get('inverted') === '1';
    if (focus) names = inverted ? names.slice(0, at + 1) : names.slice(at);
    if (inverted) names.reverse();
    nodes[0][3] += ms * 1e6;
    let parent = 0;
    for (const name of names) {
      let frame = frames.findIndex((f) => f[0] === name);
      if (frame < 0) frame = frames.push([name, `/usr/lib/${OBJECTS[name] ?? 'orders'}`, '']) - 1;
      let node = nodes.findIndex((n, i) => i > 0 && n[0] === parent && n[1] === frame);
      if (node < 0) node = nodes.push([parent, frame, 0, 0]) - 1;
      nodes[node][3] += ms * 1e6;
      parent = node;
    }
    nodes[parent][2] += ms * 1e6;
  }
  const keys = (names) => names.map((name) => ({ name, value: 1e9 }));
  return {
    type: 'cpu-time',
    unit: 'nanoseconds',
    types: [{ type: 'cpu-time', unit: 'nanoseconds' }],
    total: nodes[0][3],
    samples: 541,
    profiles: 60,
    truncated: false,
    timed_out: false,
    threads: keys(['worker-0', 'main']),
    endpoints: keys(['POST /orders', 'GET /orders/?']),
    objects: keys([...new Set(Object.values(OBJECTS))]),
    spans: [],
    nodes,
    frames,
  };
}

// Four kinds of doing of three threads, for an hour.
function lanes(graph) {
  const step = (i, k) => Math.max(0, [5, 0.5, 1, 4][k] + 3 * Math.sin(i / 9 + 2 * k)) * 1e9;
  const lane = (name, id, shift) => ({ name, id,
    values: [0, 1, 2, 3].map((k) => Array.from({ length: 240 }, (_, i) => Math.round(step(i + shift, k)))) });
  return { ...graph, start_ms: Date.now() - 3600000, step_ms: 15000, kinds: ['running', 'io', 'lock', 'waiting'],
    left_out: false, lanes: [lane('worker-0', '11', 0), lane('worker-1', '12', 40), lane('main', '10', 90)] };
}

function profiles(path, url) {
  const graph = flamegraph(url);
  if (path === 'profiles/lanes') return lanes(graph);
  if (path === 'profiles/flamegraph')
    return { ...graph, step_s: 60, start: Math.floor(Date.now() / 1000) - 3600,
      values: Array.from({ length: 60 }, (_, i) => 9e8 + 2e8 * Math.sin(i / 7)) };
  if (path === 'profiles/traces') return { ...graph, with_spans: 0, traces: [] };
  if (path === 'profiles/top')
    return { ...graph, functions: graph.frames.length - 1, rows: graph.frames.slice(1).map(([name, object, file], i) => {
      const of = graph.nodes.filter((n) => n[1] === i + 1);
      const sum = (k) => of.reduce((s, n) => s + n[k], 0);
      return { name, object, file, self: sum(2), total: sum(3) };
    }).sort((a, b) => b.self - a.self) };
  return { services: SERVICES.slice(0, 3).map(([service]) => ({ service, env: 'demo', profiles: 60, samples: 541 })),
    types: graph.types, profiles: [], truncated: false };
}

export function fakeApi(url) {
  const path = url.pathname.replace('/api/sonde/v1/', '');
  const ok = (body) => ({ status: 200, body });
  if (path === 'services')
    return ok(url.searchParams.get('env') === 'none' ? { services: [] } : services());
  if (path.endsWith('/series')) return ok(series());
  if (path.endsWith('/resources')) return ok({ service: 'x', resources: resources() });
  if (path === 'traces') {
    const list = traces(url);
    return list
      ? ok(list)
      : { status: 400, body: { errors: ['query: ")" is missing at position 4'] } };
  }
  if (path === 'traces/404') return { status: 404, body: { errors: ['no such trace'] } };
  if (path.startsWith('traces/')) return ok(trace(path.slice(7)));
  if (path.startsWith('profiles')) return ok(profiles(path, url));
  if (path === 'facets')
    return ok({
      envs: ['demo', 'none'],
      services: SERVICES.map((s) => s[0]),
      operations: ['http.request', 'http.client', 'sqlite.query', 'order.ship'],
      types: ['web', 'sql', 'worker'],
      hosts: ['host-1'],
    });
  if (path === 'counters')
    return ok({
      stored: { chunks: 9, spans: 9, stats_groups: 1 },
      store: { bytes: 1e6, oldest_unix_s: 0, retired_frames: 0 },
    });
  return { status: 404, body: { errors: [`unknown path ${url.pathname}`] } };
}
