// parts/flamegraph.js - an icicle flame graph on one canvas: zoom by click, hover shows values, keys walk through it.
// Only what is at least MIN_WIDTH wide is drawn.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../../vendor/preact.js';
import { serviceColors } from '../lib/color.js';
import { amount, stackOf } from '../lib/flame.js';
import { percent } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';

const ROW = 20;
const MIN_WIDTH = 0.3; // pixels
const TEXT_FROM = 22;
const PAD = 4;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// "#3f76d6" and a share of the background.
function mix(color, other, share) {
  const parse = (c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16));
  const [a, b] = [parse(color), parse(other)];
  return `rgb(${a.map((v, i) => Math.round(v * (1 - share) + b[i] * share)).join(' ')})`;
}

// Red where the share grew, blue where it shrank, stronger with the difference in points.
export function diffColor(node, tones) {
  const d = node.share - node.baseShare;
  if (Math.abs(d) < 0.001) return tones.grey;
  const strength = Math.min(0.75, 0.16 + Math.sqrt(Math.abs(d)) * 1.3);
  return mix(tones.bg, d > 0 ? tones.more : tones.less, strength);
}

function themeTones(objects) {
  const bg = css('--bg');
  const colors = serviceColors(objects);
  const tones = {
    bg,
    text: css('--text'),
    faint: css('--text-3'),
    accent: css('--accent'),
    mark: css('--mark'),
    line: css('--line-2'),
    grey: css('--bg-3'),
    more: css('--error'),
    less: css('--s0'),
    sans: css('--sans'),
    of: new Map(),
  };
  for (const [object, name] of colors) tones.of.set(object, mix(css(`--${name}`), bg, 0.52));
  tones.unknown = tones.grey;
  return tones;
}

function paint(canvas, state) {
  const { rows, zoom, hover, selected, found, tones, isDiff } = state;
  const scale = devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  canvas.width = w * scale;
  canvas.height = h * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  pen.font = `12px ${tones.sans}`;
  pen.textBaseline = 'middle';
  for (const { node, left, width, top } of rows) {
    const fill = isDiff
      ? diffColor(node, tones)
      : (tones.of.get(node.frame.base) ?? tones.unknown);
    const dim = found && !found.has(node.frame);
    pen.globalAlpha = node.depth < zoom.depth ? 0.55 : 1;
    pen.fillStyle = found && !dim ? tones.mark : dim ? tones.grey : fill;
    pen.fillRect(left, top, Math.max(MIN_WIDTH, width - (width > 3 ? 1 : 0)), ROW - 1);
    if (isDiff && node.total === 0) hatch(pen, left, top, width, tones);
    if (width >= TEXT_FROM) {
      pen.fillStyle = dim ? tones.faint : tones.text;
      pen.fillText(fitText(pen, node.frame.name, width - 2 * PAD), left + PAD, top + ROW / 2);
    }
    pen.globalAlpha = 1;
    if (node === hover || node === selected) {
      pen.strokeStyle = node === selected ? tones.accent : tones.text;
      pen.lineWidth = node === selected ? 2 : 1;
      pen.strokeRect(left + 0.5, top + 0.5, Math.max(1, width - 2), ROW - 2);
    }
  }
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

function Tip({ tip, flame, unit, isDiff }) {
  if (!tip) return null;
  const { node, x, y, area } = tip;
  const right = x > area.width / 2;
  const style = {
    left: right ? 'auto' : `${x + 14}px`,
    right: right ? `${area.width - x + 14}px` : 'auto',
    top: `${y + 16}px`,
  };
  const share = (v, all) => `${percent(all ? v / all : 0)}\u202f%`;
  const line = (name, v, all) =>
    html`<tr><th>${name}</th><td class="num">${amount(v, unit)}</td><td class="num">${share(v, all)}</td></tr>`;
  return html`<div class="flame-tip pop" role="tooltip" style=${style}>
    <b>${node.frame.name}</b>
    <div class="dim">${node.frame.object}${node.frame.file && ` · ${node.frame.file}`}</div>
    <table>${line('total', node.total, flame.total)}${line('self', node.self, flame.total)}
      ${isDiff && line('before', node.baseTotal, flame.baseTotal)}
      ${
        isDiff &&
        html`<tr><th>change</th><td class="num" colspan="2">${node.share >= node.baseShare ? '+' : '−'}${percent(
          Math.abs(node.share - node.baseShare),
        )} points</td></tr>`
      }</table></div>`;
}

// `zoom`, `onZoom`: the node that fills the width; `selected`, `onPick`: the one that is looked at; `keys`: it has the
// arrow keys (two graphs of a screen cannot both).
export function FlameGraph({ flame, unit, found, selected, onPick, onZoom, zoom, isDiff = false, keys = true }) {
  const pane = useRef(null);
  const canvas = useRef(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState(null);
  const [tip, setTip] = useState(null);
  const [theme, setTheme] = useState(0);
  const objects = useMemo(() => flame.frames.map((f) => f.base).filter(Boolean), [flame]);
  const tones = useMemo(() => themeTones(objects), [objects, theme]);
  const rows = useMemo(() => layout(flame.root, zoom, width), [flame, zoom, width]);
  const height = (rows.reduce((most, r) => Math.max(most, r.node.depth), 0) + 1) * ROW;

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
    if (width > 0) paint(canvas.current, { rows, zoom, hover, selected, found, tones, isDiff });
  }, [rows, hover, selected, found, tones, isDiff, width, height]);
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
    const depth = Math.floor(y / ROW);
    return rows.find(
      (r) => r.node.depth === depth && x >= r.left && x < r.left + Math.max(r.width, 1),
    )?.node;
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
  useKeys(!keys ? {} : {
    ArrowDown: () => onPick(at.children[0] ?? at),
    j: () => onPick(at.children[0] ?? at),
    ArrowUp: () => onPick(at.parent ?? at),
    k: () => onPick(at.parent ?? at),
    ArrowLeft: () => onPick(sibling(-1)),
    ArrowRight: () => onPick(sibling(1)),
    Enter: () => onZoom(at),
    0: () => onZoom(flame.root),
    Escape: () => (selected ? onPick(null) : onZoom(flame.root)),
  });

  return html`<div class="flame">
    <div class="flame-pane" ref=${pane} onScroll=${away}>
      <canvas ref=${canvas} style=${{ height: `${height}px` }} role="img" tabindex="0"
        aria-label=${`flame graph, ${flame.nodes.length - 1} frames`}
        onPointerMove=${move} onPointerLeave=${away} onClick=${click}></canvas>
    </div>
    <${Tip} tip=${tip} flame=${flame} unit=${unit} isDiff=${isDiff} />
  </div>`;
}
