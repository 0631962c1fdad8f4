// Finds out whether a deed was done whose outcome no reply tells: by its look-up, by a fresh read, or by its read-back.
import type { Json } from '@countersign/contract/json.ts';
import type { Reply } from '#connectors/connector.ts';
import { type Expression, type Scope, tryEvaluate } from '#rules/expression.ts';
import type { Tool } from '#rules/tool.ts';
import { readOnce } from './attempt.ts';
import type { Admitted } from './call.ts';
import type { World } from './world.ts';

export interface Found {
  readonly by: 'look-up' | 'already-done' | 'read-back';
  /** What the read answered that found it. */
  readonly response: Json;
  /** Its id in the outside world, where the look-up tells it. */
  readonly id?: string;
}

/**
 * `absent`: every way of asking answered, and none found it; that is no proof of absence before the look-up's settle
 * time is over, since it may still be under way. `unclear`: one could not be asked. `unasked`: there is none.
 */
export type Search = Found | 'absent' | 'unclear' | 'unasked';

export async function findDeed(call: Admitted, scope: Scope, world: World): Promise<Search> {
  const answers: Search[] = [];
  const asked = mayBeDone(call.tool, 'unknown') ? [lookUp, readAlreadyDone, readBack] : [lookUp, readBack];
  for (const ask of asked) {
    const answer = await ask(call, scope, world);
    if (typeof answer !== 'string') return answer;
    answers.push(answer);
  }
  if (answers.includes('unclear')) return 'unclear';
  return answers.includes('absent') ? 'absent' : 'unasked';
}

/** Whether a refusal with this status, or a lost reply, may be the deed itself by the manifest's `alreadyDone.on`. */
export function mayBeDone({ idempotency }: Tool, status: number | 'unknown'): boolean {
  return idempotency?.alreadyDone?.on.includes(status) === true;
}

async function lookUp(call: Admitted, scope: Scope, world: World): Promise<Search> {
  const { lookup } = call.tool;
  if (lookup === undefined) return 'unasked';
  const seen = await readOnce(call, lookup.bind, scope, world);
  if (seen.kind !== 'ok') return 'unclear';
  const after = { ...scope, lookup: seen.response };
  const found = tryEvaluate(lookup.found, after);
  if (found !== true) return found === undefined ? 'unclear' : 'absent';
  const id = lookup.id === undefined ? undefined : tryEvaluate(lookup.id, after);
  const known = typeof id === 'string' || typeof id === 'number' ? { id: String(id) } : {};
  return { by: 'look-up', response: seen.response, ...known };
}

/** The prepare step, read again: is what was to be done the case? */
export async function readAlreadyDone(call: Admitted, scope: Scope, world: World): Promise<Search> {
  const already = call.tool.idempotency?.alreadyDone;
  const step = call.tool.prepare.find((each) => each.id === already?.read);
  if (already === undefined || step === undefined) return 'unasked';
  const seen = await readOnce(call, step.bind, scope, world);
  if (seen.kind !== 'ok' || step.checkOutput(seen.response).length > 0) return 'unclear';
  const prepared = { ...(scope.prepared as object), [step.id]: seen.response };
  const done = tryEvaluate(already.expr, { ...scope, prepared });
  if (done !== true) return done === undefined ? 'unclear' : 'absent';
  return { by: 'already-done', response: seen.response };
}

/** Only a read-back that needs nothing of the lost reply can find the deed. */
async function readBack(call: Admitted, scope: Scope, world: World): Promise<Search> {
  const { verify } = call.tool;
  if (verify === undefined || needsReply(verify, false)) return 'unasked';
  const seen = await readOnce(call, verify.bind, scope, world);
  if (seen.kind !== 'ok') return isNotThere(seen) ? 'absent' : 'unclear';
  if (unmetExpectation(verify, { ...scope, verify: seen.response }) !== undefined) return 'absent';
  return { by: 'read-back', response: seen.response };
}

/** The system answered, and has nothing there: no row, 404. A refusal to tell is no such answer. */
function isNotThere(reply: Reply): boolean {
  if (reply.kind !== 'rejected') return false;
  const { status, transient = false } = reply.hint ?? {};
  return !transient && (status === undefined || status === 404 || status === 410);
}

/** Whether a read-back reads what the deed answered, or a side effect that is not known. */
export function needsReply({ bind, expect }: NonNullable<Tool['verify']>, sideEffectKnown: boolean): boolean {
  const reads = [bind.inputs.reads, ...expect.map((each) => each.reads)];
  return reads.some((each) => each.has('response') || (!sideEffectKnown && each.has('sideEffect')));
}

/** The first expectation that does not hold of what the read-back answered; one that fails does not. */
export function unmetExpectation(
  { expect }: NonNullable<Tool['verify']>,
  scope: Scope,
): Expression | undefined {
  return expect.find((each) => tryEvaluate(each, scope) !== true);
}
