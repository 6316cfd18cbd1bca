// parts/lanes.js - a lane for each thread: when it ran and what it waited for.  A click looks at the thread alone, dragging
// at what it did in that time.

import { html, useEffect, useMemo, useRef, useState } from '../../vendor/preact.js';
import { useApi } from '../lib/api.js';
import { amount } from '../lib/flame.js';
import { clock } from '../lib/format.js';
import { KINDS, keyOf, marksOf, mostOf, nameOf, sharesOf } from '../lib/lanes.js';
import { here, href, patch } from '../lib/router.js';
import { Failure, Progress } from './notice.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const CLICK = 0.004; // a shorter way of the mouse is none

function paint(canvas, shares, kinds) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  canvas.width = w * scale;
  canvas.height = h * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const colors = kinds.map((kind) => css(KINDS[kind].color));
  const edge = (s) => Math.round((s / shares.length) * w * scale) / scale; // whole pixels: no seams
  shares.forEach((step, s) => {
    const [left, right] = [edge(s), edge(s + 1)];
    let top = h;
    step.forEach((share, k) => {
      if (share <= 0) return;
      const height = Math.max(1, share * h);
      pen.fillStyle = colors[k];
      pen.fillRect(left, top - height, Math.max(right - left, 1 / scale), height);
      top -= height;
    });
  });
}

function useTheme() {
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const turn = () => setTheme((n) => n + 1);
    dark.addEventListener('change', turn);
    return () => dark.removeEventListener('change', turn);
  }, []);
  return theme;
}

// `at`: the step under the mouse, of any lane.
function Lane({ lane, answer, most, on, at, setAt, onOpen, width, theme }) {
  const canvas = useRef(null);
  const [drag, setDrag] = useState(null);
  const shares = useMemo(() => sharesOf(lane, answer, most), [lane, answer, most]);
  useEffect(() => {
    if (width > 0) paint(canvas.current, shares, answer.kinds);
  }, [shares, width, theme]);
  const share = (event) => {
    const area = canvas.current.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - area.left) / area.width));
  };
  const move = (event) => {
    const s = share(event);
    setAt({ lane, share: s, step: Math.min(shares.length - 1, Math.floor(s * shares.length)) });
    if (drag) setDrag([drag[0], s]);
  };
  const up = (event) => {
    const s = share(event);
    onOpen(lane, drag && Math.abs(s - drag[0]) > CLICK ? [Math.min(drag[0], s), Math.max(drag[0], s)] : null);
    setDrag(null);
  };
  const pct = (n) => `${n * 100}%`;
  const link = { ...here().params, view: '', thread: keyOf(lane, answer.lanes) };
  return html`<li class=${on ? 'lane on' : 'lane'}>
    <a class="cut" href=${href('/profiles', link)} title=${`${nameOf(lane)}${lane.id && lane.name ? ` (${lane.id})` : ''}`}>${nameOf(lane)}</a>
    <div class="strip" onPointerDown=${(e) => {
      e.currentTarget.setPointerCapture(e.pointerId);
      setDrag([share(e), share(e)]);
    }} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${() => setDrag(null)} onPointerLeave=${() => setAt(null)}>
      <canvas ref=${canvas}></canvas>
      ${drag && html`<div class="select" style=${{ left: pct(Math.min(...drag)), width: pct(Math.abs(drag[1] - drag[0])) }}></div>`}
      ${at && html`<div class="cursor" style=${{ left: pct((at.step + 0.5) / shares.length) }}></div>`}
    </div></li>`;
}

// What the thread under the mouse did then.
function Said({ at, answer, unit }) {
  if (!at) return html`<span class="faint">drag over a lane to see what its thread did then</span>`;
  const whole = answer.step_ms * 1e6;
  const parts = answer.kinds
    .map((kind, k) => [KINDS[kind].title, at.lane.values[k][at.step]])
    .filter(([, value]) => value > 0)
    .map(([title, value]) =>
      answer.kinds.length > 1 ? `${title} ${Math.min(100, Math.round((value / whole) * 100))}\u202f%` : amount(value, unit),
    );
  const when = clock(new Date(answer.start_ms + at.step * answer.step_ms), answer.step_ms < 1000);
  return html`<span><b>${nameOf(at.lane)}</b> ${when} ${parts.join(', ') || 'no sample'}</span>`;
}

function Axis({ answer, steps }) {
  const endMs = answer.start_ms + steps * answer.step_ms;
  const marks = marksOf(answer.start_ms, endMs, 8);
  return html`<div class="axis" aria-hidden="true">${marks.map(
    (t) => html`<span style=${{ left: `${((t - answer.start_ms) / (endMs - answer.start_ms)) * 100}%` }}>${clock(new Date(t), t % 1000 > 0)}</span>`,
  )}</div>`;
}

export function Lanes({ query, params, tick }) {
  const { data, error, loading } = useApi(
    'profiles/lanes',
    { ...query, thread: '', base_from: '', base_to: '' },
    tick,
  );
  const list = useRef(null);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState(null);
  const theme = useTheme();
  const most = useMemo(() => (data ? mostOf(data) : 1), [data]);
  useEffect(() => {
    if (!list.current) return undefined;
    const watch = new ResizeObserver(() => setWidth(list.current?.clientWidth ?? 0));
    watch.observe(list.current);
    return () => watch.disconnect();
  }, [data === null]);
  if (error) return html`<${Failure} error=${error} />`;
  if (!data) return html`<${Progress} on=${loading} />`;
  if (data.lanes.length === 0)
    return html`<p class="faint more-rows">No sample says which thread it was taken from.</p>`;
  const steps = data.lanes[0].values[0].length;
  const time = (share) => (data.start_ms + share * steps * data.step_ms) / 1000;
  const open = (lane, range) => {
    const chosen = { view: '', thread: keyOf(lane, data.lanes) };
    if (range) {
      chosen.from = String(Math.floor(time(range[0])));
      chosen.to = String(Math.max(Math.floor(time(range[0])) + 1, Math.ceil(time(range[1]))));
    }
    patch(chosen, {});
  };
  return html`<div class="lanes">
    <div class="lanes-head"><div class="legend" aria-label="legend">${data.kinds.length > 1 && data.kinds.map(
      (kind) => html`<span class="entry"><i style=${{ background: `var(${KINDS[kind].color})` }}></i>${KINDS[kind].title}</span>`,
    )}<span class="grow"></span><span role="status"><${Said} at=${at} answer=${data} unit=${data.unit} /></span></div>
    <${Axis} answer=${data} steps=${steps} /></div>
    <ol class="pane" ref=${list} aria-label="threads">${data.lanes.map(
      (lane) => html`<${Lane} key=${`${lane.id}|${lane.name}`} lane=${lane} answer=${data} most=${most}
        on=${params.thread && [lane.name, lane.id].includes(params.thread)} at=${at} setAt=${setAt}
        onOpen=${open} width=${width} theme=${theme} />`,
    )}</ol>
    ${data.left_out && html`<p class="faint more-rows">There are more threads than are shown.</p>`}
  </div>`;
}
