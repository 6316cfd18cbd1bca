// screens/traces.js - search: the query line, filters, a dot plot and the list of traces, page after page as it scrolls.

import { html, useEffect, useMemo, useRef, useState } from '../../vendor/preact.js';
import { get, useApi, useTick } from '../lib/api.js';
import { serviceColors } from '../lib/color.js';
import { clock, count, dateOfNs, dateTime } from '../lib/format.js';
import { useKeys } from '../lib/keys.js';
import { rangeOf } from '../lib/range.js';
import { go, href, patch } from '../lib/router.js';
import { Duration } from '../parts/duration.js';
import { Facets } from '../parts/facets.js';
import { Failure, NothingYet, Progress } from '../parts/notice.js';
import { Scatter } from '../parts/scatter.js';
import { SearchBox } from '../parts/searchbox.js';
import { carried } from '../parts/shell.js';
import { VirtualList } from '../parts/virtual.js';

const ROW = 32;
const PAGE = 100;
const CEILING = 5000; // rows kept; the list ends there and asks for a narrower search
const SORTS = [
  ['-start', 'newest first'],
  ['start', 'oldest first'],
  ['-duration', 'slowest first'],
  ['duration', 'fastest first'],
];

// The first page comes from useApi (so it follows the address and the live tick); later ones are appended here.
function usePages(query, tick) {
  const first = useApi('traces', { ...query, limit: PAGE }, tick);
  const [more, setMore] = useState({ of: null, traces: [], next: '', error: null });
  const asked = useRef('');
  const valid = more.of === first.data;
  const traces = first.data ? [...first.data.traces, ...(valid ? more.traces : [])] : [];
  // The intake orders by a trace's longest part, the row shows the whole.
  if (query.sort === '-duration') traces.sort((a, b) => b.duration_ns - a.duration_ns);
  if (query.sort === 'duration') traces.sort((a, b) => a.duration_ns - b.duration_ns);
  const next = (valid ? more.next : first.data?.next) ?? '';

  const load = () => {
    if (!next || asked.current === next || traces.length >= CEILING) return;
    asked.current = next;
    get('traces', { ...query, limit: PAGE, cursor: next }).then(
      (page) =>
        setMore((old) => ({
          of: first.data,
          traces: [...(old.of === first.data ? old.traces : []), ...page.traces],
          next: page.next,
          error: null,
        })),
      (error) => {
        asked.current = '';
        setMore((old) => ({ ...old, of: first.data, next, error }));
      },
    );
  };
  return { ...first, traces, next, load, moreError: valid ? more.error : null };
}

// The facets come from the statistics, which arrive later than traces: what the list shows is added.
function withListed(facets, traces) {
  const union = (known, listed) =>
    [...new Set([...(known ?? []), ...listed])].filter(Boolean).sort();
  return {
    ...facets,
    services: union(
      facets?.services,
      traces.flatMap((t) => t.services),
    ),
    operations: union(
      facets?.operations,
      traces.map((t) => t.name),
    ),
    types: union(
      facets?.types,
      traces.map((t) => t.type),
    ),
    hosts: facets?.hosts ?? [],
  };
}

function Services({ names, colors }) {
  const shown = names.slice(0, 8);
  return html`<span class="more" title=${names.join(', ')}>${shown.map(
    (s) => html`<i
    class=${`dot ${colors.get(s)}`}></i>`,
  )}
    ${
      names.length > shown.length &&
      html`<span
      class="faint">+${names.length - shown.length}</span>`
    }</span>`;
}

function Row({ trace: t, top, selected, longest, colors, link }) {
  const start = dateOfNs(t.start_unix_ns);
  const bad = t.status === 'error';
  return html`<a class="trow" role="option" href=${link} aria-selected=${selected}
    style=${{ transform: `translateY(${top}px)` }}>
    <span class="mono dim" title=${dateTime(start)}>${clock(start)}</span>
    <span class="svc"><i class=${`dot ${colors.get(t.service)}`}></i>
      <span class="cut">${t.service}</span></span>
    <span class="what cut" title=${`${t.name} ${t.resource}`}><b>${t.resource}</b>${' '}
      <span class="faint">${t.name !== t.resource ? t.name : ''}</span></span>
    <span class="cut">${
      t.http_status &&
      html`<span
      class=${`badge ${bad ? 'error' : ''}`}>${t.http_status}</span> `
    }
      ${bad && html`<span class="badge error">${t.error_spans > 1 ? `${t.error_spans} errors` : 'error'}</span>`}</span>
    <span class="num dim">${count(t.spans)}</span>
    <${Services} names=${t.services} colors=${colors} />
    <span class="dur"><span class="track"><i class=${bad ? 'bad' : ''}
      style=${{ width: `${(t.duration_ns / longest) * 100}%` }}></i></span>
      <span class="num"><${Duration} ns=${t.duration_ns} /></span></span>
  </a>`;
}

function List({ traces, selected, colors, params, foot, onEnd }) {
  const longest = traces.reduce((most, t) => Math.max(most, t.duration_ns), 1);
  return html`
    <div class="thead"><span>Start</span><span>Service</span><span>Resource</span>
      <span>Status</span><span class="num">Spans</span><span>Services</span><span>Duration</span></div>
    <${VirtualList} items=${traces} height=${ROW} reveal=${selected} class="rows" role="listbox"
      aria-label="traces" onEnd=${onEnd} foot=${foot} footHeight=${42}
      row=${(
        t,
        i,
        top,
      ) => html`<${Row} key=${t.trace_id} trace=${t} top=${top} selected=${i === selected}
        longest=${longest} colors=${colors}
        link=${href(`/traces/${t.trace_id}`, carried(params))} />`} />`;
}

export default function Traces({ params }) {
  const { from, to } = rangeOf(params);
  const [empty, setEmpty] = useState(false);
  const [selected, setSelected] = useState(-1);
  // A list somebody walks through stands still; an empty one looks again by itself.
  const [tick, again] = useTick((params.live === '1' && selected < 0) || empty);
  const query = {
    query: params.query ?? '',
    from,
    to,
    env: params.env ?? '',
    sort: params.sort ?? '-start',
  };
  const known = useApi('facets', { from, to }, 0).data;
  const page = usePages(query, tick);
  const { traces } = page;
  const facets = useMemo(() => withListed(known, traces), [known, page.data, traces.length]);
  useEffect(() => {
    setSelected(-1);
  }, [params.query, params.sort, from, to, params.env]);
  useEffect(() => setEmpty(page.data !== null && traces.length === 0), [page.data]);

  const search = (text) => {
    patch({ query: text }, {});
  };
  const step = (by) => setSelected((at) => Math.max(0, Math.min(traces.length - 1, at + by)));
  const open = () => {
    if (traces[selected]) go(`/traces/${traces[selected].trace_id}`, carried(params));
  };
  useKeys({
    j: () => step(1),
    ArrowDown: () => step(1),
    k: () => step(-1),
    ArrowUp: () => step(-1),
    PageDown: () => step(20),
    PageUp: () => step(-20),
    Enter: open,
    Escape: () => setSelected(-1),
  });

  const colors = serviceColors(facets.services);
  const foot = page.moreError
    ? html`<span class="err">${page.moreError.message}</span> <button
      onClick=${page.load}>Try again</button>`
    : traces.length >= CEILING
      ? `The first ${count(CEILING)} are shown. Narrow the search to see others.`
      : page.next
        ? html`<button onClick=${page.load}>More</button>`
        : `${count(traces.length)} ${traces.length === 1 ? 'trace' : 'traces'}, all shown`;
  return html`
    <${Progress} on=${page.loading && params.live !== '1' && !empty} />
    <div class="search">
      <${SearchBox} value=${query.query} facets=${facets} onSearch=${search} />
      <select aria-label="order" value=${query.sort}
        onChange=${(e) => patch({ sort: e.target.value }, {})}>
        ${SORTS.map(([value, name]) => html`<option value=${value}>${name}</option>`)}</select>
    </div>
    <div class="split">
      <${Facets} facets=${facets} query=${query.query} onSearch=${search} />
      <div class="results">
        ${page.error && html`<${Failure} error=${page.error} retry=${again} />`}
        ${
          traces.length > 0 &&
          html`<${Scatter} traces=${traces} selected=${selected} onPick=${setSelected} />
          <${List} traces=${traces} selected=${selected} colors=${colors} params=${params}
            foot=${foot} onEnd=${page.load} />`
        }
        ${
          empty &&
          !page.error &&
          html`<${NothingYet} what="traces" tick=${tick}
          widen=${() => patch({ from: 'now-2d', to: '', env: '', query: '' })} />`
        }
      </div>
    </div>`;
}
