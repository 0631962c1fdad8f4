// Admit: the one transaction that turns a judged call into an admitted one. Nothing acts before it.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { draftEntry } from '#rules/ledger-entry.ts';
import { inactiveProblem } from '#rules/principal.ts';
import { type Claim, claimsOf } from '#rules/quota.ts';
import type { AdmittedAs, Admission as Asking } from '#store/admit-call.ts';
import type { Admission, Admittance, Admitted, Decided } from './call.ts';
import { admittedDeedOf, callRow, keysSince } from './call-row.ts';
import { tenantLog } from './logs.ts';
import { handFacts } from './narrowed.ts';
import { notSentProblem } from './not-sent.ts';
import type { Stage } from './step.ts';
import { askedBy, undoFacts, undoingOf } from './undoing.ts';
import type { World } from './world.ts';

/**
 * Looks once more at everything that `decide` saw (halts, labels, run, bundle, key, approval), takes what the call needs
 * of quotas, spends the approval, joins the declared output labels to the run and writes the intent. A write goes on
 * only when that is on disk. A read goes on at once, and `settle` releases its result only when it is. Ends with
 * `halted`, `quota_exceeded`, `circuit_open`, `run_ended`, `unauthenticated` (a token for one call that was used) or
 * `conflict`.
 */
export const admit: Stage<Decided, Admitted> = (call, world) => {
  if (world.bundle() !== call.bundle) return { again: 'the bundle changed' };
  if (call.talk?.left() === true)
    return { stop: problem('conflict', 'The caller left before this was done; nothing was done.') };
  const paused = pausedProblem(call, world);
  if (paused !== null) return { stop: paused };
  const now = world.clock.now();
  world.uses.note(call.agent, call.tool.name, now);
  const undoing = undoingOf(call);
  const claims = claimsOf(
    // An agent that has used up its quota is the very one whose deeds are to be undone.
    undoing === null ? call.bundle.settings.quotas : [],
    { agent: call.agent.name, tool: call.tool.name, run: call.run.id, write: call.tool.effect !== 'read' },
    now,
  );
  const durable = admitDurably(call, claims, now, world);
  const admission = admissionOf(durable, false);
  // What people approved and what a token is for alone is done once, and what a quota may refuse not at all: such reads
  // wait for their admission.
  const once = call.approval !== null || call.agent.narrowed?.call != null;
  if (call.tool.effect === 'read' && !once && claims.length === 0) {
    // The rejection is taken up in settle; until then it must not count as unhandled.
    durable.catch(() => undefined);
    return { go: { ...call, admission } };
  }
  return durable.then((admittance) => (admittance.ok ? { go: { ...call, admission } } : admittance.step));
};

/** What people approved is not spent on a system that is known to fail: such a call waits, and is resumed again. */
function pausedProblem(call: Decided, world: World): Problem | null {
  if (call.proof.kind !== 'resumed') return null;
  const { name, connector, bind } = call.tool;
  const retry_at_ms = world.flow.closedUntil_ms(connector, bind.operation);
  if (retry_at_ms === null) return null;
  return notSentProblem(`"${name}" was not carried out`, { held_back: 'breaker' }, { retry_at_ms });
}

/** Of `admit`, and of a call that it admitted before and that is taken up again from its row. */
export function admissionOf(durable: Promise<Admittance>, recovering: boolean): Admission {
  return { durable, recovering } as Admission;
}

/** Runs whose labels grew are forgotten once that is on disk, and so is a run that has ended. */
async function admitDurably(
  call: Decided,
  claims: readonly Claim[],
  now_ms: number,
  world: World,
): Promise<Admittance> {
  const admitted = await world.store.perform('admitCall', askingOf(call, claims, now_ms));
  if (!admitted.ok) {
    if (admitted.why === 'run_ended') world.runs.drop(call.run.id);
    return { ok: false, step: stepOf(call, admitted) };
  }
  for (const id of admitted.grown) world.runs.drop(id);
  return { ok: true, log: tenantLog(call.agent.tenant), seq: admitted.seq };
}

function askingOf(call: Decided, claims: readonly Claim[], now: number): Asking {
  const { id, tenant, agent, ambient } = call.run;
  const { approvalId, expiresAt_ms } = call.grants;
  const revision = call.bundle.revision;
  return {
    run: { id, tenant, agent, ambient },
    hands: undoingOf(call) === null ? (call.agent.narrowed?.act ?? []) : [],
    tool: call.tool.name,
    connector: call.tool.connector,
    seen: { labels_version: call.labelsVersion, revision },
    now_ms: now,
    undo_of: undoingOf(call)?.of ?? null,
    only: call.agent.narrowed?.call ?? null,
    approval:
      approvalId === null
        ? null
        : {
            id: approvalId,
            expires_at_ms: expiresAt_ms ?? 0,
            next: call.approval === null ? 'void' : 'spent',
          },
    call:
      call.proof.kind === 'resumed'
        ? { resumed: call.id, deed: admittedDeedOf(call, now), revision }
        : {
            ...callRow(call, 'running', now),
            ...(call.tool.effect === 'read' ? {} : { deed: admittedDeedOf(call, now) }),
          },
    keys_since_ms: keysSince(call),
    claims,
    labels: call.tool.output.labels,
    entry: draftEntry({
      log: tenantLog(tenant),
      at_ms: now,
      kind: 'call.admitted',
      facts: {
        agent: call.agent.name,
        ...(approvalId === null ? {} : { approval: approvalId }),
        bundle: revision,
        call: call.id,
        effect: call.tool.effect,
        labels: call.labels,
        manifest: call.tool.digest,
        policies: call.decision.policies,
        run: id,
        tool: call.tool.name,
        tool_version: call.tool.version,
        ...handFacts(call.agent),
        ...undoFacts(call),
      },
      payload: {
        args: call.input.args,
        claimed: call.input.claimed,
        ...askedBy(call),
        ...(call.step === undefined ? {} : { step: call.step }),
        // What the caller answered to an upstream's demand goes upstream like an argument.
        ...(call.talk?.responses ? { input_responses: call.talk.responses } : {}),
        ...(call.tool.effect === 'read'
          ? {}
          : {
              request_digest: call.input.requestDigest(),
              resources: [...call.deed.resources],
              cost: call.deed.cost,
              pinned: call.deed.pinned,
            }),
        ...(call.approval === null ? {} : { deed_digest: call.approval.deedDigest }),
      },
    }),
  };
}

/** Also of a call that would wait for people to undo one that is not there to be undone any more. */
export const UNDONE = problem(
  'conflict',
  'The call that this undoes is undone, or known not to have been done.',
);

/** Whoever uses it again is told what everybody is told whose token is not good. */
export const TOKEN_SPENT = problem('unauthenticated', 'The token is not valid here.');

type Refused = Extract<AdmittedAs, { ok: false }>;

function stepOf(call: Decided, refused: Refused): Extract<Admittance, { ok: false }>['step'] {
  const { why } = refused;
  switch (why) {
    case 'run_ended':
      return stop(problem('run_ended', `Run ${call.run.id} has ended; ask for a new run.`));
    case 'halted':
      return stop(problem('halted', 'Stopped by an operator. Do not retry; hand over to a person.'));
    case 'agent_suspended':
      return stop(inactiveProblem({ name: refused.agent ?? call.agent.name, status: refused.status }));
    case 'quota_exceeded':
      return stop(quotaProblem(call, refused.full));
    case 'approval_gone':
      return stop(problem('conflict', 'The approval of this call was spent or withdrawn.'));
    case 'not_waiting':
      return stop(problem('conflict', 'This call is not waiting any more.'));
    case 'undone':
      return stop(UNDONE);
    case 'token_spent':
      return stop(TOKEN_SPENT);
    case 'bundle_changed':
    case 'labels_changed':
    case 'key_taken':
    case 'approval_expired':
      return { again: why };
  }
}

/** Names the quota and when it opens again, and nothing of who used it up. */
function quotaProblem(call: Decided, { quota, limit, window_end_ms }: Claim): Problem {
  const rule = call.bundle.settings.quotas.find(({ name }) => name === quota)!;
  const detail =
    `The quota "${quota}" is used up: at most ${limit} ${rule.of} for each ${rule.per} and ${rule.window}. ` +
    `Nothing was done. Wait until ${new Date(window_end_ms).toISOString()}, or hand over to a person.`;
  return problem('quota_exceeded', detail, { retry_at_ms: window_end_ms });
}

function stop(why: Problem): { readonly stop: Problem } {
  return { stop: why };
}
