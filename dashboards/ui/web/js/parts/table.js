// parts/table.js - sortable head of a table, and rows that can be walked with the keyboard.

import { html } from '../../vendor/preact.js';
import { isTyping } from '../lib/keys.js';
import { patch } from '../lib/router.js';

// "-p99" -> sorted by p99, biggest first.
export function sortRows(rows, columns, sort) {
  const key = sort.replace(/^-/, '');
  const column = columns.find((c) => c.key === key) ?? columns[0];
  const sign = sort.startsWith('-') ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    return sign * (typeof x === 'string' ? x.localeCompare(y) : (x ?? -1) - (y ?? -1));
  });
}

export function SortHead({ columns, sort }) {
  const now = sort.replace(/^-/, '');
  const down = sort.startsWith('-');
  const head = (c) => {
    if (!c.value) return html`<th class=${c.class}>${c.title}</th>`;
    const next =
      c.key === now ? (down ? c.key : `-${c.key}`) : c.class === 'num' ? `-${c.key}` : c.key;
    const order = c.key !== now ? undefined : down ? 'descending' : 'ascending';
    return html`<th class=${c.class} aria-sort=${order}>
      <button onClick=${() => patch({ sort: next })}>${c.title}${order ? (down ? ' ↓' : ' ↑') : ''}</button></th>`;
  };
  return html`<thead><tr>${columns.map(head)}</tr></thead>`;
}

// Arrow keys and j/k move the focus from row to row; the rows' first links take it.
export function walkRows(event) {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step || isTyping(event)) return;
  const links = [...event.currentTarget.querySelectorAll('tbody tr a:first-of-type')];
  const at = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(links.length - 1, at + step))]?.focus();
  event.preventDefault();
}

// A click anywhere in a row is a click on its link.
export function rowClick(event) {
  if (!event.target.closest('a, button') && !getSelection().toString())
    event.currentTarget.querySelector('a')?.click();
}
