// What vendors' headers say about trying again, as they write them.
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { readRetryHint } from '#connectors/openapi/read-retry-hint.ts';

const NOW = Date.UTC(2026, 0, 1, 12, 0, 0);
const cases: readonly [string, number, IncomingHttpHeaders, object][] = [
  ['Retry-After in seconds', 429, { 'retry-after': '7' }, { retry_after_ms: 7_000, transient: true }],
  [
    'Retry-After as a date',
    503,
    { 'retry-after': 'Thu, 01 Jan 2026 12:00:30 GMT' },
    { retry_after_ms: 30_000, transient: true },
  ],
  [
    'a date that has passed',
    429,
    { 'retry-after': 'Thu, 01 Jan 2026 11:00:00 GMT' },
    { retry_after_ms: 0, transient: true },
  ],
  ['nonsense is no wait', 429, { 'retry-after': 'soon' }, { transient: true }],
  [
    'nothing is for ever',
    429,
    { 'retry-after': '9999999999' },
    { retry_after_ms: 86_400_000, transient: true },
  ],
  ['milliseconds', 429, { 'retry-after-ms': '1500' }, { retry_after_ms: 1_500, transient: true }],
  [
    'the limit of GitHub',
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW / 1_000 + 60) },
    { retry_after_ms: 60_000, transient: true },
  ],
  [
    'a reset beside a limit that is not spent',
    403,
    { 'x-ratelimit-remaining': '9', 'x-ratelimit-reset': '9' },
    {},
  ],
  [
    'the limit of the IETF draft',
    429,
    { 'ratelimit-remaining': '0', 'ratelimit-reset': '12' },
    { retry_after_ms: 12_000, transient: true },
  ],
  ['503 without a time may be anything', 503, {}, {}],
  ['the word of Stripe', 409, { 'stripe-should-retry': 'true' }, { again: true }],
  ['its no', 500, { 'stripe-should-retry': 'false' }, { again: false }],
];
for (const [name, status, headers, expected] of cases) {
  test(`hint: ${name}`, () => {
    assert.deepEqual(readRetryHint(status, headers, NOW), { status, ...expected });
  });
}
