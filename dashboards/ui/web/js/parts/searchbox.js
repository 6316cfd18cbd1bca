// parts/searchbox.js - the search line with completion of keys and values.  Enter searches; a pick goes on typing.

import { html, useEffect, useRef, useState } from '../../vendor/preact.js';
import { complete } from '../lib/query.js';

export function SearchBox({ value, facets, onSearch }) {
  const input = useRef(null);
  const [text, setText] = useState(value);
  const [hints, setHints] = useState([]);
  const [pick, setPick] = useState(-1);
  useEffect(() => setText(value), [value]);

  const suggest = (el) => {
    setHints(complete(el.value, el.selectionStart, facets));
    setPick(-1);
  };
  const close = () => {
    setHints([]);
    setPick(-1);
  };
  const search = (query) => {
    close();
    onSearch(query.trim());
  };
  const take = (hint) => {
    const next = text.slice(0, hint.start) + hint.text + text.slice(hint.end);
    const caret = hint.start + hint.text.length;
    setText(next);
    const el = input.current;
    el.value = next;
    el.focus();
    el.setSelectionRange(caret, caret);
    suggest(el);
  };
  const onKey = (event) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (move && hints.length)
      setPick((pick + move + hints.length + (pick < 0 && move < 0 ? 1 : 0)) % hints.length);
    else if (event.key === 'Tab' && hints.length && !event.shiftKey) take(hints[Math.max(0, pick)]);
    else if (event.key === 'Enter') {
      if (pick >= 0) take(hints[pick]);
      else search(text);
    } else if (event.key === 'Escape') {
      if (hints.length) close();
      else input.current.blur();
    } else return;
    event.preventDefault();
  };
  return html`<div class="box anchor">
    <input ref=${input} type="search" value=${text} spellcheck=${false} autocomplete="off"
      role="combobox" aria-label="search spans"
      aria-expanded=${hints.length > 0} aria-controls="hints"
      aria-activedescendant=${pick >= 0 ? `hint-${pick}` : undefined}
      placeholder="service:gateway  @http.status_code:>=500  @duration:>20ms  status:error     / to search"
      onInput=${(e) => {
        setText(e.target.value);
        suggest(e.target);
      }} onFocus=${(e) => suggest(e.target)}
      onBlur=${close} onKeyDown=${onKey} onSearch=${(e) => {
        if (e.target.value === '' && value !== '') search('');
      }} />
    ${
      hints.length > 0 &&
      html`<ul class="pop hints" id="hints" role="listbox">${hints.map(
        (hint, i) => html`
      <li role="option" id=${`hint-${i}`} aria-selected=${i === pick} onPointerDown=${(e) => {
        e.preventDefault();
        take(hint);
      }}>
        <b>${hint.text}</b><span>${hint.hint}</span></li>`,
      )}</ul>`
    }
  </div>`;
}
