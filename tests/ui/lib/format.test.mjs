// Numbers and durations as people read them; time ranges.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  count,
  dateOfNs,
  duration,
  mark,
  percent,
  rate,
} from '../../../dashboards/ui/web/js/lib/format.js';
import { label, rangeOf, toSeconds } from '../../../dashboards/ui/web/js/lib/range.js';
import { serviceColors } from '../../../dashboards/ui/web/js/lib/color.js';

const plain = (text) => text.replaceAll('\u202f', ' ');

test('durations have three digits and the unit that fits', () => {
  const cases = [
    [0, '0 ns'],
    [999, '999 ns'],
    [1500, '1.50 µs'],
    [12345, '12.3 µs'],
    [999999, '1.00 ms'],
    [41300000, '41.3 ms'],
    [1.64e9, '1.64 s'],
    [90e9, '1.50 min'],
    [5400e9, '1.50 h'],
    [null, '–'],
  ];
  for (const [ns, want] of cases) assert.equal(plain(duration(ns)), want, String(ns));
  assert.equal(plain(mark(10e6)), '10 ms');
});

test('a share that is not zero never prints as zero', () => {
  assert.equal(percent(0), '0');
  assert.equal(plain(percent(0.00001)), '< 0.01');
  assert.equal(percent(0.0097), '0.97');
  assert.equal(percent(0.5), '50.0');
});

test('counts are grouped and rates short', () => {
  assert.equal(plain(count(1234567)), '1 234 567');
  assert.equal(rate(0), '0');
  assert.equal(rate(4.123), '4.12');
});

test('nanoseconds beyond 2^53 keep their millisecond', () => {
  assert.equal(dateOfNs('1764080000123456789').getTime(), 1764080000123);
});

test('a range is the last hour unless said, and live while it ends now', () => {
  assert.deepEqual(rangeOf({}), { from: 'now-1h', to: 'now', live: true });
  assert.equal(rangeOf({ from: '100', to: '200' }).live, false);
  assert.equal(toSeconds('now-15m', 1000), 100);
  assert.ok(Number.isNaN(toSeconds('yesterday')));
  assert.equal(label({ from: 'now-15m', to: 'now' }), 'last 15 min');
});

test('a service keeps its colour in any company, and eight services have eight', () => {
  assert.equal(
    serviceColors(['gateway']).get('gateway'),
    serviceColors(['gateway', 'gateway']).get('gateway'),
  );
  const eight = serviceColors(Array.from({ length: 8 }, (_, i) => `service-${i}`));
  assert.equal(new Set(eight.values()).size, 8);
});
