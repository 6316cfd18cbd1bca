// parts/spanpanel.js - everything about one span: error, times, tags, metrics, links, events.

import { html } from '../../vendor/preact.js';
import { dateOfNs, dateTime, duration } from '../lib/format.js';
import { term } from '../lib/query.js';
import { href } from '../lib/router.js';
import { copy } from './toast.js';

const ERROR_TAGS = ['error.type', 'error.message', 'error.msg', 'error.stack'];

function Fault({ span }) {
  const { meta } = span;
  if (!span.error && !meta['error.type'] && !meta['error.message']) return null;
  return html`<div class="fault" aria-label="error"><b>${meta['error.type'] ?? 'error'}</b>
    ${meta['error.message'] ?? meta['error.msg'] ?? 'no message was recorded'}
    ${meta['error.stack'] && html`<pre>${meta['error.stack']}</pre>`}</div>`;
}

const print = (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));

function Pairs({ title, pairs, search }) {
  const list = Object.entries(pairs).sort(([a], [b]) => a.localeCompare(b));
  if (list.length === 0) return null;
  return html`${title && html`<h2>${title}</h2>`}<table class="kv"><tbody>${list.map(
    ([key, value]) => html`<tr key=${key}><th>${key}</th><td>
    ${
      search &&
      html`<a href=${search(key, value)}
      title="traces with this value">find</a>`
    }${print(value)}</td></tr>`,
  )}</tbody></table>`;
}

function Links({ links }) {
  return (
    links.length > 0 &&
    html`<h2>Links</h2>${links.map(
      (l) => html`<div class="note">
    <a class="mono" href=${href(`/traces/${l.trace_id}`, { span: l.span_id })}>${l.trace_id}</a>${' '}
    <span class="faint">span ${l.span_id}</span>
    <${Pairs} title="" pairs=${l.attributes} /></div>`,
    )}`
  );
}

function Events({ events, span }) {
  const since = (t) => duration(Number(BigInt(t) - BigInt(span.start_unix_ns)));
  return (
    events.length > 0 &&
    html`<h2>Events</h2>${events.map(
      (e) => html`<div class="note">
    <b>${e.name}</b> <span class="faint">${since(e.time_unix_ns)} after the start</span>
      <${Pairs} title="" pairs=${e.attributes} /></div>`,
    )}`
  );
}

export function SpanPanel({ node, color, params, onClose, onParent }) {
  const { span } = node;
  const tags = Object.fromEntries(
    Object.entries(span.meta).filter(([k]) => !ERROR_TAGS.includes(k)),
  );
  const search = (key, value) =>
    href('/traces', { ...params, query: term(`@${key}`, String(value)) });
  const fact = (name, value) =>
    value !== '' &&
    value !== undefined &&
    html`<div><small>${name}</small><span class="mono">${value}</span></div>`;
  return html`<aside class="side" aria-label="span">
    <header>
      <div class="line"><i class=${`dot ${color}`}></i>
        <a href=${href(`/services/${span.service}`, params)}>${span.service}</a>
        ${span.type && html`<span class="badge">${span.type}</span>`}${
          node.bad &&
          html`<span
          class="badge error">error</span>`
        }
        <span class="grow"></span><button class="plain" title="close (Esc)" aria-label="close"
          onClick=${onClose}>✕</button></div>
      <h1>${span.name}</h1>
      ${
        span.resource !== span.name &&
        html`<div class="mono dim"
        style=${{ overflowWrap: 'anywhere' }}>${span.resource}</div>`
      }
    </header>
    <div class="scroll">
      <${Fault} span=${span} />
      <div class="facts2">
        ${fact('duration', duration(span.duration_ns))}${fact('self', duration(node.self))}
        ${fact('after trace start', duration(node.start))}
        ${fact('env', span.env)}${fact('version', span.version)}${fact('host', span.host)}
      </div>
      <${Pairs} title="Tags" pairs=${tags} search=${search} />
      <${Pairs} title="Metrics" pairs=${span.metrics} />
      <${Links} links=${span.links ?? []} />
      <${Events} events=${span.events ?? []} span=${span} />
      <h2>Identity</h2>
      <table class="kv"><tbody>
        <tr><th>span id</th><td><button class="plain mono"
          onClick=${() => copy(span.span_id, 'span id')} title="copy">${span.span_id}</button></td></tr>
        <tr><th>parent id</th><td>${
          node.parent
            ? html`<button class="plain mono"
          onClick=${() => onParent(node.parent)}>${span.parent_id}</button>`
            : span.parent_id
        }</td></tr>
        <tr><th>start</th><td>${dateTime(dateOfNs(span.start_unix_ns))}</td></tr>
      </tbody></table>
    </div>
  </aside>`;
}

// What stands there while no span is selected: the trace by service.
export function ServicesPanel({ tree, colors, params }) {
  const all = tree.services.reduce((sum, s) => sum + s.self, 0) || 1;
  return html`<aside class="side" aria-label="services of the trace">
    <div class="scroll"><h2>Time by service</h2>
    <table class="sum"><thead><tr><th>Service</th><th class="num">Spans</th>
      <th class="num">Errors</th><th class="num">Self time</th><th class="num">Share</th></tr></thead>
      <tbody>${tree.services.map(
        (s) => html`<tr key=${s.service} class=${colors.get(s.service)}>
        <td><span class="svc"><i class="dot"></i>
          <a class="cut" href=${href(`/services/${s.service}`, params)}>${s.service}</a></span>
          <div class="part" style=${{ width: `${(s.self / all) * 100}%` }}></div></td>
        <td class="num">${s.spans}</td><td class=${`num ${s.errors ? 'err' : 'faint'}`}>${s.errors}</td>
        <td class="num">${duration(s.self)}</td>
          <td class="num">${Math.round((s.self / all) * 100)} %</td></tr>`,
      )}</tbody></table>
      <p class="faint">Self time is what no child span covers. Pick a span to see its tags;${' '}
        <kbd>?</kbd> lists the keys.</p>
    </div>
  </aside>`;
}
