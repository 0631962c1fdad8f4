// Prepare: the tool's fresh reads, halted, counted and recorded like any read.
import { digestOf } from '@countersign/contract/digest.ts';
import type { Json, JsonObject } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { PrepareStep } from '#rules/tool.ts';
import { readOnce } from './attempt.ts';
import type { Gated, Prepared } from './call.ts';
import { haltProblem } from './gate.ts';
import { tenantLog } from './logs.ts';
import { scopeOf } from './scope.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/** Ends with `halted`, `upstream_unavailable` or `precondition_failed` (the read answered that there is nothing). */
export const prepare: Stage<Gated, Prepared> = async (call, world) => {
  const prepared: Record<string, Json> = {};
  const labels = new Set<string>();
  for (const step of call.tool.prepare) {
    const halted = haltProblem(call, world);
    if (halted !== null) return { stop: halted };
    const reply = await readOnce(call, step.bind, { ...scopeOf(call, world), prepared }, world);
    if (reply.kind !== 'ok') {
      world.log.warn('prepare failed', { call: call.id, step: step.id, reason: reply.reason });
      return { stop: refusal(step, reply.kind) };
    }
    const issues = step.checkOutput(reply.response);
    if (issues.length > 0) {
      world.log.warn('prepared facts do not fit their schema', {
        call: call.id,
        step: step.id,
        issue: `${issues[0]!.pointer} ${issues[0]!.message}`,
      });
      return { stop: refusal(step, 'rejected') };
    }
    prepared[step.id] = reply.response;
    for (const label of step.labels) labels.add(label);
  }
  if (call.tool.prepare.length > 0) await record(call, prepared, world);
  return { go: { ...call, prepared, preparedLabels: [...labels].sort() } };
};

function refusal(step: PrepareStep, kind: 'rejected' | 'not_sent' | 'unknown') {
  return kind === 'rejected'
    ? problem('precondition_failed', `The fresh read "${step.id}" found nothing that this call could act on.`)
    : problem('upstream_unavailable', `The fresh read "${step.id}" did not answer; try again later.`);
}

async function record(call: Gated, prepared: JsonObject, world: World): Promise<void> {
  await world.store.write((tx) =>
    world.ledger.append(tx, {
      log: tenantLog(call.agent.tenant),
      at_ms: world.clock.now(),
      kind: 'prepare.read',
      facts: { call: call.id, run: call.run.id, tool: call.tool.name, steps: Object.keys(prepared) },
      payload: { prepared, digest: digestOf(prepared) },
    }),
  );
}
