// lib/lanes.js: shares of steps, names of threads, marks of the axis.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, marksOf, mostOf, nameOf, sharesOf } from '../../../dashboards/ui/web/js/lib/lanes.js';

const lane = (name, id, ...values) => ({ name, id, values });

test('time is a share of its step, and what is more than all of it is cut off', () => {
  const answer = { kinds: ['running', 'waiting'], step_ms: 10 };
  const shares = sharesOf(lane('a', '1', [5e6, 8e6, 0], [5e6, 8e6, 0]), answer, 1);
  assert.deepEqual(shares[0], [0.5, 0.5]);
  assert.equal(shares[1][0], 0.8);
  assert.ok(Math.abs(shares[1][1] - 0.2) < 1e-9); // wall clock time may count what ran, too
  assert.deepEqual(shares[2], [0, 0]);
});

test('other values are a share of the largest of all lanes', () => {
  const lanes = [lane('a', '1', [0, 50]), lane('b', '2', [200, 0])];
  const answer = { kinds: ['value'], step_ms: 10, lanes };
  assert.equal(mostOf(answer), 200);
  assert.deepEqual(sharesOf(lanes[0], answer, 200), [[0], [0.25]]);
});

test('a thread is found by its name, or by its id when the name is shared', () => {
  const lanes = [lane('worker', '1'), lane('worker', '2'), lane('main', '3'), lane('', '4')];
  assert.deepEqual(lanes.map((l) => keyOf(l, lanes)), ['1', '2', 'main', '4']);
  assert.deepEqual(lanes.map(nameOf), ['worker', 'worker', 'main', 'thread 4']);
  assert.equal(nameOf(lane('', '')), 'unknown thread');
});

test('marks are at round times', () => {
  assert.deepEqual(marksOf(1500, 9000, 8), [2000, 3000, 4000, 5000, 6000, 7000, 8000]);
  assert.deepEqual(marksOf(0, 60000, 4), [0, 15000, 30000, 45000]);
  assert.ok(marksOf(0, 30 * 86400000, 8).length <= 8);
});
