// Admission: the one transaction that turns a judged call into an admitted one.
import type { Draft } from '#rules/ledger-entry.ts';
import type { OneCall } from '#rules/narrowing.ts';
import type { Claim } from '#rules/quota.ts';
import type { Run } from '#rules/run.ts';
import { approvalStands, setStatus } from './approvals.ts';
import { findByKey, insertCall, isHeld, type NewCall, resumeCall } from './calls.ts';
import { fullClaim, reserve } from './quotas.ts';
import { spendToken } from './revocations.ts';
import { taint } from './runs.ts';
import type { Standings } from './standings.ts';
import type { StoredStatus } from './statuses.ts';
import type { WriteTx } from './tx.ts';
import { whyNotUndo } from './undos.ts';

export interface Admission {
  readonly run: Pick<Run, 'id' | 'tenant' | 'agent' | 'ambient'>;
  /** Agents that act for the run's agent in this call. */
  readonly hands: readonly string[];
  readonly tool: string;
  readonly connector: string;
  /** What the call was judged by. */
  readonly seen: { readonly labels_version: number; readonly revision: string };
  readonly now_ms: number;
  /** The call that this one undoes. */
  readonly undo_of: string | null;
  /** The token that is for this call alone, and is used up by it. */
  readonly only: Pick<OneCall, 'token_id' | 'expires_at_ms'> | null;
  /** The approval that this admission uses up; `next`: `void` when nobody is asked any more. */
  readonly approval: {
    readonly id: string;
    readonly expires_at_ms: number;
    readonly next: 'spent' | 'void';
  } | null;
  /** The row of a new call, or the held call that goes on. */
  readonly call: NewCall | { readonly resumed: string; readonly deed: string; readonly revision: string };
  readonly keys_since_ms: number;
  /** What the call takes of quotas; where there are none, nothing is asked or written of them. */
  readonly claims: readonly Claim[];
  /** Labels that the tool's output is declared to carry. */
  readonly labels: readonly string[];
  readonly entry: Draft;
}

/** Why a call was not admitted. `*_changed`, `key_taken`, `approval_expired`: it is to be judged again. */
export type NotAdmitted =
  | 'run_ended'
  | 'halted'
  | 'bundle_changed'
  | 'labels_changed'
  | 'key_taken'
  | 'approval_expired'
  | 'approval_gone'
  | 'not_waiting'
  | 'token_spent'
  | 'undone';

/** `agent`: the one that acts for the run's agent, where it is that one. */
interface Suspended {
  readonly why: 'agent_suspended';
  readonly status: StoredStatus['status'];
  readonly agent?: string;
}

/** `grown`: ids of the runs whose labels grew. */
export type AdmittedAs =
  | { readonly ok: true; readonly seq: number; readonly grown: readonly string[] }
  | { readonly ok: false; readonly why: NotAdmitted }
  | ({ readonly ok: false } & Suspended)
  | { readonly ok: false; readonly why: 'quota_exceeded'; readonly full: Claim };

/**
 * Looks once more at everything that the decision saw (halts, labels, run, bundle, key, approval), takes what the call
 * needs of quotas, spends the approval and the token, joins the declared output labels to the run and appends the intent; or changes
 * nothing and says why.
 */
export async function admitCall(
  tx: WriteTx,
  admission: Admission,
  standings: Standings,
): Promise<AdmittedAs> {
  const why = await changedSince(tx, admission, standings);
  if (why !== null) return typeof why === 'string' ? { ok: false, why } : { ok: false, ...why };
  const { call, approval, now_ms, run, claims } = admission;
  const full = claims.length === 0 ? null : await fullClaim(tx, run.tenant, claims);
  if (full !== null) {
    const repeat = await isRepeat(tx, admission);
    return repeat ? { ok: false, why: 'key_taken' } : { ok: false, why: 'quota_exceeded', full };
  }
  const id = 'resumed' in call ? call.resumed : call.id;
  const { only } = admission;
  if (only !== null && !(await spendToken(tx, { ...only, call: id })))
    return { ok: false, why: 'token_spent' };
  if (approval !== null) await setStatus(tx, approval.id, 'approved', approval.next, now_ms);
  if ('resumed' in call) {
    await resumeCall(tx, call.resumed, { deed: call.deed, revision: call.revision, at_ms: now_ms });
  } else if (!(await insertCall(tx, call, admission.keys_since_ms))) {
    return { ok: false, why: 'key_taken' };
  }
  if (claims.length > 0) await reserve(tx, run.tenant, id, claims);
  const grown = await taint(tx, run, admission.labels);
  if (grown.length > 0) standings.forget();
  const { seq } = await tx.append(admission.entry);
  return { ok: true, seq, grown };
}

/** A repeat of a call that was admitted meanwhile gets that one's answer, and needs no quota. */
async function isRepeat(tx: WriteTx, { call, keys_since_ms }: Admission): Promise<boolean> {
  if ('resumed' in call || call.idempotency_key == null) return false;
  return (await findByKey(tx, call.tenant, call.agent, call.idempotency_key, keys_since_ms)) !== undefined;
}

async function changedSince(
  tx: WriteTx,
  { run, hands, tool, connector, seen, approval, call, now_ms, undo_of }: Admission,
  standings: Standings,
): Promise<NotAdmitted | Suspended | null> {
  const { tenant, agent, id } = run;
  const undo = undo_of !== null;
  const standing = await standings.of(tx, { tenant, run: id, agent, tool, connector, undo });
  if (standing === undefined || (standing.ended_at_ms !== null && !undo)) return 'run_ended';
  if (standing.halt !== null) return 'halted';
  if (standing.agent_status !== null) return { why: 'agent_suspended', status: standing.agent_status };
  for (const hand of hands) {
    const of = await standings.of(tx, { tenant, run: id, agent: hand, tool, connector, undo });
    if (of?.halt != null) return 'halted';
    if (of?.agent_status != null) return { why: 'agent_suspended', status: of.agent_status, agent: hand };
  }
  if (standing.revision !== null && standing.revision !== seen.revision) return 'bundle_changed';
  if (standing.labels_version !== seen.labels_version) return 'labels_changed';
  if (approval !== null) {
    // Where nobody is asked any more, the approval is not what lets the call through.
    if (approval.next === 'spent' && approval.expires_at_ms <= now_ms) return 'approval_expired';
    if (!(await approvalStands(tx, approval.id))) return 'approval_gone';
  }
  if (undo) {
    const barred = await whyNotUndo(tx, tenant, undo_of, 'resumed' in call ? call.resumed : call.id);
    if (barred !== null) return barred;
  }
  return 'resumed' in call && !(await isHeld(tx, call.resumed)) ? 'not_waiting' : null;
}
