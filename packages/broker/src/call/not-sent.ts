// What a caller is told of an attempt that did not leave the broker.
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { Reply } from '#connectors/connector.ts';
import type { RetryHint } from '#rules/retry.ts';
import type { World } from './world.ts';

type NotSent = Extract<Reply, { kind: 'not_sent' }>;
type When = { readonly retry_at_ms?: number };

/** `circuit_open` where the system is left alone, else `upstream_unavailable`. `what` was not done, as a clause. */
export function notSentProblem(
  what: string,
  { held_back }: Pick<NotSent, 'held_back'>,
  again: When,
): Problem {
  if (held_back === 'breaker')
    return problem('circuit_open', `${what}: its system keeps failing and is left alone for a while.`, again);
  const why = held_back === 'broker' ? 'nothing was sent to its system' : 'its system could not be reached';
  return problem('upstream_unavailable', `${what}: ${why}.`, again);
}

/** When the system, or the broker for it, said to come back. */
export function retryAt(hint: RetryHint | undefined, world: World): When {
  const wait_ms = hint?.retry_after_ms;
  return wait_ms === undefined ? {} : { retry_at_ms: world.clock.now() + wait_ms };
}
