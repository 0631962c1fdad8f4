// Quotas: which of them count a call, in which window, and what reserving and settling do to a counter.
import type { CallStatus } from '@countersign/contract/wire.ts';

/** What is counted: every admitted call, or those that change something. */
export type QuotaUnit = 'calls' | 'writes';
/** Whose count it is: each agent's, each tool's within the tenant, or each run's. */
export type QuotaHolder = 'agent' | 'tool' | 'run';
/** Fixed UTC minutes or days, not sliding ones. */
export type QuotaWindow = 'minute' | 'day';

/** One quota of the bundle. */
export interface Quota {
  readonly name: string;
  readonly of: QuotaUnit;
  readonly per: QuotaHolder;
  readonly limit: number;
  readonly window: QuotaWindow;
  /** Names of those for whom it holds; null: everybody. */
  readonly agents: readonly string[] | null;
  /** Names of the tools that it counts; null: every tool. */
  readonly tools: readonly string[] | null;
}

/** What one call takes of one quota. */
export interface Claim {
  readonly quota: string;
  readonly of: QuotaUnit;
  /** Key of the counter: holder and name, so that a quota which becomes another holder's starts anew. */
  readonly subject: string;
  readonly limit: number;
  readonly amount: number;
  readonly window_start_ms: number;
  readonly window_end_ms: number;
}

/** A counter of one quota, subject and window. */
export interface QuotaUse {
  /** Taken for good. */
  readonly posted: number;
  /** Taken by calls whose outcome is not known yet. */
  readonly reserved: number;
}

/** The call as quotas see it. */
export interface CountedCall {
  readonly agent: string;
  readonly tool: string;
  readonly run: string;
  readonly write: boolean;
}

export const WINDOW_MS: Readonly<Record<QuotaWindow, number>> = { minute: 60_000, day: 86_400_000 };

const NOTHING: readonly Claim[] = [];

/** What a call takes of each quota that counts it, in the windows of this moment. */
export function claimsOf(quotas: readonly Quota[], call: CountedCall, now_ms: number): readonly Claim[] {
  if (quotas.length === 0) return NOTHING;
  return quotas.filter((quota) => counts(quota, call)).map((quota) => claimOf(quota, call, now_ms));
}

function counts({ of, agents, tools }: Quota, call: CountedCall): boolean {
  if (of === 'writes' && !call.write) return false;
  return (agents?.includes(call.agent) ?? true) && (tools?.includes(call.tool) ?? true);
}

function claimOf({ name, of, per, limit, window }: Quota, call: CountedCall, now_ms: number): Claim {
  const window_start_ms = now_ms - (now_ms % WINDOW_MS[window]);
  const window_end_ms = window_start_ms + WINDOW_MS[window];
  return {
    quota: name,
    of,
    subject: `${per}:${call[per]}`,
    limit,
    amount: 1,
    window_start_ms,
    window_end_ms,
  };
}

/** Whether a claim still fits: what is reserved counts like what is taken for good. */
export function fits({ posted, reserved }: QuotaUse, { amount, limit }: Claim): boolean {
  return posted + reserved + amount <= limit;
}

/** Statuses of calls that are known not to have been done. */
const NOT_DONE: readonly CallStatus[] = ['failed', 'refused'];
/** Statuses that leave a reservation as it is. */
const UNKNOWN: readonly CallStatus[] = ['held', 'running', 'in_doubt'];

/**
 * What becomes of a reservation when its call takes this status. A write that is known not to have been done gives its
 * place back; a call was one, however it ended; in doubt keeps the place, since it may have been done.
 */
export function settlementOf(of: QuotaUnit, status: CallStatus): 'posted' | 'released' | 'reserved' {
  if (UNKNOWN.includes(status)) return 'reserved';
  return of === 'writes' && NOT_DONE.includes(status) ? 'released' : 'posted';
}

/** The name of the holder in a counter's key, where the counter is one of this quota as it is now; else null. */
export function holderIn(
  { per, window }: Quota,
  counter: Pick<Claim, 'subject' | 'window_start_ms' | 'window_end_ms'>,
): string | null {
  const same = counter.window_end_ms - counter.window_start_ms === WINDOW_MS[window];
  return same && counter.subject.startsWith(`${per}:`) ? counter.subject.slice(per.length + 1) : null;
}
