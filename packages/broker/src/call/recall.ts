// Recall: a key that was used before gets its first answer, or is refused when the request is another one.
import { problem } from '@countersign/contract/problem.ts';
import { findByKey } from '#store/calls.ts';
import { answerOf } from './answer.ts';
import type { Recalled, Validated } from './call.ts';
import { keysSince } from './call-row.ts';
import { haltProblem } from './gate.ts';
import type { Stage, Step } from './step.ts';
import { UNDO_KEY } from './undoing.ts';
import type { World } from './world.ts';

/**
 * Keys are per tenant and agent. A replay answers what the first request answered, also while that is held or
 * running; it does not pass by a halt, and a resumed call is never its own replay. A key that was made of a call's
 * content opens it once more where it is known not to have been done. Ends with `duplicate_key`, or
 * `invalid_request` where a caller's key is of those that the broker makes for undos.
 */
export const recall: Stage<Validated, Recalled> = (call, world) => {
  const key = call.idempotencyKey;
  if (call.proof.kind === 'bearer' && key?.startsWith(UNDO_KEY)) return { stop: RESERVED };
  if (key === null || call.dryRun || call.proof.kind === 'resumed') return { go: { ...call, fresh: true } };
  return lookUp(call, key, world);
};

const RESERVED = problem('invalid_request', `Keys that begin with ${UNDO_KEY} are made by the broker.`);

async function lookUp(call: Validated, key: string, world: World): Promise<Step<Recalled>> {
  const { tenant } = call.agent;
  const first = await world.store.read((tx) => findByKey(tx, tenant, call.agent.name, key, keysSince(call)));
  if (first === undefined) return { go: { ...call, fresh: true } };
  if (first.request_digest !== call.input.requestDigest()) {
    return {
      stop: problem('duplicate_key', 'This idempotency key belongs to another request; use a new key.', {
        call_id: first.id,
      }),
    };
  }
  const halted = haltProblem(call, world);
  if (halted !== null) return { stop: halted };
  return { done: { ...(await world.store.read((tx) => answerOf(tx, first, world))), replayed: true } };
}
