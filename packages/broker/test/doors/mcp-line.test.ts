// What a caller on the line is told and asked: progress on a stream, demands with a sealed state, and its leaving.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { JsonObject } from '@countersign/contract/json.ts';
import { problem } from '@countersign/contract/problem.ts';
import { type Door, headersFor, META, openDoor } from './mcp-door.ts';

let door: Door;
before(async () => {
  door = await openDoor();
});
after(() => door.close());
beforeEach(() => {
  door.asked.length = 0;
  door.answer = () => ({ result: null });
});

const FAILED = { status: 'failed', problem: problem('tool_rejected', 'It asks first.') } as const;
const QUESTION = { who: { method: 'elicitation/create', params: { message: 'Who?' } } };

/** The messages of an answer, whether it is a stream or not. */
async function messagesOf(response: Response): Promise<JsonObject[]> {
  const text = await response.text();
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return [JSON.parse(text)];
  const data = text.split('\n').filter((line) => line.startsWith('data: '));
  return data.map((line) => JSON.parse(line.slice('data: '.length)));
}

function call(
  meta: JsonObject,
  headers: Record<string, string> = {},
  params: JsonObject = {},
): Promise<Response> {
  const body = { ...params, name: 'plain', arguments: {}, _meta: { ...META, ...meta } };
  return fetch(door.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(headersFor('tools/call', 'plain') as Record<string, string>),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: body }),
  });
}

test('progress goes to the caller that asked for it, on a stream that ends with the result', async () => {
  door.answer = ({ talk }) => {
    for (const progress of [1, 2]) talk?.notice?.({ kind: 'progress', progress, total: 2 });
    return { result: null };
  };
  const messages = await messagesOf(await call({ progressToken: 'p' }));
  assert.deepEqual(
    messages.map(({ method, id }) => method ?? id),
    ['notifications/progress', 'notifications/progress', 7],
  );
  assert.deepEqual(messages[0]!.params, { progressToken: 'p', progress: 1, total: 2 });
});

test('nobody is told who did not ask, or takes no streams', async () => {
  door.answer = ({ talk }) => {
    assert.equal(talk?.notice, null);
    return { result: null };
  };
  assert.equal((await messagesOf(await call({}))).length, 1);
  const plain = await call({ progressToken: 1 }, { accept: 'application/json' });
  assert.match(plain.headers.get('content-type') ?? '', /^application\/json/);
  assert.equal((await messagesOf(plain)).length, 1);
});

test('a progress token of another type is refused, and nothing is asked', async () => {
  const [message] = await messagesOf(await call({ progressToken: { a: 1 } }));
  assert.equal((message!.error as JsonObject).code, -32602);
  assert.equal(door.asked.length, 0);
});

test('a demand comes back as the result, and its state opens for the same request only', async () => {
  door.answer = ({ talk }) => {
    if (talk?.responses) return { result: talk.state };
    talk?.demand({ kind: 'input', requests: QUESTION, state: 'of the upstream' });
    return FAILED;
  };
  const demanded = (await messagesOf(await call({})))[0]!.result as JsonObject;
  assert.equal(demanded.resultType, 'input_required');
  assert.deepEqual(demanded.inputRequests, QUESTION);
  const requestState = demanded.requestState as string;
  assert.ok(!Buffer.from(requestState, 'base64url').toString('latin1').includes('upstream'), 'sealed');
  const answers = { inputResponses: { who: { action: 'accept' } } };
  const again = async (params: JsonObject, headers = {}) =>
    (await messagesOf(await call({}, headers, { ...answers, ...params })))[0]!;
  assert.match(JSON.stringify(await again({ requestState })), /of the upstream/);
  const asked = door.asked.length;
  for (const forged of [`${requestState}A`, `A${requestState.slice(1)}`, '', 'e30']) {
    assert.equal(((await again({ requestState: forged })).error as JsonObject).code, -32602, forged);
  }
  const foreign = await again({ requestState }, { authorization: 'Bearer other' });
  assert.equal((foreign.error as JsonObject).code, -32602, "another agent's");
  door.pass(900_001);
  assert.equal(((await again({ requestState })).error as JsonObject).code, -32602, 'too old');
  assert.equal(door.asked.length, asked, 'none of these was asked below the door');
});

test('each round has a key of its own, and a repeat of a round has the same', async () => {
  door.answer = ({ talk }) => {
    if (talk?.responses) return { result: null };
    talk?.demand({ kind: 'input', requests: QUESTION, state: null });
    return FAILED;
  };
  const key = { 'countersign/idempotency-key': 'k' };
  const responses = (action: string) => ({ inputResponses: { who: { action } } });
  await call(key);
  for (const action of ['accept', 'accept', 'decline']) await call(key, {}, responses(action));
  const [first, second, repeated, other] = door.asked.map((asked) => asked.idempotencyKey);
  assert.equal(first, 'k');
  assert.equal(second, repeated);
  assert.equal(new Set([first, second, other]).size, 3);
});

test('a capability that the caller lacks is named', async () => {
  door.answer = ({ talk }) => {
    talk?.demand({ kind: 'capability', required: { sampling: {} } });
    return FAILED;
  };
  const response = await call({});
  assert.equal(response.status, 400);
  const error = (await messagesOf(response))[0]!.error as JsonObject;
  assert.equal(error.code, -32021);
  assert.deepEqual(error.data, { requiredCapabilities: { sampling: {} } });
});

test('a demand of a call that was done all the same is of no consequence', async () => {
  door.answer = ({ talk }) => {
    talk?.demand({ kind: 'input', requests: QUESTION, state: null });
    return { result: null };
  };
  const result = (await messagesOf(await call({})))[0]!.result as JsonObject;
  assert.equal(result.resultType, 'complete');
});

test('a caller that has gone is known to have left, and one that waits is not', async () => {
  const { promise: begun, resolve: begins } = Promise.withResolvers<() => boolean>();
  door.answer = ({ talk }) => {
    talk!.notice!({ kind: 'progress', progress: 1 });
    begins(talk!.left);
    return { result: null };
  };
  const gone = new AbortController();
  door.hold();
  const response = await fetch(door.url, {
    method: 'POST',
    signal: gone.signal,
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...(headersFor('tools/call', 'plain') as Record<string, string>),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 8,
      method: 'tools/call',
      params: { name: 'plain', arguments: {}, _meta: { ...META, progressToken: 1 } },
    }),
  });
  const left = await begun;
  assert.equal(left(), false);
  gone.abort();
  await assert.rejects(response.text());
  while (!left()) await new Promise((resolve) => setImmediate(resolve));
  door.release();
});

test('in a session, cancelling a request is leaving it, and its answer still comes', async () => {
  const auth = { authorization: 'Bearer good' };
  const clientInfo = { name: 't', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const begun = await door.post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, auth);
  const headers = { ...auth, 'mcp-session-id': begun.headers.get('mcp-session-id')! };
  const { promise: walked, resolve: walks } = Promise.withResolvers<() => boolean>();
  door.answer = ({ talk }) => {
    walks(talk!.left);
    return { result: null };
  };
  door.hold();
  const answered = door.post(
    { jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name: 'plain' } },
    headers,
  );
  const left = await walked;
  assert.equal(left(), false);
  const cancel = (requestId: number) =>
    door.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }, headers);
  await cancel(8);
  assert.equal(left(), false);
  await cancel(9);
  assert.equal(left(), true);
  door.release();
  assert.equal((await answered).json.id, 9);
});
