// When an attempt that did not succeed may be made again, and after how long: pure, with time and chance handed in.

/** What an attempt ended with, as far as trying again depends on it. */
export interface Attempted {
  readonly kind: 'rejected' | 'not_sent' | 'unknown';
  readonly hint?: RetryHint;
}

/** What an outside system said about trying again. */
export interface RetryHint {
  /** HTTP status of the answer. */
  readonly status?: number;
  /** It asked to be left alone for so long. */
  readonly retry_after_ms?: number;
  /** The same request may well succeed later: the system was busy, or a transaction lost against another. */
  readonly transient?: boolean;
  /** Its own word on whether to try again, where it has one. */
  readonly again?: boolean;
  /**
   * A refusal that holds for the whole call, whatever was sent before: the system knows the call by its id, and would
   * have answered with the deed if it had done it.
   */
  readonly conclusive?: boolean;
}

/** `busy`: the system says so (429, 503 with a time to come back, a lost database transaction). A number: an HTTP status. */
export type RetryCause = 'not-sent' | 'busy' | 'unknown' | number;

export interface RetryRule {
  /** Attempts in all, the first included. */
  readonly attempts: number;
  readonly on: readonly RetryCause[];
  readonly base_ms: number;
  readonly max_ms: number;
  /** For all attempts and the waits between them. */
  readonly budget_ms: number;
}

export interface Progress {
  /** Attempts made so far. */
  readonly made: number;
  readonly elapsed_ms: number;
  /** From 0 up to, not including, 1. */
  readonly chance: number;
}

/**
 * Milliseconds to wait before the next attempt, or null when there is none. `safe`: sending again cannot do the deed
 * twice; without it an unknown outcome is never tried again. Exponential back-off with full jitter; a system that says
 * when to come back is not asked earlier.
 */
export function waitBeforeRetry(
  rule: RetryRule,
  attempted: Attempted,
  safe: boolean,
  { made, elapsed_ms, chance }: Progress,
): number | null {
  if (made >= rule.attempts) return null;
  if (attempted.kind === 'unknown' && !safe) return null;
  if (!isListed(rule.on, attempted)) return null;
  const wait_ms = backoff_ms(rule, made, chance) + (attempted.hint?.retry_after_ms ?? 0);
  return elapsed_ms + wait_ms < rule.budget_ms ? wait_ms : null;
}

function isListed(on: readonly RetryCause[], { kind, hint = {} }: Attempted): boolean {
  if (hint.again === false) return false;
  if (hint.status !== undefined && on.includes(hint.status)) return true;
  if (kind === 'not_sent') return on.includes('not-sent');
  if (kind === 'unknown') return on.includes('unknown');
  return (hint.transient === true || hint.again === true) && on.includes('busy');
}

/** Full jitter: anything from nothing to the exponential step, so that callers who failed together come back apart. */
export function backoff_ms(
  { base_ms, max_ms }: Pick<RetryRule, 'base_ms' | 'max_ms'>,
  made: number,
  chance: number,
): number {
  return Math.floor(chance * Math.min(max_ms, base_ms * 2 ** Math.min(made - 1, 30)));
}

/** A number from 0 up to, not including, 1 from four random bytes. */
export function chanceOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}

/**
 * Whether a write may have been carried out although it was answered with this HTTP status: 301 to 303 may stand behind a
 * deed that was done, as may 408 and most of 5xx.
 */
export function mayHaveBeenDone(status: number): boolean {
  if (status < 400) return status < 304;
  if (status < 500) return status === 408;
  return status !== 501 && status !== 505;
}
