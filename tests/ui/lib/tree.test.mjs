// The span tree: order, orphans, cycles, self time, critical path, origin of errors, folding.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildTree, matches, ticks, visible } from '../../../dashboards/ui/web/js/lib/tree.js';

// [id, parent, start, end, error] in nanoseconds
function span([id, parent, start, end, error = 0], i) {
  return {
    span_id: String(id),
    parent_id: String(parent),
    start_unix_ns: String(1764080000000000000n + BigInt(start)),
    duration_ns: end - start,
    error,
    service: i % 2 ? 'orders' : 'gateway',
    name: `op${id}`,
    resource: `res${id}`,
    type: 'web',
    meta: { 'http.url': `/u/${id}` },
    metrics: {},
  };
}
const tree = (...spans) => buildTree(spans.map(span));
const ids = (rows) => rows.map((n) => Number(n.span.span_id));
const row = (t, id) => t.rows.find((n) => n.span.span_id === String(id));

test('rows are depth first, children by start', () => {
  const t = tree([1, 0, 0, 100], [3, 1, 50, 60], [2, 1, 10, 40], [4, 2, 15, 20]);
  assert.deepEqual(ids(t.rows), [1, 2, 4, 3]);
  assert.deepEqual(
    t.rows.map((n) => n.depth),
    [0, 1, 2, 1],
  );
  assert.deepEqual(
    t.rows.map((n) => n.size),
    [4, 2, 1, 1],
  );
  assert.equal(t.duration, 100);
});

test('a span whose parent is missing is a root of its own and says so', () => {
  const t = tree([1, 0, 0, 100], [2, 77, 10, 20]);
  assert.deepEqual(ids(t.rows), [1, 2]);
  assert.equal(row(t, 2).orphan, true);
  assert.equal(row(t, 1).orphan, false);
});

test('a cycle of parents is cut, and every span is still there once', () => {
  const t = tree([1, 2, 0, 10], [2, 3, 0, 10], [3, 1, 0, 10], [4, 4, 0, 1]);
  assert.deepEqual(ids(t.rows).sort(), [1, 2, 3, 4]);
});

test('spans that share an id are both shown', () => {
  const t = tree([1, 0, 0, 100], [2, 1, 10, 40], [2, 1, 50, 60], [3, 2, 12, 13]);
  assert.deepEqual(ids(t.rows), [1, 2, 3, 2]);
});

test('a chain of 20 000 spans needs no stack', () => {
  const t = tree(...Array.from({ length: 20000 }, (_, i) => [i + 1, i, i, 40000 - i]));
  assert.equal(t.rows[19999].depth, 19999);
  assert.equal(t.rows[0].size, 20000);
});

test('self time is what no child covers; overlapping children count once, what sticks out does not', () => {
  const t = tree([1, 0, 0, 100], [2, 1, 10, 40], [3, 1, 30, 50], [4, 1, 90, 150]);
  assert.equal(row(t, 1).self, 100 - 40 - 10);
});

test('the origin of an error is the failed span without a failed one below it', () => {
  const t = tree([1, 0, 0, 100, 1], [2, 1, 10, 40, 0], [3, 2, 20, 30, 1], [4, 1, 50, 60, 0]);
  assert.deepEqual(
    t.rows.filter((n) => n.origin).map((n) => n.span.span_id),
    ['3'],
  );
  assert.deepEqual(ids(t.rows.filter((n) => n.bad)), [1, 3]);
});

test('the critical path covers the time of the root once, without what nobody waited for', () => {
  const t = tree([1, 0, 0, 100], [2, 1, 10, 40], [3, 1, 20, 90], [4, 3, 30, 50], [5, 1, 60, 140]);
  const parts = t.rows
    .flatMap((n) => n.path.map(([a, b]) => [a, b, Number(n.span.span_id)]))
    .sort((a, b) => a[0] - b[0]);
  assert.deepEqual(parts, [
    [0, 10, 1],
    [10, 20, 2],
    [20, 30, 3],
    [30, 50, 4],
    [50, 90, 3],
    [90, 100, 1],
  ]);
});

test('folding hides a subtree and nothing else', () => {
  const t = tree([1, 0, 0, 100], [2, 1, 10, 40], [4, 2, 15, 20], [3, 1, 50, 60]);
  assert.deepEqual(ids(visible(t.rows, new Set(['2']))), [1, 2, 3]);
  assert.deepEqual(ids(visible(t.rows, new Set(['1', '2']))), [1]);
});

test('services are summed up by self time', () => {
  const t = tree([1, 0, 0, 100], [2, 1, 0, 80, 1], [3, 2, 0, 30]);
  assert.deepEqual(t.services, [
    { service: 'gateway', spans: 2, errors: 0, self: 50 },
    { service: 'orders', spans: 1, errors: 1, self: 50 },
  ]);
});

test('finding looks at names, tags and status, and wants every word', () => {
  const t = tree([1, 0, 0, 100, 1]);
  assert.equal(matches(t.rows[0], ['op1', 'http.url:/u/1']), true);
  assert.equal(matches(t.rows[0], ['status:error']), true);
  assert.equal(matches(t.rows[0], ['op1', 'op2']), false);
});

test('an empty trace has no rows', () => assert.deepEqual(buildTree([]).rows, []));

test('marks of an axis are round and inside', () => {
  assert.deepEqual(ticks(0, 56e6, 6), [0, 10e6, 20e6, 30e6, 40e6, 50e6]);
  assert.deepEqual(ticks(3, 11, 4), [4, 6, 8, 10]);
  assert.deepEqual(ticks(5, 5, 4), [5]);
});
