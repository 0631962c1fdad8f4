// A bucket never gives more than its burst and what its rate has brought since, and says truly how long to wait.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Bucket, fullBucket, type Rate, takeToken, waitForTokens } from './token-bucket.ts';

test('a full bucket gives its burst at once, then one token each interval', () => {
  const rate: Rate = { per_s: 4, burst: 2 };
  let bucket = fullBucket(rate, 0);
  const taken: number[] = [];
  for (let now_ms = 0; now_ms <= 1_000; now_ms += 50) {
    for (let next = takeToken(bucket, rate, now_ms); next !== null; next = takeToken(bucket, rate, now_ms)) {
      bucket = next;
      taken.push(now_ms);
    }
  }
  assert.deepEqual(taken, [0, 0, 250, 500, 750, 1_000]);
});

test('a rate below one a second counts too', () => {
  const rate: Rate = { per_s: 0.5, burst: 1 };
  const empty = takeToken(fullBucket(rate, 0), rate, 0)!;
  assert.equal(takeToken(empty, rate, 1_999), null);
  assert.ok(takeToken(empty, rate, 2_000));
  assert.deepEqual(
    [1, 2].map((count) => waitForTokens(empty, rate, 0, count)),
    [2_000, 4_000],
  );
});

test('a clock that goes back gives nothing and breaks nothing', () => {
  const rate: Rate = { per_s: 1, burst: 1 };
  const empty = takeToken(fullBucket(rate, 10_000), rate, 10_000)!;
  assert.equal(takeToken(empty, rate, 0), null);
  assert.ok(takeToken(empty, rate, 11_000));
});

const rates = fc.record({
  per_s: fc.double({ min: 0.01, max: 10_000, noNaN: true }),
  burst: fc.integer({ min: 1, max: 100 }),
});

test('whatever the rate: never more than the burst and the rate allow, and after the wait there is a token', () => {
  fc.assert(
    fc.property(rates, fc.array(fc.nat(2_000), { maxLength: 60 }), (rate, pauses) => {
      let bucket: Bucket = fullBucket(rate, 0);
      let now_ms = 0;
      let taken = 0;
      for (const pause_ms of pauses) {
        now_ms += pause_ms;
        const wait_ms = waitForTokens(bucket, rate, now_ms, 1);
        const next = takeToken(bucket, rate, now_ms);
        assert.equal(next === null, wait_ms > 0);
        now_ms += wait_ms;
        bucket = next ?? takeToken(bucket, rate, now_ms)!;
        assert.ok(bucket, 'the wait was long enough');
        taken += 1;
        assert.ok(taken <= rate.burst + (rate.per_s * now_ms) / 1_000 + 1e-3);
      }
    }),
  );
});
