// lib/range.js - the time range of a screen: "now-1h" to "now", or two Unix seconds.

export const DEFAULT_FROM = 'now-1h';
export const PRESETS = [
  'now-5m',
  'now-15m',
  'now-1h',
  'now-4h',
  'now-12h',
  'now-1d',
  'now-2d',
  'now-7d',
];

const SECONDS = { s: 1, m: 60, h: 3600, d: 86400 };

// Unix seconds of a bound, or NaN.
export function toSeconds(bound, nowS = Date.now() / 1000) {
  if (bound === 'now' || bound === '' || bound === undefined) return nowS;
  const ago = /^now-(\d+)([smhd])$/.exec(bound);
  if (ago) return nowS - Number(ago[1]) * SECONDS[ago[2]];
  return /^\d+(\.\d+)?$/.test(bound) ? Number(bound) : NaN;
}

export function rangeOf(params) {
  const from = params.from || DEFAULT_FROM;
  return {
    from,
    to: params.to || 'now',
    live: from.startsWith('now') && (!params.to || params.to === 'now'),
  };
}

// "last 15 min", or the two ends.
export function label({ from, to }) {
  const ago = /^now-(\d+)([smhd])$/.exec(from);
  if (ago && to === 'now') return `last ${ago[1]} ${{ s: 's', m: 'min', h: 'h', d: 'd' }[ago[2]]}`;
  const print = (bound) => {
    const date = new Date(toSeconds(bound) * 1000);
    return Number.isNaN(date.getTime())
      ? bound
      : date.toLocaleString(undefined, {
          month: 'short',
          day: 'numeric',
          hour: '2-digit',
          minute: '2-digit',
          hourCycle: 'h23',
        });
  };
  return `${print(from)} – ${print(to)}`;
}
