// Gate: nothing is read on behalf of a call that no policy could permit, or that an operator has stopped.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { mayPermit } from '#rules/decide.ts';
import { UNKNOWN } from '#rules/decision.ts';
import { factsOf } from '#rules/facts.ts';
import type { Authenticated, Gated, Recalled } from './call.ts';
import { denial } from './denial.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/** Ends with `halted` or `policy_denied`. Without fresh reads to guard, the decision itself follows at once. */
export const gate: Stage<Recalled, Gated> = async (call, world) => {
  const halted = haltProblem(call, world);
  if (halted !== null) return { stop: halted };
  if (call.tool.prepare.length > 0) {
    const readsLabel = call.tool.prepare.some((step) => step.labels.length > 0);
    const requests = factsOf({
      base: call.bundle.facts,
      agent: call.agent,
      tool: call.tool,
      args: call.input.args,
      claimed: call.input.claimed,
      bound: call.run.bound,
      run: call.run,
      now_ms: world.clock.now(),
      prepared: UNKNOWN,
      labels: readsLabel ? UNKNOWN : call.run.labels,
      cost: UNKNOWN,
      resources: UNKNOWN,
    });
    if (!requests.every((request) => mayPermit(call.bundle.policies, request))) {
      return { stop: denial(call, { verdict: 'deny', reason: 'no_permit', policies: [], because: [] }) };
    }
  }
  return { go: { ...call, gate: 'passed' } };
};

/** The problem of the halt that stops this call now, or null. */
export function haltProblem(
  call: Authenticated & { readonly toolName: string },
  world: World,
): Problem | null {
  const halt = world.halts.matching(call.agent.tenant, call.agent.name, call.toolName);
  if (halt === undefined) return null;
  const what = halt.scope === 'agent' ? 'This agent' : halt.scope === 'tool' ? 'This tool' : 'Everything';
  return problem('halted', `${what} was stopped by an operator. Do not retry; hand over to a person.`);
}
