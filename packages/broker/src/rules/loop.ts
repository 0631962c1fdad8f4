// Loops: when a run repeats itself, and when it keeps failing, as counts within a window.
import type { ProblemCode } from '@countersign/contract/problem.ts';

/** 0 switches a limit off. */
export interface LoopLimits {
  /** Calls of a tool that changes something, with equal arguments. */
  readonly identical: number;
  /** Calls of a tool that reads, with equal arguments: more, since agents poll. */
  readonly identical_reads: number;
  /** Calls of one tool in a row that were refused or failed. */
  readonly failing: number;
  readonly window_ms: number;
}

/** How often something happened since it first did. */
export interface Count {
  readonly since_ms: number;
  readonly count: number;
}

/** The count with one more; it begins anew where the window of the old one is over. */
export function oneMore(before: Count | undefined, now_ms: number, window_ms: number): Count {
  const over = before === undefined || now_ms - before.since_ms >= window_ms;
  return over ? { since_ms: now_ms, count: 1 } : { ...before, count: before.count + 1 };
}

/** How much of a count still counts. */
export function stillCounted(counted: Count | undefined, now_ms: number, window_ms: number): number {
  return counted === undefined || now_ms - counted.since_ms >= window_ms ? 0 : counted.count;
}

/** Most equal calls of a tool with this effect. */
export function mostIdentical(limits: LoopLimits, write: boolean): number {
  return write ? limits.identical : limits.identical_reads;
}

/**
 * Refusals by which the broker itself keeps callers off until something passes: after it they shall go on at once, and
 * many calls at the same time are no loop.
 */
const KEPT_OFF: readonly ProblemCode[] = [
  'halted',
  'quota_exceeded',
  'budget_exceeded',
  'rate_limited',
  'too_many_holds',
  'circuit_open',
  'loop_detected',
];

/** Whether an end of a call is one that an agent should learn from instead of trying again. */
export function isFailing(code: ProblemCode): boolean {
  return !KEPT_OFF.includes(code);
}
