// Tools over MCP: what an agent sees, and how each state of a call reads on the wire.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { problem, problems } from '@countersign/contract/problem.ts';
import type { CallAnswer, ToolView } from '@countersign/contract/wire.ts';
import { bearer } from '#identity/identity.ts';
import { type Door, META, openDoor, PLAIN, REFUND, REGION } from './mcp-door.ts';

let door: Door;
before(async () => {
  door = await openDoor();
});
beforeEach(() => {
  door.asked.length = 0;
  door.serve([REGION, PLAIN, REFUND]);
});
after(() => door.close());

test('discovery names the revision and tools, and nothing else', async () => {
  const { result } = (await door.ask('server/discover')).json;
  assert.deepEqual(result.supportedVersions, ['2026-07-28']);
  assert.deepEqual(result.capabilities, { tools: {} });
  assert.equal(result.resultType, 'complete');
  assert.equal(result.cacheScope, 'private');
  assert.ok(result.ttlMs >= 0);
  assert.equal(result._meta['io.modelcontextprotocol/serverInfo'].name, 'countersign');
});

test('the list is sorted, tells limits in plain words, and ends with the status tool', async () => {
  const { result } = (await door.ask('tools/list')).json;
  const names = result.tools.map((tool: { name: string }) => tool.name);
  assert.deepEqual(names, ['list_region', 'plain', 'refund_invoice', 'countersign_call_status']);
  const refund = result.tools[2];
  assert.equal(
    refund.description,
    'Refund part or all of one paid invoice. Refunds above 50.00 wait for one person of finance.',
  );
  assert.deepEqual(refund.inputSchema, REFUND.input_schema);
  assert.deepEqual(refund.outputSchema, REFUND.output_schema);
  assert.deepEqual(refund.annotations, {
    readOnlyHint: false,
    destructiveHint: false,
    idempotentHint: false,
    openWorldHint: true,
  });
  assert.equal(result.tools[1].annotations.destructiveHint, true);
  assert.equal(result.tools[1].outputSchema, undefined);
  assert.equal(result.tools[0].annotations.readOnlyHint, true);
  assert.deepEqual(result.tools[0].outputSchema.properties.result, REGION.output_schema);
  assert.equal(result.cacheScope, 'private');
});

test('a swapped bundle shows at once, and a reserved name is never served', async () => {
  door.serve([
    { ...PLAIN, description: 'Changed.' },
    { ...PLAIN, name: 'countersign_call_status' },
  ]);
  const { tools } = (await door.ask('tools/list')).json.result;
  assert.deepEqual(
    tools.map((tool: ToolView) => tool.name),
    ['plain', 'countersign_call_status'],
  );
  assert.equal(tools[0].description, 'Changed.');
  assert.match(tools[1].description, /call_id/);
});

test('pages follow each other; a cursor that was not given is refused', async () => {
  const paged = await openDoor({ page_size: 2 });
  try {
    const first = (await paged.ask('tools/list')).json.result;
    assert.equal(first.tools.length, 2);
    const second = (await paged.ask('tools/list', { cursor: first.nextCursor })).json.result;
    assert.deepEqual(
      second.tools.map((tool: ToolView) => tool.name),
      ['refund_invoice', 'countersign_call_status'],
    );
    assert.equal(second.nextCursor, undefined);
    const forged = Buffer.from(first.nextCursor, 'base64url');
    forged[3] = 1;
    const wrong = [
      '',
      'x',
      2,
      null,
      {},
      `${first.nextCursor}=`,
      forged.toString('base64url'),
      'a'.repeat(10_000),
    ];
    for (const cursor of wrong) {
      const answer = await paged.ask('tools/list', { cursor });
      assert.equal(answer.json.error.code, -32602, JSON.stringify(cursor));
    }
    paged.serve([PLAIN]);
    assert.equal((await paged.ask('tools/list', { cursor: first.nextCursor })).json.error.code, -32602);
  } finally {
    await paged.close();
  }
});

test('a call hands the walk what the agent sent, and the token', async () => {
  await door.call(
    'refund_invoice',
    { invoice: 'INV-1' },
    {
      'countersign/context': { why: 'the customer asked' },
      'countersign/idempotency-key': 'k-1',
      'countersign/step': '3',
      'countersign/timeout-ms': 5_000,
    },
  );
  const [asked] = door.asked;
  assert.equal(asked!.door, 'mcp');
  assert.deepEqual(asked!.proof, { kind: 'bearer', presented: bearer('good'), resource: 'mcp' });
  assert.equal(asked!.toolName, 'refund_invoice');
  assert.deepEqual(asked!.args, { invoice: 'INV-1' });
  assert.deepEqual(asked!.claimed, { why: 'the customer asked' });
  assert.equal(asked!.idempotencyKey, 'k-1');
  assert.equal(asked!.step, '3');
  assert.ok(asked!.deadlineAt_ms! > 0);
  assert.ok(!('timeout_ms' in asked!));
  assert.equal(asked!.dryRun, false);
});

test('absent arguments are no arguments', async () => {
  await door.ask('tools/call', { name: 'plain' });
  assert.deepEqual(door.asked[0]!.args, {});
});

const wrongMeta: readonly (readonly [string, unknown])[] = [
  ['countersign/context', 'text'],
  ['countersign/context', ['list']],
  ['countersign/idempotency-key', ''],
  ['countersign/idempotency-key', 7],
  ['countersign/idempotency-key', 'é'],
  ['countersign/idempotency-key', 'k'.repeat(256)],
  ['countersign/idempotency-key', 'content:abc'],
  ['countersign/idempotency_key', 'misspelt'],
  ['countersign/timeout-ms', 0],
  ['countersign/timeout-ms', '5s'],
  ['countersign/timeout-ms', 3_600_001],
  ['countersign/step', ''],
  ['countersign/step', 3],
  ['countersign/step', 's'.repeat(65)],
];
for (const [key, value] of wrongMeta) {
  test(`_meta ${key} ${JSON.stringify(value).slice(0, 20)} is refused, and nothing is asked`, async () => {
    const answer = await door.call('plain', {}, { [key]: value as string });
    assert.equal(answer.json.error.code, -32602);
    assert.match(answer.json.error.message, /countersign\//);
    assert.equal(door.asked.length, 0);
  });
}

test('an object result is structured content and text', async () => {
  door.answer = () => ({ result: { refund: 'r"1"' }, labels: ['untrusted'], side_effect: { id: 'r1' } });
  const { result } = (await door.call('refund_invoice', { invoice: 'INV-1' })).json;
  assert.deepEqual(result.structuredContent, { refund: 'r"1"' });
  assert.deepEqual(JSON.parse(result.content[0].text), { refund: 'r"1"' });
  assert.equal(result.isError, undefined);
  assert.deepEqual(result._meta['countersign/labels'], ['untrusted']);
  assert.equal(result._meta['countersign/call_id'], door.asked[0]!.id);
  assert.deepEqual(result._meta['countersign/side_effect'], { id: 'r1' });
});

test('a result that is no object is wrapped as it was announced', async () => {
  door.answer = () => ({ result: ['a', 'b'] });
  const { result } = (await door.call('list_region')).json;
  assert.deepEqual(result.structuredContent, { result: ['a', 'b'] });
  assert.equal(result.content[0].text, '["a","b"]');
});

test('content blocks of an upstream pass, without what was not asked for', async () => {
  const content = [
    { type: 'text', text: 'x', _meta: { secret: 1 }, annotations: { priority: 1 } },
    { type: 'image', data: 'AA==', mimeType: 'image/png' },
    { type: 'audio', data: 'AA==', mimeType: 'audio/wav' },
    { type: 'resource', resource: { uri: 'test://x', text: 't', mimeType: 'text/plain', _meta: {} } },
    { type: 'resource_link', uri: 'test://x', name: 'x' },
  ];
  door.answer = () => ({ result: { content } });
  const { result } = (await door.call('plain')).json;
  assert.deepEqual(result.content, [
    { type: 'text', text: 'x', annotations: { priority: 1 } },
    content[1],
    content[2],
    { type: 'resource', resource: { uri: 'test://x', mimeType: 'text/plain', text: 't' } },
    content[4],
  ]);
  assert.equal(result.structuredContent, undefined);
});

test('what only looks like content blocks stays an ordinary result', async () => {
  for (const result of [
    { content: [{ type: 'video' }] },
    { content: [{ type: 'text' }] },
    { content: [], more: 1 },
    { content: ['x'] },
  ]) {
    door.answer = () => ({ result });
    const answer = (await door.call('plain')).json.result;
    assert.deepEqual(answer.structuredContent, result);
  }
});

const HELD: Partial<CallAnswer> = {
  status: 'held',
  approval: {
    approval_id: 'apr_1',
    url: 'https://broker.example/v1/approvals/apr_1',
    expires_at_ms: 1_790_000_000_000,
    asks: [
      {
        rule: 'r',
        quorum: 1,
        group: 'finance',
        excluding: [],
        because: 'Refunds above 50.00 need finance.',
        approved: 0,
      },
      { rule: 's', quorum: 2, group: 'support-leads', excluding: ['owner'], because: '', approved: 0 },
    ],
  },
};

test('a held call is not done, says for whom it waits and how to come back', async () => {
  door.answer = () => HELD;
  const { result } = (await door.call('refund_invoice', { invoice: 'INV-1' })).json;
  const { id } = door.asked[0]!;
  assert.equal(result.isError, true);
  assert.match(
    result.content[0].text,
    /^Not done yet: waiting for 1 person of finance \(Refunds above 50\.00 need finance\) and 2 people of support-leads other than the owner\./,
  );
  assert.match(result.content[0].text, new RegExp(`Do not repeat.*countersign_call_status.*${id}`));
  assert.deepEqual(result.structuredContent, {
    status: 'held',
    call_id: id,
    tool: 'refund_invoice',
    approval_id: 'apr_1',
    expires_at_ms: 1_790_000_000_000,
  });
});

test('a refusal says what was refused, which rule, and what to do instead', async () => {
  door.answer = () => ({
    status: 'refused',
    problem: problem('policy_denied', 'Refused by no-self-refund. Ask finance.', {
      policies: ['no-self-refund'],
    }),
  });
  const { result } = (await door.call('refund_invoice', { invoice: 'INV-1' })).json;
  assert.equal(result.isError, true);
  assert.equal(
    result.content[0].text,
    'Refused, nothing was done. Policy does not permit this call. Refused by no-self-refund. Ask finance. Repeating the same call will not help.',
  );
  assert.equal(result.structuredContent.problem.code, 'policy_denied');
});

test('arguments that do not fit come back with each mistake', async () => {
  const issues = [
    { pointer: '/invoice', message: 'expected a string' },
    { pointer: '', message: 'unknown member "x"' },
  ];
  door.answer = () => ({
    status: 'refused',
    problem: problem('invalid_arguments', 'The arguments do not fit.', { issues }),
  });
  const { result } = (await door.call('refund_invoice', {})).json;
  assert.equal(result.isError, true);
  assert.match(result.content[0].text, /\n- \/invoice: expected a string\n- arguments: unknown member "x"$/);
});

const unfinished: readonly (readonly [CallAnswer['status'], Parameters<typeof problem>[0] | null, RegExp])[] =
  [
    ['running', null, /^Not finished yet\. Do not repeat/],
    ['failed', 'upstream_unavailable', /^Not done\. .*Try again later\.$/],
    ['in_doubt', 'in_doubt', /^It is not known whether .*might be done twice/],
    ['unverified', 'unverified', /^"plain" was sent, but reading back does not agree/],
  ];
for (const [status, code, words] of unfinished) {
  test(`a call that is ${status} is an error result, so that nobody takes it for done`, async () => {
    door.answer = () => ({ status, ...(code === null ? {} : { problem: problem(code, 'Detail.') }) });
    const { result } = (await door.call('plain')).json;
    assert.equal(result.isError, true);
    assert.match(result.content[0].text, words);
    assert.equal(result.structuredContent.status, status);
  });
}

test('every problem tells a model in words, and its program in a field, what to do next', async () => {
  const words = {
    retry: /The same call may be made again\.$/,
    wait: /(Try again later|Try again once people have decided on the calls that wait)\.$/,
    change: /Repeating the same call will not help\.$/,
    hand_over: /Stop here, and hand over to a person\.$/,
  } as const;
  // An unknown tool is an error of the protocol instead, and what a token does not open is one of HTTP.
  const codes = (Object.keys(problems) as (keyof typeof problems)[]).filter(
    (code) => !['tool_not_found', 'insufficient_scope', 'unauthenticated'].includes(code),
  );
  for (const code of codes) {
    door.answer = () => ({ status: 'refused', problem: problem(code, 'Detail.') });
    const { result } = (await door.call('plain')).json;
    const { next } = problems[code];
    assert.equal(result.structuredContent.problem.next, next, code);
    assert.match(result.content[0].text, words[next], code);
  }
});

test('a time at which to try again is told in the words', async () => {
  const retry_at_ms = Date.UTC(2026, 1, 3, 12, 31);
  door.answer = () => ({ status: 'refused', problem: problem('quota_exceeded', 'Full.', { retry_at_ms }) });
  const { result } = (await door.call('plain')).json;
  assert.match(result.content[0].text, /Try again after 2026-02-03T12:31:00\.000Z\.$/);
});

test('an unknown tool walks, so that it is recorded, and is a JSON-RPC error that names no call', async () => {
  const answer = await door.call('no_such_tool');
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.json.error, {
    code: -32602,
    message: 'Unknown tool: "no_such_tool". List the tools to see which you may call.',
  });
  assert.equal(door.asked.length, 1);
});

test('the status tool tells the state of a call without making it an error', async () => {
  door.answer = () => HELD;
  const held = (await door.call('countersign_call_status', { call_id: 'call_9', wait_seconds: 0 })).json
    .result;
  assert.equal(held.isError, undefined);
  assert.equal(held.structuredContent.status, 'held');
  assert.match(held.content[0].text, /^Not done yet/);
  door.answer = () => ({ result: { refund: 'r1' } });
  const done = (await door.call('countersign_call_status', { call_id: 'call_9' })).json.result;
  assert.deepEqual(done.structuredContent, {
    status: 'succeeded',
    call_id: 'call_9',
    tool: 'refund_invoice',
    result: { refund: 'r1' },
  });
  assert.deepEqual(
    done.content.map((block: { text: string }) => block.text),
    ['"refund_invoice" was done.', '{"refund":"r1"}'],
  );
  assert.equal(door.asked.length, 0);
});

test("the status tool refuses wrong arguments, and calls that are not the agent's, in one way each", async () => {
  for (const args of [
    {},
    { call_id: 7 },
    { call_id: 'call_1', wait_seconds: 61 },
    { call_id: 'call_1', wait_seconds: '5' },
    { call_id: 'call_1', more: 1 },
    [],
  ]) {
    const { result } = (await door.call('countersign_call_status', args)).json;
    assert.equal(result.isError, true, JSON.stringify(args));
    assert.match(result.content[0].text, /do not fit/);
  }
  const { result } = (await door.call('countersign_call_status', { call_id: 'foreign' })).json;
  assert.equal(result.isError, true);
  assert.match(result.content[0].text, /^You have no call/);
});

test('a run learns nothing of the calls of another run', async () => {
  for (const [run_id, known] of [
    ['run_1', true],
    ['run_2', false],
  ] as const) {
    const other = await openDoor({ run_id });
    const { result } = (await other.call('countersign_call_status', { call_id: 'call_9' })).json;
    await other.close();
    assert.equal(result.isError === undefined, known);
  }
});

test('a request that names extra members of an unknown revision of params is refused, not half understood', async () => {
  const answer = await door.ask('tools/call', { name: 'plain', arguments: {}, dry_run: true, _meta: META });
  assert.equal(answer.json.error.code, -32602);
  assert.equal(door.asked.length, 0);
});

test('a wait for a call ends when the server closes, with the state it has', async () => {
  const closing = await openDoor({ never_finishes: true });
  const waiting = closing.call('countersign_call_status', { call_id: 'call_9', wait_seconds: 60 });
  await closing.waiting;
  await closing.close();
  assert.equal((await waiting).json.result.structuredContent.status, 'succeeded');
});
