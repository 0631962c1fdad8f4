// Loops: counts begin anew with their window, and what the broker itself keeps off is no loop of the agent's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problems } from '@countersign/contract/problem.ts';
import fc from 'fast-check';
import { type Count, isFailing, mostIdentical, oneMore, stillCounted } from './loop.ts';

const WINDOW_MS = 600_000;

for (const [what, before, now_ms, after] of [
  ['the first begins a count', undefined, 5, { since_ms: 5, count: 1 }],
  ['one in the window is added', { since_ms: 5, count: 1 }, 600_004, { since_ms: 5, count: 2 }],
  ['one after the window begins anew', { since_ms: 5, count: 9 }, 600_005, { since_ms: 600_005, count: 1 }],
] as const) {
  test(what, () => assert.deepEqual(oneMore(before, now_ms, WINDOW_MS), after));
}

test('a count whose window is over counts nothing', () => {
  assert.equal(stillCounted({ since_ms: 0, count: 7 }, WINDOW_MS - 1, WINDOW_MS), 7);
  assert.equal(stillCounted({ since_ms: 0, count: 7 }, WINDOW_MS, WINDOW_MS), 0);
  assert.equal(stillCounted(undefined, 0, WINDOW_MS), 0);
});

test('a count is at least one and at most the number of times, whatever the pace', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 900_000 }), { minLength: 1 }), (gaps) => {
      let now_ms = 0;
      let counted: Count | undefined;
      gaps.forEach((gap, at) => {
        now_ms += gap;
        counted = oneMore(counted, now_ms, WINDOW_MS);
        assert.ok(counted.count >= 1 && counted.count <= at + 1);
        assert.equal(stillCounted(counted, now_ms, WINDOW_MS), counted.count);
      });
    }),
  );
});

test('a poll every five seconds for ten minutes stays within the limit of reads, and not within that of writes', () => {
  const limits = { identical: 20, identical_reads: 120, failing: 8, window_ms: WINDOW_MS };
  let counted: Count | undefined;
  let most = 0;
  for (let now_ms = 0; now_ms < 3 * WINDOW_MS; now_ms += 5_000) {
    counted = oneMore(counted, now_ms, WINDOW_MS);
    most = Math.max(most, counted.count);
  }
  assert.ok(most <= mostIdentical(limits, false));
  assert.ok(most > mostIdentical(limits, true));
});

test('what an agent can only wait for is no failing; everything that tells it to change something is', () => {
  assert.equal(isFailing('quota_exceeded'), false);
  assert.equal(isFailing('halted'), false);
  for (const [code, { next }] of Object.entries(problems)) {
    if (next === 'change') assert.equal(isFailing(code as keyof typeof problems), true, code);
  }
});
