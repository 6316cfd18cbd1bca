// The search line: where the words are, what is offered, adding and taking away terms.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complete, quote, terms, toggle } from '../../../dashboards/ui/web/js/lib/query.js';

const texts = (query) => terms(query).map((t) => t.text);

test('terms are split at blanks outside quotes, brackets and parentheses', () => {
  const cases = [
    ['empty', '', []],
    ['two', 'service:a  status:error', ['service:a', 'status:error']],
    ['quoted value', 'resource_name:"GET /a b" x', ['resource_name:"GET /a b"', 'x']],
    ['range', '@http.status_code:[400 TO 499] y', ['@http.status_code:[400 TO 499]', 'y']],
    ['group', '@m:(HEAD OR PUT)', ['@m:(HEAD OR PUT)']],
    ['escaped quote', 'a:"x\\" y" z', ['a:"x\\" y"', 'z']],
    ['open quote runs to the end', 'a:"x y', ['a:"x y']],
  ];
  for (const [label, query, want] of cases) assert.deepEqual(texts(query), want, label);
});

test('a value is quoted only when it has to be', () => {
  assert.equal(quote('gateway'), 'gateway');
  assert.equal(quote('/orders'), '/orders');
  assert.equal(quote('GET /orders/{id}'), '"GET /orders/{id}"');
  assert.equal(quote('say "hi"'), '"say \\"hi\\""');
});

test('toggling a term twice leaves the query as it was', () => {
  assert.equal(toggle('status:error', 'service:a'), 'status:error service:a');
  assert.equal(toggle('status:error service:a', 'service:a'), 'status:error');
  assert.equal(toggle('', 'service:a'), 'service:a');
});

test('keys are offered for a word without a colon, and replace just that word', () => {
  const [first] = complete('status:error serv', 17, null);
  assert.equal(first.text, 'service:');
  assert.deepEqual([first.start, first.end], [13, 17]);
});

test('values come from the facets, and a leading minus stays', () => {
  const facets = {
    services: ['gateway', 'orders'],
    operations: [],
    types: [],
    envs: [],
    hosts: [],
  };
  assert.deepEqual(
    complete('-service:g', 10, facets).map((h) => h.text),
    ['-service:gateway '],
  );
  assert.deepEqual(
    complete('status:', 7, null).map((h) => h.text),
    ['status:ok ', 'status:error '],
  );
});

test('nothing is offered for a key that is not known', () => {
  assert.deepEqual(complete('@my.tag:x', 9, null), []);
});
