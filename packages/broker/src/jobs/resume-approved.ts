// Resumes every held call whose last vote has come: the call enters the walk again as its stored agent.
import type { JsonObject } from '@countersign/contract/json.ts';
import { haltOfRow } from '#call/halted.ts';
import { narrowedOfRow } from '#call/narrowed.ts';
import { PASSING, performCall } from '#call/perform-call.ts';
import { undoingOfRow } from '#call/undoing.ts';
import type { World } from '#call/world.ts';
import { listUnresumed, type StoredApproval } from '#store/approvals.ts';
import { getCall, type StoredCall } from '#store/calls.ts';
import { closeHeld } from './close-held.ts';

/**
 * Also picks up what was approved before a crash: admit spends an approval in the transaction that admits the call,
 * so that a call resumed twice is done once. `underWay` keeps a slow one from being taken up twice. One that a halt
 * covers waits until that is lifted; an approval that has expired by then is asked for anew. Answers how many wait.
 */
export async function resumeApproved(world: World, underWay: Set<string>): Promise<number> {
  const approved = await world.store.read((tx) => listUnresumed(tx, 'approved'));
  await Promise.all(
    approved.map(async (approval) => {
      const row = await world.store.read((tx) => getCall(tx, approval.tenant, approval.call_id));
      if (row === undefined || underWay.has(row.id) || haltOfRow(row, world) !== undefined) return;
      await resumeOnce(world, approval, row, underWay);
    }),
  );
  return approved.length;
}

async function resumeOnce(
  world: World,
  approval: StoredApproval,
  row: StoredCall,
  underWay: Set<string>,
): Promise<void> {
  underWay.add(row.id);
  let rest_ms = 0;
  try {
    rest_ms = await resumeOne(world, approval, row);
  } finally {
    // Not awaited: nobody waits for the end of a quota's window.
    if (rest_ms > 0) void world.clock.sleep(rest_ms).then(() => underWay.delete(row.id));
    else underWay.delete(row.id);
  }
}

/** Longest rest of a call whose quota is used up: a bundle that raises it is noticed within this. */
const REST_MAX_MS = 60_000;

/** Answers how long the call rests before it may be resumed again. */
async function resumeOne(world: World, approval: StoredApproval, row: StoredCall): Promise<number> {
  const deed = JSON.parse(row.deed ?? '{}') as { readonly args: JsonObject; readonly claimed: JsonObject };
  const performed = await performCall(
    {
      id: row.id,
      door: 'resume',
      proof: {
        ...{ kind: 'resumed', tenant: row.tenant, agent: row.agent, run_id: row.run },
        undoing: undoingOfRow(row),
        narrowed: narrowedOfRow(row),
      },
      toolName: row.tool,
      args: deed.args,
      claimed: deed.claimed,
      idempotencyKey: row.idempotency_key,
      dryRun: false,
      receivedAt_ms: world.clock.now(),
    },
    world,
  );
  if (performed.kind === 'answer') return 0;
  const { code, retry_at_ms } = performed.problem;
  if (code === 'quota_exceeded' && retry_at_ms !== undefined)
    return Math.min(REST_MAX_MS, retry_at_ms - world.clock.now());
  // The store may come back: such a call waits and is tried again. Anything else ends its waiting.
  if (code === 'unavailable' || code === 'conflict' || PASSING.has(code)) {
    world.log.warn('an approved call could not be resumed yet', { call: row.id, problem: code });
    return 0;
  }
  await closeHeld(world, approval, 'void', performed.problem);
  return 0;
}
