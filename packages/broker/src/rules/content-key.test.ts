// Content keys: equal for a repeat, and never for another run, step, request or answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Content, contentKeyOf, isContentKey } from './content-key.ts';

const content: Content = { run: 'run_1', step: '3', request_digest: 'd', responses: null };

test('the key of a repeat is the same, and is known by its beginning', () => {
  assert.equal(contentKeyOf({ ...content }), contentKeyOf(content));
  assert.equal(isContentKey(contentKeyOf(content)), true);
  assert.equal(isContentKey('k'), false);
});

for (const [what, other] of [
  ['run', { run: 'run_2' }],
  ['step', { step: '4' }],
  ['missing step', { step: null }],
  ['request', { request_digest: 'e' }],
  ['answer to a demand', { responses: { a: { action: 'accept' } } }],
] as const) {
  test(`another ${what} gives another key`, () => {
    assert.notEqual(contentKeyOf({ ...content, ...other }), contentKeyOf(content));
  });
}
