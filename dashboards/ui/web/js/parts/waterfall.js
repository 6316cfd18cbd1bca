// parts/waterfall.js - the rows of a trace: tree on the left, bars over time on the right.  Only rows in view exist.

import { html, useRef } from '../../vendor/preact.js';
import { duration, mark } from '../lib/format.js';
import { ticks } from '../lib/tree.js';
import { VirtualList } from './virtual.js';

const ROW = 24;
const INDENT = 12; // pixels a level
const MAX_INDENT = 16; // levels; deeper ones stop moving right and show their number

// Part of the view in percent, or null when outside.
function place(from, to, view) {
  const width = view.to - view.from;
  if (to < view.from || from > view.to) return null;
  const left = Math.max(from, view.from),
    right = Math.min(to, view.to);
  return { left: ((left - view.from) / width) * 100, width: ((right - left) / width) * 100 };
}

const style = (p) => ({ left: `${p.left}%`, width: `${p.width}%` });

function Lane({ node, view, showPath }) {
  const bar = place(node.start, node.end, view);
  if (!bar) return html`<div class="lane"></div>`;
  const right = bar.left + bar.width;
  const tip = right < 84 ? ['', right] : bar.left > 16 ? ['left', bar.left] : ['inside', right];
  return html`<div class="lane">
    <i class="bar" style=${style(bar)}></i>
    ${
      showPath &&
      node.path.map(([a, b]) => {
        const p = place(a, b, view);
        return p && html`<i class="path" style=${style(p)}></i>`;
      })
    }
    <span class=${`tip ${tip[0]}`}
      style=${{ left: `${tip[1]}%` }}>${duration(node.span.duration_ns)}</span>
  </div>`;
}

function Row({ node, top, view, folded, color, on, hit, faded, showPath, walk, time }) {
  const { span } = node;
  const level = Math.min(node.depth, MAX_INDENT);
  const classes = [
    'sr',
    color,
    on && 'on',
    hit && 'hit',
    faded && 'faded',
    node.bad && 'bad',
    node.origin && 'origin',
  ]
    .filter(Boolean)
    .join(' ');
  const leaf = node.children.length === 0;
  return html`<div class=${classes} role="treeitem" aria-level=${node.depth + 1} aria-selected=${on}
    aria-expanded=${leaf ? undefined : !folded}
      data-span=${span.span_id} style=${{ transform: `translateY(${top}px)` }}
      onClick=${() => walk.select(node)} onDblClick=${() => time.zoomTo(node)}>
    <div class="tree" style=${{ paddingLeft: `${level * INDENT}px` }}>
      <button class=${`fold ${leaf ? 'leaf' : ''}`} tabindex="-1" aria-hidden="true"
        aria-expanded=${!folded} title=${`${node.size - 1} spans below`}
        onClick=${(e) => {
          e.stopPropagation();
          walk.fold(node);
        }}>${node.depth > MAX_INDENT ? node.depth : folded ? node.size - 1 : ''}</button>
      <i class="edge"></i>
      ${
        node.bad &&
        html`<span class="flag"
        title=${node.origin ? 'the error started here' : 'failed'}>!</span>`
      }
      <span class="t-text"><span class="t-name">${span.name}</span>
        <span class="t-res cut">${span.resource !== span.name ? span.resource : ''}</span>
        ${
          node.orphan &&
          html`<span class="badge"
          title=${`parent ${span.parent_id} is not in the store`}>no parent</span>`
        }</span>
    </div>
    <${Lane} node=${node} view=${view} showPath=${showPath} />
  </div>`;
}

function Axis({ view, split, onSplit, onWheel }) {
  const box = useRef(null);
  const drag = (event) => {
    event.preventDefault();
    const area = box.current.getBoundingClientRect();
    const move = (e) =>
      onSplit(Math.min(75, Math.max(15, ((e.clientX - area.left) / area.width) * 100)));
    const up = () => {
      removeEventListener('pointermove', move);
      removeEventListener('pointerup', up);
    };
    addEventListener('pointermove', move);
    addEventListener('pointerup', up);
  };
  const marks = ticks(view.from, view.to, 6);
  return html`<div class="axis" ref=${box} onWheel=${onWheel}>
    <div class="label">Span<i class="splitter" role="separator" aria-orientation="vertical"
      aria-valuenow=${Math.round(split)} onPointerDown=${drag}></i></div>
    <div class="ticks">${marks.map(
      (t) => html`<span
      style=${{ left: `${((t - view.from) / (view.to - view.from)) * 100}%` }}>${mark(t)}</span>`,
    )}</div>
  </div>`;
}

// walk and time are what lib/walk.js and lib/view.js return.
export function Waterfall({ walk, time, colors, hits, showPath, split, onSplit }) {
  const { rows, selected } = walk;
  const { view } = time;
  const onWheel = (event) => {
    if (!event.ctrlKey && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY))
      return;
    const area = event.currentTarget.getBoundingClientRect();
    const left = area.left + area.width * (split / 100);
    if (event.clientX < left) return;
    event.preventDefault();
    if (event.ctrlKey)
      time.zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.clientX - left) / (area.right - left));
    else time.pan((event.deltaX || event.deltaY) / (area.right - left));
  };
  const behind = html`<div class="grid">${ticks(view.from, view.to, 6).map(
    (t) => html`<i
    style=${{ left: `${((t - view.from) / (view.to - view.from)) * 100}%` }}></i>`,
  )}</div>`;
  const row = (
    node,
    i,
    top,
  ) => html`<${Row} key=${node.span.span_id + i} node=${node} top=${top} view=${view}
    folded=${walk.isFolded(node)}
    color=${colors.get(node.span.service)} on=${node === selected} hit=${hits?.has(node)}
    faded=${hits && !hits.has(node)} showPath=${showPath} walk=${walk} time=${time} />`;
  return html`<section class="waterfall" style=${{ '--tree': `${split}%` }} aria-label="waterfall">
    <${Axis} view=${view} split=${split} onSplit=${onSplit} onWheel=${onWheel} />
    <${VirtualList} items=${rows} height=${ROW} row=${row} reveal=${rows.indexOf(selected)}
      behind=${behind} class="span-rows" role="tree" aria-label="spans"
      tabindex="0" onWheel=${onWheel} />
  </section>`;
}
