// lib/view.js - the part of a trace's time that is shown: zoom and pan, always within the trace.

import { useState } from '../../vendor/preact.js';

const MIN_VIEW = 1000; // ns: the deepest zoom

export function useView(total) {
  const [part, setPart] = useState(null); // null: the whole, also when the trace grows
  const view = part ?? { from: 0, to: total };
  const width = view.to - view.from;

  const set = ({ from, to }) => {
    const wide = Math.max(Math.min(MIN_VIEW, total), to - from);
    const start = Math.max(0, Math.min(total - wide, from));
    setPart(wide >= total ? null : { from: start, to: start + wide });
  };
  const zoom = (factor, at = 0.5) => {
    const pivot = view.from + width * at;
    set({ from: pivot - width * factor * at, to: pivot + width * factor * (1 - at) });
  };
  const pan = (share) => set({ from: view.from + width * share, to: view.to + width * share });
  const zoomTo = ({ start, end }) => {
    const pad = Math.max(MIN_VIEW, (end - start) * 0.05);
    set({ from: start - pad, to: end + pad });
  };
  return { view, set, zoom, pan, zoomTo, reset: () => setPart(null), zoomed: part !== null };
}
