// Closes a held call without its deed: rejected, expired, or no longer its agent's to make.
import type { Json } from '@countersign/contract/json.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { ApprovalStatus, CallAnswer } from '@countersign/contract/wire.ts';
import { tenantLog } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import { listExpired, listUnresumed, type StoredApproval, setStatus, votesOf } from '#store/approvals.ts';
import { closeCall, getCall } from '#store/calls.ts';
import { appendEntry } from '#store/ledger.ts';

/** Ends the waiting of every call whose approval was rejected or has expired. Answers how many were closed. */
export async function closeDecided(world: World): Promise<number> {
  const now = world.clock.now();
  const { rejected, expired } = await world.store.read(async (tx) => ({
    rejected: await listUnresumed(tx, 'rejected'),
    expired: await listExpired(tx, now),
  }));
  for (const approval of rejected)
    await closeHeld(world, approval, 'rejected', await rejection(world, approval));
  for (const approval of expired) {
    const detail = 'Nobody approved this call in time. Ask again only if it is still needed.';
    await closeHeld(world, approval, 'expired', problem('approval_expired', detail));
  }
  return rejected.length + expired.length;
}

/** One transaction: the approval's end, the call's end, and their entry. Does nothing when the call moved on. */
export async function closeHeld(
  world: World,
  approval: StoredApproval,
  status: ApprovalStatus,
  why: Problem,
): Promise<void> {
  await world.store.write(async (tx) => {
    const now = world.clock.now();
    if (approval.status !== status && !(await setStatus(tx, approval.id, approval.status, status, now)))
      return;
    const row = await getCall(tx, approval.tenant, approval.call_id);
    if (row === undefined || row.status !== 'held' || row.approval_id !== approval.id) return;
    const answer: CallAnswer = {
      call_id: row.id,
      run_id: row.run,
      tool: row.tool,
      status: 'refused',
      problem: { ...why, call_id: row.id, approval_id: approval.id },
      labels: [],
    };
    const { log, seq } = await appendEntry(tx, {
      log: tenantLog(row.tenant),
      at_ms: now,
      kind: 'call.refused',
      facts: {
        call: row.id,
        run: row.run,
        tool: row.tool,
        stage: 'hold',
        problem: why.code,
        approval: approval.id,
      },
      payload: { answer: answer as unknown as Json },
    });
    await closeCall(tx, row.id, { status: 'refused', at_ms: now, settled_log: log, settled_seq: seq });
  });
  world.signals.notify(approval.call_id);
}

/** The agent reads the reason that the person gave; it does not learn who that was. */
async function rejection(world: World, approval: StoredApproval): Promise<Problem> {
  const votes = await world.store.read((tx) => votesOf(tx, approval.id));
  const reason = votes.find((vote) => vote.verdict === 'reject' && vote.reason !== null)?.reason;
  const said = reason === undefined || reason === null ? '' : ` They said: ${JSON.stringify(reason)}.`;
  return problem('approval_rejected', `A person rejected this call; it stands for the whole run.${said}`);
}
