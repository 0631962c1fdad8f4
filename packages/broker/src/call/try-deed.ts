// Tries the deed: attempts as the manifest's retry says, and what they amount to together.
import type { Reply, Talk } from '#connectors/connector.ts';
import type { Scope } from '#rules/expression.ts';
import { chanceOf, waitBeforeRetry } from '#rules/retry.ts';
import { isSafeToResend, type Tool } from '#rules/tool.ts';
import { attemptOnce, timeWithin } from './attempt.ts';
import type { Minted } from './call.ts';
import { haltProblem } from './gate.ts';
import { haltableOf } from './halted.ts';
import type { World } from './world.ts';

export interface Tried {
  /** Of all attempts together: `unknown` as soon as one of them may have been carried out and none says so. */
  readonly reply: Reply;
  readonly attempts: number;
}

/** Refusals of the request itself: with its idempotency key, a system that had done it would answer with the deed. */
const ANSWERS_THE_KEY: readonly number[] = [400, 402, 422];

/**
 * Asks before each attempt whether an operator has stopped the call, its caller has left or its time is over: before
 * the deed that ends it, after it nothing does.
 */
export async function tryDeed(call: Minted, scope: Scope, world: World): Promise<Tried> {
  const { retry, timeout_ms } = call.tool;
  const safe = isSafeToResend(call.tool);
  const started = world.clock.now();
  let doubt = false;
  for (let attempts = 1; ; attempts++) {
    const left_ms = timeWithin(timeout_ms, call.deadlineAt_ms, world);
    const reply = await attemptDeed(call, scope, left_ms, world);
    if (reply.kind === 'ok') return { reply, attempts };
    doubt ||= reply.kind === 'unknown';
    const progress = {
      made: attempts,
      elapsed_ms: world.clock.now() - started,
      chance: retry === undefined ? 0 : chanceOf(world.random(4)),
    };
    const wait_ms = retry === undefined ? null : waitBeforeRetry(retry, reply, safe, progress);
    if (wait_ms === null || !(await waitFor(call, wait_ms, world)))
      return { reply: doubt ? concluded(reply, call.tool) : reply, attempts };
  }
}

/** One attempt at the deed itself. */
export function attemptDeed(call: Minted, scope: Scope, timeout_ms: number, world: World): Promise<Reply> {
  const mode = call.tool.effect === 'read' ? 'read' : 'write';
  const talk = talkOf(call);
  const limits = { timeout_ms, ...(talk === undefined ? {} : { talk }) };
  return attemptOnce(call, call.tool.bind, scope, mode, call.credential, world, limits);
}

/** What a reply amounts to after an attempt that may have been carried out: only some refusals take that doubt away. */
export function concluded(reply: Reply, { idempotency }: Tool): Reply {
  if (reply.kind === 'ok' || reply.kind === 'unknown') return reply;
  if (reply.kind === 'rejected' && reply.hint?.conclusive === true) return reply;
  const { hint } = reply;
  const { status, transient = false } = hint ?? {};
  if (
    reply.kind === 'rejected' &&
    idempotency?.strategy === 'header' &&
    !transient &&
    status !== undefined &&
    ANSWERS_THE_KEY.includes(status)
  )
    return reply;
  const reason = `an earlier attempt may have been carried out; the last one: ${reply.reason}`;
  return { kind: 'unknown', reason, timed_out: false, ...(hint === undefined ? {} : { hint }) };
}

/** False when there is to be no other attempt after all. */
async function waitFor(call: Minted, wait_ms: number, world: World): Promise<boolean> {
  const until_ms = world.clock.now() + wait_ms;
  if (call.deadlineAt_ms !== undefined && until_ms >= call.deadlineAt_ms) return false;
  const watch = world.halts.watch(haltableOf(call));
  await world.clock.sleep(wait_ms, watch);
  world.halts.done(watch);
  return haltProblem(call, world) === null && call.talk?.left() !== true;
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
