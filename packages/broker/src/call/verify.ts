// Verify: read back, and see whether the world agrees that the deed was done.

import { readOnce } from './attempt.ts';
import type { Executed, Verified } from './call.ts';
import { scopeOf } from './scope.ts';
import type { Stage } from './step.ts';

/** Reads and deeds that did not happen have nothing to verify. A read-back that fails does not agree. */
export const verify: Stage<Executed, Verified> = async (call, world) => {
  const { verify: readBack, effect } = call.tool;
  if (effect === 'read' || readBack === undefined || call.reply.kind !== 'ok') {
    return { go: { ...call, verification: 'none' } };
  }
  const scope = {
    ...scopeOf(call, world),
    cost: call.deed.cost,
    response: call.reply.response,
    sideEffect: call.sideEffect ?? {},
  };
  const seen = await readOnce(call, readBack.bind, scope, world);
  let agrees = seen.kind === 'ok';
  if (seen.kind === 'ok') {
    for (const expectation of readBack.expect) {
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
};
