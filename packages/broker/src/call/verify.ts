// Verify: read back, and see whether the world agrees that the deed was done.
import type { Json } from '@countersign/contract/json.ts';
import type { Tool } from '#rules/tool.ts';
import { readOnce } from './attempt.ts';
import type { Executed, Verified } from './call.ts';
import { scopeOf } from './scope.ts';
import type { Stage, Step } from './step.ts';
import type { World } from './world.ts';

/** Reads and deeds that did not happen have nothing to verify. A read-back that fails does not agree. */
export const verify: Stage<Executed, Verified> = (call, world) => {
  const { verify: how, effect } = call.tool;
  if (effect === 'read' || how === undefined || call.reply.kind !== 'ok') {
    return { go: { ...call, verification: 'none' } };
  }
  return readBack(call, how, call.reply.response, world);
};

async function readBack(
  call: Executed,
  how: NonNullable<Tool['verify']>,
  response: Json,
  world: World,
): Promise<Step<Verified>> {
  const scope = {
    ...scopeOf(call, world),
    cost: call.deed.cost,
    response,
    sideEffect: call.sideEffect ?? {},
  };
  const seen = await readOnce(call, how.bind, scope, world);
  let agrees = seen.kind === 'ok';
  if (seen.kind === 'ok') {
    for (const expectation of how.expect) {
      try {
        agrees &&= expectation.evaluate({ ...scope, verify: seen.response }) === true;
      } catch {
        agrees = false;
      }
    }
  }
  if (!agrees) {
    world.log.error('the read-back disagrees', {
      call: call.id,
      tool: call.tool.name,
      reason: seen.kind === 'ok' ? 'an expectation does not hold' : seen.reason,
    });
  }
  return { go: { ...call, verification: agrees ? 'agrees' : 'disagrees' } };
}
