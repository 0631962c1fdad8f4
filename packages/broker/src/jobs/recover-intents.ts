// At start: an intent without an outcome is in doubt, and is looked for from then on; a read is simply failed.
import type { Json } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import { tenantLog } from '#call/logs.ts';
import type { World } from '#call/world.ts';
import { closeCall, getCall, listUnsettled, type StoredCall } from '#store/calls.ts';
import { openDoubt } from '#store/doubts.ts';
import { appendEntry } from '#store/ledger.ts';

/** Runs before any door opens, so that every `running` row is one that a crash has left. Answers how many. */
export async function recoverIntents(world: World): Promise<number> {
  const rows = await world.store.read((tx) => listUnsettled(tx));
  for (const row of rows) await recoverOne(world, row);
  if (rows.length > 0) world.log.warn('intents without an outcome were found', { calls: rows.length });
  return rows.length;
}

/** Settles what could not be recorded while the store was failing; what fails again stays for the next time. */
export async function recoverStranded(world: World): Promise<void> {
  for (const [id, { tenant }] of world.stranded) {
    const row = await world.store.read((tx) => getCall(tx, tenant, id));
    if (row?.status === 'running') await recoverOne(world, row);
    world.stranded.delete(id);
  }
}

async function recoverOne(world: World, row: StoredCall): Promise<void> {
  const read = row.effect === 'read';
  const why = read
    ? problem('upstream_unavailable', 'The broker stopped during this read; reading again is safe.')
    : problem(
        'in_doubt',
        'The broker stopped during this call and finds out what became of it. Do not repeat it.',
      );
  const status = read ? 'failed' : 'in_doubt';
  const answer: CallAnswer = {
    call_id: row.id,
    run_id: row.run,
    tool: row.tool,
    status,
    problem: { ...why, call_id: row.id },
    labels: [],
  };
  await world.store.write(async (tx) => {
    // Another may have been as quick.
    if ((await getCall(tx, row.tenant, row.id))?.status !== 'running') return;
    const now = world.clock.now();
    const { log, seq } = await appendEntry(tx, {
      log: tenantLog(row.tenant),
      at_ms: now,
      kind: read ? 'call.settled' : 'call.in_doubt',
      facts: { call: row.id, run: row.run, tool: row.tool, status, problem: why.code, recovered: true },
      payload: { answer: answer as unknown as Json },
    });
    await closeCall(tx, row.id, { status, at_ms: now, settled_log: log, settled_seq: seq });
    if (!read) await openDoubt(tx, row.id, row.tenant, now);
  });
  world.signals.notify(row.id);
  world.signals.notify('doubts');
}
