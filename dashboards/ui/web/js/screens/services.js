// screens/services.js - every service: how much, how well, how fast.

import { html, useEffect, useState } from '../../vendor/preact.js';
import { useApi, useTick } from '../lib/api.js';
import { serviceColors } from '../lib/color.js';
import { count, percent, rate } from '../lib/format.js';
import { rangeOf } from '../lib/range.js';
import { href, patch } from '../lib/router.js';
import { Duration } from '../parts/duration.js';
import { Failure, NothingYet, Progress } from '../parts/notice.js';
import { carried } from '../parts/shell.js';
import { Spark } from '../parts/spark.js';
import { SortHead, rowClick, sortRows, walkRows } from '../parts/table.js';

const COLUMNS = [
  { key: 'service', title: 'Service', value: (s) => s.service },
  { key: 'type', title: 'Type', value: (s) => s.type },
  { key: 'spark', title: 'Requests' },
  { key: 'rate', title: 'req/s', class: 'num', value: (s) => s.per_second },
  { key: 'hits', title: 'Hits', class: 'num', value: (s) => s.hits },
  { key: 'errors', title: 'Errors', class: 'num', value: (s) => s.error_rate },
  { key: 'p50', title: 'p50', class: 'num', value: (s) => s.duration_ns.p50 },
  { key: 'p95', title: 'p95', class: 'num', value: (s) => s.duration_ns.p95 },
  { key: 'p99', title: 'p99', class: 'num', value: (s) => s.duration_ns.p99 },
];

function Row({ s, color, params }) {
  return html`<tr onClick=${rowClick}>
    <td class="name"><span><i class=${`dot ${color}`}></i>
      <a href=${href(`/services/${s.service}`, carried(params))}>${s.service}</a></span></td>
    <td><span class="dim">${s.type || '–'}</span></td>
    <td class="graph"><${Spark} spark=${s.spark} /></td>
    <td class="num">${rate(s.per_second)}</td>
    <td class="num">${count(s.hits)}</td>
    <td class=${`num ${s.errors ? 'err' : 'faint'}`}>${percent(s.error_rate)}<span
      class="unit">%</span></td>
    <td class="num"><${Duration} ns=${s.duration_ns.p50} /></td>
    <td class="num"><${Duration} ns=${s.duration_ns.p95} /></td>
    <td class="num"><${Duration} ns=${s.duration_ns.p99} /></td>
  </tr>`;
}

export default function Services({ params }) {
  const { from, to } = rangeOf(params);
  const query = { from, to, env: params.env ?? '' };
  const [empty, setEmpty] = useState(false);
  const [tick, again] = useTick(params.live === '1' || empty); // an empty page looks again by itself
  const { data, error, loading } = useApi('services', query, tick);
  useEffect(() => setEmpty(data !== null && data.services.length === 0), [data]);
  const sort = params.sort ?? '-hits';

  const list = data ? sortRows(data.services, COLUMNS, sort) : [];
  const colors = serviceColors(list.map((s) => s.service));
  return html`
    <${Progress} on=${loading && !params.live && !empty} />
    ${error && html`<${Failure} error=${error} retry=${again} />`}
    ${
      list.length > 0 &&
      html`
      <div class="head"><h1>Services</h1><span class="dim">${list.length}</span></div>
      <div class="pane" onKeyDown=${walkRows}>
        <table class="table services">
          <${SortHead} columns=${COLUMNS} sort=${sort} />
          <tbody>${list.map(
            (s) => html`<${Row} key=${s.service} s=${s}
            color=${colors.get(s.service)} params=${params} />`,
          )}</tbody>
        </table>
      </div>`
    }
    ${
      data &&
      list.length === 0 &&
      html`<${NothingYet} what="services" tick=${tick}
      widen=${() => patch({ from: 'now-2d', to: '', env: '' })} />`
    }`;
}
