// main.js - takes over the static shell and shows the screen the address names.

import { html, render } from '../vendor/preact.js';
import { followLinks, go, here, useHere } from './lib/router.js';
import { Shell } from './parts/shell.js';
import { Lazy, Notice } from './parts/notice.js';

const SCREENS = [
  [/^\/profiles\/?$/, () => import('./screens/profiles.js')],
  [/^\/services\/?$/, () => import('./screens/services.js')],
  [/^\/services\/(.+)$/, () => import('./screens/service.js')],
  [/^\/traces\/?$/, () => import('./screens/traces.js')],
  [/^\/traces\/([0-9a-fA-F]+)$/, () => import('./screens/trace.js')],
];

function Screen({ at }) {
  for (const [pattern, load] of SCREENS) {
    const found = pattern.exec(at.path);
    if (found)
      return html`<${Lazy} key=${pattern.source} load=${load}
        props=${{ arg: found[1], params: at.params }} />`;
  }
  return html`<${Notice} title="There is no such page">
    <p>Try <a href="/services">Services</a> or <a href="/traces">Traces</a>.</p>
  </${Notice}>`;
}

function title(path) {
  const [, screen, what] = path.split('/');
  const names = {
    services: what ?? 'Services',
    profiles: 'Profiles',
    traces: what ? `trace ${what.slice(-8)}` : 'Traces',
  };
  return names[screen] ? `${names[screen]} · Sonde` : 'Sonde';
}

function App() {
  const at = useHere();
  document.title = title(at.path);
  return html`<${Shell} at=${at}><${Screen} at=${at} /></${Shell}>`;
}

if (here().path === '/') go('/services', here().params, { replace: true });
document.addEventListener('click', followLinks);
const root = document.getElementById('app');
root.textContent = '';
render(html`<${App} />`, root);
