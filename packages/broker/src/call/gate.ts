// Gate: nothing is read on behalf of a call that no policy could permit, or that an operator has stopped.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { type Denial, denyAhead, denyOnFacts, permitsWhatever } from '#rules/decide.ts';
import { type DecisionRequest, UNKNOWN } from '#rules/decision.ts';
import type { Expression, Scope } from '#rules/expression.ts';

import { carriesResources } from '#rules/narrowing.ts';

import { inactiveProblem } from '#rules/principal.ts';

import type { Tool } from '#rules/tool.ts';
import type { Gated, Recalled, Resolved } from './call.ts';
import { costOf, resourcesOf } from './deed-facts.ts';
import { denial } from './denial.ts';
import type { ActiveHalt } from './halt-board.ts';
import { haltableOf } from './halted.ts';
import { notCarried } from './narrowed.ts';
import { requestsOf } from './requests-of.ts';
import { scopeOf } from './scope.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/** Ends with `halted`, `insufficient_scope` or `policy_denied`. Without fresh reads to guard, the decision itself follows at once. */
export const gate: Stage<Recalled, Gated> = (call, world) => {
  const halted = haltProblem(call, world);
  if (halted !== null) return { stop: halted };
  if (call.tool.prepare.length > 0) {
    const touched = ahead(call.tool.resources, resourcesOf, call, world);
    if (touched !== UNKNOWN && !carriesResources(call.agent.narrowed, touched)) {
      return { stop: notCarried(call.tool.name) };
    }
    for (const request of requestsAhead(call, world)) {
      const denied = denyAhead(call.bundle.policies, request);
      if (denied !== null) return { stop: denial(call, denied) };
    }
  }
  return { go: { ...call, gate: 'passed' } };
};

/**
 * The call as policy sees it before its fresh reads: all that does not depend on what they answer is known, also the
 * labels that they bring, since they bring these whatever they answer.
 */
function requestsAhead(call: Recalled, world: World): DecisionRequest[] {
  const { tool, run } = call;
  const brought = tool.prepare.flatMap((step) => step.labels);
  const labels = [...new Set([...run.labels, ...brought])].sort();
  const priced = tool.cost === undefined ? [] : [tool.cost.minor, tool.cost.currency];
  const cost = ahead(priced, costOf, call, world);
  const resources = ahead(tool.resources, resourcesOf, call, world);
  return requestsOf(call, { prepared: UNKNOWN, labels, cost, resources }, world);
}

/** What does not depend on the fresh reads; else UNKNOWN. */
function ahead<T>(
  reads: readonly Expression[],
  of: (tool: Tool, scope: Scope) => T,
  call: Recalled,
  world: World,
): T | typeof UNKNOWN {
  if (reads.some((each) => each.reads.has('prepared') || each.reads.has('cost'))) return UNKNOWN;
  try {
    return of(call.tool, scopeOf(call, world));
  } catch {
    return UNKNOWN;
  }
}

/**
 * What a call is told that cannot be judged, since there is nothing to judge it on: why, if policy permits it
 * whatever the facts are; else what a caller is told whom policy denies on the facts, who learns nothing of them.
 */
export function unjudgedProblem(call: Recalled, why: string, world: World): Problem {
  const { policies } = call.bundle;
  const told = requestsAhead(call, world).every((request) => permitsWhatever(policies, request));
  return told ? problem('precondition_failed', why) : aheadDenial(call, world);
}

/**
 * The end of a call that policy denies on complete facts. Where fresh reads had a part in it, the caller is told the
 * same as when they had found nothing, so that it learns neither that something exists nor what it is like; the ledger
 * keeps what decided.
 */
export function deniedOnFacts(
  call: Recalled,
  decision: Denial,
  world: World,
): { readonly stop: Problem; readonly decided: readonly string[] } {
  const told = call.tool.prepare.length === 0 ? denial(call, decision) : aheadDenial(call, world);
  return { stop: told, decided: decision.policies };
}

/** The denial that holds whatever the facts are; else the one that names every rule which they may decide. */
function aheadDenial(call: Recalled, world: World): Problem {
  const { policies } = call.bundle;
  const requests = requestsAhead(call, world);
  for (const request of requests) {
    const certain = denyAhead(policies, request);
    if (certain !== null) return denial(call, certain);
  }
  return denial(call, denyOnFacts(policies, requests));
}

/** The problem of the halt that stops this call now, or of its agent's suspension; or null. */
export function haltProblem(call: Resolved, world: World): Problem | null {
  if (world.halts.quiet) return null;
  const of = haltableOf(call);
  const halt = world.halts.matching(of);
  if (halt === undefined) {
    const agent = world.halts.inactive(of);
    return agent === undefined ? null : inactiveProblem(agent);
  }
  const what = STOPPED[halt.scope];
  return problem('halted', `${what} was stopped by an operator. Do not retry; hand over to a person.`);
}

const STOPPED: Readonly<Record<ActiveHalt['scope'], string>> = {
  agent: 'This agent',
  tool: 'This tool',
  connector: 'The system behind this tool',
  run: 'This run',
  tenant: 'Everything',
  everything: 'Everything',
};
