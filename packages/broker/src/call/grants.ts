// Grants: what people have granted for this call, loaded as facts for the decision.
import { listApprovals, votesOf } from '#store/approvals.ts';
import type { Granted, Labelled } from './call.ts';
import type { Stage, Step } from './step.ts';
import type { World } from './world.ts';

/** Only a resumed call can have grants: an approval belongs to one call and one deed. */
export const grants: Stage<Labelled, Granted> = (call, world) =>
  call.proof.kind === 'resumed' ? load(call, world) : { go: { ...call, grants: NONE } };

async function load(call: Labelled, world: World): Promise<Step<Granted>> {
  const loaded = await world.store.read(async (tx) => {
    const filter = { tenant: call.agent.tenant, call_id: call.id, status: 'approved', limit: 1 } as const;
    const [approval] = await listApprovals(tx, filter);
    if (approval === undefined) return NONE;
    return {
      approvalId: approval.id,
      deedDigest: approval.deed_digest,
      expiresAt_ms: approval.expires_at_ms,
      votes: await votesOf(tx, approval.id),
    };
  });
  return { go: { ...call, grants: loaded } };
}

const NONE: Granted['grants'] = { approvalId: null, deedDigest: null, expiresAt_ms: null, votes: [] };
