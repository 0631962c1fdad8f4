// Resolution: a person says what became of a call that the broker could not find out, with the evidence.
import type { Json } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { CallAnswer, ResolutionRequest } from '@countersign/contract/wire.ts';
import { tenantLog } from '#call/logs.ts';
import { undoingOfRow, undoneBy } from '#call/undoing.ts';
import type { World } from '#call/world.ts';
import { type Person, underGlass } from '#rules/principal.ts';
import { getCall, resolveCall as resolveRow } from '#store/calls.ts';
import { closeDoubt, getDoubt } from '#store/doubts.ts';
import { appendEntry } from '#store/ledger.ts';
import { recordUndone } from '#store/undos.ts';
import { fail, hasRole, notFound, ok, type Result } from './result.ts';

/** By operators and admins; only for a call in doubt or unverified. One transaction, one entry. */
export async function resolveCall(
  world: World,
  person: Person,
  id: string,
  request: ResolutionRequest,
): Promise<Result<CallAnswer>> {
  if (!hasRole(person, 'operator', 'admin')) return fail('forbidden', 'Operators and admins resolve calls.');
  const resolved = await world.store.write(async (tx): Promise<Result<CallAnswer>> => {
    const row = await getCall(tx, person.tenant, id);
    if (row === undefined) return notFound();
    if (row.status !== 'in_doubt' && row.status !== 'unverified') {
      const detail = `Only a call that is in doubt or unverified is resolved; this one is ${row.status}.`;
      return fail('conflict', detail);
    }
    const at_ms = world.clock.now();
    const attempt = await getDoubt(tx, row.id);
    if (attempt !== undefined && attempt.since_ms > at_ms) {
      const seconds = Math.ceil((attempt.since_ms - at_ms) / 1000);
      return fail('conflict', `The broker sends it again just now; look again in ${seconds} seconds.`);
    }
    const { outcome: status, evidence, side_effect_id } = request;
    const side_effect = side_effect_id ?? row.side_effect_id;
    const answer: CallAnswer = {
      call_id: row.id,
      run_id: row.run,
      tool: row.tool,
      status,
      ...(status === 'succeeded' ? {} : { problem: { ...NOT_DONE, call_id: row.id } }),
      labels: [],
      ...(side_effect === null ? {} : { side_effect: { id: side_effect } }),
    };
    const { log, seq } = await appendEntry(tx, {
      log: tenantLog(row.tenant),
      at_ms,
      kind: 'call.resolved',
      facts: { call: row.id, run: row.run, tool: row.tool, was: row.status, status, ...underGlass(person) },
      payload: { answer: answer as unknown as Json, by: person.name, evidence },
    });
    const settled = { settled_log: log, settled_seq: seq };
    await resolveRow(tx, row.id, { status, at_ms, side_effect_id: side_effect_id ?? null, ...settled });
    await closeDoubt(tx, row.id);
    const undone = undoneBy(row.id, undoingOfRow(row), status, { run: row.run, tenant: row.tenant, at_ms });
    if (undone !== null) await recordUndone(tx, undone);
    return ok(answer);
  });
  if (resolved.ok) world.signals.notify(id);
  return resolved;
}

const NOT_DONE = problem('tool_rejected', 'A person found out that this was not done.');
