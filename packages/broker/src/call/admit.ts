// Admit: the one transaction that turns a judged call into an admitted one. Nothing acts before it.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { draftEntry } from '#rules/ledger-entry.ts';
import type { Admission as Asking, NotAdmitted } from '#store/admit-call.ts';
import type { Admission, Admittance, Admitted, Decided } from './call.ts';
import { admittedDeedOf, callRow, keysSince } from './call-row.ts';
import { tenantLog } from './logs.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/**
 * Looks once more at everything that `decide` saw (halts, labels, run, bundle, key, approval), spends the approval,
 * joins the declared output labels to the run and writes the intent. A write goes on only when that is on disk. A
 * read goes on at once, and `settle` releases its result only when it is.
 */
export const admit: Stage<Decided, Admitted> = (call, world) => {
  if (world.bundle() !== call.bundle) return { again: 'the bundle changed' };
  if (call.talk?.left() === true)
    return { stop: problem('conflict', 'The caller left before this was done; nothing was done.') };
  const durable = admitDurably(call, world);
  const admission = admissionOf(durable, false);
  // What people approved is done once: such a read waits until its approval is spent.
  if (call.tool.effect === 'read' && call.approval === null) {
    // The rejection is taken up in settle; until then it must not count as unhandled.
    durable.catch(() => undefined);
    return { go: { ...call, admission } };
  }
  return durable.then((admittance) => (admittance.ok ? { go: { ...call, admission } } : admittance.step));
};

/** Of `admit`, and of a call that it admitted before and that is taken up again from its row. */
export function admissionOf(durable: Promise<Admittance>, recovering: boolean): Admission {
  return { durable, recovering } as Admission;
}

/** Runs whose labels grew are forgotten once that is on disk, and so is a run that has ended. */
async function admitDurably(call: Decided, world: World): Promise<Admittance> {
  const admitted = await world.store.perform('admitCall', askingOf(call, world));
  if (!admitted.ok) {
    if (admitted.why === 'run_ended') world.runs.drop(call.run.id);
    return { ok: false, step: stepOf(call, admitted.why) };
  }
  for (const id of admitted.grown) world.runs.drop(id);
  return { ok: true, log: tenantLog(call.agent.tenant), seq: admitted.seq };
}

function askingOf(call: Decided, world: World): Asking {
  const now = world.clock.now();
  const { id, tenant, agent, ambient } = call.run;
  const { approvalId, expiresAt_ms } = call.grants;
  const revision = call.bundle.revision;
  return {
    run: { id, tenant, agent, ambient },
    tool: call.tool.name,
    connector: call.tool.connector,
    seen: { labels_version: call.labelsVersion, revision },
    now_ms: now,
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
      },
      payload: {
        args: call.input.args,
        claimed: call.input.claimed,
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

function stepOf(call: Decided, why: NotAdmitted): Extract<Admittance, { ok: false }>['step'] {
  switch (why) {
    case 'run_ended':
      return stop(problem('run_ended', `Run ${call.run.id} has ended; ask for a new run.`));
    case 'halted':
      return stop(problem('halted', 'Stopped by an operator. Do not retry; hand over to a person.'));
    case 'approval_gone':
      return stop(problem('conflict', 'The approval of this call was spent or withdrawn.'));
    case 'not_waiting':
      return stop(problem('conflict', 'This call is not waiting any more.'));
    case 'bundle_changed':
    case 'labels_changed':
    case 'key_taken':
    case 'approval_expired':
      return { again: why };
  }
}

function stop(why: Problem): { readonly stop: Problem } {
  return { stop: why };
}
