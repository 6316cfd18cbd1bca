// lib/query.js - the span search line: which word the caret is in, what could stand there, adding and taking away a term.
// The language itself is the intake's; nothing here decides what matches.

export const KEYS = [
  ['service:', 'name of the service'],
  ['resource_name:', 'what was worked on'],
  ['operation_name:', 'the operation'],
  ['status:', 'ok or error'],
  ['@duration:>', '20ms, 1.5s'],
  ['@http.status_code:', '500, >=400, [400 TO 499]'],
  ['env:', 'environment'],
  ['type:', 'web, sql, …'],
  ['host:', 'host name'],
  ['@error.type:', 'class of the error'],
  ['@error.message:', 'text of the error'],
  ['@span.kind:', 'server, client, …'],
  ['trace_id:', ''],
  ['span_id:', ''],
];

const FACET_OF = {
  service: 'services',
  operation_name: 'operations',
  type: 'types',
  env: 'envs',
  host: 'hosts',
};
const FIXED = {
  status: ['ok', 'error'],
  '@span.kind': ['server', 'client', 'producer', 'consumer', 'internal'],
  '@duration': ['>10ms', '>100ms', '>1s'],
  '@http.status_code': ['>=500', '>=400', '404', '500', '[400 TO 499]'],
};

// A value as the language wants it: bare when it can be, else quoted.
export function quote(value) {
  return /^[\w.\-/]+$/.test(value) ? value : `"${value.replace(/(["\\])/g, '\\$1')}"`;
}

export function term(key, value) {
  return `${key}:${quote(value)}`;
}

// The terms at top level: split at blanks outside quotes, brackets and parentheses.
export function terms(query) {
  const found = [];
  let depth = 0,
    quoted = false,
    start = -1;
  for (let i = 0; i <= query.length; i++) {
    const c = query[i];
    if (c === undefined || (c === ' ' && !quoted && depth === 0)) {
      if (start >= 0) found.push({ text: query.slice(start, i), start, end: i });
      start = -1;
      continue;
    }
    if (start < 0) start = i;
    if (c === '\\') i++;
    else if (c === '"') quoted = !quoted;
    else if (!quoted && (c === '(' || c === '[')) depth++;
    else if (!quoted && (c === ')' || c === ']')) depth--;
  }
  return found;
}

export function has(query, wanted) {
  return terms(query).some((t) => t.text === wanted);
}

export function toggle(query, wanted) {
  const kept = terms(query).map((t) => t.text);
  const next = kept.includes(wanted) ? kept.filter((t) => t !== wanted) : [...kept, wanted];
  return next.join(' ');
}

// What could stand at the caret: [{ text, hint, start, end }], at most 12; picking one replaces start..end.
export function complete(query, caret, facets) {
  const at = terms(query).find((t) => t.start <= caret && caret <= t.end) ?? {
    text: '',
    start: caret,
    end: caret,
  };
  const minus = at.text.startsWith('-') ? '-' : '';
  const typed = at.text.slice(minus.length);
  const colon = typed.indexOf(':');
  const place = { start: at.start, end: at.end };

  if (colon < 0) {
    return KEYS.filter(([key]) => key.toLowerCase().includes(typed.toLowerCase()))
      .slice(0, 12)
      .map(([key, hint]) => ({ ...place, text: minus + key, hint }));
  }
  const key = typed.slice(0, colon);
  const part = typed
    .slice(colon + 1)
    .replace(/^"/, '')
    .toLowerCase();
  const values = FIXED[key] ?? (facets?.[FACET_OF[key]] ?? []).map(quote);
  return values
    .filter((v) => v.toLowerCase().includes(part) && v !== typed.slice(colon + 1))
    .slice(0, 12)
    .map((v) => ({ ...place, text: `${minus}${key}:${v} `, hint: '' }));
}
