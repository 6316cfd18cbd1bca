// lib/keys.js - keyboard: a table of keys per screen, silent while somebody types.

import { useEffect, useRef } from '../../vendor/preact.js';

export function isTyping(event) {
  return /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
}

// keys: { 'ArrowDown': fn, 'j': fn }.  The newest functions are called; the listener is added once.
export function useKeys(keys) {
  const now = useRef(keys);
  now.current = keys;
  useEffect(() => {
    const onKey = (event) => {
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      const act = now.current[event.key];
      if (!act) return;
      // a focused button or link keeps its own Enter
      if (event.key === 'Enter' && event.target.closest('button, a')) return;
      event.preventDefault();
      act(event);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}
