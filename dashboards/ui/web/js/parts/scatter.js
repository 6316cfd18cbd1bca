// parts/scatter.js - the listed traces as dots: when (x) and how long (y, logarithmic); failed ones red and on top.

import { html, useLayoutEffect, useRef, useState } from '../../vendor/preact.js';
import { clock, dateOfNs, duration, mark } from '../lib/format.js';

const LEFT = 64,
  RIGHT = 16,
  TOP = 10,
  BOTTOM = 20;

export function Scatter({ traces, selected, onPick }) {
  const box = useRef(null);
  const [size, setSize] = useState({ w: 0, h: 0 });
  useLayoutEffect(() => {
    const watch = new ResizeObserver(() =>
      setSize({ w: box.current.clientWidth, h: box.current.clientHeight }),
    );
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);

  const at = traces.map((t) => dateOfNs(t.start_unix_ns).getTime());
  const logs = traces.map((t) => Math.log10(Math.max(1000, t.duration_ns)));
  const [t0, t1] = [Math.min(...at), Math.max(...at)];
  const [y0, y1] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs) + 1e-9)];
  const x = (t) => LEFT + ((t - t0) / Math.max(1, t1 - t0)) * (size.w - LEFT - RIGHT);
  const y = (log) =>
    size.h - BOTTOM - ((log - y0) / Math.max(1, y1 - y0)) * (size.h - TOP - BOTTOM);
  const order = traces
    .map((_, i) => i)
    .sort((a, b) => (traces[a].status === 'error') - (traces[b].status === 'error'));
  const decades = [];
  for (let d = y0; d <= y1; d++) decades.push(d);

  return html`<div class="scatter" ref=${box}>${
    size.w > 0 &&
    html`<svg role="img" aria-label="traces over time by duration">
    ${decades.map(
      (d) => html`<line x1=${LEFT} x2=${size.w - RIGHT} y1=${y(d)} y2=${y(d)} />
      ${
        (y1 - y0 < 4 || d % 2 === 0) &&
        html`<text x=${LEFT - 8} y=${y(d) + 4}
        text-anchor="end">${mark(10 ** d)}</text>`
      }`,
    )}
    <text x=${LEFT} y=${size.h - 4}>${clock(new Date(t0), false)}</text>
    <text x=${size.w - RIGHT} y=${size.h - 4} text-anchor="end">${clock(new Date(t1), false)}</text>
    ${order.map(
      (i) => html`<circle key=${traces[i].trace_id} cx=${x(at[i])} cy=${y(logs[i])}
        r=${i === selected ? 5 : 3.5}
      class=${`${traces[i].status === 'error' ? 'bad' : ''} ${i === selected ? 'on' : ''}`}
      onClick=${() => onPick(i)}>
      <title>${traces[i].resource} · ${duration(traces[i].duration_ns)}</title></circle>`,
    )}
  </svg>`
  }</div>`;
}
