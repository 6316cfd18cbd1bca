// lib/flame.js: places of nodes, search, values in their units.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amount, buildFlame, findFrames, kindOf, matchingNodes, sameNode, stackOf, weighMatches } from '../../../dashboards/ui/web/js/lib/flame.js';

const FRAMES = [
  ['', '', ''],
  ['main', '/usr/bin/demo', 'main.c'],
  ['work', '/usr/bin/demo', 'main.c'],
  ['memcpy', '/lib/libc.so.6', ''],
];

const answer = {
  total: 100,
  frames: FRAMES,
  nodes: [
    [0, 0, 0, 100],
    [0, 1, 10, 100],
    [1, 3, 30, 30],
    [1, 2, 20, 60],
    [3, 3, 40, 40],
  ],
};

test('children lie side by side below their parent, the largest first', () => {
  const flame = buildFlame(answer);
  const [root, main, memcpy, work, deep] = flame.nodes;
  assert.equal(root.frame.name, 'all');
  assert.equal(flame.depth, 3);
  assert.deepEqual(main.children, [work, memcpy]);
  assert.deepEqual([work.x, work.width], [0, 0.6]);
  assert.deepEqual([memcpy.x, memcpy.width], [0.6, 0.3]);
  assert.deepEqual([deep.x, deep.width], [0, 0.4]);
  assert.deepEqual(stackOf(deep), [root, main, work, deep]);
  assert.equal(deep.frame.base, 'libc.so.6');
});

test('in a comparison a node is as wide as its larger share, inside its parent', () => {
  const flame = buildFlame({
    total: 100,
    base: { total: 10 },
    frames: FRAMES,
    nodes: [
      [0, 0, 0, 100, 0, 10],
      [0, 1, 90, 90, 0, 0],
      [0, 2, 10, 10, 10, 10],
    ],
  });
  const [, main, work] = flame.nodes;
  assert.ok(work.width > main.width); // all of it before
  assert.ok(Math.abs(main.width + work.width - 1) < 1e-9);
  assert.equal(main.share, 0.9);
  assert.equal(main.baseShare, 0);
});

test('a search counts what is below a match only once', () => {
  const flame = buildFlame({
    ...answer,
    nodes: [[0, 0, 0, 100], [0, 3, 0, 70], [1, 3, 70, 70], [0, 2, 30, 30]],
  });
  assert.equal(weighMatches(flame, findFrames(flame, '^MEM')), 70);
  assert.equal(weighMatches(flame, findFrames(flame, 'libc')), 70);
  assert.equal(findFrames(flame, 'nobody').size, 0);
  assert.equal(findFrames(flame, '('), null);
  assert.equal(findFrames(flame, ''), null);
});

test('values are printed in their unit', () => {
  assert.equal(amount(1.5e9, 'nanoseconds'), '1.50\u202fs');
  assert.equal(amount(3 * 2 ** 20, 'bytes'), '3.00\u202fMiB');
  assert.equal(amount(-2048, 'bytes'), '−2.00\u202fKiB');
  assert.equal(amount(12345, 'count'), '12\u202f345');
});

test('code of the kernel, of files, and made while the program ran is told apart', () => {
  assert.equal(kindOf('main', '/usr/bin/demo'), 'object');
  assert.equal(kindOf('sys_read', '[kernel.kallsyms]'), 'kernel');
  assert.equal(kindOf('clock_gettime', '[vdso]'), 'kernel');
  assert.equal(kindOf('LazyCompile:~hot', ''), 'generated');
  assert.equal(kindOf('0x7f00', ''), 'unknown');
  assert.equal(kindOf('[truncated]', ''), 'unknown');
  assert.equal(kindOf('', ''), 'unknown'); // the root
});

test('nodes that are inlined say so', () => {
  const flame = buildFlame({ ...answer, inlined: [3] });
  assert.deepEqual(flame.nodes.map((n) => n.inlined), [false, false, false, true, false]);
});

test('matches are walked from the left, each stack from the top', () => {
  const flame = buildFlame(answer);
  const found = findFrames(flame, '^memcpy|work');
  assert.deepEqual(matchingNodes(flame, found).map((n) => n.id), [3, 4, 2]);
});

test('the next answer has the same node, or not', () => {
  const flame = buildFlame(answer);
  const next = buildFlame({
    total: 50,
    frames: [FRAMES[0], FRAMES[3], FRAMES[1]], // in another order
    nodes: [
      [0, 0, 0, 50],
      [0, 2, 0, 50],
      [1, 1, 50, 50],
    ],
  });
  assert.equal(sameNode(next, flame.nodes[2]).id, 2); // main, memcpy
  assert.equal(sameNode(next, flame.nodes[3]), null); // nobody works any more
  assert.equal(sameNode(next, null), null);
  assert.equal(sameNode(flame, flame.nodes[3]), flame.nodes[3]);
  assert.equal(sameNode(buildFlame({ ...answer, inlined: [2] }), flame.nodes[2]), null);
});
