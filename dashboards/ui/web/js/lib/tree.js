// lib/tree.js - spans of one trace -> rows of a waterfall: order, depth, self time, critical path, origin of errors.
// No recursion anywhere: a trace may be one chain of 20 000 spans.

// A node is { span, parent, children, depth, size, start, end, self, bad, origin, orphan, path }:
//   start, end   nanoseconds since the start of the trace
//   size         rows of its subtree, itself included; rows are in depth-first order, so a folded subtree is skipped by size
//   self         duration that no child covers
//   origin       failed, and no child of it failed: where the error came from
//   orphan       names a parent that is not in the trace
//   path         [[from, to], …]: when this span, and no child, held up the end of the trace
export function buildTree(spans) {
  if (spans.length === 0) return { rows: [], duration: 0, services: [] };
  const zero = spans.reduce((least, s) => {
    const t = BigInt(s.start_unix_ns);
    return t < least ? t : least;
  }, BigInt(spans[0].start_unix_ns));
  const nodes = spans.map((span) => {
    const start = Number(BigInt(span.start_unix_ns) - zero);
    return {
      span,
      parent: null,
      children: [],
      depth: 0,
      size: 1,
      start,
      end: start + span.duration_ns,
      self: 0,
      bad: span.error !== 0,
      failedBelow: false,
      origin: false,
      orphan: false,
      path: [],
    };
  });
  const rows = order(link(nodes));
  for (let i = rows.length - 1; i >= 0; i--) finish(rows[i]);
  const last = rows.reduce((a, b) => (b.end > a.end ? b : a));
  markPath(rootOf(last));
  return { rows, duration: last.end, services: summary(rows) };
}

function rootOf(node) {
  while (node.parent) node = node.parent;
  return node;
}

// Ties children to parents; returns the roots.
function link(nodes) {
  const byId = new Map();
  for (const node of nodes) if (!byId.has(node.span.span_id)) byId.set(node.span.span_id, node);
  const roots = [];
  for (const node of nodes) {
    node.parent = node.span.parent_id === '0' ? null : (byId.get(node.span.parent_id) ?? null);
    if (node.parent) node.parent.children.push(node);
    else makeRoot(node, roots);
  }
  return cutCycles(nodes, roots);
}

function makeRoot(node, roots) {
  node.orphan = node.span.parent_id !== '0';
  roots.push(node);
}

// What no root leads to hangs on a ring of parents: each ring is cut at one of its spans.
function cutCycles(nodes, roots) {
  const reached = new Set();
  const reach = (from) => {
    for (const stack = [from]; stack.length > 0;) {
      const node = stack.pop();
      reached.add(node);
      for (const child of node.children) stack.push(child);
    }
  };
  roots.forEach(reach);
  for (let node of nodes) {
    if (reached.has(node)) continue;
    for (const seen = new Set(); !seen.has(node); node = node.parent) seen.add(node);
    node.parent.children = node.parent.children.filter((n) => n !== node);
    node.parent = null;
    makeRoot(node, roots);
    reach(node);
  }
  return roots;
}

// Depth first, children by start.
function order(roots) {
  const byStart = (a, b) => a.start - b.start || b.end - a.end;
  const rows = [];
  const stack = roots.sort(byStart).reverse();
  while (stack.length > 0) {
    const node = stack.pop();
    rows.push(node);
    node.children.sort(byStart);
    for (let i = node.children.length - 1; i >= 0; i--) {
      node.children[i].depth = node.depth + 1;
      stack.push(node.children[i]);
    }
  }
  return rows;
}

// Called from the last row to the first, so that children come before their parent.
function finish(node) {
  let covered = 0,
    until = node.start;
  for (const child of node.children) {
    // by start
    node.size += child.size;
    node.failedBelow ||= child.bad || child.failedBelow;
    const from = Math.max(child.start, until),
      to = Math.min(child.end, node.end);
    if (to > from) {
      covered += to - from;
      until = to;
    }
  }
  node.self = node.end - node.start - covered;
  node.origin = node.bad && !node.failedBelow;
}

// Walks back from the end: the child that ended last held its parent up, before its start the one before it, and so on.
// A child that outlives its parent was not waited for.
function markPath(root) {
  const stack = [[root, root.end]];
  while (stack.length > 0) {
    const [node, limit] = stack.pop();
    let at = limit;
    for (const child of [...node.children].sort((a, b) => b.end - a.end)) {
      if (child.start >= at || child.end <= node.start || child.end > node.end) continue;
      const end = Math.min(child.end, at);
      if (end < at) node.path.push([end, at]);
      stack.push([child, end]);
      at = child.start;
    }
    if (at > node.start) node.path.push([node.start, at]);
  }
}

// One line a service: spans, errors, self time; the biggest share of time first.
function summary(rows) {
  const found = new Map();
  for (const { span, self, bad } of rows) {
    const line = found.get(span.service) ?? { service: span.service, spans: 0, errors: 0, self: 0 };
    line.spans++;
    line.errors += bad ? 1 : 0;
    line.self += Math.max(0, self);
    found.set(span.service, line);
  }
  return [...found.values()].sort((a, b) => b.self - a.self);
}

// Rows that are not inside a folded subtree; `folded` is a set of span ids.
export function visible(rows, folded) {
  if (folded.size === 0) return rows;
  const shown = [];
  for (let i = 0; i < rows.length; i += folded.has(rows[i].span.span_id) ? rows[i].size : 1)
    shown.push(rows[i]);
  return shown;
}

// Does the span hold every word of `text`, anywhere: service, name, resource, ids, tags?
export function matches({ span }, words) {
  const text = haystack(span);
  return words.every((word) => text.includes(word));
}

const texts = new WeakMap();
function haystack(span) {
  let text = texts.get(span);
  if (text === undefined) {
    const tags = [...Object.entries(span.meta), ...Object.entries(span.metrics)].map(
      ([k, v]) => `${k}:${v}`,
    );
    text = [
      span.service,
      span.name,
      span.resource,
      span.type,
      span.span_id,
      ...tags,
      span.error ? 'status:error' : 'status:ok',
    ]
      .join('\n')
      .toLowerCase();
    texts.set(span, text);
  }
  return text;
}

// Round positions for `wanted` or so marks between `from` and `to`.
export function ticks(from, to, wanted) {
  const rough = (to - from) / Math.max(1, wanted);
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const marks = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) marks.push(t);
  return marks;
}
