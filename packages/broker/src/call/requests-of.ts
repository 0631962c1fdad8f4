// The requests that policy judges for a call, with the facts that are known at this stage of the walk.
import type { DecisionRequest } from '#rules/decision.ts';
import { type CallFacts, factsOf } from '#rules/facts.ts';
import type { Asked, Validated } from './call.ts';
import { undoingOf } from './undoing.ts';
import type { World } from './world.ts';

/** What differs between stages: UNKNOWN until a later one has found it out. */
export type StageFacts = Pick<CallFacts, 'prepared' | 'labels' | 'cost' | 'resources'>;

/** One request for each resource; the gate and the decision build them here, so that they see the same call. */
export function requestsOf(call: Validated, facts: StageFacts, world: World): DecisionRequest[] {
  const requests = factsOf({
    base: call.bundle.facts,
    agent: call.agent,
    tool: call.tool,
    args: call.input.args,
    claimed: call.input.claimed,
    bound: call.run.bound,
    run: call.run,
    undo: undoingOf(call) !== null,
    now_ms: world.clock.now(),
    ...facts,
  });
  return answersDemand(call) ? requests.map((request) => ({ ...request, egress: true as const })) : requests;
}

/** What the caller answers to an upstream's demand goes upstream like an argument, in words that no schema bounds. */
export function answersDemand({ talk }: Asked): boolean {
  return talk !== undefined && talk.responses !== null && Object.keys(talk.responses).length > 0;
}
