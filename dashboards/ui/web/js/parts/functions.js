// parts/functions.js - the functions of merged profiles as a table, in a comparison with what changed.

import { html } from '../../vendor/preact.js';
import { useApi } from '../lib/api.js';
import { amount } from '../lib/flame.js';
import { count, percent } from '../lib/format.js';
import { here } from '../lib/router.js';
import { Failure } from './notice.js';
import { SortHead, rowClick, walkRows } from './table.js';

const SHARE = (v, all) => (all ? v / all : 0);
const isDiff = (answer) => answer.base?.total > 0;

function columnsOf(answer) {
  return [
    { key: 'name', title: 'Function' },
    { key: 'object', title: 'Object' },
    { key: 'self', title: 'Self', class: 'num', value: (r) => r.self },
    { key: 'self_share', title: '%', class: 'num' },
    { key: 'total', title: 'Total', class: 'num', value: (r) => r.total },
    { key: 'total_share', title: '%', class: 'num' },
    ...(isDiff(answer) ? [{ key: 'change', title: 'Change of self', class: 'num', value: (r) => r.change }] : []),
  ];
}

function Change({ row, answer }) {
  const d = SHARE(row.self, answer.total) - SHARE(row.base_self, answer.base.total);
  const noise = Math.abs(row.z) < 2;
  return html`<td class=${`num ${noise ? 'faint' : d > 0 ? 'err' : 'less'}`}
    title=${noise ? 'within what sampling alone makes differ' : `${row.z.toFixed(1)} standard errors`}>
    ${d > 0 ? '+' : d < 0 ? '−' : ''}${percent(Math.abs(d))}<span class="unit">points</span></td>`;
}

export function Functions({ query, params, find, tick }) {
  const sort = (params.sort ?? '-self').replace(/^-/, '');
  const known = ['self', 'total', 'change'].includes(sort) ? sort : 'self';
  const { data, error } = useApi('profiles/top', { ...query, sort: known, limit: 500 }, tick);
  if (error) return html`<${Failure} error=${error} />`;
  if (!data) return null;
  let re = null;
  try {
    re = find ? new RegExp(find, 'i') : null;
  } catch {
    /* not a pattern yet */
  }
  const rows = data.rows.filter((r) => !re || re.test(r.name) || re.test(r.object));
  const open = (r) => ({ ...here().params, view: '', focus: r.name });
  const cell = (v, all) => html`<td class="num"><span class="share"><i
    style=${{ width: `${Math.min(1, SHARE(v, all)) * 100}%` }}></i></span><span class="share-of">${percent(SHARE(v, all))}<span class="unit">%</span></span></td>`;
  return html`<div class="pane" onKeyDown=${walkRows}><table class="table functions">
    <${SortHead} columns=${columnsOf(data)} sort=${`-${known}`} />
    <tbody>${rows.map(
      (r) => html`<tr key=${`${r.name}|${r.object}`} onClick=${rowClick}>
      <td class="cut mono"><a href=${`/profiles?${new URLSearchParams(open(r))}`} title=${r.file || r.name}>${r.name}</a></td>
      <td class="dim" title=${r.object}>${r.object.slice(r.object.lastIndexOf('/') + 1)}</td>
      <td class="num">${amount(r.self, data.unit)}</td>${cell(r.self, data.total)}
      <td class="num">${amount(r.total, data.unit)}</td>${cell(r.total, data.total)}
      ${isDiff(data) && html`<${Change} row=${r} answer=${data} />`}</tr>`,
    )}</tbody></table>
    ${data.functions > data.rows.length && html`<p class="faint more-rows">${count(data.rows.length)} of ${count(data.functions)} functions are shown.</p>`}
  </div>`;
}
