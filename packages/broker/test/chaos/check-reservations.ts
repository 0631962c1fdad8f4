// No reservation leaked: each stands as its call stands, and the counters say what the reservations say.
import type { CallRecord } from './check.ts';

interface Counted {
  readonly tenant: string;
  readonly quota: string;
  readonly subject: string;
  readonly window_start_ms: number;
  readonly window_end_ms: number;
}

export interface ReservationRecord extends Counted {
  readonly call_id: string;
  readonly amount: number;
  readonly counts: string;
  readonly state: string;
}

export interface CounterRecord extends Counted {
  readonly posted: number;
  readonly reserved: number;
}

export interface QuotaEvidence {
  readonly calls: readonly CallRecord[];
  readonly reservations: readonly ReservationRecord[];
  readonly counters: readonly CounterRecord[];
}

/** `limits` by the name of the quota. */
export function checkReservations(
  { calls, reservations, counters }: QuotaEvidence,
  limits: Readonly<Record<string, number>>,
): string[] {
  const statuses = new Map(calls.map(({ id, status }) => [id, status]));
  const held = new Map<string, { posted: number; reserved: number }>();
  const violations: string[] = [];
  for (const reservation of reservations) {
    const { call_id, quota, state, amount, counts } = reservation;
    const status = statuses.get(call_id) ?? 'unknown';
    const expected = stateOf(counts, status);
    if (state !== expected)
      violations.push(
        `leaked: ${quota} has ${state} for ${call_id}, which is ${status}: expected ${expected}`,
      );
    const sum = held.get(nameOf(reservation)) ?? { posted: 0, reserved: 0 };
    if (state === 'posted' || state === 'reserved') sum[state] += amount;
    held.set(nameOf(reservation), sum);
  }
  const newest_ms = Math.max(...counters.map(({ window_end_ms }) => window_end_ms));
  for (const counter of counters) {
    const name = nameOf(counter);
    const sum = held.get(name) ?? { posted: 0, reserved: 0 };
    // Reservations of windows that are over may be forgotten by now, with what they posted.
    const over = counter.window_end_ms < newest_ms;
    if (counter.reserved !== sum.reserved || (!over && counter.posted !== sum.posted))
      violations.push(`miscounted: ${name} says ${saying(counter)}, its reservations say ${saying(sum)}`);
    const limit = limits[counter.quota] ?? 0;
    if (counter.posted + counter.reserved > limit)
      violations.push(`overshot: ${name} says ${saying(counter)}, its limit is ${limit}`);
  }
  return violations;
}

/** A call that is not over keeps its place; a write that is known not to have been done gives it back. */
function stateOf(counts: string, status: string): string {
  if (status === 'in_doubt' || status === 'running') return 'reserved';
  return counts === 'writes' && (status === 'failed' || status === 'refused') ? 'released' : 'posted';
}

function nameOf({ tenant, quota, subject, window_start_ms }: Counted): string {
  return `${tenant} ${quota} ${subject} from ${window_start_ms}`;
}

function saying({ posted, reserved }: { readonly posted: number; readonly reserved: number }): string {
  return `${posted} posted and ${reserved} reserved`;
}
