// Settle: the one transaction that records the outcome; after it the caller may know.
import type { Json } from '@countersign/contract/json.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { CallAnswer, CallStatus } from '@countersign/contract/wire.ts';
import type { Reply } from '#connectors/connector.ts';
import { draftEntry } from '#rules/ledger-entry.ts';
import { labelsOfFields, projectOutput } from '#rules/output.ts';
import { quoteForeign } from '#rules/summary.ts';
import type { Admittance, Admitted, Verified } from './call.ts';
import { credentialFacts } from './lease.ts';
import { tenantLog } from './logs.ts';
import { notSentProblem, retryAt } from './not-sent.ts';
import { scopeOf } from './scope.ts';
import type { Stage } from './step.ts';
import { undoFacts, undoingOf, undoneBy } from './undoing.ts';
import { upstreamFault } from './upstream-fault.ts';
import type { World } from './world.ts';

export interface Settled extends Verified {
  readonly answer: CallAnswer;
}

type FinalStatus = Exclude<CallStatus, 'held' | 'running'>;

interface Outcome {
  readonly status: FinalStatus;
  readonly result?: Json;
  readonly problem?: Problem;
  readonly labels: readonly string[];
  /** Labels found in the reply that admission could not know. */
  readonly discovered: readonly string[];
}

/**
 * A write is answered once its outcome is on disk. A read is answered once its intent and every label that its
 * result brings are on disk; the rest of its outcome follows by itself, unless its key may ask for it again at once.
 */
export const settle: Stage<Verified, Settled> = async (call, world) => {
  const outcome = outcomeOf(call, world);
  const answer = answerFor(call, outcome, call.sideEffect);
  const read = call.tool.effect === 'read';
  if (read) {
    const admittance = await call.admission.durable;
    if (!admittance.ok) return notAdmitted(admittance);
  }
  const written = recordOutcome(call, answer, outcome.discovered, world);
  if (read && outcome.discovered.length === 0 && call.idempotencyKey === null) {
    written.catch((error: Error) => {
      world.stranded.set(call.id, { tenant: call.agent.tenant });
      world.log.error('an outcome was not recorded', { call: call.id, why: error.message });
    });
  } else {
    await written;
  }
  return { go: { ...call, answer } };
};

/** Records an admitted call that ended before its attempt, e.g. for want of a credential. */
export async function settleUnsent(
  call: Admitted,
  why: Problem,
  world: World,
): Promise<{ readonly answer: CallAnswer } | { readonly stop: Problem }> {
  const admittance = await call.admission.durable;
  if (!admittance.ok) return { stop: 'stop' in admittance.step ? admittance.step.stop : why };
  const answer = answerFor(call, { status: 'failed', problem: why, labels: [], discovered: [] }, null);
  await recordOutcome(call, answer, [], world);
  return { answer };
}

/** The read went out while its intent was refused: its result is dropped and never released. */
function notAdmitted(admittance: Extract<Admittance, { ok: false }>) {
  return 'stop' in admittance.step
    ? { stop: admittance.step.stop, executed: true as const }
    : admittance.step;
}

function outcomeOf(call: Verified, world: World): Outcome {
  const declared = call.tool.output.labels;
  const none = { labels: declared, discovered: [] };
  const { reply } = call;
  if (reply.kind === 'rejected') {
    // What a system says about a refusal is foreign text, and may hold whatever its fields may hold.
    const all = [...declared, 'untrusted', ...call.tool.output.fields.flatMap((field) => field.labels)];
    const labels = [...new Set(all)].sort();
    return { labels, discovered: labels, ...failure(call, reply, world) };
  }
  if (reply.kind !== 'ok') return { ...none, ...failure(call, reply, world) };
  const discovered = labelsOfFields(reply.response, call.tool.output.fields);
  const labels = discovered.length === 0 ? declared : [...new Set([...declared, ...discovered])].sort();
  const scope = {
    ...scopeOf(call, world),
    cost: call.deed.cost,
    response: reply.response,
    sideEffect: call.sideEffect ?? {},
  };
  const projected = projectOutput(call.tool, scope);
  if (!projected.ok)
    world.log.error('output withheld', { call: call.id, tool: call.tool.name, why: projected.why });
  const result = projected.ok ? projected.value : null;
  if (call.verification === 'disagrees') {
    const detail =
      'The deed was sent and answered, but reading back does not confirm it. Hand over to a person.';
    return { status: 'unverified', problem: problem('unverified', detail), labels, discovered };
  }
  if (!projected.ok && call.tool.effect === 'read') {
    const detail = 'The system answered something that the tool does not allow to pass on.';
    return { status: 'failed', problem: problem('tool_rejected', detail), labels, discovered };
  }
  return { status: 'succeeded', result, labels, discovered };
}

function failure(
  call: Verified,
  reply: Exclude<Reply, { kind: 'ok' }>,
  world: World,
): { status: FinalStatus; problem: Problem } {
  const { name, effect } = call.tool;
  switch (reply.kind) {
    case 'rejected': {
      if (reply.hint?.transient === true) {
        const detail = `"${name}" was not carried out: the system behind it is busy.`;
        return {
          status: 'failed',
          problem: problem('upstream_unavailable', detail, retryAt(reply.hint, world)),
        };
      }
      // What a system says is foreign text: quoted, cut, escaped.
      const detail = `The system behind "${name}" refused: ${quoteForeign(reply.reason)}`;
      return { status: 'failed', problem: problem('tool_rejected', detail) };
    }
    case 'not_sent': {
      const again = retryAt(reply.hint, world);
      return { status: 'failed', problem: notSentProblem(`"${name}" was not carried out`, reply, again) };
    }
    case 'unknown': {
      if (effect === 'read') {
        const code = reply.timed_out ? 'tool_timeout' : 'upstream_unavailable';
        return {
          status: 'failed',
          problem: problem(code, `"${name}" did not answer; reading again is safe.`),
        };
      }
      const detail = `It is not known whether "${name}" was carried out. Do not repeat it; it is being found out.`;
      return { status: 'in_doubt', problem: problem('in_doubt', detail) };
    }
  }
}

function answerFor(
  call: Admitted,
  outcome: Outcome,
  sideEffect: CallAnswer['side_effect'] | null,
): CallAnswer {
  return {
    call_id: call.id,
    run_id: call.run.id,
    tool: call.tool.name,
    status: outcome.status,
    ...(outcome.result === undefined ? {} : { result: outcome.result }),
    ...(outcome.problem === undefined ? {} : { problem: { ...outcome.problem, call_id: call.id } }),
    labels: outcome.labels,
    ...(sideEffect === null || sideEffect === undefined ? {} : { side_effect: sideEffect }),
  };
}

/** What an upstream asked the caller in the middle of the call, and what it was told. */
function exchangedOf({ talk }: Partial<Verified>): { exchanged?: Json } {
  const exchanged = talk?.exchanged ?? [];
  return exchanged.length === 0 ? {} : { exchanged: [...exchanged] };
}

/** What the credential could do. It may hold arguments, so that it belongs where it can be erased. */
function scopeOfCredential({ credential, tool }: Admitted & Partial<Verified>): { credential_scope?: Json } {
  return credential == null || tool.credential === undefined ? {} : { credential_scope: credential.scope };
}

async function recordOutcome(
  call: Admitted & Partial<Verified>,
  answer: CallAnswer,
  discovered: readonly string[],
  world: World,
): Promise<void> {
  const now = world.clock.now();
  const { id, tenant, agent, ambient } = call.run;
  const { credential, verification } = call;
  const fault = upstreamFault(answer, call.reply);
  const undone = undoneBy(call.id, undoingOf(call), answer.status, { run: id, tenant, at_ms: now });
  const grown = await world.store.perform('settleCall', {
    call_id: call.id,
    ...(discovered.length === 0
      ? {}
      : { discovered: { run: { id, tenant, agent, ambient }, labels: discovered } }),
    ...(answer.status === 'in_doubt' || call.admission.recovering ? { doubt: { tenant } } : {}),
    outcome: {
      status: answer.status as FinalStatus,
      at_ms: now,
      ...(answer.side_effect?.id === undefined ? {} : { side_effect_id: answer.side_effect.id }),
      ...(answer.side_effect?.url === undefined ? {} : { side_effect_url: answer.side_effect.url }),
      ...(fault === undefined ? {} : { upstream_fault: fault }),
    },
    entry: draftEntry({
      log: tenantLog(call.agent.tenant),
      at_ms: now,
      kind: answer.status === 'in_doubt' ? 'call.in_doubt' : 'call.settled',
      facts: {
        call: call.id,
        ...credentialFacts(call, credential, world),
        labels: answer.labels,
        ...(answer.problem === undefined ? {} : { problem: answer.problem.code }),
        run: id,
        status: answer.status,
        tool: call.tool.name,
        ...(verification === undefined || verification === 'none' ? {} : { verification }),
        ...(call.attempts === undefined || call.attempts === 1 ? {} : { attempts: call.attempts }),
        ...(call.found == null ? {} : { found: call.found }),
        ...(call.admission.recovering ? { recovered: true } : {}),
        ...undoFacts(call),
      },
      payload: { answer: answer as unknown as Json, ...exchangedOf(call), ...scopeOfCredential(call) },
    }),
    ...(undone === null ? {} : { undone }),
  });
  for (const id of grown) world.runs.drop(id);
  world.signals.notify(call.id);
  if (undone !== null) world.signals.notify(undone.call_id);
  if (answer.status === 'in_doubt') world.signals.notify('doubts');
  if (answer.status !== 'succeeded') world.signals.notify('alerts');
}
