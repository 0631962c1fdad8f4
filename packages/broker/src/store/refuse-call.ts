// Refusal: the one transaction that records a call which stopped before anything was done.
import type { Draft } from '#rules/ledger-entry.ts';
import { raiseAlert } from './alerts.ts';
import { voidApproved } from './approvals.ts';
import { closeCall, insertCall, type NewCall } from './calls.ts';
import type { WriteTx } from './tx.ts';

export interface Refusing {
  readonly at_ms: number;
  readonly entry: Draft;
  /** The row of a new call; the held call that ends here; null for a call that got to no tool. */
  readonly call: NewCall | { readonly resumed: string } | null;
  /** Code of the problem, where it was refused because an outside system did not answer: people are told. */
  readonly upstream_fault?: string;
}

/** Appends the refusal, and closes or writes the row of its call. */
export async function refuseCall(
  tx: WriteTx,
  { at_ms, entry, call, upstream_fault }: Refusing,
): Promise<void> {
  const { log, seq } = await tx.append(entry);
  if (call === null) return;
  const settled = { settled_log: log, settled_seq: seq };
  if ('resumed' in call) {
    await voidApproved(tx, call.resumed, at_ms);
    await closeCall(tx, call.resumed, {
      ...{ status: 'refused', at_ms, ...settled },
      ...(upstream_fault === undefined ? {} : { upstream_fault }),
    });
    return;
  }
  await insertCall(tx, { ...call, ...settled });
  if (upstream_fault === undefined) return;
  const { id: call_id, status } = call;
  await raiseAlert(tx, { call_id, kind: 'upstream_failed', status, problem: upstream_fault, at_ms });
}
