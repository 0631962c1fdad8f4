// Undos: the calls that undo others, and the mark that a full one leaves on the call that it has undone.
import type { Draft } from '#rules/ledger-entry.ts';
import { COLUMNS_OF_CALLS, compensateCall, type StoredCall, TOOK_EFFECT } from './calls.ts';
import type { Tx, WriteTx } from './tx.ts';

/** A call that was undone by the one that is being settled, with the entry that says so. */
export interface Undone {
  readonly call_id: string;
  readonly at_ms: number;
  readonly entry: Draft;
}

/** Marks it in the transaction that settles its undo. One that a person has settled otherwise meanwhile stays so. */
export async function recordUndone(tx: WriteTx, { call_id, at_ms, entry }: Undone): Promise<void> {
  if (await compensateCall(tx, call_id, at_ms)) await tx.append(entry);
}

/** An undo that is known not to have been done may be asked for again; any other is the one. */
const STANDS = `status not in ('failed', 'refused')`;

/** `key_taken`: another undo of the call stands. `undone`: there is nothing to undo, or not any more. */
export async function whyNotUndo(
  tx: Tx,
  tenant: string,
  of: string,
  self: string,
): Promise<'undone' | 'key_taken' | null> {
  const there = await tx.get(
    `select 1 as it from calls where id = ? and tenant = ? and ${TOOK_EFFECT}`,
    of,
    tenant,
  );
  if (there === undefined) return 'undone';
  const other = await tx.get(
    `select 1 as it from calls where undo_of = ? and tenant = ? and id <> ? and ${STANDS}`,
    ...[of, tenant, self],
  );
  return other === undefined ? null : 'key_taken';
}

/** The undo of a call that stands, if any, and how many were tried in vain. */
export async function undosOf(
  tx: Tx,
  tenant: string,
  of: string,
): Promise<{ readonly standing: StoredCall | undefined; readonly vain: number }> {
  const rows = await tx.all<StoredCall>(
    `select ${COLUMNS_OF_CALLS} from calls where undo_of = ? and tenant = ? order by id`,
    ...[of, tenant],
  );
  const standing = rows.find(({ status }) => status !== 'failed' && status !== 'refused');
  return { standing, vain: rows.length - (standing === undefined ? 0 : 1) };
}

/** Ids of the writes of a run that took effect, or may have or still may: those that were admitted last first. */
export async function writesOf(tx: Tx, tenant: string, run: string): Promise<string[]> {
  const rows = await tx.all<Pick<StoredCall, 'id' | 'deed' | 'created_at_ms'>>(
    `select id, deed, created_at_ms from calls where run = ? and tenant = ? and effect <> 'read' and undo_of is null
       and ${STANDS}`,
    ...[run, tenant],
  );
  return rows
    .map(({ id, deed, created_at_ms }) => ({ id, at_ms: admittedAt(deed) ?? created_at_ms }))
    .sort((a, b) => b.at_ms - a.at_ms || (a.id < b.id ? 1 : -1))
    .map(({ id }) => id);
}

/** A call that waited for people was done later than others that were asked for after it. */
function admittedAt(deed: string | null): number | undefined {
  return (JSON.parse(deed ?? '{}') as { readonly admitted_at_ms?: number }).admitted_at_ms;
}
