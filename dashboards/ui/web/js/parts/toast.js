// parts/toast.js - a short word at the foot of the page, and copying to the clipboard, which uses it.

import { html, useEffect, useState } from '../../vendor/preact.js';

let show = () => {};

export function Toast() {
  const [text, setText] = useState('');
  useEffect(() => {
    show = setText;
  }, []);
  useEffect(() => {
    const timer = text ? setTimeout(() => setText(''), 1600) : 0;
    return () => clearTimeout(timer);
  }, [text]);
  return text ? html`<div class="toast" role="status">${text}</div>` : null;
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    show(`${what} copied`);
  } catch {
    show(`${what}: ${text}`); // no permission: show it, so that it can be copied by hand
  }
}
