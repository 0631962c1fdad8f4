// When an operation that keeps failing is left alone, and how it is tried again: pure, with the time handed in.

export interface BreakerRule {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** How long it is left alone at first; doubles with every probe that fails. */
  readonly cooldown_ms: number;
  readonly cooldown_max_ms: number;
}

export type Breaker =
  | { readonly state: 'closed'; readonly failures: number }
  | { readonly state: 'open'; readonly until_ms: number; readonly cooldown_ms: number }
  /** One attempt at a time is let through to see whether the system is back. */
  | { readonly state: 'half_open'; readonly probing: boolean; readonly cooldown_ms: number };

/** `neither`: ended for a reason that says nothing of the system, e.g. a halt. */
export type Told = 'success' | 'failure' | 'neither';

export type Leave =
  | { readonly pass: true; readonly probe: boolean; readonly breaker: Breaker }
  | { readonly pass: false; readonly retry_at_ms: number };

export const CLOSED: Breaker = { state: 'closed', failures: 0 };

/** While a probe is under way it is not known when there will be more; ask again after this. */
const PROBE_MS = 1_000;

/** Whether an attempt may go now, and the breaker once it does. */
export function askBreaker(breaker: Breaker, now_ms: number): Leave {
  switch (breaker.state) {
    case 'closed':
      return { pass: true, probe: false, breaker };
    case 'open': {
      const { until_ms, cooldown_ms } = breaker;
      if (now_ms < until_ms) return { pass: false, retry_at_ms: until_ms };
      return { pass: true, probe: true, breaker: { state: 'half_open', probing: true, cooldown_ms } };
    }
    case 'half_open':
      if (breaker.probing) return { pass: false, retry_at_ms: now_ms + PROBE_MS };
      return { pass: true, probe: true, breaker: { ...breaker, probing: true } };
  }
}

/**
 * The breaker after an attempt. Once it is not closed only its probe counts: what was sent before it opened tells
 * nothing new, and must neither close it nor lengthen its cool-down.
 */
export function tellBreaker(
  breaker: Breaker,
  told: Told,
  probe: boolean,
  now_ms: number,
  rule: BreakerRule,
): Breaker {
  if (breaker.state === 'closed') {
    if (told === 'neither' || (told === 'success' && breaker.failures === 0)) return breaker;
    if (told === 'success') return CLOSED;
    const failures = breaker.failures + 1;
    return failures < rule.failures ? { state: 'closed', failures } : opened(rule.cooldown_ms, now_ms, rule);
  }
  if (!probe || breaker.state === 'open') return breaker;
  if (told === 'success') return CLOSED;
  if (told === 'failure') return opened(breaker.cooldown_ms * 2, now_ms, rule);
  return { ...breaker, probing: false };
}

function opened(wanted_ms: number, now_ms: number, rule: BreakerRule): Breaker {
  const cooldown_ms = Math.min(wanted_ms, rule.cooldown_max_ms);
  return { state: 'open', until_ms: now_ms + cooldown_ms, cooldown_ms };
}
