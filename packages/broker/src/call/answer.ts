// The answer to a call that is stored: what its caller is told now, whatever state it is in.
import type { ApprovalAsk, ApprovalRef, CallAnswer } from '@countersign/contract/wire.ts';
import { countVotes } from '#rules/approval.ts';
import { getApproval, votesOf } from '#store/approvals.ts';
import type { StoredCall } from '#store/calls.ts';
import { readPayload } from '#store/ledger.ts';
import type { Tx } from '#store/tx.ts';
import { electorateOf } from './electorate.ts';
import { haltOfRow } from './halted.ts';
import { narrowedOfRow } from './narrowed.ts';
import { undoingOfRow } from './undoing.ts';
import type { World } from './world.ts';

/** The settled answer as it was first given; for a call that is not settled, its present state. */
export async function answerOf(tx: Tx, row: StoredCall, world: World): Promise<CallAnswer> {
  const open: CallAnswer = {
    call_id: row.id,
    run_id: row.run,
    tool: row.tool,
    status: row.status,
    labels: [],
    ...undoOf(row),
  };
  if (row.settled_log !== null && row.settled_seq !== null) {
    const payload = await readPayload(tx, row.settled_log, row.settled_seq);
    // An erased payload leaves the state, which the entry still proves.
    if (payload === null) return open;
    const { answer } = payload as unknown as { readonly answer: CallAnswer };
    // What was answered then stays as it was, but for what has been undone since.
    return { ...answer, ...(row.status === 'compensated' ? { status: row.status } : {}), ...undoOf(row) };
  }
  if (row.status === 'held' && row.approval_id !== null) {
    const halted = haltOfRow(row, world) === undefined ? {} : ({ halted: true } as const);
    const approval = await getApproval(tx, row.tenant, row.approval_id);
    if (approval !== undefined) {
      const electorate = electorateOf(world, world.bundle(), row.tenant, row.agent, {
        asker: undoingOfRow(row)?.by,
        act: narrowedOfRow(row)?.act,
      });
      const { asks } = countVotes(approval.asks, await votesOf(tx, approval.id), electorate);
      return { ...open, ...halted, approval: approvalRef(approval.id, asks, approval.expires_at_ms, world) };
    }
  }
  return open;
}

function undoOf({ undo_of }: StoredCall): Pick<CallAnswer, 'undo_of'> {
  return undo_of === null ? {} : { undo_of };
}

/** Where the people who are asked find the question. */
export function approvalRef(
  approvalId: string,
  asks: readonly ApprovalAsk[],
  expires_at_ms: number,
  world: World,
): ApprovalRef {
  return {
    approval_id: approvalId,
    url: `${world.base_url()}/v1/approvals/${approvalId}`,
    expires_at_ms,
    asks,
  };
}
