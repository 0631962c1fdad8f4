// When trying again is allowed, and how long it waits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Attempted, backoff_ms, chanceOf, type RetryCause, waitBeforeRetry } from './retry.ts';

const rule = {
  attempts: 3,
  on: ['not-sent', 'busy'] as RetryCause[],
  base_ms: 100,
  max_ms: 1_000,
  budget_ms: 10_000,
};
const progress = { made: 1, elapsed_ms: 0, chance: 0.5 };

const cases: readonly [string, Attempted, readonly RetryCause[], boolean, boolean][] = [
  ['what did not leave is tried again', { kind: 'not_sent' }, ['not-sent'], false, true],
  ['unless that is not listed', { kind: 'not_sent' }, ['busy'], false, false],
  ['a refusal is a refusal', { kind: 'rejected', hint: { status: 422 } }, ['busy', 'not-sent'], false, false],
  ['a listed status is not', { kind: 'rejected', hint: { status: 409 } }, [409], false, true],
  ['a busy system is asked again', { kind: 'rejected', hint: { transient: true } }, ['busy'], false, true],
  [
    'its own yes counts as busy',
    { kind: 'rejected', hint: { status: 409, again: true } },
    ['busy'],
    false,
    true,
  ],
  [
    'its own no holds',
    { kind: 'rejected', hint: { status: 429, transient: true, again: false } },
    ['busy', 429],
    false,
    false,
  ],
  [
    'what may be done is not tried again',
    { kind: 'unknown', hint: { status: 502 } },
    ['unknown', 502],
    false,
    false,
  ],
  ['but where that is safe', { kind: 'unknown' }, ['unknown'], true, true],
  ['and by its status', { kind: 'unknown', hint: { status: 502 } }, [502], true, true],
  ['safe alone is not enough', { kind: 'unknown' }, ['busy'], true, false],
];
for (const [name, attempted, on, safe, again] of cases) {
  test(`retry: ${name}`, () => {
    assert.equal(waitBeforeRetry({ ...rule, on }, attempted, safe, progress) !== null, again);
  });
}

test('attempts and budget are never exceeded, and nobody is asked earlier than it said', () => {
  const waits = fc.record({
    made: fc.integer({ min: 1, max: 6 }),
    elapsed_ms: fc.integer({ min: 0, max: 20_000 }),
    chance: fc.double({ min: 0, max: 0.999, noNaN: true }),
    retry_after_ms: fc.integer({ min: 0, max: 20_000 }),
  });
  fc.assert(
    fc.property(waits, ({ retry_after_ms, ...at }) => {
      const wait = waitBeforeRetry(rule, { kind: 'not_sent', hint: { retry_after_ms } }, false, at);
      if (wait === null)
        return at.made >= rule.attempts || at.elapsed_ms + retry_after_ms + 1_000 >= rule.budget_ms;
      return at.made < rule.attempts && wait >= retry_after_ms && at.elapsed_ms + wait < rule.budget_ms;
    }),
  );
});

test('the back-off doubles up to its longest step, and each wait is a random part of it', () => {
  const most = [1, 2, 3, 4, 5, 6].map((made) => backoff_ms(rule, made, 0.9999));
  assert.deepEqual(most, [99, 199, 399, 799, 999, 999]);
  assert.equal(backoff_ms(rule, 3, 0), 0);
  assert.equal(backoff_ms(rule, 1_000, 0.5), 500);
});

test('chance is below 1 and spans its range', () => {
  assert.equal(chanceOf(new Uint8Array([0, 0, 0, 0])), 0);
  assert.ok(chanceOf(new Uint8Array([255, 255, 255, 255])) < 1);
  assert.equal(chanceOf(new Uint8Array([128, 0, 0, 0])), 0.5);
});
