// Refuse: a call that stopped is recorded before it is answered.
import type { Json } from '@countersign/contract/json.ts';
import type { Problem } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { draftEntry } from '#rules/ledger-entry.ts';
import type { Refusing } from '#store/refuse-call.ts';
import type { Asked, Authenticated, Validated } from './call.ts';
import { callRow } from './call-row.ts';
import { tenantLog } from './logs.ts';
import { handFacts } from './narrowed.ts';
import type { Known } from './step.ts';
import { askedBy, undoFacts } from './undoing.ts';
import type { World } from './world.ts';

export type Refusable = Authenticated & Partial<Validated>;

export interface Circumstances {
  /** A read may have gone out while its intent was being refused; nothing of it was released. */
  readonly executed: boolean;
  /** Ids of the policies that decided, where the caller is told others. */
  readonly decided?: readonly string[];
}

/**
 * One transaction: the entry, and the row of a call that got as far as a tool. Refused calls keep no idempotency key:
 * the same request may be judged again once circumstances have changed. `at` is the stage that refused.
 */
export async function refuseCall(
  call: Refusable,
  why: Problem,
  at: string,
  { executed, decided = why.policies ?? [] }: Circumstances,
  world: World,
): Promise<CallAnswer> {
  const answer: CallAnswer = {
    call_id: call.id,
    run_id: call.run.id,
    tool: call.toolName,
    status: 'refused',
    problem: { ...why, call_id: why.call_id ?? call.id },
    labels: [],
  };
  const now = world.clock.now();
  await world.store.perform('refuseCall', {
    at_ms: now,
    call: rowOf(call, now),
    // A fresh read that got no answer; no other stage is stopped by an outside system.
    ...(why.code === 'upstream_unavailable' ? { upstream_fault: why.code } : {}),
    entry: draftEntry({
      log: tenantLog(call.agent.tenant),
      at_ms: now,
      kind: 'call.refused',
      facts: {
        call: call.id,
        run: call.run.id,
        agent: call.agent.name,
        ...(call.tool === undefined ? {} : { tool: call.tool.name, effect: call.tool.effect }),
        stage: at,
        problem: why.code,
        policies: decided,
        bundle: call.bundle.revision,
        ...(executed ? { executed: true } : {}),
        ...handFacts(call.agent),
        ...undoFacts(call),
      },
      payload: {
        tool: call.toolName,
        args: (call.input?.args ?? call.args) as Json,
        claimed: call.claimed,
        ...askedBy(call),
        answer: answer as unknown as Json,
      },
    }),
  });
  world.signals.notify(call.id);
  if (why.code === 'upstream_unavailable') world.signals.notify('alerts');
  return answer;
}

function rowOf(call: Refusable, now_ms: number): Refusing['call'] {
  if (call.proof.kind === 'resumed') return { resumed: call.id };
  if (call.tool === undefined || call.input === undefined) return null;
  const row = callRow({ ...call, tool: call.tool, input: call.input }, 'refused', now_ms);
  return { ...row, idempotency_key: null };
}

/**
 * Records the stop of a known agent whose call has no run to be answered in: suspended, or its run has ended. A
 * resumed call keeps waiting in its row; whoever ends that waiting records it.
 */
export async function refuseKnown(
  call: Asked,
  { agent, run_id }: Known,
  why: Problem,
  at: string,
  world: World,
): Promise<Problem> {
  if (call.proof.kind === 'resumed') return why;
  const told: Problem = { ...why, call_id: call.id };
  const now = world.clock.now();
  await world.store.perform('refuseCall', {
    at_ms: now,
    call: null,
    entry: draftEntry({
      log: tenantLog(agent.tenant),
      at_ms: now,
      kind: 'call.refused',
      facts: {
        call: call.id,
        run: run_id,
        agent: agent.name,
        stage: at,
        problem: why.code,
        policies: [],
        bundle: world.bundle().revision,
        ...handFacts(agent),
      },
      payload: {
        tool: call.toolName,
        args: call.args,
        claimed: call.claimed,
        problem: told as unknown as Json,
      },
    }),
  });
  return told;
}
