// screens/trace.js - one trace: head, tools, minimap, waterfall, side panel.

import { html, useEffect, useMemo, useRef, useState } from '../../vendor/preact.js';
import { useApi, useTick } from '../lib/api.js';
import { serviceColors } from '../lib/color.js';
import { count, dateOfNs, dateTime, duration } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { href, patch } from '../lib/router.js';
import { buildTree, matches } from '../lib/tree.js';
import { useView } from '../lib/view.js';
import { useWalk } from '../lib/walk.js';
import { Hotspots } from '../parts/hotspots.js';
import { Minimap } from '../parts/minimap.js';
import { Failure, Notice, Progress } from '../parts/notice.js';
import { carried } from '../parts/shell.js';
import { ServicesPanel, SpanPanel } from '../parts/spanpanel.js';
import { copy } from '../parts/toast.js';
import { Waterfall } from '../parts/waterfall.js';

const YOUNG_MS = 20000; // so long after its end, more of a trace may arrive

function Head({ trace, tree, color, hotspots }) {
  const root = tree.rows[0];
  const errors = tree.rows.filter((n) => n.bad).length;
  const status = root.span.meta['http.status_code'] ?? root.span.metrics['http.status_code'];
  const fact = (value, name) => html`<span><b>${value}</b> ${name}</span>`;
  return html`<div class="trace-head">
    <div class="line"><i class=${`dot ${color}`}></i><span>${root.span.service}</span>
      <h1 class="cut">${root.span.resource}</h1>
      ${status && html`<span class=${`badge ${root.bad ? 'error' : ''}`}>${status}</span>`}
      ${
        errors > 0 &&
        html`<span
        class="badge error">${errors} ${errors === 1 ? 'error' : 'errors'}</span>`
      }<span class="grow"></span><${Tabs} hotspots=${hotspots} /></div>
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
  foldServices,
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
    <button onClick=${foldServices}>${anyFolded ? 'Unfold all' : 'Fold to services'}</button>
    <button disabled=${!zoomed} onClick=${reset} title="0">Whole trace</button>
  </div>`;
}

function Tabs({ hotspots }) {
  const tab = (on, value, name) =>
    html`<button aria-pressed=${on} onClick=${() => patch({ tab: value })}>${name}</button>`;
  return html`<div class="tabs" role="group" aria-label="view">
    ${tab(!hotspots, '', 'Waterfall')}${tab(hotspots, 'hotspots', 'Code hotspots')}</div>`;
}

function View({ trace, params }) {
  const tree = useMemo(() => buildTree(trace.spans), [trace]);
  const colors = useMemo(() => serviceColors(trace.spans.map((s) => s.service)), [trace]);
  const head = html`<${Head} trace=${trace} tree=${tree} color=${colors.get(tree.rows[0].span.service)}
    hotspots=${params.tab === 'hotspots'} />`;
  return params.tab === 'hotspots'
    ? html`${head}<${Hotspots} trace=${trace} tree=${tree} colors=${colors} />`
    : html`${head}<${Spans} trace=${trace} tree=${tree} colors=${colors} params=${params} />`;
}

function Spans({ trace, tree, colors, params }) {
  const errors = useMemo(() => tree.rows.filter((n) => n.bad), [tree]);
  const total = Math.max(1, tree.duration);
  const time = useView(total);
  const walk = useWalk(tree, params.span);
  const { rows, selected, select } = walk;
  const [text, setText] = useState('');
  const [showPath, setPath] = useState(false);
  const [split, setSplit] = useState(40);
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length ? tree.rows.filter((n) => matches(n, words)) : null;
  }, [tree, text]);
  const hits = useMemo(() => (found ? new Set(found) : null), [found]);

  useKeys({
    ArrowDown: () => walk.move(1),
    j: () => walk.move(1),
    ArrowUp: () => walk.move(-1),
    k: () => walk.move(-1),
    PageDown: () => walk.move(20),
    PageUp: () => walk.move(-20),
    Home: () => select(rows[0]),
    End: () => select(rows[rows.length - 1]),
    ArrowLeft: walk.left,
    ArrowRight: walk.right,
    Enter: () => selected && walk.fold(selected),
    Escape: () => select(null),
    '+': () => time.zoom(0.5),
    '=': () => time.zoom(0.5),
    '-': () => time.zoom(2),
    0: time.reset,
    f: () => selected && time.zoomTo(selected),
    '[': () => time.pan(-0.2),
    ']': () => time.pan(0.2),
    e: () => walk.cycle(errors, 1),
    n: () => walk.cycle(found, 1),
    N: () => walk.cycle(found, -1),
    c: () => copy(trace.trace_id, 'trace id'),
    p: () => setPath(!showPath),
  });

  return html`
    ${
      trace.truncated &&
      html`<div
      class="alert">This trace is larger than the screen takes: its first ${count(tree.rows.length)} spans are shown.</div>`
    }
    <${Tools} text=${text} setText=${setText} found=${found}
      at=${found ? found.indexOf(selected) : -1} step=${(by) => walk.cycle(found, by)}
      nextError=${() => walk.cycle(errors, 1)} errors=${errors.length}
      foldServices=${walk.foldServices} anyFolded=${walk.folded.size > 0}
      showPath=${showPath} setPath=${setPath} zoomed=${time.zoomed} reset=${time.reset} />
    <${Minimap} rows=${tree.rows} duration=${total} colors=${colors} view=${time.view}
      onView=${time.set} />
    <div class="trace-body">
      <${Waterfall} walk=${walk} time=${time}
        colors=${colors} hits=${hits} showPath=${showPath} split=${split} onSplit=${setSplit} />
      ${
        selected
          ? html`<${SpanPanel} node=${selected} color=${colors.get(selected.span.service)}
            params=${carried(params)} onClose=${() => select(null)} onParent=${select} />`
          : html`<${ServicesPanel} tree=${tree} colors=${colors} params=${carried(params)} />`
      }
    </div>`;
}

// The answer in hand, replaced only by one with more spans, so that looking again disturbs nobody.
function useTrace(id) {
  const [young, setYoung] = useState(false);
  const [tick, again] = useTick(young, 2500);
  const { data, error, loading } = useApi(`traces/${id}`, {}, tick);
  const shown = useRef(null);
  if (
    data?.trace_id !== shown.current?.trace_id ||
    data?.spans.length > shown.current?.spans.length
  )
    shown.current = data;
  useEffect(() => {
    if (!data) return;
    const end = dateOfNs(data.start_unix_ns).getTime() + data.duration_ns / 1e6;
    setYoung(Date.now() - end < YOUNG_MS);
  }, [data]);
  return { trace: shown.current, error, again, loading: loading && !young };
}

export default function Trace({ arg: id, params }) {
  const { trace, error, again, loading } = useTrace(id);
  if (error?.status === 404) {
    return html`<${Notice} title="This trace is not in the store">
      <p class="mono">${id}</p>
      <p>It may still be on its way (a trace arrives a few seconds after its end), it may have been
        sampled out, or it was retired with old data.</p>
      <p><button onClick=${again}>Look again</button>${' '}
        or <a href=${href('/traces', carried(params))}>search</a>.</p>
    </${Notice}>`;
  }
  return html`<${Progress} on=${loading} />
    ${error && html`<${Failure} error=${error} retry=${again} />`}
    ${
      trace &&
      trace.spans.length > 0 &&
      html`<${View} key=${trace.trace_id} trace=${trace}
      params=${params} />`
    }`;
}
