// lib/flamecolor.js - colours of a flame graph: of a library each, of the kernel and of generated code their own, lighter
// what is inlined; in a comparison red where the share grew, blue where it shrank.

import { serviceColors } from './color.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const CALLED = 0.52; // share of the background
const INLINED = 0.76;

// "#3f76d6" and a share of the background.
export function mix(color, other, share) {
  const parse = (c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16));
  const [a, b] = [parse(color), parse(other)];
  return `rgb(${a.map((v, i) => Math.round(v * (1 - share) + b[i] * share)).join(' ')})`;
}

// Stronger with the difference in points.
export function diffColor(node, tones) {
  const d = node.share - node.baseShare;
  if (Math.abs(d) < 0.001) return tones.grey;
  const strength = Math.min(0.75, 0.16 + Math.sqrt(Math.abs(d)) * 1.3);
  return mix(tones.bg, d > 0 ? tones.more : tones.less, strength);
}

// The theme's colours, and `of`: a frame's base name or kind -> [called, inlined].
export function flameTones(frames) {
  const bg = css('--bg');
  const objects = frames.filter((f) => f.kind === 'object').map((f) => f.base);
  const pair = (color) => [mix(color, bg, CALLED), mix(color, bg, INLINED)];
  const of = new Map();
  for (const [object, name] of serviceColors(objects)) of.set(object, pair(css(`--${name}`)));
  return {
    bg,
    text: css('--text'),
    faint: css('--text-3'),
    accent: css('--accent'),
    mark: css('--mark'),
    grey: css('--bg-3'),
    more: css('--error'),
    less: css('--s0'),
    sans: css('--sans'),
    kernel: pair(css('--kernel')),
    generated: pair(css('--generated')),
    unknown: [css('--bg-3'), css('--bg-3')],
    of,
  };
}

export function frameColor(frame, inlined, tones) {
  const pair = frame.kind === 'object' ? tones.of.get(frame.base) : tones[frame.kind];
  return pair[inlined ? 1 : 0];
}
