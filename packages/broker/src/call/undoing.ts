// What is special about a call that undoes another: whose wish it is, how it stands to halts, and what it leaves on record.
import type { CallStatus } from '@countersign/contract/wire.ts';
import { draftEntry, type Facts } from '#rules/ledger-entry.ts';
import type { StoredCall } from '#store/calls.ts';
import type { Undone } from '#store/undos.ts';
import type { Asked, Undoing } from './call.ts';
import { tenantLog } from './logs.ts';

/** How the keys of undos begin; no caller's own key may. */
export const UNDO_KEY = 'undo:';

/** What the call undoes; null for a call that an agent makes. */
export function undoingOf({ proof }: Pick<Asked, 'proof'>): Undoing | null {
  return proof.kind === 'bearer' ? null : proof.undoing;
}

/** The same of a stored call. */
export function undoingOfRow({ undo_of, undo_kind, deed }: StoredCall): Undoing | null {
  if (undo_of === null || undo_kind === null) return null;
  const kept = JSON.parse(deed ?? '{}') as {
    readonly asked_by?: string;
    readonly break_glass?: string;
  };
  const { asked_by: by = '', break_glass } = kept;
  return { of: undo_of, kind: undo_kind, by, ...(break_glass === undefined ? {} : { break_glass }) };
}

/** Facts of every entry about a call that undoes another. */
export function undoFacts(call: Pick<Asked, 'proof'>): Facts {
  const undoing = undoingOf(call);
  if (undoing === null) return {};
  const { of, break_glass } = undoing;
  return { undo_of: of, ...(break_glass === undefined ? {} : { break_glass }) };
}

/** Who asked for it, where that may be erased, and in which emergency. */
export function askedBy(call: Pick<Asked, 'proof'>): {
  readonly asked_by?: string;
  readonly break_glass?: string;
} {
  const undoing = undoingOf(call);
  if (undoing === null) return {};
  const { by, break_glass } = undoing;
  return { asked_by: by, ...(break_glass === undefined ? {} : { break_glass }) };
}

/**
 * What settling the undo `call` does to the call that it undoes: a full undo that succeeded makes it compensated, with an
 * entry of its own. A soft one leaves it as it is, for so is part of what it did.
 */
export function undoneBy(
  call: string,
  undoing: Undoing | null,
  status: CallStatus,
  { run, tenant, at_ms }: { readonly run: string; readonly tenant: string; readonly at_ms: number },
): Undone | null {
  if (undoing?.kind !== 'tool' || status !== 'succeeded') return null;
  const facts = { call: undoing.of, by: call, run };
  const entry = { log: tenantLog(tenant), at_ms, kind: 'call.compensated', facts, payload: null } as const;
  return { call_id: undoing.of, at_ms, entry: draftEntry(entry) };
}
