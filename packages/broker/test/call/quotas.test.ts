// Quotas under real calls: never overshot, never leaked, and told in words that say when it opens again.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { QuotaView } from '@countersign/contract/wire-operations.ts';
import type { Clock } from '#call/clock.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import type { BundleFiles } from '../harness.ts';
import { type Desk, FILES, startDesk } from './desk.ts';

let desk: Desk;
afterEach(() => desk.close());

function withQuotas(...quotas: readonly string[]): BundleFiles {
  const list = quotas.map((quota) => `  - ${quota}\n`).join('');
  return { 'countersign.yaml': `${FILES['countersign.yaml']}quotas:\n${list}` };
}

const TEN_MAILS = '{ name: mails, of: writes, per: agent, limit: 10, window: minute }';
const ONE_MAIL = '{ name: mails, of: writes, per: agent, limit: 1, window: day }';

/** Stops the clock of the walk in the middle of a minute; answers how to move it. */
function stopClock(): (ms: number) => void {
  const world = desk.broker.world as { clock: Clock };
  const { clock } = world;
  let now = Math.floor(clock.now() / 60_000) * 60_000 + 30_000;
  world.clock = { ...clock, now: () => now };
  return (ms) => {
    now += ms;
  };
}

const mail = (n: number | string, more: { key?: string } = {}) =>
  desk.call('bot', 'send_mail', { to: 'a@b.example', body: `${n}` }, more);
const codes = (answers: readonly CallAnswer[]) => answers.map((each) => each.problem?.code ?? each.status);

async function uses(): Promise<QuotaView[]> {
  const sent = await desk.send('ben', 'GET', '/v1/quotas');
  return sent.body['quotas'] as unknown as QuotaView[];
}

/** What every reply of the desk becomes from now on. */
function reply(change: (real: Reply, mode: 'read' | 'write') => Reply): void {
  const { world } = desk.broker;
  const connector = world.connector(world.bundle(), 'desk') as Connector;
  const { attempt } = connector;
  connector.attempt = async (request) => change(await attempt.call(connector, request), request.mode);
}

/** A person says what became of a call in doubt. */
const resolve = (id: string, outcome: 'succeeded' | 'failed') =>
  desk.send('ben', 'POST', `/v1/calls/${id}/resolution`, { outcome, evidence: 'The desk says so.' });

test('of fifty calls at once exactly as many are done as the quota allows', async () => {
  desk = await startDesk(withQuotas(TEN_MAILS));
  stopClock();
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => mail(n)));
  const done = codes(answers).filter((code) => code === 'succeeded').length;
  const full = codes(answers).filter((code) => code === 'quota_exceeded').length;
  assert.deepEqual([done, full, desk.mails()], [10, 40, 10]);
  const [use] = await uses();
  assert.deepEqual([use?.quota, use?.subject, use?.used, use?.reserved], ['mails', 'bot', 10, 0]);
});

test('control: without a quota all fifty are done', async () => {
  desk = await startDesk();
  await Promise.all(Array.from({ length: 50 }, (_, n) => mail(n)));
  assert.equal(desk.mails(), 50);
  assert.deepEqual(await uses(), []);
});

test('a read that the quota refuses is not read', async () => {
  desk = await startDesk(withQuotas('{ name: reads, of: calls, per: tool, limit: 3, window: minute }'));
  stopClock();
  let reads = 0;
  reply((real) => {
    reads++;
    return real;
  });
  const answers = await Promise.all(
    Array.from({ length: 9 }, () => desk.call('bot', 'read_note', { note: 'N-2' })),
  );
  assert.equal(codes(answers).filter((code) => code === 'succeeded').length, 3);
  assert.equal(reads, 3);
});

test('the refusal names the quota, its limit and when it opens again, and then it is open', async () => {
  desk = await startDesk(withQuotas('{ name: mails, of: writes, per: agent, limit: 1, window: minute }'));
  const wait = stopClock();
  await mail(1);
  const { problem } = await mail(2);
  assert.equal(problem?.code, 'quota_exceeded');
  assert.match(problem?.detail ?? '', /"mails" is used up: at most 1 writes for each agent and minute/);
  const now = desk.broker.world.clock.now();
  assert.equal(problem?.retry_at_ms, now + 30_000);
  wait(29_999);
  assert.equal((await mail(3)).problem?.code, 'quota_exceeded', 'control: not a moment earlier');
  wait(1);
  assert.equal((await mail(4)).status, 'succeeded');
});

test('counts are of one agent, and a quota for others does not hold', async () => {
  desk = await startDesk(
    withQuotas('{ name: a, of: calls, per: agent, limit: 1, window: day, agents: [bot] }'),
  );
  await mail(1);
  assert.equal((await mail(2)).problem?.code, 'quota_exceeded');
  for (const n of [1, 2]) {
    const other = await desk.call('other-bot', 'send_mail', { to: 'a@b.example', body: `${n}` });
    assert.equal(other.status, 'succeeded');
  }
});

test('a count per run is that of the run', async () => {
  desk = await startDesk(withQuotas('{ name: a, of: calls, per: run, limit: 1, window: day }'));
  for (const ticket of ['ZD-1', 'ZD-2']) {
    const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket });
    const refund = () => desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 1 }, { runToken });
    assert.deepEqual(codes([await refund(), await refund()]), ['succeeded', 'quota_exceeded']);
  }
});

test('a repeat with the same key gets its answer and takes nothing, though the quota is full', async () => {
  desk = await startDesk(withQuotas(ONE_MAIL));
  const [a, b] = await Promise.all([mail(1, { key: 'k' }), mail(1, { key: 'k' })]);
  assert.equal(a.call_id, b.call_id);
  assert.equal((await mail(1, { key: 'k' })).replayed, true);
  assert.equal(desk.mails(), 1);
});

test('refused and held calls take nothing', async () => {
  desk = await startDesk(withQuotas('{ name: a, of: calls, per: agent, limit: 1, window: day }'));
  await desk.call('bot', 'send_mail', { to: 'a@b.example' });
  await desk.call('bot', 'close_account', { account: 'AC-1' });
  assert.deepEqual(await uses(), []);
});

test('a write known not to have been done gives its place back; a call was one all the same', async () => {
  const calls = '{ name: calls, of: calls, per: agent, limit: 2, window: day }';
  desk = await startDesk(withQuotas(ONE_MAIL, calls));
  let down = true;
  reply((real) => (down ? { kind: 'rejected', reason: 'down' } : real));
  assert.equal((await mail(1)).status, 'refused', 'told as a problem');
  down = false;
  assert.deepEqual(
    (await uses()).map(({ quota, used, reserved }) => [quota, used, reserved]),
    [
      ['calls', 1, 0],
      ['mails', 0, 0],
    ],
  );
  assert.equal((await mail(2)).status, 'succeeded');
  assert.equal((await mail(3)).problem?.code, 'quota_exceeded');
});

for (const [status, next] of [
  ['succeeded', 'quota_exceeded'],
  ['failed', 'in_doubt'],
] as const) {
  test(`a call in doubt keeps its place until it is known to have ${status}`, async () => {
    desk = await startDesk(withQuotas(ONE_MAIL));
    reply(() => ({ kind: 'unknown', reason: 'silence', timed_out: true }));
    const doubtful = await mail(1);
    assert.equal(doubtful.problem?.code, 'in_doubt');
    assert.equal((await mail(2)).problem?.code, 'quota_exceeded');
    assert.deepEqual(
      (await uses()).map(({ used, reserved }) => [used, reserved]),
      [[0, 1]],
    );
    await resolve(doubtful.problem!.call_id!, status);
    assert.equal((await mail(3)).problem?.code, next);
  });
}

test('counts outlive a restart and a changed limit', async () => {
  desk = await startDesk(withQuotas(ONE_MAIL));
  await mail(1);
  await desk.restart();
  assert.equal((await mail(2)).problem?.code, 'quota_exceeded');
  desk.write(withQuotas(ONE_MAIL.replace('limit: 1', 'limit: 2')));
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  assert.deepEqual(codes([await mail(3), await mail(4)]), ['succeeded', 'quota_exceeded']);
  const [use] = await uses();
  assert.deepEqual([use?.used, use?.limit], [2, 2]);
});

test('what people approved waits for the quota and is not lost to it', async () => {
  desk = await startDesk(withQuotas('{ name: writes, of: writes, per: agent, limit: 1, window: minute }'));
  const wait = stopClock();
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  const held = await desk.call('bot', 'refund', { account: 'AC-1', amount_minor: 9000 }, { runToken });
  await mail(1);
  const [approval] = await desk.approvals('ana');
  const world = desk.broker.world as { clock: Clock };
  let rested = (_: number): void => {};
  const resting = new Promise<number>((told) => {
    rested = told;
  });
  let rise = (): void => {};
  const up = new Promise<void>((woken) => {
    rise = woken;
  });
  world.clock = {
    ...world.clock,
    sleep(ms) {
      rested(ms);
      return up;
    },
  };
  await desk.vote('ana', approval!, 'approve');
  assert.equal(await resting, 30_000, 'it rests until the window ends');
  const waiting = await desk.show('bot', held.call_id, runToken, 0);
  assert.deepEqual([waiting.body['status'], desk.refunds()], ['held', 0]);
  wait(30_000);
  rise();
  assert.equal((await desk.show('bot', held.call_id, runToken)).body['status'], 'succeeded');
  assert.equal(desk.refunds(), 1);
});

test('operators see the use of their own tenant, and agents see none', async () => {
  desk = await startDesk(withQuotas(ONE_MAIL));
  await mail(1);
  assert.equal((await uses()).length, 1);
  const other = await desk.send('gus', 'GET', '/v1/quotas');
  assert.deepEqual(other.body['quotas'], []);
  assert.equal((await desk.send('bot', 'GET', '/v1/quotas')).status, 403);
});
