// lib/color.js - one colour per service, the same on every screen.

const COLORS = 8; // classes s0..s7 in css/base.css

function hash(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return (h ^ (h >>> 15)) >>> 0;
}

// A Map service -> class name.  A colour depends on the name; two services of one list share a colour only when there
// are more services than colours.
export function serviceColors(services) {
  const colors = new Map();
  const taken = new Set();
  for (const service of [...new Set(services)].sort()) {
    let slot = hash(service) % COLORS;
    for (let i = 0; i < COLORS && taken.has(slot); i++) slot = (slot + 1) % COLORS;
    if (taken.size < COLORS) taken.add(slot);
    colors.set(service, `s${slot}`);
  }
  return colors;
}
