// A connector's bulkhead and breaker in the walk: nothing is sent that they hold back, and nothing is lost by it.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { CallAnswer, RunOpened } from '@countersign/contract/wire.ts';
import type { ConnectorView, HaltScope } from '@countersign/contract/wire-operations.ts';
import { FlowBoard } from '#call/flow-board.ts';
import { type Desk, FILES, REFUND_TOOL, startDesk } from './desk.ts';
import { LOST, NOT_SENT, type Tampering, tamper } from './tamper.ts';

const connector = (more: string): string =>
  FILES['connectors/desk.yaml']!.replace(/# Tests make.*\nbreaker: .*/, more);
const RETRY = 'retry: { attempts: 3, on: [not-sent], base: 1ms, max: 2ms, budget: 10m }';
const GOVERNED = connector(
  'bulkhead: { concurrency: 2, queue: 3 }\nbreaker: { failures: 3, cooldown: 1h, cooldown_max: 2h }',
);

let desk: Desk;
let run: RunOpened;
let tampering: Tampering | null = null;
before(async () => {
  desk = await startDesk({
    'connectors/desk.yaml': GOVERNED,
    'tools/refund_patiently.yaml': `${REFUND_TOOL.replace('name: refund', 'name: refund_patiently')}\n${RETRY}\n`,
    'policies/more.cedar':
      '@id("more") permit (principal in Role::"support", action == Action::"refund_patiently", resource);',
  });
});
after(() => desk.close());
beforeEach(async () => {
  const { world } = desk.broker;
  Object.assign(world, { flow: new FlowBoard(world.clock, world.log) });
  run = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
});
afterEach(() => tampering?.restore());

const refund = (amount_minor = 1, tool = 'refund'): Promise<CallAnswer> =>
  desk.call('bot', tool, { account: 'AC-1', amount_minor }, { runToken: run.run_token });
const mail = (): Promise<CallAnswer> =>
  desk.call('bot', 'send_mail', { to: 'a@b.example', body: 'x' }, { runToken: run.run_token });
const use = async (): Promise<ConnectorView> => {
  const { connectors } = (await desk.send('ben', 'GET', '/v1/connectors')).body;
  return (connectors as unknown as ConnectorView[]).find(({ name }) => name === 'desk')!;
};
const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise(setImmediate);
};
/** Three writes in a row that do not get through. */
async function openBreaker(): Promise<void> {
  tampering = tamper(desk, ({ mode }, send) => (mode === 'write' ? NOT_SENT : send()));
  for (const _ of [1, 2, 3]) assert.equal((await refund()).problem?.code, 'upstream_unavailable');
  tampering.restore();
}

test('an operation that keeps failing is refused without being sent, with the time to come back; others go on', async () => {
  await openBreaker();
  const sent = desk.refunds();
  tampering = tamper(desk, (_, send) => send());
  const answer = await refund();
  assert.deepEqual([answer.problem?.code, answer.problem?.retry], ['circuit_open', 'later']);
  assert.ok((answer.problem?.retry_at_ms ?? 0) > Date.now() + 3_000_000);
  assert.deepEqual(
    [tampering.seen, desk.refunds()],
    [['read'], sent],
    'the fresh read went out, the deed did not',
  );
  assert.equal((await mail()).status, 'succeeded', 'control: another operation of the same system');
  const { breakers } = await use();
  assert.deepEqual(
    breakers.map(({ state }) => state),
    ['open'],
  );
  await desk.restart();
  assert.equal((await refund()).status, 'succeeded', 'control: a broker that starts anew tries');
});

test('a fresh read that is left alone is told as such', async () => {
  tampering = tamper(desk, () => NOT_SENT);
  for (const _ of [1, 2, 3]) assert.equal((await refund()).problem?.code, 'upstream_unavailable');
  const { seen } = tampering;
  const answer = await refund();
  assert.deepEqual([answer.problem?.code, seen.length], ['circuit_open', 3]);
  assert.ok(answer.problem?.retry_at_ms);
});

test('what people approved is not spent on a system that is left alone, and is done when it is back', async () => {
  const held = await refund(9000);
  assert.equal(held.status, 'held');
  await openBreaker();
  const [approval] = await desk.approvals('ana');
  await desk.vote('ana', approval!, 'approve');
  tampering = tamper(desk, (_, send) => send());
  // It is taken up: its fresh read goes out.
  await until(() => tampering!.seen.length > 0);
  const waiting = await desk.show('bot', held.call_id, run.run_token, 0);
  assert.equal(waiting.body['status'], 'held');
  await desk.restart();
  const done = await desk.show('bot', held.call_id, run.run_token);
  assert.equal(done.body['status'], 'succeeded');
});

/** Refunds whose write does not end before `release`. */
function slowWrites(): { readonly release: () => void } {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  tampering = tamper(desk, async ({ mode }, send) => {
    if (mode === 'write') await released;
    return send();
  });
  return { release };
}

test('so many at once: others wait for their turn, and beyond the queue they are refused at once', async () => {
  const before = desk.refunds();
  const { release } = slowWrites();
  const running = [refund(), refund()];
  await until(async () => (await use()).running === 2);
  const waiting = [refund(), refund(), refund()];
  await until(async () => (await use()).waiting === 3);
  const beyond = await refund();
  assert.equal(beyond.problem?.code, 'upstream_unavailable');
  assert.ok(beyond.problem?.retry_at_ms);
  release();
  for (const answer of await Promise.all([...running, ...waiting])) assert.equal(answer.status, 'succeeded');
  assert.equal(desk.refunds(), before + 5);
  const { running: left, waiting: queued } = await use();
  assert.deepEqual([left, queued], [0, 0]);
});

const SCOPES: readonly (readonly [HaltScope, () => string | undefined])[] = [
  ['agent', () => 'bot'],
  ['tool', () => 'refund'],
  ['connector', () => 'desk'],
  ['run', () => run.run_id],
  ['tenant', () => undefined],
  ['everything', () => undefined],
];

for (const [scope, target] of SCOPES) {
  test(`a halt of ${scope} ends who waits for their turn`, async () => {
    const before = desk.refunds();
    const { release } = slowWrites();
    // Of another agent, so that a halt leaves them running.
    const other = await desk.openRun('desk', 'other-bot', { ticket: 'ZD-2' });
    const running = [1, 2].map(() =>
      desk.call('other-bot', 'send_mail', { to: 'a@b.example', body: 'x' }, { runToken: other.run_token }),
    );
    await until(async () => (await use()).running === 2);
    const queued = refund();
    await until(async () => (await use()).waiting === 1);
    const request = { scope, reason: 'test', ...(target() === undefined ? {} : { target: target()! }) };
    const set = await desk.send('ben', 'POST', '/v1/halts', request);
    assert.equal((await queued).problem?.code, 'halted');
    assert.equal(desk.refunds(), before);
    release();
    await Promise.all(running);
    await desk.send('ben', 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
    assert.equal((await refund()).status, 'succeeded', 'control: without the halt it is done');
  });

  test(`a halt of ${scope} ends the waiting between two attempts`, async () => {
    const named = scope === 'tool' ? 'refund_patiently' : target();
    const away = { ...NOT_SENT, hint: { retry_after_ms: 300_000 } };
    tampering = tamper(desk, ({ mode }, send) => (mode === 'write' ? away : send()));
    const { seen } = tampering;
    const waiting = refund(1, 'refund_patiently');
    await until(() => seen.includes('write'));
    const request = { scope, reason: 'test', ...(named === undefined ? {} : { target: named }) };
    const set = await desk.send('ben', 'POST', '/v1/halts', request);
    assert.equal((await waiting).problem?.code, 'halted');
    assert.equal(seen.filter((mode) => mode === 'write').length, 1);
    await desk.send('ben', 'DELETE', `/v1/halts/${String(set.body['halt_id'])}`);
  });
}

test('a breaker that opens between two attempts ends the trying, and a lost reply stays in doubt', async () => {
  tampering = tamper(desk, ({ mode }, send) => (mode === 'write' ? NOT_SENT : send()));
  const answer = await refund(1, 'refund_patiently');
  assert.equal(answer.problem?.code, 'upstream_unavailable', 'three attempts: the third opens it');
  assert.equal((await refund(1, 'refund_patiently')).problem?.code, 'circuit_open');
  assert.equal(tampering.seen.filter((mode) => mode === 'write').length, 3);
  tampering.restore();
  tampering = tamper(desk, async ({ mode }, send) => (mode === 'write' ? LOST : send()));
  const doubt = await mail();
  assert.equal(doubt.problem?.code, 'in_doubt');
});

test('another limit in a newer bundle holds at once, and leaves the connector running', async () => {
  const { world } = desk.broker;
  const running = world.connector(world.bundle(), 'desk');
  desk.write({ 'connectors/desk.yaml': connector('bulkhead: { concurrency: 7, rate: 2.5 }') });
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  const { concurrency, queue, rate_per_s } = await use();
  assert.deepEqual([concurrency, queue, rate_per_s], [7, 1000, 2.5]);
  assert.equal(world.connector(world.bundle(), 'desk'), running);
  desk.write({ 'connectors/desk.yaml': GOVERNED });
  await desk.send('ben', 'POST', '/v1/bundle');
});
