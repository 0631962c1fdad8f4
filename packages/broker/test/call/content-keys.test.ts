// A write without a key of its own is done once at a step of its run, and once more at another.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Connector, Reply } from '#connectors/connector.ts';
import type { BundleFiles, CallMore } from '../harness.ts';
import { atMcp } from './at-mcp.ts';
import { type Desk, FILES, startDesk } from './desk.ts';

let desk: Desk;
afterEach(() => desk.close());

const ON: BundleFiles = {
  'countersign.yaml': `${FILES['countersign.yaml']}idempotency: { content_key: writes }\n`,
};
const MAIL = { to: 'a@b.example', body: 'once' };
const mail = (more: CallMore = {}) => desk.call('bot', 'send_mail', MAIL, more);

async function mailAtMcp(step?: string): Promise<JsonObject> {
  const token = await desk.token('bot', { resource: 'mcp' });
  const meta = step === undefined ? {} : { 'countersign/step': step };
  const sent = await atMcp(desk, token, 'tools/call', { name: 'send_mail', arguments: MAIL }, meta);
  return (sent.body['result'] as JsonObject)['_meta'] as JsonObject;
}

/** What every reply of the desk to a write becomes; the answer ends that. */
function reply(change: (real: Reply) => Reply | Promise<Reply>): () => void {
  const { world } = desk.broker;
  const connector = world.connector(world.bundle(), 'desk') as Connector;
  const { attempt } = connector;
  connector.attempt = async (request) => {
    const real = await attempt.call(connector, request);
    return request.mode === 'write' ? change(real) : real;
  };
  return () => {
    connector.attempt = attempt;
  };
}

test('a repeat at the same step gets the first answer, at either door, and another step is another deed', async () => {
  desk = await startDesk(ON);
  const first = await mail({ step: '1' });
  const again = await mail({ step: '1' });
  assert.deepEqual([again.call_id, again.replayed], [first.call_id, true]);
  const atOther = await mailAtMcp('1');
  assert.deepEqual([atOther['countersign/call_id'], atOther['countersign/replayed']], [first.call_id, true]);
  assert.equal(desk.mails(), 1);
  assert.notEqual((await mail({ step: '2' })).call_id, first.call_id);
  await mailAtMcp('3');
  assert.equal(desk.mails(), 3);
});

test('without a step, what the run does not repeat is all that is done', async () => {
  desk = await startDesk(ON);
  await Promise.all(Array.from({ length: 10 }, () => mail()));
  await mailAtMcp();
  assert.equal(desk.mails(), 1);
  const { run_token: runToken } = await desk.openRun('desk', 'bot', { ticket: 'ZD-1' });
  await mail({ runToken });
  assert.equal(desk.mails(), 2, 'another run is another deed');
  await desk.call('bot', 'send_mail', { ...MAIL, body: 'twice' });
  assert.equal(desk.mails(), 3, 'so is another request');
});

test('control: where the bundle does not say so, a repeat is done again', async () => {
  desk = await startDesk();
  await mail({ step: '1' });
  await mail({ step: '1' });
  await mailAtMcp('1');
  await mailAtMcp('1');
  assert.equal(desk.mails(), 4);
});

test('a repeat waits with the first: while it runs, and while it waits for people', async () => {
  desk = await startDesk(ON);
  let let_go = (): void => {};
  const gone = new Promise<void>((told) => {
    let_go = told;
  });
  let sent = (): void => {};
  const under_way = new Promise<void>((told) => {
    sent = told;
  });
  const restore = reply(async (real) => {
    sent();
    await gone;
    return real;
  });
  const running = mail();
  await under_way;
  assert.equal((await mail()).status, 'running');
  let_go();
  assert.equal((await running).status, 'succeeded');
  restore();
  const close = (step: string) => desk.call('bot', 'close_account', { account: 'AC-1' }, { step });
  const held = await close('1');
  assert.equal((await close('1')).call_id, held.call_id);
  assert.notEqual((await close('2')).call_id, held.call_id);
});

test('what is known not to have been done may be tried again, and what is in doubt may not', async () => {
  desk = await startDesk(ON);
  const refuse = reply(() => ({ kind: 'rejected', reason: 'down' }));
  const failed = await mail();
  assert.equal(failed.problem?.code, 'tool_rejected');
  assert.equal((await mail()).problem?.call_id === failed.problem?.call_id, false, 'a try of its own');
  refuse();
  desk.db.exec('delete from outbox');
  assert.equal((await mail()).status, 'succeeded');
  assert.equal((await mail()).replayed, true);
  const { world } = desk.broker;
  const connector = world.connector(world.bundle(), 'desk') as Connector;
  connector.attempt = async () => ({ kind: 'unknown', reason: 'silence', timed_out: true });
  const doubtful = await mail({ step: '2' });
  assert.equal(doubtful.problem?.code, 'in_doubt');
  assert.equal((await mail({ step: '2' })).problem?.call_id, doubtful.problem?.call_id);
});

test('reads are read again, and a key of the caller is its own', async () => {
  desk = await startDesk(ON);
  const read = () => desk.call('bot', 'read_note', { note: 'N-2' });
  assert.notEqual((await read()).call_id, (await read()).call_id);
  await mail();
  await mail({ key: 'k' });
  assert.equal(desk.mails(), 2);
});

test('no caller can give a key as the broker makes them', async () => {
  desk = await startDesk(ON);
  const refused = await mail({ key: 'content:0' });
  assert.equal(refused.problem?.code, 'invalid_request');
  assert.equal(desk.mails(), 0);
});
