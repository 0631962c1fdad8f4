// Hold: the call and the question to people become durable together, before anybody is told.

import { digestOf } from '@countersign/contract/digest.ts';
import { newId } from '@countersign/contract/ids.ts';
import type { JsonObject } from '@countersign/contract/json.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { isContentKey } from '#rules/content-key.ts';
import { insertApproval, setStatus, wasRejected } from '#store/approvals.ts';
import { countOpenHolds, findHeldTwin, insertCall, setHold } from '#store/calls.ts';
import { appendEntry } from '#store/ledger.ts';
import { spendToken } from '#store/revocations.ts';
import type { WriteTx } from '#store/tx.ts';
import { whyNotUndo } from '#store/undos.ts';
import { TOKEN_SPENT, UNDONE } from './admit.ts';
import { answerOf, approvalRef } from './answer.ts';
import type { Decided } from './call.ts';
import { argsDigest, callRow, deedOf, keysSince } from './call-row.ts';
import { tenantLog } from './logs.ts';
import { handFacts, narrowedText } from './narrowed.ts';
import { undoFacts, undoingOf } from './undoing.ts';
import type { World } from './world.ts';

export type Held = { readonly answer: CallAnswer } | { readonly stop: Problem } | { readonly again: string };

/**
 * Records a held call. A repeat of a held call joins it, a rejection stands for the run, and the number of open
 * holds of an agent is capped. A resumed call whose deed has changed asks anew under the same call id.
 */
export async function holdCall(call: Decided, world: World): Promise<Held> {
  // Nobody is asked about what its caller does not want any more.
  if (call.talk?.left() === true)
    return { stop: problem('conflict', 'The caller left before this was held; nobody was asked.') };
  const approval = call.approval!;
  const resumed = call.proof.kind === 'resumed';
  const work = async (tx: WriteTx): Promise<Held> => {
    if (!resumed) {
      const earlier = await earlierAnswer(tx, call, world);
      if (earlier !== null) return earlier;
    }
    const only = call.agent.narrowed?.call ?? null;
    if (only !== null && !(await spendToken(tx, { ...only, call: call.id }))) return { stop: TOKEN_SPENT };
    const now = world.clock.now();
    const id = newId('apr', now, world.random);
    const shown = shownOf(call);
    if (call.grants.approvalId !== null) await setStatus(tx, call.grants.approvalId, 'approved', 'void', now);
    const place = await appendEntry(tx, {
      log: tenantLog(call.agent.tenant),
      at_ms: now,
      kind: 'call.held',
      facts: {
        call: call.id,
        run: call.run.id,
        agent: call.agent.name,
        tool: call.tool.name,
        approval: id,
        rules: approval.asks.map((ask) => ask.rule),
        bundle: call.bundle.revision,
        ...handFacts(call.agent),
        ...undoFacts(call),
      },
      payload: { deed_digest: approval.deedDigest, shown },
    });
    await insertApproval(tx, {
      id,
      tenant: call.agent.tenant,
      call_id: call.id,
      run: call.run.id,
      agent: call.agent.name,
      tool: call.tool.name,
      status: 'open',
      deed_digest: approval.deedDigest,
      asks: approval.asks,
      shown_log: place.log,
      shown_seq: place.seq,
      shown_digest: digestOf(shown),
      created_at_ms: now,
      expires_at_ms: approval.expiresAt_ms,
      closed_at_ms: null,
    });
    if (resumed) {
      const hold = { approval_id: id, deed: deedOf(call), revision: call.bundle.revision, at_ms: now };
      await setHold(tx, call.id, hold);
    } else if (!(await insertCall(tx, { ...callRow(call, 'held', now), approval_id: id }, keysSince(call)))) {
      throw new KeyTaken();
    }
    return { answer: heldAnswer(call, id, world) };
  };
  try {
    return await world.store.write(work);
  } catch (error) {
    if (error instanceof KeyTaken) return { again: 'the key was taken meanwhile' };
    throw error;
  }
}

/** Thrown inside the unit of work, so that nothing of it stays. */
class KeyTaken extends Error {}

async function earlierAnswer(tx: WriteTx, call: Decided, world: World): Promise<Held | null> {
  const { tenant, name } = call.agent;
  const undoing = undoingOf(call);
  if (undoing !== null) {
    // Not the agent asks again: what people rejected to it, and how much waits for it, is none of the operator's.
    const barred = await whyNotUndo(tx, tenant, undoing.of, call.id);
    if (barred === 'key_taken') throw new KeyTaken();
    return barred === null ? null : { stop: UNDONE };
  }
  const digest = argsDigest(call);
  const twin = isItsOwn(call)
    ? undefined
    : await findHeldTwin(tx, tenant, name, call.run.id, digest, narrowedText(call.agent));
  if (twin !== undefined) return { answer: { ...(await answerOf(tx, twin, world)), replayed: true } };
  if (await wasRejected(tx, tenant, name, call.run.id, digest)) {
    const detail = 'A person rejected this very call in this run. Do not ask again; do something else.';
    return { stop: problem('approval_rejected', detail) };
  }
  const open = await countOpenHolds(tx, tenant, name);
  const most = call.bundle.settings.approvals.max_open_per_agent;
  if (open < most) return null;
  return {
    stop: problem(
      'too_many_holds',
      `${open} calls of this agent wait for people already; wait for these first.`,
    ),
  };
}

/**
 * With a key of its own, or at a step of its own, a repeat is a request of its own: its key must always get the same
 * answer.
 */
function isItsOwn({ idempotencyKey, step }: Decided): boolean {
  return idempotencyKey !== null && (step !== undefined || !isContentKey(idempotencyKey));
}

/** What the approver is shown, kept as it was shown. */
function shownOf(call: Decided): JsonObject {
  const undoing = undoingOf(call);
  const act = call.agent.narrowed?.act ?? [];
  return {
    summary: call.deed.summary,
    args: call.input.args,
    claimed: call.input.claimed,
    bound: call.run.bound,
    prepared: call.prepared,
    pinned: call.deed.pinned,
    labels: [...call.labels],
    cost: call.deed.cost,
    resources: [...call.deed.resources],
    trigger: call.run.trigger,
    ...(act.length === 0 ? {} : { act }),
    ...(undoing === null ? {} : { undo: { call_id: undoing.of, by: undoing.by } }),
  };
}

function heldAnswer(call: Decided, approvalId: string, world: World): CallAnswer {
  return {
    call_id: call.id,
    run_id: call.run.id,
    tool: call.tool.name,
    status: 'held',
    labels: [],
    approval: approvalRef(approvalId, call.approval!.asks, call.approval!.expiresAt_ms, world),
  };
}
