// lib/lanes.js - lanes of threads from the API's answer: shares of each step, what is under the mouse, time marks.

// Of what a thread does, drawn from the bottom in this order; the first is nothing to worry about.
export const KINDS = {
  running: { title: 'running', color: '--s4' },
  io: { title: 'reads, writes', color: '--s3' },
  lock: { title: 'lock, condition, join', color: '--s5' },
  waiting: { title: 'sleeps, waits', color: '--line-2' },
  value: { title: 'value', color: '--s0' },
};

export const nameOf = (lane) => lane.name || (lane.id ? `thread ${lane.id}` : 'unknown thread');

// What the thread filter needs to find this thread again: its name, or its id where others are called the same.
export function keyOf(lane, lanes) {
  const shared = lanes.filter((l) => l.name === lane.name).length > 1;
  return (!lane.name || shared) && lane.id ? lane.id : lane.name;
}

// For each step the shares of each kind.  Of time: of the step, at most 1 together; else of `most`.
export function sharesOf(lane, { kinds, step_ms: stepMs }, most) {
  const steps = lane.values[0]?.length ?? 0;
  const whole = kinds.length > 1 ? stepMs * 1e6 : most;
  return Array.from({ length: steps }, (_, s) => {
    let left = 1;
    return lane.values.map((values) => {
      const share = Math.min(left, whole > 0 ? values[s] / whole : 0);
      left -= share;
      return share;
    });
  });
}

export const mostOf = (answer) => Math.max(1, ...answer.lanes.flatMap((l) => l.values.map((v) => Math.max(...v))));

// Unix milliseconds of round times, at most `count` of them.
export function marksOf(startMs, endMs, count) {
  const steps = [100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000, 7200000, 21600000, 43200000, 86400000];
  const step = steps.find((s) => (endMs - startMs) / s <= count) ?? 7 * 86400000;
  const marks = [];
  for (let t = Math.ceil(startMs / step) * step; t < endMs; t += step) marks.push(t);
  return marks;
}
