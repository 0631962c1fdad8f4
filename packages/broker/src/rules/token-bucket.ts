// How many attempts a second a system takes: a token bucket, pure, with the time handed in.

export interface Rate {
  /** Attempts a second in the long run; may be a fraction. */
  readonly per_s: number;
  /** How many may go at once after a pause. */
  readonly burst: number;
}

export interface Bucket {
  readonly tokens: number;
  /** When `tokens` were counted. */
  readonly at_ms: number;
}

export function fullBucket(rate: Rate, now_ms: number): Bucket {
  return { tokens: rate.burst, at_ms: now_ms };
}

/** The bucket after one attempt was taken from it, or null when there is none to take now. */
export function takeToken(bucket: Bucket, rate: Rate, now_ms: number): Bucket | null {
  const { tokens, at_ms } = refilled(bucket, rate, now_ms);
  return tokens < 1 - ROUNDING ? null : { tokens: Math.max(0, tokens - 1), at_ms };
}

/** Milliseconds until so many tokens are there, counting on from the ones that others wait for. */
export function waitForTokens(bucket: Bucket, rate: Rate, now_ms: number, count: number): number {
  const missing = count - refilled(bucket, rate, now_ms).tokens;
  return missing <= ROUNDING ? 0 : Math.ceil((missing * 1_000) / rate.per_s);
}

/** Fractions do not add up to whole tokens exactly. */
const ROUNDING = 1e-6;

/** A clock that goes back gives nothing at that moment, and takes nothing away. */
function refilled({ tokens, at_ms }: Bucket, { per_s, burst }: Rate, now_ms: number): Bucket {
  const passed_ms = Math.max(0, now_ms - at_ms);
  return { tokens: Math.min(burst, tokens + (passed_ms * per_s) / 1_000), at_ms: now_ms };
}
