// Attempts at a deed: repeated where that is known to be harmless, and never where it is not.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import type { Reply } from '#connectors/connector.ts';
import { type Desk, REFUND_TOOL, startDesk } from './desk.ts';
import { LOST, NOT_SENT, type Tampering, tamper } from './tamper.ts';

const RETRY = 'retry: { attempts: 3, on: [not-sent, busy, unknown], base: 1ms, max: 2ms, budget: 30s }';
const PATIENT = 'retry: { attempts: 3, on: [not-sent, busy], base: 1ms, max: 2ms, budget: 10m }';

let desk: Desk;
let runToken: string;
let tampering: Tampering | null = null;
before(async () => {
  desk = await startDesk({
    'tools/refund.yaml': `${REFUND_TOOL}\n${RETRY}\n`,
    'tools/refund_patiently.yaml': `${REFUND_TOOL.replace('name: refund', 'name: refund_patiently')}\n${PATIENT}\n`,
    'tools/refund_once.yaml': REFUND_TOOL.replace('name: refund', 'name: refund_once'),
    'policies/more.cedar': `
@id("more") permit (principal in Role::"support", action in [Action::"refund_patiently", Action::"refund_once"], resource);`,
  });
});
after(() => desk.close());
beforeEach(async () => {
  runToken = (await desk.openRun('desk', 'bot', { ticket: 'ZD-1' })).run_token;
});
afterEach(() => tampering?.restore());

const ask = (tool = 'refund', more: { key?: string } = {}) =>
  desk.call('bot', tool, { account: 'AC-1', amount_minor: 1 }, { runToken, ...more });

/** The writes are answered with these in turn, then by the desk itself; `null` is the desk too. */
function answerWrites(...replies: readonly (Reply | null)[]): Tampering {
  const rest = [...replies];
  tampering = tamper(desk, ({ mode }, send) => (mode === 'write' ? (rest.shift() ?? send()) : send()));
  return tampering;
}

const writes = ({ seen }: Tampering): number => seen.filter((mode) => mode === 'write').length;

async function factsOf(callId: string, kind: string): Promise<JsonObject | undefined> {
  const sent = await desk.send('dora', 'GET', '/v1/ledger/entries?limit=1000');
  const page = sent.body as unknown as { entries: { entry: string }[] };
  const entries = page.entries.map((each) => JSON.parse(each.entry) as JsonObject);
  return entries.find((each) => each['kind'] === kind && (each['facts'] as JsonObject)['call'] === callId)?.[
    'facts'
  ] as JsonObject | undefined;
}

test('what did not leave is tried again, done once, and the ledger says how often', async () => {
  const before = desk.refunds();
  const tried = answerWrites(NOT_SENT, NOT_SENT);
  const answer = await ask();
  assert.equal(answer.status, 'succeeded');
  assert.equal(writes(tried), 3);
  assert.equal(desk.refunds(), before + 1);
  assert.equal((await factsOf(answer.call_id, 'call.settled'))?.['attempts'], 3);
});

test('control: a manifest without retry is tried once', async () => {
  const tried = answerWrites(NOT_SENT);
  const answer = await ask('refund_once');
  assert.equal(answer.problem?.code, 'upstream_unavailable');
  assert.equal(writes(tried), 1);
});

test('attempts end where the manifest says', async () => {
  const tried = answerWrites(NOT_SENT, NOT_SENT, NOT_SENT, NOT_SENT);
  const answer = await ask();
  assert.deepEqual([answer.problem?.code, writes(tried)], ['upstream_unavailable', 3]);
});

test('a refusal is not tried again', async () => {
  const tried = answerWrites({ kind: 'rejected', reason: 'no' });
  const answer = await ask();
  assert.deepEqual([answer.problem?.code, writes(tried)], ['tool_rejected', 1]);
});

test('a lost reply is sent again where the desk knows the call, and the deed is there once', async () => {
  const before = desk.refunds();
  let lost = 0;
  tampering = tamper(desk, async ({ mode }, send) => {
    const reply = await send();
    return mode === 'write' && lost++ < 2 ? LOST : reply;
  });
  const answer = await ask();
  assert.deepEqual([answer.status, writes(tampering)], ['succeeded', 3]);
  assert.equal(desk.refunds(), before + 1);
});

test('a refusal after a lost reply does not say that nothing happened', async () => {
  const before = desk.refunds();
  let sent = 0;
  tampering = tamper(desk, async ({ mode }, send) => {
    if (mode === 'read') return sent === 0 ? send() : NOT_SENT;
    if (sent++ > 0) return { kind: 'rejected', reason: 'no such account any more', hint: { status: 404 } };
    await send();
    return LOST;
  });
  const answer = await ask();
  assert.equal(answer.problem?.code, 'in_doubt');
  assert.equal(desk.refunds(), before + 1, 'control: it had happened');
});

test('a system that says when to come back is not asked before, and the caller is told when', async () => {
  const busy: Reply = {
    kind: 'rejected',
    reason: 'too many requests',
    hint: { status: 429, transient: true, retry_after_ms: 3_600_000 },
  };
  const tried = answerWrites(busy);
  const answer = await ask();
  assert.deepEqual(
    [answer.problem?.code, writes(tried)],
    ['upstream_unavailable', 1],
    'an hour is beyond the budget',
  );
  assert.ok((answer.problem?.retry_at_ms ?? 0) > Date.now() + 3_000_000);
});

test('a halt ends the waiting between two attempts', async () => {
  const later: Reply = { ...NOT_SENT, hint: { retry_after_ms: 300_000 } };
  const tried = answerWrites(later, null);
  const waiting = ask('refund_patiently');
  while (writes(tried) === 0) await new Promise(setImmediate);
  const halt = await desk.send('ben', 'POST', '/v1/halts', {
    scope: 'tool',
    target: 'refund_patiently',
    reason: 'stop',
  });
  const answer = await waiting;
  await desk.send('ben', 'DELETE', `/v1/halts/${halt.body['halt_id']}`);
  assert.deepEqual([answer.problem?.code, writes(tried)], ['halted', 1]);
});

test("nothing is sent after the caller's time is over, and the answer says so", async () => {
  const later: Reply = { ...NOT_SENT, hint: { retry_after_ms: 300_000 } };
  const tried = answerWrites(later, null);
  const authorization = `Bearer ${await desk.token('bot', { runToken })}`;
  const request = {
    tool: 'refund_patiently',
    args: { account: 'AC-1', amount_minor: 1 },
    timeout_ms: 60_000,
  };
  const sent = await desk.send(null, 'POST', '/v1/calls', request, { authorization });
  assert.equal(sent.body['code'], 'upstream_unavailable');
  assert.equal(writes(tried), 1);
});
