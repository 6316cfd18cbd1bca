// parts/flamegraph.js - an icicle flame graph on one canvas: zoom by click, hover shows values, keys walk through it.
// Only what is at least MIN_WIDTH wide is drawn.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../../vendor/preact.js';
import { NOTES, amount, matchingNodes, stackOf } from '../lib/flame.js';
import { diffColor, flameTones, frameColor } from '../lib/flamecolor.js';
import { percent } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { Legend } from './legend.js';

const ROW = 20;
const MIN_WIDTH = 0.3; // pixels
const TEXT_FROM = 22;
const PAD = 4;

function paint(canvas, state) {
  const { rows, zoom, found, tones, isDiff } = state;
  const scale = devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  canvas.width = w * scale;
  canvas.height = h * scale;
  const pen = canvas.getContext('2d');
  const fonts = [`12px ${tones.sans}`, `italic 12px ${tones.sans}`];
  pen.scale(scale, scale);
  pen.textBaseline = 'middle';
  for (const { node, left, width, top } of rows) {
    const fill = isDiff ? diffColor(node, tones) : frameColor(node.frame, node.inlined, tones);
    const dim = found && !found.has(node.frame);
    pen.globalAlpha = node.depth < zoom.depth ? 0.55 : 1;
    pen.fillStyle = found && !dim ? tones.mark : dim ? tones.grey : fill;
    pen.fillRect(left, top, Math.max(MIN_WIDTH, width - (width > 3 ? 1 : 0)), ROW - 1);
    if (isDiff && node.total === 0) hatch(pen, left, top, width, tones);
    if (width >= TEXT_FROM) {
      pen.font = fonts[node.inlined ? 1 : 0];
      pen.fillStyle = dim ? tones.faint : tones.text;
      pen.fillText(fitText(pen, node.frame.name, width - 2 * PAD), left + PAD, top + ROW / 2);
    }
  }
  pen.globalAlpha = 1;
}

// What was there before and is gone.
function hatch(pen, left, top, width, tones) {
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, ROW - 1);
  pen.clip();
  pen.strokeStyle = tones.faint;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let x = left - ROW; x < left + width; x += 6) {
    pen.moveTo(x, top + ROW);
    pen.lineTo(x + ROW, top);
  }
  pen.stroke();
  pen.restore();
}

function fitText(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, mid)}…`).width <= width) low = mid;
    else high = mid - 1;
  }
  return low > 0 ? `${text.slice(0, low)}…` : '';
}

// The nodes to draw, in pixels: the zoomed node as wide as the canvas, its ancestors above it, its subtree below.
function layout(root, zoom, width) {
  const rows = [];
  for (const n of stackOf(zoom).slice(0, -1))
    rows.push({ node: n, left: 0, width, top: n.depth * ROW });
  const scale = zoom.width > 0 ? width / zoom.width : 0;
  const walk = [zoom];
  while (walk.length > 0) {
    const n = walk.pop();
    const w = n.width * scale;
    if (w < MIN_WIDTH) continue;
    rows.push({ node: n, left: (n.x - zoom.x) * scale, width: w, top: n.depth * ROW });
    walk.push(...n.children);
  }
  return rows;
}

// What kind of code it is and where it stands.
function noteOf(node) {
  const { object, file, kind } = node.frame;
  return [object || NOTES[kind], file, node.inlined && 'inlined'].filter(Boolean).join(' · ');
}

function Tip({ tip, flame, unit, isDiff }) {
  if (!tip) return null;
  const { node, x, y, area } = tip;
  const [right, above] = [x > area.width / 2, y > area.height * 0.6];
  const style = {
    left: right ? 'auto' : `${x + 14}px`,
    right: right ? `${area.width - x + 14}px` : 'auto',
    top: above ? 'auto' : `${y + 16}px`,
    bottom: above ? `${area.height - y + 12}px` : 'auto',
  };
  const share = (v, all) => `${percent(all ? v / all : 0)}\u202f%`;
  const line = (name, v, all) =>
    html`<tr><th>${name}</th><td class="num">${amount(v, unit)}</td><td class="num">${share(v, all)}</td></tr>`;
  return html`<div class="flame-tip pop" role="tooltip" style=${style}>
    <b>${node.frame.name}</b>
    <div class="dim">${node.parent && noteOf(node)}</div>
    <table>${line('total', node.total, flame.total)}${line('self', node.self, flame.total)}
      ${isDiff && line('before', node.baseTotal, flame.baseTotal)}
      ${
        isDiff &&
        html`<tr><th>change</th><td class="num" colspan="2">${node.share >= node.baseShare ? '+' : '−'}${percent(
          Math.abs(node.share - node.baseShare),
        )} points</td></tr>`
      }</table></div>`;
}

// A line around a node, beside the canvas: the graph is not drawn anew when the mouse moves.
function Outline({ row, name }) {
  if (!row) return null;
  const style = {
    left: `${row.left}px`,
    top: `${row.top}px`,
    width: `${Math.max(2, row.width - 1)}px`,
    height: `${ROW - 1}px`,
  };
  return html`<div class=${`flame-${name}`} style=${style}></div>`;
}

// `zoom`, `onZoom`: the node that fills the width; `selected`, `onPick`: the one that is looked at; `keys`: it has the
// arrow keys (two graphs of a screen cannot both); `onObject`: a library is to be looked at alone.
export function FlameGraph({ flame, unit, found, selected, onPick, onZoom, zoom, isDiff = false, keys = true, legend = true, onObject }) {
  const pane = useRef(null);
  const canvas = useRef(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState(null);
  const [tip, setTip] = useState(null);
  const [theme, setTheme] = useState(0);
  const tones = useMemo(() => flameTones(flame.frames), [flame, theme]);
  const rows = useMemo(() => layout(flame.root, zoom, width), [flame, zoom, width]);
  const matches = useMemo(() => (found ? matchingNodes(flame, found) : []), [flame, found]);
  const height = useMemo(() => (rows.reduce((most, r) => Math.max(most, r.node.depth), 0) + 1) * ROW, [rows]);
  const levels = useMemo(() => {
    const found = Array.from({ length: height / ROW }, () => []);
    for (const r of rows) found[r.node.depth].push(r);
    return found;
  }, [rows]);
  const rowOf = useMemo(() => new Map(rows.map((r) => [r.node, r])), [rows]);

  useLayoutEffect(() => {
    const measure = () => setWidth(pane.current?.clientWidth ?? 0);
    const watch = new ResizeObserver(measure);
    watch.observe(pane.current);
    measure();
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const turn = () => setTheme((n) => n + 1);
    dark.addEventListener('change', turn);
    return () => {
      watch.disconnect();
      dark.removeEventListener('change', turn);
    };
  }, []);
  useEffect(() => {
    if (width > 0) paint(canvas.current, { rows, zoom, found, tones, isDiff });
  }, [rows, found, tones, isDiff, width, height]);
  useEffect(() => {
    if (!selected) return;
    const top = selected.depth * ROW;
    const el = pane.current;
    if (top < el.scrollTop) el.scrollTop = top;
    else if (top + ROW > el.scrollTop + el.clientHeight) el.scrollTop = top + ROW - el.clientHeight;
  }, [selected]);

  const nodeAt = (event) => {
    const area = canvas.current.getBoundingClientRect();
    const [x, y] = [event.clientX - area.left, event.clientY - area.top];
    return levels[Math.floor(y / ROW)]?.find((r) => x >= r.left && x < r.left + Math.max(r.width, 1))?.node;
  };
  const move = (event) => {
    const node = nodeAt(event) ?? null;
    setHover(node);
    const area = pane.current.getBoundingClientRect();
    setTip(node && { node, x: event.clientX - area.left, y: event.clientY - area.top, area });
  };
  const away = () => {
    setHover(null);
    setTip(null);
  };
  const click = (event) => {
    const node = nodeAt(event);
    if (!node) return;
    away(); // it is elsewhere in a moment
    onPick(node);
    onZoom(node);
  };

  // Keys: down to the largest child, up, left and right among siblings.
  const at = selected ?? zoom;
  const sibling = (by) => {
    if (!at.parent) return at;
    const list = at.parent.children;
    return list[Math.max(0, Math.min(list.length - 1, list.indexOf(at) + by))];
  };
  const cycle = (by) => {
    if (matches.length === 0) return;
    const was = matches.indexOf(selected);
    const next = matches[(was < 0 ? (by > 0 ? 0 : -1) : was + by + matches.length) % matches.length] ?? matches[matches.length - 1];
    if (!rowOf.has(next)) onZoom(flame.root);
    onPick(next);
  };
  useKeys(!keys ? {} : {
    ArrowDown: () => onPick(at.children[0] ?? at),
    j: () => onPick(at.children[0] ?? at),
    ArrowUp: () => onPick(at.parent ?? at),
    k: () => onPick(at.parent ?? at),
    ArrowLeft: () => onPick(sibling(-1)),
    ArrowRight: () => onPick(sibling(1)),
    Enter: () => onZoom(at),
    n: () => cycle(1),
    N: () => cycle(-1),
    0: () => onZoom(flame.root),
    Escape: () => (selected ? onPick(null) : onZoom(flame.root)),
  });

  return html`<div class="flame">
    <div class="flame-pane" ref=${pane} onScroll=${away}>
      <canvas ref=${canvas} style=${{ height: `${height}px` }} role="img" tabindex="0"
        aria-label=${`flame graph, ${flame.nodes.length - 1} frames`}
        onPointerMove=${move} onPointerLeave=${away} onClick=${click}></canvas>
      <${Outline} row=${rowOf.get(hover)} name="hover" /><${Outline} row=${rowOf.get(selected)} name="selected" />
    </div>
    ${legend && html`<${Legend} flame=${flame} tones=${tones} isDiff=${isDiff} onObject=${onObject} />`}
    <${Tip} tip=${tip} flame=${flame} unit=${unit} isDiff=${isDiff} />
  </div>`;
}
