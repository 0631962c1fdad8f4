// Calls as their agent or the people of its tenant see them.
import type { CallAnswer, CallStatus } from '@countersign/contract/wire.ts';
import { answerOf } from '#call/answer.ts';
import type { World } from '#call/world.ts';
import type { Principal } from '#rules/principal.ts';
import { getCall, listCalls as listRows, type StoredCall } from '#store/calls.ts';
import { hasRole, notFound, ok, type Result } from './result.ts';

const UNFINISHED: readonly CallStatus[] = ['held', 'running'];

/** Waits up to `wait_ms` for the call to leave `held` and `running`. An agent sees its own calls only. */
export async function showCall(
  world: World,
  principal: Principal,
  id: string,
  wait_ms: number,
): Promise<Result<CallAnswer>> {
  const until_ms = world.clock.now() + wait_ms;
  for (;;) {
    // Listening before looking, so that a change between the two is not missed.
    const listening = new AbortController();
    const changed = world.signals.wait(id, Math.max(0, until_ms - world.clock.now()), listening.signal);
    const row = await world.store.read((tx) => getCall(tx, principal.tenant, id));
    const known = row !== undefined && maySee(principal, row);
    if (!known || !UNFINISHED.includes(row.status) || world.clock.now() >= until_ms) {
      listening.abort();
      return known ? ok(await world.store.read((tx) => answerOf(tx, row, world))) : notFound();
    }
    await changed;
  }
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
  principal: Principal,
  filter: CallFilter,
): Promise<Result<CallAnswer[]>> {
  const agent = principal.kind === 'agent' ? principal.name : filter.agent;
  if (principal.kind === 'orchestrator') return notFound();
  return ok(
    await world.store.read(async (tx) => {
      const rows = await listRows(tx, {
        tenant: principal.tenant,
        limit: filter.limit,
        ...(agent === undefined ? {} : { agent }),
        ...(filter.run === undefined ? {} : { run: filter.run }),
        ...(filter.status === undefined ? {} : { status: filter.status }),
        ...(filter.before === undefined ? {} : { before: filter.before }),
      });
      const answers: CallAnswer[] = [];
      for (const row of rows) answers.push(await answerOf(tx, row, world));
      return answers;
    }),
  );
}

function maySee(principal: Principal, row: StoredCall): boolean {
  if (principal.kind === 'agent') return row.agent === principal.name;
  return hasRole(principal, 'approver', 'operator', 'auditor', 'admin');
}
