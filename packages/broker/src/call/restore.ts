// Restores an admitted call from its row, so that its outcome can be found out, or its deed be undone.
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { agentUndone } from '#rules/principal.ts';
import type { StoredCall } from '#store/calls.ts';
import { admissionOf } from './admit.ts';
import type { Admitted, Deed } from './call.ts';
import { tenantLog } from './logs.ts';
import { narrowedOfRow } from './narrowed.ts';
import { readRun } from './read-run.ts';
import { undoingOfRow } from './undoing.ts';
import type { World } from './world.ts';

/** What `admittedDeedOf` has written. */
interface KeptDeed {
  readonly args: JsonObject;
  readonly claimed: JsonObject;
  readonly prepared: JsonObject;
  readonly deed: {
    readonly resources: readonly string[];
    readonly pinned: JsonObject;
    readonly cost: Deed['cost'];
    readonly credential_scope: Json;
  };
  readonly admitted_at_ms: number;
}

export type Restored =
  | { readonly ok: true; readonly call: Admitted; readonly admittedAt_ms: number }
  | { readonly ok: false; readonly why: string };

/**
 * The call as it was admitted, by the manifest that it was admitted by: a changed one would look for another deed. The
 * agent may have been suspended since; who sends anything again asks for that.
 */
export async function restoreCall(row: StoredCall, world: World): Promise<Restored> {
  const bundle = world.bundle();
  const tool = bundle.tools.get(row.tool);
  const agent = bundle.agents.get(row.agent);
  if (tool === undefined || tool.digest !== row.tool_digest)
    return { ok: false, why: 'the manifest of its tool has changed since' };
  if (agent === undefined || agent.tenant !== row.tenant)
    return { ok: false, why: 'its agent is not in the bundle any more' };
  const kept = row.deed === null ? null : (JSON.parse(row.deed) as Partial<KeptDeed>);
  if (kept?.deed === undefined) return { ok: false, why: 'its arguments are not in the store any more' };
  const run = await readRun(world, row.tenant, row.run);
  if (run === undefined) return { ok: false, why: 'its run is not in the store any more' };
  const { args, claimed, prepared, deed, admitted_at_ms } = kept as KeptDeed;
  const undoing = undoingOfRow(row);
  const narrowed = narrowedOfRow(row);
  const durable = Promise.resolve({ ok: true, log: tenantLog(row.tenant), seq: 0 } as const);
  const call: Admitted = {
    id: row.id,
    door: 'resume',
    proof: { kind: 'resumed', tenant: row.tenant, agent: row.agent, run_id: row.run, undoing, narrowed },
    toolName: row.tool,
    args,
    claimed,
    idempotencyKey: row.idempotency_key,
    dryRun: false,
    receivedAt_ms: row.created_at_ms,
    agent: undoing !== null ? agentUndone(agent) : narrowed === null ? agent : { ...agent, narrowed },
    run,
    tokenId: null,
    bundle,
    tool,
    input: { args, claimed, requestDigest: () => row.request_digest },
    fresh: true,
    gate: 'passed',
    repeats: 0,
    prepared,
    preparedLabels: [],
    labels: run.labels,
    labelsVersion: run.labels_version,
    grants: { approvalId: null, deedDigest: null, expiresAt_ms: null, votes: [] },
    deed: {
      resources: deed.resources,
      pinned: deed.pinned,
      cost: deed.cost,
      credentialScope: deed.credential_scope,
      summary: '',
    },
    decision: { verdict: 'permit', policies: [] },
    approval: null,
    admission: admissionOf(durable, true),
  };
  return { ok: true, call, admittedAt_ms: admitted_at_ms };
}
