// Reads how often and when something is tried again, with the defaults of what a manifest leaves out.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import type { RetryCause, RetryRule } from '#rules/retry.ts';
import type { Tool } from '#rules/tool.ts';
import { parseDuration } from './duration.ts';

const RETRY_DEFAULTS = {
  attempts: 3,
  on: ['not-sent', 'busy'],
  base_ms: 500,
  max_ms: 20_000,
  budget_ms: 60_000,
} as const;
const READ_AGAIN_DEFAULTS = { attempts: 1, base_ms: 500, max_ms: 5_000 } as const;

/** A tool's `retry`, with what holds where it says nothing. */
export function retryOf(value: JsonObject): RetryRule {
  return {
    attempts: (value.attempts as number | undefined) ?? RETRY_DEFAULTS.attempts,
    on: (value.on as readonly RetryCause[] | undefined) ?? RETRY_DEFAULTS.on,
    base_ms: durationOf(value.base, RETRY_DEFAULTS.base_ms),
    max_ms: durationOf(value.max, RETRY_DEFAULTS.max_ms),
    budget_ms: durationOf(value.budget, RETRY_DEFAULTS.budget_ms),
  };
}

/** How often a read-back is read again. */
export function readAgain(value: JsonObject): NonNullable<Tool['verify']>['retry'] {
  return {
    attempts: (value.attempts as number | undefined) ?? READ_AGAIN_DEFAULTS.attempts,
    base_ms: durationOf(value.base, READ_AGAIN_DEFAULTS.base_ms),
    max_ms: durationOf(value.max, READ_AGAIN_DEFAULTS.max_ms),
  };
}

/** Milliseconds of a duration that may be left out. */
export function durationOf(text: Json | undefined, otherwise_ms: number): number {
  return text === undefined ? otherwise_ms : parseDuration(text as string);
}
