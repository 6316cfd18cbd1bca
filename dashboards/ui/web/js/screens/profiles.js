// screens/profiles.js - what a service spends its time and memory on: all its profiles of a time range as a flame graph,
// a table of functions, or its threads over time; alone or compared with another time.

import { html, useEffect, useMemo, useState } from '../../vendor/preact.js';
import { useApi, useTick } from '../lib/api.js';
import { amount, buildFlame, findFrames, sameNode, weighMatches } from '../lib/flame.js';
import { count, percent } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { rangeOf, toSeconds } from '../lib/range.js';
import { go, patch } from '../lib/router.js';
import { FlameGraph } from '../parts/flamegraph.js';
import { FramePanel } from '../parts/framepanel.js';
import { Functions } from '../parts/functions.js';
import { Lanes } from '../parts/lanes.js';
import { Failure, NoProfiles, Notice, Progress } from '../parts/notice.js';
import { Timeline } from '../parts/timeline.js';

const COMPARE = [
  ['', 'no comparison'],
  ['before', 'with the time before'],
  ['1d', 'with a day before'],
  ['7d', 'with a week before'],
];
const AGO = { '1d': 86400, '7d': 7 * 86400 };
const FILES = [
  ['pprof', 'pprof (.pb.gz)'],
  ['collapsed', 'collapsed stacks'],
  ['speedscope', 'speedscope'],
  ['html', 'flame graph, one HTML file'],
];
const DETAIL = { min_share: 0.0001, nodes: 50000 }; // what can be zoomed to
const STEP_S = 30; // a time to compare with moves in such steps, so that a screen that is looked at stands still

const quote = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

// The other side of a comparison in Unix seconds, or null.
function baseOf(params, from, to) {
  if (params.base_from)
    return { from: Number(params.base_from), to: Number(params.base_to) };
  if (!params.compare) return null;
  const [a, b] = [from, to].map((t) => Math.floor(toSeconds(t) / STEP_S) * STEP_S);
  const ago = AGO[params.compare] ?? b - a;
  return { from: a - ago, to: b - ago };
}

function Picker({ name, value, items, onPick, all }) {
  if (items.length === 0 && !value) return null;
  const listed = items.some((i) => i.name === value) || !value;
  return html`<select aria-label=${name} value=${value} onChange=${(e) => onPick(e.target.value)}>
    ${all && html`<option value="">${all}</option>`}
    ${!listed && html`<option value=${value}>${value}</option>`}
    ${items.map((i) => html`<option value=${i.name}>${i.label ?? i.name}</option>`)}
  </select>`;
}

function Files({ query, none }) {
  const [open, setOpen] = useState(false);
  const link = (format) =>
    `/api/sonde/v1/profiles/download?${new URLSearchParams(
      Object.entries({ ...query, format, base_from: '', base_to: '' }).filter(([, v]) => v !== ''),
    )}`;
  useEffect(() => {
    if (!open) return undefined;
    const close = () => setOpen(false);
    addEventListener('click', close);
    return () => removeEventListener('click', close);
  }, [open]);
  useKeys(open ? { Escape: () => setOpen(false) } : {});
  return html`<div class="anchor"><button aria-haspopup="menu" aria-expanded=${open} disabled=${none}
    onClick=${(e) => {
      e.stopPropagation();
      setOpen(!open);
    }}>Download</button>
    ${
      open &&
      html`<div class="pop menu" role="menu">${FILES.map(
        ([format, name]) => html`<a role="menuitem" href=${link(format)} download>${name}</a>`,
      )}</div>`
    }</div>`;
}

function Head({ list, answer, service, params, query }) {
  const names = [...new Set(list.services.map((s) => s.service))].sort();
  return html`<div class="head">
    <h1>Profiles</h1>
    <${Picker} name="service" value=${service} items=${names.map((name) => ({ name }))}
      onPick=${(v) => patch({ service: v, type: '', focus: '', thread: '', endpoint: '', object: '', only: '' }, {})} />
    <${Picker} name="sample type" value=${answer?.type ?? params.type ?? ''}
      items=${(answer?.types ?? []).map((t) => ({ name: t.type }))} onPick=${(v) => patch({ type: v }, {})} />
    <${Picker} name="comparison" value=${params.base_from ? 'chosen' : (params.compare ?? '')}
      items=${[...COMPARE.map(([name, label]) => ({ name, label })), ...(params.base_from ? [{ name: 'chosen', label: 'with the chosen time' }] : [])]}
      onPick=${(v) => v !== 'chosen' && patch({ compare: v, base_from: '', base_to: '' }, {})} />
    <span class="grow"></span>
    ${
      answer &&
      html`<span class="dim"><b>${amount(answer.total, answer.unit)}</b> in ${count(answer.samples)} samples of${' '}
      ${count(answer.profiles)} ${answer.profiles === 1 ? 'profile' : 'profiles'}${
        answer.base && html`, before <b>${amount(answer.base.total, answer.unit)}</b>`
      }</span>`
    }
    <${Files} query=${query} none=${!answer || answer.samples === 0} />
  </div>`;
}

function Tools({ answer, params, said, zoomed, reset }) {
  const keyed = (keys) => keys.map((k) => ({ name: k.name }));
  const view = params.view ?? 'flame';
  const tab = (name, title) =>
    html`<button aria-pressed=${view === name} onClick=${() => patch({ view: name === 'flame' ? '' : name }, {})}>${title}</button>`;
  const chip = (name, value) =>
    value && html`<button class="chip" title="remove" onClick=${() => patch({ [name]: '' }, {})}>${value} ✕</button>`;
  return html`<div class="tools wrap">
    <div class="tabs" role="group" aria-label="view">${tab('flame', 'Flame graph')}${tab('top', 'Functions')}${tab('threads', 'Threads')}</div>
    <input type="search" placeholder="find functions (regex)" aria-label="find functions"
      value=${params.find ?? ''} onInput=${(e) => patch({ find: e.target.value })} />
    <span class="count" role="status">${said}</span>
    ${chip('only', params.only && `stacks with ${params.only}`)}
    ${chip('span', params.span && `span ${params.span}`)}
    ${chip('root', params.root && `local root ${params.root}`)}
    <span class="grow"></span>
    <${Picker} name="thread" all="all threads" value=${params.thread ?? ''}
      items=${keyed(answer.threads)} onPick=${(v) => patch({ thread: v }, {})} />
    <${Picker} name="endpoint" all="all endpoints" value=${params.endpoint ?? ''}
      items=${keyed(answer.endpoints)} onPick=${(v) => patch({ endpoint: v }, {})} />
    <${Picker} name="library" all="all libraries" value=${params.object ?? ''}
      items=${keyed(answer.objects)} onPick=${(v) => patch({ object: v }, {})} />
    ${
      view === 'flame' &&
      !params.focus &&
      html`<button aria-pressed=${params.inverted === '1'} title="i: callers below what they call"
      onClick=${() => patch({ inverted: params.inverted === '1' ? '' : '1' }, {})}>Inverted</button>
    <button disabled=${!zoomed} onClick=${reset} title="0">Reset zoom</button>`
    }
  </div>`;
}

function Alerts({ answer }) {
  if (answer.base?.total === 0)
    return html`<div class="alert">There is no profile to compare with in that time.</div>`;
  return (
    (answer.timed_out || answer.truncated) &&
    html`<div class="alert">There is more than could be merged ${answer.timed_out ? 'in time' : 'at once'}: the latest profiles are shown.</div>`
  );
}

function Flame({ answer, flame, query, params, found, zoom, setZoom, selected, setSelected }) {
  const focus = (name) => patch({ focus: name }, {});
  useKeys({
    i: () => patch({ inverted: params.inverted === '1' ? '' : '1' }, {}),
    s: () => selected?.parent && focus(selected.frame.name),
  });
  return html`<div class="trace-body">
    <${FlameGraph} flame=${flame} unit=${answer.unit} found=${found} zoom=${zoom} onZoom=${setZoom}
      selected=${selected} onPick=${setSelected} isDiff=${answer.base?.total > 0}
      onObject=${(name) => patch({ object: params.object === name ? '' : name }, {})} />
    ${
      selected &&
      html`<${FramePanel} node=${selected} flame=${flame} unit=${answer.unit} query=${query} params=${params}
      isDiff=${answer.base?.total > 0} onClose=${() => setSelected(null)} onFocus=${focus}
      onOnly=${(name) => patch({ only: name }, {})} />`
    }
  </div>`;
}

// One function in the middle: who calls it above, what it calls below.
function Sandwich({ query, params, find, tick }) {
  const half = (inverted) => {
    const { data, error } = useApi('profiles/flamegraph', { ...query, focus: params.focus, inverted }, tick);
    return { data, error, flame: useMemo(() => data && buildFlame(data), [data]) };
  };
  const callers = half('1');
  const callees = half('');
  const [picked, setPicked] = useState(null);
  const [zooms, setZooms] = useState({});
  const pane = (side, title, key) => {
    if (side.error) return html`<${Failure} error=${side.error} />`;
    if (!side.flame) return null;
    const zoom = zooms[key] && side.flame.nodes[zooms[key].id] === zooms[key] ? zooms[key] : side.flame.root;
    return html`<section class="half" aria-label=${title}><h2>${title}</h2>
      <${FlameGraph} flame=${side.flame} unit=${side.data.unit} found=${findFrames(side.flame, find)} zoom=${zoom}
        onZoom=${(n) => setZooms({ ...zooms, [key]: n })} selected=${picked} onPick=${setPicked}
        isDiff=${side.data.base?.total > 0} keys=${false} legend=${key === 'callees'} /></section>`;
  };
  useKeys({ Escape: () => patch({ focus: '' }, {}) });
  return html`<div class="focus"><span class="dim">callers and callees of</span> <b class="mono">${params.focus}</b>
      ${callees.data && html`<span class="dim">${amount(callees.data.total, callees.data.unit)}</span>`}
      <button onClick=${() => patch({ focus: '' }, {})} title="Esc">Back to the flame graph</button></div>
    ${
      callees.data?.total === 0 &&
      html`<${Notice} title="No sample of this kind is in the function">
      <p>Other sample types may have some: memory is allocated elsewhere than time is spent.</p></${Notice}>`
    }
    <div class="halves" hidden=${callees.data?.total === 0}>${pane(callers, 'Callers', 'callers')}${pane(callees, 'Callees', 'callees')}</div>`;
}

function saidOf(flame, find, found) {
  if (!find) return '';
  if (!found) return 'not a pattern';
  if (!found.size) return 'no match';
  return `${percent(flame.total ? weighMatches(flame, found) / flame.total : 0)}\u202f%`;
}

function View({ answer, query, params, tick }) {
  const flame = useMemo(() => buildFlame(answer), [answer]);
  const [zoomed, setZoom] = useState(null);
  const [picked, setSelected] = useState(null);
  const find = params.find ?? '';
  const found = useMemo(() => findFrames(flame, find), [flame, find]);
  // the next answer shows what the one before showed, as far as it has it
  const zoom = useMemo(() => sameNode(flame, zoomed) ?? flame.root, [flame, zoomed]);
  const selected = useMemo(() => sameNode(flame, picked), [flame, picked]);
  const shown =
    params.view === 'threads'
      ? html`<${Lanes} query=${query} params=${params} tick=${tick} />`
      : params.view === 'top'
        ? html`<${Functions} query=${query} params=${params} find=${find} tick=${tick} />`
        : params.focus
          ? html`<${Sandwich} query=${query} params=${params} find=${find} tick=${tick} />`
          : html`<${Flame} answer=${answer} flame=${flame} query=${query} params=${params} found=${found}
            zoom=${zoom} setZoom=${setZoom} selected=${selected} setSelected=${setSelected} />`;
  return html`<${Tools} answer=${answer} params=${params} said=${saidOf(flame, find, found)}
      zoomed=${zoom !== flame.root} reset=${() => setZoom(null)} />
    <${Alerts} answer=${answer} />${shown}`;
}

export default function Profiles({ params }) {
  const { from, to } = rangeOf(params);
  const [tick, again] = useTick(params.live === '1');
  const range = { from, to, env: params.env ?? '' };
  const list = useApi('profiles', { ...range, limit: 1 }, tick);
  const services = list.data?.services ?? [];
  const service = params.service ?? services[0]?.service ?? '';
  const base = baseOf(params, from, to);
  const query = {
    ...range,
    service,
    type: params.type ?? '',
    thread: params.thread ?? '',
    endpoint: params.endpoint ?? '',
    object: params.object ? `(^|/)${quote(params.object)}$` : '',
    frame: params.only ? `^${quote(params.only)}$` : '',
    span: params.span ?? '',
    root: params.root ?? '',
    base_from: base?.from ?? '',
    base_to: base?.to ?? '',
  };
  const asked = service ? 'profiles/flamegraph' : null;
  const { data: answer, error, loading } = useApi(
    asked,
    { ...query, ...DETAIL, inverted: params.inverted ?? '', timeline: 1 },
    `${tick} ${params.view ?? ''}`, // its sum stands above the other views too, which are of now
  );
  const failed = list.error ?? error;
  return html`
    <${Progress} on=${(loading || list.loading) && params.live !== '1'} />
    ${failed && html`<${Failure} error=${failed} retry=${again} />`}
    ${
      list.data &&
      service &&
      html`<${Head} list=${list.data} answer=${answer} service=${service} params=${params} query=${query} />`
    }
    ${
      answer &&
      html`<${Timeline} line=${answer} unit=${answer.unit} base=${base}
      onRange=${(a, b) => patch({ from: String(a), to: String(b) }, {})}
      onBase=${(a, b) => patch({ base_from: String(a), base_to: String(b), compare: '' }, {})} />`
    }
    ${
      answer &&
      (answer.total > 0 || answer.base?.total > 0) &&
      html`<${View} answer=${answer} query=${query} params=${params} tick=${tick} />`
    }
    ${
      list.data &&
      !failed &&
      (!service || (answer && answer.total === 0 && !(answer.base?.total > 0))) &&
      html`<${NoProfiles} service=${service} others=${services.length > 0} any=${services.some((s) => s.service === service)}
        widen=${() => patch({ from: 'now-2d', to: '', env: '' })}
        clear=${() => go('/profiles', { from: params.from, to: params.to, service: params.service })} />`
    }`;
}
