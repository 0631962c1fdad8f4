// Settlement: the one transaction that records what became of an admitted call.
import type { Draft } from '#rules/ledger-entry.ts';
import type { Run } from '#rules/run.ts';
import { closeCall, isOpen, type Settlement } from './calls.ts';
import { closeDoubt, openDoubt } from './doubts.ts';
import { taint } from './runs.ts';
import type { Standings } from './standings.ts';
import type { WriteTx } from './tx.ts';
import { recordUndone, type Undone } from './undos.ts';

export interface Settling {
  readonly call_id: string;
  /** Labels found in the reply that admission could not know, and the run that they join; left out when none. */
  readonly discovered?: {
    readonly run: Pick<Run, 'id' | 'tenant' | 'agent' | 'ambient'>;
    readonly labels: readonly string[];
  };
  readonly outcome: Omit<Settlement, 'settled_log' | 'settled_seq'>;
  /** The tenant of a call whose outcome is unknown now, or was: it is looked for from now on, or not any more. */
  readonly doubt?: { readonly tenant: string };
  readonly entry: Draft;
  /** The call that this one has undone. */
  readonly undone?: Undone;
}

/**
 * Joins what was discovered, appends the outcome, closes the call; one that is over already keeps its one outcome.
 * Answers the ids of the runs whose labels grew.
 */
export async function settleCall(
  tx: WriteTx,
  { call_id, discovered, outcome, doubt, entry, undone }: Settling,
  standings: Standings,
): Promise<readonly string[]> {
  const grown = discovered === undefined ? [] : await taint(tx, discovered.run, discovered.labels);
  if (grown.length > 0) standings.forget();
  if (!(await isOpen(tx, call_id))) return grown;
  const { log, seq } = await tx.append(entry);
  await closeCall(tx, call_id, { ...outcome, settled_log: log, settled_seq: seq });
  if (undone !== undefined) await recordUndone(tx, undone);
  if (doubt !== undefined) {
    if (outcome.status === 'in_doubt') await openDoubt(tx, call_id, doubt.tenant, outcome.at_ms);
    else await closeDoubt(tx, call_id);
  }
  return grown;
}
