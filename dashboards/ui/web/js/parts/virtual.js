// parts/virtual.js - a scrolling list that keeps only the rows in view in the page; a million rows cost as much as forty.

import { html, useEffect, useLayoutEffect, useRef, useState } from '../../vendor/preact.js';

const SPARE = 8; // rows kept beyond each edge

// row(item, index, top) draws one row, absolutely placed at `top`.  `reveal` is the index to keep in view.
export function VirtualList({
  items,
  height,
  row,
  reveal = -1,
  foot = null,
  footHeight = 0,
  onEnd,
  behind = null,
  class: name = '',
  ...rest
}) {
  const pane = useRef(null);
  const [view, setView] = useState({ top: 0, height: 800 });

  useLayoutEffect(() => {
    const el = pane.current;
    const measure = () => setView({ top: el.scrollTop, height: el.clientHeight });
    const watch = new ResizeObserver(measure);
    watch.observe(el);
    el.addEventListener('scroll', measure, { passive: true });
    measure();
    return () => {
      watch.disconnect();
      el.removeEventListener('scroll', measure);
    };
  }, []);

  useLayoutEffect(() => {
    const el = pane.current;
    if (reveal < 0) return;
    const top = reveal * height;
    if (top < el.scrollTop) el.scrollTop = top - height;
    else if (top + height > el.scrollTop + el.clientHeight)
      el.scrollTop = top + 2 * height - el.clientHeight;
  }, [reveal, height]);

  const total = items.length * height + footHeight;
  useEffect(() => {
    if (onEnd && view.top + view.height > total - 400) onEnd();
  }, [view.top, view.height, total]);

  const first = Math.max(0, Math.floor(view.top / height) - SPARE);
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / height) + SPARE);
  const rows = [];
  for (let i = first; i < last; i++) rows.push(row(items[i], i, i * height));
  return html`<div class="pane" ref=${pane} ...${rest}>
    <div class=${name} style=${{ height: `${total}px`, minHeight: '100%', position: 'relative' }}>
      ${behind}${rows}
      ${foot && html`<div class="foot" style=${{ top: `${items.length * height}px` }}>${foot}</div>`}
    </div>
  </div>`;
}
