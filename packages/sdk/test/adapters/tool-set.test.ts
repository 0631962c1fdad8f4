// The core of every adapter before a real broker: what is offered, what becomes of calls, and which deed is which.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Countersign } from '@countersign/sdk';
import { isError, isWaiting, type Outcome, outputOf } from '@countersign/sdk/outcome';
import { ToolSet } from '@countersign/sdk/tool-set';
import { type AgentDesk, startAgentDesk } from './desk.ts';

let broker: AgentDesk;
before(async () => {
  broker = await startAgentDesk();
});
after(() => broker?.close());

const small = { account: 'AC-1', amount_minor: 100 };
const large = { account: 'AC-1', amount_minor: 9000 };

test('offers what the agent may call, with its limits, and a way to come back', async () => {
  const { tools } = await ToolSet.load(await broker.agent());
  assert.deepEqual(
    tools.map((tool) => tool.name),
    ['close_account', 'read_note', 'refund', 'send_mail', 'countersign_call_status'],
  );
  const refund = tools.find((tool) => tool.name === 'refund')!;
  assert.match(refund.description, /^Refund an amount to one account\. .*above 50\.00 need one person/);
  assert.match(refund.description, /Needs a run bound to: ticket\./);
  assert.equal(refund.input_schema.additionalProperties, false);
});

test('offers only what it is told to, and says so when there is no such tool', async () => {
  const agent = await broker.agent();
  const { tools } = await ToolSet.load(agent, { only: ['refund'], statusTool: false });
  assert.deepEqual(
    tools.map((tool) => tool.name),
    ['refund'],
  );
  await assert.rejects(ToolSet.load(agent, { only: ['refnud'] }), /no tool "refnud"; it has close_account/);
});

test('a tool that is not offered is not called, even though the agent has it', async () => {
  const tools = await ToolSet.load(await broker.agent(), { only: ['read_note'] });
  const before = broker.desk.refunds();
  const outcome = await tools.call('refund', small);
  assert.equal(outcome.status, 'refused');
  assert.equal(broker.desk.refunds(), before);
});

test('a call that succeeds gives its result; text that is no JSON object is refused', async () => {
  const tools = await ToolSet.load(await broker.agent());
  const outcome = await tools.call('refund', JSON.stringify(small));
  assert.deepEqual([outcome.status, outputOf(outcome), isError(outcome)], ['succeeded', small, false]);
  assert.equal(outcome.text, JSON.stringify(small));
  for (const text of ['{"account"', '[]', '7'])
    assert.equal((await tools.call('refund', text)).status, 'refused');
});

test('a held call says that it is not done, waits, and is picked up once people have decided', async () => {
  const heard: string[] = [];
  const tools = await ToolSet.load(await broker.agent(), {
    onOutcome: (outcome) => heard.push(outcome.status),
  });
  const before = broker.desk.refunds();
  const held = await tools.call('refund', large);
  assert.equal(held.status, 'held');
  assert.ok(isWaiting(held) && !isError(held));
  assert.match(held.text, /^Not done yet: waiting for 1 person of finance .*countersign_call_status/);
  const shown = outputOf(held) as Record<string, unknown>;
  assert.deepEqual([shown.status, shown.call_id, typeof shown.approval_id], ['held', held.call_id, 'string']);
  assert.equal(broker.desk.refunds(), before);
  assert.deepEqual(
    tools.waiting().map((each) => each.call_id),
    [held.call_id],
  );

  const looked = await tools.call('countersign_call_status', { call_id: held.call_id, wait_seconds: 0 });
  assert.equal(looked.status, 'held');
  const waited = tools.waitForAll({ timeout_s: 30 });
  await broker.decide('approve');
  const [done] = await waited;
  assert.deepEqual([done?.status, done?.result], ['succeeded', large]);
  assert.equal(broker.desk.refunds(), before + 1);
  assert.deepEqual(tools.waiting(), []);
  assert.deepEqual(heard, ['held', 'held', 'succeeded']);
});

test('a call that people reject is refused in words that say so', async () => {
  const tools = await ToolSet.load(await broker.agent());
  const held = await tools.call('close_account', { account: 'AC-1' });
  assert.match(held.text, /waiting for 2 people of finance other than the owner/);
  await broker.decide('reject');
  const outcome = await tools.call('countersign_call_status', { call_id: held.call_id });
  assert.deepEqual([outcome.status, outcome.problem?.code], ['refused', 'approval_rejected']);
  assert.match(outcome.text, /^Refused, nothing was done\. A person rejected this call/);
});

test('refusals say the rule or the argument, and what to do instead', async () => {
  const tools = await ToolSet.load(await broker.agent());
  const denied = await tools.call('refund', { account: 'AC-2', amount_minor: 100 });
  assert.deepEqual([denied.problem?.code, isError(denied)], ['policy_denied', true]);
  assert.match(
    denied.text,
    /Accounts of VIPs are not touched by agents.*Repeating the same call will not help/,
  );
  const wrong = await tools.call('refund', { account: 'AC-1', amount_minor: 0 });
  assert.match(wrong.text, /^Refused, nothing was done\. .*\n- \/amount_minor: /);
  const unknown = await tools.call('countersign_call_status', { call_id: 'call_none', wait_seconds: 0 });
  assert.match(unknown.text, /^You have no call with this call_id/);
});

test('the words are those of the MCP door', async () => {
  const agent = await broker.agent();
  const args = { account: 'AC-2', amount_minor: 100 };
  const denied = await (await ToolSet.load(agent)).call('refund', args);
  const token = await broker.desk.token('bot', { resource: 'mcp', runToken: broker.runToken(agent) });
  const version = '2026-07-28';
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': version,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1.0.0' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const request = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'refund', arguments: args, _meta },
  };
  const sent = await broker.desk.send(null, 'POST', '/mcp', request, {
    authorization: `Bearer ${token}`,
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': version,
    'mcp-method': 'tools/call',
    'mcp-name': 'refund',
  });
  const { content } = sent.body.result as unknown as { content: { text: string }[] };
  assert.equal(content[0]?.text, denied.text);
});

test('the same request at the same step of a run is one deed, even from a process that was started anew', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const first = await (await ToolSet.load(agent)).call('refund', small, { step: 1 });
  const again = await (await ToolSet.load(broker.again(agent))).call('refund', small, { step: 1 });
  assert.equal(again.call_id, first.call_id);
  assert.equal(again.replayed, true);
  assert.match(again.text, /it was not done again/);
  assert.equal(broker.desk.refunds(), before + 1);
});

test('control: another step, another thread, another amount, and a second wish in one attempt are deeds of their own', async () => {
  const agent = await broker.agent();
  const before = broker.desk.refunds();
  const tools = await ToolSet.load(agent);
  const attempt = {};
  await tools.call('refund', small, { step: 1, attempt });
  await tools.call('refund', small, { step: 1, attempt });
  await tools.call('refund', small, { step: 2, attempt });
  await tools.call('refund', { ...small, amount_minor: 101 }, { step: 1, attempt });
  await (await ToolSet.load(agent, { thread: 'other' })).call('refund', small, { step: 1 });
  assert.equal(broker.desk.refunds(), before + 5);
  // The same attempt done again, as when the step is retried within one process.
  const retried = {};
  await tools.call('refund', small, { step: 1, attempt: retried });
  await tools.call('refund', small, { step: 1, attempt: retried });
  assert.equal(broker.desk.refunds(), before + 5);
});

test('the trace goes along, and reads carry no idempotency key', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const tools = await ToolSet.load(await broker.agent());
  broker.sent.length = 0;
  await broker.traced(traceparent, async () => {
    await tools.call('read_note', { note: 'N-2' });
    await tools.call('refund', small);
  });
  assert.deepEqual(
    broker.sent.map((headers) => [headers.get('traceparent'), headers.has('idempotency-key')]),
    [
      [traceparent, false],
      [traceparent, true],
    ],
  );
});

test('a deed that the broker says nothing about is not called done, nor not done', async () => {
  const key = broker.desk.key('bot').export({ format: 'pem', type: 'pkcs8' }) as string;
  const answers: Outcome[] = [];
  for (const answer of [
    () => Promise.reject(new TypeError('connection reset')),
    inDoubt,
    internal,
    unverified,
  ]) {
    const agent = new Countersign({
      url: broker.desk.url,
      agent: 'bot',
      key,
      fetch: (input, init) => (String(input).includes('/v1/calls') ? answer() : fetch(input, init)),
    });
    answers.push(await (await ToolSet.load(agent)).call('refund', small));
  }
  assert.deepEqual(
    answers.map((outcome) => [outcome.status, isError(outcome)]),
    [
      ['unanswered', true],
      ['in_doubt', true],
      ['unanswered', true],
      ['unverified', true],
    ],
  );
  const last = answers.pop()!;
  assert.match(
    last.text,
    /^"refund" was sent, but reading back does not agree\. Do not repeat it; tell a person/,
  );
  for (const { text } of answers)
    assert.match(text, /^It is not known whether "refund" was done.*Do not repeat it/);
});

const problemResponse = (code: string, status: number): Promise<Response> =>
  Promise.resolve(
    Response.json(
      {
        type: `urn:countersign:problem:${code}`,
        code,
        title: 't',
        status,
        retry: 'never',
        next: 'hand_over',
        detail: 'd',
        call_id: 'call_1',
      },
      { status },
    ),
  );
const inDoubt = (): Promise<Response> => problemResponse('in_doubt', 504);
const internal = (): Promise<Response> => problemResponse('internal', 500);
const unverified = (): Promise<Response> => problemResponse('unverified', 502);

test('an aborted call is thrown, since nobody waits for its outcome', async () => {
  const tools = await ToolSet.load(await broker.agent());
  await assert.rejects(tools.call('refund', small, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});
