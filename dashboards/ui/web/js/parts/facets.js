// parts/facets.js - the filters beside a search: a click adds the term to the query, another takes it away.

import { html } from '../../vendor/preact.js';
import { serviceColors } from '../lib/color.js';
import { has, term, toggle } from '../lib/query.js';

const GROUPS = [
  ['Service', 'service', (f) => f.services],
  ['Operation', 'operation_name', (f) => f.operations],
  ['Type', 'type', (f) => f.types],
  ['Host', 'host', (f) => f.hosts],
];
const MOST = 30; // values a group shows; the search line completes the others

export function Facets({ facets, query, onSearch }) {
  const colors = serviceColors(facets?.services ?? []);
  const value = (key, v) => {
    const text = term(key, v);
    return html`<button key=${v} aria-pressed=${has(query, text)} title=${text}
      onClick=${() => onSearch(toggle(query, text))}>
      ${key === 'service' && html`<i class=${`dot ${colors.get(v)}`}></i>`}<span>${v}</span></button>`;
  };
  return html`<aside class="facets" aria-label="filters">
    <h2>Status</h2>${value('status', 'error')}${value('status', 'ok')}
    ${
      facets &&
      GROUPS.map(([title, key, values]) => {
        const list = values(facets).filter(Boolean);
        return (
          list.length > 0 &&
          html`<h2>${title}</h2>${list.slice(0, MOST).map((v) => value(key, v))}
        ${list.length > MOST && html`<div class="faint">${list.length - MOST} more</div>`}`
        );
      })
    }
  </aside>`;
}
