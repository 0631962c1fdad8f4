// Quotas: their counters, and what each admitted call took of them until its outcome posts or releases it.
import type { CallStatus } from '@countersign/contract/wire.ts';
import { type Claim, fits, type QuotaUnit, type QuotaUse, settlementOf } from '#rules/quota.ts';
import type { Tx } from './tx.ts';

/** A counter as it is kept. */
export interface StoredUse extends QuotaUse {
  readonly quota: string;
  /** Holder and name. */
  readonly subject: string;
  readonly window_start_ms: number;
  readonly window_end_ms: number;
}

export interface StoredReservation extends Omit<Claim, 'limit' | 'of'> {
  readonly call_id: string;
  readonly tenant: string;
  readonly counts: QuotaUnit;
  readonly state: 'reserved' | 'posted' | 'released';
}

const NONE: QuotaUse = { posted: 0, reserved: 0 };
const COUNTER = 'tenant = ? and quota = ? and subject = ? and window_start_ms = ? and window_end_ms = ?';

function counterOf(tenant: string, at: Omit<StoredUse, keyof QuotaUse>): readonly (string | number)[] {
  return [tenant, at.quota, at.subject, at.window_start_ms, at.window_end_ms];
}

/** Of the claims that do not fit any more, the one whose window ends last; null when all fit. */
export async function fullClaim(tx: Tx, tenant: string, claims: readonly Claim[]): Promise<Claim | null> {
  let last: Claim | null = null;
  for (const claim of claims) {
    const use = await tx.get<QuotaUse>(
      `select posted, reserved from quota_use where ${COUNTER}`,
      ...counterOf(tenant, claim),
    );
    const full = !fits(use ?? NONE, claim);
    if (full && (last === null || claim.window_end_ms > last.window_end_ms)) last = claim;
  }
  return last;
}

/**
 * Takes what `fullClaim` found to fit, in the same unit of work as the intent of its call.
 *
 * @throws when something does not fit after all: then nothing of the unit stays.
 */
export async function reserve(
  tx: Tx,
  tenant: string,
  call_id: string,
  claims: readonly Claim[],
): Promise<void> {
  for (const claim of claims) {
    const { changes } = await tx.run(
      `insert into quota_use (tenant, quota, subject, window_start_ms, window_end_ms, posted, reserved)
       values (?, ?, ?, ?, ?, 0, ?)
       on conflict (tenant, quota, subject, window_start_ms, window_end_ms)
       do update set reserved = quota_use.reserved + excluded.reserved
       where quota_use.posted + quota_use.reserved + excluded.reserved <= ?`,
      ...[...counterOf(tenant, claim), claim.amount, claim.limit],
    );
    if (changes !== 1) throw new Error(`the quota "${claim.quota}" filled up under its reservation`);
    await tx.run(
      `insert into reservations
         (tenant, quota, subject, window_start_ms, window_end_ms, call_id, amount, counts, state)
       values (?, ?, ?, ?, ?, ?, ?, ?, 'reserved')`,
      ...[...counterOf(tenant, claim), call_id, claim.amount, claim.of],
    );
  }
  if (claims.length > 0) await tx.run('update calls set reserved = 1 where id = ?', call_id);
}

/**
 * Posts or releases what a call reserved, as its new status says. A write that was posted unverified is given back once
 * a person knows that it was not done.
 */
export async function settleReservations(tx: Tx, call_id: string, status: CallStatus): Promise<void> {
  for (const { tenant, amount, counts, state: was, ...at } of await reservationsOf(tx, call_id)) {
    const state = settlementOf(counts, status);
    if (state === was || state === 'reserved' || was === 'released') continue;
    const reserved = was === 'reserved' ? amount : 0;
    const posted = (state === 'posted' ? amount : 0) - (was === 'posted' ? amount : 0);
    await tx.run(
      `update quota_use set reserved = reserved - ?, posted = posted + ? where ${COUNTER}`,
      ...[reserved, posted, ...counterOf(tenant, at)],
    );
    await tx.run(
      'update reservations set state = ? where call_id = ? and quota = ?',
      state,
      call_id,
      at.quota,
    );
  }
}

/** Counters of windows that are not over, and of those in which something is still reserved; the fullest first. */
export async function listUse(tx: Tx, tenant: string, now_ms: number, limit: number): Promise<StoredUse[]> {
  return tx.all<StoredUse>(
    `select quota, subject, window_start_ms, window_end_ms, posted, reserved from quota_use
     where tenant = ? and (window_end_ms > ? or reserved > 0)
     order by posted + reserved desc, quota, subject, window_start_ms limit ?`,
    ...[tenant, now_ms, limit],
  );
}

/** What a call took of quotas, and what became of it. */
export async function reservationsOf(tx: Tx, call_id: string): Promise<StoredReservation[]> {
  return tx.all<StoredReservation>('select * from reservations where call_id = ? order by quota', call_id);
}

/** Forgets windows that ended before this, but for what is still reserved in them. */
export async function purgeUse(tx: Tx, before_ms: number): Promise<void> {
  await tx.run(`delete from reservations where window_end_ms < ? and state <> 'reserved'`, before_ms);
  await tx.run('delete from quota_use where window_end_ms < ? and reserved = 0', before_ms);
}
