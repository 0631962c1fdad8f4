// A suspended agent that asks for a deed all the same: the attempt walks, so that the walk records its stop.
import { isJsonObject, type Json } from '@countersign/contract/json.ts';
import type { Problem } from '@countersign/contract/problem.ts';
import type { World } from '#call/world.ts';
import type { Presented } from '#identity/identity.ts';
import type { Deeds } from './deeds.ts';

/** A caller that is refused, and what it is told; `presented`: by an agent that is known and not active. */
export interface Stopped {
  readonly presented: Presented | null;
  readonly problem: Problem;
}

/** Methods that walk when the agent is active. */
const WALKING: readonly unknown[] = ['tools/call', 'resources/read', 'prompts/get', 'completion/complete'];

/**
 * `message` is the body as it was decoded, of either era. What asks for no deed is refused and not recorded.
 * INVARIANT: the caller found the agent stopped in this very turn of the event loop, and the walk looks first of all,
 * so that it finds the same and nothing is done.
 */
export async function recordStopped(
  message: Json | undefined,
  { presented, problem }: Stopped,
  deeds: Deeds,
  world: World,
): Promise<Problem> {
  if (presented === null || !isJsonObject(message) || !WALKING.includes(message.method)) return problem;
  const params = isJsonObject(message.params) ? message.params : {};
  const called = message.method === 'tools/call' && typeof params.name === 'string';
  const performed = await deeds.performCall(
    deeds.askCall(world, {
      door: 'mcp',
      proof: { kind: 'bearer', presented, resource: 'mcp' },
      toolName: called ? (params.name as string) : String(message.method),
      args: called ? (params.arguments ?? {}) : params,
      claimed: {},
      idempotencyKey: null,
      dryRun: false,
    }),
    world,
  );
  return performed.kind === 'problem' ? performed.problem : problem;
}
