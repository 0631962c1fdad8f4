// The kill switch: at once, at every stage, across restarts, and never by an agent.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { type Desk, startDesk } from './desk.ts';

let desk: Desk;
let runToken: string;
beforeEach(async () => {
  desk = await startDesk();
  runToken = (await desk.openRun('desk', 'bot', { ticket: 'ZD-1' })).run_token;
});
afterEach(() => desk.close());

const halt = (scope: string, target?: string) =>
  desk.send('ben', 'POST', '/v1/halts', {
    scope,
    reason: 'test',
    ...(target === undefined ? {} : { target }),
  });
const refund = () => desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 1 }, { runToken });

for (const [scope, target] of [
  ['agent', 'bot'],
  ['tool', 'refund'],
  ['tenant', undefined],
  ['everything', undefined],
] as const) {
  test(`a halt of ${scope} stops calls until it is lifted`, async () => {
    assert.equal((await refund()).status, 'succeeded', 'control');
    const set = await halt(scope, target);
    assert.equal(set.status, 201);
    assert.equal((await refund()).problem?.code, 'halted');
    assert.equal(desk.refunds(), 1);
    const lifted = await desk.send('ben', 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
    assert.equal(lifted.status, 200);
    assert.equal((await refund()).status, 'succeeded');
  });
}

test('a halt of one agent does not stop another', async () => {
  await halt('agent', 'other-bot');
  assert.equal((await refund()).status, 'succeeded');
});

test('a halt survives a restart', async () => {
  await halt('agent', 'bot');
  await desk.restart();
  assert.equal((await refund()).problem?.code, 'halted');
});

test('a held call that is approved under a halt is not done', async () => {
  const held = await desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 9000 }, { runToken });
  await halt('tool', 'refund');
  const [approval] = await desk.approvals('ana');
  await desk.vote('ana', approval!, 'approve');
  const after = await desk.show('bot', held.call_id, runToken);
  assert.equal((after.body['problem'] as { code?: string } | undefined)?.code, 'halted');
  assert.equal(desk.refunds(), 0);
});

test('a replay does not pass by a halt', async () => {
  const args = { account: 'AC-1', amount_minor: 1 };
  await desk.call('bot', 'refund', args, { runToken, key: 'k' });
  await halt('agent', 'bot');
  const replay = await desk.call('bot', 'refund', args, { runToken, key: 'k' });
  assert.equal(replay.problem?.code, 'halted');
});

test('agents, approvers and other tenants neither halt nor lift', async () => {
  const set = await halt('tenant');
  for (const name of ['bot', 'desk', 'ana', 'gus']) {
    const lifted = await desk.send(name, 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
    assert.ok([403, 404].includes(lifted.status), `${name}: ${lifted.status}`);
    const tried = await desk.send(name, 'POST', '/v1/halts', { scope: 'everything', reason: 'x' });
    assert.ok([403, 404].includes(tried.status), `${name}: ${tried.status}`);
  }
  assert.equal((await refund()).problem?.code, 'halted');
});

test('a halt and its lifting are in the ledger', async () => {
  const set = await halt('agent', 'bot');
  await desk.send('ben', 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
  const sent = await desk.send('dora', 'GET', '/v1/ledger/entries?limit=100');
  const { entries } = sent.body as unknown as { entries: { entry: string }[] };
  const kinds = entries.map((each) => (JSON.parse(each.entry) as { kind: string }).kind);
  assert.ok(kinds.includes('halt.set') && kinds.includes('halt.lifted'), kinds.join(' '));
});
