// A store put back from a backup does not know what was done since: nothing goes on in it until a person has looked.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram } from '#cli/program.ts';
import type { Connector } from '#connectors/connector.ts';
import { type Desk, startDesk } from './desk.ts';

async function storeCommand(desk: Desk, ...argv: readonly string[]): Promise<string> {
  const said: string[] = [];
  const keep = (text: string) => void said.push(text);
  const code = await runProgram(['store', ...argv, '--file', join(desk.root, 'data/countersign.db')], {
    terminal: { out: keep, err: keep, ask: async () => null, input: async () => '' },
    ...{ environment: {}, serve: async () => undefined },
  });
  assert.equal(code, 0, said.join('\n'));
  return said.join('\n');
}

test('what had been approved in the backup is not done again by itself, and new calls are turned away', async (t) => {
  const desk = await startDesk();
  t.after(() => desk.close());
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const held = await desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 9000 }, { runToken });
  const stateOf = async () => (await desk.show('bot', held.call_id, runToken, 3)).body['status'];
  // Its system does not answer: what is approved waits. So it stands in the backup.
  const { world } = desk.broker;
  const connector = world.connector(world.bundle(), 'desk') as Connector;
  const { attempt } = connector;
  connector.attempt = async () => ({ kind: 'not_sent', reason: 'connection refused' });
  const [approval] = await desk.approvals('ana');
  await desk.vote('ana', approval!, 'approve');
  const backup = join(desk.root, 'backup.db');
  await storeCommand(desk, 'backup', backup);
  connector.attempt = attempt;
  while ((await stateOf()) === 'held');
  assert.equal(await stateOf(), 'succeeded');
  assert.equal(desk.refunds(), 1);

  await desk.broker.close();
  const said = await storeCommand(desk, 'restore', backup);
  await desk.restart();
  assert.equal(await stateOf(), 'held', 'it would be done again, were it not for the halt');
  const refused = await desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 1 }, { runToken });
  assert.equal(refused.problem?.code, 'halted');
  const halt = /countersign lift (hlt_\w+)/.exec(said)?.[1];
  assert.equal((await desk.send('ben', 'DELETE', `/v1/halts/${halt}`)).status, 200);
  while ((await stateOf()) === 'held');
  assert.notEqual(await stateOf(), 'held', 'control: without the halt it goes on');
});
