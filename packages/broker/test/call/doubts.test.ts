// What nobody knows the outcome of: found out by the broker where that is possible, and else by a person.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { CallAnswer } from '@countersign/contract/wire.ts';
import type { Reply } from '#connectors/connector.ts';
import { recoverStranded } from '#jobs/recover-intents.ts';
import { settleDoubts } from '#jobs/settle-doubts.ts';
import { StoreUnavailable } from '#store/tx.ts';
import { agentFile, type Desk, REFUND_TOOL, startDesk } from './desk.ts';
import { LOST, NOT_SENT, tamper } from './tamper.ts';

let desk: Desk;
let runToken: string;
afterEach(() => desk.close());

const IDEMPOTENCY = 'idempotency: { strategy: upsert }';
const LOOKUP = /\nlookup:\n(?: .*\n)+/;
const VERIFY = /\nverify:\n(?: .*\n)+/;
const BALANCE = `
verify:
  bind: { sql: { statement: "select balance_minor from accounts where id = :account", rows: one, params: { account: =args.account } } }
  expect: [verify.balance_minor < 1000000]
`;

/** It reads what the deed answered, so it finds no deed whose reply was lost. */
const NEEDS_REPLY = `
verify:
  bind: { sql: { statement: "select account from refunds where call_id = :id", rows: one, params: { id: =response.call_id } } }
  expect: [verify.account == args.account]
`;

/** A desk whose refund is made safe in another way. */
async function start(change: (manifest: string) => string = (manifest) => manifest): Promise<void> {
  const manifest = change(REFUND_TOOL);
  desk = await startDesk({ 'tools/refund.yaml': manifest });
  runToken = (await desk.openRun('desk', 'bot', { ticket: 'ZD-1' })).run_token;
}

const marker = (more: string) => (manifest: string) =>
  manifest.replace(IDEMPOTENCY, `idempotency: { strategy: marker${more} }`);
const settling = (time: string) => (manifest: string) =>
  manifest.replace('found: lookup != null', `found: lookup != null\n  settle: ${time}`);

const refund = (key?: string) =>
  desk.call(
    'bot',
    'refund',
    { account: 'AC-1', amount_minor: 1 },
    { runToken, ...(key === undefined ? {} : { key }) },
  );

/** Asks for a refund whose reply is lost, and after which the desk cannot be asked. */
async function leaveInDoubt(done: boolean, key?: string): Promise<CallAnswer> {
  let lost = false;
  const tampering = tamper(desk, async ({ mode }, send) => {
    if (lost) return NOT_SENT;
    if (mode === 'read') return send();
    lost = true;
    if (done) await send();
    return LOST;
  });
  const answer = await refund(key);
  assert.equal(answer.problem?.code, 'in_doubt');
  await keepLoopAway();
  tampering.restore();
  return answer;
}

/** The broker's own loop looks at once, and finds the desk away; it does not look again before a test says so. */
async function keepLoopAway(): Promise<void> {
  const { store } = desk.broker.world;
  const away = 'update doubts set next_at_ms = ? where tries >= 1 and next_at_ms is not null';
  const kept = () => store.write((tx) => tx.run(away, Number.MAX_SAFE_INTEGER));
  while ((await kept()).changes === 0) await new Promise(setImmediate);
}

/** The loops of the broker run beside, so this only sees to it that the time has come. */
async function lookNow(callId: string): Promise<CallAnswer> {
  const { store } = desk.broker.world;
  for (let round = 0; round < 500; round++) {
    await store.write((tx) => tx.run('update doubts set next_at_ms = 0 where next_at_ms is not null'));
    await settleDoubts(desk.broker.world);
    const call = await seen(callId);
    if (call.status !== 'in_doubt' || call.doubt?.next_at_ms === undefined) return call;
    if (call.doubt.why === 'not found yet') return call;
  }
  throw new Error('it is looked for without end');
}

async function seen(callId: string): Promise<CallAnswer> {
  return (await desk.send('ben', 'GET', `/v1/calls/${callId}`)).body as unknown as CallAnswer;
}

async function kindsOf(callId: string): Promise<string[]> {
  const sent = await desk.send('dora', 'GET', '/v1/ledger/entries?limit=1000');
  return (sent.body as unknown as { entries: { entry: string }[] }).entries
    .map((each) => JSON.parse(each.entry) as { kind: string; facts: JsonObject })
    .filter(({ facts }) => facts['call'] === callId)
    .map(({ kind }) => kind);
}

test('a deed whose reply was lost is found, and its caller reads the outcome under the same key', async () => {
  await start();
  const doubtful = await leaveInDoubt(true, 'k');
  const settled = await lookNow(doubtful.call_id);
  assert.equal(settled.status, 'succeeded');
  assert.deepEqual(settled.result, { account: 'AC-1', amount_minor: 1 });
  const again = await refund('k');
  assert.deepEqual([again.status, again.replayed, again.call_id], ['succeeded', true, doubtful.call_id]);
  assert.equal(desk.refunds(), 1);
  assert.deepEqual(await kindsOf(doubtful.call_id), [
    'prepare.read',
    'call.admitted',
    'call.in_doubt',
    'call.settled',
  ]);
});

test('a deed that was not done is sent again where that is safe, and is there once', async () => {
  await start(settling('1ms'));
  const doubtful = await leaveInDoubt(false);
  assert.equal(desk.refunds(), 0);
  assert.equal((await lookNow(doubtful.call_id)).status, 'succeeded');
  assert.equal(desk.refunds(), 1);
});

test('what is not found yet may still be under way: nothing is sent before its time is over', async () => {
  await start(settling('1h'));
  const doubtful = await leaveInDoubt(false);
  const { status, doubt } = await lookNow(doubtful.call_id);
  assert.deepEqual([status, doubt?.why], ['in_doubt', 'not found yet']);
  assert.equal(desk.refunds(), 0);
});

test('a marker that the look-up does not find is left to a person, or sent again where the manifest says so', async () => {
  await start((manifest) => settling('1ms')(marker('')(manifest)));
  const left = await lookNow((await leaveInDoubt(false)).call_id);
  assert.equal(left.doubt?.next_at_ms, undefined);
  assert.match(left.doubt?.why ?? '', /leaves an unknown outcome to a person/);
  assert.equal(desk.refunds(), 0);
  await desk.close();
  await start((manifest) => settling('1ms')(marker(', onUnknown: retry')(manifest)));
  assert.equal((await lookNow((await leaveInDoubt(false)).call_id)).status, 'succeeded');
  assert.equal(desk.refunds(), 1);
});

test('quarantine sends nothing again, however safe that would be', async () => {
  const quarantined = `idempotency: { strategy: upsert, onUnknown: quarantine }`;
  await start((manifest) => settling('1ms')(manifest.replace(IDEMPOTENCY, quarantined)));
  const left = await lookNow((await leaveInDoubt(false)).call_id);
  assert.deepEqual([left.status, left.doubt?.next_at_ms, desk.refunds()], ['in_doubt', undefined, 0]);
});

test('a key that the outside system may have forgotten is not relied on', async () => {
  await start((manifest) =>
    settling('1ms')(manifest.replace(IDEMPOTENCY, 'idempotency: { strategy: upsert, keep: 1ms }')),
  );
  const left = await lookNow((await leaveInDoubt(false)).call_id);
  assert.match(left.doubt?.why ?? '', /forgotten its key/);
  assert.equal(desk.refunds(), 0);
});

test('without a look-up the read-back finds the deed', async () => {
  await start((manifest) => manifest.replace(LOOKUP, '\n'));
  assert.equal((await lookNow((await leaveInDoubt(true)).call_id)).status, 'succeeded');
});

test('a changed manifest would look for another deed, so a person is asked', async () => {
  await start();
  const doubtful = await leaveInDoubt(true);
  desk.write({ 'tools/refund.yaml': REFUND_TOOL.replace('version: 1.0.0', 'version: 1.0.1') });
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  const left = await lookNow(doubtful.call_id);
  assert.match(left.doubt?.why ?? '', /manifest of its tool has changed/);
});

test('a suspended agent has nothing sent for it, but what it did is still found', async () => {
  await start(settling('1ms'));
  const undone = await leaveInDoubt(false);
  const done = await leaveInDoubt(true);
  desk.write({ 'agents/bot.yaml': agentFile('bot', 'act', 'acme', 'ben', 'suspended') });
  assert.equal((await desk.send('ben', 'POST', '/v1/bundle')).status, 200);
  await desk.broker.world.store.write((tx) => tx.run('update doubts set next_at_ms = 0'));
  await settleDoubts(desk.broker.world);
  const { status, doubt } = await seen(undone.call_id);
  assert.deepEqual([status, doubt?.why], ['in_doubt', 'its agent is suspended'], 'it may be resumed');
  assert.equal((await lookNow(done.call_id)).status, 'succeeded');
  assert.equal(desk.refunds(), 1);
});

test('a halted call is left alone until the halt is lifted', async () => {
  await start(settling('1ms'));
  const doubtful = await leaveInDoubt(false);
  const halt = await desk.send('ben', 'POST', '/v1/halts', {
    scope: 'tool',
    target: 'refund',
    reason: 'stop',
  });
  await desk.broker.world.store.write((tx) => tx.run('update doubts set next_at_ms = 0'));
  await settleDoubts(desk.broker.world);
  const { status, doubt } = await seen(doubtful.call_id);
  assert.deepEqual([status, doubt?.why, desk.refunds()], ['in_doubt', 'an operator has stopped it', 0]);
  await desk.send('ben', 'DELETE', `/v1/halts/${halt.body['halt_id']}`);
  assert.equal((await lookNow(doubtful.call_id)).status, 'succeeded');
});

test('a reply that was kept before a crash is read, and nothing is sent', async () => {
  await start();
  const store = desk.broker.world.store as unknown as Record<
    'perform',
    (name: string, input: unknown) => unknown
  >;
  const { perform } = store;
  store.perform = (name, input) =>
    name === 'settleCall'
      ? Promise.reject(new StoreUnavailable('no disk'))
      : perform.call(store, name, input);
  const lost = await refund();
  store.perform = perform;
  assert.equal(lost.problem?.code, 'in_doubt');
  await recoverStranded(desk.broker.world);
  const tampering = tamper(desk, ({ mode }, send) => (mode === 'write' ? NOT_SENT : send()));
  assert.equal((await lookNow(lost.call_id)).status, 'succeeded');
  assert.deepEqual(
    tampering.seen.filter((mode) => mode === 'write'),
    [],
  );
  tampering.restore();
});

test('a person resolves what the broker cannot, with evidence, once, and the ledger keeps both', async () => {
  await start(marker(''));
  const doubtful = await leaveInDoubt(true, 'k');
  const resolution = { outcome: 'succeeded', evidence: 'Row in refunds.', side_effect_id: 'R-1' };
  const path = `/v1/calls/${doubtful.call_id}/resolution`;
  assert.equal((await desk.send('ana', 'POST', path, resolution)).status, 403, 'approvers do not');
  assert.equal((await desk.send('gus', 'POST', path, resolution)).status, 404, 'another tenant sees nothing');
  assert.equal(
    (await desk.send('ben', 'POST', path, { outcome: 'succeeded' })).status,
    400,
    'evidence is asked for',
  );
  const resolved = await desk.send('ben', 'POST', path, resolution);
  assert.deepEqual([resolved.status, resolved.body['status']], [200, 'succeeded']);
  assert.equal((await desk.send('ben', 'POST', path, { ...resolution, outcome: 'failed' })).status, 409);
  const again = await refund('k');
  assert.deepEqual([again.status, again.replayed, again.side_effect?.id], ['succeeded', true, 'R-1']);
  assert.equal((await kindsOf(doubtful.call_id)).at(-1), 'call.resolved');
  assert.equal(desk.refunds(), 1);
});

test('a deed that shows only after a while is read again; without that it is unverified', async () => {
  const hidden = async (reads: number): Promise<CallAnswer> => {
    let written = false;
    let left = reads;
    const tampering = tamper(desk, async ({ mode }, send): Promise<Reply> => {
      if (mode === 'write') written = true;
      else if (written && left-- > 0) return { kind: 'rejected', reason: 'no row' };
      return send();
    });
    const answer = await refund();
    tampering.restore();
    return answer;
  };
  await start((manifest) =>
    manifest.replace(
      '  expect: [verify.account',
      '  retry: { attempts: 3, base: 1ms, max: 2ms }\n  expect: [verify.account',
    ),
  );
  assert.equal((await hidden(2)).status, 'succeeded');
  const never = await hidden(3);
  assert.equal(never.problem?.code, 'unverified');
  assert.match(never.problem?.detail ?? '', /does not confirm/);
  const kinds = await kindsOf(never.call_id);
  assert.equal(kinds.at(-1), 'call.settled');
});

test('a refusal that turns out to be the deed itself is a success, by a fresh read', async () => {
  const already = `idempotency: { strategy: precondition, alreadyDone: { read: account, expr: prepared.account.balance_minor < 1000000, on: [409] } }`;
  await start((manifest) => manifest.replace(IDEMPOTENCY, already).replace(VERIFY, BALANCE));
  const conflict: Reply = { kind: 'rejected', reason: 'HTTP 409', hint: { status: 409 } };
  const tampering = tamper(desk, async ({ mode }, send) => (mode === 'write' ? conflict : send()));
  assert.equal((await refund()).problem?.code, 'tool_rejected', 'control: nothing was done');
  desk.db.exec("update accounts set balance_minor = 5000 where id = 'AC-1'");
  assert.equal((await refund()).status, 'succeeded');
  tampering.restore();
});

test('a fresh read finds a lost deed where the manifest lists unknown, and is not asked where it does not', async () => {
  const listed = (on: string) => (manifest: string) =>
    manifest
      .replace(LOOKUP, '\n')
      .replace(VERIFY, NEEDS_REPLY)
      .replace(
        IDEMPOTENCY,
        `idempotency: { strategy: precondition, alreadyDone: { read: account, expr: prepared.account.balance_minor < 1000000, on: [${on}] } }`,
      );
  const loseReply = async (): Promise<CallAnswer> => {
    const tampering = tamper(desk, async ({ mode }, send) => {
      const reply = await send();
      return mode === 'write' ? LOST : reply;
    });
    const answer = await refund();
    tampering.restore();
    return answer;
  };
  await start(listed('409, unknown'));
  assert.equal((await loseReply()).status, 'succeeded');
  await desk.close();
  await start(listed('409'));
  assert.equal((await loseReply()).problem?.code, 'in_doubt');
});

test('looking in vain does not use up the times that a deed may be sent again', async () => {
  await start(settling('1ms'));
  const { store } = desk.broker.world;
  const patient = await leaveInDoubt(false);
  await store.write((tx) => tx.run('update doubts set tries = 1000'));
  assert.equal((await lookNow(patient.call_id)).status, 'succeeded');
  assert.equal(desk.refunds(), 1);
  const spent = await leaveInDoubt(false);
  await store.write((tx) => tx.run('update doubts set resends = 10'));
  assert.match((await lookNow(spent.call_id)).doubt?.why ?? '', /sending it again 10 times did not tell/);
  assert.equal(desk.refunds(), 1);
});
