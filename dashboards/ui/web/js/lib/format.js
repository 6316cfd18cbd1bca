// lib/format.js - numbers, durations and times as the screens print them.

const UNITS = [
  [1e9 * 3600, 'h'],
  [1e9 * 60, 'min'],
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
  [1, 'ns'],
];

// Three significant digits, no trailing noise: 1.23, 12.3, 123.
export function digits(n) {
  if (n >= 100) return String(Math.round(n));
  if (n >= 10) return n.toFixed(1);
  return n.toFixed(2);
}

// [number, unit] of a duration, so that a table can set the unit apart.
export function durationParts(ns) {
  if (ns === null || ns === undefined || Number.isNaN(ns)) return ['–', ''];
  if (ns === 0) return ['0', 'ns'];
  const [size, unit] = UNITS.find(([u]) => Math.abs(ns) >= u * 0.9995) ?? UNITS[UNITS.length - 1];
  return [unit === 'ns' ? String(Math.round(ns)) : digits(ns / size), unit];
}

export function duration(ns) {
  return durationParts(ns).join('\u202f').trim();
}

// The same for marks on an axis, where 10.0 ms is 10 ms.
export function mark(ns) {
  const [number, unit] = durationParts(ns);
  return ns === 0 ? '0' : `${Number(number)}\u202f${unit}`;
}

// 12 345, with narrow spaces.
export function count(n) {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
}

export function rate(perSecond) {
  if (perSecond === 0) return '0';
  if (perSecond < 0.01) return '<\u202f0.01';
  return perSecond >= 1000 ? count(perSecond) : digits(perSecond);
}

// 0.0097 -> "0.97"; a share that is not zero never prints as zero.
export function percent(share) {
  const p = share * 100;
  if (p === 0) return '0';
  if (p < 0.01) return '<\u202f0.01';
  return p >= 10 ? p.toFixed(1) : p.toFixed(2);
}

export function bytes(n) {
  for (const [size, unit] of [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ])
    if (n >= size) return `${digits(n / size)}\u202f${unit}`;
  return `${n}\u202fB`;
}

const two = (n) => String(n).padStart(2, '0');

// 14:03:07.123
export function clock(date, withMs = true) {
  const hms = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withMs ? `${hms}.${String(date.getMilliseconds()).padStart(3, '0')}` : hms;
}

// 2025-11-25 14:03:07.123
export function dateTime(date, withMs = true) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date, withMs)}`;
}

// Unix nanoseconds come as decimal strings, because a Number ends at 2^53.
export function dateOfNs(unixNs) {
  return new Date(Number(BigInt(unixNs) / 1000000n));
}
