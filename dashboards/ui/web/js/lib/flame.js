// lib/flame.js - the tree of a flame graph from the API's flat answer: layout, search, names and values.

import { bytes, count, duration } from './format.js';

export const baseName = (path) => path.slice(path.lastIndexOf('/') + 1);

// A value in its unit: "1.20 s", "3.5 MiB", "12 345".
export function amount(value, unit) {
  if (unit === 'nanoseconds') return duration(value);
  if (unit === 'bytes') return value < 0 ? `−${bytes(-value)}` : bytes(value);
  return count(value);
}

// Which code it is: 'kernel', 'generated' (made while the program ran: it has a name and is in no file), 'unknown', or
// 'object', a program or library.
export function kindOf(name, object) {
  if (/^\[(kernel|vdso)/.test(object)) return 'kernel';
  if (object) return 'object';
  return !name || /^(0x|\[)/.test(name) ? 'unknown' : 'generated';
}

// What is said of code that is in no file.
export const NOTES = { kernel: 'kernel', generated: 'generated code', unknown: 'unknown code' };

// answer.nodes: [parent, frame, self, total(, base self, base total)], parents first.  Every node gets its place as
// `x` and `width`, shares of the whole; children stand side by side, the largest first.
export function buildFlame(answer) {
  const frames = answer.frames.map(([name, object, file]) => ({
    name: name || 'all',
    object,
    file,
    base: baseName(object),
    kind: kindOf(name, object),
  }));
  const nodes = answer.nodes.map(([parent, frame, self, total, baseSelf = 0, baseTotal = 0], i) => ({
    id: i,
    parent: i === 0 ? null : parent,
    frame: frames[frame],
    self,
    total,
    baseSelf,
    baseTotal,
    depth: 0,
    inlined: false,
    children: [],
    x: 0,
    width: 1,
  }));
  for (const i of answer.inlined ?? []) nodes[i].inlined = true;
  const all = answer.total || 1;
  const baseAll = answer.base?.total || 1;
  // In a comparison a node is as wide as the larger of its two shares, so that what is gone can be seen, too.
  const weight = answer.base
    ? (n) => Math.max(n.total / all, n.baseTotal / baseAll)
    : (n) => n.total / all;
  for (const n of nodes) {
    if (n.parent === null) continue;
    n.parent = nodes[n.parent];
    n.depth = n.parent.depth + 1;
    n.parent.children.push(n);
  }
  let depth = 0;
  for (const n of nodes) {
    depth = Math.max(depth, n.depth);
    n.share = n.total / all;
    n.baseShare = n.baseTotal / baseAll;
    if (n.children.length === 0) continue;
    n.children.sort((a, b) => weight(b) - weight(a) || (a.frame.name < b.frame.name ? -1 : 1));
    const sum = n.children.reduce((s, c) => s + weight(c), 0);
    const fit = sum > weight(n) ? weight(n) / sum : 1; // rounding, and both sides of a comparison
    let x = n.x;
    for (const c of n.children) {
      c.x = x;
      c.width = weight(n) > 0 ? (n.width * weight(c) * fit) / weight(n) : 0;
      x += c.width;
    }
  }
  return { nodes, frames, root: nodes[0], depth, total: answer.total, baseTotal: answer.base?.total };
}

// The set of frames whose name or object matches; null when there is nothing to look for or the pattern is not one.
export function findFrames(flame, pattern) {
  if (!pattern) return null;
  let re;
  try {
    re = new RegExp(pattern, 'i');
  } catch {
    return null;
  }
  return new Set(flame.frames.filter((f) => re.test(f.name) || re.test(f.base)));
}

// Nodes of these frames, from the left, each stack from the top.
export function matchingNodes(flame, found) {
  const matches = [];
  const walk = [flame.root];
  while (walk.length > 0) {
    const n = walk.pop();
    if (n.parent && found.has(n.frame)) matches.push(n);
    for (let i = n.children.length; i-- > 0; ) walk.push(n.children[i]);
  }
  return matches;
}

// The node of another tree that is called the same way; null: it has none.
export function sameNode(flame, node) {
  if (!node) return null;
  if (flame.nodes[node.id] === node) return node;
  let at = flame.root;
  for (const { frame, inlined } of stackOf(node).slice(1)) {
    at = at.children.find(
      (c) => c.frame.name === frame.name && c.frame.object === frame.object && c.inlined === inlined,
    );
    if (!at) return null;
  }
  return at;
}

// What matching frames weigh together: a node below a matching one is not counted again.
export function weighMatches(flame, found) {
  let sum = 0;
  const walk = [flame.root];
  while (walk.length > 0) {
    const n = walk.pop();
    if (found.has(n.frame)) sum += n.total;
    else walk.push(...n.children);
  }
  return sum;
}

export function stackOf(node) {
  const stack = [];
  for (let n = node; n; n = n.parent) stack.unshift(n);
  return stack;
}
