// lib/router.js - the address bar is the state: path and parameters, read and written here only.

import { useEffect, useState } from '../../vendor/preact.js';

const listeners = new Set();

export function here() {
  return {
    path: decodeURIComponent(location.pathname),
    params: Object.fromEntries(new URLSearchParams(location.search)),
  };
}

// "/traces?query=…"; empty parameters are left out.
export function href(path, params = {}) {
  const kept = Object.entries(params).filter(
    ([, v]) => v !== '' && v !== undefined && v !== null && v !== false,
  );
  const search = new URLSearchParams(kept).toString();
  return path.split('/').map(encodeURIComponent).join('/') + (search ? `?${search}` : '');
}

export function go(path, params, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', href(path, params));
  listeners.forEach((tell) => tell(here()));
}

// Changes some parameters of the present address.
export function patch(changes, options = { replace: true }) {
  const { path, params } = here();
  go(path, { ...params, ...changes }, options);
}

export function useHere() {
  const [at, setAt] = useState(here);
  useEffect(() => {
    const back = () => setAt(here());
    listeners.add(setAt);
    addEventListener('popstate', back);
    return () => {
      listeners.delete(setAt);
      removeEventListener('popstate', back);
    };
  }, []);
  return at;
}

// Links inside the UI are followed without loading the page again; everything else is the browser's.
export function followLinks(event) {
  const link = event.target.closest?.('a[href^="/"]');
  if (
    !link ||
    event.defaultPrevented ||
    event.button ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    link.target
  )
    return;
  if (link.pathname.startsWith('/api/')) return;
  event.preventDefault();
  history.pushState(null, '', link.href);
  listeners.forEach((tell) => tell(here()));
}
