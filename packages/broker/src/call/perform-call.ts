// The walk: the one way from a request to a deed, for every door.
import { newId } from '@countersign/contract/ids.ts';
import { type Problem, type ProblemCode, problem } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { StoreUnavailable } from '#store/tx.ts';
import { admit } from './admit.ts';
import { authenticate } from './authenticate.ts';
import type { Admitted, Asked, Authenticated, Decided } from './call.ts';
import { decide } from './decide.ts';
import { execute } from './execute.ts';
import { gate } from './gate.ts';
import { grants } from './grants.ts';
import { holdCall } from './hold.ts';
import { label } from './label.ts';
import { releaseCredentials } from './lease.ts';
import { isWatched, loops, toldOf } from './loops.ts';
import { mint } from './mint.ts';
import { prepare } from './prepare.ts';
import { recall } from './recall.ts';
import { type Circumstances, refuseCall, refuseKnown } from './refuse.ts';
import { resolve } from './resolve.ts';
import { settle, settleUnsent } from './settle.ts';
import { chain, StageBroke } from './step.ts';
import { validate } from './validate.ts';
import { verify } from './verify.ts';
import type { World } from './world.ts';

/** Reading stages: pure or read-only, so that a dry run walks the very same ones. */
export const judgement = chain<Asked>()
  .stage('authenticate', authenticate)
  .stage('resolve', resolve)
  .stage('validate', validate)
  .stage('recall', recall)
  .stage('gate', gate)
  .stage('loops', loops)
  .stage('prepare', prepare)
  .stage('label', label)
  .stage('grants', grants)
  .stage('decide', decide);

/** Stages that act. */
export const walk = judgement
  .stage('admit', admit)
  .stage('mint', mint)
  .stage('execute', execute)
  .stage('verify', verify)
  .stage('settle', settle);

/** `problem` only for a caller without a valid identity: nothing is recorded about strangers. */
export type Performed =
  | { readonly kind: 'answer'; readonly answer: CallAnswer }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** What keeps a held call from going on for now, and does not end its waiting. */
export const PASSING: ReadonlySet<ProblemCode> = new Set([
  'upstream_unavailable',
  'halted',
  'circuit_open',
  'quota_exceeded',
]);

/** How often a call is judged anew because something it was judged by changed meanwhile. */
const MOST_ROUNDS = 5;

/** Gives a request its id and time of arrival. */
export function askCall(world: World, request: Omit<Asked, 'id' | 'receivedAt_ms'>): Asked {
  const receivedAt_ms = world.clock.now();
  return { ...request, id: newId('call', receivedAt_ms, world.random), receivedAt_ms };
}

/** Walks a call from the request to its answer. Never throws. */
export async function performCall(asked: Asked, world: World): Promise<Performed> {
  const performed = await performRounds(asked, world);
  releaseCredentials(asked.id, world);
  if (isWatched(asked)) {
    const answer = performed.kind === 'answer' ? performed.answer : null;
    world.loops.leave(asked.id, answer, world.clock.now(), world.bundle().settings.loops);
  }
  return performed;
}

async function performRounds(asked: Asked, world: World): Promise<Performed> {
  let executed = false;
  try {
    for (let round = 1; round <= MOST_ROUNDS; round++) {
      const performed: Performed | Again = asked.dryRun
        ? await judgeOnly(asked, world)
        : await walkOnce(asked, executed, world);
      if (!('again' in performed)) return performed;
      executed ||= performed.executed;
    }
    return { kind: 'problem', problem: problem('conflict', 'The circumstances keep changing; try again.') };
  } catch (error) {
    return broken(asked, error as Error, world);
  }
}

/** Judge again; `executed`: a read went out in this round, and its result was dropped. */
interface Again {
  readonly again: true;
  readonly executed: boolean;
}

async function walkOnce(asked: Asked, before: boolean, world: World): Promise<Performed | Again> {
  const { step, at, call } = await walk.run(asked, world);
  if ('go' in step) return answered(step.go.answer);
  if ('done' in step) return answered(step.done);
  if ('again' in step) return judgeAgain(call, at === 'settle', world);
  if ('hold' in step) {
    const held = await holdCall(call as Decided, world);
    if ('again' in held) return judgeAgain(call, false, world);
    return 'stop' in held
      ? refused(call, held.stop, 'hold', { executed: before }, world)
      : answered(held.answer);
  }
  if (isAdmitted(call) && at !== 'settle') {
    const settled = await settleUnsent(call, step.stop, world).catch((error: Error) => {
      // Admitted, and not recorded: like any stage that breaks, it is settled once the store answers again.
      throw new StageBroke('settle', call, error);
    });
    return 'stop' in settled
      ? refused(call, settled.stop, at, { executed: before }, world)
      : answered(settled.answer);
  }
  if (asked.proof.kind === 'resumed' && PASSING.has(step.stop.code)) {
    // What people approved is not lost to what passes: it goes on waiting, and is resumed again.
    return { kind: 'problem', problem: step.stop };
  }
  if (step.known !== undefined) {
    return { kind: 'problem', problem: await refuseKnown(call, step.known, step.stop, at, world) };
  }
  const executed = before || step.executed === true;
  const decided = step.decided === undefined ? {} : { decided: step.decided };
  return refused(call, step.stop, at, { executed, ...decided }, world);
}

/** A fault of the store or of ours. Before admission nothing happened; after it, a write may have been done. */
function broken(asked: Asked, error: Error, world: World): Performed {
  const cause = error instanceof StageBroke ? (error.cause as Error) : error;
  const down = cause instanceof StoreUnavailable;
  world.log.error(down ? 'the store is unavailable' : 'a call broke', {
    call: asked.id,
    why: error.message,
    ...(down ? {} : { stack: cause.stack ?? null }),
  });
  const call = error instanceof StageBroke ? (error.call as Asked & Partial<Admitted>) : asked;
  if (isAdmitted(call)) {
    world.stranded.set(call.id, { tenant: call.agent.tenant });
    if (call.tool.effect !== 'read') return answered(inDoubt(call));
  }
  const what = down
    ? problem('unavailable', 'The broker cannot record anything now, so it does nothing. Try again later.')
    : problem('internal', 'The broker failed on this call.');
  return { kind: 'problem', problem: { ...what, call_id: asked.id } };
}

function inDoubt(call: Admitted): CallAnswer {
  const detail = `It could not be recorded what became of "${call.tool.name}". Do not repeat it; it is being found out.`;
  return {
    call_id: call.id,
    run_id: call.run.id,
    tool: call.tool.name,
    status: 'in_doubt',
    problem: { ...problem('in_doubt', detail), call_id: call.id },
    labels: [],
  };
}

/** A dry run: the same judgement, recorded nowhere but in its fresh reads, and nothing is admitted. */
async function judgeOnly(asked: Asked, world: World): Promise<Performed | Again> {
  const { step, call } = await judgement.run(asked, world);
  if ('again' in step) return judgeAgain(call, false, world);
  if ('done' in step) return answered(step.done);
  if (!('agent' in call) || call.run === undefined) {
    return {
      kind: 'problem',
      problem: 'stop' in step ? step.stop : problem('internal', 'The broker failed.'),
    };
  }
  const base = {
    call_id: asked.id,
    run_id: call.run.id,
    tool: asked.toolName,
    labels: [],
    dry_run: true,
  } as const;
  if ('stop' in step) return answered({ ...base, status: 'refused', problem: step.stop });
  if ('hold' in step) {
    const { approval } = step.hold;
    return answered({
      ...base,
      status: 'held',
      approval: { approval_id: '', url: '', expires_at_ms: approval!.expiresAt_ms, asks: approval!.asks },
    });
  }
  return answered({ ...base, status: 'succeeded' });
}

async function refused(
  call: Asked & Partial<Authenticated>,
  why: Problem,
  at: string,
  circumstances: Circumstances,
  world: World,
): Promise<Performed> {
  if (!isAuthenticated(call)) return { kind: 'problem', problem: why };
  return answered(await refuseCall(call, toldOf(call, why, world), at, circumstances, world));
}

/** Something changed under the call: what was remembered of its run is read anew. */
function judgeAgain(call: Partial<Authenticated>, executed: boolean, world: World): Again {
  if (call.run !== undefined) world.runs.drop(call.run.id);
  return { again: true, executed };
}

function answered(answer: CallAnswer): Performed {
  return { kind: 'answer', answer };
}

function isAuthenticated(call: Asked & Partial<Authenticated>): call is Authenticated {
  return call.agent !== undefined && call.run !== undefined;
}

function isAdmitted(call: Asked & Partial<Admitted>): call is Admitted {
  return call.admission !== undefined;
}
