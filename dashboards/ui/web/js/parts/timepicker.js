// parts/timepicker.js - button with the time range and its pop-up: presets, or two dates.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { patch } from '../lib/router.js';
import { PRESETS, label, rangeOf, toSeconds } from '../lib/range.js';

// Date -> "2025-11-25T14:03" in local time, as <input type=datetime-local> wants it.
function inputValue(seconds) {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

function choose(from, to) {
  patch({ from, to: to === 'now' ? '' : to }, {});
}

function Form({ range, close }) {
  const submit = (event) => {
    event.preventDefault();
    const [from, to] = ['from', 'to'].map((name) =>
      Math.floor(new Date(event.target.elements[name].value).getTime() / 1000),
    );
    if (from < to) {
      choose(String(from), String(to));
      close();
    } else
      (event.target.elements.to.setCustomValidity('must be after from'),
        event.target.reportValidity());
  };
  return html`<form onSubmit=${submit} onInput=${(e) => e.target.setCustomValidity('')}>
    <label>from <input name="from" type="datetime-local" required
      value=${inputValue(toSeconds(range.from) || Date.now() / 1000)} /></label>
    <label>to <input name="to" type="datetime-local" required
      value=${inputValue(toSeconds(range.to) || Date.now() / 1000)} /></label>
    <button>Apply</button>
  </form>`;
}

export function TimePicker({ params }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  const range = rangeOf(params);
  useEffect(() => {
    if (!open) return undefined;
    const away = (e) => {
      if (!box.current.contains(e.target)) setOpen(false);
    };
    const esc = (e) => {
      if (e.key === 'Escape') setOpen(false);
    };
    addEventListener('pointerdown', away);
    addEventListener('keydown', esc);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', esc);
    };
  }, [open]);
  return html`<div class="anchor" ref=${box}>
    <button aria-haspopup="dialog" aria-expanded=${open} onClick=${() => setOpen(!open)}
      aria-label="time range">${label(range)}</button>
    ${
      open &&
      html`<div class="pop picker" role="dialog" aria-label="time range">
      <div class="presets">${PRESETS.map(
        (from) => html`<button aria-pressed=${range.from === from && range.to === 'now'}
        onClick=${() => {
          choose(from, 'now');
          setOpen(false);
        }}>${label({ from, to: 'now' }).slice(5)}</button>`,
      )}</div>
      <${Form} range=${range} close=${() => setOpen(false)} />
    </div>`
    }
  </div>`;
}
