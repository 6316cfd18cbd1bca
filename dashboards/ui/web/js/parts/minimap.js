// parts/minimap.js - the whole trace on one canvas; dragging over it zooms the waterfall, a double click shows all again.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function paint(canvas, rows, duration, colors) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  canvas.width = w * scale;
  canvas.height = h * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const pad = 3;
  const line = Math.min(3, (h - 2 * pad) / rows.length);
  const tones = new Map([...colors].map(([service, name]) => [service, css(`--${name}`)]));
  const red = css('--error');
  rows.forEach((node, i) => {
    pen.fillStyle = node.bad ? red : tones.get(node.span.service);
    pen.fillRect(
      (node.start / duration) * w,
      pad + i * line,
      Math.max(1, ((node.end - node.start) / duration) * w),
      Math.max(0.5, line - 0.5),
    );
  });
}

export function Minimap({ rows, duration, colors, view, onView }) {
  const box = useRef(null);
  const canvas = useRef(null);
  const [drag, setDrag] = useState(null);
  useEffect(() => {
    const draw = () => paint(canvas.current, rows, duration, colors);
    const watch = new ResizeObserver(draw);
    watch.observe(box.current);
    const theme = matchMedia('(prefers-color-scheme: dark)');
    theme.addEventListener('change', draw);
    return () => {
      watch.disconnect();
      theme.removeEventListener('change', draw);
    };
  }, [rows, duration, colors]);

  const share = (event) => {
    const area = box.current.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - area.left) / area.width));
  };
  const down = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag([share(event), share(event)]);
  };
  const up = () => {
    if (drag && Math.abs(drag[1] - drag[0]) > 0.004)
      onView({ from: Math.min(...drag) * duration, to: Math.max(...drag) * duration });
    setDrag(null);
  };
  const pct = (n) => `${n * 100}%`;
  return html`<div class="minimap" ref=${box} title="drag to zoom, double click to show all"
    onPointerDown=${down} onPointerUp=${up}
      onPointerMove=${(e) => drag && setDrag([drag[0], share(e)])}
      onDblClick=${() => onView({ from: 0, to: duration })}>
    <canvas ref=${canvas}></canvas>
    <div class="shade" style=${{ left: 0, width: pct(view.from / duration) }}></div>
    <div class="shade" style=${{ left: pct(view.to / duration), right: 0 }}></div>
    ${
      drag &&
      html`<div class="select"
      style=${{ left: pct(Math.min(...drag)), width: pct(Math.abs(drag[1] - drag[0])) }}></div>`
    }
  </div>`;
}
