// Loops: a run that makes the same call over and over, or goes on with a tool that keeps refusing it, is cut.
import { canonicalize } from '@countersign/contract/canonical.ts';
import { sha256Hex } from '@countersign/contract/digest.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import { isFailing, type LoopLimits, mostIdentical } from '#rules/loop.ts';
import type { Asked, Authenticated, Counted, Gated } from './call.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/** Ends with `loop_detected`. Dry runs do nothing, and what people have approved or undo is no loop: none is counted. */
export const loops: Stage<Gated, Counted> = (call, world) => {
  if (!isWatched(call)) return { go: { ...call, repeats: 0 } };
  const failing = failingProblem(call, world);
  if (failing !== null) return { stop: failing };
  const limits = call.bundle.settings.loops;
  const most = mostIdentical(limits, call.tool.effect !== 'read');
  if (most === 0) return { go: { ...call, repeats: 0 } };
  const request = requestOf(call);
  const repeats = world.loops.enter(call.id, call.run.id, request, world.clock.now(), limits);
  return repeats > most ? { stop: identicalProblem(call, most, limits) } : { go: { ...call, repeats } };
};

export function isWatched({ dryRun, proof }: Asked): boolean {
  return !dryRun && proof.kind === 'bearer';
}

/** Short arguments stand for themselves, which is quicker than their digest. */
const PLAIN_MAX = 200;

function requestOf({ tool, input }: Gated): string {
  const args = canonicalize(input.args);
  return `${tool.name}\n${args.length > PLAIN_MAX ? sha256Hex(args) : args}`;
}

function identicalProblem({ tool }: Gated, most: number, limits: LoopLimits): Problem {
  const detail =
    `This run has called "${tool.name}" with the same arguments more than ${most} times within ` +
    `${minutes(limits)}. It goes in circles: stop, say what you were trying to do, and hand over to a person.`;
  return problem('loop_detected', detail);
}

/** The end of a row of failures with the tool, where the run is at it; null otherwise. */
function failingProblem(call: Authenticated, world: World): Problem | null {
  const limits = call.bundle.settings.loops;
  if (limits.failing === 0) return null;
  const { count, last } = world.loops.failing(call.run.id, call.toolName, world.clock.now(), limits);
  if (count < limits.failing) return null;
  const detail =
    `The last ${count} calls of "${call.toolName}" in this run were refused or failed, the last with ${last}. ` +
    `Trying on does not help: stop, say what you were trying to do, and hand over to a person.`;
  return problem('loop_detected', detail);
}

/** What a caller that was refused is told: that it goes in circles, where it does. */
export function toldOf(call: Authenticated, refusal: Problem, world: World): Problem {
  if (!isWatched(call) || !isFailing(refusal.code)) return refusal;
  return failingProblem(call, world) ?? refusal;
}

function minutes({ window_ms }: LoopLimits): string {
  return window_ms % 60_000 === 0 ? `${window_ms / 60_000} minutes` : `${window_ms / 1000} seconds`;
}
