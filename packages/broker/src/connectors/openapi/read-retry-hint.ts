// What the headers of an HTTP answer say about trying again: Retry-After and the vendors' rate-limit headers.
import type { IncomingHttpHeaders } from 'node:http';
import type { RetryHint } from '#rules/retry.ts';

/** Longer waits are cut: a header must not stop a call for ever. */
const LONGEST_MS = 24 * 3_600_000;
/** Seconds above this are a time since the epoch, as GitHub writes it; below, a span, as the IETF draft writes it. */
const EPOCH_SECONDS = 1_000_000_000;

/**
 * RFC 9110 §10.2.3 (Retry-After, seconds or date), `retry-after-ms`, `RateLimit-Reset` (IETF draft), and
 * `x-ratelimit-reset` where `x-ratelimit-remaining` is 0 (GitHub, Jira); `stripe-should-retry`.
 */
export function readRetryHint(status: number, headers: IncomingHttpHeaders, now_ms: number): RetryHint {
  const wait_ms = waitOf(headers, now_ms);
  const word = headers['stripe-should-retry'];
  return {
    status,
    ...(wait_ms === null ? {} : { retry_after_ms: Math.min(Math.max(0, wait_ms), LONGEST_MS) }),
    ...(status === 429 || (status === 503 && wait_ms !== null) || isLimited(status, headers)
      ? { transient: true }
      : {}),
    ...(word === 'true' || word === 'false' ? { again: word === 'true' } : {}),
  };
}

/** GitHub says 403 when the limit is reached. */
function isLimited(status: number, headers: IncomingHttpHeaders): boolean {
  return status === 403 && headers['x-ratelimit-remaining'] === '0';
}

function waitOf(headers: IncomingHttpHeaders, now_ms: number): number | null {
  const precise = numberIn(headers['retry-after-ms']);
  if (precise !== null) return precise;
  const after = headers['retry-after'];
  if (after !== undefined) {
    const seconds = numberIn(after);
    if (seconds !== null) return seconds * 1_000;
    const at_ms = Date.parse(after);
    return Number.isNaN(at_ms) ? null : at_ms - now_ms;
  }
  const spent = headers['x-ratelimit-remaining'] === '0' || headers['ratelimit-remaining'] === '0';
  const reset = spent ? numberIn(headers['x-ratelimit-reset'] ?? headers['ratelimit-reset']) : null;
  if (reset === null) return null;
  return reset > EPOCH_SECONDS ? reset * 1_000 - now_ms : reset * 1_000;
}

function numberIn(text: unknown): number | null {
  return typeof text === 'string' && /^[0-9]{1,13}(\.[0-9]{1,3})?$/.test(text) ? Number(text) : null;
}
