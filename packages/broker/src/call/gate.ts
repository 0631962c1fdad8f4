// Gate: nothing is read on behalf of a call that no policy could permit, or that an operator has stopped.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { denyAhead, permitsWhatever } from '#rules/decide.ts';
import { type DecisionRequest, UNKNOWN } from '#rules/decision.ts';
import type { Authenticated, Gated, Recalled } from './call.ts';
import { denial } from './denial.ts';
import { requestsOf } from './requests-of.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/** Ends with `halted` or `policy_denied`. Without fresh reads to guard, the decision itself follows at once. */
export const gate: Stage<Recalled, Gated> = async (call, world) => {
  const halted = haltProblem(call, world);
  if (halted !== null) return { stop: halted };
  if (call.tool.prepare.length > 0) {
    for (const request of requestsAhead(call, world)) {
      const denied = denyAhead(call.bundle.policies, request);
      if (denied !== null) return { stop: denial(call, denied) };
    }
  }
  return { go: { ...call, gate: 'passed' } };
};

/** The call as policy sees it before its fresh reads. */
function requestsAhead(call: Recalled, world: World): DecisionRequest[] {
  const readsLabel = call.tool.prepare.some((step) => step.labels.length > 0);
  const labels = readsLabel ? UNKNOWN : call.run.labels;
  return requestsOf(call, { prepared: UNKNOWN, labels, cost: UNKNOWN, resources: UNKNOWN }, world);
}

/**
 * What a call is told that cannot be judged, since there is nothing to judge it on: why, if policy permits it
 * whatever the facts are; else what any other denied caller is told, who learns nothing of the facts.
 */
export function unjudgedProblem(call: Recalled, why: string, world: World): Problem {
  const { policies } = call.bundle;
  const told = requestsAhead(call, world).every((request) => permitsWhatever(policies, request));
  if (told) return problem('precondition_failed', why);
  return denial(call, { verdict: 'deny', reason: 'no_permit', policies: [], because: [] });
}

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
