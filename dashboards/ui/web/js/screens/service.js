// screens/service.js - one service: requests, errors and latency over time, and its resources.

import { html, useMemo } from '../../vendor/preact.js';
import { useApi, useTick } from '../lib/api.js';
import { serviceColors } from '../lib/color.js';
import { count, duration, mark, percent, rate } from '../lib/format.js';
import { term } from '../lib/query.js';
import { rangeOf } from '../lib/range.js';
import { href, patch } from '../lib/router.js';
import { Chart } from '../parts/chart.js';
import { Duration } from '../parts/duration.js';
import { Failure, NothingYet, Progress } from '../parts/notice.js';
import { carried } from '../parts/shell.js';
import { SortHead, rowClick, sortRows, walkRows } from '../parts/table.js';

const COLUMNS = [
  { key: 'resource', title: 'Resource', value: (r) => r.resource },
  { key: 'name', title: 'Operation', value: (r) => r.name },
  { key: 'kind', title: 'Kind', value: (r) => r.span_kind },
  { key: 'rate', title: 'req/s', class: 'num', value: (r) => r.per_second },
  { key: 'hits', title: 'Hits', class: 'num', value: (r) => r.hits },
  { key: 'errors', title: 'Errors', class: 'num', value: (r) => r.error_rate },
  { key: 'p50', title: 'p50', class: 'num', value: (r) => r.duration_ns.p50 },
  { key: 'p95', title: 'p95', class: 'num', value: (r) => r.duration_ns.p95 },
  { key: 'p99', title: 'p99', class: 'num', value: (r) => r.duration_ns.p99 },
  { key: 'time', title: 'Time share', class: 'num', value: (r) => r.share },
];

const HITS = [
  { name: 'requests', color: '--bar', kind: 'bars' },
  { name: 'errors', color: '--error', kind: 'bars' },
];
const ERRORS = [{ name: 'errors', color: '--error' }];
const LATENCY = [
  { name: 'p50', color: '--q50' },
  { name: 'p75', color: '--q75' },
  { name: 'p95', color: '--q95' },
  { name: 'p99', color: '--q99' },
];

function Charts({ series }) {
  const { points, step_s: step } = series;
  const columns = useMemo(() => {
    const t = points.map((p) => p.t);
    return {
      hits: [t, points.map((p) => p.hits / step), points.map((p) => p.errors / step)],
      errors: [t, points.map((p) => (p.hits ? p.errors / p.hits : null))],
      latency: [t, ...['p50', 'p75', 'p95', 'p99'].map((q) => points.map((p) => p[q]))],
    };
  }, [series]);
  return html`<div class="charts">
    <${Chart} title="Requests per second" data=${columns.hits} series=${HITS} format=${rate}
      mark=${(v) => (count(v) === '0' ? rate(v) : String(Number(v.toPrecision(3))))} />
    <${Chart} title="Error rate" data=${columns.errors} series=${ERRORS}
      format=${(v) => `${percent(v)}\u202f%`} mark=${(v) => `${Number((v * 100).toPrecision(3))}\u202f%`} />
    <${Chart} title="Latency" data=${columns.latency} series=${LATENCY} format=${duration}
      mark=${mark} />
  </div>`;
}

function Row({ r, service, params }) {
  const query = `${term('service', service)} ${term('resource_name', r.resource)}`;
  return html`<tr onClick=${rowClick}>
    <td class="cut"><a href=${href('/traces', { ...carried(params), query })}
      title="traces of this resource">${r.resource}</a></td>
    <td class="dim">${r.name}</td>
    <td class="dim">${r.span_kind || '–'}</td>
    <td class="num">${rate(r.per_second)}</td>
    <td class="num">${count(r.hits)}</td>
    <td class=${`num ${r.errors ? 'err' : 'faint'}`}>${percent(r.error_rate)}<span
      class="unit">%</span></td>
    <td class="num"><${Duration} ns=${r.duration_ns.p50} /></td>
    <td class="num"><${Duration} ns=${r.duration_ns.p95} /></td>
    <td class="num"><${Duration} ns=${r.duration_ns.p99} /></td>
    <td class="num"><span class="share"><i style=${{ width: `${r.share * 100}%` }}></i></span>
      ${percent(r.share)}<span class="unit">%</span></td>
  </tr>`;
}

// Time share: how much of all counted time of this service the resource took.
function withShare(resources) {
  const time = (r) => r.hits * r.duration_ns.avg;
  const all = resources.reduce((sum, r) => sum + time(r), 0) || 1;
  return resources.map((r) => ({ ...r, share: time(r) / all }));
}

export default function Service({ arg: service, params }) {
  const { from, to } = rangeOf(params);
  const query = { from, to, env: params.env ?? '' };
  const path = `services/${encodeURIComponent(service)}`;
  const [tick, again] = useTick(params.live === '1');
  const series = useApi(`${path}/series`, query, tick);
  const resources = useApi(`${path}/resources`, query, tick);
  const error = series.error ?? resources.error;
  const list = resources.data?.resources ?? [];
  const sort = params.sort ?? '-hits';
  const color = serviceColors([service]).get(service);

  return html`
    <${Progress} on=${(series.loading || resources.loading) && !params.live} />
    ${error && html`<${Failure} error=${error} retry=${again} />`}
    <div class="head">
      <i class=${`dot ${color}`}></i><h1>${service}</h1><span class="grow"></span>
      <a href=${href('/traces', { ...carried(params), query: term('service', service) })}>Traces</a>
      <a href=${href('/traces', { ...carried(params), query: `${term('service', service)} status:error` })}>Errors</a>
      <a href=${href('/traces', { ...carried(params), query: term('service', service), sort: '-duration' })}>Slowest</a>
      <a href=${href('/profiles', { ...carried(params), service })}>Profiles</a>
    </div>
    ${series.data && list.length > 0 && html`<${Charts} series=${series.data} />`}
    ${
      list.length > 0 &&
      html`<div class="pane" onKeyDown=${walkRows}><table class="table">
      <${SortHead} columns=${COLUMNS} sort=${sort} />
      <tbody>${sortRows(withShare(list), COLUMNS, sort).map(
        (r) => html`<${Row}
        key=${`${r.name}|${r.resource}|${r.span_kind}`} r=${r} service=${service}
        params=${params} />`,
      )}</tbody>
    </table>${
      resources.data.truncated &&
      html`<p
      class="foot faint">The 500 busiest resources are shown.</p>`
    }</div>`
    }
    ${
      resources.data &&
      list.length === 0 &&
      html`<${NothingYet} tick=${tick}
      what=${`requests of ${service}`} widen=${() => patch({ from: 'now-2d', to: '', env: '' })} />`
    }`;
}
