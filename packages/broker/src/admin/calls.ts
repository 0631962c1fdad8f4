// Calls as their agent or the people of its tenant see them.
import type { CallAnswer, CallStatus } from '@countersign/contract/wire.ts';
import { answerOf } from '#call/answer.ts';
import { narrowedOfRow, narrowedText } from '#call/narrowed.ts';
import { readAmbientRun } from '#call/read-run.ts';
import type { World } from '#call/world.ts';
import type { Caller } from '#identity/identity.ts';
import type { Agent, Principal } from '#rules/principal.ts';
import { getCall, listCalls as listRows, type StoredCall } from '#store/calls.ts';
import { getDoubt } from '#store/doubts.ts';
import type { Tx } from '#store/tx.ts';
import { hasRole, notFound, ok, type Result } from './result.ts';

const UNFINISHED: readonly CallStatus[] = ['held', 'running'];

/** Who asks: an agent asks as the run that its token is for; null is its ambient run. */
export type Viewer = Pick<Caller, 'principal' | 'run_id'>;

/**
 * Waits up to `wait_ms` for the call to leave `held` and `running`. An agent sees the calls of its own run only:
 * what another run has read must not enter this one without its labels. With a narrowed token it sees those alone that
 * such a token asked for. Suspended while it waits, it is told that and nothing of the call.
 */
export async function showCall(
  world: World,
  viewer: Viewer,
  id: string,
  wait_ms: number,
): Promise<Result<CallAnswer>> {
  const until_ms = world.clock.now() + wait_ms;
  const { principal } = viewer;
  for (let waited = false; ; waited = true) {
    // Listening before looking, so that a change between the two is not missed.
    const listening = new AbortController();
    const changed = world.signals.wait(id, Math.max(0, until_ms - world.clock.now()), listening.signal);
    const row = await world.store.read((tx) => getCall(tx, viewer.principal.tenant, id));
    const stopped = waited && principal.kind === 'agent' ? stopOf(world, principal) : null;
    if (stopped !== null) {
      listening.abort();
      return stopped;
    }
    const known = row !== undefined && (await maySee(world, viewer, row));
    if (!known || !UNFINISHED.includes(row.status) || world.clock.now() >= until_ms) {
      listening.abort();
      return known
        ? ok(await world.store.read((tx) => seenBy(tx, viewer.principal, row, world)))
        : notFound();
    }
    await changed;
  }
}

function stopOf(world: World, { tenant, name, narrowed }: Agent): Result<never> | null {
  const now = world.identity.recallAgent(tenant, name, narrowed ?? null);
  return now.ok ? null : { ok: false, problem: now.problem };
}

export interface CallFilter {
  readonly status?: CallStatus;
  readonly agent?: string;
  readonly run?: string;
  readonly limit: number;
  /** Id of the last call of the page before. */
  readonly before?: string;
}

/** Newest first. */
export async function listCalls(
  world: World,
  viewer: Viewer,
  filter: CallFilter,
): Promise<Result<CallAnswer[]>> {
  const { principal } = viewer;
  if (principal.kind === 'orchestrator') return notFound();
  const agent = principal.kind === 'agent' ? principal.name : filter.agent;
  const run = principal.kind === 'agent' ? await ownRun(world, principal, viewer.run_id) : filter.run;
  if (principal.kind === 'agent' && run === undefined) return ok([]);
  return ok(
    await world.store.read(async (tx) => {
      const rows = await listRows(tx, {
        tenant: principal.tenant,
        limit: filter.limit,
        ...(agent === undefined ? {} : { agent }),
        ...(run === undefined ? {} : { run }),
        ...narrowedFilter(principal),
        ...(filter.status === undefined ? {} : { status: filter.status }),
        ...(filter.before === undefined ? {} : { before: filter.before }),
      });
      const answers: CallAnswer[] = [];
      for (const row of rows) answers.push(await seenBy(tx, principal, row, world));
      return answers;
    }),
  );
}

function narrowedFilter(principal: Principal): { readonly narrowed?: string } {
  const narrowed = principal.kind === 'agent' ? narrowedText(principal) : null;
  return narrowed === null ? {} : { narrowed };
}

/** People see besides who acted for the agent, and what is being done about a call in doubt. */
async function seenBy(tx: Tx, principal: Principal, row: StoredCall, world: World): Promise<CallAnswer> {
  const act = principal.kind === 'person' ? (narrowedOfRow(row)?.act ?? []) : [];
  const told = await answerOf(tx, row, world);
  const answer: CallAnswer = act.length === 0 ? told : { ...told, act };
  const doubt =
    row.status === 'in_doubt' && principal.kind === 'person' ? await getDoubt(tx, row.id) : undefined;
  if (doubt === undefined) return answer;
  const { since_ms, tries, next_at_ms, why } = doubt;
  return { ...answer, doubt: { since_ms, tries, ...(next_at_ms === null ? {} : { next_at_ms }), why } };
}

async function maySee(world: World, { principal, run_id }: Viewer, row: StoredCall): Promise<boolean> {
  if (principal.kind !== 'agent') return hasRole(principal, 'approver', 'operator', 'auditor', 'admin');
  const narrowed = narrowedText(principal);
  if (row.agent !== principal.name || (narrowed !== null && narrowed !== row.narrowed)) return false;
  return row.run === (await ownRun(world, principal, run_id));
}

/** Id of the run that the agent's calls are made in; undefined when it has no live ambient one. */
export async function ownRun(world: World, agent: Agent, runId: string | null): Promise<string | undefined> {
  if (runId !== null) return runId;
  const idle_ms = world.bundle().settings.runs.ambient_idle_ms;
  return (await readAmbientRun(world, agent.tenant, agent.name, world.clock.now(), idle_ms))?.id;
}
