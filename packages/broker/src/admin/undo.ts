// Undo: what takes back a call, or the writes of a run, each as a governed call of its own, at an operator's wish.
import type { CallAnswer, UndoPlan, UndoRequest, UndoState, UndoStep } from '@countersign/contract/wire.ts';
import { answerOf } from '#call/answer.ts';
import { type Compensation, compensationOf } from '#call/compensation.ts';
import { askCall, type Performed, performCall } from '#call/perform-call.ts';
import { UNDO_KEY } from '#call/undoing.ts';
import type { World } from '#call/world.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { getCall, type StoredCall } from '#store/calls.ts';
import { getRun } from '#store/runs.ts';
import { undosOf, writesOf } from '#store/undos.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

/** Undoes one call, once: asked again it answers with the same undo, unless that is known not to have been done. */
export async function undoCall(
  world: World,
  person: Person,
  id: string,
  { dry_run }: Pick<UndoRequest, 'dry_run'>,
): Promise<Result<UndoStep>> {
  if (!mayUndo(person)) return NOT_ALLOWED;
  const row = await world.store.read((tx) => getCall(tx, person.tenant, id));
  if (row === undefined) return notFound();
  if (row.undo_of !== null)
    return fail('conflict', `This call undoes ${row.undo_of}; an undo is not undone.`);
  if (row.effect === 'read') return fail('conflict', 'This call has read and changed nothing.');
  if (row.status === 'failed' || row.status === 'refused')
    return fail('conflict', `This call is ${row.status}: nothing was done, so nothing is undone.`);
  return ok(await takeStep(world, person, row, dry_run === true));
}

/**
 * Undoes the writes of a run, the last one first, and stops at the first whose undo waits, failed, or may not be done
 * now, since an earlier one may depend on it; with `keep_going` it passes those over. What a person has to do, and what
 * nobody can, stops nothing.
 */
export async function undoRun(
  world: World,
  person: Person,
  id: string,
  { dry_run = false, keep_going = false }: UndoRequest,
): Promise<Result<UndoPlan>> {
  if (!mayUndo(person)) return NOT_ALLOWED;
  const { tenant } = person;
  const run = await world.store.read((tx) => getRun(tx, tenant, id));
  if (run === undefined) return notFound();
  const steps: UndoStep[] = [];
  let stopped = false;
  for (const call of await world.store.read((tx) => writesOf(tx, tenant, id))) {
    const row = (await world.store.read((tx) => getCall(tx, tenant, call)))!;
    const step = await takeStep(world, person, row, dry_run || stopped);
    const waits = stopped && !dry_run && step.state === 'ready';
    steps.push(waits ? { ...step, what: `Not begun: one after it is not undone. ${step.what}` } : step);
    stopped ||= !dry_run && !keep_going && STOPS.has(step.state);
  }
  const left = steps.filter(({ state }) => state !== 'undone' && state !== 'softened').length;
  return ok({ run_id: id, dry_run, steps, left });
}

const STOPS: ReadonlySet<UndoState> = new Set(['waiting', 'unknown', 'failed', 'blocked', 'unsettled']);
const NOT_ALLOWED = fail('forbidden', 'Operators and admins undo what agents did.');

function mayUndo(person: Person): boolean {
  return hasRole(person, 'operator', 'admin');
}

async function takeStep(world: World, person: Person, row: StoredCall, dryRun: boolean): Promise<UndoStep> {
  const base = { call_id: row.id, tool: row.tool, status: row.status };
  const unsettled = UNSETTLED[row.status];
  if (unsettled !== undefined) return { ...base, state: 'unsettled', what: unsettled };
  const { standing, vain } = await world.store.read((tx) => undosOf(tx, row.tenant, row.id));
  if (standing !== undefined) {
    const answer = await world.store.read((tx) => answerOf(tx, standing, world));
    return { ...base, ...stateOf({ ...answer, status: standing.status }, standing.undo_kind!), call: answer };
  }
  const compensation = await compensationOf(row, world);
  if (compensation.kind === 'none') return { ...base, ...impossible(compensation) };
  if (compensation.kind === 'manual') {
    const { runbook } = compensation;
    return { ...base, state: 'manual', what: 'A person undoes it, by the runbook.', runbook };
  }
  const { tool, args, leaves, kind } = compensation;
  const by = { tool, args, ...(leaves === undefined ? {} : { leaves }) };
  const performed = await performUndo(world, person, row, compensation, { dryRun, vain });
  if (performed.kind === 'problem') return { ...base, by, state: 'blocked', what: performed.problem.detail };
  const { answer } = performed;
  if (answer.dry_run === true) return { ...base, by, ...judged(answer, by), call: answer };
  const after = answer.status === 'succeeded' && kind === 'tool' ? 'compensated' : row.status;
  return { ...base, status: after, by, ...stateOf(answer, kind), call: { ...answer, undo_of: row.id } };
}

const UNSETTLED: Partial<Record<StoredCall['status'], string>> = {
  held: 'It waits for people and is not done yet: reject it.',
  running: 'It is not over yet: ask again when it is.',
  in_doubt: 'Nobody knows whether it was done: it must be resolved first (countersign calls resolve).',
};

function impossible({ why, runbook }: Extract<Compensation, { kind: 'none' }>) {
  const what = `The broker cannot undo it: ${why}.`;
  return { state: 'impossible', what, ...(runbook === undefined ? {} : { runbook }) } as const;
}

function performUndo(
  world: World,
  person: Person,
  row: StoredCall,
  { tool, args, kind }: Extract<Compensation, { tool: string }>,
  { dryRun, vain }: { readonly dryRun: boolean; readonly vain: number },
): Promise<Performed> {
  const undoing = { of: row.id, kind, by: person.name, ...underGlass(person) };
  const asked = askCall(world, {
    door: 'undo',
    proof: { kind: 'undo', tenant: row.tenant, agent: row.agent, run_id: row.run, undoing },
    toolName: tool,
    args,
    claimed: {},
    // The next try of one that was not done is another request.
    idempotencyKey: `${UNDO_KEY}${row.id}${vain === 0 ? '' : `:${vain + 1}`}`,
    dryRun,
  });
  return performCall(asked, world);
}

function judged({ status, problem, approval }: CallAnswer, { tool, leaves }: NonNullable<UndoStep['by']>) {
  const does = leaves === undefined ? 'undo it' : `soften it (it leaves: ${leaves})`;
  if (status === 'refused')
    return { state: 'blocked', what: `"${tool}" would not be done now: ${problem?.detail ?? ''}` } as const;
  if (status === 'held') {
    const asks = approval!.asks.map(({ quorum, group }) => `${quorum} of ${group}`).join(' and ');
    return { state: 'ready', what: `"${tool}" would ${does}, once approved by ${asks}.` } as const;
  }
  return { state: 'ready', what: `"${tool}" would ${does}.` } as const;
}

function stateOf(
  { call_id, status, problem, approval }: CallAnswer,
  kind: 'tool' | 'soft',
): Pick<UndoStep, 'state' | 'what'> {
  switch (status) {
    case 'succeeded':
      return kind === 'tool'
        ? { state: 'undone', what: `Undone by ${call_id}.` }
        : { state: 'softened', what: `Softened by ${call_id}; what that leaves stays.` };
    case 'held':
      return { state: 'waiting', what: `Its undo waits for approval ${approval?.approval_id ?? ''}.` };
    case 'running':
      return { state: 'waiting', what: 'Its undo is under way.' };
    case 'in_doubt':
    case 'unverified':
      return {
        state: 'unknown',
        what: `Nobody knows whether ${call_id} has undone it: a person looks, and resolves that call.`,
      };
    case 'refused':
      return { state: 'blocked', what: `Its undo was refused: ${problem?.detail ?? ''}` };
    default:
      return { state: 'failed', what: `Its undo was not done: ${problem?.detail ?? ''}` };
  }
}
