// A broker that is killed after an undo was done and before its call was marked: the next one finds it, and marks it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { verifyLedger } from '#store/verify-ledger.ts';
import { startBroker } from '../../src/main.ts';
import { startUndoDesk } from './undo-desk.ts';

test('a call whose undo was done when its broker was killed is marked by the next one, and undone once', async () => {
  const desk = await startUndoDesk();
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const { call_id } = await desk.call('bot', 'credit', { account: 'AC-1', amount_minor: 5 }, { runToken });
  await desk.broker.close();

  const port = new URL(desk.url).port;
  const program = join(import.meta.dirname, 'child-unsettled.ts');
  const child = spawn(process.execPath, [program, join(desk.root, 'bundle'), port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    const lost = desk.send('ben', 'POST', `/v1/calls/${call_id}/undo`, {}).catch(() => null);
    while (desk.voids().length === 0) await desk.send('ben', 'GET', '/v1/calls?status=running');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(await lost, null);
  } finally {
    child.kill('SIGKILL');
  }

  const next = await startBroker({
    bundle: join(desk.root, 'bundle'),
    port: Number(port),
    log_level: 'silent',
  });
  const undo = await desk.send('ben', 'POST', `/v1/calls/${call_id}/undo`, {});
  const { call } = undo.body as unknown as { call: { call_id: string } };
  while ((await desk.send('ben', 'GET', `/v1/calls/${call.call_id}`)).body['status'] === 'in_doubt');
  assert.equal((await desk.send('ben', 'GET', `/v1/calls/${call_id}`)).body['status'], 'compensated');
  assert.deepEqual(desk.voids(), ['AC-1']);
  await next.close();
  const report = verifyLedger(join(desk.root, 'data/countersign.db'), next.world.signer.vkey);
  assert.equal(report.ok, true, JSON.stringify(report));
  desk.db.close();
  rmSync(desk.root, { recursive: true });
});
