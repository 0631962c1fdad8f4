// Verify: read back, and see whether the world agrees that the deed was done.
import type { Json } from '@countersign/contract/json.ts';
import type { Scope } from '#rules/expression.ts';
import { backoff_ms, chanceOf } from '#rules/retry.ts';
import type { Tool } from '#rules/tool.ts';
import { readOnce } from './attempt.ts';
import type { Executed, Verified } from './call.ts';
import { needsReply, unmetExpectation } from './find-deed.ts';
import { scopeOf } from './scope.ts';
import type { Stage, Step } from './step.ts';
import type { World } from './world.ts';

type Verify = NonNullable<Tool['verify']>;

/**
 * Reads and deeds that did not happen have nothing to verify. A read-back that fails does not agree. A deed that was
 * found without its reply was read already; it is read back too where that needs nothing of the reply.
 */
export const verify: Stage<Executed, Verified> = (call, world) => {
  const { verify: how, effect } = call.tool;
  if (effect === 'read' || how === undefined || call.reply.kind !== 'ok') {
    return { go: { ...call, verification: 'none' } };
  }
  if (call.found === 'read-back') return { go: { ...call, verification: 'agrees' } };
  if (call.found !== null && needsReply(how, call.sideEffect !== null))
    return { go: { ...call, verification: 'found' } };
  return readBack(call, how, call.reply.response, world);
};

/** A system that shows a deed only after a while is read again, as often as the manifest says. */
async function readBack(call: Executed, how: Verify, response: Json, world: World): Promise<Step<Verified>> {
  const scope = {
    ...scopeOf(call, world),
    cost: call.deed.cost,
    response,
    sideEffect: call.sideEffect ?? {},
  };
  for (let made = 1; ; made++) {
    const why = await disagreement(call, how, scope, world);
    if (why === null) return { go: { ...call, verification: 'agrees' } };
    if (made >= how.retry.attempts) {
      world.log.error('the read-back disagrees', {
        call: call.id,
        tool: call.tool.name,
        reads: made,
        reason: why,
      });
      return { go: { ...call, verification: 'disagrees' } };
    }
    await world.clock.sleep(backoff_ms(how.retry, made, chanceOf(world.random(4))));
  }
}

/** Null when the world agrees. */
async function disagreement(call: Executed, how: Verify, scope: Scope, world: World): Promise<string | null> {
  const seen = await readOnce(call, how.bind, scope, world);
  if (seen.kind !== 'ok') return seen.reason;
  const unmet = unmetExpectation(how, { ...scope, verify: seen.response });
  return unmet === undefined ? null : `this does not hold: ${unmet.source}`;
}
