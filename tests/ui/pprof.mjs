// pprof.mjs - profiles whose content is known, as a profiler would send them.

import { gzipSync } from 'node:zlib';

function varint(value) {
  const out = [];
  for (let v = BigInt.asUintN(64, BigInt(value)); ; v >>= 7n) {
    if (v < 0x80n) return Buffer.from([...out, Number(v)]);
    out.push(Number(v & 0x7fn) | 0x80);
  }
}
const number = (field, value) =>
  BigInt(value) === 0n ? Buffer.alloc(0) : Buffer.concat([varint(field << 3), varint(value)]);
const chunk = (field, ...parts) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};

// types: [['cpu-time', 'nanoseconds']]; samples: [{ stack: ['main', 'libc.so.6!memcpy'], values: [10], labels: {} }], root
// first, "object!name" or a name of "demo"; "outer+inner" is inlined into outer; a label is a text, or a number (BigInt).
export function pprof(types, samples) {
  const strings = [''];
  const text = (s) => (strings.includes(s) ? strings.indexOf(s) : strings.push(s) - 1);
  const frames = [];
  const objects = [];
  const place = (list, item) => (list.includes(item) ? list.indexOf(item) : list.push(item) - 1) + 1;
  const label = ([key, value]) =>
    chunk(3, number(1, text(key)), typeof value === 'string' ? number(2, text(value)) : number(3, value));
  const message = [
    ...types.map(([type, unit]) => chunk(1, number(1, text(type)), number(2, text(unit)))),
    ...samples.map(({ stack, values, labels = {} }) =>
      chunk(
        2,
        chunk(1, ...stack.map((f) => varint(place(frames, f))).reverse()),
        chunk(2, ...values.map(varint)),
        ...Object.entries(labels).map(label),
      ),
    ),
  ];
  const functions = [];
  frames.forEach((frame, i) => {
    const [object, names] = frame.includes('!') ? frame.split('!') : ['demo', frame];
    const lines = names.split('+').reverse(); // innermost first
    message.push(
      chunk(
        4,
        number(1, i + 1),
        number(2, place(objects, object)),
        ...lines.map((name) => chunk(4, number(1, place(functions, name)))),
      ),
    );
  });
  functions.forEach((name, i) =>
    message.push(chunk(5, number(1, i + 1), number(2, text(name)), number(4, text('demo.c')))),
  );
  objects.forEach((object, i) =>
    message.push(
      chunk(3, number(1, i + 1), number(5, text(object.startsWith('[') ? object : `/usr/bin/${object}`))),
    ),
  );
  return gzipSync(Buffer.concat([...message, ...strings.map((s) => chunk(6, Buffer.from(s)))]));
}

// Uploads it as the profile of `service` from `start` to `end` (Dates).
export async function upload(intakeUrl, service, start, end, profile) {
  const event = {
    version: '4',
    family: 'native',
    start: start.toISOString(),
    end: end.toISOString(),
    attachments: ['profile.pprof'],
    tags_profiler: `service:${service},env:demo,language:native,runtime-id:${service}-1`,
  };
  const form = new FormData();
  form.append('event', new Blob([JSON.stringify(event)], { type: 'application/json' }), 'event.json');
  form.append('profile.pprof', new Blob([profile]), 'profile.pprof');
  const answer = await fetch(`${intakeUrl}/api/v2/profile`, {
    method: 'POST',
    body: form,
    headers: { 'dd-api-key': 'k' },
  });
  if (answer.status !== 202) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
}
