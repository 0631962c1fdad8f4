// How much of one connector may be used at once, and when it is left alone: what its file says, or these defaults.
import type { BreakerRule } from './breaker.ts';
import type { Rate } from './token-bucket.ts';

export interface FlowRule {
  readonly bulkhead: {
    /** Attempts under way at once. */
    readonly concurrency: number;
    /** Attempts that wait for their turn; more are refused at once. */
    readonly queue: number;
    /** Null: as fast as it goes. */
    readonly rate: Rate | null;
  };
  readonly breaker: BreakerRule;
}

export const DEFAULT_FLOW: FlowRule = {
  bulkhead: { concurrency: 100, queue: 1_000, rate: null },
  breaker: { failures: 5, cooldown_ms: 10_000, cooldown_max_ms: 120_000 },
};
