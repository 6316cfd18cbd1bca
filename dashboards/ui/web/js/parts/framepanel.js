// parts/framepanel.js - one function of a flame graph: its values, where it comes from, the traces that were in it.

import { html } from '../../vendor/preact.js';
import { useApi } from '../lib/api.js';
import { NOTES, amount, stackOf } from '../lib/flame.js';
import { clock, dateOfNs, percent } from '../lib/format.js';
import { term } from '../lib/query.js';
import { href } from '../lib/router.js';
import { copy } from './toast.js';

const SPARE_S = 60; // a sample's span may have begun before its profile

function Traces({ name, query, params, unit }) {
  const { data, error, loading } = useApi('profiles/traces', { ...query, focus: name, limit: 12 });
  if (error) return html`<p class="err">${error.message}</p>`;
  if (!data) return loading && html`<p class="faint">looking…</p>`;
  if (data.traces.length === 0)
    return html`<p class="faint">No sample of this function belongs to a trace.</p>`;
  const link = (t) =>
    href('/traces', {
      env: params.env,
      query: term('span_id', t.local_root_span_id),
      from: Math.floor(dateOfNs(t.first_unix_ns) / 1000) - SPARE_S,
      to: Math.ceil(dateOfNs(t.last_unix_ns) / 1000) + SPARE_S,
    });
  return html`<table class="sum"><tbody>${data.traces.map(
    (t) => html`<tr key=${t.local_root_span_id}>
    <td><a href=${link(t)}>${t.endpoint || `span ${t.local_root_span_id}`}</a>
      <div class="faint">${clock(dateOfNs(t.first_unix_ns), false)}</div></td>
    <td class="num">${amount(t.value, unit)}</td></tr>`,
  )}</tbody></table>`;
}

const noteOf = (frame) => frame.base || NOTES[frame.kind] || '';

// `query`: what the flame graph was asked with; `onFocus(name)`: callers and callees of the function.
export function FramePanel({ node, flame, unit, query, params, onClose, onFocus, onOnly, isDiff }) {
  const { frame } = node;
  const share = (v, all) => `${percent(all ? v / all : 0)}\u202f%`;
  const fact = (name, value, all) =>
    html`<div><small>${name}</small><span>${amount(value, unit)}</span>
      <div class="faint">${share(value, all)}</div></div>`;
  const everywhere = flame.nodes.filter(
    (n) => n.frame === frame && !stackOf(n.parent).some((up) => up?.frame === frame),
  );
  const sum = everywhere.reduce((s, n) => s + n.total, 0);
  return html`<aside class="side" aria-label="function">
    <header>
      <div class="line"><span class="dim cut" title=${frame.object}>${noteOf(frame)}${node.inlined && ', inlined'}</span>
        <span class="grow"></span><button class="plain" title="close (Esc)" aria-label="close"
          onClick=${onClose}>✕</button></div>
      <h1 class="mono" style=${{ overflowWrap: 'anywhere' }}>${frame.name}</h1>
      ${frame.file && html`<div class="mono dim">${frame.file}</div>`}
    </header>
    <div class="scroll">
      <div class="facts2">${fact('total here', node.total, flame.total)}${fact('self here', node.self, flame.total)}
        ${everywhere.length > 1 && fact('total everywhere', sum, flame.total)}
        ${isDiff && fact('before', node.baseTotal, flame.baseTotal)}</div>
      ${
        node.parent &&
        html`<div class="acts"><button onClick=${() => onFocus(frame.name)} title="s">Callers and callees</button>
        <button onClick=${() => onOnly(frame.name)}>Only stacks with it</button>
        <button onClick=${() => copy(frame.name, 'name')}>Copy name</button></div>
      <h2>Traces in this function</h2>
      <${Traces} key=${frame.name} name=${frame.name} query=${query} params=${params} unit=${unit} />
      <h2>Stack</h2>
      <ol class="stack">${stackOf(node)
        .slice(1)
        .map((n) => html`<li class=${`mono ${n === node ? '' : 'dim'} ${n.inlined ? 'inlined' : ''}`}>${n.frame.name}</li>`)}</ol>`
      }
    </div>
  </aside>`;
}
