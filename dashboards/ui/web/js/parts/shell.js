// parts/shell.js - the frame of every screen: header, time range and environment, global keys, help.

import { html, useEffect, useState } from '../../vendor/preact.js';
import { useApi } from '../lib/api.js';
import { isTyping } from '../lib/keys.js';
import { DEFAULT_FROM } from '../lib/range.js';
import { go, href, patch } from '../lib/router.js';
import { TimePicker } from './timepicker.js';
import { Toast } from './toast.js';

// [keys, what they do, on which paths: all when it is not said].
const TRACE = /^\/traces\/./;
const PROFILES = /^\/profiles/;
const KEYS = [
  ['g s', 'services'],
  ['g t', 'traces'],
  ['g p', 'profiles'],
  ['/', 'search'],
  ['?', 'this help'],
  ['↑ ↓  j k', 'move'],
  ['Enter', 'open'],
  ['Esc', 'close, deselect'],
  ['← →', 'fold, unfold', TRACE],
  ['+ −', 'zoom the waterfall', TRACE],
  ['0', 'whole trace', TRACE],
  ['f', 'zoom to the span', TRACE],
  ['[ ]', 'pan', TRACE],
  ['e', 'next error', TRACE],
  ['n N', 'next, previous match', TRACE],
  ['c', 'copy the trace id', TRACE],
  ['p', 'critical path', TRACE],
  ['← →', 'its neighbours', PROFILES],
  ['Enter', 'zoom to the function', PROFILES],
  ['0', 'whole flame graph', PROFILES],
  ['n N', 'next, previous match', PROFILES],
  ['i', 'invert the flame graph', PROFILES],
  ['s', 'callers and callees', PROFILES],
];

// What goes along from screen to screen.
export function carried({ from, to, env }) {
  return { from, to, env };
}

function Nav({ at }) {
  const item = (path, name) => html`<a href=${href(path, carried(at.params))}
    aria-current=${at.path.startsWith(path) ? 'page' : undefined}>${name}</a>`;
  return html`<nav aria-label="screens">${item('/services', 'Services')}${item('/traces', 'Traces')}${item('/profiles', 'Profiles')}</nav>`;
}

// The environments are asked for when somebody reaches for the list.
function EnvSelect({ params }) {
  const [wanted, setWanted] = useState(false);
  const { data } = useApi(wanted ? 'facets' : null, {
    from: params.from || DEFAULT_FROM,
    to: params.to || 'now',
  });
  const envs = [...new Set([...(data?.envs ?? []), params.env].filter(Boolean))].sort();
  return html`<select aria-label="environment" value=${params.env ?? ''}
    onChange=${(e) => patch({ env: e.target.value }, {})}
    onPointerEnter=${() => setWanted(true)} onFocus=${() => setWanted(true)}>
    <option value="">all environments</option>
    ${envs.map((env) => html`<option value=${env}>${env}</option>`)}
  </select>`;
}

function Help({ path, close }) {
  return html`<div class="veil" onClick=${close}>
    <div class="help" role="dialog" aria-label="keys" onClick=${(e) => e.stopPropagation()}>
    <h1>Keys</h1>
    <dl>${KEYS.filter(([, , on]) => !on || on.test(path)).map(
      ([keys, what]) =>
        html`<dt>${keys
          .split(' ')
          .filter(Boolean)
          .map((k) => html`<kbd>${k}</kbd> `)}</dt><dd>${what}</dd>`,
    )}</dl>
  </div></div>`;
}

function useGlobalKeys(at, setHelp) {
  useEffect(() => {
    let leader = 0;
    const onKey = (event) => {
      if (event.key === 'Escape') setHelp(false);
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      const afterG = Date.now() - leader < 900;
      leader = event.key === 'g' ? Date.now() : 0;
      const target = { s: '/services', t: '/traces', p: '/profiles' }[event.key];
      if (afterG && target) go(target, carried(at.params));
      else if (event.key === '?') setHelp((on) => !on);
      else if (event.key === '/') document.querySelector('input[type=search]')?.focus();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [at.path, at.params.from, at.params.to, at.params.env]);
}

export function Shell({ at, children }) {
  const [help, setHelp] = useState(false);
  useGlobalKeys(at, setHelp);
  const oneTrace = /^\/traces\/./.test(at.path);
  return html`
    <header class="top">
      <a class="brand" href="/services"><svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M1 4h9M4 8h10M7 12h6" /></svg>sonde</a>
      <${Nav} at=${at} />
      <div class="controls">
        ${
          !oneTrace &&
          html`<${EnvSelect} params=${at.params} /><${TimePicker} params=${at.params} />
          <button aria-pressed=${at.params.live === '1'} title="load again every 5 seconds"
            onClick=${() => patch({ live: at.params.live === '1' ? '' : '1' })}>Live</button>`
        }
        <button class="icon" title="keys (?)" aria-label="keyboard help"
          onClick=${() => setHelp(true)}>?</button>
      </div>
    </header>
    <main>${children}</main>
    ${help && html`<${Help} path=${at.path} close=${() => setHelp(false)} />`}
    <${Toast} />`;
}
