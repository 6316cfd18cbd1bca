// parts/chart.js - one uPlot chart in the colours of the theme.  Dragging over it chooses the time range.

import uPlot from '../../vendor/uplot.js';
import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { patch } from '../lib/router.js';
import { clock } from '../lib/format.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const pad = (n) => String(n).padStart(2, '0');
function timeLabels(u, splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 60;
  return splits.map((s) => {
    const d = new Date(s * 1000);
    if (step >= 86400) return `${d.getDate()}.${d.getMonth() + 1}.`;
    return `${pad(d.getHours())}:${pad(d.getMinutes())}${step < 60 ? `:${pad(d.getSeconds())}` : ''}`;
  });
}

// series: [{ name, color: '--bar', kind: 'line' | 'bars', width }]; mark prints a value at the axis.
function options(el, series, mark, setCursor) {
  const axis = {
    stroke: css('--text-3'),
    font: `11px ${css('--sans')}`,
    grid: { stroke: css('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: el.clientWidth,
    height: el.clientHeight,
    legend: { show: false },
    padding: [6, 18, 0, 0],
    cursor: {
      sync: { key: 'service' },
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
    },
    scales: { x: { time: true }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.08 : 1] } },
    axes: [
      { ...axis, size: 24, gap: 4, space: 64, values: timeLabels },
      {
        ...axis,
        size: 58,
        gap: 4,
        space: 34,
        values: (u, splits) => splits.map((v) => (v === 0 ? '0' : mark(v))),
      },
    ],
    series: [
      {},
      ...series.map((s) => ({
        label: s.name,
        stroke: css(s.color),
        width: s.kind === 'bars' ? 0 : (s.width ?? 1.25),
        spanGaps: false,
        points: { show: false },
        fill: s.kind === 'bars' ? css(s.color) : undefined,
        paths: s.kind === 'bars' ? uPlot.paths.bars({ size: [0.86, 24], align: 1 }) : undefined,
      })),
    ],
    hooks: {
      setCursor: [(u) => setCursor(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          if (u.select.width < 6) return;
          const [a, b] = [u.select.left, u.select.left + u.select.width].map((x) =>
            Math.round(u.posToVal(x, 'x')),
          );
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          patch({ from: String(a), to: String(Math.max(b, a + 10)) }, {});
        },
      ],
    },
  };
}

export function Chart({ title, data, series, format, mark = format }) {
  const box = useRef(null);
  const chart = useRef(null);
  const [cursor, setCursor] = useState(null);

  useEffect(() => {
    const make = () => {
      chart.current?.destroy();
      chart.current = new uPlot(options(box.current, series, mark, setCursor), data, box.current);
    };
    make();
    const resize = new ResizeObserver(() =>
      chart.current.setSize({ width: box.current.clientWidth, height: box.current.clientHeight }),
    );
    resize.observe(box.current);
    const theme = matchMedia('(prefers-color-scheme: dark)');
    theme.addEventListener('change', make);
    return () => {
      resize.disconnect();
      theme.removeEventListener('change', make);
      chart.current.destroy();
    };
  }, []);
  useEffect(() => {
    chart.current?.setData(data);
  }, [data]);

  const at = cursor !== null && data[0][cursor] !== undefined ? cursor : null;
  return html`<section class="chart" aria-label=${title}>
    <h2><span class="grow">${at === null ? title : clock(new Date(data[0][at] * 1000), false)}</span>
      ${series.map(
        (s, i) => html`<span class="key"><i style=${{ background: `var(${s.color})` }}></i>${s.name}
        ${at !== null && html`<b>${data[i + 1][at] === null ? '–' : format(data[i + 1][at])}</b>`}</span>`,
      )}</h2>
    <div class="plot" ref=${box}></div>
  </section>`;
}
