// Execute: the deed, once. What cannot be known is told as such and never repeated blindly.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import { type Problem, problem } from '@countersign/contract/problem.ts';
import type { Reply } from '#connectors/connector.ts';
import type { Scope } from '#rules/expression.ts';
import { redactFields } from '#rules/output.ts';
import type { Admitted, Executed, Minted } from './call.ts';
import { type Found, findDeed, mayBeDone, readAlreadyDone } from './find-deed.ts';
import { haltProblem } from './gate.ts';
import { scopeOf } from './scope.ts';
import type { Stage } from './step.ts';
import { type Tried, tryDeed } from './try-deed.ts';
import type { World } from './world.ts';

/**
 * Asks for halts right before each attempt. A write's reply is made durable before anything interprets it. An unknown
 * outcome is looked for in the outside world, where the manifest says how. Every outcome goes on to be settled.
 */
export const execute: Stage<Minted, Executed> = async (call, world) => {
  const stop = stopOf(call, world);
  if (stop !== null) return { stop };
  const scope = { ...scopeOf(call, world), cost: call.deed.cost };
  const tried = await tryDeed(call, scope, world);
  const stopped = tried.reply.kind === 'not_sent' ? stopOf(call, world) : null;
  if (stopped !== null) return { stop: stopped };
  const found = call.tool.effect === 'read' ? null : await lookFor(call, tried.reply, scope, world);
  return { go: await executed(call, tried, found, scope, world) };
};

/** The call with what became of it: redacted, durable where it is a write, with its side effect. */
export async function executed(
  call: Minted,
  { reply: answered, attempts }: Tried,
  found: Found | null,
  scope: Scope,
  world: World,
): Promise<Executed> {
  const reply = redactReply(
    found === null ? answered : { kind: 'ok', response: found.response },
    call.tool.output.redact,
  );
  if (call.tool.effect !== 'read')
    await keepReply(call, { reply, found: found?.by ?? null, id: found?.id ?? null }, world);
  const sideEffect = sideEffectOf(call, reply, found?.id ?? null, scope, world);
  return { ...call, reply, attempts, found: found?.by ?? null, sideEffect };
}

/** What is kept of an upstream's reply in the row of its call, so that a crash after it leaves nothing in doubt. */
export interface KeptReply {
  readonly reply: Reply;
  readonly found: Found['by'] | null;
  readonly id: string | null;
}

/** Why nothing may be sent now: a halt, a caller that has left, or its time that is over. */
function stopOf(call: Minted, world: World): Problem | null {
  const halted = haltProblem(call, world);
  if (halted !== null) return halted;
  if (call.talk?.left() === true)
    return problem('conflict', 'The caller left before this was done; nothing was done.');
  if (call.deadlineAt_ms !== undefined && world.clock.now() >= call.deadlineAt_ms)
    return problem('tool_timeout', 'The time that you gave was over before this was sent; nothing was done.');
  return null;
}

async function lookFor(call: Minted, reply: Reply, scope: Scope, world: World): Promise<Found | null> {
  if (reply.kind === 'unknown') {
    const search = await findDeed(call, scope, world);
    return typeof search === 'string' ? null : search;
  }
  if (reply.kind !== 'rejected' || !mayBeDone(call.tool, reply.hint?.status ?? 0)) return null;
  const search = await readAlreadyDone(call, scope, world);
  return typeof search === 'string' ? null : search;
}

/** A store that fails now must not lose what is known: the outcome is recorded from memory, or the call is in doubt. */
async function keepReply(call: Minted, kept: KeptReply, world: World): Promise<void> {
  const text = canonicalize(kept as unknown as Json);
  try {
    await world.store.perform('keepReply', { id: call.id, reply: text });
  } catch (error) {
    world.log.error('a reply could not be kept', { call: call.id, why: (error as Error).message });
  }
}

function redactReply(reply: Reply, pointers: readonly string[]): Reply {
  if (reply.kind !== 'ok' || pointers.length === 0) return reply;
  return { kind: 'ok', response: redactFields(reply.response, pointers) };
}

/** An id or address, and not a text: it goes to the agent without labels. */
function isReference(value: unknown, longest: number): boolean {
  if (typeof value === 'number') return true;
  return typeof value === 'string' && value.length <= longest && /^[\x21-\x7e]+$/.test(value);
}

/** `foundId`: what a look-up told, where the answer that found the deed is not the deed's own. */
export function sideEffectOf(
  call: Admitted,
  reply: Reply,
  foundId: string | null,
  scope: Scope,
  world: World,
): Executed['sideEffect'] {
  const { sideEffect } = call.tool;
  const known = isReference(foundId, 200) ? { id: String(foundId) } : null;
  if (reply.kind !== 'ok' || sideEffect === undefined) return known;
  try {
    const id = sideEffect.id?.evaluate({ ...scope, response: reply.response });
    const url = sideEffect.url?.evaluate({ ...scope, response: reply.response });
    return {
      ...known,
      ...(isReference(id, 200) ? { id: String(id) } : {}),
      ...(isReference(url, 2_000) ? { url: String(url) } : {}),
    };
  } catch (error) {
    if (known === null)
      world.log.warn('no side effect id in the reply', { call: call.id, why: (error as Error).message });
    return known;
  }
}
