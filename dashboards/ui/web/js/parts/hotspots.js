// parts/hotspots.js - the code that ran for one trace: its profiles' samples as a flame graph, and what each span cost.

import { html, useEffect, useMemo, useState } from '../../vendor/preact.js';
import { useApi } from '../lib/api.js';
import { amount, buildFlame, findFrames } from '../lib/flame.js';
import { count, percent } from '../lib/format.js';
import { FlameGraph } from './flamegraph.js';
import { Failure, Notice, Progress } from './notice.js';

// Spans of the trace that have samples, the heaviest first.
function spansOf(answer, tree) {
  const nodes = new Map(tree.rows.map((n) => [n.span.span_id, n]));
  return answer.spans.map((s) => ({ ...s, node: nodes.get(s.name) })).filter((s) => s.node);
}

function SpanCosts({ spans, answer, span, setSpan, colors }) {
  const all = spans.reduce((sum, s) => sum + s.value, 0) || 1;
  return html`<aside class="side" aria-label="spans with samples"><div class="scroll">
    <h2>By span</h2>
    <table class="sum"><tbody>${spans.map(
      (s) => html`<tr key=${s.name} class=${`${colors.get(s.node.span.service)} ${s.name === span ? 'on' : ''}`}>
      <td><span class="svc"><i class="dot"></i><button class="plain" title=${s.node.span.resource}
        aria-pressed=${s.name === span}
        onClick=${() => setSpan(s.name === span ? '' : s.name)}>${s.node.span.resource || s.node.span.name}</button></span>
        <div class="part" style=${{ width: `${(s.value / all) * 100}%` }}></div></td>
      <td class="num">${amount(s.value, answer.unit)}</td></tr>`,
    )}</tbody></table>
    <p class="faint">Samples say which span was active when they were taken. Pick a span to see its code alone.</p>
  </div></aside>`;
}

// What ran, or, when nobody chose and nothing did, what was waited for: a request that only waits has no CPU time.
function useSamples(trace) {
  const [chosen, setType] = useState(null);
  const first = useApi('profiles/flamegraph', { trace, type: chosen ?? '' });
  const wall = first.data?.types.find((t) => /^wall(-time)?$/.test(t.type));
  const other = chosen === null && first.data?.total === 0 && wall;
  const second = useApi(other ? 'profiles/flamegraph' : null, { trace, type: other ? wall.type : '' });
  return { whole: other ? second : first, setType };
}

export function Hotspots({ trace, tree, colors }) {
  const [span, setSpan] = useState('');
  const [text, setText] = useState('');
  const { whole, setType } = useSamples(trace.trace_id);
  const query = { trace: trace.trace_id, type: whole.data?.type ?? '' };
  const one = useApi(span ? 'profiles/flamegraph' : null, { ...query, span });
  const answer = span ? (one.data ?? whole.data) : whole.data;
  const flame = useMemo(() => answer && buildFlame(answer), [answer]);
  const [zoom, setZoom] = useState(null);
  const [selected, setSelected] = useState(null);
  useEffect(() => {
    setZoom(null);
    setSelected(null);
  }, [flame]);
  const error = whole.error ?? one.error;
  if (error) return html`<${Failure} error=${error} />`;
  if (!flame) return html`<${Progress} on=${true} />`;
  const types = answer.types.length > 0 && html`<select aria-label="sample type" value=${answer.type}
    onChange=${(e) => setType(e.target.value)}>${answer.types.map((t) => html`<option value=${t.type}>${t.type}</option>`)}</select>`;
  if (whole.data.total === 0)
    return html`<div class="hotspots"><div class="tools">${types}</div>
      <${Notice} title="No profile has samples of this trace">
      <p>A profile arrives up to a minute after the code has run, and a short request may fall between two samples.</p>
      <p>Are its services profiled? <code>DD_PROFILING_ENABLED=1</code></p>
    </${Notice}></div>`;
  const spans = spansOf(whole.data, tree);
  const found = findFrames(flame, text);
  const said = !text || found ? '' : 'not a pattern';
  return html`<div class="hotspots">
    <div class="tools">
      ${types}
      <input type="search" placeholder="find functions (regex)" aria-label="find functions" value=${text}
        onInput=${(e) => setText(e.target.value)} />
      <span class="count" role="status">${said}</span>
      <span class="grow"></span>
      <span class="dim"><b>${amount(answer.total, answer.unit)}</b> in ${count(answer.samples)} ${answer.samples === 1 ? 'sample' : 'samples'}${
        span && html`, ${percent(answer.total / (whole.data.total || 1))}\u202f% of the trace's`
      }</span>
      <button disabled=${!zoom} onClick=${() => setZoom(null)} title="0">Reset zoom</button>
    </div>
    <div class="trace-body">
      <${FlameGraph} flame=${flame} unit=${answer.unit} found=${found} zoom=${zoom ?? flame.root}
        onZoom=${(n) => setZoom(n === flame.root ? null : n)} selected=${selected} onPick=${setSelected} />
      <${SpanCosts} spans=${spans} answer=${answer} span=${span} setSpan=${setSpan} colors=${colors} />
    </div></div>`;
}
