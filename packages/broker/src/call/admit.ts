// Admit: the one transaction that turns a judged call into an admitted one. Nothing acts before it.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { setStatus } from '#store/approvals.ts';
import { insertCall, resumeCall } from '#store/calls.ts';
import { standingOf, taint } from '#store/runs.ts';
import type { Tx } from '#store/store.ts';
import type { Admission, Admittance, Admitted, Decided } from './call.ts';
import { callRow, deedOf, keysSince } from './call-row.ts';
import { tenantLog } from './logs.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/**
 * Looks once more at everything that `decide` saw (halts, labels, run, bundle, key, approval), spends the approval,
 * joins the declared output labels to the run and writes the intent. A write goes on only when that is on disk. A
 * read goes on at once, and `settle` releases its result only when it is.
 */
export const admit: Stage<Decided, Admitted> = async (call, world) => {
  if (world.bundle() !== call.bundle) return { again: 'the bundle changed' };
  if (call.talk?.left() === true)
    return { stop: problem('conflict', 'The caller left before this was done; nothing was done.') };
  const durable = admitDurably(call, world);
  const admission = { durable } as unknown as Admission;
  // What people approved is done once: such a read waits until its approval is spent.
  if (call.tool.effect === 'read' && call.approval === null) {
    // The rejection is taken up in settle; until then it must not count as unhandled.
    durable.catch(() => undefined);
    return { go: { ...call, admission } };
  }
  const admittance = await durable;
  return admittance.ok ? { go: { ...call, admission } } : admittance.step;
};

class NotWaiting extends Error {}

/** One unit of work; runs whose labels grew are forgotten once that is on disk, and so is a run that has ended. */
async function admitDurably(call: Decided, world: World): Promise<Admittance> {
  const outdated = new Set<string>();
  const unit = (tx: Tx): Promise<Admittance> => admitIn(tx, call, world, outdated);
  let admittance: Admittance;
  try {
    admittance = await world.store.write(unit);
  } catch (error) {
    if (error instanceof NotWaiting) return refuse(problem('conflict', 'This call is not waiting any more.'));
    throw error;
  }
  for (const id of outdated) world.runs.drop(id);
  return admittance;
}

async function admitIn(tx: Tx, call: Decided, world: World, outdated: Set<string>): Promise<Admittance> {
  const changed = await changedSince(tx, call, world);
  if (changed !== null) {
    if ('stop' in changed && changed.stop.code === 'run_ended') outdated.add(call.run.id);
    return { ok: false, step: changed };
  }
  const now = world.clock.now();
  const resumed = call.proof.kind === 'resumed';
  if (call.grants.approvalId !== null) {
    if ((call.grants.expiresAt_ms ?? 0) <= now) return { ok: false, step: { again: 'the approval expired' } };
    const status = call.approval === null ? 'void' : 'spent';
    const spent = await setStatus(tx, call.grants.approvalId, 'approved', status, now);
    if (!spent) return refuse(problem('conflict', 'The approval of this call was spent or withdrawn.'));
  }
  if (resumed) {
    const mine = await resumeCall(tx, call.id, {
      deed: deedOf(call),
      revision: call.bundle.revision,
      at_ms: now,
    });
    // Thrown, so that the approval spent above is not lost with it.
    if (!mine) throw new NotWaiting();
  } else {
    const inserted = await insertCall(tx, callRow(call, 'running', now), keysSince(call));
    if (!inserted) return { ok: false, step: { again: 'the key was taken meanwhile' } };
  }
  for (const id of await taint(tx, call.run, call.tool.output.labels)) outdated.add(id);
  const log = tenantLog(call.agent.tenant);
  const { seq } = await world.ledger.append(tx, {
    log,
    at_ms: now,
    kind: 'call.admitted',
    facts: {
      agent: call.agent.name,
      bundle: call.bundle.revision,
      call: call.id,
      effect: call.tool.effect,
      labels: [...call.labels],
      manifest: call.tool.digest,
      policies: [...call.decision.policies],
      run: call.run.id,
      tool: call.tool.name,
      tool_version: call.tool.version,
      ...(call.grants.approvalId === null ? {} : { approval: call.grants.approvalId }),
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
  });
  return { ok: true, log, seq };
}

type Changed = { readonly stop: Problem } | { readonly again: string };

async function changedSince(tx: Tx, call: Decided, world: World): Promise<Changed | null> {
  if (world.bundle() !== call.bundle) return { again: 'the bundle changed' };
  const { tenant, name } = call.agent;
  const standing = await standingOf(tx, { tenant, run: call.run.id, agent: name, tool: call.tool.name });
  if (standing === undefined || standing.ended_at_ms !== null) {
    return { stop: problem('run_ended', `Run ${call.run.id} has ended; ask for a new run.`) };
  }
  if (standing.halt !== null) {
    return { stop: problem('halted', 'Stopped by an operator. Do not retry; hand over to a person.') };
  }
  if (standing.labels_version !== call.labelsVersion)
    return { again: 'the run read something else meanwhile' };
  return null;
}

function refuse(stop: Problem): Admittance {
  return { ok: false, step: { stop } };
}
