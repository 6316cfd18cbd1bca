// parts/legend.js - what the colours of a flame graph mean; a library that is clicked is looked at alone.

import { html, useMemo } from '../../vendor/preact.js';
import { NOTES } from '../lib/flame.js';
import { frameColor } from '../lib/flamecolor.js';

const LISTED = 8;

// Objects with a value of their own, the heaviest first: [frame, value of its object].
function heaviest(flame) {
  const sums = new Map();
  for (const n of flame.nodes)
    if (n.frame.kind === 'object' && n.self + n.baseSelf > 0) {
      const known = sums.get(n.frame.base) ?? [n.frame, 0];
      known[1] += n.self + n.baseSelf;
      sums.set(n.frame.base, known);
    }
  return [...sums.values()].sort((a, b) => b[1] - a[1]);
}

// What is listed of a graph: it may be large.
function listedOf(flame) {
  return {
    objects: heaviest(flame).map(([frame]) => frame),
    kinds: Object.keys(NOTES).filter((kind) => flame.frames.some((f, i) => i > 0 && f.kind === kind)),
    inlined: flame.nodes.find((n) => n.inlined && n.frame.kind === 'object'),
  };
}

export function Legend({ flame, tones, isDiff, onObject }) {
  const { objects, kinds, inlined } = useMemo(() => listedOf(flame), [flame]);
  const item = (color, text, more = {}) =>
    html`<span class="entry" ...${more}><i style=${{ background: color }}></i>${text}</span>`;
  if (isDiff)
    return html`<div class="legend" aria-label="legend">${item(tones.more, 'larger share than before')}
      ${item(tones.less, 'smaller')}${item(tones.grey, 'the same')}<span class="entry"><i class="gone"></i>gone</span></div>`;
  return html`<div class="legend" aria-label="legend">
    ${objects.slice(0, LISTED).map(
      (frame) => html`<button class="plain entry" title=${onObject ? `only stacks with ${frame.object}` : frame.object}
        disabled=${!onObject} onClick=${() => onObject(frame.base)}><i
        style=${{ background: frameColor(frame, false, tones) }}></i>${frame.base}</button>`,
    )}
    ${objects.length > LISTED && html`<span class="faint">${objects.length - LISTED} more</span>`}
    ${kinds.map((kind) => item(frameColor({ kind }, false, tones), NOTES[kind]))}
    ${inlined && html`<span class="entry"><i style=${{ background: frameColor(inlined.frame, true, tones) }}></i><em>inlined</em></span>`}
  </div>`;
}
