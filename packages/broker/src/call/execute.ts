// Execute: the deed, once. What cannot be known is told as such and never repeated.
import { canonicalize } from '@countersign/contract/canonical.ts';
import type { Json } from '@countersign/contract/json.ts';
import type { Reply, Talk } from '#connectors/connector.ts';
import type { Scope } from '#rules/expression.ts';
import { redactFields } from '#rules/output.ts';
import { attemptOnce, readOnce } from './attempt.ts';
import type { Executed, Minted } from './call.ts';
import { haltProblem } from './gate.ts';
import { scopeOf } from './scope.ts';
import type { Stage } from './step.ts';
import type { World } from './world.ts';

/**
 * Asks for halts right before the attempt. A write's reply is made durable before anything interprets it. An
 * unknown outcome is looked up by call id, where the manifest says how. Every outcome goes on to be settled.
 */
export const execute: Stage<Minted, Executed> = async (call, world) => {
  const scope = { ...scopeOf(call, world), cost: call.deed.cost };
  const halted = haltProblem(call, world);
  if (halted !== null) return { stop: halted };
  const reply = await perform(call, scope, world);
  const stopped = reply.kind === 'not_sent' ? haltProblem(call, world) : null;
  if (stopped !== null) return { stop: stopped };
  return { go: { ...call, reply, sideEffect: sideEffectOf(call, reply, scope, world) } };
};

async function perform(call: Minted, scope: Scope, world: World): Promise<Reply> {
  if (call.talk?.left() === true)
    return { kind: 'not_sent', reason: 'cancelled by the caller before it was sent' };
  const write = call.tool.effect !== 'read';
  const mode = write ? 'write' : 'read';
  let reply = await attemptOnce(call, call.tool.bind, scope, mode, call.credential, world, talkOf(call));
  if (reply.kind === 'unknown' && write) reply = await lookUp(call, reply, scope, world);
  const redacted = redactReply(reply, call.tool.output.redact);
  if (write) await keepReply(call, redacted, world);
  return redacted;
}

/** A store that fails now must not lose what is known: the outcome is recorded from memory, or the call is in doubt. */
async function keepReply(call: Minted, reply: Reply, world: World): Promise<void> {
  const text = canonicalize(reply as unknown as Json);
  try {
    await world.store.perform('keepReply', { id: call.id, reply: text });
  } catch (error) {
    world.log.error('a reply could not be kept', { call: call.id, why: (error as Error).message });
  }
}

/** A read may run while its intent is being committed: what the upstream tells waits, as its result does. */
function talkOf({ talk, admission }: Minted): Talk | undefined {
  if (talk === undefined) return talk;
  const { notice, ask } = talk;
  if (notice === null && ask == null) return talk;
  const admitted = admission.durable.then(
    (admittance) => admittance.ok,
    () => false,
  );
  return {
    ...talk,
    demand: (demand) => talk.demand(demand),
    notice: notice === null ? null : (each) => void admitted.then((ok) => (ok ? notice(each) : undefined)),
    ask: ask == null ? null : async (each) => ((await admitted) ? ask(each) : null),
  };
}

/** Finds the deed by its call id. Not found is no proof of absence: it may still be under way. */
async function lookUp(call: Minted, unknown: Reply, scope: Scope, world: World): Promise<Reply> {
  const { lookup } = call.tool;
  if (lookup === undefined) return unknown;
  const found = await readOnce(call, lookup.bind, scope, world);
  if (found.kind !== 'ok') return unknown;
  try {
    if (lookup.found.evaluate({ ...scope, lookup: found.response }) !== true) return unknown;
  } catch {
    return unknown;
  }
  return found;
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

function sideEffectOf(call: Minted, reply: Reply, scope: Scope, world: World): Executed['sideEffect'] {
  const { sideEffect } = call.tool;
  if (reply.kind !== 'ok' || sideEffect === undefined) return null;
  try {
    const id = sideEffect.id?.evaluate({ ...scope, response: reply.response });
    const url = sideEffect.url?.evaluate({ ...scope, response: reply.response });
    return {
      ...(isReference(id, 200) ? { id: String(id) } : {}),
      ...(isReference(url, 2_000) ? { url: String(url) } : {}),
    };
  } catch (error) {
    world.log.warn('no side effect id in the reply', { call: call.id, why: (error as Error).message });
    return null;
  }
}
