// Leases: credentials that were minted for a call and are to be revoked once it is over.
import type { CallStatus } from '@countersign/contract/wire.ts';
import type { Draft } from '#rules/ledger-entry.ts';
import { raiseAlert } from './alerts.ts';
import type { Tx, WriteTx } from './tx.ts';

export interface StoredLease {
  /** Id of the credential. */
  readonly credential: string;
  readonly call_id: string;
  readonly run: string;
  readonly tenant: string;
  readonly connector: string;
  readonly provider: string;
  /** Sealed: what revokes the credential. */
  readonly handle: string;
  readonly expires_at_ms: number;
  /** How often revoking it has failed. */
  readonly tries: number;
  readonly next_at_ms: number;
  /** Why it is not revoked yet; free of secrets. */
  readonly why: string;
}

const COLUMNS =
  'credential, call_id, run, tenant, connector, provider, handle, expires_at_ms, tries, next_at_ms, why';

/** Before the credential is used. Whoever lost it finds it due: only its broker knows that it is in use. */
export async function openLease(
  tx: Tx,
  lease: Omit<StoredLease, 'tries' | 'next_at_ms' | 'why'>,
  at_ms: number,
): Promise<void> {
  const { credential, call_id, run, tenant, connector, provider, handle, expires_at_ms } = lease;
  await tx.run(
    `insert into leases (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, '')`,
    ...[credential, call_id, run, tenant, connector, provider, handle, expires_at_ms, at_ms],
  );
}

/** Those whose time has come, the longest waiting first. */
export async function dueLeases(tx: Tx, now_ms: number, limit: number): Promise<StoredLease[]> {
  return tx.all<StoredLease>(
    `select ${COLUMNS} from leases where next_at_ms <= ? order by next_at_ms, credential limit ?`,
    ...[now_ms, limit],
  );
}

/** So often may revoking fail before people are told. */
const TOLD_AFTER = 3;

/** Not revoked: when it is tried again. People are told, once, of one that keeps failing. */
export async function postponeLease(
  tx: Tx,
  { credential, call_id }: Pick<StoredLease, 'credential' | 'call_id'>,
  { tries, next_at_ms, why }: Pick<StoredLease, 'tries' | 'next_at_ms' | 'why'>,
  at_ms: number,
): Promise<void> {
  await tx.run(
    'update leases set tries = ?, next_at_ms = ?, why = ? where credential = ?',
    ...[tries, next_at_ms, why, credential],
  );
  if (tries !== TOLD_AFTER) return;
  // A call that was refused after its fresh reads may have left no row that an alert could be about.
  const call = await tx.get<{ status: CallStatus }>('select status from calls where id = ?', call_id);
  if (call !== undefined) await raiseAlert(tx, { call_id, kind: 'not_revoked', status: call.status, at_ms });
}

/** Revoked, or over by itself: recorded, and what revoked it is forgotten. False when that was done before. */
export async function closeLease(tx: WriteTx, credential: string, entry: Draft): Promise<boolean> {
  const { changes } = await tx.run('delete from leases where credential = ?', credential);
  if (changes === 0) return false;
  await tx.append(entry);
  return true;
}
