// Doubts: calls whose outcome is unknown, and when they are looked for next.
import { raiseAlert } from './alerts.ts';
import type { Tx } from './tx.ts';

export interface Doubt {
  readonly call_id: string;
  readonly tenant: string;
  /** When the last attempt was over, or will be at the latest: an attempt that is under way lies in the future. */
  readonly since_ms: number;
  /** How often it was looked for. */
  readonly tries: number;
  /** How often it was sent again. */
  readonly resends: number;
  /** Null: it is left to a person. */
  readonly next_at_ms: number | null;
  /** Why it is not settled yet, for people; free of secrets. */
  readonly why: string;
}

const SELECT = 'select call_id, tenant, since_ms, tries, resends, next_at_ms, why from doubts';

/** Begins to look for a call, at once; does nothing when it is looked for already. */
export async function openDoubt(tx: Tx, call_id: string, tenant: string, at_ms: number): Promise<void> {
  await tx.run(
    `insert into doubts (call_id, tenant, since_ms, tries, resends, next_at_ms, why) values (?, ?, ?, 0, 0, ?, '')
     on conflict do nothing`,
    ...[call_id, tenant, at_ms, at_ms],
  );
}

export async function getDoubt(tx: Tx, call_id: string): Promise<Doubt | undefined> {
  return tx.get<Doubt>(`${SELECT} where call_id = ?`, call_id);
}

/** Those whose time has come, the longest waiting first. */
export async function dueDoubts(tx: Tx, now_ms: number, limit: number): Promise<Doubt[]> {
  return tx.all<Doubt>(`${SELECT} where next_at_ms <= ? order by next_at_ms, call_id limit ?`, now_ms, limit);
}

/**
 * Before a deed is sent again, by an attempt that is over at `until_ms` at the latest. False when its call is not in doubt
 * any more: then it must not be sent.
 */
export async function beginResend(tx: Tx, call_id: string, until_ms: number): Promise<boolean> {
  const { changes } = await tx.run(
    `update doubts set since_ms = ?, resends = resends + 1 where call_id = ?
       and exists (select 1 from calls where calls.id = doubts.call_id and calls.status = 'in_doubt')`,
    ...[until_ms, call_id],
  );
  return changes === 1;
}

/** Looked for and not settled: when next, or null for a person, who is told in the same transaction. */
export async function postponeDoubt(
  tx: Tx,
  call_id: string,
  { tries, next_at_ms, why, at_ms }: Pick<Doubt, 'tries' | 'next_at_ms' | 'why'> & { readonly at_ms: number },
): Promise<void> {
  await tx.run(
    'update doubts set tries = ?, next_at_ms = ?, why = ? where call_id = ?',
    ...[tries, next_at_ms, why, call_id],
  );
  if (next_at_ms !== null) return;
  await raiseAlert(tx, { call_id, kind: 'needs_person', status: 'in_doubt', problem: 'in_doubt', at_ms });
}

export async function closeDoubt(tx: Tx, call_id: string): Promise<void> {
  await tx.run('delete from doubts where call_id = ?', call_id);
}
