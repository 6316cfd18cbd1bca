// screens/trace.js - one trace: head, tools, minimap, waterfall, side panel.  Keeps what is selected, folded and zoomed.

import { html, useMemo, useState } from '../../vendor/preact.js';
import { useApi } from '../lib/api.js';
import { serviceColors } from '../lib/color.js';
import { count, dateOfNs, dateTime, duration } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { href, patch } from '../lib/router.js';
import { buildTree, matches, visible } from '../lib/tree.js';
import { Minimap } from '../parts/minimap.js';
import { Failure, Notice, Progress } from '../parts/notice.js';
import { carried } from '../parts/shell.js';
import { ServicesPanel, SpanPanel } from '../parts/spanpanel.js';
import { copy } from '../parts/toast.js';
import { Waterfall } from '../parts/waterfall.js';

const MIN_VIEW = 1000; // ns: the deepest zoom

function Head({ trace, tree, color }) {
  const root = tree.rows[0];
  const errors = tree.rows.filter((n) => n.bad).length;
  const status = root.span.meta['http.status_code'] ?? root.span.metrics['http.status_code'];
  const fact = (value, name) => html`<span><b>${value}</b> ${name}</span>`;
  return html`<div class="trace-head">
    <div class="line"><i class=${`dot ${color}`}></i><span>${root.span.service}</span>
      <h1 class="cut">${root.span.resource}</h1>
      ${status && html`<span class=${`badge ${root.bad ? 'error' : ''}`}>${status}</span>`}
      ${errors > 0 && html`<span
        class="badge error">${errors} ${errors === 1 ? 'error' : 'errors'}</span>`}</div>
    <div class="facts">${fact(duration(tree.duration), 'total')}
      ${fact(count(tree.rows.length), 'spans')}
      ${fact(tree.services.length, tree.services.length === 1 ? 'service' : 'services')}
      <span>${dateTime(dateOfNs(trace.start_unix_ns))}</span>
      <button class="plain mono" title="copy the trace id (c)"
        onClick=${() => copy(trace.trace_id, 'trace id')}>${trace.trace_id}</button></div>
  </div>`;
}

function Tools({
  text,
  setText,
  found,
  at,
  step,
  nextError,
  errors,
  foldAll,
  anyFolded,
  showPath,
  setPath,
  zoomed,
  reset,
}) {
  return html`<div class="tools">
    <input type="search" placeholder="find in this trace" aria-label="find in this trace"
      value=${text} onInput=${(e) => setText(e.target.value)}
      onKeyDown=${(e) => {
        if (e.key === 'Enter') step(e.shiftKey ? -1 : 1);
        if (e.key === 'Escape') {
          setText('');
          e.target.blur();
        }
      }} />
    <span class="count" role="status">${found ? (found.length ? `${at >= 0 ? at + 1 : '–'} of ${found.length}` : 'no match') : ''}</span>
    <span class="grow"></span>
    ${errors > 0 && html`<button onClick=${nextError} title="e">Next error</button>`}
    <button aria-pressed=${showPath} onClick=${() => setPath(!showPath)}
      title="p: what held up the end of the trace">Critical path</button>
    <button onClick=${foldAll}>${anyFolded ? 'Unfold all' : 'Fold to services'}</button>
    <button disabled=${!zoomed} onClick=${reset} title="0">Whole trace</button>
  </div>`;
}

// The part of time that is shown; always within the trace and never narrower than MIN_VIEW.
function useView(total) {
  const [view, setView] = useState({ from: 0, to: total });
  const set = ({ from, to }) => {
    const width = Math.min(total, Math.max(Math.min(MIN_VIEW, total), to - from));
    const start = Math.max(0, Math.min(total - width, from));
    setView({ from: start, to: start + width });
  };
  const zoom = (factor, at = 0.5) => {
    const width = (view.to - view.from) * factor;
    const pivot = view.from + (view.to - view.from) * at;
    set({ from: pivot - width * at, to: pivot + width * (1 - at) });
  };
  const pan = (share) => {
    const by = (view.to - view.from) * share;
    set({ from: view.from + by, to: view.to + by });
  };
  return {
    view,
    set,
    zoom,
    pan,
    reset: () => set({ from: 0, to: total }),
    zoomed: view.from > 0 || view.to < total,
  };
}

function View({ trace, params }) {
  const tree = useMemo(() => buildTree(trace.spans), [trace]);
  const colors = useMemo(() => serviceColors(trace.spans.map((s) => s.service)), [trace]);
  const total = Math.max(1, tree.duration);
  const time = useView(total);
  const [folded, setFolded] = useState(new Set());
  const [selected, setSelected] = useState(
    () => tree.rows.find((n) => n.span.span_id === params.span) ?? null,
  );
  const [text, setText] = useState('');
  const [showPath, setPath] = useState(false);
  const [split, setSplit] = useState(40);
  const rows = useMemo(() => visible(tree.rows, folded), [tree, folded]);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = useMemo(
    () => (words.length ? tree.rows.filter((n) => matches(n, words)) : null),
    [tree, text],
  );
  const hits = useMemo(() => (found ? new Set(found) : null), [found]);

  // Selecting a span unfolds what hides it and puts it into the address.
  const select = (node) => {
    setSelected(node);
    patch({ span: node?.span.span_id ?? '' });
    if (!node) return;
    const hiding = [];
    for (let up = node.parent; up; up = up.parent) if (folded.has(up)) hiding.push(up);
    if (hiding.length) setFolded(new Set([...folded].filter((n) => !hiding.includes(n))));
  };
  const fold = (node, on = !folded.has(node)) => {
    const next = new Set(folded);
    if (on && node.children.length) next.add(node);
    else next.delete(node);
    setFolded(next);
  };
  const cycle = (list, by) => {
    if (!list?.length) return;
    const at = list.indexOf(selected);
    const order = tree.rows.indexOf(selected);
    const next =
      at >= 0
        ? at + by
        : by > 0
          ? list.findIndex((n) => tree.rows.indexOf(n) > order)
          : list.length - 1;
    select(list[(Math.max(next, next < -1 ? 0 : next) + list.length) % list.length]);
  };
  const errors = useMemo(() => tree.rows.filter((n) => n.bad), [tree]);
  const move = (by) =>
    select(rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(selected) + by))]);
  const zoomTo = (node) => {
    const pad = Math.max(MIN_VIEW, (node.end - node.start) * 0.05);
    time.set({ from: node.start - pad, to: node.end + pad });
  };
  const foldAll = () =>
    setFolded(
      folded.size
        ? new Set()
        : new Set(
            tree.rows.filter(
              (n) => n.children.length > 0 && n.parent && n.span.service !== n.parent.span.service,
            ),
          ),
    );
  const left = () => {
    if (!selected) return;
    if (selected.children.length && !folded.has(selected)) fold(selected, true);
    else if (selected.parent) select(selected.parent);
  };
  const right = () => {
    if (!selected) return;
    if (folded.has(selected)) fold(selected, false);
    else if (selected.children[0]) select(selected.children[0]);
  };

  useKeys({
    ArrowDown: () => move(1),
    j: () => move(1),
    ArrowUp: () => move(-1),
    k: () => move(-1),
    PageDown: () => move(20),
    PageUp: () => move(-20),
    Home: () => select(rows[0]),
    End: () => select(rows[rows.length - 1]),
    ArrowLeft: left,
    ArrowRight: right,
    Enter: () => selected && fold(selected),
    Escape: () => select(null),
    '+': () => time.zoom(0.5),
    '=': () => time.zoom(0.5),
    '-': () => time.zoom(2),
    0: time.reset,
    f: () => selected && zoomTo(selected),
    '[': () => time.pan(-0.2),
    ']': () => time.pan(0.2),
    e: () => cycle(errors, 1),
    n: () => cycle(found, 1),
    N: () => cycle(found, -1),
    c: () => copy(trace.trace_id, 'trace id'),
    p: () => setPath(!showPath),
  });

  return html`
    <${Head} trace=${trace} tree=${tree} color=${colors.get(tree.rows[0].span.service)} />
    ${trace.truncated && html`<div
      class="alert">This trace is larger than the screen takes: its first ${count(tree.rows.length)} spans are shown.</div>`}
    <${Tools} text=${text} setText=${setText} found=${found}
      at=${found ? found.indexOf(selected) : -1} step=${(by) => cycle(found, by)}
      nextError=${() => cycle(errors, 1)} errors=${errors.length}
      foldAll=${foldAll} anyFolded=${folded.size > 0}
      showPath=${showPath} setPath=${setPath} zoomed=${time.zoomed} reset=${time.reset} />
    <${Minimap} rows=${tree.rows} duration=${total} colors=${colors} view=${time.view}
      onView=${time.set} />
    <div class="trace-body">
      <${Waterfall} rows=${rows} selected=${selected} folded=${folded} view=${time.view}
        colors=${colors} hits=${hits} showPath=${showPath}
        split=${split} onSplit=${setSplit} act=${{ select, fold, zoomTo, zoom: time.zoom, pan: time.pan }} />
      ${
        selected
          ? html`<${SpanPanel} node=${selected} color=${colors.get(selected.span.service)}
            params=${carried(params)} onClose=${() => select(null)} onParent=${select} />`
          : html`<${ServicesPanel} tree=${tree} colors=${colors} />`
      }
    </div>`;
}

export default function Trace({ arg: id, params }) {
  const [tick, setTick] = useState(0);
  const { data, error, loading } = useApi(`traces/${id}`, {}, tick);
  if (error?.status === 404) {
    return html`<${Notice} title="This trace is not in the store">
      <p class="mono">${id}</p>
      <p>It may still be on its way (a trace arrives a few seconds after its end), it may have been
        sampled out, or it was retired with old data.</p>
      <p><button onClick=${() => setTick(tick + 1)}>Look again</button> or <a
        href=${href('/traces', carried(params))}>search</a>.</p>
    </${Notice}>`;
  }
  return html`<${Progress} on=${loading} />${error && html`<${Failure} error=${error}
    retry=${() => setTick(tick + 1)} />`}
    ${data && data.spans.length > 0 && html`<${View} key=${data.trace_id} trace=${data}
      params=${params} />`}`;
}
