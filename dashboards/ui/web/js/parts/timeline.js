// parts/timeline.js - a strip of bars over time; dragging chooses the time range, dragging with Shift the one to compare with.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { amount } from '../lib/flame.js';
import { clock } from '../lib/format.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function paint(canvas, { values, start, step_s: step }, base) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  canvas.width = w * scale;
  canvas.height = h * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const most = Math.max(1, ...values);
  const bar = w / values.length;
  const inBase = (t) => base && t >= base.from - step && t < base.to;
  values.forEach((v, i) => {
    pen.fillStyle = inBase(start + i * step) ? css('--q50') : css('--bar');
    const height = v > 0 ? Math.max(1, (v / most) * (h - 4)) : 0;
    pen.fillRect(i * bar, h - height, Math.max(0.7, bar - 1), height);
  });
}

export function Timeline({ line, unit, base, onRange, onBase }) {
  const box = useRef(null);
  const canvas = useRef(null);
  const [drag, setDrag] = useState(null);
  const [at, setAt] = useState(null);
  useEffect(() => {
    const draw = () => paint(canvas.current, line, base);
    const watch = new ResizeObserver(draw);
    watch.observe(box.current);
    const theme = matchMedia('(prefers-color-scheme: dark)');
    theme.addEventListener('change', draw);
    draw();
    return () => {
      watch.disconnect();
      theme.removeEventListener('change', draw);
    };
  }, [line, base?.from, base?.to]);

  const share = (event) => {
    const area = box.current.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - area.left) / area.width));
  };
  const time = (s) => line.start + s * line.values.length * line.step_s;
  const down = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag([share(event), share(event)]);
  };
  const move = (event) => {
    const s = share(event);
    setAt(s);
    if (drag) setDrag([drag[0], s]);
  };
  const up = (event) => {
    if (drag && Math.abs(drag[1] - drag[0]) > 0.004) {
      const [a, b] = [Math.floor(time(Math.min(...drag))), Math.ceil(time(Math.max(...drag)))];
      (event.shiftKey ? onBase : onRange)(a, Math.max(b, a + 1));
    }
    setDrag(null);
  };
  const index = at === null ? -1 : Math.min(line.values.length - 1, Math.floor(at * line.values.length));
  const pct = (n) => `${n * 100}%`;
  return html`<div class="timeline" ref=${box} aria-label="timeline"
    title="drag to choose a time, with Shift one to compare with"
    onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerLeave=${() => setAt(null)}>
    <canvas ref=${canvas}></canvas>
    ${
      index >= 0 &&
      html`<span class="when" style=${{ [at > 0.5 ? 'right' : 'left']: pct(at > 0.5 ? 1 - at : at) }}>${clock(
        new Date((line.start + index * line.step_s) * 1000),
        false,
      )} <b>${amount(line.values[index], unit)}</b></span>`
    }
    ${
      drag &&
      html`<div class="select"
      style=${{ left: pct(Math.min(...drag)), width: pct(Math.abs(drag[1] - drag[0])) }}></div>`
    }
  </div>`;
}
